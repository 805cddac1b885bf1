//! Everything that an origin can do wrong, and what a full node does. Each failure is told as what it is, leaves nothing
//! behind, is remembered for a while so that the origin is left alone, and touches nobody else.

mod capacity;

use std::time::Duration;

use http::{Method, StatusCode};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use ringback::{
    ids::ContentHash,
    media::{PIPELINE, format},
    testing::{
        fixture,
        origin::{Body, Gate, Length, Origin, Reply},
    },
    units::ByteCount,
};
use sha2::{Digest as _, Sha256};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::support::node::{Answer, TestNode, fetch_path};

/// Stands in the query of every source here and in no answer.
const SECRET: &str = "hunter2";

/// Longer than a failure is remembered by default.
const NEGATIVE_OVER: Duration = Duration::from_secs(11);

/// The format whose headers wait for the whole audio, and one that streams.
const HELD: &str = "wav";
const STREAMED: &str = "ulaw";

/// Short enough for a test and long enough for a busy machine to answer in.
const SHORT: Duration = Duration::from_millis(400);

fn speech() -> Reply {
    Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())).header("cache-control", "max-age=3600")
}

fn music() -> Vec<u8> {
    fixture::music_frames().unwrap().to_vec()
}

/// A WAV file whose header says what it is told to.
fn wav(rate: u32, channels: u16, bits: u16, declared: u32, data: &[u8]) -> Vec<u8> {
    let block = channels.max(1) * bits / 8;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend(declared.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(block)).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(declared.to_le_bytes());
    file.extend(data);
    file
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(6);
    std::iter::repeat_with(|| rng.random()).take(count).collect()
}

fn path_of(name: &str) -> String {
    format!("/{name}.mp3?token={SECRET}")
}

/// The address that `content` would have in a format, if it were audio.
fn would_be(content: &[u8], extension: &str) -> String {
    let hash = ContentHash::from_bytes(Sha256::digest(content).into());
    let format = format::Format::parse(extension, &[]).unwrap();
    format.artifact_id(&hash, None, PIPELINE).to_string()
}

/// How a source breaks and how that is told.
struct Broken {
    name: &'static str,
    extension: &'static str,
    reply: Reply,
    status: u16,
    slug: &'static str,
}

fn broken(name: &'static str, extension: &'static str, reply: Reply, status: u16, slug: &'static str) -> Broken {
    Broken { name, extension, reply, status, slug }
}

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, slug: &str, what: &str) {
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (status, slug), "{what}: {text}");
    assert!(!text.contains(SECRET) && !text.contains("token"), "{what}: {text}");
    assert_eq!(answer.header("content-location"), "", "{what}");
    assert_eq!(answer.header("etag"), "", "{what}");
    if matches!(slug, "busy" | "fill-running") {
        assert_ne!(retry_after(answer), 0, "{what}: {answer:?}");
    }
}

fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap_or_default()
}

impl Broken {
    /// The whole life of a failure that shows before the headers.
    async fn check(&self, origin: &Origin, node: &TestNode) {
        let Broken { name, extension, reply, status, slug } = self;
        let path = path_of(name);
        origin.set(&path, reply.clone());
        let fetch = fetch_path(&origin.url(&path), extension);
        assert_problem(&node.get(&fetch).await, *status, slug, name);
        self.check_remembered(origin, node, &fetch).await;

        // Through the other door, from the start.
        let posted = path_of(&format!("posted-{name}"));
        origin.set(&posted, reply.clone());
        let body = serde_json::json!({ "source": { "url": origin.url(&posted) }, "format": extension });
        assert_problem(&node.post(&body).await, *status, slug, name);
        assert_problem(&node.post(&body).await, *status, slug, name);
        assert_eq!(origin.count(&Method::GET, &posted), 1, "{name}");
    }

    /// The next requests get the problem from memory, and there is nothing under any address.
    async fn check_remembered(&self, origin: &Origin, node: &TestNode, fetch: &str) {
        let Broken { name, status, slug, .. } = self;
        let asked = origin.count(&Method::GET, &path_of(name));
        assert_eq!(asked, 1, "{name}");
        let again = node.get(fetch).await;
        assert_problem(&again, *status, slug, name);
        assert!((1..=10).contains(&retry_after(&again)), "{name}: {again:?}");
        let head = node.send(node.request(Method::HEAD, fetch)).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (*status, 0), "{name}");
        assert_eq!(head.header("content-type"), "application/problem+json", "{name}");
        let cached = node.get_with(fetch, "cache-control", "only-if-cached").await;
        assert_problem(&cached, 504, "not-cached", name);
        assert_eq!(origin.count(&Method::GET, &path_of(name)), asked, "{name}");
    }
}

/// The source has recovered and its failure is no longer remembered: it plays, whole.
async fn check_recovered(origin: &Origin, node: &TestNode, name: &str, extension: &str) {
    let second = wav(8_000, 1, 8, 8_000, &[0x80; 8_000]);
    origin.set(&path_of(name), Reply::ok("audio/wav", Body::of(second)).header("cache-control", "max-age=3600"));
    let fetch = fetch_path(&origin.url(&path_of(name)), extension);
    let expected = node.get_with(&fetch, "prefer", "wait").await;
    assert_eq!(expected.status, StatusCode::OK, "{name}: {expected:?}");
    assert!(expected.header("cache-status").starts_with("ringback; fwd=miss; stored"), "{name}: {expected:?}");
    let hit = node.get(&fetch).await;
    assert!(hit.header("cache-status").starts_with("ringback; hit"), "{name}: {hit:?}");
    assert_eq!(hit.body, expected.body, "{name}");
}

/// A source that was never asked for is served.
async fn check_serving(origin: &Origin, node: &TestNode) {
    origin.set("/healthy.wav", speech());
    let answer = node.get_with(&fetch_path(&origin.url("/healthy.wav"), HELD), "prefer", "wait").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// Nothing stands open, and others are served.
async fn check_serving_on(origin: &Origin, node: &TestNode) {
    node.settled().await;
    check_serving(origin, node).await;
    node.settled().await;
}

async fn check_all(origin: &Origin, node: &TestNode, cases: &[Broken]) {
    futures_util::future::join_all(cases.iter().map(|case| case.check(origin, node))).await;
    node.settled().await;
    node.node.clock.advance_wall(NEGATIVE_OVER);
    for case in cases {
        check_recovered(origin, node, case.name, case.extension).await;
    }
    check_serving_on(origin, node).await;
}

#[tokio::test]
async fn answers_that_are_no_source_are_told_as_what_they_are() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let status = |status| Reply::status(status, "text/html", Body::of("<html><h1>sorry</h1></html>"));
    let cases = [
        broken("missing", STREAMED, status(404), 404, "source-missing"),
        broken("gone", STREAMED, status(410), 404, "source-missing"),
        broken("failing", STREAMED, status(500), 502, "origin-failed"),
        broken("unavailable", STREAMED, status(503).header("retry-after", "5"), 502, "origin-failed"),
        broken("unauthorized", STREAMED, status(401), 502, "origin-failed"),
        broken(
            "partial",
            STREAMED,
            Reply::status(206, "audio/wav", Body::of(wav(8000, 1, 8, 9, b"123456789"))),
            502,
            "origin-failed",
        ),
        broken("empty-status", STREAMED, Reply::status(204, "audio/wav", Body::of("")), 502, "origin-failed"),
        broken("dropped", STREAMED, Reply::dropped(), 502, "origin-failed"),
        broken("compressed", STREAMED, speech().header("content-encoding", "gzip"), 502, "origin-failed"),
        broken("circle", STREAMED, Reply::redirect(&path_of("circle")), 502, "origin-failed"),
        broken("nowhere", STREAMED, Reply::status(302, "text/plain", Body::of("")), 502, "origin-failed"),
        broken("huge", STREAMED, speech().length(Length::Claimed(600 << 20)), 413, "over-limit"),
    ];
    // A circle asks more than once for the same path; it has its own count.
    let (circle, others): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.name == "circle");
    check_all(&origin, &node, &others).await;
    origin.set(&path_of("circle"), circle[0].reply.clone());
    let answer = node.get(&fetch_path(&origin.url(&path_of("circle")), STREAMED)).await;
    assert_problem(&answer, 502, "origin-failed", "circle");
    assert_eq!(origin.count(&Method::GET, &path_of("circle")), 6);
}

#[tokio::test]
async fn what_is_no_audio_is_not_taken_for_it() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let audio = |bytes: Vec<u8>| Reply::ok("audio/mpeg", Body::of(bytes));
    let page = b"<!DOCTYPE html><title>Log in</title>".repeat(50);
    let samples = vec![0x80; 4_000];
    let contents = [
        ("page", page, 415, "not-audio"),
        ("json", br#"{"error":"no such prompt"}"#.to_vec(), 415, "not-audio"),
        ("text", b"Too many requests, please come back later.".to_vec(), 415, "not-audio"),
        ("ten-bytes", b"0123456789".to_vec(), 415, "not-audio"),
        ("empty", Vec::new(), 415, "not-audio"),
        ("zeros", vec![0; 100_000], 415, "not-audio"),
        ("random", random_bytes(1 << 20), 415, "not-audio"),
        ("only-a-tag", b"ID3\x04\x00\x00\x00\x00\x0f\x7fxxxx".to_vec(), 415, "not-audio"),
        ("only-riff", b"RIFF\x24\x00\x00\x00WAVE".to_vec(), 422, "undecodable"),
        ("rate-0", wav(0, 1, 8, 4_000, &samples), 422, "undecodable"),
        ("channels-0", wav(8_000, 0, 8, 4_000, &samples), 422, "undecodable"),
        ("channels-255", wav(8_000, 255, 8, 4_080, &samples), 413, "over-limit"),
        ("rate-millions", wav(4_000_000, 1, 8, 4_000, &samples), 413, "over-limit"),
        // 12 days by its header; nobody waits for them.
        ("days", wav(4_000, 1, 8, 0xfff0_0000, &samples), 413, "over-limit"),
    ];
    let mut cases = Vec::new();
    for (name, content, status, slug) in &contents {
        cases.push(broken(name, STREAMED, audio(content.clone()), *status, slug));
    }
    check_all(&origin, &node, &cases).await;
    for (name, content, ..) in &contents {
        let artifact = would_be(content, STREAMED);
        assert_problem(&node.get(&format!("/v1/media/{artifact}")).await, 404, "not-found", name);
        assert_problem(&node.get(&format!("/media/{artifact}.{STREAMED}")).await, 404, "not-found", name);
    }
}

#[tokio::test]
async fn a_source_that_breaks_off_is_told_by_whoever_waits_for_the_whole() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let mut cases = Vec::new();
    let mut contents = Vec::new();
    for name in
        ["speech.mp3", "speech.wav", "speech.flac", "speech.ogg", "speech.opus", "speech.m4a", "speech-moov-last.m4a"]
    {
        let whole = fixture::audio(name).unwrap();
        let cut = whole.len() as u64 * 3 / 4;
        let body = Body::of(whole.clone());
        let replies = [
            ("cut-in-chunks", Reply::ok("audio/mpeg", body.clone()).length(Length::Chunked).cut_after(cut)),
            ("cut-of-length", Reply::ok("audio/mpeg", body.clone()).cut_after(cut)),
            (
                "shorter-than-said",
                Reply::ok("audio/mpeg", body.clone()).length(Length::Claimed(whole.len() as u64 + 1)),
            ),
        ];
        // How HTTP tells it is the same for every family; how a family's decoder meets the end is not.
        let kinds = if matches!(name, "speech.mp3" | "speech.wav") { replies.len() } else { 1 };
        for (kind, reply) in replies.into_iter().take(kinds) {
            let name: &'static str = format!("{kind}-{name}").leak();
            cases.push(broken(name, HELD, reply, 502, "origin-failed"));
        }
        contents.extend([whole.to_vec(), whole[..cut as usize].to_vec()]);
    }
    for case in &cases {
        case.check(&origin, &node).await;
    }
    for content in &contents {
        for extension in [HELD, "raw"] {
            let artifact = would_be(content, extension);
            assert_problem(&node.get(&format!("/v1/media/{artifact}")).await, 404, "not-found", "cut");
        }
    }
    check_serving_on(&origin, &node).await;
}

#[tokio::test]
async fn an_origin_that_is_too_slow_is_given_up() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        config.outbound.header_timeout = SHORT;
        config.outbound.idle_timeout = SHORT;
        config.outbound.total_timeout = SHORT * 2;
    })
    .await;
    let never = Gate::closed();
    let cases = [
        broken("silent", STREAMED, speech().hold_headers(&never), 504, "origin-timeout"),
        broken("stalled", HELD, speech().hold_after(50_000, &never), 504, "origin-timeout"),
        broken("stalled-at-once", STREAMED, speech().hold_after(20, &never), 504, "origin-timeout"),
        broken("dripping", HELD, speech().rate(1), 504, "origin-timeout"),
        broken("slow", HELD, speech().rate(5_000), 504, "origin-timeout"),
        broken("endless", HELD, Reply::ok("audio/mpeg", Body::endless(music())).rate(100_000), 504, "origin-timeout"),
    ];
    check_all(&origin, &node, &cases).await;
}

#[tokio::test]
async fn what_is_over_a_limit_is_told_as_that() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        config.media.origin.source_max = ByteCount::kib(300);
        config.media.audio.decoded_max = Duration::from_secs(10);
    })
    .await;
    let eleven_seconds = vec![0x80; 44_000];
    let reply = |bytes: Vec<u8>| Reply::ok("audio/wav", Body::of(bytes)).length(Length::Chunked);
    let cases = [
        broken("endless", HELD, Reply::ok("audio/mpeg", Body::endless(music())), 413, "over-limit"),
        broken("endless-original", "raw", Reply::ok("audio/mpeg", Body::endless(music())), 413, "over-limit"),
        broken("too-long-as-declared", STREAMED, speech().length(Length::Claimed((300 << 10) + 1)), 413, "over-limit"),
        // Streamed and without a grace: only before its first byte it can still be told.
        broken(
            "plays-too-long-by-its-header",
            STREAMED,
            reply(wav(4_000, 1, 8, 44_000, &eleven_seconds)),
            413,
            "over-limit",
        ),
        broken("plays-too-long", HELD, reply(wav(4_000, 1, 8, u32::MAX, &eleven_seconds)), 413, "over-limit"),
    ];
    check_all(&origin, &node, &cases).await;
}

#[tokio::test]
async fn nonsense_and_nobody_are_failures_of_the_origin() {
    let garbage = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = garbage.local_addr().unwrap();
    let talker = tokio::spawn(async move {
        let texts = [b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'a'; 4 << 20]];
        let mut texts = texts.into_iter().cycle();
        while let (Ok((mut stream, _)), Some(text)) = (garbage.accept().await, texts.next()) {
            stream.write_all(&text).await.ok();
        }
    });
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let origin = Origin::start().await.unwrap();
    let node =
        TestNode::start_with(&origin, |config| config.outbound.allow_origins = vec!["127.0.0.1".to_owned()]).await;
    for (index, address) in [address, address, address, nobody].into_iter().enumerate() {
        let source = format!("http://{address}/{index}.wav?token={SECRET}");
        for _ in 0..2 {
            let answer = node.get(&fetch_path(&source, STREAMED)).await;
            assert_problem(&answer, 502, "origin-failed", &source);
        }
    }
    check_serving_on(&origin, &node).await;
    talker.abort();
}

/// How much of a source comes before it breaks, where it breaks late: enough for the headers and some audio.
const BEFORE: u64 = 32 << 10;

/// A node that streams as soon as it can.
async fn streaming_node(origin: &Origin, idle_timeout: Duration) -> TestNode {
    TestNode::start_with(origin, |config| {
        config.media.fill.grace = Duration::ZERO;
        config.media.fill.grace_source_max = ByteCount::kib(1);
        config.media.origin.source_max = ByteCount::kib(300);
        config.media.audio.decoded_max = Duration::from_secs(30);
        config.outbound.idle_timeout = idle_timeout;
    })
    .await
}

/// The whole life of failures that show after the headers, at an opening of `gate`: a streamed answer is cut off, and the next
/// one is told why.
async fn check_late(origin: &Origin, node: &TestNode, cases: &[Broken], gate: &Gate) {
    let running = cases.iter().map(async |case| {
        origin.set(&path_of(case.name), case.reply.clone());
        let fetch = fetch_path(&origin.url(&path_of(case.name)), case.extension);
        let mut answer = node.request(Method::GET, &fetch).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", case.name);
        assert!(!answer.headers().contains_key("content-length"), "{}", case.name);
        assert_ne!(answer.chunk().await.unwrap().unwrap().len(), 0, "{}", case.name);
        (case, fetch, answer)
    });
    let running = futures_util::future::join_all(running).await;
    gate.open();
    for (case, fetch, mut answer) in running {
        let ended = loop {
            match answer.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert!(ended.is_err(), "{}: a part was passed off as the whole", case.name);
        case.check_remembered(origin, node, &fetch).await;
    }
    node.settled().await;
    node.node.clock.advance_wall(NEGATIVE_OVER);
    for case in cases {
        check_recovered(origin, node, case.name, case.extension).await;
    }
    check_serving_on(origin, node).await;
}

#[tokio::test]
async fn a_source_that_breaks_late_aborts_the_connection_and_is_then_told() {
    let origin = Origin::start().await.unwrap();
    let node = streaming_node(&origin, Duration::from_secs(10)).await;
    let gate = Gate::closed();
    let song = |reply: fn(Reply) -> Reply| {
        let whole = Reply::ok("audio/mpeg", Body::repeat(music(), 100 << 10));
        reply(whole).hold_after(BEFORE, &gate)
    };
    let file = fixture::audio("speech.wav").unwrap();
    let wave = |reply: Reply| reply.hold_after(BEFORE, &gate);
    let whole = || Reply::ok("audio/wav", Body::of(file.clone()));
    let minute = Reply::ok("audio/wav", Body::of(wav(4_000, 1, 8, u32::MAX, &vec![0x80; 240_000])));
    let endless = Reply::ok("audio/mpeg", Body::endless(music())).hold_after(BEFORE, &gate);
    let failed = |name, extension, reply| broken(name, extension, reply, 502, "origin-failed");
    let cases = [
        failed("chunked", STREAMED, song(|song| song.length(Length::Chunked).cut_after(BEFORE * 2))),
        failed("chunked-cut-at-once", STREAMED, song(|song| song.length(Length::Chunked).cut_after(BEFORE + 1))),
        failed("of-length", STREAMED, song(|song| song.cut_after(BEFORE * 2))),
        failed("less-than-said", STREAMED, song(|song| song.length(Length::Claimed(101 << 10)))),
        failed("opus", "opus", song(|song| song.length(Length::Chunked).cut_after(BEFORE * 2))),
        failed("less-wave-than-said", STREAMED, wave(whole().length(Length::Claimed(file.len() as u64 + 1)))),
        failed("wave-cut", "sln16", wave(whole().cut_after(BEFORE + 3))),
        broken("endless", STREAMED, endless, 413, "over-limit"),
        broken("plays-too-long", STREAMED, wave(minute), 413, "over-limit"),
    ];
    check_late(&origin, &node, &cases, &gate).await;
}

#[tokio::test]
async fn a_source_that_stalls_late_aborts_the_connection_and_is_then_told() {
    let origin = Origin::start().await.unwrap();
    let node = streaming_node(&origin, SHORT).await;
    let (unused, never) = (Gate::closed(), Gate::closed());
    let song = Reply::ok("audio/mpeg", Body::repeat(music(), 100 << 10));
    let cases = [broken("stalling", STREAMED, song.hold_after(BEFORE, &never), 504, "origin-timeout")];
    check_late(&origin, &node, &cases, &unused).await;
}

#[tokio::test]
async fn a_failure_takes_nothing_from_those_who_are_served_from_the_cache() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let path = path_of("prompt");
    origin.set(&path, speech());
    let fetch = fetch_path(&origin.url(&path), STREAMED);
    let heard = node.get(&fetch).await;
    origin.set(&path, Reply::status(500, "text/plain", Body::of("down")));
    // One caller insists on asking the origin and is told; the audio of all others is as fresh as before.
    assert_problem(&node.get_with(&fetch, "cache-control", "no-cache").await, 502, "origin-failed", "insisting");
    let hit = node.get(&fetch).await;
    assert!(hit.header("cache-status").starts_with("ringback; hit"), "{hit:?}");
    assert_eq!(hit.body, heard.body);
    // A format that has to be made is made from the original that was kept.
    let other = node.get(&fetch_path(&origin.url(&path), HELD)).await;
    assert_eq!(other.header("cache-status"), "ringback; fwd=miss; stored; detail=kept", "{other:?}");
    assert_eq!(origin.count(&Method::GET, &path), 2);
}

#[tokio::test]
async fn callers_who_hang_up_leave_nothing_and_are_no_failure() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let never = Gate::closed();
    for (index, reply) in [speech().hold_headers(&never), speech().hold_after(20, &never)].into_iter().enumerate() {
        let path = path_of(&format!("prompt-{index}"));
        origin.set(&path, reply);
        let fetch = fetch_path(&origin.url(&path), STREAMED);
        let request = node.request(Method::GET, &fetch).send();
        tokio::select! {
            answer = request => panic!("{answer:?}"),
            () = never.arrived(index + 1) => {}
        }
        node.settled().await;
        check_recovered(&origin, &node, &format!("prompt-{index}"), STREAMED).await;
        assert_eq!(origin.count(&Method::GET, &path), 2);
    }
}

#[tokio::test]
async fn a_body_that_is_refused_is_not_quoted() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let url = format!("http://user:{SECRET}@example.com/a.wav?token={SECRET}");
    let bodies = [
        serde_json::json!({ "source": url, "format": "ulaw" }),
        serde_json::json!({ "source": { url.clone(): 1 }, "format": "ulaw" }),
        serde_json::json!({ "source": { "url": "http://example.com/a.wav" }, "format": "ulaw", "wait": url }),
        serde_json::json!(url),
    ];
    for body in bodies {
        assert_problem(&node.post(&body).await, 400, "bad-request", &body.to_string());
    }
    // Understood, and refused.
    let body = serde_json::json!({ "source": { "url": url }, "format": "ulaw" });
    assert_problem(&node.post(&body).await, 403, "source-forbidden", &body.to_string());
}

#[tokio::test]
async fn a_fill_without_a_waiter_tells_how_it_failed() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let body =
        serde_json::json!({ "source": { "url": origin.url(&path_of("missing")) }, "format": HELD, "wait": false });
    let accepted = node.post(&body).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    let state = loop {
        let answer = node.get(accepted.header("location")).await;
        let state: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        if state["status"] != "running" {
            break state;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(state["status"], "failed", "{state}");
    assert_eq!(state["problem"]["type"], "urn:ringback:problem:source-missing", "{state}");
    assert!(!state.to_string().contains(SECRET), "{state}");
    node.settled().await;
}
