//! Fetching sources from their origins: what a response means, how long it stays fresh, and how many run at once.
//!
//! Redirects, addresses and timeouts are `outbound`'s; this room knows HTTP's meaning for media. Only a complete `200`
//! is ever a source. Rules per origin (credentials, headers, minimum and maximum freshness) come with the freshness issue.

mod config;

mod allowed;

mod error;

mod freshness;

mod gates;

mod fetch;

#[cfg(test)]
mod tests;

pub use allowed::{AllowedSources, SourcePattern, SourcePatternError};
pub use config::Config;
pub use error::OriginError;
pub use fetch::{Fetched, Incoming, Origin, Validators};
pub use freshness::Freshness;
