//! Servers that know less than S3, fail, or lie: a scripted HTTP server in their place.

use std::{process::Command, time::Duration};

use futures_util::TryStreamExt as _;
use http::Method;

use super::{Config, S3, StoreError, Written, config, key, object};
use crate::{
    media::cache::durable::store::ObjectStore as _,
    testing::origin::{Body, Gate, Length, Origin, Reply},
};

const GET: &str = "/audio/a?x-id=GetObject";
const PUT: &str = "/audio/a?x-id=PutObject";
const HEAD: &str = "/audio/a";

async fn server() -> (Origin, S3) {
    let origin = Origin::start().await.unwrap();
    let store = S3::open(&config(origin.url(""), "")).await;
    (origin, store)
}

fn part(range: &str, body: &'static str) -> Reply {
    Reply::status(206, "audio/PCMU", Body::of(body)).header("content-range", range)
}

fn error(status: u16, code: &str) -> Reply {
    Reply::status(
        status,
        "application/xml",
        Body::of(format!("<Error><Code>{code}</Code><Message>m</Message></Error>")),
    )
}

/// What reading bytes 2..6 of an object comes to.
async fn read(store: &S3) -> Result<Vec<u8>, StoreError> {
    let got = store.get(&key("a"), Some(2..6)).await?;
    Ok(got.body.try_collect::<Vec<_>>().await?.concat())
}

#[tokio::test]
async fn a_range_must_be_the_one_that_was_asked_for() {
    let (origin, store) = server().await;
    origin.set(GET, part("bytes 2-5/9", "cdef"));
    assert_eq!(read(&store).await.unwrap(), b"cdef");
    assert_eq!(store.get(&key("a"), Some(2..6)).await.unwrap().meta.length, 9);
    for lie in [
        part("bytes 2-5/9", "cde"),
        part("bytes 2-5/9", "cdefg"),
        part("bytes 0-3/9", "abcd"),
        part("bytes 2-4/9", "cde"),
        part("bytes 2-5/*", "cdef"),
        part("nonsense", "cdef"),
        Reply::ok("audio/PCMU", Body::of("abcdefghi")),
        Reply::ok("audio/PCMU", Body::of("cdef")),
        part("bytes 2-5/9", "cdef").length(Length::Chunked),
        part("bytes 2-5/9", "cd").length(Length::Claimed(4)),
        part("bytes 2-5/9", "cdef").cut_after(2),
    ] {
        let shown = format!("{lie:?}");
        origin.set(GET, lie);
        let read = read(&store).await;
        assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{shown}: {read:?}");
    }
    origin.set(GET, part("bytes 2-4/5", "cde"));
    assert!(matches!(read(&store).await, Err(StoreError::OutOfRange { start: 2, end: 6, .. })));
    // The whole is the part where the part is the whole.
    origin.set(GET, Reply::ok("audio/PCMU", Body::of("abcd")));
    assert!(store.get(&key("a"), Some(0..4)).await.is_ok());
}

#[tokio::test]
async fn a_server_that_is_silent_is_not_waited_for() {
    let (origin, _) = server().await;
    let short = Duration::from_millis(200);
    let config = Config { read_timeout: short, connect_timeout: short, attempts_max: 2, ..config(origin.url(""), "") };
    let store = S3::open(&config).await;
    let never = Gate::closed();
    origin.set(GET, part("bytes 2-5/9", "cdef").hold_headers(&never));
    let silent = read(&store).await;
    assert!(matches!(silent, Err(StoreError::Unavailable { .. })), "{silent:?}");
    assert_eq!(origin.count(&Method::GET, GET), 2, "it is tried again");
    origin.set(GET, part("bytes 2-5/9", "cdef").hold_after(2, &never));
    let stalled = read(&store).await;
    assert!(matches!(stalled, Err(StoreError::Unavailable { .. })), "{stalled:?}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_told() {
    let (origin, store) = server().await;
    origin.set_sequence(GET, [error(503, "SlowDown"), Reply::dropped(), part("bytes 2-5/9", "cdef")]);
    assert_eq!(read(&store).await.unwrap(), b"cdef");
    origin.set(GET, error(500, "InternalError"));
    assert!(matches!(read(&store).await, Err(StoreError::Unavailable { reason, .. }) if reason == "500 InternalError"));
    for (status, code) in [(403, "AccessDenied"), (301, "PermanentRedirect"), (404, "NoSuchBucket"), (401, "")] {
        origin.set(GET, error(status, code));
        let asked = origin.count(&Method::GET, GET);
        let refused = read(&store).await;
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{code}: {refused:?}");
        assert_eq!(origin.count(&Method::GET, GET), asked + 1, "{code}");
    }
    origin.set(GET, error(404, "NoSuchKey"));
    assert!(matches!(read(&store).await, Err(StoreError::NotFound { .. })));
    origin.set(GET, Reply::ok("text/html", Body::of("<html>a login page</html>")));
    assert!(matches!(read(&store).await, Err(StoreError::Unavailable { .. })));
    origin.set(PUT, error(507, "XMinioStorageFull"));
    assert!(matches!(store.put(&key("a"), object("x")).await, Err(StoreError::Full { .. })));
}

#[tokio::test]
async fn a_server_without_conditional_writes_is_asked_without_from_then_on() {
    for refusal in [error(501, "NotImplemented"), error(400, "InvalidArgument")] {
        let (origin, store) = server().await;
        let conditions = || {
            let seen = origin.seen();
            seen.iter().filter(|seen| seen.headers.contains_key("if-none-match")).count()
        };
        origin.set_sequence(PUT, [refusal, Reply::ok("text/plain", Body::of(""))]);
        assert_eq!(store.put(&key("a"), object("x")).await.unwrap(), Written::Yes);
        assert_eq!(origin.count(&Method::HEAD, HEAD), 1, "without the condition it is looked first");
        assert_eq!(store.put(&key("a"), object("x")).await.unwrap(), Written::Yes);
        assert_eq!(conditions(), 1);
        origin.set(HEAD, Reply::ok("audio/PCMU", Body::of("x")));
        assert_eq!(store.put(&key("a"), object("x")).await.unwrap(), Written::WasThere);
        assert_eq!(origin.count(&Method::PUT, PUT), 3);
    }
}

#[tokio::test]
async fn a_conflict_is_looked_into() {
    let (origin, store) = server().await;
    origin.set_sequence(PUT, [error(409, "ConditionalRequestConflict"), Reply::ok("text/plain", Body::of(""))]);
    assert_eq!(store.put(&key("a"), object("x")).await.unwrap(), Written::Yes);
    origin.set(PUT, error(409, "ConditionalRequestConflict"));
    let busy = store.put(&key("a"), object("x")).await;
    assert!(matches!(busy, Err(StoreError::Unavailable { .. })), "{busy:?}");
    origin.set(HEAD, Reply::ok("audio/PCMU", Body::of("x")));
    assert_eq!(store.put(&key("a"), object("x")).await.unwrap(), Written::WasThere);
}

#[tokio::test]
async fn tls_is_spoken_where_the_endpoint_says_https() {
    let (origin, _) = server().await;
    let store = S3::open(&config(format!("https://{}", origin.address()), "")).await;
    let refused = read(&store).await;
    // The other end speaks no TLS: our greeting is no HTTP to it.
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert!(origin.connections() > 0 && origin.seen().is_empty());
}

/// Variables belong to a process, so this test runs itself again in a process with other ones.
#[tokio::test]
async fn the_names_of_aws_are_understood() {
    const IS_CHILD: &str = "RINGBACK_TEST_CHILD";
    if std::env::var_os(IS_CHILD).is_some() {
        let config = Config { bucket: Some("audio".to_owned()), path_style: true, ..Config::default() };
        S3::open(&config).await.head(&key("a")).await.unwrap();
        return;
    }
    let this_test = concat!(module_path!(), "::the_names_of_aws_are_understood").trim_start_matches("ringback::");
    for (endpoint, region) in [("AWS_ENDPOINT_URL", "AWS_REGION"), ("AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION")] {
        let origin = Origin::start().await.unwrap();
        origin.set(HEAD, Reply::ok("audio/PCMU", Body::of("x")));
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", this_test]).env_clear().env(IS_CHILD, "1");
        child.env(endpoint, origin.url("")).env(region, "somewhere-1");
        child.env("AWS_ACCESS_KEY_ID", "an-id").env("AWS_SECRET_ACCESS_KEY", "s").env("AWS_SESSION_TOKEN", "a-token");
        let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{output:?}");
        let seen = origin.seen();
        assert_eq!(seen.len(), 1, "the child ran one test that asked one thing");
        let header = |name: &str| seen[0].headers.get(name).map_or("", |value| value.to_str().unwrap());
        let authorization = header("authorization");
        assert!(
            authorization.contains("Credential=an-id/") && authorization.contains("/somewhere-1/s3/"),
            "{authorization}"
        );
        assert_eq!(header("x-amz-security-token"), "a-token");
    }
}
