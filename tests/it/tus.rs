//! Uploads in parts: by the reference client of tus, and what the protocol says beside what that client does.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use http::{Method, StatusCode};
use ringback::{
    testing::{fixture, origin::Origin},
    units::ByteCount,
};

use crate::support::{
    node::{Answer, TestNode},
    process::Process,
};

const UPLOADS: &str = "/v1/media/uploads";
const PART: &str = "application/offset+octet-stream";

/// Uploads a file with tuspy in chunks; stops after as many as are said, and goes on where an address is given.
const CLIENT: &str = r#"
import sys
from tusclient import client
endpoint, path, chunks, url = sys.argv[1:5]
uploader = client.TusClient(endpoint).uploader(path, chunk_size=7000, url=url or None)
if url:
    uploader.offset = uploader.get_offset()
    print("resumed at", uploader.offset, file=sys.stderr)
for _ in range(int(chunks)):
    if uploader.offset == uploader.get_file_size():
        break
    uploader.upload_chunk()
print(uploader.url)
"#;

fn python() -> PathBuf {
    // Under the repository, as scripts/install-python-clients puts it there.
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/needs/python/bin/python")
}

async fn client(endpoint: &str, file: &std::path::Path, chunks: usize, url: &str) -> String {
    let mut command = Command::new(python());
    command.arg("-c").arg(CLIENT).arg(endpoint).arg(file).arg(chunks.to_string()).arg(url);
    command.env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.expect("scripts/install-python-clients installs the client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn tus(node: &TestNode, method: Method, path: &str) -> reqwest::RequestBuilder {
    node.request(method, path).header("tus-resumable", "1.0.0")
}

async fn begin(node: &TestNode, length: usize) -> Answer {
    node.send(tus(node, Method::POST, UPLOADS).header("upload-length", length.to_string())).await
}

async fn part(node: &TestNode, url: &str, offset: usize, bytes: &[u8]) -> Answer {
    let request =
        tus(node, Method::PATCH, url).header("content-type", PART).header("upload-offset", offset.to_string());
    node.send(request.body(bytes.to_vec())).await
}

#[tokio::test]
async fn the_reference_client_goes_on_where_it_broke_off_whatever_happened_to_the_node() {
    let origin = Origin::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    ringback::outbound::install_crypto_provider();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let file = fixture::audio_dir().join("speech.flac");
    let body = std::fs::read(&file).unwrap();
    assert!(3 * 7000 < body.len());
    let node = Process::start(directory.path(), &origin);
    let url = client(&node.url(UPLOADS), &file, 2, "").await;
    let path = url.strip_prefix(&node.url("")).unwrap_or(&url).to_owned();
    node.kill();
    let node = Process::start(directory.path(), &origin);
    let after = http.head(node.url(&path)).header("tus-resumable", "1.0.0").send().await.unwrap();
    assert_eq!(after.headers()["upload-offset"], "14000");
    client(&node.url(UPLOADS), &file, 1_000, &node.url(&path)).await;
    let done = http.head(node.url(&path)).header("tus-resumable", "1.0.0").send().await.unwrap();
    assert_eq!(done.headers()["upload-offset"], body.len().to_string());
    let location = done.headers()["content-location"].to_str().unwrap().to_owned();
    node.kill();
    // What it became survives as well as what was put there at once.
    let node = Process::start(directory.path(), &origin);
    let kept = http.get(node.url(&location)).send().await.unwrap();
    assert_eq!(kept.headers()["content-type"], "audio/flac");
    assert!(kept.bytes().await.unwrap() == body);
}

#[tokio::test]
async fn an_upload_in_parts_is_kept_with_its_last_byte_and_played() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let options = node.send(node.request(Method::OPTIONS, UPLOADS)).await;
    assert_eq!((options.status, options.header("tus-version")), (StatusCode::NO_CONTENT, "1.0.0"));
    assert_eq!(options.header("tus-extension"), "creation,creation-with-upload,expiration,termination");
    assert_eq!(options.header("tus-max-size"), ByteCount::mib(512).get().to_string());
    let body = std::fs::read(fixture::audio_dir().join("speech.mp3")).unwrap();
    let begun = begin(&node, body.len()).await;
    assert_eq!((begun.status, begun.header("upload-offset")), (StatusCode::CREATED, "0"));
    assert_ne!(begun.header("upload-expires"), "");
    let url = begun.header("location");
    let (first, rest) = body.split_at(1000);
    let answer = part(&node, url, 0, first).await;
    assert_eq!((answer.status, answer.header("upload-offset")), (StatusCode::NO_CONTENT, "1000"));
    assert_eq!(answer.header("content-location"), "");
    // Not where it stands; not with what would be too long; not as another kind of body.
    assert_eq!(part(&node, url, 0, first).await.slug(), "conflict");
    assert_eq!(part(&node, url, 2000, first).await.slug(), "conflict");
    assert_eq!(part(&node, url, 1000, &body).await.slug(), "over-limit");
    let wrong = tus(&node, Method::PATCH, url).header("upload-offset", "1000").body(rest.to_vec());
    assert_eq!(node.send(wrong).await.slug(), "not-audio");
    let head = node.send(tus(&node, Method::HEAD, url)).await;
    assert_eq!((head.header("upload-offset"), head.header("upload-length")), ("1000", &*body.len().to_string()));
    assert_eq!(head.header("cache-control"), "no-store");

    let node = node.restart(&origin).await;
    let last = part(&node, url, 1000, rest).await;
    assert_eq!((last.status, last.header("upload-offset")), (StatusCode::NO_CONTENT, &*body.len().to_string()));
    let kept = last.header("content-location");
    assert!(node.get(kept).await.body == body);
    let hash = kept.rsplit('/').next().unwrap();
    let made = node.post(&serde_json::json!({ "source": { "upload": hash }, "format": "ulaw" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    // Given up, it is still what it became.
    assert_eq!(node.send(tus(&node, Method::DELETE, url)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(node.send(tus(&node, Method::HEAD, url)).await.status, StatusCode::NOT_FOUND);
    assert!(node.get(kept).await.body == body);
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_become_an_upload_is_refused_and_leaves_nothing() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        config.media.uploads.bytes_max = ByteCount::kib(64);
        config.media.uploads.unfinished_max = ByteCount::kib(100);
        config.media.uploads.unfinished_uploads_max = 3;
    })
    .await;
    let slug = async |request: reqwest::RequestBuilder| node.send(request).await.slug();
    assert_eq!(slug(node.request(Method::POST, UPLOADS).header("upload-length", "5")).await, "precondition-failed");
    assert_eq!(slug(tus(&node, Method::POST, UPLOADS)).await, "bad-request");
    assert_eq!(slug(tus(&node, Method::POST, UPLOADS).header("upload-length", "-1")).await, "bad-request");
    assert_eq!(begin(&node, 0).await.slug(), "bad-request");
    assert_eq!(begin(&node, 65 * 1024).await.slug(), "over-limit");
    let page = b"<html>no audio here, for sure</html>";
    let with_upload = tus(&node, Method::POST, UPLOADS).header("upload-length", page.len().to_string());
    assert_eq!(slug(with_upload.header("content-type", PART).body(page.to_vec())).await, "not-audio");
    // As much as may be unfinished.
    let begun = begin(&node, 60 * 1024).await;
    assert_eq!(begin(&node, 60 * 1024).await.slug(), "busy");
    let given_up = node.send(tus(&node, Method::DELETE, begun.header("location"))).await;
    assert_eq!(given_up.status, StatusCode::NO_CONTENT);
    let begun = begin(&node, page.len()).await;
    assert_eq!(part(&node, begun.header("location"), 0, page).await.slug(), "not-audio");
    assert_eq!(node.send(tus(&node, Method::HEAD, begun.header("location"))).await.status, StatusCode::NOT_FOUND);
    for id in ["0".repeat(32), "nonsense".to_owned()] {
        assert_eq!(part(&node, &format!("{UPLOADS}/resumable/{id}"), 0, page).await.slug(), "not-found");
    }
    let unfinished = node.data_dir().join("uploads-unfinished");
    assert_eq!(std::fs::read_dir(unfinished).unwrap().count(), 0);
    node.stop().await;
}

#[tokio::test]
async fn every_answer_says_the_version_and_a_post_may_say_another_method() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let body = std::fs::read(fixture::audio_dir().join("speech.mp3")).unwrap();
    let begun = begin(&node, body.len()).await;
    let url = begun.header("location");
    let other = node.send(node.request(Method::HEAD, url).header("tus-resumable", "0.2.0")).await;
    assert_eq!((other.status.as_u16(), other.header("tus-version")), (412, "1.0.0"));
    for refused in [
        node.send(node.request(Method::POST, UPLOADS).header("upload-length", "5")).await,
        begin(&node, 0).await,
        part(&node, url, 1, &body).await,
        node.send(tus(&node, Method::POST, url)).await,
        node.send(tus(&node, Method::DELETE, &format!("{UPLOADS}/resumable/nonsense"))).await,
    ] {
        assert!(refused.status.is_client_error(), "{refused:?}");
        assert_eq!(refused.header("tus-resumable"), "1.0.0", "{refused:?}");
    }
    let instead = |method: &str| tus(&node, Method::POST, url).header("x-http-method-override", method.to_owned());
    let (first, rest) = body.split_at(1000);
    let sent = instead("PATCH").header("content-type", PART).header("upload-offset", "0").body(first.to_vec());
    assert_eq!(node.send(sent).await.header("upload-offset"), "1000");
    let asked = node.send(instead("HEAD")).await;
    assert_eq!((asked.status, asked.header("upload-length")), (StatusCode::OK, &*body.len().to_string()));
    assert_ne!(part(&node, url, 1000, rest).await.header("content-location"), "");
    assert_eq!(node.send(instead("DELETE")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(node.send(instead("HEAD")).await.slug(), "not-found");
    node.stop().await;
}

#[tokio::test]
async fn a_long_body_that_is_refused_before_it_is_read_is_told_why() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    // More than the buffers of a connection.
    let body = vec![b'R'; 3 << 20];
    let unknown = format!("{UPLOADS}/resumable/{}", "0".repeat(32));
    assert_eq!(part(&node, &unknown, 0, &body).await.slug(), "not-found");
    let typeless = tus(&node, Method::PATCH, &unknown).header("upload-offset", "0").body(body.clone());
    assert_eq!(node.send(typeless).await.slug(), "not-audio");
    let lengthless = tus(&node, Method::POST, UPLOADS).header("content-type", PART).body(body.clone());
    assert_eq!(node.send(lengthless).await.slug(), "bad-request");
    let prompt = node.request(Method::PUT, "/prompts/a..b.wav").body(body);
    assert_eq!(node.send(prompt).await.slug(), "not-found");
    node.stop().await;
}
