//! The HTTP edge as its callers meet it: bytes on a connection.

mod conditions;

mod malformed;

mod trust;

use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply as OriginReply},
};

use crate::support::{
    node::{TestNode, fetch_path},
    wire::{Reply, Wire},
};

/// A node with one artifact, and where that is.
struct Served {
    origin: Origin,
    node: TestNode,
    /// By its source.
    fetch: String,
    /// Its persistent address.
    media: String,
    bytes: Vec<u8>,
}

impl Served {
    async fn start() -> Served {
        Served::start_with(|_| {}).await
    }

    /// The same with other settings.
    async fn start_with(adjust: impl FnOnce(&mut ringback::config::Config)) -> Served {
        let origin = Origin::start().await.unwrap();
        let reply = OriginReply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap()));
        origin.set("/speech.wav", reply.header("cache-control", "max-age=60"));
        let node = TestNode::start_with(&origin, adjust).await;
        let fetch = fetch_path(&origin.url("/speech.wav"), "ulaw");
        let miss = node.get(&fetch).await;
        let media = miss.header("content-location").to_owned();
        Served { origin, node, fetch, media, bytes: miss.body }
    }

    async fn wire(&self) -> Wire {
        Wire::connect(self.node.node.address).await
    }

    /// The artifact's id.
    fn id(&self) -> &str {
        self.media.strip_prefix("/media/").unwrap().strip_suffix(".ulaw").unwrap()
    }
}

fn unknown_id() -> String {
    "0".repeat(64)
}

#[tokio::test]
async fn head_is_get_without_its_body_whatever_the_answer() {
    let served = Served::start().await;
    let source = served.origin.url("/speech.wav");
    let etag = served.wire().await.ask("GET", &served.media, &[]).await.field("etag").to_owned();
    let none_match = format!("If-None-Match: {etag}");
    let no_extension = format!("/media/{}", served.id());
    let cases: &[(u16, String, &[&str])] = &[
        (200, served.fetch.clone(), &[]),
        (200, served.media.clone(), &[]),
        (200, format!("/media/{}.PCMU", served.id()), &["If-None-Match: \"other\""]),
        (200, fetch_path(&source, "wav"), &["Prefer: wait"]),
        (200, fetch_path(&source, "raw"), &[]),
        (200, format!("/v1/media/{}", served.id()), &[]),
        (304, served.fetch.clone(), &[&none_match]),
        (304, served.media.clone(), &["If-None-Match: *"]),
        (304, served.media.clone(), &["If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"]),
        (400, "/fetch/_/rate:1/plain/http%3A%2F%2Fa.example%2Fa.wav".to_owned(), &[]),
        (403, fetch_path("http://127.0.0.1:1/a.wav", "ulaw"), &[]),
        (403, fetch_path("ftp://a.example/a.wav", "ulaw"), &[]),
        (404, fetch_path(&served.origin.url("/missing.wav"), "ulaw"), &[]),
        (404, format!("/media/{}.ulaw", unknown_id()), &[]),
        (404, format!("/media/{}.alaw", served.id()), &[]),
        (404, no_extension, &[]),
        (404, "/".to_owned(), &[]),
        (404, "/v1/media/nothing".to_owned(), &[]),
        (404, "/v1/nothing".to_owned(), &[]),
        (405, "/v1/jambonz/speech".to_owned(), &[]),
        (406, format!("/media/{}.mp3", served.id()), &[]),
        (504, fetch_path(&source, "alaw"), &["Cache-Control: only-if-cached"]),
    ];
    let mut wire = served.wire().await;
    for (status, path, fields) in cases {
        // The first may be a miss; afterwards both find the same. Ages count down: two GETs that are equal hold the HEAD
        // between them to the same second.
        wire.ask("GET", path, fields).await;
        let mut tries = 0;
        let (get, head) = loop {
            tries += 1;
            assert!(tries < 20, "{path} never answers the same twice");
            let before = wire.ask("GET", path, fields).await;
            let head = wire.ask("HEAD", path, fields).await;
            let after = wire.ask("GET", path, fields).await;
            if before.lasting() == after.lasting() {
                break (after, head);
            }
        };
        assert_eq!(get.status, *status, "{path}: {}", get.shown());
        assert_eq!((head.status, head.lasting()), (get.status, get.lasting()), "{path} {fields:?}");
        assert_eq!(head.body.len(), 0);
        for reply in [&get, &head] {
            assert_eq!(reply.field("x-request-id").len(), 32, "{path}: {}", reply.shown());
            assert!(reply.fields.iter().all(|(name, value)| name.len() + value.len() < 990), "{path}");
        }
    }
}

#[tokio::test]
async fn a_hit_on_disk_has_the_same_head_and_body() {
    let Served { origin, node, media, bytes, .. } = Served::start().await;
    let mut wire = Wire::connect(node.node.address).await;
    let from_memory = wire.ask("GET", &media, &[]).await;
    let node = node.restart(&origin).await;
    let mut wire = Wire::connect(node.node.address).await;
    let from_disk = wire.ask("GET", &media, &[]).await;
    assert_eq!(from_disk.field("cache-status"), "ringback; hit; ttl=31536000; detail=disk");
    let all_but_the_tier =
        |reply: &Reply| reply.lasting().into_iter().filter(|(name, _)| name != "cache-status").collect::<Vec<_>>();
    assert_eq!(all_but_the_tier(&from_disk), all_but_the_tier(&from_memory));
    assert!(from_disk.body == bytes && from_memory.body == bytes);
}

#[tokio::test]
async fn requests_have_ids_of_their_own() {
    let served = Served::start().await;
    let mut wire = served.wire().await;
    let mut ids = std::collections::HashSet::new();
    for path in [&served.media, &served.fetch, "/nothing", "/v1/nothing", &served.media] {
        // What the caller calls it does not count.
        let reply = wire.ask("GET", path, &["X-Request-Id: mine"]).await;
        let id = reply.field("x-request-id");
        assert!(id.len() == 32 && id.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        assert!(ids.insert(id.to_owned()), "{id} twice");
    }
}

#[tokio::test]
async fn answers_to_requests_sent_at_once_come_in_their_order() {
    let served = Served::start().await;
    let mut wire = served.wire().await;
    let paths = [served.media.as_str(), "/nothing", &served.fetch, "/v1/nothing", &served.media];
    let requests: String = paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n")).collect();
    wire.write(requests.as_bytes()).await;
    for (path, status) in paths.iter().zip([200, 404, 200, 404, 200]) {
        let reply = wire.reply("GET").await.unwrap();
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.body == served.bytes, status == 200, "{path}");
    }
}

#[tokio::test]
async fn methods_that_a_path_has_not_are_refused_with_those_it_has() {
    let served = Served::start().await;
    let audio = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "get"];
    let cases = [
        (served.media.clone(), audio.as_slice(), "GET, HEAD"),
        (served.fetch.clone(), &audio, "GET, HEAD"),
        ("/v1/media".to_owned(), &["PUT", "DELETE", "PATCH"], "GET,HEAD,POST"),
        (format!("/v1/media/{}", served.id()), &["POST", "PUT", "PATCH"], "GET,HEAD,DELETE"),
        (format!("/v1/fills/{}", "0".repeat(32)), &["POST", "PUT", "DELETE", "PATCH"], "GET,HEAD"),
    ];
    for (path, methods, allowed) in cases {
        for method in methods {
            let reply = served.wire().await.ask(method, &path, &["Content-Length: 0"]).await;
            assert_eq!((reply.status, reply.field("allow")), (405, allowed), "{method} {path}: {}", reply.shown());
            if *method != "HEAD" {
                assert_eq!(reply.slug(), "method-not-allowed");
            }
        }
    }
    // Nothing of it did anything.
    assert_eq!(served.wire().await.ask("GET", &served.media, &[]).await.status, 200);
}

#[tokio::test]
async fn a_body_that_nobody_asked_for_is_not_taken_for_the_next_request() {
    let served = Served::start().await;
    let smuggled = "DELETE /v1/media/x HTTP/1.1\r\nHost: node\r\n\r\n";
    for path in [&served.media, &served.fetch, "/nothing"] {
        let mut wire = served.wire().await;
        let length = format!("Content-Length: {}", smuggled.len());
        wire.write(format!("GET {path} HTTP/1.1\r\nHost: node\r\n{length}\r\n\r\n{smuggled}").as_bytes()).await;
        let first = wire.reply("GET").await.unwrap();
        assert_eq!(first.status, if path == "/nothing" { 404 } else { 200 });
        wire.write(format!("GET {path} HTTP/1.1\r\nHost: node\r\n\r\n").as_bytes()).await;
        // Either read and thrown away, or the end of the connection; never a request.
        if let Some(second) = wire.reply("GET").await {
            assert_eq!((second.status, second.body), (first.status, first.body));
        }
    }
}
