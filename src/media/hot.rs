//! What answers to hot artifacts have in common, kept ready: one look-up instead of three, nothing hashed or spelled per request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use foyer::{Cache as MemoryCache, CacheBuilder};
use http::HeaderValue;

use crate::{
    ids::{ArtifactId, BodyDigest, Tenant},
    media::{
        cache::{Cache, Manifest, Reference},
        conditional::Representation,
    },
};

/// ETag and Repr-Digest of a body.
#[derive(Clone, Debug)]
pub(super) struct Tags {
    pub(super) etag: HeaderValue,
    /// RFC 9530 §2.
    pub(super) repr_digest: HeaderValue,
}

impl Tags {
    pub(super) fn of(digest: &BodyDigest) -> Tags {
        // Hexadecimal and base64 are header values: neither conversion can fail.
        let value = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        Tags {
            etag: value(format!("\"{digest}\"")),
            repr_digest: value(format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes()))),
        }
    }
}

impl Tags {
    /// What conditions of a request are held against.
    pub(super) fn representation(&self, manifest: &Manifest, last_modified: Option<SystemTime>) -> Representation<'_> {
        let etag = self.etag.to_str().unwrap_or_default();
        Representation { etag, last_modified, length: manifest.length }
    }
}

/// An artifact that a tenant may have, its chunks aside.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) manifest: Arc<Manifest>,
    pub(super) reference: Arc<Reference>,
    pub(super) tags: Tags,
    /// The last day on which it was told that it is used.
    touched: AtomicU32,
}

impl Entry {
    /// Tells once a day that the artifact is used.
    fn touch(&self, cache: &Cache, tenant: &Tenant, artifact: &ArtifactId) {
        let today = cache.day();
        // Looked at first: a store would take the line from other CPUs at every hit.
        if self.touched.load(Ordering::Relaxed) != today && self.touched.swap(today, Ordering::Relaxed) != today {
            cache.touch(tenant, artifact, &self.reference);
        }
    }
}

/// The artifacts that were asked for last, within a bound.
#[derive(Clone, Debug)]
pub(super) struct Hot {
    entries: MemoryCache<(Tenant, ArtifactId), Arc<Entry>>,
    /// How many artifacts had become others when the entries were made.
    adopted: Arc<AtomicU64>,
}

impl Hot {
    pub(super) fn new(entries_max: usize) -> Hot {
        Hot { entries: CacheBuilder::new(entries_max).build(), adopted: Arc::default() }
    }

    /// The entry of an artifact that the tenant may have, as far as memory knows.
    pub(super) fn get(&self, cache: &Cache, tenant: &Tenant, artifact: &ArtifactId) -> Option<Arc<Entry>> {
        let key = (tenant.clone(), *artifact);
        let adopted = cache.adopted();
        if self.adopted.swap(adopted, Ordering::Relaxed) != adopted {
            self.entries.clear();
        }
        if let Some(entry) = self.entries.get(&key) {
            entry.touch(cache, tenant, artifact);
            return Some(Arc::clone(&entry));
        }
        let reference = cache.reference_in_memory(tenant, artifact)?;
        let manifest = cache.manifest_in_memory(artifact)?;
        let entry =
            Arc::new(Entry { tags: Tags::of(&manifest.digest), manifest, reference, touched: AtomicU32::new(0) });
        self.entries.insert(key.clone(), Arc::clone(&entry));
        // A reference that was dropped meanwhile must not live on here. Whoever drops it takes it from the catalogue first and
        // from here second, so one of the two sees the other.
        if cache.reference_in_memory(tenant, artifact).is_none() {
            self.entries.remove(&key);
            return None;
        }
        entry.touch(cache, tenant, artifact);
        Some(entry)
    }

    /// Forgets an artifact whose reference was dropped. The manifest of an id changes only where another node's takes its place, so
    /// nothing else makes an entry wrong.
    pub(super) fn forget(&self, tenant: &Tenant, artifact: &ArtifactId) {
        self.entries.remove(&(tenant.clone(), *artifact));
    }
}
