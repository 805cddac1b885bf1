//! The whole way in a real browser, over the node's own TLS (`journey.js`).

use std::process::Command;

use ringback::{accounts::Role, api::Anonymous, testing::origin::Origin};
use serde_json::json;

use super::{PASSWORD, accounts_of, operator, user};
use crate::support::{
    clients::{run, succeeded, under_target},
    node::TestNode,
    setting, tls,
};

#[tokio::test]
async fn a_user_allows_an_application_and_takes_it_back() {
    let origin = Origin::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    tls::certificate(directory.path());
    let node = TestNode::start_with(&origin, |config| {
        config.http.anonymous = Anonymous::Off;
        config.tls_cert = Some(directory.path().join("certificate.pem"));
        config.tls_key = Some(directory.path().join("key.pem"));
    })
    .await;
    let accounts = accounts_of(&node).await;
    let account = accounts.create_account(None, "Example Ltd", &operator()).await.unwrap();
    let developer = accounts.create_account(None, "Developer Inc", &operator()).await.unwrap();
    let jane = user(&accounts, &account, "jane@example.com", Role::Owner).await;
    let [totp, _] = accounts.set_totp(&jane, &operator()).await.unwrap();
    let said = json!({
        "url": format!("https://{}", node.node.address),
        "user": { "email": "jane@example.com", "password": PASSWORD, "totp": totp.reveal(), "account": account.sid },
        "developer": { "sid": developer.sid, "token": developer.primary_token.reveal() },
        // `make screenshots` keeps what it looks like.
        "screenshots": setting("RINGBACK_SCREENSHOTS"),
    });
    let mut command = Command::new("node");
    command.arg("-e").arg(include_str!("journey.js")).arg("--").arg(said.to_string());
    command.current_dir(under_target("node"));
    succeeded(&run(command).await);
    accounts.close().await;
    node.stop().await;
}
