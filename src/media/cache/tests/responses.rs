//! What the reverse proxy keeps.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use rusqlite::Connection;

use super::{Cache, memory_only, open};
use crate::{
    ids::ResponseKey,
    media::{
        cache::{ChunkRef, StoredResponse, Which},
        freshness::Selection,
    },
};

const NO_LIMIT: u64 = 1_000;

fn key(name: &str) -> ResponseKey {
    ResponseKey::of(name.as_bytes())
}

fn fields(lines: &[(&'static str, &[u8])]) -> HeaderMap {
    lines.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap())).collect()
}

/// A response to a request with this language.
fn response(language: &str, second: u64) -> StoredResponse {
    let headers = fields(&[("vary", b"x-language"), ("set-cookie", b"a=b"), ("x-byte", b"\xfc")]);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    StoredResponse {
        status: 200,
        reason: Some("Quite Fine".to_owned()),
        selection: Selection::of(&headers, &fields(&[("x-language", language.as_bytes())])).unwrap(),
        headers,
        request_time: time,
        response_time: time,
        length: 5,
        chunks: vec![ChunkRef { id: crate::ids::ChunkId::of(b"hello"), length: 5, sum: None }],
    }
}

async fn keep(cache: &Cache, name: &str, response: &StoredResponse) {
    cache.keep_response(key(name), response.clone(), NO_LIMIT).await.unwrap();
}

async fn kept(cache: &Cache, name: &str) -> Vec<StoredResponse> {
    cache.responses(&key(name)).await.unwrap().map(|kept| kept.variants.clone()).unwrap_or_default()
}

#[tokio::test]
async fn each_selection_keeps_its_latest_and_all_of_it_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    let (english, german, later) = (response("en", 1), response("de", 2), response("en", 3));
    for response in [&english, &german, &later] {
        keep(&cache, "a", response).await;
    }
    assert_eq!(kept(&cache, "a").await, [later.clone(), german.clone()]);
    assert_eq!(cache.responses_in_memory(&key("a")).unwrap().answering(&fields(&[("x-language", b"de")])), Some(1));
    assert_eq!(cache.stats().counts.responses, 1);
    cache.close().await;
    drop(cache);

    let cache = open(&memory_only(), dir.path()).await;
    assert_eq!(kept(&cache, "a").await, [later.clone(), german.clone()]);
    // One that has been replaced meanwhile takes nothing along.
    cache.forget_responses(key("a"), Some(Which::of(&english))).await.unwrap();
    assert_eq!(kept(&cache, "a").await.len(), 2);
    cache.forget_responses(key("a"), Some(Which::of(&later))).await.unwrap();
    assert_eq!(kept(&cache, "a").await, [german]);
    cache.forget_responses(key("a"), None).await.unwrap();
    assert_eq!((kept(&cache, "a").await.len(), cache.stats().counts.responses), (0, 0));
    assert!(cache.responses_in_memory(&key("a")).is_none());
}

#[tokio::test]
async fn selections_without_end_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    for number in 0..40 {
        keep(&cache, "a", &response(&number.to_string(), number)).await;
    }
    let kept = kept(&cache, "a").await;
    assert_eq!((kept.len(), kept[0].clone()), (16, response("39", 39)));
}

#[tokio::test]
async fn beyond_the_limit_those_leave_that_have_not_changed_for_the_longest() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    for name in ["a", "b", "c"] {
        keep(&cache, name, &response("en", 1)).await;
    }
    keep(&cache, "a", &response("en", 2)).await;
    cache.keep_response(key("d"), response("en", 1), 2).await.unwrap();
    for (name, there) in [("a", true), ("b", false), ("c", false), ("d", true)] {
        assert_eq!(!kept(&cache, name).await.is_empty(), there, "{name}");
    }
    assert_eq!(cache.stats().counts.responses, 2);
}

/// What the version before made: the table came with the second step.
#[tokio::test]
async fn a_catalogue_of_the_version_before_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&memory_only(), dir.path()).await;
    keep(&cache, "a", &response("en", 1)).await;
    cache.close().await;
    drop(cache);
    let file = Connection::open(dir.path().join("media.db")).unwrap();
    file.execute_batch("DROP TABLE responses; DROP TABLE purges; DROP TABLE pending; DELETE FROM counts WHERE name IN ('responses', 'pending'); PRAGMA user_version = 1;")
        .unwrap();
    drop(file);

    let cache = open(&memory_only(), dir.path()).await;
    assert_eq!(kept(&cache, "a").await, []);
    keep(&cache, "a", &response("en", 2)).await;
    assert_eq!((kept(&cache, "a").await.len(), cache.stats().counts.responses), (1, 1));
}
