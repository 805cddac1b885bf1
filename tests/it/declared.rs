//! Bodies without a container through a node: what declares them, what wins over that, and under which names they are kept.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::{
    media::{
        PIPELINE,
        format::{Format, Headerless},
    },
    testing::{
        fixture,
        origin::{Body, Gate, Origin, Reply},
    },
    units::ByteCount,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{
    audio,
    node::{Answer, TestNode, fetch_path, fetch_path_with},
    process::{self, Process},
};

/// Bytes that are samples in every coding and the start of no container.
fn samples() -> Vec<u8> {
    (0..9_000_u32).map(|n| (n * n % 239) as u8).collect()
}

fn reply(content_type: &str) -> Reply {
    Reply::ok(content_type, Body::of(samples())).header("cache-control", "max-age=60")
}

/// The audio of a body, as `<input>` names what it is.
fn expected(body: &[u8], input: &str, extension: &str) -> Vec<u8> {
    let declared = Headerless::from_normal_form(input);
    audio::transcode_declared(body, declared, Format::parse(extension, &[]).unwrap()).unwrap().1
}

/// The persistent address, computed from nothing but its definition.
fn address(body: &[u8], input: &str, format: &str, extension: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let recipe = format!("ringback1\n{}\n{input}\n{format}\n{PIPELINE}", hex(&Sha256::digest(body)));
    format!("/media/{}.{extension}", hex(&Sha256::digest(recipe)))
}

/// Checks an answer in μ-law against what an original is taken for.
fn check(answer: &Answer, body: &[u8], input: &str, what: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{what}: {answer:?}");
    assert_eq!(answer.header("content-location"), address(body, input, "ulaw;none;8000", "ulaw"), "{what}");
    assert!(answer.body == expected(body, input, "ulaw"), "{what}");
}

fn refused(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.slug().as_str()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-audio"), "{what}");
}

#[tokio::test]
async fn types_and_extensions_declare_and_addresses_say_so() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let sources = [
        ("/a", "audio/PCMU", "ulaw;8000"),
        ("/b", "audio/basic", "ulaw;8000"),
        ("/c", "audio/x-alaw-basic", "alaw;8000"),
        ("/d", "audio/L16;rate=16000;channels=2", "l16;16000;2"),
        ("/e", "audio/L16;rate=16000;endianness=big-endian", "l16be;16000;1"),
        ("/f", "audio/G722", "g722;16000"),
        ("/a.ulaw", "application/octet-stream", "ulaw;8000"),
        ("/b.sln16", "binary/octet-stream", "l16;16000;1"),
        ("/c.G722?token=1", "", "g722;16000"),
        ("/d.al", "", "alaw;8000"),
        // The type outdoes the extension.
        ("/e.ulaw", "audio/PCMA", "alaw;8000"),
    ];
    for (path, content_type, input) in sources {
        let served = if content_type.is_empty() { reply("a/b").without("content-type") } else { reply(content_type) };
        origin.set(path, served);
        let what = format!("{path} as {content_type:?}");
        let fetch = fetch_path(&origin.url(path), "ulaw");
        let cold = node.get(&fetch).await;
        check(&cold, &samples(), input, &what);
        check(&node.get(&fetch).await, &samples(), input, &what);
        let by_address = node.get(cold.header("content-location")).await;
        assert!(by_address.body == cold.body, "{what}");

        // Another format comes of the original that is kept, and means the same by it.
        let wav = node.get(&fetch_path(&origin.url(path), "wav")).await;
        assert_eq!(wav.header("content-location"), address(&samples(), input, "pcm16;wav;8000", "wav"), "{what}");
        assert!(wav.body == expected(&samples(), input, "wav"), "{what}");
        let raw = node.get(&fetch_path(&origin.url(path), "raw")).await;
        let declared = Headerless::from_normal_form(input).unwrap();
        assert_eq!(raw.header("content-type"), declared.content_type(), "{what}");
        assert!(raw.body == samples(), "{what}");
        let id = cold.header("content-location").trim_start_matches("/media/").trim_end_matches(".ulaw");
        let about = node.get(&format!("/v1/media/{id}")).await;
        let about: Value = serde_json::from_slice(&about.body).unwrap();
        assert_eq!(about["input"], input, "{about}");
    }
    assert_eq!(origin.seen().len(), sources.len(), "each was fetched once");
}

#[tokio::test]
async fn what_one_node_serves_another_reads() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    for (extension, input) in
        [("ulaw", "ulaw;8000"), ("PCMA", "alaw;8000"), ("r24", "l16;24000;1"), ("g722", "g722;16000")]
    {
        let (_, body) =
            audio::transcode(&fixture::audio("speech.wav").unwrap(), Format::parse(extension, &[]).unwrap()).unwrap();
        let content_type = Format::parse(extension, &[]).unwrap().content_type(extension).unwrap();
        origin.set("/media/0", Reply::ok(&content_type, Body::of(body.clone())).header("cache-control", "no-cache"));
        check(&node.get(&fetch_path(&origin.url("/media/0"), "ulaw")).await, &body, input, extension);
    }
}

#[tokio::test]
async fn containers_win_and_pages_are_not_audio() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    for name in ["speech.wav", "speech.mp3", "speech.ogg"] {
        let body = fixture::audio(name).unwrap();
        for (path, content_type) in
            [("/a.ulaw", "application/octet-stream"), ("/b", "audio/PCMA"), ("/c.g722", "text/html")]
        {
            let path = format!("/{name}{path}");
            origin.set(&path, Reply::ok(content_type, Body::of(body.clone())));
            for options in ["-", "input:ulaw", "input:l16:16000"] {
                let answer = node.get(&fetch_path_with(&origin.url(&path), options, "ulaw")).await;
                check(&answer, &body, "sniffed", &format!("{path} {options}"));
            }
        }
    }
    let page = "<!doctype html><title>Not here</title><p>No such prompt.";
    for (path, content_type) in
        [("/x.ulaw", "text/html"), ("/y.ulaw", "application/octet-stream"), ("/z", "audio/PCMU")]
    {
        origin.set(path, Reply::ok(content_type, Body::of(page)));
        for options in ["-", "input:alaw"] {
            refused(&node.get(&fetch_path_with(&origin.url(path), options, "wav")).await, path);
        }
    }
    for (path, reply) in [
        ("/text.ulaw", reply("text/plain")),
        ("/other.ulaw", reply("audio/mpeg")),
        ("/unknown.bin", reply("application/octet-stream")),
        ("/none", reply("a/b").without("content-type")),
        ("/rate", reply("audio/L16")),
        ("/empty.ulaw", Reply::ok("audio/PCMU", Body::of(""))),
    ] {
        origin.set(path, reply);
        refused(&node.get(&fetch_path(&origin.url(path), "ulaw")).await, path);
    }
}

#[tokio::test]
async fn the_option_says_what_the_origin_does_not() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    for (path, content_type) in [("/a", "text/plain"), ("/b.ulaw", "audio/PCMU")] {
        origin.set(path, reply(content_type));
        let get = async |options: &str| node.get(&fetch_path_with(&origin.url(path), options, "ulaw")).await;
        let plain = get("-").await;
        // A failure without the option stands in nobody's way who has it.
        for (option, input) in
            [("input:alaw", "alaw;8000"), ("input:sln16", "l16;16000;1"), ("input:l16:16000", "l16;16000;1")]
        {
            check(&get(option).await, &samples(), input, option);
            let again = get(&format!("gain:0,{option}")).await;
            assert!(again.header("cache-status").contains("hit"), "{option}: {again:?}");
            check(&again, &samples(), input, option);
        }
        let body = json!({ "source": { "url": origin.url(path) }, "format": "ulaw", "options": { "input": "alaw" } });
        let made: Value = serde_json::from_slice(&node.post(&body).await.body).unwrap();
        assert_eq!(made["url"], address(&samples(), "alaw;8000", "ulaw;none;8000", "ulaw"), "{made}");
        assert_eq!(made["cache"], "hit");
        // And what was declared by others is nothing to who declares nothing.
        let after = get("-").await;
        assert_eq!(after.status, plain.status, "{path}: {after:?}");
        if path == "/b.ulaw" {
            check(&after, &samples(), "ulaw;8000", path);
        } else {
            refused(&after, path);
        }
    }
    for options in ["input:mp3", "input:l16", "input:ulaw,input:ulaw"] {
        let wrong = node.get(&fetch_path_with(&origin.url("/a"), options, "ulaw")).await;
        assert_eq!((wrong.status, wrong.slug().as_str()), (StatusCode::BAD_REQUEST, "bad-request"), "{options}");
    }
}

#[tokio::test]
async fn callers_who_declare_different_things_share_one_fetch() {
    let (origin, gate) = (Origin::start().await.unwrap(), Gate::closed());
    let node = TestNode::start(&origin).await;
    origin.set("/a", reply("audio/PCMU").hold_headers(&gate));
    let get = async |options: &str| node.get(&fetch_path_with(&origin.url("/a"), options, "ulaw")).await;
    let opened = async {
        while origin.count(&Method::GET, "/a") == 0 {
            tokio::task::yield_now().await;
        }
        gate.open();
    };
    let (ulaw, alaw, linear, ()) = tokio::join!(get("-"), get("input:alaw"), get("input:sln"), opened);
    check(&ulaw, &samples(), "ulaw;8000", "by type");
    check(&alaw, &samples(), "alaw;8000", "A-law");
    check(&linear, &samples(), "l16;8000;1", "linear");
    assert_eq!(origin.count(&Method::GET, "/a"), 1);
}

#[tokio::test]
async fn declared_bodies_outlive_restart_and_eviction() {
    let origin = Origin::start().await.unwrap();
    let sources =
        [("/a.ulaw", "application/octet-stream", "-", "ulaw;8000"), ("/b", "text/plain", "input:sln16", "l16;16000;1")];
    for keeps_bytes in [true, false] {
        let node = TestNode::start_with(&origin, |config| {
            if !keeps_bytes {
                config.media.cache.disk = ByteCount::bytes(0);
            }
        })
        .await;
        for (path, content_type, options, input) in sources {
            origin.set(path, reply(content_type));
            check(&node.get(&fetch_path_with(&origin.url(path), options, "ulaw")).await, &samples(), input, path);
        }
        let asked = origin.seen().len();
        let node = node.restart(&origin).await;
        for (path, _, options, input) in sources {
            let by_address = node.get(&address(&samples(), input, "ulaw;none;8000", "ulaw")).await;
            assert_eq!(by_address.status, StatusCode::OK, "{path}: {by_address:?}");
            assert!(by_address.body == expected(&samples(), input, "ulaw"), "{path}");
            check(&node.get(&fetch_path_with(&origin.url(path), options, "ulaw")).await, &samples(), input, path);
        }
        assert_eq!(origin.seen().len() == asked, keeps_bytes);
    }
}

#[tokio::test]
async fn a_type_that_changes_is_another_artifact() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let changed = [
        ("the same bytes again", reply("audio/PCMA")),
        ("not modified", Reply::status(304, "audio/PCMA", Body::of("")).header("cache-control", "max-age=60")),
    ];
    for (index, (what, second)) in changed.into_iter().enumerate() {
        let path = format!("/{index}");
        origin.set_sequence(&path, [reply("audio/PCMU").etag("\"1\""), second, reply("audio/PCMA")]);
        let fetch = fetch_path(&origin.url(&path), "ulaw");
        check(&node.get(&fetch).await, &samples(), "ulaw;8000", what);
        node.node.clock.advance_wall(Duration::from_secs(61));
        let after = node.get(&fetch).await;
        check(&after, &samples(), "alaw;8000", what);
        check(&node.get(&fetch).await, &samples(), "alaw;8000", what);
        // What was made before is still what its address says.
        let before = node.get(&address(&samples(), "ulaw;8000", "ulaw;none;8000", "ulaw")).await;
        assert!(before.body == expected(&samples(), "ulaw;8000", "ulaw"), "{what}");
    }
    // A type that is silent in a 304 is the one of before.
    origin.set("/silent", reply("audio/PCMU").etag("\"1\""));
    let fetch = fetch_path(&origin.url("/silent"), "alaw");
    let first = node.get(&fetch).await;
    node.node.clock.advance_wall(Duration::from_secs(61));
    let again = node.get(&fetch).await;
    assert!(again.header("cache-status").contains("fwd-status=304"), "{again:?}");
    assert_eq!(again.header("content-location"), first.header("content-location"));
    assert_eq!(again.header("last-modified"), first.header("last-modified"));
}

#[tokio::test]
async fn a_declared_body_sounds_while_it_comes() {
    let (origin, gate) = (Origin::start().await.unwrap(), Gate::closed());
    let node = TestNode::start_with(&origin, |config| config.media.fill.grace = Duration::ZERO).await;
    let body = samples().repeat(8);
    origin.set("/a.ulaw", Reply::ok("audio/PCMU", Body::of(body.clone())).hold_after(32 << 10, &gate));
    for extension in ["ulaw", "g722", "sln16"] {
        let path = fetch_path(&origin.url("/a.ulaw"), extension);
        let mut response = node.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{extension}");
        assert!(!response.chunk().await.unwrap().unwrap().is_empty(), "{extension}");
    }
    gate.open();
    for extension in ["ulaw", "g722", "sln16"] {
        let answer = node.get(&fetch_path(&origin.url("/a.ulaw"), extension)).await;
        assert!(answer.body == expected(&body, "ulaw;8000", extension), "{extension}: {answer:?}");
    }
}

#[tokio::test]
async fn the_command_line_reads_what_the_node_reads() {
    let origin = Origin::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let node = Process::start(directory.path(), &origin);
    let served = async |path: &str, options: &str| {
        let url = node.url(&fetch_path_with(&origin.url(path), options, "wav"));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().bytes().await.unwrap()
    };
    ringback::outbound::install_crypto_provider();
    let transcode = |name: &str, more: &[&str]| {
        let (original, out) = (directory.path().join(name), directory.path().join("out.wav"));
        std::fs::write(&original, samples()).unwrap();
        let line = ["transcode", "--json", original.to_str().unwrap(), out.to_str().unwrap()];
        (process::run(&[&line[..], more].concat()), out)
    };
    for (name, more, options, input) in [
        ("a.ulaw", &[][..], "-", "ulaw;8000"),
        ("a.sln16", &[], "-", "l16;16000;1"),
        ("a.ulaw", &["--input", "g722"], "input:g722", "g722;16000"),
        ("a.bin", &["--option", "input:l16:22050:2"], "input:l16:22050:2", "l16;22050;2"),
    ] {
        origin.set(&format!("/{name}"), reply("application/octet-stream"));
        let (made, out) = transcode(name, more);
        assert!(made.status.success(), "{made:?}");
        let report: Value = serde_json::from_slice(&made.stdout).unwrap();
        assert_eq!(report["input"], input, "{report}");
        let id = report["id"].as_str().unwrap();
        assert_eq!(address(&samples(), input, "pcm16;wav;8000", "wav"), format!("/media/{id}.wav"));
        assert!(std::fs::read(out).unwrap() == served(&format!("/{name}"), options).await, "{name} {more:?}");
    }
    for (name, more, status) in [
        ("a.bin", &[][..], 1),
        ("a.bin", &["--input", "mp3"], 64),
        ("a.bin", &["--input", "ulaw", "--option", "input:ulaw"], 64),
    ] {
        let (made, _) = transcode(name, more);
        assert_eq!(made.status.code(), Some(status), "{made:?}");
    }
}
