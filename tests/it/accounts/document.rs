//! The document of the API: what it says holds, whatever is asked within it, and its page needs no other machine.

use std::process::Command;

use http::StatusCode;
use ringback::testing::origin::Origin;
use serde_json::Value;

use super::{
    clients::{run, succeeded, under_target},
    closed_node, post,
};

#[tokio::test]
async fn whatever_the_document_allows_is_answered_as_it_says() {
    let origin = Origin::start().await.unwrap();
    let (node, first) = closed_node(&origin, |_| {}).await;
    // A key: what is asked may well replace the account's token.
    let keys = format!("/2010-04-01/Accounts/{}/Keys.json", first.name);
    let (_, key) = post(&node, &first, &keys, &[("Scopes", "all")]).await;
    let auth = format!("{}:{}", key["sid"].as_str().unwrap(), key["secret"].as_str().unwrap());
    let directory = tempfile::tempdir().unwrap();
    // Half of what is asked is of an account that is there.
    let hooks = directory.path().join("hooks.py");
    let text = include_str!("hooks.py").replace("@ACCOUNT@", &first.name);
    std::fs::write(&hooks, text).unwrap();
    let mut command = Command::new(under_target("python/bin/schemathesis"));
    command
        .current_dir(directory.path())
        .env("SCHEMATHESIS_HOOKS", &hooks)
        .arg("run")
        .arg(node.url("/docs/openapi.json"))
        .args(["--auth", &auth, "--seed", "1", "--max-examples", "15", "--generation-deterministic"])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .args(["--phases", "examples,coverage,fuzzing", "--no-color", "--workers", "1"]);
    succeeded(&run(command).await);
    node.stop().await;
}

#[tokio::test]
async fn the_page_comes_from_this_node_alone() {
    let origin = Origin::start().await.unwrap();
    let (node, _) = closed_node(&origin, |_| {}).await;
    let document = node.get("/docs/openapi.json").await;
    assert_eq!((document.status, document.header("content-type")), (StatusCode::OK, "application/json"));
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert!(document["paths"]["/2010-04-01/Accounts/{account}/Keys/{sid}.json"]["delete"].is_object());
    let page = node.get("/docs/").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    let text = String::from_utf8(page.body).unwrap();
    let sources = text.split("src=\"").chain(text.split("href=\"")).skip(1);
    let mut found = 0;
    for source in sources.filter_map(|rest| rest.split('"').next()).filter(|source| !source.contains('<')) {
        assert!(!source.contains("//"), "{source} is elsewhere");
        let path = format!("/docs/{}", source.trim_start_matches("./"));
        assert_eq!(node.get(&path).await.status, StatusCode::OK, "{path}");
        found += 1;
    }
    assert!(found > 3, "{text}");
    assert_eq!(node.get("/docs/nothing.js").await.status, StatusCode::NOT_FOUND);
    assert_eq!(node.get("/docs").await.header("location"), "/docs/");
    node.stop().await;
}
