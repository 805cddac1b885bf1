//! Speech as an original: its sentences one after another, those that were spoken before from the tiers.
//!
//! A sentence is a source of its own in the index, under the key of its record, whose original is what the engine gave. So sentences that many
//! texts have are spoken once, by all nodes that share a durable tier, and how an engine names its audio matters to nobody else. The
//! text as a whole is no original that is kept: it is made of them again.

use std::{
    collections::HashMap,
    io::{self, Cursor, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering},
    time::SystemTime,
};

use bytes::{Bytes, BytesMut};
use tokio::sync::{MutexGuard, Semaphore};

use crate::{
    ids::{ContentHash, SourceKey, Tenant},
    media::{
        audio,
        cache::{CHUNK_MAX, ChunkRef, Commit, KeptSource, Reader, SourceRecord, Whole},
        format::Headerless,
        parts::Framer,
        speech::{SpeechError, Spoken, Utterance},
    },
    problem::{Kind, Problem},
};

use super::{
    Shared,
    chunker::Chunker,
    known,
    source::{Arrival, Hashed, Received, SourceFlight, State, Stop},
};

/// Bytes of a sentence that is kept: some 90 s at 24 kHz. What is longer is spoken again.
const KEPT_MAX: usize = 4 << 20;

/// The sentences that are being spoken, so that nobody has one spoken that another is about to have.
#[derive(Debug)]
pub(super) struct Turns {
    /// A std lock: held for map operations only.
    turns: Mutex<HashMap<(Tenant, SourceKey), Weak<Turn>>>,
    waiting: Semaphore,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns { turns: Mutex::default(), waiting: Semaphore::new(WAITING_MAX) }
    }
}

/// Held by who speaks. How that failed: whoever waited meanwhile would fare no better, one after the other.
type Turn = tokio::sync::Mutex<Option<Problem>>;

/// Texts that wait for sentences which others have spoken, at most.
const WAITING_MAX: usize = 1_024;

impl Turns {
    fn of(&self, tenant: &Tenant, key: SourceKey) -> Arc<Turn> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&(tenant.clone(), key)).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert((tenant.clone(), key), Arc::downgrade(&turn));
        turn
    }

    /// Has whoever comes from now on try it anew.
    fn forget(&self, tenant: &Tenant, key: SourceKey) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).remove(&(tenant.clone(), key));
    }

    async fn have<'a>(&self, turn: &'a Turn) -> Result<MutexGuard<'a, Option<Problem>>, Problem> {
        if let Ok(turn) = turn.try_lock() {
            return Ok(turn);
        }
        let full = |_| Problem::new(Kind::Busy, "too many texts wait for a sentence that is being spoken");
        let _place = self.waiting.try_acquire().map_err(full)?;
        Ok(turn.lock().await)
    }
}

/// A text's sentences, into the spool. `known` is what the index would say of the text; `anew` has all of them spoken, whatever the tiers have.
pub(super) async fn spoken(
    shared: &Shared,
    flight: &SourceFlight,
    known: Option<&SourceRecord>,
    (utterance, anew): (&Utterance, bool),
) -> Result<(Arrival, Received), Stop> {
    let record = known.ok_or_else(known::without_record)?;
    let pieces = utterance.pieces();
    let mut original = Original::new(shared, flight, record, pieces.len() != 1);
    for piece in &pieces {
        original = speak(shared, flight, (piece, anew), original).await?;
    }
    original.finish().await
}

/// What speaks in the place of the text.
pub(super) async fn stand_in(
    shared: &Shared,
    flight: &SourceFlight,
    known: Option<&SourceRecord>,
    spoken: &Mutex<Option<Box<Spoken>>>,
) -> Result<(Arrival, Received), Stop> {
    let record = known.ok_or_else(known::without_record)?;
    let spoken = spoken.lock().unwrap_or_else(PoisonError::into_inner).take();
    let gone = || Problem::new(Kind::Internal, "what was to stand in was taken already");
    let mut spoken = spoken.ok_or_else(gone)?;
    let mut original = Original::new(shared, flight, record, false).begin(spoken.declared()).await?;
    while let Some(bytes) = spoken.chunk().await.map_err(told)? {
        original = original.append(bytes).await?;
    }
    original.finish().await
}

/// One sentence, from the tiers or from its engine.
async fn speak<'a>(
    shared: &Shared,
    flight: &SourceFlight,
    (piece, anew): (&Utterance, bool),
    original: Original<'a>,
) -> Result<Original<'a>, Stop> {
    // What was purged by a label is not known by it sentence by sentence: others may have them without.
    if !flight.keep || anew {
        return perform(shared, flight, piece, original).await;
    }
    if let Some(kept) = find(shared, &flight.tenant, piece).await {
        return replay(shared, kept, original).await;
    }
    let turn = shared.turns.of(&flight.tenant, piece.key());
    let mut failed = shared.turns.have(&turn).await?;
    // Whoever had the turn before has left it there.
    if let Some(kept) = find(shared, &flight.tenant, piece).await {
        return replay(shared, kept, original).await;
    }
    if let Some(problem) = &*failed {
        return Err(problem.clone().into());
    }
    let performed = perform(shared, flight, piece, original).await;
    if let Err(Stop::Problem(problem)) = &performed {
        *failed = Some(problem.clone());
        shared.turns.forget(&flight.tenant, piece.key());
    }
    performed
}

/// A sentence that was spoken before, where all of it is there.
async fn find(shared: &Shared, tenant: &Tenant, piece: &Utterance) -> Option<(Whole, usize, Option<Headerless>)> {
    let (cache, key) = (&shared.cache, piece.key());
    let record = cache.source(tenant, &key).await.ok()??;
    let kept = cache.kept_source(&record.content_hash).await.ok()??;
    let chunks = kept.chunks.len();
    let whole = Whole::Original(kept);
    cache.holds(&whole).await?;
    Some((whole, chunks, record.declared))
}

async fn replay<'a>(
    shared: &Shared,
    (whole, chunks, declared): (Whole, usize, Option<Headerless>),
    original: Original<'a>,
) -> Result<Original<'a>, Stop> {
    metrics::counter!("ringback_media_speech_sentences_total", "from" => "cache").increment(1);
    let mut original = original.begin(declared).await?;
    let mut reader = Reader::new(&shared.cache, whole, 0..chunks);
    for _ in 0..chunks {
        let lost = || Problem::new(Kind::Busy, "a sentence that was kept has lost a part").passing();
        let (bytes, _) = reader.next().await.ok_or_else(lost)?;
        original = original.append(bytes).await?;
    }
    Ok(original)
}

/// Has the engine speak a sentence, and leaves it to the tiers where that is wanted.
async fn perform<'a>(
    shared: &Shared,
    flight: &SourceFlight,
    piece: &Utterance,
    original: Original<'a>,
) -> Result<Original<'a>, Stop> {
    metrics::counter!("ringback_media_speech_sentences_total", "from" => "engine").increment(1);
    // What is purged while it is spoken counts as got before.
    let asked = shared.clock.now_wall();
    let mut spoken = shared.speech.speak(piece, &flight.hops).await.map_err(told)?;
    let declared = spoken.declared();
    let mut original = original.begin(declared).await?;
    let mut all = Some(BytesMut::new());
    while let Some(bytes) = spoken.chunk().await.map_err(told)? {
        all = all.filter(|all| all.len() + bytes.len() <= KEPT_MAX);
        if let Some(all) = &mut all {
            all.extend_from_slice(&bytes);
        }
        original = original.append(bytes).await?;
    }
    if let Some(all) = all.map(BytesMut::freeze) {
        check(shared, spoken.engine(), declared, all.clone()).await?;
        if flight.keep && !flight.is_revoked() {
            keep(shared, flight, (piece, asked), declared, &all).await;
        }
    }
    Ok(original)
}

/// Whether what an engine gave can be decoded to its end. Before it is kept: whoever has the sentence in a text takes it from there, and what
/// is no audio would fail them all, on all nodes.
///
/// **Cost**: decodes up to [`KEPT_MAX`] bytes on a thread of the blocking pool, while the engine's place is held.
async fn check(
    shared: &Shared,
    engine: &'static str,
    declared: Option<Headerless>,
    bytes: Bytes,
) -> Result<(), Problem> {
    let limits = shared.audio_limits;
    let sentence = Box::new(Sentence { bytes: Cursor::new(bytes), declared });
    let inspected = tokio::task::spawn_blocking(move || audio::inspect(sentence, &limits)).await;
    match inspected {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(engine, %error, "a sentence is not audio that can be decoded, and is not kept");
            Err(told(SpeechError::NotAudio { engine, what: "what cannot be decoded" }))
        }
        Err(_) => Err(Problem::new(Kind::Internal, "looking at a sentence died")),
    }
}

/// A sentence as the audio room reads it.
struct Sentence {
    bytes: Cursor<Bytes>,
    declared: Option<Headerless>,
}

impl Sentence {
    fn whole(&self) -> u64 {
        self.bytes.get_ref().len() as u64
    }
}

impl Read for Sentence {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Seek for Sentence {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl audio::Input for Sentence {
    fn length(&self) -> Option<u64> {
        Some(self.whole())
    }

    fn declared(&self) -> Option<Headerless> {
        self.declared
    }

    fn complete_length(&self) -> Option<u64> {
        Some(self.whole())
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.whole())
    }
}

/// Leaves a sentence, which was asked for at `asked`, to the tiers. A store that fails is not the caller's trouble.
async fn keep(
    shared: &Shared,
    flight: &SourceFlight,
    (piece, asked): (&Utterance, SystemTime),
    declared: Option<Headerless>,
    bytes: &[u8],
) {
    let mut chunker = Chunker::default();
    chunker.update(bytes);
    let body = chunker.finish();
    for (ChunkRef { id, .. }, chunk) in body.chunks.iter().zip(bytes.chunks(CHUNK_MAX)) {
        shared.cache.admit(*id, Bytes::copy_from_slice(chunk)).await;
    }
    let content_hash = ContentHash::from_bytes(*body.digest.as_bytes());
    let record = SourceRecord {
        content_hash,
        length: body.length,
        headerless: declared.is_some(),
        declared,
        rules_stamp: shared.origin.rules_stamp(),
        ..SourceRecord::of_known(piece.to_text(), content_hash, asked)
    };
    let commit = Commit {
        source: Some(record),
        kept: Some(KeptSource { content_hash, length: body.length, chunks: body.chunks }),
        ..Commit::new(flight.tenant.clone(), piece.key())
    };
    shared.commit(commit).await;
}

fn told(error: SpeechError) -> Problem {
    error.problem()
}

/// The original that comes of it, in the spool.
struct Original<'a> {
    shared: &'a Shared,
    flight: &'a SourceFlight,
    record: &'a SourceRecord,
    /// Where it is several.
    framer: Option<Framer>,
    hashed: Hashed,
    arrival: Option<Arrival>,
}

impl<'a> Original<'a> {
    fn new(shared: &'a Shared, flight: &'a SourceFlight, record: &'a SourceRecord, in_parts: bool) -> Original<'a> {
        flight.is_in_parts.store(in_parts, Ordering::Relaxed);
        let (framer, hashed) = (in_parts.then(Framer::default), Hashed::new(&flight.spool));
        Original { shared, flight, record, framer, hashed, arrival: None }
    }

    /// The first or the next of its parts comes.
    async fn begin(mut self, declared: Option<Headerless>) -> Result<Original<'a>, Stop> {
        let frame = self.framer.as_mut().map(|framer| framer.begin(declared));
        if self.arrival.is_none() {
            let input = declared.filter(|_| self.framer.is_none());
            let arrival = Arrival { input, ..known::arrival(self.shared, self.record, None) };
            self.flight.state.send_replace(State::Arriving(arrival));
            self.arrival = Some(arrival);
        }
        self.put(frame).await
    }

    async fn append(self, bytes: Bytes) -> Result<Original<'a>, Stop> {
        match self.framer.as_ref().map(|framer| framer.block(&bytes)) {
            None => self.put(Some(bytes)).await,
            frame => self.put(frame).await,
        }
    }

    async fn put(mut self, bytes: Option<impl Into<Bytes>>) -> Result<Original<'a>, Stop> {
        if let Some(bytes) = bytes.map(Into::into).filter(|bytes| !bytes.is_empty()) {
            self.hashed = self.hashed.append(bytes).await?;
        }
        Ok(self)
    }

    async fn finish(mut self) -> Result<(Arrival, Received), Stop> {
        let end = self.framer.as_mut().map(Framer::end);
        let Original { shared, flight, record, hashed, arrival, .. } = self.put(end).await?;
        let arrival = arrival.ok_or_else(|| Problem::new(Kind::Internal, "speech without a sentence"))?;
        // Its sentences are kept, it is not.
        flight.kept.store(true, Ordering::Relaxed);
        let body = hashed.finish();
        let record = SourceRecord { length: body.length, ..record.clone() };
        let content_hash = record.content_hash;
        Ok((arrival, Received { body, content_hash, record, finished: shared.clock.now() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_a_sentence_shares_how_it_failed_and_whoever_comes_later_does_not() {
        let (turns, tenant, key) = (Turns::default(), Tenant::default_tenant(), SourceKey::of(b"a sentence"));
        let turn = turns.of(&tenant, key);
        let mut speaks = turns.have(&turn).await.unwrap();
        let waiting = turns.of(&tenant, key);
        let waits = turns.have(&waiting);
        let fails = async {
            *speaks = Some(Problem::new(Kind::SpeechFailed, "no"));
            turns.forget(&tenant, key);
            drop(speaks);
        };
        let (waited, ()) = futures_util::future::join(waits, fails).await;
        assert_eq!(waited.unwrap().as_ref().map(|problem| problem.kind), Some(Kind::SpeechFailed));
        let later = turns.of(&tenant, key);
        assert_eq!(*turns.have(&later).await.unwrap(), None);
    }

    #[tokio::test]
    async fn not_everybody_waits() {
        let turns = Turns { turns: Mutex::default(), waiting: Semaphore::new(1) };
        let turn = turns.of(&Tenant::default_tenant(), SourceKey::of(b"a sentence"));
        let speaks = turns.have(&turn).await.unwrap();
        let mut waits = Box::pin(turns.have(&turn));
        assert!(futures_util::poll!(&mut waits).is_pending());
        assert_eq!(turns.have(&turn).await.unwrap_err().kind, Kind::Busy);
        drop(speaks);
        assert_eq!(*waits.await.unwrap(), None);
    }
}
