//! Accounts are told that a limit of theirs is reached (`outbox.rs`): once, not again before nobody has reached it for a while, and not more often than
//! the interval says, however many nodes see it and however it flaps.
//!
//! `reached_limits` has a row for each limit and threshold: since when it is reached without a pause of `accounts.alert_quiet`, when it was reached last, and when
//! that was told last. Nodes note there every few seconds what they see; the change that finds a story untold writes the alert with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    ids::{AccountSid, KeySid, RandomId},
    store::{Row, Statement, StoreError},
};

use super::{
    Accounts, AccountsError, Status,
    outbox::{Letter, OWN_COLUMNS, Outbox, statements},
    rows::{from_json, maybe_parsed, micros, parsed, time, to_json},
};

/// Alerts that wait to be heard at most: of all, of one owner (an account at the top with its subaccounts), and of one account.
const ALERTS_MAX: i64 = 10_000;
const ALERTS_OF_OWNER_MAX: i64 = 500;
const ALERTS_OF_ACCOUNT_MAX: i64 = 100;
/// Limits of one account that are known to have been reached.
const REACHED_OF_ACCOUNT_MAX: i64 = 1_000;

pub(super) const ALERTS: Outbox = Outbox {
    what: "a limit that is reached",
    metrics: ["ringback_limit_alerts_total", "ringback_limit_alerts_waiting", "ringback_limit_alerts_oldest_seconds"],
    // What was so an hour ago is no alarm any more.
    age_max: Duration::from_secs(3_600),
    statements: statements!(
        "alerts" by "account",
        "d.record, a.status, a.limit_callback_url, a.limit_callback_method, a.primary_token",
        "JOIN accounts a ON a.sid = d.account"
    ),
    letter,
};

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// An account's.
    Account(AccountSid),
    /// A key's.
    Key(KeySid),
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Whose.
    pub limited: Limited,
    /// In what kind of work.
    pub resource: &'static str,
    /// `soft` or `hard`.
    pub threshold: &'static str,
    /// What the limit is.
    pub limit: u32,
    /// How many were in progress.
    pub current: u32,
}

/// What an alert says, as it waits to be told.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    account: AccountSid,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeySid>,
    resource: String,
    threshold: String,
    limit: u32,
    current: u32,
    /// Microseconds of the Unix epoch.
    at: i64,
}

/// Who is told.
struct Receiver {
    account: AccountSid,
    /// The account at the top.
    owner: AccountSid,
}

impl Accounts {
    /// Notes that a limit is reached, and has whose it is told if it was not yet. Whether it is told. Called every few seconds while it goes on.
    ///
    /// An account that names no address is none of those; of a subaccount the one above it is told then.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn note_reached(&self, reached: &Reached) -> Result<bool, AccountsError> {
        let (account, key) = match reached.limited {
            Limited::Account(account) => (account, None),
            Limited::Key(key) => match self.ledger().account_of_key(&key).await? {
                Some(account) => (account, Some(key)),
                None => return Ok(false),
            },
        };
        let Some(receiver) = self.receiver(&account).await? else { return Ok(false) };
        let limited = key.map_or(account.to_string(), |key| key.to_string());
        let now = self.inner.clock.now_wall();
        let (interval, quiet) = (self.inner.config.alert_interval, self.inner.config.alert_quiet);
        let name =
            |statement: Statement| statement.bind(limited.as_str()).bind(reached.resource).bind(reached.threshold);
        let one = "SELECT began_at, reached_at, told_at, version FROM reached_limits \
                   WHERE limited = $1 AND resource = $2 AND threshold = $3";
        let rows = self.inner.store.read(name(Statement::new(one))).await?;
        let since = |at: i64| now.duration_since(time(at)).unwrap_or_default();
        // While a story goes on it is not written each time that it does: what is written may lag so far behind.
        let lag = quiet / 2;
        let over = quiet + lag;
        let (began, is_fresh, told, version) = match rows.first() {
            Some(row) => {
                let quiet_for = since(row.int(1)?);
                let began = if quiet_for < over { row.int(0)? } else { micros(now) };
                (began, quiet_for < lag, row.int(2)?, row.int(3)?)
            }
            None => (micros(now), false, 0, 0),
        };
        let is_untold = told < began && interval <= since(told);
        let tells = is_untold && self.has_room(&receiver).await?;
        if is_untold && !tells {
            ALERTS.count("no-room");
        }
        if is_fresh && !tells {
            return Ok(false);
        }
        // What found no room is told when there is some, if it goes on until then.
        let told = if tells { micros(now) } else { told };
        let noted = if version == 0 {
            let insert = "INSERT INTO reached_limits (limited, resource, threshold, account, began_at, reached_at, told_at, version) \
                          SELECT $1, $2, $3, $4, $5, $6, $7, 1 FROM accounts WHERE sid = $4 \
                          AND (SELECT count(*) FROM reached_limits WHERE account = $4) < $8";
            let insert = name(Statement::new(insert)).bind(receiver.account.to_string());
            insert.bind(began).bind(micros(now)).bind(told).bind(REACHED_OF_ACCOUNT_MAX)
        } else {
            let update = "UPDATE reached_limits SET account = $4, began_at = $5, reached_at = $6, told_at = $7, version = version + 1 \
                          WHERE limited = $1 AND resource = $2 AND threshold = $3 AND version = $8";
            let update = name(Statement::new(update)).bind(receiver.account.to_string());
            update.bind(began).bind(micros(now)).bind(told).bind(version)
        };
        // What is past makes room for what is new. Nothing is lost by it: reached again, it would be a new story that may be told at once.
        let forget = Statement::new("DELETE FROM reached_limits WHERE account = $1 AND reached_at < $2");
        let old = micros(now.checked_sub(over.max(interval)).unwrap_or(now));
        let forget = forget.bind(receiver.account.to_string()).bind(old);
        let mut change = if version == 0 { vec![forget] } else { Vec::new() };
        change.push(noted.changing(1));
        if tells {
            let said = Said {
                account,
                key,
                resource: reached.resource.to_owned(),
                threshold: reached.threshold.to_owned(),
                limit: reached.limit,
                current: reached.current,
                at: micros(now),
            };
            let alert = "INSERT INTO alerts (id, account, record, tries, due_at, leased_until, lease, created_at) \
                         VALUES ($1, $2, $3, 0, $4, 0, '', $4)";
            let alert = Statement::new(alert).bind(RandomId::draw(&mut rand::rng()).to_string());
            change.push(alert.bind(receiver.account.to_string()).bind(to_json(&said)?).bind(micros(now)));
        }
        match self.inner.store.write(&change).await {
            Ok(()) => Ok(tells),
            // Too many limits of the account are reached now: nobody would know that this one was told.
            Err(StoreError::Unchanged { .. }) if version == 0 => {
                ALERTS.count("no-room");
                Ok(false)
            }
            // Another node has noted the same.
            Err(StoreError::Unchanged { .. } | StoreError::Duplicate) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Who is told of an account's limits: itself, or the one above it.
    async fn receiver(&self, account: &AccountSid) -> Result<Option<Receiver>, AccountsError> {
        let who = "SELECT a.limit_callback_url, p.limit_callback_url, a.parent FROM accounts a \
                   LEFT JOIN accounts p ON p.sid = a.parent WHERE a.sid = $1";
        let rows = self.inner.store.read(Statement::new(who).bind(account.to_string())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let parent: Option<AccountSid> = maybe_parsed(row, 2, "an account")?;
        let owner = parent.unwrap_or(*account);
        Ok(match (row.maybe_text(0)?, row.maybe_text(1)?) {
            (Some(_), _) => Some(Receiver { account: *account, owner }),
            (None, Some(_)) => Some(Receiver { account: owner, owner }),
            _ => None,
        })
    }

    /// Whether one more alert of a receiver may wait.
    async fn has_room(&self, receiver: &Receiver) -> Result<bool, AccountsError> {
        let room = "SELECT count(*), (SELECT count(*) FROM alerts WHERE account = $1), \
                    (SELECT count(*) FROM alerts d JOIN accounts a ON a.sid = d.account WHERE a.sid = $2 OR a.parent = $2) \
                    FROM alerts";
        let room = Statement::new(room).bind(receiver.account.to_string()).bind(receiver.owner.to_string());
        let rows = self.inner.store.read(room).await?;
        let Some(row) = rows.first() else { return Ok(false) };
        Ok(row.int(0)? < ALERTS_MAX && row.int(1)? < ALERTS_OF_ACCOUNT_MAX && row.int(2)? < ALERTS_OF_OWNER_MAX)
    }
}

/// What an account is told.
fn letter(row: &Row) -> Result<Option<Letter>, AccountsError> {
    const WHAT: &str = "an alert";
    let at = |column: usize| OWN_COLUMNS + column;
    let status: Status = parsed(row, at(1), WHAT)?;
    let url = row.maybe_text(at(2))?.filter(|_| status == Status::Active);
    let Some(url) = url.and_then(|url| Url::parse(&url).ok()) else { return Ok(None) };
    let said: Said = from_json(&row.text(at(0))?)?;
    let date = httpdate::fmt_http_date(time(said.at)).replace("GMT", "+0000");
    let mut form = vec![("AccountSid", said.account.to_string())];
    form.extend(said.key.map(|key| ("KeySid", key.to_string())));
    form.extend([
        ("Resource", said.resource),
        ("Threshold", said.threshold),
        ("TriggerValue", said.limit.to_string()),
        ("CurrentValue", said.current.to_string()),
        ("DateFired", date),
    ]);
    Ok(Some(Letter {
        url,
        method: parsed(row, at(3), WHAT)?,
        signer: parsed(row, 1, WHAT)?,
        sealed_token: row.bytes(at(4))?,
        form,
    }))
}
