//! Limits that an account at the top gives itself, its subaccounts and their keys: beside the operator's, on all nodes, and on record.

use http::{Method, StatusCode};
use ringback::{
    concurrency::{Limit, Resource},
    testing::origin::Origin,
};
use serde_json::{Value, json};

use super::{
    Fleet, Sources, assert_refused, key, limit_of_accounts,
    limits::{lines, operate},
    put, until,
};
use crate::{
    accounts::{Credentials, ask, closed_node, operate as operate_accounts, subaccount},
    support::node::TestNode,
};

async fn hard(node: &TestNode, who: &Credentials, resource: &str, given_by: &str) -> Value {
    let answer = ask(node, who, Method::GET, "/v1/limits").await;
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    let all = told["limits"].as_array().unwrap();
    let one = all.iter().rev().find(|limit| limit["resource"] == resource && limit["given_by"] == given_by);
    one.map_or(Value::Null, |limit| limit["hard"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_owner_gives_a_subaccount_holds_on_all_nodes_and_ends_nothing() {
    let origin = Origin::start().await.unwrap();
    let fleet = Fleet::start(&origin, 2, |config| limit_of_accounts(config, Resource::Fetches, Limit::hard(3))).await;
    let (here, there) = (&fleet.nodes[0], &fleet.nodes[1]);
    let top = fleet.account().await;
    let sub = subaccount(here, &top).await;
    let sources = Sources::new(&origin, "owners", 4);
    let [first, second, third] = [0, 1, 2].map(|number| sources.address(number));
    let running = [ask(here, &sub, Method::GET, &first), ask(there, &sub, Method::GET, &second)];
    let story = async {
        sources.gate.arrived(2).await;
        let path = format!("/v1/limits/{}/fetches", sub.name);
        let (status, told) = put(here, &top, &path, &json!({"hard": 1, "soft": 1})).await;
        assert_eq!((status, &told["limits"][0]["hard"]), (StatusCode::OK, &json!(1)), "{told}");
        assert_eq!(told["limits"][0]["given_by"], "owner");
        for node in [here, there] {
            until("the owner's limit", async || hard(node, &sub, "fetches", "owner").await == 1).await;
            assert_eq!(hard(node, &sub, "fetches", "operator").await, 3);
            // What is in progress goes on; nothing new is let in, on neither.
            let refused = ask(node, &sub, Method::GET, &third).await;
            assert_refused(&refused);
            let text = String::from_utf8_lossy(&refused.body).into_owned();
            assert!(text.contains("2 fetches of this account are in progress, and 1 may be"), "{text}");
        }
        // Wider than the operator's it changes nothing: that one holds.
        assert_eq!(put(there, &top, &path, &json!({"hard": 100})).await.0, StatusCode::OK);
        until("the wider limit", async || hard(here, &sub, "fetches", "owner").await == 100).await;
        sources.gate.open();
    };
    let (running, ()) = tokio::join!(futures_util::future::join_all(running), story);
    assert!(running.iter().all(|answer| answer.status == StatusCode::OK), "{running:?}");
    // Audio that was not there yet: the operator's limit is what its answer tells.
    let mut told = None;
    until("that there is room again", async || {
        let answer = ask(here, &sub, Method::GET, &third).await;
        let is_served = answer.status == StatusCode::OK;
        told = is_served.then(|| answer.header("concurrent-requests-limit").to_owned());
        is_served
    })
    .await;
    assert_eq!(told.as_deref(), Some("3"));
    // The parent's own limit is shared with its subaccounts.
    let path = format!("/v1/limits/{}/media-reads", top.name);
    assert_eq!(put(here, &top, &path, &json!({"hard": 0})).await.0, StatusCode::OK);
    for node in [here, there] {
        until("the limit of all", async || {
            ask(node, &sub, Method::GET, "/v1/media").await.status == StatusCode::TOO_MANY_REQUESTS
        })
        .await;
    }
    assert_eq!(ask(there, &top, Method::DELETE, &path).await.status, StatusCode::NO_CONTENT);
    for node in [here, there] {
        until("its end", async || ask(node, &sub, Method::GET, "/v1/media").await.status == StatusCode::OK).await;
    }
    assert_eq!(ask(there, &top, Method::DELETE, &path).await.slug(), "not-found");
    fleet.stop().await;
}

#[tokio::test]
async fn keys_have_limits_and_operators_are_never_loosened() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let sub = subaccount(&node, &top).await;
    let of_sub = key(&node, &sub, "media:read").await;
    let set = operate(&node, None, &["set", &of_sub.name, "media-reads", "--hard", "0"]).await;
    assert!(set.status.success(), "{set:?}");
    let refused = async || ask(&node, &of_sub, Method::GET, "/v1/media").await.status == StatusCode::TOO_MANY_REQUESTS;
    until("the operator's limit", refused).await;
    let path = format!("/v1/limits/{}/media-reads", of_sub.name);
    // All that could loosen it: more, only counted, slowed, waiting.
    for wider in [
        json!({"hard": 1000}),
        json!({"hard": 0, "policy": "dry-run"}),
        json!({"hard": 0, "policy": "throttle", "slowed_by": 0.001, "beyond": 1000}),
        json!({"hard": 1000, "policy": "delay", "wait_max": 0.01}),
        json!({"soft": 1}),
    ] {
        assert_eq!(put(&node, &top, &path, &wider).await.0, StatusCode::OK, "{wider}");
        assert!(refused().await, "{wider}");
    }
    assert_eq!(ask(&node, &top, Method::DELETE, &path).await.status, StatusCode::NO_CONTENT);
    assert!(refused().await);
    assert!(operate(&node, None, &["remove", &of_sub.name, "media-reads"]).await.status.success());
    until("the end of the operator's limit", async || !refused().await).await;
    let (status, told) = put(&node, &top, &path, &json!({"hard": 0})).await;
    assert_eq!((status, &told["limits"][0]["scope"]), (StatusCode::OK, &json!("key")), "{told}");
    assert!(refused().await);
    // The account itself is not concerned, nor is the account's other work.
    assert_eq!(ask(&node, &sub, Method::GET, "/v1/media").await.status, StatusCode::OK);
    let listed = ask(&node, &top, Method::GET, &format!("/v1/limits/{}", of_sub.name)).await;
    let listed: Value = serde_json::from_slice(&listed.body).unwrap();
    assert_eq!(listed["limits"].as_array().map(Vec::len), Some(1), "{listed}");

    // Who did it, with which key, what was and what is.
    let agent = key(&node, &top, "limits:write").await;
    assert_eq!(put(&node, &agent, &path, &json!({"hard": 2, "soft": 1})).await.0, StatusCode::OK);
    let entries = operate_accounts(&node, &["audit", &sub.name]).await;
    let entries: Vec<&Value> = entries.iter().filter(|entry| entry["target"] == of_sub.name.as_str()).collect();
    let newest = &entries[0];
    let said = ["actor", "credential", "action", "account", "detail"].map(|name| newest[name].as_str().unwrap());
    let detail = "media-reads, the owner's: was soft - hard 0 reject, is soft 1 hard 2 reject";
    assert_eq!(said, [&top.name, &agent.name, "limit.set", &sub.name, detail].map(|text| text as &str));
    // The operator sees it, and can take it away.
    let listed = lines(&operate(&node, None, &["list", &of_sub.name]).await);
    let said = ["given_by", "owner"].map(|name| listed[0][name].as_str().unwrap().to_owned());
    assert_eq!((listed.len(), said), (1, ["owner".to_owned(), top.name.clone()]));
    let remove = ["remove", &of_sub.name, "media-reads"];
    assert_eq!(operate(&node, None, &remove).await.status.code(), Some(3), "there is none of its own");
    assert!(operate(&node, None, &[&remove[..], &["--owners"]].concat()).await.status.success());
    assert_eq!(operate(&node, None, &[&remove[..], &["--owners"]].concat()).await.status.code(), Some(3));
    assert_eq!(put(&node, &agent, &path, &json!({"hard": 2, "soft": 1})).await.0, StatusCode::OK);
    // A key that is deleted leaves its limit behind, which can be seen and taken away.
    let gone = format!("/2010-04-01/Accounts/{}/Keys/{}.json", sub.name, of_sub.name);
    assert_eq!(ask(&node, &sub, Method::DELETE, &gone).await.status, StatusCode::NO_CONTENT);
    let given = async || -> Value {
        let answer = ask(&node, &top, Method::GET, "/v1/limits/given").await;
        serde_json::from_slice(&answer.body).unwrap()
    };
    let told = given().await;
    let told = &told["limits"][0];
    assert_eq!((&told["owner"], &told["hard"]), (&json!(of_sub.name), &json!(2)), "{told}");
    assert_eq!(ask(&node, &top, Method::DELETE, &path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(given().await["limits"], json!([]));
    assert_eq!(ask(&node, &top, Method::DELETE, &path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(&node, &sub, Method::GET, "/v1/limits/given").await.slug(), "forbidden");
    let by_operator: Vec<_> = entries.iter().filter(|entry| entry["actor"] == "operator").collect();
    let said = by_operator.iter().map(|entry| [entry["action"].as_str(), entry["detail"].as_str()]);
    let expected = [
        ["limit.remove", "media-reads, the operator's: was soft - hard 0 reject, is nothing"],
        ["limit.set", "media-reads, the operator's: was nothing, is soft - hard 0 reject"],
    ];
    assert_eq!(said.collect::<Vec<_>>(), expected.map(|texts| texts.map(Some)));
    node.stop().await;
}

#[tokio::test]
async fn so_many_a_second_are_set_by_the_same_means() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let sub = subaccount(&node, &top).await;
    let set = operate(&node, None, &["set", &sub.name, "calls", "--per-second", "5", "--backlog-max", "7"]).await;
    assert!(set.status.success(), "{set:?}");
    let path = format!("/v1/limits/{}/calls", sub.name);
    let (status, told) = put(&node, &top, &path, &json!({"hard": 3, "per_second": 2, "backlog_max": 1})).await;
    assert_eq!((status, told["limits"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{told}");
    let rates = async || {
        let answer = ask(&node, &sub, Method::GET, "/v1/limits").await;
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        let all = told["limits"].as_array().unwrap().iter().filter(|limit| limit["per_second"].is_u64());
        all.map(|limit| (limit["given_by"].clone(), limit["per_second"].clone(), limit["backlog_max"].clone()))
            .collect::<Vec<_>>()
    };
    let expected = vec![(json!("operator"), json!(5), json!(7)), (json!("owner"), json!(2), json!(1))];
    until("both rates", async || rates().await == expected).await;
    // What is not said any more does not hold any more.
    assert_eq!(put(&node, &top, &path, &json!({"hard": 3})).await.0, StatusCode::OK);
    until("the operator's rate alone", async || rates().await == expected[..1]).await;
    let wrong = key(&node, &sub, "media:read").await;
    let of_key = format!("/v1/limits/{}/calls", wrong.name);
    assert_eq!(put(&node, &top, &of_key, &json!({"per_second": 2})).await.0, StatusCode::BAD_REQUEST);
    let removed = operate(&node, None, &["remove", &sub.name, "calls"]).await;
    assert!(removed.status.success(), "{removed:?}");
    until("the end of the rate", async || rates().await.is_empty()).await;
    assert!(!operate(&node, None, &["set", "platform", "calls", "--per-second", "5"]).await.status.success());
    node.stop().await;
}

#[tokio::test]
async fn who_may_not_give_limits_gives_none() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let sub = subaccount(&node, &top).await;
    let viewer = key(&node, &top, "accounts:read limits:read media:read").await;
    let usual = key(&node, &top, "standard").await;
    let subs_key = key(&node, &sub, "all").await;
    let own = format!("/v1/limits/{}/fetches", sub.name);
    let body = json!({"hard": 1});
    for who in [&sub, &subs_key, &viewer, &usual] {
        let (status, told) = put(&node, who, &own, &body).await;
        assert_eq!((status, &told["type"]), (StatusCode::FORBIDDEN, &json!("urn:ringback:problem:forbidden")));
        assert_eq!(ask(&node, who, Method::DELETE, &own).await.slug(), "forbidden");
    }
    assert_eq!(ask(&node, &viewer, Method::GET, &format!("/v1/limits/{}", sub.name)).await.status, StatusCode::OK);
    assert_eq!(ask(&node, &usual, Method::GET, &format!("/v1/limits/{}", sub.name)).await.slug(), "forbidden");

    // What is another's is answered as what is not there.
    let accounts = ringback::app::open_accounts(&ringback::config::Config {
        data_dir: node.data_dir().to_owned(),
        ..ringback::config::Config::default()
    })
    .await
    .unwrap();
    let made = accounts.create_account(None, "", &ringback::accounts::Actor::operator("test")).await.unwrap();
    accounts.close().await;
    let other = Credentials { name: made.sid.to_string(), secret: made.primary_token.reveal().to_owned() };
    let others_key = key(&node, &other, "media:read").await;
    let nobodys = [format!("AC{}", "5".repeat(32)), format!("SK{}", "5".repeat(32))];
    let mut told = Vec::new();
    for owner in
        [&other.name, &others_key.name, &nobodys[0], &nobodys[1], &"platform".to_owned(), &"SGVsbG8".to_owned()]
    {
        let (status, said) = put(&node, &top, &format!("/v1/limits/{owner}/fetches"), &body).await;
        told.push((status, said));
    }
    assert!(told.iter().all(|said| said == &told[0] && said.0 == StatusCode::NOT_FOUND), "{told:?}");

    let path = |resource: &str| format!("/v1/limits/{}/{resource}", sub.name);
    assert_eq!(put(&node, &top, &path("miracles"), &body).await.0, StatusCode::NOT_FOUND);
    for wrong in [
        json!({}),
        json!({"hard": 1, "soft": 2}),
        json!({"hard": -1}),
        json!({"hard": 1, "policy": "sometimes"}),
        json!({"hard": 1, "policy": "delay", "wait_max": 0.0}),
        json!({"hard": 1, "policy": "delay", "wait_max": -1}),
        json!({"hard": 1, "policy": "throttle", "slowed_by": 1e300}),
        json!({"hard": 1, "more": 1}),
        // Who waits holds a connection, and those are everybody's.
        json!({"hard": 1, "policy": "delay", "wait_max": 31}),
        json!({"hard": 1, "policy": "delay", "waiting_max": 257}),
        json!({"hard": 1, "policy": "throttle", "slowed_by": 31}),
        json!([]),
    ] {
        assert_eq!(put(&node, &top, &path("fetches"), &wrong).await.0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(lines(&operate(&node, None, &["list"]).await).len(), 0);
    // Nobody shuts itself out for ever.
    let itself = format!("/v1/limits/{}/accounts", top.name);
    assert_eq!(put(&node, &top, &itself, &json!({"hard": 0})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(put(&node, &top, &itself, &json!({"hard": 1})).await.0, StatusCode::OK);
    assert_eq!(ask(&node, &top, Method::DELETE, &itself).await.status, StatusCode::NO_CONTENT);
    node.stop().await;
    // Whom nobody knows may do all else on an open node.
    let open = TestNode::start(&origin).await;
    let asked = open.request(Method::PUT, &own).body(body.to_string());
    assert_eq!(open.send(asked).await.slug(), "unauthorized");
    open.stop().await;
}

/// The example of the README, a hundredth of its size.
#[tokio::test]
async fn a_burst_of_one_subaccount_leaves_the_other_what_was_kept_for_it() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let (shop, hospital) = (subaccount(&node, &top).await, subaccount(&node, &top).await);
    let set = operate(&node, None, &["set", &top.name, "fetches", "--soft", "3", "--hard", "6"]).await;
    assert!(set.status.success(), "{set:?}");
    let path = format!("/v1/limits/{}/fetches", shop.name);
    assert_eq!(put(&node, &top, &path, &json!({"hard": 2})).await.0, StatusCode::OK);
    until("the operator's limit", async || hard(&node, &shop, "fetches", "operator").await == 6).await;
    let sources = Sources::new(&origin, "example", 25);
    let addresses: Vec<String> = (0..25).map(|number| sources.address(number)).collect();
    let ask_all = async |who: &Credentials, addresses: &[String]| {
        let asked = addresses.iter().map(|address| ask(&node, who, Method::GET, address));
        futures_util::future::join_all(asked).await
    };
    let rest = async {
        sources.gate.arrived(2).await;
        let refused = ask_all(&shop, &addresses[2..20]).await;
        let all = async {
            sources.gate.arrived(6).await;
            // Beyond what the account may in all, it is the hospital that is refused.
            assert_refused(&ask(&node, &hospital, Method::GET, &addresses[24]).await);
            sources.gate.open();
        };
        (refused, tokio::join!(ask_all(&hospital, &addresses[20..24]), all).0)
    };
    let (served, (refused, calls)) = tokio::join!(ask_all(&shop, &addresses[..2]), rest);
    assert!(served.iter().chain(&calls).all(|answer| answer.status == StatusCode::OK), "{served:?} {calls:?}");
    assert_eq!(refused.len(), 18);
    for answer in &refused {
        assert_refused(answer);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("2 fetches of this account are in progress, and 2 may be"), "{text}");
    }
    assert_eq!(sources.asked(), 6);
    node.stop().await;
}
