//! Uploads on a store that fails.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::{Uploaded, Uploads};
use crate::{
    ids::{ContentHash, Tenant},
    media::{
        cache::durable::{Directory, ObjectStore as _, layout},
        spool::{Limits, Spools},
    },
    problem::{Kind, Problem},
    testing::{
        faulty_store::{Faults, FaultyStore},
        fixture,
    },
    units::ByteCount,
};

struct World {
    _dir: TempDir,
    store: FaultyStore,
    uploads: Uploads,
}

impl World {
    async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path().join("store")).await.unwrap();
        let store = FaultyStore::new(Arc::new(directory), 3);
        let limit = ByteCount::mib(8);
        let limits = Limits { total: limit, memory: limit, memory_total: limit, short: ByteCount::bytes(0) };
        let uploads = Uploads {
            store: Arc::new(store.clone()),
            spools: Spools::open(&dir.path().join("spool"), limits).unwrap(),
            places: Arc::new(Semaphore::new(1)),
            bytes_max: limit,
            timeout: Duration::from_secs(60),
        };
        World { _dir: dir, store, uploads }
    }

    async fn receive(&self, declared: Option<u64>) -> Result<Uploaded, Problem> {
        let pieces = speech().chunks(1000).map(Bytes::copy_from_slice).map(Ok::<_, Infallible>).collect::<Vec<_>>();
        self.uploads.receive(&tenant(), declared, stream::iter(pieces), Duration::from_secs(60)).await
    }

    async fn is_kept(&self) -> bool {
        self.store.set(Faults::default());
        self.store.head(&layout::upload(&tenant(), &ContentHash::of(&speech()))).await.is_ok()
    }
}

fn speech() -> Vec<u8> {
    std::fs::read(fixture::audio_dir().join("speech.mp3")).unwrap()
}

fn tenant() -> Tenant {
    Tenant::default_tenant()
}

#[tokio::test]
async fn what_the_store_did_not_take_is_not_acknowledged() {
    let world = World::new().await;
    let faults = [
        Faults { is_down: true, ..Faults::default() },
        Faults { fail: 1.0, ..Faults::default() },
        Faults { tear: 1.0, ..Faults::default() },
    ];
    for faults in faults {
        world.store.set(faults.clone());
        assert_eq!(world.receive(None).await.unwrap_err().kind, Kind::Busy, "{faults:?}");
        assert!(!world.is_kept().await, "{faults:?}");
    }
    // It was kept, and nobody could know: whoever tries again is told so.
    world.store.set(Faults { lose_acknowledgement: 1.0, ..Faults::default() });
    assert_eq!(world.receive(None).await.unwrap_err().kind, Kind::Busy);
    assert!(world.is_kept().await);
    let uploaded = world.receive(Some(speech().len() as u64)).await.unwrap();
    assert_eq!((uploaded.was_there, uploaded.content_type.as_str()), (true, "audio/mpeg"));
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_not_said_to_be_there() {
    let world = World::new().await;
    world.receive(None).await.unwrap();
    world.store.set(Faults { break_off: 1.0, ..Faults::default() });
    assert_eq!(world.receive(None).await.unwrap_err().kind, Kind::Busy);
    // Read back as other bytes, it is written anew.
    world.store.set(Faults { corrupt: 1.0, ..Faults::default() });
    assert!(!world.receive(None).await.unwrap().was_there);
}

#[tokio::test]
async fn a_length_that_lies_is_refused_and_places_are_few() {
    let world = World::new().await;
    let length = speech().len() as u64;
    for lie in [length - 1, length + 1, 1] {
        assert_eq!(world.receive(Some(lie)).await.unwrap_err().kind, Kind::BadRequest, "{lie}");
    }
    assert_eq!(world.receive(Some(u64::MAX)).await.unwrap_err().kind, Kind::OverLimit);
    assert!(!world.is_kept().await);
    let place = world.uploads.places.try_acquire().unwrap();
    assert_eq!(world.receive(None).await.unwrap_err().kind, Kind::Busy);
    drop(place);
    world.receive(Some(length)).await.unwrap();
    assert!(world.is_kept().await);
}

#[tokio::test]
async fn what_is_anothers_is_as_unknown_as_what_is_nobodys() {
    let world = World::new().await;
    let name = world.receive(None).await.unwrap().content_hash.to_string();
    let other: Tenant = "other".parse().unwrap();
    let (parts, ()) = http::Request::new(()).into_parts();
    let nobodys = ContentHash::of(b"nothing").to_string();
    let mut answers = Vec::new();
    for name in [name.as_str(), nobodys.as_str(), "no name"] {
        answers.push(world.uploads.answer(&other, name, &parts).await.unwrap_err());
        answers.push(world.uploads.remove(&other, name).await.unwrap_err());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.kind == Kind::NotFound), "{answers:?}");
    assert!(world.is_kept().await);
    world.uploads.remove(&tenant(), &name).await.unwrap();
    assert!(!world.is_kept().await);
}
