//! Requests that come back: `CDN-Loop` (RFC 8586) at every door that leads to an origin, and on the way out.

use http::Method;
use ringback::{
    config::Config,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
    units::ByteCount,
};

use crate::support::node::{Answer, TestNode, fetch_path};

/// An origin whose audio is never fresh, so that each request goes out again.
async fn speech() -> Origin {
    let origin = Origin::start().await.unwrap();
    let reply = Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap()));
    origin.set("/speech.wav", reply.header("cache-control", "max-age=0"));
    origin
}

/// The `CDN-Loop` values of the last request that an origin has seen.
fn passed_on(origin: &Origin) -> Vec<String> {
    let last = origin.seen().pop().unwrap();
    last.headers.get_all("cdn-loop").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// What a node calls itself, as its origin is told.
async fn name(node: &TestNode, origin: &Origin) -> String {
    node.get(&fetch_path(&origin.url("/speech.wav"), "opus")).await;
    let [name] = <[String; 1]>::try_from(passed_on(origin)).unwrap();
    name
}

async fn post(node: &TestNode, source: &str, cdn_loop: &str) -> Answer {
    let body = serde_json::json!({ "source": { "url": source }, "format": "alaw" });
    let request = node.request(Method::POST, "/v1/media").header("cdn-loop", cdn_loop);
    node.send(request.body(body.to_string())).await
}

#[tokio::test]
async fn what_a_request_went_through_is_told_to_the_origin() {
    let origin = speech().await;
    let node = TestNode::start(&origin).await;
    let name = name(&node, &origin).await;
    let source = origin.url("/speech.wav");
    let request = node.request(Method::GET, &fetch_path(&source, "sln")).header("cdn-loop", "first; v=1, second");
    assert_eq!(node.send(request.header("cdn-loop", "third")).await.status, 200);
    assert_eq!(passed_on(&origin), ["first; v=1, second", "third", &name]);
    assert_eq!(post(&node, &source, "first").await.status, 201);
    assert_eq!(passed_on(&origin), ["first", &name]);
}

#[tokio::test]
async fn a_request_that_names_this_node_is_refused_at_every_door_that_leads_out() {
    let origin = speech().await;
    // Without a disk a node forgets its audio when it stops, but not how it is made again.
    let node = TestNode::start_with(&origin, |config| config.media.cache.disk = ByteCount::bytes(0)).await;
    let source = origin.url("/speech.wav");
    let address = node.get(&fetch_path(&source, "ulaw")).await.header("content-location").to_owned();
    let old_name = name(&node, &origin).await;
    // What is in memory needs no way out.
    assert_eq!(node.get_with(&address, "cdn-loop", &old_name).await.status, 200);
    let node = node.restart(&origin).await;
    let name = name(&node, &origin).await;
    assert_ne!(name, old_name);

    let before = origin.seen().len();
    let own = format!("other, {name}; v=1");
    let too_many = "node-with-a-long-name, ".repeat(200);
    for hops in [name.as_str(), &own, &too_many] {
        for answer in [
            node.get_with(&fetch_path(&source, "ulaw"), "cdn-loop", hops).await,
            node.get_with(&address, "cdn-loop", hops).await,
            post(&node, &source, hops).await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (508, "loop-detected"), "{answer:?}");
        }
    }
    assert_eq!(origin.seen().len(), before);
    // A refusal is nobody else's: it is not remembered.
    assert_eq!(node.get(&address).await.status, 200);
    assert_eq!(origin.seen().len(), before + 1);
}

#[tokio::test]
async fn a_fill_that_nobody_waits_for_sees_the_loop_too() {
    let origin = speech().await;
    let node = TestNode::start(&origin).await;
    let name = name(&node, &origin).await;
    let body = serde_json::json!({ "source": { "url": origin.url("/speech.wav") }, "format": "alaw", "wait": false });
    let request = node.request(Method::POST, "/v1/media").header("cdn-loop", &name).body(body.to_string());
    let fill = node.send(request).await.header("location").to_owned();
    let mut state = serde_json::Value::Null;
    for _ in 0..1_000 {
        state = serde_json::from_slice(&node.get(&fill).await.body).unwrap();
        if state["status"] != "running" {
            break;
        }
    }
    assert_eq!(state["problem"]["type"], "urn:ringback:problem:loop-detected", "{state}");
    assert_eq!(origin.seen().len(), 1);
}

/// Each node asks the other, so that neither sees a request of its own come directly from itself.
#[tokio::test]
async fn a_circle_over_two_nodes_ends_where_it_began() {
    let origin = speech().await;
    let anywhere_here = |config: &mut Config| {
        config.outbound.allow_origins = vec!["127.0.0.0/8".to_owned()];
    };
    let first = TestNode::start_with(&origin, anywhere_here).await;
    let second = TestNode::start_with(&origin, anywhere_here).await;
    let by_second = second.url(&fetch_path(&origin.url("/circle.wav"), "wav"));
    let by_first = fetch_path(&by_second, "ulaw");
    origin.set("/circle.wav", Reply::redirect(&first.url(&by_first)));
    // Without the first node's name the circle would close: a request that waits for itself, until the origin's time is up.
    assert_eq!(first.get(&by_first).await.slug(), "loop-detected");
    assert_eq!(origin.count(&Method::GET, "/circle.wav"), 1);
    assert_eq!(passed_on(&origin).len(), 2);
}
