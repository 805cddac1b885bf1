//! The program as its users meet it: killed and started again, drained, warmed, asked from the command line.

use http::StatusCode;
use ringback::testing::{fixture, origin::Origin};

use crate::support::{
    node::fetch_path,
    process::{self, Process},
};

async fn get(url: String) -> (reqwest::header::HeaderMap, Vec<u8>) {
    ringback::outbound::install_crypto_provider();
    let response = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    (response.headers().clone(), response.bytes().await.unwrap().to_vec())
}

fn text<'a>(headers: &'a reqwest::header::HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn address_and_bytes_survive_a_restart_and_a_kill() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = fetch_path(&origin.url("/speech.mp3"), "ulaw");

    let mut node = Process::start(directory.path(), &origin);
    let (first, body) = get(node.url(&path)).await;
    assert!(text(&first, "cache-status").contains("fwd=miss"), "{first:?}");
    let address = text(&first, "content-location").to_owned();
    assert!(node.terminate().success());

    let node = Process::start(directory.path(), &origin);
    let (second, again) = get(node.url(&path)).await;
    assert!(text(&second, "cache-status").contains("hit"), "{second:?}");
    assert!(again == body);
    // Another format has just been made when the power goes: what is found afterwards is right or made again.
    let alaw = fetch_path(&origin.url("/speech.mp3"), "alaw");
    let (_, alaw_body) = get(node.url(&alaw)).await;
    node.kill();

    let node = Process::start(directory.path(), &origin);
    let (third, again) = get(node.url(&address)).await;
    assert_eq!(text(&third, "cache-control"), "public, max-age=31536000, immutable");
    assert!(again == body);
    let (headers, again) = get(node.url(&path)).await;
    assert_eq!(text(&headers, "content-location"), address);
    assert!(again == body);
    assert!(get(node.url(&alaw)).await.1 == alaw_body);
    let spooled = std::fs::read_dir(directory.path().join("spool")).unwrap().count();
    assert_eq!(spooled, 0, "a killed node leaves no spool behind");
}

#[tokio::test]
async fn operators_warm_and_ask_from_the_command_line() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let node = Process::start(directory.path(), &origin);
    let list = directory.path().join("list.txt");
    let lines =
        [origin.url("/speech.wav"), "# a comment".to_owned(), origin.url("/speech.flac"), origin.url("/gone.mp3")];
    std::fs::write(&list, lines.join("\n")).unwrap();
    let node_url = node.url("");
    let list = list.to_str().unwrap().to_owned();
    let warm = move || {
        process::run(&[
            "warm",
            "--node",
            &node_url,
            "--format",
            "ulaw",
            "--format",
            "opus",
            "--retries",
            "0",
            "--json",
            "--from",
            &list,
        ])
    };
    let output = tokio::task::spawn_blocking(warm.clone()).await.unwrap();
    assert_eq!(output.status.code(), Some(1), "one source is missing: {output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let summary =
        |report: &serde_json::Value| (report["filled"].as_u64(), report["warm"].as_u64(), report["failed"].as_u64());
    assert_eq!(summary(&report), (Some(4), Some(0), Some(2)), "{report:#}");
    let output = tokio::task::spawn_blocking(warm).await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary(&report), (Some(0), Some(4), Some(2)), "{report:#}");

    let ops = format!("http://{}", node.ops_address);
    let health = tokio::task::spawn_blocking(move || process::run(&["health", "--ops", &ops])).await.unwrap();
    assert!(health.status.success(), "{health:?}");
    let (_, metrics) = get(format!("http://{}/metrics", node.ops_address)).await;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("ringback_media_fills_total{result=\"done\"} 4"), "{metrics}");
}

#[tokio::test]
async fn transcode_makes_the_bytes_that_the_node_serves() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let node = Process::start(directory.path(), &origin);
    for (name, extension) in
        [("speech.wav", "wav"), ("speech.mp3", "ulaw"), ("speech.ogg", "opus"), ("speech.m4a", "sln16")]
    {
        let out = directory.path().join(format!("out.{extension}"));
        let input = fixture::audio_dir().join(name);
        let converted = process::run(&["transcode", input.to_str().unwrap(), out.to_str().unwrap()]);
        assert!(converted.status.success(), "{converted:?}");
        let (_, served) = get(node.url(&fetch_path(&origin.url(&format!("/{name}")), extension))).await;
        assert!(std::fs::read(&out).unwrap() == served, "{name} as {extension}");
    }
}

#[tokio::test]
async fn a_second_node_on_the_same_data_is_refused() {
    let origin = Origin::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let _node = Process::start(directory.path(), &origin);
    let data_dir = directory.path().to_str().unwrap();
    let second =
        process::run(&["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--data-dir", data_dir]);
    assert!(!second.status.success());
    let complaint = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(complaint.contains("another ringback process uses this data directory"), "{complaint}");
}

#[test]
fn all_mistakes_in_the_configuration_are_told_at_once() {
    let checked =
        process::run(&["check-config", "--listen", "0.0.0.0", "--tls-cert", "/nonexistent", "--allow-origin", "%"]);
    assert_eq!(checked.status.code(), Some(64), "{checked:?}");
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    for key in ["listen", "tls_key", "outbound.allow_origins"] {
        assert!(told.contains(key), "{key}: {told}");
    }
    assert!(process::run(&["check-config"]).status.success());
}
