//! The durable tier as the cache sees it: records and bytes under their names, whatever store they lie in.

use std::{
    collections::HashSet,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use metrics::{Counter, counter};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    layout,
    store::{ObjectBytes, ObjectKey, ObjectMeta, ObjectStore, Replace, StoreError, Upload, Written},
};
use crate::{
    ids::{ArtifactId, BodyDigest, ChunkId, ContentHash, Sha256, SourceKey, Tenant},
    media::{
        cache::{
            CHUNK_MAX, ChunkRef, Tier,
            catalogue::Announcement,
            records::{KeptSource, Manifest, SharedReference, SourceRecord},
        },
        format::Format,
    },
};

/// Bytes of a record at most: the manifest of the longest audio that is decoded, several times over.
const RECORD_MAX: u64 = 8 << 20;
/// Objects of one artifact at most: one for each spelling of its extension that there ever was.
const LISTED_MAX: usize = 16;
/// Wholes that are remembered as damaged at most.
const DAMAGED_MAX: usize = 1024;

const JSON: &str = "application/json";
const PLAIN: &str = "application/octet-stream";

/// The durable tier. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::media::cache) struct Durable {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn ObjectStore>,
    tier: Tier,
    /// How long an index entry is waited for before the origin is asked instead.
    index_wait: Duration,
    /// What turned out to be damaged: the next to write it replaces it. A std lock: held for set operations only.
    damaged: Mutex<HashSet<Home>>,
    counters: Counters,
}

/// Whose bytes an object holds, so that its chunks are parts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::media::cache) enum Home {
    /// An artifact's.
    Artifact(ArtifactId, Format),
    /// A kept original's.
    Original(ContentHash),
}

impl Home {
    fn key(&self) -> ObjectKey {
        match self {
            Home::Artifact(artifact, format) => layout::artifact(artifact, *format),
            Home::Original(hash) => layout::original(hash),
        }
    }
}

struct Counters {
    damaged: Counter,
    slow: Counter,
    failures: Counter,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counters")
    }
}

impl Durable {
    pub(in crate::media::cache) fn new(store: Arc<dyn ObjectStore>, index_wait: Duration) -> Durable {
        let tier = if store.name() == Tier::S3.as_str() { Tier::S3 } else { Tier::Directory };
        let counters = Counters {
            damaged: counter!("ringback_media_durable_damaged_total"),
            slow: counter!("ringback_media_durable_slow_total"),
            failures: counter!("ringback_media_durable_failures_total"),
        };
        let shared = Shared { store, tier, index_wait, damaged: Mutex::default(), counters };
        Durable { shared: Arc::new(shared) }
    }

    pub(in crate::media::cache) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.shared.store
    }

    pub(in crate::media::cache) fn tier(&self) -> Tier {
        self.shared.tier
    }

    /// An index entry, if the store is quick to say: the origin can be asked instead.
    pub(in crate::media::cache) async fn source(&self, tenant: &Tenant, key: &SourceKey) -> Option<SourceRecord> {
        let key = layout::source(tenant, key);
        match tokio::time::timeout(self.shared.index_wait, self.record(&key)).await {
            Ok(found) => self.or_nothing(found),
            Err(_) => {
                self.shared.counters.slow.increment(1);
                None
            }
        }
    }

    /// A tenant's reference.
    ///
    /// # Errors
    /// The store cannot say: what is not known here may well be there.
    pub(in crate::media::cache) async fn reference(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
    ) -> Result<Option<SharedReference>, StoreError> {
        self.record(&layout::reference(artifact, tenant)).await
    }

    pub(in crate::media::cache) async fn manifest(&self, artifact: &ArtifactId) -> Option<Manifest> {
        let found = self.written_manifest(artifact).await;
        self.or_nothing(found)
    }

    /// The manifest that lies there, if it can be read.
    ///
    /// # Errors
    /// The store cannot say: whoever would write in its place must not take that for none.
    pub(in crate::media::cache) async fn written_manifest(
        &self,
        artifact: &ArtifactId,
    ) -> Result<Option<Manifest>, StoreError> {
        let found = self.record::<Manifest>(&layout::manifest(artifact)).await?;
        Ok(found.filter(|manifest| manifest.artifact == *artifact && adds_up(&manifest.chunks, manifest.length)))
    }

    pub(in crate::media::cache) async fn kept(&self, hash: &ContentHash) -> Option<KeptSource> {
        let meta = match self.shared.store.head(&layout::original(hash)).await {
            Err(StoreError::NotFound { .. }) => None,
            found => self.or_nothing(found.map(Some)),
        }?;
        if meta.length <= CHUNK_MAX as u64 {
            return Some(KeptSource {
                content_hash: *hash,
                length: meta.length,
                chunks: single_chunk(hash, meta.length),
            });
        }
        let found = self.record::<KeptSource>(&layout::chunks(hash)).await;
        self.or_nothing(found).filter(|kept| {
            kept.content_hash == *hash && kept.length == meta.length && adds_up(&kept.chunks, kept.length)
        })
    }

    /// Whether all bytes are there, as far as the store says.
    pub(in crate::media::cache) async fn holds(&self, home: &Home, length: u64) -> bool {
        match self.shared.store.head(&home.key()).await {
            Ok(meta) if meta.length == length => true,
            Ok(_) => {
                self.is_damaged(*home);
                false
            }
            Err(error) => {
                self.count(&error);
                false
            }
        }
    }

    /// What is known of the object that holds these bytes.
    pub(in crate::media::cache) async fn meta(&self, home: &Home) -> Result<ObjectMeta, StoreError> {
        self.shared.store.head(&home.key()).await
    }

    /// Begins to read chunks that lie one behind the other from `offset` on, of a whole of `length` bytes. None where they cannot be had.
    pub(in crate::media::cache) async fn read(
        &self,
        home: Home,
        length: u64,
        offset: u64,
        chunks: Vec<ChunkRef>,
    ) -> Option<Run> {
        let end = offset + chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>();
        // The whole without a range: one request is as good as another, and caches between here and there like it better.
        let range = (0 < offset || end < length).then_some(Range { start: offset, end });
        let lengths = chunks.iter().map(|chunk| chunk.length as usize).collect();
        match self.shared.store.get_cut(&home.key(), range, lengths).await {
            Ok(got) if got.meta.length == length => {
                Some(Run { durable: self.clone(), home, body: got.body, left: chunks.into_iter() })
            }
            Ok(_) | Err(StoreError::OutOfRange { .. }) => {
                self.is_damaged(home);
                None
            }
            Err(error) => {
                self.count(&error);
                None
            }
        }
    }

    /// Writes the bytes of a whole, whose sha256 is `digest` where that is known. What is there stays, unless it is known to be damaged.
    pub(in crate::media::cache) async fn put_whole(
        &self,
        home: &Home,
        content_type: &str,
        length: u64,
        body: ObjectBytes<std::io::Error>,
        digest: Option<BodyDigest>,
        replace: bool,
    ) -> Result<Written, StoreError> {
        let replace = if replace || self.is_known_damaged(home) { Replace::Always } else { Replace::Never };
        let upload = Upload { body, length, content_type: content_type.to_owned(), immutable: true, replace, digest };
        let written = self.shared.store.put(&home.key(), upload).await?;
        if written == Written::Yes {
            self.damaged().remove(home);
        }
        Ok(written)
    }

    /// Writes a record. One that stands for its bytes is written once.
    pub(in crate::media::cache) async fn put_record<T: Serialize>(
        &self,
        key: &ObjectKey,
        record: &T,
        replace: Replace,
    ) -> Result<Written, StoreError> {
        let bytes = layout::write(key, record)
            .map_err(|error| StoreError::Body { key: key.clone(), source: std::io::Error::other(error) })?;
        self.shared.store.put(key, Upload::of(bytes, JSON, replace)).await
    }

    /// A record. One that is damaged, or that this version cannot read, is none.
    pub(in crate::media::cache) async fn record<T: DeserializeOwned>(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.record_bytes(key).await? else { return Ok(None) };
        let record = layout::read(key, &bytes);
        if record.is_none() {
            self.shared.counters.damaged.increment(1);
            tracing::warn!(%key, "a record of the durable tier is damaged, or of a later version, and counts as absent");
        }
        Ok(record)
    }

    /// An announcement; none where it is gone by now, or a later version's.
    ///
    /// # Errors
    /// The store failed or gave other bytes: what was announced has to be asked for again.
    pub(in crate::media::cache) async fn announcement(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<Announcement>, StoreError> {
        let Some(bytes) = self.record_bytes(key).await? else { return Ok(None) };
        if !layout::is_sound(key, &bytes) {
            self.shared.counters.damaged.increment(1);
            return Err(StoreError::Unavailable { subject: key.to_string(), reason: "it came damaged".to_owned() });
        }
        Ok(layout::read(key, &bytes))
    }

    /// The bytes of a record; none where there are none, or more than any record has.
    async fn record_bytes(&self, key: &ObjectKey) -> Result<Option<BytesMut>, StoreError> {
        let got = match self.shared.store.get(key, None).await {
            Ok(got) if got.meta.length <= RECORD_MAX => got,
            Ok(_) => return Ok(None),
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = BytesMut::with_capacity(usize::try_from(got.meta.length).unwrap_or_default());
        let mut body = got.body;
        while let Some(piece) = body.next().await {
            let piece = piece?;
            if (bytes.len() + piece.len()) as u64 > RECORD_MAX {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// sha256 of the bytes of a whole, as they lie there; none where there are none.
    pub(in crate::media::cache) async fn digest(&self, home: &Home) -> Result<Option<BodyDigest>, StoreError> {
        let mut body = match self.shared.store.get(&home.key(), None).await {
            Ok(got) => got.body,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut digest = Sha256::new();
        while let Some(piece) = body.next().await {
            digest.update(piece?);
        }
        Ok(Some(BodyDigest::from_bytes(digest.finish())))
    }

    /// Removes one object.
    pub(in crate::media::cache) async fn remove(&self, key: &ObjectKey) -> Result<(), StoreError> {
        self.shared.store.delete(key).await
    }

    /// Removes a tenant's reference, unless it came into being after `at`. Whether there was one to be removed.
    pub(in crate::media::cache) async fn remove_reference(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        at: SystemTime,
    ) -> Result<bool, StoreError> {
        let found = self.reference(tenant, artifact).await?;
        if found.as_ref().is_some_and(|shared| at < shared.reference.created_at) {
            return Ok(false);
        }
        self.remove(&layout::reference(artifact, tenant)).await?;
        Ok(found.is_some())
    }

    /// Removes an artifact that no tenant has a reference to, whichever node it was made by.
    pub(in crate::media::cache) async fn remove_artifact(&self, artifact: &ArtifactId) -> Result<(), StoreError> {
        let store = &self.shared.store;
        if !store.list(&layout::references(artifact), None, 1).await?.is_empty() {
            return Ok(());
        }
        // The manifest first: without it nobody looks for the bytes.
        store.delete(&layout::manifest(artifact)).await?;
        for listed in store.list(&layout::artifacts(artifact), None, LISTED_MAX).await? {
            store.delete(&listed.key).await?;
        }
        Ok(())
    }

    /// Removes a kept original. Other tenants who have made something of it fetch it again for a further format.
    pub(in crate::media::cache) async fn remove_original(&self, hash: &ContentHash) -> Result<(), StoreError> {
        self.shared.store.delete(&layout::chunks(hash)).await?;
        self.shared.store.delete(&layout::original(hash)).await
    }

    /// Tells the other nodes something.
    pub(in crate::media::cache) async fn announce(&self, announcement: &Announcement) -> Result<(), StoreError> {
        let key = layout::announcement(announcement);
        self.put_record(&key, announcement, Replace::Never).await.map(drop)
    }

    /// Notes that what lies there is not what its name says.
    fn is_damaged(&self, home: Home) {
        self.shared.counters.damaged.increment(1);
        tracing::warn!(key = %home.key(), "an object of the durable tier is damaged");
        let mut damaged = self.damaged();
        if damaged.len() < DAMAGED_MAX {
            damaged.insert(home);
        }
    }

    /// Whether what lies there is known not to be what its name says.
    pub(in crate::media::cache) fn is_known_damaged(&self, home: &Home) -> bool {
        self.damaged().contains(home)
    }

    fn damaged(&self) -> std::sync::MutexGuard<'_, HashSet<Home>> {
        self.shared.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a store that fails has: nothing. It is counted, and told by the store's own metrics.
    fn or_nothing<T>(&self, found: Result<Option<T>, StoreError>) -> Option<T> {
        found.inspect_err(|error| self.count(error)).ok().flatten()
    }

    fn count(&self, error: &StoreError) {
        if !error.is_answer() {
            self.shared.counters.failures.increment(1);
            tracing::debug!(%error, "the durable tier failed, going on without it");
        }
    }
}

/// The content type under which an original lies there: nobody is to take it for anything.
pub(in crate::media::cache) const ORIGINAL_TYPE: &str = PLAIN;

/// The chunks of an original that is no longer than one.
fn single_chunk(hash: &ContentHash, length: u64) -> Vec<ChunkRef> {
    let id = ChunkId::from_bytes(*hash.as_bytes());
    let chunk = ChunkRef { id, length: u32::try_from(length).unwrap_or_default(), sum: None };
    if length == 0 { Vec::new() } else { vec![chunk] }
}

fn adds_up(chunks: &[ChunkRef], length: u64) -> bool {
    let within = |chunk: &ChunkRef| (1..=CHUNK_MAX as u64).contains(&u64::from(chunk.length));
    chunks.iter().all(within) && chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>() == length
}

/// Chunks that are being read, each checked against what its manifest says of it.
pub(in crate::media::cache) struct Run {
    durable: Durable,
    home: Home,
    body: ObjectBytes<StoreError>,
    left: std::vec::IntoIter<ChunkRef>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("home", &self.home).field("left", &self.left.len()).finish_non_exhaustive()
    }
}

impl Run {
    /// The next chunk; none at the end, or where the bytes stop or are others.
    pub(in crate::media::cache) async fn next(&mut self) -> Option<(ChunkId, Bytes)> {
        let chunk = self.left.next()?;
        let bytes = match self.body.next().await {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                self.durable.count(&error);
                return None;
            }
            None => {
                self.durable.shared.counters.failures.increment(1);
                tracing::debug!(key = %self.home.key(), "the bytes of an object end too early");
                return None;
            }
        };
        if !chunk.is(&bytes) {
            self.durable.is_damaged(self.home);
            return None;
        }
        Some((chunk.id, bytes))
    }
}
