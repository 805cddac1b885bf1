//! A developer acts for a user, and the user takes it back.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::testing::{
    fixture,
    origin::{Body, Origin, Reply},
};
use serde_json::Value;

use super::{Scene, ask_as};
use crate::{
    accounts::{ask, post},
    support::node::fetch_path,
};

/// Within how long a revocation holds (`spec/trust.md` §3).
const PROMISED: Duration = Duration::from_secs(1);

#[tokio::test]
async fn what_is_revoked_is_refused_within_a_second_whichever_way_it_was_had() {
    let origin = Origin::start().await.unwrap();
    origin.set("/a.wav", Reply::ok("audio/wav", Body::of(fixture::audio("speech.wav").unwrap())));
    let scene = Scene::new(&origin).await;
    let node = &scene.node;
    let app = scene.app(&["get-all", "post-all"], &[]).await;
    let on = scene.allow(&app, &["get-all", "post-all"]).await;
    let acting = scene.acting(&on);
    let tokens = scene.tokens(&on).await;
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let fetch = fetch_path(&origin.url("/a.wav"), "ulaw");
    let applications = format!("/2010-04-01/Accounts/{}/Applications.json", on.sid);

    // Private audio of the subaccount, whose address is all that it takes.
    let audio = fixture::audio("speech.wav").unwrap().to_vec();
    let put = node.request(Method::PUT, "/prompts/hello.wav").header("authorization", acting.header()).body(audio);
    assert!(node.send(put).await.status.is_success());
    let prompt = ask(node, &acting, Method::GET, "/prompts/hello.ulaw").await;
    let private = url::Url::parse(prompt.header("content-location"));
    let private = private.map_or_else(|_| prompt.header("content-location").to_owned(), |url| url.path().to_owned());
    // It is the user's, and neither the developer's nor the user's other accounts'.
    for who in [&scene.developer, &scene.user] {
        assert_eq!(ask(node, who, Method::GET, "/prompts/hello.ulaw").await.status, StatusCode::NOT_FOUND);
    }

    let acting = acting.header();
    let developer = scene.developer.header();
    let ways: [(&str, Option<&str>, &str); 5] = [
        ("a hit in memory", Some(&acting), &fetch),
        ("a hit by a token", Some(&bearer), &fetch),
        ("a record", Some(&acting), &applications),
        ("a path", Some(&developer), &applications),
        ("an address of private audio", None, &private),
    ];
    for (way, header, path) in ways {
        for _ in 0..2 {
            let answer = ask_as(node, header, Method::GET, path).await;
            assert_eq!(answer.status, StatusCode::OK, "{way}: {answer:?}");
        }
    }
    let path =
        format!("/2010-04-01/Accounts/{}/AuthorizedConnectApps/{}.json", scene.user.name, app["sid"].as_str().unwrap());
    // By another process than the one that serves.
    let user = scene.user.name.parse().unwrap();
    scene.accounts.revoke(&user, &on.connect_app.sid, &super::operator()).await.unwrap();
    let began = tokio::time::Instant::now();
    for (way, header, path) in ways {
        while ask_as(node, header, Method::GET, path).await.status == StatusCode::OK {
            assert!(began.elapsed() <= PROMISED, "{way}");
        }
        assert!(began.elapsed() <= PROMISED, "{way}");
        assert_eq!(ask_as(node, header, Method::GET, path).await.status, StatusCode::FORBIDDEN, "{way}");
    }
    assert_eq!(ask(node, &scene.user, Method::GET, &path).await.status, StatusCode::NOT_FOUND);
    // What the user has there is still the user's.
    assert_eq!(ask(node, &scene.user, Method::GET, &applications).await.status, StatusCode::OK);
    // The developer's own is not touched.
    assert_eq!(ask(node, &scene.developer, Method::GET, &fetch).await.status, StatusCode::OK);
    scene.stop().await;
}

#[tokio::test]
async fn what_is_authorized_is_listed_narrowed_and_revoked_by_who_has_allowed_it() {
    let origin = Origin::start().await.unwrap();
    let scene = Scene::new(&origin).await;
    let node = &scene.node;
    let more = [("FriendlyName", "Switchboard"), ("CompanyName", "Example"), ("HomepageUrl", "https://app.example/")];
    let app = scene.app(&["get-all"], &more).await;
    let on = scene.allow(&app, &["get-all"]).await;
    let root = format!("/2010-04-01/Accounts/{}/AuthorizedConnectApps", scene.user.name);
    let one = format!("{root}/{}.json", app["sid"].as_str().unwrap());
    let listed = ask(node, &scene.user, Method::GET, &format!("{root}.json?PageSize=1")).await;
    let listed: Value = serde_json::from_slice(&listed.body).unwrap();
    let shown = &listed["authorized_connect_apps"][0];
    assert_eq!((&shown["connect_account_sid"], &shown["connect_app_sid"]), (&on.sid.to_string().into(), &app["sid"]));
    assert_eq!(shown["connect_app_company_name"], "Example");
    assert_eq!(shown["date_last_used"], Value::Null);

    let narrow = async |form: &[(&str, &str)]| post(node, &scene.user, &one, form).await;
    let (status, narrowed) =
        narrow(&[("Permissions", "media:read"), ("Permissions", "numbers:read"), ("SpendLimit", "5")]).await;
    assert_eq!(status, StatusCode::OK, "{narrowed}");
    assert_eq!(narrowed["permissions"], serde_json::json!(["media:read", "numbers:read"]));
    assert_eq!((&narrowed["spend_limit"], &narrowed["concurrency_limit"]), (&"5.00".into(), &Value::Null));
    for wider in [
        &[("Permissions", "get-all")][..],
        &[("Permissions", "media:read"), ("Permissions", "media:write")],
        &[("Permissions", "everything")],
        &[("Permissions", "keys:read")],
        &[("SpendLimit", "5.01")],
        &[("SpendLimit", "much")],
        &[("ConcurrencyLimit", "-1")],
    ] {
        let (status, said) = narrow(wider).await;
        assert_eq!((status, &said["code"]), (StatusCode::BAD_REQUEST, &20001.into()), "{wider:?}: {said}");
    }
    assert_eq!(ask(node, &scene.user, Method::DELETE, &one).await.status, StatusCode::NO_CONTENT);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(ask(node, &scene.user, method, &one).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(narrow(&[("SpendLimit", "1")]).await.0, StatusCode::NOT_FOUND);
    scene.stop().await;
}

#[tokio::test]
async fn codes_and_tokens_are_asked_for_as_rfc_6749_says() {
    let origin = Origin::start().await.unwrap();
    let scene = Scene::new(&origin).await;
    let node = &scene.node;
    let app = scene.app(&["media:read"], &[]).await;
    let on = scene.allow(&app, &["media:read"]).await;
    let first = scene.tokens(&on).await;
    assert_eq!((&first["token_type"], &first["expires_in"]), (&"Bearer".into(), &900.into()));
    assert_eq!((&first["scope"], &first["account_sid"]), (&"media:read".into(), &on.sid.to_string().into()));
    let refresh = async |tokens: &Value| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
        post(node, &scene.developer, "/connect/token", &form).await
    };
    let (status, second) = refresh(&first).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    let own = format!("/2010-04-01/Accounts/{}.json", on.sid);
    let works = async |tokens: &Value| {
        let header = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        ask_as(node, Some(&header), Method::GET, &own).await.status
    };
    assert_eq!((works(&first).await, works(&second).await), (StatusCode::OK, StatusCode::OK));
    let revoke = [("token", second["refresh_token"].as_str().unwrap()), ("token_type_hint", "refresh_token")];
    assert_eq!(post(node, &scene.developer, "/connect/revoke", &revoke).await.0, StatusCode::OK);
    assert_eq!(
        post(node, &scene.developer, "/connect/revoke", &revoke).await.0,
        StatusCode::OK,
        "it is revoked already"
    );
    assert_eq!((works(&first).await, works(&second).await), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));

    for (form, status, error) in [
        (&[][..], 400, "invalid_request"),
        (&[("grant_type", "password")], 400, "unsupported_grant_type"),
        (&[("grant_type", "authorization_code")], 400, "invalid_request"),
        (&[("grant_type", "authorization_code"), ("code", "x")], 400, "invalid_grant"),
        (&[("grant_type", "refresh_token"), ("refresh_token", "x")], 400, "invalid_grant"),
        (&[("grant_type", "refresh_token"), ("grant_type", "refresh_token")], 400, "invalid_request"),
    ] {
        let (answered, said) = post(node, &scene.developer, "/connect/token", form).await;
        assert_eq!((answered.as_u16(), &said["error"]), (status, &error.into()), "{form:?}: {said}");
    }
    let nobody = ask_as(node, None, Method::POST, "/connect/token").await;
    let said: Value = serde_json::from_slice(&nobody.body).unwrap();
    assert_eq!((nobody.status, &said["error"]), (StatusCode::UNAUTHORIZED, &"invalid_client".into()));
    assert!(nobody.header("www-authenticate").starts_with("Basic "));
    assert_eq!((nobody.header("cache-control"), nobody.header("pragma")), ("no-store", "no-cache"));
    scene.stop().await;
}
