//! The catalogue's front: records in memory, bounded by an estimate of their bytes.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    mem::size_of,
    sync::{Arc, Mutex, MutexGuard},
};

use foyer::{Cache, CacheBuilder, S3FifoConfig};

use super::lock;
use crate::{
    ids::{ArtifactId, ContentHash, ResponseKey, SourceKey, Tenant},
    media::{
        cache::{
            records::{ChunkRef, KeptSource, Manifest, Reference, SourceRecord},
            responses::Responses,
        },
        freshness::Selection,
    },
    units::ByteCount,
};

/// What an entry costs beside its record: key, handle, list and index slots, and what the allocator rounds up (measured over 300 000 records).
const ENTRY_OVERHEAD: usize = 320;
/// Locks that order fills against changes. A power of two; more than there are threads.
const STRIPES: usize = 64;

/// Name of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Source(Tenant, SourceKey),
    Reference(Tenant, ArtifactId),
    Manifest(ArtifactId),
    Kept(ContentHash),
    Responses(ResponseKey),
}

/// A record of the kind that its key says.
#[derive(Clone, Debug)]
pub(super) enum Record {
    Source(Arc<SourceRecord>),
    Reference(Arc<Reference>),
    Manifest(Arc<Manifest>),
    Kept(Arc<KeptSource>),
    Responses(Arc<Responses>),
}

impl Record {
    /// Reads what was written down.
    pub(super) fn read(key: &Key, text: &str) -> serde_json::Result<Record> {
        Ok(match key {
            Key::Source(..) => Record::Source(Arc::new(serde_json::from_str(text)?)),
            Key::Reference(..) => Record::Reference(Arc::new(serde_json::from_str(text)?)),
            Key::Manifest(_) => Record::Manifest(Arc::new(serde_json::from_str(text)?)),
            Key::Kept(_) => Record::Kept(Arc::new(serde_json::from_str(text)?)),
            Key::Responses(_) => Record::Responses(Arc::new(serde_json::from_str(text)?)),
        })
    }

    pub(super) fn into_source(self) -> Option<Arc<SourceRecord>> {
        if let Record::Source(record) = self { Some(record) } else { None }
    }

    pub(super) fn into_reference(self) -> Option<Arc<Reference>> {
        if let Record::Reference(record) = self { Some(record) } else { None }
    }

    pub(super) fn into_manifest(self) -> Option<Arc<Manifest>> {
        if let Record::Manifest(record) = self { Some(record) } else { None }
    }

    pub(super) fn into_kept(self) -> Option<Arc<KeptSource>> {
        if let Record::Kept(record) = self { Some(record) } else { None }
    }

    pub(super) fn into_responses(self) -> Option<Arc<Responses>> {
        if let Record::Responses(record) = self { Some(record) } else { None }
    }

    /// Bytes that it takes, about.
    fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let chunks = |chunks: &[ChunkRef]| size_of_val(chunks);
        ENTRY_OVERHEAD
            + match self {
                Record::Source(record) => {
                    let selection = record.selection.as_ref().map_or(0, Selection::weight);
                    let labels = record.tags.iter().chain(&record.labels);
                    let tags: usize = labels.map(|tag| size_of::<String>() + tag.len()).sum();
                    size_of::<SourceRecord>() + record.url.len() + record.said.weight() + selection + tags
                }
                Record::Reference(record) => {
                    let labels = record.tags.iter().chain(&record.source_tags);
                    let tags: usize = labels.map(|tag| size_of::<String>() + tag.len()).sum();
                    let also: usize = record.also.iter().map(|also| size_of_val(also) + also.url.len()).sum();
                    size_of::<Reference>() + record.source_url.len() + record.pipeline.len() + tags + also
                }
                Record::Manifest(record) => {
                    size_of::<Manifest>() + record.pipeline.len() + text(&record.raw_type) + chunks(&record.chunks)
                }
                Record::Kept(record) => size_of::<KeptSource>() + chunks(&record.chunks),
                Record::Responses(record) => record.weight(),
            }
    }
}

/// Records in memory. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Front {
    records: Cache<Key, Record>,
    /// Per stripe of keys, how often the writer changed one. A reader that was overtaken by a change must not put back the old record.
    generations: Arc<[Mutex<u64>; STRIPES]>,
    /// Held by the writer from a transaction's end until its changes are here.
    applying: Arc<Mutex<()>>,
}

impl Front {
    pub(super) fn new(capacity: ByteCount) -> Front {
        let records = CacheBuilder::new(capacity.as_usize())
            .with_name("catalogue")
            .with_eviction_config(S3FifoConfig::default())
            .with_weighter(|_: &Key, record: &Record| record.weight())
            .build();
        Front { records, generations: Arc::new(std::array::from_fn(|_| Mutex::new(0))), applying: Arc::default() }
    }

    /// To be held by the writer while the file is ahead of what is here.
    pub(super) fn applying(&self) -> MutexGuard<'_, ()> {
        lock(&self.applying)
    }

    /// Waits until what the file has said so far holds here, too.
    pub(super) fn caught_up(&self) {
        drop(self.applying());
    }

    pub(super) fn get(&self, key: &Key) -> Option<Record> {
        self.records.get(key).map(|entry| entry.value().clone())
    }

    /// To be taken before the file is read, and given to [`fill`](Front::fill).
    pub(super) fn generation(&self, key: &Key) -> u64 {
        *lock(self.stripe(key))
    }

    /// Remembers what was read, unless a change came in between.
    pub(super) fn fill(&self, key: Key, record: Record, generation: u64) {
        let current = lock(self.stripe(&key));
        if *current == generation {
            drop(self.records.insert(key.clone(), record));
        }
    }

    /// Remembers or forgets what was changed. Only the writer calls this, after the transaction.
    pub(super) fn change(&self, key: Key, record: Option<Record>) {
        let mut current = lock(self.stripe(&key));
        *current += 1;
        match record {
            Some(record) => drop(self.records.insert(key.clone(), record)),
            None => drop(self.records.remove(&key)),
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.records.entries()
    }

    pub(super) fn bytes(&self) -> usize {
        self.records.usage()
    }

    fn stripe(&self, key: &Key) -> &Mutex<u64> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        &self.generations[hasher.finish() as usize % STRIPES]
    }
}
