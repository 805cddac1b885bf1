//! An application asks: what its user is shown, and what becomes of the answer.

use http::StatusCode;
use ringback::accounts::{AccountChange, AuthorizationStatus, ConnectAppFields, Role, Status};
use url::Url;

use super::{REDIRECT, STATE, World, app_fields, field, fields, leads_to, operator, text, user, with};
use crate::support::node::Answer;

/// What a browser is sent back with, or nothing where it is not sent to the application.
fn back(answer: &Answer) -> Option<Vec<(String, String)>> {
    let location = leads_to(answer)?;
    let url = Url::parse(&location).unwrap();
    assert_eq!(&url[..url::Position::AfterPath], "https://app.example/back", "{location}");
    assert_eq!(url.fragment(), None);
    Some(url.query_pairs().into_owned().collect())
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn action(world: &World) -> String {
    format!("/connect/authorize/{}", world.app.sid)
}

#[tokio::test]
async fn who_allows_goes_back_with_the_subaccount_and_the_state() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let page = browser.get(&world.authorize_path()).await;
    let said = text(&page);
    for shown in [
        "Call Insights",
        "Developer Inc",
        "https://insights.example/",
        "Shows what your callers hear.",
        "Example Ltd",
        &world.account.sid.to_string(),
        "See everything in its subaccount",
        "have text spoken",
        "app.example",
    ] {
        assert!(said.contains(shown), "{shown} is not in {said}");
    }
    assert_eq!(page.header("content-security-policy").rsplit_once("; ").unwrap().1, "form-action 'self'");
    let form = fields(&page, &action(&world));
    let answer = browser.post(&action(&world), &with(&form, "decision", "allow")).await;
    let allowed = world.accounts.authorization(&world.account.sid, &world.app.sid).await.unwrap();
    let expected = [pair("from", "ringback"), pair("AccountSid", allowed.sid.to_string()), pair("state", STATE)];
    assert_eq!(back(&answer).unwrap(), expected);
    assert_eq!(
        (allowed.profile.to_string().as_str(), allowed.status),
        ("get-all media:write", AuthorizationStatus::Active)
    );
    let deeds = world.accounts.audit(Some(&world.account.sid), None, 5).await.unwrap();
    assert_eq!(deeds[0].action, "connect.allow");
    assert!(deeds[0].credential.starts_with("user US") && deeds[0].credential.ends_with(" jane@example.com"));
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_ticked_is_not_allowed_and_limits_are_kept() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let page = browser.get(&world.authorize_path()).await;
    let form = fields(&page, &action(&world));
    let without: Vec<_> = form.iter().filter(|(_, value)| value != "get-all").cloned().collect();

    let nothing: Vec<_> = form.iter().filter(|(name, _)| name != "permission").cloned().collect();
    for (form, name, value, complaint) in [
        (&nothing, "spend", "", "Nothing is ticked"),
        (&without, "spend", "much", "no amount"),
        (&without, "concurrency", "1.5", "no whole number"),
    ] {
        let mut form = with(form, name, value);
        form.push(("decision", "allow"));
        let again = browser.post(&action(&world), &form).await;
        assert_eq!(again.status, StatusCode::CONFLICT);
        assert!(text(&again).contains(complaint), "{}", text(&again));
        // What was chosen is still chosen.
        let kept = fields(&again, &action(&world));
        assert_eq!(kept.iter().filter(|(_, value)| value == "get-all").count(), 0);
    }
    assert_eq!(world.subaccounts().await, 0);

    let mut form = with(&without, "concurrency", "2");
    form.retain(|(name, _)| *name != "spend");
    // More than was asked for is nothing that a form can say.
    form.extend([("spend", "12.5"), ("permission", "post-all"), ("permission", "keys:write"), ("decision", "allow")]);
    assert!(back(&browser.post(&action(&world), &form).await).is_some());
    let allowed = world.accounts.authorization(&world.account.sid, &world.app.sid).await.unwrap();
    assert_eq!(allowed.profile.to_string(), "media:write");
    assert_eq!((allowed.limits.spend.unwrap().to_string().as_str(), allowed.limits.concurrency), ("12.50", Some(2)));

    // Asked again, it is shown as it is.
    let page = browser.get(&world.authorize_path()).await;
    assert!(text(&page).contains("You have allowed it before"));
    let form = fields(&page, &action(&world));
    assert!(!form.contains(&pair("permission", "get-all")) && form.contains(&pair("permission", "media:write")));
    assert!(form.contains(&pair("spend", "12.50")) && form.contains(&pair("concurrency", "2")));
    world.stop().await;
}

#[tokio::test]
async fn who_denies_goes_back_and_nothing_is_allowed() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let page = browser.get(&world.authorize_path()).await;
    let form = fields(&page, &action(&world));
    let answer = browser.post(&action(&world), &with(&form, "decision", "deny")).await;
    let expected = [pair("from", "ringback"), pair("error", "unauthorized_client"), pair("state", STATE)];
    assert_eq!(back(&answer).unwrap(), expected);
    assert_eq!(world.subaccounts().await, 0);
    for decision in ["", "maybe"] {
        let answer = browser.post(&action(&world), &with(&form, "decision", decision)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(world.subaccounts().await, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_double_click_allows_once_and_both_go_back() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let page = browser.get(&world.authorize_path()).await;
    let form = fields(&page, &action(&world));
    let form = with(&form, "decision", "allow");
    let mut clicks: Vec<_> = (0..6)
        .map(|_| {
            let mut tab = world.browser();
            tab.cookies.clone_from(&browser.cookies);
            tab
        })
        .collect();
    let path = action(&world);
    let answers = futures_util::future::join_all(clicks.iter_mut().map(|tab| tab.post(&path, &form))).await;
    let backs: Vec<_> = answers.iter().map(|answer| back(answer).expect("each is sent back")).collect();
    assert!(backs.iter().all(|back| *back == backs[0]), "{backs:?}");
    assert_eq!(world.subaccounts().await, 1);
    world.stop().await;
}

#[tokio::test]
async fn no_other_site_allows_anything_in_somebodys_name() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let page = browser.get(&world.authorize_path()).await;
    let form = fields(&page, &action(&world));
    let mut other = world.signed_in("jane@example.com").await;
    let others = field(&other.get("/connect/authorized").await, "token");
    let mut stranger = world.browser();
    let visitors = field(&stranger.get("/connect/sign-in").await, "token");
    for token in ["", "x", &others, &visitors] {
        for decision in ["allow", "deny"] {
            let mut form = with(&form, "token", token);
            form.push(("decision", decision));
            let answer = browser.post(&action(&world), &form).await;
            assert_eq!((answer.status, back(&answer)), (StatusCode::FORBIDDEN, None), "{token} {decision}");
        }
    }
    // Whoever is not signed in is asked to, and sent back to the question only.
    let answer = stranger.post(&action(&world), &with(&form, "decision", "allow")).await;
    assert!(answer.header("location").starts_with("/connect/sign-in?to="), "{answer:?}");
    assert_eq!(world.subaccounts().await, 0);
    world.stop().await;
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let world = World::start().await;
    let mut signed_in = world.signed_in("jane@example.com").await;
    let mut stranger = world.browser();
    let app = world.app.sid;
    let evil = [
        "https://evil.example/",
        "https://app.example/back",
        "https://app.example/back?from=ringback&x=1",
        "https://app.example/back?from=ringback#",
        "https://app.example/back/../back?from=ringback",
        "HTTPS://app.example/back?from=ringback",
        "https://app.example:443/back?from=ringback",
        "https://app.example@evil.example/back?from=ringback",
        " https://app.example/back?from=ringback",
        "//evil.example",
        "javascript:alert(1)",
    ];
    let mut questions: Vec<String> = evil
        .iter()
        .map(|redirect| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("state", STATE), ("redirect_uri", redirect)])
                .finish();
            format!("/connect/authorize/{app}?{query}")
        })
        .collect();
    let registered: String = url::form_urlencoded::byte_serialize(REDIRECT.as_bytes()).collect();
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    questions.extend([
        format!("/connect/authorize/{app}"),
        format!("/connect/authorize/{app}?state="),
        format!("/connect/authorize/{app}?state={}", "x".repeat(1_025)),
        format!("/connect/authorize/{app}?state={STATE}&state=2"),
        format!("/connect/authorize/{app}?state={STATE}&redirect_uri={registered}&redirect_uri={registered}"),
        format!("/connect/authorize/{app}?state={STATE}&response_type=token"),
        format!("/connect/authorize/{app}?state={STATE}&response_type=code"),
        format!("/connect/authorize/{app}?state={STATE}&response_type=code&code_challenge={challenge}"),
        format!("/connect/authorize/{app}?state={STATE}&response_type=code&code_challenge={challenge}&code_challenge_method=plain"),
        format!("/connect/authorize/{app}?state={STATE}&response_type=code&code_challenge=short&code_challenge_method=S256"),
        format!("/connect/authorize/{app}?state={STATE}&code_challenge={challenge}&code_challenge_method=S256"),
        format!("/connect/authorize/CN{}?state={STATE}", "0".repeat(32)),
        format!("/connect/authorize/x?state={STATE}"),
        format!("/connect/authorize/..%2F..%2Fevil?state={STATE}"),
    ]);
    for question in &questions {
        for browser in [&mut signed_in, &mut stranger] {
            let answer = browser.get(question).await;
            assert!(answer.status.is_client_error(), "{question}: {answer:?}");
            assert!(!answer.headers.contains_key("location"), "{question}");
            assert!(!text(&answer).contains("evil") && !text(&answer).contains("javascript"), "{question}");
        }
    }
    // Nor by the form, whatever stands in it.
    let page = signed_in.get(&format!("/connect/authorize/{app}?state={STATE}&redirect_uri={registered}")).await;
    let form = fields(&page, &action(&world));
    assert!(form.contains(&pair("redirect_uri", REDIRECT)));
    for redirect in evil {
        let mut form = with(&form, "redirect_uri", redirect);
        form.push(("decision", "deny"));
        let answer = signed_in.post(&action(&world), &form).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""), "{redirect}");
    }
    assert!(back(&signed_in.post(&action(&world), &with(&form, "decision", "deny")).await).is_some());
    world.stop().await;
}

#[tokio::test]
async fn a_state_comes_back_as_it_went_whatever_is_in_it() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    for state in [
        "a b+c%20d",
        "x&AccountSid=AC00000000000000000000000000000000",
        "x#y",
        "\r\nset-cookie: a=b",
        "\"><script>alert(1)</script>",
        "ключ\u{0}",
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
        let mut stranger = world.browser();
        let to_sign_in = stranger.get(&format!("{}?{query}", action(&world))).await;
        let page = stranger.get(to_sign_in.header("location")).await;
        assert_eq!(field(&page, "to"), format!("{}?{query}", action(&world)), "it is not lost on the way");
        let page = browser.get(&format!("{}?{query}", action(&world))).await;
        assert!(!text(&page).contains("<script"), "{state:?}");
        let form = fields(&page, &action(&world));
        let answer = browser.post(&action(&world), &with(&form, "decision", "deny")).await;
        let expected = [pair("from", "ringback"), pair("error", "unauthorized_client"), pair("state", state)];
        assert_eq!(back(&answer).unwrap(), expected, "{state:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn only_owners_and_administrators_of_active_top_level_accounts_may_allow() {
    let world = World::start().await;
    let sub = world.accounts.create_account(Some(&world.account.sid), "Sub", &operator()).await.unwrap();
    user(&world.accounts, &sub, "sub@example.com", Role::Owner).await;
    world.user("viewer@example.com", Role::Viewer).await;
    world.user("admin@example.com", Role::Admin).await;
    let mut jane = world.signed_in("jane@example.com").await;
    let form = fields(&jane.get(&world.authorize_path()).await, &action(&world));
    for (email, complaint) in [("sub@example.com", "subaccount"), ("viewer@example.com", "look on")] {
        let mut browser = world.signed_in(email).await;
        let page = browser.get(&world.authorize_path()).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(text(&page).contains(complaint) && !text(&page).contains("value=\"allow\""), "{}", text(&page));
        let token = field(&page, "token");
        let mut form = with(&form, "token", &token);
        form.push(("decision", "allow"));
        let answer = browser.post(&action(&world), &form).await;
        assert_eq!((answer.status, back(&answer)), (StatusCode::FORBIDDEN, None), "{email}");
    }
    assert_eq!(world.subaccounts().await, 1, "the one that was made by hand");
    let mut admin = world.signed_in("admin@example.com").await;
    let form = fields(&admin.get(&world.authorize_path()).await, &action(&world));
    assert!(back(&admin.post(&action(&world), &with(&form, "decision", "allow")).await).is_some());

    let suspended = AccountChange { status: Some(Status::Suspended), ..AccountChange::default() };
    world.accounts.update_account(&world.account.sid, &suspended, &operator()).await.unwrap();
    let answer = admin.post(&action(&world), &with(&form, "decision", "allow")).await;
    assert!(answer.header("location").starts_with("/connect/sign-in"), "{answer:?}");
    world.stop().await;
}

#[tokio::test]
async fn an_application_that_changed_meanwhile_is_shown_again() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    type Change = fn(&mut ConnectAppFields);
    let changes: [(&str, Change); 5] = [
        ("name", |fields| fields.friendly_name = "Something else".to_owned()),
        ("company", |fields| fields.company_name = "Somebody else".to_owned()),
        ("permissions", |fields| fields.permissions = "get-all post-all".parse().unwrap()),
        ("fewer permissions", |fields| fields.permissions = "media:read".parse().unwrap()),
        ("address", |fields| fields.authorize_redirect_url = Some("https://app.example/back?x=2".to_owned())),
    ];
    for (what, change) in changes {
        let page = browser.get(&world.authorize_path()).await;
        let form = fields(&page, &action(&world));
        let mut app = world.accounts.connect_app(&world.app.sid).await.unwrap();
        app.fields = app_fields();
        change(&mut app.fields);
        world.accounts.update_connect_app(&app, &operator()).await.unwrap();
        let again = browser.post(&action(&world), &with(&form, "decision", "allow")).await;
        assert_eq!((again.status, back(&again)), (StatusCode::CONFLICT, None), "{what}");
        assert!(text(&again).contains("has changed while you were looking"), "{what}");
        let asked = fields(&again, &action(&world));
        let asked: Vec<_> =
            asked.iter().filter(|(name, _)| name == "permission").map(|(_, word)| word.as_str()).collect();
        assert_eq!(asked.join(" "), app.fields.permissions.to_string(), "{what}");
        assert_eq!(world.subaccounts().await, 0, "{what}");
    }
    // Deleted, it asks for nothing any more.
    let page = browser.get(&world.authorize_path()).await;
    let form = fields(&page, &action(&world));
    world.accounts.delete_connect_app(&world.developer.sid, &world.app.sid, &operator()).await.unwrap();
    let answer = browser.post(&action(&world), &with(&form, "decision", "allow")).await;
    assert_eq!((answer.status, back(&answer)), (StatusCode::NOT_FOUND, None));
    world.stop().await;
}

#[tokio::test]
async fn what_a_developer_writes_is_text_and_nothing_else() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let mut app = world.app.clone();
    let evil = "<script>alert(1)</script><img src=x onerror=y>\"'";
    app.fields.friendly_name = evil.to_owned();
    app.fields.company_name = evil.to_owned();
    app.fields.description = evil.to_owned();
    app.fields.homepage_url = Some("https://a.example/\"><script>".to_owned());
    world.accounts.update_connect_app(&app, &operator()).await.unwrap();
    let page = browser.get(&world.authorize_path()).await;
    assert!(!text(&page).contains("<script") && !text(&page).contains("<img"), "{}", text(&page));
    let form = fields(&page, &action(&world));
    assert!(back(&browser.post(&action(&world), &with(&form, "decision", "allow")).await).is_some());
    let list = browser.get("/connect/authorized").await;
    assert!(text(&list).contains("&lt;script") && !text(&list).contains("<script") && !text(&list).contains("<img"));
    world.stop().await;
}
