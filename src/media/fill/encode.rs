//! One encode per (source, format): from the original's spool through the audio pipeline into the artifact's.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Instant,
};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    ids::{ArtifactId, BodyDigest, Sha256},
    media::{
        audio::{self, AudioError},
        cache::{Manifest, SourceRecord, Visibility},
        format::{Format, Headerless},
        parts::FramedParts,
        source::Source,
        spool::{End, Spool, Spools},
    },
    problem::{Kind, Problem},
};

use super::{
    Shared, Wanted,
    chunker::{Body, Chunker},
    pool::Cpu,
    scratch::Waiting,
    source::{SourceFlight, State as SourceState},
};

/// How far an encode has come.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// It waits, or makes bytes.
    Running,
    /// All is made, checked and stored.
    Done(Arc<Finished>),
    /// There was nothing to make: look again at the index.
    LookAgain {
        /// The status by which the origin said that what the index has is still right, if it did.
        confirmed: Option<StatusCode>,
    },
    /// It will not come.
    Failed(Problem),
}

/// A finished fill.
#[derive(Debug)]
pub(in crate::media) struct Finished {
    pub(in crate::media) manifest: Arc<Manifest>,
    /// Who may have it.
    pub(in crate::media) visibility: Visibility,
    pub(in crate::media) record: SourceRecord,
    /// What goes before the spool's bytes: a WAV header.
    pub(in crate::media) header: Bytes,
    /// Whether it is under its address now.
    pub(in crate::media) stored: Stored,
    pub(in crate::media) stages: Stages,
}

/// What became of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) enum Stored {
    /// It is under its address.
    Yes,
    /// The origin or the caller forbade it, or the audio was deleted while it was made.
    Forbidden,
    /// It was to be stored, and a store of ours refused.
    Refused,
}

/// How long each stage took, from the start of the fetch.
#[derive(Clone, Copy, Debug)]
pub(in crate::media) struct Stages {
    pub(in crate::media) origin: std::time::Duration,
    pub(in crate::media) received: std::time::Duration,
    pub(in crate::media) encoded: std::time::Duration,
    pub(in crate::media) stored: std::time::Duration,
}

/// What is made of a source: a format, and what the caller declares the source to be.
pub(super) type Recipe = (Format, Option<Headerless>);

/// An encode in progress.
#[derive(Debug)]
pub(in crate::media) struct EncodeFlight {
    pub(super) format: Format,
    /// What the caller declares the original to be.
    pub(super) input: Option<Headerless>,
    /// The artifact's bytes, without the header of held formats.
    pub(super) spool: Arc<Spool>,
    pub(super) state: watch::Sender<State>,
    pub(super) cancel: CancellationToken,
    pub(super) source: Arc<SourceFlight>,
    /// Whether the result may be stored, as far as the caller is concerned.
    pub(super) keep: bool,
    /// Labels for the reference.
    pub(super) tags: Vec<String>,
    /// The artifact that is there if the original turns out to be what it was, and the length that it had.
    serves: Option<(ArtifactId, u64)>,
}

impl EncodeFlight {
    pub(super) fn new(
        (format, input): Recipe,
        spool: Arc<Spool>,
        source: Arc<SourceFlight>,
        wanted: &Wanted,
    ) -> EncodeFlight {
        let (state, _) = watch::channel(State::Running);
        let cancel = CancellationToken::new();
        let serves = wanted.serves.zip(wanted.previous.as_ref().map(|previous| previous.length));
        let (keep, tags) = (wanted.keep, wanted.tags.clone());
        EncodeFlight { format, input, spool, state, cancel, source, keep, tags, serves }
    }

    /// What it is known by among the encodes of its source.
    pub(super) fn recipe(&self) -> Recipe {
        (self.format, self.input)
    }

    /// Tells everybody how it ended. Leaves no reader waiting.
    pub(super) fn end(&self, state: State) {
        // The state first: whoever is woken by the spool's end then finds the cause. A spool that is complete stays so.
        let failure = match &state {
            State::Failed(problem) => problem.clone(),
            _ => Problem::new(Kind::Internal, "the fill ended without a body"),
        };
        self.state.send_replace(state);
        self.spool.finish(End::Failed(failure));
    }

    /// Waits for the end.
    pub(super) async fn wait_end(&self) -> State {
        let mut receiver = self.state.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        receiver.wait_for(|state| !matches!(state, State::Running)).await.map_or(State::Running, |state| state.clone())
    }
}

/// Runs an encode and gives back how it ended, for [`EncodeFlight::end`] to tell.
pub(super) async fn run(shared: &Shared, flight: &EncodeFlight) -> State {
    // A node that stops drops this task wherever it stands: its worker must not wait on for a source that nobody fetches.
    let _ends_worker = flight.cancel.clone().drop_guard();
    let made = tokio::select! {
        made = make(shared, flight) => made,
        () = flight.cancel.cancelled() => Err(Stop::Problem(Problem::new(Kind::Busy, "the fill was abandoned"))),
    };
    match made {
        Ok(finished) => {
            metrics::counter!("ringback_media_fills_total", "result" => "done").increment(1);
            State::Done(Arc::new(finished))
        }
        Err(Stop::LookAgain { confirmed }) => State::LookAgain { confirmed },
        Err(Stop::Problem(problem)) => {
            metrics::counter!("ringback_media_fills_total", "result" => problem.kind.slug()).increment(1);
            if flight.keep {
                shared.remember_failure(flight, &problem);
            }
            State::Failed(problem)
        }
    }
}

/// Why an encode has nothing to show.
enum Stop {
    LookAgain { confirmed: Option<StatusCode> },
    Problem(Problem),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Stop {
        Stop::Problem(problem)
    }
}

async fn make(shared: &Shared, flight: &EncodeFlight) -> Result<Finished, Stop> {
    match flight.source.wait(|state| !matches!(state, SourceState::Asking)).await {
        SourceState::LookAgain { confirmed } => return Err(Stop::LookAgain { confirmed }),
        SourceState::Failed(problem) => return Err(problem.into()),
        _ => {}
    }
    // What was deleted meanwhile is still made for those who wait for it.
    if let Some(record) = unchanged(shared, flight).await
        && !flight.source.is_revoked()
    {
        if flight.keep {
            shared.commit_source(&flight.source, record).await;
        }
        return Err(Stop::LookAgain { confirmed: Some(StatusCode::OK) });
    }
    let made = transcode(shared, flight).await?;
    let (arrival, received) = match flight.source.wait_end().await {
        SourceState::Received(arrival, received) => (arrival, received),
        SourceState::LookAgain { confirmed } => return Err(Stop::LookAgain { confirmed }),
        SourceState::Failed(problem) => return Err(problem.into()),
        SourceState::Asking | SourceState::Arriving(_) => {
            return Err(Problem::new(Kind::Internal, "the fetch has no end").into());
        }
    };
    // The original is whole and so is what was made of it: streaming readers may end now.
    flight.spool.finish(End::Complete);
    let encoded = shared.clock.now();

    // What is known by its name is known without what it turns out to be.
    let headerless = flight.source.of.is_indexed() && made.summary.kind.headerless().is_some();
    let record = SourceRecord { headerless, ..received.record.clone() }.labelled(&flight.tags);
    let manifest = Arc::new(manifest(flight, shared.name(flight, &record), &record, &made));
    let header = Bytes::from(made.summary.header);
    let stored = if flight.keep && arrival.storable {
        shared.store(flight, &received, &record, &manifest, &header).await
    } else {
        Stored::Forbidden
    };
    let since = |instant: Instant| instant.saturating_duration_since(flight.source.started);
    let stages = Stages {
        origin: since(arrival.first_byte),
        received: since(received.finished),
        encoded: since(encoded),
        stored: since(shared.clock.now()),
    };
    metrics::histogram!("ringback_media_fill_seconds").record(stages.stored);
    Ok(Finished { manifest, visibility: flight.source.of.visibility(), record, header, stored, stages })
}

/// The index entry of an original that came again and is what it was, so that nothing is to be made of it.
///
/// While it may be so it is waited for, but no longer than headers wait for short sources: whoever listens hears a change at once.
async fn unchanged(shared: &Shared, flight: &EncodeFlight) -> Option<SourceRecord> {
    let (serves, length) = flight.serves?;
    let received = async {
        let arriving = flight.source.wait(|state| !matches!(state, SourceState::Asking)).await;
        if let SourceState::Arriving(arrival) = arriving
            && arrival.declared.is_some_and(|declared| declared != length)
        {
            return None;
        }
        match flight.source.wait_end().await {
            SourceState::Received(arrival, received) if arrival.storable => Some(received),
            _ => None,
        }
    };
    let received = tokio::time::timeout(shared.config.grace, received).await.ok().flatten()?;
    (shared.name(flight, &received.record) == serves).then(|| received.record.clone())
}

fn manifest(flight: &EncodeFlight, artifact: ArtifactId, record: &SourceRecord, made: &Made) -> Manifest {
    let format = flight.format;
    Manifest {
        artifact,
        content_hash: record.content_hash,
        format,
        pipeline: audio::PIPELINE.to_string(),
        raw_type: format.is_raw().then(|| made.summary.kind.content_type().into_owned()),
        length: made.body.length,
        duration_ms: u64::try_from(made.summary.duration.as_millis()).unwrap_or(u64::MAX),
        digest: made.body.digest,
        chunks: made.body.chunks.clone(),
    }
}

/// What the pipeline made.
struct Made {
    summary: audio::Summary,
    body: Body,
}

async fn transcode(shared: &Shared, flight: &EncodeFlight) -> Result<Made, Stop> {
    let (format, limits) = (flight.format, shared.audio_limits);
    let declared = flight.input.or(flight.source.declared_input());
    let source = Arc::clone(&flight.source);
    let in_parts = source.is_in_parts.load(Ordering::Relaxed);
    let spool = Arc::clone(&flight.spool);
    let cancel = flight.cancel.clone();
    let spools = shared.spools.clone();
    let job = move |cpu| {
        let worker = Arc::new(Mutex::new(Worker {
            cpu,
            cancel,
            spool,
            source,
            pending: Vec::new(),
            chunker: Chunker::default(),
        }));
        let input = Box::new(SourceInput { worker: Arc::clone(&worker), declared, position: 0 });
        let mut output = ArtifactOutput { worker: Arc::clone(&worker), spools };
        let summary = if in_parts {
            audio::transcode_parts(Box::new(FramedParts::new(input)), format, &limits, &mut output)?
        } else {
            audio::transcode(input, format, &limits, &mut output)?
        };
        lock(&worker).finish(&summary).map(|body| Made { summary, body }).map_err(AudioError::Output)
    };
    match shared.pool.run(job).await? {
        Ok(made) => Ok(made),
        // The pipeline only saw a read or a write fail: the flights know why.
        Err(AudioError::Input(error)) => match flight.source.wait_end().await {
            SourceState::LookAgain { confirmed } => Err(Stop::LookAgain { confirmed }),
            SourceState::Failed(problem) => Err(problem.into()),
            _ => Err(broken_spool(&error).into()),
        },
        Err(AudioError::Output(error)) => Err(spooled_problem(&error).unwrap_or_else(|| broken_spool(&error)).into()),
        // What an engine gave is no matter of the caller's, and something else may be heard in its place.
        Err(error) if matches!(flight.source.of, Source::Speech(_)) => {
            Err(Problem::new(Kind::SpeechFailed, format!("what the engine gave cannot be used: {error}")).into())
        }
        Err(error) => Err(error.problem().into()),
    }
}

fn broken_spool(error: &io::Error) -> Problem {
    tracing::error!(%error, "spool cannot be used");
    Problem::new(Kind::Internal, "the spool cannot be used")
}

/// A spool's refusal, which went through the pipeline as an `io::Error`.
fn spooled_problem(error: &io::Error) -> Option<Problem> {
    error.get_ref()?.downcast_ref::<Problem>().cloned()
}

/// What a worker's two ends share: its CPU, and the output that must not stay behind while the input waits.
struct Worker {
    cpu: Cpu,
    cancel: CancellationToken,
    spool: Arc<Spool>,
    source: Arc<SourceFlight>,
    /// Encoded bytes that readers do not see yet.
    pending: Vec<u8>,
    chunker: Chunker,
}

/// Encoded bytes are handed to readers in pieces of this size, or when the input has to wait: a write and a wake-up per packet cost more
/// than the encoding.
const FLUSH_BYTES: usize = 8 * 1024;

impl Worker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= FLUSH_BYTES {
            self.flush()?;
            self.cpu.give_way();
        }
        Ok(())
    }

    /// Lets others compute, where no bytes come out for a while.
    fn pause(&mut self) -> io::Result<()> {
        self.check_wanted()?;
        self.cpu.give_way();
        Ok(())
    }

    fn check_wanted(&self) -> io::Result<()> {
        if self.cancel.is_cancelled() { Err(io::Error::other("the fill was abandoned")) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check_wanted()?;
        self.chunker.update(&self.pending);
        self.spool.append(&self.pending).map_err(io::Error::other)?;
        self.pending.clear();
        Ok(())
    }

    /// Bytes at `position`: what is there, or what comes next; 0 at the end.
    fn read_source(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.check_wanted()?;
            let read = self.source.spool.read_at(position, buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let progress = self.source.spool.progress();
            match progress.end {
                // Bytes may have come between the read and the look: only an end without more bytes is the end.
                _ if progress.length > position => {}
                Some(End::Complete) => return Ok(0),
                Some(End::Failed(problem)) => return Err(io::Error::other(problem)),
                None => self.wait_for_source(position)?,
            }
        }
    }

    fn wait_for_source(&mut self, position: u64) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.flush()?;
        }
        let (source, cancel) = (&self.source, &self.cancel);
        self.cpu.wait(async {
            tokio::select! {
                _ = source.spool.wait_past(position) => {}
                () = cancel.cancelled() => {}
            }
        });
        Ok(())
    }

    /// Hands out the rest and names the body: the header, where there is one, is a chunk of its own before the others.
    fn finish(&mut self, summary: &audio::Summary) -> io::Result<Body> {
        self.flush()?;
        let data = std::mem::take(&mut self.chunker).finish();
        if summary.header.is_empty() {
            return Ok(data);
        }
        let mut whole = Chunker::default();
        whole.update(&summary.header);
        let mut body = whole.finish();
        body.chunks.extend(data.chunks);
        body.length += data.length;
        body.digest = self.digest_after(&summary.header)?;
        Ok(body)
    }

    /// The digest of header and data together: the header is known last and comes first, so the data is read once more.
    fn digest_after(&self, header: &[u8]) -> io::Result<BodyDigest> {
        let mut digest = Sha256::new().with(header);
        let mut buffer = vec![0; crate::media::cache::CHUNK_MAX];
        let mut offset = 0;
        loop {
            let read = self.spool.read_at(offset, &mut buffer)?;
            if read == 0 {
                return Ok(BodyDigest::from_bytes(digest.finish()));
            }
            digest.update(&buffer[..read]);
            offset += read as u64;
        }
    }
}

/// One thread uses a worker's two ends in turn: the lock is never contended, it only lets both own it.
fn lock(worker: &Mutex<Worker>) -> std::sync::MutexGuard<'_, Worker> {
    worker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The original, as the pipeline reads it.
struct SourceInput {
    worker: Arc<Mutex<Worker>>,
    declared: Option<Headerless>,
    position: u64,
}

impl Read for SourceInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = lock(&self.worker).read_source(self.position, buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SourceInput {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => audio::Input::wait_complete(self)?.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl audio::Input for SourceInput {
    fn length(&self) -> Option<u64> {
        match &*lock(&self.worker).source.state.borrow() {
            SourceState::Received(_, received) => Some(received.body.length),
            SourceState::Arriving(arrival) => arrival.declared,
            _ => None,
        }
    }

    fn declared(&self) -> Option<Headerless> {
        self.declared
    }

    fn complete_length(&self) -> Option<u64> {
        let progress = lock(&self.worker).source.spool.progress();
        matches!(progress.end, Some(End::Complete)).then_some(progress.length)
    }

    fn spare_cpu(&self) -> Option<Box<dyn Send>> {
        lock(&self.worker).cpu.spare().map(|cpu| Box::new(cpu) as Box<dyn Send>)
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        let mut worker = lock(&self.worker);
        let Worker { cpu, source, cancel, .. } = &mut *worker;
        let progress = cpu.wait(async {
            tokio::select! {
                progress = source.spool.wait_end() => Some(progress),
                () = cancel.cancelled() => None,
            }
        });
        match progress.and_then(|progress| progress.end.map(|end| (progress.length, end))) {
            Some((length, End::Complete)) => Ok(length),
            Some((_, End::Failed(problem))) => Err(io::Error::other(problem)),
            None => Err(io::Error::other("the fill was abandoned")),
        }
    }
}

/// Where the pipeline's bytes go.
struct ArtifactOutput {
    worker: Arc<Mutex<Worker>>,
    spools: Spools,
}

impl audio::Output for ArtifactOutput {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        lock(&self.worker).write(body)
    }

    fn scratch(&mut self) -> io::Result<Box<dyn audio::Scratch>> {
        let worker = Arc::clone(&self.worker);
        Ok(Box::new(Waiting::new(self.spools.create(), move || lock(&worker).pause())))
    }
}
