//! Uploads: what was acknowledged is there, whatever happens, and what was not is not.

use std::{path::Path, process::Command, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use ringback::{
    media::cache::durable::StoreKind,
    testing::{fixture, origin::Origin},
    units::ByteCount,
};

use crate::support::{
    node::{Answer, TestNode},
    process::Process,
};

const UPLOADS: &str = "/v1/media/uploads";

fn speech(name: &str) -> Vec<u8> {
    std::fs::read(fixture::audio_dir().join(name)).unwrap()
}

async fn put(node: &TestNode, body: impl Into<reqwest::Body>) -> Answer {
    node.send(node.request(Method::PUT, UPLOADS).body(body)).await
}

/// Where it is, as the answer says.
fn url(answer: &Answer) -> String {
    let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let url = told["url"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), url);
    assert_eq!(url, format!("{UPLOADS}/{}", told["content_hash"].as_str().unwrap()));
    url
}

/// A body whose length is not said.
fn in_pieces(pieces: impl Stream<Item = Piece> + Send + Sync + 'static) -> reqwest::Body {
    reqwest::Body::wrap(StreamBody::new(pieces))
}

type Piece = Result<Frame<Bytes>, std::io::Error>;

fn piece(bytes: Vec<u8>) -> Piece {
    Ok(Frame::data(bytes.into()))
}

/// Files under a directory that have a name.
fn files(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn an_upload_comes_back_as_it_came_until_it_is_removed() {
    let origin = Origin::start().await.unwrap();
    for store in [StoreKind::Off, StoreKind::Directory] {
        let durable = |config: &mut ringback::config::Config| config.media.cache.durable.store = store;
        let node = TestNode::start_with(&origin, durable).await;
        let body = speech("speech.mp3");
        let first = put(&node, body.clone()).await;
        assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
        let told: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
        assert_eq!((told["bytes"].as_u64(), told["type"].as_str()), (Some(body.len() as u64), Some("audio/mpeg")));
        let url = url(&first);
        let again = put(&node, body.clone()).await;
        assert_eq!((again.status, again.body), (StatusCode::OK, first.body));

        let node = node.restart_with(&origin, durable).await;
        let whole = node.get(&url).await;
        assert_eq!((whole.status, whole.header("content-type")), (StatusCode::OK, "audio/mpeg"));
        assert_eq!(whole.header("cache-control"), "private, no-store");
        assert!(whole.body == body);
        let head = node.send(node.request(Method::HEAD, &url)).await;
        let fields = ["content-length", "content-type", "etag", "cache-control", "accept-ranges"];
        assert!(fields.iter().all(|name| head.header(name) == whole.header(name)), "{head:?} {whole:?}");
        let part = node.get_with(&url, "range", "bytes=100-199").await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.header("content-range"), format!("bytes 100-199/{}", body.len()));
        assert_eq!(part.body, &body[100..200]);
        assert_eq!(node.get_with(&url, "range", "bytes=99999999-").await.slug(), "range-not-satisfiable");
        assert_eq!(node.get_with(&url, "if-none-match", whole.header("etag")).await.status, 304);

        let removed = node.send(node.request(Method::DELETE, &url)).await;
        assert_eq!((removed.status, removed.body.len()), (StatusCode::NO_CONTENT, 0));
        assert_eq!(node.send(node.request(Method::DELETE, &url)).await.slug(), "not-found");
        let gone = node.get(&url).await;
        // What is unknown and what is no name are told in the same words.
        for other in ["0".repeat(64), "nonsense".to_owned()] {
            let unknown = node.get(&format!("{UPLOADS}/{other}")).await;
            assert_eq!((unknown.slug(), unknown.body), ("not-found".to_owned(), gone.body.clone()));
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_audio_empty_or_too_long_is_refused_and_not_kept() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        config.media.uploads.bytes_max = ByteCount::kib(64);
        config.http.body_timeout = Duration::from_millis(200);
    })
    .await;
    let directory = node.data_dir().join("uploads");
    let refused = async |body: reqwest::Body, status: u16, slug: &str| {
        let answer = put(&node, body).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (status, slug));
    };
    refused("<html>no audio here, for sure</html>".into(), 415, "not-audio").await;
    refused(vec![0x55; 20_000].into(), 415, "not-audio").await;
    refused("".into(), 400, "bad-request").await;
    refused(vec![0; 64 * 1024 + 1].into(), 413, "over-limit").await;
    // Without a length nobody knows before.
    let pieces = (0..65).map(|_| piece(vec![0; 1024]));
    refused(in_pieces(stream::iter(pieces)), 413, "over-limit").await;
    // It begins, and does not go on.
    let silent = stream::iter([piece(speech("speech.wav")[..1000].to_vec())]).chain(stream::pending());
    refused(in_pieces(silent), 408, "request-timeout").await;
    // It breaks off: fewer bytes than were promised.
    let request = format!("PUT {UPLOADS} HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\nConnection: close\r\n\r\nRIFF");
    let answer = String::from_utf8(node.raw_and_end(&request).await).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(files(&directory), 0);
    node.stop().await;
}

#[tokio::test]
async fn an_upload_that_was_damaged_is_not_taken_for_whole_and_can_be_put_again() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let body = speech("music.mp3");
    let answer = put(&node, body.clone()).await;
    let url = url(&answer);
    let hash = url.rsplit('/').next().unwrap();
    let file = node.data_dir().join("uploads/uploads/default").join(&hash[..2]).join(hash);
    let mut damaged = body.clone();
    damaged[body.len() / 2] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    // The connection ends before the last piece, and with a single one it may end before the headers have left.
    let whole = async { node.request(Method::GET, &url).send().await?.bytes().await };
    whole.await.unwrap_err();
    assert_eq!(put(&node, body.clone()).await.status, StatusCode::CREATED);
    assert!(node.get(&url).await.body == body);
    node.stop().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let origin = Origin::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    ringback::outbound::install_crypto_provider();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = speech("speech.flac");
    let node = Process::start(directory.path(), &origin);
    let answer = client.put(node.url(UPLOADS)).body(body.clone()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    node.kill();
    let url = answer.headers()["location"].to_str().unwrap().to_owned();
    let node = Process::start(directory.path(), &origin);
    let again = client.get(node.url(&url)).send().await.unwrap();
    assert_eq!(again.headers()["content-type"], "audio/flac");
    assert!(again.bytes().await.unwrap() == body);
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_kept() {
    let origin = Origin::start().await.unwrap();
    let mut mounted = false;
    let node = TestNode::start_with(&origin, |config| {
        let directory = config.data_dir.join("uploads");
        std::fs::create_dir_all(&directory).unwrap();
        // Only root can make a small file system.
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&directory).output();
        mounted = mount.is_ok_and(|output| output.status.success());
    })
    .await;
    if !mounted {
        // For all others a store that says so has to do: `media::uploads::tests`.
        assert!(!is_root(), "a small file system cannot be mounted");
        return node.stop().await;
    }
    let directory = node.data_dir().join("uploads");
    let body = speech("music.mp3");
    assert!(body.len() > 64 * 1024);
    let answer = put(&node, body.clone()).await;
    let left = files(&directory);
    let small = put(&node, speech("speech.mp3")[..20_000].to_vec()).await;
    node.stop_then(|| assert!(Command::new("umount").arg(&directory).status().unwrap().success())).await;
    assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (507, "storage-full"));
    assert_eq!(left, 0);
    // There is room for this one.
    assert_eq!(small.status, StatusCode::CREATED, "{small:?}");
}

fn is_root() -> bool {
    let ids = std::fs::read_to_string("/proc/self/status").unwrap();
    ids.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}
