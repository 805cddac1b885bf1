//! The memory tier: chunks weighed in bytes, evicted by S3-FIFO.

use std::{io, sync::Arc};

use bytes::Bytes;
use foyer::{
    Cache, CacheBuilder, CacheEntry, Code, DefaultHasher, Event, EventListener, HybridCacheProperties, S3FifoConfig,
};
use metrics::Counter;

use crate::{ids::ChunkId, units::ByteCount};

/// The memory tier. Its entries carry the properties of the disk tier, so that the disk tier writes them without copying.
pub(super) type Memory = Cache<ChunkId, Bytes, DefaultHasher, HybridCacheProperties>;
/// One chunk in memory.
pub(super) type Entry = CacheEntry<ChunkId, Bytes, DefaultHasher, HybridCacheProperties>;

/// What an entry costs beside the bytes of its chunk: key, record, index slot and the shared handle (measured: about 180 bytes and the key).
pub(super) const ENTRY_OVERHEAD: usize = 212;

/// Builds the tier with room for `capacity` bytes, overhead included.
pub(super) fn build(capacity: ByteCount, evictions: Counter) -> Memory {
    CacheBuilder::new(capacity.as_usize())
        .with_name("chunks")
        .with_eviction_config(S3FifoConfig::default())
        .with_weighter(|_: &ChunkId, bytes: &Bytes| bytes.len() + ENTRY_OVERHEAD)
        .with_event_listener(Arc::new(CountEvictions(evictions)))
        .build()
}

struct CountEvictions(Counter);

impl EventListener for CountEvictions {
    type Key = ChunkId;
    type Value = Bytes;

    fn on_leave(&self, reason: Event, _: &ChunkId, _: &Bytes) {
        if reason == Event::Evict {
            self.0.increment(1);
        }
    }
}

/// How the disk tier spells a chunk's name: its 32 bytes.
impl Code for ChunkId {
    fn encode(&self, writer: &mut impl io::Write) -> foyer::Result<()> {
        writer.write_all(self.as_bytes()).map_err(foyer::Error::io_error)
    }

    fn decode(reader: &mut impl io::Read) -> foyer::Result<ChunkId> {
        let mut bytes = [0; 32];
        reader.read_exact(&mut bytes).map_err(foyer::Error::io_error)?;
        Ok(ChunkId::from_bytes(bytes))
    }

    fn estimated_size(&self) -> usize {
        32
    }
}
