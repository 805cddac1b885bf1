//! The store of accounts goes away, in both ways in which a server does: it refuses, or it says nothing. Reads go on, writes are refused, all heals.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::{
    accounts::{Accounts, Actor},
    api::Anonymous,
    clock::Clock,
    store::{self, Store, StoreUrl},
    testing::{
        fixture,
        origin::{Body, Origin, Reply},
        postgres_server::PostgresServer,
    },
};

use super::{Credentials, ask, post};
use crate::support::node::{Answer, TestNode, fetch_path};

/// Within how long anything is answered, whatever the store does, on a machine that is busy with other tests.
const ANSWERED: Duration = Duration::from_secs(30);

/// Asks until an answer is as it should be.
async fn until(what: &str, ask: impl AsyncFn() -> Answer, is_right: impl Fn(&Answer) -> bool) -> Answer {
    let asked = async {
        loop {
            let answer = ask().await;
            if is_right(&answer) {
                return answer;
            }
        }
    };
    tokio::time::timeout(ANSWERED, asked).await.unwrap_or_else(|_| panic!("never: {what}"))
}

#[tokio::test]
async fn a_store_that_refuses_connections_stops_writes_alone() {
    story(PostgresServer::stop, async |server| server.start_again().await.unwrap()).await;
}

#[tokio::test]
async fn a_store_that_says_nothing_any_more_stops_writes_alone() {
    story(|server| server.pause(), async |server| server.resume()).await;
}

async fn story(take_away: impl FnOnce(&mut PostgresServer), bring_back: impl AsyncFnOnce(&mut PostgresServer)) {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let mut server = PostgresServer::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = store::Config {
        url: StoreUrl::new(server.url()),
        connect_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(1),
        ..store::Config::default()
    };
    let keys = directory.path().join("keys");
    std::fs::write(&keys, "07".repeat(32)).unwrap();
    let node = TestNode::start_with(&origin, |config| {
        config.http.anonymous = Anonymous::Off;
        config.store = store.clone();
        config.accounts.key_file = Some(keys.clone());
    })
    .await;
    // The operator, elsewhere.
    let config = ringback::accounts::Config { key_file: Some(keys), ..ringback::accounts::Config::default() };
    let opened = Store::open(&store, directory.path()).await.unwrap();
    let accounts = Accounts::open(config, opened, directory.path(), Clock::system()).await.unwrap();
    let made = accounts.create_account(None, "", &Actor::operator("test")).await.unwrap();
    accounts.close().await;
    let known = Credentials { name: made.sid.to_string(), secret: made.primary_token.reveal().to_owned() };
    let unknown = Credentials { secret: "0".repeat(32), ..known.clone() };
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");
    for _ in 0..2 {
        assert_eq!(ask(&node, &known, Method::GET, &fetch).await.status, StatusCode::OK);
    }
    let write = async || {
        let body = serde_json::json!({ "source": { "url": origin.url("/a.wav") }, "format": "alaw" }).to_string();
        let request = node.request(Method::POST, "/v1/media").header("authorization", known.header()).body(body);
        node.send(request).await
    };

    take_away(&mut server);
    // Once that is noticed, nobody is believed to be let in to change anything, and everybody who is known may read on.
    let refused = until("a write is refused", &write, |answer| answer.status == StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!((refused.slug().as_str(), refused.header("retry-after")), ("accounts-away", "1"));
    for _ in 0..100 {
        let heard = ask(&node, &known, Method::GET, &fetch).await;
        assert_eq!(heard.status, StatusCode::OK, "{heard:?}");
    }
    let stranger = ask(&node, &unknown, Method::GET, &fetch).await;
    assert_eq!((stranger.status, stranger.slug().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "accounts-away"));
    let account = format!("/2010-04-01/Accounts/{}.json", known.name);
    let record = ask(&node, &known, Method::GET, &account).await;
    assert_eq!(record.status, StatusCode::SERVICE_UNAVAILABLE);
    let (status, body) = post(&node, &known, "/2010-04-01/Accounts.json", &[]).await;
    assert_eq!((status, body["status"].as_u64()), (StatusCode::SERVICE_UNAVAILABLE, Some(503)), "{body}");
    let lacks = |answer: &Answer| String::from_utf8_lossy(&answer.body).contains("account-store");
    let ready = until("the node lacks it", async || node.ready().await, lacks).await;
    assert_eq!(ready.status, StatusCode::OK);

    bring_back(&mut server).await;
    until("a write is done again", &write, |answer| answer.status.is_success()).await;
    let is_refused = |answer: &Answer| answer.status == StatusCode::UNAUTHORIZED;
    until("a stranger is told apart", async || ask(&node, &unknown, Method::GET, &fetch).await, is_refused).await;
    assert_eq!(ask(&node, &known, Method::GET, &account).await.status, StatusCode::OK);
    until("the node lacks nothing", async || node.ready().await, |answer| !lacks(answer)).await;
    node.stop().await;
}
