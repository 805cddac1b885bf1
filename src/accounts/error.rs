//! What can go wrong with accounts.

use crate::{
    problem::{Kind, Problem},
    store::StoreError,
};

use super::seal::SealError;

/// Something that was asked of accounts did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccountsError {
    /// There is no such thing, or it is somebody else's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A value cannot be taken.
    #[error("{field}: {reason}")]
    Invalid {
        /// Which, as the API names it.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// It does not fit what is there.
    #[error("{0}")]
    Conflict(&'static str),
    /// This may not be done to it.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Too much of it is being done already.
    #[error("{0}")]
    Busy(&'static str),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A record in the store cannot be read.
    #[error("a record of {0} cannot be read")]
    Misread(&'static str),
    /// The key file.
    #[error("{0}")]
    KeyFile(String),
}

impl AccountsError {
    /// Somebody else has changed the record since it was read.
    pub(super) const OVERTAKEN: AccountsError = AccountsError::Conflict("somebody else is changing it; try again");

    /// Whether it is the store that cannot be reached.
    pub fn is_away(&self) -> bool {
        matches!(self, AccountsError::Store(StoreError::Unreachable(_) | StoreError::TimedOut | StoreError::Busy))
    }

    /// As callers are told. What of the store or of secrets went wrong is for the log.
    pub fn problem(&self) -> Problem {
        match self {
            AccountsError::NotFound(_) => Problem::new(Kind::NotFound, self.to_string()),
            AccountsError::Invalid { .. } => Problem::new(Kind::BadRequest, self.to_string()),
            AccountsError::Conflict(_) => Problem::new(Kind::Conflict, self.to_string()),
            AccountsError::Forbidden(_) => Problem::new(Kind::Forbidden, self.to_string()),
            AccountsError::Busy(_) => Problem::new(Kind::Busy, self.to_string()).retry_after(RETRY_AFTER),
            _ if self.is_away() => {
                Problem::new(Kind::AccountsAway, "the store of accounts cannot be reached").retry_after(RETRY_AFTER)
            }
            AccountsError::Store(_)
            | AccountsError::Seal(_)
            | AccountsError::Misread(_)
            | AccountsError::KeyFile(_) => {
                tracing::error!(error = %self, "accounts fail");
                Problem::new(Kind::Internal, "accounts fail; the log says why")
            }
        }
    }
}

/// When it is worth asking again while the store is away.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
