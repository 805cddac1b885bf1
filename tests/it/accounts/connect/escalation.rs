//! Whoever acts for a user tries to get more than was allowed.

use http::{Method, StatusCode};
use ringback::{accounts::Limits, testing::origin::Origin};
use serde_json::Value;

use super::{Scene, ask_as};
use crate::accounts::{Credentials, ask, post, subaccount};

/// Fields of a form.
type Form = &'static [(&'static str, &'static str)];

#[tokio::test]
async fn who_acts_for_a_user_cannot_get_more_than_it_was_allowed() {
    let origin = Origin::start().await.unwrap();
    let scene = Scene::new(&origin).await;
    let node = &scene.node;
    let app = scene.app(&["get-all", "post-all"], &[]).await;
    let on = scene.allow(&app, &["get-all", "post-all"]).await;
    let acting = scene.acting(&on);
    let (sid, user) = (on.sid.to_string(), scene.user.name.clone());
    let app = app["sid"].as_str().unwrap();
    let bearer = scene.tokens(&on).await;
    let bearer = format!("Bearer {}", bearer["access_token"].as_str().unwrap());
    let root = "/2010-04-01/Accounts";
    let refused: [(Method, String, Form, u16); 17] = [
        // Credentials.
        (Method::POST, format!("{root}/{sid}/Keys.json"), &[("Scopes", "all")], 403),
        (Method::POST, format!("{root}/{sid}/SigningKeys.json"), &[], 403),
        (Method::GET, format!("{root}/{sid}/Keys.json"), &[], 403),
        (Method::POST, "/v1/AuthTokens/Secondary".to_owned(), &[], 403),
        (Method::POST, "/v1/AuthTokens/Promote".to_owned(), &[], 403),
        (Method::POST, "/connect/token".to_owned(), &[("grant_type", "refresh_token"), ("refresh_token", "x")], 400),
        // Its own bounds, and those of others.
        (Method::POST, format!("{root}/{sid}/AuthorizedConnectApps/{app}.json"), &[("Permissions", "get-all")], 403),
        (Method::POST, format!("{root}/{user}/AuthorizedConnectApps/{app}.json"), &[("SpendLimit", "1000")], 404),
        (Method::DELETE, format!("{root}/{user}/AuthorizedConnectApps/{app}.json"), &[], 404),
        (Method::GET, format!("{root}/{user}/AuthorizedConnectApps.json"), &[], 404),
        // Further accounts, and the one above.
        (Method::POST, format!("{root}.json"), &[("FriendlyName", "deeper")], 403),
        (Method::GET, format!("{root}.json"), &[], 403),
        (Method::POST, format!("{root}/{sid}.json"), &[("Status", "active")], 403),
        (Method::GET, format!("{root}/{user}.json"), &[], 404),
        (Method::POST, format!("{root}/{user}/Applications.json"), &[], 404),
        // Being an application itself.
        (Method::POST, format!("{root}/{sid}/ConnectApps.json"), &[("Permissions", "get-all")], 403),
        (Method::GET, format!("{root}/{}/Keys.json", scene.developer.name), &[], 404),
    ];
    for (method, path, form, expected) in &refused {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(*form).finish();
        for header in [acting.header(), bearer.clone()] {
            let request = node.request(method.clone(), path).header("authorization", header);
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.clone());
            let answer = node.send(request).await;
            let said = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status.as_u16(), *expected, "{method} {path}: {said}");
        }
    }
    // By its own credentials on that path it is no more.
    for (method, path, form, _) in &refused[..4] {
        if path.starts_with(root) {
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(*form).finish();
            let request = node.request(method.clone(), path).header("authorization", scene.developer.header());
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
            assert_eq!(node.send(request).await.status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
    // What was allowed is done, and is the user's: the numbers and applications lie in the subaccount.
    let (status, made) =
        post(node, &acting, &format!("{root}/{sid}/Applications.json"), &[("FriendlyName", "a")]).await;
    assert_eq!((status, &made["account_sid"]), (StatusCode::CREATED, &sid.as_str().into()));
    let by_user = ask(node, &scene.user, Method::GET, &format!("{root}/{sid}/Applications.json")).await;
    let by_user: Value = serde_json::from_slice(&by_user.body).unwrap();
    assert_eq!(by_user["applications"][0]["sid"], made["sid"]);
    // A number of the developer's is not slipped under the user's.
    let own = "+15550100077".parse().unwrap();
    let developer = scene.developer.name.parse().unwrap();
    let number = scene.accounts.add_number(&own, Some(&developer), None, &super::operator()).await.unwrap();
    let path = format!("{root}/{}/IncomingPhoneNumbers/{}.json", scene.developer.name, number.sid);
    let (status, said) = post(node, &scene.developer, &path, &[("AccountSid", &sid)]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
    scene.stop().await;
}

#[tokio::test]
async fn its_subaccount_is_nobodys_way_in() {
    let origin = Origin::start().await.unwrap();
    let scene = Scene::new(&origin).await;
    let node = &scene.node;
    let app = scene.app(&["get-all"], &[]).await;
    let on = scene.allow(&app, &["get-all"]).await;
    let path = format!("/2010-04-01/Accounts/{}.json", on.sid);
    // Whose subaccount it is sees it, without a token, and makes none.
    let shown = ask(node, &scene.user, Method::GET, &path).await;
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!((&shown["auth_token"], &shown["owner_account_sid"]), (&Value::Null, &scene.user.name.as_str().into()));
    let listed = ask(node, &scene.user, Method::GET, "/2010-04-01/Accounts.json").await;
    let listed: Value = serde_json::from_slice(&listed.body).unwrap();
    for one in listed["accounts"].as_array().unwrap() {
        assert_eq!(one["auth_token"].is_null(), one["sid"] == on.sid.to_string(), "{one}");
    }
    for kind in ["Keys", "SigningKeys"] {
        let (status, said) =
            post(node, &scene.user, &format!("/2010-04-01/Accounts/{}/{kind}.json", on.sid), &[]).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{said}");
    }
    let (status, said) = post(node, &scene.user, &path, &[("Status", "closed")]).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    // A token in a record that was never shown lets nobody in.
    let token = scene.accounts.account(&on.sid).await.unwrap().primary_token;
    let own = Credentials { name: on.sid.to_string(), secret: token.reveal().to_owned() };
    assert_eq!(ask(node, &own, Method::GET, &path).await.status, StatusCode::UNAUTHORIZED);
    // A subaccount allows nothing.
    let sub = subaccount(node, &scene.user).await;
    let app = app["sid"].as_str().unwrap().parse().unwrap();
    let (sub, by, limits) = (sub.name.parse().unwrap(), super::operator(), Limits::default());
    let refused = scene.accounts.allow(&sub, &app, "get-all".parse().unwrap(), limits, &by).await.unwrap_err();
    assert_eq!(refused.problem().kind.status(), 403);
    // Of whoever asks without the right secret nothing is told apart.
    let wrong = Credentials { name: on.sid.to_string(), secret: "0".repeat(32) };
    let never = Credentials { name: format!("AC{}", "7".repeat(32)), secret: "0".repeat(32) };
    let said = [wrong.header(), never.header()].map(Some);
    let [one, two] = [
        ask_as(node, said[0].as_deref(), Method::GET, &path).await,
        ask_as(node, said[1].as_deref(), Method::GET, &path).await,
    ];
    assert_eq!((one.status, one.body), (two.status, two.body));
    scene.stop().await;
}
