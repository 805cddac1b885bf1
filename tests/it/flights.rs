//! Single flight: however many ask, the origin is asked once, and nobody's leaving is another's loss (`spec/media.md` §4.1).

use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Gate, Origin, Reply},
};

use crate::support::node::{TestNode, fetch_path};

const CALLERS: usize = 100;

fn speech() -> Vec<u8> {
    fixture::audio("speech.wav").unwrap().to_vec()
}

/// An origin that holds its audio back after `bytes` until the gate is opened.
async fn held_origin(bytes: u64) -> (Origin, Gate) {
    let (origin, gate) = (Origin::start().await.unwrap(), Gate::closed());
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(speech())).hold_after(bytes, &gate));
    (origin, gate)
}

#[tokio::test]
async fn a_hundred_cold_callers_cost_the_origin_one_get() {
    let (origin, gate) = held_origin(4_000).await;
    // Streams: with the grace they would all wait for the end and nothing would be shared while it runs.
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let calls = join_all((0..CALLERS).map(|_| node.get(&path)));
    let open = async {
        gate.arrived(1).await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(calls, open);
    // Streams end before their bytes are stored: the next caller would find the fill still settling.
    node.settled().await;
    let expected = node.get(&path).await;
    assert!(expected.header("cache-status").starts_with("ringback; hit"), "{expected:?}");
    assert!(expected.body.len() > 10_000);
    for answer in answers {
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body == expected.body, "{} of {} bytes", answer.body.len(), expected.body.len());
    }
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 1);
}

#[tokio::test]
async fn callers_who_leave_change_nothing_for_the_others() {
    let (origin, gate) = held_origin(20_000).await;
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    // The first caller is the one that starts the fill.
    let first = node.request(Method::GET, &path).send().await.unwrap();
    gate.arrived(1).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(node.request(Method::GET, &path).send().await.unwrap());
    }
    drop(first);
    let staying = others.split_off(10);
    drop(others);
    gate.open();
    let expected = node.get(&path).await;
    for response in staying {
        assert!(response.bytes().await.unwrap() == expected.body);
    }
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 1);
}

#[tokio::test]
async fn two_formats_share_one_fetch() {
    let (origin, gate) = held_origin(4_000).await;
    let node = TestNode::start(&origin).await;
    let path = |extension| fetch_path(&origin.url("/a.wav"), extension);
    let (ulaw, alaw, wav) = (path("ulaw"), path("alaw"), path("wav"));
    let open = async {
        gate.arrived(1).await;
        gate.open();
    };
    let (ulaw, alaw, wav, ()) = tokio::join!(node.get(&ulaw), node.get(&alaw), node.get(&wav), open);
    for answer in [&ulaw, &alaw, &wav] {
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(ulaw.body.len(), alaw.body.len());
    assert_eq!(wav.body.len(), 44 + 2 * ulaw.body.len());
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 1);
}

#[tokio::test]
async fn when_the_last_caller_leaves_early_the_fetch_ends_and_the_next_begins_anew() {
    let (origin, gate) = held_origin(8_000).await;
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let response = node.request(Method::GET, &path).send().await.unwrap();
    gate.arrived(1).await;
    drop(response);
    // The node hangs up at the origin: only then is the fetch over.
    origin.wait_for_aborts(1).await;
    gate.open();
    assert_eq!(node.get(&path).await.status, StatusCode::OK);
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
}

#[tokio::test]
async fn a_fetch_that_is_nearly_done_goes_on_without_callers() {
    let length = speech().len() as u64;
    let (origin, gate) = held_origin(length * 9 / 10).await;
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let mut response = node.request(Method::GET, &path).send().await.unwrap();
    // Reading most of it proves that most of it has arrived.
    let mut read = 0;
    while read < length as usize / 8 {
        read += response.chunk().await.unwrap().unwrap().len();
    }
    drop(response);
    gate.open();
    assert_eq!(node.get(&path).await.status, StatusCode::OK);
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 1);
}
