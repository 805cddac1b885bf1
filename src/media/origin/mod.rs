//! Fetching sources from their origins: what a response means, how long it stays fresh, and how many run at once.
//!
//! Redirects, addresses and timeouts are `outbound`'s, the rules of HTTP caching `freshness`'s; this room knows their meaning for media.
//! Only a complete `200` is ever a source.

mod config;

mod allowed;

mod error;

mod gates;

mod retry_after;

mod rules;

mod fetch;

#[cfg(test)]
mod tests;

pub use allowed::{AllowedSources, SourcePattern, SourcePatternError};
pub use config::Config;
pub use error::OriginError;
pub use fetch::{Answer, Fetched, Incoming, Origin};
pub use rules::{Audio, Rule, Secret};
