//! Addresses of audio: the canonical form and key of a source, and the grammar of our own paths. Pure.
//!
//! Everything here is read from strangers, so nothing indexes and nothing panics. Query strings on our own paths are
//! ignored, since players and routers append theirs: nothing of an answer depends on them, so no signature covers them.
#![deny(clippy::indexing_slicing, clippy::as_conversions)]

mod config;

mod error;

mod ignored_query;

mod canonical;

mod fetch_path;

mod media_path;

#[cfg(test)]
mod tests;

pub use canonical::{CanonicalUrl, Redacted};
pub use config::Config;
pub use error::AddressError;
pub use fetch_path::{EXPIRES, FetchPath, KEY, UNSIGNED, Verb, is_extension, is_unsigned, without_query};
pub use ignored_query::{IgnoredQuery, IgnoredQueryError};
pub use media_path::MediaPath;
