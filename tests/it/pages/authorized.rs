//! What is allowed: seen, narrowed and revoked.

use http::StatusCode;
use ringback::accounts::{AuthorizationStatus, Limits, Role};

use super::{World, field, fields, operator, text, user, with};

impl World {
    async fn allow(&self) -> ringback::accounts::Authorization {
        let limits = Limits { spend: Some("20".parse().unwrap()), concurrency: None };
        let profile = "get-all media:write".parse().unwrap();
        self.accounts.allow(&self.account.sid, &self.app.sid, profile, limits, &operator()).await.unwrap()
    }

    fn change_path(&self) -> String {
        format!("/connect/authorized/{}", self.app.sid)
    }
}

#[tokio::test]
async fn what_is_allowed_is_listed_narrowed_and_revoked() {
    let world = World::start().await;
    let mut browser = world.signed_in("jane@example.com").await;
    assert!(text(&browser.get("/connect/authorized").await).contains("There are none."));
    let allowed = world.allow().await;
    let page = browser.get("/connect/authorized").await;
    for shown in
        ["Call Insights", "Developer Inc", &allowed.sid.to_string(), "media:write", "at most 20.00 a month", "never"]
    {
        assert!(text(&page).contains(shown), "{shown} is not in {}", text(&page));
    }
    let form = fields(&page, &world.change_path());
    let less: Vec<_> = form.iter().filter(|(_, value)| value != "get-all").cloned().collect();
    let mut narrow = with(&less, "spend", "5");
    narrow.push(("action", "narrow"));
    let done = browser.post(&world.change_path(), &narrow).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/connect/authorized?done=narrowed"));
    assert!(text(&browser.get(done.header("location")).await).contains("It may do less from now on."));
    let there = world.accounts.authorization(&world.account.sid, &world.app.sid).await.unwrap();
    assert_eq!((there.profile.to_string().as_str(), there.sid), ("media:write", allowed.sid));

    // The form that was shown before says more than there is now.
    let mut wider = with(&form, "spend", "20");
    wider.push(("action", "narrow"));
    let refused = browser.post(&world.change_path(), &wider).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(text(&refused).contains("at most 5.00 a month"), "{}", text(&refused));

    let revoke = with(&form, "action", "revoke");
    for _ in 0..2 {
        let done = browser.post(&world.change_path(), &revoke).await;
        assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/connect/authorized?done=revoked"));
    }
    let there = world.accounts.authorization(&world.account.sid, &world.app.sid).await.unwrap();
    assert_eq!(there.status, AuthorizationStatus::Revoked);
    assert!(text(&browser.get("/connect/authorized?done=%3Cscript").await).contains("There are none."));
    let deeds = world.accounts.audit(Some(&world.account.sid), None, 2).await.unwrap();
    for (deed, action) in deeds.iter().zip(["connect.revoke", "connect.narrow"]) {
        assert_eq!(deed.action, action);
        assert!(deed.credential.ends_with("jane@example.com"), "{deed:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn only_who_may_changes_it_and_only_what_is_the_accounts_own() {
    let world = World::start().await;
    world.allow().await;
    let jane = world.user("viewer@example.com", Role::Viewer).await;
    assert_eq!(jane.role, Role::Viewer);
    user(&world.accounts, &world.developer, "dev@example.com", Role::Owner).await;
    let mut owner = world.signed_in("jane@example.com").await;
    let form = fields(&owner.get("/connect/authorized").await, &world.change_path());

    let mut viewer = world.signed_in("viewer@example.com").await;
    let page = viewer.get("/connect/authorized").await;
    assert!(text(&page).contains("Call Insights") && !text(&page).contains("value=\"revoke\""));
    let mut developer = world.signed_in("dev@example.com").await;
    let others = developer.get("/connect/authorized").await;
    assert!(text(&others).contains("There are none."), "it is not the developer's list");
    let (viewers, developers) = (field(&page, "token"), field(&others, "token"));
    for (browser, token, expected) in [
        (&mut viewer, viewers.as_str(), StatusCode::FORBIDDEN),
        (&mut developer, developers.as_str(), StatusCode::NOT_FOUND),
    ] {
        for action in ["revoke", "narrow"] {
            let mut form = with(&form, "token", token);
            form.push(("action", action));
            assert_eq!(browser.post(&world.change_path(), &form).await.status, expected, "{action}");
        }
    }
    for token in [developers.as_str(), viewers.as_str(), ""] {
        let mut form = with(&form, "token", token);
        form.push(("action", "revoke"));
        assert_eq!(owner.post(&world.change_path(), &form).await.status, StatusCode::FORBIDDEN);
    }
    for path in ["/connect/authorized/x", "/connect/authorized/CN00000000000000000000000000000000"] {
        let answer = owner.post(path, &with(&form, "action", "revoke")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let there = world.accounts.authorization(&world.account.sid, &world.app.sid).await.unwrap();
    assert!(there.is_active());
    world.stop().await;
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let world = World::start().await;
    for number in 0..23 {
        let fields =
            ringback::accounts::ConnectAppFields { friendly_name: format!("App {number:02}"), ..super::app_fields() };
        let app = world.accounts.create_connect_app(&world.developer.sid, &fields, &operator()).await.unwrap();
        let profile = "media:read".parse().unwrap();
        world.accounts.allow(&world.account.sid, &app.sid, profile, Limits::default(), &operator()).await.unwrap();
    }
    let mut browser = world.signed_in("jane@example.com").await;
    let first = text(&browser.get("/connect/authorized").await);
    assert!(first.contains("App 22") && first.contains("App 03") && !first.contains("App 02"), "{first}");
    let older =
        first.split("href=\"").find(|rest| rest.contains(">Older<")).unwrap().split('"').next().unwrap().to_owned();
    let second = text(&browser.get(&older).await);
    assert!(
        second.contains("App 02")
            && second.contains("App 00")
            && !second.contains("App 03")
            && second.contains(">Newer<")
    );
    world.stop().await;
}
