//! What the libraries that existing applications use make of a refusal, as they are.

use std::process::Command;

use http::{Method, StatusCode};
use ringback::testing::origin::Origin;
use serde_json::json;

use super::{put, until};
use crate::accounts::{
    ask,
    clients::{run, succeeded, under_target},
    closed_node, subaccount,
};

const PYTHON: &str = "
import sys
from urllib.parse import urlsplit
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

node, account, token = sys.argv[1:4]

class Here(TwilioHttpClient):
    def request(self, method, url, *args, **kwargs):
        return super().request(method, node + urlsplit(url).path, *args, **kwargs)

try:
    Client(account, token, http_client=Here()).api.v2010.accounts(account).fetch()
    sys.exit('it was answered')
except TwilioRestException as error:
    print(error.status, error.code, error.msg)
";

const NODE: &str = "
const [url, account, token] = process.argv.slice(-3);
const twilio = require('twilio');
const RequestClient = require('twilio/lib/base/RequestClient');
class Here extends RequestClient {
  request(options) {
    return super.request({ ...options, uri: url + new URL(options.uri).pathname });
  }
}
twilio(account, token, { httpClient: new Here() }).api.v2010.accounts(account).fetch().then(
  () => { console.error('it was answered'); process.exit(1); },
  (error) => console.log(error.status, error.code, error.message),
);
";

#[tokio::test]
async fn libraries_tell_of_the_limit_and_try_nothing_again() {
    let origin = Origin::start().await.unwrap();
    let (node, top) = closed_node(&origin, |_| {}).await;
    let sub = subaccount(&node, &top).await;
    let path = format!("/v1/limits/{}/accounts", sub.name);
    assert_eq!(put(&node, &top, &path, &json!({"hard": 0})).await.0, StatusCode::OK);
    let own = format!("/2010-04-01/Accounts/{}.json", sub.name);
    until("the limit", async || ask(&node, &sub, Method::GET, &own).await.status == StatusCode::TOO_MANY_REQUESTS)
        .await;
    let mut python = Command::new(under_target("python/bin/python"));
    python.arg("-c").arg(PYTHON);
    let mut javascript = Command::new("node");
    javascript.arg("-e").arg(NODE).arg("--").current_dir(under_target("node"));
    for mut command in [python, javascript] {
        command.args([node.url("").trim_end_matches('/'), &sub.name, &sub.secret]);
        let said = succeeded(&run(command).await);
        assert!(said.starts_with("429 20429 "), "{said}");
        assert!(said.contains("0 accounts of this account are in progress, and 0 may be"), "{said}");
    }
    node.stop().await;
}
