//! What the cache counts. Handles are made once, so that a hit costs one atomic addition.

use std::fmt;

use metrics::{Counter, counter};

use super::Tier;

/// Counters of one cache.
#[derive(Clone)]
pub(super) struct Metrics {
    hits_memory: Counter,
    hits_disk: Counter,
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
}

impl Metrics {
    /// Registers with the recorder installed at this time.
    pub(super) fn new() -> Metrics {
        let hits = |tier: Tier| counter!("ringback_media_cache_hits_total", "tier" => tier.as_str());
        Metrics {
            hits_memory: hits(Tier::Memory),
            hits_disk: hits(Tier::Disk),
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
        }
    }

    pub(super) fn hit(&self, tier: Tier) {
        match tier {
            Tier::Memory => self.hits_memory.increment(1),
            Tier::Disk => self.hits_disk.increment(1),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
