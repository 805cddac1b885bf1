//! What nodes that share a durable tier tell one another, where listening fails in between.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::small;
use crate::{
    clock::Clock,
    ids::Tenant,
    media::cache::{
        Cache, News, Purge,
        durable::{Directory, ObjectStore as _},
    },
    testing::faulty_store::{Faults, FaultyStore},
};

const HOUR: Duration = Duration::from_secs(3600);

struct Bucket {
    store: FaultyStore,
    dir: tempfile::TempDir,
}

impl Bucket {
    async fn new() -> Bucket {
        let dir = tempfile::tempdir().unwrap();
        let store = FaultyStore::new(Arc::new(Directory::open(dir.path().to_owned()).await.unwrap()), 1);
        Bucket { store, dir }
    }

    async fn node(&self, dir: &Path) -> Cache {
        Cache::open_on(&small(), dir, Some(Arc::new(self.store.clone())), Clock::system()).await.unwrap()
    }

    /// Has a node announce something, and waits until it lies in the bucket.
    async fn announced(&self, by: &Cache, tag: &str, at: SystemTime) {
        by.purge(&Tenant::default_tenant(), Purge::Tag(tag.to_owned()), at).await.unwrap();
        while 0 < by.stats().counts.pending {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_pass_that_fails_half_way_is_made_good() {
    let bucket = Bucket::new().await;
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (speaker, now) = (bucket.node(dir.path()).await, Clock::system().now_wall());
    bucket.announced(&speaker, "one", now - 5 * HOUR).await;
    bucket.announced(&speaker, "other", now - 4 * HOUR).await;
    let announced = bucket.store.list("announcements/", None, 10).await.unwrap();
    let path = bucket.dir.path().join(announced[1].key.as_str());
    let sound = std::fs::read(&path).unwrap();
    std::fs::write(&path, "damaged on its way").unwrap();

    let node = bucket.node(other_dir.path()).await;
    assert_eq!(node.hear(now).await.unwrap(), [News::Purged], "the one before it");
    node.hear(now).await.unwrap_err();
    std::fs::write(&path, sound).unwrap();
    assert_eq!(node.hear(now).await.unwrap(), [News::Purged]);
    assert_eq!(node.hear(now).await.unwrap(), []);
    speaker.close().await;
    node.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_hears_what_was_said_meanwhile() {
    let bucket = Bucket::new().await;
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (speaker, now) = (bucket.node(dir.path()).await, Clock::system().now_wall());
    let node = bucket.node(other_dir.path()).await;
    bucket.announced(&speaker, "before", now - HOUR / 2).await;
    assert_eq!(node.hear(now).await.unwrap(), [News::Purged]);

    bucket.announced(&speaker, "meanwhile", now + HOUR / 2).await;
    bucket.store.set(Faults { is_down: true, ..Faults::default() });
    for hours in 1..5 {
        node.hear(now + hours * HOUR).await.unwrap_err();
    }
    bucket.store.set(Faults::default());
    assert_eq!(node.hear(now + 5 * HOUR).await.unwrap(), [News::Purged]);
    assert_eq!(node.hear(now + 5 * HOUR).await.unwrap(), []);
    // A clock that had gone wrong does not make it deaf for good.
    assert_eq!(node.hear(now + 500 * HOUR).await.unwrap(), []);
    bucket.announced(&speaker, "after", now + 6 * HOUR).await;
    assert_eq!(node.hear(now + 6 * HOUR).await.unwrap(), [News::Purged]);
    speaker.close().await;
    node.close().await;
}
