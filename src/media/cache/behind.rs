//! Write-behind: tells the durable tier what the catalogue has noted for it, in the background and in order.
//!
//! The queue is the catalogue's outbox, so it survives the process, is bounded, and costs no memory. Each row is looked at as the record
//! is by then: one that is there is written, one that is gone is removed. A store that fails keeps the row, and so do all behind it; one that
//! refuses a single thing keeps that row alone. Bytes that the upper tiers have lost meanwhile lose it, which costs the artifact its copy and
//! nobody a wrong byte.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use metrics::{Counter, counter};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    CacheError, KeptSource, Manifest, SourceRecord,
    catalogue::{Announcement, Catalogue, Pending, Subject},
    durable::{Durable, Home, ORIGINAL_TYPE, Replace, StoreError, Written, layout},
    fleet::Heard,
    local::Local,
    records::SharedReference,
};
use crate::{
    clock::Clock,
    ids::{ArtifactId, BodyDigest, ContentHash, SourceKey, Tenant},
};

/// Rows that are read at once. Of many, few writers wait for the last of a stage.
const BATCH: usize = 2048;
/// Rows that are looked up at once: as many as the catalogue reads at a time.
const PLANNERS: usize = 4;
/// Bodies that are written at once, in KiB: 64 MiB. Prompts go side by side; of long ones a few fill the way to the store, and more would
/// only all come too late.
const BODIES_KIB: usize = 64 << 10;
/// What one of them takes of that at most: as much as is on its way at once where it goes in parts.
const BODY_KIB_MAX: u64 = 16 << 10;
/// Pause after a store failed; doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often the outbox is gone through at the end, where the store fails.
const CLOSING_PASSES: u32 = 3;
/// For how long an object without its record is taken to be another node's that is about to write it.
const UNFINISHED_MAX: Duration = Duration::from_secs(600);

/// The task, and what is known of it. Dropping it ends the task where it stands.
#[derive(Debug)]
pub(super) struct Behind {
    state: Arc<State>,
    closing: CancellationToken,
    _ends: DropGuard,
    /// A std lock: held to take the handle only.
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    failing: AtomicBool,
    adopted: AtomicU64,
    lost: AtomicU64,
}

impl Behind {
    /// Starts the task. It works until [`close`](Behind::close), or until this is dropped.
    pub(super) fn start(
        local: Local,
        catalogue: Catalogue,
        durable: Durable,
        heard: Heard,
        clock: Clock,
        writers: usize,
    ) -> Behind {
        let (closing, ended) = (CancellationToken::new(), CancellationToken::new());
        let state = Arc::new(State::default());
        let counters = Counters::new();
        let bodies = Semaphore::new(BODIES_KIB);
        let teller = Teller { local, catalogue, durable, clock, heard, bodies, state: Arc::clone(&state), counters };
        let work = Work { teller: Arc::new(teller), writers, closing: closing.clone() };
        let until = ended.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = work.run() => {}
                () = until.cancelled() => {}
            }
        });
        Behind { state, closing, _ends: ended.drop_guard(), task: Mutex::new(Some(task)) }
    }

    /// Whether the store refused or failed when it was told something last.
    pub(super) fn is_failing(&self) -> bool {
        self.state.failing.load(Ordering::Relaxed)
    }

    /// How often another node's artifact took the place of ours, because it was the first.
    pub(super) fn adopted(&self) -> u64 {
        self.state.adopted.load(Ordering::Relaxed)
    }

    /// How often bytes that were to be told had left the upper tiers before their turn came, since the start.
    pub(super) fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// Tells what is noted, for at most `drain`, and ends. What is left is told after the next start.
    pub(super) async fn close(&self, drain: Duration) {
        self.closing.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && tokio::time::timeout(drain, task).await.is_err()
        {
            tracing::warn!("the durable tier was not told everything in time; the rest follows after the next start");
        }
    }
}

struct Work {
    teller: Arc<Teller>,
    writers: usize,
    closing: CancellationToken,
}

impl Work {
    async fn run(self) {
        let (mut pause, mut passes_at_the_end) = (PAUSE_FIRST, 0);
        loop {
            // Looked at before the pass: what was noted while that was under way, it may not have seen.
            let is_closing = self.closing.is_cancelled();
            let went_well = self.pass().await;
            self.teller.state.failing.store(!went_well, Ordering::Relaxed);
            if is_closing {
                passes_at_the_end += 1;
                if went_well || passes_at_the_end == CLOSING_PASSES {
                    return;
                }
                tokio::time::sleep(PAUSE_FIRST).await;
                continue;
            }
            if went_well {
                pause = PAUSE_FIRST;
                tokio::select! {
                    () = self.teller.catalogue.news() => {}
                    // What was put off is looked at again.
                    () = tokio::time::sleep(PAUSE_MAX) => {}
                    () = self.closing.cancelled() => {}
                }
            } else {
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
                    () = self.closing.cancelled() => {}
                }
            }
        }
    }

    /// Goes through the outbox once. Whether the store took everything that it could be told.
    async fn pass(&self) -> bool {
        let (mut planned, mut refused) = (self.plan(0).await, Refused::default());
        loop {
            let batch = match planned {
                Ok(Some(batch)) => batch,
                Ok(None) => return !refused.is_any,
                Err(error) => {
                    tracing::error!(%error, "what the durable tier is to be told cannot be read");
                    return false;
                }
            };
            let last = batch.last;
            // The next one is looked up while this one is told.
            let (goes_on, next) = tokio::join!(self.tell(batch, &mut refused), self.plan(last));
            if !goes_on {
                return false;
            }
            planned = next;
        }
    }

    /// Looks up what the rows behind number `after` mean; none where there are none.
    async fn plan(&self, after: i64) -> Result<Option<Planned>, CacheError> {
        let batch = self.teller.catalogue.pending(after, BATCH).await?;
        let Some(last) = batch.last().map(|row| row.number) else { return Ok(None) };
        let mut planned = Planned { last, stages: Default::default(), done: Vec::new() };
        let acts = stream::iter(batch)
            .map(|row| async move { (row.number, self.teller.plan(row).await) })
            .buffered(PLANNERS)
            .collect::<Vec<_>>()
            .await;
        for (number, act) in acts {
            match act? {
                Some(act) => planned.stages[act.stage()].push((number, act)),
                None => planned.done.push(number),
            }
        }
        Ok(Some(planned))
    }

    /// Tells a batch, stage by stage. Whether there is a point in telling the next: the store works, and has not refused all of this one.
    async fn tell(&self, batch: Planned, refused: &mut Refused) -> bool {
        let Planned { stages, done: mut settled, .. } = batch;
        let (mut told, mut left) = (0, 0);
        for mut stage in stages {
            stage.retain(|(_, act)| !refused.holds_back(act));
            let (mut failures, mut is_failing) = (0, false);
            for (number, outcome, act) in self.carry_out(stage).await {
                match outcome {
                    Ok(Told::Done) => {
                        settled.push(number);
                        told += 1;
                    }
                    Ok(Told::PutOff) => {}
                    Err(error) => {
                        // The others most likely failed for the same reason.
                        if failures == 0 {
                            tracing::warn!(?act, %error, "the durable tier cannot be told");
                        }
                        failures += 1;
                        if error.is_retryable() {
                            is_failing = true;
                        } else {
                            refused.note(&act);
                        }
                    }
                }
            }
            // Stage by stage, so that little is told again where it ends in the midst of them.
            if !self.settle(std::mem::take(&mut settled)).await || is_failing {
                return false;
            }
            left += failures;
        }
        0 < told || left == 0
    }

    /// Carries out acts, each in a task of its own: where CPUs are busy, tasks take turns, and one for all would have one turn where fills have
    /// many.
    async fn carry_out(&self, acts: Vec<(i64, Act)>) -> Vec<(i64, Result<Told, StoreError>, Act)> {
        let (mut tasks, mut told, mut left) = (JoinSet::new(), Vec::with_capacity(acts.len()), acts.into_iter());
        loop {
            for (number, act) in left.by_ref().take(self.writers - tasks.len()) {
                let teller = Arc::clone(&self.teller);
                tasks.spawn(async move { (number, teller.carry_out(&act).await, act) });
            }
            match tasks.join_next().await {
                Some(Ok(one)) => told.push(one),
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => tracing::error!(%error, "a task that tells the durable tier something has ended"),
                },
                None => return told,
            }
        }
    }

    async fn settle(&self, numbers: Vec<i64>) -> bool {
        if numbers.is_empty() {
            return true;
        }
        let settled = self.teller.catalogue.settle(numbers).await;
        if let Err(error) = &settled {
            tracing::error!(%error, "what the durable tier was told cannot be noted; it is told again");
        }
        settled.is_ok()
    }
}

/// What a batch of rows means.
struct Planned {
    /// The number of its last row.
    last: i64,
    /// What is to be done, one after the other.
    stages: [Vec<(i64, Act)>; Act::STAGES],
    /// Rows of which nothing is to be told any more.
    done: Vec<i64>,
}

/// What the store has refused in a pass, though it works.
#[derive(Default)]
struct Refused {
    is_any: bool,
    /// Artifacts that references still lead to, because these could not be removed: who removes their bytes now would find them in use, and
    /// nobody would come back to them.
    referenced: HashSet<ArtifactId>,
}

impl Refused {
    fn note(&mut self, act: &Act) {
        self.is_any = true;
        let artifact = match act {
            Act::RemoveReference(_, artifact) => Some(*artifact),
            Act::Announce(announcement) => announcement.forgotten().map(|(_, artifact)| artifact),
            _ => None,
        };
        self.referenced.extend(artifact);
    }

    fn holds_back(&self, act: &Act) -> bool {
        matches!(act, Act::RemoveArtifact(artifact) if self.referenced.contains(artifact))
    }
}

/// What became of it.
enum Told {
    Done,
    /// To be looked at again some time later.
    PutOff,
}

/// What is to be done in the durable tier.
#[derive(Debug)]
enum Act {
    PutOriginal(Arc<KeptSource>),
    PutArtifact(Arc<Manifest>),
    PutReference(Tenant, ArtifactId, Box<SharedReference>),
    RemoveReference(Tenant, ArtifactId),
    PutSource(Tenant, SourceKey, Arc<SourceRecord>),
    RemoveSource(Tenant, SourceKey),
    Announce(Announcement),
    RemoveArtifact(ArtifactId),
    RemoveOriginal(ContentHash),
}

impl Act {
    const STAGES: usize = 4;

    /// Bytes come before what leads to them, references before the index, and what is to go goes after what led to it.
    const fn stage(&self) -> usize {
        match self {
            Act::PutOriginal(_) | Act::PutArtifact(_) => 0,
            Act::PutReference(..) | Act::RemoveReference(..) => 1,
            Act::PutSource(..) | Act::RemoveSource(..) | Act::Announce(_) => 2,
            Act::RemoveArtifact(_) | Act::RemoveOriginal(_) => 3,
        }
    }
}

/// Knows what a row means by now, and does it.
struct Teller {
    local: Local,
    catalogue: Catalogue,
    durable: Durable,
    clock: Clock,
    heard: Heard,
    /// Permits for the KiB of bodies.
    bodies: Semaphore,
    state: Arc<State>,
    counters: Counters,
}

struct Counters {
    told: Counter,
    lost: Counter,
    adopted: Counter,
}

impl Counters {
    fn new() -> Counters {
        Counters {
            told: counter!("ringback_media_durable_told_total"),
            lost: counter!("ringback_media_durable_lost_total"),
            adopted: counter!("ringback_media_durable_adopted_total"),
        }
    }
}

impl Teller {
    /// What a row means as things stand; none where there is nothing to do any more.
    async fn plan(&self, row: Pending) -> Result<Option<Act>, CacheError> {
        Ok(match row.subject {
            Subject::Original(hash) => match self.catalogue.kept_source(&hash).await? {
                Ok(kept) => Some(Act::PutOriginal(kept)),
                // Evicted, unless nothing of it is wanted any more.
                Err(_) => (!self.catalogue.is_referenced_original(&hash).await?).then_some(Act::RemoveOriginal(hash)),
            },
            Subject::Artifact(artifact) => match self.catalogue.manifest(&artifact).await? {
                Ok(manifest) => Some(Act::PutArtifact(manifest)),
                Err(_) => (!self.catalogue.is_referenced(&artifact).await?).then_some(Act::RemoveArtifact(artifact)),
            },
            Subject::Reference(tenant, artifact) => Some(match row.reference {
                Some(shared) => Act::PutReference(tenant, artifact, shared),
                None => Act::RemoveReference(tenant, artifact),
            }),
            Subject::Source(tenant, key) => Some(match self.catalogue.source(&tenant, &key).await? {
                Ok(record) => Act::PutSource(tenant, key, record),
                Err(_) => Act::RemoveSource(tenant, key),
            }),
            Subject::Announcement(announcement) => Some(Act::Announce(announcement)),
        })
    }

    async fn carry_out(&self, act: &Act) -> Result<Told, StoreError> {
        let durable = &self.durable;
        let _room = match act {
            Act::PutArtifact(manifest) => Some(self.room_for(manifest.length).await),
            Act::PutOriginal(kept) => Some(self.room_for(kept.length).await),
            _ => None,
        };
        let done = match act {
            Act::PutArtifact(manifest) => match self.put_artifact(manifest).await {
                Ok(Told::PutOff) => return Ok(Told::PutOff),
                done => done.map(drop),
            },
            Act::PutOriginal(kept) => self.put_original(kept).await,
            Act::PutReference(tenant, artifact, shared) => {
                durable.put_record(&layout::reference(artifact, tenant), &**shared, Replace::Always).await.map(drop)
            }
            Act::RemoveReference(tenant, artifact) => match self.heard.forgotten_at(tenant, artifact) {
                // Another node may have made it again in the meantime.
                Some(at) => durable.remove_reference(tenant, artifact, at).await.map(drop),
                None => durable.remove(&layout::reference(artifact, tenant)).await,
            },
            Act::PutSource(tenant, key, record) => {
                durable.put_record(&layout::source(tenant, key), &**record, Replace::Always).await.map(drop)
            }
            Act::RemoveSource(tenant, key) => durable.remove(&layout::source(tenant, key)).await,
            Act::Announce(announcement) => self.announce(announcement).await,
            Act::RemoveArtifact(artifact) => durable.remove_artifact(artifact).await,
            Act::RemoveOriginal(hash) => durable.remove_original(hash).await,
        };
        match done {
            Ok(()) => {
                self.counters.told.increment(1);
                Ok(Told::Done)
            }
            // Its bytes were evicted before it could be told of them.
            Err(StoreError::Body { key, source }) => {
                self.counters.lost.increment(1);
                self.state.lost.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%key, error = %source, "the upper tiers have lost what the durable tier was to be told");
                Ok(Told::Done)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until a body may be written.
    async fn room_for(&self, length: u64) -> Option<SemaphorePermit<'_>> {
        let kib = u32::try_from((length >> 10).clamp(1, BODY_KIB_MAX)).unwrap_or(1);
        // It is never closed.
        self.bodies.acquire_many(kib).await.ok()
    }

    /// Tells the other nodes. What they are to forget is not to be found either, whoever has put it there meanwhile.
    async fn announce(&self, announcement: &Announcement) -> Result<(), StoreError> {
        self.durable.announce(announcement).await?;
        let Some((tenant, artifact)) = announcement.forgotten() else { return Ok(()) };
        if self.durable.remove_reference(&tenant, &artifact, announcement.at).await? {
            // Who dropped it has left the bytes because of that reference. Where there was none, somebody may be writing them anew.
            self.durable.remove_artifact(&artifact).await?;
        }
        Ok(())
    }

    async fn put_original(&self, kept: &KeptSource) -> Result<(), StoreError> {
        let home = Home::Original(kept.content_hash);
        let body = self.local.body(kept.chunks.clone());
        // A single chunk is named by the digest of its bytes.
        let digest = match kept.chunks.as_slice() {
            [chunk] => Some(BodyDigest::from_bytes(*chunk.id.as_bytes())),
            _ => None,
        };
        self.durable.put_whole(&home, ORIGINAL_TYPE, kept.length, body, digest, false).await?;
        // A single chunk is named as the whole.
        let key = layout::chunks(&kept.content_hash);
        if kept.chunks.len() > 1
            && self.durable.put_record(&key, kept, Replace::Never).await? == Written::WasThere
            && self.durable.record::<KeptSource>(&key).await?.is_none()
        {
            // One that nobody can read.
            self.durable.put_record(&key, kept, Replace::Always).await?;
        }
        Ok(())
    }

    async fn put_artifact(&self, manifest: &Manifest) -> Result<Told, StoreError> {
        let (home, key) = (Home::Artifact(manifest.artifact, manifest.format), layout::manifest(&manifest.artifact));
        if self.put_bytes(manifest, &home, false).await? == Written::Yes
            && self.durable.put_record(&key, manifest, Replace::Never).await? == Written::Yes
        {
            return Ok(Told::Done);
        }
        let theirs = self.durable.written_manifest(&manifest.artifact).await?;
        if theirs.as_ref().is_some_and(|theirs| theirs.digest == manifest.digest) {
            return Ok(Told::Done);
        }
        // A manifest stands for the bytes that lie there, whoever wrote the one and the other.
        let digest = self.durable.digest(&home).await?;
        if let Some(theirs) = theirs.filter(|theirs| digest == Some(theirs.digest)) {
            self.adopt(manifest, theirs).await;
            return Ok(Told::Done);
        }
        // Other bytes without a manifest of theirs: what is left of something, or another node's that is about to write it.
        if digest != Some(manifest.digest) {
            let age = self.clock.now_wall().duration_since(self.durable.meta(&home).await?.modified);
            if age.unwrap_or_default() < UNFINISHED_MAX {
                return Ok(Told::PutOff);
            }
            self.put_bytes(manifest, &home, true).await?;
        }
        self.durable.put_record(&key, manifest, Replace::Always).await?;
        Ok(Told::Done)
    }

    async fn put_bytes(&self, manifest: &Manifest, home: &Home, replace: bool) -> Result<Written, StoreError> {
        let extension = manifest.format.extension();
        let content_type = match (manifest.format.content_type(extension), &manifest.raw_type) {
            (Some(text), _) => text.into_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => ORIGINAL_TYPE.to_owned(),
        };
        let body = self.local.body(manifest.chunks.clone());
        let digest = Some(manifest.digest);
        self.durable.put_whole(home, &content_type, manifest.length, body, digest, replace).await
    }

    /// The first to write an artifact wins: where bytes differ (Opus on another kind of CPU), ours are given up for theirs.
    async fn adopt(&self, ours: &Manifest, theirs: Manifest) {
        tracing::info!(artifact = %ours.artifact, "another node's bytes of an artifact were first and are used from now on");
        self.counters.adopted.increment(1);
        if let Err(error) = self.catalogue.adopt(theirs).await {
            tracing::error!(%error, "another node's artifact cannot be noted");
        }
        self.state.adopted.fetch_add(1, Ordering::Relaxed);
    }
}
