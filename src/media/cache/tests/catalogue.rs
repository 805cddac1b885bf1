//! The catalogue's promises.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use rusqlite::{Connection, TransactionBehavior};

use super::{Cache, Commit, chunk, commit, keep, memory_only, open, small};
use crate::{
    clock::Clock,
    ids::{ChunkId, ContentHash, Tenant},
    media::cache::{CacheError, Config, Counts},
    problem::Kind,
    units::ByteCount,
};

fn tenant() -> Tenant {
    Tenant::default_tenant()
}

async fn admit(cache: &Cache, chunks: &[(ChunkId, bytes::Bytes)]) {
    for (id, bytes) in chunks {
        cache.admit(*id, bytes.clone()).await;
    }
}

fn sorted(mut ids: Vec<ChunkId>) -> Vec<ChunkId> {
    ids.sort();
    ids
}

#[tokio::test]
async fn records_come_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    let chunks = [chunk(1, 100), chunk(2, 100)];
    let (artifact, mut records) = commit("greeting", "ulaw", &chunks);
    keep(&mut records, &chunks[..1]);
    let key = records.source_key;
    let kept = records.kept.clone().unwrap();

    assert_eq!(cache.reference(&tenant(), &artifact).await.unwrap(), None);
    assert_eq!(cache.source(&tenant(), &key).await.unwrap(), None);
    cache.commit(records.clone()).await.unwrap();
    let reference = records.reference.as_ref().map(|(_, reference)| reference);
    assert_eq!(cache.reference_in_memory(&tenant(), &artifact).as_deref(), reference);
    assert_eq!(cache.source_in_memory(&tenant(), &key).as_deref(), records.source.as_ref());
    assert_eq!(cache.manifest_in_memory(&artifact).as_deref(), records.manifest.as_ref());
    assert_eq!(cache.kept_source(&kept.content_hash).await.unwrap().as_deref(), Some(&kept));
    assert_eq!(
        cache.stats().counts,
        Counts { sources: 1, references: 1, artifacts: 1, kept_sources: 1, responses: 0, pending: 0 }
    );
    cache.commit(records.clone()).await.unwrap();
    assert_eq!(
        cache.stats().counts,
        Counts { sources: 1, references: 1, artifacts: 1, kept_sources: 1, responses: 0, pending: 0 }
    );
    cache.close().await;
    drop(cache);

    let cache = open(&memory_only(), dir.path()).await;
    assert_eq!(cache.reference(&tenant(), &artifact).await.unwrap().as_deref(), reference);
    assert_eq!(cache.source(&tenant(), &key).await.unwrap().as_deref(), records.source.as_ref());
    assert_eq!(cache.kept_source(&kept.content_hash).await.unwrap().as_deref(), Some(&kept));

    cache.forget_source(&tenant(), &key).await.unwrap();
    cache.drop_manifest(&artifact).await.unwrap();
    cache.drop_kept(&kept.content_hash).await.unwrap();
    assert_eq!(cache.source(&tenant(), &key).await.unwrap(), None);
    assert_eq!(cache.manifest(&artifact).await.unwrap(), None);
    assert_eq!(cache.kept_source(&kept.content_hash).await.unwrap(), None);
    assert_eq!(cache.reference(&tenant(), &artifact).await.unwrap().as_deref(), reference, "the recipe stays");
    assert_eq!(cache.stats().counts, Counts { references: 1, ..Counts::default() });
}

#[tokio::test]
async fn the_last_reference_takes_its_chunks_along_and_leaves_shared_ones() {
    for config in [memory_only(), small()] {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(&config, dir.path()).await;
        let [own, shared, other, original] = [1, 2, 3, 4].map(|number| chunk(number, 5_000));
        let (ulaw, mut first) = commit("greeting", "ulaw", &[own.clone(), shared.clone(), own.clone()]);
        keep(&mut first, std::slice::from_ref(&original));
        let (alaw, second) = commit("greeting", "alaw", &[shared.clone(), other.clone()]);
        let key = first.source_key;
        admit(&cache, &[own.clone(), shared.clone(), other.clone(), original.clone()]).await;
        cache.commit(first.clone()).await.unwrap();
        cache.commit(second).await.unwrap();

        let dropped = cache.drop_reference(&tenant(), &ulaw, SystemTime::UNIX_EPOCH).await.unwrap().unwrap();
        assert_eq!(dropped.reference, first.reference.clone().unwrap().1);
        assert!(dropped.artifact_gone);
        assert_eq!(dropped.chunks, vec![own.0]);
        assert_eq!(cache.chunk(&own.0).await, None);
        assert_eq!(cache.chunk(&shared.0).await.unwrap().0, shared.1);
        assert_eq!(
            cache.chunk(&original.0).await.unwrap().0,
            original.1,
            "another format still refers to the original"
        );
        assert_eq!(cache.reference(&tenant(), &ulaw).await.unwrap(), None);
        assert_eq!(cache.manifest(&ulaw).await.unwrap(), None);
        assert_eq!(cache.source(&tenant(), &key).await.unwrap(), None, "the index entry goes with the reference");
        assert_eq!(cache.drop_reference(&tenant(), &ulaw, SystemTime::UNIX_EPOCH).await.unwrap(), None);

        let dropped = cache.drop_reference(&tenant(), &alaw, SystemTime::UNIX_EPOCH).await.unwrap().unwrap();
        assert_eq!(sorted(dropped.chunks), sorted(vec![shared.0, other.0, original.0]));
        assert_eq!(cache.stats().counts, Counts::default());
        assert_eq!(cache.stats().memory_chunks, 0);
        let rows: u32 = Connection::open(dir.path().join("media.db"))
            .unwrap()
            .query_row("SELECT count(*) FROM chunk_owners", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0);
    }
}

#[tokio::test]
async fn another_tenants_reference_keeps_the_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    let chunks = [chunk(1, 100)];
    let (artifact, records) = commit("greeting", "ulaw", &chunks);
    admit(&cache, &chunks).await;
    cache.commit(records).await.unwrap();
    Connection::open(dir.path().join("media.db"))
        .unwrap()
        .execute("INSERT INTO refs SELECT 'other', artifact, content_hash, source_key, record FROM refs", [])
        .unwrap();
    let dropped = cache.drop_reference(&tenant(), &artifact, SystemTime::UNIX_EPOCH).await.unwrap().unwrap();
    assert!(!dropped.artifact_gone);
    assert_eq!(dropped.chunks, vec![]);
    assert!(cache.manifest(&artifact).await.unwrap().is_some());
    assert!(cache.chunk(&chunks[0].0).await.is_some());
}

#[tokio::test]
async fn a_source_that_changed_keeps_its_index_entry_when_the_old_artifact_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    let (artifact, records) = commit("greeting", "ulaw", &[]);
    let mut changed = Commit::new(tenant(), records.source_key);
    changed.source = records.source.clone().map(|mut source| {
        source.content_hash = ContentHash::of(b"another original");
        source
    });
    cache.commit(records.clone()).await.unwrap();
    cache.commit(changed.clone()).await.unwrap();
    cache.drop_reference(&tenant(), &artifact, SystemTime::UNIX_EPOCH).await.unwrap().unwrap();
    assert_eq!(cache.source(&tenant(), &records.source_key).await.unwrap().as_deref(), changed.source.as_ref());
}

#[tokio::test]
async fn a_manifest_that_was_made_again_owns_its_new_chunks_only() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    let (old, new) = (chunk(1, 100), chunk(2, 100));
    let (artifact, first) = commit("greeting", "ulaw", &[old]);
    let (_, second) = commit("greeting", "ulaw", std::slice::from_ref(&new));
    cache.commit(first).await.unwrap();
    cache.commit(second).await.unwrap();
    assert_eq!(
        cache.drop_reference(&tenant(), &artifact, SystemTime::UNIX_EPOCH).await.unwrap().unwrap().chunks,
        vec![new.0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commits_are_all_there_afterwards() {
    const TASKS: u32 = 300;
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let cache = cache.clone();
            tokio::spawn(async move {
                let (artifact, records) = commit(&format!("clip-{number}"), "ulaw", &[chunk(number, 100)]);
                cache.commit(records).await.unwrap();
                artifact
            })
        })
        .collect();
    let mut artifacts = Vec::new();
    for task in tasks {
        artifacts.push(task.await.unwrap());
    }
    // As a kill would leave it: every commit that returned is in the files.
    let killed = super::snapshot(dir.path());
    let cache = open(&memory_only(), killed.path()).await;
    assert_eq!(cache.stats().counts.artifacts, u64::from(TASKS));
    for artifact in artifacts {
        assert!(cache.manifest(&artifact).await.unwrap().is_some());
        assert!(cache.reference(&tenant(), &artifact).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lookup_after_a_commit_never_sees_what_was_before() {
    const VERSIONS: u64 = 300;
    let dir = tempfile::tempdir().unwrap();
    // A front that holds nothing, so that lookups read the file while commits change it.
    let config = Config { catalogue_memory: ByteCount::kib(4), ..memory_only() };
    let cache = open(&config, dir.path()).await;
    let (_, records) = commit("greeting", "ulaw", &[]);
    let key = records.source_key;
    let first = records.source.clone().unwrap();
    let version = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (cache, version, done, start) = (cache.clone(), version.clone(), done.clone(), first.checked_at);
            tokio::spawn(async move {
                while !done.load(std::sync::atomic::Ordering::Acquire) {
                    let least = version.load(std::sync::atomic::Ordering::Acquire);
                    if let Some(found) = cache.source(&tenant(), &key).await.unwrap() {
                        let seen = found.checked_at.duration_since(start).unwrap().as_secs();
                        assert!(least <= seen, "version {seen} after {least} was committed");
                    }
                }
            })
        })
        .collect();
    for number in 1..=VERSIONS {
        let mut record = first.clone();
        record.checked_at += Duration::from_secs(number);
        let mut change = Commit::new(tenant(), key);
        change.source = Some(record);
        cache.commit(change).await.unwrap();
        version.store(number, std::sync::atomic::Ordering::Release);
    }
    done.store(true, std::sync::atomic::Ordering::Release);
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_counts_as_absent() {
    let dir = tempfile::tempdir().unwrap();
    let (artifact, records) = commit("greeting", "ulaw", &[]);
    let cache = open(&memory_only(), dir.path()).await;
    cache.commit(records.clone()).await.unwrap();
    cache.close().await;
    drop(cache);
    Connection::open(dir.path().join("media.db"))
        .unwrap()
        .execute_batch("UPDATE manifests SET record = '{\"later\": true}'; PRAGMA user_version = 999;")
        .unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    assert_eq!(cache.manifest(&artifact).await.unwrap(), None);
    cache.commit(records.clone()).await.unwrap();
    assert_eq!(cache.manifest(&artifact).await.unwrap().as_deref(), records.manifest.as_ref());
}

#[tokio::test]
async fn records_in_memory_are_bounded_and_small() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { catalogue_memory: ByteCount::mib(1), ..memory_only() };
    let cache = open(&config, dir.path()).await;
    for number in 0..1000 {
        let (_, records) = commit(&format!("clip-{number}"), "ulaw", &[chunk(number, 10)]);
        cache.commit(records).await.unwrap();
    }
    let stats = cache.stats();
    assert!(stats.record_bytes <= 1 << 20, "{stats:?}");
    assert!(stats.record_bytes / stats.record_entries < 640, "{stats:?}");
}

#[tokio::test]
async fn a_closed_catalogue_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    cache.close().await;
    cache.close().await;
    let (artifact, records) = commit("greeting", "ulaw", &[]);
    let error = cache.commit(records).await.unwrap_err();
    assert!(matches!(error, CacheError::Closed));
    assert_eq!(error.problem().kind, Kind::Busy);
    assert_eq!(cache.reference(&tenant(), &artifact).await.unwrap(), None, "lookups go on");
}

/// Regression: a cache that was dropped while it wrote gave its directory back at once. The next one counted what the durable tier was to be
/// told before the last of it was settled, and took it for pending until it wrote something itself.
#[tokio::test]
async fn a_directory_is_given_back_when_its_last_change_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    let (artifact, records) = commit("greeting", "ulaw", &[]);
    // Somebody else is writing, so that the change has to wait.
    let mut other = Connection::open(dir.path().join("media.db")).unwrap();
    let writing = other.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let mut committing = Box::pin(async move { cache.commit(records).await });
    assert!((&mut committing).now_or_never().is_none());
    // The cache goes with it.
    drop(committing);
    let reopen = async || Cache::open(&memory_only(), dir.path(), Clock::system()).await;
    assert!(matches!(reopen().await, Err(CacheError::Locked { .. })));
    writing.rollback().unwrap();
    let cache = loop {
        match reopen().await {
            Err(CacheError::Locked { .. }) => tokio::task::yield_now().await,
            opened => break opened.unwrap(),
        }
    };
    assert!(cache.reference(&tenant(), &artifact).await.unwrap().is_some(), "it was written before");
    assert_eq!(cache.stats().counts.references, 1);
}

/// With a front that holds next to nothing, so that the file is asked for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_found_before_and_after_it_is_known_what_is_not() {
    const RECORDS: u32 = 3_000;
    let dir = tempfile::tempdir().unwrap();
    let config = Config { catalogue_memory: ByteCount::kib(1), ..memory_only() };
    let one = |number: u32| commit(&format!("prompt-{number}"), "ulaw", &[chunk(1, 100)]);
    let is_there = async |cache: &Cache, number: u32| {
        let (artifact, records) = one(number);
        cache.reference(&tenant(), &artifact).await.unwrap().is_some()
            && cache.manifest(&artifact).await.unwrap().is_some()
            && cache.source(&tenant(), &records.source_key).await.unwrap().is_some()
    };
    let cache = open(&config, dir.path()).await;
    // The first time while it is filled, the second time when it has long been.
    for round in 0..2 {
        for number in round * RECORDS..(round + 1) * RECORDS {
            cache.commit(one(number).1).await.unwrap();
            assert!(is_there(&cache, number).await, "{number} in round {round}");
            assert!(!is_there(&cache, u32::MAX - number).await);
        }
    }
    cache.close().await;
    drop(cache);
    let cache = open(&config, dir.path()).await;
    for number in (0..2 * RECORDS).step_by(7).chain(0..50) {
        assert!(is_there(&cache, number).await, "{number} after a restart");
        assert!(!is_there(&cache, u32::MAX - number).await);
    }
    cache.close().await;
}
