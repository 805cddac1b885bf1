//! A store that is gone, slow, refuses or lies: hits above it do not feel it, misses are filled from the origin, nothing is wrong, and
//! what was made meanwhile is there afterwards.

use std::time::Duration;

use http::StatusCode;
use ringback::{
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
        signal::{Depth, Signal},
    },
    units::SampleRate,
};

use serde_json::json;

use super::{
    bucket::{Bucket, s3_config},
    get_once_there,
    shaky::{Mood, Shaky},
};
use crate::support::node::{TestNode, fetch_path};

const SPEECH: &str = "speech.wav";
/// Requests of each kind that are compared.
const ROUNDS: usize = 400;

struct Stand {
    origin: Origin,
    bucket: Bucket,
    way: Shaky,
}

impl Stand {
    async fn new() -> Stand {
        let bucket = Bucket::s3().await;
        let Bucket::S3(server) = &bucket else { unreachable!() };
        let way = Shaky::before(server.endpoint()).await;
        Stand { origin: Origin::start().await.unwrap(), bucket, way }
    }

    /// A node that goes to the bucket over the shaky way, with the patience that is the default.
    async fn node(&self) -> TestNode {
        TestNode::start_with(&self.origin, |config| {
            self.bucket.configure(config);
            let durable = &mut config.media.cache.durable;
            durable.s3 = s3_config(&self.way.endpoint());
            durable.s3.attempts_max = 2;
            durable.index_wait = Duration::from_millis(500);
            durable.slow = Duration::from_secs(1);
            durable.rest_max = Duration::from_secs(1);
        })
        .await
    }

    /// A path to a source of its own.
    fn source(&self, name: &str) -> String {
        let path = format!("/{name}.wav");
        let reply = Reply::ok("audio/wav", Body::of(fixture::audio(SPEECH).unwrap()));
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
    stand.way.take_seen();
    let asked = async |path: &str| {
        let begun = node.node.clock.now();
        let answer = node.get(path).await;
        assert!(answer.header("cache-status").ends_with("detail=memory"), "{answer:?}");
        node.node.clock.now() - begun
    };
    for mood in [Mood::Slow(Duration::from_secs(2)), Mood::Busy, Mood::Gone] {
        // Turn and turn about, so that both feel the machine alike.
        let (mut well, mut ill) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS / 20 {
            for (mood, spans) in [(Mood::Well, &mut well), (mood, &mut ill)] {
                stand.way.be(mood);
                for _ in 0..10 {
                    spans.push(asked(&path).await);
                    spans.push(asked(&address).await);
                }
            }
        }
        // Not how long it takes is what is tested here, which a busy machine decides, but that no request of theirs waited for the store.
        assert!(ill.iter().max() < Some(&Duration::from_secs(2)), "{mood:?}: {ill:?}");
        well.sort();
        ill.sort();
        let p99 = |spans: &[Duration]| spans[spans.len() * 99 / 100];
        println!("{mood:?}: p99 {:?} healthy, {:?} then", p99(&well), p99(&ill));
    }
    let seen = stand.way.take_seen();
    assert!(!seen.iter().any(|request| request.starts_with("GET") && request.contains("artifacts")), "{seen:?}");
    node.stop().await;
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
