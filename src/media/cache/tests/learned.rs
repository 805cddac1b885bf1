//! What a node learns of the durable tier: found at once, written down with what comes next or a little later.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{chunk, commit, small};
use crate::{
    clock::Clock,
    ids::{ArtifactId, SourceKey, Tenant},
    media::cache::{
        Cache, Commit, SourceRecord,
        durable::{Directory, ObjectStore},
    },
    testing::faulty_store::{Faults, FaultyStore},
};

/// More than may wait to be written.
const MANY: u32 = 300;

struct Bucket {
    store: FaultyStore,
    _dir: tempfile::TempDir,
}

impl Bucket {
    /// One with so many artifacts.
    async fn with(artifacts: u32) -> (Bucket, Vec<(ArtifactId, SourceKey)>) {
        let (dir, maker_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directory: Arc<dyn ObjectStore> = Arc::new(Directory::open(dir.path().to_owned()).await.unwrap());
        let bucket = Bucket { store: FaultyStore::new(directory, 1), _dir: dir };
        let maker = bucket.node(maker_dir.path()).await;
        let mut made = Vec::new();
        for number in 0..artifacts {
            let chunk = chunk(number, 100);
            maker.admit(chunk.0, chunk.1.clone()).await;
            let (artifact, records) = commit(&format!("prompt-{number}"), "ulaw", std::slice::from_ref(&chunk));
            made.push((artifact, records.source_key));
            maker.commit(records).await.unwrap();
        }
        while 0 < maker.stats().counts.pending {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        maker.close().await;
        (bucket, made)
    }

    async fn node(&self, dir: &Path) -> Cache {
        Cache::open_on(&small(), dir, Some(Arc::new(self.store.clone())), Clock::system()).await.unwrap()
    }

    fn is_down(&self, is_down: bool) {
        self.store.set(Faults { is_down, ..Faults::default() });
    }
}

/// Which of the three records a node finds.
async fn found(cache: &Cache, (artifact, key): &(ArtifactId, SourceKey)) -> [bool; 3] {
    let tenant = Tenant::default_tenant();
    let reference = cache.reference(&tenant, artifact).await.unwrap_or_default();
    let manifest = cache.manifest(artifact).await.unwrap_or_default();
    let source = cache.source(&tenant, key).await.unwrap_or_default();
    [reference.is_some(), manifest.is_some(), source.is_some()]
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_is_known_without_the_durable_tier() {
    let (bucket, made) = Bucket::with(MANY).await;
    let dir = tempfile::tempdir().unwrap();
    let node = bucket.node(dir.path()).await;
    for one in &made {
        assert_eq!(found(&node, one).await, [true; 3]);
    }
    let (last, key) = made.last().unwrap();
    // Nobody has waited for it to be written.
    assert!(node.reference_in_memory(&Tenant::default_tenant(), last).is_some());
    assert!(node.manifest_in_memory(last).is_some());
    assert!(node.source_in_memory(&Tenant::default_tenant(), key).is_some());
    node.close().await;
    drop(node);

    bucket.is_down(true);
    let node = bucket.node(dir.path()).await;
    for one in &made {
        assert_eq!(found(&node, one).await, [true; 3]);
    }
    node.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_is_written_where_nothing_else_is() {
    let (bucket, made) = Bucket::with(1).await;
    let dir = tempfile::tempdir().unwrap();
    let node = bucket.node(dir.path()).await;
    assert_eq!(found(&node, &made[0]).await, [true; 3]);
    while node.stats().counts.references == 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    node.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_and_dropped_at_once_stays_away() {
    let (bucket, made) = Bucket::with(2).await;
    let dir = tempfile::tempdir().unwrap();
    let node = bucket.node(dir.path()).await;
    let tenant = Tenant::default_tenant();
    for one in &made {
        assert_eq!(found(&node, one).await, [true; 3]);
    }
    bucket.is_down(true);
    let at: SystemTime = Clock::system().now_wall();
    assert!(node.drop_reference(&tenant, &made[0].0, at).await.unwrap().is_some());
    node.forget_source(&tenant, &made[1].1).await.unwrap();
    node.close().await;
    drop(node);

    let node = bucket.node(dir.path()).await;
    bucket.is_down(false);
    assert!(!found(&node, &made[0]).await[0]);
    assert_eq!(found(&node, &made[1]).await[..2], [true; 2]);
    node.close().await;
}

/// Who lists what there is, to remove it, must not miss what was served a moment ago.
#[tokio::test(start_paused = true)]
async fn what_was_learned_is_listed_at_once() {
    let (bucket, made) = Bucket::with(1).await;
    let dir = tempfile::tempdir().unwrap();
    let node = bucket.node(dir.path()).await;
    let tenant = Tenant::default_tenant();
    assert_eq!(found(&node, &made[0]).await, [true; 3]);
    let listed = node.list(&tenant, None, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    node.close().await;
}

/// What another node knew and what has come to be known here while it was on its way: the newer one holds, wherever it is looked up.
#[tokio::test(start_paused = true)]
async fn what_was_learned_and_is_older_takes_nothings_place() {
    let (bucket, made) = Bucket::with(1).await;
    let dir = tempfile::tempdir().unwrap();
    let node = bucket.node(dir.path()).await;
    let (tenant, key) = (Tenant::default_tenant(), made[0].1);
    let theirs = node.source(&tenant, &key).await.unwrap().unwrap();
    let hour = Duration::from_secs(3600);
    let before = SourceRecord { checked_at: theirs.checked_at - hour, ..SourceRecord::clone(&theirs) };
    let after = SourceRecord { checked_at: theirs.checked_at + hour, ..SourceRecord::clone(&theirs) };
    let newer = Commit { source: Some(after.clone()), ..Commit::new(tenant.clone(), key) };
    node.commit(newer).await.unwrap();
    while 0 < node.stats().counts.pending {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // Another node is told late, and has the last word in the bucket.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = bucket.node(elsewhere.path()).await;
    let older = Commit { source: Some(SourceRecord::clone(&theirs)), ..Commit::new(tenant.clone(), key) };
    other.commit(older).await.unwrap();
    while 0 < other.stats().counts.pending {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    other.close().await;
    // Somebody here still holds what was before both.
    node.source_elsewhere(&tenant, &key, &before).await.unwrap();
    // What was learned is written by then.
    node.list(&tenant, None, None, 1).await.unwrap();
    let known = node.source(&tenant, &key).await.unwrap().unwrap();
    assert_eq!(known.checked_at, after.checked_at);
    node.close().await;
}
