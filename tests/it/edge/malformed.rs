//! What is no request, or too much of one (RFC 9112 §3, RFC 6585).

use super::{Served, unknown_id};
use crate::support::{
    node::fetch_path,
    wire::{Reply, Wire},
};

/// Sends bytes on a connection of their own; none when it is closed without an answer.
async fn send(served: &Served, bytes: &str) -> Option<Reply> {
    let mut wire = served.wire().await;
    wire.write(bytes.as_bytes()).await;
    wire.reply("GET").await
}

/// After what cannot be read the next bytes mean nothing: the connection ends.
async fn assert_refused(served: &Served, what: &str, bytes: &str, status: u16) {
    let mut wire = served.wire().await;
    wire.write(bytes.as_bytes()).await;
    let reply = wire.reply("GET").await.unwrap_or_else(|| panic!("{what}: no answer"));
    assert_eq!(reply.status, status, "{what}: {}", reply.shown());
    assert!(wire.is_closed().await, "{what}: the connection goes on");
}

#[tokio::test]
async fn a_request_has_one_host() {
    let served = Served::start().await;
    let address = served.node.node.address;
    let paths = [served.media.clone(), served.fetch.clone(), "/v1/media".to_owned(), "/nothing".to_owned()];
    for path in &paths {
        for hosts in [
            String::new(),
            "Host: a\r\nHost: b\r\n".to_owned(),
            "Host: a\r\nhost: a\r\n".to_owned(),
            "Host: a, b\r\n".to_owned(),
            "Host: a/b\r\n".to_owned(),
            "Host: user@a\r\n".to_owned(),
            "Host: é\r\n".to_owned(),
        ] {
            let reply = send(&served, &format!("GET {path} HTTP/1.1\r\n{hosts}\r\n")).await.unwrap();
            assert_eq!((reply.status, reply.slug().as_str()), (400, "bad-request"), "{hosts:?} {path}");
            assert_eq!(reply.field("x-request-id").len(), 32);
        }
        let twice = send(&served, &format!("GET {path} HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n")).await.unwrap();
        assert_eq!(twice.slug(), "bad-request", "{path}");
    }
    for hosts in [
        "Host: anything.example\r\n".to_owned(),
        format!("Host: {address}\r\n"),
        "Host: [::1]:80\r\n".to_owned(),
        "Host:\r\n".to_owned(),
    ] {
        let reply = send(&served, &format!("GET {} HTTP/1.1\r\n{hosts}\r\n", served.media)).await.unwrap();
        assert_eq!(reply.status, 200, "{hosts:?}");
    }
    // Before HTTP/1.1 there was none.
    let old = send(&served, &format!("GET {} HTTP/1.0\r\n\r\n", served.media)).await.unwrap();
    assert_eq!((old.status, old.body == served.bytes), (200, true));
    // A target in absolute form names a host, and does not stand in for the field.
    let absolute = format!("GET http://a.example{} HTTP/1.1\r\n", served.media);
    assert_eq!(send(&served, &format!("{absolute}\r\n")).await.unwrap().status, 400);
    assert_eq!(send(&served, &format!("{absolute}Host: a.example\r\n\r\n")).await.unwrap().status, 200);
}

#[tokio::test]
async fn addresses_do_not_come_from_the_host_field() {
    let served = Served::start().await;
    let request = format!("GET {} HTTP/1.1\r\nHost: evil.example\r\n\r\n", served.fetch);
    assert_eq!(send(&served, &request).await.unwrap().field("content-location"), served.media);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let served = Served::start().await;
    let media = &served.media;
    for (what, bytes) in [
        ("noise", "\u{1}\u{2}\u{3}\u{4}\r\n\r\n".to_owned()),
        ("no version", format!("GET {media}\r\nHost: node\r\n\r\n")),
        ("another version", format!("GET {media} HTTP/3.0\r\nHost: node\r\n\r\n")),
        ("a space in the target", "GET /media/a b HTTP/1.1\r\nHost: node\r\n\r\n".to_owned()),
        ("a space in a field's name", format!("GET {media} HTTP/1.1\r\nHost: node\r\nA b: c\r\n\r\n")),
        ("a space before the colon", format!("GET {media} HTTP/1.1\r\nHost: node\r\nA : c\r\n\r\n")),
        ("a folded field", format!("GET {media} HTTP/1.1\r\nHost: node\r\nA: b\r\n c\r\n\r\n")),
        ("a field without a colon", format!("GET {media} HTTP/1.1\r\nHost: node\r\nnothing\r\n\r\n")),
        ("a zero byte", format!("GET {media} HTTP/1.1\r\nHost: node\r\nA: b\0c\r\n\r\n")),
        (
            "two lengths",
            format!("GET {media} HTTP/1.1\r\nHost: node\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        ),
        ("a negative length", format!("GET {media} HTTP/1.1\r\nHost: node\r\nContent-Length: -1\r\n\r\n")),
        ("an unknown coding", format!("GET {media} HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: x\r\n\r\n")),
    ] {
        assert_refused(&served, what, &bytes, 400).await;
    }
    // Who begins with HTTP/2 gets no HTTP/1.1 to read.
    assert_eq!(send(&served, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, None);
    // The node is as well as before.
    assert_eq!(served.wire().await.ask("GET", media, &[]).await.status, 200);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let served = Served::start().await;
    let head = format!("GET {} HTTP/1.1\r\nHost: node\r\n", served.media);
    let fields = |count: usize| (0..count).map(|number| format!("X-{number}: a\r\n")).collect::<String>();
    let fits = send(&served, &format!("{head}{}\r\n", fields(60))).await.unwrap();
    assert_eq!(fits.status, 200);
    assert_refused(&served, "too many fields", &format!("{head}{}\r\n", fields(200)), 431).await;
    let large = format!("{head}X: {}\r\n\r\n", "a".repeat(1 << 20));
    assert_refused(&served, "a field of 1 MiB", &large, 431).await;
    let endless = format!("GET /{} HTTP/1.1\r\nHost: node\r\n\r\n", "a".repeat(100_000));
    assert_refused(&served, "a target of 100 kB", &endless, 414).await;
}

#[tokio::test]
async fn paths_that_are_too_long_are_refused_and_named() {
    let served = Served::start().await;
    let mut wire = served.wire().await;
    let fits = fetch_path(&served.origin.url(&format!("/{}", "a".repeat(8_000))), "ulaw");
    assert_eq!(wire.ask("GET", &fits, &[]).await.slug(), "source-missing");
    let long = fetch_path(&served.origin.url(&format!("/{}", "a".repeat(8_200))), "ulaw");
    let reply = wire.ask("GET", &long, &[]).await;
    assert_eq!((reply.status, reply.slug().as_str()), (400, "bad-request"));
    assert!(String::from_utf8_lossy(&reply.body).contains("8192 bytes"), "{}", reply.shown());
    let odd = format!("/media/{}.{}", unknown_id(), "a".repeat(30_000));
    assert_eq!(wire.ask("GET", &odd, &[]).await.slug(), "not-found");
    let odd = format!("/{}", "a/".repeat(15_000));
    assert_eq!(wire.ask("GET", &odd, &[]).await.slug(), "not-found");
    assert_eq!(served.origin.connections(), 1);
}

#[tokio::test]
async fn odd_addresses_are_not_found() {
    let served = Served::start().await;
    let id = served.id();
    let mut wire = served.wire().await;
    for path in [
        "/media".to_owned(),
        "/media/".to_owned(),
        "/media/.ulaw".to_owned(),
        format!("/media/{id}"),
        format!("/media/{id}."),
        format!("/media//{id}.ulaw"),
        format!("/media/{id}.ulaw/"),
        format!("/media/{id}/a.ulaw"),
        format!("/media/{id}.ulaw.ulaw"),
        format!("/media/{}.ulaw", id.to_uppercase()),
        format!("/media/{}.ulaw", &id[1..]),
        format!("/media/{id}0.ulaw"),
        format!("/media/%{:x}{}.ulaw", id.as_bytes()[0], &id[1..]),
        format!("/media/../media/{id}.ulaw"),
        format!("/MEDIA/{id}.ulaw"),
        format!("//media/{id}.ulaw"),
        format!("/media/{}.ulaw", unknown_id()),
        "/media/..%2f..%2fetc%2fpasswd.ulaw".to_owned(),
    ] {
        let reply = wire.ask("GET", &path, &[]).await;
        assert_eq!((reply.status, reply.slug().as_str()), (404, "not-found"), "{path}");
    }
    // A query is nobody's business.
    assert_eq!(wire.ask("GET", &format!("/media/{id}.ulaw?a=b.mp3"), &[]).await.status, 200);
    for path in [
        format!("/v1/media/{}", id.to_uppercase()),
        format!("/v1/media/{}", unknown_id()),
        "/v1/media/x".to_owned(),
        format!("/v1/fills/{id}"),
    ] {
        let reply = wire.ask("GET", &path, &[]).await;
        assert_eq!((reply.status, reply.slug().as_str()), (404, "not-found"), "{path}");
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let served = Served::start().await;
    let node = crate::support::node::TestNode::start_with(&served.origin, |config| {
        config.http.head_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    for said in ["", "GET / HTTP/1.1\r\nHost: no"] {
        let mut wire = Wire::connect(node.node.address).await;
        wire.write(said.as_bytes()).await;
        assert!(wire.reply("GET").await.is_none_or(|reply| reply.status == 408), "{said:?}");
    }
}

/// Before chunks nobody could tell a stump from the whole: such callers get a length or a problem.
#[tokio::test]
async fn callers_of_http_1_0_get_the_whole_or_a_problem() {
    use ringback::testing::{
        fixture,
        origin::{Body, Length, Reply as OriginReply},
    };
    let served = Served::start_with(|config| config.media.fill.grace = std::time::Duration::ZERO).await;
    let song = Body::of(fixture::audio("music.mp3").unwrap());
    let broken = OriginReply::ok("audio/mpeg", song.clone()).length(Length::Chunked).cut_after(100_000);
    served.origin.set("/broken.mp3", broken);
    served.origin.set("/whole.mp3", OriginReply::ok("audio/mpeg", song).length(Length::Chunked));
    let path = |name: &str| fetch_path(&served.origin.url(name), "ulaw");
    let broken = send(&served, &format!("GET {} HTTP/1.0\r\n\r\n", path("/broken.mp3"))).await.unwrap();
    assert_eq!((broken.status, broken.slug().as_str()), (502, "origin-failed"), "{}", broken.shown());
    let whole = send(&served, &format!("GET {} HTTP/1.0\r\n\r\n", path("/whole.mp3"))).await.unwrap();
    assert_eq!((whole.status, whole.field("content-length")), (200, whole.body.len().to_string().as_str()));
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_its_request() {
    let served = Served::start_with(|config| config.http.body_timeout = std::time::Duration::from_millis(200)).await;
    let head = "POST /v1/media HTTP/1.1\r\nHost: node\r\nContent-Length: 100\r\n\r\n{";
    let reply = send(&served, head).await.unwrap();
    assert_eq!((reply.status, reply.slug().as_str()), (408, "request-timeout"));
}

#[tokio::test]
async fn names_that_are_no_text_are_unknown_names() {
    let served = Served::start().await;
    for path in ["/v1/media/%ff", "/v1/fills/%ff"] {
        let reply = send(&served, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await.unwrap();
        assert_eq!((reply.status, reply.slug().as_str()), (404, "not-found"), "{path}");
    }
}
