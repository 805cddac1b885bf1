//! What is never impeded, tried at ten times the ceiling.

use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use ringback::{
    concurrency::{Limit, Policy, Resource},
    config::Config,
    testing::origin::Origin,
};
use serde_json::json;

use super::{Sources, assert_refused, idle, send, usage};
use crate::support::node::{Answer, TestNode};

/// Fewer than may be fetched at once from one origin.
const CEILING: usize = 12;

fn ceilings(config: &mut Config, policy: Policy) {
    let platform = &mut config.concurrency.limits.platform;
    platform.insert(Resource::MediaWrites, Limit::hard(CEILING as u32).with(policy));
    // What ends at once cannot be piled up from outside: of that nothing may be in progress at all.
    platform.insert(Resource::Accounts, Limit::hard(0));
}

async fn of_operators(node: &TestNode, path: &str) -> Answer {
    let address = format!("http://{}{path}", node.node.ops_address);
    node.send(reqwest::Client::builder().no_proxy().build().unwrap().get(address)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_ten_times_the_ceiling_health_metrics_and_operators_are_answered() {
    for policy in [Policy::Reject, Policy::Delay { wait_max: Duration::from_secs(60), waiting_max: 1_000 }] {
        let origin = Origin::start().await.unwrap();
        let node = TestNode::start_with(&origin, |config| ceilings(config, policy)).await;
        let sources = Sources::new(&origin, "flood", 10 * CEILING);
        let flood = join_all((0..10 * CEILING).map(|number| {
            let body = json!({ "source": { "url": origin.url(&sources.path(number)) }, "format": "ulaw" });
            let node = &node;
            async move { node.post(&body).await }
        }));
        let operators = async {
            sources.gate.arrived(CEILING).await;
            for _ in 0..10 {
                for path in ["/health", "/health/live", "/health/ready", "/metrics"] {
                    assert_eq!(of_operators(&node, path).await.status, StatusCode::OK, "{path}");
                }
                let purge = send(&node, Method::POST, "/v1/media/purge", r#"{"tag":"none"}"#);
                let (purged, limits) = tokio::join!(purge, node.get("/v1/limits"));
                let used = node.get("/v1/usage/concurrency").await;
                for answer in [&purged, &limits, &used] {
                    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                    // Nothing was counted that could be told.
                    assert!(!answer.headers.contains_key("concurrent-requests"), "{answer:?}");
                }
            }
            if policy == Policy::Reject {
                // Others are refused meanwhile, whoever they are.
                assert_refused(&node.post(&json!({ "source": { "url": origin.url("/x") }, "format": "ulaw" })).await);
            }
            sources.gate.open();
        };
        let (answers, ()) = tokio::join!(flood, operators);
        let made = answers.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
        let expected = if policy == Policy::Reject { CEILING } else { 10 * CEILING };
        assert_eq!(made, expected);
        answers.iter().filter(|answer| answer.status != StatusCode::CREATED).for_each(assert_refused);
        idle(&node, Resource::MediaWrites).await;
        let peak = usage(&node, Resource::MediaWrites).await["peak"].clone();
        assert_eq!(peak, CEILING);
        node.stop().await;
    }
}
