//! A developer hears that it may not any more: signed as the ecosystem's libraries check it, and also where the node was killed right after.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use ringback::{
    accounts::{ConnectAppFields, Limits},
    testing::origin::{Body, Origin, Reply},
};

use super::{accounts_in, operator};
use crate::{
    accounts::clients::{run, succeeded, under_target},
    support::process::Process,
};

/// What the library says of a signature.
const VALIDATE: &str = "
import sys
from urllib.parse import parse_qsl
from twilio.request_validator import RequestValidator
token, url, body, signature = sys.argv[1:5]
validator = RequestValidator(token)
assert validator.validate(url, dict(parse_qsl(body)), signature)
assert not validator.validate(url, dict(parse_qsl(body + '&x=1')), signature)
";

#[tokio::test]
async fn a_developer_hears_of_it_though_the_node_was_killed_right_after() {
    ringback::outbound::install_crypto_provider();
    let origin = Origin::start().await.unwrap();
    origin.keep_bodies();
    origin.set("/gone?a=1", Reply::ok("text/plain", Body::of("")));
    let directory = tempfile::tempdir().unwrap();
    let callbacks = [("RINGBACK_OUTBOUND__CALLBACK_ORIGINS", &*origin.address().to_string())];
    let node = Process::start_in(directory.path(), &[], &callbacks);
    let accounts = accounts_in(directory.path()).await;
    let developer = accounts.create_account(None, "", &operator()).await.unwrap();
    let user = accounts.create_account(None, "", &operator()).await.unwrap();
    let fields = ConnectAppFields {
        deauthorize_callback_url: Some(origin.url("/gone?a=1")),
        permissions: "get-all".parse().unwrap(),
        ..ConnectAppFields::default()
    };
    let app = accounts.create_connect_app(&developer.sid, &fields, &operator()).await.unwrap();
    let words = app.fields.permissions.clone();
    let on = accounts.allow(&user.sid, &app.sid, words, Limits::default(), &operator()).await.unwrap();
    accounts.close().await;
    let basic = STANDARD.encode(format!("{}:{}", user.sid, user.primary_token.reveal()));
    let path = format!("/2010-04-01/Accounts/{}/AuthorizedConnectApps/{}.json", user.sid, app.sid);
    let revoke = reqwest::Client::builder().no_proxy().build().unwrap().delete(node.url(&path));
    let revoked = revoke.header("authorization", format!("Basic {basic}")).send().await.unwrap();
    assert_eq!(revoked.status().as_u16(), 204);
    node.kill();

    let node = Process::start_in(directory.path(), &[], &callbacks);
    // At once, or after the lease of the one that was killed if it had begun.
    let heard = tokio::time::timeout(std::time::Duration::from_secs(120), origin.wait_for_requests(1)).await;
    heard.expect("the developer never hears of it");
    let seen = origin.seen();
    let request = seen.last().unwrap();
    assert_eq!((&request.method, request.path.as_str()), (&Method::POST, "/gone?a=1"));
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    assert_eq!(body, format!("AccountSid={}&ConnectAppSid={}", on.sid, app.sid));
    let mut command = Command::new(under_target("python/bin/python"));
    let signature = request.headers["x-twilio-signature"].to_str().unwrap();
    command.args(["-c", VALIDATE, developer.primary_token.reveal(), &origin.url("/gone?a=1"), &body, signature]);
    succeeded(&run(command).await);
    drop(node);
}
