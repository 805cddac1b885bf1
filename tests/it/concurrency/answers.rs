//! What callers are told, in each of the APIs, and what was not done that was refused.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::{
    concurrency::{Limit, Policy, Resource},
    config::Config,
    testing::{fixture, origin::Origin},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Sources, assert_refused, idle, limit_of_accounts, send, until, usage};
use crate::{
    accounts::{ask, closed_node, post},
    support::node::{Answer, TestNode},
};

fn limited(resource: Resource, limit: Limit) -> impl FnOnce(&mut Config) {
    move |config| limit_of_accounts(config, resource, limit)
}

/// What the body of a refusal says by a limit of an account that is 0.
fn account_is_full(resource: &str) -> Value {
    json!({ "level": "account", "resource": resource, "limit": 0, "current": 0, "why": "full" })
}

fn reached(refused: &Answer) -> Value {
    serde_json::from_slice(&refused.body).unwrap()
}

#[tokio::test]
async fn what_was_refused_is_not_there() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, limited(Resource::Uploads, Limit::hard(0))).await;
    let body = fixture::audio("speech.wav").unwrap();
    let hash: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    for (path, method) in [("/v1/media/uploads", Method::PUT), ("/prompts/welcome.wav", Method::PUT)] {
        let refused = send(&node, method, path, body.clone()).await;
        assert_refused(&refused);
        assert_eq!(refused.header("concurrent-requests-resource"), "uploads");
        assert_eq!((refused.header("concurrent-requests"), refused.header("concurrent-requests-limit")), ("0", "0"));
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(text.contains("0 uploads of this account are in progress, and 0 may be"), "{text}");
        assert_eq!(reached(&refused)["limit_reached"], account_is_full("uploads"));
    }
    assert_eq!(node.get(&format!("/v1/media/uploads/{hash}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(node.get("/prompts/welcome.wav").await.status, StatusCode::NOT_FOUND);
    let prompts: Value = serde_json::from_slice(&node.get("/v1/prompts").await.body).unwrap();
    assert_eq!(prompts["prompts"].as_array().map(Vec::len), Some(0), "{prompts}");
    node.stop().await;
}

#[tokio::test]
async fn an_answer_tells_what_is_in_progress_and_how_long_it_took() {
    let origin = Origin::start().await.unwrap();
    let limit = Limit { soft: Some(1), ..Limit::hard(3) };
    let node = TestNode::start_with(&origin, limited(Resource::MediaReads, limit)).await;
    let answer = node.get("/v1/media").await;
    assert_eq!(answer.status, StatusCode::OK);
    let fields =
        ["", "-limit", "-soft-limit", "-resource"].map(|name| answer.header(&format!("concurrent-requests{name}")));
    assert_eq!(fields, ["1", "3", "1", "media-reads"]);
    assert!(answer.header("server-timing").starts_with("total;dur="), "{answer:?}");
    assert_eq!(answer.header("x-request-id").len(), 32);
    // What has no limit tells how many there are.
    let unlimited = node.get("/v1/prompts/none").await;
    assert_eq!(unlimited.header("concurrent-requests-limit"), "");
    idle(&node, Resource::MediaReads).await;
    node.stop().await;
}

#[tokio::test]
async fn audio_that_had_to_be_made_tells_of_its_place_and_audio_that_was_there_does_not() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| {
        limit_of_accounts(config, Resource::Fetches, Limit { soft: Some(2), ..Limit::hard(2) });
    })
    .await;
    let sources = Sources::new(&origin, "told", 2);
    let address = sources.address(0);
    let told = |answer: &Answer| {
        ["", "-limit", "-soft-limit", "-resource"]
            .map(|name| answer.header(&format!("concurrent-requests{name}")).to_owned())
    };
    let story = async {
        sources.gate.arrived(1).await;
        let refused = async {
            until("both", async || usage(&node, Resource::Fetches).await["current"] == 2).await;
            let refused = node.get(&sources.address(1)).await;
            sources.gate.open();
            refused
        };
        // Who joins what is being made has a place of its own.
        tokio::join!(node.get(&address), refused)
    };
    let (first, (second, refused)) = tokio::join!(node.get(&address), story);
    assert_eq!(told(&first), ["1", "2", "", "fetches"], "{first:?}");
    assert_eq!(told(&second), ["2", "2", "2", "fetches"], "{second:?}");
    assert!(second.header("server-timing").contains("total;dur="));
    assert_refused(&refused);
    assert_eq!(told(&refused), ["2", "2", "", "fetches"], "{refused:?}");
    assert!(refused.header("server-timing").starts_with("total;dur="), "{refused:?}");
    let expected = json!({ "level": "account", "resource": "fetches", "limit": 2, "current": 2, "why": "full" });
    assert_eq!(reached(&refused)["limit_reached"], expected);
    let hit = node.get(&address).await;
    assert_eq!(told(&hit), ["", "", "", ""], "{hit:?}");
    assert_eq!(hit.header("server-timing"), "");
    node.stop().await;
}

#[tokio::test]
async fn a_request_whose_audio_is_refused_tells_of_that_and_not_of_itself() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, limited(Resource::Fills, Limit::hard(0))).await;
    let sources = Sources::new(&origin, "refused", 1);
    let body = json!({ "source": { "url": origin.url(&sources.path(0)) }, "format": "ulaw" });
    let refused = node.post(&body).await;
    assert_refused(&refused);
    assert_eq!(refused.header("concurrent-requests-resource"), "fills");
    assert_eq!(reached(&refused)["limit_reached"], account_is_full("fills"));
    assert_eq!(sources.asked(), 0);
    node.stop().await;
}

#[tokio::test]
async fn every_answer_of_the_api_tells_how_long_it_took_and_under_which_name() {
    let origin = Origin::start().await.unwrap();
    let (node, first) = closed_node(&origin, |_| {}).await;
    let account = format!("/2010-04-01/Accounts/{}.json", first.name);
    for (path, status) in [("/v1/media", 200), ("/v1/none", 404), (account.as_str(), 200), ("/2010-04-01/none", 404)] {
        let answer = ask(&node, &first, Method::GET, path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(answer.header("server-timing").starts_with("total;dur="), "{path}: {answer:?}");
        assert_eq!(answer.header("x-request-id").len(), 32, "{path}");
        assert_eq!(answer.headers.contains_key("concurrent-requests"), status == 200, "{path}: {answer:?}");
    }
    let stranger = node.get("/v1/media").await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert!(stranger.header("server-timing").starts_with("total;dur="), "{stranger:?}");
    node.stop().await;
}

#[tokio::test]
async fn who_waited_for_a_place_finds_what_was_made_meanwhile() {
    let origin = Origin::start().await.unwrap();
    let delay = Policy::Delay { wait_max: Duration::from_secs(60), waiting_max: 10 };
    let node = TestNode::start_with(&origin, limited(Resource::Fetches, Limit::hard(1).with(delay))).await;
    let sources = Sources::new(&origin, "meanwhile", 1);
    let address = sources.address(0);
    let story = async {
        sources.gate.arrived(1).await;
        let open = async {
            until("who waits", async || usage(&node, Resource::Fetches).await["waiting"] == 1).await;
            sources.gate.open();
        };
        tokio::join!(node.get(&address), open).0
    };
    let (made, found) = tokio::join!(node.get(&address), story);
    assert!(made.header("cache-status").contains("fwd=miss; stored"), "{made:?}");
    assert!(found.header("cache-status").starts_with("ringback; hit"), "{found:?}");
    assert!(found.body == made.body);
    assert_eq!(sources.asked(), 1);
    idle(&node, Resource::Fetches).await;
    node.stop().await;
}

#[tokio::test]
async fn the_document_says_what_is_told_of_limits() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start(&origin).await;
    let document = node.get("/docs/openapi.json").await;
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    let schemas = &document["components"]["schemas"];
    for (body, member) in [("Problem", "limit_reached"), ("ErrorBody", "details"), ("OAuthError", "limit_reached")] {
        assert!(schemas[body]["properties"][member].to_string().contains("LimitReached"), "{body}: {}", schemas[body]);
    }
    for member in ["level", "resource", "limit", "current", "why"] {
        assert!(schemas["LimitReached"]["properties"][member].is_object(), "{member}");
    }
    let is_required =
        |operation: &Value, name: &str| operation["responses"]["200"]["headers"][name]["required"].clone();
    let paths = &document["paths"];
    for name in ["Concurrent-Requests", "Concurrent-Requests-Resource", "Server-Timing", "X-Request-Id"] {
        assert_eq!(is_required(&paths["/v1/media"]["get"], name), true, "{name}");
        let of_audio = is_required(&paths["/media/{artifact}.{extension}"]["get"], name);
        assert_eq!(of_audio, name == "X-Request-Id", "{name}");
    }
    assert_eq!(is_required(&paths["/v1/media"]["get"], "Concurrent-Requests-Limit"), false);
    node.stop().await;
}

#[tokio::test]
async fn the_ecosystems_api_has_its_own_number_for_it() {
    let origin = Origin::start().await.unwrap();
    let (node, first) = closed_node(&origin, limited(Resource::Accounts, Limit::hard(0))).await;
    let (status, refused) = post(&node, &first, "/2010-04-01/Accounts.json", &[("FriendlyName", "x")]).await;
    assert_eq!(
        (status, &refused["code"], &refused["status"]),
        (StatusCode::TOO_MANY_REQUESTS, &20429.into(), &429.into())
    );
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("0 accounts of this account are in progress, and 0 may be"), "{message}");
    assert_eq!(refused["details"], account_is_full("accounts"));
    // Other work is not concerned.
    let path = format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers.json", first.name);
    let numbers = ask(&node, &first, Method::GET, &path).await;
    assert_eq!((numbers.status, numbers.header("concurrent-requests")), (StatusCode::OK, "1"));
    node.stop().await;
}

#[tokio::test]
async fn a_limit_may_slow_or_only_count() {
    let origin = Origin::start().await.unwrap();
    let slowed_by = Duration::from_millis(300);
    let node = TestNode::start_with(&origin, |config| {
        let throttle = Policy::Throttle { slowed_by, beyond: 1 };
        limit_of_accounts(config, Resource::MediaReads, Limit::hard(0).with(throttle));
        limit_of_accounts(config, Resource::MediaWrites, Limit::hard(0).with(Policy::DryRun));
    })
    .await;
    let began = node.node.clock.now();
    assert_eq!(node.get("/v1/media").await.status, StatusCode::OK);
    assert!(slowed_by <= node.node.clock.now() - began);
    let purged = send(&node, Method::POST, "/v1/media/purge", r#"{"all":true}"#).await;
    assert!(purged.status.is_success(), "{purged:?}");
    assert_eq!(usage(&node, Resource::MediaReads).await["impeded"]["throttled"], 1);
    assert_eq!(usage(&node, Resource::MediaWrites).await["impeded"]["dry_run"], 1);
    node.stop().await;
}
