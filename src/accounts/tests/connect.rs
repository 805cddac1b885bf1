//! What accounts allow applications: once for each two, never more than was asked for, and over as soon as any of those says so on whom it stands.

use super::*;
use crate::{
    accounts::{Authorization, AuthorizationStatus, ConnectApp, ConnectAppFields, Limits, Principal, Profile},
    ids::ConnectAppSid,
};

/// A developer with an application, and a user who may allow it.
pub(super) struct Pair {
    pub(super) above: Account,
    pub(super) developer: Account,
    pub(super) app: ConnectApp,
    pub(super) user: Account,
}

pub(super) fn profile(text: &str) -> Profile {
    text.parse().unwrap()
}

pub(super) fn fields(permissions: &str) -> ConnectAppFields {
    ConnectAppFields {
        friendly_name: "Switchboard".to_owned(),
        company_name: "Example".to_owned(),
        authorize_redirect_url: Some("https://app.example/back".to_owned()),
        deauthorize_callback_url: Some("https://app.example/gone".to_owned()),
        permissions: profile(permissions),
        ..ConnectAppFields::default()
    }
}

impl Pair {
    /// The developer is a subaccount, so that there is somebody above it.
    pub(super) async fn new(accounts: &Accounts) -> Pair {
        let above = accounts.create_account(None, "Above", &operator()).await.unwrap();
        let developer = accounts.create_account(Some(&above.sid), "Developer", &operator()).await.unwrap();
        let user = accounts.create_account(None, "User", &operator()).await.unwrap();
        let app = accounts.create_connect_app(&developer.sid, &fields("get-all post-all"), &operator()).await.unwrap();
        Pair { above, developer, app, user }
    }

    pub(super) async fn allow(&self, accounts: &Accounts, words: &str) -> Authorization {
        let (words, limits) = (profile(words), Limits::default());
        accounts.allow(&self.user.sid, &self.app.sid, words, limits, &operator()).await.unwrap()
    }

    /// What the developer shows as existing clients do: the subaccount's name and its own token.
    pub(super) fn shown(&self, authorization: &Authorization) -> Vec<u8> {
        basic(authorization.sid, &self.developer.primary_token)
    }
}

async fn principal(accounts: &Accounts, shown: &[u8]) -> Result<std::sync::Arc<Principal>, Refusal> {
    accounts.authenticate(Header::new(shown), HERE, Access::Write).await
}

fn status(status: Status) -> AccountChange {
    AccountChange { status: Some(status), ..AccountChange::default() }
}

#[tokio::test]
async fn an_application_is_allowed_once_however_often_and_wherever_it_is_clicked() {
    for world in World::both().await {
        let (here, there) = (world.node().await, world.node().await);
        let pair = Pair::new(&here).await;
        let all = futures_util::future::join_all((0..8).map(|number| {
            let node = if number % 2 == 0 { &here } else { &there };
            pair.allow(node, "media:read")
        }))
        .await;
        let first = &all[0];
        assert!(all.iter().all(|one| one.sid == first.sid && one.is_active()), "{all:?}");
        let subaccounts = here.accounts(Some(&pair.user.sid), &AccountFilter::default(), &whole(10)).await.unwrap();
        assert_eq!(subaccounts.records.len(), 2);
        let sub = here.account(&first.sid).await.unwrap();
        assert_eq!((sub.parent, sub.connect_app), (Some(pair.user.sid), Some(pair.app.sid)));
        assert_eq!(sub.friendly_name, "Switchboard");

        // Allowed again it is as it is said then, whether it was revoked in between or not.
        let more = pair.allow(&there, "get-all").await;
        assert_eq!((more.sid, more.profile.to_string().as_str()), (first.sid, "get-all"));
        here.revoke(&pair.user.sid, &pair.app.sid, &operator()).await.unwrap();
        assert!(here.authorizations(&pair.user.sid, &whole(10)).await.unwrap().records.is_empty());
        let revoked = here.authorization(&pair.user.sid, &pair.app.sid).await.unwrap();
        assert_eq!(revoked.status, AuthorizationStatus::Revoked);
        let twice = here.revoke(&pair.user.sid, &pair.app.sid, &operator()).await;
        assert!(matches!(twice, Err(AccountsError::NotFound(_))), "{twice:?}");
        let again = pair.allow(&there, "post-all").await;
        assert_eq!((again.sid, again.profile.to_string().as_str()), (first.sid, "post-all"));
        assert_eq!(
            here.authorizations(&pair.user.sid, &whole(10)).await.unwrap().records,
            std::slice::from_ref(&again)
        );
        assert_eq!(here.authorization_on(&first.sid).await.unwrap(), again);
        // Another's of the same application is another.
        let other = here.create_account(None, "Other", &operator()).await.unwrap();
        let others = here.allow(&other.sid, &pair.app.sid, profile("get-all"), Limits::default(), &operator()).await;
        assert_ne!(others.unwrap().sid, first.sid);
        here.close().await;
        there.close().await;
    }
}

#[tokio::test]
async fn nothing_is_allowed_by_who_may_not_or_beyond_what_is_asked_for() {
    for world in World::both().await {
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        let narrow =
            accounts.create_connect_app(&pair.developer.sid, &fields("media:read"), &operator()).await.unwrap();
        let allow = async |user: &AccountSid, app: &ConnectAppSid, words: &str| {
            let limits = Limits::default();
            accounts.allow(user, app, profile(words), limits, &operator()).await
        };
        let by_subaccount = allow(&pair.developer.sid, &pair.app.sid, "media:read").await;
        assert!(matches!(by_subaccount, Err(AccountsError::Forbidden(_))), "{by_subaccount:?}");
        let authorization = pair.allow(&accounts, "media:read").await;
        let deeper = allow(&authorization.sid, &narrow.sid, "media:read").await;
        assert!(matches!(deeper, Err(AccountsError::Forbidden(_))), "{deeper:?}");
        for words in ["", "media:write", "get-all", "media:read numbers:read"] {
            let refused = allow(&pair.user.sid, &narrow.sid, words).await;
            assert!(matches!(refused, Err(AccountsError::Invalid { field: "Permissions", .. })), "{refused:?}");
        }
        let unknown = allow(&pair.user.sid, &ConnectAppSid::draw(&mut rand::rng()), "get-all").await;
        assert!(matches!(unknown, Err(AccountsError::NotFound("connect app"))));
        // Of a developer who may not act itself there is nothing to allow.
        accounts.update_account(&pair.above.sid, &status(Status::Suspended), &operator()).await.unwrap();
        let suspended = allow(&pair.user.sid, &narrow.sid, "media:read").await;
        assert!(matches!(suspended, Err(AccountsError::NotFound("connect app"))));
        assert!(accounts.connect_app(&narrow.sid).await.is_err());
        accounts.update_account(&pair.above.sid, &status(Status::Active), &operator()).await.unwrap();
        accounts.update_account(&pair.user.sid, &status(Status::Suspended), &operator()).await.unwrap();
        let inactive = allow(&pair.user.sid, &narrow.sid, "media:read").await;
        assert!(matches!(inactive, Err(AccountsError::Conflict(_))), "{inactive:?}");
        assert!(accounts.authorization(&pair.user.sid, &narrow.sid).await.is_err());
        accounts.close().await;
    }
}

#[tokio::test]
async fn what_is_allowed_is_only_ever_narrowed() {
    for world in World::both().await {
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        let limits =
            |spend: &str, concurrency| Limits { spend: Some(spend.parse().unwrap()), concurrency: Some(concurrency) };
        let allowed = accounts
            .allow(&pair.user.sid, &pair.app.sid, profile("get-all"), limits("10", 4), &operator())
            .await
            .unwrap();
        assert_eq!(allowed.limits, limits("10", 4));
        let narrow = async |words: &str, limits: Limits| {
            accounts.narrow(&pair.user.sid, &pair.app.sid, profile(words), limits, &operator()).await
        };
        for (words, limits) in [
            ("get-all post-all", limits("10", 4)),
            ("media:write", limits("10", 4)),
            ("", limits("10", 4)),
            ("get-all", limits("10.01", 4)),
            ("get-all", limits("10", 5)),
            ("get-all", Limits::default()),
        ] {
            let refused = narrow(words, limits).await;
            assert!(matches!(refused, Err(AccountsError::Invalid { .. })), "{words} {limits:?}: {refused:?}");
        }
        let narrowed = narrow("media:read numbers:read", limits("9", 0)).await.unwrap();
        assert_eq!(
            (narrowed.profile.to_string().as_str(), narrowed.limits),
            ("media:read numbers:read", limits("9", 0))
        );
        assert_eq!(narrowed.allowed_by, allowed.allowed_by);
        assert!(narrow("get-all", limits("9", 0)).await.is_err(), "not back again");
        // The application asks for more: that is no more than a wish.
        let mut app = accounts.own_connect_app(&pair.developer.sid, &pair.app.sid).await.unwrap();
        app.fields.permissions = profile("get-all post-all");
        accounts.update_connect_app(&app, &operator()).await.unwrap();
        let principal = principal(&accounts, &pair.shown(&allowed)).await.unwrap();
        assert_eq!(principal.scopes.to_string(), "media:read numbers:read");
        accounts.close().await;
    }
}

#[tokio::test]
async fn a_developer_acts_on_it_by_its_own_credentials_within_the_profile() {
    for world in World::both().await {
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        let authorization = pair.allow(&accounts, "media:read numbers:write").await;
        let two = accounts.create_secondary_token(&pair.developer.sid, &operator()).await.unwrap();
        let second = basic(authorization.sid, two.secondary_token.as_ref().unwrap());
        for shown in [pair.shown(&authorization), second] {
            let acting = principal(&accounts, &shown).await.unwrap();
            assert_eq!((acting.account, acting.parent), (authorization.sid, Some(pair.user.sid)));
            assert_eq!(acting.tenant, Tenant::of(&authorization.sid));
            assert_eq!(acting.scopes.to_string(), "media:read numbers:write");
            assert!(!acting.is_owner());
            let by = acting.actor();
            let said = (by.who, by.credential.as_str(), by.application);
            assert_eq!(said, (pair.developer.sid.to_string(), "auth token", Some(pair.app.sid)));
        }
        // Nobody else does by that name: not whose subaccount it is, not who is above the developer, not the subaccount's own token.
        let own = accounts.account(&authorization.sid).await.unwrap().primary_token;
        let empty = Secret::new(String::new());
        for token in [&pair.user.primary_token, &pair.above.primary_token, &own, &empty] {
            assert_eq!(ask(&accounts, &basic(authorization.sid, token)).await, Err(Refusal::Wrong));
        }

        // By a path that names it: whatever both the credential and the profile have.
        let as_developer = principal(&accounts, &token_of(&pair.developer)).await.unwrap();
        let acting = accounts.acting_on(&as_developer, &authorization.sid).await.unwrap().unwrap();
        assert_eq!(acting.scopes.to_string(), "media:read numbers:write");
        let scopes = "media:read media:write keys:write".parse().unwrap();
        let new = NewKey { scopes, ..new_key(KeyKind::Api) };
        let (key, secret) = accounts.create_key(&pair.developer.sid, &new, &operator()).await.unwrap();
        let by_key = principal(&accounts, &basic(key.sid, &secret)).await.unwrap();
        let acting = accounts.acting_on(&by_key, &authorization.sid).await.unwrap().unwrap();
        assert_eq!((acting.account, acting.scopes.to_string().as_str()), (authorization.sid, "media:read"));
        assert_eq!(acting.actor().credential, key.sid.to_string());
        let user = principal(&accounts, &token_of(&pair.user)).await.unwrap();
        assert_eq!(*accounts.acting_on(&user, &authorization.sid).await.unwrap().unwrap(), *user);
        // Who acts as an application acts there and nowhere else.
        for elsewhere in [pair.user.sid, pair.developer.sid, pair.above.sid, AccountSid::NOBODY] {
            assert_eq!(accounts.acting_on(&acting, &elsewhere).await, Ok(None));
        }
        let above = principal(&accounts, &token_of(&pair.above)).await.unwrap();
        assert_eq!(accounts.acting_on(&above, &authorization.sid).await, Ok(None));
        let stranger = accounts.create_account(None, "", &operator()).await.unwrap();
        let stranger = principal(&accounts, &token_of(&stranger)).await.unwrap();
        assert_eq!(accounts.acting_on(&stranger, &authorization.sid).await, Ok(None));

        // When it acted last is known, by whichever way.
        accounts.note_uses().await.unwrap();
        let used = accounts.authorization(&pair.user.sid, &pair.app.sid).await.unwrap().used;
        assert!(used.is_some());
        accounts.inner.callers.next_round();
        principal(&accounts, &pair.shown(&authorization)).await.unwrap();
        accounts.note_uses().await.unwrap();
        assert!(used < accounts.authorization(&pair.user.sid, &pair.app.sid).await.unwrap().used);
        accounts.close().await;
    }
}

#[tokio::test]
async fn it_has_no_credentials_of_its_own_and_is_not_closed_but_revoked() {
    for world in World::both().await {
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        let sid = pair.allow(&accounts, "get-all post-all").await.sid;
        for kind in [KeyKind::Api, KeyKind::Signing] {
            let made = accounts.create_key(&sid, &new_key(kind), &operator()).await;
            assert!(matches!(made, Err(AccountsError::Forbidden(_))), "{made:?}");
        }
        let token = accounts.create_secondary_token(&sid, &operator()).await;
        assert!(matches!(token, Err(AccountsError::Forbidden(_))), "{token:?}");
        let closed = accounts.update_account(&sid, &status(Status::Closed), &operator()).await;
        assert!(matches!(closed, Err(AccountsError::Conflict(_))), "{closed:?}");
        let deeper = accounts.create_account(Some(&sid), "", &operator()).await;
        assert!(matches!(deeper, Err(AccountsError::Conflict(_))));
        let offered = accounts.create_connect_app(&sid, &fields("get-all"), &operator()).await;
        assert!(matches!(offered, Err(AccountsError::Conflict(_))));

        // A key that a node of an older version has made for it lets nobody in.
        let (key, secret) = accounts.create_key(&pair.user.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
        let moved = store::Statement::new("UPDATE api_keys SET account = $1 WHERE sid = $2");
        let moved = moved.bind(sid.to_string()).bind(key.sid.to_string()).changing(1);
        accounts.inner.store.write(&[moved]).await.unwrap();
        assert_eq!(ask(&accounts, &basic(key.sid, &secret)).await, Err(Refusal::Wrong));
        accounts.close().await;
    }
}

#[tokio::test]
async fn whoever_it_stands_on_cuts_it_on_every_node() {
    for world in World::both().await {
        let (here, there) = (world.node().await, world.node().await);
        let pair = Pair::new(&here).await;
        let sid = pair.allow(&here, "get-all").await.sid;
        let shown = basic(sid, &pair.developer.primary_token);
        let tenant = Tenant::of(&sid);
        // Somebody to whom nothing of it should matter.
        let bystander = here.create_account(None, "", &operator()).await.unwrap();
        let serves = async || {
            ask(&there, &token_of(&bystander)).await.unwrap();
            assert_eq!(ask(&there, &shown).await, Ok(sid));
            assert_eq!(there.check_tenant(&tenant, Access::Read).await, Ok(()));
            let known = there.recognise(Header::new(&shown), Access::Read).is_some();
            known && there.recognise_tenant(&tenant, Access::Read).is_some()
        };
        let cut = async |refusal: Refusal| {
            there.hear().await.unwrap();
            // What is heard is forgotten, and what is asked for then is as it is now.
            assert!(there.recognise(Header::new(&shown), Access::Read).is_none());
            assert!(there.recognise_tenant(&tenant, Access::Read).is_none());
            assert!(there.recognise(Header::new(&token_of(&bystander)), Access::Read).is_some());
            assert_eq!(ask(&there, &shown).await, Err(refusal.clone()));
            assert_eq!(there.check_tenant(&tenant, Access::Read).await, Err(refusal.clone()));
            // That is remembered: who goes on asking is refused at once, and its address is not held to be guessing.
            assert_eq!(there.recognise(Header::new(&shown), Access::Read), Some(Err(refusal)));
        };
        for whose in [sid, pair.user.sid, pair.developer.sid, pair.above.sid] {
            assert!(serves().await);
            here.update_account(&whose, &status(Status::Suspended), &operator()).await.unwrap();
            cut(Refusal::Inactive(Status::Suspended)).await;
            here.update_account(&whose, &status(Status::Active), &operator()).await.unwrap();
            there.hear().await.unwrap();
        }
        assert!(serves().await);
        here.narrow(&pair.user.sid, &pair.app.sid, profile("numbers:read"), Limits::default(), &operator())
            .await
            .unwrap();
        there.hear().await.unwrap();
        let narrowed = principal(&there, &shown).await.unwrap();
        assert_eq!(narrowed.scopes.to_string(), "numbers:read");
        assert!(serves().await);
        here.revoke(&pair.user.sid, &pair.app.sid, &operator()).await.unwrap();
        cut(Refusal::Revoked).await;
        let as_developer = principal(&here, &token_of(&pair.developer)).await.unwrap();
        assert_eq!(here.acting_on(&as_developer, &sid).await, Err(Refusal::Revoked));
        // Whoever has it still is who it belongs to.
        let user = principal(&here, &token_of(&pair.user)).await.unwrap();
        assert!(here.acting_on(&user, &sid).await.unwrap().is_some());

        pair.allow(&here, "get-all").await;
        there.hear().await.unwrap();
        assert!(serves().await);
        // The token that is replaced lets nobody in by that name either.
        here.create_secondary_token(&pair.developer.sid, &operator()).await.unwrap();
        let promoted = here.promote_secondary_token(&pair.developer.sid, &operator()).await.unwrap();
        there.hear().await.unwrap();
        assert_eq!(ask(&there, &shown).await, Err(Refusal::Wrong));
        let shown = basic(sid, &promoted.primary_token);
        assert_eq!(ask(&there, &shown).await, Ok(sid));
        here.delete_connect_app(&pair.developer.sid, &pair.app.sid, &operator()).await.unwrap();
        there.hear().await.unwrap();
        assert!(there.recognise(Header::new(&shown), Access::Read).is_none());
        assert_eq!(ask(&there, &shown).await, Err(Refusal::Revoked));
        assert!(here.authorizations(&pair.user.sid, &whole(10)).await.unwrap().records.is_empty());
        assert!(here.own_connect_app(&pair.developer.sid, &pair.app.sid).await.is_err());
        assert!(
            here.allow(&pair.user.sid, &pair.app.sid, profile("get-all"), Limits::default(), &operator())
                .await
                .is_err()
        );
        here.close().await;
        there.close().await;
    }
}

#[tokio::test]
async fn a_user_who_is_gone_has_revoked_all_it_has_allowed() {
    for world in World::both().await {
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        let authorization = pair.allow(&accounts, "get-all").await;
        let other = accounts.create_connect_app(&pair.developer.sid, &fields("get-all"), &operator()).await.unwrap();
        accounts.allow(&pair.user.sid, &other.sid, profile("get-all"), Limits::default(), &operator()).await.unwrap();
        accounts.update_account(&pair.user.sid, &status(Status::Closed), &operator()).await.unwrap();
        for app in [&pair.app.sid, &other.sid] {
            let revoked = accounts.authorization(&pair.user.sid, app).await.unwrap();
            assert_eq!(revoked.status, AuthorizationStatus::Revoked);
        }
        let refused = ask(&accounts, &pair.shown(&authorization)).await;
        assert_eq!(refused, Err(Refusal::Inactive(Status::Closed)));
        let untold = store::Statement::new("SELECT count(*) FROM deauthorizations");
        assert_eq!(accounts.inner.store.read(untold).await.unwrap()[0].int(0).unwrap(), 2);
        accounts.close().await;
    }
}

#[tokio::test]
async fn what_is_said_of_an_application_is_held_to_its_bounds() {
    let world = World::sqlite();
    let accounts = world.node().await;
    let pair = Pair::new(&accounts).await;
    let text = |length: usize| "x".repeat(length);
    type Change = Box<dyn Fn(&mut ConnectAppFields)>;
    let set = |set: fn(&mut ConnectAppFields, String), text: String| -> Change {
        Box::new(move |fields| set(fields, text.clone()))
    };
    let mistakes: [(&str, Change); 9] = [
        ("FriendlyName", set(|fields, text| fields.friendly_name = text, text(65))),
        ("CompanyName", set(|fields, text| fields.company_name = text, text(129))),
        ("Description", set(|fields, text| fields.description = text, text(1_001))),
        ("Description", set(|fields, text| fields.description = text, "a\u{1b}b".to_owned())),
        ("HomepageUrl", set(|fields, text| fields.homepage_url = Some(text), "javascript:alert(1)".to_owned())),
        ("AuthorizeRedirectUrl", set(|fields, text| fields.authorize_redirect_url = Some(text), "/back".to_owned())),
        (
            "AuthorizeRedirectUrl",
            set(|fields, text| fields.authorize_redirect_url = Some(text), "https://a.example/#x".to_owned()),
        ),
        (
            "DeauthorizeCallbackUrl",
            set(|fields, text| fields.deauthorize_callback_url = Some(text), "https://u:p@a.example/".to_owned()),
        ),
        (
            "DeauthorizeCallbackUrl",
            set(
                |fields, text| fields.deauthorize_callback_url = Some(text),
                format!("https://a.example/{}", text(2_048)),
            ),
        ),
    ];
    for (expected, change) in mistakes {
        let mut wrong = pair.app.clone();
        change(&mut wrong.fields);
        let created = accounts.create_connect_app(&pair.developer.sid, &wrong.fields, &operator()).await;
        let updated = accounts.update_connect_app(&wrong, &operator()).await;
        for refused in [created, updated] {
            assert!(matches!(refused, Err(AccountsError::Invalid { field, .. }) if field == expected), "{refused:?}");
        }
    }
    let own = accounts.own_connect_app(&pair.user.sid, &pair.app.sid).await;
    assert!(matches!(own, Err(AccountsError::NotFound(_))), "another's is not there");
    let deleted = accounts.delete_connect_app(&pair.user.sid, &pair.app.sid, &operator()).await;
    assert!(matches!(deleted, Err(AccountsError::NotFound(_))));
    assert_eq!(accounts.connect_app(&pair.app.sid).await.unwrap(), pair.app);
    assert_eq!(accounts.connect_apps(&pair.developer.sid, &whole(10)).await.unwrap().records, [pair.app]);
}

#[tokio::test]
async fn the_audit_log_says_who_acted_with_what_as_which_application_on_whose_account() {
    let world = World::sqlite();
    let accounts = world.node().await;
    let pair = Pair::new(&accounts).await;
    let authorization = pair.allow(&accounts, "get-all post-all").await;
    let acting = principal(&accounts, &pair.shown(&authorization)).await.unwrap();
    let fields = ApplicationFields::default();
    accounts.create_application(&acting.account, "a", &fields, &acting.actor()).await.unwrap();
    let entry = accounts.audit(Some(&authorization.sid), None, 1).await.unwrap().remove(0);
    assert_eq!((entry.account, entry.actor), (authorization.sid, pair.developer.sid.to_string()));
    assert_eq!((entry.credential.as_str(), entry.application), ("auth token", Some(pair.app.sid)));
    let entry = accounts.audit(Some(&pair.user.sid), None, 1).await.unwrap().remove(0);
    assert_eq!(
        (entry.action.as_str(), entry.target, entry.application),
        ("connect.allow", pair.app.sid.to_string(), None)
    );
    assert_eq!(entry.detail, "get-all post-all");
}
