//! The list of what the durable tier is to be told, when an outage has filled it.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::{chunk, commit, small};
use crate::{
    clock::Clock,
    ids::{ArtifactId, ChunkId, SourceKey, Tenant},
    media::cache::{
        Cache, Config, News, Purge, Reader, Tier, Whole,
        durable::{Directory, ObjectStore},
    },
    testing::faulty_store::{Faults, FaultyStore},
};

/// A fill of these tests notes so many rows: source, manifest, reference.
const ROWS: u64 = 3;

struct Stand {
    bucket: Arc<dyn ObjectStore>,
    store: FaultyStore,
    _dir: tempfile::TempDir,
}

impl Stand {
    /// A directory that is down.
    async fn new() -> Stand {
        let dir = tempfile::tempdir().unwrap();
        let bucket: Arc<dyn ObjectStore> = Arc::new(Directory::open(dir.path().to_owned()).await.unwrap());
        let store = FaultyStore::new(Arc::clone(&bucket), 1);
        store.set(Faults { is_down: true, ..Faults::default() });
        Stand { bucket, store, _dir: dir }
    }

    /// A node whose list has so much room.
    async fn node(&self, dir: &Path, pending_max: u64) -> Cache {
        let mut config: Config = small();
        config.durable.pending_max = pending_max;
        Cache::open_on(&config, dir, Some(Arc::new(self.store.clone())), Clock::system()).await.unwrap()
    }

    /// Another node, which has nothing but the bucket.
    async fn fresh(&self, dir: &Path) -> Cache {
        Cache::open_on(&small(), dir, Some(Arc::clone(&self.bucket)), Clock::system()).await.unwrap()
    }
}

/// What the end of a fill does.
async fn fill(cache: &Cache, number: u32) -> (ArtifactId, (ChunkId, Bytes)) {
    let chunk = chunk(number, 10_000);
    cache.admit(chunk.0, chunk.1.clone()).await;
    let (artifact, records) = commit(&format!("prompt-{number}"), "ulaw", std::slice::from_ref(&chunk));
    cache.commit(records).await.unwrap();
    (artifact, chunk)
}

async fn told(cache: &Cache) {
    while 0 < cache.stats().counts.pending {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Whether a node serves it, and from where.
async fn served(cache: &Cache, artifact: &ArtifactId, bytes: &Bytes) -> Option<Tier> {
    cache.reference(&Tenant::default_tenant(), artifact).await.unwrap()?;
    let manifest = cache.manifest(artifact).await.unwrap()?;
    let (found, tier) = Reader::new(cache, Whole::Artifact(manifest), 0..1).next().await?;
    assert_eq!(found, *bytes);
    Some(tier)
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_the_list_is_served_here_and_shared_when_it_is_made_again() {
    let stand = Stand::new().await;
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = stand.node(dir.path(), 2 * ROWS).await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(fill(&cache, number).await);
        assert_eq!(cache.stats().counts.pending, (ROWS * u64::from(number + 1)).min(2 * ROWS));
    }
    // A record that is in the list already takes no more room.
    fill(&cache, 1).await;
    assert_eq!(cache.stats().counts.pending, 2 * ROWS);
    for (artifact, (_, bytes)) in &made {
        assert_eq!(served(&cache, artifact, bytes).await, Some(Tier::Memory));
    }

    stand.store.set(Faults::default());
    told(&cache).await;
    let other = stand.fresh(other_dir.path()).await;
    for (number, (artifact, (_, bytes))) in made.iter().enumerate() {
        let found = served(&other, artifact, bytes).await;
        assert_eq!(found, (number < 2).then_some(Tier::Directory), "prompt {number}");
        assert_eq!(served(&cache, artifact, bytes).await, Some(Tier::Memory), "prompt {number}");
    }
    fill(&cache, 4).await;
    told(&cache).await;
    let (artifact, (_, bytes)) = &made[4];
    assert_eq!(served(&other, artifact, bytes).await, Some(Tier::Directory));
    cache.close().await;
    other.close().await;
}

/// What is taken away is told however full the list is: in the place of what came last and only adds something.
#[tokio::test(start_paused = true)]
async fn deletions_and_purges_get_into_a_full_list() {
    /// Four removals of what the deletion takes along, two announcements, and one row that stays.
    const ROOM: u64 = 7;
    let stand = Stand::new().await;
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tenant = Tenant::default_tenant();
    let clock = Clock::system();
    // All lies in the bucket before the outage.
    stand.store.set(Faults::default());
    let cache = stand.node(dir.path(), ROOM).await;
    let (deleted, (_, bytes)) = fill(&cache, 0).await;
    let (kept, (_, kept_bytes)) = fill(&cache, 1).await;
    told(&cache).await;
    let other = stand.fresh(other_dir.path()).await;
    assert_eq!(served(&other, &deleted, &bytes).await, Some(Tier::Directory));
    assert_eq!(served(&other, &kept, &kept_bytes).await, Some(Tier::Directory));
    stand.store.set(Faults { is_down: true, ..Faults::default() });
    fill(&cache, 2).await;
    fill(&cache, 3).await;
    fill(&cache, 4).await;
    assert_eq!(cache.stats().counts.pending, ROOM);

    cache.drop_reference(&tenant, &deleted, clock.now_wall()).await.unwrap();
    cache.purge(&tenant, Purge::Url("https://sounds.example/prompt-1.mp3".to_owned()), clock.now_wall()).await.unwrap();
    assert_eq!(cache.stats().counts.pending, ROOM);
    // They are there after a restart, too.
    cache.close().await;
    drop(cache);
    let cache = stand.node(dir.path(), ROOM).await;
    assert_eq!(cache.stats().counts.pending, ROOM);

    stand.store.set(Faults::default());
    told(&cache).await;
    let news = other.hear(clock.now_wall()).await.unwrap();
    assert!(news.contains(&News::Forgotten(tenant.clone(), deleted)), "{news:?}");
    assert_eq!(served(&other, &deleted, &bytes).await, None);
    let reference = other.reference(&tenant, &kept).await.unwrap().unwrap();
    assert!(other.is_purged(&tenant, &reference));
    for prefix in ["artifacts/", "manifests/", "references/", "sources/"] {
        let listed = stand.bucket.list(prefix, None, 100).await.unwrap();
        assert!(listed.iter().all(|listed| !listed.key.as_str().contains(&deleted.to_string())), "{listed:?}");
    }
    cache.close().await;
    other.close().await;
}

/// With nothing but removals in it, the list is full for good: what comes then is refused, and the bound holds.
#[tokio::test(start_paused = true)]
async fn a_list_full_of_removals_stays_at_its_bound() {
    let stand = Stand::new().await;
    let dir = tempfile::tempdir().unwrap();
    let cache = stand.node(dir.path(), 3).await;
    let tenant = Tenant::default_tenant();
    for number in 0..10 {
        let purge = Purge::Tag(format!("tag-{number}"));
        cache.purge(&tenant, purge, Clock::system().now_wall()).await.unwrap();
        fill(&cache, number).await;
        assert!(cache.stats().counts.pending <= 3);
    }
    stand.store.set(Faults::default());
    told(&cache).await;
    cache.close().await;
}

/// Whoever deletes may be gone a moment later: what is dropped and what the others are told is one change.
#[tokio::test(start_paused = true)]
async fn a_deletion_that_nobody_waits_for_is_told_all_the_same() {
    let stand = Stand::new().await;
    let (dir, tenant) = (tempfile::tempdir().unwrap(), Tenant::default_tenant());
    let cache = stand.node(dir.path(), 100).await;
    let (artifact, _) = fill(&cache, 0).await;
    let deleting = cache.drop_reference(&tenant, &artifact, Clock::system().now_wall());
    assert!(deleting.now_or_never().is_none());
    // It is in the queue before this one, and nobody says anything after it.
    cache.forget_source(&tenant, &SourceKey::of(b"another")).await.unwrap();
    assert!(cache.reference(&tenant, &artifact).await.unwrap().is_none());

    stand.store.set(Faults::default());
    told(&cache).await;
    assert_eq!(stand.bucket.list("announcements/", None, 10).await.unwrap().len(), 1);
    cache.close().await;
}

/// Waits until so many rows are left to be told.
async fn left(cache: &Cache, rows: u64) {
    let is_so = async {
        while cache.stats().counts.pending != rows {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let left = tokio::time::timeout(Duration::from_secs(600), is_so).await;
    left.unwrap_or_else(|_| panic!("{} rows are left", cache.stats().counts.pending));
}

#[tokio::test(start_paused = true)]
async fn what_the_store_refuses_holds_up_nothing_else() {
    let stand = Stand::new().await;
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (tenant, now) = (Tenant::default_tenant(), Clock::system().now_wall());
    let cache = stand.node(dir.path(), 100).await;
    let (artifact, (_, bytes)) = fill(&cache, 0).await;
    cache.purge(&tenant, Purge::Tag("another".to_owned()), now).await.unwrap();
    assert_eq!(cache.stats().counts.pending, ROWS + 1);
    stand.store.set(Faults { refuse: Some("artifacts/"), ..Faults::default() });
    left(&cache, 1).await;
    assert!(cache.stats().durable_failing);

    let other = stand.fresh(other_dir.path()).await;
    assert_eq!(other.hear(now).await.unwrap(), [News::Purged]);
    assert!(other.reference(&tenant, &artifact).await.unwrap().is_some(), "by which it can be made again");
    assert_eq!(served(&other, &artifact, &bytes).await, None);
    stand.store.set(Faults::default());
    left(&cache, 0).await;
    assert_eq!(served(&other, &artifact, &bytes).await, Some(Tier::Directory));
    cache.close().await;
    other.close().await;
}

/// Bytes stay as long as a reference to them that could not be removed, and go after it.
#[tokio::test(start_paused = true)]
async fn a_removal_that_is_refused_is_made_good_with_what_hangs_on_it() {
    let stand = Stand::new().await;
    let (dir, tenant) = (tempfile::tempdir().unwrap(), Tenant::default_tenant());
    stand.store.set(Faults::default());
    let cache = stand.node(dir.path(), 100).await;
    let (artifact, _) = fill(&cache, 0).await;
    left(&cache, 0).await;
    stand.store.set(Faults { refuse: Some("references/"), ..Faults::default() });
    cache.drop_reference(&tenant, &artifact, Clock::system().now_wall()).await.unwrap();
    // Of the index entry all is told.
    left(&cache, 3).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(cache.stats().counts.pending, 3);

    stand.store.set(Faults::default());
    left(&cache, 0).await;
    for prefix in ["artifacts/", "manifests/", "references/", "index/"] {
        assert_eq!(stand.bucket.list(prefix, None, 1).await.unwrap(), []);
    }
    cache.close().await;
}
