use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};

use super::Resting;
use crate::{
    clock::Clock,
    media::cache::durable::{
        config::Config,
        directory::Directory,
        store::{ObjectKey, ObjectStore as _, Replace, StoreError, Upload},
    },
    testing::faulty_store::{Call, Faults, FaultyStore},
};

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    store: Arc<Resting>,
    faulty: FaultyStore,
    _dir: tempfile::TempDir,
}

async fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let faulty = FaultyStore::new(Arc::new(Directory::open(dir.path().to_owned()).await.unwrap()), 1);
    faulty.put(&key("one"), object(600 << 10)).await.unwrap();
    faulty.put(&key("other"), object(1)).await.unwrap();
    let config = Config { rest_after_failures: 3, requests_max: 2, ..Config::default() };
    faulty.take_calls();
    Bench { store: Arc::new(Resting::new(Arc::new(faulty.clone()), &config, Clock::system())), faulty, _dir: dir }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name.to_owned()).unwrap()
}

fn object(length: usize) -> Upload {
    Upload::of(Bytes::from(vec![1; length]), "x/y", Replace::Always)
}

impl Bench {
    async fn look(&self) -> Result<u64, StoreError> {
        self.store.head(&key("one")).await.map(|meta| meta.length)
    }

    async fn read(&self) -> Result<usize, StoreError> {
        let got = self.store.get(&key("one"), None).await?;
        Ok(got.body.try_collect::<Vec<Bytes>>().await?.concat().len())
    }

    fn asked(&self) -> usize {
        self.faulty.take_calls().len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_left_alone_and_tried_again() {
    let bench = bench().await;
    bench.faulty.change(|faults| faults.is_down = true);
    for _ in 0..3 {
        assert!(!bench.store.is_resting());
        assert!(matches!(bench.look().await, Err(StoreError::Unavailable { .. })));
    }
    assert!(bench.store.is_resting());
    assert_eq!(bench.asked(), 3);
    for _ in 0..10 {
        assert!(matches!(bench.look().await, Err(StoreError::Resting)));
        assert!(matches!(bench.store.put(&key("x"), object(1)).await, Err(StoreError::Resting)));
    }
    assert_eq!(bench.asked(), 0, "nobody waits for what does not answer");

    tokio::time::advance(2 * SECOND).await;
    assert!(matches!(bench.look().await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(bench.look().await, Err(StoreError::Resting)));
    bench.faulty.set(Faults::default());
    tokio::time::advance(3 * SECOND).await;
    assert!(bench.look().await.is_ok());
    assert!(!bench.store.is_resting());
    assert_eq!(bench.asked(), 2);
}

#[tokio::test]
async fn answers_are_no_failures() {
    let bench = bench().await;
    for _ in 0..10 {
        assert!(matches!(bench.store.head(&key("no")).await, Err(StoreError::NotFound { .. })));
        assert!(matches!(bench.store.get(&key("one"), Some(0..1 << 40)).await, Err(StoreError::OutOfRange { .. })));
        let short = Upload { length: 2, ..object(1) };
        assert!(matches!(bench.store.put(&key("x"), short).await, Err(StoreError::Body { .. })));
    }
    assert!(!bench.store.is_resting());
}

#[tokio::test]
async fn bodies_that_break_off_are_failures() {
    let bench = bench().await;
    bench.faulty.change(|faults| faults.break_off = 1.0);
    for _ in 0..3 {
        assert!(!bench.store.is_resting());
        assert!(matches!(bench.read().await, Err(StoreError::Unavailable { .. })));
    }
    assert!(bench.store.is_resting());
}

#[tokio::test]
async fn a_reader_that_stops_at_the_last_byte_has_seen_a_success() {
    let bench = bench().await;
    for _ in 0..10 {
        bench.faulty.change(|faults| faults.fail = 1.0);
        for _ in 0..2 {
            bench.look().await.unwrap_err();
        }
        bench.faulty.change(|faults| faults.fail = 0.0);
        let mut got = bench.store.get(&key("one"), Some(5..6)).await.unwrap();
        assert_eq!(got.body.next().await.unwrap().unwrap().len(), 1);
    }
    assert!(!bench.store.is_resting());
}

#[tokio::test(start_paused = true)]
async fn slow_answers_are_used_and_counted_as_failures() {
    let bench = bench().await;
    bench.faulty.change(|faults| faults.delay = 3 * SECOND);
    for _ in 0..5 {
        bench.store.put(&key("x"), object(1)).await.unwrap();
    }
    assert!(!bench.store.is_resting(), "a write may take its time");
    for _ in 0..3 {
        assert_eq!(bench.look().await.unwrap(), 600 << 10);
    }
    assert!(bench.store.is_resting());
}

#[tokio::test(start_paused = true)]
async fn a_place_among_the_requests_is_waited_for_and_not_for_ever() {
    let bench = bench().await;
    // A body that is not read to its end holds its place.
    let bodies = [bench.store.get(&key("one"), None).await.unwrap(), bench.store.get(&key("one"), None).await.unwrap()];
    bench.asked();
    let begun = tokio::time::Instant::now();
    assert!(matches!(bench.look().await, Err(StoreError::Unavailable { .. })));
    assert!(begun.elapsed() >= SECOND);
    assert_eq!(bench.asked(), 0);

    let waiting = tokio::spawn({
        let store = Arc::clone(&bench.store);
        async move { store.head(&key("one")).await }
    });
    drop(bodies);
    waiting.await.unwrap().unwrap();
    assert!(!bench.store.is_resting(), "a full house is no failure of the store");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_given_up_leaves_its_turn_to_another() {
    let bench = bench().await;
    bench.faulty.change(|faults| faults.is_down = true);
    for _ in 0..3 {
        bench.look().await.unwrap_err();
    }
    tokio::time::advance(2 * SECOND).await;
    bench.faulty.set(Faults { delay: 1_000 * SECOND, ..Faults::default() });
    bench.asked();
    let trial = tokio::spawn({
        let store = Arc::clone(&bench.store);
        async move { store.head(&key("one")).await }
    });
    while bench.faulty.calls_count(|_| true) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(matches!(bench.look().await, Err(StoreError::Resting)), "one at a time");
    trial.abort();
    assert!(trial.await.unwrap_err().is_cancelled());
    bench.faulty.set(Faults::default());
    assert!(bench.look().await.is_ok());
}

#[tokio::test]
async fn an_object_that_is_refused_keeps_nobody_from_the_others() {
    let bench = bench().await;
    bench.faulty.change(|faults| faults.refuse = Some("x"));
    for _ in 0..10 {
        assert!(matches!(bench.store.put(&key("x"), object(1)).await, Err(StoreError::Refused { .. })));
        assert!(matches!(bench.store.delete(&key("x")).await, Err(StoreError::Refused { .. })));
    }
    assert!(!bench.store.is_resting());
}

#[tokio::test(start_paused = true)]
async fn a_long_write_keeps_nobody_from_a_store_that_works_again() {
    let bench = bench().await;
    bench.faulty.change(|faults| faults.is_down = true);
    for _ in 0..3 {
        bench.look().await.unwrap_err();
    }
    bench.asked();
    tokio::time::advance(2 * SECOND).await;
    assert!(matches!(bench.store.put(&key("x"), object(1)).await, Err(StoreError::Unavailable { .. })));
    assert_eq!(bench.faulty.take_calls(), [Call::Head("x".to_owned())], "what is short comes first");
    assert!(bench.store.is_resting());

    bench.faulty.set(Faults::default());
    tokio::time::advance(3 * SECOND).await;
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let body = stream::once(async move {
        began.send(()).unwrap();
        future::pending().await
    });
    let writing = tokio::spawn({
        let store = Arc::clone(&bench.store);
        let upload = Upload { body: body.boxed(), ..object(1) };
        async move { store.put(&key("x"), upload).await }
    });
    has_begun.await.unwrap();
    assert_eq!(bench.look().await.unwrap(), 600 << 10);
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
}
