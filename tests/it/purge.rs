//! Purging over HTTP: what was got before is got anew, by source, prefix, label, or all.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Gate, Origin, Reply},
};
use serde_json::json;

use crate::support::node::{Answer, TestNode, fetch_path};

const OLD: &str = "speech.wav";
const NEW: &str = "chirp-ima.wav";

fn audio(name: &str) -> Reply {
    Reply::ok("audio/wav", Body::of(fixture::audio(name).unwrap()))
        .header("cache-control", "max-age=3600")
        .etag("\"v\"")
}

async fn purge(node: &TestNode, what: serde_json::Value) -> Answer {
    let answer = node.send(node.request(Method::POST, "/v1/media/purge").body(what.to_string())).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &br#"{"scope":"node"}"#[..]), "{what}");
    answer
}

#[tokio::test]
async fn what_is_purged_is_got_anew_and_nothing_else() {
    let origin = Origin::start().await.unwrap();
    let paths = ["/a/1.wav", "/a/2.wav", "/b/1.wav"];
    for path in paths {
        origin.set(path, audio(OLD).header("cache-tag", &format!("all, t{}", &path[1..2])));
    }
    let mut node = TestNode::start(&origin).await;
    let fetch = |path: &str| fetch_path(&origin.url(path), "ulaw");
    for path in paths {
        node.get(&fetch(path)).await;
    }
    let url = origin.url("/a/1.wav");
    for (what, meant) in [
        (json!({ "url": url }), &["/a/1.wav"][..]),
        (json!({ "url": url.replacen("http", "HTTP", 1) }), &["/a/1.wav"]),
        (json!({ "url": origin.url("/a/") }), &[]),
        (json!({ "prefix": origin.url("/a/") }), &["/a/1.wav", "/a/2.wav"]),
        (json!({ "prefix": origin.url("") }), &paths),
        (json!({ "tag": "tb" }), &["/b/1.wav"]),
        (json!({ "tag": "t" }), &[]),
        (json!({ "all": true }), &paths),
    ] {
        let before: Vec<usize> = paths.iter().map(|path| origin.count(&Method::GET, path)).collect();
        purge(&node, what.clone()).await;
        // It is written down.
        node = node.restart(&origin).await;
        for (path, before) in paths.iter().zip(before) {
            let (answer, is_meant) = (node.get(&fetch(path)).await, meant.contains(path));
            let expected = if is_meant { "ringback; fwd=miss" } else { "ringback; hit" };
            assert!(answer.header("cache-status").starts_with(expected), "{path} after {what}: {answer:?}");
            assert_eq!(origin.count(&Method::GET, path), before + usize::from(is_meant), "{path} after {what}");
            assert!(node.get(&fetch(path)).await.header("cache-status").starts_with("ringback; hit"));
        }
    }
}

#[tokio::test]
async fn what_is_under_an_address_is_made_again_or_gone() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", audio(OLD));
    let node = TestNode::start(&origin).await;
    let made =
        node.post(&json!({ "source": { "url": origin.url("/a.wav") }, "format": "ulaw", "tags": ["mine"] })).await;
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    let address = made["url"].as_str().unwrap().to_owned();
    let first = node.get(&address).await;
    assert!(first.header("cache-status").contains("hit"));
    purge(&node, json!({ "tag": "mine" })).await;
    // The label was the POST's, and speaks of the source as well.
    let again = node.get(&address).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 2);
    assert!(node.get(&address).await.header("cache-status").contains("hit"));
    origin.set("/a.wav", audio(NEW));
    purge(&node, json!({ "url": origin.url("/a.wav") })).await;
    assert_eq!(node.get(&address).await.slug(), "not-found");
    let described = node.get(&format!("/v1/media/{}", made["id"].as_str().unwrap())).await;
    let described: serde_json::Value = serde_json::from_slice(&described.body).unwrap();
    assert_eq!((&described["tags"], &described["tiers"]), (&json!(["mine"]), &json!([])));
}

#[tokio::test]
async fn what_is_under_way_does_not_reach_those_who_come_after_a_purge() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    origin.set_sequence("/a.wav", [audio(OLD).hold_after(10_000, &gate), audio(NEW)]);
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let before = node.get(&path);
    let after = async {
        gate.arrived(1).await;
        purge(&node, json!({ "prefix": origin.url("/") })).await;
        let after = node.get(&path).await;
        gate.open();
        after
    };
    let (before, after) = tokio::join!(before, after);
    assert_eq!((before.status, after.status), (StatusCode::OK, StatusCode::OK));
    assert_ne!(before.body, after.body);
    node.settled().await;
    // What was under way is kept, and counts as got before the purge.
    assert!(node.get(before.header("content-location")).await.slug() == "not-found");
    let later = node.get(&path).await;
    assert!(later.header("cache-status").contains("hit"), "{later:?}");
    assert_eq!(later.body, after.body);
}

#[tokio::test]
async fn a_purge_leaves_alone_what_it_does_not_speak_of() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::closed();
    origin.set("/a.wav", audio(OLD).hold_after(10_000, &gate));
    let node = TestNode::start(&origin).await;
    let body = json!({ "source": { "url": origin.url("/a.wav") }, "format": "ulaw" });
    let made = node.post(&body);
    let purged = async {
        gate.arrived(1).await;
        purge(&node, json!({ "tag": "unrelated" })).await;
        gate.open();
    };
    let (made, ()) = tokio::join!(made, purged);
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(node.get(made["url"].as_str().unwrap()).await.status, StatusCode::OK);
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 1);
}

#[tokio::test]
async fn labels_that_came_later_count_and_so_do_formats_that_were_not_made_again() {
    let origin = Origin::start().await.unwrap();
    for path in ["/a.wav", "/b.wav"] {
        origin.set(path, audio(OLD));
    }
    let node = TestNode::start(&origin).await;
    let address = async |path: &str, extension: &str| {
        let answer = node.get(&fetch_path(&origin.url(path), extension)).await;
        answer.header("content-location").to_owned()
    };
    let (ulaw, alaw) = (address("/a.wav", "ulaw").await, address("/a.wav", "alaw").await);
    assert!(node.get(&ulaw).await.header("cache-status").contains("hit"));
    // The same bytes from elsewhere, with a label: the address is the same, and the label is its own.
    let body = json!({ "source": { "url": origin.url("/b.wav") }, "format": "ulaw", "tags": ["late"] });
    assert_eq!(node.post(&body).await.status, StatusCode::CREATED);
    purge(&node, json!({ "tag": "late" })).await;
    let before = origin.seen().len();
    assert!(!node.get(&ulaw).await.header("cache-status").contains("hit"));
    assert_eq!(origin.seen().len(), before + 1);
    // One format is got again; the other is there, of the same bytes, and as good.
    purge(&node, json!({ "all": true })).await;
    address("/a.wav", "ulaw").await;
    assert_eq!(address("/a.wav", "alaw").await, alaw);
    for path in [&ulaw, &alaw] {
        let answer = node.get_with(path, "cache-control", "only-if-cached").await;
        assert_eq!(answer.status, StatusCode::OK, "{path} {answer:?}");
    }
}

#[tokio::test]
async fn a_purge_of_nothing_is_refused() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let long = "x".repeat(257);
    for body in [
        "",
        "{}",
        "[]",
        "\"all\"",
        "{\"all\":false}",
        "{\"url\":\"nonsense\"}",
        "{\"prefix\":\"//a\"}",
        "{\"tag\":\"\"}",
        "{\"tag\":\"a\",\"all\":true}",
        &format!("{{\"tag\":\"{long}\"}}"),
    ] {
        let answer = node.send(node.request(Method::POST, "/v1/media/purge").body(body.to_owned())).await;
        assert_eq!((answer.status, answer.slug().as_str()), (StatusCode::BAD_REQUEST, "bad-request"), "{body}");
    }
    assert_eq!(node.get("/v1/media/purge").await.slug(), "method-not-allowed");
    tokio::time::timeout(Duration::from_secs(5), node.stop()).await.unwrap();
}
