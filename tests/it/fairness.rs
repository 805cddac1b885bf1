//! One caller's or one origin's trouble is not another's: signatures, formats, slow origins, freshness that is not repeated.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Gate, Origin, Reply},
};

use crate::support::node::{TestNode, fetch_path};

fn audio(name: &str) -> Reply {
    Reply::ok("audio/wav", Body::of(fixture::audio(name).unwrap())).header("cache-control", "max-age=60")
}

#[tokio::test]
async fn a_bad_signature_spoils_nothing_for_a_good_one() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    let refused = Reply::status(403, "text/plain", Body::of("expired"));
    origin.set("/a.wav?token=bad", refused.clone());
    origin.set("/a.wav?token=worse", refused.hold_headers(&gate));
    origin.set("/a.wav?token=good", audio("speech.wav"));
    let node = TestNode::start(&origin).await;
    let path = |token: &str| fetch_path(&origin.url(&format!("/a.wav?token={token}")), "ulaw");
    assert_eq!(node.get(&path("bad")).await.slug(), "origin-failed");
    // What failed is remembered of the bad one alone.
    let bad = node.get(&path("bad")).await;
    assert_eq!(bad.slug(), "origin-failed");
    assert_eq!(origin.count(&Method::GET, "/a.wav?token=bad"), 1);
    // A good one that joins the download of a bad one gets its own.
    let (first, second) = (path("worse"), path("good"));
    let worse = node.get(&first);
    let good = async {
        origin.wait_for_requests(2).await;
        let good = node.get(&second);
        let open = async { gate.open() };
        tokio::join!(good, open).0
    };
    let (worse, good) = tokio::join!(worse, good);
    assert_eq!(worse.slug(), "origin-failed");
    assert_eq!(good.status, StatusCode::OK, "{good:?}");
    // Afterwards both are one source again.
    assert!(node.get(&path("bad")).await.header("cache-status").contains("hit"));
}

#[tokio::test]
async fn what_cannot_be_decoded_can_still_be_had_as_it_is() {
    let mut clip = fixture::audio("speech.wav").unwrap().to_vec();
    // A codec that nobody knows.
    clip[20..22].copy_from_slice(&[0x99, 0x7f]);
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(clip.clone())));
    let node = TestNode::start(&origin).await;
    assert_eq!(node.get(&fetch_path(&origin.url("/a.wav"), "ulaw")).await.slug(), "not-audio");
    let raw = node.get(&fetch_path(&origin.url("/a.wav"), "raw")).await;
    assert_eq!((raw.status, raw.body), (StatusCode::OK, clip));
}

#[tokio::test]
async fn slow_origins_do_not_hold_up_the_others() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    for path in ["/slow1.wav", "/slow2.wav", "/slow3.wav"] {
        origin.set(path, audio("speech.wav").hold_after(20_000, &gate));
    }
    origin.set("/quick.wav", audio("chirp-ima.wav"));
    let node = TestNode::start_with(&origin, |config| {
        config.media.fill.workers = 1;
        config.media.fill.parked_max = 3;
        config.media.fill.grace = Duration::ZERO;
    })
    .await;
    let slow = ["/slow1.wav", "/slow2.wav", "/slow3.wav"].map(|path| fetch_path(&origin.url(path), "ulaw"));
    let quick = fetch_path(&origin.url("/quick.wav"), "ulaw");
    let all_slow = futures_util::future::join_all(slow.iter().map(|path| node.get(path)));
    let quick = async {
        gate.arrived(3).await;
        let quick = tokio::time::timeout(Duration::from_secs(20), node.get(&quick)).await;
        gate.open();
        quick
    };
    let (slow, quick) = tokio::join!(all_slow, quick);
    assert_eq!(quick.expect("held up by slow origins").status, StatusCode::OK);
    assert!(slow.iter().all(|answer| answer.status == StatusCode::OK && answer.body.len() == slow[0].body.len()));
}

#[tokio::test]
async fn a_stream_whose_first_byte_does_not_come_ends_the_callers_wait() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    origin.set("/a.wav", audio("speech.wav").hold_after(10, &gate));
    let node = TestNode::start_with(&origin, |config| {
        config.media.fill.wait = Duration::from_millis(300);
        config.media.fill.grace = Duration::ZERO;
    })
    .await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let answer = node.get(&path).await;
    assert_eq!(answer.slug(), "fill-running");
    assert_ne!(answer.header("retry-after"), "");
    // It goes on without that caller.
    gate.open();
    node.settled().await;
    assert!(node.get(&path).await.header("cache-status").contains("hit"));
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 1);
}

#[tokio::test]
async fn a_lifetime_that_a_304_does_not_repeat_stays() {
    let origin = Origin::start().await.unwrap();
    let reply = Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())).etag("\"v1\"");
    origin.set_sequence("/a.wav", [reply.clone().header("cache-control", "max-age=0"), reply]);
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    for asked in 1..=3 {
        let answer = node.get(&path).await;
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "public, max-age=0"));
        assert_eq!(origin.count(&Method::GET, "/a.wav"), asked, "{answer:?}");
        node.settled().await;
    }
}

#[tokio::test]
async fn who_wants_nothing_kept_gets_no_address() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", audio("speech.wav"));
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let stored = node.get(&path).await;
    assert_ne!(stored.header("content-location"), "");
    let answer = node.get_with(&path, "cache-control", "no-store").await;
    assert!(answer.header("cache-status").contains("hit"), "{answer:?}");
    assert_eq!((answer.header("content-location"), answer.header("cache-control")), ("", "no-store"));
    assert_eq!(answer.body, stored.body);
}
