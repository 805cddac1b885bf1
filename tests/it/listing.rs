//! `GET /v1/media`: what there is, page by page.

use std::collections::BTreeSet;

use ringback::testing::{fixture, origin::Origin};
use serde_json::{Value, json};

use crate::support::node::TestNode;

async fn list(node: &TestNode, query: &str) -> Value {
    let answer = node.get(&format!("/v1/media{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?} {}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}

fn ids(page: &Value) -> Vec<String> {
    page["media"].as_array().unwrap().iter().map(|media| media["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_together_are_all_that_there_is() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let node = TestNode::start(&origin).await;
    assert_eq!(list(&node, "").await, json!({ "media": [], "next": null }));
    let mut made = BTreeSet::new();
    for source in ["/speech.wav", "/speech.mp3", "/speech.flac"] {
        for format in ["ulaw", "alaw", "opus"] {
            let answer = node.post(&json!({ "source": { "url": origin.url(source) }, "format": format })).await;
            let told: Value = serde_json::from_slice(&answer.body).unwrap();
            made.insert(told["id"].as_str().unwrap().to_owned());
        }
    }
    for limit in [1, 2, 4, 9, 10] {
        let (mut found, mut after, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = list(&node, &format!("?limit={limit}{after}")).await;
            assert!(ids(&page).len() <= limit);
            found.extend(ids(&page));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert!(found.is_sorted() && found.iter().cloned().collect::<BTreeSet<_>>() == made, "{found:?}");
        assert_eq!((found.len(), pages), (9, 9 / limit + 1));
    }
    // One that is as full as it may be says that there may be more, and then there is no more.
    let all = list(&node, "").await;
    assert_eq!(all["next"], Value::Null);
    let (first, id) = (&all["media"][0], ids(&all)[0].clone());
    let described = node.get(&format!("/v1/media/{id}")).await;
    assert_eq!(*first, serde_json::from_slice::<Value>(&described.body).unwrap(), "an artifact is told alike");

    for wrong in ["?limit=0", "?limit=x", "?after=x", "?tag=x", "?source=x"] {
        assert_eq!(node.get(&format!("/v1/media{wrong}")).await.slug(), "bad-request", "{wrong}");
    }
}

#[tokio::test]
async fn a_source_is_told_with_what_was_made_of_it() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let node = TestNode::start(&origin).await;
    let source = origin.url("/speech.wav");
    let query = format!("?source={source}");
    assert_eq!(list(&node, &query).await, json!({ "media": [], "next": null }), "nothing is known of it");
    for (url, format) in [("/speech.wav", "ulaw"), ("/speech.wav", "opus"), ("/speech.mp3", "ulaw")] {
        let made = node.post(&json!({ "source": { "url": origin.url(url) }, "format": format, "tags": ["a"] })).await;
        assert_eq!(made.status, 201);
    }
    let known = list(&node, &query).await;
    assert_eq!(known["media"].as_array().unwrap().len(), 2);
    let told = &known["source"];
    assert_eq!((&told["url"], &told["fresh"]), (&source.clone().into(), &true.into()));
    assert!((50..=60).contains(&told["ttl"].as_i64().unwrap()), "{told}");
    let length = fixture::audio("speech.wav").unwrap().len();
    assert_eq!((&told["bytes"], &told["tags"]), (&length.into(), &json!(["a"])));
    assert!(told["etag"].is_string() && told["checked_at"].as_str().unwrap().ends_with('Z'));
    let media = &known["media"][0];
    assert_eq!((&media["tiers"], &media["content_hash"]), (&json!(["memory"]), &told["content_hash"]));

    let purged = node.request(http::Method::POST, "/v1/media/purge").body(json!({ "url": source }).to_string());
    assert_eq!(node.send(purged).await.status, 200);
    assert_eq!(list(&node, &query).await, json!({ "media": [], "next": null }), "what is purged counts as absent");
    let all = list(&node, "").await;
    let purged = all["media"].as_array().unwrap().iter().filter(|media| media["purged"] == true);
    assert_eq!(purged.map(|media| media["tiers"].clone()).collect::<Vec<_>>(), [json!([]), json!([])]);
    let after = "f".repeat(64);
    assert_eq!(ids(&list(&node, &format!("?after={after}")).await), Vec::<String>::new());
}

#[tokio::test]
async fn what_there_is_outlives_a_restart_and_is_for_those_who_may() {
    let origin = Origin::serve_dir(fixture::audio_dir()).await.unwrap();
    let node = TestNode::start(&origin).await;
    node.post(&json!({ "source": { "url": origin.url("/speech.wav") }, "format": "ulaw" })).await;
    let before = ids(&list(&node, "").await);
    let node = node.restart(&origin).await;
    let after = list(&node, "").await;
    assert_eq!((ids(&after), &after["media"][0]["tiers"]), (before, &json!(["disk"])));
    let node = node.restart_with(&origin, |config| config.http.anonymous = ringback::api::Anonymous::Read).await;
    assert_eq!(node.get("/v1/media").await.slug(), "unauthorized");
}
