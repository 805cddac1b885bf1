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
        world.clock.advance_wall(Duration::from_secs(91));
        assert!(there.note_reached(&reached).await.unwrap());
        // But not more often than the interval says, and then it is.
        world.clock.advance_wall(Duration::from_secs(91));
        assert!(!here.note_reached(&reached).await.unwrap());
        let mut waited = 91;
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

/// Lets so many alerts of an account wait.
async fn fill(accounts: &Accounts, account: &AccountSid, count: i64) {
    let fill = Statement::new(
        "INSERT INTO alerts (id, account, record, tries, due_at, leased_until, lease, created_at) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) \
         SELECT 'x' || $1 || i, $1, '?', 0, 0, 0, '', 0 FROM n",
    );
    accounts.inner.store.write(&[fill.bind(account.to_string()).bind(count)]).await.unwrap();
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
        fill(&accounts, &noisy, 100).await;
        assert!(!accounts.note_reached(&soft(noisy)).await.unwrap());
        assert!(accounts.note_reached(&soft(quiet)).await.unwrap());
        assert_eq!(count(&accounts).await, 101);
        // One that cannot be read silences nobody.
        assert_eq!(accounts.take_untold(&ALERTS, 32).await.unwrap().len(), 1);
        // What found no room is told when there is some, as the same story.
        let heard = Statement::new("DELETE FROM alerts WHERE account = $1").bind(noisy.to_string());
        accounts.inner.store.write(&[heard]).await.unwrap();
        world.clock.advance_wall(Duration::from_secs(10));
        assert!(accounts.note_reached(&soft(noisy)).await.unwrap());
        assert!(!accounts.note_reached(&soft(noisy)).await.unwrap());
        accounts.close().await;
    }
}

#[tokio::test]
async fn one_owner_with_many_subaccounts_takes_neither_the_room_nor_the_places_of_others() {
    for world in World::both().await {
        let (here, there) = (world.node().await, world.node().await);
        let top = here.create_account(None, "", &operator()).await.unwrap().sid;
        let mut subs = Vec::new();
        for _ in 0..6 {
            let sub = here.create_account(Some(&top), "", &operator()).await.unwrap().sid;
            tell_at(&here, &sub, "https://app.example/sub").await;
            assert!(here.note_reached(&soft(sub)).await.unwrap());
            subs.push(sub);
        }
        world.clock.advance_wall(Duration::from_secs(1));
        let other = here.create_account(None, "", &operator()).await.unwrap().sid;
        tell_at(&here, &other, "https://app.example/other").await;
        assert!(here.note_reached(&soft(other)).await.unwrap());
        // Though all of theirs are older: of each owner the first comes first, and two are under way, on whichever node.
        let first = here.take_untold(&ALERTS, 2).await.unwrap();
        let second = there.take_untold(&ALERTS, 32).await.unwrap();
        let third = here.take_untold(&ALERTS, 32).await.unwrap();
        assert_eq!((first.len(), second.len(), third.len()), (2, 1, 0));
        let leased = Statement::new("SELECT account FROM alerts WHERE leased_until > 0");
        let leased = here.inner.store.read(leased).await.unwrap();
        assert_eq!(leased.iter().filter(|row| row.text(0).unwrap() == other.to_string()).count(), 1);
        // A node that is gone with them: others take them after a while.
        world.clock.advance_wall(Duration::from_secs(61));
        assert_eq!(there.take_untold(&ALERTS, 32).await.unwrap().len(), 3);

        for sub in &subs[..5] {
            fill(&here, sub, 99).await;
        }
        assert_eq!(count(&here).await, 502);
        let hard = |account| Reached { threshold: "hard", ..soft(account) };
        assert!(!here.note_reached(&hard(subs[5])).await.unwrap());
        assert!(here.note_reached(&hard(other)).await.unwrap());
        here.close().await;
        there.close().await;
    }
}

#[tokio::test]
async fn who_does_not_hear_one_is_not_asked_to_hear_the_others_meanwhile() {
    for world in World::both().await {
        let origin = Origin::start().await.unwrap();
        origin.set("/deaf", Reply::status(500, "text/plain", Body::of("")));
        let accounts = world.node().await;
        let account = accounts.create_account(None, "", &operator()).await.unwrap().sid;
        tell_at(&accounts, &account, &origin.url("/deaf")).await;
        for resource in ["fetches", "fills", "uploads"] {
            assert!(accounts.note_reached(&Reached { resource, ..soft(account) }).await.unwrap());
        }
        let waiting = async || -> Vec<(i64, i64)> {
            let rows = Statement::new("SELECT tries, due_at FROM alerts WHERE leased_until = 0 ORDER BY tries");
            let rows = accounts.inner.store.read(rows).await.unwrap();
            rows.iter().map(|row| (row.int(0).unwrap(), row.int(1).unwrap())).collect()
        };
        let until_tried = async |expected: [i64; 3]| {
            let tried = async {
                while !waiting().await.iter().map(|(tries, _)| *tries).eq(expected) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), tried).await.expect("it is not tried");
            let due: Vec<i64> = waiting().await.iter().map(|(_, due)| *due).collect();
            assert!(due.iter().all(|at| *at == due[0]), "all of them are put off: {due:?}");
        };
        let client = client(&origin, &world.clock);
        tokio::select! {
            () = accounts.keep_telling(&client) => {}
            () = async {
                // Each in its turn, and each time the pause grows for all.
                until_tried([0, 0, 1]).await;
                world.clock.advance_wall(Duration::from_secs(10));
                until_tried([0, 1, 2]).await;
                world.clock.advance_wall(Duration::from_secs(10));
                until_tried([1, 2, 3]).await;
            } => {}
        }
        assert_eq!(origin.seen().len(), 3);
        accounts.close().await;
    }
}

#[tokio::test]
async fn of_so_many_limits_it_is_known_that_they_are_reached_and_the_others_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let counted = || -> Vec<String> {
        metrics.render().lines().filter(|line| line.contains("no-room")).map(str::to_owned).collect()
    };
    let mut before = counted();
    for world in World::both().await {
        let accounts = world.node().await;
        let account = accounts.create_account(None, "", &operator()).await.unwrap().sid;
        tell_at(&accounts, &account, "https://app.example/limits").await;
        let fill = Statement::new(
            "INSERT INTO reached_limits (limited, resource, threshold, account, began_at, reached_at, told_at, version) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
             SELECT 'x' || i, 'fetches', 'soft', $1, $2, $2, $2, 1 FROM n",
        );
        let now = crate::accounts::rows::micros(world.clock.now_wall());
        accounts.inner.store.write(&[fill.bind(account.to_string()).bind(now)]).await.unwrap();
        assert!(!accounts.note_reached(&soft(account)).await.unwrap());
        assert_ne!(counted(), before, "that it is told nobody is counted");
        // Those that are not reached any more make room, as soon as that changes nothing of what is told.
        world.clock.advance_wall(Duration::from_secs(290));
        assert!(!accounts.note_reached(&soft(account)).await.unwrap());
        before = counted();
        world.clock.advance_wall(Duration::from_secs(20));
        assert!(accounts.note_reached(&soft(account)).await.unwrap());
        accounts.close().await;
    }
}

#[tokio::test]
async fn what_goes_on_is_not_written_each_time_and_is_the_same_story_all_the_same() {
    for mut world in World::both().await {
        world.config.alert_interval = Duration::from_secs(30);
        let accounts = world.node().await;
        let account = accounts.create_account(None, "", &operator()).await.unwrap().sid;
        tell_at(&accounts, &account, "https://app.example/limits").await;
        let version = async || {
            let rows = Statement::new("SELECT version FROM reached_limits");
            accounts.inner.store.read(rows).await.unwrap()[0].int(0).unwrap()
        };
        assert!(accounts.note_reached(&soft(account)).await.unwrap());
        for _ in 0..2 {
            world.clock.advance_wall(Duration::from_secs(10));
            assert!(!accounts.note_reached(&soft(account)).await.unwrap());
        }
        assert_eq!(version().await, 1);
        // It was reached 55 s ago, whatever is written.
        world.clock.advance_wall(Duration::from_secs(55));
        assert!(!accounts.note_reached(&soft(account)).await.unwrap());
        assert_eq!(version().await, 2);
        world.clock.advance_wall(Duration::from_secs(91));
        assert!(accounts.note_reached(&soft(account)).await.unwrap());
        accounts.close().await;
    }
}

#[tokio::test]
async fn who_changed_who_is_told_stands_in_the_audit_log() {
    for world in World::both().await {
        let accounts = world.node().await;
        let account = accounts.create_account(None, "", &operator()).await.unwrap().sid;
        let detail = async || accounts.audit(Some(&account), None, 1).await.unwrap()[0].detail.clone();
        tell_at(&accounts, &account, "https://app.example:8443/limits/s3cret?token=s3cret").await;
        assert_eq!(detail().await, "limit callback set to app.example");
        let change = AccountChange { friendly_name: Some("other".to_owned()), ..AccountChange::default() };
        accounts.update_account(&account, &change, &operator()).await.unwrap();
        assert_eq!(detail().await, "");
        let status = Some(Status::Suspended);
        let change = AccountChange { status, limit_callback_url: Some(String::new()), ..AccountChange::default() };
        accounts.update_account(&account, &change, &operator()).await.unwrap();
        assert_eq!(detail().await, "status suspended, limit callback removed");
        accounts.close().await;
    }
}
