//! What operators see of the media layer: counters of hits, gauges, and which tiers do not work.

use super::{Media, cache::Tier};

/// Counters of hits by tier, looked up once: a look-up by name costs more than the hit's own.
#[derive(Clone)]
pub(super) struct Hits {
    memory: metrics::Counter,
    disk: metrics::Counter,
    directory: metrics::Counter,
    s3: metrics::Counter,
}

impl Hits {
    pub(super) fn new() -> Hits {
        let counter = |tier: Tier| metrics::counter!("ringback_media_hits_total", "tier" => tier.as_str());
        Hits {
            memory: counter(Tier::Memory),
            disk: counter(Tier::Disk),
            directory: counter(Tier::Directory),
            s3: counter(Tier::S3),
        }
    }

    pub(super) fn count(&self, tier: Tier) {
        match tier {
            Tier::Memory => self.memory.increment(1),
            Tier::Disk => self.disk.increment(1),
            Tier::Directory => self.directory.increment(1),
            Tier::S3 => self.s3.increment(1),
        }
    }
}

impl std::fmt::Debug for Hits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hits")
    }
}

impl Media {
    /// Sets the gauges of metrics, and says which tiers do not work.
    pub fn report(&self) -> Lacks {
        let (queued, flights) = self.fill.load();
        metrics::gauge!("ringback_media_fill_queue_depth").set(queued as f64);
        metrics::gauge!("ringback_media_fill_flights").set(flights as f64);
        metrics::gauge!("ringback_media_spool_bytes").set(self.fill.spooled() as f64);
        let stats = self.cache.stats();
        metrics::gauge!("ringback_media_cache_memory_bytes").set(stats.memory_bytes as f64);
        metrics::gauge!("ringback_media_cache_memory_chunks").set(stats.memory_chunks as f64);
        metrics::gauge!("ringback_media_cache_disk_bytes").set(stats.disk_bytes.unwrap_or_default() as f64);
        metrics::gauge!("ringback_media_cache_disk_writing").set(f64::from(u8::from(stats.disk_writing)));
        metrics::gauge!("ringback_media_catalogue_memory_bytes").set(stats.record_bytes as f64);
        metrics::gauge!("ringback_media_artifacts").set(stats.counts.artifacts as f64);
        metrics::gauge!("ringback_media_durable_pending").set(stats.counts.pending as f64);
        metrics::gauge!("ringback_proxy_addresses").set(stats.counts.responses as f64);
        Lacks { disk_tier: stats.disk_bytes.is_some() && !stats.disk_writing, durable_tier: stats.durable_failing }
    }
}

/// Tiers that are there and do not work at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacks {
    /// It takes no chunks.
    pub disk_tier: bool,
    /// It cannot be asked, or takes nothing.
    pub durable_tier: bool,
}
