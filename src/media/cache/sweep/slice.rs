//! One part of a pass: what lies under two hexadecimal digits is looked at in order, and what the rules say is removed.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use metrics::counter;

use super::{
    super::durable::{Durable, Listed, ObjectKey, ObjectStore, StoreError, layout},
    pages::{Pages, Tail},
    tally::Tally,
};
use crate::ids::{ArtifactId, BodyDigest, ContentHash, Tenant};

/// What goes, by when it was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// References and index entries older than this.
    pub(super) artifacts_before: Option<SystemTime>,
    /// Kept originals older than this.
    pub(super) originals_before: Option<SystemTime>,
    /// Anything older than this, to make room.
    pub(super) room_before: Option<SystemTime>,
    /// What nothing leads to and is older than this.
    pub(super) orphans_before: SystemTime,
    /// Ages are counted from here.
    pub(super) begun: SystemTime,
}

/// Why something was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was not used for as long as the configuration says.
    Expired,
    /// It was the oldest, and there was too much.
    Room,
    /// Nothing leads to it.
    Orphan,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Reason::Expired => "expired",
            Reason::Room => "room",
            Reason::Orphan => "orphan",
        }
    }
}

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Reference,
    Manifest,
    Artifact,
    Original,
    Chunks,
    Source,
    Announcement,
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            What::Reference => "reference",
            What::Manifest => "manifest",
            What::Artifact => "artifact",
            What::Original => "original",
            What::Chunks => "chunks",
            What::Source => "source",
            What::Announcement => "announcement",
        }
    }
}

/// Counts a removal.
pub(super) fn count(what: What, reason: Reason, bytes: u64) {
    let (kind, reason) = (what.as_str(), reason.as_str());
    counter!("ringback_media_durable_swept_total", "kind" => kind, "reason" => reason).increment(1);
    counter!("ringback_media_durable_swept_bytes_total", "kind" => kind, "reason" => reason).increment(bytes);
}

/// A part that is being swept.
pub(super) struct Slice<'a> {
    store: &'a Arc<dyn ObjectStore>,
    rules: Rules,
    /// What is left.
    tally: Tally,
}

/// Sweeps the part whose names begin with `part`, and tells what is left of it.
///
/// **Cost**: one list for a thousand objects, one look and one request for each that goes, one after the other; some pages in memory.
///
/// # Errors
/// The store's. What was removed until then stays removed.
pub(super) async fn sweep(durable: &Durable, part: u8, rules: Rules) -> Result<Tally, StoreError> {
    let mut slice = Slice { store: durable.store(), rules, tally: Tally::default() };
    slice.artifacts(part).await?;
    slice.originals(part).await?;
    slice.sources(part).await?;
    Ok(slice.tally)
}

impl Slice<'_> {
    fn pages(&self, kind: &str, part: u8, tail: Tail) -> Pages {
        Pages::new(self.store, format!("{kind}/{part:02x}/"), tail)
    }

    async fn artifacts(&mut self, part: u8) -> Result<(), StoreError> {
        let mut references = self.pages("references", part, Tail::Tenant);
        let mut manifests = self.pages("manifests", part, Tail::Nothing);
        let mut bytes = self.pages("artifacts", part, Tail::Extension);
        loop {
            let next = [references.peek().await?, manifests.peek().await?, bytes.peek().await?];
            let Some(digest) = next.into_iter().flatten().min() else { return Ok(()) };
            let mut found = Artifact::new(ArtifactId::from_bytes(*digest.as_bytes()));
            self.references(&mut references, &digest, &mut found).await?;
            found.manifest = manifests.next_of(&digest).await?;
            while let Some(listed) = bytes.next_of(&digest).await? {
                found.bytes.push(listed);
            }
            self.artifact(found).await?;
        }
    }

    /// Removes the references of one artifact that have expired: the first to go, so that nobody who looks finds a way to what goes next.
    async fn references(
        &mut self,
        references: &mut Pages,
        digest: &BodyDigest,
        found: &mut Artifact,
    ) -> Result<(), StoreError> {
        while let Some(listed) = references.next_of(digest).await? {
            match self.expired(&listed, self.rules.artifacts_before) {
                // Written again since it was listed, because it was used: then it stays.
                Some(reason) if self.is_still(&listed).await? => {
                    self.remove(&listed, What::Reference, reason).await?;
                    found.reason = reason;
                }
                _ => found.stays(&listed, true),
            }
        }
        Ok(())
    }

    async fn artifact(&mut self, mut found: Artifact) -> Result<(), StoreError> {
        let has_reference = found.used.is_some();
        let mut has_manifest = found.manifest.is_some();
        if let Some(manifest) = found.manifest.take() {
            if !has_reference && self.is_old(&manifest) && !self.is_referenced(&found.artifact).await? {
                self.remove(&manifest, What::Manifest, found.reason).await?;
                has_manifest = false;
            } else {
                found.stays(&manifest, false);
            }
        }
        for bytes in std::mem::take(&mut found.bytes) {
            // It may have been written since the manifests were listed.
            if !has_manifest && self.is_old(&bytes) && !self.is_there(&layout::manifest(&found.artifact)).await? {
                self.remove(&bytes, What::Artifact, found.reason).await?;
            } else {
                found.stays(&bytes, false);
            }
        }
        if let Some(used) = found.used.or(found.written) {
            self.tally.add(self.age(used), found.objects, found.length);
        }
        Ok(())
    }

    async fn originals(&mut self, part: u8) -> Result<(), StoreError> {
        let mut originals = self.pages("sources", part, Tail::Nothing);
        let mut chunks = self.pages("chunks", part, Tail::Nothing);
        loop {
            let next = [originals.peek().await?, chunks.peek().await?];
            let Some(digest) = next.into_iter().flatten().min() else { return Ok(()) };
            let original = originals.next_of(&digest).await?;
            let record = chunks.next_of(&digest).await?;
            let reason = match &original {
                Some(original) => self.expired(original, self.rules.originals_before),
                None => {
                    let key = layout::original(&ContentHash::from_bytes(*digest.as_bytes()));
                    let is_orphan = record.as_ref().is_some_and(|record| self.is_old(record));
                    (is_orphan && !self.is_there(&key).await?).then_some(Reason::Orphan)
                }
            };
            // The record first: without it nobody looks for the bytes.
            for (listed, what) in [(&record, What::Chunks), (&original, What::Original)] {
                match (listed, reason) {
                    (Some(listed), Some(reason)) => self.remove(listed, what, reason).await?,
                    (Some(listed), None) => {
                        let written = original.as_ref().unwrap_or(listed).modified;
                        self.tally.add(self.age(written), 1, listed.length);
                    }
                    (None, _) => {}
                }
            }
        }
    }

    /// The index, tenant by tenant: two lists for each, where there is little.
    async fn sources(&mut self, part: u8) -> Result<(), StoreError> {
        let mut behind: Option<ObjectKey> = None;
        loop {
            let next = self.store.list(layout::INDEX, behind.as_ref(), 1).await?;
            let Some(listed) = next.into_iter().next() else { return Ok(()) };
            let Some(tenant) = layout::tenant_of_source(&listed.key) else {
                behind = Some(listed.key);
                continue;
            };
            self.sources_of(&tenant, part).await?;
            behind = Some(layout::behind_sources_of(&tenant));
        }
    }

    async fn sources_of(&mut self, tenant: &Tenant, part: u8) -> Result<(), StoreError> {
        let mut entries = Pages::new(self.store, format!("{}{tenant}/{part:02x}/", layout::INDEX), Tail::Nothing);
        while let Some((_, listed)) = entries.next().await? {
            match self.expired(&listed, self.rules.artifacts_before) {
                Some(reason) if self.is_still(&listed).await? => self.remove(&listed, What::Source, reason).await?,
                _ => self.tally.add(self.age(listed.modified), 1, listed.length),
            }
        }
        Ok(())
    }

    fn age(&self, written: SystemTime) -> Duration {
        self.rules.begun.duration_since(written).unwrap_or_default()
    }

    fn expired(&self, listed: &Listed, before: Option<SystemTime>) -> Option<Reason> {
        let is_before = |before: SystemTime| listed.modified < before;
        if before.is_some_and(is_before) {
            return Some(Reason::Expired);
        }
        self.rules.room_before.is_some_and(is_before).then_some(Reason::Room)
    }

    fn is_old(&self, listed: &Listed) -> bool {
        listed.modified < self.rules.orphans_before
    }

    /// Whether an object has not been written since it was listed.
    async fn is_still(&self, listed: &Listed) -> Result<bool, StoreError> {
        match self.store.head(&listed.key).await {
            // Servers tell the time to the second in one place and more finely in another.
            Ok(meta) => Ok(meta.modified <= listed.modified + Duration::from_secs(1)),
            Err(StoreError::NotFound { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn is_there(&self, key: &ObjectKey) -> Result<bool, StoreError> {
        match self.store.head(key).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn is_referenced(&self, artifact: &ArtifactId) -> Result<bool, StoreError> {
        Ok(!self.store.list(&layout::references(artifact), None, 1).await?.is_empty())
    }

    async fn remove(&self, listed: &Listed, what: What, reason: Reason) -> Result<(), StoreError> {
        self.store.delete(&listed.key).await?;
        count(what, reason, listed.length);
        Ok(())
    }
}

/// What was found of one artifact, and what of it stays.
struct Artifact {
    artifact: ArtifactId,
    /// Why its last reference went.
    reason: Reason,
    manifest: Option<Listed>,
    bytes: Vec<Listed>,
    /// When the newest reference that stays was written.
    used: Option<SystemTime>,
    /// When the newest of the rest was.
    written: Option<SystemTime>,
    objects: u64,
    length: u64,
}

impl Artifact {
    fn new(artifact: ArtifactId) -> Artifact {
        Artifact {
            artifact,
            reason: Reason::Orphan,
            manifest: None,
            bytes: Vec::new(),
            used: None,
            written: None,
            objects: 0,
            length: 0,
        }
    }

    fn stays(&mut self, listed: &Listed, is_reference: bool) {
        self.objects += 1;
        self.length += listed.length;
        let newest = if is_reference { &mut self.used } else { &mut self.written };
        *newest = (*newest).max(Some(listed.modified));
    }
}
