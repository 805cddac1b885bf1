//! What a tenant has, and what becomes of it: labels, several sources of one original, deletion, eviction, older pipelines.

use std::path::Path;

use http::{Method, StatusCode};
use ringback::{
    testing::{
        fixture,
        origin::{Body, Gate, Origin, Reply},
    },
    units::ByteCount,
};
use serde_json::{Value, json};

use crate::support::node::{Answer, TestNode, fetch_path};

fn speech() -> Reply {
    Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())).header("cache-control", "max-age=60")
}

async fn origin_with(paths: &[&str]) -> Origin {
    let origin = Origin::start().await.unwrap();
    for path in paths {
        origin.set(path, speech());
    }
    origin
}

/// Posts a source as μ-law with tags and gives its id.
async fn post(node: &TestNode, url: &str, tags: &[&str]) -> String {
    let answer = node.post(&json!({ "source": { "url": url }, "format": "ulaw", "tags": tags })).await;
    assert!(answer.status.is_success(), "{answer:?}");
    let made: Value = serde_json::from_slice(&answer.body).unwrap();
    made["id"].as_str().unwrap().to_owned()
}

async fn describe(node: &TestNode, id: &str) -> Value {
    let answer = node.get(&format!("/v1/media/{id}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

async fn delete(node: &TestNode, id: &str) -> Answer {
    node.send(node.request(Method::DELETE, &format!("/v1/media/{id}"))).await
}

/// A node that has forgotten all audio at its next start: nothing but the catalogue is on disk.
async fn without_disk(origin: &Origin) -> TestNode {
    TestNode::start_with(origin, |config| config.media.cache.disk = ByteCount::bytes(0)).await
}

#[tokio::test]
async fn labels_gather_whoever_asks_and_however() {
    let origin = origin_with(&["/a.wav"]).await;
    let node = TestNode::start(&origin).await;
    let url = origin.url("/a.wav");
    let id = post(&node, &url, &["greeting"]).await;
    // A hit with another label; then the source is fetched anew by somebody without any.
    assert_eq!(post(&node, &url, &["german", "greeting"]).await, id);
    node.get_with(&fetch_path(&url, "ulaw"), "cache-control", "no-cache").await;
    node.settled().await;
    assert_eq!(describe(&node, &id).await["tags"], json!(["greeting", "german"]));
    let node = node.restart(&origin).await;
    assert_eq!(describe(&node, &id).await["tags"], json!(["greeting", "german"]));
}

#[tokio::test]
async fn an_address_lives_as_long_as_one_of_its_sources() {
    let origin = origin_with(&["/a.wav", "/b.wav"]).await;
    let node = without_disk(&origin).await;
    let id = post(&node, &origin.url("/a.wav"), &[]).await;
    let whole = node.get(&format!("/media/{id}.ulaw")).await;
    assert_eq!(post(&node, &origin.url("/b.wav"), &[]).await, id);
    origin.set("/b.wav", Reply::status(404, "text/plain", Body::of("gone")));
    let node = node.restart(&origin).await;
    let again = node.get(&format!("/media/{id}.ulaw")).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &whole.body), "{again:?}");
    // And no longer.
    origin.set("/a.wav", Reply::status(404, "text/plain", Body::of("gone")));
    let node = node.restart_after(&origin, |data| std::fs::remove_dir_all(data.join("chunks")).unwrap()).await;
    assert_eq!(node.get(&format!("/media/{id}.ulaw")).await.slug(), "source-missing");
}

#[tokio::test]
async fn what_is_deleted_while_it_is_made_again_stays_away() {
    let origin = origin_with(&["/a.wav"]).await;
    let node = TestNode::start(&origin).await;
    let (url, gate) = (origin.url("/a.wav"), Gate::closed());
    let id = post(&node, &url, &[]).await;
    origin.set("/a.wav", speech().hold_after(4_000, &gate));
    let path = fetch_path(&url, "ulaw");
    let running = node.get_with(&path, "cache-control", "no-cache");
    let deleting = async {
        gate.arrived(1).await;
        assert_eq!(delete(&node, &id).await.status, StatusCode::NO_CONTENT);
        gate.open();
    };
    let (answer, ()) = tokio::join!(running, deleting);
    // Who asked before gets the audio, and no address of what is no more.
    assert_eq!((answer.status, answer.header("content-location")), (StatusCode::OK, ""), "{answer:?}");
    node.settled().await;
    assert_eq!(node.get(&format!("/media/{id}.ulaw")).await.slug(), "not-found");
    assert_eq!(delete(&node, &id).await.slug(), "not-found");
    // Asked for anew, it is there anew.
    assert_eq!(post(&node, &url, &[]).await, id);
    assert_eq!(node.get(&format!("/media/{id}.ulaw")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_may_not_be_stored_has_no_address_at_either_door() {
    let origin = origin_with(&[]).await;
    origin.set("/a.wav", speech().header("cache-control", "no-store"));
    let node = TestNode::start(&origin).await;
    let body = json!({ "source": { "url": origin.url("/a.wav") }, "format": "ulaw" });
    assert_eq!(node.post(&body).await.slug(), "origin-failed");
    let mut without_waiting = body;
    without_waiting["wait"] = json!(false);
    let started: Value = serde_json::from_slice(&node.post(&without_waiting).await.body).unwrap();
    let state = async {
        loop {
            let state: Value = serde_json::from_slice(&node.get(started["url"].as_str().unwrap()).await.body).unwrap();
            if state["status"] != "running" {
                break state;
            }
        }
    };
    let state = tokio::time::timeout(std::time::Duration::from_secs(30), state).await.unwrap();
    assert_eq!(state["status"], "failed", "{state}");
    assert_eq!(state["problem"]["type"], "urn:ringback:problem:origin-failed");
}

#[tokio::test]
async fn a_wrong_extension_of_evicted_audio_costs_nothing() {
    let origin = origin_with(&["/a.wav"]).await;
    let node = without_disk(&origin).await;
    let id = post(&node, &origin.url("/a.wav"), &[]).await;
    let node = node.restart(&origin).await;
    assert_eq!(node.get(&format!("/media/{id}.wav")).await.slug(), "wrong-extension");
    assert_eq!(origin.count(&Method::GET, "/a.wav"), 1);
}

/// Makes every artifact in the catalogue one of an older pipeline, under an id of its own and without its bytes.
fn age(data: &Path, old: &[u8; 32]) {
    let catalogue = rusqlite::Connection::open(data.join("media.db")).unwrap();
    let record: String = catalogue.query_row("SELECT record FROM refs", [], |row| row.get(0)).unwrap();
    let mut record: Value = serde_json::from_str(&record).unwrap();
    record["pipeline"] = json!("0.0.0.0");
    let changed = catalogue.execute("UPDATE refs SET artifact = ?1, record = ?2", (old, record.to_string())).unwrap();
    assert_eq!(changed, 1);
    catalogue.execute("DELETE FROM manifests", ()).unwrap();
}

#[tokio::test]
async fn audio_of_an_older_pipeline_leads_to_todays() {
    let origin = origin_with(&["/a.wav"]).await;
    let node = TestNode::start(&origin).await;
    let id = post(&node, &origin.url("/a.wav"), &[]).await;
    let whole = node.get(&format!("/media/{id}.ul")).await;
    let old = [0xab; 32];
    let node = node.restart_after(&origin, |data| age(data, &old)).await;
    let address = format!("/media/{}.ul", "ab".repeat(32));
    for method in [Method::GET, Method::HEAD] {
        let moved = node.send(node.request(method, &address)).await;
        assert_eq!(moved.status, StatusCode::TEMPORARY_REDIRECT, "{moved:?}");
        assert_eq!(moved.header("location"), format!("/media/{id}.ul"));
        assert_eq!(moved.header("cache-control"), "no-store");
        assert_eq!(node.get(moved.header("location")).await.body, whole.body);
    }
    // What may no longer be stored has no address to be led to, and a source that has changed has no successor.
    let forgotten = |data: &Path| {
        let catalogue = rusqlite::Connection::open(data.join("media.db")).unwrap();
        catalogue.execute_batch("DELETE FROM sources; DELETE FROM kept; DELETE FROM manifests").unwrap();
    };
    origin.set("/a.wav", speech().header("cache-control", "no-store"));
    let node = node.restart_after(&origin, forgotten).await;
    assert_eq!(node.get(&address).await.slug(), "not-found");
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("chirp-ima.wav").unwrap())));
    let node = node.restart_after(&origin, forgotten).await;
    assert_eq!(node.get(&address).await.slug(), "not-found");
}

#[tokio::test]
async fn an_original_that_was_evicted_in_part_is_fetched_again() {
    // Some chunks: 1 MB of noise, so that no two are alike.
    let samples = (0..500_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as i16);
    let clip: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let header = [b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0", &8_000_u32.to_le_bytes()[..]].concat();
    let header = [header, 16_000_u32.to_le_bytes().to_vec(), b"\x02\0\x10\0data\xff\xff\xff\xff".to_vec()].concat();
    let origin = origin_with(&[]).await;
    let reply = Reply::ok("audio/wav", Body::of([header, clip].concat()));
    origin.set("/long.wav", reply.header("cache-control", "max-age=60"));
    let node = without_disk(&origin).await;
    let first = node.get(&fetch_path(&origin.url("/long.wav"), "sln")).await;
    assert_eq!((first.status, first.body.len()), (StatusCode::OK, 1_000_000));
    let node = node.restart(&origin).await;
    // The index is fresh and says that the original is kept; its chunks are gone.
    let other = node.get(&fetch_path(&origin.url("/long.wav"), "alaw")).await;
    assert_eq!((other.status, other.body.len()), (StatusCode::OK, 500_000), "{:?}", other.headers);
    assert_eq!(origin.count(&Method::GET, "/long.wav"), 2);
}
