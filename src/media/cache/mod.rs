//! What is kept: chunks of finished audio in memory and on disk, and the catalogue that says what they make up.
//!
//! Under the data directory: `lock` (one process), `chunks/` (the disk tier, expendable) and `media.db` (the catalogue, SQLite).
//!
//! A chunk is named by its digest, so it is never wrong, only there or not: trouble with the disk is a miss, counted and survived.
//! Chunks leave by eviction; a manifest or kept source whose chunks are gone is dropped by whoever finds out. The catalogue's
//! records stay until they are dropped.
//!
//! Lookups are in the caller's order: the tenant's [`Reference`] first, then the [`Manifest`], then chunks. An unknown id ends at
//! the first of them, one indexed lookup in SQLite.

mod behind;
mod blocks;
mod catalogue;
mod checksum;
mod config;
mod disk;
pub mod durable;
mod error;
mod fleet;
mod listing;
mod local;
mod lock;
mod memory;
mod metrics;
mod purges;
mod reader;
mod records;
mod responses;
mod sweep;
#[cfg(test)]
mod tests;
mod twice;
mod uses;

use std::{
    fs::File,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

pub(crate) use self::checksum::Summing;
use self::{
    behind::Behind,
    catalogue::{Announcement, Catalogue, Gap, Learned},
    disk::{Disk, Found},
    durable::{Durable, ObjectStore, Resting},
    fleet::Heard,
    local::Local,
    memory::Memory,
    metrics::Metrics,
    purges::{Purges, Rule},
    reader::Runs,
    sweep::{Sweep, Sweeper},
    uses::Uses,
};
pub use self::{
    catalogue::{Commit, Counts, Dropped},
    checksum::Checksum,
    config::Config,
    error::CacheError,
    fleet::News,
    listing::Entry,
    purges::Purge,
    reader::{Reader, Whole},
    records::{ChunkRef, KeptSource, Manifest, Reference, SourceRecord, Visibility},
    responses::{Responses, StoredResponse, Which},
};
use crate::{
    clock::Clock,
    ids::{ArtifactId, ChunkId, ContentHash, SourceKey, Tenant},
};

/// Most bytes of a chunk.
pub const CHUNK_MAX: usize = 256 << 10;

/// Where a chunk was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
    /// In the durable tier, a directory.
    Directory,
    /// In the durable tier, in S3.
    S3,
}

impl Tier {
    /// The `detail` of `Cache-Status`, and the label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Memory => "memory",
            Tier::Disk => "disk",
            Tier::Directory => "directory",
            Tier::S3 => "s3",
        }
    }
}

/// What is held at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Rows of the catalogue.
    pub counts: Counts,
    /// Chunks in memory.
    pub memory_chunks: usize,
    /// Bytes of them, with what each entry costs.
    pub memory_bytes: usize,
    /// Bytes that the disk tier takes; `None` without one.
    pub disk_bytes: Option<u64>,
    /// Whether the disk tier takes chunks: not while its disk is full or failing.
    pub disk_writing: bool,
    /// Catalogue records in memory.
    pub record_entries: usize,
    /// Bytes of them, estimated.
    pub record_bytes: usize,
    /// Whether the durable tier refused or failed when it was told something last.
    pub durable_failing: bool,
    /// Bodies that had left the upper tiers before the durable tier was told of them, since the start.
    pub durable_lost: u64,
}

/// Chunks and catalogue of one data directory. Clones share them.
#[derive(Clone, Debug)]
pub struct Cache {
    /// In one piece: each request clones it, on all cores.
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    memory: Memory,
    disk: Option<Disk>,
    catalogue: Catalogue,
    purges: Purges,
    durable: Option<Durable>,
    resting: Option<Arc<Resting>>,
    behind: Option<Arc<Behind>>,
    sweep: Option<Arc<Sweep>>,
    uses: Uses,
    runs: Runs,
    heard: Heard,
    drain: Duration,
    metrics: Metrics,
    _lock: Arc<File>,
}

impl Cache {
    /// Opens what lies in `data_dir`, making the directory if needed, and locks it against other processes.
    ///
    /// **Cost**: reads the index of the disk tier (10 ms, 0.5 s for a million chunks); the catalogue is read when it is asked.
    ///
    /// # Errors
    /// The directory is locked or cannot be written, or `media.db` is no readable database. An unusable disk tier is no error.
    pub async fn open(config: &Config, data_dir: &Path, clock: Clock) -> Result<Cache, CacheError> {
        // Before anything is written there.
        std::fs::create_dir_all(data_dir)
            .map_err(|source| CacheError::DataDirectory { path: data_dir.to_owned(), source: Arc::new(source) })?;
        let store = durable::open(&config.durable, data_dir, clock.clone()).await;
        let store = store.map_err(|source| CacheError::DurableUnusable { source: Arc::new(source) })?;
        let resting = store.clone();
        let store = store.map(|store| store as Arc<dyn ObjectStore>);
        Cache::open_with(config, data_dir, store, resting, clock).await
    }

    /// The same on a durable tier of the caller's.
    ///
    /// # Errors
    /// As [`open`](Cache::open).
    pub async fn open_on(
        config: &Config,
        data_dir: &Path,
        store: Option<Arc<dyn ObjectStore>>,
        clock: Clock,
    ) -> Result<Cache, CacheError> {
        Cache::open_with(config, data_dir, store, None, clock).await
    }

    async fn open_with(
        config: &Config,
        data_dir: &Path,
        store: Option<Arc<dyn ObjectStore>>,
        resting: Option<Arc<Resting>>,
        clock: Clock,
    ) -> Result<Cache, CacheError> {
        let metrics = Metrics::new();
        let lock = Arc::new(lock::take(data_dir)?);
        let durable = store.map(|store| Durable::new(store, config.durable.index_wait));
        let pending_max = durable.is_some().then_some(config.durable.pending_max);
        let path = data_dir.join("media.db");
        let catalogue =
            Catalogue::open(&path, config.catalogue_memory, pending_max, Arc::clone(&lock), metrics.clone())?;
        let disk = if config.has_disk() {
            Some(Disk::open(&data_dir.join("chunks"), config.disk, config.write_buffer, metrics.clone()).await)
        } else {
            None
        };
        let memory = memory::build(config.memory, metrics.evictions.clone());
        let purges = Purges::of(catalogue.purges().await?);
        let heard = Heard::default();
        let behind = durable.clone().map(|durable| {
            let local = Local { memory: memory.clone(), disk: disk.clone() };
            Arc::new(Behind::start(
                local,
                catalogue.clone(),
                durable,
                heard.clone(),
                clock.clone(),
                config.durable.writers_at_once(),
            ))
        });
        let uses = Uses::new(&config.durable, durable.is_some(), clock.clone());
        let sweep = durable.clone().map(|durable| {
            let sweeper = Sweeper::open(config.durable.clone(), data_dir, durable, clock);
            Arc::new(Sweep::start(sweeper, uses.clone(), config.durable.sweep_every))
        });
        let parts = Parts {
            memory,
            disk,
            catalogue,
            purges,
            durable,
            resting,
            behind,
            sweep,
            uses,
            runs: Runs::new(),
            heard,
            drain: config.durable.drain,
            metrics,
            _lock: lock,
        };
        Ok(Cache { parts: Arc::new(parts) })
    }

    /// The chunk, if it is in memory. **Cost**: under a microsecond, no copy.
    pub fn chunk_in_memory(&self, id: &ChunkId) -> Option<Bytes> {
        let bytes = self.parts.memory.get(id)?.value().clone();
        self.parts.metrics.hit(Tier::Memory);
        Some(bytes)
    }

    /// The chunk, and where it was. From disk it is verified against its name and promoted to memory.
    ///
    /// `None` also if the disk has it damaged, or fails: it is then forgotten and counted.
    pub async fn chunk(&self, id: &ChunkId) -> Option<(Bytes, Tier)> {
        if let Some(bytes) = self.chunk_in_memory(id) {
            return Some((bytes, Tier::Memory));
        }
        let found = match &self.parts.disk {
            Some(disk) => disk.read(id).await,
            None => Found::Nothing,
        };
        let (bytes, tier, leaving) = match found {
            Found::Unwritten(bytes) => (bytes, Tier::Memory, false),
            Found::Verified { bytes, leaving } => (bytes, Tier::Disk, leaving),
            Found::Nothing => {
                self.parts.metrics.misses.increment(1);
                return None;
            }
        };
        self.parts.metrics.hit(tier);
        let entry = self.parts.memory.insert(*id, bytes.clone());
        if leaving && let Some(disk) = &self.parts.disk {
            disk.write_again(*id, &entry);
        }
        Some((bytes, tier))
    }

    /// Whether every chunk of a body is there, in whatever tier: in the durable one as far as it says. The slowest that holds some of it.
    pub async fn holds(&self, whole: &Whole) -> Option<Tier> {
        let mut slowest = Tier::Memory;
        for chunk in whole.chunks() {
            match self.chunk_tier(&chunk.id) {
                Some(tier) => slowest = slowest.max(tier),
                None => {
                    let durable = self.parts.durable.as_ref()?;
                    return durable.holds(&whole.home(), whole.length()).await.then_some(durable.tier());
                }
            }
        }
        Some(slowest)
    }

    /// Where the chunk is, without reading it. From disk this is the index's word: reading it can still fail.
    pub fn chunk_tier(&self, id: &ChunkId) -> Option<Tier> {
        if self.parts.memory.contains(id) {
            return Some(Tier::Memory);
        }
        self.parts.disk.as_ref().is_some_and(|disk| disk.holds(id)).then_some(Tier::Disk)
    }

    /// Keeps a chunk in memory and on disk. `bytes` should own its memory: a slice would keep all of what it was cut from.
    ///
    /// Waits while more is unwritten than the write buffer allows; does not wait for the chunk itself to be written. With a disk that
    /// is full or failing the chunk is in memory only. **Cancel-safe**: then the chunk may be in memory only.
    pub async fn admit(&self, id: ChunkId, bytes: Bytes) {
        debug_assert!(bytes.len() <= CHUNK_MAX, "a chunk of {} bytes", bytes.len());
        debug_assert!(ChunkId::of(&bytes) == id, "a chunk under another's name");
        self.parts.metrics.admitted_bytes.increment(bytes.len() as u64);
        let entry = self.parts.memory.insert(id, bytes);
        if let Some(disk) = &self.parts.disk {
            disk.write(id, &entry).await;
        }
    }

    /// Forgets a chunk.
    pub async fn remove_chunk(&self, id: &ChunkId) {
        self.remove_chunks(&[*id]).await;
    }

    async fn remove_chunks(&self, ids: &[ChunkId]) {
        let from_memory = || ids.iter().for_each(|id| drop(self.parts.memory.remove(id)));
        // Before the disk, which may take its time.
        from_memory();
        if let Some(disk) = &self.parts.disk {
            disk.remove(ids).await;
            // And after it: a read in between has promoted the chunk again.
            from_memory();
        }
    }

    /// What the index knows of a tenant's source, unless it was purged since.
    ///
    /// # Errors
    /// This and the other lookups fail only if the catalogue cannot be read. A record that a later version wrote and this one cannot
    /// read counts as absent.
    pub async fn source(&self, tenant: &Tenant, key: &SourceKey) -> Result<Option<Arc<SourceRecord>>, CacheError> {
        let is_purged = |record: &Arc<SourceRecord>| self.parts.purges.cover_source(tenant, record);
        // Another node may know it, or have asked for it anew since it was purged.
        let record = match self.parts.catalogue.source(tenant, key).await? {
            Ok(record) if !is_purged(&record) => return Ok(Some(record)),
            Ok(known) => self.learn_newer_source(tenant, key, &known).await?,
            Err(gap) => self.learn_source(tenant, key, None, &gap).await?,
        };
        Ok(record.filter(|record| !is_purged(record)))
    }

    /// What another node has learned of a tenant's source since this one asked its origin last, unless that was purged.
    ///
    /// # Errors
    /// As [`source`](Cache::source).
    pub async fn source_elsewhere(
        &self,
        tenant: &Tenant,
        key: &SourceKey,
        known: &SourceRecord,
    ) -> Result<Option<Arc<SourceRecord>>, CacheError> {
        let record = self.learn_newer_source(tenant, key, known).await?;
        Ok(record.filter(|record| !self.parts.purges.cover_source(tenant, record)))
    }

    async fn learn_newer_source(
        &self,
        tenant: &Tenant,
        key: &SourceKey,
        known: &SourceRecord,
    ) -> Result<Option<Arc<SourceRecord>>, CacheError> {
        if self.parts.durable.is_none() {
            return Ok(None);
        }
        let gap = self.parts.catalogue.older_source(tenant, key).await?;
        self.learn_source(tenant, key, Some(known), &gap).await
    }

    async fn learn_source(
        &self,
        tenant: &Tenant,
        key: &SourceKey,
        known: Option<&SourceRecord>,
        gap: &Gap,
    ) -> Result<Option<Arc<SourceRecord>>, CacheError> {
        let Some(durable) = &self.parts.durable else { return Ok(None) };
        if gap.is_pending {
            return Ok(None);
        }
        let Some(record) = durable.source(tenant, key).await else { return Ok(None) };
        if known.is_some_and(|known| record.checked_at <= known.checked_at) {
            return Ok(None);
        }
        self.learn(Learned::Source(tenant.clone(), *key, record.clone()), gap).await;
        Ok(Some(Arc::new(record)))
    }

    /// Notes what the durable tier knew. One that cannot be noted is asked for again the next time.
    async fn learn(&self, learned: Learned, gap: &Gap) {
        if let Err(error) = self.parts.catalogue.learn(learned, gap).await {
            tracing::error!(%error, "what the durable tier knows cannot be noted");
        }
    }

    /// [`source`](Cache::source), if its record is in memory.
    pub fn source_in_memory(&self, tenant: &Tenant, key: &SourceKey) -> Option<Arc<SourceRecord>> {
        let record = self.parts.catalogue.source_in_memory(tenant, key)?;
        (!self.parts.purges.cover_source(tenant, &record)).then_some(record)
    }

    /// Whether a tenant may use an artifact, and its recipe.
    ///
    /// # Errors
    /// As [`source`](Cache::source).
    pub async fn reference(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
    ) -> Result<Option<Arc<Reference>>, CacheError> {
        let gap = match self.parts.catalogue.reference(tenant, artifact).await? {
            Ok(reference) => return Ok(Some(reference)),
            Err(gap) => gap,
        };
        let Some(durable) = &self.parts.durable else { return Ok(None) };
        // One that was dropped here may not have left the durable tier yet.
        if gap.is_pending {
            return Ok(None);
        }
        let Some(shared) = durable.reference(tenant, artifact).await? else { return Ok(None) };
        let reference = Arc::new(shared.reference.clone());
        let is_forgotten =
            || self.parts.heard.forgotten_at(tenant, artifact).is_some_and(|at| reference.created_at <= at);
        if is_forgotten() {
            return Ok(None);
        }
        self.learn(Learned::Reference(tenant.clone(), *artifact, shared), &gap).await;
        // While it was on its way it may have been heard of as dropped.
        if is_forgotten() {
            self.drop_here(tenant, artifact, None).await?;
            return Ok(None);
        }
        Ok(Some(reference))
    }

    /// [`reference`](Cache::reference), if its record is in memory.
    pub fn reference_in_memory(&self, tenant: &Tenant, artifact: &ArtifactId) -> Option<Arc<Reference>> {
        self.parts.catalogue.reference_in_memory(tenant, artifact)
    }

    /// Whether an artifact was purged since its origin was asked last: its audio is not to be served, and can be made again.
    pub fn is_purged(&self, tenant: &Tenant, reference: &Reference) -> bool {
        self.parts.purges.cover_reference(tenant, reference)
    }

    /// Whether an artifact that memory knows was purged. **Cost**: a lock and a look-up where the tenant has purged nothing.
    pub fn is_purged_in_memory(&self, tenant: &Tenant, artifact: &ArtifactId) -> bool {
        // What is not in memory has to be looked up.
        let is_purged = |reference: Arc<Reference>| self.is_purged(tenant, &reference);
        self.parts.purges.has_any(tenant) && self.reference_in_memory(tenant, artifact).is_none_or(is_purged)
    }

    /// Whether what the index knew of a source was purged since.
    pub fn is_source_purged(&self, tenant: &Tenant, record: &SourceRecord) -> bool {
        self.parts.purges.cover_source(tenant, record)
    }

    /// Adds labels to a tenant's reference and to what the index knows of a source, as far as there are such.
    ///
    /// # Errors
    /// The catalogue could not be written.
    pub async fn label(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        source: &SourceKey,
        tags: Vec<String>,
    ) -> Result<(), CacheError> {
        self.parts.catalogue.label(tenant, artifact, source, tags).await
    }

    /// Has what a tenant got before `at` count as absent, as far as `purge` speaks of it. One rule, however many entries that are.
    ///
    /// When it returns, the rule survives the end of this process, and every look-up that begins obeys it.
    ///
    /// # Errors
    /// The catalogue could not be written; nothing was purged.
    pub async fn purge(&self, tenant: &Tenant, purge: Purge, at: SystemTime) -> Result<(), CacheError> {
        let rule = Rule { tenant: tenant.clone(), purge, at };
        let announcement = Announcement::purge(&rule);
        self.rule(rule).await?;
        self.announce(announcement).await
    }

    /// Has a rule hold on this node.
    async fn rule(&self, rule: Rule) -> Result<(), CacheError> {
        self.parts.catalogue.purge(rule.clone()).await?;
        if let Some(merged) = self.parts.purges.add(rule) {
            self.parts.catalogue.purge(merged).await?;
        }
        Ok(())
    }

    /// Tells the nodes that share the durable tier, if there is one.
    async fn announce(&self, announcement: Announcement) -> Result<(), CacheError> {
        if self.is_shared() { self.parts.catalogue.announce(announcement).await } else { Ok(()) }
    }

    /// The store of the durable tier, for what is no cache and lies there too.
    pub(crate) fn durable_store(&self) -> Option<Arc<dyn ObjectStore>> {
        self.parts.durable.as_ref().map(|durable| Arc::clone(durable.store()))
    }

    /// Whether other nodes may share what is kept here.
    pub fn is_shared(&self) -> bool {
        self.parts.durable.is_some()
    }

    /// How often the bytes of an artifact became others, because another node's were first. Whoever keeps manifests looks at this.
    pub fn adopted(&self) -> u64 {
        self.parts.behind.as_ref().map_or(0, |behind| behind.adopted())
    }

    /// What an artifact is made of.
    ///
    /// # Errors
    /// As [`source`](Cache::source).
    pub async fn manifest(&self, artifact: &ArtifactId) -> Result<Option<Arc<Manifest>>, CacheError> {
        let gap = match self.parts.catalogue.manifest(artifact).await? {
            Ok(manifest) => return Ok(Some(manifest)),
            Err(gap) => gap,
        };
        let Some(durable) = &self.parts.durable else { return Ok(None) };
        let Some(manifest) = durable.manifest(artifact).await else { return Ok(None) };
        self.learn(Learned::Manifest(manifest.clone()), &gap).await;
        Ok(Some(Arc::new(manifest)))
    }

    /// [`manifest`](Cache::manifest), if its record is in memory.
    pub fn manifest_in_memory(&self, artifact: &ArtifactId) -> Option<Arc<Manifest>> {
        self.parts.catalogue.manifest_in_memory(artifact)
    }

    /// An original that was kept.
    ///
    /// # Errors
    /// As [`source`](Cache::source).
    pub async fn kept_source(&self, hash: &ContentHash) -> Result<Option<Arc<KeptSource>>, CacheError> {
        let gap = match self.parts.catalogue.kept_source(hash).await? {
            Ok(kept) => return Ok(Some(kept)),
            Err(gap) => gap,
        };
        let Some(durable) = &self.parts.durable else { return Ok(None) };
        let Some(kept) = durable.kept(hash).await else { return Ok(None) };
        self.learn(Learned::Kept(kept.clone()), &gap).await;
        Ok(Some(Arc::new(kept)))
    }

    /// Writes records down in one transaction: all of them or none. Concurrent commits share transactions.
    ///
    /// When it returns, the records survive the end of this process, however it ends. A loss of power can cost the last ones; the file
    /// stays sound.
    ///
    /// # Errors
    /// The records could not be written, for instance because the disk is full. They are in memory all the same, so that the node goes
    /// on serving them until they are evicted.
    pub async fn commit(&self, commit: Commit) -> Result<(), CacheError> {
        self.parts.catalogue.commit(commit).await
    }

    /// Removes the index entry of a tenant's source.
    ///
    /// # Errors
    /// The catalogue could not be written.
    pub async fn forget_source(&self, tenant: &Tenant, key: &SourceKey) -> Result<(), CacheError> {
        self.parts.catalogue.forget_source(tenant, key).await
    }

    /// Removes a manifest whose chunks are not all there any more. References stay: the artifact can be made again.
    ///
    /// # Errors
    /// The catalogue could not be written.
    pub async fn drop_manifest(&self, artifact: &ArtifactId) -> Result<(), CacheError> {
        self.parts.catalogue.drop_manifest(artifact).await
    }

    /// Removes the record of a kept source whose chunks are not all there any more.
    ///
    /// # Errors
    /// The catalogue could not be written.
    pub async fn drop_kept(&self, hash: &ContentHash) -> Result<(), CacheError> {
        self.parts.catalogue.drop_kept(hash).await
    }

    /// Removes a tenant's reference with its index entry; with the last reference of the artifact the manifest; with the last of the
    /// original the kept source; and the chunks that nothing owns any more. `None` if there is no such reference.
    ///
    /// A fill that commits the same chunks at this moment can lose them again; its next reader finds that out, as with eviction.
    ///
    /// # Errors
    /// The catalogue could not be written; nothing was removed.
    pub async fn drop_reference(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        at: SystemTime,
    ) -> Result<Option<Dropped>, CacheError> {
        let dropped = self.unlink(tenant, artifact, at).await?;
        if let Some(dropped) = &dropped {
            self.remove_bytes(dropped).await;
        }
        Ok(dropped)
    }

    /// The first half of it, which takes no longer than the catalogue: nobody finds the audio here any more, and the other nodes will be told.
    pub(crate) async fn unlink(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        at: SystemTime,
    ) -> Result<Option<Dropped>, CacheError> {
        // Before: who has asked the durable tier for it meanwhile learns nothing after.
        self.parts.heard.forget(tenant, artifact, at);
        let announcement = Announcement::forget(tenant, artifact, at);
        self.parts.catalogue.drop_reference(tenant, artifact, true, Some(announcement)).await
    }

    /// The second half: the bytes leave memory and disk, which may be busy for a while.
    pub(crate) async fn remove_bytes(&self, dropped: &Dropped) {
        self.remove_chunks(&dropped.chunks).await;
    }

    /// The same on this node, of what was heard from another, with what is to be told again.
    async fn drop_here(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        announcement: Option<Announcement>,
    ) -> Result<(), CacheError> {
        let dropped = self.parts.catalogue.drop_reference(tenant, artifact, false, announcement).await?;
        if let Some(dropped) = &dropped {
            self.remove_bytes(dropped).await;
        }
        Ok(())
    }

    /// What is held at the moment, for metrics and tests. **Cost**: reads the sizes of the disk tier's files.
    pub fn stats(&self) -> Stats {
        Stats {
            counts: self.parts.catalogue.counts(),
            memory_chunks: self.parts.memory.entries(),
            memory_bytes: self.parts.memory.usage(),
            disk_bytes: self.parts.disk.as_ref().map(Disk::allocated),
            disk_writing: self.parts.disk.as_ref().is_some_and(Disk::is_writing),
            record_entries: self.parts.catalogue.front_entries(),
            record_bytes: self.parts.catalogue.front_bytes(),
            durable_failing: self.parts.behind.as_ref().is_some_and(|behind| behind.is_failing())
                || self.parts.resting.as_ref().is_some_and(|resting| resting.is_resting()),
            durable_lost: self.parts.behind.as_ref().map_or(0, |behind| behind.lost()),
        }
    }

    /// Waits until every chunk admitted so far is on disk, or failed to get there.
    pub async fn flush(&self) {
        if let Some(disk) = &self.parts.disk {
            disk.flush().await;
        }
    }

    /// Flushes both and closes them. Later writes fail or do nothing; call it last.
    pub async fn close(&self) {
        if let Some(sweep) = &self.parts.sweep {
            sweep.end();
        }
        if let Some(behind) = &self.parts.behind {
            behind.close(self.parts.drain).await;
        }
        if let Some(disk) = &self.parts.disk {
            disk.close().await;
        }
        self.parts.catalogue.close().await;
    }
}
