//! Limits that are changed while nodes run.

use std::process::Output;

use http::{Method, StatusCode};
use ringback::{
    concurrency::{Limit, Resource},
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
        postgres_server::PostgresServer,
    },
};
use serde_json::Value;

use super::{Sources, assert_refused, limit_of_accounts, until, usage};
use crate::{
    accounts::{ask, closed_node},
    support::{
        node::{TestNode, fetch_path},
        process,
    },
};

pub(super) async fn operate(node: &TestNode, store: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = process::command();
    command.arg("limits").args(arguments).arg("--json").arg("--data-dir").arg(node.data_dir());
    if let Some(url) = store {
        command.env("RINGBACK_STORE__URL", url);
    }
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(super) fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_limit_that_is_set_lowered_and_removed_holds_within_a_second_and_ends_nothing() {
    let origin = Origin::start().await.unwrap();
    let (node, first) =
        closed_node(&origin, |config| limit_of_accounts(config, Resource::Fetches, Limit::hard(2))).await;
    let limits = async || -> Value {
        let answer = ask(&node, &first, Method::GET, "/v1/limits").await;
        serde_json::from_slice(&answer.body).unwrap()
    };
    let hard = async || limits().await["limits"][0]["hard"].clone();
    assert_eq!(hard().await, 2);
    let sources = Sources::new(&origin, "changed", 3);
    let address = sources.address(0);
    let running = ask(&node, &first, Method::GET, &address);
    let story = async {
        sources.gate.arrived(1).await;
        let set = lines(&operate(&node, None, &["set", &first.name, "fetches", "--hard", "1"]).await);
        assert_eq!((&set[0]["limit"]["hard"], &set[0]["version"]), (&1.into(), &1.into()), "{set:?}");
        until("the lower limit", async || hard().await == 1).await;
        // What is in progress goes on; nothing new is let in.
        assert_refused(&ask(&node, &first, Method::GET, &sources.address(1)).await);
        sources.gate.open();
    };
    let (running, ()) = tokio::join!(running, story);
    assert_eq!(running.status, StatusCode::OK);
    let listed = lines(&operate(&node, None, &["list"]).await);
    assert_eq!((listed.len(), &listed[0]["scope"]), (1, &first.name.clone().into()), "{listed:?}");
    assert!(operate(&node, None, &["remove", &first.name, "fetches"]).await.status.success());
    until("the configuration's limit", async || hard().await == 2).await;
    assert_eq!(operate(&node, None, &["remove", &first.name, "fetches"]).await.status.code(), Some(3));
    for wrong in [
        &["set", "everybody", "fetches", "--hard", "1"][..],
        &["set", "platform", "miracles", "--hard", "1"],
        &["set", "platform", "fetches"],
        &["set", "platform", "fetches", "--hard", "1", "--soft", "2"],
    ] {
        assert!(!operate(&node, None, wrong).await.status.success(), "{wrong:?}");
    }
    assert!(lines(&operate(&node, None, &["list"]).await).is_empty());
    node.stop().await;
}

#[tokio::test]
async fn what_is_stale_stands_in_for_a_fill_that_is_refused() {
    let origin = Origin::start().await.unwrap();
    let fields = "max-age=0, stale-if-error=3600";
    let audio = fixture::audio("speech.wav").unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(audio.clone())).header("cache-control", fields).etag("\"1\""));
    origin.set("/b.wav", Reply::ok("audio/wav", Body::of(audio)));
    let node = TestNode::start(&origin).await;
    let [known, unknown] = ["/a.wav", "/b.wav"].map(|path| fetch_path(&origin.url(path), "ulaw"));
    let first = node.get(&known).await;
    assert_eq!(first.status, StatusCode::OK);
    lines(&operate(&node, None, &["set", "platform", "fills", "--hard", "0"]).await);
    until("the limit", async || {
        let asked = node.get_with(&unknown, "cache-control", "no-store").await;
        asked.status == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    let asked = origin.seen().len();
    let stale = node.get(&known).await;
    assert_eq!((stale.status, stale.body == first.body), (StatusCode::OK, true), "{stale:?}");
    assert_eq!(origin.seen().len(), asked);
    node.stop().await;
}

#[tokio::test]
async fn all_nodes_of_a_fleet_hear_of_a_limit() {
    let (origin, server) = (Origin::start().await.unwrap(), PostgresServer::start().await.unwrap());
    let keys = tempfile::tempdir().unwrap();
    let key_file = keys.path().join("keys");
    std::fs::write(&key_file, format!("{}\n", "07".repeat(32))).unwrap();
    let url = server.url();
    let settings = |config: &mut ringback::config::Config| {
        config.store.url = ringback::store::StoreUrl::new(url.clone());
        config.accounts.key_file = Some(key_file.clone());
    };
    let here = TestNode::start_with(&origin, settings).await;
    let there = TestNode::start_with(&origin, settings).await;
    let set = operate(&here, Some(&url), &["set", "platform", "media-reads", "--hard", "0"]).await;
    lines(&set);
    for node in [&here, &there] {
        until("the limit", async || node.get("/v1/media").await.status == StatusCode::TOO_MANY_REQUESTS).await;
        let refused = node.get("/v1/media").await;
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(text.contains("0 media-reads of this service"), "{text}");
        assert!(usage(node, Resource::MediaReads).await["impeded"]["rejected"].as_u64() >= Some(1));
    }
    assert!(operate(&here, Some(&url), &["remove", "platform", "media-reads"]).await.status.success());
    for node in [&here, &there] {
        until("the end of the limit", async || node.get("/v1/media").await.status == StatusCode::OK).await;
    }
    here.stop().await;
    there.stop().await;
}
