//! What can go wrong in a transcode.

use std::{borrow::Cow, io};

use crate::problem::{self, Problem};

/// Why a transcode failed. Bytes that already went to the output are worthless then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// The content is no audio that is known here.
    #[error("the content is not audio")]
    NotAudio,
    /// Audio of a kind that is recognised and not read.
    #[error("{what} is not supported")]
    Unsupported {
        /// The container, codec or feature.
        what: Cow<'static, str>,
    },
    /// Audio of a known kind, too damaged to decode.
    #[error("the {kind} audio cannot be decoded: {reason}", kind = .kind.as_str())]
    Undecodable {
        /// What it was taken for.
        kind: super::Kind,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The audio passes a limit.
    #[error("the audio is over the limit of {limit}")]
    OverLimit {
        /// The limit, with its value and unit.
        limit: Cow<'static, str>,
    },
    /// Several originals have no unconverted form.
    #[error("what is made of several originals cannot be had unconverted")]
    NotOne,
    /// Reading the original failed; its owner knows why.
    #[error("the original could not be read")]
    Input(#[source] io::Error),
    /// The output refused bytes; its owner knows why.
    #[error("the output was refused")]
    Output(#[source] io::Error),
    /// A decoder panicked. The input provoked it, but the fault is ours: someone should look.
    #[error("the decoder of {kind} audio panicked", kind = .kind.map_or("unknown", super::Kind::as_str))]
    Panicked {
        /// What the input was taken for, if it got that far.
        kind: Option<super::Kind>,
    },
}

impl AudioError {
    /// The error as callers of the node see it.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            AudioError::NotAudio | AudioError::Unsupported { .. } => problem::Kind::NotAudio,
            AudioError::Undecodable { .. } | AudioError::Panicked { .. } => problem::Kind::Undecodable,
            AudioError::NotOne => problem::Kind::NotAcceptable,
            AudioError::OverLimit { .. } => problem::Kind::OverLimit,
            AudioError::Input(_) => problem::Kind::OriginFailed,
            AudioError::Output(_) => problem::Kind::Internal,
        };
        Problem::new(kind, self.to_string())
    }

    pub(super) fn unsupported(what: impl Into<Cow<'static, str>>) -> AudioError {
        AudioError::Unsupported { what: what.into() }
    }

    pub(super) fn undecodable(kind: super::Kind, reason: impl Into<Cow<'static, str>>) -> AudioError {
        AudioError::Undecodable { kind, reason: reason.into() }
    }

    pub(super) fn over_limit(limit: impl Into<Cow<'static, str>>) -> AudioError {
        AudioError::OverLimit { limit: limit.into() }
    }
}
