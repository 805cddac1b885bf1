//! Addresses that end: the option `expires`.

use std::time::{Duration, UNIX_EPOCH};

use super::{KEY, node_with_key, outcome, sign, sign_with, speech, unsigned};
use crate::support::{
    node::TestNode,
    wire::{Reply, Wire},
};

/// So many seconds from now, by the node's clock.
fn expires(node: &TestNode, seconds: u64) -> String {
    let now = node.node.clock.now_wall().duration_since(UNIX_EPOCH).unwrap();
    format!("expires:{}", now.as_secs() + seconds)
}

fn max_age(reply: &Reply) -> u64 {
    reply
        .field("cache-control")
        .strip_prefix("public, max-age=")
        .unwrap_or_else(|| panic!("{}", reply.shown()))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn an_address_ends_and_nobody_keeps_its_answer_for_longer() {
    let origin = speech().await;
    let (node, mut wire) = node_with_key(&origin).await;
    let path = sign(&unsigned(&origin, &expires(&node, 30)));
    let forever = sign(&unsigned(&origin, "-"));
    let late = sign(&unsigned(&origin, &expires(&node, 3_600)));

    // The source is fresh for 60 s, this address for 30: as a miss, from memory, and where nothing changed.
    let miss = wire.ask("GET", &path, &[]).await;
    assert_eq!(miss.status, 200, "{}", miss.shown());
    let hit = wire.ask("GET", &path, &[]).await;
    assert!(hit.field("cache-status").ends_with("detail=memory"), "{}", hit.shown());
    let head = wire.ask("HEAD", &path, &[]).await;
    let unchanged = wire.ask("GET", &path, &[&format!("If-None-Match: {}", hit.field("etag"))]).await;
    assert_eq!(unchanged.status, 304);
    for reply in [&miss, &hit, &head, &unchanged] {
        assert!((20..=30).contains(&max_age(reply)), "{}", reply.shown());
    }
    for path in [&forever, &late] {
        let reply = wire.ask("GET", path, &[]).await;
        assert!((50..=60).contains(&max_age(&reply)), "{}", reply.shown());
        // When an address ends is no part of what was made.
        assert_eq!(reply.field("content-location"), miss.field("content-location"));
        assert!(reply.field("cache-status").ends_with("detail=memory"), "{}", reply.shown());
    }

    node.node.clock.advance_wall(Duration::from_secs(29));
    let last = wire.ask("GET", &path, &[]).await;
    // A second may have passed by itself.
    assert!(last.status == 403 || max_age(&last) <= 1, "{}", last.shown());
    node.node.clock.advance_wall(Duration::from_secs(1));
    let over = wire.ask("GET", &path, &[]).await;
    assert_eq!(outcome(&over), (403, "link-expired".to_owned()));
    let head = wire.ask("HEAD", &path, &[]).await;
    assert_eq!((head.status, head.lasting()), (403, over.lasting()));
    // Not even what is not changed, or in the cache.
    for fields in [["If-None-Match: *"], ["Cache-Control: only-if-cached"]] {
        assert_eq!(wire.ask("GET", &path, &fields).await.status, 403, "{fields:?}");
    }
    // The audio is where it was.
    for path in [&forever, &late, miss.field("content-location")] {
        assert_eq!(wire.ask("GET", path, &[]).await.status, 200, "{path}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn only_who_signed_it_learns_that_it_is_over() {
    let origin = speech().await;
    let (_node, mut wire) = node_with_key(&origin).await;
    for long_ago in ["expires:0", "expires:1", "expires:0000000001", "expires:1700000000,gain:1"] {
        let path = unsigned(&origin, long_ago);
        assert_eq!(outcome(&wire.ask("GET", &sign(&path), &[]).await), (403, "link-expired".to_owned()), "{path}");
        for forged in [path.clone(), sign_with(&KEY, b"other", &path), sign(&path).replace("expires:", "expires:9")] {
            let reply = wire.ask("GET", &forged, &[]).await;
            assert_eq!(outcome(&reply), (403, "signature-invalid".to_owned()), "{forged}");
        }
    }
    for nonsense in [
        "expires:soon",
        "expires:-1",
        "expires:+99999999999",
        "expires:99999999999.5",
        "expires:18446744073709551616",
        "expires:18446744073709551615",
        "expires:99999999999,expires:99999999999",
    ] {
        let reply = wire.ask("GET", &sign(&unsigned(&origin, nonsense)), &[]).await;
        assert_eq!(outcome(&reply), (400, "bad-request".to_owned()), "{nonsense}");
    }
    assert_eq!(origin.seen().len(), 0);
    assert_eq!(wire.ask("GET", &sign(&unsigned(&origin, "expires:99999999999")), &[]).await.status, 200);
}

#[tokio::test]
async fn unsigned_addresses_end_as_well() {
    let origin = speech().await;
    let node = TestNode::start(&origin).await;
    let mut wire = Wire::connect(node.node.address).await;
    let path = unsigned(&origin, &expires(&node, 30));
    assert!(max_age(&wire.ask("GET", &path, &[]).await) <= 30);
    node.node.clock.advance_wall(Duration::from_secs(30));
    assert_eq!(outcome(&wire.ask("GET", &path, &[]).await), (403, "link-expired".to_owned()));
}

#[tokio::test]
async fn a_stream_that_is_still_being_made_is_kept_no_longer_either() {
    let origin = speech().await;
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let mut wire = Wire::connect(node.node.address).await;
    let reply = wire.ask("GET", &unsigned(&origin, &expires(&node, 30)), &["Connection: close"]).await;
    assert!((20..=30).contains(&max_age(&reply)), "{}", reply.shown());
}
