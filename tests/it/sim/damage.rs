//! A bit that flips in the durable directory: nobody serves it, and the next to make the same mends it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ringback::{
    clock::Clock,
    ids::Tenant,
    media::cache::{Config, Purge, Tier, durable::Directory},
    units::ByteCount,
};

use super::{
    node::{Node, Outcome, breathe},
    truth::{Made, Truth},
};

/// Bits that are flipped in each object at most.
const FLIPS: usize = 5;
/// What is made: of the last one only the index entry is left when it is deleted.
const MADE: [Made; 4] = [
    Made { source: 0, version: 0, format: 0 },
    Made { source: 0, version: 0, format: 1 },
    Made { source: 1, version: 0, format: 0 },
    Made { source: 2, version: 0, format: 0 },
];
const DELETED: Made = MADE[3];

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_in_any_object_is_never_served_and_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let truth = Truth::new(1);
    fill(dir.path(), &clock, &truth).await;
    let objects = objects(dir.path());
    for folder in ["announcements", "artifacts", "chunks", "index", "manifests", "references", "sources"] {
        assert!(objects.keys().any(|path| path.starts_with(dir.path().join(folder))), "there is nothing in {folder}");
    }
    let (mut lost, mut id) = (0, 100);
    for (path, right) in &objects {
        for flip in 0..FLIPS {
            // The first and the last byte, and some between.
            let place = flip * (right.len() - 1) / (FLIPS - 1);
            flip_bit(path, place, flip % 8);
            id += 2;
            lost += look(dir.path(), &clock, &truth, id, path, place).await;
            for path in self::objects(dir.path()).keys().filter(|path| !objects.contains_key(*path)) {
                fs::remove_file(path).unwrap();
            }
            for (path, right) in &objects {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, right).unwrap();
            }
        }
    }
    assert!(lost > 20, "the flips hit next to nothing: {lost}");
}

/// A fresh node serves what is right or nothing; what it makes again, another fresh node finds. How much was lost.
async fn look(dir: &Path, clock: &Clock, truth: &Truth, id: u32, path: &Path, place: usize) -> usize {
    let node = node(id, dir, clock).await;
    let cache = node.cache.as_ref().unwrap();
    cache.hear(clock.now_wall()).await.ok();
    node.ask_original(truth, 0, 0).await.unwrap();
    node.ask_original(truth, 1, 0).await.unwrap();
    let mut lost = 0;
    for made in &MADE[..3] {
        let key = made.source_key();
        if let Some(record) = cache.source(&Tenant::default_tenant(), &key).await.unwrap() {
            assert_eq!(record.content_hash, truth.content_hash(made.source, made.version));
            // What is no announcement any more can be heard by nobody.
            let is_unheard = path.starts_with(dir.join("announcements"));
            assert!(made.source != 1 || is_unheard, "it was purged, and this node has heard of it");
        }
        if node.ask(truth, *made, (0.0, 1.0)).await.unwrap() != Outcome::Served(Tier::Directory) {
            // The one of source 1 was purged.
            lost += usize::from(made.source != 1);
            node.fill(truth, *made, true).await.unwrap();
        }
    }
    assert_eq!(node.ask(truth, DELETED, (0.0, 1.0)).await.unwrap(), Outcome::Unknown);
    while node.pending() > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        breathe().await;
    }
    let other = self::node(id + 1, dir, clock).await;
    for made in &MADE[..3] {
        let outcome = other.ask(truth, *made, (0.0, 1.0)).await.unwrap();
        // Nobody has read what was purged, so nobody knows that it has to be mended.
        if made.source == 1 && outcome == Outcome::Lost {
            continue;
        }
        assert_eq!(
            outcome,
            Outcome::Served(Tier::Directory),
            "{made:?} is not mended: byte {place} of {}",
            path.display()
        );
    }
    lost
}

async fn node(id: u32, dir: &Path, clock: &Clock) -> Node {
    let config = Config { memory: ByteCount::mib(8), disk: ByteCount::bytes(0), ..Config::default() };
    let store = Directory::open(dir.to_owned()).await.unwrap();
    Node::start(id, Arc::new(store), config, clock.clone(), true).await
}

/// One object of each kind, at least.
async fn fill(dir: &Path, clock: &Clock, truth: &Truth) {
    let mut node = node(1, dir, clock).await;
    for made in MADE {
        node.fill(truth, made, true).await.unwrap();
    }
    let cache = node.cache.as_ref().unwrap();
    let tenant = Tenant::default_tenant();
    clock.advance_wall(Duration::from_secs(1));
    cache.purge(&tenant, Purge::Url(MADE[2].url()), clock.now_wall()).await.unwrap();
    cache.drop_reference(&tenant, &DELETED.id(), clock.now_wall()).await.unwrap();
    while node.pending() > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        breathe().await;
    }
    node.close().await;
}

fn objects(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

fn flip_bit(path: &Path, place: usize, bit: usize) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, place as u64).unwrap(), 1);
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, place as u64).unwrap();
}
