//! Uploads on a store that fails.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::{Config, Progress, Resumable, Uploaded, Uploads, quota::Quotas};
use crate::{
    clock::Clock,
    ids::{ContentHash, RandomId, Tenant},
    media::{
        cache::durable::{self, Directory, ObjectStore as _, Resting, layout},
        spool::{Limits, Spools},
    },
    problem::{Kind, Problem},
    testing::{
        faulty_store::{Faults, FaultyStore},
        fixture,
        signal::{Depth, Signal},
    },
    units::{ByteCount, SampleRate},
};

struct World {
    dir: TempDir,
    clock: Clock,
    store: FaultyStore,
    uploads: Uploads,
}

impl World {
    async fn new() -> World {
        let (dir, clock) = (tempfile::tempdir().unwrap(), Clock::system());
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
            quotas: Quotas::new(None, None, clock.clone()),
        };
        World { dir, clock, store, uploads }
    }

    /// What was begun before is read back.
    fn resumable(&self, config: &Config) -> Resumable {
        Resumable::open(config, self.dir.path(), self.uploads.clone(), self.clock.clone()).unwrap()
    }

    fn unfinished(&self) -> std::path::PathBuf {
        self.dir.path().join("uploads-unfinished")
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
    world.store.set(Faults { is_full: true, ..Faults::default() });
    assert_eq!(world.receive(None).await.unwrap_err().kind, Kind::StorageFull);
    assert!(!world.is_kept().await);
    // It was kept, and nobody could know: whoever tries again is told so.
    world.store.set(Faults { lose_acknowledgement: 1.0, ..Faults::default() });
    assert_eq!(world.receive(None).await.unwrap_err().kind, Kind::Busy);
    assert!(world.is_kept().await);
    let uploaded = world.receive(Some(speech().len() as u64)).await.unwrap();
    assert_eq!((uploaded.was_there, uploaded.content_type.as_str()), (true, "audio/mpeg"));
}

#[tokio::test]
async fn who_takes_his_time_with_an_upload_holds_no_place_of_the_store() {
    let mut world = World::new().await;
    let one = durable::Config { requests_max: 1, ..durable::Config::default() };
    world.uploads.store = Arc::new(Resting::new(Arc::new(world.store.clone()), &one, world.clock.clone()));
    let bytes = Signal::noise(SampleRate::HZ_8000, 1, 0.5, Duration::from_secs(60)).wav(Depth::S16);
    let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from(bytes.clone()))]);
    let sent = world.uploads.receive(&tenant(), None, pieces, Duration::from_secs(60)).await.unwrap();
    let name = sent.content_hash.to_string();
    let (asked, ()) = http::Request::get("/").body(()).unwrap().into_parts();
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut body = world.uploads.answer(&tenant(), &name, &asked).await.unwrap().into_body();
        let begun = body.frame().await.unwrap().unwrap().into_data().unwrap();
        slow.push((begun.to_vec(), body));
    }
    for (mut read, body) in slow {
        read.extend(body.collect().await.unwrap().to_bytes());
        assert!(read == bytes);
    }
    // One that was removed meanwhile ends in an error, and not as if it were whole.
    let body = world.uploads.answer(&tenant(), &name, &asked).await.unwrap().into_body();
    world.store.delete(&layout::upload(&tenant(), &sent.content_hash)).await.unwrap();
    body.collect().await.unwrap_err();
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

/// Audio of one second and some 8 KiB, another for each number.
fn clip(number: u8) -> Vec<u8> {
    let mut wav =
        b"RIFF\x24\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\0\x1f\0\0".to_vec();
    wav.extend(std::iter::repeat_n(number, 0x1f00));
    wav
}

#[tokio::test]
async fn a_tenant_keeps_as_much_as_it_may() {
    let length = clip(0).len() as u64;
    for (bytes_max, uploads_max) in [(None, Some(2)), (Some(ByteCount::bytes(2 * length + 1)), None)] {
        let mut world = World::new().await;
        world.uploads.quotas = Quotas::new(bytes_max, uploads_max, world.clock.clone());
        world.uploads.places = Arc::new(Semaphore::new(4));
        let put = async |uploads: &Uploads, tenant: &Tenant, number: u8| {
            let body = clip(number);
            uploads.receive(tenant, None, pieces(&body), Duration::from_secs(60)).await.map_err(|problem| problem.kind)
        };
        let (one, other) = (tenant(), "other".parse().unwrap());
        let first = put(&world.uploads, &one, 1).await.unwrap();
        // Two at once: there is room for one of them, and for another tenant's.
        let (two, three, others) =
            tokio::join!(put(&world.uploads, &one, 2), put(&world.uploads, &one, 3), put(&world.uploads, &other, 2));
        assert!(others.is_ok());
        assert_ne!(two.is_ok(), three.is_ok());
        assert_eq!(two.or(three).unwrap().bytes, length);
        assert_eq!(put(&world.uploads, &one, 4).await, Err(Kind::OverQuota));
        let resumable = world.resumable(&Config::default());
        assert_eq!(resumable.begin(&one, length).await.unwrap_err().kind, Kind::OverQuota);
        // What is there already takes no more room, and what is removed gives it back.
        assert!(put(&world.uploads, &one, 1).await.unwrap().was_there);
        world.uploads.remove(&one, &first.content_hash.to_string()).await.unwrap();
        assert!(!put(&world.uploads, &one, 4).await.unwrap().was_there);
        assert_eq!(put(&world.uploads, &one, 5).await, Err(Kind::OverQuota));

        // However often it is removed at once, it takes as much room as it took.
        let hash = ContentHash::of(&clip(4)).to_string();
        futures_util::future::join_all((0..8).map(|_| world.uploads.remove(&one, &hash))).await;
        assert!(!put(&world.uploads, &one, 4).await.unwrap().was_there);
        assert_eq!(put(&world.uploads, &one, 5).await, Err(Kind::OverQuota));
        // One whose sender leaves in the midst of it may be there or not, and is not taken for nothing.
        world.uploads.remove(&one, &hash).await.unwrap();
        let room = world.uploads.room_for(&one, length).await.unwrap();
        drop(room);
        put(&world.uploads, &one, 4).await.unwrap();
        assert_eq!(put(&world.uploads, &one, 5).await, Err(Kind::OverQuota));

        // A node that starts, or that hears of another's in a minute, counts what lies there.
        let beside =
            Uploads { quotas: Quotas::new(bytes_max, uploads_max, world.clock.clone()), ..world.uploads.clone() };
        assert_eq!(put(&beside, &one, 5).await, Err(Kind::OverQuota));
        beside.remove(&one, &ContentHash::of(&clip(4)).to_string()).await.unwrap();
        assert_eq!(put(&world.uploads, &one, 5).await, Err(Kind::OverQuota));
        world.clock.advance_wall(Duration::from_secs(61));
        put(&world.uploads, &one, 5).await.unwrap();
        // What cannot be counted is not taken.
        world.clock.advance_wall(Duration::from_secs(61));
        world.store.set(Faults { is_down: true, ..Faults::default() });
        assert_eq!(put(&world.uploads, &one, 6).await, Err(Kind::Busy));
    }
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

const LENGTH: u64 = 100;

fn pieces(bytes: &[u8]) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin + use<> {
    stream::iter([Ok(Bytes::copy_from_slice(bytes))])
}

async fn append(resumable: &Resumable, id: RandomId, offset: u64, bytes: &[u8]) -> Result<Progress, Problem> {
    resumable.append(&tenant(), id, offset, pieces(bytes), Duration::from_secs(60)).await
}

#[tokio::test]
async fn parts_that_cannot_be_read_back_are_not_thrown_away() {
    let world = World::new().await;
    let resumable = world.resumable(&Config::default());
    let (speech, tenant) = (speech(), tenant());
    let (id, _) = resumable.begin(&tenant, speech.len() as u64).await.unwrap();
    world.store.set(Faults { is_down: true, ..Faults::default() });
    assert_eq!(append(&resumable, id, 0, &speech).await.unwrap_err().kind, Kind::Busy);
    world.store.set(Faults::default());
    // The disk gives back less than it took.
    let part = world.unfinished().join(format!("{id}.part"));
    let file = std::fs::OpenOptions::new().write(true).open(&part).unwrap();
    file.set_len(speech.len() as u64 / 2).unwrap();
    assert_eq!(resumable.ask(&tenant, id).await.unwrap_err().kind, Kind::Internal);
    assert!(part.exists());
    // And is well again.
    std::fs::write(&part, &speech).unwrap();
    assert_eq!(resumable.ask(&tenant, id).await.unwrap().content_hash, Some(ContentHash::of(&speech)));
    // What is no audio stays none.
    let (id, _) = resumable.begin(&tenant, LENGTH).await.unwrap();
    assert_eq!(append(&resumable, id, 0, &[b'<'; LENGTH as usize]).await.unwrap_err().kind, Kind::NotAudio);
    assert_eq!(resumable.ask(&tenant, id).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn uploads_that_have_come_to_their_end_make_room_for_others() {
    let world = World::new().await;
    let resumable = world.resumable(&Config { unfinished_uploads_max: 2, ..Config::default() });
    let (speech, tenant) = (speech(), tenant());
    let mut finished = Vec::new();
    for _ in 0..4 {
        let (id, _) = resumable.begin(&tenant, speech.len() as u64).await.unwrap();
        append(&resumable, id, 0, &speech).await.unwrap();
        finished.push(id);
        world.clock.advance_wall(Duration::from_secs(1));
    }
    assert_eq!(resumable.ask(&tenant, finished[1]).await.unwrap_err().kind, Kind::NotFound);
    resumable.ask(&tenant, finished[2]).await.unwrap();
    let files = std::fs::read_dir(world.unfinished()).unwrap().count();
    assert_eq!(files, 2, "two records");
    // Those that have not do not.
    for _ in 0..2 {
        resumable.begin(&tenant, LENGTH).await.unwrap();
    }
    assert_eq!(resumable.begin(&tenant, LENGTH).await.unwrap_err().kind, Kind::Busy);
}

#[tokio::test]
async fn an_upload_that_was_begun_with_its_first_part_goes_on_or_leaves_nothing() {
    let world = World::new().await;
    let resumable = world.resumable(&Config { unfinished_uploads_max: 1, ..Config::default() });
    let (speech, tenant, idle) = (speech(), tenant(), Duration::from_secs(60));
    let begin = async |length: u64| resumable.begin_with(&tenant, length, pieces(&speech), idle).await;
    // More than was said; no audio; a store that takes nothing.
    assert_eq!(begin(LENGTH).await.unwrap_err().kind, Kind::OverLimit);
    let page = resumable.begin_with(&tenant, 6, pieces(b"<html>"), idle).await;
    assert_eq!(page.unwrap_err().kind, Kind::NotAudio);
    world.store.set(Faults { is_down: true, ..Faults::default() });
    assert_eq!(begin(speech.len() as u64).await.unwrap_err().kind, Kind::Busy);
    world.store.set(Faults::default());
    assert_eq!(std::fs::read_dir(world.unfinished()).unwrap().count(), 0);
    // As many as may are being received: it is gone on with later.
    let place = world.uploads.places.try_acquire().unwrap();
    let (id, progress) = begin(speech.len() as u64).await.unwrap();
    assert_eq!(progress.offset, 0);
    drop(place);
    assert_eq!(append(&resumable, id, 0, &speech).await.unwrap().content_hash, Some(ContentHash::of(&speech)));
}

#[tokio::test(start_paused = true)]
async fn a_sender_who_is_slow_for_ever_does_not_have_the_place_for_ever() {
    let world = World::new().await;
    let resumable = world.resumable(&Config::default());
    let tenant = tenant();
    let (id, _) = resumable.begin(&tenant, LENGTH).await.unwrap();
    let drops = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"R")), ()))
    });
    let append = resumable.append(&tenant, id, 0, Box::pin(drops), Duration::from_secs(10)).await;
    assert_eq!(append.unwrap_err().kind, Kind::RequestTimeout);
    // What has come within a minute is there.
    assert_eq!(resumable.ask(&tenant, id).await.unwrap().offset, 6);
    assert_eq!(world.uploads.places.available_permits(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_at_a_start_is_there_at_the_next_one() {
    let world = World::new().await;
    let (config, tenant) = (Config::default(), tenant());
    let resumable = world.resumable(&config);
    let (id, _) = resumable.begin(&tenant, LENGTH).await.unwrap();
    append(&resumable, id, 0, &[b'R'; 10]).await.unwrap();
    let (part, record) = (format!("{id}.part"), format!("{id}.json"));
    let (part, record) = (world.unfinished().join(part), world.unfinished().join(record));
    let bytes = std::fs::read(&record).unwrap();
    // Reading a folder fails, and not because there is none.
    std::fs::remove_file(&record).unwrap();
    std::fs::create_dir(&record).unwrap();
    let left_behind = world.unfinished().join(format!("{}.part", "0".repeat(32)));
    std::fs::write(&left_behind, "nobody knows this").unwrap();
    assert_eq!(world.resumable(&config).ask(&tenant, id).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!((part.exists(), left_behind.exists()), (true, false));
    std::fs::remove_dir(&record).unwrap();
    std::fs::write(&record, bytes).unwrap();
    assert_eq!(world.resumable(&config).ask(&tenant, id).await.unwrap().offset, 10);
}

#[tokio::test]
async fn an_upload_ends_when_it_says_and_not_at_the_next_one() {
    let world = World::new().await;
    let config = Config::default();
    let resumable = world.resumable(&config);
    let tenant = tenant();
    let (id, _) = resumable.begin(&tenant, LENGTH).await.unwrap();
    let minute = Duration::from_secs(60);
    world.clock.advance_wall(config.resumed_within - minute);
    resumable.ask(&tenant, id).await.unwrap();
    world.clock.advance_wall(2 * minute);
    for refused in [
        resumable.ask(&tenant, id).await.map(drop),
        append(&resumable, id, 0, b"R").await.map(drop),
        resumable.give_up(&tenant, id).await,
    ] {
        assert_eq!(refused.unwrap_err().kind, Kind::NotFound);
    }
    resumable.begin(&tenant, LENGTH).await.unwrap();
    assert_eq!(std::fs::read_dir(world.unfinished()).unwrap().count(), 2);
}

#[tokio::test]
async fn the_last_part_counts_for_when_an_upload_ends_after_a_restart_too() {
    let world = World::new().await;
    let config = Config::default();
    let resumable = world.resumable(&config);
    let tenant = tenant();
    let (id, _) = resumable.begin(&tenant, LENGTH).await.unwrap();
    // It was begun long ago.
    let record = world.unfinished().join(format!("{id}.json"));
    let mut begun: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    let at = begun["at"]["secs_since_epoch"].as_u64().unwrap();
    begun["at"]["secs_since_epoch"] = (at - config.resumed_within.as_secs() - 60).into();
    std::fs::write(&record, begun.to_string()).unwrap();
    append(&resumable, id, 0, b"RIFF").await.unwrap();
    let resumable = world.resumable(&config);
    resumable.begin(&tenant, LENGTH).await.unwrap();
    assert_eq!(resumable.ask(&tenant, id).await.unwrap().offset, 4);
}

#[tokio::test]
async fn what_is_not_ours_stays_where_it_is() {
    let world = World::new().await;
    let config = Config::default();
    world.resumable(&config);
    let foreign = [world.unfinished().join("lost+found"), world.unfinished().join("notes.txt")];
    std::fs::create_dir(&foreign[0]).unwrap();
    std::fs::write(&foreign[1], "of somebody else").unwrap();
    world.resumable(&config).begin(&tenant(), LENGTH).await.unwrap();
    assert!(foreign.iter().all(|path| path.exists()));
}

#[tokio::test]
async fn a_part_that_goes_on_behind_its_end_is_not_taken() {
    let world = World::new().await;
    let resumable = world.resumable(&Config::default());
    let tenant = tenant();
    let length = super::PIECE as u64;
    let (id, _) = resumable.begin(&tenant, length).await.unwrap();
    let surplus = [vec![b'R'; super::PIECE], b"and more".to_vec()].map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
    let sent = resumable.append(&tenant, id, 0, stream::iter(surplus), Duration::from_secs(60)).await;
    assert_eq!(sent.unwrap_err().kind, Kind::OverLimit);
    assert_eq!(resumable.ask(&tenant, id).await.unwrap().offset, 0);
}
