//! The main path over HTTP: miss, hit, persistent address, conditions, ranges, problems.

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};

use crate::support::node::{TestNode, fetch_path};

async fn speech() -> (Origin, TestNode, String) {
    let origin = Origin::start().await.unwrap();
    let reply = Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap()));
    origin.set("/speech.wav", reply.etag("\"v1\"").header("cache-control", "max-age=60"));
    let node = TestNode::start(&origin).await;
    let path = fetch_path(&origin.url("/speech.wav"), "ulaw");
    (origin, node, path)
}

#[tokio::test]
async fn a_miss_becomes_a_hit_under_an_address_that_lasts() {
    let (origin, node, path) = speech().await;
    let miss = node.get(&path).await;
    assert_eq!(miss.status, StatusCode::OK);
    assert_eq!(miss.header("content-type"), "audio/PCMU");
    assert_eq!(miss.header("cache-status"), "ringback; fwd=miss; stored; detail=origin");
    assert!(miss.header("server-timing").starts_with("origin;dur="), "{miss:?}");
    let hit = node.get(&path).await;
    assert!(hit.header("cache-status").starts_with("ringback; hit; ttl="), "{hit:?}");
    assert!(hit.header("cache-status").ends_with("; detail=memory"), "{hit:?}");
    assert_eq!(hit.body, miss.body);
    let address = hit.header("content-location").to_owned();
    assert_eq!(miss.header("content-location"), address);
    let media = node.get(&address).await;
    assert_eq!(media.body, miss.body);
    assert_eq!(media.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(media.header("etag"), hit.header("etag"));
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 1);

    let node = node.restart(&origin).await;
    let after = node.get(&path).await;
    assert!(after.header("cache-status").ends_with("; detail=disk"), "{after:?}");
    assert_eq!(after.body, miss.body);
    assert_eq!(after.header("content-location"), address);
    assert_eq!(node.get(&address).await.body, miss.body);
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 1);
}

#[tokio::test]
async fn head_answers_what_get_would() {
    let (_origin, node, path) = speech().await;
    let head = node.send(node.request(Method::HEAD, &path)).await;
    let get = node.get(&path).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.body, b"");
    for name in ["content-type", "etag", "content-length", "last-modified", "repr-digest", "content-location"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
        assert_ne!(get.header(name), "", "{name}");
    }
}

#[tokio::test]
async fn any_cut_into_ranges_gives_the_whole() {
    let (_origin, node, path) = speech().await;
    // The first range is asked of a cold cache: it waits for the fill.
    let mut whole = Vec::new();
    let mut start = 0;
    for length in [1, 999, 7_000, 1, 1_000_000] {
        let last = start + length - 1;
        let part = node.get_with(&path, "range", &format!("bytes={start}-{last}")).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{part:?}");
        start += part.body.len();
        whole.extend(part.body);
    }
    let get = node.get(&path).await;
    assert_eq!(whole, get.body);
    let length = get.body.len();
    let beyond = node.get_with(&path, "range", &format!("bytes={length}-")).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), format!("bytes */{length}"));
    assert_eq!(beyond.slug(), "range-not-satisfiable");
}

#[tokio::test]
async fn conditions_are_answered_by_304_and_etag_wins() {
    let (_origin, node, path) = speech().await;
    let get = node.get(&path).await;
    let same = node.get_with(&path, "if-none-match", get.header("etag")).await;
    assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0));
    for name in ["etag", "cache-control", "content-location", "last-modified"] {
        assert_ne!(same.header(name), "", "{name}");
    }
    let since = node.get_with(&path, "if-modified-since", get.header("last-modified")).await;
    assert_eq!(since.status, StatusCode::NOT_MODIFIED);
    let request = node.request(Method::GET, &path).header("if-none-match", "\"other\"");
    let other = node.send(request.header("if-modified-since", get.header("last-modified"))).await;
    assert_eq!(other.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stale_source_is_asked_again_and_an_unchanged_one_costs_no_transcoding() {
    let (origin, node, path) = speech().await;
    let first = node.get(&path).await;
    node.node.clock.advance_wall(std::time::Duration::from_secs(61));
    let again = node.get(&path).await;
    assert!(again.header("cache-status").starts_with("ringback; fwd=stale; fwd-status=304"), "{again:?}");
    assert_eq!(again.body, first.body);
    let seen = origin.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].headers.get("if-none-match").unwrap(), "\"v1\"");
}

#[tokio::test]
async fn a_second_format_needs_no_second_download() {
    let (origin, node, path) = speech().await;
    node.get(&path).await;
    let wav = node.get(&fetch_path(&origin.url("/speech.wav"), "wav")).await;
    assert_eq!(wav.header("cache-status"), "ringback; fwd=miss; stored; detail=kept");
    assert_eq!(wav.header("content-type"), "audio/wav");
    let sln = node.get(&fetch_path(&origin.url("/speech.wav"), "sln")).await;
    assert_eq!(wav.body[44..], sln.body);
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 1);
}

#[tokio::test]
async fn the_api_makes_describes_and_drops_artifacts() {
    let (origin, node, path) = speech().await;
    let body = serde_json::json!({ "source": { "url": origin.url("/speech.wav") }, "format": "ulaw", "tags": ["ivr"] });
    let made = node.send(node.request(Method::POST, "/v1/media").body(body.to_string())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(made["cache"], "miss");
    let again = node.send(node.request(Method::POST, "/v1/media").body(body.to_string())).await;
    assert_eq!(again.status, StatusCode::OK);

    let (id, url) = (made["id"].as_str().unwrap(), made["url"].as_str().unwrap());
    let media = node.get(url).await;
    assert_eq!(media.body.len() as u64, made["bytes"].as_u64().unwrap());
    assert_eq!(media.body, node.get(&path).await.body);
    let described = node.get(&format!("/v1/media/{id}")).await;
    let described: serde_json::Value = serde_json::from_slice(&described.body).unwrap();
    assert_eq!(described["tiers"], serde_json::json!(["memory"]));
    assert_eq!(described["tags"], serde_json::json!(["ivr"]));

    let dropped = node.send(node.request(Method::DELETE, &format!("/v1/media/{id}"))).await;
    assert_eq!(dropped.status, StatusCode::NO_CONTENT);
    assert_eq!(node.get(url).await.slug(), "not-found");
    assert_eq!(node.get(&format!("/v1/media/{id}")).await.slug(), "not-found");
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 1);
    let refilled = node.get(&path).await;
    assert_eq!(refilled.body, media.body);
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 2);
}

#[tokio::test]
async fn a_fill_that_nobody_waits_for_can_be_asked_for() {
    let (origin, node, _) = speech().await;
    let body = serde_json::json!({ "source": { "url": origin.url("/speech.wav") }, "format": "alaw", "wait": false });
    let accepted = node.send(node.request(Method::POST, "/v1/media").body(body.to_string())).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
    let fill = accepted.header("location").to_owned();
    // A waiting request joins the same fill; when it is answered the other is done as well or about to be.
    node.get(&fetch_path(&origin.url("/speech.wav"), "alaw")).await;
    let mut state = serde_json::Value::Null;
    for _ in 0..1_000 {
        state = serde_json::from_slice(&node.get(&fill).await.body).unwrap();
        if state["status"] != "running" {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(state["status"], "done", "{state}");
    assert_eq!(node.get(state["media"]["url"].as_str().unwrap()).await.status, StatusCode::OK);
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 1);
}

#[tokio::test]
async fn what_cannot_be_answered_is_a_problem_of_its_own_kind() {
    let (origin, node, path) = speech().await;
    let id = node.get(&path).await.header("content-location").rsplit_once('.').unwrap().0.to_owned();
    let source = origin.url("/speech.wav");
    let unknown = format!("/media/{}.ulaw", "0".repeat(64));
    let cases = [
        (format!("{id}.alaw"), 404, "wrong-extension"),
        (format!("{id}.mp3"), 406, "not-acceptable"),
        (unknown, 404, "not-found"),
        ("/media/nonsense.ulaw".to_owned(), 404, "not-found"),
        (fetch_path(&source, "mp3"), 406, "not-acceptable"),
        ("/fetch/_/-/plain/ftp%3A%2F%2Fexample.net%2Fa.mp3.ulaw".to_owned(), 403, "source-forbidden"),
        ("/fetch/_/rate:1/plain/http%3A%2F%2Fexample.net%2Fa.mp3.wav".to_owned(), 400, "bad-request"),
        (path.replacen("/_/", "/AbCd/", 1), 403, "signature-invalid"),
        ("/nothing".to_owned(), 404, "not-found"),
        ("/v1/nothing".to_owned(), 404, "not-found"),
    ];
    for (path, status, slug) in cases {
        let answer = node.get(&path).await;
        assert_eq!((answer.status.as_u16(), answer.slug().as_str()), (status, slug), "{path}");
    }
    let post = node.send(node.request(Method::POST, &path)).await;
    assert_eq!((post.status.as_u16(), post.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn no_store_keeps_nothing_and_only_if_cached_fetches_nothing() {
    let (origin, node, path) = speech().await;
    assert_eq!(node.get_with(&path, "cache-control", "only-if-cached").await.slug(), "not-cached");
    assert_eq!(origin.seen().len(), 0);
    let once = node.get_with(&path, "cache-control", "no-store").await;
    assert_eq!(once.status, StatusCode::OK);
    assert_eq!((once.header("content-location"), once.header("cache-control")), ("", "no-store"));
    assert_eq!(node.get_with(&path, "cache-control", "only-if-cached").await.slug(), "not-cached");
    node.get(&path).await;
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 2);
    node.get_with(&path, "cache-control", "no-cache").await;
    assert_eq!(origin.count(&Method::GET, "/speech.wav"), 3);
}
