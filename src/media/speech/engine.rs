//! What a voice engine is.

use std::{fmt, time::Instant};

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};

use super::{Manner, SpeechError, Utterance};
use crate::outbound::Hops;

/// A voice engine: text in, audio out as it is made.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Its name in requests, records and metrics.
    fn name(&self) -> &'static str;

    /// Its version as it stands in records: what is heard may change with it.
    fn version(&self) -> &str;

    /// How many utterances it speaks at once.
    fn speaking_max(&self) -> usize;

    /// Which voice and language a wish comes to. To be asked before anything is hashed.
    ///
    /// # Errors
    /// [`SpeechError::UnknownVoice`], [`SpeechError::UnknownLanguage`], or an option that it does not have.
    fn resolve(&self, voice: Option<&str>, language: Option<&str>, manner: Manner) -> Result<Resolved, SpeechError>;

    /// Begins to speak. What was begun ends when the stream is dropped.
    ///
    /// **Shape** A complete audio file, or a body without a container that the content type declares. The end of the stream is the end of
    /// what was to be spoken; whatever breaks is an error in it.
    ///
    /// # Errors
    /// It could not begin.
    fn speak<'a>(&'a self, request: Request<'a>) -> BoxFuture<'a, Result<Voiced, SpeechError>>;
}

/// A voice and its language, by the engine's own names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The voice.
    pub voice: Box<str>,
    /// The language.
    pub language: Box<str>,
}

/// What an engine is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What to speak.
    pub utterance: &'a Utterance,
    /// What the request that wants it went through.
    pub hops: &'a Hops,
    /// When it has to be done.
    pub deadline: Instant,
}

/// Speech on its way out of an engine.
pub struct Voiced {
    /// What the engine declares it to be, where it does.
    pub content_type: Option<Box<str>>,
    /// The bytes.
    pub bytes: BoxStream<'static, Result<Bytes, SpeechError>>,
}

impl fmt::Debug for Voiced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voiced").field("content_type", &self.content_type).finish_non_exhaustive()
    }
}
