//! `media.origin.allowed_sources`: whose audio this node passes on.

use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};

use super::speech;
use crate::support::node::{TestNode, fetch_path};

/// A node that uses what is below this path of the origin, and nothing else.
async fn node_for(origin: &Origin, path: &str) -> TestNode {
    TestNode::start_with(origin, |config| config.media.origin.allowed_sources = vec![origin.url(path).parse().unwrap()])
        .await
}

fn audio() -> Reply {
    Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())).header("cache-control", "max-age=60")
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_in_every_disguise_and_sees_nothing() {
    let origin = speech().await;
    origin.set("/prompts/a.wav", audio());
    origin.set("/secret.wav", audio());
    let node = node_for(&origin, "/prompts/").await;
    let (host, port) = ("127.0.0.1", origin.address().port());
    let allowed = node.get(&fetch_path(&origin.url("/prompts/a.wav"), "ulaw")).await;
    assert_eq!(allowed.status, 200, "{allowed:?}");
    // Other spellings of the same URL are the same source, and in memory.
    for spelling in [
        format!("HTTP://0x7f.1:{port}/prompts/a.wav"),
        format!("http://{host}.:{port}/prompts/a.wav"),
        format!("http://{host}:{port}/x/../prompts/./a.wav#x"),
    ] {
        let reply = node.get(&fetch_path(&spelling, "ulaw")).await;
        assert_eq!((reply.status.as_u16(), reply.header("cache-status").contains("memory")), (200, true), "{spelling}");
    }
    for source in [
        origin.url("/secret.wav"),
        origin.url("/prompts"),
        origin.url("/prompts/../secret.wav"),
        origin.url("/prompts/%2e%2e/secret.wav"),
        origin.url("/prompts/..%2fsecret.wav"),
        origin.url("/prompts/..%5csecret.wav"),
        origin.url("/prompts/%252e%252e%252fsecret.wav"),
        origin.url("/prompts/..;/secret.wav"),
        origin.url("/prompts\\..\\secret.wav"),
        origin.url("/Prompts/a.wav"),
        origin.url("//prompts/a.wav"),
        origin.url("/secret.wav?/prompts/"),
        origin.url("/secret.wav#/prompts/"),
        format!("https://{host}:{port}/prompts/a.wav"),
        format!("http://{host}/prompts/a.wav"),
        format!("http://localhost:{port}/prompts/a.wav"),
        format!("http://user@{host}:{port}/prompts/a.wav"),
        format!("http://{host}:{port}@evil.invalid/prompts/a.wav"),
        format!("http://evil.invalid/http://{host}:{port}/prompts/a.wav"),
        // A name that nothing resolves: whoever looked it up would say so.
        format!("http://{host}.invalid:{port}/prompts/a.wav"),
    ] {
        let reply = node.get(&fetch_path(&source, "ulaw")).await;
        assert_eq!((reply.status.as_u16(), reply.slug().as_str()), (403, "source-forbidden"), "{source}");
        let posted = node.post(&serde_json::json!({ "source": { "url": source }, "format": "ulaw" })).await;
        assert_eq!((posted.status.as_u16(), posted.slug().as_str()), (403, "source-forbidden"), "{source}");
    }
    let paths: Vec<_> = origin.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/prompts/a.wav"]);
}

#[tokio::test]
async fn redirects_must_lead_to_allowed_sources() {
    let origin = speech().await;
    let elsewhere = speech().await;
    origin.set("/prompts/a.wav", Reply::redirect("b.wav"));
    origin.set("/prompts/b.wav", audio());
    origin.set("/prompts/out.wav", Reply::redirect("/secret.wav"));
    origin.set("/prompts/far.wav", Reply::redirect(&elsewhere.url("/speech.wav")));
    origin.set("/prompts/round.wav", Reply::redirect("/secret.wav/../prompts/b.wav"));
    let start = async |more: Option<String>| {
        TestNode::start_with(&origin, |config| {
            config.outbound.allow_origins.push(elsewhere.address().to_string());
            let patterns = std::iter::once(origin.url("/prompts/")).chain(more);
            config.media.origin.allowed_sources = patterns.map(|text| text.parse().unwrap()).collect();
        })
        .await
    };
    let node = start(None).await;
    let get = async |node: &TestNode, path: &str| node.get(&fetch_path(&origin.url(path), "ulaw")).await;
    assert_eq!(get(&node, "/prompts/a.wav").await.status, 200);
    assert_eq!(get(&node, "/prompts/round.wav").await.status, 200);
    assert_eq!(get(&node, "/prompts/out.wav").await.slug(), "source-forbidden");
    let far = get(&node, "/prompts/far.wav").await;
    assert_eq!(far.slug(), "source-forbidden");
    let detail = String::from_utf8_lossy(&far.body).into_owned();
    assert!(detail.contains(&elsewhere.address().to_string()), "it says what to allow: {detail}");
    assert!(origin.seen().iter().all(|seen| seen.path != "/secret.wav"));
    assert_eq!(elsewhere.connections(), 0);
    // Where the target is allowed too, it is followed.
    let node = start(Some(elsewhere.url("/"))).await;
    assert_eq!(get(&node, "/prompts/far.wav").await.status, 200);
    assert_eq!(elsewhere.connections(), 1);
}

/// The list is about sources, not about what was made of them while they were allowed.
#[tokio::test]
async fn what_was_made_before_stays_under_its_address_and_not_under_its_source() {
    let origin = speech().await;
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/speech.wav"), "ulaw");
    let address = node.get(&path).await.header("content-location").to_owned();
    let others = |config: &mut ringback::config::Config| {
        config.media.origin.allowed_sources = vec!["https://other.example/".parse().unwrap()];
    };
    let node = node.restart_with(&origin, others).await;
    assert_eq!(node.get(&address).await.status, 200);
    for cache_control in ["max-age=60", "only-if-cached", "no-cache"] {
        let reply = node.get_with(&path, "cache-control", cache_control).await;
        assert_eq!(reply.slug(), "source-forbidden", "{cache_control}");
    }
    assert_eq!(origin.seen().len(), 1);
}
