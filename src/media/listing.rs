//! What there is: of a source, or all of a tenant's, page by page.

use std::sync::Arc;

use crate::{
    ids::{ArtifactId, ContentHash, Tenant},
    problem::Problem,
};

use super::{
    CanonicalUrl, Media,
    cache::{Manifest, Reference, SourceRecord, Tier},
};

/// An artifact that a tenant may use.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Which.
    pub artifact: ArtifactId,
    /// Where it comes from.
    pub reference: Arc<Reference>,
    /// What it is made of; none when it was evicted.
    pub manifest: Option<Arc<Manifest>>,
    /// The slowest tier that it takes; none where not all of it is there.
    pub tier: Option<Tier>,
    /// Whether it was purged: then it is made again before it is answered.
    pub is_purged: bool,
}

/// Part of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The artifacts, in order of their ids.
    pub listed: Vec<Listed>,
    /// Behind which the next part begins; none at the end.
    pub next: Option<ArtifactId>,
}

/// How a source stands.
#[derive(Clone, Debug)]
pub struct SourceStanding {
    /// What the index knows of it.
    pub record: Arc<SourceRecord>,
    /// Seconds that it may still be used without asking; negative, those that this has been over.
    pub ttl: i64,
}

impl Media {
    /// What this node knows of a tenant's artifacts: at most `limit` behind `after`.
    ///
    /// # Errors
    /// `internal` where the catalogue cannot be read.
    pub async fn list(&self, tenant: &Tenant, after: Option<ArtifactId>, limit: u32) -> Result<Page, Problem> {
        self.page(tenant, None, after, limit).await
    }

    /// What is known of a source, and the artifacts of the original that is there: at most `limit` behind `after`. What it had before
    /// is not among them. Nothing is known of a source that was purged.
    ///
    /// # Errors
    /// `internal` where the catalogue cannot be read.
    pub async fn list_source(
        &self,
        tenant: &Tenant,
        source: &CanonicalUrl,
        after: Option<ArtifactId>,
        limit: u32,
    ) -> Result<(Option<SourceStanding>, Page), Problem> {
        let record = self.cache.source(tenant, &source.key()).await.map_err(|error| error.problem())?;
        let Some(record) = record else { return Ok((None, Page { listed: Vec::new(), next: None })) };
        let page = self.page(tenant, Some(record.content_hash), after, limit).await?;
        let ttl = self.ttl(record.fresh_until);
        Ok((Some(SourceStanding { record, ttl }), page))
    }

    async fn page(
        &self,
        tenant: &Tenant,
        original: Option<ContentHash>,
        after: Option<ArtifactId>,
        limit: u32,
    ) -> Result<Page, Problem> {
        let entries = self.cache.list(tenant, original, after, limit).await.map_err(|error| error.problem())?;
        let is_full = entries.len() as u64 == u64::from(limit);
        let next = entries.last().map(|entry| entry.artifact).filter(|_| is_full);
        let listed = entries.into_iter().filter_map(|entry| {
            let reference = entry.reference?;
            let is_purged = self.cache.is_purged(tenant, &reference);
            let tier = entry.tier.filter(|_| !is_purged);
            Some(Listed { artifact: entry.artifact, reference, manifest: entry.manifest, tier, is_purged })
        });
        Ok(Page { listed: listed.collect(), next })
    }
}
