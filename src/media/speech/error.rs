//! What can go wrong on the way from a text to its sound.

use std::{borrow::Cow, time::Duration};

use crate::{
    outbound::OutboundError,
    problem::{Kind, Problem},
};

/// When to ask again after [`SpeechError::Busy`]: a sentence is spoken in less.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(2);
/// The latest that a service can have callers come back.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Characters of a caller's word that are repeated to it.
const ECHO_CHARS_MAX: usize = 64;

/// A text cannot be spoken. Says nothing of the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpeechError {
    /// Nothing but white space.
    #[error("there is no text to speak")]
    Empty,
    /// More than is spoken.
    #[error("the text is longer than {max} characters")]
    TooLong {
        /// Characters.
        max: usize,
    },
    /// A control character other than tab and line end.
    #[error("the text has a control character in it (U+{:04X})", u32::from(*.character))]
    Control {
        /// Which.
        character: char,
    },
    /// Elements that are not read, or brackets that are no elements.
    #[error("the SSML cannot be spoken: {what}")]
    BadMarkup {
        /// What is wrong with it.
        what: &'static str,
    },
    /// An option's value is none.
    #[error("the option {name} takes {expected}")]
    BadOption {
        /// Which option.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// What was written down as speech is damaged.
    #[error("the record of the speech cannot be read")]
    Record,
    /// No such engine, or none at all.
    #[error("{}", no_engine(.name.as_deref()))]
    NoEngine {
        /// The one that was asked for, shortened.
        name: Option<Box<str>>,
    },
    /// The engine is another one by now, which would say it otherwise.
    #[error("{engine} has another version than the one that was to speak")]
    OtherVersion {
        /// Which engine.
        engine: &'static str,
    },
    /// The engine has no such voice.
    #[error("{engine} has no voice {voice:?}")]
    UnknownVoice {
        /// Which engine.
        engine: &'static str,
        /// The voice, shortened.
        voice: Box<str>,
    },
    /// The engine has no voice for that language.
    #[error("{engine} has no voice for the language {language:?}")]
    UnknownLanguage {
        /// Which engine.
        engine: &'static str,
        /// The language, shortened.
        language: Box<str>,
    },
    /// The engine cannot do that.
    #[error("{engine} has no option {option}")]
    UnknownOption {
        /// Which engine.
        engine: &'static str,
        /// Which option.
        option: &'static str,
    },
    /// Too many speak or wait.
    #[error("{engine} is asked for too much at once")]
    Busy {
        /// Which engine.
        engine: &'static str,
    },
    /// It took too long.
    #[error("{engine} did not speak within {}", humantime::format_duration(*.limit))]
    Timeout {
        /// Which engine.
        engine: &'static str,
        /// How long it may take.
        limit: Duration,
    },
    /// The sound is longer than is taken.
    #[error("{engine} gave more than {limit}")]
    OverLimit {
        /// Which engine.
        engine: &'static str,
        /// The limit, with its unit.
        limit: Cow<'static, str>,
    },
    /// The engine failed.
    #[error("{engine} failed: {why}")]
    Failed {
        /// Which engine.
        engine: &'static str,
        /// What happened, in our words.
        why: Cow<'static, str>,
    },
    /// The service answered with an error.
    #[error("{engine} answered with status {status}")]
    Status {
        /// Which engine.
        engine: &'static str,
        /// The status code.
        status: u16,
        /// When it is worth asking again, if it says so.
        retry_after: Option<Duration>,
    },
    /// What came is no audio.
    #[error("{engine} gave {what} instead of audio")]
    NotAudio {
        /// Which engine.
        engine: &'static str,
        /// What it is.
        what: &'static str,
    },
    /// The service could not be reached, or broke off.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
}

fn no_engine(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("there is no speech engine {name:?} here"),
        None => "there is no speech engine here".to_owned(),
    }
}

/// What of a caller's word is repeated to it.
pub(super) fn echo(word: &str) -> Box<str> {
    word.chars().take(ECHO_CHARS_MAX).collect::<String>().into()
}

impl SpeechError {
    /// What the caller is told.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            SpeechError::Empty
            | SpeechError::Control { .. }
            | SpeechError::BadMarkup { .. }
            | SpeechError::BadOption { .. }
            | SpeechError::UnknownOption { .. } => Kind::BadRequest,
            SpeechError::TooLong { .. } => Kind::OverLimit,
            SpeechError::NoEngine { .. } | SpeechError::OtherVersion { .. } => Kind::NoEngine,
            SpeechError::UnknownVoice { .. } | SpeechError::UnknownLanguage { .. } => Kind::UnknownVoice,
            SpeechError::Record => Kind::Internal,
            SpeechError::Busy { .. } => Kind::Busy,
            SpeechError::Timeout { .. } | SpeechError::Outbound(OutboundError::Timeout { .. }) => Kind::SpeechTimeout,
            SpeechError::Outbound(OutboundError::LoopDetected { .. }) => Kind::LoopDetected,
            SpeechError::Outbound(OutboundError::Setup { .. }) => Kind::Internal,
            SpeechError::OverLimit { .. }
            | SpeechError::Failed { .. }
            | SpeechError::Status { .. }
            | SpeechError::NotAudio { .. }
            | SpeechError::Outbound(_) => Kind::SpeechFailed,
        };
        let retry_after = match self {
            SpeechError::Busy { .. } => Some(BUSY_RETRY_AFTER),
            SpeechError::Status { retry_after, .. } => retry_after.map(|after| after.min(RETRY_AFTER_MAX)),
            _ => None,
        };
        Problem { retry_after, ..Problem::new(kind, self.to_string()) }
    }

    /// The bounded label of this error in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            SpeechError::Empty => "empty",
            SpeechError::TooLong { .. } => "too-long",
            SpeechError::Control { .. } => "control",
            SpeechError::BadMarkup { .. } => "markup",
            SpeechError::BadOption { .. } | SpeechError::UnknownOption { .. } => "option",
            SpeechError::Record => "record",
            SpeechError::NoEngine { .. } => "no-engine",
            SpeechError::OtherVersion { .. } => "version",
            SpeechError::UnknownVoice { .. } => "voice",
            SpeechError::UnknownLanguage { .. } => "language",
            SpeechError::Busy { .. } => "busy",
            SpeechError::Timeout { .. } => "timeout",
            SpeechError::OverLimit { .. } => "over-limit",
            SpeechError::Failed { .. } => "failed",
            SpeechError::Status { .. } => "status",
            SpeechError::NotAudio { .. } => "not-audio",
            SpeechError::Outbound(error) => error.label(),
        }
    }
}
