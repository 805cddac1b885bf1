//! Accounts on both engines: what must hold, whichever keeps them.

mod alerts;

mod connect;

mod deauthorizations;

mod grants;

mod users;

mod versions;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Access, Account, AccountChange, AccountFilter, Accounts, AccountsError, Actor, ApplicationFields, Config,
    Credential, Header, KeyKind, NewKey, Page, PhoneNumber, Refusal, Resource, Scopes, Status,
};
use crate::{
    clock::Clock,
    ids::{AccountSid, KeySid, Tenant},
    secret::Secret,
    store::{self, Store, StoreUrl},
    testing::postgres_server::PostgresServer,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What keeps the accounts of a test.
struct World {
    dir: tempfile::TempDir,
    store: store::Config,
    config: Config,
    server: Option<PostgresServer>,
    clock: Clock,
}

impl World {
    fn sqlite() -> World {
        let dir = tempfile::tempdir().unwrap();
        let (store, config) = (store::Config::default(), Config::default());
        World { dir, store, config, server: None, clock: Clock::system() }
    }

    async fn postgres() -> World {
        let server = PostgresServer::start().await.unwrap();
        let mut world = World::sqlite();
        world.store.url = StoreUrl::new(server.url());
        let key_file = world.dir.path().join("keys");
        std::fs::write(&key_file, format!("# the fleet's\n{}\n", "07".repeat(32))).unwrap();
        world.config.key_file = Some(key_file);
        world.server = Some(server);
        world
    }

    async fn both() -> [World; 2] {
        [World::sqlite(), World::postgres().await]
    }

    /// A node on the same store.
    async fn node(&self) -> Accounts {
        let store = Store::open(&self.store, self.dir.path()).await.unwrap();
        Accounts::open(self.config.clone(), store, self.dir.path(), self.clock.clone()).await.unwrap()
    }

    fn data(&self) -> Vec<u8> {
        match &self.server {
            Some(server) => server.dump().unwrap(),
            None => {
                let files = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
                let stores = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("store.db"));
                stores.flat_map(|path| std::fs::read(path).unwrap()).collect()
            }
        }
    }
}

fn operator() -> Actor {
    Actor::operator("test")
}

fn basic(name: impl std::fmt::Display, secret: &Secret) -> Vec<u8> {
    format!("Basic {}", STANDARD.encode(format!("{name}:{}", secret.reveal()))).into_bytes()
}

fn token_of(account: &Account) -> Vec<u8> {
    basic(account.sid, &account.primary_token)
}

async fn ask(accounts: &Accounts, shown: &[u8]) -> Result<AccountSid, Refusal> {
    let asked = accounts.authenticate(Header::new(shown), HERE, Access::Write).await;
    asked.map(|principal| principal.account)
}

fn new_key(kind: KeyKind) -> NewKey {
    NewKey { kind, friendly_name: "k".to_owned(), scopes: Scopes::standard(), expires: None }
}

fn whole(size: usize) -> Page {
    Page { size, beside: None }
}

fn contains(data: &[u8], text: &str) -> bool {
    data.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn who_has_right_credentials_is_known_by_them() {
    for world in World::both().await {
        let accounts = world.node().await;
        let top = accounts.create_account(None, "Top", &operator()).await.unwrap();
        let sub = accounts.create_account(Some(&top.sid), "Sub", &operator()).await.unwrap();
        assert_eq!(accounts.account(&sub.sid).await.unwrap(), sub);
        assert_eq!(ask(&accounts, &token_of(&top)).await, Ok(top.sid));
        let principal = accounts.authenticate(Header::new(&token_of(&sub)), HERE, Access::Read).await.unwrap();
        assert_eq!((principal.account, principal.parent), (sub.sid, Some(top.sid)));
        assert_eq!((&principal.tenant, &principal.credential), (&Tenant::of(&sub.sid), &Credential::Token));
        assert!(principal.may(Resource::Keys, Access::Write));

        let (key, secret) = accounts.create_key(&sub.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
        let shown = basic(key.sid, &secret);
        let principal = accounts.authenticate(Header::new(&shown), HERE, Access::Write).await.unwrap();
        assert_eq!((principal.account, &principal.credential), (sub.sid, &Credential::Key(key.sid)));
        assert!(principal.may(Resource::Media, Access::Write) && !principal.may(Resource::Keys, Access::Read));
        accounts.note_uses().await.unwrap();
        assert!(accounts.key(&sub.sid, KeyKind::Api, &key.sid).await.unwrap().used.is_some());

        // A signing key signs tokens and authenticates nobody by itself.
        let (signing, signed_with) =
            accounts.create_key(&sub.sid, &new_key(KeyKind::Signing), &operator()).await.unwrap();
        let swapped = basic(top.sid, &sub.primary_token);
        let wrong = Secret::new("wrong".to_owned());
        let empty = Secret::new(String::new());
        for shown in [
            basic(signing.sid, &signed_with),
            swapped,
            basic(top.sid, &wrong),
            basic(top.sid, &empty),
            basic(key.sid, &wrong),
            basic(key.sid, &empty),
            basic(AccountSid::NOBODY, &top.primary_token),
            basic(KeySid::draw(&mut rand::rng()), &secret),
            basic("x", &secret),
            format!("Bearer {}:{}", key.sid, secret.reveal()).into_bytes()[..20].to_vec(),
            b"Basic !!!".to_vec(),
            b"Basic".to_vec(),
            b"Digest x".to_vec(),
            vec![b'B'; 100_000],
            vec![0xff, 0xfe],
            Vec::new(),
        ] {
            assert_eq!(ask(&accounts, &shown).await, Err(Refusal::Wrong), "{}", String::from_utf8_lossy(&shown));
        }
        // An SDK that can send a bearer only.
        let bearer = format!("Bearer {}:{}", key.sid, secret.reveal());
        assert_eq!(ask(&accounts, bearer.as_bytes()).await, Ok(sub.sid));
        accounts.close().await;
    }
}

#[tokio::test]
async fn what_is_revoked_on_one_node_is_refused_on_the_other_as_soon_as_it_hears() {
    for world in World::both().await {
        let (here, there) = (world.node().await, world.node().await);
        let top = here.create_account(None, "", &operator()).await.unwrap();
        let sub = here.create_account(Some(&top.sid), "", &operator()).await.unwrap();
        let (key, secret) = here.create_key(&sub.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
        let (other, other_secret) = here.create_key(&sub.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
        let (shown, kept) = (basic(key.sid, &secret), basic(other.sid, &other_secret));
        let known = |shown: &[u8]| there.recognise(Header::new(shown), Access::Write).is_some();
        let everybody = [&shown, &kept, &token_of(&sub), &token_of(&top)];
        let tenant = Tenant::of(&sub.sid);
        let greet = async || {
            for shown in everybody {
                ask(&there, shown).await.unwrap();
            }
            there.check_tenant(&tenant, Access::Read).await.unwrap();
            assert!(everybody.into_iter().all(|shown| known(shown)));
        };
        greet().await;

        here.delete_key(&sub.sid, KeyKind::Api, &key.sid, &operator()).await.unwrap();
        assert_eq!(ask(&here, &shown).await, Err(Refusal::Wrong));
        there.hear().await.unwrap();
        assert_eq!(ask(&there, &shown).await, Err(Refusal::Wrong));
        assert_eq!(ask(&there, &kept).await, Ok(sub.sid));

        let two = here.create_secondary_token(&sub.sid, &operator()).await.unwrap();
        let second = basic(sub.sid, two.secondary_token.as_ref().unwrap());
        there.hear().await.unwrap();
        assert_eq!((ask(&there, &second).await, ask(&there, &token_of(&sub)).await), (Ok(sub.sid), Ok(sub.sid)));
        let one = here.promote_secondary_token(&sub.sid, &operator()).await.unwrap();
        there.hear().await.unwrap();
        assert_eq!(
            (ask(&there, &second).await, ask(&there, &token_of(&sub)).await),
            (Ok(sub.sid), Err(Refusal::Wrong))
        );
        assert_eq!((token_of(&one), one.secondary_token), (second.clone(), None));

        // A parent's status rules its children, and is over when it is over.
        let status = |status| AccountChange { status: Some(status), ..AccountChange::default() };
        for (whose, stopped) in [(sub.sid, Status::Suspended), (top.sid, Status::Suspended), (top.sid, Status::Closed)]
        {
            ask(&there, &second).await.unwrap();
            there.check_tenant(&tenant, Access::Read).await.unwrap();
            here.update_account(&whose, &status(stopped), &operator()).await.unwrap();
            there.hear().await.unwrap();
            assert!(!known(&second) && there.recognise_tenant(&tenant, Access::Read).is_none());
            assert_eq!(ask(&there, &second).await, Err(Refusal::Inactive(stopped)));
            assert_eq!(ask(&there, &kept).await, Err(Refusal::Inactive(stopped)));
            assert_eq!(there.check_tenant(&tenant, Access::Read).await, Err(Refusal::Inactive(stopped)));
            let resumed = here.update_account(&whose, &status(Status::Active), &operator()).await;
            assert_eq!(resumed.is_ok(), stopped == Status::Suspended);
            there.hear().await.unwrap();
        }
        here.close().await;
        there.close().await;
    }
}

#[tokio::test]
async fn who_has_not_heard_for_long_forgets_everything() {
    let world = World::sqlite();
    let (here, there) = (world.node().await, world.node().await);
    let top = here.create_account(None, "", &operator()).await.unwrap();
    ask(&there, &token_of(&top)).await.unwrap();
    // As if more had happened than is kept.
    let drop = store::Statement::new("DELETE FROM changes");
    here.inner.store.write(&[drop]).await.unwrap();
    here.create_account(None, "", &operator()).await.unwrap();
    there.hear().await.unwrap();
    assert!(there.recognise(Header::new(&token_of(&top)), Access::Read).is_none());

    // A store that was set back to a copy of what it was.
    ask(&there, &token_of(&top)).await.unwrap();
    let set_back = store::Statement::new("UPDATE revision SET number = 0");
    here.inner.store.write(&[set_back]).await.unwrap();
    there.hear().await.unwrap();
    assert!(there.recognise(Header::new(&token_of(&top)), Access::Read).is_none());
    ask(&there, &token_of(&top)).await.unwrap();
    let close = AccountChange { status: Some(Status::Closed), ..AccountChange::default() };
    here.inner.store.write(&[store::Statement::new("DELETE FROM audit")]).await.unwrap();
    here.update_account(&top.sid, &close, &operator()).await.unwrap();
    there.hear().await.unwrap();
    assert_eq!(ask(&there, &token_of(&top)).await, Err(Refusal::Inactive(Status::Closed)));
}

#[tokio::test]
async fn callers_stay_known_whatever_is_done_that_takes_nothing_from_them() {
    let world = World::sqlite();
    let (here, there) = (world.node().await, world.node().await);
    let top = here.create_account(None, "", &operator()).await.unwrap();
    let (key, secret) = here.create_key(&top.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
    let by_key = basic(key.sid, &secret);
    let is_known = |accounts: &Accounts, shown: &[u8]| accounts.recognise(Header::new(shown), Access::Read).is_some();
    for accounts in [&here, &there] {
        ask(accounts, &token_of(&top)).await.unwrap();
        ask(accounts, &by_key).await.unwrap();
    }
    let made = here.create_application(&top.sid, "a", &ApplicationFields::default(), &operator()).await.unwrap();
    here.delete_application(&top.sid, &made.sid, &operator()).await.unwrap();
    here.rename_key(&top.sid, KeyKind::Api, &key.sid, "b", &operator()).await.unwrap();
    here.create_key(&top.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
    here.create_account(Some(&top.sid), "", &operator()).await.unwrap();
    here.create_secondary_token(&top.sid, &operator()).await.unwrap();
    there.hear().await.unwrap();
    for accounts in [&here, &there] {
        assert!(is_known(accounts, &token_of(&top)) && is_known(accounts, &by_key));
    }
    here.delete_key(&top.sid, KeyKind::Api, &key.sid, &operator()).await.unwrap();
    there.hear().await.unwrap();
    assert!(!is_known(&here, &by_key) && !is_known(&there, &by_key));
}

#[tokio::test]
async fn when_a_key_was_used_last_is_noted_of_callers_who_are_known_too() {
    let world = World::sqlite();
    let accounts = world.node().await;
    let top = accounts.create_account(None, "", &operator()).await.unwrap();
    let (key, secret) = accounts.create_key(&top.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
    let used = async || accounts.key(&top.sid, KeyKind::Api, &key.sid).await.unwrap().used;
    let shown = basic(key.sid, &secret);
    ask(&accounts, &shown).await.unwrap();
    accounts.note_uses().await.unwrap();
    let first = used().await.unwrap();
    ask(&accounts, &shown).await.unwrap();
    accounts.note_uses().await.unwrap();
    assert_eq!(used().await, Some(first));
    accounts.inner.callers.next_round();
    ask(&accounts, &shown).await.unwrap();
    accounts.note_uses().await.unwrap();
    assert!(first < used().await.unwrap());
}

#[tokio::test]
async fn while_the_store_is_away_known_callers_may_read_and_nobody_may_write() {
    let mut world = World::postgres().await;
    // Nothing is fresh for longer than a second, so what follows lasts two.
    world.config.stale = Duration::from_secs(3600);
    let accounts = world.node().await;
    let top = accounts.create_account(None, "", &operator()).await.unwrap();
    let (known, stranger) = (token_of(&top), basic(top.sid, &Secret::new("wrong".to_owned())));
    let read = async |shown: &[u8]| accounts.authenticate(Header::new(shown), HERE, Access::Read).await;
    read(&known).await.unwrap();
    world.server.as_mut().unwrap().stop();
    let tell_away = async {
        while accounts.hear().await.is_ok() {}
        // Until what was heard last is too old to be taken for how things are.
        while accounts.recognise(Header::new(&known), Access::Write).is_some() {
            tokio::task::yield_now().await;
        }
    };
    tell_away.await;
    assert!(accounts.is_away());
    assert_eq!(read(&known).await.unwrap().account, top.sid);
    assert_eq!(ask(&accounts, &known).await, Err(Refusal::Away));
    assert_eq!(read(&stranger).await.unwrap_err(), Refusal::Away);
    let made = accounts.create_account(None, "", &operator()).await;
    assert!(made.as_ref().is_err_and(AccountsError::is_away), "{made:?}");
    world.server.as_mut().unwrap().start_again().await.unwrap();
    accounts.hear().await.unwrap();
    assert_eq!(ask(&accounts, &known).await, Ok(top.sid));
    assert_eq!(read(&stranger).await.unwrap_err(), Refusal::Wrong);
    accounts.create_account(None, "", &operator()).await.unwrap();
}

#[tokio::test]
async fn a_store_that_says_nothing_keeps_no_reader_waiting() {
    let world = World::postgres().await;
    let accounts = world.node().await;
    let top = accounts.create_account(None, "", &operator()).await.unwrap();
    let shown = token_of(&top);
    ask(&accounts, &shown).await.unwrap();
    // Far less than a question waits for its answer, and far more than it takes to find that there is none.
    let at_once = (world.store.connect_timeout + world.store.statement_timeout) / 2;
    let is_known = |access| accounts.recognise(Header::new(&shown), access).is_some();
    let read = async || {
        let began = tokio::time::Instant::now();
        accounts.authenticate(Header::new(&shown), HERE, Access::Read).await.unwrap();
        assert!(began.elapsed() < at_once, "{:?}", began.elapsed());
        tokio::task::yield_now().await;
    };
    let paused = async {
        world.server.as_ref().unwrap().pause();
        // Until how things are is not known any more, and on for a while.
        while is_known(Access::Write) {
            read().await;
        }
        let began = tokio::time::Instant::now();
        while began.elapsed() < Duration::from_secs(1) {
            read().await;
        }
        world.server.as_ref().unwrap().resume();
        while !is_known(Access::Write) {
            read().await;
        }
    };
    tokio::select! {
        () = accounts.keep_hearing() => {}
        () = paused => {}
    }
}

#[tokio::test]
async fn an_address_that_guesses_waits_and_callers_who_are_known_do_not() {
    let mut world = World::sqlite();
    world.config.failures_max = 3;
    let accounts = world.node().await;
    let top = accounts.create_account(None, "", &operator()).await.unwrap();
    let other = accounts.create_account(None, "", &operator()).await.unwrap();
    ask(&accounts, &token_of(&top)).await.unwrap();
    for guess in 0..3 {
        let guess = basic(top.sid, &Secret::new(guess.to_string()));
        assert_eq!(ask(&accounts, &guess).await, Err(Refusal::Wrong));
    }
    let waits = |asked| matches!(asked, Err(Refusal::TooOften(wait)) if wait <= Duration::from_secs(60));
    assert!(waits(ask(&accounts, &basic(top.sid, &Secret::new("4".to_owned()))).await));
    assert!(waits(ask(&accounts, &token_of(&other)).await));
    assert_eq!(ask(&accounts, &token_of(&top)).await, Ok(top.sid));
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    accounts.authenticate(Header::new(&token_of(&other)), elsewhere, Access::Write).await.unwrap();
}

#[tokio::test]
async fn a_client_has_what_its_token_and_its_key_allow_for_an_hour_at_most() {
    let world = World::sqlite();
    let accounts = world.node().await;
    let top = accounts.create_account(None, "", &operator()).await.unwrap();
    let other = accounts.create_account(None, "", &operator()).await.unwrap();
    let (key, secret) = accounts.create_key(&top.sid, &new_key(KeyKind::Signing), &operator()).await.unwrap();
    let (api, api_secret) = accounts.create_key(&top.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
    let now = accounts.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = |changes: serde_json::Value, header: serde_json::Value, secret: &Secret| {
        let mut claims = serde_json::json!({
            "iss": key.sid, "sub": top.sid, "aud": "ringback", "iat": now, "exp": now + 3600,
            "grants": { "identity": "alice", "ringback": { "scopes": "media:read keys:read" } },
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let mut whole_header = serde_json::json!({ "typ": "JWT", "alg": "HS256" });
        for (name, value) in header.as_object().unwrap() {
            whole_header[name] = value.clone();
        }
        let url = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let message = format!("{}.{}", url.encode(whole_header.to_string()), url.encode(claims.to_string()));
        let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.reveal().as_bytes());
        let tag = ring::hmac::sign(&mac, message.as_bytes());
        format!("Bearer {message}.{}", url.encode(tag)).into_bytes()
    };
    let nothing = || serde_json::json!({});
    let good = token(nothing(), nothing(), &secret);
    let principal = accounts.authenticate(Header::new(&good), HERE, Access::Read).await.unwrap();
    assert_eq!(principal.credential, Credential::Client { key: key.sid, identity: "alice".to_owned() });
    assert!(principal.may(Resource::Media, Access::Read) && !principal.may(Resource::Media, Access::Write));
    assert!(!principal.may(Resource::Keys, Access::Read), "the key may not");
    // As the ecosystem's libraries make it: without an audience, with a type of their own.
    let theirs = token(serde_json::json!({ "aud": null }), serde_json::json!({ "cty": "twilio-fpa;v=1" }), &secret);
    assert_eq!(ask(&accounts, &theirs).await, Ok(top.sid));
    let wrong = [
        token(nothing(), nothing(), &api_secret),
        token(serde_json::json!({ "iss": api.sid }), nothing(), &api_secret),
        token(serde_json::json!({ "sub": other.sid }), nothing(), &secret),
        token(serde_json::json!({ "aud": null }), nothing(), &secret),
        token(serde_json::json!({ "aud": "another" }), nothing(), &secret),
        token(serde_json::json!({ "exp": now }), nothing(), &secret),
        token(serde_json::json!({ "exp": now + 3700 }), nothing(), &secret),
        token(serde_json::json!({ "exp": now + 90_000, "iat": now + 87_000 }), nothing(), &secret),
        token(serde_json::json!({ "exp": null }), nothing(), &secret),
        token(serde_json::json!({ "exp": "never" }), nothing(), &secret),
        token(serde_json::json!({ "nbf": now + 300 }), nothing(), &secret),
        token(serde_json::json!({ "grants": { "ringback": { "scopes": "everything" } } }), nothing(), &secret),
        token(nothing(), serde_json::json!({ "alg": "none" }), &secret),
        token(nothing(), serde_json::json!({ "alg": "HS512" }), &secret),
        token(nothing(), serde_json::json!({ "alg": "RS256" }), &secret),
        good[..good.len() - 1].to_vec(),
        b"Bearer a.b.c".to_vec(),
        b"Bearer ".to_vec(),
    ];
    for shown in wrong {
        assert_eq!(ask(&accounts, &shown).await, Err(Refusal::Wrong), "{}", String::from_utf8_lossy(&shown));
    }
    // All of them end at once, of callers who are known, too; those to come say the new epoch.
    assert_eq!(accounts.end_client_tokens(&top.sid, &operator()).await.unwrap(), 1);
    let at = |epoch: i64| {
        let grants = serde_json::json!({ "ringback": { "scopes": "media:read", "epoch": epoch } });
        token(serde_json::json!({ "grants": grants }), nothing(), &secret)
    };
    for (shown, is_good) in [(&good, false), (&theirs, false), (&at(0), false), (&at(1), true), (&at(2), false)] {
        assert_eq!(ask(&accounts, shown).await.is_ok(), is_good);
    }
    let (good, theirs) = (at(1), at(1));
    world.clock.advance_wall(Duration::from_secs(3600));
    assert_eq!(ask(&accounts, &good).await, Err(Refusal::Wrong), "remembered, and over");
    accounts.delete_key(&top.sid, KeyKind::Signing, &key.sid, &operator()).await.unwrap();
    assert_eq!(ask(&accounts, &theirs).await, Err(Refusal::Wrong));
}

#[tokio::test]
async fn lists_are_walked_in_pages_both_ways_whatever_is_made_meanwhile() {
    for world in World::both().await {
        let accounts = world.node().await;
        let top = accounts.create_account(None, "", &operator()).await.unwrap();
        let fields = ApplicationFields::default();
        let mut made = Vec::new();
        for number in 0..5 {
            let name = format!("a{number}");
            made.push(accounts.create_application(&top.sid, &name, &fields, &operator()).await.unwrap().friendly_name);
        }
        made.reverse();
        let names = |listed: &super::Listed<super::Application>| {
            listed.records.iter().map(|record| record.friendly_name.clone()).collect::<Vec<_>>()
        };
        let page = async |beside| {
            let page = Page { size: 2, beside };
            accounts.applications(&top.sid, None, &page).await.unwrap()
        };
        let first = page(None).await;
        assert_eq!((names(&first), first.newer.is_none()), (made[..2].to_vec(), true));
        // Newer than everything: on no page that follows.
        accounts.create_application(&top.sid, "new", &fields, &operator()).await.unwrap();
        let second = page(first.older.clone()).await;
        assert_eq!(names(&second), made[2..4]);
        let third = page(second.older.clone()).await;
        assert_eq!((names(&third), third.older.is_none()), (made[4..].to_vec(), true));
        assert_eq!(names(&page(third.newer.clone()).await), made[2..4]);
        let back = page(second.newer.clone()).await;
        assert_eq!((names(&back), back.newer.is_some()), (made[..2].to_vec(), true));
        assert_eq!(names(&page(back.newer.clone()).await), ["new"]);
        let named = accounts.applications(&top.sid, Some("a3"), &whole(10)).await.unwrap();
        assert_eq!(names(&named), ["a3"]);
        let stranger = accounts.create_account(None, "", &operator()).await.unwrap();
        assert!(accounts.applications(&stranger.sid, None, &whole(10)).await.unwrap().records.is_empty());
        let all = accounts.accounts(None, &AccountFilter::default(), &whole(10)).await.unwrap();
        assert_eq!(all.records.iter().map(|account| account.sid).collect::<Vec<_>>(), [stranger.sid, top.sid]);
    }
}

#[tokio::test]
async fn a_number_has_one_owner_at_most_and_only_who_is_offered_it_takes_it() {
    for world in World::both().await {
        let accounts = world.node().await;
        let top = accounts.create_account(None, "", &operator()).await.unwrap();
        let sub = accounts.create_account(Some(&top.sid), "", &operator()).await.unwrap();
        let stranger = accounts.create_account(None, "", &operator()).await.unwrap();
        let [offered, open, given]: [PhoneNumber; 3] =
            ["+15550100001", "+15550100002", "+15550100003"].map(|text| text.parse().unwrap());
        accounts.add_number(&offered, None, Some(&top.sid), &operator()).await.unwrap();
        accounts.add_number(&open, None, None, &operator()).await.unwrap();
        accounts.add_number(&given, Some(&stranger.sid), None, &operator()).await.unwrap();
        let again = accounts.add_number(&open, None, None, &operator()).await;
        assert!(matches!(again, Err(AccountsError::Conflict(_))), "{again:?}");
        let take = async |account: &AccountSid, number: &PhoneNumber| {
            accounts.take_number(account, number, &operator()).await.map(|number| number.account)
        };
        assert!(matches!(take(&stranger.sid, &offered).await, Err(AccountsError::Conflict(_))));
        assert!(matches!(take(&top.sid, &given).await, Err(AccountsError::Conflict(_))));
        assert!(matches!(take(&top.sid, &"+15550199999".parse().unwrap()).await, Err(AccountsError::Conflict(_))));
        assert_eq!(take(&sub.sid, &offered).await.unwrap(), Some(sub.sid));
        // Two at once: one has it.
        let (one, two) = tokio::join!(take(&top.sid, &open), take(&stranger.sid, &open));
        assert_ne!(one.is_ok(), two.is_ok());
        let number = accounts.number_by_number(&offered).await.unwrap();
        assert!(matches!(accounts.number(&top.sid, &number.sid).await, Err(AccountsError::NotFound(_))));
        accounts.release_number(&sub.sid, &number.sid, &operator()).await.unwrap();
        assert!(accounts.numbers(&sub.sid, None, None, &whole(10)).await.unwrap().records.is_empty());
        assert_eq!(take(&top.sid, &offered).await.unwrap(), Some(top.sid));
        // What the operator gave to one goes back to where only that one takes it, until the operator says otherwise.
        let number = accounts.number_by_number(&given).await.unwrap();
        accounts.release_number(&stranger.sid, &number.sid, &operator()).await.unwrap();
        assert!(matches!(take(&top.sid, &given).await, Err(AccountsError::Conflict(_))));
        assert_eq!(take(&stranger.sid, &given).await.unwrap(), Some(stranger.sid));
        accounts.assign_number(&given, None, &operator()).await.unwrap();
        assert_eq!(take(&top.sid, &given).await.unwrap(), Some(top.sid));
        let closed = AccountChange { status: Some(Status::Closed), ..AccountChange::default() };
        accounts.update_account(&stranger.sid, &closed, &operator()).await.unwrap();
        let assigned = accounts.assign_number(&given, Some(&stranger.sid), &operator()).await;
        assert!(matches!(assigned, Err(AccountsError::Conflict(_))), "{assigned:?}");
        assert_eq!(accounts.number_by_number(&given).await.unwrap().account, Some(top.sid));
    }
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_not_overwritten() {
    for world in World::both().await {
        let accounts = world.node().await;
        let top = accounts.create_account(None, "", &operator()).await.unwrap();
        let read =
            accounts.create_application(&top.sid, "a", &ApplicationFields::default(), &operator()).await.unwrap();
        let mut mine = read.clone();
        mine.friendly_name = "mine".to_owned();
        let mut theirs = read;
        theirs.friendly_name = "theirs".to_owned();
        accounts.update_application(&mine, &operator()).await.unwrap();
        assert!(matches!(accounts.update_application(&theirs, &operator()).await, Err(AccountsError::Conflict(_))));
        assert_eq!(accounts.application(&top.sid, &mine.sid).await.unwrap().friendly_name, "mine");
    }
}

#[tokio::test]
async fn no_secret_lies_in_the_store_and_each_deed_in_the_audit_log() {
    for world in World::both().await {
        let accounts = world.node().await;
        let top = accounts.create_account(None, "Top", &operator()).await.unwrap();
        let two = accounts.create_secondary_token(&top.sid, &operator()).await.unwrap();
        let by = Actor { who: top.sid.to_string(), credential: "auth token".to_owned(), application: None };
        let (key, secret) = accounts.create_key(&top.sid, &new_key(KeyKind::Api), &by).await.unwrap();
        let (_, signing) = accounts.create_key(&top.sid, &new_key(KeyKind::Signing), &by).await.unwrap();
        let entries = accounts.audit(Some(&top.sid), None, 10).await.unwrap();
        let deeds: Vec<_> = entries.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
        let (us, them) = ("operator", top.sid.to_string());
        let them = them.as_str();
        assert_eq!(deeds, [(them, "key.create"), (them, "key.create"), (us, "token.create"), (us, "account.create")]);
        assert_eq!(entries[1].target, key.sid.to_string());
        let older = accounts.audit(None, Some(entries[2].number), 10).await.unwrap();
        assert_eq!(older, entries[3..]);
        accounts.close().await;
        let data = world.data();
        assert!(contains(&data, &top.sid.to_string()), "this is where they would lie");
        let secrets = [&top.primary_token, two.secondary_token.as_ref().unwrap(), &secret, &signing];
        for secret in secrets {
            assert!(!contains(&data, secret.reveal()));
        }
        if let Some(key_file) = &world.config.key_file {
            let keys = std::fs::read_to_string(key_file).unwrap();
            assert!(!contains(&data, keys.lines().nth(1).unwrap()));
        }
    }
}

#[tokio::test]
async fn the_key_file_is_replaced_key_by_key() {
    let mut world = World::sqlite();
    let file = world.dir.path().join("keys");
    world.config.key_file = Some(file.clone());
    let [old, new] = ["01", "02"].map(|byte| byte.repeat(32));
    std::fs::write(&file, format!("{old}\n")).unwrap();
    let accounts = world.node().await;
    let top = accounts.create_account(None, "", &operator()).await.unwrap();
    let (key, secret) = accounts.create_key(&top.sid, &new_key(KeyKind::Api), &operator()).await.unwrap();
    accounts.create_key(&top.sid, &new_key(KeyKind::Signing), &operator()).await.unwrap();
    assert_eq!(accounts.reseal(&operator()).await.unwrap(), 0);

    std::fs::write(&file, format!("{new}\n{old}\n")).unwrap();
    let accounts = world.node().await;
    assert_eq!(accounts.reseal(&operator()).await.unwrap(), 2);
    assert_eq!(accounts.reseal(&operator()).await.unwrap(), 0);
    assert_eq!(ask(&accounts, &basic(key.sid, &secret)).await, Ok(top.sid));

    std::fs::write(&file, format!("{new}\n")).unwrap();
    let accounts = world.node().await;
    assert_eq!(ask(&accounts, &token_of(&top)).await, Ok(top.sid));
    assert_eq!(ask(&accounts, &basic(key.sid, &secret)).await, Err(Refusal::Wrong), "its MAC is the old key's");

    for nonsense in ["", "xyz\n", &format!("{new}0\n")] {
        std::fs::write(&file, nonsense).unwrap();
        let store = Store::open(&world.store, world.dir.path()).await.unwrap();
        Accounts::open(world.config.clone(), store, world.dir.path(), Clock::system()).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_node_without_accounts_makes_one_and_leaves_its_credentials_in_a_file_of_its_own() {
    let world = World::sqlite();
    let accounts = world.node().await;
    let first = accounts.create_first_account(world.dir.path()).await.unwrap().unwrap();
    assert!(accounts.create_first_account(world.dir.path()).await.unwrap().is_none());
    assert_eq!(ask(&accounts, &token_of(&first.account)).await, Ok(first.account.sid));
    accounts.close().await;
    // Over what an older store of this directory has left.
    std::fs::remove_file(world.dir.path().join("store.db")).unwrap();
    let accounts = world.node().await;
    let first = accounts.create_first_account(world.dir.path()).await.unwrap().unwrap();
    let text = std::fs::read_to_string(&first.file).unwrap();
    assert!(text.contains(&first.account.sid.to_string()) && text.contains(first.account.primary_token.reveal()));
    for file in ["first-credentials", "accounts.key", "store.db"] {
        assert_eq!(mode(&world.dir.path().join(file)), 0o600, "{file}");
    }
    assert_eq!(ask(&accounts, &token_of(&first.account)).await, Ok(first.account.sid));
}

#[tokio::test]
async fn nodes_that_share_a_store_need_a_key_file() {
    let mut world = World::postgres().await;
    world.config.key_file = None;
    let store = Store::open(&world.store, world.dir.path()).await.unwrap();
    let opened = Accounts::open(world.config.clone(), store, world.dir.path(), Clock::system()).await;
    assert!(matches!(opened, Err(AccountsError::KeyFile(_))));
}

#[tokio::test]
async fn only_accounts_at_the_top_that_are_active_have_subaccounts() {
    for world in World::both().await {
        let accounts = world.node().await;
        let top = accounts.create_account(None, "", &operator()).await.unwrap();
        let sub = accounts.create_account(Some(&top.sid), "", &operator()).await.unwrap();
        let refused = async |parent: &AccountSid| {
            let made = accounts.create_account(Some(parent), "", &operator()).await;
            matches!(made, Err(AccountsError::Conflict(_)))
        };
        assert!(refused(&sub.sid).await && refused(&AccountSid::NOBODY).await);
        let close = AccountChange { status: Some(Status::Closed), ..AccountChange::default() };
        accounts.update_account(&top.sid, &close, &operator()).await.unwrap();
        assert!(refused(&top.sid).await);
        for name in ["x".repeat(65), "a\nb".to_owned()] {
            let named = accounts.create_account(None, &name, &operator()).await;
            assert!(matches!(named, Err(AccountsError::Invalid { field: "FriendlyName", .. })));
        }
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
