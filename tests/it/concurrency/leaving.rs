//! Clients that go away: their places are free at once, though nobody was reading what they sent and nothing is being sent to them.

use std::time::Duration;

use http::StatusCode;
use ringback::{
    concurrency::{Limit, Policy, Resource},
    testing::{
        origin::{Body, Gate, Origin, Reply},
        signal::{Depth, wav_header},
    },
    units::{Channels, SampleRate},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{Sources, idle, limit_of_accounts, until, usage};
use crate::support::node::{TestNode, fetch_path};

/// Sends something on a connection of its own.
async fn send(node: &TestNode, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(node.node.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn counts(node: &TestNode, resource: Resource, what: &str, count: u32) {
    let awaited = format!("{count} {what}");
    until(&awaited, async || usage(node, resource).await[what].as_u64().unwrap_or_default() == u64::from(count)).await;
}

#[tokio::test]
async fn who_goes_with_its_body_unread_is_out_of_the_line_at_once() {
    let origin = Origin::start().await.unwrap();
    let delay = Policy::Delay { wait_max: Duration::from_secs(300), waiting_max: 10 };
    let node = TestNode::start_with(&origin, |config| {
        limit_of_accounts(config, Resource::MediaWrites, Limit::hard(1).with(delay));
    })
    .await;
    let sources = Sources::new(&origin, "body", 1);
    let body = serde_json::json!({ "source": { "url": origin.url(&sources.path(0)) }, "format": "ulaw" });
    let story = async {
        sources.gate.arrived(1).await;
        let head = "POST /v1/media HTTP/1.1\r\nHost: node\r\nContent-Length: ";
        // A body that is all there, one of which a part is, and one that waits until it is asked for. (What does not fit into the buffers of the sockets hides the
        // end behind it from any reader.)
        let long = "x".repeat(20_000);
        for rest in [
            format!("{}\r\n\r\n{body}", body.to_string().len()),
            format!("300000\r\n\r\n{long}"),
            "9\r\nExpect: 100-continue\r\n\r\n".to_owned(),
        ] {
            let leaving = send(&node, &format!("{head}{rest}")).await;
            counts(&node, Resource::MediaWrites, "waiting", 1).await;
            drop(leaving);
            counts(&node, Resource::MediaWrites, "waiting", 0).await;
        }
        sources.gate.open();
    };
    let (first, ()) = tokio::join!(node.post(&body), story);
    assert_eq!(first.status, StatusCode::CREATED);
    assert_eq!(sources.asked(), 1, "somebody was let in who had gone");
    idle(&node, Resource::MediaWrites).await;
    assert_eq!(usage(&node, Resource::MediaWrites).await["admitted"], 1);
    node.stop().await;
}

#[tokio::test]
async fn who_goes_while_audio_is_made_or_waited_for_has_no_place_any_more() {
    let origin = Origin::start().await.unwrap();
    let delay = Policy::Delay { wait_max: Duration::from_secs(300), waiting_max: 10 };
    let node = TestNode::start_with(&origin, |config| {
        limit_of_accounts(config, Resource::Fetches, Limit::hard(1).with(delay));
    })
    .await;
    let sources = Sources::new(&origin, "made", 2);
    // With a body, which nobody reads and of which more is to come, and without.
    for rest in ["Content-Length: 5000\r\n\r\nhello", "\r\n"] {
        let ask = |number: usize| format!("GET {} HTTP/1.1\r\nHost: node\r\n{rest}", sources.address(number));
        let making = send(&node, &ask(0)).await;
        counts(&node, Resource::Fetches, "current", 1).await;
        let waiting = send(&node, &ask(1)).await;
        counts(&node, Resource::Fetches, "waiting", 1).await;
        drop(waiting);
        counts(&node, Resource::Fetches, "waiting", 0).await;
        counts(&node, Resource::Fetches, "current", 1).await;
        drop(making);
        counts(&node, Resource::Fetches, "current", 0).await;
    }
    // Nobody else wanted them.
    idle(&node, Resource::Fills).await;
    node.stop().await;
}

#[tokio::test]
async fn who_goes_while_its_stream_stands_still_has_no_place_any_more() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        config.media.fill.grace = Duration::ZERO;
        // Nothing else ends it.
        config.outbound.idle_timeout = Duration::from_secs(120);
    })
    .await;
    let gate = Gate::closed();
    const LENGTH: u32 = 4 << 20;
    let mut audio = wav_header(SampleRate::HZ_8000, Channels::MONO, Depth::S16, LENGTH);
    audio.resize(audio.len() + LENGTH as usize, 0x55);
    let reply = Reply::ok("audio/wav", Body::of(audio.clone())).hold_after(u64::from(LENGTH) / 2, &gate);
    origin.set("/held.wav", reply);
    origin.set("/whole.wav", Reply::ok("audio/wav", Body::of(audio)));
    let held = fetch_path(&origin.url("/held.wav"), "ulaw");
    // The client ends its side and still reads: all that was made comes, and then the connection ends without the rest.
    let mut leaving =
        send(&node, &format!("GET {held} HTTP/1.1\r\nHost: node\r\nContent-Length: 5000\r\n\r\nhello")).await;
    let mut answer = vec![0; 1024];
    leaving.read_exact(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    counts(&node, Resource::Fetches, "current", 1).await;
    leaving.shutdown().await.unwrap();
    counts(&node, Resource::Fetches, "current", 0).await;
    answer.clear();
    leaving.read_to_end(&mut answer).await.ok();
    assert!(!answer.ends_with(b"0\r\n\r\n"), "a part was ended as if it were the whole");
    // One who reads nothing of an answer that is all there, beyond what the sockets take, and goes.
    let whole = fetch_path(&origin.url("/whole.wav"), "ulaw");
    let leaving = send(&node, &format!("GET {whole} HTTP/1.1\r\nHost: node\r\n\r\n")).await;
    counts(&node, Resource::Fetches, "current", 1).await;
    leaving.readable().await.unwrap();
    drop(leaving);
    counts(&node, Resource::Fetches, "current", 0).await;
    node.stop().await;
}
