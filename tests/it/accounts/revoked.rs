//! What is revoked is refused within a second, of callers who are served from memory at that moment too.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};

use super::{Credentials, ask, closed_node, operate, post, subaccount};
use crate::support::node::{TestNode, fetch_path};

/// Within how long a revocation holds (`spec/trust.md` §3).
const PROMISED: Duration = Duration::from_secs(1);

/// Asks for a hit over and over until it is refused, and says how long that took and what was answered then.
async fn until_refused(node: &TestNode, who: Option<&Credentials>, path: &str) -> (Duration, StatusCode) {
    let began = tokio::time::Instant::now();
    loop {
        let answer = match who {
            Some(who) => ask(node, who, Method::GET, path).await,
            None => node.get(path).await,
        };
        if answer.status != StatusCode::OK {
            return (began.elapsed(), answer.status);
        }
        assert!(began.elapsed() < 30 * PROMISED, "it is never refused");
    }
}

#[tokio::test]
async fn what_is_revoked_by_another_process_is_refused_within_a_second_under_load() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, first) = closed_node(&origin, |_| {}).await;
    let sub = subaccount(&node, &first).await;
    let keys = format!("/2010-04-01/Accounts/{}/Keys.json", sub.name);
    let (_, made) = post(&node, &sub, &keys, &[]).await;
    let key = Credentials::new(&made["sid"], &made["secret"]);
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");

    // Private audio, whose address is all that it takes.
    let audio = fixture::audio("speech.wav").unwrap().to_vec();
    let put = node.request(Method::PUT, "/prompts/hello.wav").header("authorization", sub.header()).body(audio);
    assert!(node.send(put).await.status.is_success());
    let prompt = ask(&node, &sub, Method::GET, "/prompts/hello.ulaw").await;
    let private = prompt.header("content-location").to_owned();
    let private = url::Url::parse(&private).map_or(private, |url| url.path().to_owned());
    assert_eq!(node.get(&private).await.status, StatusCode::OK);

    for who in [&first, &sub, &key] {
        for _ in 0..2 {
            assert_eq!(ask(&node, who, Method::GET, &fetch).await.status, StatusCode::OK);
        }
    }
    // Others are served all the while, and stay so.
    let load = async {
        loop {
            assert_eq!(ask(&node, &first, Method::GET, &fetch).await.status, StatusCode::OK);
        }
    };
    let story = async {
        let refused = async |who: Option<&Credentials>, path: &str, status: StatusCode| {
            let (took, answered) = until_refused(&node, who, path).await;
            assert_eq!(answered, status);
            assert!(took <= PROMISED, "{took:?}");
        };
        operate(&node, &["keys", "revoke", &sub.name, &key.name]).await;
        refused(Some(&key), &fetch, StatusCode::UNAUTHORIZED).await;

        operate(&node, &["rotate", &sub.name]).await;
        operate(&node, &["rotate", &sub.name, "--promote"]).await;
        refused(Some(&sub), &fetch, StatusCode::UNAUTHORIZED).await;
        assert_eq!(node.get(&private).await.status, StatusCode::OK);

        operate(&node, &["suspend", &sub.name]).await;
        refused(None, &private, StatusCode::FORBIDDEN).await;
        operate(&node, &["resume", &sub.name]).await;
        // That it is let in again is promised as well; what was refused is not remembered.
        let began = tokio::time::Instant::now();
        while node.get(&private).await.status != StatusCode::OK {
            assert!(began.elapsed() <= PROMISED);
        }
    };
    tokio::select! {
        () = load => {}
        () = story => {}
    }
    operate(&node, &["close", &first.name]).await;
    assert!(until_refused(&node, None, &private).await.0 <= PROMISED);
    let (took, status) = until_refused(&node, Some(&first), &fetch).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(took <= PROMISED, "{took:?}");
    node.stop().await;
}
