//! The room's promises, on memory alone and on memory with disk.

mod catalogue;
mod damage;
mod fleet;
mod learned;
mod outbox;
mod responses;

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use tempfile::TempDir;

use super::{
    Cache, CacheError, Checksum, ChunkRef, Commit, Config, KeptSource, Manifest, Reference, SourceRecord, Tier,
    Visibility,
};
use crate::{
    clock::Clock,
    ids::{ArtifactId, BodyDigest, ChunkId, ContentHash, SourceKey, Tenant},
    media::{
        format::Format,
        freshness::{Said, Selection},
    },
    problem::ConfigProblems,
    units::ByteCount,
};

/// So little memory that most of what was admitted is read from disk.
pub(super) fn small() -> Config {
    Config {
        memory: ByteCount::mib(8),
        disk: ByteCount::mib(512),
        write_buffer: ByteCount::mib(4),
        ..Config::default()
    }
}

pub(super) fn memory_only() -> Config {
    Config { disk: ByteCount::bytes(0), ..small() }
}

async fn open(config: &Config, dir: &Path) -> Cache {
    Cache::open(config, dir, Clock::system()).await.unwrap()
}

/// A chunk like no other number's: its bytes depend on the number throughout.
pub(super) fn chunk(number: u32, length: usize) -> (ChunkId, Bytes) {
    let pattern = ChunkId::of(&number.to_le_bytes());
    let mut bytes = pattern.as_bytes().repeat(length.div_ceil(32));
    bytes.truncate(length);
    let bytes = Bytes::from(bytes);
    (ChunkId::of(&bytes), bytes)
}

fn chunk_ref((id, bytes): &(ChunkId, Bytes)) -> ChunkRef {
    ChunkRef { id: *id, length: bytes.len() as u32, sum: Some(Checksum::of(bytes)) }
}

/// The records of one artifact of one original.
pub(super) fn commit(original: &str, extension: &str, chunks: &[(ChunkId, Bytes)]) -> (ArtifactId, Commit) {
    let content_hash = ContentHash::of(original.as_bytes());
    let artifact = ArtifactId::of(format!("{original}.{extension}").as_bytes());
    let format = Format::parse(extension, &[]).unwrap();
    let url = format!("https://sounds.example/{original}.mp3");
    let source_key = SourceKey::of(url.as_bytes());
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let manifest = Manifest {
        artifact,
        content_hash,
        format,
        pipeline: "1.1.1.1".to_owned(),
        raw_type: None,
        length: chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
        duration_ms: 1000,
        digest: BodyDigest::of(original.as_bytes()),
        chunks: chunks.iter().map(chunk_ref).collect(),
    };
    let reference = Reference {
        source_url: url.clone(),
        content_hash,
        input: None,
        also: Vec::new(),
        format,
        pipeline: "1.1.1.1".to_owned(),
        visibility: Visibility::Public,
        tags: Vec::new(),
        source_tags: Vec::new(),
        created_at: now,
        asked_at: Some(now),
    };
    let source = SourceRecord {
        url,
        content_hash,
        headerless: false,
        length: 0,
        declared: None,
        said: Said::of(&HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"v1\""))])),
        selection: Some(Selection::default()),
        tags: vec!["greetings".to_owned()],
        labels: Vec::new(),
        rules_stamp: 0,
        asked_at: Some(now),
        checked_at: now,
        fresh_until: now + Duration::from_secs(60),
        changed_at: now,
    };
    let commit = Commit {
        source: Some(source),
        manifest: Some(manifest),
        reference: Some((artifact, reference)),
        ..Commit::new(Tenant::default_tenant(), source_key)
    };
    (artifact, commit)
}

fn keep(commit: &mut Commit, chunks: &[(ChunkId, Bytes)]) {
    let content_hash = commit.manifest.as_ref().unwrap().content_hash;
    let length = chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    commit.kept = Some(KeptSource { content_hash, length, chunks: chunks.iter().map(chunk_ref).collect() });
}

/// What a kill leaves behind: the files as the operating system has them, without any farewell.
fn snapshot(dir: &Path) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for item in std::fs::read_dir(from).unwrap() {
            let item = item.unwrap();
            let target = to.join(item.file_name());
            if item.file_type().unwrap().is_dir() {
                copy(&item.path(), &target);
            } else {
                std::fs::copy(item.path(), target).unwrap();
            }
        }
    }
    let copied = tempfile::tempdir().unwrap();
    copy(dir, copied.path());
    copied
}

#[test]
fn chunks_with_and_without_sums_are_read_by_every_version() {
    /// As records were before there were sums.
    #[derive(serde::Deserialize, serde::Serialize)]
    struct Before {
        id: ChunkId,
        length: u32,
    }
    let named = chunk(1, 10_000);
    let with = chunk_ref(&named);
    let text = serde_json::to_string(&with).unwrap();
    assert_eq!(serde_json::from_str::<ChunkRef>(&text).unwrap(), with);
    let before: Before = serde_json::from_str(&text).unwrap();
    let without: ChunkRef = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    assert_eq!(without, ChunkRef { sum: None, ..with });
    for chunk in [with, without] {
        assert!(chunk.is(&named.1));
        for bit in [0, 40_000, 79_999] {
            let mut damaged = named.1.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!chunk.is(&damaged), "{chunk:?} bit {bit}");
        }
        assert!(!chunk.is(&named.1[1..]) && !chunk.is(b""), "{chunk:?}");
        assert!(!chunk.is(&super::tests::chunk(2, 10_000).1), "another's bytes: {chunk:?}");
    }
}

async fn keeps_its_promises(config: Config) {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&config, dir.path()).await;
    let (id, bytes) = chunk(1, 100_000);

    assert_eq!(cache.chunk_in_memory(&id), None);
    assert_eq!(cache.chunk_tier(&id), None);
    assert_eq!(cache.chunk(&id).await, None);

    cache.admit(id, bytes.clone()).await;
    assert_eq!(cache.chunk_in_memory(&id), Some(bytes.clone()));
    assert_eq!(cache.chunk_tier(&id), Some(Tier::Memory));
    assert_eq!(cache.chunk(&id).await, Some((bytes.clone(), Tier::Memory)));
    cache.admit(id, bytes.clone()).await;
    assert_eq!(cache.clone().chunk(&id).await, Some((bytes.clone(), Tier::Memory)));

    cache.remove_chunk(&id).await;
    assert_eq!(cache.chunk_tier(&id), None);
    assert_eq!(cache.chunk(&id).await, None);
    cache.remove_chunk(&id).await;

    cache.admit(id, bytes.clone()).await;
    assert_eq!(cache.chunk(&id).await, Some((bytes, Tier::Memory)), "a removed chunk can come again");
    for (number, length) in [(2, 0), (3, 1), (4, 4096), (5, super::CHUNK_MAX)] {
        let (id, bytes) = chunk(number, length);
        cache.admit(id, bytes.clone()).await;
        assert_eq!(cache.chunk(&id).await, Some((bytes, Tier::Memory)), "{length} bytes");
    }
    cache.flush().await;
    assert_eq!(cache.stats().memory_chunks, 5);
    assert_eq!(cache.stats().disk_bytes.is_some(), config.has_disk());
    cache.close().await;

    let (id, bytes) = chunk(6, 10);
    cache.admit(id, bytes.clone()).await;
    assert_eq!(cache.chunk(&id).await, Some((bytes, Tier::Memory)), "a closed cache still has its memory");
}

#[tokio::test]
async fn memory_alone_keeps_its_promises() {
    keeps_its_promises(memory_only()).await;
}

#[tokio::test]
async fn memory_and_disk_keep_their_promises() {
    keeps_its_promises(small()).await;
}

#[tokio::test]
async fn memory_alone_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    for number in 0..200 {
        let (id, bytes) = chunk(number, 100_000);
        cache.admit(id, bytes).await;
    }
    let stats = cache.stats();
    assert!(stats.memory_bytes <= 8 << 20, "{stats:?}");
    assert!(40 < stats.memory_chunks, "{stats:?}");
}

#[tokio::test]
async fn chunks_and_records_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let chunks: Vec<_> = (0..40).map(|number| chunk(number, 20_000)).collect();
    let (artifact, records) = commit("greeting", "ulaw", &chunks);
    let cache = open(&small(), dir.path()).await;
    for (id, bytes) in &chunks {
        cache.admit(*id, bytes.clone()).await;
    }
    cache.commit(records.clone()).await.unwrap();
    cache.close().await;
    drop(cache);

    let cache = open(&small(), dir.path()).await;
    assert_eq!(cache.manifest_in_memory(&artifact), None, "the front is filled when it is asked");
    let manifest = cache.manifest(&artifact).await.unwrap().unwrap();
    assert_eq!(Some(&*manifest), records.manifest.as_ref());
    assert_eq!(cache.manifest_in_memory(&artifact), Some(manifest));
    assert_eq!(cache.stats().counts.artifacts, 1);
    for (id, bytes) in &chunks {
        assert_eq!(cache.chunk_tier(id), Some(Tier::Disk));
        assert_eq!(cache.chunk(id).await, Some((bytes.clone(), Tier::Disk)));
        assert_eq!(cache.chunk(id).await, Some((bytes.clone(), Tier::Memory)));
    }
}

#[tokio::test]
async fn chunks_and_records_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let chunks: Vec<_> = (0..40).map(|number| chunk(number, 20_000)).collect();
    let (artifact, records) = commit("greeting", "ulaw", &chunks);
    let cache = open(&small(), dir.path()).await;
    for (id, bytes) in &chunks {
        cache.admit(*id, bytes.clone()).await;
    }
    cache.flush().await;
    cache.commit(records.clone()).await.unwrap();
    let killed = snapshot(dir.path());

    let cache = open(&small(), killed.path()).await;
    assert_eq!(cache.manifest(&artifact).await.unwrap().as_deref(), records.manifest.as_ref());
    for (id, bytes) in &chunks {
        assert_eq!(cache.chunk(id).await, Some((bytes.clone(), Tier::Disk)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_slowed_down_and_not_dropped() {
    const TASKS: u32 = 16;
    const EACH: u32 = 125;
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&small(), dir.path()).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let cache = cache.clone();
            tokio::spawn(async move {
                for number in 0..EACH {
                    let (id, bytes) = chunk(task * EACH + number, 100 << 10);
                    cache.admit(id, bytes).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    cache.flush().await;
    assert!(cache.stats().disk_writing);
    let mut from_disk = 0;
    for number in 0..TASKS * EACH {
        let (id, bytes) = chunk(number, 100 << 10);
        let (found, tier) = cache.chunk(&id).await.unwrap_or_else(|| panic!("chunk {number} was dropped"));
        assert_eq!(found, bytes);
        from_disk += u32::from(tier == Tier::Disk);
    }
    assert!(TASKS * EACH * 9 / 10 < from_disk, "only {from_disk} came from disk");
}

/// Regression: entries that overtook one another between being numbered and being queued cut their block short at the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_many_tasks_admit_at_once_survives_a_restart() {
    const TASKS: u32 = 16;
    const CHUNKS: u32 = 500;
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&small(), dir.path()).await;
    let numbers = |task: u32| task * CHUNKS..(task + 1) * CHUNKS;
    let admit = |task: u32| {
        let cache = cache.clone();
        async move {
            for number in numbers(task) {
                let (id, bytes) = chunk(number, 1_000);
                cache.admit(id, bytes).await;
            }
        }
    };
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(admit(task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    cache.close().await;
    drop(cache);

    let cache = open(&small(), dir.path()).await;
    let missing = (0..TASKS * CHUNKS).filter(|number| cache.chunk_tier(&chunk(*number, 1_000).0).is_none()).count();
    assert_eq!(missing, 0, "of {}", TASKS * CHUNKS);
}

#[tokio::test]
async fn what_capacity_evicts_is_missing_and_never_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&Config { disk: ByteCount::mib(64), ..small() }, dir.path()).await;
    for number in 0..1000 {
        let (id, bytes) = chunk(number, 100 << 10);
        cache.admit(id, bytes).await;
    }
    cache.flush().await;
    let stats = cache.stats();
    assert!(stats.disk_writing && stats.disk_bytes <= Some(64 << 20), "{stats:?}");
    let mut found = 0;
    for number in 0..1000 {
        let (id, bytes) = chunk(number, 100 << 10);
        if let Some((got, _)) = cache.chunk(&id).await {
            assert_eq!(got, bytes);
            found += 1;
        } else {
            assert!(number < 900, "chunk {number} was among the last and is gone");
        }
    }
    assert!((300..=700).contains(&found), "{found} of 1000 in 64 MiB");
}

#[tokio::test]
async fn a_second_cache_in_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(&small(), dir.path()).await;
    let second = Cache::open(&small(), dir.path(), Clock::system()).await;
    assert!(matches!(second, Err(CacheError::Locked { path }) if path == dir.path().join("lock")));
    first.close().await;
    drop(first);
    open(&small(), dir.path()).await;
}

#[test]
fn config_is_checked() {
    fn check(config: Config, keys: &[&str]) {
        let mut problems = ConfigProblems::default();
        config.validate("media.cache", &mut problems);
        assert_eq!(problems.iter().map(|(key, _)| key).collect::<Vec<_>>(), keys);
    }
    check(Config::default(), &[]);
    check(small(), &[]);
    check(memory_only(), &[]);
    check(Config { disk: ByteCount::mib(1), ..small() }, &["media.cache.disk"]);
    check(
        Config { memory: ByteCount::kib(1), write_buffer: ByteCount::gib(1), ..small() },
        &["media.cache.memory", "media.cache.write_buffer"],
    );
}
