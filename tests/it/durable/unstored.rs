//! What must not be stored is in no tier: neither among a node's files nor in the store.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use ringback::{testing::origin::Origin, units::ByteCount};

use super::bucket::Bucket;
use crate::support::node::{Answer, TestNode};

/// What is not to be stored, and words of it.
const UNSTORED: (&str, &str) = ("The code is nine seven three one. Do not tell anybody.", "nine seven three");
/// What may be, and words of it: where these are not found, the search cannot find anything.
const STORED: (&str, &str) = ("Please hold the line. An agent will be with you.", "hold the line");

#[tokio::test]
async fn speech_that_is_not_to_be_stored_leaves_nothing_in_a_directory() {
    speech_that_is_not_to_be_stored_leaves_nothing(&Bucket::directory()).await;
}

#[tokio::test]
async fn speech_that_is_not_to_be_stored_leaves_nothing_in_s3() {
    speech_that_is_not_to_be_stored_leaves_nothing(&Bucket::s3().await).await;
}

async fn speech_that_is_not_to_be_stored_leaves_nothing(bucket: &Bucket) {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        bucket.configure(config);
        config.media.cache.disk = ByteCount::mib(16);
    })
    .await;
    let path = |text: &str| format!("/say/_/-/{}.sln", URL_SAFE_NO_PAD.encode(text));
    let unstored = node.get_with(&path(UNSTORED.0), "cache-control", "no-store").await;
    assert_eq!((unstored.status, unstored.header("cache-control")), (StatusCode::OK, "no-store"));
    assert_eq!(unstored.header("content-location"), "");
    let cached = node.get_with(&path(UNSTORED.0), "cache-control", "only-if-cached").await;
    assert_eq!(cached.slug(), "not-cached");
    let stored = node.get(&path(STORED.0)).await;
    assert_eq!(stored.status, StatusCode::OK);
    node.settled().await;

    // Its last act is to write what waits for the store, and its files are looked at while they are there.
    let directory = node.data_dir().to_owned();
    let mut kept = Vec::new();
    node.stop_then(|| kept = read_all(&directory)).await;
    let objects = bucket.objects().await;
    let found = |heard: &Answer, words: &str, among: &[(String, Vec<u8>)]| {
        let has = |bytes: &[u8]| needles(heard, words).iter().any(|needle| contains(bytes, needle));
        among.iter().filter(|(_, bytes)| has(bytes)).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let behind = read_all(bucket.data());
    for (place, among) in [("the node's files", &kept), ("the store", &objects), ("the store's files", &behind)] {
        assert!(!found(&stored, STORED.1, among).is_empty(), "what may be stored is not found in {place}");
        assert_eq!(found(&unstored, UNSTORED.1, among), Vec::<String>::new(), "{place}");
    }
}

/// A stretch of what was heard, and words of the text in the forms in which they could stand somewhere.
fn needles(heard: &Answer, words: &str) -> [Vec<u8>; 4] {
    let middle = heard.body.len() / 2;
    let encoded = |shift: &str| {
        // Base64 of a text depends on where it begins among three bytes; the first and last groups are not its own.
        let text = URL_SAFE_NO_PAD.encode(format!("{shift}{words}"));
        text.as_bytes()[4..text.len() - 4].to_vec()
    };
    [heard.body[middle..middle + 64].to_vec(), words.as_bytes().to_vec(), encoded(""), encoded("  ")]
}

/// Every file under a directory with its bytes.
fn read_all(directory: &Path) -> Vec<(String, Vec<u8>)> {
    // What goes away meanwhile, as a database's journal does, is not there.
    let paths = files(directory);
    paths.into_iter().filter_map(|path| Some((path.display().to_string(), std::fs::read(&path).ok()?))).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    // Not by windows: they take seconds for what an unoptimised build reads of a whole disk tier.
    let begins = |at: usize| bytes[at..].starts_with(needle);
    bytes.iter().enumerate().any(|(at, byte)| *byte == needle[0] && begins(at))
}
