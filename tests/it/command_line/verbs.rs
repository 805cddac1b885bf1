//! One verb after the other.

use std::path::Path;

use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};
use tokio::net::TcpListener;

use super::{Told, ringback};
use crate::support::node::{TestNode, fetch_path};

/// An origin with a prompt that is fresh for a minute, and a node.
async fn prompt() -> (Origin, TestNode, String, String) {
    let origin = Origin::start().await.unwrap();
    let reply = Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap()));
    origin.set("/speech.wav", reply.etag("\"1\"").header("cache-control", "max-age=60"));
    let node = TestNode::start(&origin).await;
    let (address, source) = (node.url(""), origin.url("/speech.wav"));
    (origin, node, address, source)
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn get_prints_the_path_of_the_audio_and_tryget_only_where_it_is_cached() {
    let (origin, node, address, source) = prompt().await;
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let line = ["--node", &address, "--directory", place, &source];
    let tryget = async || ringback(&[["tryget"].as_slice(), &line].concat()).await;

    let told = tryget().await;
    assert_eq!((told.code, told.text()), (Some(3), ""), "{told:?}");
    assert!(told.err.contains("not-cached") && origin.connections() == 0, "{told:?}");
    assert_eq!(files(directory.path()), [""; 0], "nothing is left behind");

    let told = ringback(&[["get"].as_slice(), &line].concat()).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let served = node.get(&fetch_path(&source, "ulaw")).await;
    let name = served.header("content-location").strip_prefix("/media/").unwrap().to_owned();
    assert_eq!(Path::new(told.text()), directory.path().join(&name));
    assert!(std::fs::read(told.text()).unwrap() == served.body);

    let again = tryget().await;
    assert_eq!((again.code, again.text()), (Some(0), told.text()));
    assert_eq!(files(directory.path()), [name], "the same audio has the same name");
}

#[tokio::test]
async fn get_writes_where_it_is_told_to_and_in_the_format_that_is_asked_for() {
    let (_origin, node, address, source) = prompt().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("prompt.wav");
    let output = file.to_str().unwrap();
    let told = ringback(&["get", "--node", &address, &source, "--output", output, "--option", "rate:16000"]).await;
    assert_eq!((told.code, told.text()), (Some(0), output), "{told:?}");
    let served = node.get(&crate::support::node::fetch_path_with(&source, "rate:16000", "wav")).await;
    assert!(std::fs::read(&file).unwrap() == served.body);

    let told = ringback(&["get", "--node", &address, &source, "--output", "-", "--format", "alaw"]).await;
    assert!(told.code == Some(0) && told.out == node.get(&fetch_path(&source, "alaw")).await.body);

    let json = ringback(&["get", "--node", &address, &source, "--output", output, "--json"]).await.json();
    let address_of = node.get(&fetch_path(&source, "wav")).await.header("content-location").to_owned();
    assert_eq!(json["address"], node.url(&address_of));
    assert_eq!((&json["path"], &json["content_type"]), (&output.into(), &"audio/wav".into()));
    assert_eq!(json["bytes"], std::fs::metadata(&file).unwrap().len());
}

#[tokio::test]
async fn what_fails_leaves_nothing_behind_and_ends_with_its_code() {
    let (_origin, _node, address, source) = prompt().await;
    let missing = source.replace("speech", "gone");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("old.ulaw"), "old").unwrap();
    let output = directory.path().join("old.ulaw").to_str().unwrap().to_owned();
    let gone = format!("http://{}", TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    let check = async |line: &[&str], code: i32, said: &str| {
        let told = ringback(line).await;
        assert_eq!(told.code, Some(code), "{line:?}: {told:?}");
        assert!(told.err.contains(said), "{said} is not in {told:?}");
        told
    };
    for verb in ["get", "refresh"] {
        check(&[verb, "--node", &address, &missing], 1, "source-missing").await;
        check(&[verb, "--node", &gone, &source], 2, "node-unreachable").await;
        check(&[verb, "--node", &address, &source, "--format", "mp3"], 64, "--format mp3").await;
        check(&[verb, "--node", &address, "ftp://a/b"], 64, "http").await;
        check(&[verb, "--node", "nowhere", &source], 64, "--node nowhere").await;
        check(&[verb, "--node", &address], 64, "URL").await;
    }
    check(&["get", "--node", &address, &missing, "--output", &output], 1, "source-missing").await;
    assert_eq!(std::fs::read(&output).unwrap(), b"old");
    assert_eq!(files(directory.path()), ["old.ulaw"]);
    let told = check(&["get", "--node", &address, &missing, "--json"], 1, "source-missing").await;
    assert_eq!((&told.json()["error"], &told.json()["status"]), (&"source-missing".into(), &404.into()));
    for verb in [["show", source.as_str()].as_slice(), &["show", "--all"], &["purge", &source], &["clear", "--yes"]] {
        check(&[verb, &["--node", &gone]].concat(), 2, "node-unreachable").await;
    }
    check(&["put", "/nonexistent", "--node", &address], 1, "opening /nonexistent").await;
}

#[tokio::test]
async fn put_keeps_an_upload_until_it_is_removed() {
    let (_origin, node, address, _) = prompt().await;
    let file = fixture::audio_dir().join("speech.flac");
    let file = file.to_str().unwrap();
    let told = ringback(&["put", file, "--node", &address]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let upload = told.text().to_owned();
    assert!(node.get(&upload).await.body == std::fs::read(file).unwrap());
    let again = ringback(&["put", file, "--node", &address, "--json"]).await.json();
    assert_eq!((&again["url"], &again["type"]), (&upload.clone().into(), &"audio/flac".into()));

    let told = ringback(&["remove", &upload, "--node", &address, "--json"]).await.json();
    assert_eq!((&told["purged"], &told["scope"]), (&upload.clone().into(), &"removed".into()));
    assert_eq!(node.get(&upload).await.status, 404);
    let told = ringback(&["delete", &upload, "--node", &address]).await;
    assert!(told.code == Some(1) && told.err.contains("not-found"), "{told:?}");

    let told = ringback(&["put", "/etc/passwd", "--node", &address]).await;
    assert!(told.code == Some(1) && told.err.contains("not-audio"), "{told:?}");
}

#[tokio::test]
async fn show_tells_what_is_there_of_a_source_an_artifact_and_of_all() {
    let (origin, node, address, source) = prompt().await;
    let told = ringback(&["show", &source, "--node", &address]).await;
    assert!(told.code == Some(3) && told.err.contains("knows nothing of it"), "{told:?}");
    let told = ringback(&["show", &"0f".repeat(32), "--node", &address]).await;
    assert!(told.code == Some(3) && told.err.contains("not-found"), "{told:?}");
    let none = ringback(&["show", "--all", "--node", &address]).await;
    assert_eq!((none.code, none.text()), (Some(0), ""));

    origin.set("/other.wav", Reply::ok("audio/wav", Body::of(fixture::audio("chirp-gsm.wav").unwrap())));
    let other = origin.url("/other.wav");
    let warm = ["warm", "--node", &address, "--format", "ulaw", "--format", "opus", &source, &other];
    assert_eq!(ringback(&warm).await.code, Some(0));

    let told = ringback(&["show", &source, "--node", &address]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let text = told.text();
    assert!(text.contains("fresh") && text.contains("\"1\"") && text.contains("memory"), "{text}");
    assert!(!text.contains("other.wav"), "{text}");
    let lines = ringback(&["show", &source, "--node", &address, "--json"]).await;
    let mut shown: Vec<serde_json::Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let standing = shown.remove(0);
    assert_eq!((&standing["source"]["url"], &standing["source"]["fresh"]), (&source.clone().into(), &true.into()));
    let mut formats: Vec<&str> = shown.iter().map(|shown| shown["format"].as_str().unwrap()).collect();
    formats.sort_unstable();
    assert_eq!(formats, ["opus", "ulaw"]);

    let (id, path) = (shown[0]["id"].as_str().unwrap(), shown[0]["url"].as_str().unwrap());
    for name in [id, path, &node.url(path)] {
        let one = ringback(&["show", name, "--node", &address, "--json"]).await.json();
        assert_eq!((&one["id"], &one["source"]), (&id.into(), &source.clone().into()));
    }
    let all = ringback(&["show", "--all", "--node", &address]).await;
    assert_eq!(all.text().lines().count(), 5, "a head and four artifacts: {all:?}");
    assert!(all.text().contains("other.wav"));
}

#[tokio::test]
async fn refresh_asks_the_origin_whatever_is_there() {
    let (origin, _node, address, source) = prompt().await;
    let refresh = async || ringback(&["refresh", &source, "--node", &address]).await;
    let told = refresh().await;
    assert_eq!((told.code, told.text()), (Some(0), format!("fetched    {source}").as_str()), "{told:?}");
    let told = refresh().await;
    assert_eq!((told.code, told.text()), (Some(0), format!("unchanged  {source}").as_str()), "{told:?}");
    let reply = Reply::ok("audio/wav", Body::of(fixture::audio("chirp-gsm.wav").unwrap()));
    origin.set("/speech.wav", reply.etag("\"2\"").header("cache-control", "max-age=60"));
    let told = refresh().await;
    assert_eq!(told.text(), format!("fetched    {source}"), "{told:?}");
    assert_eq!(origin.seen().len(), 3);
    let missing = source.replace("speech", "gone");
    let told = ringback(&["refresh", &missing, &source, "--node", &address, "--json"]).await;
    assert!(told.code == Some(1) && told.text().lines().count() == 2, "one fails, both are tried: {told:?}");
}

#[tokio::test]
async fn purge_and_clear_forget_what_they_name() {
    let (_origin, _node, address, source) = prompt().await;
    let is_there = async || {
        let told = ringback(&["tryget", &source, "--node", &address, "--output", "-"]).await;
        assert!(matches!(told.code, Some(0 | 3)), "{told:?}");
        told.code == Some(0)
    };
    let node = ["--node", address.as_str()];
    let prefix = source.trim_end_matches("speech.wav");
    for line in [
        ["purge", source.as_str()].as_slice(),
        &["remove", &source],
        &["delete", &source],
        &["purge", "--prefix", prefix],
        &["purge", "--all", "--yes"],
        &["clear", "--yes"],
    ] {
        assert_eq!(ringback(&[["warm", &source].as_slice(), &node].concat()).await.code, Some(0));
        assert!(is_there().await);
        let told = ringback(&[line, &node].concat()).await;
        assert!(told.code == Some(0) && told.text().starts_with("purged   "), "{told:?}");
        assert!(!is_there().await, "{line:?}");
    }
    assert_eq!(ringback(&[["warm", &source].as_slice(), &node].concat()).await.code, Some(0));
    for line in [["clear"].as_slice(), &["purge", "--all"]] {
        let told = ringback(&[line, &node].concat()).await;
        assert!(told.code == Some(64) && told.err.contains("--yes"), "{told:?}");
    }
    let told = ringback(&[["purge", "--tag", "nobody's", "--json"].as_slice(), &node].concat()).await;
    assert_eq!((told.code, &told.json()["scope"]), (Some(0), &"node".into()));
    assert!(is_there().await, "nothing else is purged");
    for line in [["purge"].as_slice(), &["purge", "here"], &["purge", "--all", "--yes", &source]] {
        assert_eq!(ringback(&[line, &node].concat()).await.code, Some(64), "{line:?}");
    }
}

#[tokio::test]
async fn signed_nodes_are_asked_with_their_keys() {
    let origin = Origin::start().await.unwrap();
    origin.set("/speech.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (key, salt) = ("4b".repeat(32), "73616c74");
    let pair = format!("{key}:{salt}");
    let node = TestNode::start_with(&origin, |config| config.media.signing.keys = vec![pair.parse().unwrap()]).await;
    let (address, source) = (node.url(""), origin.url("/speech.wav"));
    let keys = ["--key", key.as_str(), "--salt", salt];
    for line in [["get", "--output", "-"].as_slice(), &["tryget", "--output", "-"], &["refresh"]] {
        let line = [line, &["--node", &address, &source]].concat();
        let told: Told = ringback(&line).await;
        assert!(told.code == Some(1) && told.err.contains("signature-invalid"), "{told:?}");
        let told = ringback(&[line.as_slice(), &keys].concat()).await;
        assert!(told.code == Some(0) && !told.err.contains(&key), "{told:?}");
    }
}

/// What `ffprobe` and the node say of the same file.
#[tokio::test]
async fn inspect_tells_what_a_file_is_and_the_addresses_that_a_node_gives() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let node = TestNode::start(&origin).await;
    for name in files(&fixture::audio_dir()) {
        if name == "NOTES.md" {
            continue;
        }
        let file = fixture::audio_dir().join(&name);
        let file = file.to_str().unwrap();
        let told = ringback(&["inspect", file, "--json", "--format", "ulaw"]).await;
        assert_eq!(told.code, Some(0), "{name}: {told:?}");
        let told = told.json();
        let probed = crate::support::tools::ffprobe(file);
        assert_eq!((&told["rate"], &told["channels"]), (&probed.rate.into(), &probed.channels.into()), "{name}");
        let served = node.get(&fetch_path(&origin.url(&format!("/{name}")), "ulaw")).await;
        assert_eq!(served.header("content-location"), told["addresses"]["ulaw"], "{name}");
    }
    let lines = ringback(&["inspect", fixture::audio_dir().join("speech.wav").to_str().unwrap()]).await;
    assert!(
        lines.text().starts_with("kind       wav, by its content\nrate       22050 Hz\nchannels   1\n"),
        "{lines:?}"
    );
    assert!(lines.text().matches("\naddress    /media/").count() > 10, "every format has an address");
    let told = ringback(&["inspect", "/etc/passwd"]).await;
    assert!(told.code == Some(1) && told.err.contains("not audio"), "{told:?}");
}

#[tokio::test]
async fn put_gives_a_prompt_its_name_and_spoken_texts_are_warmed_once() {
    let (_origin, node, address, _source) = prompt().await;
    let file = fixture::audio_dir().join("speech.flac");
    let told = ringback(&["put", "--node", &address, file.to_str().unwrap(), "ivr/welcome", "--json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(
        (&told.json()["type"], told.json()["bytes"].as_u64()),
        (&"audio/flac".into(), Some(file.metadata().unwrap().len()))
    );
    assert_eq!(node.get("/prompts/ivr/welcome.ulaw").await.status, 200);

    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("texts");
    std::fs::write(&list, "Please hold the line.\nYou are next.\n\n").unwrap();
    let warm = async || ringback(&["warm", "--node", &address, "--text", list.to_str().unwrap(), "--json"]).await;
    let first = warm().await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let again = warm().await;
    assert_eq!((&first.json()["filled"], &first.json()["failed"]), (&2.into(), &0.into()), "{first:?}");
    let counts = (&again.json()["filled"], &again.json()["warm"], &again.json()["failed"]);
    assert_eq!((again.code, counts), (Some(0), (&0.into(), &2.into(), &0.into())), "{again:?}");
    let said = ringback(&["get", "--node", &address, "--say", "Please hold the line.", "--output", "-"]).await;
    assert!(said.code == Some(0) && 5_000 < said.out.len(), "{said:?}");
}

#[tokio::test]
async fn what_is_no_node_gives_no_audio() {
    let (other, directory) = (Origin::start().await.unwrap(), tempfile::tempdir().unwrap());
    let source = "http://prompts.example.com/a.mp3";
    let path = fetch_path_base64(source);
    let address = other.url("");
    for reply in [
        Reply::ok("text/html", Body::of("<html>a captive portal</html>")),
        Reply::status(204, "audio/basic", Body::of("")),
        Reply::ok("audio/basic", Body::of("audio, perhaps")),
    ] {
        other.set(&path, reply);
        for verb in ["get", "tryget", "refresh"] {
            let place = ["--directory", directory.path().to_str().unwrap()];
            let place = if verb == "refresh" { &[][..] } else { &place[..] };
            let told = ringback(&[&[verb, "--node", &address, source], place].concat()).await;
            assert!(told.code == Some(1) && told.err.contains("bad-answer"), "{verb}: {told:?}");
        }
    }
    assert_eq!(files(directory.path()), [""; 0]);
}

fn fetch_path_base64(source: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    format!("/fetch/_/-/{}.ulaw", URL_SAFE_NO_PAD.encode(source))
}
