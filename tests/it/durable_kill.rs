//! A node with a durable directory that is killed again and again while it fills and receives uploads, and what it then has to be.
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

use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use ringback::{
    ids::ContentHash,
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
/// Senders of uploads at once.
const SENDERS: usize = 3;
const UPLOADS: &str = "/v1/media/uploads";
/// What lies in the data directory, and nothing else.
const FILES: &[&str] = &[
    "lock",
    "chunks",
    "media.db",
    "media.db-wal",
    "media.db-shm",
    "node.key",
    "accounts.key",
    "first-credentials",
    "store.db",
    "store.db-wal",
    "store.db-shm",
    "spool",
    "sweep.json",
    "uploads-unfinished",
];

/// An answer: the address that it names, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    address: String,
    body: Vec<u8>,
}

/// What callers were answered, by source.
type All = Arc<Mutex<BTreeMap<usize, Answered>>>;

/// What was sent as uploads, by the content hash.
type Sent = Arc<Mutex<BTreeMap<String, Upload>>>;

/// An upload that was sent to its end or not.
#[derive(Clone, Debug)]
struct Upload {
    body: Bytes,
    /// Whether it was said to be kept, or was found after a kill: from then on it has to be there.
    is_kept: bool,
    /// Whether it was looked for after a kill.
    is_looked_for: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_right_after_any_kill_and_nothing_is_left_behind() {
    let kills: usize = setting("RINGBACK_KILLS").map_or(5, |text| text.parse().unwrap());
    ringback::outbound::install_crypto_provider();
    let origin = Origin::start().await.unwrap();
    let (data, durable) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (answered, sent) = (All::default(), Sent::default());
    let mut chance = StdRng::seed_from_u64(5);
    for round in 0..kills {
        let sources = 0..(round + 1) * SOURCES;
        prompts(&origin, sources.end - SOURCES..sources.end);
        let node = start(data.path(), durable.path(), &origin);
        nothing_strange(data.path());
        ask_again(&node, &origin, &answered, &mut chance, ASKED_AGAIN_MAX).await;
        uploads_are_whole_or_absent(&node, durable.path(), &sent, &mut chance, ASKED_AGAIN_MAX).await;
        let until = chance.random_range(1..SOURCES);
        load(node, &origin, &answered, &sent, round, until).await;
        let unfinished = names(&durable.path().join(".tmp"));
        let node = start(data.path(), durable.path(), &origin);
        let left: BTreeSet<_> = names(&durable.path().join(".tmp")).intersection(&unfinished).cloned().collect();
        assert!(left.is_empty(), "a killed node's unfinished objects stay: {left:?}");
        assert_eq!(names(&data.path().join("spool")), BTreeSet::new(), "a killed node's spool stays");
        node.kill();
    }

    let mut node = start(data.path(), durable.path(), &origin);
    ask_again(&node, &origin, &answered, &mut chance, usize::MAX).await;
    uploads_are_whole_or_absent(&node, durable.path(), &sent, &mut chance, usize::MAX).await;
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
    uploads_are_whole_or_absent(&node, durable.path(), &sent, &mut chance, usize::MAX).await;
    let count = answered.lock().unwrap().len();
    let (tried, kept) = {
        let sent = sent.lock().unwrap();
        (sent.len(), sent.values().filter(|upload| upload.is_kept).count())
    };
    println!("{kills} kills, {count} addresses answered and right, {kept} of {tried} uploads kept and right");
    assert!(kills <= count && kills <= kept, "too few were answered to prove anything: {count}, {kept}");
    assert!(kept < tried, "no kill came in the middle of an upload");
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

/// Callers ask for sources one after the other and senders send uploads, until so many answers to the former and one to the latter have
/// come; then the node is killed in the midst of the others.
async fn load(node: Process, origin: &Origin, answered: &All, sent: &Sent, round: usize, until: usize) {
    let first = round * SOURCES;
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
    let (kept, mut keeping) = tokio::sync::mpsc::channel(1);
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let seed = round * SENDERS + sender;
            tokio::spawn(send_uploads(node.url(UPLOADS), Arc::clone(sent), kept.clone(), seed))
        })
        .collect();
    for _ in 0..until {
        if telling.recv().await.is_none() {
            break;
        }
    }
    keeping.recv().await.unwrap();
    node.kill();
    telling.close();
    for caller in callers.into_iter().chain(senders) {
        caller.await.unwrap();
    }
}

/// Sends one upload after the other, until the node is dead.
async fn send_uploads(url: String, sent: Sent, kept: tokio::sync::mpsc::Sender<()>, seed: usize) {
    let client = client();
    let mut chance = StdRng::seed_from_u64(seed as u64);
    loop {
        // From what is written in one piece to what is written in several: 16 KB to 640 KB.
        let length = Duration::from_millis(chance.random_range(1_000..40_000));
        let noise = Signal::noise(SampleRate::HZ_8000, chance.random(), 0.5, length);
        let body = Bytes::from(noise.wav(Depth::S16));
        let hash = ContentHash::of(&body).to_string();
        // Before it is sent: what is not acknowledged may be there all the same.
        sent.lock().unwrap().insert(hash.clone(), Upload { body: body.clone(), is_kept: false, is_looked_for: false });
        let Ok(answer) = client.put(&url).body(body).send().await else { return };
        let status = answer.status();
        // What counts is what the sender has read.
        let Ok(told) = answer.bytes().await else { return };
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&told));
        assert!(String::from_utf8_lossy(&told).contains(&hash));
        sent.lock().unwrap().get_mut(&hash).unwrap().is_kept = true;
        // One that is told is enough.
        kept.try_send(()).unwrap_or_default();
    }
}

/// What was acknowledged is there, byte for byte; what was not is there whole or not at all, and once found it stays.
async fn uploads_are_whole_or_absent(node: &Process, durable: &Path, sent: &Sent, chance: &mut StdRng, most: usize) {
    let client = client();
    let all = sent.lock().unwrap().clone();
    // All that is new, and some of the rest.
    let share = most as f64 / all.len().max(1) as f64;
    let wanted = all.iter().filter(|(_, upload)| !upload.is_looked_for || chance.random_bool(share.min(1.0)));
    for (hash, upload) in wanted {
        let answer = client.get(node.url(&format!("{UPLOADS}/{hash}"))).send().await.unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        let is_there = status == 200 && body == upload.body;
        assert!(
            is_there || (status == 404 && !upload.is_kept),
            "upload {hash}: {status}, {} bytes of {}, {}",
            body.len(),
            upload.body.len(),
            if upload.is_kept { "kept" } else { "not acknowledged" }
        );
        let mut sent = sent.lock().unwrap();
        let upload = sent.get_mut(hash).unwrap();
        (upload.is_kept, upload.is_looked_for) = (is_there, true);
    }
    // And nothing else: no part under a name, no name that is none.
    let folder = durable.join("uploads/default");
    for shard in names(&folder) {
        for name in names(&folder.join(&shard)) {
            assert!(all.contains_key(&name), "what is uploads/default/{shard}/{name}?");
        }
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
