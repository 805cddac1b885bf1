//! How an answer came about.

use ::http::StatusCode;

/// How an answer came about: the parameters of Cache-Status (RFC 9211).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) enum Via {
    /// From the cache alone.
    Hit,
    /// From the cache, after the origin confirmed it.
    Revalidated {
        /// By this.
        status: StatusCode,
        /// Why it was asked.
        why: &'static str,
    },
    /// From the cache, stale, because the origin failed or is slow.
    StandIn,
    /// Fetched: the cache had nothing.
    Miss,
    /// Fetched: what the cache had was stale.
    Stale,
    /// Fetched: the caller insisted.
    Request,
    /// Fetched: what the cache had was chosen by another request than ours.
    Variant,
    /// Made from an original that was kept.
    Kept,
    /// Made from what its tenant put here.
    Upload,
    /// Spoken.
    Spoken,
    /// Something else than was asked for, because it was not spoken in time.
    SpokenFor,
}

impl Via {
    /// Why the origin was asked: `fwd` of Cache-Status (RFC 9211 §2.2).
    pub(in crate::media) fn why(self) -> &'static str {
        match self {
            Via::Hit | Via::Miss | Via::Kept | Via::Upload | Via::Spoken | Via::SpokenFor => "miss",
            Via::Stale | Via::StandIn => "stale",
            Via::Request => "request",
            Via::Variant => "vary-miss",
            Via::Revalidated { why, .. } => why,
        }
    }
}
