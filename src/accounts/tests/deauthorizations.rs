//! Developers hear of revocations, each once where all goes well, however many nodes tell and whatever their receivers do.

use super::{
    connect::{Pair, fields, profile},
    *,
};
use crate::{
    accounts::{ConnectApp, Limits, Method, connect::DEAUTHORIZATIONS},
    outbound::{self, Client, Guard, signature},
    store::Statement,
    testing::origin::{Body, Gate, Origin, Reply},
};

fn client(origin: &Origin, clock: &Clock) -> Client {
    let callback_origins = vec![origin.address().to_string()];
    let config = outbound::Config { callback_origins, ..outbound::Config::default() }.for_callbacks();
    Client::new(&config, Guard::new(&config, Vec::new()).unwrap(), "ringback-test", clock.clone()).unwrap()
}

/// An application whose receiver is at this path.
async fn app(accounts: &Accounts, pair: &Pair, url: String, method: Method) -> ConnectApp {
    let mut said = fields("get-all");
    said.deauthorize_callback_url = Some(url);
    said.deauthorize_callback_method = method;
    accounts.create_connect_app(&pair.developer.sid, &said, &operator()).await.unwrap()
}

/// Allows it and revokes that. The subaccount's name.
async fn revoked(accounts: &Accounts, pair: &Pair, app: &ConnectApp) -> AccountSid {
    let user = &pair.user.sid;
    let allowed = accounts.allow(user, &app.sid, profile("get-all"), Limits::default(), &operator()).await.unwrap();
    accounts.revoke(user, &app.sid, &operator()).await.unwrap();
    allowed.sid
}

/// Who waits to be told, with how many tries.
async fn waiting(accounts: &Accounts) -> Vec<i64> {
    let rows = Statement::new("SELECT tries FROM deauthorizations WHERE leased_until = 0");
    accounts.inner.store.read(rows).await.unwrap().iter().map(|row| row.int(0).unwrap()).collect()
}

async fn count(accounts: &Accounts) -> i64 {
    let rows = Statement::new("SELECT count(*) FROM deauthorizations");
    accounts.inner.store.read(rows).await.unwrap()[0].int(0).unwrap()
}

/// Returns when it holds.
async fn until(holds: impl AsyncFn() -> bool) {
    let asked = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked).await.expect("it never holds");
}

#[tokio::test]
async fn each_is_told_until_it_has_heard_and_none_waits_for_another() {
    for world in World::both().await {
        let origin = Origin::start().await.unwrap();
        origin.keep_bodies();
        let (here, there) = (world.node().await, world.node().await);
        let client = client(&origin, &world.clock);
        let pair = Pair::new(&here).await;
        let down = app(&here, &pair, origin.url("/down"), Method::Post).await;
        let slow = app(&here, &pair, origin.url("/slow"), Method::Post).await;
        let well = app(&here, &pair, origin.url("/well?a=1"), Method::Get).await;
        let silent = {
            let said = crate::accounts::ConnectAppFields { deauthorize_callback_url: None, ..fields("get-all") };
            here.create_connect_app(&pair.developer.sid, &said, &operator()).await.unwrap()
        };
        let (gate, ok) = (Gate::closed(), || Reply::ok("text/plain", Body::of("")));
        let failing =
            [Reply::dropped(), Reply::status(500, "text/plain", Body::of("")), Reply::redirect("/well"), ok()];
        origin.set_sequence("/down", failing);
        origin.set("/slow", ok().hold_headers(&gate));
        let down_on = revoked(&here, &pair, &down).await;
        revoked(&here, &pair, &slow).await;
        revoked(&here, &pair, &silent).await;
        let well_on = revoked(&here, &pair, &well).await;
        let query = format!("a=1&AccountSid={well_on}&ConnectAppSid={}", well.sid);
        origin.set(&format!("/well?{query}"), ok());

        let story = async {
            // One is down and one says nothing: the third has heard it.
            let heard = format!("/well?{query}");
            until(async || origin.count(&http::Method::GET, &heard) == 1).await;
            gate.open();
            until(async || waiting(&here).await == [1] && count(&here).await == 1).await;
            for tries in 2..=3 {
                world.clock.advance_wall(Duration::from_secs(30));
                until(async || waiting(&here).await == [tries]).await;
            }
            world.clock.advance_wall(Duration::from_secs(30));
            until(async || count(&here).await == 0).await;
        };
        tokio::select! {
            () = here.keep_telling(&client) => {}
            () = there.keep_telling(&client) => {}
            () = story => {}
        }
        let seen = origin.seen();
        let to = |path: &str| seen.iter().filter(|seen| seen.path.starts_with(path)).collect::<Vec<_>>();
        assert_eq!((to("/down").len(), to("/slow").len(), to("/well").len()), (4, 1, 1), "{seen:?}");
        let mut ids = std::collections::HashSet::new();
        for request in to("/down") {
            let said: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
            let expected = [("AccountSid", down_on.to_string()), ("ConnectAppSid", down.sid.to_string())];
            assert_eq!(said, expected.clone().map(|(name, value)| (name.to_owned(), value)));
            let signed = signature(&pair.developer.primary_token, &origin.url("/down"), &expected);
            assert_eq!(request.headers["x-twilio-signature"], signed);
            assert!(request.headers["content-type"].to_str().unwrap().starts_with("application/x-www-form-urlencoded"));
            ids.insert(request.headers["i-twilio-idempotency-token"].clone());
        }
        assert_eq!(ids.len(), 1, "all of them were about the same");
        let request = to("/well")[0];
        let signed = signature(&pair.developer.primary_token, &origin.url(&request.path), &[]);
        assert_eq!(request.headers["x-twilio-signature"], signed);
        here.close().await;
        there.close().await;
    }
}

#[tokio::test]
async fn what_a_node_has_begun_that_is_gone_another_does_after_a_while() {
    for world in World::both().await {
        let origin = Origin::start().await.unwrap();
        origin.set("/back", Reply::ok("text/plain", Body::of("")));
        let (here, there) = (world.node().await, world.node().await);
        let pair = Pair::new(&here).await;
        let app = app(&here, &pair, origin.url("/back"), Method::Post).await;
        let other = Pair::new(&here).await;
        revoked(&here, &pair, &app).await;
        revoked(&here, &other, &app).await;
        assert_eq!(count(&here).await, 2);
        // Only one of an application's at a time, and that one by one node: the other finds nothing.
        let taken = here.take_untold(&DEAUTHORIZATIONS, 32).await.unwrap();
        assert_eq!((taken.len(), there.take_untold(&DEAUTHORIZATIONS, 32).await.unwrap().len()), (1, 0));
        drop(taken);
        here.close().await;
        assert_eq!(there.take_untold(&DEAUTHORIZATIONS, 32).await.unwrap().len(), 0);
        world.clock.advance_wall(Duration::from_secs(61));
        let client = client(&origin, &world.clock);
        tokio::select! {
            () = there.keep_telling(&client) => {}
            () = until(async || count(&there).await == 0) => {}
        }
        assert_eq!(origin.count(&http::Method::POST, "/back"), 2);
        there.close().await;
    }
}

#[tokio::test]
async fn who_cannot_be_told_is_given_up_and_who_must_not_be_is_not_told() {
    let world = World::sqlite();
    let origin = Origin::start().await.unwrap();
    let elsewhere = Origin::start().await.unwrap();
    origin.set("/deaf", Reply::status(500, "text/plain", Body::of("")));
    let accounts = world.node().await;
    let pair = Pair::new(&accounts).await;
    let deaf = app(&accounts, &pair, origin.url("/deaf"), Method::Post).await;
    let forbidden = app(&accounts, &pair, elsewhere.url("/private"), Method::Post).await;
    let deleted = app(&accounts, &pair, origin.url("/deleted"), Method::Post).await;
    for app in [&deaf, &forbidden, &deleted] {
        revoked(&accounts, &pair, app).await;
    }
    accounts.delete_connect_app(&pair.developer.sid, &deleted.sid, &operator()).await.unwrap();
    let client = client(&origin, &world.clock);
    tokio::select! {
        () = accounts.keep_telling(&client) => {}
        () = async {
            until(async || waiting(&accounts).await == [1, 1]).await;
            world.clock.advance_wall(Duration::from_secs(4 * 86_400));
            until(async || count(&accounts).await == 0).await;
        } => {}
    }
    assert_eq!(origin.seen().iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), ["/deaf", "/deaf"]);
    assert_eq!(elsewhere.connections(), 0, "the guard lets nobody be told what is private");
    accounts.close().await;
}

#[tokio::test]
async fn of_an_account_that_is_closed_every_developer_hears_and_of_too_many_some_do_not() {
    for world in World::both().await {
        let origin = Origin::start().await.unwrap();
        origin.set("/back", Reply::ok("text/plain", Body::of("")));
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        for _ in 0..2 {
            let app = app(&accounts, &pair, origin.url("/back"), Method::Post).await;
            let user = &pair.user.sid;
            accounts.allow(user, &app.sid, profile("get-all"), Limits::default(), &operator()).await.unwrap();
        }
        let close = AccountChange { status: Some(Status::Closed), ..AccountChange::default() };
        accounts.update_account(&pair.user.sid, &close, &operator()).await.unwrap();
        let client = client(&origin, &world.clock);
        tokio::select! {
            () = accounts.keep_telling(&client) => {}
            () = until(async || count(&accounts).await == 0) => {}
        }
        assert_eq!(origin.count(&http::Method::POST, "/back"), 2);

        // One application's may wait for what it is in number, and no more: whoever revokes is heard all the same.
        let pair = Pair::new(&accounts).await;
        let app = app(&accounts, &pair, origin.url("/back"), Method::Post).await;
        let on = revoked(&accounts, &pair, &app).await;
        let more = Statement::new(
            "INSERT INTO deauthorizations (id, authorized, connect_app, tries, due_at, leased_until, lease, created_at) \
             SELECT 'x' || number, $1, $2, 0, 0, 0, '', 0 FROM audit LIMIT 5",
        )
        .bind(on.to_string())
        .bind(app.sid.to_string());
        let copied = Statement::new(
            "INSERT INTO deauthorizations (id, authorized, connect_app, tries, due_at, leased_until, lease, created_at) \
             SELECT a.id || b.id || c.id || d.id || e.id, a.authorized, a.connect_app, 0, 0, 0, '', 0 \
             FROM deauthorizations a, deauthorizations b, deauthorizations c, deauthorizations d, deauthorizations e LIMIT 994",
        );
        accounts.inner.store.write(&[more, copied]).await.unwrap();
        assert_eq!(count(&accounts).await, 1_000);
        let other = Pair::new(&accounts).await;
        revoked(&accounts, &other, &app).await;
        assert_eq!(count(&accounts).await, 1_000);
        // Nor does one account take the places of others.
        let another = self::app(&accounts, &pair, origin.url("/back"), Method::Post).await;
        revoked(&accounts, &pair, &another).await;
        assert_eq!(count(&accounts).await, 1_000);
        revoked(&accounts, &other, &another).await;
        assert_eq!(count(&accounts).await, 1_001);
        // Nor does a developer by many applications.
        let more = Statement::new(
            "INSERT INTO deauthorizations (id, authorized, connect_app, tries, due_at, leased_until, lease, created_at) \
             SELECT 'y' || id, authorized, $1, 0, 0, 0, '', 0 FROM deauthorizations WHERE connect_app = $2 LIMIT 999",
        );
        let more = more.bind(another.sid.to_string()).bind(app.sid.to_string());
        accounts.inner.store.write(&[more]).await.unwrap();
        let third = self::app(&accounts, &pair, origin.url("/back"), Method::Post).await;
        revoked(&accounts, &other, &third).await;
        assert_eq!(count(&accounts).await, 2_000);
        let of_another = self::app(&accounts, &other, origin.url("/back"), Method::Post).await;
        revoked(&accounts, &other, &of_another).await;
        assert_eq!(count(&accounts).await, 2_001);
        accounts.close().await;
    }
}

#[tokio::test]
async fn who_allows_again_has_the_developer_told_nothing_of_before() {
    for world in World::both().await {
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        let app = app(&accounts, &pair, "https://app.example/gone".to_owned(), Method::Post).await;
        for _ in 0..3 {
            revoked(&accounts, &pair, &app).await;
            assert_eq!(count(&accounts).await, 1, "one for each authorization, however often");
        }
        let user = &pair.user.sid;
        accounts.allow(user, &app.sid, profile("get-all"), Limits::default(), &operator()).await.unwrap();
        assert_eq!(count(&accounts).await, 0);
        accounts.close().await;
    }
}

#[tokio::test]
async fn one_that_cannot_be_read_silences_nobody() {
    for world in World::both().await {
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        let broken = app(&accounts, &pair, "https://app.example/gone".to_owned(), Method::Post).await;
        let sound = app(&accounts, &pair, "https://app.example/gone".to_owned(), Method::Post).await;
        revoked(&accounts, &pair, &broken).await;
        revoked(&accounts, &pair, &sound).await;
        let breaking = Statement::new("UPDATE connect_apps SET record = '?' WHERE sid = $1");
        accounts.inner.store.write(&[breaking.bind(broken.sid.to_string())]).await.unwrap();
        assert_eq!(accounts.take_untold(&DEAUTHORIZATIONS, 32).await.unwrap().len(), 1);
        accounts.close().await;
    }
}

#[tokio::test]
async fn a_developer_with_many_applications_takes_no_place_from_others() {
    for world in World::both().await {
        let accounts = world.node().await;
        let (many, other) = (Pair::new(&accounts).await, Pair::new(&accounts).await);
        for _ in 0..5 {
            let app = app(&accounts, &many, "https://app.example/gone".to_owned(), Method::Post).await;
            revoked(&accounts, &many, &app).await;
        }
        let app = app(&accounts, &other, "https://app.example/gone".to_owned(), Method::Post).await;
        revoked(&accounts, &other, &app).await;
        // Of the one whose turn is first: then the other's is, before the second of the one.
        let taken = accounts.take_untold(&DEAUTHORIZATIONS, 2).await.unwrap();
        let more = accounts.take_untold(&DEAUTHORIZATIONS, 32).await.unwrap();
        assert_eq!((taken.len(), more.len()), (2, 1));
        accounts.close().await;
    }
}
