//! Developers act for users as applications that those allow, over HTTP, and nothing beyond what was allowed.

mod callbacks;

mod clients;

mod escalation;

mod permissions;

mod story;

use http::Method;
use ringback::{
    accounts::{Accounts, Actor, Authorization, Limits},
    testing::origin::Origin,
};
use serde_json::Value;

use super::{Credentials, closed_node, post};
use crate::support::node::TestNode;

/// A node on which a developer has an application, and users.
struct Scene {
    node: TestNode,
    /// The accounts of the node, as pages and the operator use them.
    accounts: Accounts,
    developer: Credentials,
    user: Credentials,
}

fn operator() -> Actor {
    Actor::operator("test")
}

impl Scene {
    async fn new(origin: &Origin) -> Scene {
        let (node, user) = closed_node(origin, |config| config.accounts.failures_max = u32::MAX).await;
        let accounts = accounts_in(node.data_dir()).await;
        let developer = account(&accounts).await;
        Scene { node, accounts, developer, user }
    }

    /// Registers an application that asks for these words.
    async fn app(&self, words: &[&str], more: &[(&str, &str)]) -> Value {
        let form: Vec<_> = words.iter().map(|word| ("Permissions", *word)).chain(more.iter().copied()).collect();
        let path = format!("/2010-04-01/Accounts/{}/ConnectApps.json", self.developer.name);
        let (status, made) = post(&self.node, &self.developer, &path, &form).await;
        assert_eq!(status.as_u16(), 201, "{made}");
        made
    }

    /// What the user does on the page.
    async fn allow(&self, app: &Value, words: &[&str]) -> Authorization {
        let (user, app) = (self.user.name.parse().unwrap(), app["sid"].as_str().unwrap().parse().unwrap());
        let words = words.join(" ").parse().unwrap();
        self.accounts.allow(&user, &app, words, Limits::default(), &operator()).await.unwrap()
    }

    /// What existing clients send to act on a subaccount.
    fn acting(&self, on: &Authorization) -> Credentials {
        Credentials { name: on.sid.to_string(), secret: self.developer.secret.clone() }
    }

    /// Tokens for the developer, by a code.
    async fn tokens(&self, on: &Authorization) -> Value {
        let code = self.accounts.issue_code(on, "https://app.example/back", None, &operator()).await.unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.reveal()),
            ("redirect_uri", "https://app.example/back"),
        ];
        let (status, tokens) = post(&self.node, &self.developer, "/connect/token", &form).await;
        assert_eq!(status.as_u16(), 200, "{tokens}");
        tokens
    }

    async fn stop(self) {
        self.accounts.close().await;
        self.node.stop().await;
    }
}

/// The accounts of a node of its own, beside it.
async fn accounts_in(data_dir: &std::path::Path) -> Accounts {
    let config = ringback::config::Config { data_dir: data_dir.to_owned(), ..Default::default() };
    ringback::app::open_accounts(&config).await.unwrap()
}

/// A top-level account.
async fn account(accounts: &Accounts) -> Credentials {
    let made = accounts.create_account(None, "", &operator()).await.unwrap();
    Credentials { name: made.sid.to_string(), secret: made.primary_token.reveal().to_owned() }
}

/// Asks with any `Authorization`.
async fn ask_as(node: &TestNode, header: Option<&str>, method: Method, path: &str) -> crate::support::node::Answer {
    let request = node.request(method, path);
    node.send(match header {
        Some(header) => request.header("authorization", header),
        None => request,
    })
    .await
}
