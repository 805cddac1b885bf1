//! Options on their way through a node: addresses, held answers, presets, mistakes, making it again.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, StatusCode};
use ringback::{
    media::format::Format,
    testing::{
        fixture,
        origin::{Body, Gate, Length, Origin, Reply},
        signal::{Depth, Signal},
    },
    units::{ByteCount, SampleRate},
};
use serde_json::json;

use crate::support::{
    audio,
    node::{TestNode, fetch_path_with},
    process::{self, Process},
};

/// A node that sends what it can at once.
async fn streaming(origin: &Origin) -> TestNode {
    TestNode::start_with(origin, |config| config.media.fill.grace = Duration::ZERO).await
}

fn speech() -> Reply {
    Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())).header("cache-control", "max-age=3600")
}

fn expected(options: &[(&str, &str)], extension: &str) -> Vec<u8> {
    let format = Format::parse(extension, options).unwrap();
    audio::transcode(&fixture::audio("speech.wav").unwrap(), format).unwrap().1
}

#[tokio::test]
async fn what_depends_on_the_whole_is_answered_as_a_whole_and_the_rest_streams() {
    let origin = Origin::start().await.unwrap();
    let node = streaming(&origin).await;
    for (index, (options, held)) in [
        ("loudness:-23", true),
        ("trim:trailing", true),
        ("trim:both", true),
        ("loudness:-23,trim:both,gain:1,channel:left", true),
        ("gain:-6", false),
        ("trim:leading", false),
        ("channel:left", false),
        ("loudness:none,trim:none,gain:0", false),
    ]
    .into_iter()
    .enumerate()
    {
        let extension = ["ulaw", "opus"][index % 2];
        let source = format!("/{index}.{extension}.wav");
        origin.set(&source, speech().length(Length::Chunked).rate(400_000));
        let path = fetch_path_with(&origin.url(&source), options, extension);
        let cold = node.get(&path).await;
        let what = format!("{options} as {extension}: {cold:?}");
        assert_eq!(cold.status, StatusCode::OK, "{what}");
        assert_eq!(cold.header("content-length") == cold.body.len().to_string(), held, "{what}");
        for header in ["etag", "repr-digest", "content-location"] {
            assert_eq!(!cold.header(header).is_empty(), held, "{header}, {what}");
        }
        let pairs: Vec<_> = options.split(',').filter_map(|option| option.split_once(':')).collect();
        assert!(cold.body == expected(&pairs, extension), "{what}");
    }
}

#[tokio::test]
async fn gain_and_leading_trim_sound_before_the_source_is_there() {
    let (origin, gate) = (Origin::start().await.unwrap(), Gate::closed());
    let hour = Body::repeat(fixture::music_frames().unwrap(), 16_000 * 3_600);
    origin.set("/hour.mp3", Reply::ok("audio/mpeg", hour).hold_after(64 << 10, &gate));
    let node = streaming(&origin).await;
    for options in ["gain:-6", "trim:leading,channel:right"] {
        let path = fetch_path_with(&origin.url("/hour.mp3"), options, "ulaw");
        let mut response = node.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.chunk().await.unwrap().unwrap().is_empty(), "{options}");
    }
    gate.open();
}

#[tokio::test]
async fn an_address_with_options_outlives_its_audio() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", speech());
    // Without a disk tier nothing but the catalogue is there after a restart.
    let node = TestNode::start_with(&origin, |config| config.media.cache.disk = ByteCount::bytes(0)).await;
    let mut addresses = BTreeMap::new();
    for (options, extension) in [
        ("gain:-3.5", "ulaw"),
        ("loudness:-19,trim:both:-40", "wav"),
        ("trim:trailing,rate:16000,channel:left", "wav"),
        ("bitrate:24000,loudness:-23.5,gain:2", "opus"),
    ] {
        let answer = node.get(&fetch_path_with(&origin.url("/a.wav"), options, extension)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let pairs: Vec<_> = options.split(',').filter_map(|option| option.split_once(':')).collect();
        assert!(answer.body == expected(&pairs, extension), "{options}");
        addresses.insert(answer.header("content-location").to_owned(), (answer.header("etag").to_owned(), answer.body));
    }
    assert_eq!(addresses.len(), 4, "each is another artifact");
    let node = node.restart(&origin).await;
    for (address, (etag, body)) in &addresses {
        let again = node.get(address).await;
        assert_eq!((again.status, again.header("etag")), (StatusCode::OK, etag.as_str()), "{address}: {again:?}");
        assert!(again.header("cache-status").contains("fwd=miss"), "{again:?}");
        assert!(again.body == *body, "{address}");
        assert_eq!(again.header("content-length"), body.len().to_string());
    }
}

#[tokio::test]
async fn options_that_do_nothing_are_in_no_address() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", speech());
    let node = TestNode::start(&origin).await;
    let address = async |options: &str| {
        let answer = node.get(&fetch_path_with(&origin.url("/a.wav"), options, "ulaw")).await;
        assert_eq!(answer.status, StatusCode::OK, "{options}: {answer:?}");
        answer.header("content-location").to_owned()
    };
    let plain = address("-").await;
    assert_eq!(address("gain:0,loudness:none,trim:none,channel:mix").await, plain);
    assert_eq!(address("gain:-3").await, address("gain:-3.0").await);
    assert_eq!(address("gain:2,trim:both").await, address("trim:both:-50,gain:+2").await);
    assert_ne!(address("gain:-3").await, plain);
}

#[tokio::test]
async fn presets_are_their_options_under_another_name() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", speech());
    let node = TestNode::start_with(&origin, |config| {
        let presets = [("prompt", "loudness:-19,trim:both"), ("wide", "rate:16000,gain:-2")];
        config.media.presets = presets.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    })
    .await;
    let get = async |options: &str, extension: &str| {
        let answer = node.get(&fetch_path_with(&origin.url("/a.wav"), options, extension)).await;
        assert_eq!(answer.status, StatusCode::OK, "{options}: {answer:?}");
        (answer.header("content-location").to_owned(), answer.header("etag").to_owned())
    };
    assert_eq!(get("preset:prompt", "ulaw").await, get("trim:both,loudness:-19", "ulaw").await);
    assert_eq!(get("preset:wide", "wav").await, get("rate:16000,gain:-2", "wav").await);
    assert_eq!(get("trim:none,preset:prompt", "ulaw").await, get("loudness:-19", "ulaw").await);
    assert_eq!(get("preset:prompt,loudness:-30", "ulaw").await, get("loudness:-30,trim:both", "ulaw").await);

    let body =
        json!({ "source": { "url": origin.url("/a.wav") }, "format": "ulaw", "options": { "preset": "prompt" } });
    let made = node.post(&body).await;
    assert_eq!(made.status, StatusCode::OK, "it was there: {made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(made["url"], get("preset:prompt", "ulaw").await.0);

    // A preset for another format is no option of this one.
    let wide = node.get(&fetch_path_with(&origin.url("/a.wav"), "preset:wide", "ulaw")).await;
    assert_eq!((wide.status, wide.slug().as_str()), (StatusCode::BAD_REQUEST, "bad-request"));
    assert!(String::from_utf8_lossy(&wide.body).contains("\\\"rate\\\""), "{wide:?}");
}

#[tokio::test]
async fn mistakes_in_options_are_told_with_their_name_and_cost_nothing() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", speech());
    let node = TestNode::start(&origin).await;
    let wrong = [
        ("gain", "31"),
        ("gain", "1.25"),
        ("loudness", "1"),
        ("loudness", "-70.1"),
        ("trim", "front"),
        ("trim", "both:-95"),
        ("channel", "3"),
        ("preset", "none-such"),
        ("volume", "1"),
    ];
    for (name, value) in wrong {
        let fetched = node.get(&fetch_path_with(&origin.url("/a.wav"), &format!("{name}:{value}"), "ulaw")).await;
        let body = json!({ "source": { "url": origin.url("/a.wav") }, "format": "ulaw", "options": { name: value } });
        for answer in [fetched, node.post(&body).await] {
            assert_eq!(
                (answer.status, answer.slug().as_str()),
                (StatusCode::BAD_REQUEST, "bad-request"),
                "{name}:{value}"
            );
            let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert!(problem["detail"].as_str().unwrap().contains(&format!("\"{name}\"")), "{problem}");
        }
    }
    for options in ["gain:1,gain:2", "preset:a,preset:b"] {
        let answer = node.get(&fetch_path_with(&origin.url("/a.wav"), options, "ulaw")).await;
        assert_eq!(answer.slug(), "bad-request", "{options}");
    }
    let raw = node.get(&fetch_path_with(&origin.url("/a.wav"), "gain:1", "raw")).await;
    assert_eq!(raw.slug(), "bad-request", "the original is not changed");
    assert_eq!(origin.seen().len(), 0, "nobody was asked");
}

#[tokio::test]
async fn numbers_in_json_are_numbers() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", speech());
    let node = TestNode::start(&origin).await;
    let post = async |options: serde_json::Value| {
        let body = json!({ "source": { "url": origin.url("/a.wav") }, "format": "alaw", "options": options });
        let answer = node.post(&body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["id"].clone()
    };
    let id = post(json!({ "gain": "-3.5", "loudness": "-23" })).await;
    assert_eq!(post(json!({ "gain": -3.5, "loudness": -23 })).await, id);
    assert_eq!(post(json!({ "loudness": -23.0, "gain": -3.5 })).await, id);
}

/// A minute of tone: more than waits in memory.
fn minute() -> Vec<u8> {
    Signal::tone(SampleRate::HZ_8000, 440.0, 0.2, Duration::from_secs(60)).wav(Depth::S16)
}

#[tokio::test]
async fn samples_that_wait_count_towards_the_spools_and_are_let_go() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(minute())));
    let path = fetch_path_with(&origin.url("/a.wav"), "loudness:-30", "ulaw");
    let node = TestNode::start(&origin).await;
    let answer = node.get(&path).await;
    let format = Format::parse("ulaw", &[("loudness", "-30")]).unwrap();
    assert!(answer.body == audio::transcode(&minute(), format).unwrap().1, "{answer:?}");
    node.settled().await;
    node.stop().await;

    // Room for the original and the result, but not for the samples as well: 960 KB, 480 KB, 1 920 KB.
    let small = |config: &mut ringback::config::Config| {
        config.media.fill.memory = ByteCount::kib(64);
        config.media.fill.spool = ByteCount::mib(2);
    };
    let node = TestNode::start_with(&origin, small).await;
    let plain = node.get(&fetch_path_with(&origin.url("/a.wav"), "-", "ulaw")).await;
    assert_eq!(plain.status, StatusCode::OK, "{plain:?}");
    let answer = node.get(&path).await;
    assert_eq!((answer.status, answer.slug().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "busy"), "{answer:?}");
    node.settled().await;
}

#[tokio::test]
async fn the_command_line_warms_and_transcodes_with_options() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let node = Process::start(directory.path(), &origin);
    let source = origin.url("/speech.wav");
    let options = ["--option", "loudness:-19", "--option", "trim:both:-40", "--option", "gain:-1.5"];
    let (node_url, url) = (node.url(""), source.clone());
    let warm = move || {
        let arguments = ["warm", "--node", &node_url, "--format", "ulaw", "--json", &url];
        process::run(&[&arguments[..], &options].concat())
    };
    let warmed = tokio::task::spawn_blocking(warm.clone()).await.unwrap();
    assert!(warmed.status.success(), "{warmed:?}");
    let again = tokio::task::spawn_blocking(warm).await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((report["warm"].as_u64(), report["filled"].as_u64()), (Some(1), Some(0)), "{report:#}");

    ringback::outbound::install_crypto_provider();
    let path = fetch_path_with(&source, "gain:-1.5,loudness:-19,trim:both:-40", "ulaw");
    let served = reqwest::Client::builder().no_proxy().build().unwrap().get(node.url(&path)).send().await.unwrap();
    let text = |name: &str| served.headers()[name].to_str().unwrap().to_owned();
    let (status, address) = (text("cache-status"), text("content-location"));
    assert!(status.contains("hit"), "it was warmed: {status}");
    let served = served.bytes().await.unwrap();

    // Locally, by the options themselves and by a preset of the node's configuration.
    let config = directory.path().join("node.toml");
    std::fs::write(&config, "[media.presets]\nprompt = \"loudness:-19,trim:both:-40,gain:3\"\n").unwrap();
    let preset = ["--config", config.to_str().unwrap(), "--option", "preset:prompt", "--option", "gain:-1.5"];
    let (input, out) = (fixture::audio_dir().join("speech.wav"), directory.path().join("out.ulaw"));
    for options in [options, preset] {
        let arguments = ["transcode", "--json", input.to_str().unwrap(), out.to_str().unwrap()];
        let made = process::run(&[&arguments[..], &options].concat());
        assert!(made.status.success(), "{made:?}");
        assert!(std::fs::read(&out).unwrap() == served, "{options:?}");
        let report: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        assert_eq!(address, format!("/media/{}.ulaw", report["id"].as_str().unwrap()));
        let loudness = &report["loudness"];
        let sum = loudness["measured_lufs"].as_f64().unwrap() + loudness["applied_db"].as_f64().unwrap();
        assert!((sum + 19.0 + 1.5).abs() < 0.01 || loudness["limited"] == true, "{loudness}");
    }
    let unknown = process::run(&["transcode", "--option", "preset:x", input.to_str().unwrap(), out.to_str().unwrap()]);
    assert_eq!(unknown.status.code(), Some(64), "{unknown:?}");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("\"x\""), "{unknown:?}");
}
