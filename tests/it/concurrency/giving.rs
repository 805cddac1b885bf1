//! What an account at the top may give by way of limits, and what not: nothing by halves, nothing that holds nothing, not without end, and no key over itself.

use http::{Method, StatusCode};
use ringback::{
    concurrency::{EDITS_MAX, Limit, Resource},
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
    },
};
use serde_json::{Value, json};

use super::{
    key,
    limits::{lines, operate},
    put, until,
};
use crate::{
    accounts::{Credentials, ask, closed_node, operate as operate_accounts, subaccount},
    support::{node::TestNode, process},
};

async fn given(node: &TestNode, who: &Credentials, owner: &str) -> Value {
    let answer = ask(node, who, Method::GET, &format!("/v1/limits/{owner}")).await;
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_limit_that_is_refused_leaves_all_as_it_was() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let sub = subaccount(&node, &top).await;
    let path = format!("/v1/limits/{}/calls", sub.name);
    assert_eq!(put(&node, &top, &path, &json!({"hard": 5, "per_second": 2})).await.0, StatusCode::OK);
    let before = given(&node, &top, &sub.name).await;
    assert_eq!(before["limits"].as_array().map(Vec::len), Some(2), "{before}");
    let entries = async || operate_accounts(&node, &["audit", &sub.name]).await.len();
    let written = entries().await;
    for wrong in [json!({"hard": 1, "per_second": 1_000_001}), json!({"per_second": 1_000_001})] {
        let (status, told) = put(&node, &top, &path, &wrong).await;
        assert_eq!((status, &told["type"]), (StatusCode::BAD_REQUEST, &json!("urn:ringback:problem:bad-request")));
        assert_eq!(given(&node, &top, &sub.name).await, before, "{wrong}");
    }
    let wrong = ["set", &sub.name, "calls", "--hard", "1", "--per-second", "1000001"];
    assert!(!operate(&node, None, &wrong).await.status.success());
    assert_eq!(given(&node, &top, &sub.name).await, before);
    assert_eq!(entries().await, written);
    node.stop().await;
}

#[tokio::test]
async fn a_key_changes_neither_its_own_limits_nor_its_accounts() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let sub = subaccount(&node, &top).await;
    let agent = key(&node, &top, "limits:write limits:read").await;
    let other = key(&node, &top, "media:read").await;
    let path = |owner: &str| format!("/v1/limits/{owner}/uploads");
    for itself in [&agent.name, &top.name] {
        assert_eq!(put(&node, &top, &path(itself), &json!({"hard": 1})).await.0, StatusCode::OK);
        let (status, told) = put(&node, &agent, &path(itself), &json!({"hard": 1000})).await;
        assert_eq!((status, &told["type"]), (StatusCode::FORBIDDEN, &json!("urn:ringback:problem:forbidden")));
        assert_eq!(ask(&node, &agent, Method::DELETE, &path(itself)).await.slug(), "forbidden");
        let told = given(&node, &agent, itself).await;
        assert_eq!(told["limits"][0]["hard"], 1, "it may see it: {told}");
    }
    for others in [&sub.name, &other.name] {
        assert_eq!(put(&node, &agent, &path(others), &json!({"hard": 1})).await.0, StatusCode::OK);
        assert_eq!(ask(&node, &agent, Method::DELETE, &path(others)).await.status, StatusCode::NO_CONTENT);
    }
    for itself in [&agent.name, &top.name] {
        assert_eq!(ask(&node, &top, Method::DELETE, &path(itself)).await.status, StatusCode::NO_CONTENT);
    }
    node.stop().await;
}

#[tokio::test]
async fn what_would_hold_nothing_is_refused_and_says_why() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let of_top = key(&node, &top, "media:read").await;
    for (owner, resource, body, why) in [
        (&of_top.name, "fills", json!({"hard": 1}), "limit its fetches"),
        (&of_top.name, "speech", json!({"hard": 1}), "limit its fetches"),
        (&of_top.name, "calls", json!({"per_second": 1}), "of accounts only"),
        (&top.name, "fetches", json!({"per_second": 1}), "of calls and call-writes only"),
        (&top.name, "destinations", json!({"per_second": 1}), "of calls and call-writes only"),
    ] {
        let (status, told) = put(&node, &top, &format!("/v1/limits/{owner}/{resource}"), &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{resource}: {told}");
        assert!(told["detail"].as_str().unwrap().contains(why), "{told}");
        let said = if body["hard"].is_u64() { "--hard" } else { "--per-second" };
        let refused = operate(&node, None, &["set", owner, resource, said, "1"]).await;
        assert!(!refused.status.success(), "{resource}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(why), "{refused:?}");
    }
    assert!(lines(&operate(&node, None, &["list"]).await).is_empty());
    node.stop().await;
}

#[tokio::test]
async fn who_changes_limits_without_end_has_to_wait() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let path = format!("/v1/limits/{}/uploads", top.name);
    let give = async |hard: u32| {
        let body = json!({"hard": hard}).to_string();
        node.send(node.request(Method::PUT, &path).header("authorization", top.header()).body(body)).await
    };
    let mut made = 0;
    let refused = loop {
        let answer = give(made).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        made += 1;
        assert!(made < 10 * EDITS_MAX);
    };
    assert!(EDITS_MAX <= made, "{made}");
    assert_eq!((refused.status, refused.slug().as_str()), (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"));
    assert!((1..=2).contains(&refused.header("retry-after").parse::<u64>().unwrap()), "{refused:?}");
    // Nothing of it was done, and what changes nothing is let through.
    assert_eq!(given(&node, &top, &top.name).await["limits"][0]["hard"], made - 1);
    assert_eq!(give(made - 1).await.status, StatusCode::OK);
    until("its next turn", async || give(made).await.status == StatusCode::OK).await;
    node.stop().await;
}

#[tokio::test]
async fn a_signing_keys_limit_holds_of_the_paths_that_it_has_signed() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, top) = closed_node(&origin, |config| {
        config.concurrency.limits.account.insert(Resource::Fetches, Limit::hard(7));
    })
    .await;
    let secrets = node.data_dir().join("key");
    let secrets_to = secrets.to_str().unwrap();
    let create = ["keys", "create", &top.name, "--signing", "--scopes", "media:read", "--secrets-to", secrets_to];
    let made = operate_accounts(&node, &create).await;
    let name = made[0]["sid"].as_str().unwrap();
    let mut command = process::command();
    command.arg("sign").arg(origin.url("/a.wav")).arg("--account-key").arg(&secrets);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let signed = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let path = format!("/v1/limits/{name}/fetches");
    assert_eq!(put(&node, &top, &path, &json!({"hard": 0})).await.0, StatusCode::OK);
    let refused = node.get(&signed).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(text.contains("0 fetches of this key are in progress, and 0 may be"), "{text}");
    assert!(origin.seen().is_empty());
    // By its account's token it is the account's alone.
    assert_eq!(ask(&node, &top, Method::DELETE, &path).await.status, StatusCode::NO_CONTENT);
    let heard = node.get(&signed).await;
    assert_eq!((heard.status, heard.header("concurrent-requests-limit")), (StatusCode::OK, "7"), "{heard:?}");
    node.stop().await;
}
