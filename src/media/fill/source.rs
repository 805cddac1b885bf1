//! One origin fetch per (tenant, source): the original's bytes into a spool, hashed as they pass.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http::{StatusCode, header};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    ids::{ContentHash, Tenant},
    media::{
        cache::{KeptSource, Reader, SourceRecord, Whole},
        format::Headerless,
        source::Source,
        speech::Spoken,
        spool::{End, Spool},
    },
    outbound::Hops,
    problem::{Kind, Problem},
};

use super::{
    Shared,
    chunker::{Body, Chunker},
    known,
    remote::Remote,
    speech,
    work::{Task, Work},
};

/// Where a fill gets the original from.
#[derive(Clone, Debug)]
pub(in crate::media) enum From {
    /// The origin; asked whether it has changed where an unchanged answer is of use.
    Origin(Option<Arc<SourceRecord>>),
    /// An engine, for all of it: what the tiers have of the text was purged.
    Engine,
    /// The tiers, which still have it.
    Kept(Arc<KeptSource>),
    /// What speaks already, in the place of an utterance that does not come. For one flight that is not kept.
    StandIn(Arc<Mutex<Option<Box<Spoken>>>>),
}

/// How far the original has come.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// The origin has been asked.
    Asking,
    /// Bytes arrive.
    Arriving(Arrival),
    /// All of it is there and its length is what was promised.
    Received(Arrival, Arc<Received>),
    /// Nothing was fetched: look again at the index, which knows more now.
    LookAgain {
        /// The status by which the origin said that what the index has is still right, if it did.
        confirmed: Option<StatusCode>,
    },
    /// It will not come.
    Failed(Problem),
}

/// What is known from the first byte on.
#[derive(Clone, Copy, Debug)]
pub(in crate::media) struct Arrival {
    /// Length, where the origin says it.
    pub(super) declared: Option<u64>,
    pub(super) first_byte: Instant,
    /// Until when the result may be used without asking.
    pub(in crate::media) fresh_until: SystemTime,
    /// The origin's Last-Modified.
    pub(in crate::media) last_modified: Option<SystemTime>,
    /// Whether anything of it may be stored.
    pub(in crate::media) storable: bool,
    /// What the origin declares it to be.
    pub(super) input: Option<Headerless>,
}

/// An original that is there.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) body: Body,
    pub(super) content_hash: ContentHash,
    pub(super) record: SourceRecord,
    pub(super) finished: Instant,
}

/// A fetch in progress, or done as long as somebody makes something of it.
#[derive(Debug)]
pub(in crate::media) struct SourceFlight {
    pub(super) tenant: Tenant,
    pub(super) of: Source,
    /// What the first caller's request went through.
    pub(super) hops: Hops,
    /// Whether anything of it may be stored, as far as the caller is concerned.
    pub(super) keep: bool,
    /// Whether it reads the original that is kept.
    pub(super) is_replay: bool,
    /// Set when it is deleted meanwhile.
    revoked: AtomicBool,
    /// The original's bytes.
    pub(super) spool: Arc<Spool>,
    pub(super) state: watch::Sender<State>,
    pub(super) cancel: CancellationToken,
    pub(super) started: Instant,
    /// Whether it is several originals, in the frames of `media::parts`. Set before it arrives.
    pub(super) is_in_parts: AtomicBool,
    /// Set by the first encode that stores the original, so that it is stored once.
    pub(super) kept: AtomicBool,
    /// Its tasks, and the place that they hold.
    pub(super) work: Work,
}

impl SourceFlight {
    pub(super) fn new(
        tenant: Tenant,
        of: Source,
        hops: Hops,
        (keep, is_replay): (bool, bool),
        spool: Arc<Spool>,
        started: Instant,
    ) -> SourceFlight {
        let (state, _) = watch::channel(State::Asking);
        let (cancel, revoked, kept) = (CancellationToken::new(), AtomicBool::new(false), AtomicBool::new(false));
        let is_in_parts = AtomicBool::new(false);
        SourceFlight {
            tenant,
            of,
            hops,
            keep,
            is_replay,
            revoked,
            spool,
            state,
            cancel,
            started,
            is_in_parts,
            kept,
            work: Work::default(),
        }
    }

    /// From now on nothing of it is stored.
    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::SeqCst);
    }

    /// Whether it was deleted while it came in.
    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::SeqCst)
    }

    /// Waits until `holds`.
    pub(super) async fn wait(&self, holds: impl FnMut(&State) -> bool) -> State {
        let mut receiver = self.state.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        receiver.wait_for(holds).await.map_or(State::Asking, |state| state.clone())
    }

    /// Waits until it is known whether the whole original came.
    pub(super) async fn wait_end(&self) -> State {
        self.wait(|state| !matches!(state, State::Asking | State::Arriving(_))).await
    }

    /// What the origin declares the original to be, once it has answered.
    pub(super) fn declared_input(&self) -> Option<Headerless> {
        match &*self.state.borrow() {
            State::Arriving(arrival) | State::Received(arrival, _) => arrival.input,
            _ => None,
        }
    }

    /// Whether it is known that the whole original will not come.
    pub(super) fn has_failed(&self) -> bool {
        matches!(*self.state.borrow(), State::Failed(_) | State::LookAgain { .. })
    }

    /// Whether a fetch that nobody waits for any more is worth finishing: its length is known and four fifths are here.
    pub(super) fn worth_finishing(&self) -> bool {
        match &*self.state.borrow() {
            State::Received(..) => true,
            State::Arriving(Arrival { declared: Some(declared), .. }) => self.spool.length() >= declared - declared / 5,
            _ => false,
        }
    }
}

/// Runs a fetch to its end and says how it ended. Never leaves readers waiting.
pub(super) async fn run(
    shared: Arc<Shared>,
    flight: Arc<SourceFlight>,
    previous: Option<Arc<SourceRecord>>,
    from: From,
    task: Task,
) {
    let fetched = tokio::select! {
        fetched = fetch_in_place(&shared, &flight, previous.as_deref(), from, &task) => fetched,
        () = flight.cancel.cancelled() => Err(Stop::Problem(Problem::new(Kind::Busy, "the fetch was abandoned"))),
    };
    let (end, state) = match fetched {
        Ok((arrival, received)) => (End::Complete, State::Received(arrival, Arc::new(received))),
        Err(Stop::LookAgain { confirmed }) => {
            let problem = Problem::new(Kind::Internal, "the fetch ended without a body");
            (End::Failed(problem), State::LookAgain { confirmed })
        }
        Err(Stop::Problem(problem)) => {
            tracing::info!(source = %flight.of, %problem, "fetch failed");
            (End::Failed(problem.clone()), State::Failed(problem))
        }
    };
    // Its encodes hold the place from here on; whoever is told below finds it free once they have ended.
    drop(task);
    // The state first: whoever is woken by the spool's end then finds the cause.
    flight.state.send_replace(state);
    flight.spool.finish(end);
}

/// Why a fetch has no original to show.
pub(super) enum Stop {
    LookAgain { confirmed: Option<StatusCode> },
    Problem(Problem),
}

impl std::convert::From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop::Problem(problem)
    }
}

/// Fetches once the flight has its place.
async fn fetch_in_place(
    shared: &Shared,
    flight: &SourceFlight,
    previous: Option<&SourceRecord>,
    from: From,
    task: &Task,
) -> Result<(Arrival, Received), Stop> {
    // What stands in for speech is there, and the speech that it stands in for holds a place.
    if !matches!(from, From::StandIn(_)) {
        task.admit(&shared.concurrency).await?;
    }
    fetch(shared, flight, previous, from).await
}

async fn fetch(
    shared: &Shared,
    flight: &SourceFlight,
    previous: Option<&SourceRecord>,
    from: From,
) -> Result<(Arrival, Received), Stop> {
    match from {
        From::StandIn(spoken) => speech::stand_in(shared, flight, previous, &spoken).await,
        From::Kept(kept) => replay(shared, flight, previous, &kept).await,
        From::Origin(known) => match &flight.of {
            Source::Url(url) => Remote { shared, flight, url, previous }.fetch(known.as_deref()).await,
            Source::Upload(hash) => known::upload(shared, flight, previous, hash).await,
            Source::Speech(utterance) => speech::spoken(shared, flight, previous, (utterance, false)).await,
        },
        From::Engine => match &flight.of {
            Source::Speech(utterance) => speech::spoken(shared, flight, previous, (utterance, true)).await,
            _ => Err(Problem::new(Kind::Internal, "an engine was to speak what is no speech").into()),
        },
    }
}

/// The chunks of a kept original, into the spool. They were checked against their digests when they were read.
async fn replay(
    shared: &Shared,
    flight: &SourceFlight,
    previous: Option<&SourceRecord>,
    kept: &Arc<KeptSource>,
) -> Result<(Arrival, Received), Stop> {
    let Some(record) = previous.cloned() else {
        return Err(Problem::new(Kind::Internal, "a kept source without an index entry").into());
    };
    // Before anybody is told that it comes: what was evicted is fetched.
    let whole = Whole::Original(Arc::clone(kept));
    if shared.cache.holds(&whole).await.is_none() {
        return Err(lost(shared, kept).await?);
    }
    let arrival = Arrival {
        declared: Some(kept.length),
        first_byte: shared.clock.now(),
        fresh_until: record.fresh_until,
        last_modified: record.said.get(&header::LAST_MODIFIED).and_then(|text| httpdate::parse_http_date(text).ok()),
        storable: true,
        input: record.declared,
    };
    flight.state.send_replace(State::Arriving(arrival));
    let mut hashed = Hashed::new(&flight.spool);
    let mut reader = Reader::new(&shared.cache, whole, 0..kept.chunks.len());
    for _ in &kept.chunks {
        let Some((bytes, _)) = reader.next().await else {
            return Err(lost(shared, kept).await?);
        };
        hashed = hashed.append(bytes).await?;
    }
    flight.kept.store(true, Ordering::Relaxed);
    let body = hashed.finish();
    Ok((arrival, Received { body, content_hash: kept.content_hash, record, finished: shared.clock.now() }))
}

/// A kept original that is not whole: it is dropped, and whoever looks again finds that it must be fetched.
async fn lost(shared: &Shared, kept: &KeptSource) -> Result<Stop, Problem> {
    tracing::warn!(content_hash = %kept.content_hash, "kept source has lost a chunk, dropping it");
    shared.cache.drop_kept(&kept.content_hash).await.map_err(|error| error.problem())?;
    Ok(Stop::LookAgain { confirmed: None })
}

/// Bytes that are hashed and copied in some twenty microseconds.
const QUICK_MAX: usize = 32 * 1024;

/// A spool that is written to, and the digests of what was written.
pub(super) struct Hashed {
    spool: Arc<Spool>,
    chunker: Chunker,
}

impl Hashed {
    pub(super) fn new(spool: &Arc<Spool>) -> Hashed {
        Hashed { spool: Arc::clone(spool), chunker: Chunker::default() }
    }

    /// All that was written.
    pub(super) fn finish(self) -> Body {
        self.chunker.finish()
    }

    /// Writes and hashes: a disk that is slow must not hold up what else runs here, and so many bytes must not either. A piece of a
    /// few KiB that stays in memory is done before a thread of the blocking pool would be awake.
    pub(super) async fn append(mut self, bytes: Bytes) -> Result<Hashed, Problem> {
        let is_quick = bytes.len() <= QUICK_MAX && self.spool.stays_short(bytes.len());
        let job = move || {
            self.chunker.update(&bytes);
            self.spool.append(&bytes).map(|()| self)
        };
        if is_quick {
            return job();
        }
        let joined = tokio::task::spawn_blocking(job).await;
        joined.unwrap_or_else(|_| Err(Problem::new(Kind::Internal, "writing to the spool died")))
    }
}
