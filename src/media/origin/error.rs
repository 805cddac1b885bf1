use std::time::Duration;

use crate::{
    outbound::OutboundError,
    problem::{Kind, Problem},
    units::ByteCount,
};

/// A source could not be fetched. `host` is the host that was asked, never path or query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// No answer, or none that may be had.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// Not one of the sources that the operator allows.
    #[error("this source at {host} is not one of those that may be used here (media.origin.allowed_sources)")]
    NotAllowed {
        /// Who would have been asked.
        host: Box<str>,
    },
    /// 404 or 410.
    #[error("{host} has no such source (status {status})")]
    Missing {
        /// Who was asked.
        host: Box<str>,
        /// The status code.
        status: u16,
        /// For how long that is so, if the origin says it.
        lasting: Option<Duration>,
    },
    /// Any other status that brings no complete source.
    #[error("{host} answered with status {status}")]
    Status {
        /// Who was asked.
        host: Box<str>,
        /// The status code.
        status: u16,
        /// The origin's advice, bounded.
        retry_after: Option<Duration>,
    },
    /// 304 although nothing conditional was asked.
    #[error("{host} answered \"not modified\" to an unconditional request")]
    UnaskedNotModified {
        /// Who was asked.
        host: Box<str>,
    },
    /// The source is longer than is fetched.
    #[error("the source is longer than {max}")]
    OverLimit {
        /// Who was asked.
        host: Box<str>,
        /// The limit.
        max: ByteCount,
    },
    /// Too many fetches run or wait for this origin.
    #[error("too many fetches from {host} at once")]
    Busy {
        /// Who would have been asked.
        host: Box<str>,
    },
}

/// When to ask again after [`OriginError::Busy`]: long enough for a queue to move, short enough for a caller.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(2);

impl OriginError {
    /// What the caller is told.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            OriginError::Outbound(error) => return error.problem(),
            OriginError::NotAllowed { .. } => Kind::SourceForbidden,
            OriginError::Missing { .. } => Kind::SourceMissing,
            // An origin that answers 508 has met its own request, which can only have come through us.
            OriginError::Status { status: 508, .. } => Kind::LoopDetected,
            OriginError::Status { .. } | OriginError::UnaskedNotModified { .. } => Kind::OriginFailed,
            OriginError::OverLimit { .. } => Kind::OverLimit,
            OriginError::Busy { .. } => Kind::Busy,
        };
        let retry_after = match self {
            OriginError::Status { retry_after, .. } => *retry_after,
            OriginError::Missing { lasting, .. } => *lasting,
            OriginError::Busy { .. } => Some(BUSY_RETRY_AFTER),
            _ => None,
        };
        Problem { retry_after, is_final: self.is_final(), ..Problem::new(kind, self.to_string()) }
    }

    /// Whether the origin has answered, and the answer is no.
    fn is_final(&self) -> bool {
        match self {
            OriginError::Missing { .. } => true,
            // Timeout, too early and too many requests are about this moment.
            OriginError::Status { status: 408 | 425 | 429, .. } => false,
            OriginError::Status { status, .. } => (400..500).contains(status),
            _ => false,
        }
    }
}
