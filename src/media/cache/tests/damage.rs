//! Disks that lie, fill up or were tampered with.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use super::{Cache, CacheError, chunk, commit, open, small};
use crate::{
    clock::Clock,
    ids::Tenant,
    media::cache::{Config, Reader, Tier, Whole, blocks::Layout, durable::Directory},
    problem::Kind,
    units::ByteCount,
};

fn blocks(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.join("chunks")).unwrap().map(|item| item.unwrap().path()).collect();
    files.sort();
    files
}

/// How many of the first chunks are gone. Those that are there are what their names say.
async fn lost_of(cache: &Cache, count: u32) -> u32 {
    let mut lost = 0;
    for number in 0..count {
        let (id, bytes) = chunk(number, 10_000);
        match cache.chunk(&id).await {
            Some((found, _)) => assert_eq!(found, bytes),
            None => lost += 1,
        }
    }
    lost
}

async fn fill(config: &Config, dir: &Path, numbers: std::ops::Range<u32>) {
    let cache = open(config, dir).await;
    for number in numbers {
        let (id, bytes) = chunk(number, 10_000);
        cache.admit(id, bytes).await;
    }
    cache.close().await;
}

/// Admits new chunks and finds them on disk: writing works.
async fn takes_chunks(cache: &Cache, numbers: std::ops::Range<u32>) {
    for number in numbers.clone() {
        let (id, bytes) = chunk(number, 10_000);
        cache.admit(id, bytes).await;
    }
    cache.flush().await;
    assert!(cache.stats().disk_writing);
    for number in numbers {
        let (id, bytes) = chunk(number, 10_000);
        drop(cache.parts.memory.remove(&id));
        assert_eq!(cache.chunk(&id).await, Some((bytes, Tier::Disk)), "chunk {number}");
    }
}

#[tokio::test]
async fn a_flipped_byte_anywhere_is_a_miss_and_never_a_wrong_byte() {
    const CHUNKS: u32 = 100;
    let dir = tempfile::tempdir().unwrap();
    fill(&small(), dir.path(), 0..CHUNKS).await;
    let file = &blocks(dir.path())[0];
    let whole = fs::read(file).unwrap();
    // Chunks take three pages each, after an index page or several. Each round flips a byte in every 40 000 at another place.
    for round in 0..24_usize {
        let mut damaged = whole[..CHUNKS as usize * 3 * 4096 + 65_536].to_vec();
        for place in (round * 1_711..damaged.len()).step_by(40_009) {
            damaged[place] ^= 1 << (round % 8);
        }
        OpenOptions::new().write(true).open(file).unwrap().write_all_at(&damaged, 0).unwrap();

        let cache = open(&small(), dir.path()).await;
        let lost = lost_of(&cache, CHUNKS).await;
        assert!(0 < lost, "the flips of round {round} hit nothing");
        cache.close().await;
    }
}

#[tokio::test]
async fn a_flipped_bit_in_any_file_is_a_miss_and_never_a_wrong_byte() {
    const CHUNKS: u32 = 3_500;
    let config = Config { disk: ByteCount::mib(64), ..small() };
    let dir = tempfile::tempdir().unwrap();
    fill(&config, dir.path(), 0..CHUNKS).await;
    let files: Vec<_> = blocks(dir.path()).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    let used = files.iter().filter(|(whole, _)| whole.iter().any(|byte| *byte != 0)).count();
    assert!(used >= 3, "only {used} files hold anything");
    for round in 0..3_usize {
        for (whole, path) in &files {
            let mut damaged = whole.clone();
            // Every index page, where a block begins, and then a place in every 100 000 bytes.
            let places = (round * 517..4_096).step_by(2_048).chain((round * 33_331..whole.len()).step_by(100_003));
            places.for_each(|place| damaged[place] ^= 1 << (round % 8));
            fs::write(path, damaged).unwrap();
        }
        let cache = open(&config, dir.path()).await;
        let lost = lost_of(&cache, CHUNKS).await;
        assert!(0 < lost, "the flips of round {round} hit nothing");
        cache.close().await;
    }
}

#[tokio::test]
async fn files_cut_short_under_a_running_node_are_misses() {
    const CHUNKS: u32 = 300;
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&small(), dir.path()).await;
    for number in 0..CHUNKS {
        let (id, bytes) = chunk(number, 10_000);
        cache.admit(id, bytes).await;
    }
    cache.flush().await;
    for (length, least) in [(1_500_000, 50), (0, CHUNKS)] {
        for file in blocks(dir.path()) {
            OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
        }
        let mut lost = 0;
        for number in 0..CHUNKS {
            let (id, bytes) = chunk(number, 10_000);
            drop(cache.parts.memory.remove(&id));
            match cache.chunk(&id).await {
                Some((found, _)) => assert_eq!(found, bytes),
                None => lost += 1,
            }
        }
        assert!(least <= lost, "{lost} lost of files of {length} bytes");
    }
    // What is written now lies behind the end of the files, and is read from there.
    takes_chunks(&cache, 1_000..1_100).await;
}

#[tokio::test]
async fn folders_in_the_place_of_files_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fill(&small(), dir.path(), 0..50).await;
    for file in blocks(dir.path()) {
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
    }
    let cache = open(&small(), dir.path()).await;
    takes_chunks(&cache, 100..150).await;
}

#[tokio::test]
async fn a_damaged_chunk_is_forgotten_and_can_come_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(&small(), dir.path(), 0..1).await;
    let file = &blocks(dir.path())[0];
    let (id, bytes) = chunk(0, 10_000);
    let whole = fs::read(file).unwrap();
    let place = whole.windows(64).position(|window| window == &bytes[..64]).unwrap();
    OpenOptions::new().write(true).open(file).unwrap().write_all_at(b"!", place as u64 + 5_000).unwrap();

    let cache = open(&small(), dir.path()).await;
    assert_eq!(cache.chunk_tier(&id), Some(Tier::Disk), "the index does not know of the damage");
    assert_eq!(cache.chunk(&id).await, None);
    assert_eq!(cache.chunk_tier(&id), None);
    takes_chunks(&cache, 0..1).await;
}

#[tokio::test]
async fn bytes_that_are_not_what_their_name_says_are_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&small(), dir.path()).await;
    let (id, bytes) = chunk(0, 10_000);
    let (_, others) = chunk(1, 10_000);
    // Past `admit`, which would object: as if the disk had mixed up two chunks together with their checksums.
    let entry = cache.parts.memory.insert(id, others);
    cache.parts.disk.as_ref().unwrap().write(id, &entry).await;
    cache.flush().await;
    drop(cache.parts.memory.remove(&id));
    assert_eq!(cache.chunk_tier(&id), Some(Tier::Disk));
    assert_eq!(cache.chunk(&id).await, None);
    cache.admit(id, bytes).await;
    takes_chunks(&cache, 0..1).await;
}

#[tokio::test]
async fn an_unusable_chunk_directory_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("chunks"), "not a directory").unwrap();
    let cache = open(&small(), dir.path()).await;
    takes_chunks(&cache, 0..10).await;
}

#[tokio::test]
async fn garbage_in_the_chunk_directory_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    fill(&small(), dir.path(), 0..50).await;
    for (i, file) in blocks(dir.path()).iter().enumerate() {
        match i % 3 {
            0 => fs::write(file, vec![0xa5; 100_000]).unwrap(),
            1 => fs::write(file, "").unwrap(),
            _ => fs::remove_file(file).unwrap(),
        }
    }
    fs::create_dir(dir.path().join("chunks/lost+found")).unwrap();
    let cache = open(&small(), dir.path()).await;
    takes_chunks(&cache, 100..150).await;
}

#[tokio::test]
async fn a_disk_tier_without_an_empty_block_takes_chunks() {
    // What a kill leaves between taking the last empty block and emptying the next.
    let dir = tempfile::tempdir().unwrap();
    let config = Config { disk: ByteCount::mib(64), ..small() };
    fill(&config, dir.path(), 0..10).await;
    let files = blocks(dir.path());
    for file in &files[1..] {
        fs::copy(&files[0], file).unwrap();
    }
    let cache = open(&config, dir.path()).await;
    takes_chunks(&cache, 20..30).await;
}

#[tokio::test]
async fn a_smaller_capacity_keeps_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let before = Config { disk: ByteCount::mib(128), ..small() };
    let after = Config { disk: ByteCount::mib(64), ..small() };
    fill(&before, dir.path(), 0..12_000).await;
    assert_eq!(blocks(dir.path()).len(), 8);
    let cache = open(&after, dir.path()).await;
    assert_eq!(blocks(dir.path()).len(), 4);
    takes_chunks(&cache, 20_000..20_100).await;
}

/// A file system of its own with room for `mebibytes`. `None` where this process may not mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(mebibytes: u32) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={mebibytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        mount.is_ok_and(|done| done.status.success()).then(|| SmallDisk(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: files are still open. The directory is removed by its own drop, after this.
        let _unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Time is paused: the pauses between tries pass at once, and stand still while blocking work runs.
#[tokio::test(start_paused = true)]
async fn a_full_disk_is_survived_and_used_again_when_there_is_room() {
    let Some(disk) = SmallDisk::mount(64) else {
        eprintln!("NOT TESTED: mounting a file system needs root");
        return;
    };
    let dir = disk.0.path();
    let cache = open(&Config { disk: ByteCount::mib(128), ..small() }, dir).await;
    takes_chunks(&cache, 0..100).await;
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![1; 40 << 20]).unwrap();

    for number in 1_000..1_600 {
        let (id, bytes) = chunk(number, 100_000);
        cache.admit(id, bytes.clone()).await;
        assert_eq!(cache.chunk_in_memory(&id), Some(bytes), "a full disk is no reason not to serve");
    }
    cache.flush().await;
    assert!(!cache.stats().disk_writing);
    for number in 0..100 {
        let (id, bytes) = chunk(number, 10_000);
        assert!(cache.chunk(&id).await.is_none_or(|(found, _)| found == bytes));
    }
    // The catalogue is on the same disk. It says that it is full, and serves from memory.
    let filler = dir.join("filler");
    let _full = fs::write(&filler, vec![1; 64 << 20]);
    let (artifact, records) = commit("greeting", "ulaw", &[]);
    let error = cache.commit(records.clone()).await.unwrap_err();
    assert_eq!(error.problem().kind, Kind::StorageFull, "{error:?}");
    assert_eq!(cache.manifest(&artifact).await.unwrap().as_deref(), records.manifest.as_ref());

    fs::remove_file(filler).unwrap();
    fs::remove_file(ballast).unwrap();
    while !cache.stats().disk_writing {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    takes_chunks(&cache, 2_000..2_100).await;
    cache.commit(records).await.unwrap();
    cache.close().await;
}

/// What the durable tier is to be told waits until there is room, and nobody is served less meanwhile.
#[tokio::test(start_paused = true)]
async fn a_full_durable_directory_is_told_when_there_is_room() {
    let Some(disk) = SmallDisk::mount(8) else {
        eprintln!("NOT TESTED: mounting a file system needs root");
        return;
    };
    let durable = disk.0.path().join("durable");
    let ballast = disk.0.path().join("ballast");
    let open_on = async |dir: &Path| {
        let store = Directory::open(durable.clone()).await.unwrap();
        Cache::open_on(&small(), dir, Some(Arc::new(store)), Clock::system()).await.unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let cache = open_on(dir.path()).await;
    let _full = fs::write(&ballast, vec![1; 64 << 20]);
    let (id, bytes) = chunk(1, 200_000);
    cache.admit(id, bytes.clone()).await;
    let (artifact, records) = commit("greeting", "ulaw", &[(id, bytes.clone())]);
    cache.commit(records).await.unwrap();
    while !cache.stats().durable_failing {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(0 < cache.stats().counts.pending);
    assert_eq!(cache.chunk(&id).await, Some((bytes.clone(), Tier::Memory)));
    assert!(cache.manifest(&artifact).await.unwrap().is_some());

    fs::remove_file(ballast).unwrap();
    while 0 < cache.stats().counts.pending {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let empty = tempfile::tempdir().unwrap();
    let other = open_on(empty.path()).await;
    let tenant = Tenant::default_tenant();
    assert!(other.reference(&tenant, &artifact).await.unwrap().is_some());
    let manifest = other.manifest(&artifact).await.unwrap().unwrap();
    let mut reader = Reader::new(&other, Whole::Artifact(manifest), 0..1);
    assert_eq!(reader.next().await, Some((bytes, Tier::Directory)));
}

#[tokio::test]
async fn a_damaged_catalogue_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("media.db");
    fs::write(&path, "this is not a database, and long enough to be seen as none".repeat(100)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Cache::open(&small(), dir.path(), Clock::system()).await.unwrap_err();
    assert!(matches!(&error, CacheError::CatalogueUnreadable { path: told, .. } if *told == path), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_capacity_is_cut_into_blocks() {
    fn check(capacity: ByteCount, block: ByteCount, count: usize) {
        assert_eq!(Layout::of(capacity), Layout { block: block.as_usize(), count }, "{capacity}");
    }
    check(ByteCount::mib(64), ByteCount::mib(16), 4);
    check(ByteCount::mib(100), ByteCount::mib(16), 6);
    check(ByteCount::gib(4), ByteCount::mib(16), 256);
    check(ByteCount::gib(8), ByteCount::mib(32), 256);
    check(ByteCount::gib(512), ByteCount::gib(1), 512);
}
