//! What a node does that is full, waited for too long, or told to stop: it says so, keeps its promises, and recovers.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::{
    testing::origin::{Body, Gate, Length, Origin, Reply},
    units::ByteCount,
};
use tokio::net::TcpStream;

use super::{HELD, STREAMED, assert_problem, check_serving, music, path_of, random_bytes, speech, wav};
use crate::support::node::{Answer, TestNode, fetch_path};

#[tokio::test]
async fn a_fill_that_takes_longer_than_callers_wait_goes_on() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| config.media.fill.wait = Duration::from_millis(50)).await;
    let gate = Gate::closed();
    let path = path_of("prompt");
    origin.set(&path, speech().hold_after(50_000, &gate));
    let fetch = fetch_path(&origin.url(&path), HELD);
    let waited = node.get(&fetch).await;
    assert_problem(&waited, 504, "fill-running", "held");
    let head = node.send(node.request(Method::HEAD, &fetch_path(&origin.url(&path), STREAMED))).await;
    assert_eq!((head.status.as_u16(), head.header("retry-after")), (504, waited.header("retry-after")));
    let body = serde_json::json!({ "source": { "url": origin.url(&path) }, "format": HELD });
    assert_problem(&node.post(&body).await, 504, "fill-running", "posted");
    gate.open();
    node.settled().await;
    for extension in [HELD, STREAMED] {
        let hit = node.get(&fetch_path(&origin.url(&path), extension)).await;
        assert!(hit.header("cache-status").starts_with("ringback; hit"), "{hit:?}");
    }
    assert_eq!(origin.count(&Method::GET, &path), 1);
}

#[tokio::test]
async fn a_fill_that_nobody_can_come_back_for_ends_with_its_caller() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| config.media.fill.wait = Duration::from_millis(50)).await;
    let never = Gate::closed();
    let path = path_of("prompt");
    origin.set(&path, speech().hold_after(50_000, &never));
    let fetch = fetch_path(&origin.url(&path), HELD);
    let unkept = node.get_with(&fetch, "cache-control", "no-store").await;
    assert_eq!(unkept.status, 504, "{unkept:?}");
    node.settled().await;
}

/// Of several requests that end up the same way but for one that finds no room: that one, and the others still running.
async fn first_of(requests: Vec<tokio::task::JoinHandle<Answer>>) -> (Answer, Vec<tokio::task::JoinHandle<Answer>>) {
    let (first, _, rest) = futures_util::future::select_all(requests).await;
    (first.unwrap(), rest)
}

fn spawn_get(node: &TestNode, path: &str) -> tokio::task::JoinHandle<Answer> {
    let request = node.request(Method::GET, path);
    tokio::spawn(async move {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    })
}

#[tokio::test]
async fn a_full_queue_is_told_at_once_and_empties() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        config.media.fill.workers = 1;
        config.media.fill.queue_max = 1;
    })
    .await;
    let gate = Gate::closed();
    let fetches: Vec<String> = ["one", "two", "three"]
        .map(|name| {
            origin.set(&path_of(name), speech().hold_after(50_000, &gate));
            fetch_path(&origin.url(&path_of(name)), HELD)
        })
        .to_vec();
    let requests = fetches.iter().map(|fetch| spawn_get(&node, fetch)).collect();
    let (refused, others) = first_of(requests).await;
    assert_problem(&refused, 503, "busy", "the third");
    gate.open();
    for other in others {
        assert_eq!(other.await.unwrap().status, StatusCode::OK);
    }
    // Being busy is our trouble and no failure of the source: it is not remembered.
    for fetch in &fetches {
        assert_eq!(node.get(fetch).await.status, StatusCode::OK);
    }
    node.settled().await;
}

#[tokio::test]
async fn an_origin_is_asked_for_so_much_at_once_and_no_other_waits_for_it() {
    let (origin, other) = (Origin::start().await.unwrap(), Origin::start().await.unwrap());
    let node = TestNode::start_with(&origin, |config| {
        config.media.origin.per_origin_max = 2;
        config.media.origin.per_origin_waiting_max = 1;
        config.outbound.allow_origins.push(other.address().to_string());
    })
    .await;
    let gate = Gate::closed();
    let fetches = ["one", "two", "three", "four"].map(|name| {
        origin.set(&path_of(name), speech().hold_headers(&gate));
        fetch_path(&origin.url(&path_of(name)), HELD)
    });
    let requests = fetches.iter().map(|fetch| spawn_get(&node, fetch)).collect();
    let (refused, others) = first_of(requests).await;
    assert_problem(&refused, 503, "busy", "the fourth");
    gate.arrived(2).await;
    check_serving(&other, &node).await;
    assert_eq!(origin.seen().len(), 2);
    gate.open();
    for other in others {
        assert_eq!(other.await.unwrap().status, StatusCode::OK);
    }
    for fetch in &fetches {
        assert_eq!(node.get(fetch).await.status, StatusCode::OK);
    }
    assert_eq!(origin.seen().len(), 4);
    node.settled().await;
}

#[tokio::test]
async fn no_room_for_spools_is_our_trouble_and_passes() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        config.media.fill.spool = ByteCount::kib(256);
        config.media.fill.memory = ByteCount::kib(256);
    })
    .await;
    let path = path_of("prompt");
    origin.set(&path, Reply::ok("audio/mpeg", Body::endless(music())));
    let fetch = fetch_path(&origin.url(&path), HELD);
    for _ in 0..2 {
        assert_problem(&node.get(&fetch).await, 503, "busy", "no room");
        node.settled().await;
    }
    assert_eq!(origin.count(&Method::GET, &path), 2);
    origin.set(&path, Reply::ok("audio/wav", Body::of(wav(8_000, 1, 8, 8_000, &vec![0x80; 8_000]))));
    assert_eq!(node.get(&fetch).await.status, StatusCode::OK);
}

/// Returns when the node no longer takes connections.
async fn refuses_connections(node: std::net::SocketAddr) {
    while TcpStream::connect(node).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn draining_ends_streams_and_promised_fills_and_takes_nothing_new() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let gate = Gate::closed();
    for name in ["streamed", "promised"] {
        origin.set(&path_of(name), speech().length(Length::Chunked).hold_after(100_000, &gate));
    }
    let streamed = fetch_path(&origin.url(&path_of("streamed")), STREAMED);
    let promised = fetch_path(&origin.url(&path_of("promised")), STREAMED);
    let mut stream = node.request(Method::GET, &streamed).send().await.unwrap();
    let mut heard = stream.chunk().await.unwrap().unwrap().to_vec();
    let body =
        serde_json::json!({ "source": { "url": origin.url(&path_of("promised")) }, "format": STREAMED, "wait": false });
    assert_eq!(node.post(&body).await.status, StatusCode::ACCEPTED);
    gate.arrived(2).await;

    let address = node.node.address;
    let (node, ()) = tokio::join!(node.restart(&origin), async {
        refuses_connections(address).await;
        gate.open();
        while let Some(bytes) = stream.chunk().await.unwrap() {
            heard.extend(bytes);
        }
    });
    for fetch in [streamed, promised] {
        let hit = node.get_with(&fetch, "cache-control", "only-if-cached").await;
        assert!(hit.header("cache-status").starts_with("ringback; hit"), "{hit:?}");
        assert_eq!(hit.body, heard);
    }
    assert_eq!(origin.seen().len(), 2);
}

/// A drain that runs out of time leaves fills unfinished; the process must end all the same.
#[test]
fn a_source_that_never_ends_does_not_keep_the_process() {
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let origin = Origin::start().await.unwrap();
            let node = TestNode::start_with(&origin, |config| config.drain_timeout = Duration::from_millis(50)).await;
            let never = Gate::closed();
            origin.set(&path_of("prompt"), speech().hold_after(50_000, &never));
            let source = serde_json::json!({ "url": origin.url(&path_of("prompt")) });
            for format in [STREAMED, "raw"] {
                node.post(&serde_json::json!({ "source": source, "format": format, "wait": false })).await;
            }
            never.arrived(1).await;
            node.stop().await;
        });
        drop(runtime);
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_secs(10)).expect("the runtime ends");
}

#[tokio::test]
async fn draining_lets_a_slow_reader_finish_what_lies_on_disk() {
    const LENGTH: u64 = 24 << 20;
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| config.media.cache.memory = ByteCount::mib(1)).await;
    let header = wav(8_000, 1, 8, LENGTH as u32, &[]);
    let mut file = random_bytes(1 << 20).repeat(24);
    file[..header.len()].copy_from_slice(&header);
    for (index, byte) in file.iter_mut().skip(header.len()).step_by(64 << 10).enumerate() {
        // No two chunks are alike.
        *byte = index as u8;
    }
    origin.set("/long.wav", Reply::ok("audio/wav", Body::of(file.clone())).header("cache-control", "max-age=60"));
    let fetch = fetch_path(&origin.url("/long.wav"), "raw");
    assert_eq!(node.get(&fetch).await.status, StatusCode::OK);
    node.settled().await;

    let mut reader = node.request(Method::GET, &fetch).send().await.unwrap();
    assert!(reader.headers()["cache-status"].to_str().unwrap().ends_with("detail=disk"), "{reader:?}");
    let mut heard = reader.chunk().await.unwrap().unwrap().to_vec();
    let address = node.node.address;
    let ops = node.node.ops_address;
    let stopping = tokio::spawn(node.stop());
    refuses_connections(address).await;
    // As long as somebody is being served, operators can look on.
    assert!(TcpStream::connect(ops).await.is_ok());
    while let Some(bytes) = reader.chunk().await.unwrap() {
        heard.extend(bytes);
    }
    assert!(heard == file, "{} bytes", heard.len());
    drop(reader);
    stopping.await.unwrap();
}
