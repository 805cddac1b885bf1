//! Audio goes out while its source arrives: first bytes, held formats, trailers.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Gate, Length, Origin, Reply},
};

use crate::support::node::{TestNode, fetch_path};

/// An hour of MP3: CBR frames repeat without a seam.
fn hour_of_mp3() -> Body {
    const BYTES: u64 = 128_000 / 8 * 3_600;
    Body::repeat(fixture::music_frames().unwrap(), BYTES)
}

#[tokio::test]
async fn an_hour_of_mp3_sounds_after_its_first_second() {
    let (origin, gate) = (Origin::start().await.unwrap(), Gate::closed());
    // 32 KiB are two seconds of sound: nothing more arrives before the gate opens.
    origin.set("/hour.mp3", Reply::ok("audio/mpeg", hour_of_mp3()).hold_after(32 << 10, &gate));
    let node = TestNode::start(&origin).await;
    for extension in ["ulaw", "opus", "sln16"] {
        let path = fetch_path(&origin.url("/hour.mp3"), extension);
        let mut response = node.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().get("content-length").is_none(), "its length is not known yet");
        let first = response.chunk().await.unwrap().unwrap();
        assert!(!first.is_empty(), "{extension}");
    }
    gate.arrived(1).await;
    gate.open();
}

#[tokio::test]
async fn an_early_first_byte_changes_no_byte() {
    let origin = Origin::start().await.unwrap();
    let music = || Body::of(fixture::audio("music.mp3").unwrap());
    origin.set("/whole.mp3", Reply::ok("audio/mpeg", music()));
    origin.set("/trickle.mp3", Reply::ok("audio/mpeg", music()).length(Length::Chunked).rate(400_000));
    let whole = TestNode::start(&origin).await;
    let streamed = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    for extension in ["ulaw", "opus", "wav16"] {
        let expected = whole.get(&fetch_path(&origin.url("/whole.mp3"), extension)).await;
        let path = fetch_path(&origin.url("/trickle.mp3"), extension);
        let request = streamed.request(Method::GET, &path).header("te", "trailers");
        let actual = streamed.send(request).await;
        assert!(actual.body == expected.body, "{extension}: {} {}", actual.body.len(), expected.body.len());
        // The same bytes have the same name, whatever URL they came from.
        let again = streamed.get(&path).await;
        assert_eq!(again.header("content-location"), expected.header("content-location"));
        assert_eq!(again.header("etag"), expected.header("etag"));
    }
}

#[tokio::test]
async fn trailers_name_the_bytes_to_those_who_want_them() {
    let origin = Origin::start().await.unwrap();
    origin.set(
        "/a.mp3",
        Reply::ok("audio/mpeg", Body::of(fixture::audio("speech.mp3").unwrap())).length(Length::Chunked),
    );
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let path = fetch_path(&origin.url("/a.mp3"), "ulaw");
    let raw = node.raw(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\n\r\n")).await;
    let text = String::from_utf8_lossy(&raw);
    let tail = &text[text.rfind("\r\n0\r\n").unwrap()..];
    let etag = node.get(&path).await.header("etag").to_owned();
    assert!(tail.contains(&format!("etag: {etag}\r\n")), "{tail}");
    assert!(tail.contains("repr-digest: sha-256=:"), "{tail}");
}

#[tokio::test]
async fn every_input_family_comes_out() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let node = TestNode::start(&origin).await;
    let reference = node.get(&fetch_path(&origin.url("/speech.wav"), "sln")).await.body.len();
    for name in ["mp3", "flac", "ogg", "opus", "m4a"]
        .map(|extension| format!("speech.{extension}"))
        .iter()
        .chain([&"speech-moov-last.m4a".to_owned()])
    {
        let answer = node.get(&fetch_path(&origin.url(&format!("/{name}")), "sln")).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {answer:?}");
        // Trimmed as the container says: the same length to within a millisecond or two of padding.
        let difference = answer.body.len().abs_diff(reference);
        assert!(difference <= 32, "{name}: {} against {reference} bytes", answer.body.len());
        let raw = node.get(&fetch_path(&origin.url(&format!("/{name}")), "raw")).await;
        assert_eq!(raw.body, fixture::audio(name).unwrap(), "{name}");
        assert!(raw.header("content-type").starts_with("audio/"), "{name}");
    }
}
