//! What can go wrong with leases.

use std::{sync::Arc, time::Duration};

/// A decision was not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Nobody answers.
    #[error("who keeps the leases cannot be reached")]
    Unreachable,
    /// Nobody answers in time. It may have happened.
    #[error("who keeps the leases does not answer in time")]
    TimedOut,
    /// So many questions are under way that another would only wait.
    #[error("too many questions to who keeps the leases are under way")]
    Crowded,
    /// Leases were lost: until their holders have had the time to register again nothing is known.
    #[error("leases were lost; holders register again for {left:?}")]
    Recovering {
        /// For how long still.
        left: Duration,
    },
    /// The server refuses a command.
    #[error("the server refuses: {0}")]
    Refused(Arc<::redis::RedisError>),
    /// The server's answer is none that is expected.
    #[error("the server's answer to {0} cannot be read")]
    Misread(&'static str),
    /// A chain that cannot be.
    #[error("{0}")]
    Chain(&'static str),
    /// There are as many as there may be.
    #[error("there are {max} {what} already")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// The configuration names no server.
    #[error("{0}")]
    Unusable(String),
}

impl LeaseError {
    /// Whether it is for want of an answer, so that a node decides by itself for the time being.
    pub fn is_away(&self) -> bool {
        match self {
            LeaseError::Unreachable
            | LeaseError::TimedOut
            | LeaseError::Crowded
            | LeaseError::Recovering { .. }
            | LeaseError::Refused(_)
            | LeaseError::Misread(_) => true,
            LeaseError::Chain(_) | LeaseError::TooMany { .. } | LeaseError::Unusable(_) => false,
        }
    }
}
