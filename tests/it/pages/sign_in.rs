//! Signing in, as browsers do it and as others try to.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::accounts::Role;

use super::{Browser, PASSWORD, World, field, fields, operator, text, with};
use crate::support::node::Answer;

#[tokio::test]
async fn pages_are_given_by_private_ways_only_and_tell_how_to_have_one() {
    // No proxy is trusted here, whatever it says.
    let world = World::start_with(|_| {}).await;
    for path in ["/connect/sign-in".to_owned(), "/connect/authorized".to_owned(), world.authorize_path()] {
        let mut browser = world.browser();
        for answer in [browser.get(&path).await, world.node.get(&path).await] {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
            assert!(text(&answer).contains("--tls-cert") && text(&answer).contains("http.trusted_proxies"), "{path}");
            assert!(!answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("location"));
        }
    }
    let mut browser = world.browser();
    let form = [("name", "jane@example.com"), ("password", PASSWORD)];
    assert_eq!(browser.post("/connect/sign-in", &form).await.status, StatusCode::FORBIDDEN);
    assert!(browser.cookies.is_empty());
    world.stop().await;
}

#[tokio::test]
async fn no_page_may_be_framed_kept_or_have_scripts() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    let mut stranger = world.browser();
    let mut answers = vec![
        stranger.get("/connect/sign-in").await,
        stranger.get(&world.authorize_path()).await,
        stranger.get("/connect/nothing").await,
        stranger.get("/connect/authorize/CN1").await,
        stranger.get("/connect/authorize/%FF").await,
        stranger.send(Method::DELETE, "/connect/authorized", None).await,
        stranger.post("/connect/sign-in", &[]).await,
        world.node.get("/connect/authorized").await,
    ];
    for path in [world.authorize_path(), "/connect/authorized".to_owned()] {
        answers.push(browser.get(&path).await);
    }
    for answer in &answers {
        assert_eq!(answer.header("x-frame-options"), "DENY", "{answer:?}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{answer:?}");
        assert!(policy.contains("frame-ancestors 'none'"), "{answer:?}");
        if answer.header("content-type").starts_with("text/html") {
            assert!(policy.contains("; form-action 'self'") && policy.contains("; base-uri 'none'"), "{answer:?}");
        }
        assert!(!policy.contains("unsafe") && !text(answer).contains("<script") && !text(answer).contains("style="));
    }
    let style = stranger.get("/connect/style.css").await;
    assert_eq!((style.status, style.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
    world.stop().await;
}

#[tokio::test]
async fn who_signs_in_has_a_session_that_only_this_host_is_told() {
    let world = World::start().await;
    let mut browser = world.browser();
    let answer = browser.get(&world.authorize_path()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let sign_in = answer.header("location").to_owned();
    assert!(sign_in.starts_with("/connect/sign-in?to="), "{sign_in}");
    let page = browser.get(&sign_in).await;
    let token = field(&page, "token");
    let to = field(&page, "to");
    assert_eq!(to, world.authorize_path());
    let form =
        [("token", token.as_str()), ("to", &to), ("name", "jane@example.com"), ("password", PASSWORD), ("code", "")];
    let answer = browser.post("/connect/sign-in", &form).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, world.authorize_path().as_str()));
    let cookie = answer.header("set-cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-ringback-session="), "{cookie}");
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(browser.get(&world.authorize_path()).await.status, StatusCode::OK);
    // Who is signed in already is not asked again.
    let answer = browser.get(&sign_in).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, world.authorize_path().as_str()));
    world.stop().await;
}

#[tokio::test]
async fn whatever_is_wrong_is_told_in_the_same_words() {
    let world = World::start().await;
    let said = |answer: Answer, name: &str| {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(!answer.headers.contains_key("set-cookie"), "{answer:?}");
        let token = field(&answer, "token");
        text(&answer).replace(&token, "TOKEN").replace(name, "NAME")
    };
    let mut told = Vec::new();
    for (name, password, code) in [
        ("jane@example.com", "wrong", ""),
        ("jane@example.com", "", ""),
        ("john@example.com", PASSWORD, ""),
        ("jane@example.com", "wrong", "123456"),
        ("jane@example.com", "wrong", "1234567890"),
        ("jane@example.com", &"x".repeat(600), ""),
    ] {
        let mut browser = world.browser();
        let answer = browser.sign_in(name, password, code).await;
        told.push(said(answer, name));
        assert!(browser.session().is_none());
    }
    assert!(told.iter().all(|other| *other == told[0]), "{told:#?}");
    // Nor is what somebody typed shown again, but for the name.
    assert!(!told[0].contains("wrong\""));
    world.stop().await;
}

#[tokio::test]
async fn no_other_site_signs_a_browser_in_or_out() {
    let world = World::start().await;
    let form = |token: &str| {
        vec![("token", token.to_owned()), ("name", "jane@example.com".to_owned()), ("password", PASSWORD.to_owned())]
    };
    let mut other = world.browser();
    let others = field(&other.get("/connect/sign-in").await, "token");
    for token in ["", "x", &others] {
        let mut browser = world.browser();
        browser.get("/connect/sign-in").await;
        let form = form(token);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(browser.post("/connect/sign-in", &form).await.status, StatusCode::FORBIDDEN);
        assert!(browser.session().is_none());
        // Without the cookie that it was made for a token is nothing.
        browser.cookies.clear();
        assert_eq!(browser.post("/connect/sign-in", &form).await.status, StatusCode::FORBIDDEN);
        assert!(browser.session().is_none());
    }
    let mut browser = world.signed_in("jane@example.com").await;
    assert_eq!(browser.post("/connect/sign-out", &[("token", &others)]).await.status, StatusCode::FORBIDDEN);
    let page = browser.get("/connect/authorized").await;
    assert_eq!(page.status, StatusCode::OK, "still there");
    let session = browser.session().unwrap().clone();
    let token = fields(&page, "/connect/sign-out").remove(0).1;
    assert_eq!(browser.post("/connect/sign-out", &[("token", &token)]).await.status, StatusCode::SEE_OTHER);
    assert!(browser.session().is_none());
    assert!(world.accounts.session(&session).await.unwrap().is_none(), "the node has forgotten it, too");
    world.stop().await;
}

#[tokio::test]
async fn a_session_that_somebody_planted_is_not_taken_over() {
    let world = World::start().await;
    world.user("mallory@example.com", Role::Viewer).await;
    let mallory = world.signed_in("mallory@example.com").await;
    for planted in [mallory.session().unwrap().as_str(), "0123456789abcdef0123456789abcdef.00", "x"] {
        let mut browser = world.browser();
        browser.cookies.insert("__Host-ringback-session".to_owned(), planted.to_owned());
        let page = if planted.len() > 40 {
            // Mallory's own: the victim would sign out of it first, or posts the form of another tab.
            let mut tab = world.browser();
            let page = tab.get("/connect/sign-in").await;
            browser.cookies.extend(tab.cookies);
            page
        } else {
            browser.get("/connect/sign-in").await
        };
        let token = field(&page, "token");
        let form = [("token", token.as_str()), ("name", "jane@example.com"), ("password", PASSWORD)];
        assert_eq!(browser.post("/connect/sign-in", &form).await.status, StatusCode::SEE_OTHER);
        let session = browser.session().unwrap();
        assert_ne!(session, planted);
        assert_eq!(world.accounts.session(session).await.unwrap().unwrap().user.email.as_str(), "jane@example.com");
        assert!(world.accounts.session(planted).await.unwrap().is_none(), "{planted}");
    }
    world.stop().await;
}

#[tokio::test]
async fn who_is_wrong_too_often_waits_and_no_api_key_does() {
    let world = World::start().await;
    let mut browser = world.browser();
    for _ in 0..10 {
        assert_eq!(browser.sign_in("jane@example.com", "wrong", "").await.status, StatusCode::UNAUTHORIZED);
    }
    let answer = browser.sign_in("jane@example.com", PASSWORD, "").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() <= 600);
    assert!(text(&answer).contains("10 minutes"), "{}", text(&answer));
    let mut elsewhere = Browser { from: "192.0.2.2".to_owned(), ..world.browser() };
    assert_eq!(elsewhere.sign_in("jane@example.com", PASSWORD, "").await.status, StatusCode::SEE_OTHER);
    // The account's own credentials, from the address that waits.
    let token = format!("{}:{}", world.account.sid, world.account.primary_token.reveal());
    let shown = format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, token));
    let request = world.node.request(Method::GET, &format!("/2010-04-01/Accounts/{}.json", world.account.sid));
    let request = request.header("authorization", shown).header("x-forwarded-for", "192.0.2.1");
    assert_eq!(world.node.send(request).await.status, StatusCode::OK);
    world.stop().await;
}

#[tokio::test]
async fn what_ends_a_session_ends_it_for_the_next_request() {
    let world = World::start().await;
    let jane = world.accounts.user(&"jane@example.com".parse().unwrap()).await.unwrap();
    let mut browser = world.signed_in("jane@example.com").await;
    let mut idle = world.signed_in("jane@example.com").await;
    assert_eq!(browser.get("/connect/authorized").await.status, StatusCode::OK);
    world.node.node.clock.advance_wall(Duration::from_secs(1_900));
    let gone = idle.get("/connect/authorized").await;
    assert_eq!((gone.status, gone.header("location")), (StatusCode::SEE_OTHER, "/connect/sign-in"));
    let mut browser_again = world.signed_in("jane@example.com").await;
    // By another process: the operator's.
    world.accounts.close_user(&jane_now(&world, &jane).await, &operator()).await.unwrap();
    let gone = browser_again.get("/connect/authorized").await;
    assert_eq!((gone.status, gone.header("location")), (StatusCode::SEE_OTHER, "/connect/sign-in"));
    world.stop().await;
}

async fn jane_now(world: &World, jane: &ringback::accounts::User) -> ringback::accounts::User {
    world.accounts.user(&jane.email).await.unwrap()
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_after_signing_in() {
    let world = World::start().await;
    for to in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/connect/authorize/../../x",
        "javascript:alert(1)",
    ] {
        let mut browser = world.browser();
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("to", to).finish();
        let page = browser.get(&format!("/connect/sign-in?{query}")).await;
        assert!(!text(&page).contains("evil"), "{to}");
        let sent = fields(&page, "/connect/sign-in");
        let mut form = with(&sent, "to", to);
        form.retain(|(name, _)| !matches!(*name, "name" | "password"));
        form.extend([("name", "jane@example.com"), ("password", PASSWORD)]);
        let answer = browser.post("/connect/sign-in", &form).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/connect/authorized"), "{to}");
    }
    world.stop().await;
}

#[tokio::test]
async fn addresses_begin_where_the_public_one_does_and_never_at_the_host_that_is_asked_for() {
    let world = World::start_with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        config.public_url = Some("https://voice.example/ring/".to_owned());
    })
    .await;
    let request = world
        .node
        .request(Method::GET, &world.authorize_path())
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https");
    let answer = world.node.send(request).await;
    assert!(answer.header("location").starts_with("/ring/connect/sign-in?to="), "{answer:?}");
    let mut browser = world.browser();
    let page = browser.get("/connect/sign-in").await;
    assert!(
        text(&page).contains("href=\"/ring/connect/style.css\"")
            && text(&page).contains("action=\"/ring/connect/sign-in\"")
    );
    world.stop().await;
}
