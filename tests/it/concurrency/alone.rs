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
async fn while_one_account_floods_the_limit_of_all_the_others_turn_is_every_second() {
    const FLOOD: usize = 40;
    const FEW: usize = 5;
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
    let few = Credentials::new(&made[0]["sid"], &secrets["auth_token"]);
    let sources = Sources::new(&origin, "fair", 1 + FLOOD + FEW);
    let get = |who: &Credentials, number: usize| {
        let (who, address) = (who.clone(), sources.address(number));
        let node = &node;
        async move { ask(node, &who, http::Method::GET, &address).await }
    };
    let waits = async |who: &Credentials, count: usize| {
        until("who waits", async || {
            let answer = ask(&node, who, http::Method::GET, "/v1/usage/concurrency").await;
            let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            told["usage"].as_array().unwrap().iter().any(|of| of["resource"] == "fetches" && of["waiting"] == count)
        })
        .await;
    };
    let story = async {
        sources.gate.arrived(1).await;
        let flood = futures_util::future::join_all((1..=FLOOD).map(|number| get(&many, number)));
        let others = async {
            waits(&many, FLOOD).await;
            let open = async {
                waits(&few, FEW).await;
                sources.gate.open();
            };
            let numbers = FLOOD + 1..=FLOOD + FEW;
            tokio::join!(futures_util::future::join_all(numbers.map(|number| get(&few, number))), open).0
        };
        tokio::join!(flood, others)
    };
    let (first, (flood, others)) = tokio::join!(get(&many, 0), story);
    assert!(flood.iter().chain(&others).chain([&first]).all(|answer| answer.status == StatusCode::OK));
    let order: Vec<String> = origin.seen().into_iter().map(|seen| seen.path).collect();
    let is_of_few = |path: &String| (FLOOD + 1..=FLOOD + FEW).any(|number| *path == sources.path(number));
    let places: Vec<usize> = order.iter().enumerate().filter(|(_, path)| is_of_few(path)).map(|(at, _)| at).collect();
    // The first was let in before anybody waited. From then on, of two that are let in one at most is the flood's, as long as others wait.
    for (number, place) in places.iter().enumerate() {
        assert!(*place <= 2 + 2 * number, "at {places:?} of {order:?}");
    }
    assert_eq!(places.len(), FEW);
    node.stop().await;
}
