//! A node of the simulation: a cache on files of its own, before a bucket that fails on command; how it dies and comes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rand::{RngExt as _, rngs::StdRng};
use ringback::{
    clock::Clock,
    ids::{ChunkId, Tenant},
    media::cache::{
        Cache, CacheError, Config, Reader, Tier, Whole,
        durable::{ObjectStore, Resting},
    },
    testing::faulty_store::{Faults, FaultyStore},
    units::ByteCount,
};
use tempfile::TempDir;

use super::truth::{Made, Truth};

/// What broke a promise, in words.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) String);

/// What asking for an artifact led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Right bytes, from this tier at the slowest.
    Served(Tier),
    /// The tenant may have it, and some of it could not be had.
    Lost,
    /// Nobody knows it.
    Unknown,
    /// The store or the catalogue could not say.
    Failed,
}

/// A node, alive or not.
#[derive(Debug)]
pub(super) struct Node {
    /// Like no other's, and a new one for an empty directory.
    pub(super) id: u32,
    pub(super) cache: Option<Cache>,
    pub(super) faulty: FaultyStore,
    /// Artifacts that were committed here since nothing was pending for the last time.
    pub(super) unsettled: BTreeSet<Made>,
    /// When the index entry of a source was committed here last.
    pub(super) checked: BTreeMap<u32, SystemTime>,
    /// Bodies that it had lost before the bucket was told of them, as far as the world knows.
    lost: u64,
    /// Such bodies of caches that were closed.
    lost_before: u64,
    store: Arc<dyn ObjectStore>,
    config: Config,
    clock: Clock,
    dir: TempDir,
}

/// MiB of disk of a calm node. Each start that writes takes a new block of 16 MiB, however little goes into it, and a start that finds fewer
/// than two empty ones empties the oldest: with the four blocks of other nodes, a third restart could cost what was not told yet.
const CALM_DISK: u64 = 512;

/// Little memory, so that most is read from disk or from the bucket; with `calm`, enough of everything.
pub(super) fn config(chance: &mut StdRng, calm: bool) -> Config {
    let has_disk = calm || chance.random_bool(0.7);
    let mut config = Config {
        memory: if calm { ByteCount::mib(64) } else { ByteCount::kib(512) },
        disk: ByteCount::mib(match (calm, has_disk) {
            (true, _) => CALM_DISK,
            (_, true) => 64,
            (_, false) => 0,
        }),
        write_buffer: ByteCount::mib(4),
        catalogue_memory: ByteCount::kib(if chance.random_bool(0.5) { 64 } else { 1024 }),
        ..Config::default()
    };
    config.durable.writers = chance.random_range(1..9);
    config.durable.drain = Duration::from_secs(3);
    config
}

impl Node {
    pub(super) async fn start(
        id: u32,
        bucket: Arc<dyn ObjectStore>,
        config: Config,
        clock: Clock,
        rests: bool,
    ) -> Node {
        let faulty = FaultyStore::new(bucket, u64::from(id));
        let store: Arc<dyn ObjectStore> = if rests {
            Arc::new(Resting::new(Arc::new(faulty.clone()), &config.durable, clock.clone()))
        } else {
            Arc::new(faulty.clone())
        };
        let dir = tempfile::tempdir().unwrap();
        let (unsettled, checked) = (BTreeSet::new(), BTreeMap::new());
        let mut node =
            Node { id, cache: None, faulty, unsettled, checked, lost: 0, lost_before: 0, store, config, clock, dir };
        node.open().await;
        node
    }

    pub(super) fn has_disk(&self) -> bool {
        self.config.has_disk()
    }

    /// Opens what lies there. What was dropped before it was closed gives the directory back when its last request has ended.
    pub(super) async fn open(&mut self) {
        loop {
            let store = Some(Arc::clone(&self.store));
            match Cache::open_on(&self.config, self.dir.path(), store, self.clock.clone()).await {
                Ok(cache) => {
                    self.cache = Some(cache);
                    return;
                }
                Err(CacheError::Locked { .. }) => breathe().await,
                Err(error) => panic!("node {} does not start: {error}", self.id),
            }
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some(cache) = self.cache.take() {
            cache.close().await;
            self.lost_before += cache.stats().durable_lost;
        }
    }

    /// Whether it has lost bytes that the bucket was still to be told of, since this was asked for the last time.
    pub(super) fn has_lost(&mut self) -> bool {
        let lost = self.lost_before + self.cache.as_ref().map_or(0, |cache| cache.stats().durable_lost);
        std::mem::replace(&mut self.lost, lost) < lost
    }

    /// What a kill leaves: nothing is drained or flushed. Then, perhaps, `tears` places of the disk tier's files are damaged.
    pub(super) async fn kill(&mut self, tears: usize, chance: &mut StdRng) {
        if let Some(cache) = self.cache.take() {
            self.lost_before += cache.stats().durable_lost;
        }
        // A killed process writes no more; the engine of this one may for a moment, into files that are not looked at any more.
        let (old, new) = (self.dir.path().join("chunks.old"), self.dir.path().join("chunks"));
        if new.exists() {
            self.wait_for_lock().await;
            fs::rename(&new, &old).unwrap();
            fs::create_dir(&new).unwrap();
            for file in fs::read_dir(&old).unwrap() {
                let file = file.unwrap();
                copy_written(&file.path(), &new.join(file.file_name()));
            }
            fs::remove_dir_all(&old).unwrap();
        }
        for _ in 0..tears {
            tear(&new, chance);
        }
    }

    async fn wait_for_lock(&self) {
        let lock = OpenOptions::new().write(true).open(self.dir.path().join("lock")).unwrap();
        while lock.try_lock().is_err() {
            breathe().await;
        }
    }

    /// Asks for some of an artifact's chunks, as a request does.
    pub(super) async fn ask(&self, truth: &Truth, made: Made, part: (f64, f64)) -> Result<Outcome, Wrong> {
        let Some(cache) = &self.cache else { return Ok(Outcome::Failed) };
        let tenant = Tenant::default_tenant();
        let Ok(reference) = cache.reference(&tenant, &made.id()).await else { return Ok(Outcome::Failed) };
        let Some(reference) = reference else { return Ok(Outcome::Unknown) };
        if reference.content_hash != truth.content_hash(made.source, made.version) {
            return Err(Wrong(format!("node {}: the reference of {made:?} is another's", self.id)));
        }
        if cache.is_purged(&tenant, &reference) {
            return Ok(Outcome::Lost);
        }
        let Ok(manifest) = cache.manifest(&made.id()).await else { return Ok(Outcome::Failed) };
        let Some(manifest) = manifest else { return Ok(Outcome::Lost) };
        let Some(body) = truth.body_of(made, &manifest.digest) else {
            return Err(Wrong(format!("node {}: the manifest of {made:?} is of other bytes", self.id)));
        };
        let whole = Whole::Artifact(Arc::clone(&manifest));
        let count = body.chunks.len();
        let start = (part.0 * count as f64) as usize;
        let end = start + 1 + (part.1 * (count - start - 1) as f64) as usize;
        let mut reader = Reader::new(cache, whole.clone(), start..end);
        let mut slowest = Tier::Memory;
        for (number, (_, right)) in body.chunks.iter().enumerate().take(end).skip(start) {
            let Some((bytes, tier)) = reader.next().await else {
                // As the body of an answer does that breaks off.
                drop(cache.drop_manifest(&made.id()).await);
                return Ok(Outcome::Lost);
            };
            if bytes != *right {
                return Err(Wrong(format!(
                    "node {}: WRONG BYTES in chunk {number} of {made:?} from {tier:?}",
                    self.id
                )));
            }
            slowest = slowest.max(tier);
        }
        if reader.next().await.is_some() {
            return Err(Wrong(format!("node {}: more of {made:?} than was asked for", self.id)));
        }
        Ok(Outcome::Served(slowest))
    }

    /// Reads a kept original. Whether it was there.
    pub(super) async fn ask_original(&self, truth: &Truth, source: u32, version: u32) -> Result<bool, Wrong> {
        let Some(cache) = &self.cache else { return Ok(false) };
        let hash = truth.content_hash(source, version);
        let Ok(Some(kept)) = cache.kept_source(&hash).await else { return Ok(false) };
        let mut reader = Reader::new(cache, Whole::Original(Arc::clone(&kept)), 0..kept.chunks.len());
        let mut found = Vec::new();
        for _ in 0..kept.chunks.len() {
            let Some((bytes, _)) = reader.next().await else {
                drop(cache.drop_kept(&hash).await);
                return Ok(false);
            };
            found.extend_from_slice(&bytes);
        }
        let right: Vec<u8> =
            truth.original(source, version).chunks.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        if found == right {
            Ok(true)
        } else {
            Err(Wrong(format!("node {}: WRONG BYTES of the original {source}/{version}", self.id)))
        }
    }

    /// What the end of a fill does. When its origin was asked, if it was written down.
    pub(super) async fn fill(&self, truth: &Truth, made: Made, keep: bool) -> Option<SystemTime> {
        let cache = self.cache.as_ref()?;
        for (id, bytes) in &truth.body(made, self.id).chunks {
            cache.admit(*id, bytes.clone()).await;
        }
        let now = self.clock.now_wall();
        let commit = truth.commit(made, self.id, now, keep);
        if keep {
            for (id, bytes) in &truth.original(made.source, made.version).chunks {
                cache.admit(*id, bytes.clone()).await;
            }
        }
        cache.commit(commit).await.is_ok().then_some(now)
    }

    /// Takes so many bytes through the tiers that everything that was there may be gone.
    pub(super) async fn press(&self, mebibytes: usize, chance: &mut StdRng) {
        let Some(cache) = &self.cache else { return };
        for _ in 0..mebibytes * 4 {
            let junk = chance.random::<u64>().to_le_bytes().repeat(32 << 10);
            cache.admit(ChunkId::of(&junk), junk.into()).await;
        }
    }

    pub(super) fn pending(&self) -> u64 {
        self.cache.as_ref().map_or(0, |cache| cache.stats().counts.pending)
    }

    pub(super) fn heal(&self) {
        self.faulty.set(Faults::default());
    }
}

/// Lets other threads get on while tokio's time stands still.
pub(super) async fn breathe() {
    drop(tokio::fs::metadata("/").await);
    tokio::task::yield_now().await;
}

/// Copies a file of the disk tier, which is long and mostly a hole, with its age: by that the tier knows which block is the oldest.
fn copy_written(from: &Path, to: &Path) {
    let meta = fs::metadata(from).unwrap();
    let bytes = if meta.blocks() == 0 { Vec::new() } else { fs::read(from).unwrap() };
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    fs::write(to, &bytes[..used]).unwrap();
    let copy = OpenOptions::new().write(true).open(to).unwrap();
    copy.set_len(meta.len()).unwrap();
    copy.set_modified(meta.modified().unwrap()).unwrap();
}

/// Damages one of the files in one of the ways that disks have.
fn tear(dir: &Path, chance: &mut StdRng) {
    let Ok(items) = fs::read_dir(dir) else { return };
    let mut files: Vec<_> = items.map(|item| item.unwrap().path()).collect();
    files.sort();
    if files.is_empty() {
        return;
    }
    let path = &files[chance.random_range(0..files.len())];
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    // Most of what is written lies at the beginning.
    let place = chance.random_range(0..length.clamp(1, 2 << 20));
    match chance.random_range(0..10) {
        0 => file.set_len(place).unwrap(),
        1 => file.write_all_at(&vec![0; 70_000], place).unwrap(),
        _ => {
            let mut byte = [0];
            if file.read_at(&mut byte, place).unwrap() == 1 {
                byte[0] ^= 1 << chance.random_range(0..8);
                file.write_all_at(&byte, place).unwrap();
            }
        }
    }
}
