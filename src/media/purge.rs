//! Purging: what a tenant got before now is got anew.

use crate::{
    ids::Tenant,
    media::{
        address::{CanonicalUrl, IgnoredQuery},
        cache::{News, Purge},
    },
    problem::{Kind, Problem},
};

use super::{Media, Source};

/// Longest label in bytes.
const TAG_BYTES_MAX: usize = 256;

/// What is to be purged, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PurgeRequest {
    /// One source: its URL, or what an upload or a text is called in descriptions.
    Url(String),
    /// All sources whose canonical URL begins so.
    Prefix(String),
    /// All with this label: one of the POST's, or of the origin's `Cache-Tag`.
    Tag(String),
    /// All of the tenant's.
    All,
}

impl Media {
    /// Has everything that a tenant got before now count as absent, as far as `request` speaks of it: sources are fetched anew, and
    /// persistent addresses answer once their audio was made again from a source that still has it. What is being fetched now counts as got before.
    ///
    /// # Errors
    /// `bad-request` where the URL, name or prefix is none; `storage-full` or `internal` where the rule cannot be written down, and then nothing
    /// was purged.
    pub async fn purge(&self, tenant: &Tenant, request: PurgeRequest, ignored: &IgnoredQuery) -> Result<(), Problem> {
        let canonical = |text: &str| CanonicalUrl::parse(text, ignored).map_err(|error| error.problem());
        let purge = match request {
            // By its name, as whoever holds a reference is shown it.
            PurgeRequest::Url(text) if Source::is_name(&text) => {
                Purge::Url(Source::parse(&text).map_err(|error| error.problem())?.text().into_owned())
            }
            PurgeRequest::Url(text) => Purge::Url(canonical(&text)?.as_str().to_owned()),
            // Its query, if it has one, is the beginning of one: nothing is to be left out of it.
            PurgeRequest::Prefix(text) => {
                let prefix = CanonicalUrl::parse(&text, &IgnoredQuery::default()).map_err(|error| error.problem())?;
                Purge::Prefix(prefix.as_str().to_owned())
            }
            PurgeRequest::Tag(tag) if tag.is_empty() || tag.len() > TAG_BYTES_MAX => {
                return Err(Problem::new(Kind::BadRequest, "a tag has 1 to 256 bytes"));
            }
            PurgeRequest::Tag(tag) => Purge::Tag(tag),
            PurgeRequest::All => Purge::All,
        };
        let at = self.clock.now_wall();
        self.cache.purge(tenant, purge.clone(), at).await.map_err(|error| error.problem())?;
        self.fill.begin_anew();
        metrics::counter!("ringback_media_purges_total").increment(1);
        Ok(())
    }

    /// Whether other nodes share what is kept here, and so hear of what is purged and deleted.
    pub fn is_shared(&self) -> bool {
        self.cache.is_shared()
    }

    /// Obeys what other nodes announced since the last time. To be called every few seconds where nodes share a durable tier.
    pub async fn hear(&self) {
        let news = match self.cache.hear(self.clock.now_wall()).await {
            Ok(news) => news,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "what other nodes announce cannot be heard");
                metrics::counter!("ringback_media_durable_unheard_total").increment(1);
                return;
            }
        };
        for heard in news {
            match heard {
                News::Purged => self.fill.begin_anew(),
                News::Forgotten(tenant, artifact) => self.hot.forget(&tenant, &artifact),
            }
        }
    }
}
