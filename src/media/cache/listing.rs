//! What a tenant has, page by page.

use std::sync::Arc;

use crate::ids::{ArtifactId, ContentHash, Tenant};

use super::{Cache, CacheError, Manifest, Reference, Tier};

/// An artifact that a tenant may use.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which.
    pub artifact: ArtifactId,
    /// Where it comes from; none where a later version wrote that down in another form.
    pub reference: Option<Arc<Reference>>,
    /// What it is made of; none when it was evicted, or is known elsewhere only.
    pub manifest: Option<Arc<Manifest>>,
    /// The slowest of this node's tiers that it takes; none where not all of it is in them.
    pub tier: Option<Tier>,
}

impl Cache {
    /// What this node knows of a tenant's artifacts, in order of their ids: at most `limit` behind `after`, those made of one original
    /// or all. Asks no other node, and not the durable tier.
    ///
    /// **Cost**: a page is read from disk, and grows with `limit` alone.
    ///
    /// # Errors
    /// The catalogue could not be read.
    pub async fn list(
        &self,
        tenant: &Tenant,
        original: Option<ContentHash>,
        after: Option<ArtifactId>,
        limit: u32,
    ) -> Result<Vec<Entry>, CacheError> {
        let rows = self.parts.catalogue.references(tenant, original, after, limit).await?;
        let entry = |(artifact, reference, manifest): (ArtifactId, Option<Reference>, Option<Manifest>)| {
            let tier = manifest.as_ref().and_then(|manifest| self.tier_of(manifest));
            Entry { artifact, reference: reference.map(Arc::new), manifest: manifest.map(Arc::new), tier }
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    fn tier_of(&self, manifest: &Manifest) -> Option<Tier> {
        manifest.chunks.iter().try_fold(Tier::Memory, |slowest, chunk| Some(slowest.max(self.chunk_tier(&chunk.id)?)))
    }
}
