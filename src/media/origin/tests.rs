use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{Config, Fetched, Incoming, Origin, OriginError, gates::Gates, retry_after::retry_after};
use crate::{
    clock::Clock,
    media::freshness::{Freshness, Said, Times},
    outbound::{
        self, Client, Guard, Hops, OutboundError,
        tests::server::{Reply, Server, ok, path, with_headers},
    },
    problem::{ConfigProblems, Kind},
    units::ByteCount,
};

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
        (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in list.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

/// Sun, 06 Nov 1994 08:49:37 GMT, the example date of RFC 9110.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

/// The rules of RFC 9111 have their tests in `freshness`; these are what is decided here.
#[tokio::test]
async fn what_origins_do_not_say_is_decided_by_the_configuration() {
    #[track_caller]
    fn check(config: &Config, list: &[(&str, &str)], seconds: u64) {
        let said = Said::of(&headers(list));
        let freshness = Freshness::of(StatusCode::OK, &said.to_headers(), Times::at(now()), &config.rules());
        assert_eq!(freshness.fresh_for(now()), Duration::from_secs(seconds), "{list:?}");
    }
    const DAY: u64 = 24 * 3600;
    let config = Config::default();
    check(&config, &[], 300);
    check(&config, &[("cache-control", "public")], 300);
    check(&config, &[("cache-control", "max-age=60")], 60);
    check(&config, &[("cache-control", "max-age=99999999999999999999999")], 30 * DAY);
    check(&config, &[("cache-control", "max-age=60\u{e4}, \u{e4}")], 0);
    check(&config, &[("expires", "Sat, 06 Nov 2094 08:50:37 GMT")], 30 * DAY);
    // A tenth of the time since the last change, ten minutes at most.
    check(&config, &[("last-modified", "Sun, 06 Nov 1994 08:32:57 GMT")], 100);
    check(&config, &[("last-modified", "Mon, 06 Nov 1995 08:49:37 GMT")], 300);
    check(&config, &[("last-modified", "Sat, 06 Nov 1993 08:49:37 GMT")], 600);
    let strict = Config { fresh_min: Duration::from_secs(30), fresh_max: Duration::from_secs(90), ..config.clone() };
    check(&strict, &[("cache-control", "max-age=5")], 30);
    check(&strict, &[("cache-control", "max-age=5, no-cache")], 0);
    check(&strict, &[("cache-control", "max-age=500")], 90);
    // What is too long to be written down is asked about each time.
    check(&config, &[("cache-control", &format!("max-age=60, x=\"{}\"", "x".repeat(4_000)))], 0);
}

#[test]
fn retry_after_is_read_in_both_forms_and_bounded() {
    #[track_caller]
    fn check(value: &str, expected: Option<u64>) {
        let list = headers(&[("retry-after", value)]);
        assert_eq!(retry_after(&list, now(), Duration::from_secs(3600)), expected.map(Duration::from_secs), "{value}");
    }
    check("120", Some(120));
    check("999999", Some(3600));
    check("Sun, 06 Nov 1994 08:50:37 GMT", Some(60));
    check("Sun, 06 Nov 1994 08:00:00 GMT", Some(0));
    check("soon", None);
    check("-1", None);
    assert_eq!(retry_after(&HeaderMap::new(), now(), Duration::MAX), None);
}

fn origin(server: &Server, config: Config) -> Origin {
    let allow_origins = vec![server.address.to_string()];
    let outbound = outbound::Config { allow_origins, ..Default::default() };
    let guard = Guard::new(&outbound, Vec::new()).unwrap();
    let client = Client::new(&outbound, guard, "ringback-test", Clock::system()).unwrap();
    Origin::new(client, config, Clock::system())
}

async fn incoming(origin: &Origin, url: url::Url) -> Result<Box<Incoming>, OriginError> {
    match origin.fetch(&url, None, &Hops::default()).await? {
        Fetched::Body(incoming) => Ok(incoming),
        Fetched::NotModified { .. } => panic!("an unconditional request cannot be answered so"),
    }
}

async fn read(incoming: &mut Incoming) -> Result<Vec<u8>, OriginError> {
    let mut bytes = Vec::new();
    while let Some(piece) = incoming.chunk().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_source_comes_with_what_is_known_about_it() {
    let server = Server::start(|head| {
        Reply::Write(match path(head) {
            "/empty" => ok(""),
            _ => with_headers(
                "200 OK",
                &[
                    ("Content-Type", "audio/mpeg"),
                    ("ETag", "W/\"1\""),
                    ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
                    ("Cache-Control", "max-age=60"),
                    ("Cache-Tag", "greetings, ,en"),
                ],
                "hello",
            ),
        })
    })
    .await;
    let origin = origin(&server, Config::default());
    let mut source = incoming(&origin, server.url("/x")).await.unwrap();
    assert_eq!((source.declared_length, source.storable), (Some(5), true));
    assert_eq!(source.answer.content_type().as_deref(), Some("audio/mpeg"));
    assert_eq!(source.answer.tags(), ["greetings", "en"]);
    let said = Said::of(&source.answer.headers);
    assert_eq!(origin.freshness(&server.url("/x"), &said, source.answer.times).lifetime, Duration::from_secs(60));
    assert_eq!(said.get(&header::ETAG), Some("W/\"1\""));
    assert_eq!(said.get(&header::LAST_MODIFIED), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(read(&mut source).await.unwrap(), b"hello");
    assert_eq!(source.received(), 5);
    let mut empty = incoming(&origin, server.url("/empty")).await.unwrap();
    assert_eq!((empty.declared_length, empty.chunk().await.unwrap()), (Some(0), None));
}

#[tokio::test]
async fn an_unchanged_source_is_not_sent_again() {
    let server = Server::start(|head| {
        let etag = head.to_ascii_lowercase().contains("if-none-match: \"1\"\r\n");
        let date = head.to_ascii_lowercase().contains("if-modified-since: sun, 06 nov 1994 08:49:37 gmt\r\n");
        Reply::Write(match (path(head), etag, date) {
            ("/x", true, true) => {
                "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=5\r\nETag: \"2\"\r\n\r\n".to_owned()
            }
            ("/always", ..) => "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
            _ => ok("changed"),
        })
    })
    .await;
    let origin = origin(&server, Config::default());
    let known = headers(&[("etag", "\"1\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    let known = Said::of(&known);
    match origin.fetch(&server.url("/x"), Some(&known), &Hops::default()).await.unwrap() {
        Fetched::NotModified(answer) => {
            let said = known.updated(&answer.headers);
            assert_eq!(origin.freshness(&server.url("/x"), &said, answer.times).lifetime, Duration::from_secs(5));
            // The bytes are still those under the tag that was asked about.
            assert_eq!(said.get(&header::ETAG), Some("\"1\""));
        }
        Fetched::Body(_) => panic!("the origin said 304"),
    }
    let none = Said::default();
    assert!(matches!(origin.fetch(&server.url("/x"), Some(&none), &Hops::default()).await, Ok(Fetched::Body(_))));
    for known in [None, Some(&none)] {
        let error = origin.fetch(&server.url("/always"), known, &Hops::default()).await.unwrap_err();
        assert!(matches!(error, OriginError::UnaskedNotModified { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn only_a_complete_200_is_a_source() {
    let server = Server::start(|head| {
        let status = path(head)[1..].to_owned();
        Reply::Write(with_headers(
            &format!("{status} X"),
            &[("Retry-After", "7")],
            if status == "204" { "" } else { "page" },
        ))
    })
    .await;
    let origin = origin(&server, Config::default());
    for (status, kind) in [
        (404, Kind::SourceMissing),
        (410, Kind::SourceMissing),
        (508, Kind::LoopDetected),
        (201, Kind::OriginFailed),
        (203, Kind::OriginFailed),
        (204, Kind::OriginFailed),
        (206, Kind::OriginFailed),
        (300, Kind::OriginFailed),
        (400, Kind::OriginFailed),
        (401, Kind::OriginFailed),
        (403, Kind::OriginFailed),
        (429, Kind::OriginFailed),
        (500, Kind::OriginFailed),
        (503, Kind::OriginFailed),
    ] {
        let problem = incoming(&origin, server.url(&format!("/{status}"))).await.unwrap_err().problem();
        assert_eq!(problem.kind, kind, "{status}");
        let expected = (kind != Kind::SourceMissing).then_some(Duration::from_secs(7));
        assert_eq!(problem.retry_after, expected, "{status}");
        assert!(problem.detail.contains(&status.to_string()), "{problem}");
        let is_answer = (400..500).contains(&status) && status != 429;
        assert_eq!(problem.lets_stale_stand_in(), !is_answer && kind == Kind::OriginFailed, "{status}");
    }
}

#[tokio::test]
async fn more_than_the_limit_is_refused_as_soon_as_it_shows() {
    let server = Server::start(|head| match path(head) {
        "/declared" => Reply::WriteAndHang("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".to_owned()),
        "/exact" => Reply::Write(ok(&"x".repeat(1000))),
        _ => Reply::WriteWithoutEnd("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "more and more"),
    })
    .await;
    let origin = origin(&server, Config { source_max: ByteCount::bytes(1000), ..Config::default() });
    let error = incoming(&origin, server.url("/declared")).await.unwrap_err();
    assert_eq!(error.problem().kind, Kind::OverLimit);
    let mut endless = incoming(&origin, server.url("/endless")).await.unwrap();
    assert!(matches!(read(&mut endless).await, Err(OriginError::OverLimit { .. })));
    let mut exact = incoming(&origin, server.url("/exact")).await.unwrap();
    assert_eq!(read(&mut exact).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn a_short_body_is_no_source() {
    let server =
        Server::start(|_| Reply::WriteAndClose("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello".to_owned())).await;
    let origin = origin(&server, Config::default());
    let mut source = incoming(&origin, server.url("/")).await.unwrap();
    let error = read(&mut source).await.unwrap_err();
    assert!(matches!(error, OriginError::Outbound(OutboundError::Truncated { expected: Some(9), received: 5, .. })));
}

#[tokio::test]
async fn fetches_from_one_origin_wait_for_each_other() {
    let server = Server::start(|_| Reply::Write(ok("hello"))).await;
    let config = Config {
        per_origin_max: 2,
        per_origin_waiting_max: 1,
        per_origin_wait: Duration::from_secs(10),
        ..Config::default()
    };
    let origin = origin(&server, config);
    let first = incoming(&origin, server.url("/1")).await.unwrap();
    let second = incoming(&origin, server.url("/2")).await.unwrap();
    let waiting = tokio::spawn({
        let (origin, url) = (origin.clone(), server.url("/3"));
        async move { incoming(&origin, url).await }
    });
    tokio::task::yield_now().await;
    let error = incoming(&origin, server.url("/4")).await.unwrap_err();
    assert!(matches!(error, OriginError::Busy { .. }), "{error:?}");
    assert_eq!((error.problem().kind, error.problem().retry_after.is_some()), (Kind::Busy, true));
    assert_eq!(server.requests().len(), 2, "nothing is sent without a permit");
    drop(first);
    let mut third = waiting.await.unwrap().unwrap();
    assert_eq!(read(&mut third).await.unwrap(), b"hello");
    drop((second, third));
    incoming(&origin, server.url("/5")).await.unwrap();
}

#[tokio::test]
async fn a_fetch_does_not_wait_for_ever() {
    let server = Server::start(|_| Reply::Write(ok("hello"))).await;
    let config = Config { per_origin_max: 1, per_origin_wait: Duration::from_millis(20), ..Config::default() };
    let origin = origin(&server, config);
    let held = incoming(&origin, server.url("/1")).await.unwrap();
    assert!(matches!(incoming(&origin, server.url("/2")).await, Err(OriginError::Busy { .. })));
    drop(held);
    incoming(&origin, server.url("/3")).await.unwrap();
}

#[tokio::test]
async fn gates_are_gone_when_nobody_uses_them() {
    const MOST: usize = 1;
    let gates = Gates::new(10);
    let held = gates.enter("a", MOST).await.unwrap();
    {
        // A waiter that gives up leaves no trace.
        let waiting = gates.enter("a", MOST);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        assert_eq!(gates.users("a"), Some(2));
    }
    assert_eq!(gates.users("a"), Some(1));
    assert!(gates.enter("b", MOST).await.is_some(), "another origin is another gate");
    assert_eq!(gates.users("b"), None);
    drop(held);
    assert_eq!(gates.users("a"), None);
}

#[tokio::test]
async fn never_more_run_at_once_than_may() {
    const MOST: usize = 3;
    let gates = Gates::new(100);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (gates, running, most) = (gates.clone(), running.clone(), most.clone());
        tasks.spawn(async move {
            let permit = gates.enter("a", MOST).await.unwrap();
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!((most.load(Ordering::SeqCst), gates.users("a")), (3, None));
}

#[test]
fn the_configuration_is_checked() {
    let mut problems = ConfigProblems::default();
    Config::default().validate("media.origin", &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    Config { per_origin_max: 0, fresh_max: Duration::ZERO, ..Config::default() }
        .validate("media.origin", &mut problems);
    let keys: Vec<_> = problems.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["media.origin.per_origin_max", "media.origin.fresh_default"]);
    Config { fresh_min: Duration::from_secs(1), fresh_max: Duration::ZERO, ..Config::default() }
        .validate("media.origin", &mut problems);
    assert!(problems.iter().any(|(key, _)| key == "media.origin.fresh_min"), "{problems:?}");
}
