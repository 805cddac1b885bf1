//! What the sweep takes and what it leaves, on a directory that may fail.

mod serving;

use std::{
    collections::BTreeSet,
    fs::File,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tempfile::TempDir;

use super::{FILE, PARTS, Sweeper};
use crate::{
    clock::Clock,
    ids::{ArtifactId, ContentHash, SourceKey, Tenant},
    media::{
        cache::{
            catalogue::Announcement,
            durable::{Config, Directory, Durable, ObjectKey, ObjectStore as _, Replace, Upload, layout},
            purges::{Purge, Rule},
        },
        format::Format,
    },
    testing::faulty_store::{Call, FaultyStore},
    units::ByteCount,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A store and what is known of it.
struct World {
    dir: TempDir,
    store: FaultyStore,
    clock: Clock,
    config: Config,
}

impl World {
    async fn new(config: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path().join("store")).await.unwrap();
        let store = FaultyStore::new(Arc::new(directory), 7);
        World { dir, store, clock: Clock::system(), config: toml::from_str(config).unwrap() }
    }

    fn sweeper(&self) -> Sweeper {
        let durable = Durable::new(Arc::new(self.store.clone()), Duration::ZERO);
        Sweeper::open(self.config.clone(), self.dir.path(), durable, self.clock.clone())
    }

    /// Goes on to the end of a pass.
    async fn pass(&self) {
        let mut sweeper = self.sweeper();
        while !sweeper.step().await.unwrap() {}
    }

    /// An object of `length` bytes that was written `age` ago.
    async fn put(&self, key: ObjectKey, length: usize, age: Duration) -> ObjectKey {
        self.put_bytes(key, Bytes::from(vec![7; length]), age).await
    }

    async fn put_bytes(&self, key: ObjectKey, bytes: Bytes, age: Duration) -> ObjectKey {
        self.store.put(&key, Upload::of(bytes, "audio/PCMU", Replace::Always)).await.unwrap();
        self.date(&key, age);
        key
    }

    fn date(&self, key: &ObjectKey, age: Duration) {
        let file = File::options().write(true).open(self.path(key)).unwrap();
        file.set_modified(self.clock.now_wall() - age).unwrap();
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.dir.path().join("store").join(key.as_str())
    }

    /// An artifact whose references are of these tenants and ages. What else there is of it is as old as the oldest.
    async fn artifact(&self, name: &str, references: &[(&str, Duration)]) -> Made {
        let id = ArtifactId::of(name.as_bytes());
        let format = Format::parse("ulaw", &[]).unwrap();
        let oldest = references.iter().map(|(_, age)| *age).max().unwrap_or(100 * DAY);
        let mut made = Made {
            bytes: self.put(layout::artifact(&id, format), 1000, oldest).await,
            manifest: self.put(layout::manifest(&id), 100, oldest).await,
            references: Vec::new(),
        };
        for (tenant, age) in references {
            let key = layout::reference(&id, &tenant.parse().unwrap());
            made.references.push(self.put(key, 100, *age).await);
        }
        made
    }

    /// Everything that is there.
    async fn keys(&self) -> BTreeSet<ObjectKey> {
        self.store.list("", None, usize::MAX).await.unwrap().into_iter().map(|listed| listed.key).collect()
    }

    async fn bytes(&self) -> u64 {
        self.store.list("", None, usize::MAX).await.unwrap().iter().map(|listed| listed.length).sum()
    }
}

/// Where an artifact lies.
struct Made {
    bytes: ObjectKey,
    manifest: ObjectKey,
    references: Vec<ObjectKey>,
}

impl Made {
    fn keys(&self) -> Vec<ObjectKey> {
        [&self.bytes, &self.manifest].into_iter().chain(&self.references).cloned().collect()
    }
}

fn set(keys: impl IntoIterator<Item = ObjectKey>) -> BTreeSet<ObjectKey> {
    keys.into_iter().collect()
}

fn tenant() -> Tenant {
    Tenant::default_tenant()
}

#[tokio::test]
async fn what_is_not_used_goes_reference_first_and_bytes_last() {
    let world = World::new("artifacts_keep = \"30days\"").await;
    let old = world.artifact("old", &[("default", 31 * DAY), ("other", 40 * DAY)]).await;
    let young = world.artifact("young", &[("default", 29 * DAY)]).await;
    let shared = world.artifact("shared", &[("default", 31 * DAY), ("other", 2 * DAY)]).await;
    let source = |name: &str| layout::source(&tenant(), &SourceKey::of(name.as_bytes()));
    world.put(source("old"), 100, 31 * DAY).await;
    let young_source = world.put(source("young"), 100, 29 * DAY).await;
    world.store.take_calls();
    world.pass().await;
    let left = [young.keys(), shared.keys(), vec![young_source]].concat();
    let gone = &shared.references[0];
    assert_eq!(world.keys().await, set(left.into_iter().filter(|key| key != gone)));

    let mut deletes = world.store.take_calls().into_iter().filter_map(|call| match call {
        Call::Delete(key) if old.keys().iter().any(|of_old| of_old.as_str() == key) => Some(key),
        _ => None,
    });
    let first: BTreeSet<String> = deletes.by_ref().take(2).collect();
    assert_eq!(first, old.references.iter().map(ObjectKey::to_string).collect());
    assert_eq!(deletes.collect::<Vec<_>>(), [old.manifest.to_string(), old.bytes.to_string()]);
}

#[tokio::test]
async fn nothing_that_leads_to_something_goes_by_default() {
    let world = World::new("").await;
    world.artifact("old", &[("default", 4000 * DAY)]).await;
    let hash = ContentHash::of(b"original");
    world.put(layout::original(&hash), 1000, 4000 * DAY).await;
    world.put(layout::chunks(&hash), 100, 4000 * DAY).await;
    world.put(layout::source(&tenant(), &SourceKey::of(b"a")), 100, 4000 * DAY).await;
    let before = world.keys().await;
    world.pass().await;
    assert_eq!(world.keys().await, before);
}

#[tokio::test]
async fn orphans_go_when_they_are_old_enough() {
    let world = World::new("orphans_keep = \"1day\"").await;
    let format = Format::parse("ulaw", &[]).unwrap();
    for (name, age) in [("old", 25 * HOUR), ("young", 23 * HOUR)] {
        let of = |kind: &str| format!("{kind} {name}");
        let id = |kind: &str| ArtifactId::of(of(kind).as_bytes());
        world.put(layout::artifact(&id("bytes"), format), 10, age).await;
        world.put(layout::manifest(&id("manifest")), 10, age).await;
        world.put(layout::manifest(&id("both")), 10, age).await;
        world.put(layout::artifact(&id("both"), format), 10, age).await;
        world.put(layout::chunks(&ContentHash::of(of("chunks").as_bytes())), 10, age).await;
        // It can be made again.
        world.put(layout::reference(&id("reference"), &tenant()), 10, age).await;
    }
    // Bytes without a manifest, to which there is a reference.
    let lost = ArtifactId::of(b"lost");
    world.put(layout::artifact(&lost, format), 10, 25 * HOUR).await;
    let stays = world.put(layout::reference(&lost, &tenant()), 10, 25 * HOUR).await;
    world.pass().await;
    let left = world.keys().await;
    assert!(left.contains(&stays) && left.contains(&layout::reference(&ArtifactId::of(b"reference old"), &tenant())));
    let young = |key: &ObjectKey| world.clock.now_wall() - 24 * HOUR < modified(&world, key);
    assert_eq!(left.iter().filter(|key| young(key)).count(), 6);
    assert_eq!(left.len(), 8, "{left:?}");
}

fn modified(world: &World, key: &ObjectKey) -> SystemTime {
    world.path(key).metadata().unwrap().modified().unwrap()
}

#[tokio::test]
async fn uploads_and_what_is_not_ours_stay_whatever_the_rules() {
    let rules = "artifacts_keep = \"2days\"\noriginals_keep = \"1h\"\nbytes_max = \"1B\"\norphans_keep = \"1h\"";
    let world = World::new(rules).await;
    for part in 0..=255_u8 {
        let hash = ContentHash::from_bytes([part; 32]);
        for tenant in ["default", "other"] {
            world.put(layout::upload(&tenant.parse().unwrap(), &hash), 1000, 4000 * DAY).await;
        }
    }
    for foreign in ["README.txt", "artifacts/aa/notes.txt", "manifests/aa/a", "sources/ab", "index/readme"] {
        world.put(ObjectKey::new(foreign.to_owned()).unwrap(), 1000, 4000 * DAY).await;
    }
    let before = world.keys().await;
    world.artifact("old", &[("default", 4000 * DAY)]).await;
    for _ in 0..3 {
        world.pass().await;
        assert_eq!(world.keys().await, before);
    }
    let asked = |call: &Call| format!("{call:?}").contains("uploads/");
    world.store.take_calls();
    world.pass().await;
    assert_eq!(world.store.calls_count(asked), 0);
}

#[tokio::test]
async fn originals_go_by_a_rule_of_their_own() {
    let world = World::new("originals_keep = \"10days\"").await;
    let mut young = Vec::new();
    for (name, age) in [("old", 11 * DAY), ("young", 9 * DAY)] {
        let hash = ContentHash::of(name.as_bytes());
        let keys = [
            world.put(layout::original(&hash), 1000, age).await,
            world.put(layout::chunks(&hash), 100, age).await,
            world.artifact(name, &[("default", age)]).await.references[0].clone(),
        ];
        young.extend((name == "young").then_some(keys).into_iter().flatten());
    }
    world.store.take_calls();
    world.pass().await;
    let left = world.keys().await;
    assert!(young.iter().all(|key| left.contains(key)));
    let hash = ContentHash::of(b"old");
    let deletes: Vec<Call> =
        world.store.take_calls().into_iter().filter(|call| matches!(call, Call::Delete(_))).collect();
    let expected = [layout::chunks(&hash), layout::original(&hash)].map(|key| Call::Delete(key.to_string()));
    assert_eq!(deletes, expected);
}

#[tokio::test]
async fn what_is_above_the_bound_goes_within_two_passes_oldest_first() {
    let world = World::new("bytes_max = \"40KiB\"").await;
    for days in 2..62 {
        world.artifact(&format!("{days}"), &[("default", DAY * days)]).await;
        let hash = ContentHash::of(format!("{days}").as_bytes());
        world.put(layout::original(&hash), 300, DAY * days).await;
    }
    let bytes_max = ByteCount::kib(40).get();
    assert!(bytes_max * 2 < world.bytes().await);
    world.pass().await;
    world.pass().await;
    let left = world.bytes().await;
    // An age is known to a twentieth.
    assert!(left <= bytes_max && bytes_max * 8 / 10 < left, "{left}");
    let kept = |days: u32| world.path(&layout::manifest(&ArtifactId::of(days.to_string().as_bytes()))).exists();
    let oldest = (2..62).filter(|days| kept(*days)).max().unwrap();
    assert!((2..=oldest).all(kept));
    // And then it is left alone.
    let before = world.keys().await;
    world.pass().await;
    world.pass().await;
    assert_eq!(world.keys().await, before);
}

#[tokio::test]
async fn making_room_takes_nothing_young() {
    let world = World::new("bytes_max = \"1KiB\"\norphans_keep = \"1day\"").await;
    for hours in 1..=20 {
        world.artifact(&format!("{hours}"), &[("default", HOUR * hours)]).await;
    }
    let young = world.keys().await;
    world.artifact("old", &[("default", 25 * HOUR)]).await;
    for _ in 0..3 {
        world.pass().await;
    }
    assert_eq!(world.keys().await, young);
    // They come of age.
    world.clock.advance_wall(2 * DAY);
    world.pass().await;
    world.pass().await;
    assert_eq!(world.keys().await, BTreeSet::new());
}

#[tokio::test]
async fn a_pass_goes_on_after_a_restart() {
    let world = World::new("bytes_max = \"1MiB\"").await;
    for number in 0..50 {
        world.artifact(&format!("{number}"), &[("default", 2 * DAY)]).await;
    }
    world.pass().await;
    world.store.take_calls();
    let tally = world.sweeper().record.last.unwrap().tally;
    assert_eq!((tally.objects, tally.bytes), (150, world.bytes().await));
    world.store.take_calls();
    // Stopped again and again, also in the middle of a part.
    let mut steps = 0;
    loop {
        let mut sweeper = world.sweeper();
        assert_eq!(sweeper.record.swept, steps % PARTS);
        if steps == 100 {
            drop(futures_util::FutureExt::now_or_never(sweeper.step()));
            continue_from(&world, steps);
            sweeper = world.sweeper();
        }
        steps += 1;
        if sweeper.step().await.unwrap() {
            break;
        }
    }
    assert_eq!(steps, PARTS);
    assert_eq!(world.sweeper().record.last.unwrap().tally, tally);
    for part in 0..PARTS {
        let list = Call::List(format!("manifests/{part:02x}/"));
        assert!(world.store.calls_count(|call| *call == list) >= 1, "{part}");
    }
}

#[track_caller]
fn continue_from(world: &World, steps: u16) {
    assert_eq!(world.sweeper().record.swept, steps);
}

#[tokio::test]
async fn a_note_that_is_damaged_or_of_another_store_is_none() {
    let mut world = World::new("").await;
    world.sweeper().step().await.unwrap();
    assert_eq!(world.sweeper().record.swept, 1);
    world.config.directory = Some("/elsewhere".into());
    world.config.store = toml::from_str::<Config>("store = \"directory\"").unwrap().store;
    assert_eq!(world.sweeper().record.swept, 0);
    world.config = Config::default();
    assert_eq!(world.sweeper().record.swept, 1);
    std::fs::write(world.dir.path().join(FILE), "{").unwrap();
    assert_eq!(world.sweeper().record.swept, 0);
}

#[tokio::test]
async fn a_store_that_fails_now_and_then_is_swept_all_the_same() {
    let world = World::new("artifacts_keep = \"2days\"").await;
    let mut young = Vec::new();
    for number in 0..60 {
        let age = if number % 2 == 0 { DAY } else { 3 * DAY };
        let made = world.artifact(&format!("{number}"), &[("default", age)]).await;
        young.extend((number % 2 == 0).then(|| made.keys()).into_iter().flatten());
    }
    world.store.change(|faults| {
        faults.fail = 0.1;
        faults.lose_acknowledgement = 0.1;
    });
    let mut sweeper = world.sweeper();
    let mut failures = 0;
    loop {
        match sweeper.step().await {
            Ok(true) => break,
            Ok(false) => {}
            Err(_) => failures += 1,
        }
    }
    assert!(failures > 0);
    world.store.set(Default::default());
    // Orphans that a failure has left go with a later pass.
    world.pass().await;
    assert_eq!(world.keys().await, set(young));
    let tally = world.sweeper().record.last.unwrap().tally;
    assert_eq!((tally.objects, tally.bytes), (90, world.bytes().await));
}

#[tokio::test]
async fn nodes_that_sweep_at_once_do_no_harm() {
    let world = World::new("artifacts_keep = \"2days\"").await;
    let mut young = Vec::new();
    for number in 0..60 {
        let age = if number % 2 == 0 { DAY } else { 3 * DAY };
        let made = world.artifact(&format!("{number}"), &[("default", age)]).await;
        young.extend((number % 2 == 0).then(|| made.keys()).into_iter().flatten());
    }
    let others = tempfile::tempdir().unwrap();
    let durable = || Durable::new(Arc::new(world.store.clone()), Duration::ZERO);
    let mut one = Sweeper::open(world.config.clone(), world.dir.path(), durable(), world.clock.clone());
    let mut other = Sweeper::open(world.config.clone(), others.path(), durable(), world.clock.clone());
    // The worst case: both at the same part at the same time.
    (one.record.first, other.record.first) = (0, 0);
    let run = async |sweeper: &mut Sweeper| while !sweeper.step().await.unwrap() {};
    tokio::join!(run(&mut one), run(&mut other));
    assert_eq!(world.keys().await, set(young));
}

#[tokio::test]
async fn announcements_go_when_all_have_heard_them_and_purges_when_nothing_is_left_to_purge() {
    let mut world = World::new("").await;
    let now = world.clock.now_wall();
    let purge = |age| Announcement::purge(&Rule { tenant: tenant(), purge: Purge::All, at: now - age });
    let forget = |age| Announcement::forget(&tenant(), &ArtifactId::of(b"a"), now - age);
    let key = |announcement: &Announcement| layout::announcement(announcement);
    let purges = [29 * DAY, 31 * DAY, 59 * DAY, 81 * DAY].map(purge);
    let forgets = [29 * DAY, 31 * DAY].map(forget);
    for announcement in purges.iter().chain(&forgets) {
        let key = key(announcement);
        let bytes = layout::write(&key, announcement).unwrap();
        world.put_bytes(key, bytes, DAY).await;
    }
    // As long as audio is kept for ever, a purge counts for ever.
    world.pass().await;
    let mut left = set(purges.iter().chain(&forgets[..1]).map(key));
    assert_eq!(world.keys().await, left);
    world.config.artifacts_keep = 40 * DAY;
    world.pass().await;
    left.remove(&key(&purges[3]));
    assert_eq!(world.keys().await, left);
}
