//! A node with a durable directory that is killed again and again while it works, and what it then has to be.
//!
//! `RINGBACK_KILLS` says how often; a run of every day has five.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use ringback::{
    testing::{
        origin::{Body, Origin, Reply},
        signal::{Depth, Signal},
    },
    units::SampleRate,
};

use crate::support::{node::fetch_path, process::Process, setting};

/// Sources that are new between two kills.
const SOURCES: usize = 60;
/// Callers at once.
const CALLERS: usize = 8;
/// What an answered address is asked for again at most after each kill, beside all addresses at the end.
const ASKED_AGAIN_MAX: usize = 40;
/// What lies in the data directory, and nothing else.
const FILES: &[&str] = &["lock", "chunks", "media.db", "media.db-wal", "media.db-shm", "spool"];

/// An answer: the address that it names, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    address: String,
    body: Vec<u8>,
}

/// What callers were answered, by source.
type All = Arc<Mutex<BTreeMap<usize, Answered>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_right_after_any_kill_and_nothing_is_left_behind() {
    let kills: usize = setting("RINGBACK_KILLS").map_or(5, |text| text.parse().unwrap());
    ringback::outbound::install_crypto_provider();
    let origin = Origin::start().await.unwrap();
    let (data, durable) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let answered = All::default();
    let mut chance = StdRng::seed_from_u64(5);
    for round in 0..kills {
        let sources = 0..(round + 1) * SOURCES;
        prompts(&origin, sources.end - SOURCES..sources.end);
        let node = start(data.path(), durable.path(), &origin);
        nothing_strange(data.path());
        ask_again(&node, &origin, &answered, &mut chance, ASKED_AGAIN_MAX).await;
        let until = chance.random_range(1..SOURCES);
        load(node, &origin, &answered, sources.end - SOURCES, until).await;
        let unfinished = names(&durable.path().join(".tmp"));
        let node = start(data.path(), durable.path(), &origin);
        let left: BTreeSet<_> = names(&durable.path().join(".tmp")).intersection(&unfinished).cloned().collect();
        assert!(left.is_empty(), "a killed node's unfinished objects stay: {left:?}");
        assert_eq!(names(&data.path().join("spool")), BTreeSet::new(), "a killed node's spool stays");
        node.kill();
    }

    let mut node = start(data.path(), durable.path(), &origin);
    ask_again(&node, &origin, &answered, &mut chance, usize::MAX).await;
    // It ends when the durable directory was told everything.
    assert!(node.terminate().success());
    assert_eq!(names(&durable.path().join(".tmp")), BTreeSet::new());
    nothing_strange(data.path());

    // Another node that has nothing but the durable directory has all of it, and asks the origin for nothing.
    let empty = tempfile::tempdir().unwrap();
    let node = start(empty.path(), durable.path(), &origin);
    let before = origin.seen().len();
    ask_again(&node, &origin, &answered, &mut chance, usize::MAX).await;
    assert_eq!(origin.seen().len(), before, "the durable directory lacks something");
    let count = answered.lock().unwrap().len();
    println!("{kills} kills, {count} addresses answered and right");
    assert!(kills <= count, "too few were answered to prove anything: {count}");
}

fn start(data: &Path, durable: &Path, origin: &Origin) -> Process {
    let settings = [
        ("RINGBACK_MEDIA__CACHE__DURABLE__STORE", "directory"),
        ("RINGBACK_MEDIA__CACHE__DURABLE__DIRECTORY", durable.to_str().unwrap()),
        ("RINGBACK_MEDIA__CACHE__DURABLE__DRAIN", "120s"),
        ("RINGBACK_MEDIA__CACHE__MEMORY", "8MiB"),
        ("RINGBACK_MEDIA__ORIGIN__PER_ORIGIN_MAX", "64"),
    ];
    Process::start_in(data, &["--allow-origin", &origin.address().to_string()], &settings)
}

/// Sources of a fifth of a second to two seconds, each like no other.
fn prompts(origin: &Origin, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let length = Duration::from_millis(200 + (number as u64 * 97) % 1_800);
        let tone = Signal::noise(SampleRate::HZ_8000, number as u64, 0.5, length);
        let reply = Reply::ok("audio/wav", Body::of(tone.wav(Depth::S16))).header("cache-control", "max-age=86400");
        origin.set(&format!("/{number}.wav"), reply);
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

/// One answer, if it came to its end.
async fn get(client: &reqwest::Client, url: &str) -> Option<(reqwest::StatusCode, Answered)> {
    let answer = client.get(url).send().await.ok()?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.ok()?.to_vec();
    let address = headers.get("content-location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    Some((status, Answered { address: address.to_owned(), body }))
}

/// Callers ask for sources one after the other, until so many answers have come; then the node is killed in the midst of the others.
async fn load(node: Process, origin: &Origin, answered: &All, first: usize, until: usize) {
    let next = Arc::new(AtomicUsize::new(first));
    let (told, mut telling) = tokio::sync::mpsc::channel(SOURCES);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (next, answered, told, client) = (Arc::clone(&next), Arc::clone(answered), told.clone(), client());
            let (node_url, origin_url) = (node.url(""), origin.url(""));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + SOURCES {
                        return;
                    }
                    let url = format!("{node_url}{}", fetch_path(&format!("{origin_url}/{number}.wav"), "ulaw"));
                    // Nothing comes from a node that is dead.
                    let Some((status, answer)) = get(&client, &url).await else { return };
                    assert_eq!(status, 200, "source {number}");
                    answered.lock().unwrap().insert(number, answer);
                    told.send(()).await.ok();
                }
            })
        })
        .collect();
    drop(told);
    for _ in 0..until {
        if telling.recv().await.is_none() {
            break;
        }
    }
    node.kill();
    telling.close();
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Asks for what was answered before, by its source and by its address: the bytes are the same, found or made again.
async fn ask_again(node: &Process, origin: &Origin, answered: &All, chance: &mut StdRng, most: usize) {
    let mut all: Vec<(usize, Answered)> = answered.lock().unwrap().clone().into_iter().collect();
    while all.len() > most {
        all.swap_remove(chance.random_range(0..all.len()));
    }
    let client = client();
    for (number, before) in all {
        // The address first: what the kill has cut off before it was written down has none yet, and gets it by its source.
        let named = get(&client, &node.url(&before.address)).await;
        let (status, now) = named.unwrap_or_else(|| panic!("source {number}: no answer"));
        assert!(
            status == 404 || now.body == before.body,
            "source {number} by its address: {status}, {} bytes",
            now.body.len()
        );
        let url = node.url(&fetch_path(&origin.url(&format!("/{number}.wav")), "ulaw"));
        let (status, now) = get(&client, &url).await.unwrap_or_else(|| panic!("source {number}: no answer"));
        assert_eq!(status, 200, "source {number}");
        assert!(now == before, "source {number} has become another");
        let (status, now) = get(&client, &node.url(&before.address)).await.unwrap();
        assert!(status == 200 && now.body == before.body, "source {number} by its address at last: {status}");
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    let Ok(items) = fs::read_dir(folder) else { return BTreeSet::new() };
    items.map(|item| item.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn nothing_strange(data: &Path) {
    let strange: Vec<String> = names(data).into_iter().filter(|name| !FILES.contains(&name.as_str())).collect();
    assert!(strange.is_empty(), "stray files in the data directory: {strange:?}");
    let chunks = names(&data.join("chunks"));
    let strange: Vec<&String> = chunks.iter().filter(|name| !name.starts_with("foyer-storage-")).collect();
    assert!(strange.is_empty(), "stray files in the disk tier: {strange:?}");
}
