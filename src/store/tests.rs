//! What both engines must do alike.

use std::path::Path;

use super::{Config, Row, Schema, Statement, Store, StoreError, StoreUrl};
use crate::testing::postgres_server::PostgresServer;

const SHELVES: Schema = Schema {
    room: "shelves",
    steps: &[
        "CREATE TABLE shelves (name TEXT NOT NULL PRIMARY KEY, room BIGINT, seal BYTES, version BIGINT NOT NULL);",
    ],
};
/// The same a version later.
const LATER: Schema = Schema {
    room: "shelves",
    steps: &[
        SHELVES.steps[0],
        "ALTER TABLE shelves ADD COLUMN note TEXT NOT NULL DEFAULT 'none';
         CREATE TABLE boxes (name TEXT NOT NULL PRIMARY KEY);",
    ],
};

fn put(name: &str, room: Option<i64>, seal: Option<Vec<u8>>) -> Statement {
    let sql = "INSERT INTO shelves (name, room, seal, version) VALUES ($1, $2, $3, 1)";
    Statement::new(sql).bind(name).bind(room).bind(seal).changing(1)
}

fn all() -> Statement {
    Statement::new("SELECT name, room, seal, version FROM shelves ORDER BY name")
}

fn names(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.text(0).unwrap()).collect()
}

async fn conforms(config: &Config, data_dir: &Path) {
    let store = Store::open(config, data_dir).await.unwrap();
    nodes_that_start_at_once_make_the_tables_once(config, data_dir).await;
    store.migrate(&SHELVES).await.unwrap();

    // What is written is read back, nothing as nothing.
    store.write(&[put("a", Some(i64::MIN), Some(vec![0, 255])), put("ä", None, None)]).await.unwrap();
    let rows = store.read(all()).await.unwrap();
    assert_eq!(names(&rows), ["a", "ä"]);
    assert_eq!((rows[0].int(1).unwrap(), rows[0].bytes(2).unwrap()), (i64::MIN, vec![0, 255]));
    assert_eq!((rows[1].maybe_int(1).unwrap(), rows[1].maybe_bytes(2).unwrap()), (None, None));
    assert!(matches!(rows[1].int(1), Err(StoreError::Misread { column: 1, .. })));
    assert!(matches!(rows[0].text(1), Err(StoreError::Misread { column: 1, .. })));
    assert!(matches!(rows[0].text(4), Err(StoreError::Misread { column: 4, .. })));

    // All of a change or nothing of it.
    let twice = store.write(&[put("b", None, None), put("a", None, None)]).await;
    assert!(matches!(twice, Err(StoreError::Duplicate)), "{twice:?}");
    let move_on = |from: i64| {
        Statement::new("UPDATE shelves SET version = version + 1 WHERE name = $1 AND version = $2")
            .bind("a")
            .bind(from)
            .changing(1)
    };
    let overtaken = store.write(&[put("b", None, None), move_on(7)]).await;
    assert!(matches!(overtaken, Err(StoreError::Unchanged { statement: 1, changed: 0 })), "{overtaken:?}");
    let nonsense = store.write(&[put("b", None, None), Statement::new("DELETE FROM nowhere")]).await;
    assert!(matches!(nonsense, Err(StoreError::Refused(_))), "{nonsense:?}");
    assert_eq!(names(&store.read(all()).await.unwrap()), ["a", "ä"]);

    changes_at_once_all_happen(&store).await;

    // A later version of the program, and this one beside it.
    store.migrate(&LATER).await.unwrap();
    store.migrate(&SHELVES).await.unwrap();
    store.write(&[put("c", None, None)]).await.unwrap();
    let notes = store.read(Statement::new("SELECT note FROM shelves WHERE name = 'c'")).await.unwrap();
    assert_eq!(names(&notes), ["none"]);
    let version = Statement::new("SELECT version FROM schema_versions WHERE room = $1").bind("shelves");
    assert_eq!(store.read(version).await.unwrap()[0].int(0).unwrap(), 2);

    // A step that fails leaves nothing.
    let broken = Schema { room: "broken", steps: &["CREATE TABLE half (name TEXT); CREATE TABLE half (name TEXT);"] };
    assert!(matches!(store.migrate(&broken).await, Err(StoreError::Refused(_))));
    assert!(matches!(store.read(Statement::new("SELECT name FROM half")).await, Err(StoreError::Refused(_))));

    store.close().await;
    assert!(matches!(store.read(all()).await, Err(StoreError::Unreachable(_))));
}

async fn nodes_that_start_at_once_make_the_tables_once(config: &Config, data_dir: &Path) {
    let starts = (0..4).map(|_| async {
        let store = Store::open(config, data_dir).await.unwrap();
        store.migrate(&SHELVES).await.unwrap();
        store.close().await;
    });
    futures_util::future::join_all(starts).await;
}

/// Sixteen count up in one row, and each looks first, as two nodes would.
async fn changes_at_once_all_happen(store: &Store) {
    let count = || async {
        loop {
            let rows = store.read(Statement::new("SELECT version FROM shelves WHERE name = 'a'")).await.unwrap();
            let seen = rows[0].int(0).unwrap();
            let sql = "UPDATE shelves SET version = $1 WHERE name = 'a' AND version = $2";
            match store.write(&[Statement::new(sql).bind(seen + 1).bind(seen).changing(1)]).await {
                Err(StoreError::Unchanged { .. }) => {}
                written => break written.unwrap(),
            }
        }
    };
    let before = store.read(all()).await.unwrap()[0].int(3).unwrap();
    futures_util::future::join_all((0..16).map(|_| count())).await;
    assert_eq!(store.read(all()).await.unwrap()[0].int(3).unwrap(), before + 16);
}

#[tokio::test]
async fn sqlite_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conforms(&Config::default(), dir.path()).await;
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(dir.path().join("store.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn postgres_conforms_and_heals() {
    let mut server = PostgresServer::start().await.unwrap();
    let config = Config { url: StoreUrl::new(server.url()), ..Config::default() };
    let dir = tempfile::tempdir().unwrap();
    conforms(&config, dir.path()).await;

    let store = Store::open(&config, dir.path()).await.unwrap();
    let before = store.read(all()).await.unwrap();
    server.stop();
    assert!(matches!(store.read(all()).await, Err(StoreError::Unreachable(_))));
    assert!(matches!(store.write(&[put("d", None, None)]).await, Err(StoreError::Unreachable(_))));
    server.start_again().await.unwrap();
    assert_eq!(store.read(all()).await.unwrap(), before);
    store.write(&[put("d", None, None)]).await.unwrap();
    assert!(
        Store::open(
            &Config { url: StoreUrl::new("postgres://ringback@localhost/x?host=/nowhere".to_owned()), ..config },
            dir.path()
        )
        .await
        .is_err()
    );
}

#[test]
fn an_address_is_shown_without_its_password() {
    let url = StoreUrl::new("postgres://me:hush@db.example:5433/ringback?sslmode=require".to_owned());
    assert_eq!(format!("{url:?}"), "postgres://***@db.example:5433/ringback");
    assert_eq!(serde_json::to_string(&url).unwrap(), "\"postgres://***@db.example:5433/ringback\"");
    assert_eq!(format!("{:?}", StoreUrl::new("mysql://me:hush@db".to_owned())), "***");
    assert_eq!(format!("{:?}", StoreUrl::default()), "");
}
