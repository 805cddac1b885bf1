use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::{Call, Faults, FaultyStore};
use crate::media::cache::durable::{Directory, ObjectKey, ObjectStore as _, Replace, StoreError, Upload, Written};

struct Bench {
    store: FaultyStore,
    _dir: tempfile::TempDir,
}

async fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let store = FaultyStore::new(Arc::new(Directory::open(dir.path().to_owned()).await.unwrap()), 7);
    for (name, byte) in [("a", 1), ("b", 2)] {
        store.put(&key(name), Upload::of(Bytes::from(vec![byte; 1_000]), "x/y", Replace::Always)).await.unwrap();
    }
    store.take_calls();
    Bench { store, _dir: dir }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name.to_owned()).unwrap()
}

impl Bench {
    async fn read(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let got = self.store.get(&key(name), None).await?;
        Ok(got.body.try_collect::<Vec<Bytes>>().await?.concat())
    }

    async fn write(&self, name: &str) -> Result<Written, StoreError> {
        self.store.put(&key(name), Upload::of(Bytes::from_static(b"new"), "x/y", Replace::Never)).await
    }
}

#[tokio::test]
async fn bodies_are_spoiled_as_told() {
    let bench = bench().await;
    bench.store.set(Faults { corrupt: 1.0, ..Faults::default() });
    let read = bench.read("a").await.unwrap();
    let flipped: u32 = read.iter().map(|byte| (byte ^ 1).count_ones()).sum();
    assert_eq!((read.len(), flipped), (1_000, 1));

    bench.store.set(Faults { truncate: 1.0, ..Faults::default() });
    assert!(bench.read("a").await.unwrap().len() < 1_000);

    bench.store.set(Faults { break_off: 1.0, ..Faults::default() });
    assert!(matches!(bench.read("a").await, Err(StoreError::Unavailable { .. })));

    bench.store.set(Faults { swap: 1.0, ..Faults::default() });
    bench.read("a").await.unwrap();
    assert_eq!(bench.read("b").await.unwrap(), vec![1; 1_000]);

    bench.store.set(Faults::default());
    assert_eq!(bench.read("a").await.unwrap(), vec![1; 1_000]);
}

#[tokio::test]
async fn writes_fail_before_or_after_they_happen() {
    let bench = bench().await;
    bench.store.set(Faults { lose_acknowledgement: 1.0, ..Faults::default() });
    assert!(bench.write("lost").await.is_err());
    bench.store.set(Faults { tear: 1.0, ..Faults::default() });
    assert!(bench.write("torn").await.is_err());
    bench.store.set(Faults { is_down: true, ..Faults::default() });
    assert!(bench.write("down").await.is_err());
    assert!(bench.store.list("", None, 10).await.is_err());
    bench.store.set(Faults::default());
    assert_eq!(bench.write("lost").await.unwrap(), Written::WasThere);
    assert_eq!(bench.write("torn").await.unwrap(), Written::Yes);
    assert_eq!(bench.write("down").await.unwrap(), Written::Yes);
}

#[tokio::test]
async fn it_remembers_what_it_was_asked() {
    let bench = bench().await;
    drop(bench.store.get(&key("a"), Some(3..7)).await.unwrap());
    bench.store.change(|faults| faults.fail = 1.0);
    assert!(bench.store.head(&key("b")).await.is_err());
    assert_eq!(bench.store.calls_count(|call| matches!(call, Call::Get(..))), 1);
    assert_eq!(bench.store.take_calls(), [Call::Get("a".to_owned(), Some(3..7)), Call::Head("b".to_owned())]);
    assert!(bench.store.take_calls().is_empty());
}

#[tokio::test]
async fn one_seed_is_one_story() {
    async fn story() -> Vec<bool> {
        let bench = bench().await;
        bench.store.set(Faults { fail: 0.5, ..Faults::default() });
        let mut story = Vec::new();
        for _ in 0..30 {
            story.push(bench.read("a").await.is_ok());
        }
        story
    }
    let (one, other) = (story().await, story().await);
    assert_eq!(one, other);
    assert!(one.contains(&true) && one.contains(&false));
}

#[tokio::test(start_paused = true)]
async fn it_takes_the_time_it_is_told_to() {
    let bench = bench().await;
    let second = Duration::from_secs(1);
    bench.store.set(Faults { delay: second, piece_delay: 2 * second, ..Faults::default() });
    let begun = tokio::time::Instant::now();
    bench.read("a").await.unwrap();
    assert!(begun.elapsed() >= 3 * second);
}
