//! What passes as it is, and what does not pass.

use http::Method;
use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};

use super::{Proxied, text, values};
use crate::support::{node::fetch_path, raw_origin::RawOrigin, wire::Wire};

async fn raw(answer: &'static [u8]) -> (RawOrigin, Origin, Proxied) {
    let (origin, other) = (RawOrigin::start(answer).await, Origin::start().await.unwrap());
    let proxy = Proxied::before(&origin.url(), &other, |config| {
        config.proxy.request_body_max = ringback::units::ByteCount::kib(1);
    })
    .await;
    (origin, other, proxy)
}

#[tokio::test]
async fn path_and_fields_arrive_as_they_were_sent() {
    let (origin, _other, proxy) = raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
    let path = "/a%2Fb/.././/c%c3%BC;v=1?x=%41&&y=%zz&q={|}";
    let fields =
        ["Accept: a", "Accept: b", "X-Odd:  two  words ", "Connection: x-hop, keep-alive", "X-Hop: 1", "TE: trailers"];
    let fields =
        [&fields[..], &["Keep-Alive: 5", "Accept-Encoding: br", "CDN-Loop: first", "User-Agent: mine"]].concat();
    assert_eq!(proxy.ask("GET", path, &fields).await.status, 200);
    let head = origin.last_head();
    assert_eq!(head[0], format!("GET {path} HTTP/1.1"));
    let fields: Vec<&str> =
        head[1..].iter().map(String::as_str).filter(|line| !line.starts_with("cdn-loop: ring")).collect();
    let mut expected = vec![
        "accept: a",
        "accept: b",
        "x-odd: two  words",
        "accept-encoding: br",
        "cdn-loop: first",
        "user-agent: mine",
        "via: 1.1 ringback",
    ];
    let host = format!("host: {}", origin.address);
    expected.push(&host);
    let sorted = |mut lines: Vec<&str>| {
        lines.sort_unstable();
        lines.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sorted(fields), sorted(expected));
    assert!(head.iter().any(|line| line.starts_with("cdn-loop: ringback-")), "{head:?}");
}

#[tokio::test]
async fn status_reason_fields_and_body_come_back_as_they_were_sent() {
    let (_origin, _other, proxy) =
        raw(b"HTTP/1.1 299 Quite Odd\r\nX-A: 1\r\nX-A: 2\r\nContent-Encoding: gzip\r\nX-Byte: \xfc\r\n\
          Connection: X-Hop, close\r\nX-Hop: 1\r\nDate: yesterday\r\nContent-Length: 5\r\n\r\n\x1f\x8b\x00\xff!")
        .await;
    let mut wire = proxy.wire().await;
    wire.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let all = wire.rest().await;
    assert!(all.starts_with(b"HTTP/1.1 299 Quite Odd\r\n"), "{:?}", String::from_utf8_lossy(&all));
    assert!(all.ends_with(b"\r\n\r\n\x1f\x8b\x00\xff!"));
    assert!(all.windows(11).any(|line| line == b"x-byte: \xfc\r\n"), "{:?}", String::from_utf8_lossy(&all));
    let answer = proxy.get("/").await;
    assert_eq!(values(&answer, "x-a"), ["1", "2"]);
    assert_eq!(values(&answer, "date"), ["yesterday"]);
    assert_eq!((answer.field("via"), answer.field("x-hop")), ("1.1 ringback", ""));
    assert_eq!(answer.field("content-encoding"), "gzip");
    assert_eq!((answer.field("x-request-id"), answer.field("cache-status")), ("", ""));
}

#[tokio::test]
async fn what_comes_before_and_behind_an_answer() {
    let (_origin, _other, proxy) = raw(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n\
          2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
    )
    .await;
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, text(&answer), answer.field("link")), (200, "ok", ""));
    // To who can take them.
    let mut wire = proxy.wire().await;
    wire.write(b"GET / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n").await;
    let all = wire.rest().await;
    let all = String::from_utf8_lossy(&all);
    assert!(all.ends_with("\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n"), "{all}");
}

#[tokio::test]
async fn redirects_and_errors_are_the_callers_to_read() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    origin.set("/moved", Reply::redirect("http://169.254.169.254/latest"));
    let answer = proxy.get("/moved").await;
    assert_eq!((answer.status, answer.field("location")), (302, "http://169.254.169.254/latest"));
    origin.set("/broken", Reply::status(500, "text/plain", Body::of("my own words")));
    let answer = proxy.get("/broken").await;
    assert_eq!((answer.status, text(&answer)), (500, "my own words"));
    assert_eq!(origin.count(&Method::GET, "/moved"), 1);
}

#[tokio::test]
async fn all_methods_pass_with_their_bodies() {
    let (origin, _other, proxy) =
        raw(b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 4\r\n\r\ndone").await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "M-SEARCH", "PROPFIND", "OPTIONS"] {
        let mut wire = proxy.wire().await;
        wire.write(format!("{method} /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").as_bytes()).await;
        let answer = wire.answer(method).await;
        assert_eq!((answer.status, text(&answer)), (201, "done"), "{method}");
        assert_eq!(origin.last_head()[0], format!("{method} /x HTTP/1.1"));
        assert_eq!(origin.last_body(), "hello");
    }
    // Of a length that only its end tells, and with a caller who waits to be told to send it.
    let mut wire = proxy.wire().await;
    wire.write(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(wire.line().await.unwrap(), "HTTP/1.1 100 Continue");
    wire.line().await;
    wire.write(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n").await;
    assert_eq!(wire.answer("POST").await.status, 201);
    assert!(origin.last_body().contains("hel"), "{}", origin.last_body());
    assert!(!origin.last_head().iter().any(|line| line.starts_with("expect")));
}

/// RFC 9112 §6.1: what says its length in two ways is refused or comes out saying it in one.
#[tokio::test]
async fn a_body_has_one_length() {
    let (origin, _other, proxy) =
        raw(b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 4\r\n\r\ndone").await;
    let [one, other] = ["Content-Length: 3", "Transfer-Encoding: chunked"];
    for [first, second] in [[one, other], [other, one]] {
        let mut wire = proxy.wire().await;
        let body = "5\r\nhello\r\n0\r\n\r\n";
        wire.write(format!("POST /x HTTP/1.1\r\nHost: x\r\n{first}\r\n{second}\r\n\r\n{body}").as_bytes()).await;
        let answer = wire.answer("POST").await;
        if answer.status == 400 {
            continue;
        }
        let head = origin.last_head();
        assert!(head.contains(&"transfer-encoding: chunked".to_owned()), "{head:?}");
        assert!(!head.iter().any(|line| line.starts_with("content-length")), "{head:?}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_does_not_arrive() {
    let (origin, _other, proxy) =
        raw(b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 4\r\n\r\ndone").await;
    let mut wire = proxy.wire().await;
    wire.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n").await;
    let answer = wire.answer("POST").await;
    assert_eq!((answer.status, answer.slug().as_str()), (413, "over-limit"));
    // One that does not say how long it is finds out as it comes.
    let mut wire = proxy.wire().await;
    wire.write(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    wire.write(&[b"400\r\n", &[b'a'; 1024][..], b"\r\n1\r\na\r\n"].concat()).await;
    let answer = wire.answer("POST").await;
    assert_eq!((answer.status, answer.slug().as_str()), (413, "over-limit"));
    assert_eq!(origin.seen(), [""; 0]);
    // To the byte.
    let mut wire = proxy.wire().await;
    wire.write(&[b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1024\r\n\r\n", &[b'a'; 1024][..]].concat()).await;
    assert_eq!(wire.answer("POST").await.status, 201);
}

#[tokio::test]
async fn what_is_no_request_for_this_origin_is_refused() {
    let (origin, _other, proxy) = raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
    let host = &proxy.address.to_string();
    for (request, status) in [
        (format!("CONNECT {host} HTTP/1.1\r\nHost: x\r\n\r\n"), 405),
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
    ] {
        let mut wire = proxy.wire().await;
        wire.write(request.as_bytes()).await;
        let answer = wire.answer("GET").await;
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.field("allow").is_empty(), status != 405);
    }
    assert_eq!(origin.seen(), [""; 0]);
    // Java's client offers this each time and does not mind.
    let offer = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"];
    assert_eq!(proxy.ask("GET", "/", &offer).await.status, 200);
    assert!(!origin.last_head().iter().any(|line| line.contains("upgrade") || line.contains("http2")));
}

#[tokio::test]
async fn a_request_that_came_back_is_refused() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start(&origin).await;
    origin.set("/x", Reply::ok("text/plain", Body::of("x")));
    proxy.get("/x").await;
    let name = origin.seen().pop().unwrap().headers["cdn-loop"].to_str().unwrap().to_owned();
    for method in ["GET", "HEAD", "POST"] {
        let answer = proxy.ask(method, "/x", &[&format!("CDN-Loop: other, {name}"), "Content-Length: 0"]).await;
        assert_eq!(answer.status, 508, "{method}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn only_the_proxy_and_only_its_origin_are_exempt_from_the_guard() {
    let (origin, neighbour) = (Origin::start().await.unwrap(), Origin::start().await.unwrap());
    let proxy = Proxied::start(&origin).await;
    let speech = Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap()));
    origin.set("/speech.wav", speech);
    assert_eq!(proxy.get("/speech.wav").await.status, 200);
    let seen = origin.seen().len();
    // As a source it is as private as before.
    assert_eq!(proxy.node.get(&fetch_path(&origin.url("/speech.wav"), "ulaw")).await.slug(), "source-forbidden");
    assert_eq!(origin.seen().len(), seen);
    // A Host, or a whole address, leads nowhere else.
    let elsewhere = neighbour.address();
    assert_eq!(proxy.ask("GET", "/speech.wav", &[&format!("X-Forwarded-Host: {elsewhere}")]).await.status, 200);
    let mut wire = Wire::connect(proxy.address).await;
    wire.write(format!("GET http://{elsewhere}/speech.wav HTTP/1.1\r\nHost: {elsewhere}\r\n\r\n").as_bytes()).await;
    assert_eq!(wire.answer("GET").await.status, 200);
    assert_eq!(neighbour.connections(), 0);
}

#[tokio::test]
async fn what_is_never_allowed_is_no_origin_either() {
    let other = Origin::start().await.unwrap();
    for url in ["http://169.254.169.254", "http://[fe80::1]:80"] {
        let proxy = Proxied::before(url, &other, |_| {}).await;
        let answer = proxy.get("/latest/meta-data").await;
        assert_eq!((answer.status, answer.slug().as_str()), (403, "source-forbidden"), "{url}");
    }
}

#[tokio::test]
async fn the_hosts_that_callers_name_are_kept_apart_where_they_are_passed_on() {
    let origin = Origin::start().await.unwrap();
    let proxy = Proxied::start_with(&origin, |config| config.proxy.pass_host = true).await;
    origin.set_sequence(
        "/x",
        ["one", "two"].map(|body| Reply::ok("text/plain", Body::of(body)).header("cache-control", "max-age=60")),
    );
    for (host, body) in [("a", "one"), ("b", "two"), ("A", "one"), ("b", "two")] {
        let mut wire = proxy.wire().await;
        wire.write(format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await;
        assert_eq!(text(&wire.answer("GET").await), body, "{host}");
    }
    let hosts: Vec<String> =
        origin.seen().iter().map(|seen| seen.headers["host"].to_str().unwrap().to_owned()).collect();
    assert_eq!(hosts, ["a", "b"]);
}
