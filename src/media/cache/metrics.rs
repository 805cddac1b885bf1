//! What the cache counts. Handles are made once, so that a hit costs one atomic addition.

use std::fmt;

use metrics::{Counter, counter};

use super::Tier;

/// Counters of one cache.
#[derive(Clone)]
pub(super) struct Metrics {
    hits: [Counter; 4],
    pub(super) misses: Counter,
    pub(super) admitted_bytes: Counter,
    pub(super) evictions: Counter,
    pub(super) damaged: Counter,
    pub(super) write_failures: Counter,
    pub(super) writes_skipped: Counter,
    pub(super) read_failures: Counter,
    pub(super) catalogue_hits: Counter,
    pub(super) catalogue_reads: Counter,
    pub(super) catalogue_unreadable: Counter,
    pub(super) catalogue_commits: Counter,
    pub(super) catalogue_batches: Counter,
    pub(super) catalogue_failures: Counter,
    pub(super) pending_refused: Counter,
}

impl Metrics {
    /// Registers with the recorder installed at this time.
    pub(super) fn new() -> Metrics {
        let tiers = [Tier::Memory, Tier::Disk, Tier::Directory, Tier::S3];
        let hits = tiers.map(|tier| counter!("ringback_media_cache_hits_total", "tier" => tier.as_str()));
        Metrics {
            hits,
            misses: counter!("ringback_media_cache_misses_total"),
            admitted_bytes: counter!("ringback_media_cache_admitted_bytes_total"),
            evictions: counter!("ringback_media_cache_memory_evictions_total"),
            damaged: counter!("ringback_media_cache_damaged_chunks_total"),
            write_failures: counter!("ringback_media_cache_disk_write_failures_total"),
            writes_skipped: counter!("ringback_media_cache_disk_writes_skipped_total"),
            read_failures: counter!("ringback_media_cache_disk_read_failures_total"),
            catalogue_hits: counter!("ringback_media_cache_catalogue_lookups_total", "from" => "memory"),
            catalogue_reads: counter!("ringback_media_cache_catalogue_lookups_total", "from" => "disk"),
            catalogue_unreadable: counter!("ringback_media_cache_catalogue_unreadable_records_total"),
            catalogue_commits: counter!("ringback_media_cache_catalogue_changes_total"),
            catalogue_batches: counter!("ringback_media_cache_catalogue_transactions_total"),
            catalogue_failures: counter!("ringback_media_cache_catalogue_failures_total"),
            pending_refused: counter!("ringback_media_durable_pending_refused_total"),
        }
    }

    pub(super) fn hit(&self, tier: Tier) {
        let [memory, disk, directory, s3] = &self.hits;
        match tier {
            Tier::Memory => memory.increment(1),
            Tier::Disk => disk.increment(1),
            Tier::Directory => directory.increment(1),
            Tier::S3 => s3.increment(1),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
