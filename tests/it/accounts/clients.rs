//! The libraries that existing applications use, as they are, against a node.

use std::process::Command;

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};

use super::{ask, closed_node, operate};
pub(crate) use crate::support::clients::{run, succeeded, under_target};
use crate::support::node::fetch_path;

#[tokio::test]
async fn the_library_for_python_works_as_it_is() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let (node, first) = closed_node(&origin, |_| {}).await;
    operate(&node, &["numbers", "add", "+15550100001"]).await;
    let mut command = Command::new(under_target("python/bin/python"));
    command.arg("-c").arg(include_str!("clients.py")).arg(node.url("")).args([
        &first.name,
        &first.secret,
        "+15550100001",
    ]);
    let said = succeeded(&run(command).await);
    // The token that the library has made carries no grant of ours, so its bearer is known and may do nothing.
    let token = said.lines().find_map(|line| line.strip_prefix("token: ")).unwrap();
    let path = fetch_path(&origin.url("/a.wav"), "ulaw");
    let shown = format!("Bearer {token}");
    assert_eq!(node.get_with(&path, "authorization", &shown).await.slug(), "forbidden");
    let own = format!("/2010-04-01/Accounts/{}.json", first.name);
    assert_eq!(node.get_with(&own, "authorization", &shown).await.status, StatusCode::OK);
    node.stop().await;
}

#[tokio::test]
async fn the_library_for_node_works_as_it_is() {
    let origin = Origin::start().await.unwrap();
    let (node, first) = closed_node(&origin, |_| {}).await;
    operate(&node, &["numbers", "add", "+15550100002"]).await;
    let mut command = Command::new("node");
    command.arg("-e").arg(include_str!("clients.js")).arg("--").arg(node.url(""));
    command.args([&first.name, &first.secret, "+15550100002"]).current_dir(under_target("node"));
    succeeded(&run(command).await);
    node.stop().await;
}

#[tokio::test]
async fn errors_have_the_shape_that_libraries_read() {
    let origin = Origin::start().await.unwrap();
    let (node, first) = closed_node(&origin, |_| {}).await;
    for (method, path, expected) in [
        (Method::GET, "/2010-04-01/Nothing.json", (404, 20404)),
        (Method::GET, "/2010-04-01/Accounts/AC0/Keys.json", (404, 20404)),
        (Method::DELETE, "/2010-04-01/Accounts.json", (405, 20004)),
        (Method::GET, "/2010-04-01/Accounts.json?PageSize=1001", (400, 20001)),
        (Method::GET, "/2010-04-01/Accounts.json?PageSize=many", (400, 20001)),
        (Method::GET, "/2010-04-01/Accounts.json?PageToken=x", (400, 20001)),
        (Method::DELETE, "/v1/AuthTokens/Secondary", (404, 20404)),
    ] {
        let answer = ask(&node, &first, method.clone(), path).await;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (answer.status.as_u16(), &body["code"]),
            (expected.0, &expected.1.into()),
            "{method} {path}: {body}"
        );
        assert_eq!(body["status"], expected.0);
        assert_eq!(body["more_info"], format!("https://www.twilio.com/docs/errors/{}", expected.1));
        assert!(!body["message"].as_str().unwrap().is_empty());
    }
    let nobody = node.get("/2010-04-01/Accounts.json").await;
    assert_eq!(
        (nobody.status, nobody.header("www-authenticate").starts_with("Basic ")),
        (StatusCode::UNAUTHORIZED, true)
    );
    let json = node
        .request(Method::POST, "/2010-04-01/Accounts.json")
        .header("authorization", first.header())
        .header("content-type", "application/json")
        .body("{}");
    assert_eq!(node.send(json).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    node.stop().await;
}
