//! What strangers can make the node connect to: nothing but the public internet and what the operator allows.

use std::net::{Ipv6Addr, SocketAddr};

use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};

use crate::support::node::{Answer, TestNode, fetch_path};

/// Ways to write an address of this machine, of its network, or of what only this machine reaches.
const FORBIDDEN: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "127.8.9.10",
    "0x7f.1",
    "0x7f000001",
    "0177.0.0.1",
    "2130706433",
    "017700000001",
    "１２７.0.0.1",
    "127%2E0%2E0%2E1",
    "0.0.0.0",
    "0",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "localhost",
    "LocalHost",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
];

/// Two listeners that nobody may knock at, on one port of both loopback addresses: any spelling would reach one of them.
async fn canaries() -> [Origin; 2] {
    loop {
        let v4 = Origin::start().await.unwrap();
        let same_port = SocketAddr::from((Ipv6Addr::LOCALHOST, v4.address().port()));
        if let Ok(v6) = Origin::start_on(same_port).await {
            return [v4, v6];
        }
    }
}

async fn speech() -> Origin {
    let origin = Origin::start().await.unwrap();
    origin.set("/speech.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    origin
}

async fn post(node: &TestNode, source: &str) -> Answer {
    node.post(&serde_json::json!({ "source": { "url": source }, "format": "ulaw" })).await
}

/// Through both doors.
async fn assert_refused(node: &TestNode, source: &str, status: u16, slug: &str) {
    for answer in [node.get(&fetch_path(source, "ulaw")).await, post(node, source).await] {
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (status, slug), "{source}: {answer:?}");
    }
}

#[tokio::test]
async fn no_spelling_of_a_private_address_is_connected_to() {
    let canaries = canaries().await;
    let port = canaries[0].address().port();
    let origin = speech().await;
    let node = TestNode::start(&origin).await;
    for (index, host) in FORBIDDEN.iter().enumerate() {
        let target = format!("http://{host}:{port}/speech.wav");
        assert_refused(&node, &target, 403, "source-forbidden").await;
        // A header carries ASCII only.
        if !host.is_ascii() {
            continue;
        }
        // The same again behind a redirect of an origin that is allowed, absolute and without a scheme.
        for (form, location) in [("full", target.as_str()), ("short", &target["http:".len()..])] {
            let path = format!("/{form}-{index}.wav");
            origin.set(&path, Reply::redirect(location));
            assert_refused(&node, &origin.url(&path), 403, "source-forbidden").await;
        }
    }
    assert_eq!(canaries.map(|canary| canary.connections()), [0, 0]);
}

#[tokio::test]
async fn disguises_and_other_schemes_are_refused_too() {
    let canaries = canaries().await;
    let port = canaries[0].address().port();
    let origin = speech().await;
    let node = TestNode::start(&origin).await;
    let cases = [
        (format!("http://good@127.0.0.1:{port}/a.wav"), 403, "source-forbidden", "origin-failed"),
        (format!("http://prompts.example.com:80@127.0.0.1:{port}/a.wav"), 403, "source-forbidden", "origin-failed"),
        (format!("http:\\\\127.0.0.1:{port}\\a.wav"), 403, "source-forbidden", "source-forbidden"),
        // As a redirect of an http origin this is a path there.
        (format!("http:/127.0.0.1:{port}/a.wav"), 403, "source-forbidden", "source-missing"),
        (format!("http:////127.0.0.1:{port}/a.wav"), 403, "source-forbidden", "source-forbidden"),
        (format!("  http://127.0.0.1:{port}/a.wav"), 403, "source-forbidden", "source-forbidden"),
        (format!("ftp://127.0.0.1:{port}/a.wav"), 403, "source-forbidden", "origin-failed"),
        (format!("gopher://127.0.0.1:{port}/_GET"), 403, "source-forbidden", "origin-failed"),
        ("file:///etc/passwd".to_owned(), 403, "source-forbidden", "origin-failed"),
        ("data:audio/wav;base64,UklGRg==".to_owned(), 403, "source-forbidden", "origin-failed"),
    ];
    for (index, (source, status, slug, when_redirected)) in cases.iter().enumerate() {
        assert_refused(&node, source, *status, slug).await;
        let path = format!("/{index}.wav");
        origin.set(&path, Reply::redirect(source));
        let redirected = node.get(&fetch_path(&origin.url(&path), "ulaw")).await;
        assert_eq!(redirected.slug(), *when_redirected, "{source}");
    }
    assert_eq!(canaries.map(|canary| canary.connections()), [0, 0]);
}

#[tokio::test]
async fn the_nodes_own_listeners_are_no_sources_whatever_is_allowed() {
    let origin = speech().await;
    let everything = ["127.0.0.0/8", "0.0.0.0/8", "::/0", "localhost"].map(str::to_owned).to_vec();
    let node = TestNode::start_with(&origin, |config| config.outbound.allow_origins = everything).await;
    let hosts = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "[::]", "localhost", "0x7f.1"];
    for port in [node.node.address.port(), node.node.ops_address.port()] {
        for (index, host) in hosts.iter().enumerate() {
            let target = format!("http://{host}:{port}/metrics");
            assert_refused(&node, &target, 403, "source-forbidden").await;
            let path = format!("/{port}-{index}.wav");
            origin.set(&path, Reply::redirect(&target));
            assert_refused(&node, &origin.url(&path), 403, "source-forbidden").await;
        }
    }
    assert_eq!(node.get(&fetch_path(&origin.url("/speech.wav"), "ulaw")).await.status, 200);
}

#[tokio::test]
async fn what_is_allowed_is_one_port_in_every_spelling_and_no_other() {
    let (allowed, other) = (speech().await, speech().await);
    let node = TestNode::start(&allowed).await;
    let (port, other_port) = (allowed.address().port(), other.address().port());
    for host in ["127.0.0.1", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST"] {
        let answer = node.get(&fetch_path(&format!("http://{host}:{port}/speech.wav"), "ulaw")).await;
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
        assert_refused(&node, &format!("http://{host}:{other_port}/speech.wav"), 403, "source-forbidden").await;
        let path = format!("/{host}.wav");
        allowed.set(&path, Reply::redirect(&format!("http://{host}:{other_port}/speech.wav")));
        assert_refused(&node, &allowed.url(&path), 403, "source-forbidden").await;
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_name_that_is_allowed_allows_no_address() {
    let origin = speech().await;
    let port = origin.address().port();
    let by_name = vec![format!("localhost:{port}")];
    let node = TestNode::start_with(&origin, |config| config.outbound.allow_origins = by_name).await;
    assert_refused(&node, &origin.url("/speech.wav"), 403, "source-forbidden").await;
    assert_eq!(origin.connections(), 0);
    let answer = node.get(&fetch_path(&format!("http://localhost:{port}/speech.wav"), "ulaw")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
