//! Uploads that are played, by their hashes and under names that people give them.

use http::{Method, StatusCode};
use ringback::{
    media::cache::durable::StoreKind,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};

use crate::support::node::{Answer, TestNode, fetch_path};

fn audio(name: &str) -> Vec<u8> {
    std::fs::read(fixture::audio_dir().join(name)).unwrap()
}

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

async fn put(node: &TestNode, path: &str, body: Vec<u8>) -> Answer {
    node.send(node.request(Method::PUT, path).body(body)).await
}

/// What `/fetch` makes of the same audio.
async fn fetched(node: &TestNode, origin: &Origin, name: &str, extension: &str) -> Answer {
    origin.set(&format!("/{name}"), Reply::ok("application/octet-stream", Body::of(audio(name))));
    let url = origin.url(&format!("/{name}"));
    node.get(&fetch_path(&url, extension)).await
}

#[tokio::test]
async fn an_upload_is_played_in_any_format_under_an_address_that_only_its_tenant_has() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let hash = json(&put(&node, "/v1/media/uploads", audio("speech.mp3")).await)["content_hash"].clone();
    for extension in ["ulaw", "wav", "sln16", "g722", "opus", "raw"] {
        let wanted = serde_json::json!({ "source": { "upload": hash }, "format": extension });
        let made = node.post(&wanted).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let (told, public) = (json(&made), fetched(&node, &origin, "speech.mp3", extension).await);
        assert_eq!((told["content_hash"].clone(), told["cache"].as_str()), (hash.clone(), Some("miss")));
        assert_eq!(node.post(&wanted).await.status, StatusCode::OK);
        let url = told["url"].as_str().unwrap();
        let played = node.get(url).await;
        assert_eq!((played.status, played.header("cache-control")), (StatusCode::OK, "private, max-age=60"));
        assert!(played.body == public.body, "{extension}");
        assert_eq!(played.header("content-type"), public.header("content-type"));
        let head = node.send(node.request(Method::HEAD, url)).await;
        for field in ["content-length", "content-type", "etag", "cache-control", "accept-ranges", "last-modified"] {
            assert_eq!(head.header(field), played.header(field), "{field}");
        }
        assert_eq!(node.get_with(url, "if-none-match", played.header("etag")).await.status, 304);
        assert_eq!(node.get_with(url, "range", "bytes=0-9").await.body, &played.body[..10]);

        // Its name is none that can be computed from the bytes, and without what stands in front of it, it is no address.
        let (public_url, id) = (public.header("content-location"), told["id"].as_str().unwrap());
        assert!(!public_url.contains(id), "{public_url}");
        let bare = node.get(&format!("/media/{id}.{extension}")).await;
        let unknown = node.get(&format!("/media/{}.{extension}", "0".repeat(64))).await;
        let forged = node.get(&url.replacen("-0-", "-0-A", 1)).await;
        let another_extension = node.get(&url.replace(&format!(".{extension}"), ".alaw")).await;
        for other in [&bare, &forged, &another_extension] {
            assert_eq!((other.status, &other.body), (StatusCode::NOT_FOUND, &unknown.body));
        }
        let described = json(&node.get(&format!("/v1/media/{id}")).await);
        assert_eq!(
            (described["url"].as_str(), described["source"].as_str()),
            (Some(url), Some(&*format!("upload:{}", hash.as_str().unwrap())))
        );
    }
    let unknown = serde_json::json!({ "source": { "upload": "0".repeat(64) }, "format": "ulaw" });
    assert_eq!(node.post(&unknown).await.slug(), "not-found");
    node.stop().await;
}

#[tokio::test]
async fn an_upload_that_was_asked_for_too_early_is_played_as_soon_as_it_is_there() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let put_it = async || json(&put(&node, "/v1/media/uploads", audio("speech.mp3")).await)["content_hash"].clone();
    let hash = put_it().await;
    let upload = format!("/v1/media/uploads/{}", hash.as_str().unwrap());
    let set = node.request(Method::PUT, "/prompts/a.wav").header("content-type", "application/json");
    let set = node.send(set.body(serde_json::json!({ "upload": hash }).to_string())).await;
    assert_eq!(set.status, StatusCode::CREATED);
    assert_eq!(node.send(node.request(Method::DELETE, &upload)).await.status, StatusCode::NO_CONTENT);
    let wanted = serde_json::json!({ "source": { "upload": hash }, "format": "ulaw" });
    assert_eq!(node.post(&wanted).await.slug(), "not-found");
    assert_eq!(node.get("/prompts/a.alaw").await.slug(), "not-found");
    put_it().await;
    assert_eq!(node.post(&wanted).await.status, StatusCode::CREATED);
    assert_eq!(node.get("/prompts/a.alaw").await.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn private_audio_outlives_eviction_and_restart_and_goes_when_it_is_deleted() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let hash = json(&put(&node, "/v1/media/uploads", audio("speech.flac")).await)["content_hash"].clone();
    let made = json(&node.post(&serde_json::json!({ "source": { "upload": hash }, "format": "ulaw" })).await);
    let url = made["url"].as_str().unwrap();
    let before = node.get(url).await;
    let node = node.restart_after(&origin, |data| std::fs::remove_dir_all(data.join("chunks")).unwrap()).await;
    let again = node.get(url).await;
    assert!(again.body == before.body);
    assert_eq!((again.header("etag"), again.header("cache-control")), (before.header("etag"), "private, max-age=60"));
    assert!(again.header("cache-status").contains("detail=upload"), "{again:?}");
    // Once its upload is gone, so is what was made of it; the same bytes from elsewhere are another's matter.
    let public = fetched(&node, &origin, "speech.flac", "ulaw").await;
    let upload = format!("/v1/media/uploads/{}", hash.as_str().unwrap());
    assert_eq!(node.send(node.request(Method::DELETE, &upload)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(node.get(url).await.slug(), "not-found");
    let described = node.get(&format!("/v1/media/{}", made["id"].as_str().unwrap())).await;
    assert_eq!(described.slug(), "not-found");
    assert_eq!(node.get(public.header("content-location")).await.status, StatusCode::OK);
    assert_eq!(node.send(node.request(Method::DELETE, &upload)).await.slug(), "not-found");
    let node = node.restart(&origin).await;
    assert_eq!(node.get(url).await.slug(), "not-found");
    node.stop().await;
}

#[tokio::test]
async fn a_prompt_is_what_was_put_there_last_in_any_format() {
    let origin = Origin::start().await.unwrap();
    for store in [StoreKind::Off, StoreKind::Directory] {
        let durable = |config: &mut ringback::config::Config| config.media.cache.durable.store = store;
        let node = TestNode::start_with(&origin, durable).await;
        assert_eq!(node.get("/prompts/ivr/welcome.ulaw").await.slug(), "not-found");
        let set = put(&node, "/prompts/ivr/welcome.mp3", audio("speech.mp3")).await;
        assert_eq!((set.status, set.header("location")), (StatusCode::CREATED, "/prompts/ivr/welcome.mp3"));
        assert_eq!((json(&set)["name"].as_str(), json(&set)["replaced"].is_null()), (Some("ivr/welcome"), true));
        let first = node.get("/prompts/ivr/welcome.ulaw").await;
        assert!(first.body == fetched(&node, &origin, "speech.mp3", "ulaw").await.body);
        assert_eq!(first.header("cache-control"), "private, max-age=60");
        let content_location = first.header("content-location");
        assert!(node.get(content_location).await.body == first.body);
        let hit = node.get("/prompts/ivr/welcome.ulaw").await;
        assert!(hit.header("cache-status").contains("hit"), "{hit:?}");
        assert!(hit.header("cache-status").contains("detail=memory"), "{hit:?}");
        let head = node.send(node.request(Method::HEAD, "/prompts/ivr/welcome.ulaw")).await;
        for field in ["content-length", "content-type", "etag", "cache-control", "last-modified", "content-location"] {
            assert_eq!(head.header(field), hit.header(field), "{field}");
        }
        assert_eq!(node.get_with("/prompts/ivr/welcome.ulaw", "if-none-match", first.header("etag")).await.status, 304);

        // Another recording takes its place: heard at once, and the old one's address goes on to mean what it meant.
        let replaced = put(&node, "/prompts/ivr/welcome.wav", audio("chirp.aiff")).await;
        assert_eq!(
            (replaced.status, json(&replaced)["replaced"].clone()),
            (StatusCode::OK, json(&set)["content_hash"].clone())
        );
        let second = node.get("/prompts/ivr/welcome.ulaw").await;
        assert!(second.body == fetched(&node, &origin, "chirp.aiff", "ulaw").await.body);
        assert_ne!(second.header("etag"), first.header("etag"));
        assert!(node.get(content_location).await.body == first.body);
        // Back to the first, by the name of its upload.
        let upload = serde_json::json!({ "upload": json(&set)["content_hash"] }).to_string();
        let back = node.request(Method::PUT, "/prompts/ivr/welcome.wav").header("content-type", "application/json");
        assert_eq!(node.send(back.body(upload)).await.status, StatusCode::OK);
        assert!(node.get("/prompts/ivr/welcome.ulaw").await.body == first.body);

        let listed = json(&node.get("/v1/prompts").await);
        assert_eq!(listed, serde_json::json!({ "prompts": ["ivr/welcome"], "next": null }));
        let node = node.restart_with(&origin, durable).await;
        assert!(node.get("/prompts/ivr/welcome.ulaw").await.body == first.body);
        let removed = node.send(node.request(Method::DELETE, "/prompts/ivr/welcome.wav")).await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT);
        assert_eq!(node.get("/prompts/ivr/welcome.ulaw").await.slug(), "not-found");
        assert_eq!(node.send(node.request(Method::DELETE, "/prompts/ivr/welcome.wav")).await.slug(), "not-found");
        node.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_a_prompt_is_refused_and_changes_nothing() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    assert_eq!(put(&node, "/prompts/a.wav", audio("speech.mp3")).await.status, StatusCode::CREATED);
    let before = node.get("/prompts/a.ulaw").await;
    assert_eq!(put(&node, "/prompts/a.wav", b"<html>no audio</html>".to_vec()).await.slug(), "not-audio");
    assert_eq!(put(&node, "/prompts/a.wav", Vec::new()).await.slug(), "bad-request");
    for name in [
        "/prompts/.wav",
        "/prompts/a",
        "/prompts/a..b.wav",
        "/prompts/a%20b.wav",
        "/prompts/a//b.wav",
        "/prompts/x/.b.wav",
    ] {
        assert_eq!(put(&node, name, audio("speech.mp3")).await.slug(), "not-found", "{name}");
        assert_eq!(node.get(name).await.slug(), "not-found", "{name}");
    }
    let given = async |body: &str| {
        let request = node.request(Method::PUT, "/prompts/a.wav").header("content-type", "application/json");
        node.send(request.body(body.to_owned())).await.slug()
    };
    assert_eq!(given("{}").await, "bad-request");
    assert_eq!(given(r#"{"upload":"nonsense"}"#).await, "not-found");
    assert_eq!(given(&format!(r#"{{"upload":"{}"}}"#, "0".repeat(64))).await, "not-found");
    assert_eq!(node.get("/prompts/a.nonsense").await.slug(), "not-acceptable");
    for query in ["limit=0", "limit=x", "after=..", "other=1"] {
        assert_eq!(node.get(&format!("/v1/prompts?{query}")).await.slug(), "bad-request", "{query}");
    }
    assert!(node.get("/prompts/a.ulaw").await.body == before.body);
    node.stop().await;
}
