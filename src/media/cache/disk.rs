//! The disk tier: foyer's block engine behind the guards that it needs.
//!
//! - foyer drops what does not fit its write buffer, without an error. So writers hold permits for the pages they occupy until
//!   those are on disk, and there are permits for a third of the buffer: a burst waits, and nothing is dropped.
//! - foyer numbers an entry before it queues it, and at the next start it takes a number that is lower than the one before for the
//!   remains of an older block: everything behind it in the block is dropped without a word. So entries are handed over one at a time.
//! - foyer tells nobody that a write failed, and a failed write breaks its book-keeping. So every write is looked for in the index
//!   after the flush; one that is missing suspends the tier, and once the disk takes data again the tier is opened anew.
//! - The tombstone log is off, so a removed chunk can come back with a restart. That does no harm: no manifest lists it, its bytes
//!   are what its name says, and it leaves with its block.
//! - Nothing is synced: a loss of power costs chunks, which are verified when they are read. The disk tier is a cache.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use foyer::{
    Age, BlockEngineConfig, DeviceBuilder as _, FsDeviceBuilder, HybridCache, HybridCacheBuilder, HybridCachePolicy,
    Load, PsyncIoEngineConfig, RecoverMode, Store,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    blocks::{self, Layout, PAGE},
    memory::Entry,
    metrics::Metrics,
};
use crate::{ids::ChunkId, units::ByteCount};

/// What foyer puts before the bytes of a chunk (header 36, name 32, length 8), rounded up.
const ENTRY_HEADER_MAX: usize = 128;
/// Longest that a flush may take before the disk counts as failing.
const FLUSH_MAX: Duration = Duration::from_secs(30);
/// Pause before a failing disk is tried again; doubled at each failure.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Shards of foyer's list of chunks on their way to disk.
const KEEPER_SHARDS: usize = 16;

type Hybrid = HybridCache<ChunkId, Bytes>;
type Storage = Store<ChunkId, Bytes, foyer::DefaultHasher, foyer::HybridCacheProperties>;

/// The disk tier. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    shared: Arc<Shared>,
    written: mpsc::Sender<Written>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    /// A std lock: held to copy or replace the handle, never across an await.
    state: RwLock<State>,
    /// Held while an entry is numbered and queued: a std lock, for a few hundred nanoseconds and never across an await.
    order: Mutex<()>,
    /// One permit per page that may be unwritten.
    room: Arc<Semaphore>,
    room_pages: u32,
    metrics: Metrics,
}

/// Where the tier is, and how large.
#[derive(Clone, Debug)]
struct Place {
    dir: PathBuf,
    layout: Layout,
    write_buffer: usize,
}

#[derive(Debug)]
struct State {
    /// `None` while the directory cannot be opened.
    hybrid: Option<Hybrid>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Chunks are read and written.
    Writing,
    /// Chunks are read; writing is tried again after a pause.
    Suspended,
    /// For good.
    Closed,
}

/// A chunk that was handed to foyer, and the room it takes until it is on disk.
#[derive(Debug)]
struct Written {
    id: ChunkId,
    _room: OwnedSemaphorePermit,
}

/// What reading a chunk led to.
#[derive(Debug)]
pub(super) enum Found {
    /// Still on its way to disk: the very bytes that were admitted.
    Unwritten(Bytes),
    /// From disk, equal to its name.
    Verified {
        /// The chunk.
        bytes: Bytes,
        /// Its block is among the next to be emptied: write the chunk again if it is worth keeping.
        leaving: bool,
    },
    /// Not there, or not readable as itself.
    Nothing,
}

impl Disk {
    /// Opens the tier. A directory that cannot be opened is wiped; if that does not help, the tier starts suspended and tries again.
    ///
    /// A task started here settles writes; it ends when the last clone is dropped.
    pub(super) async fn open(dir: &Path, capacity: ByteCount, write_buffer: ByteCount, metrics: Metrics) -> Disk {
        let layout = Layout::of(capacity);
        let place = Place { dir: dir.to_owned(), layout, write_buffer: write_buffer.as_usize() };
        let hybrid = match place.open_or_wipe().await {
            Ok(hybrid) => Some(hybrid),
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, "the disk tier cannot be opened; working without it for now");
                None
            }
        };
        let room_pages = u32::try_from(place.write_buffer / 3 / PAGE).unwrap_or(u32::MAX);
        // Every message holds the permit of a page at least, so that sending never finds the channel full.
        let (written, settled) = mpsc::channel(room_pages as usize);
        let phase = if hybrid.is_some() { Phase::Writing } else { Phase::Suspended };
        let shared = Arc::new(Shared {
            place,
            state: RwLock::new(State { hybrid, phase }),
            order: Mutex::default(),
            room: Arc::new(Semaphore::new(room_pages as usize)),
            room_pages,
            metrics,
        });
        tokio::spawn(Settler { shared: shared.clone(), retry_pause: RETRY_FIRST }.run(settled));
        Disk { shared, written }
    }

    /// Hands a chunk to the disk, waiting while too much is unwritten. A suspended tier takes nothing and waits for nothing.
    ///
    /// Cost: no copy; a wait of a flush when the buffer's share is used up. Cancel-safe: a cancelled write did not happen.
    pub(super) async fn write(&self, id: ChunkId, entry: &Entry) {
        if self.holds(&id) {
            return;
        }
        let pages = pages(entry.value().len()).min(self.shared.room_pages);
        let Ok(room) = self.shared.room.clone().acquire_many_owned(pages).await else { return };
        self.enqueue(id, entry, room);
    }

    /// Writes a chunk once more, so that it outlives its block; not if the disk is busy.
    pub(super) fn write_again(&self, id: ChunkId, entry: &Entry) {
        if let Ok(room) = self.shared.room.clone().try_acquire_many_owned(pages(entry.value().len())) {
            self.enqueue(id, entry, room);
        }
    }

    /// Whether the chunk is on disk or on its way, as far as the index knows: reading it can still fail.
    pub(super) fn holds(&self, id: &ChunkId) -> bool {
        self.shared.hybrid().is_some_and(|hybrid| hybrid.storage().may_contains(id))
    }

    /// Reads and verifies a chunk. One that is listed and cannot be read as itself is forgotten and counted.
    pub(super) async fn read(&self, id: &ChunkId) -> Found {
        let Some(hybrid) = self.shared.hybrid() else { return Found::Nothing };
        let storage = hybrid.storage();
        if !storage.may_contains(id) {
            return Found::Nothing;
        }
        match storage.load(id).await {
            Ok(Load::Piece { piece, .. }) => return Found::Unwritten(piece.value().clone()),
            Ok(Load::Entry { value, populated, .. }) if ChunkId::of(&value) == *id => {
                return Found::Verified { bytes: value, leaving: populated.age == Age::Old };
            }
            Ok(Load::Throttled) => return Found::Nothing,
            Ok(Load::Entry { .. } | Load::Miss) => {}
            Err(error) => {
                self.shared.metrics.read_failures.increment(1);
                tracing::warn!(chunk = %id, %error, "a chunk cannot be read from disk");
            }
        }
        self.shared.metrics.damaged.increment(1);
        storage.delete(id);
        Found::Nothing
    }

    /// Forgets chunks. They are gone for readers when this returns.
    pub(super) async fn remove(&self, ids: &[ChunkId]) {
        let Some(hybrid) = self.shared.hybrid() else { return };
        let storage = hybrid.storage();
        if !ids.iter().any(|id| storage.may_contains(id)) {
            return;
        }
        // With all the room taken nothing is on its way: what is would be served until it is written, whatever is deleted.
        let _all = self.shared.room.acquire_many(self.shared.room_pages).await;
        ids.iter().for_each(|id| storage.delete(id));
        flush(storage).await;
    }

    /// Waits until everything admitted before is on disk, or has failed to get there.
    pub(super) async fn flush(&self) {
        // All permits are free only when nothing is unwritten.
        drop(self.shared.room.acquire_many(self.shared.room_pages).await);
    }

    /// Flushes and closes; later writes are ignored.
    pub(super) async fn close(&self) {
        self.flush().await;
        self.shared.room.close();
        self.shared.enter(Phase::Closed);
        if let Some(hybrid) = self.shared.hybrid()
            && let Err(error) = hybrid.close().await
        {
            tracing::warn!(%error, "the disk tier did not close cleanly");
        }
    }

    /// Bytes that the tier takes on disk.
    pub(super) fn allocated(&self) -> u64 {
        blocks::allocated(&self.shared.place.dir)
    }

    /// Whether chunks are being written.
    pub(super) fn is_writing(&self) -> bool {
        self.shared.phase() == Phase::Writing
    }

    fn enqueue(&self, id: ChunkId, entry: &Entry, room: OwnedSemaphorePermit) {
        // Between this look and the enqueueing there is no await, so a write can overtake a reopening only by a hair; it would be a
        // lost write, found missing like any other.
        let Some(hybrid) = self.shared.hybrid().filter(|_| self.is_writing()) else {
            self.shared.metrics.writes_skipped.increment(1);
            return;
        };
        let in_order = self.shared.order.lock().unwrap_or_else(PoisonError::into_inner);
        hybrid.storage().enqueue(entry.piece(), true);
        drop(in_order);
        if self.written.try_send(Written { id, _room: room }).is_err() {
            tracing::error!(chunk = %id, "a write to the disk tier was not followed up");
        }
    }
}

impl Shared {
    fn hybrid(&self) -> Option<Hybrid> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).hybrid.clone()
    }

    fn phase(&self) -> Phase {
        self.state.read().unwrap_or_else(PoisonError::into_inner).phase
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.phase != Phase::Closed {
            state.phase = phase;
        }
    }

    fn resume(&self, hybrid: Hybrid) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.phase == Phase::Suspended {
            *state = State { hybrid: Some(hybrid), phase: Phase::Writing };
        }
    }
}

impl Place {
    async fn open_or_wipe(&self) -> Result<Hybrid, OpenError> {
        match self.open().await {
            Ok(hybrid) => Ok(hybrid),
            Err(error) => {
                tracing::warn!(dir = %self.dir.display(), %error, "the disk tier is unusable; starting with an empty one");
                blocks::wipe(&self.dir)?;
                self.open().await
            }
        }
    }

    async fn open(&self) -> Result<Hybrid, OpenError> {
        let place = self.clone();
        // On a task of its own: whatever lies on disk, a panic over it stays an error.
        tokio::spawn(async move { place.build().await }).await.map_err(|_| OpenError::Panicked)?
    }

    async fn build(self) -> Result<Hybrid, OpenError> {
        let Place { dir, layout, write_buffer } = self;
        let (to_prepare, capacity) = (dir.clone(), layout.capacity());
        tokio::task::spawn_blocking(move || blocks::prepare(&to_prepare, layout))
            .await
            .map_err(|_| OpenError::Panicked)??;
        let device = FsDeviceBuilder::new(&dir).with_capacity(capacity).build()?;
        let engine = BlockEngineConfig::new(device)
            .with_block_size(layout.block)
            .with_buffer_pool_size(write_buffer)
            .with_submit_queue_size_threshold(write_buffer);
        // Its memory part stays empty: ours hands it entries directly. It only gives the number of shards.
        let hybrid = HybridCacheBuilder::new()
            .with_name("chunks")
            .with_policy(HybridCachePolicy::WriteOnInsertion)
            .with_flush_on_close(false)
            .memory(KEEPER_SHARDS)
            .with_shards(KEEPER_SHARDS)
            .storage()
            .with_io_engine_config(PsyncIoEngineConfig::new())
            .with_engine_config(engine)
            .with_recover_mode(RecoverMode::Quiet)
            .build()
            .await?;
        Ok(hybrid)
    }
}

/// Why the directory could not be opened. Only ever logged.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Foyer(#[from] foyer::Error),
    #[error("its content made the cache engine panic")]
    Panicked,
}

/// The one task that confirms writes, and brings the tier back after a failure.
struct Settler {
    shared: Arc<Shared>,
    retry_pause: Duration,
}

impl Settler {
    async fn run(mut self, mut written: mpsc::Receiver<Written>) {
        let mut batch = Vec::new();
        loop {
            let suspended = self.shared.phase() == Phase::Suspended;
            tokio::select! {
                count = written.recv_many(&mut batch, self.shared.room_pages as usize) => {
                    if count == 0 {
                        return;
                    }
                    self.settle(&mut batch).await;
                }
                () = tokio::time::sleep(self.retry_pause), if suspended => self.retry().await,
            }
        }
    }

    /// Flushes, looks for each chunk, and gives the room back.
    async fn settle(&mut self, batch: &mut Vec<Written>) {
        let missing = match self.shared.hybrid() {
            Some(hybrid) => {
                flush(hybrid.storage()).await;
                batch.iter().filter(|written| !hybrid.storage().may_contains(&written.id)).count()
            }
            None => batch.len(),
        };
        if missing == 0 {
            self.retry_pause = RETRY_FIRST;
        } else {
            self.shared.metrics.write_failures.increment(missing as u64);
            self.shared.enter(Phase::Suspended);
            tracing::warn!(chunks = missing, "the disk tier does not take chunks; keeping new ones in memory only");
        }
        batch.clear();
    }

    /// Opens the tier anew if the disk takes data again: foyer has lost count of its blocks after a failed write.
    async fn retry(&mut self) {
        let (dir, length) = (self.shared.place.dir.clone(), self.shared.place.write_buffer / 3);
        let probed = tokio::task::spawn_blocking(move || blocks::probe(&dir, length)).await;
        if matches!(probed, Ok(Ok(())))
            && let Ok(hybrid) = self.shared.place.open_or_wipe().await
        {
            self.shared.resume(hybrid);
            tracing::info!("the disk tier takes chunks again");
        }
        self.retry_pause = (self.retry_pause * 2).min(RETRY_MAX);
    }
}

async fn flush(storage: &Storage) {
    if tokio::time::timeout(FLUSH_MAX, storage.wait()).await.is_err() {
        tracing::warn!(seconds = FLUSH_MAX.as_secs(), "a flush of the disk tier does not end");
    }
}

fn pages(length: usize) -> u32 {
    u32::try_from((length + ENTRY_HEADER_MAX).div_ceil(PAGE)).unwrap_or(u32::MAX)
}
