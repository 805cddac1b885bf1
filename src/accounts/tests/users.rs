//! People on both engines: who signs in, how long that lasts, and what ends it.

use std::time::Duration;

use super::{HERE, World, ask, contains, operator, token_of, whole};
use crate::{
    accounts::{
        Account, AccountChange, Accounts, AccountsError, Attempt, Email, NotSignedIn, Role, SESSION_IDLE,
        SESSION_LENGTH, SignedIn, Status, User,
        users::{code_at, of_base32, step_at},
    },
    secret::Secret,
};

const PASSWORD: &str = "correct horse battery";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

async fn account_and_user(accounts: &Accounts) -> (Account, User) {
    let account = accounts.create_account(None, "Top", &operator()).await.unwrap();
    let user = accounts
        .create_user(&account.sid, &email("Jane@Example.com"), Role::Owner, &secret(PASSWORD), &operator())
        .await
        .unwrap();
    (account, user)
}

async fn sign_in(accounts: &Accounts, name: &str, password: &str, code: &str) -> Result<SignedIn, NotSignedIn> {
    let password = secret(password);
    accounts.sign_in(&Attempt { from: HERE, name, password: &password, code, replaces: None }).await
}

async fn jane(accounts: &Accounts) -> SignedIn {
    sign_in(accounts, "jane@example.com", PASSWORD, "").await.unwrap()
}

async fn lasts(accounts: &Accounts, session: &SignedIn) -> bool {
    accounts.session(session.shown().reveal()).await.unwrap().is_some()
}

#[tokio::test]
async fn who_knows_the_password_is_signed_in_on_all_nodes_and_nobody_else_is() {
    for world in World::both().await {
        let (accounts, other) = (world.node().await, world.node().await);
        let (account, user) = account_and_user(&accounts).await;
        assert_eq!(user.email.as_str(), "jane@example.com");
        let session = sign_in(&accounts, " JANE@example.com", PASSWORD, "").await.unwrap();
        let there = other.session(session.shown().reveal()).await.unwrap().unwrap();
        assert_eq!((there.user.sid, there.user.role, there.parent), (user.sid, Role::Owner, None));
        assert_eq!(there.account_name, "Top");
        assert!(there.user.signed_in.is_some());

        for (name, password, code) in [
            ("jane@example.com", "correct horse batterY", ""),
            ("jane@example.com", "", ""),
            ("john@example.com", PASSWORD, ""),
            ("jane", PASSWORD, ""),
            ("", "", ""),
            ("jane@example.com\0", PASSWORD, ""),
        ] {
            let refused = sign_in(&accounts, name, password, code).await;
            assert!(matches!(refused, Err(NotSignedIn::Wrong)), "{name:?} {password:?}: {refused:?}");
        }
        let (id, half) = session.shown().reveal().split_once('.').unwrap();
        let shown = [
            String::new(),
            id.to_owned(),
            format!("{id}."),
            format!("{id}.{}", "0".repeat(half.len())),
            format!("{}.{half}", "0".repeat(id.len())),
            format!("{id}.{half}0"),
        ];
        for shown in shown {
            assert!(accounts.session(&shown).await.unwrap().is_none(), "{shown}");
        }
        let data = world.data();
        assert!(!contains(&data, PASSWORD) && !contains(&data, half));
        assert!(contains(&data, "jane@example.com"), "this is where they would be");
        let deeds = accounts.audit(Some(&account.sid), None, 10).await.unwrap();
        assert_eq!(deeds[0].action, "user.sign-in");
        assert_eq!(deeds[0].credential, format!("user {} jane@example.com", user.sid));
    }
}

#[tokio::test]
async fn a_code_is_asked_for_and_good_once_on_all_nodes() {
    for world in World::both().await {
        let (accounts, other) = (world.node().await, world.node().await);
        let (_, user) = account_and_user(&accounts).await;
        let [shared, address] = accounts.set_totp(&user, &operator()).await.unwrap();
        assert!(address.reveal().contains(shared.reveal()));
        assert!(!contains(&world.data(), shared.reveal()));
        let shared = of_base32(shared.reveal()).unwrap();
        let step = step_at(world.clock.now_wall());
        let (before, now) = (code_at(&shared, step - 1), code_at(&shared, step));
        for wrong in ["", "000000x", "0", &code_at(&shared, step - 9)] {
            let refused = sign_in(&accounts, "jane@example.com", PASSWORD, wrong).await;
            assert!(matches!(refused, Err(NotSignedIn::Wrong)), "{wrong}");
        }
        let refused = sign_in(&accounts, "jane@example.com", "another password", &now).await;
        assert!(matches!(refused, Err(NotSignedIn::Wrong)), "the code alone is nothing");

        // Whoever has looked over a shoulder is as fast as its owner.
        let both = [(&accounts, &now), (&other, &now), (&accounts, &now)]
            .map(|(accounts, code)| sign_in(accounts, "jane@example.com", PASSWORD, code));
        let entered = futures_util::future::join_all(both).await;
        assert_eq!(entered.iter().filter(|entered| entered.is_ok()).count(), 1, "{entered:?}");
        for used in [&now, &before] {
            let refused = sign_in(&other, "jane@example.com", PASSWORD, used).await;
            assert!(matches!(refused, Err(NotSignedIn::Wrong)), "{used}");
        }
        world.clock.advance_wall(Duration::from_secs(30));
        sign_in(&other, "jane@example.com", PASSWORD, &code_at(&shared, step + 1)).await.unwrap();

        let user = accounts.user(&user.email).await.unwrap();
        accounts.end_totp(&user, &operator()).await.unwrap();
        jane(&accounts).await;
    }
}

#[tokio::test]
async fn wrong_codes_after_the_right_password_are_bounded_wherever_they_come_from() {
    let world = World::sqlite();
    let accounts = world.node().await;
    let (_, user) = account_and_user(&accounts).await;
    let [shared, _] = accounts.set_totp(&user, &operator()).await.unwrap();
    let shared = of_base32(shared.reveal()).unwrap();
    let password = secret(PASSWORD);
    let from = async |last: u8, code: &str| {
        let from = [192, 0, 2, last].into();
        let attempt = Attempt { from, name: "jane@example.com", password: &password, code, replaces: None };
        accounts.sign_in(&attempt).await
    };
    for last in 0..10 {
        assert!(matches!(from(last, "x").await, Err(NotSignedIn::Wrong)));
    }
    let right = code_at(&shared, step_at(world.clock.now_wall()));
    assert!(matches!(from(11, &right).await, Err(NotSignedIn::Wrong)), "nobody is told why");
}

#[tokio::test]
async fn a_session_ends_with_what_it_stands_on() {
    for world in World::both().await {
        let (accounts, other) = (world.node().await, world.node().await);
        let (account, user) = account_and_user(&accounts).await;
        let again = async || accounts.user(&user.email).await.unwrap();

        let sessions = [jane(&accounts).await, jane(&other).await];
        accounts.set_password(&again().await, &secret("another password"), &operator()).await.unwrap();
        for session in &sessions {
            assert!(!lasts(&other, session).await, "after another password");
        }
        assert!(matches!(sign_in(&accounts, "jane@example.com", PASSWORD, "").await, Err(NotSignedIn::Wrong)));
        accounts.set_password(&again().await, &secret(PASSWORD), &operator()).await.unwrap();

        let session = jane(&accounts).await;
        accounts.set_role(&again().await, Role::Viewer, &operator()).await.unwrap();
        assert!(!lasts(&other, &session).await, "after another role");
        assert!(!jane(&accounts).await.user.role.may_authorize());

        let session = jane(&accounts).await;
        accounts.set_totp(&again().await, &operator()).await.unwrap();
        assert!(!lasts(&other, &session).await, "after an authenticator");
        accounts.end_totp(&again().await, &operator()).await.unwrap();

        let session = jane(&accounts).await;
        let is = |status| AccountChange { status: Some(status), ..AccountChange::default() };
        accounts.update_account(&account.sid, &is(Status::Suspended), &operator()).await.unwrap();
        assert!(!lasts(&other, &session).await, "while the account is suspended");
        let refused = sign_in(&accounts, "jane@example.com", PASSWORD, "").await;
        assert!(matches!(refused, Err(NotSignedIn::Inactive(Status::Suspended))), "{refused:?}");
        let refused = sign_in(&accounts, "jane@example.com", "another password", "").await;
        assert!(matches!(refused, Err(NotSignedIn::Wrong)), "strangers are told nothing of the account");
        accounts.update_account(&account.sid, &is(Status::Active), &operator()).await.unwrap();

        let session = jane(&accounts).await;
        let kept = jane(&accounts).await;
        accounts.sign_out(&session).await.unwrap();
        assert!(!lasts(&other, &session).await && lasts(&other, &kept).await);
        accounts.close_user(&again().await, &operator()).await.unwrap();
        assert!(!lasts(&other, &kept).await, "after the user's end");
        assert!(matches!(sign_in(&accounts, "jane@example.com", PASSWORD, "").await, Err(NotSignedIn::Wrong)));
        // The address may have another user now.
        account_and_user(&accounts).await;
        jane(&accounts).await;
    }
}

#[tokio::test]
async fn a_session_ends_by_itself_and_no_user_has_many() {
    for world in World::both().await {
        let accounts = world.node().await;
        account_and_user(&accounts).await;
        let idle = jane(&accounts).await;
        world.clock.advance_wall(SESSION_IDLE - Duration::from_secs(2));
        assert!(lasts(&accounts, &idle).await, "it is used in time");
        world.clock.advance_wall(SESSION_IDLE - Duration::from_secs(2));
        assert!(lasts(&accounts, &idle).await, "and so once more");
        world.clock.advance_wall(SESSION_IDLE);
        assert!(!lasts(&accounts, &idle).await, "nobody used it");

        let old = jane(&accounts).await;
        let mut left = SESSION_LENGTH;
        while SESSION_IDLE <= left {
            left -= SESSION_IDLE / 2;
            world.clock.advance_wall(SESSION_IDLE / 2);
            assert!(lasts(&accounts, &old).await, "{left:?} left");
        }
        world.clock.advance_wall(left);
        assert!(!lasts(&accounts, &old).await, "however much it is used");

        let mut sessions = Vec::new();
        for _ in 0..9 {
            sessions.push(jane(&accounts).await);
            world.clock.advance_wall(Duration::from_secs(1));
        }
        assert!(!lasts(&accounts, &sessions[0]).await, "the oldest went");
        for session in &sessions[1..] {
            assert!(lasts(&accounts, session).await);
        }
    }
}

#[tokio::test]
async fn a_session_is_never_one_that_somebody_had_before() {
    for world in World::both().await {
        let accounts = world.node().await;
        let (account, _) = account_and_user(&accounts).await;
        let mallory = email("mallory@example.com");
        accounts.create_user(&account.sid, &mallory, Role::Viewer, &secret(PASSWORD), &operator()).await.unwrap();
        let planted = sign_in(&accounts, "mallory@example.com", PASSWORD, "").await.unwrap();
        let password = secret(PASSWORD);
        for shown in [planted.shown().reveal(), "0123456789abcdef0123456789abcdef.0", "x"] {
            let attempt =
                Attempt { from: HERE, name: "jane@example.com", password: &password, code: "", replaces: Some(shown) };
            let session = accounts.sign_in(&attempt).await.unwrap();
            assert_ne!(session.shown().reveal(), shown);
            assert_eq!(session.user.email.as_str(), "jane@example.com");
        }
        assert!(!lasts(&accounts, &planted).await, "what the browser had is over");
    }
}

#[tokio::test]
async fn failures_are_counted_for_an_address_and_a_name_and_lock_nobody_else() {
    let world = World::sqlite();
    let accounts = world.node().await;
    let (account, _) = account_and_user(&accounts).await;
    for attempt in 0..10 {
        let refused = sign_in(&accounts, "jane@example.com", "wrong", "").await;
        assert!(matches!(refused, Err(NotSignedIn::Wrong)), "{attempt}");
    }
    for name in ["jane@example.com", "JANE@example.com"] {
        let refused = sign_in(&accounts, name, PASSWORD, "").await;
        assert!(matches!(refused, Err(NotSignedIn::TooOften(_))), "the right password is not looked at: {refused:?}");
    }
    // Whoever is not there waits as long.
    for _ in 0..10 {
        assert!(matches!(sign_in(&accounts, "john@example.com", "wrong", "").await, Err(NotSignedIn::Wrong)));
    }
    assert!(matches!(sign_in(&accounts, "john@example.com", "wrong", "").await, Err(NotSignedIn::TooOften(_))));
    let password = secret(PASSWORD);
    let elsewhere = Attempt {
        from: [192, 0, 2, 1].into(),
        name: "jane@example.com",
        password: &password,
        code: "",
        replaces: None,
    };
    accounts.sign_in(&elsewhere).await.unwrap();
    assert_eq!(ask(&accounts, &token_of(&account)).await, Ok(account.sid), "no API credential is locked");
}

#[tokio::test]
async fn an_address_that_tries_many_names_waits_with_all_of_them() {
    let world = World::sqlite();
    let accounts = world.node().await;
    account_and_user(&accounts).await;
    for number in 0..60 {
        let refused = sign_in(&accounts, &format!("{number}@example.com"), "wrong", "").await;
        assert!(matches!(refused, Err(NotSignedIn::Wrong)), "{number}");
    }
    assert!(matches!(sign_in(&accounts, "jane@example.com", PASSWORD, "").await, Err(NotSignedIn::TooOften(_))));
}

#[tokio::test]
async fn many_who_guess_at_once_learn_no_more_than_one_who_guesses_in_turn() {
    let world = World::sqlite();
    let accounts = world.node().await;
    account_and_user(&accounts).await;
    // All are let in together, before any of them has failed.
    let guesses = (0..30).map(|number| {
        let accounts = accounts.clone();
        async move { sign_in(&accounts, "jane@example.com", &format!("guess {number}"), "").await }
    });
    let told = futures_util::future::join_all(guesses).await;
    let wrong = told.iter().filter(|told| matches!(told, Err(NotSignedIn::Wrong))).count();
    assert!((10..15).contains(&wrong), "{wrong} of them were told that they are wrong");
    assert!(told.iter().all(|told| matches!(told, Err(NotSignedIn::Wrong | NotSignedIn::TooOften(_)))), "{told:?}");
}

#[tokio::test]
async fn users_are_made_listed_and_closed() {
    for world in World::both().await {
        let accounts = world.node().await;
        let (account, jane) = account_and_user(&accounts).await;
        let make = async |of: &Account, name: &str| {
            accounts.create_user(&of.sid, &email(name), Role::Admin, &secret(PASSWORD), &operator()).await
        };
        let other = accounts.create_account(None, "Other", &operator()).await.unwrap();
        assert!(matches!(make(&other, "JANE@example.com").await, Err(AccountsError::Conflict(_))));
        let john = make(&other, "john@example.com").await.unwrap();
        let weak = accounts.create_user(&other.sid, &email("a@b"), Role::Admin, &secret("short"), &operator()).await;
        assert!(matches!(weak, Err(AccountsError::Invalid { field: "password", .. })));
        let is_closed = AccountChange { status: Some(Status::Closed), ..AccountChange::default() };
        accounts.update_account(&other.sid, &is_closed, &operator()).await.unwrap();
        assert!(matches!(make(&other, "late@example.com").await, Err(AccountsError::Conflict(_))));

        let sids = |users: Vec<User>| users.iter().map(|user| user.sid).collect::<Vec<_>>();
        assert_eq!(sids(accounts.users(Some(&account.sid), &whole(10)).await.unwrap().records), [jane.sid]);
        assert_eq!(sids(accounts.users(None, &whole(10)).await.unwrap().records), [john.sid, jane.sid]);
        assert_eq!(accounts.user(&jane.email).await.unwrap(), jane);

        // Whoever has read what was before overwrites nothing.
        accounts.set_role(&jane, Role::Viewer, &operator()).await.unwrap();
        let late = accounts.set_role(&jane, Role::Owner, &operator()).await;
        assert!(matches!(late, Err(AccountsError::Conflict(_))), "{late:?}");
        assert!(matches!(accounts.user(&email("nobody@example.com")).await, Err(AccountsError::NotFound("user"))));
    }
}

#[tokio::test]
async fn what_authenticators_share_is_sealed_anew_with_another_key() {
    let mut world = World::sqlite();
    let key_file = world.dir.path().join("keys");
    std::fs::write(&key_file, "01".repeat(32)).unwrap();
    world.config.key_file = Some(key_file.clone());
    let accounts = world.node().await;
    let (_, user) = account_and_user(&accounts).await;
    let [shared, _] = accounts.set_totp(&user, &operator()).await.unwrap();
    accounts.close().await;
    std::fs::write(&key_file, format!("{}\n{}\n", "02".repeat(32), "01".repeat(32))).unwrap();
    let accounts = world.node().await;
    assert_eq!(accounts.reseal(&operator()).await.unwrap(), 2, "the account's token and the authenticator's secret");
    assert_eq!(accounts.reseal(&operator()).await.unwrap(), 0);
    accounts.close().await;
    std::fs::write(&key_file, "02".repeat(32)).unwrap();
    let accounts = world.node().await;
    let code = code_at(&of_base32(shared.reveal()).unwrap(), step_at(world.clock.now_wall()));
    sign_in(&accounts, "jane@example.com", PASSWORD, &code).await.unwrap();
}

#[tokio::test]
async fn a_form_is_good_with_the_cookie_that_it_was_made_for() {
    for world in World::both().await {
        let (accounts, other) = (world.node().await, world.node().await);
        let (one, two) = (accounts.draw_visitor(), accounts.draw_visitor());
        assert_ne!(one, two);
        let token = accounts.form_token(&one).unwrap();
        assert!(other.is_form_token(one.reveal(), &token) || world.server.is_none());
        assert!(accounts.is_form_token(one.reveal(), &token));
        assert!(!accounts.is_form_token(two.reveal(), &token));
        for wrong in ["", "x", &token[1..], &format!("{token}A")] {
            assert!(!accounts.is_form_token(one.reveal(), wrong), "{wrong}");
        }
    }
}

#[tokio::test]
async fn wrong_codes_after_the_right_password_are_counted_for_all_nodes_and_for_the_day() {
    for world in World::both().await {
        let (here, there) = (world.node().await, world.node().await);
        let (account, user) = account_and_user(&here).await;
        let [shared, _] = here.set_totp(&user, &operator()).await.unwrap();
        let shared = of_base32(shared.reveal()).unwrap();
        let seconds = world.clock.now_wall().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let almost = crate::store::Statement::new("UPDATE users SET code_failures = 48, code_day = $1");
        here.inner.store.write(&[almost.bind(i64::try_from(seconds / 86_400).unwrap())]).await.unwrap();
        for accounts in [&here, &there] {
            let refused = sign_in(accounts, "jane@example.com", PASSWORD, "0").await;
            assert!(matches!(refused, Err(NotSignedIn::Wrong)), "{refused:?}");
        }
        let right = || code_at(&shared, step_at(world.clock.now_wall()));
        let refused = sign_in(&here, "jane@example.com", PASSWORD, &right()).await;
        assert!(matches!(refused, Err(NotSignedIn::Wrong)), "{refused:?}");
        let deeds = here.audit(Some(&account.sid), None, 10).await.unwrap();
        assert_eq!(deeds.iter().filter(|deed| deed.action == "user.too-many-codes").count(), 1);
        world.clock.advance_wall(Duration::from_secs(86_400));
        sign_in(&here, "jane@example.com", PASSWORD, &right()).await.unwrap();
        here.close().await;
        there.close().await;
    }
}
