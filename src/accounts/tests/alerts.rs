//! Accounts hear that a limit of theirs is reached: once for each story, from however many nodes, signed, and of whom nobody is flooded.

use super::*;
use crate::{
    accounts::{Limited, Reached, alerts::ALERTS},
    outbound::{self, Client, Guard, signature},
    store::Statement,
    testing::origin::{Body, Origin, Reply},
};

fn client(origin: &Origin, clock: &Clock) -> Client {
    let callback_origins = vec![origin.address().to_string()];
    let config = outbound::Config { callback_origins, ..outbound::Config::default() }.for_callbacks();
    Client::new(&config, Guard::new(&config, Vec::new()).unwrap(), "ringback-test", clock.clone()).unwrap()
}

fn soft(account: AccountSid) -> Reached {
    Reached { limited: Limited::Account(account), resource: "fetches", threshold: "soft", limit: 3, current: 4 }
}

/// Has it told where a limit is reached.
async fn tell_at(accounts: &Accounts, account: &AccountSid, url: &str) {
    let change = AccountChange { limit_callback_url: Some(url.to_owned()), ..AccountChange::default() };
    accounts.update_account(account, &change, &operator()).await.unwrap();
}

async fn count(accounts: &Accounts) -> i64 {
    let rows = Statement::new("SELECT count(*) FROM alerts");
    accounts.inner.store.read(rows).await.unwrap()[0].int(0).unwrap()
}

#[tokio::test]
async fn one_story_is_told_once_however_it_flaps_and_however_many_nodes_see_it() {
    for world in World::both().await {
        let (here, there) = (world.node().await, world.node().await);
        let account = here.create_account(None, "", &operator()).await.unwrap().sid;
        let reached = soft(account);
        // Nobody to tell.
        assert!(!here.note_reached(&reached).await.unwrap());
        tell_at(&here, &account, "https://app.example/limits").await;
        let both = futures_util::future::join_all((0..8).map(|number| {
            let node = if number % 2 == 0 { &here } else { &there };
            node.note_reached(&reached)
        }))
        .await;
        let told = both.into_iter().filter(|told| *told.as_ref().unwrap()).count();
        assert_eq!((told, count(&here).await), (1, 1));
        // It goes on, and up and down, for an hour.
        for _ in 0..120 {
            world.clock.advance_wall(Duration::from_secs(30));
            assert!(!there.note_reached(&reached).await.unwrap());
        }
        // The other threshold and other work are stories of their own.
        assert!(here.note_reached(&Reached { threshold: "hard", ..reached }).await.unwrap());
        assert!(here.note_reached(&Reached { resource: "fills", ..reached }).await.unwrap());
        // After a while of quiet it is told again.
        world.clock.advance_wall(Duration::from_secs(61));
        assert!(there.note_reached(&reached).await.unwrap());
        // But not more often than the interval says, and then it is.
        world.clock.advance_wall(Duration::from_secs(61));
        assert!(!here.note_reached(&reached).await.unwrap());
        let mut waited = 61;
        while !here.note_reached(&reached).await.unwrap() {
            world.clock.advance_wall(Duration::from_secs(30));
            waited += 30;
            assert!(waited < 400);
        }
        assert!(waited >= 300, "{waited}");
        assert_eq!(count(&there).await, 5);
        here.close().await;
        there.close().await;
    }
}

#[tokio::test]
async fn whose_the_limit_is_hears_of_it_and_of_a_subaccount_the_one_above() {
    for world in World::both().await {
        let accounts = world.node().await;
        let top = accounts.create_account(None, "", &operator()).await.unwrap();
        let sub = accounts.create_account(Some(&top.sid), "", &operator()).await.unwrap();
        let new =
            NewKey { kind: KeyKind::Api, friendly_name: String::new(), scopes: Scopes::standard(), expires: None };
        let (key, _) = accounts.create_key(&sub.sid, &new, &operator()).await.unwrap();
        let receivers = async || -> Vec<String> {
            let rows = Statement::new("SELECT account, record FROM alerts ORDER BY created_at, id");
            let rows = accounts.inner.store.read(rows).await.unwrap();
            rows.iter().map(|row| row.text(0).unwrap()).collect()
        };
        tell_at(&accounts, &top.sid, "https://app.example/top").await;
        assert!(accounts.note_reached(&soft(sub.sid)).await.unwrap());
        assert_eq!(receivers().await, [top.sid.to_string()]);
        tell_at(&accounts, &sub.sid, "https://app.example/sub").await;
        let of_key = Reached { limited: Limited::Key(key.sid), ..soft(sub.sid) };
        assert!(accounts.note_reached(&of_key).await.unwrap());
        let mut all = receivers().await;
        all.sort();
        let mut expected = [top.sid.to_string(), sub.sid.to_string()];
        expected.sort();
        assert_eq!(all, expected);
        // What is not there is nobody's.
        let unknown = Reached { limited: Limited::Key(KeySid::draw(&mut rand::rng())), ..of_key };
        assert!(!accounts.note_reached(&unknown).await.unwrap());
        // Addresses are what those of applications are, and taken away by saying none.
        for wrong in ["ftp://app.example/", "/limits", "https://me:secret@app.example/", "https://app.example/#a"] {
            let change = AccountChange { limit_callback_url: Some(wrong.to_owned()), ..AccountChange::default() };
            let refused = accounts.update_account(&sub.sid, &change, &operator()).await;
            assert!(matches!(refused, Err(AccountsError::Invalid { field: "LimitCallbackUrl", .. })), "{refused:?}");
        }
        tell_at(&accounts, &sub.sid, "").await;
        assert_eq!(accounts.account(&sub.sid).await.unwrap().limit_callback_url, None);
        accounts.close().await;
    }
}

#[tokio::test]
async fn it_is_told_signed_until_it_is_heard_or_old() {
    for world in World::both().await {
        let origin = Origin::start().await.unwrap();
        origin.keep_bodies();
        let elsewhere = Origin::start().await.unwrap();
        let ok = || Reply::ok("text/plain", Body::of(""));
        origin.set_sequence("/limits?a=1", [Reply::dropped(), Reply::status(500, "text/plain", Body::of("")), ok()]);
        origin.set("/deaf", Reply::status(500, "text/plain", Body::of("")));
        let accounts = world.node().await;
        let mut sids = Vec::new();
        for url in [origin.url("/limits?a=1"), origin.url("/deaf"), elsewhere.url("/private")] {
            let account = accounts.create_account(None, "", &operator()).await.unwrap();
            tell_at(&accounts, &account.sid, &url).await;
            assert!(accounts.note_reached(&soft(account.sid)).await.unwrap());
            sids.push(account);
        }
        let client = client(&origin, &world.clock);
        let until = async |holds: &dyn Fn(&[i64]) -> bool| {
            let looking = async {
                loop {
                    let rows = Statement::new("SELECT tries FROM alerts WHERE leased_until = 0 ORDER BY tries");
                    let rows = accounts.inner.store.read(rows).await.unwrap();
                    let tries: Vec<i64> = rows.iter().map(|row| row.int(0).unwrap()).collect();
                    if holds(&tries) {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), looking).await.expect("it never holds");
        };
        tokio::select! {
            () = accounts.keep_telling(&client) => {}
            () = async {
                until(&|tries| tries == [1, 1, 1]).await;
                world.clock.advance_wall(Duration::from_secs(10));
                until(&|tries| tries == [2, 2, 2]).await;
                world.clock.advance_wall(Duration::from_secs(10));
                until(&|tries| tries == [3, 3]).await;
                world.clock.advance_wall(Duration::from_secs(3_700));
                until(&|tries| tries.is_empty()).await;
                until(&|_| true).await;
            } => {}
        }
        assert_eq!(elsewhere.connections(), 0, "the guard lets nobody be told what is private");
        let told: Vec<_> = origin.seen().into_iter().filter(|seen| seen.path == "/limits?a=1").collect();
        assert_eq!(told.len(), 3);
        let mut ids = std::collections::HashSet::new();
        for request in &told {
            let said: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
            let names: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
            let expected = ["AccountSid", "Resource", "Threshold", "TriggerValue", "CurrentValue", "DateFired"];
            assert_eq!(names, expected);
            let values: Vec<&str> = said.iter().map(|(_, value)| value.as_str()).take(5).collect();
            assert_eq!(values, [sids[0].sid.to_string().as_str(), "fetches", "soft", "3", "4"]);
            assert!(said[5].1.ends_with(" +0000"), "{said:?}");
            let form: Vec<(&str, String)> = said.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            let signed = signature(&sids[0].primary_token, &origin.url("/limits?a=1"), &form);
            assert_eq!(request.headers["x-twilio-signature"], signed);
            ids.insert(request.headers["i-twilio-idempotency-token"].clone());
        }
        assert_eq!(ids.len(), 1, "all of them were about the same");
        accounts.close().await;
    }
}

#[tokio::test]
async fn of_one_account_so_many_wait_and_others_have_room() {
    for world in World::both().await {
        let accounts = world.node().await;
        let noisy = accounts.create_account(None, "", &operator()).await.unwrap().sid;
        let quiet = accounts.create_account(None, "", &operator()).await.unwrap().sid;
        for account in [&noisy, &quiet] {
            tell_at(&accounts, account, "https://app.example/limits").await;
        }
        let fill = Statement::new(
            "INSERT INTO alerts (id, account, record, tries, due_at, leased_until, lease, created_at) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) \
             SELECT 'x' || i, $1, '?', 0, 0, 0, '', 0 FROM n",
        );
        accounts.inner.store.write(&[fill.bind(noisy.to_string())]).await.unwrap();
        assert!(!accounts.note_reached(&soft(noisy)).await.unwrap());
        assert!(accounts.note_reached(&soft(quiet)).await.unwrap());
        assert_eq!(count(&accounts).await, 101);
        // Of so many limits it is known that they were reached; what is long past makes room.
        let fill = Statement::new(
            "INSERT INTO reached_limits (limited, resource, threshold, account, began_at, reached_at, told_at, version) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
             SELECT 'x' || i, 'fetches', 'soft', $1, $2, $2, $2, 1 FROM n",
        );
        let now = crate::accounts::rows::micros(world.clock.now_wall());
        accounts.inner.store.write(&[fill.bind(quiet.to_string()).bind(now)]).await.unwrap();
        let another = Reached { resource: "fills", ..soft(quiet) };
        assert!(!accounts.note_reached(&another).await.unwrap());
        world.clock.advance_wall(Duration::from_secs(3 * 86_400));
        assert!(accounts.note_reached(&another).await.unwrap());
        // One that cannot be read silences nobody, and of one account one is under way at a time.
        assert_eq!(accounts.take_untold(&ALERTS, 32).await.unwrap().len(), 1);
        accounts.close().await;
    }
}
