//! `POST /v1/media/warm`: many sources in many formats, told as they finish.

use http::Method;
use ringback::testing::{
    fixture,
    origin::{Body, Gate, Origin, Reply},
};
use serde_json::{Value, json};

use crate::support::node::{Answer, TestNode};

async fn post(node: &TestNode, body: &Value) -> Answer {
    node.send(node.request(Method::POST, "/v1/media/warm").body(body.to_string())).await
}

/// The lines of an answer, by source and format.
fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/x-ndjson"));
    let mut lines: Vec<Value> =
        answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse).collect();
    lines.sort_by_key(|line| (line["source"].as_u64(), line["format"].as_str().map(str::to_owned)));
    lines
}

fn parse(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

fn statuses(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn every_source_in_every_format_is_made_and_told_once() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let node = TestNode::start(&origin).await;
    let source = |path: &str| json!({ "url": origin.url(path) });
    let body = json!({
        "sources": [source("/speech.wav"), source("/gone.wav"), source("/speech.mp3"), { "url": "ftp://a/b" }, "x"],
        "formats": ["opus", "ulaw"], "options": { "gain": -3 }, "tags": ["greeting"],
    });
    let told = lines(&post(&node, &body).await);
    assert_eq!(statuses(&told), [201, 201, 404, 404, 201, 201, 403, 403, 400, 400], "{told:#?}");
    assert_eq!((&told[0]["source"], &told[0]["format"]), (&0.into(), &"opus".into()));
    assert_eq!(told[2]["problem"]["type"], "urn:ringback:problem:source-missing");
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 1, "formats share the download");
    // It is what POST /v1/media would have said, and it is there.
    let one = json!({ "source": source("/speech.wav"), "format": "ulaw", "options": { "gain": -3 } });
    let alone = node.post(&one).await;
    assert_eq!(alone.status, 200);
    let alone: Value = serde_json::from_slice(&alone.body).unwrap();
    assert_eq!((&alone["id"], &alone["bytes"]), (&told[1]["media"]["id"], &told[1]["media"]["bytes"]));
    assert_eq!(node.get(told[1]["media"]["url"].as_str().unwrap()).await.status, 200);
    let described = node.get(&format!("/v1/media/{}", alone["id"].as_str().unwrap())).await;
    assert_eq!(parse(&described.body)["tags"], json!(["greeting"]));
    assert_eq!(statuses(&lines(&post(&node, &body).await))[..2], [200, 200]);
}

#[tokio::test]
async fn only_if_cached_makes_nothing() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let node = TestNode::start(&origin).await;
    let sources = ["/speech.wav", "/speech.mp3"].map(|path| json!({ "url": origin.url(path) }));
    node.post(&json!({ "source": sources[1], "format": "ulaw" })).await;
    let body = json!({ "sources": sources, "formats": ["alaw", "ulaw"], "only_if_cached": true });
    let told = lines(&post(&node, &body).await);
    assert_eq!(statuses(&told), [504, 504, 504, 200]);
    assert_eq!(told[0]["problem"]["type"], "urn:ringback:problem:not-cached");
    assert_eq!(origin.seen().len(), 1, "nothing was asked for");
}

#[tokio::test]
async fn items_are_told_as_they_finish() {
    let origin = Origin::start().await.unwrap();
    let (gate, wav) = (Gate::closed(), fixture::audio("speech.wav").unwrap());
    origin.set("/slow.wav", Reply::ok("audio/wav", Body::of(wav.clone())).hold_headers(&gate));
    origin.set("/fast.wav", Reply::ok("audio/wav", Body::of(wav)));
    let node = TestNode::start(&origin).await;
    let sources = ["/slow.wav", "/fast.wav"].map(|path| json!({ "url": origin.url(path) }));
    let body = json!({ "sources": sources, "formats": ["ulaw"] });
    let mut answer = node.request(Method::POST, "/v1/media/warm").body(body.to_string()).send().await.unwrap();
    let first = parse(answer.chunk().await.unwrap().unwrap().trim_ascii());
    assert_eq!((&first["source"], &first["status"]), (&1.into(), &201.into()));
    gate.open();
    let second = parse(answer.chunk().await.unwrap().unwrap().trim_ascii());
    assert_eq!((&second["source"], answer.chunk().await.unwrap()), (&0.into(), None));
}

#[tokio::test]
async fn no_more_is_made_at_once_than_is_asked_for() {
    let origin = Origin::start().await.unwrap();
    let (gate, wav) = (Gate::closed(), fixture::audio("speech.wav").unwrap());
    for number in 0..8 {
        origin.set(&format!("/{number}.wav"), Reply::ok("audio/wav", Body::of(wav.clone())).hold_headers(&gate));
    }
    let node = TestNode::start(&origin).await;
    let sources: Vec<Value> = (0..8).map(|number| json!({ "url": origin.url(&format!("/{number}.wav")) })).collect();
    let body = json!({ "sources": sources, "formats": ["ulaw", "alaw"], "concurrency": 4 });
    let looking = async {
        gate.arrived(2).await;
        assert_eq!(origin.seen().len(), 2, "two sources in two formats are four");
        gate.open();
    };
    let (answer, ()) = tokio::join!(post(&node, &body), looking);
    assert_eq!(statuses(&lines(&answer)), [201; 16]);
}

#[tokio::test]
async fn requests_are_bounded() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let source = json!({ "url": origin.url("/gone.wav") });
    let check = async |body: Value, slug: &str| {
        assert_eq!(post(&node, &body).await.slug(), slug, "{}", body.to_string().chars().take(200).collect::<String>());
    };
    let many =
        |sources: usize, formats: usize| json!({ "sources": vec![&source; sources], "formats": vec!["ulaw"; formats] });
    check(many(1025, 1), "over-limit").await;
    check(many(205, 5), "over-limit").await;
    check(json!({ "sources": [source], "formats": ["ulaw"], "concurrency": 0 }), "bad-request").await;
    check(json!({ "sources": [source], "formats": ["ulaw"], "concurrency": 65 }), "bad-request").await;
    check(json!({ "sources": [source], "formats": ["ulaw"], "tags": [""] }), "bad-request").await;
    check(json!({ "sources": source, "formats": ["ulaw"] }), "bad-request").await;
    check(json!({ "sources": [source], "formats": ["ulaw"], "more": 1 }), "bad-request").await;
    assert_eq!(lines(&post(&node, &many(1024, 1)).await).len(), 1024);
    assert_eq!(lines(&post(&node, &many(0, 1)).await), [] as [Value; 0]);
    assert_eq!(lines(&post(&node, &many(1, 0)).await), [] as [Value; 0]);
    assert_eq!(origin.seen().len(), 1, "one source is asked for once");
}
