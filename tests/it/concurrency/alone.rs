//! One node.

use std::time::Duration;

use http::StatusCode;
use ringback::{
    api::Anonymous,
    concurrency::{Limit, Policy, Resource},
    testing::origin::Origin,
};
use tokio::io::AsyncWriteExt as _;

use super::{Sources, ask_at_once, assert_refused, idle, limit_of_accounts, raise_file_limit, until, usage};
use crate::{
    accounts::{Credentials, ask, closed_node, operate},
    support::node::TestNode,
};

const LIMIT: u32 = 8;
const AT_ONCE: usize = 1_000;
const ROUNDS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_requests_no_more_are_inside_than_may_and_the_origin_sees_no_other() {
    raise_file_limit();
    let origin = Origin::start().await.unwrap();
    // Where it is counted: before somebody waits for audio that has to be made, and where fills begin.
    for resource in [Resource::Fetches, Resource::Fills] {
        let limit = |config: &mut _| limit_of_accounts(config, resource, Limit::hard(LIMIT));
        let node = TestNode::start_with(&origin, limit).await;
        for round in 0..ROUNDS / 2 {
            let sources = Sources::new(&origin, &format!("{resource}-{round}"), AT_ONCE);
            let asked = (0..AT_ONCE).map(|number| (&node, sources.address(number))).collect();
            let (refused, served) = ask_at_once(asked, LIMIT as usize, &sources.gate).await;
            for answer in &refused {
                assert_refused(answer);
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                let named = format!("8 {resource} of this account are in progress, and 8 may be");
                assert!(text.contains(&named) && text.contains("not processed"), "{text}");
            }
            assert!(served.iter().all(|answer| answer.status == StatusCode::OK), "{served:?}");
            assert_eq!((refused.len(), served.len()), (AT_ONCE - LIMIT as usize, LIMIT as usize));
            assert_eq!(sources.asked(), LIMIT as usize, "the origin was asked for what was refused");
            idle(&node, resource).await;
        }
        let told = usage(&node, resource).await;
        assert_eq!((&told["peak"], &told["limit"]), (&LIMIT.into(), &LIMIT.into()), "{told}");
        let rejected = (AT_ONCE - LIMIT as usize) * ROUNDS / 2;
        assert_eq!(told["impeded"]["rejected"], rejected, "{told}");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_fill_is_one_however_many_wait_for_it() {
    let origin = Origin::start().await.unwrap();
    let node = TestNode::start_with(&origin, |config| limit_of_accounts(config, Resource::Fills, Limit::hard(1))).await;
    let sources = Sources::new(&origin, "shared", 2);
    let address = sources.address(0);
    let open = async {
        until("both", async || usage(&node, Resource::Fetches).await["current"] == 2).await;
        // Another source would be a second one.
        assert_refused(&node.get(&sources.address(1)).await);
        sources.gate.open();
    };
    let (first, second, ()) = tokio::join!(node.get(&address), node.get(&address), open);
    assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(sources.asked(), 1);
    // It was no failure of the source, so nobody remembers it.
    idle(&node, Resource::Fills).await;
    assert_eq!(node.get(&sources.address(1)).await.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn who_leaves_while_it_waits_is_not_served_and_holds_up_nobody() {
    let origin = Origin::start().await.unwrap();
    let delay = Policy::Delay { wait_max: Duration::from_secs(60), waiting_max: 10 };
    let node = TestNode::start_with(&origin, |config| {
        limit_of_accounts(config, Resource::Fetches, Limit::hard(1).with(delay));
    })
    .await;
    let sources = Sources::new(&origin, "left", 3);
    let waiting = async |count: u32| {
        let all = format!("{count} who wait");
        until(&all, async || usage(&node, Resource::Fetches).await["waiting"] == count).await;
    };
    let (first, last) = (sources.address(0), sources.address(2));
    let story = async {
        sources.gate.arrived(1).await;
        let mut leaving = tokio::net::TcpStream::connect(node.node.address).await.unwrap();
        let request = format!("GET {} HTTP/1.1\r\nHost: node\r\n\r\n", sources.address(1));
        leaving.write_all(request.as_bytes()).await.unwrap();
        waiting(1).await;
        drop(leaving);
        waiting(0).await;
        let open = async {
            waiting(1).await;
            sources.gate.open();
        };
        tokio::join!(node.get(&last), open).0
    };
    let (first, last) = tokio::join!(node.get(&first), story);
    assert_eq!((first.status, last.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(origin.seen().iter().filter(|seen| seen.path == sources.path(1)).count(), 0);
    idle(&node, Resource::Fetches).await;
    node.stop().await;
}

#[tokio::test]
async fn an_account_with_many_who_wait_holds_up_no_other() {
    let origin = Origin::start().await.unwrap();
    let delay = Policy::Delay { wait_max: Duration::from_secs(60), waiting_max: 100 };
    let (node, many) = closed_node(&origin, |config| {
        config.http.anonymous = Anonymous::Off;
        // One of all: so the origin sees them in the order in which they are let in.
        config.concurrency.limits.platform.insert(Resource::Fetches, Limit::hard(1).with(delay));
    })
    .await;
    let secret = node.data_dir().join("other-token");
    let made = operate(&node, &["create", "other", "--secrets-to", secret.to_str().unwrap()]).await;
    let secrets: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&secret).unwrap()).unwrap();
    let one = Credentials::new(&made[0]["sid"], &secrets["auth_token"]);
    let sources = Sources::new(&origin, "fair", 12);
    let get = |who: &Credentials, number: usize| {
        let (who, address) = (who.clone(), sources.address(number));
        let node = &node;
        async move { ask(node, &who, http::Method::GET, &address).await }
    };
    let waits = async |who: &Credentials, count: u32| {
        until("who waits", async || {
            let answer = ask(&node, who, http::Method::GET, "/v1/usage/concurrency").await;
            let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            told["usage"].as_array().unwrap().iter().any(|of| of["resource"] == "fetches" && of["waiting"] == count)
        })
        .await;
    };
    let first = async { get(&many, 0).await };
    let lines = async {
        sources.gate.arrived(1).await;
        let others = futures_util::future::join_all((1..11).map(|number| get(&many, number)));
        let last = async {
            waits(&many, 10).await;
            let open = async {
                waits(&one, 1).await;
                sources.gate.open();
            };
            tokio::join!(get(&one, 11), open).0
        };
        tokio::join!(others, last)
    };
    let (first, (others, last)) = tokio::join!(first, lines);
    assert!(others.iter().chain([&first, &last]).all(|answer| answer.status == StatusCode::OK));
    let order: Vec<String> = origin.seen().into_iter().map(|seen| seen.path).collect();
    let place = order.iter().position(|path| *path == sources.path(11)).unwrap();
    assert!(place <= 2, "the other account was served after {place} of ten that wait: {order:?}");
    node.stop().await;
}
