//! Spools: where a fill's bytes stand while they arrive, so that every reader is fed from one place.
//!
//! A spool is appended to by one writer and read at any offset by any number of readers, blocking or async. What is short stays in
//! memory: a file costs more than all else that is done for a prompt's bytes. The file of a longer one has no name (it is unlinked as
//! soon as it is made), so a crash leaves nothing behind and a reader can never lose it. When the disk refuses, a spool goes on in
//! memory up to a limit: a full disk must not stop the sound.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    problem::{Kind, Problem},
    units::ByteCount,
};

/// Makes spools in one directory, within one budget.
#[derive(Clone, Debug)]
pub struct Spools {
    shared: Arc<Shared>,
}

/// What the spools of a node have in common.
#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    /// Bytes of all open spools together.
    all: Budget,
    /// Of these, bytes that are in memory.
    memory: Budget,
    memory_max: u64,
    short_max: u64,
}

/// What a spool may take at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all open spools together.
    pub total: ByteCount,
    /// Bytes of one spool up to which no file is made, while there is memory; no more than of one in memory.
    pub short: ByteCount,
    /// Bytes of one spool in memory, where the disk refuses.
    pub memory: ByteCount,
    /// Bytes of all spools together in memory.
    pub memory_total: ByteCount,
}

/// Bytes that may be taken, and that are.
#[derive(Debug)]
struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    fn new(max: ByteCount) -> Budget {
        Budget { used: AtomicU64::new(0), max: max.get() }
    }

    fn reserve(&self, bytes: u64) -> bool {
        let within = |used: u64| used.checked_add(bytes).filter(|total| *total <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Spools {
    /// Spools in `directory`, which is made if missing.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(directory: &Path, limits: Limits) -> io::Result<Spools> {
        std::fs::create_dir_all(directory)?;
        let shared = Shared {
            directory: directory.to_owned(),
            all: Budget::new(limits.total),
            memory: Budget::new(limits.memory_total),
            memory_max: limits.memory.get(),
            short_max: limits.short.get().min(limits.memory.get()),
        };
        Ok(Spools { shared: Arc::new(shared) })
    }

    /// An empty spool. Costs no file until more bytes come than stay in memory.
    pub fn create(&self) -> Arc<Spool> {
        let (progress, _) = watch::channel(Progress::default());
        Arc::new(Spool { store: RwLock::new(Store::Short(Vec::new())), progress, shared: Arc::clone(&self.shared) })
    }

    /// Bytes in all open spools.
    pub fn used(&self) -> ByteCount {
        ByteCount::bytes(self.shared.all.used.load(Ordering::Relaxed))
    }
}

/// How far a spool has come.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Bytes that can be read.
    pub length: u64,
    /// How it ended, once it has.
    pub end: Option<End>,
}

/// How a spool ended.
#[derive(Clone, Debug)]
pub enum End {
    /// All bytes are there and checked.
    Complete,
    /// No more will come.
    Failed(Problem),
}

/// Bytes that arrive over time. See the module's documentation.
#[derive(Debug)]
pub struct Spool {
    /// A std lock: it is held for a read or an append only, never across an await.
    store: RwLock<Store>,
    progress: watch::Sender<Progress>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Store {
    /// In memory, because it is short so far.
    Short(Vec<u8>),
    File(Arc<File>),
    /// In memory, because the disk refuses.
    Memory(Vec<u8>),
}

impl Spool {
    /// Appends bytes and wakes the readers. Blocks on the disk, if they do not [stay in memory](Spool::stays_short): a copy into the
    /// page cache.
    ///
    /// # Errors
    /// `busy` when all spools together are at a limit; `over-limit` when the disk refuses and memory does not suffice.
    pub fn append(&self, bytes: &[u8]) -> Result<(), Problem> {
        let added = bytes.len() as u64;
        if !self.shared.all.reserve(added) {
            return Err(Problem::new(Kind::Busy, "the spool directory is at its limit (media.fill.spool)"));
        }
        let offset = self.progress.borrow().length;
        if let Err(problem) = self.write_at(offset, bytes) {
            self.shared.all.release(added);
            return Err(problem);
        }
        self.progress.send_modify(|progress| progress.length += added);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Problem> {
        // One writes: what it finds stays until it changes that. And nothing waits for a disk with the lock held, because readers on lanes take
        // it: all the connections of a lane would wait with them.
        let (short, mut file) = match &mut *self.store.write().unwrap_or_else(PoisonError::into_inner) {
            Store::Short(short) => {
                let added = bytes.len() as u64;
                if offset + added <= self.shared.short_max && self.shared.memory.reserve(added) {
                    short.extend_from_slice(bytes);
                    return Ok(());
                }
                // It stays there for readers until there is a file.
                (Some(short.clone()), None)
            }
            Store::File(file) => (None, Some(Arc::clone(file))),
            Store::Memory(_) => (None, None),
        };
        if let Some(short) = short {
            let opened = self.shared.open_store(short);
            file = if let Store::File(opened) = &opened { Some(Arc::clone(opened)) } else { None };
            *self.store.write().unwrap_or_else(PoisonError::into_inner) = opened;
        }
        if let Some(file) = file {
            let Err(error) = file.write_all_at(bytes, offset) else { return Ok(()) };
            tracing::warn!(%error, "spool file refused a write, going on in memory");
            metrics::counter!("ringback_media_spool_memory_total").increment(1);
            let moved = self.shared.take_memory(0, offset, |room| file.read_exact_at(room, 0))?;
            *self.store.write().unwrap_or_else(PoisonError::into_inner) = Store::Memory(moved);
        }
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        if let Store::Memory(memory) = &mut *store {
            let added = self.shared.take_memory(offset, bytes.len() as u64, |room| {
                room.copy_from_slice(bytes);
                Ok(())
            })?;
            memory.extend(added);
        }
        Ok(())
    }

    /// Whether so many bytes more would leave it in memory, so that appending them is only a copy.
    pub fn stays_short(&self, added: usize) -> bool {
        let is_short = matches!(*self.store.read().unwrap_or_else(PoisonError::into_inner), Store::Short(_));
        is_short && self.length() + added as u64 <= self.shared.short_max
    }

    /// Says how it ended and wakes the readers. The first end stands.
    pub fn finish(&self, end: End) {
        self.progress.send_if_modified(|progress| {
            let first = progress.end.is_none();
            if first {
                progress.end = Some(end);
            }
            first
        });
    }

    /// How far it has come, now.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Bytes that can be read, now.
    pub fn length(&self) -> u64 {
        self.progress.borrow().length
    }

    /// Waits until there are more than `offset` bytes, or the end.
    pub async fn wait_past(&self, offset: u64) -> Progress {
        let mut receiver = self.progress.subscribe();
        let waited = receiver.wait_for(|progress| progress.length > offset || progress.end.is_some()).await;
        // The sender lives in `self`, so waiting cannot fail.
        waited.map(|progress| progress.clone()).unwrap_or_default()
    }

    /// Waits for the end.
    pub async fn wait_end(&self) -> Progress {
        let mut receiver = self.progress.subscribe();
        let waited = receiver.wait_for(|progress| progress.end.is_some()).await;
        waited.map(|progress| progress.clone()).unwrap_or_default()
    }

    /// Reads what is there at `offset`, at most `buffer.len()` bytes, without waiting. 0 where nothing is there yet.
    ///
    /// # Errors
    /// The disk's.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.length().saturating_sub(offset);
        let wanted = buffer.len().min(usize::try_from(there).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..wanted];
        let file = match &*self.store.read().unwrap_or_else(PoisonError::into_inner) {
            Store::File(file) => Arc::clone(file),
            Store::Short(memory) | Store::Memory(memory) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(memory.len());
                buffer.copy_from_slice(&memory[start..start + wanted]);
                return Ok(wanted);
            }
        };
        file.read_exact_at(buffer, offset)?;
        Ok(wanted)
    }

    /// Reads up to `length_max` bytes at `offset` for async readers: from a file on the blocking pool.
    ///
    /// # Errors
    /// The disk's.
    pub async fn read(self: &Arc<Self>, offset: u64, length_max: usize) -> io::Result<Bytes> {
        let there = usize::try_from(self.length().saturating_sub(offset)).unwrap_or(usize::MAX);
        // Made here: what a thread of the pool allocates stays with that thread when it rests.
        let mut buffer = vec![0; length_max.min(there)];
        if !matches!(*self.store.read().unwrap_or_else(PoisonError::into_inner), Store::File(_)) {
            // It may have gone to a file since; then this is one read of what was written a moment ago.
            return self.read_at(offset, &mut buffer).map(|_| Bytes::from(buffer));
        }
        let spool = Arc::clone(self);
        let read = move || spool.read_at(offset, &mut buffer).map(|_| Bytes::from(buffer));
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }
}

impl Shared {
    /// A file with what was short so far, or memory where the disk has none to give.
    fn open_store(&self, short: Vec<u8>) -> Store {
        let opened = tempfile::tempfile_in(&self.directory).and_then(|file| {
            file.write_all_at(&short, 0)?;
            Ok(file)
        });
        match opened {
            Ok(file) => {
                self.memory.release(short.len() as u64);
                Store::File(Arc::new(file))
            }
            Err(error) => {
                tracing::warn!(%error, "spool file refused, spooling in memory");
                metrics::counter!("ringback_media_spool_memory_total").increment(1);
                Store::Memory(short)
            }
        }
    }

    /// Memory for `added` bytes of a spool that has `length` there, filled by `fill`.
    fn take_memory(
        &self,
        length: u64,
        added: u64,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> Result<Vec<u8>, Problem> {
        if length + added > self.memory_max {
            let detail = "the disk is full or failing and the audio is over the limit for memory (media.fill.memory)";
            return Err(Problem::new(Kind::OverLimit, detail).passing());
        }
        if !self.memory.reserve(added) {
            let detail = "the disk is full or failing and so is the memory instead of it (media.fill.memory_total)";
            return Err(Problem::new(Kind::Busy, detail));
        }
        let mut room = vec![0; usize::try_from(added).unwrap_or(usize::MAX)];
        fill(&mut room).map(|()| room).map_err(|error| {
            self.memory.release(added);
            tracing::error!(%error, "spool file cannot be read back");
            Problem::new(Kind::Internal, "the spool file cannot be read back")
        })
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.all.release(self.progress.borrow().length);
        let store = self.store.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Store::Short(memory) | Store::Memory(memory) = store {
            self.shared.memory.release(memory.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests;
