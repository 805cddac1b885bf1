//! How much an application may have in progress that an account allows to act for it.

use http::{Method, StatusCode};
use ringback::{
    accounts::{Actor, ConnectAppFields, Limits},
    concurrency::Resource,
    testing::origin::Origin,
};
use serde_json::{Value, json};

use super::{Fleet, Sources, assert_refused, until};
use crate::accounts::{Credentials, ask, post};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_has_no_more_in_progress_than_it_was_allowed_on_any_node() {
    let origin = Origin::start().await.unwrap();
    let fleet = Fleet::start(&origin, 2, |_| {}).await;
    let (here, there) = (&fleet.nodes[0], &fleet.nodes[1]);
    let (user, developer) = (fleet.account().await, fleet.account().await);
    let by = Actor::operator("test");
    let fields = ConnectAppFields { permissions: "get-all post-all".parse().unwrap(), ..ConnectAppFields::default() };
    let app = fleet.accounts.create_connect_app(&developer.name.parse().unwrap(), &fields, &by).await.unwrap();
    let limits = Limits { concurrency: Some(2), ..Limits::default() };
    let words = app.fields.permissions.clone();
    let on = fleet.accounts.allow(&user.name.parse().unwrap(), &app.sid, words, limits, &by).await.unwrap();
    let acting = Credentials { name: on.sid.to_string(), secret: developer.secret.clone() };

    let sources = Sources::new(&origin, "allowed", 6);
    let addresses: Vec<String> = (0..6).map(|number| sources.address(number)).collect();
    let running = [ask(here, &acting, Method::GET, &addresses[0]), ask(there, &acting, Method::GET, &addresses[1])];
    let story = async {
        sources.gate.arrived(2).await;
        for node in [here, there] {
            let refused = ask(node, &acting, Method::GET, &addresses[2]).await;
            assert_refused(&refused);
            let text = String::from_utf8_lossy(&refused.body).into_owned();
            assert!(text.contains("2 fetches of this account are in progress, and 2 may be"), "{text}");
        }
        // Of other work it has as much again, and its own account and the user's are not concerned.
        assert_eq!(ask(here, &acting, Method::GET, "/v1/media").await.status, StatusCode::OK);
        let told = ask(here, &user, Method::GET, "/v1/usage/concurrency").await;
        let told: Value = serde_json::from_slice(&told.body).unwrap();
        let fetches = told["usage"].as_array().unwrap().iter().find(|of| of["resource"] == Resource::Fetches.as_str());
        assert_eq!(fetches.unwrap()["current"], 2, "its work is the user's: {told}");
        // Narrowed to nothing, it ends nothing and lets in nothing new, everywhere.
        let path = format!("/2010-04-01/Accounts/{}/AuthorizedConnectApps/{}.json", user.name, app.sid);
        let (status, narrowed) = post(here, &user, &path, &[("ConcurrencyLimit", "0")]).await;
        assert_eq!((status, &narrowed["concurrency_limit"]), (StatusCode::OK, &0.into()), "{narrowed}");
        sources.gate.open();
        for node in [here, there] {
            until("the narrower limit", async || {
                ask(node, &acting, Method::GET, "/v1/media").await.status == StatusCode::TOO_MANY_REQUESTS
            })
            .await;
        }
    };
    let (running, ()) = tokio::join!(futures_util::future::join_all(running), story);
    assert!(running.iter().all(|answer| answer.status == StatusCode::OK), "{running:?}");
    // Nor by a path of the developer's own, whose own account is not concerned.
    for node in [here, there] {
        let path = format!("/2010-04-01/Accounts/{}/Applications.json", on.sid);
        let refused = ask(node, &developer, Method::GET, &path).await;
        let body: Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!((refused.status, &body["code"]), (StatusCode::TOO_MANY_REQUESTS, &20429.into()), "{body}");
        assert_eq!(ask(node, &user, Method::GET, "/v1/media").await.status, StatusCode::OK);
        assert_eq!(ask(node, &developer, Method::GET, "/v1/media").await.status, StatusCode::OK);
    }
    // Allowed again, it is what is said then.
    let words = on.profile.clone();
    fleet.accounts.allow(&on.user_account, &app.sid, words, Limits::default(), &by).await.unwrap();
    for node in [here, there] {
        until("that it may again", async || {
            ask(node, &acting, Method::GET, &addresses[3]).await.status == StatusCode::OK
        })
        .await;
    }
    // What is made for it counts, whoever waits: of two fills one is refused, though the request for the first is answered.
    let limits = Limits { concurrency: Some(1), ..Limits::default() };
    let words = on.profile.clone();
    fleet.accounts.allow(&on.user_account, &app.sid, words, limits, &by).await.unwrap();
    let made = Sources::new(&origin, "made", 2);
    let make = async |number: usize, wait: bool| {
        let body = json!({"source": {"url": origin.url(&made.path(number))}, "format": "ulaw", "wait": wait});
        let request = here.request(Method::POST, "/v1/media").header("authorization", acting.header());
        here.send(request.body(body.to_string())).await
    };
    until("the limit of one", async || {
        let told = ask(here, &acting, Method::GET, "/v1/media").await;
        told.header("concurrent-requests-limit") == "1"
    })
    .await;
    assert_eq!(make(0, false).await.status, StatusCode::ACCEPTED);
    made.gate.arrived(1).await;
    let refused = make(1, true).await;
    assert_refused(&refused);
    let text = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(text.contains("1 fills of this account are in progress, and 1 may be"), "{text}");
    assert_eq!(made.asked(), 1, "the origin was asked for what was refused");
    made.gate.open();
    fleet.stop().await;
}
