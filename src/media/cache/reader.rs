//! Reads the chunks of a body in order, each from the quickest tier that has it.
//!
//! What the upper tiers lack is read from the durable tier in runs: one request for many chunks, which a task of its own puts into the upper
//! tiers as they come; a run of one chunk is read by who asked. However many callers lack the same chunk, one run brings it; and none of them holds a connection to the store while
//! it sends at its own pace.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{
    Cache, ChunkRef, KeptSource, Manifest, Tier,
    durable::{Durable, Home, Run},
    local::Local,
    twice::Twice,
};
use crate::ids::ChunkId;

/// Chunks of one run at most: 8 MiB.
const RUN_MAX: usize = 32;
/// Chunks of all runs that their readers have not taken: 64 MiB. Beyond it runs are of one chunk.
const RUNS_MAX: usize = 256;

/// A body whose chunks can be read.
#[derive(Clone, Debug)]
pub enum Whole {
    /// An artifact.
    Artifact(Arc<Manifest>),
    /// A kept original.
    Original(Arc<KeptSource>),
}

impl Whole {
    pub(super) fn chunks(&self) -> &[ChunkRef] {
        match self {
            Whole::Artifact(manifest) => &manifest.chunks,
            Whole::Original(kept) => &kept.chunks,
        }
    }

    pub(super) fn length(&self) -> u64 {
        match self {
            Whole::Artifact(manifest) => manifest.length,
            Whole::Original(kept) => kept.length,
        }
    }

    pub(super) fn home(&self) -> Home {
        match self {
            Whole::Artifact(manifest) => Home::Artifact(manifest.artifact, manifest.format),
            Whole::Original(kept) => Home::Original(kept.content_hash),
        }
    }
}

/// What all readers of a cache have in common.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    /// Chunks that a run is bringing, until it has brought them or failed. A std lock: held for map operations only.
    coming: Arc<Mutex<HashMap<ChunkId, watch::Receiver<()>>>>,
    /// A permit for each chunk that was read and not taken.
    room: Arc<Semaphore>,
    /// What runs have brought: what they bring again goes to disk, too.
    twice: Twice,
}

impl Runs {
    pub(super) fn new() -> Runs {
        Runs { coming: Arc::default(), room: Arc::new(Semaphore::new(RUNS_MAX)), twice: Twice::new() }
    }

    fn coming(&self) -> MutexGuard<'_, HashMap<ChunkId, watch::Receiver<()>>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chunk on its way from a run to its reader.
type Brought = (Bytes, Option<OwnedSemaphorePermit>);

/// What a reader takes from its run.
#[derive(Debug)]
struct Taking {
    chunks: mpsc::Receiver<Brought>,
    /// How many are still to come.
    left: usize,
}

/// What came of beginning a run.
enum Begun {
    Run(Taking),
    /// The chunk itself.
    Chunk(Bytes),
    /// Others have begun to bring the chunk meanwhile, or have brought it.
    ByOthers,
    /// The durable tier has not got it.
    Nothing,
}

/// Reads the chunks `range` of a body.
#[derive(Debug)]
pub struct Reader {
    cache: Cache,
    whole: Whole,
    /// Which are still to come.
    range: Range<usize>,
    /// Where the next one begins, in bytes of the body.
    offset: u64,
    run: Option<Taking>,
}

impl Reader {
    /// A reader of the chunks `range` of a body.
    pub fn new(cache: &Cache, whole: Whole, range: Range<usize>) -> Reader {
        let before = whole.chunks().iter().take(range.start);
        let offset = before.map(|chunk| u64::from(chunk.length)).sum();
        Reader { cache: cache.clone(), whole, range, offset, run: None }
    }

    /// The number of the chunk that comes next.
    pub fn position(&self) -> usize {
        self.range.start
    }

    /// Whether this is the number of the chunk that comes next.
    pub fn is_at(&self, number: usize) -> bool {
        self.range.start == number && !self.range.is_empty()
    }

    /// The next chunk, and where it was. None at the end, and where no tier has it as its name says: then the position says which.
    pub async fn next(&mut self) -> Option<(Bytes, Tier)> {
        let chunk = *self.whole.chunks().get(self.range.start).filter(|_| !self.range.is_empty())?;
        let found = match self.take().await {
            Some(found) => found,
            None => self.find(chunk.id).await?,
        };
        self.range.start += 1;
        self.offset += u64::from(chunk.length);
        Some(found)
    }

    /// The next chunk of the run under way.
    async fn take(&mut self) -> Option<(Bytes, Tier)> {
        let run = self.run.as_mut()?;
        let tier = self.cache.parts.durable.as_ref()?.tier();
        let brought = run.chunks.recv().await;
        run.left -= 1;
        if run.left == 0 || brought.is_none() {
            self.run = None;
        }
        let (bytes, _room) = brought?;
        self.cache.parts.metrics.hit(tier);
        Some((bytes, tier))
    }

    async fn find(&mut self, id: ChunkId) -> Option<(Bytes, Tier)> {
        loop {
            if let Some(found) = self.cache.chunk(&id).await {
                return Some(found);
            }
            let durable = self.cache.parts.durable.clone()?;
            let coming = self.cache.parts.runs.coming().get(&id).cloned();
            if let Some(mut coming) = coming {
                // Until its sender is gone: then it is there, or it is for us to bring it.
                while coming.changed().await.is_ok() {}
                continue;
            }
            match self.begin(&durable).await {
                Begun::Run(run) => self.run = Some(run),
                Begun::Chunk(bytes) => {
                    self.cache.parts.metrics.hit(durable.tier());
                    return Some((bytes, durable.tier()));
                }
                Begun::ByOthers => continue,
                Begun::Nothing => return None,
            }
            // A run that ends before its first chunk found it damaged, or the store failed: the same again would end the same.
            return self.take().await;
        }
    }

    /// Begins a run with the next chunk.
    async fn begin(&mut self, durable: &Durable) -> Begun {
        let runs = self.cache.parts.runs.clone();
        let Some((mut claimed, chunks, room)) = self.claim(&runs) else { return Begun::ByOthers };
        let left = chunks.len();
        let run = durable.read(self.whole.home(), self.whole.length(), self.offset, chunks).await;
        let Some(mut run) = run else { return Begun::Nothing };
        let local = Local { memory: self.cache.parts.memory.clone(), disk: self.cache.parts.disk.clone() };
        if left == 1 {
            // Nothing comes behind it that its reader could hold up: a task would only cost time, a quarter of that for 80 KB.
            let Some((id, bytes)) = run.next().await else { return Begun::Nothing };
            claimed.keep(&local, id, &bytes);
            return Begun::Chunk(bytes);
        }
        let (sender, receiver) = mpsc::channel(RUN_MAX);
        // Beside its reader: on another thread each chunk would wake this one, which costs as much as its sum. Where it ends with its
        // caller's lane, the claim ends too, and whoever waits reads for himself.
        tokio::spawn(bring(local, run, room, sender, claimed));
        Begun::Run(Taking { chunks: receiver, left })
    }

    /// Claims the next chunks, as far as they are lacking, for a run of ours.
    fn claim(&self, runs: &Runs) -> Option<(Claimed, Vec<ChunkRef>, Option<OwnedSemaphorePermit>)> {
        let mut coming = runs.coming();
        let wanted = self.whole.chunks().get(self.range.clone()).unwrap_or_default();
        let is_lacking =
            |chunk: &&ChunkRef| self.cache.chunk_tier(&chunk.id).is_none() && !coming.contains_key(&chunk.id);
        let mut chunks: Vec<ChunkRef> = wanted.iter().take(RUN_MAX).take_while(is_lacking).copied().collect();
        // Whoever asked before us may have begun in between.
        if chunks.is_empty() {
            return None;
        }
        let room = u32::try_from(chunks.len()).ok().and_then(|n| runs.room.clone().try_acquire_many_owned(n).ok());
        if room.is_none() {
            chunks.truncate(1);
        }
        let mut claims = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            // A chunk can stand twice in a body.
            coming.entry(chunk.id).or_insert_with(|| {
                let (claim, waiting) = watch::channel(());
                claims.push((chunk.id, claim));
                waiting
            });
        }
        Some((Claimed { runs: runs.clone(), claims }, chunks, room))
    }
}

/// Chunks that a run has promised to bring. Dropping it is the end of the promise.
#[derive(Debug)]
struct Claimed {
    runs: Runs,
    /// In the order in which they come.
    claims: Vec<(ChunkId, watch::Sender<()>)>,
}

impl Claimed {
    /// One has come: the upper tiers have it now.
    fn keep(&mut self, local: &Local, id: ChunkId, bytes: &Bytes) {
        local.promote(id, bytes.clone(), self.runs.twice.came(&id));
        self.runs.coming().remove(&id);
        self.claims.retain(|(claimed, _)| *claimed != id);
    }

    /// Whether somebody else waits for what is still to come.
    fn is_waited_for(&self) -> bool {
        // One that waits is the one that others take theirs from.
        self.claims.iter().any(|(_, claim)| claim.receiver_count() > 1)
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut coming = self.runs.coming();
        for (id, _) in &self.claims {
            coming.remove(id);
        }
    }
}

/// Reads a run to its end: into the upper tiers, and to the reader while there is one.
async fn bring(
    local: Local,
    mut run: Run,
    mut room: Option<OwnedSemaphorePermit>,
    reader: mpsc::Sender<Brought>,
    mut claimed: Claimed,
) {
    while let Some((id, bytes)) = run.next().await {
        claimed.keep(&local, id, &bytes);
        let permit = room.as_mut().and_then(|room| room.split(1));
        // There is room for all of a run, so this fails only where nobody reads any more.
        if reader.try_send((bytes, permit)).is_err() && !claimed.is_waited_for() {
            return;
        }
    }
}
