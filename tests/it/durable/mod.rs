//! The durable tier: what one node made is a hit on another, survives everything the node has, and is never wrong
//! (`spec/media.md` §6). What must hold for any store is run on a directory and on a real S3 server.

mod bucket;
mod faults;
mod fleet;
mod unstored;

use std::time::Duration;

use http::{Method, StatusCode};

use crate::support::node::{Answer, TestNode};

/// The answer to a GET once the node has what it takes: what another node made reaches it a moment later.
async fn get_once_there(node: &TestNode, path: &str) -> Answer {
    let there = async {
        loop {
            let request = node.request(Method::GET, path).header("cache-control", "only-if-cached");
            let answer = node.send(request).await;
            if answer.status == StatusCode::OK {
                return answer;
            }
            assert!(matches!(answer.status.as_u16(), 404 | 504), "{answer:?}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), there).await.expect("it never came")
}
