//! The contract, on a real server; and what we make of servers that are down, refuse, know less, or lie.
//!
//! A server takes seconds to start, so what needs one is in one test.

mod lies;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};

use super::{Config, S3, Secret};
use crate::{
    media::cache::durable::{
        conformance::{self, Promises},
        store::{ObjectKey, ObjectStore as _, Replace, StoreError, Upload, Written},
    },
    testing::s3_server::{ACCESS_KEY, S3Server, SECRET_KEY},
    units::ByteCount,
};

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text.to_owned()).unwrap()
}

fn object(text: &'static str) -> Upload {
    Upload::of(Bytes::from_static(text.as_bytes()), "audio/PCMU", Replace::Never)
}

fn config(endpoint: String, prefix: &str) -> Config {
    Config {
        bucket: Some("audio".to_owned()),
        prefix: prefix.to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint: Some(endpoint),
        path_style: true,
        access_key: Some(Secret::new(ACCESS_KEY.to_owned())),
        secret_key: Some(Secret::new(SECRET_KEY.to_owned())),
        part_bytes: ByteCount::mib(5),
        // The machine may be busy with other tests.
        connect_timeout: Duration::from_secs(30),
        read_timeout: Duration::from_secs(60),
        write_timeout: Duration::from_secs(120),
        ..Config::default()
    }
}

async fn read(store: &S3, name: &str) -> Vec<u8> {
    let got = store.get(&key(name), None).await.unwrap();
    got.body.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

#[tokio::test]
async fn a_real_server() {
    let mut server = S3Server::start().await.unwrap();
    server.create_bucket("audio").await.unwrap();
    let open = async |prefix: &str| S3::open(&config(server.endpoint(), prefix)).await;

    let promises = Promises { orders_bytes: false, ..Promises::ALL };
    let conditional = conformance::all(Arc::new(open("some/where/").await), promises);
    let promises = Promises { creates_only: false, ..promises };
    let config = Config { create_only: false, ..config(server.endpoint(), "") };
    let unconditional = conformance::creating_and_replacing(Arc::new(S3::open(&config).await), promises);
    future::join(conditional, unconditional).await;

    two_prefixes_do_not_see_each_other(&open("one/").await, &open("two/").await).await;
    readers_who_know_nothing_of_us_are_told_what_it_is(&server, &open("headers/").await).await;
    no_parts_are_left_of_what_failed(&server, &open("parts/").await).await;
    refusals_are_told_without_secrets(&server).await;

    let store = open("outage/").await;
    store.put(&key("kept"), object("before")).await.unwrap();
    server.stop();
    let down = store.get(&key("kept"), None).await;
    assert!(matches!(down, Err(StoreError::Unavailable { .. })), "{down:?}");
    let down = store.put(&key("more"), object("during")).await;
    assert!(matches!(down, Err(StoreError::Unavailable { .. })), "{down:?}");
    server.start_again().await.unwrap();
    assert_eq!(read(&store, "kept").await, b"before");
    assert_eq!(store.put(&key("more"), object("after")).await.unwrap(), Written::Yes);
}

async fn two_prefixes_do_not_see_each_other(one: &S3, other: &S3) {
    one.put(&key("a"), object("one")).await.unwrap();
    assert!(matches!(other.head(&key("a")).await, Err(StoreError::NotFound { .. })));
    assert!(other.list("", None, 10).await.unwrap().is_empty());
    assert_eq!(one.list("", None, 10).await.unwrap().len(), 1);
}

async fn readers_who_know_nothing_of_us_are_told_what_it_is(server: &S3Server, store: &S3) {
    let long = || Upload::of(Bytes::from(vec![1; 6 << 20]), "audio/L16;rate=8000", Replace::Never);
    store.put(&key("short"), object("x")).await.unwrap();
    store.put(&key("long"), long()).await.unwrap();
    let changing = Upload::of(Bytes::from_static(b"{}"), "application/json", Replace::Always);
    store.put(&key("changing"), changing).await.unwrap();
    let forever = Some("public, max-age=31536000, immutable");
    for (name, kind, cache_control) in [
        ("short", "audio/PCMU", forever),
        ("long", "audio/L16;rate=8000", forever),
        ("changing", "application/json", None),
    ] {
        let head = server.client().head_object().bucket("audio").key(format!("headers/{name}")).send().await.unwrap();
        assert_eq!(head.content_type(), Some(kind));
        assert_eq!(head.cache_control(), cache_control, "{name}");
        assert_eq!(store.head(&key(name)).await.unwrap().content_type.as_deref(), Some(kind));
    }
}

async fn no_parts_are_left_of_what_failed(server: &S3Server, store: &S3) {
    let open_uploads = async || {
        let listed = server.client().list_multipart_uploads().bucket("audio").send().await.unwrap();
        listed.uploads().len()
    };
    // It ends early.
    let body = Box::pin(stream::iter([Ok(Bytes::from(vec![1; 7 << 20]))]));
    let short = Upload { body, length: 8 << 20, ..object("") };
    assert!(matches!(store.put(&key("short"), short).await, Err(StoreError::Body { .. })));
    assert_eq!(open_uploads().await, 0);
    let stuck = || {
        let (reached, end) = tokio::sync::oneshot::channel();
        let body = stream::iter([Ok(Bytes::from(vec![1; 7 << 20]))]).chain(stream::once(async move {
            reached.send(()).unwrap();
            future::pending().await
        }));
        let (upload, store) = (Upload { body: Box::pin(body), length: 8 << 20, ..object("") }, store.clone());
        (async move { store.put(&key("stuck"), upload).await }, end)
    };
    let all_gone = async || {
        let gone = async {
            while open_uploads().await > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the upload is aborted");
    };
    // Nobody waits for it any more.
    let (writing, end) = stuck();
    let writing = tokio::spawn(writing);
    end.await.unwrap();
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    all_gone().await;
    // And the lane that it was asked for on is gone.
    let lane = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (writing, end) = stuck();
    drop(lane.spawn(writing));
    let ended = tokio::task::spawn_blocking(move || {
        lane.block_on(end).unwrap();
        drop(lane);
    });
    ended.await.unwrap();
    all_gone().await;
}

async fn refusals_are_told_without_secrets(server: &S3Server) {
    let with = async |change: fn(&mut Config)| {
        let mut config = config(server.endpoint(), "");
        change(&mut config);
        S3::open(&config).await
    };
    let wrong_secret = with(|config| config.secret_key = Some(Secret::new("hush-hush".to_owned()))).await;
    let wrong_user = with(|config| config.access_key = Some(Secret::new("hush-hush".to_owned()))).await;
    let wrong_bucket = with(|config| config.bucket = Some("nowhere".to_owned())).await;
    for store in [&wrong_secret, &wrong_user] {
        let put = store.put(&key("x"), object("x")).await.unwrap_err();
        let told = format!("{put} {put:?}");
        assert!(matches!(put, StoreError::Refused { .. }), "{told}");
        assert!(!told.contains("hush-hush") && !told.contains(ACCESS_KEY) && !told.contains("Signature="), "{told}");
        assert!(matches!(store.head(&key("x")).await, Err(StoreError::Refused { .. })));
        assert!(matches!(store.list("", None, 1).await, Err(StoreError::Refused { .. })));
    }
    let get = wrong_bucket.get(&key("x"), None).await;
    assert!(matches!(get, Err(StoreError::Refused { .. })), "{get:?}");
    let debug = format!("{wrong_secret:?}");
    assert!(!debug.contains("hush-hush"), "{debug}");
}
