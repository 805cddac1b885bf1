//! What operators can set about the cache.

use serde::{Deserialize, Serialize};

use super::{CHUNK_MAX, blocks::PAGE, durable};
use crate::{problem::ConfigProblems, units::ByteCount};

/// Least memory for chunks: below it a shard of the memory tier holds too few chunks to tell hot from cold.
const MEMORY_MIN: ByteCount = ByteCount::mib(8);
/// Least disk for chunks, if any: four blocks, of which one is written, one is kept clean and two are read.
const DISK_MIN: ByteCount = ByteCount::mib(64);
/// Most disk for chunks: 4 096 blocks of the largest size, each an open file.
const DISK_MAX: ByteCount = ByteCount::gib(4096);
/// Least write buffer: its third, which is what may be unwritten at a time, holds the largest chunk a few times.
const WRITE_BUFFER_MIN: ByteCount = ByteCount::mib(4);
/// Most write buffer. Two of them are allocated.
const WRITE_BUFFER_MAX: ByteCount = ByteCount::mib(256);
/// Least memory for the catalogue's front.
const CATALOGUE_MEMORY_MIN: ByteCount = ByteCount::mib(1);

const _: () = assert!(WRITE_BUFFER_MIN.get() / 3 > 4 * (CHUNK_MAX + 2 * PAGE) as u64);

/// Bounds of the tiers and of the catalogue's memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bytes of chunks kept in memory. The process uses up to twice as much, because evicted chunks live while they are being sent.
    pub memory: ByteCount,
    /// Bytes of chunks kept on disk; `0B` switches the disk tier off (what lies there stays, unused). Space is taken as it is needed.
    pub disk: ByteCount,
    /// Bytes that collect chunks on their way to disk; twice as much is allocated, and a third of it may wait unwritten.
    pub write_buffer: ByteCount,
    /// Bytes of catalogue records kept in memory; a record takes about half a kilobyte. The others are one lookup in SQLite away.
    pub catalogue_memory: ByteCount,
    /// The durable tier.
    pub durable: durable::Config,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            memory: ByteCount::mib(256),
            disk: ByteCount::gib(8),
            write_buffer: ByteCount::mib(16),
            catalogue_memory: ByteCount::mib(64),
            durable: durable::Config::default(),
        }
    }
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let mut within = |name: &str, value: ByteCount, min: ByteCount, max: ByteCount| {
            if value < min || max < value {
                problems.push(format!("{prefix}.{name}"), format!("{value} is not between {min} and {max}"));
            }
        };
        within("memory", self.memory, MEMORY_MIN, ByteCount::gib(1 << 20));
        if self.has_disk() {
            within("disk", self.disk, DISK_MIN, DISK_MAX);
        }
        within("write_buffer", self.write_buffer, WRITE_BUFFER_MIN, WRITE_BUFFER_MAX);
        within("catalogue_memory", self.catalogue_memory, CATALOGUE_MEMORY_MIN, ByteCount::gib(1 << 20));
        self.durable.validate(&format!("{prefix}.durable"), problems);
    }

    /// Whether chunks are kept on disk at all.
    pub fn has_disk(&self) -> bool {
        self.disk.get() != 0
    }
}
