//! The files of the disk tier: how many blocks of what size, and putting a directory into a state that foyer opens well.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::units::ByteCount;

/// What writes to disk are aligned to, in bytes.
pub(super) const PAGE: usize = 4096;

/// Smallest block: the unit of eviction, and what a chunk must fit in many times.
const BLOCK_MIN: u64 = 16 << 20;
/// Largest block, well within the 32 bits of an offset in foyer's index.
const BLOCK_MAX: u64 = 1 << 30;
/// Between these two, a disk tier has so many blocks. Each is an open file, and many shells allow 1 024 of those.
const BLOCKS: u64 = 256;
/// foyer names its files so, with the block's number in eight digits.
const FILE_PREFIX: &str = "foyer-storage-direct-fs-";
/// Blocks that must be empty for foyer to start writing.
const EMPTY_MIN: usize = 2;

/// How a capacity is cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of a block, a multiple of a page.
    pub(super) block: usize,
    /// How many there are.
    pub(super) count: usize,
}

impl Layout {
    /// The layout for `capacity` bytes. A change of the block's size costs what lies in the blocks, never a wrong byte.
    pub(super) fn of(capacity: ByteCount) -> Layout {
        let block = (capacity.get() / BLOCKS).clamp(BLOCK_MIN, BLOCK_MAX).next_multiple_of(PAGE as u64);
        Layout { block: block as usize, count: (capacity.get() / block) as usize }
    }

    /// Bytes of all blocks.
    pub(super) fn capacity(self) -> usize {
        self.block * self.count
    }
}

/// Makes the directory, removes blocks beyond the layout, and sees to it that some are empty.
///
/// foyer 0.22.6 starts to empty a block when it takes the last empty one. Opened with none (after a kill between the two, or with
/// a smaller capacity) it would wait for an empty block for ever, so the oldest are emptied here, in the way that it does it.
pub(super) fn prepare(dir: &Path, layout: Layout) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut empty = layout.count;
    let mut used = Vec::new();
    for item in fs::read_dir(dir)? {
        let item = item?;
        let Some(number) = block_number(&item.file_name().to_string_lossy()) else { continue };
        if layout.count <= number {
            fs::remove_file(item.path())?;
        } else if !starts_empty(&item.path())? {
            empty = empty.saturating_sub(1);
            used.push((item.metadata()?.modified().unwrap_or(SystemTime::UNIX_EPOCH), item.path()));
        }
    }
    used.sort();
    for (_, path) in used.iter().take(EMPTY_MIN.saturating_sub(empty)) {
        OpenOptions::new().write(true).open(path)?.write_all_at(&[0; PAGE], 0)?;
    }
    Ok(())
}

/// Removes everything in the directory, whatever it is.
pub(super) fn wipe(dir: &Path) -> io::Result<()> {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(dir),
        Ok(_) => fs::remove_file(dir),
    }
}

/// Writes and removes a file of `length` bytes: whether there is room and writing works.
pub(super) fn probe(dir: &Path, length: usize) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let path = dir.join("probe");
    let written = File::create(&path).and_then(|mut file| {
        // Not zeros: a file system that compresses or leaves holes would take those for nothing.
        let page: [u8; PAGE] = std::array::from_fn(|i| (i * 167) as u8);
        (0..length.div_ceil(PAGE)).try_for_each(|_| file.write_all(&page))
    });
    fs::remove_file(&path)?;
    written
}

/// Bytes that the blocks take on disk. They are sparse files: less than their length until they were filled once.
pub(super) fn allocated(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(items) = fs::read_dir(dir) else { return 0 };
    items.filter_map(|item| item.ok()?.metadata().ok()).map(|meta| meta.blocks() * 512).sum()
}

fn block_number(name: &str) -> Option<usize> {
    name.strip_prefix(FILE_PREFIX)?.parse().ok()
}

fn starts_empty(path: &PathBuf) -> io::Result<bool> {
    let mut page = Vec::with_capacity(PAGE);
    File::open(path)?.take(PAGE as u64).read_to_end(&mut page)?;
    Ok(page.iter().all(|byte| *byte == 0))
}
