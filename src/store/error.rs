//! What can go wrong with rows.

use std::sync::Arc;

use super::statement::Kind;

/// A read or a change did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nobody answers, no connection was free in time, or it broke.
    #[error("the store cannot be reached: {0}")]
    Unreachable(Arc<sqlx::Error>),
    /// Nobody answers in time.
    #[error("the store does not answer in time")]
    TimedOut,
    /// Other changes stood in the way for too long.
    #[error("the store is busy with other changes")]
    Busy,
    /// A row of that name is there already.
    #[error("the store has such a row already")]
    Duplicate,
    /// A statement of a change found something else than it was made for: the first of them, counted from 0.
    #[error("statement {statement} of a change changed {changed} rows")]
    Unchanged {
        /// Which one.
        statement: usize,
        /// How many rows it changed.
        changed: u64,
    },
    /// A row does not hold what its reader expects: the program and the tables do not fit together.
    #[error("column {column} holds no {expected:?}")]
    Misread {
        /// Which one, counted from 0.
        column: usize,
        /// What was expected there.
        expected: Kind,
    },
    /// The store refuses a statement.
    #[error("the store refuses: {0}")]
    Refused(Arc<sqlx::Error>),
    /// The configuration names no store.
    #[error("{0}")]
    Unusable(String),
}

/// What PostgreSQL says where transactions stand in each other's way: serialization failure, deadlock, lock not available.
const POSTGRES_BUSY: &[&str] = &["40001", "40P01", "55P03", "57014"];
/// What it says where it is starting, ending, out of connections, or a copy that takes no changes.
const POSTGRES_AWAY: &[&str] =
    &["57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25006", "53300", "08000", "08003", "08006"];
/// SQLITE_BUSY, SQLITE_LOCKED, and what SQLite says more exactly: BUSY_RECOVERY, BUSY_SNAPSHOT, BUSY_TIMEOUT, LOCKED_SHAREDCACHE.
const SQLITE_BUSY: &[&str] = &["5", "6", "261", "517", "773", "262"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        match &error {
            sqlx::Error::Database(said) => {
                let code = said.code().unwrap_or_default();
                let is_one_of = |codes: &[&str]| codes.contains(&code.as_ref());
                if said.is_unique_violation() {
                    StoreError::Duplicate
                } else if is_one_of(POSTGRES_BUSY) || is_one_of(SQLITE_BUSY) {
                    StoreError::Busy
                } else if is_one_of(POSTGRES_AWAY) {
                    StoreError::Unreachable(Arc::new(error))
                } else {
                    StoreError::Refused(Arc::new(error))
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => StoreError::Unreachable(Arc::new(error)),
            _ => StoreError::Refused(Arc::new(error)),
        }
    }
}
