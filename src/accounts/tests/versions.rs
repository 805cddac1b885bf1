//! Two versions of the program on one store: what the one before has written, and what it goes on writing beside this one.

use serde_json::Value;

use super::*;
use crate::{
    accounts::schema::SCHEMA,
    store::{Schema, Statement, Value as Cell},
};

/// A store as `ringback` filled it when the schema had one step, and whose credentials are in it.
const FILLED: &str = include_str!("../../../fixtures/accounts/version-1.json");

struct Filled {
    json: Value,
}

impl Filled {
    fn read() -> Filled {
        Filled { json: serde_json::from_str(FILLED).unwrap() }
    }

    /// Puts it into the store of a world, whose key file becomes the one that it was sealed under.
    async fn put_into(&self, world: &mut World) {
        let key_file = world.dir.path().join("keys");
        std::fs::write(&key_file, self.json["key"].as_str().unwrap()).unwrap();
        world.config.key_file = Some(key_file);
        let store = Store::open(&world.store, world.dir.path()).await.unwrap();
        store.migrate(&Schema { steps: &SCHEMA.steps[..1], ..SCHEMA }).await.unwrap();
        let revision = self.json["revision"].as_i64().unwrap();
        let mut change = vec![Statement::new("UPDATE revision SET number = $1").bind(revision).changing(1)];
        for table in self.json["tables"].as_array().unwrap() {
            let columns: Vec<&str> =
                table["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            let places: Vec<String> = (1..=columns.len()).map(|number| format!("${number}")).collect();
            let (name, columns_said) = (table["name"].as_str().unwrap(), columns.join(", "));
            let sql: &'static str =
                format!("INSERT INTO {name} ({columns_said}) VALUES ({})", places.join(", ")).leak();
            for row in table["rows"].as_array().unwrap() {
                let cells = row.as_array().unwrap().iter().zip(&columns).map(|(cell, column)| cell_of(cell, column));
                change.push(cells.fold(Statement::new(sql), Statement::bind).changing(1));
            }
        }
        store.write(&change).await.unwrap();
        store.close().await;
    }

    fn credentials(&self, whose: &str) -> (String, Vec<u8>) {
        let [name, secret] = [0, 1].map(|place| self.json["credentials"][whose][place].as_str().unwrap().to_owned());
        let shown = basic(&name, &Secret::new(secret));
        (name, shown)
    }
}

/// A value of a column: what is nothing has a type too.
fn cell_of(cell: &Value, column: &str) -> Cell {
    let is_bytes = matches!(column, "primary_token" | "secondary_token" | "mac" | "secret");
    let is_number = column.ends_with("_at") || matches!(column, "version" | "number" | "at");
    if is_bytes {
        let digits = cell["hex"].as_str().map(str::as_bytes);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        Cell::Bytes(digits.map(|digits| digits.chunks_exact(2).map(byte).collect()))
    } else if is_number {
        Cell::Int(cell.as_i64())
    } else {
        Cell::Text(cell.as_str().map(str::to_owned))
    }
}

#[tokio::test]
async fn what_the_version_before_has_filled_opens_and_serves() {
    for mut world in World::both().await {
        let filled = Filled::read();
        filled.put_into(&mut world).await;
        let accounts = world.node().await;
        let (top, as_top) = filled.credentials("top");
        let (sub, as_sub) = filled.credentials("sub");
        let (top, sub): (AccountSid, AccountSid) = (top.parse().unwrap(), sub.parse().unwrap());
        assert_eq!(ask(&accounts, &as_top).await, Ok(top));
        for whose in ["sub", "sub_second", "api_key"] {
            assert_eq!(ask(&accounts, &filled.credentials(whose).1).await, Ok(sub), "{whose}");
        }
        let reading = filled.credentials("reading_key").1;
        let reading = accounts.authenticate(Header::new(&reading), HERE, Access::Read).await.unwrap();
        assert!(reading.may(Resource::Media, Access::Read) && !reading.may(Resource::Media, Access::Write));
        assert_eq!(ask(&accounts, &filled.credentials("signing_key").1).await, Err(Refusal::Wrong));
        assert_eq!(ask(&accounts, &filled.credentials("closed").1).await, Err(Refusal::Inactive(Status::Closed)));

        let listed = accounts.accounts(None, &AccountFilter::default(), &whole(10)).await.unwrap().records;
        assert_eq!(listed.len(), 3);
        let applications = accounts.applications(&sub, None, &whole(10)).await.unwrap().records;
        assert_eq!(applications[0].fields.voice.voice_url.as_deref(), Some("https://app.example/voice"));
        let numbers = accounts.numbers(&sub, None, None, &whole(10)).await.unwrap().records;
        assert_eq!(numbers[0].phone_number.to_string(), "+15550100001");
        let offered = "+15550100002".parse().unwrap();
        assert_eq!(accounts.take_number(&sub, &offered, &operator()).await.unwrap().account, Some(sub));
        let before = accounts.audit(None, None, 100).await.unwrap().len();
        accounts.promote_secondary_token(&sub, &operator()).await.unwrap();
        assert_eq!(ask(&accounts, &as_sub).await, Err(Refusal::Wrong));
        assert_eq!(ask(&accounts, &filled.credentials("sub_second").1).await, Ok(sub));
        assert_eq!(accounts.audit(None, None, 100).await.unwrap().len(), before + 1);
        accounts.close().await;
    }
}

#[tokio::test]
async fn the_version_before_and_this_one_hear_of_each_other() {
    for mut world in World::both().await {
        let filled = Filled::read();
        filled.put_into(&mut world).await;
        let accounts = world.node().await;
        let (key, shown) = filled.credentials("api_key");
        let sub: AccountSid = filled.credentials("sub").0.parse().unwrap();
        assert_eq!(ask(&accounts, &shown).await, Ok(sub));

        // That one starts again, on tables that are ahead of it, and revokes a key by its own statements.
        let store = Store::open(&world.store, world.dir.path()).await.unwrap();
        store.migrate(&Schema { steps: &SCHEMA.steps[..1], ..SCHEMA }).await.unwrap();
        let revoked = [
            Statement::new("DELETE FROM api_keys WHERE sid = $1").bind(key).changing(1),
            Statement::new("UPDATE revision SET number = number + 1 WHERE id = 1").changing(1),
            Statement::new("INSERT INTO changes (number, account) SELECT number, $1 FROM revision WHERE id = 1")
                .bind(sub.to_string())
                .changing(1),
        ];
        store.write(&revoked).await.unwrap();
        accounts.hear().await.unwrap();
        assert_eq!(ask(&accounts, &shown).await, Err(Refusal::Wrong));

        // What this one does is there for that one to read, as it has always asked for it.
        let (name, second) = filled.credentials("sub_second");
        assert_eq!(ask(&accounts, &second).await, Ok(sub));
        accounts.delete_secondary_token(&sub, &operator()).await.unwrap();
        let question = "SELECT number, account FROM changes ORDER BY number DESC LIMIT 1";
        let heard = store.read(Statement::new(question)).await.unwrap();
        assert_eq!(heard[0].text(1).unwrap(), name);
        store.close().await;
        accounts.close().await;
    }
}
