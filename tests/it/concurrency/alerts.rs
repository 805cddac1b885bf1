//! Accounts hear that a limit is reached: signed as the ecosystem's libraries check it, once from two nodes, and also while the server of leases is away.

use std::process::Command;

use http::{Method, StatusCode};
use ringback::{
    concurrency::TOLD_EVERY,
    testing::origin::{Body, Origin, Reply},
};
use serde_json::json;

use super::{Fleet, assert_refused, put, until};
use crate::accounts::{
    Credentials, ask,
    clients::{run, succeeded, under_target},
    post, subaccount,
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

/// What was told, by the name of the threshold.
fn told(origin: &Origin, threshold: &str) -> Vec<Vec<(String, String)>> {
    let forms = origin.seen().into_iter().filter(|seen| seen.path.starts_with("/limits"));
    let forms = forms.map(|seen| url::form_urlencoded::parse(&seen.body).into_owned().collect::<Vec<_>>());
    forms.filter(|form: &Vec<_>| form.contains(&("Threshold".to_owned(), threshold.to_owned()))).collect()
}

async fn refused_by_both(fleet: &Fleet, who: &Credentials) {
    for node in &fleet.nodes {
        assert_refused(&ask(node, who, Method::GET, "/v1/media").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_hears_once_that_a_limit_is_reached_on_two_nodes_and_without_redis() {
    let origin = Origin::start().await.unwrap();
    origin.keep_bodies();
    origin.set("/limits?a=1", Reply::ok("text/plain", Body::of("")));
    let callbacks = origin.address().to_string();
    let mut fleet = Fleet::start(&origin, 2, |config| config.outbound.callback_origins = vec![callbacks.clone()]).await;
    let (here, there) = (&fleet.nodes[0], &fleet.nodes[1]);
    let top = fleet.account().await;
    let sub = subaccount(here, &top).await;
    let account = format!("/2010-04-01/Accounts/{}.json", top.name);
    let url = origin.url("/limits?a=1");
    let (status, said) = post(here, &top, &account, &[("LimitCallbackUrl", &url)]).await;
    assert_eq!((status, &said["limit_callback_url"]), (StatusCode::OK, &json!(url)), "{said}");
    assert_eq!(said["limit_callback_method"], "POST");
    let path = format!("/v1/limits/{}/media-reads", sub.name);
    assert_eq!(put(here, &top, &path, &json!({"soft": 1, "hard": 5})).await.0, StatusCode::OK);
    for node in [here, there] {
        until("the limit", async || {
            ask(node, &sub, Method::GET, "/v1/media").await.header("concurrent-requests-soft-limit") == "1"
        })
        .await;
    }
    let heard = async |threshold: &str, count: usize| {
        until("an alert", async || {
            ask(here, &sub, Method::GET, "/v1/media").await;
            ask(there, &sub, Method::GET, "/v1/media").await;
            told(&origin, threshold).len() == count
        })
        .await;
    };
    heard("soft", 1).await;
    let form = told(&origin, "soft").remove(0);
    let value = |name: &str| form.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!((value("AccountSid"), value("Resource")), (sub.name.clone(), "media-reads".to_owned()));
    assert_eq!((value("TriggerValue"), value("CurrentValue").parse::<u32>().is_ok()), ("1".to_owned(), true));
    // Signed with the token of the account whose address it is.
    let seen = origin.seen().into_iter().find(|seen| seen.path.starts_with("/limits")).unwrap();
    let (body, signature) =
        (String::from_utf8(seen.body.to_vec()).unwrap(), seen.headers["x-twilio-signature"].clone());
    let mut command = Command::new(under_target("python/bin/python"));
    command.args(["-c", VALIDATE, &top.secret, &url, &body, signature.to_str().unwrap()]);
    succeeded(&run(command).await);

    // The hard limit is a story of its own; the server of leases goes away, and it is told all the same.
    fleet.redis.stop();
    assert_eq!(put(here, &top, &path, &json!({"soft": 1, "hard": 0})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(put(here, &top, &path, &json!({"hard": 0})).await.0, StatusCode::OK);
    for node in [here, there] {
        until("the hard limit", async || {
            ask(node, &sub, Method::GET, "/v1/media").await.status == StatusCode::TOO_MANY_REQUESTS
        })
        .await;
    }
    heard("hard", 1).await;
    // It flaps, and both nodes note that again; what is reached later is heard, and of this nothing more.
    for (resource, method, asked) in [
        ("media-writes", Method::DELETE, format!("/v1/media/{}", "0".repeat(64))),
        ("uploads", Method::PUT, "/v1/media/uploads".to_owned()),
    ] {
        for node in [here, there] {
            node.node.clock.advance_wall(TOLD_EVERY);
        }
        let path = format!("/v1/limits/{}/{resource}", sub.name);
        assert_eq!(put(here, &top, &path, &json!({"hard": 0})).await.0, StatusCode::OK);
        let resource = ("Resource".to_owned(), resource.to_owned());
        until("the later alert", async || {
            refused_by_both(&fleet, &sub).await;
            ask(there, &sub, method.clone(), &asked).await;
            told(&origin, "hard").iter().any(|form| form.contains(&resource))
        })
        .await;
    }
    let of_reads = ("Resource".to_owned(), "media-reads".to_owned());
    let hard = told(&origin, "hard").into_iter().filter(|form| form.contains(&of_reads)).count();
    assert_eq!((hard, told(&origin, "soft").len()), (1, 1));
    let (status, said) = post(here, &top, &account, &[("LimitCallbackUrl", "")]).await;
    assert_eq!((status, &said["limit_callback_url"]), (StatusCode::OK, &json!(null)));
    fleet.stop().await;
}
