use std::time::Duration;

use super::*;

/// What a client got: status, headers, body, and whether the body came to its proper end.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    is_whole: bool,
}

fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn get(url: &str, headers: &[(&str, &str)]) -> Got {
    let mut request = client().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(request.send().await.unwrap()).await
}

async fn read(mut response: reqwest::Response) -> Got {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    Got { status, headers, body: body.into(), is_whole }
}

#[tokio::test]
async fn a_body_arrives_with_its_headers_and_is_remembered() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a?b=c", Reply::ok("audio/x", Body::of("hello")).header("cache-control", "max-age=9"));
    let got = get(&origin.url("/a?b=c"), &[("x-trace", "1")]).await;
    assert_eq!((got.status, &got.body[..], got.is_whole), (200, &b"hello"[..], true));
    assert_eq!(got.headers["content-length"], "5");
    assert_eq!(got.headers["cache-control"], "max-age=9");
    assert_eq!(get(&origin.url("/other"), &[]).await.status, 404);
    assert_eq!((origin.count(&Method::GET, "/a?b=c"), origin.seen().len()), (1, 2));
    assert_eq!(origin.seen()[0].headers["x-trace"], "1");
    assert_eq!(origin.body_bytes(), 5 + 28);
}

#[tokio::test]
async fn replies_come_in_turn_and_the_last_one_stays() {
    let origin = Origin::start().await.unwrap();
    origin.set_sequence("/a", ["1", "2"].map(|text| Reply::ok("text/plain", Body::of(text))));
    let mut bodies = Vec::new();
    for _ in 0..3 {
        bodies.push(get(&origin.url("/a"), &[]).await.body);
    }
    assert_eq!(bodies, ["1", "2", "2"]);
}

#[tokio::test]
async fn validators_are_answered_304_without_a_body() {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let origin = Origin::start().await.unwrap();
    origin.set("/a", Reply::ok("audio/x", Body::of("hello")).etag("\"v2\"").last_modified(modified));
    for (name, value, expected) in [
        ("if-none-match", "\"v2\"", 304),
        ("if-none-match", "\"v1\", W/\"v2\"", 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"v1\"", 200),
        ("if-modified-since", "Sun, 09 Sep 2001 01:46:40 GMT", 304),
        ("if-modified-since", "Sun, 09 Sep 2001 01:46:39 GMT", 200),
    ] {
        let got = get(&origin.url("/a"), &[(name, value)]).await;
        assert_eq!((got.status, got.body.len()), (expected, if expected == 304 { 0 } else { 5 }), "{name}: {value}");
    }
}

#[tokio::test]
async fn bodies_break_off_where_the_script_says() {
    let origin = Origin::start().await.unwrap();
    let body = || Body::repeat("0123456789", 1_000);
    for (reply, expected_bytes, is_whole) in [
        (Reply::ok("a/b", body()), 1_000, true),
        (Reply::ok("a/b", body()).length(Length::Chunked), 1_000, true),
        (Reply::ok("a/b", body()).length(Length::Claimed(1_500)), 1_000, false),
        (Reply::ok("a/b", body()).length(Length::Claimed(600)), 600, true),
        (Reply::ok("a/b", body()).length(Length::Chunked).pieces([1, 7, 0, 400]), 1_000, true),
        (Reply::ok("a/b", body()).cut_after(333), 333, false),
        (Reply::ok("a/b", body()).length(Length::Chunked).cut_after(333), 333, false),
    ] {
        let script = format!("{reply:?}");
        origin.set("/a", reply);
        let got = get(&origin.url("/a"), &[]).await;
        assert_eq!((got.body.len(), got.is_whole), (expected_bytes, is_whole), "{script}");
        assert!(got.body.iter().enumerate().all(|(i, byte)| usize::from(byte - b'0') == i % 10), "{script}");
    }
}

#[tokio::test]
async fn a_gate_holds_headers_or_the_rest_of_the_body() {
    let origin = Origin::start().await.unwrap();
    let (head, tail) = (Gate::closed(), Gate::closed());
    origin.set("/a", Reply::ok("a/b", Body::of("hello")).hold_headers(&head).hold_after(2, &tail));
    let answer = tokio::spawn(client().get(origin.url("/a")).send());
    head.arrived(1).await;
    assert!(!answer.is_finished());
    head.open();
    let mut response = answer.await.unwrap().unwrap();
    tail.arrived(1).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "he");
    tail.open();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "llo");
    assert_eq!(response.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn an_endless_body_goes_on_until_the_reader_leaves() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a", Reply::ok("a/b", Body::endless(vec![7; 1 << 20])));
    let mut response = client().get(origin.url("/a")).send().await.unwrap();
    let mut count = 0;
    while count < 16 << 20 {
        count += response.chunk().await.unwrap().unwrap().len();
    }
    assert!(response.headers().get("content-length").is_none());
}

#[tokio::test]
async fn a_paced_body_takes_its_time() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a", Reply::ok("a/b", Body::of(vec![0; 20_000])).rate(100_000));
    let clock = Clock::system();
    let start = clock.now();
    assert_eq!(get(&origin.url("/a"), &[]).await.body.len(), 20_000);
    // Ten pieces, the first one at once.
    assert!(clock.now() - start >= Duration::from_millis(179));
}

#[tokio::test]
async fn dropped_connections_and_redirects() {
    let origin = Origin::start().await.unwrap();
    origin.set("/gone", Reply::dropped());
    origin.set("/there", Reply::redirect("/here"));
    assert!(client().get(origin.url("/gone")).send().await.is_err());
    let got = get(&origin.url("/there"), &[]).await;
    assert_eq!((got.status, &got.headers["location"]), (302, &HeaderValue::from_static("/here")));
}

#[tokio::test]
async fn head_has_the_headers_of_get() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a", Reply::ok("a/b", Body::of("hello")).etag("\"x\""));
    let got = read(client().head(origin.url("/a")).send().await.unwrap()).await;
    assert_eq!((got.status, &got.headers["content-length"], got.body.len()), (200, &HeaderValue::from(5), 0));
}

#[tokio::test]
async fn a_directory_is_served_and_nothing_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("in")).unwrap();
    std::fs::write(directory.path().join("in/a b.mp3"), "music").unwrap();
    std::fs::write(directory.path().join("secret"), "secret").unwrap();
    let origin = Origin::serve_dir(directory.path().join("in")).await.unwrap();
    let got = get(&origin.url("/a%20b.mp3"), &[]).await;
    assert_eq!((got.status, &got.body[..]), (200, &b"music"[..]));
    assert_eq!(got.headers["content-type"], "audio/mpeg");
    let etag = got.headers["etag"].to_str().unwrap();
    assert_eq!(get(&origin.url("/a%20b.mp3"), &[("if-none-match", etag)]).await.status, 304);
    for path in ["/", "/%2e%2e/secret", "/..%2fsecret", "/nothing"] {
        assert_eq!(get(&origin.url(path), &[]).await.status, 404, "{path}");
    }
}
