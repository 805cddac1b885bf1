//! What can go wrong when opening the cache or asking the catalogue. Trouble with chunks is no error: it is a miss.

use std::{io, path::PathBuf, sync::Arc};

use super::durable::StoreError;
use crate::problem::{Kind, Problem};

/// The cache could not be opened, or the catalogue could not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// Another process works in this data directory.
    #[error("{path} is locked: another ringback process uses this data directory")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The data directory or a file in it cannot be made or opened.
    #[error("{path} cannot be used")]
    DataDirectory {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The catalogue's file cannot be opened as a database.
    #[error(
        "the catalogue {path} cannot be opened; restore it from a backup, or move it away together with its -wal and -shm \
         files: then the node starts empty and makes everything again from its sources, except references that only the file had"
    )]
    CatalogueUnreadable {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// A read or a transaction failed. After a failed [`commit`](super::Cache::commit) memory has the records, the file has not.
    #[error("the catalogue failed")]
    Catalogue {
        /// Why.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// A record cannot be written as JSON.
    #[error("a catalogue record cannot be written down")]
    Record {
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The durable tier cannot say what it has: what is not known here may well be there.
    #[error("the durable tier cannot be asked")]
    Durable {
        /// Why.
        #[source]
        source: Arc<StoreError>,
    },
    /// The durable tier cannot be used as it is configured.
    #[error("the durable tier cannot be opened")]
    DurableUnusable {
        /// Why.
        #[source]
        source: Arc<StoreError>,
    },
    /// The cache was closed.
    #[error("the cache is closed")]
    Closed,
}

impl CacheError {
    /// What the caller of the node is told.
    pub fn problem(&self) -> Problem {
        match self {
            CacheError::Closed => Problem::new(Kind::Busy, "The node is shutting down."),
            CacheError::Durable { .. } => Problem::new(Kind::Busy, "The durable store cannot be asked at the moment."),
            CacheError::Catalogue { source } if is_full(source) => {
                Problem::new(Kind::StorageFull, "The node has no room left for its catalogue.")
            }
            _ => Problem::new(Kind::Internal, "The node's catalogue failed."),
        }
    }
}

impl From<rusqlite::Error> for CacheError {
    fn from(source: rusqlite::Error) -> CacheError {
        CacheError::Catalogue { source: Arc::new(source) }
    }
}

impl From<serde_json::Error> for CacheError {
    fn from(source: serde_json::Error) -> CacheError {
        CacheError::Record { source: Arc::new(source) }
    }
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}
