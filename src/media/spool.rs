//! Spool files: where a fill's bytes stand while they arrive, so that every reader is fed from one place.
//!
//! A spool is appended to by one writer and read at any offset by any number of readers, blocking or async. Its file has no
//! name (it is unlinked as soon as it is made), so a crash leaves nothing behind and a reader can never lose it. When the
//! disk refuses, a spool goes on in memory up to a limit: a full disk must not stop the sound.

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
    directory: Arc<PathBuf>,
    budget: Arc<Budget>,
    memory_max: u64,
}

/// Bytes of all open spools together.
#[derive(Debug)]
struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
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
    pub fn open(directory: &Path, total_max: ByteCount, memory_max: ByteCount) -> io::Result<Spools> {
        std::fs::create_dir_all(directory)?;
        Ok(Spools {
            directory: Arc::new(directory.to_owned()),
            budget: Arc::new(Budget { used: AtomicU64::new(0), max: total_max.get() }),
            memory_max: memory_max.get(),
        })
    }

    /// An empty spool. Never fails: without a usable disk it starts in memory.
    pub fn create(&self) -> Arc<Spool> {
        let store = match tempfile::tempfile_in(&*self.directory) {
            Ok(file) => Store::File(file),
            Err(error) => {
                tracing::warn!(%error, "spool file refused, spooling in memory");
                metrics::counter!("ringback_media_spool_memory_total").increment(1);
                Store::Memory(Vec::new())
            }
        };
        let (progress, _) = watch::channel(Progress::default());
        Arc::new(Spool {
            store: RwLock::new(store),
            progress,
            budget: Arc::clone(&self.budget),
            memory_max: self.memory_max,
        })
    }

    /// Bytes in all open spools.
    pub fn used(&self) -> ByteCount {
        ByteCount::bytes(self.budget.used.load(Ordering::Relaxed))
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
    budget: Arc<Budget>,
    memory_max: u64,
}

#[derive(Debug)]
enum Store {
    File(File),
    Memory(Vec<u8>),
}

impl Spool {
    /// Appends bytes and wakes the readers. Blocks on the disk: a copy into the page cache.
    ///
    /// # Errors
    /// `busy` when all spools together are at their limit; `over-limit` when the disk refuses and memory does not suffice.
    pub fn append(&self, bytes: &[u8]) -> Result<(), Problem> {
        let added = bytes.len() as u64;
        if !self.budget.reserve(added) {
            return Err(Problem::new(Kind::Busy, "the spool directory is at its limit (media.fill.spool)"));
        }
        let offset = self.progress.borrow().length;
        if let Err(problem) = self.write_at(offset, bytes) {
            self.budget.release(added);
            return Err(problem);
        }
        self.progress.send_modify(|progress| progress.length += added);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Problem> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        if let Store::File(file) = &*store {
            let Err(error) = file.write_all_at(bytes, offset) else { return Ok(()) };
            tracing::warn!(%error, "spool file refused a write, going on in memory");
            metrics::counter!("ringback_media_spool_memory_total").increment(1);
            self.check_memory(offset)?;
            let mut moved = vec![0; usize::try_from(offset).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut moved, 0).map_err(|error| {
                tracing::error!(%error, "spool file cannot be read back");
                Problem::new(Kind::Internal, "the spool file cannot be read back")
            })?;
            *store = Store::Memory(moved);
        }
        if let Store::Memory(memory) = &mut *store {
            self.check_memory(offset + bytes.len() as u64)?;
            memory.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn check_memory(&self, length: u64) -> Result<(), Problem> {
        if length > self.memory_max {
            return Err(Problem::new(
                Kind::OverLimit,
                "the disk is full or failing and the audio is over the limit for memory (media.fill.memory)",
            ));
        }
        Ok(())
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
        match &*self.store.read().unwrap_or_else(PoisonError::into_inner) {
            Store::File(file) => file.read_exact_at(buffer, offset)?,
            Store::Memory(memory) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(memory.len());
                buffer.copy_from_slice(&memory[start..start + wanted]);
            }
        }
        Ok(wanted)
    }

    /// Reads up to `length_max` bytes at `offset` on the blocking pool: for async readers.
    ///
    /// # Errors
    /// The disk's.
    pub async fn read(self: &Arc<Self>, offset: u64, length_max: usize) -> io::Result<Bytes> {
        let spool = Arc::clone(self);
        let read = move || {
            let there = usize::try_from(spool.length().saturating_sub(offset)).unwrap_or(usize::MAX);
            let mut buffer = vec![0; length_max.min(there)];
            spool.read_at(offset, &mut buffer).map(|_| Bytes::from(buffer))
        };
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.budget.release(self.progress.borrow().length);
    }
}

#[cfg(test)]
mod tests;
