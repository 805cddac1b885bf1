//! What callers are told, in each of the APIs, and what was not done that was refused.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::{
    concurrency::{Limit, Policy, Resource},
    config::Config,
    testing::{fixture, origin::Origin},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{assert_refused, idle, limit_of_accounts, send, usage};
use crate::{
    accounts::{ask, closed_node, post},
    support::node::TestNode,
};

fn limited(resource: Resource, limit: Limit) -> impl FnOnce(&mut Config) {
    move |config| limit_of_accounts(config, resource, limit)
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
