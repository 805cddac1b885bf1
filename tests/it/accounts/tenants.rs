//! Two tenants beside one another (`spec/trust.md` §2): what they share nobody can tell, and what one deletes the other keeps.

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};
use serde_json::Value;

use super::{Credentials, ask, closed_node, subaccount};
use crate::support::node::{Answer, TestNode, fetch_path};

async fn tell(node: &TestNode, who: &Credentials, method: Method, path: &str, body: Vec<u8>) -> Answer {
    node.send(node.request(method, path).header("authorization", who.header()).body(body)).await
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// What an answer says, but for what differs between any two.
fn said(answer: &Answer) -> (StatusCode, Vec<(String, String)>, Vec<u8>) {
    let is_of_any = |name: &str| matches!(name, "date" | "x-request-id" | "server-timing");
    let headers = answer.headers.iter().filter(|(name, _)| !is_of_any(name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (answer.status, headers.collect(), answer.body.clone())
}

#[tokio::test]
async fn what_two_tenants_have_alike_is_kept_once_and_neither_can_tell() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, one) = closed_node(&origin, |_| {}).await;
    let other = subaccount(&node, &one).await;
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");

    let first = ask(&node, &one, Method::GET, &fetch).await;
    let second = ask(&node, &other, Method::GET, &fetch).await;
    assert_eq!((first.status, &first.body), (StatusCode::OK, &second.body));
    // The same bytes have the same name, and each tenant's first use of them is a miss.
    assert_eq!(first.header("content-location"), second.header("content-location"));
    let missed = |answer: &Answer| answer.header("cache-status").contains("fwd=");
    assert!(missed(&first) && missed(&second), "{second:?}");
    assert!(ask(&node, &other, Method::GET, &fetch).await.header("cache-status").contains("; hit"));
    let address = url::Url::parse(first.header("content-location")).map(|url| url.path().to_owned());
    let address = address.unwrap_or_else(|_| first.header("content-location").to_owned());
    let id = address.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();

    // One deletes it, the other still has it.
    let about = format!("/v1/media/{id}");
    assert_eq!(ask(&node, &one, Method::DELETE, &about).await.status, StatusCode::NO_CONTENT);
    let gone = ask(&node, &one, Method::GET, &address).await;
    let never = ask(&node, &one, Method::GET, &address.replace(&id, &"0".repeat(64))).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!(said(&gone), said(&never));
    let about_gone = ask(&node, &one, Method::GET, &about).await;
    assert_eq!(said(&about_gone), said(&ask(&node, &one, Method::GET, &about.replace(&id, &"0".repeat(64))).await));
    assert_eq!(ask(&node, &other, Method::GET, &address).await.body, first.body);
    assert_eq!(ask(&node, &other, Method::GET, &about).await.status, StatusCode::OK);
    let listed = |answer: Answer| json(&answer)["media"].as_array().unwrap().len();
    assert_eq!(listed(ask(&node, &one, Method::GET, "/v1/media").await), 0);
    assert_eq!(listed(ask(&node, &other, Method::GET, "/v1/media").await), 1);
    node.stop().await;
}

#[tokio::test]
async fn uploads_and_prompts_of_one_tenant_are_unknown_to_the_other() {
    let origin = Origin::start().await.unwrap();
    let (node, one) = closed_node(&origin, |_| {}).await;
    let other = subaccount(&node, &one).await;
    let audio = fixture::audio("speech.wav").unwrap().to_vec();
    let upload = async |who: &Credentials| {
        let put = tell(&node, who, Method::PUT, "/v1/media/uploads", audio.clone()).await;
        assert!(put.status.is_success(), "{put:?}");
        let hash = json(&put)["content_hash"].as_str().unwrap().to_owned();
        let wanted = serde_json::json!({ "source": { "upload": hash }, "format": "ulaw" }).to_string().into_bytes();
        let made = tell(&node, who, Method::POST, "/v1/media", wanted).await;
        assert!(made.status.is_success(), "{made:?} {}", String::from_utf8_lossy(&made.body));
        (put.status, hash, json(&made)["url"].as_str().unwrap().to_owned())
    };
    let (first_status, hash, first) = upload(&one).await;
    let (second_status, same, second) = upload(&other).await;
    // The second is told as the first was: that somebody has the same is nobody's business.
    assert_eq!((first_status, &hash), (second_status, &same));
    assert_ne!(first, second, "names of private audio are salted");
    let path = |url: &str| url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.path().to_owned());
    let (first, second) = (path(&first), path(&second));
    // The address is the credential, and says whose it is.
    assert_eq!(node.get(&first).await.body, node.get(&second).await.body);
    assert_eq!(node.get(&first).await.header("cache-control"), "private, max-age=60");
    // Another's capability before one's own artifact opens nothing.
    let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (of_one, of_other) = (parts(&first), parts(&second));
    let mixed = format!("/media/{}/{}", of_one[2], of_other[3]);
    assert_eq!(node.get(&mixed).await.status, StatusCode::UNAUTHORIZED);
    let mixed = ask(&node, &one, Method::GET, &mixed).await;
    let unknown = format!("/media/{}/{}.ulaw", of_one[2], "0".repeat(64));
    assert_eq!(said(&mixed), said(&ask(&node, &one, Method::GET, &unknown).await));

    // What one has put, the other has not.
    let name = "/prompts/welcome.ulaw";
    assert!(tell(&node, &one, Method::PUT, "/prompts/welcome.wav", audio.clone()).await.status.is_success());
    assert_eq!(ask(&node, &one, Method::GET, name).await.status, StatusCode::OK);
    let missing = ask(&node, &other, Method::GET, name).await;
    assert_eq!(said(&missing), said(&ask(&node, &other, Method::GET, "/prompts/welcomf.ulaw").await));
    assert_eq!(missing.status, StatusCode::NOT_FOUND);

    // One removes its upload, the other still plays.
    let upload = format!("/v1/media/uploads/{hash}");
    ask(&node, &one, Method::DELETE, "/prompts/welcome.wav").await;
    assert_eq!(ask(&node, &one, Method::DELETE, &upload).await.status, StatusCode::NO_CONTENT);
    assert_eq!(node.get(&second).await.status, StatusCode::OK);
    assert_eq!(ask(&node, &other, Method::GET, &upload).await.status, StatusCode::OK);
    node.stop().await;
}
