//! Accounts from outside: the REST API by the libraries that existing applications use, tenants beside one another, and what a revocation
//! does to callers who are being served.

pub(crate) mod clients;

mod connect;

mod document;

mod media;

mod outage;

mod revoked;

mod secrets;

mod tenants;

use std::process::Output;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use ringback::{api::Anonymous, config::Config, testing::origin::Origin};
use serde_json::Value;

use crate::support::{
    node::{Answer, TestNode},
    process,
};

/// Who asks: an account's or a key's name, and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) secret: String,
}

impl Credentials {
    pub(crate) fn new(name: &Value, secret: &Value) -> Credentials {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Credentials { name: text(name), secret: text(secret) }
    }

    pub(crate) fn header(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.name, self.secret)))
    }
}

/// A node that lets in nobody without credentials, and those of its first account.
pub(crate) async fn closed_node(origin: &Origin, adjust: impl FnOnce(&mut Config)) -> (TestNode, Credentials) {
    let node = TestNode::start_with(origin, |config| {
        config.http.anonymous = Anonymous::Off;
        adjust(config);
    })
    .await;
    let text = std::fs::read_to_string(node.data_dir().join("first-credentials")).unwrap();
    let word = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let first = Credentials { name: word("account"), secret: word("token") };
    (node, first)
}

/// Asks with credentials.
pub(crate) async fn ask(node: &TestNode, who: &Credentials, method: Method, path: &str) -> Answer {
    node.send(node.request(method, path).header("authorization", who.header())).await
}

/// Posts a form.
pub(crate) async fn post(node: &TestNode, who: &Credentials, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = node
        .request(Method::POST, path)
        .header("authorization", who.header())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    let answer = node.send(request).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

/// A subaccount of an account.
pub(crate) async fn subaccount(node: &TestNode, of: &Credentials) -> Credentials {
    let (status, made) = post(node, of, "/2010-04-01/Accounts.json", &[]).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    Credentials::new(&made["sid"], &made["auth_token"])
}

/// What `ringback account …` prints of a node's accounts, each line an object.
pub(crate) async fn operate(node: &TestNode, arguments: &[&str]) -> Vec<Value> {
    let output = operate_raw(node, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn operate_raw(node: &TestNode, arguments: &[&str]) -> Output {
    let mut command = process::command();
    command.arg("account").args(arguments).arg("--json").arg("--data-dir").arg(node.data_dir());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
