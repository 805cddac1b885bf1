//! The fill: what a miss does (`spec/media.md` §4).
//!
//! The story, from the first caller's miss to a stored artifact:
//!
//! 1. `Fill::join` finds the flight for (tenant, source, format) or starts it. Two levels: one `source` fetch feeds any
//!    number of `encode`s, one for each format asked.
//! 2. The source task takes the flight's place among what the tenant may have in progress (`work`), asks the origin (or the tiers, where they keep the original) and writes what comes to a spool, hashing.
//! 3. The encode task runs the audio pipeline on the `pool`: it reads that spool as it grows and writes the artifact's spool.
//! 4. Every caller holds a `Joined` and reads the artifact's spool at its own pace, or waits for the whole.
//! 5. When the original is whole and everything is encoded, chunks go to the tiers, then manifest, reference and index entry are
//!    committed at once. A fill that fails leaves only a short-lived memory of the failure.
//!
//! Leaving is dropping: the last `Joined` that goes cancels the encode, and the last encode that ends cancels the fetch,
//! unless so much has arrived that finishing is cheaper than starting again.

mod chunker;

mod config;

mod encode;

mod failures;

mod joined;

mod known;

mod pool;

mod remote;

mod scratch;

mod source;

mod speech;

mod work;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    concurrency::{Concurrency, Place},
    ids::{ArtifactId, ContentHash, SourceKey, Tenant},
    media::{
        audio,
        cache::{CHUNK_MAX, Cache, ChunkRef, Commit, KeptSource, Manifest, Reference, SourceRecord},
        format::{Format, Headerless},
        origin::Origin,
        private::Private,
        source::Source,
        speech::Speech,
        spool::{Spool, Spools},
        uploads::Uploads,
    },
    outbound::Hops,
    problem::Problem,
};

pub use config::Config;
pub(in crate::media) use encode::{Finished, Stages, Stored};
pub(in crate::media) use failures::Tried;
pub(in crate::media) use joined::{Joined, Ready};
pub(in crate::media) use source::{Arrival, From};

use encode::{EncodeFlight, Recipe};
use failures::Failures;
use pool::{Places, Pool};
use source::{Received, SourceFlight, State as SourceState};
use speech::Turns;
use work::Task;

/// All fills of the node.
#[derive(Clone, Debug)]
pub(in crate::media) struct Fill {
    shared: Arc<Shared>,
}

/// The rooms that a fill works with.
#[derive(Debug)]
pub(in crate::media) struct Parts {
    pub(in crate::media) cache: Cache,
    pub(in crate::media) origin: Origin,
    pub(in crate::media) uploads: Uploads,
    pub(in crate::media) speech: Speech,
    pub(in crate::media) private: Private,
    pub(in crate::media) spools: Spools,
    pub(in crate::media) concurrency: Concurrency,
    pub(in crate::media) clock: Clock,
    pub(in crate::media) tasks: TaskTracker,
}

/// What every flight needs.
#[derive(Debug)]
struct Shared {
    config: Config,
    audio_limits: audio::Limits,
    cache: Cache,
    origin: Origin,
    uploads: Uploads,
    speech: Speech,
    /// Pieces of speech that are being spoken to be kept: who wants the same waits for them.
    turns: Turns,
    private: Private,
    spools: Spools,
    pool: Pool,
    concurrency: Concurrency,
    clock: Clock,
    tasks: TaskTracker,
    /// Where tasks run: a fill serves callers of every lane and must not live on one of theirs.
    runtime: Handle,
    /// A std lock: held for map operations only.
    flights: Mutex<HashMap<FlightKey, Flight>>,
    private_flights: AtomicU64,
    purges: AtomicU64,
    failures: Failures,
}

/// What single flight is per.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FlightKey {
    tenant: Tenant,
    source: SourceKey,
    /// Set for `no-store`: a flight that nobody else joins.
    private: Option<u64>,
    /// The kept original that it reads: who wants the origin asked, or another original, does not join that, nor the other way round.
    replays: Option<ContentHash>,
    /// Purges before it: who asks after a purge does not join what began before.
    purges: u64,
}

/// A fetch and the encodes that live on it.
#[derive(Debug)]
struct Flight {
    source: Arc<SourceFlight>,
    encodes: HashMap<Recipe, Encode>,
}

#[derive(Debug)]
struct Encode {
    flight: Arc<EncodeFlight>,
    waiters: usize,
    /// Goes on without waiters: somebody was told that it would.
    pinned: bool,
}

/// What a caller asks of a fill.
#[derive(Debug)]
pub(in crate::media) struct Wanted {
    pub(in crate::media) tenant: Tenant,
    pub(in crate::media) source: Source,
    pub(in crate::media) format: Format,
    /// What the caller declares the source to be.
    pub(in crate::media) input: Option<Headerless>,
    pub(in crate::media) from: From,
    /// The artifact that is there for an original that has not changed.
    pub(in crate::media) serves: Option<ArtifactId>,
    /// The index entry that the fill may confirm or replace.
    pub(in crate::media) previous: Option<Arc<SourceRecord>>,
    /// Whether the result may be stored and shared; false for `no-store`.
    pub(in crate::media) keep: bool,
    pub(in crate::media) tags: Vec<String>,
    /// What the request went through before this node.
    pub(in crate::media) hops: Hops,
}

impl Fill {
    pub(in crate::media) fn new(config: Config, audio: audio::Config, parts: Parts) -> Fill {
        let Parts { cache, origin, uploads, speech, private, spools, concurrency, clock, tasks } = parts;
        let cpus = match config.cpus {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            cpus => cpus,
        };
        let shared = Shared {
            pool: Pool::new(Places {
                workers: config.workers,
                parked_max: config.parked_max,
                waiting_max: config.queue_max,
                cpus,
            }),
            failures: Failures::new(config.negative_max, config.negative, config.negative_said_max),
            flights: Mutex::default(),
            private_flights: AtomicU64::new(0),
            purges: AtomicU64::new(0),
            audio_limits: audio.limits(),
            config,
            cache,
            origin,
            uploads,
            speech,
            turns: Turns::default(),
            private,
            spools,
            concurrency,
            clock,
            tasks,
            runtime: Handle::current(),
        };
        Fill { shared: Arc::new(shared) }
    }

    /// How what is tried failed before, while that is remembered.
    pub(in crate::media) fn failure(&self, tried: &Tried) -> Option<Problem> {
        self.shared.failures.get(tried, self.shared.clock.now_wall())
    }

    /// How the origin of a source failed to give an answer before, under whatever signature, while that is remembered.
    pub(in crate::media) fn source_failure(&self, tenant: &Tenant, source: SourceKey) -> Option<Problem> {
        self.shared.failures.of_source(tenant, source, self.shared.clock.now_wall())
    }

    /// Forgets how it failed: the caller insists on asking again.
    pub(in crate::media) fn forget_failure(&self, tried: &Tried, source: SourceKey) {
        self.shared.failures.forget(tried, source);
    }

    /// Joins the fill of this source and format, or starts it, for a caller who holds a place if its answer counts.
    pub(in crate::media) fn join(&self, wanted: Wanted, place: Option<Arc<Place>>) -> Joined {
        let shared = &self.shared;
        let key = shared.key_of(&wanted);
        let mut flights = shared.flights();
        let flight = flights.entry(key.clone()).or_insert_with(|| shared.start_source(&wanted));
        let source = &flight.source;
        let mut joined = true;
        let encode = flight.encodes.entry((wanted.format, wanted.input)).or_insert_with(|| {
            joined = false;
            shared.start_encode(&key, source, &wanted)
        });
        encode.waiters += 1;
        let flight = Arc::clone(&encode.flight);
        drop(flights);
        if joined {
            metrics::counter!("ringback_media_fills_coalesced_total").increment(1);
        }
        Joined::new(Arc::clone(shared), key, flight, joined, place)
    }

    /// Brings a source up to date behind a caller who has what is stale: starts its fill, with nobody waiting, unless it is under way.
    pub(in crate::media) fn refresh(&self, wanted: Wanted) {
        let shared = &self.shared;
        // Whatever this caller wants kept, others come after.
        let wanted = Wanted { keep: true, tags: Vec::new(), ..wanted };
        let key = shared.key_of(&wanted);
        let tried = Tried::new(&wanted.tenant, &wanted.source, wanted.format, wanted.input);
        let mut flights = shared.flights();
        // A fill that ends is remembered first and taken out then: what has just failed is seen in one place or the other.
        if flights.contains_key(&key) || self.failure(&tried).is_some() {
            return;
        }
        let mut flight = shared.start_source(&wanted);
        let mut encode = shared.start_encode(&key, &flight.source, &wanted);
        encode.pinned = true;
        flight.encodes.insert((wanted.format, wanted.input), encode);
        flights.insert(key, flight);
        metrics::counter!("ringback_media_fills_behind_total").increment(1);
    }

    /// Keeps what is being made of a source from being stored: it was deleted meanwhile. Who waits still gets it.
    pub(in crate::media) fn revoke(&self, tenant: &Tenant, source: &SourceKey) {
        let is_meant =
            |key: &FlightKey, _: &mut Flight| key.private.is_none() && key.tenant == *tenant && key.source == *source;
        // Taken out, so that whoever asks from now on starts anew.
        for (_, flight) in self.shared.flights().extract_if(is_meant) {
            flight.source.revoke();
        }
    }

    /// Has whoever asks from now on start anew: something was purged. What is under way goes on, and counts as what was before.
    pub(in crate::media) fn begin_anew(&self) {
        self.shared.purges.fetch_add(1, Ordering::SeqCst);
    }

    /// Transcodes in the queue and flights in progress: for metrics.
    pub(in crate::media) fn load(&self) -> (usize, usize) {
        (self.shared.pool.queue_depth(), self.shared.flights().len())
    }

    /// Bytes in spools: for metrics.
    pub(in crate::media) fn spooled(&self) -> u64 {
        self.shared.spools.used().get()
    }
}

impl Shared {
    fn flights(&self) -> MutexGuard<'_, HashMap<FlightKey, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key_of(&self, wanted: &Wanted) -> FlightKey {
        FlightKey {
            tenant: wanted.tenant.clone(),
            source: wanted.source.key(),
            private: (!wanted.keep).then(|| self.private_flights.fetch_add(1, Ordering::Relaxed)),
            replays: match &wanted.from {
                From::Kept(kept) => Some(kept.content_hash),
                _ => None,
            },
            purges: self.purges.load(Ordering::SeqCst),
        }
    }

    fn start_source(self: &Arc<Self>, wanted: &Wanted) -> Flight {
        let (tenant, of, hops) = (wanted.tenant.clone(), wanted.source.clone(), wanted.hops.clone());
        let (spool, now) = (self.spools.create(), self.clock.now());
        let is_replay = matches!(wanted.from, From::Kept(_));
        let flight = Arc::new(SourceFlight::new(tenant, of, hops, (wanted.keep, is_replay), spool, now));
        let (previous, from) = (wanted.previous.clone(), wanted.from.clone());
        let running = source::run(Arc::clone(self), Arc::clone(&flight), previous, from, Task::of(&flight));
        self.tasks.spawn_on(running, &self.runtime);
        Flight { source: flight, encodes: HashMap::new() }
    }

    fn start_encode(self: &Arc<Self>, key: &FlightKey, source: &Arc<SourceFlight>, wanted: &Wanted) -> Encode {
        let spool = self.spools.create();
        let recipe = (wanted.format, wanted.input);
        let flight = EncodeFlight::new(recipe, spool, Arc::clone(source), wanted);
        let flight = Arc::new(flight);
        let (shared, running, key) = (Arc::clone(self), Arc::clone(&flight), key.clone());
        let task = Task::of(source);
        let encode = async move {
            let state = encode::run(&shared, &running).await;
            // In this order: who is told to look again must not find the same flight again.
            shared.finish(&key, &running);
            // Whoever is told that it is done may begin the next.
            drop(task);
            running.end(state);
        };
        self.tasks.spawn_on(encode, &self.runtime);
        Encode { flight, waiters: 0, pinned: false }
    }

    /// An encode has ended: it can no longer be joined, and the last one takes the fetch along.
    fn finish(&self, key: &FlightKey, ended: &Arc<EncodeFlight>) {
        let mut flights = self.flights();
        let Some(flight) = flights.get_mut(key) else { return };
        let same = flight.encodes.get(&ended.recipe()).is_some_and(|encode| Arc::ptr_eq(&encode.flight, ended));
        if !same {
            return;
        }
        flight.encodes.remove(&ended.recipe());
        if matches!(*flight.source.state.borrow(), SourceState::LookAgain { .. }) {
            // Its other encodes end the same way; none of them may be joined any more.
            flight.encodes.clear();
        }
        self.close_if_idle(&mut flights, key);
    }

    /// A waiter has left. The last one ends the encode, unless it is pinned or nearly done.
    fn leave(&self, key: &FlightKey, left: &Arc<EncodeFlight>) {
        let mut flights = self.flights();
        let Some(flight) = flights.get_mut(key) else { return };
        let Some(encode) = flight.encodes.get_mut(&left.recipe()) else { return };
        if !Arc::ptr_eq(&encode.flight, left) {
            return;
        }
        encode.waiters -= 1;
        let wanted = encode.waiters > 0 || encode.pinned || (left.keep && flight.source.worth_finishing());
        if !wanted {
            flight.encodes.remove(&left.recipe());
            left.cancel.cancel();
            self.close_if_idle(&mut flights, key);
            metrics::counter!("ringback_media_fills_abandoned_total").increment(1);
        }
    }

    fn close_if_idle(&self, flights: &mut HashMap<FlightKey, Flight>, key: &FlightKey) {
        if flights.get(key).is_some_and(|flight| flight.encodes.is_empty())
            && let Some(flight) = flights.remove(key)
        {
            flight.source.cancel.cancel();
        }
    }

    /// Remembers how an encode failed.
    fn remember_failure(&self, flight: &EncodeFlight, problem: &Problem) {
        let source = &flight.source;
        let tried = Tried::new(&source.tenant, &source.of, flight.format, flight.input);
        self.failures.remember(tried, source.of.key(), problem, self.clock.now_wall());
    }

    /// The name of what an encode makes of an original.
    fn name(&self, flight: &EncodeFlight, record: &SourceRecord) -> ArtifactId {
        let source = &flight.source;
        let public = flight.format.artifact_id(&record.content_hash, record.input(flight.input), audio::PIPELINE);
        self.private.name(source.of.visibility(), &source.tenant, public)
    }

    /// Writes an index entry that changed without a fill. A cache that fails is not the caller's trouble.
    async fn commit_source(&self, source: &SourceFlight, record: SourceRecord) {
        let commit = Commit { source: Some(record), ..Commit::new(source.tenant.clone(), source.of.key()) };
        self.commit(commit).await;
    }

    async fn commit(&self, commit: Commit) -> bool {
        let committed = self.cache.commit(commit).await;
        if let Err(error) = &committed {
            tracing::error!(%error, "catalogue refused a commit, serving without storing");
            metrics::counter!("ringback_media_commit_failures_total").increment(1);
        }
        committed.is_ok()
    }

    /// Leaves a finished fill to the tiers: chunks first, then in one commit all that names them.
    async fn store(
        &self,
        flight: &EncodeFlight,
        received: &Received,
        record: &SourceRecord,
        manifest: &Arc<Manifest>,
        header: &Bytes,
    ) -> Stored {
        let data = if header.is_empty() { &manifest.chunks[..] } else { &manifest.chunks[1..] };
        if let (false, Some(chunk)) = (header.is_empty(), manifest.chunks.first()) {
            self.cache.admit(chunk.id, header.clone()).await;
        }
        if !self.admit(&flight.spool, data).await {
            return Stored::Refused;
        }
        let source = &flight.source;
        let reference = Reference {
            source_url: source.of.text().into_owned(),
            content_hash: received.content_hash,
            input: record.input(flight.input),
            format: flight.format,
            pipeline: manifest.pipeline.clone(),
            visibility: source.of.visibility(),
            tags: record.labels.clone(),
            source_tags: record.tags.clone(),
            created_at: self.clock.now_wall(),
            asked_at: Some(record.asked_at()),
            also: Vec::new(),
        };
        let commit = Commit {
            // What is made of the kept original says nothing new of its source.
            source: (source.of.is_indexed() && !source.is_replay).then(|| record.clone()),
            manifest: Some(Manifest::clone(manifest)),
            reference: Some((manifest.artifact, reference)),
            kept: self.keep_source(source, received).await,
            ..Commit::new(source.tenant.clone(), source.of.key())
        };
        if source.is_revoked() {
            return Stored::Forbidden;
        }
        if !self.commit(commit).await {
            return Stored::Refused;
        }
        // Who deletes revokes first and deletes then. A commit that overtook the deletion on its way to the catalogue is taken back.
        if source.is_revoked() {
            let now = self.clock.now_wall();
            if let Err(error) = self.cache.drop_reference(&source.tenant, &manifest.artifact, now).await {
                tracing::error!(%error, "audio that was deleted while it was made cannot be dropped");
            }
            return Stored::Forbidden;
        }
        Stored::Yes
    }

    /// Leaves the original to the tiers, once for each fetch and within the limit.
    async fn keep_source(&self, source: &SourceFlight, received: &Received) -> Option<KeptSource> {
        let length = received.body.length;
        if length > self.config.source_keep.get() || source.kept.swap(true, Ordering::Relaxed) {
            return None;
        }
        let chunks = received.body.chunks.clone();
        let admitted = self.admit(&source.spool, &chunks).await;
        admitted.then_some(KeptSource { content_hash: received.content_hash, length, chunks })
    }

    /// Reads chunks from a spool into the tiers, those that are not there yet.
    async fn admit(&self, spool: &Arc<Spool>, chunks: &[ChunkRef]) -> bool {
        let mut offset = 0;
        for chunk in chunks {
            let length = u64::from(chunk.length);
            if self.cache.chunk_tier(&chunk.id).is_none() {
                match spool.read(offset, CHUNK_MAX.min(chunk.length as usize)).await {
                    Ok(bytes) => self.cache.admit(chunk.id, bytes).await,
                    Err(error) => {
                        tracing::error!(%error, "spool cannot be read back, serving without storing");
                        return false;
                    }
                }
            }
            offset += length;
        }
        true
    }
}
