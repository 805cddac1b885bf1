//! What is there takes no place, in whatever tier it is; what has to be made takes one before anything is asked for it.

use http::{Method, StatusCode};
use ringback::{
    concurrency::{Limit, Resource},
    config::Config,
    media::cache::durable::StoreKind,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};
use serde_json::{Value, json};

use super::{Sources, assert_refused, idle, limit_of_accounts, raise_file_limit, usage};
use crate::support::node::{Answer, TestNode, fetch_path};

const AT_ONCE: usize = 1_000;
/// So many of them are for what is there.
const THERE: usize = 100;

/// Neither answers nor fills have any place.
fn closed(config: &mut Config) {
    for resource in [Resource::Fetches, Resource::Fills] {
        limit_of_accounts(config, resource, Limit::hard(0));
    }
}

fn in_bucket(config: &mut Config, bucket: &std::path::Path) {
    config.media.cache.durable.store = StoreKind::Directory;
    config.media.cache.durable.directory = Some(bucket.to_owned());
}

#[track_caller]
fn assert_told_nothing(hit: &Answer, tier: &str) {
    assert_eq!(hit.status, StatusCode::OK);
    assert!(hit.header("cache-status").ends_with(&format!("detail={tier}")), "{hit:?}");
    assert!(hit.headers.keys().all(|name| !name.as_str().starts_with("concurrent-")), "{hit:?}");
}

#[tokio::test]
async fn a_hit_takes_no_place_in_whatever_tier_it_is() {
    let (origin, bucket) = (Origin::start().await.unwrap(), tempfile::tempdir().unwrap());
    for path in ["/a.wav", "/b.wav"] {
        let reply = Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap()));
        origin.set(path, reply.header("cache-control", "max-age=3600"));
    }
    let source = fetch_path(&origin.url("/a.wav"), "ulaw");
    let maker = TestNode::start_with(&origin, |config| in_bucket(config, bucket.path())).await;
    let made = maker.get(&source).await;
    assert_eq!((made.status, made.header("concurrent-requests-resource")), (StatusCode::OK, "fetches"), "{made:?}");
    let address = made.header("content-location").to_owned();
    // One node has it on its disk, the other in the bucket alone; then both have it in memory.
    let settings = |config: &mut Config| {
        in_bucket(config, bucket.path());
        closed(config);
    };
    let on_disk = maker.restart_with(&origin, settings).await;
    let in_bucket = TestNode::start_with(&origin, settings).await;
    let asked = origin.seen().len();
    for (node, tier) in [(&on_disk, "disk"), (&in_bucket, "directory")] {
        for (path, tier) in [(&address, tier), (&source, "memory"), (&address, "memory")] {
            let hit = node.get(path).await;
            assert_told_nothing(&hit, tier);
            assert!(hit.body == made.body);
        }
        assert_eq!(usage(node, Resource::Fetches).await, Value::Null, "a hit was counted");
        // What is not there is refused, and nobody is asked for it: by its source, as a fill, and without a body.
        let unknown = origin.url("/b.wav");
        let refused = node.get(&fetch_path(&unknown, "ulaw")).await;
        assert_refused(&refused);
        assert_refused(&node.post(&json!({ "source": { "url": unknown }, "format": "ulaw" })).await);
        let head = node.send(node.request(Method::HEAD, &fetch_path(&unknown, "ulaw"))).await;
        assert_eq!(head.status, StatusCode::TOO_MANY_REQUESTS);
        // Another format of what is kept is made, too.
        assert_refused(&node.get(&fetch_path(&origin.url("/a.wav"), "alaw")).await);
        assert_eq!(usage(node, Resource::Fetches).await["impeded"]["rejected"], 3);
    }
    assert_eq!(origin.seen().len(), asked, "an origin was asked for what was refused");
    on_disk.stop().await;
    in_bucket.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_every_place_is_taken_hits_on_disk_are_answered_and_no_miss_gets_to_its_origin() {
    raise_file_limit();
    let origin = Origin::start().await.unwrap();
    let sources = Sources::new(&origin, "full", AT_ONCE + 1);
    let (mut node, mut made) = (TestNode::start(&origin).await, Vec::new());
    for number in 0..THERE {
        let path = format!("/there-{number}.wav");
        // No two are made into the same bytes.
        let mut audio = fixture::audio("speech.wav").unwrap().to_vec();
        for bit in 0..8 {
            let at = 1_000 + 1_000 * bit;
            audio[at..at + 200].fill(if number >> bit & 1 == 1 { 0x40 } else { 0 });
        }
        let reply = Reply::ok("audio/wav", Body::of(audio));
        origin.set(&path, reply.header("cache-control", "max-age=3600"));
        made.push(fetch_path(&origin.url(&path), "ulaw"));
    }
    for address in &made {
        assert_eq!(node.get(address).await.status, StatusCode::OK);
    }
    node = node.restart_with(&origin, |config| limit_of_accounts(config, Resource::Fetches, Limit::hard(1))).await;
    let last = sources.address(AT_ONCE);
    let story = async {
        sources.gate.arrived(1).await;
        let hits = made.iter().map(|address| node.get(address));
        let misses = (THERE..AT_ONCE).map(|number| {
            let (node, address) = (&node, sources.address(number));
            async move { node.get(&address).await }
        });
        let answers =
            futures_util::future::join(futures_util::future::join_all(hits), futures_util::future::join_all(misses));
        let answers = answers.await;
        sources.gate.open();
        answers
    };
    let (held, (hits, misses)) = tokio::join!(node.get(&last), story);
    assert_eq!(held.status, StatusCode::OK);
    hits.iter().for_each(|hit| assert_told_nothing(hit, "disk"));
    misses.iter().for_each(assert_refused);
    assert_eq!(sources.asked(), 1, "an origin was asked for what was refused");
    idle(&node, Resource::Fetches).await;
    let told = usage(&node, Resource::Fetches).await;
    assert_eq!((&told["peak"], &told["admitted"]), (&1.into(), &1.into()), "{told}");
    node.stop().await;
}
