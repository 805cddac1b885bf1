//! A store that is gone, slow, refuses or lies: hits above it do not feel it, misses are filled from the origin, nothing is wrong, and
//! what was made meanwhile is there afterwards.

use std::time::Duration;

use http::StatusCode;
use ringback::{
    config::Config,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
        shaky_way::{Mood, Shaky},
        signal::{Depth, Signal},
    },
    units::SampleRate,
};

use serde_json::json;

use super::{
    bucket::{Bucket, s3_config},
    get_once_there,
};
use crate::support::node::{TestNode, fetch_path};

const SPEECH: &str = "speech.wav";
/// Rounds of each mood that are compared.
const ROUNDS: usize = 20;
/// Requests of a round and side.
const ASKED: usize = 100;

struct Stand {
    origin: Origin,
    bucket: Bucket,
    way: Shaky,
}

impl Stand {
    async fn new() -> Stand {
        let bucket = Bucket::s3().await;
        let Bucket::S3(server) = &bucket else { unreachable!() };
        let way = Shaky::before(server.endpoint()).await.unwrap();
        Stand { origin: Origin::start().await.unwrap(), bucket, way }
    }

    /// A node that goes to the bucket over the shaky way, with the patience that is the default.
    async fn node(&self) -> TestNode {
        self.node_with(|_| {}).await
    }

    /// The same with other settings.
    async fn node_with(&self, adjust: impl FnOnce(&mut Config)) -> TestNode {
        TestNode::start_with(&self.origin, |config| {
            self.bucket.configure(config);
            let durable = &mut config.media.cache.durable;
            durable.s3 = s3_config(&self.way.endpoint());
            durable.s3.attempts_max = 2;
            durable.index_wait = Duration::from_millis(500);
            durable.slow = Duration::from_secs(1);
            durable.rest_max = Duration::from_secs(1);
            adjust(config);
        })
        .await
    }

    /// A path to a source of its own.
    fn source(&self, name: &str) -> String {
        self.source_of(name, Body::of(fixture::audio(SPEECH).unwrap()))
    }

    /// The same with other bytes.
    fn source_of(&self, name: &str, body: Body) -> String {
        let path = format!("/{name}.wav");
        let reply = Reply::ok("audio/wav", body);
        self.origin.set(&path, reply.header("cache-control", "max-age=3600"));
        fetch_path(&self.origin.url(&path), "ulaw")
    }
}

#[tokio::test]
async fn a_store_in_every_mood_is_survived_and_healed() {
    let stand = Stand::new().await;
    let node = stand.node().await;
    let known = node.get(&stand.source("known")).await;
    let moods = [
        ("slow", Mood::Slow(Duration::from_secs(2))),
        ("busy", Mood::Busy),
        ("lying", Mood::Lying),
        ("gone", Mood::Gone),
    ];
    let mut made = Vec::new();
    for (name, mood) in moods {
        stand.way.be(mood);
        for number in 0..12 {
            let path = stand.source(&format!("{name}-{number}"));
            let answer = node.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{name}: {answer:?}");
            assert!(answer.header("cache-status").contains("fwd=miss; stored"), "{name}: {answer:?}");
            assert!(answer.body == known.body, "{name}");
            let again = node.get(&path).await;
            assert!(again.header("cache-status").ends_with("detail=memory"), "{name}: {again:?}");
            made.push(path);
        }
        // Another node in the middle of it has the origin to go to, and serves nothing wrong.
        let other = stand.node().await;
        let path = stand.source("known");
        let answer = other.get(&path).await;
        assert!(answer.status == StatusCode::OK && answer.body == known.body, "{name}: {answer:?}");
        other.stop().await;
    }
    stand.way.be(Mood::Well);
    // All that was made is told, and a new node without an origin has it from the bucket.
    let requests = stand.origin.seen().len();
    let fresh = TestNode::start_with(&stand.origin, |config| stand.bucket.configure(config)).await;
    for path in &made {
        let found = get_once_there(&fresh, path).await;
        assert!(found.body == known.body, "{path}");
    }
    assert_eq!(stand.origin.seen().len(), requests);
    node.stop().await;
}

#[tokio::test]
async fn hits_in_memory_do_not_feel_the_store() {
    let stand = Stand::new().await;
    let node = stand.node().await;
    let path = stand.source("known");
    let address = node.get(&path).await.header("content-location").to_owned();
    // The store has been told all of it: what is asked for about it from now on would be asked by hits.
    let other = stand.node().await;
    get_once_there(&other, &path).await;
    other.stop().await;
    stand.way.take_seen();
    let asked = async |path: &str| {
        let begun = node.node.clock.now();
        let answer = node.get(path).await;
        assert!(answer.header("cache-status").ends_with("detail=memory"), "{answer:?}");
        node.node.clock.now() - begun
    };
    let moods = [Mood::Slow(Duration::from_secs(2)), Mood::Busy, Mood::Lying, Mood::Gone];
    for (number, mood) in moods.into_iter().enumerate() {
        let (mut well, mut ill) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Turn and turn about, so that both feel the machine alike.
            for (mood, sides) in [(Mood::Well, &mut well), (mood, &mut ill)] {
                stand.way.be(mood);
                // Now and then a miss, so that the node has something to tell the store.
                if mood != Mood::Well && round % 5 == 0 {
                    let seed = (number * ROUNDS + round) as u64;
                    let noise = Signal::noise(SampleRate::HZ_8000, seed, 0.5, Duration::from_secs(1)).wav(Depth::S16);
                    let miss = node.get(&stand.source_of(&format!("miss-{seed}"), Body::of(noise))).await;
                    assert_eq!(miss.status, StatusCode::OK);
                }
                let mut spans = Vec::new();
                for _ in 0..ASKED / 2 {
                    spans.push(asked(&path).await);
                    spans.push(asked(&address).await);
                }
                sides.push(Side::of(spans));
            }
        }
        // No request of theirs waited for the store.
        assert!(ill.iter().all(|side| side.max < Duration::from_secs(2)), "{mood:?}: {ill:?}");
        let ratio = |of: fn(&Side) -> Duration| median(&ill, of).as_secs_f64() / median(&well, of).as_secs_f64();
        let (p50, p99) = (ratio(|side| side.p50), ratio(|side| side.p99));
        println!(
            "{mood:?}: medians of {ROUNDS} rounds: p50 {:?} healthy, {:?} then, {p50:.2} times; p99 {:?} healthy, {:?} then, {p99:.2} times",
            median(&well, |side| side.p50),
            median(&ill, |side| side.p50),
            median(&well, |side| side.p99),
            median(&ill, |side| side.p99),
        );
        // How they compare is the machine's as well, beside other tests; `make bench-durable` measures it.
    }
    let seen = stand.way.take_seen();
    let id = address.strip_prefix("/media/").unwrap().strip_suffix(".ulaw").unwrap();
    assert!(!seen.iter().any(|request| request.starts_with("GET") && request.contains(id)), "{seen:?}");
    node.stop().await;
}

/// What the requests of one side of a round took.
#[derive(Debug)]
struct Side {
    p50: Duration,
    p99: Duration,
    max: Duration,
}

impl Side {
    fn of(mut spans: Vec<Duration>) -> Side {
        spans.sort();
        let count = spans.len();
        Side { p50: spans[count / 2], p99: spans[count * 99 / 100], max: spans[count - 1] }
    }
}

fn median(sides: &[Side], of: fn(&Side) -> Duration) -> Duration {
    let mut values: Vec<Duration> = sides.iter().map(of).collect();
    values.sort();
    values[values.len() / 2]
}

/// A list of what is to be told that an outage has filled: nobody is served less, and what was in it is shared afterwards.
#[tokio::test]
async fn an_outage_that_fills_the_list_stops_nobody() {
    /// Two fills of four changes each: source, manifest, reference, original.
    const ROOM: u64 = 8;
    let stand = Stand::new().await;
    let node = stand.node_with(|config| config.media.cache.durable.pending_max = ROOM).await;
    stand.way.be(Mood::Gone);
    let mut made = Vec::new();
    for number in 0..6 {
        let noise = Signal::noise(SampleRate::HZ_8000, number, 0.5, Duration::from_secs(1)).wav(Depth::S16);
        let path = stand.source_of(&format!("prompt-{number}"), Body::of(noise));
        let miss = node.get(&path).await;
        assert!(miss.header("cache-status").contains("fwd=miss; stored"), "{miss:?}");
        made.push((path, miss.body));
    }
    let hits = async || {
        for (path, body) in &made {
            let hit = node.get(path).await;
            assert!(hit.header("cache-status").ends_with("detail=memory") && hit.body == *body, "{path}: {hit:?}");
        }
    };
    hits().await;
    stand.way.be(Mood::Well);
    let other = stand.node().await;
    for (path, body) in &made[..2] {
        assert!(get_once_there(&other, path).await.body == *body, "{path}");
    }
    for (path, _) in &made[2..] {
        let request = other.request(http::Method::GET, path).header("cache-control", "only-if-cached");
        assert_eq!(other.send(request).await.slug(), "not-cached", "{path}");
    }
    hits().await;
    // Whoever asks for it at another node has it made there, and so shared.
    let (path, body) = &made[5];
    assert!(other.get(path).await.body == *body);
    let third = stand.node().await;
    assert!(get_once_there(&third, path).await.body == *body);
    for node in [node, other, third] {
        node.stop().await;
    }
}

#[tokio::test]
async fn a_range_of_a_long_artifact_reads_only_its_chunks() {
    let stand = Stand::new().await;
    // Noise, so that no chunk is another's.
    let rate = SampleRate::new(8_000).unwrap();
    let wav = Signal::noise(rate, 1, 0.5, Duration::from_secs(600)).wav(Depth::S16);
    stand.origin.set("/long.wav", Reply::ok("audio/wav", Body::of(wav)).header("cache-control", "max-age=3600"));
    let path = fetch_path(&stand.origin.url("/long.wav"), "ulaw");
    let first = stand.node().await;
    let made = first.get(&path).await;
    let asked = json!({ "source": { "url": stand.origin.url("/long.wav") }, "format": "ulaw" });
    let described: serde_json::Value = serde_json::from_slice(&first.post(&asked).await.body).unwrap();
    let address = described["url"].as_str().unwrap().to_owned();
    first.stop().await;
    let second = stand.node().await;
    stand.way.take_seen();
    let length = made.body.len();
    let from = length / 2;
    let part = second.get_with(&address, "range", &format!("bytes={from}-{}", from + 999)).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{}", String::from_utf8_lossy(&part.body));
    assert!(part.body == made.body[from..from + 1000]);
    let seen = stand.way.take_seen();
    let ranges: Vec<&String> = seen.iter().filter(|request| request.contains("/artifacts/")).collect();
    let chunk = from >> 18;
    let expected = format!("bytes={}-{}", chunk << 18, (((chunk + 1) << 18) - 1).min(length - 1));
    assert!(ranges.len() == 1 && ranges[0].ends_with(&expected), "{seen:?}, expected {expected}");
    second.stop().await;
}
