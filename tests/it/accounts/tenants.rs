//! Two tenants beside one another (`spec/trust.md` §2): what they share nobody can tell, and what one deletes the other keeps.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use ringback::{
    media::cache::durable::StoreKind,
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};
use serde_json::Value;

use super::{Credentials, ask, closed_node, subaccount};
use crate::support::node::{Answer, TestNode, fetch_path, metrics};

async fn tell(node: &TestNode, who: &Credentials, method: Method, path: &str, body: Vec<u8>) -> Answer {
    node.send(node.request(method, path).header("authorization", who.header()).body(body)).await
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// What an answer says, but for what differs between any two.
fn said(answer: &Answer) -> (StatusCode, Vec<(String, String)>, Vec<u8>) {
    let is_of_any = |name: &str| matches!(name, "date" | "x-request-id" | "server-timing");
    let headers = answer.headers.iter().filter(|(name, _)| !is_of_any(name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, headers.collect(), answer.body.clone())
}

#[tokio::test]
async fn what_two_tenants_have_alike_is_kept_once_and_neither_can_tell() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, one) = closed_node(&origin, |_| {}).await;
    let other = subaccount(&node, &one).await;
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");

    let first = ask(&node, &one, Method::GET, &fetch).await;
    let second = ask(&node, &other, Method::GET, &fetch).await;
    assert_eq!((first.status, &first.body), (StatusCode::OK, &second.body));
    // The same bytes have the same name, and each tenant's first use of them is a miss.
    assert_eq!(first.header("content-location"), second.header("content-location"));
    let missed = |answer: &Answer| answer.header("cache-status").contains("fwd=");
    assert!(missed(&first) && missed(&second), "{second:?}");
    assert!(ask(&node, &other, Method::GET, &fetch).await.header("cache-status").contains("; hit"));
    let address = url::Url::parse(first.header("content-location")).map(|url| url.path().to_owned());
    let address = address.unwrap_or_else(|_| first.header("content-location").to_owned());
    let id = address.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();

    // One deletes it, the other still has it.
    let about = format!("/v1/media/{id}");
    assert_eq!(ask(&node, &one, Method::DELETE, &about).await.status, StatusCode::NO_CONTENT);
    let gone = ask(&node, &one, Method::GET, &address).await;
    let never = ask(&node, &one, Method::GET, &address.replace(&id, &"0".repeat(64))).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!(said(&gone), said(&never));
    let about_gone = ask(&node, &one, Method::GET, &about).await;
    assert_eq!(said(&about_gone), said(&ask(&node, &one, Method::GET, &about.replace(&id, &"0".repeat(64))).await));
    assert_eq!(ask(&node, &other, Method::GET, &address).await.body, first.body);
    assert_eq!(ask(&node, &other, Method::GET, &about).await.status, StatusCode::OK);
    let listed = |answer: Answer| json(&answer)["media"].as_array().unwrap().len();
    assert_eq!(listed(ask(&node, &one, Method::GET, "/v1/media").await), 0);
    assert_eq!(listed(ask(&node, &other, Method::GET, "/v1/media").await), 1);
    node.stop().await;
}

#[tokio::test]
async fn uploads_and_prompts_of_one_tenant_are_unknown_to_the_other() {
    let origin = Origin::start().await.unwrap();
    let (node, one) = closed_node(&origin, |_| {}).await;
    let other = subaccount(&node, &one).await;
    let audio = fixture::audio("speech.wav").unwrap().to_vec();
    let upload = async |who: &Credentials| {
        let put = tell(&node, who, Method::PUT, "/v1/media/uploads", audio.clone()).await;
        assert!(put.status.is_success(), "{put:?}");
        let hash = json(&put)["content_hash"].as_str().unwrap().to_owned();
        let wanted = serde_json::json!({ "source": { "upload": hash }, "format": "ulaw" }).to_string().into_bytes();
        let made = tell(&node, who, Method::POST, "/v1/media", wanted).await;
        assert!(made.status.is_success(), "{made:?} {}", String::from_utf8_lossy(&made.body));
        (put.status, hash, json(&made)["url"].as_str().unwrap().to_owned())
    };
    let (first_status, hash, first) = upload(&one).await;
    let (second_status, same, second) = upload(&other).await;
    // The second is told as the first was: that somebody has the same is nobody's business.
    assert_eq!((first_status, &hash), (second_status, &same));
    assert_ne!(first, second, "names of private audio are salted");
    let path = |url: &str| url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.path().to_owned());
    let (first, second) = (path(&first), path(&second));
    // The address is the credential, and says whose it is.
    assert_eq!(node.get(&first).await.body, node.get(&second).await.body);
    assert_eq!(node.get(&first).await.header("cache-control"), "private, max-age=60");
    // Another's capability before one's own artifact opens nothing.
    let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (of_one, of_other) = (parts(&first), parts(&second));
    let mixed = format!("/media/{}/{}", of_one[2], of_other[3]);
    assert_eq!(node.get(&mixed).await.status, StatusCode::UNAUTHORIZED);
    let mixed = ask(&node, &one, Method::GET, &mixed).await;
    let unknown = format!("/media/{}/{}.ulaw", of_one[2], "0".repeat(64));
    assert_eq!(said(&mixed), said(&ask(&node, &one, Method::GET, &unknown).await));

    // What one has put, the other has not.
    let name = "/prompts/welcome.ulaw";
    assert!(tell(&node, &one, Method::PUT, "/prompts/welcome.wav", audio.clone()).await.status.is_success());
    assert_eq!(ask(&node, &one, Method::GET, name).await.status, StatusCode::OK);
    let missing = ask(&node, &other, Method::GET, name).await;
    assert_eq!(said(&missing), said(&ask(&node, &other, Method::GET, "/prompts/welcomf.ulaw").await));
    assert_eq!(missing.status, StatusCode::NOT_FOUND);

    // One removes its upload, the other still plays.
    let upload = format!("/v1/media/uploads/{hash}");
    ask(&node, &one, Method::DELETE, "/prompts/welcome.wav").await;
    assert_eq!(ask(&node, &one, Method::DELETE, &upload).await.status, StatusCode::NO_CONTENT);
    assert_eq!(node.get(&second).await.status, StatusCode::OK);
    assert_eq!(ask(&node, &other, Method::GET, &upload).await.status, StatusCode::OK);
    node.stop().await;
}

/// How often each part of the node was asked for something: tiers, the catalogue, the store behind all, the store of accounts.
fn lookups() -> BTreeMap<String, u64> {
    let counted = [
        "ringback_media_cache_hits_total",
        "ringback_media_cache_misses_total",
        "ringback_media_cache_catalogue_lookups_total",
        "ringback_media_durable_requests_total",
        "ringback_media_problems_total",
        "ringback_accounts_callers_total",
    ];
    let text = metrics().render();
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    // Lists and writes are of the node's own, whatever is asked.
    let is_of_the_node = |name: &str| name.contains("op=\"list\"") || name.contains("op=\"put\"");
    let lines = lines.filter(|(name, _)| counted.iter().any(|one| name.starts_with(one)) && !is_of_the_node(name));
    lines.map(|(name, count)| (name.to_owned(), count.parse().unwrap())).collect()
}

/// What one request costs: how often more each was asked.
async fn cost(node: &TestNode, who: &Credentials, method: Method, path: &str) -> BTreeMap<String, u64> {
    let before = lookups();
    let answer = ask(node, who, method, path).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer:?}");
    let mut after = lookups();
    for (name, count) in &mut after {
        *count -= before.get(name).copied().unwrap_or_default();
    }
    after.retain(|_, count| *count > 0);
    after
}

#[tokio::test]
async fn what_is_anothers_takes_the_look_ups_that_what_is_nobodys_takes() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let durable = tempfile::tempdir().unwrap();
    let (node, one) = closed_node(&origin, |config| {
        config.media.cache.durable.store = StoreKind::Directory;
        config.media.cache.durable.directory = Some(durable.path().to_owned());
    })
    .await;
    let other = subaccount(&node, &one).await;
    let audio = fixture::audio("speech.wav").unwrap().to_vec();
    // What another has: fetched audio, an upload, a prompt, and private audio made of it.
    let fetched = ask(&node, &other, Method::GET, &fetch_path(&origin.url("/a.wav"), "ulaw")).await;
    let path = |url: &str| url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.path().to_owned());
    let address = path(fetched.header("content-location"));
    let put = tell(&node, &other, Method::PUT, "/prompts/welcome.wav", audio).await;
    assert!(put.status.is_success(), "{put:?}");
    let hash = json(&put)["content_hash"].as_str().unwrap().to_owned();
    let played = ask(&node, &other, Method::GET, "/prompts/welcome.ulaw").await;
    let private = path(played.header("content-location"));
    let private = private.rsplit('/').next().unwrap().to_owned();
    node.settled().await;
    // So that all of it is in the store, and nothing of its writing is counted below.
    while pending() > 0 {
        tokio::task::yield_now().await;
    }

    let id = address.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();
    let nobodys = ["1", "2", "3", "4", "5", "6", "7", "8"].map(|digit| digit.repeat(64));
    let mut asked = [
        (Method::GET, format!("/media/{id}.ulaw"), format!("/media/{}.ulaw", nobodys[0])),
        (Method::HEAD, format!("/media/{id}.ulaw"), format!("/media/{}.ulaw", nobodys[1])),
        (Method::GET, format!("/v1/media/{id}"), format!("/v1/media/{}", nobodys[2])),
        (Method::DELETE, format!("/v1/media/{id}"), format!("/v1/media/{}", nobodys[3])),
        (Method::GET, format!("/media/{private}"), format!("/media/{}.ulaw", nobodys[4])),
        (Method::GET, format!("/v1/media/uploads/{hash}"), format!("/v1/media/uploads/{}", nobodys[5])),
        (Method::DELETE, format!("/v1/media/uploads/{hash}"), format!("/v1/media/uploads/{}", nobodys[6])),
        (Method::GET, "/prompts/welcome.ulaw".to_owned(), "/prompts/welcomf.ulaw".to_owned()),
    ];
    // The first look at anything of a tenant may bring in what the next ones find.
    for (method, _, unknown) in &asked {
        cost(
            &node,
            &one,
            method.clone(),
            &unknown.replace(['1', '2', '3', '4', '5', '6', '7'], "9").replace("comf", "come2"),
        )
        .await;
    }
    asked.reverse();
    for (method, foreign, unknown) in asked {
        let of_foreign = cost(&node, &one, method.clone(), &foreign).await;
        let of_unknown = cost(&node, &one, method.clone(), &unknown).await;
        assert_eq!(of_foreign, of_unknown, "{method} {foreign}");
        assert!(!of_foreign.is_empty(), "{method} {foreign}: nothing is counted");
        let again = cost(&node, &one, method.clone(), &foreign).await;
        assert_eq!(again, cost(&node, &one, method.clone(), &unknown).await, "{method} {foreign}, again");
    }
    // None of it was said where an account can look.
    assert_eq!(ask(&node, &one, Method::GET, "/metrics").await.status, StatusCode::NOT_FOUND);
    assert!(ask(&node, &other, Method::GET, &address).await.body == fetched.body);
    node.stop().await;
}

/// Changes that the durable store has not been told yet.
fn pending() -> u64 {
    let text = metrics().render();
    let line = text.lines().find(|line| line.starts_with("ringback_media_durable_pending ")).unwrap_or("x 0");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
