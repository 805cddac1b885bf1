//! Speech on its way: bounded in bytes and in time, and audio as far as its first bytes can tell.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::{SpeechError, Voiced, metrics, queue::Seat};
use crate::{clock::Clock, media::format::Headerless, units::ByteCount};

/// How much one utterance may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: ByteCount,
    /// What `deadline` was made of.
    pub(super) time: Duration,
    pub(super) deadline: Instant,
}

/// An utterance that is being spoken. Holds its place among the engine's utterances until dropped; dropping it early ends the speaking.
pub struct Spoken {
    engine: &'static str,
    content_type: Option<Box<str>>,
    /// What has been read ahead to see that there is something.
    first: Option<Bytes>,
    bytes: BoxStream<'static, Result<Bytes, SpeechError>>,
    received: u64,
    limits: Limits,
    started: Instant,
    clock: Clock,
    result: Option<&'static str>,
    _seat: Option<Seat>,
}

impl Spoken {
    /// Waits for the first sound.
    pub(super) async fn begin(
        engine: &'static str,
        voiced: Voiced,
        limits: Limits,
        seat: Option<Seat>,
        started: Instant,
        clock: Clock,
    ) -> Result<Spoken, SpeechError> {
        let Voiced { content_type, bytes } = voiced;
        let (first, received, result) = (None, 0, Some("abandoned"));
        let mut spoken =
            Spoken { engine, content_type, first, bytes, received, limits, started, clock, result, _seat: seat };
        let first = match spoken.next().await {
            Ok(Some(first)) if !spoken.is_headerless() && what_it_is(&first).is_some() => {
                Err(SpeechError::NotAudio { engine, what: what_it_is(&first).unwrap_or_default() })
            }
            Ok(Some(first)) => Ok(first),
            Ok(None) => Err(SpeechError::NotAudio { engine, what: "nothing" }),
            Err(error) => Err(error),
        };
        match first {
            Ok(first) => {
                metrics::began(engine, spoken.clock.now() - started);
                spoken.first = Some(first);
                Ok(spoken)
            }
            Err(error) => {
                // Whoever asked counts it.
                spoken.result = None;
                Err(error)
            }
        }
    }

    /// Name of the engine that speaks.
    pub fn engine(&self) -> &'static str {
        self.engine
    }

    /// What the engine says that it is.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// What it is where it has no container.
    pub fn declared(&self) -> Option<Headerless> {
        Headerless::declared(self.content_type.as_deref(), "")
    }

    fn is_headerless(&self) -> bool {
        self.declared().is_some()
    }

    /// Bytes that have come so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The next piece, never empty; `None` at the end, which is that of complete speech.
    ///
    /// # Errors
    /// [`SpeechError::OverLimit`], [`SpeechError::Timeout`], and whatever breaks the engine. After an error it is spent. Cancel-safe.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SpeechError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let next = self.next().await;
        match &next {
            Ok(Some(_)) => {}
            Ok(None) => self.end("spoken"),
            Err(error) => {
                self.end(metrics::result(error));
                // The process or the request ends now, and not when its reader gets round to it.
                self.bytes = stream::empty().boxed();
            }
        }
        next
    }

    async fn next(&mut self) -> Result<Option<Bytes>, SpeechError> {
        let engine = self.engine;
        loop {
            let next = tokio::time::timeout_at(self.limits.deadline.into(), self.bytes.next());
            let next = next.await.map_err(|_| SpeechError::Timeout { engine, limit: self.limits.time })?;
            let Some(piece) = next.transpose()? else { return Ok(None) };
            self.received += piece.len() as u64;
            if self.limits.bytes.get() < self.received {
                return Err(SpeechError::OverLimit { engine, limit: self.limits.bytes.to_string().into() });
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    fn end(&mut self, result: &'static str) {
        if self.result.take().is_some() {
            metrics::ended(self.engine, result, self.clock.now() - self.started, self.received);
        }
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        if let Some(result) = self.result {
            self.end(result);
        }
    }
}

impl fmt::Debug for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spoken")
            .field("engine", &self.engine)
            .field("content_type", &self.content_type)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// What else than audio begins like this.
fn what_it_is(first: &[u8]) -> Option<&'static str> {
    // No container that is read here begins with one of these, white space or not.
    match first.trim_ascii_start().first() {
        Some(b'{' | b'[') => Some("JSON"),
        Some(b'<') => Some("a page"),
        _ => None,
    }
}
