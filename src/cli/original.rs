//! The original of `ringback transcode` and `ringback inspect`: a file, named by its content though it is read only once.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    mem,
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
};

use crate::{
    ids::{ContentHash, Sha256},
    media::{self, format::Headerless},
};

/// Longest original that is read from standard input, in bytes: it is kept in a temporary file, because it must seek.
const STDIN_BYTES_MAX: u64 = 4 << 30;
/// Bytes hashed at a time that nothing else read.
const HASH_STEP: usize = 64 * 1024;

/// A file that is all there. It is hashed as it is read, so that it is read once.
pub(super) struct Original {
    file: Arc<File>,
    position: u64,
    length: u64,
    hashed: Arc<Mutex<Hashed>>,
    declared: Option<Headerless>,
    /// CPUs of the machine, once somebody wants more than one: finding out takes a prompt a tenth of its time.
    cpus: OnceLock<usize>,
    /// Held once for the CPU that transcodes, and once more for each that is borrowed.
    used_cpus: Arc<()>,
}

/// What of a file is hashed already: its bytes from the first on.
#[derive(Default)]
struct Hashed {
    hasher: Sha256,
    bytes: u64,
}

impl Hashed {
    /// Takes in those of the bytes at an offset that come next.
    fn add(&mut self, offset: u64, bytes: &[u8]) {
        let known = self.bytes.checked_sub(offset).and_then(|known| usize::try_from(known).ok());
        let news = known.and_then(|known| bytes.get(known..)).unwrap_or_default();
        self.hasher.update(news);
        self.bytes += news.len() as u64;
    }
}

/// The name of an original's content, once it was read as far as its audio goes.
pub(super) struct Content {
    file: Arc<File>,
    hashed: Arc<Mutex<Hashed>>,
}

impl Original {
    /// All of standard input.
    pub(super) fn standard(declared: Option<Headerless>) -> io::Result<(Original, Content)> {
        let mut file = tempfile::tempfile()?;
        let length = io::copy(&mut io::stdin().take(STDIN_BYTES_MAX + 1), &mut file)?;
        if STDIN_BYTES_MAX < length {
            return Err(io::Error::other(format!("it is longer than {STDIN_BYTES_MAX} bytes")));
        }
        Original::new(file, declared)
    }

    pub(super) fn new(file: File, declared: Option<Headerless>) -> io::Result<(Original, Content)> {
        let length = file.metadata()?.len();
        let (file, hashed) = (Arc::new(file), Arc::default());
        let content = Content { file: Arc::clone(&file), hashed: Arc::clone(&hashed) };
        Ok((
            Original { file, position: 0, length, hashed, declared, cpus: OnceLock::new(), used_cpus: Arc::default() },
            content,
        ))
    }
}

impl Content {
    /// Hashes what nobody read, and gives the hash of all.
    pub(super) fn hash(self) -> io::Result<ContentHash> {
        let mut hashed = mem::take(&mut *self.hashed.lock().unwrap_or_else(PoisonError::into_inner));
        let mut buffer = vec![0; HASH_STEP];
        loop {
            let count = self.file.read_at(&mut buffer, hashed.bytes)?;
            if count == 0 {
                return Ok(ContentHash::from_bytes(hashed.hasher.finish()));
            }
            hashed.add(hashed.bytes, buffer.get(..count).unwrap_or_default());
        }
    }
}

impl Read for Original {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        let read = buffer.get(..count).unwrap_or_default();
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).add(self.position, read);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Original {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl media::Input for Original {
    fn length(&self) -> Option<u64> {
        Some(self.length)
    }

    fn declared(&self) -> Option<Headerless> {
        self.declared
    }

    fn complete_length(&self) -> Option<u64> {
        Some(self.length)
    }

    /// All CPUs of the machine but the one that transcodes.
    fn spare_cpu(&self) -> Option<Box<dyn Send>> {
        let borrow = || Box::new(Arc::clone(&self.used_cpus)) as Box<dyn Send>;
        let cpus = self.cpus.get_or_init(|| thread::available_parallelism().map_or(1, usize::from));
        (Arc::strong_count(&self.used_cpus) < *cpus).then(borrow)
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.length)
    }
}
