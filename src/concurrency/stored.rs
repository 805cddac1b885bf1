//! Limits of their own that accounts and keys were given, in the store of a node or a fleet: changed by one, heard by all within a second.
//!
//! Each change takes the next number. A row keeps the number of its last change, also when its limit was taken away, so that a node asks for what came after the
//! last number that it has heard.

use std::{
    fmt,
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::watch;

use crate::store::{Row, Schema, Statement, Store, StoreError};

use super::{Limit, LimitError, LimitRecord, LimitRecords, MemoryLimits, PerSecond, Resource, Scope};

/// How often changes are asked for.
const INTERVAL: Duration = Duration::from_millis(250);
/// Rows that are read at once.
const BATCH: i64 = 1_000;
/// Limits that there may be, those that were taken away included: each node has all of them in memory.
const ROWS_MAX: i64 = 1_000_000;

const SCHEMA: Schema = Schema {
    room: "concurrency",
    steps: &["
CREATE TABLE limits (
    scope TEXT NOT NULL, resource TEXT NOT NULL,
    -- JSON; nothing where it was taken away.
    record TEXT, changed_by TEXT NOT NULL, changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL, number BIGINT NOT NULL,
    PRIMARY KEY (scope, resource)
);
CREATE UNIQUE INDEX limits_by_number ON limits (number);
-- How many changes there were. Whoever makes one holds this row, so that numbers come in the order of changes.
CREATE TABLE limits_revision (id BIGINT NOT NULL PRIMARY KEY, number BIGINT NOT NULL);
INSERT INTO limits_revision (id, number) VALUES (1, 0);
"],
};

/// Limits that are kept in the store, and in memory to be asked.
#[derive(Debug)]
pub struct StoredLimits {
    store: Store,
    memory: MemoryLimits,
    /// Number of the last change that was heard. A std lock: held for reads and writes of it.
    heard: Mutex<i64>,
}

/// One limit as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLimit {
    /// Whose it is.
    pub scope: Scope,
    /// On what.
    pub resource: Resource,
    /// What it says.
    pub limit: Limit,
    /// Counts its changes.
    pub version: u64,
    /// Who changed it last.
    pub changed_by: String,
}

/// A limit was not changed, or cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// It makes no sense, or somebody else was faster.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// There are as many as there may be.
    #[error("there are {ROWS_MAX} limits already, those that were taken away included")]
    TooMany,
    /// Its row says what this version does not know.
    #[error("the limit of {scope} on {resource} cannot be read")]
    Unreadable {
        /// Whose, as it stands there.
        scope: String,
        /// On what, as it stands there.
        resource: String,
    },
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoredLimits {
    /// The limits of a store, read once.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn open(store: Store) -> Result<StoredLimits, LimitsError> {
        store.migrate(&SCHEMA).await?;
        let limits = StoredLimits { store, memory: MemoryLimits::default(), heard: Mutex::new(0) };
        limits.hear().await?;
        Ok(limits)
    }

    /// Gives a scope a limit of its own, or takes it away, whatever it was before. It holds on this node at once, on others within a second.
    ///
    /// # Errors
    /// It makes no sense, or the store cannot be asked.
    pub async fn set(
        &self,
        scope: Scope,
        resource: Resource,
        limit: Option<Limit>,
        (by, now): (&str, SystemTime),
    ) -> Result<(), LimitsError> {
        let limit = limit.map(Limit::check).transpose()?;
        let text = limit.and_then(|limit| serde_json::to_string(&limit).ok());
        let at = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let change = [
            Statement::new("UPDATE limits_revision SET number = number + 1 WHERE id = 1").changing(1),
            Statement::new(
                "INSERT INTO limits (scope, resource, record, changed_by, changed_at, version, number) \
                 SELECT $1, $2, $3, $4, $5, 1, number FROM limits_revision \
                 WHERE id = 1 AND ((SELECT count(*) FROM limits) < $6 \
                 OR EXISTS (SELECT 1 FROM limits WHERE scope = $1 AND resource = $2)) \
                 ON CONFLICT (scope, resource) DO UPDATE SET record = excluded.record, changed_by = excluded.changed_by, \
                 changed_at = excluded.changed_at, version = limits.version + 1, number = excluded.number",
            )
            .bind(scope.to_string())
            .bind(resource.as_str())
            .bind(text)
            .bind(by)
            .bind(i64::try_from(at).unwrap_or(i64::MAX))
            .bind(ROWS_MAX)
            .changing(1),
        ];
        match self.store.write(&change).await {
            Err(StoreError::Unchanged { statement: 1, .. }) => return Err(LimitsError::TooMany),
            written => written?,
        }
        // That others hear it is their business, and so is a store that went away right after.
        if let Err(error) = self.hear().await {
            tracing::warn!(%error, "a change of a limit cannot be read back");
        }
        Ok(())
    }

    /// All limits that somebody was given.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn list(&self) -> Result<Vec<StoredLimit>, LimitsError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let rows = self.rows_after(after).await?;
            let Some(last) = rows.last() else { return Ok(all) };
            after = last.int(5)?;
            all.extend(rows.iter().filter_map(|row| read(row).transpose()).collect::<Result<Vec<_>, _>>()?);
        }
    }

    /// Hears of changes until it is dropped.
    pub async fn keep_hearing(&self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_away = false;
        loop {
            ticks.tick().await;
            match self.hear().await {
                Ok(()) => was_away = false,
                // What is known goes on to hold.
                Err(error) if !was_away => {
                    was_away = true;
                    tracing::warn!(%error, "changes of limits cannot be heard");
                }
                Err(_) => {}
            }
        }
    }

    async fn rows_after(&self, after: i64) -> Result<Vec<Row>, StoreError> {
        let rows = Statement::new(
            "SELECT scope, resource, record, version, changed_by, number FROM limits \
             WHERE number > $1 ORDER BY number LIMIT $2",
        );
        self.store.read(rows.bind(after).bind(BATCH)).await
    }

    /// Asks for the changes that this node has not heard yet.
    pub(super) async fn hear(&self) -> Result<(), LimitsError> {
        loop {
            let newest = self.store.read(Statement::new("SELECT number FROM limits_revision WHERE id = 1")).await?;
            let newest = newest.first().map_or(Ok(0), |row| row.int(0))?;
            let before = *self.heard();
            if newest == before {
                return Ok(());
            }
            // A store that was set back to what it was earlier: all of it is read anew.
            let was_set_back = newest < before;
            let (mut after, mut all) = (if was_set_back { 0 } else { before }, Vec::new());
            loop {
                let rows = self.rows_after(after).await?;
                let Some(last) = rows.last() else { break };
                after = last.int(5)?;
                for row in &rows {
                    match changed(row) {
                        Ok(change) => all.push(change),
                        // Of a later version, which this one cannot hold to.
                        Err(error) => tracing::error!(%error, "a limit is passed over"),
                    }
                }
            }
            let mut heard = self.heard();
            // Somebody else has heard meanwhile, and perhaps what came after.
            if *heard == before {
                if was_set_back {
                    self.memory.replace(all)
                } else {
                    self.memory.apply(all)
                }
                *heard = if was_set_back { after } else { after.max(newest) };
            }
        }
    }

    fn heard(&self) -> MutexGuard<'_, i64> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of one limit.
type Changed = ((Scope, Resource), Option<LimitRecord>);

fn changed(row: &Row) -> Result<Changed, LimitsError> {
    let (scope, resource) = (row.text(0)?, row.text(1)?);
    let unreadable = || LimitsError::Unreadable { scope: scope.clone(), resource: resource.clone() };
    let of = (scope.parse().map_err(|_| unreadable())?, resource.parse().map_err(|_| unreadable())?);
    let version = u64::try_from(row.int(3)?).unwrap_or_default();
    let limit: Option<Limit> =
        row.maybe_text(2)?.map(|text| serde_json::from_str(&text).map_err(|_| unreadable())).transpose()?;
    Ok((of, limit.map(|limit| LimitRecord { limit, version })))
}

fn read(row: &Row) -> Result<Option<StoredLimit>, LimitsError> {
    let ((scope, resource), record) = changed(row)?;
    let Some(LimitRecord { limit, version }) = record else { return Ok(None) };
    Ok(Some(StoredLimit { scope, resource, limit, version, changed_by: row.text(4)? }))
}

impl LimitRecords for StoredLimits {
    fn limit(&self, scope: Scope, resource: Resource) -> Option<Limit> {
        self.memory.limit(scope, resource)
    }

    fn rate(&self, scope: Scope, resource: Resource) -> Option<PerSecond> {
        self.memory.rate(scope, resource)
    }

    fn revision(&self) -> u64 {
        self.memory.revision()
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.memory.revisions()
    }
}

/// The text names nobody who has limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected platform, or the name of an account (AC…) or a key (SK…)")]
pub struct NotAScope;

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Scope, NotAScope> {
        if text == "platform" {
            return Ok(Scope::Platform);
        }
        let account = text.parse().map(Scope::Account);
        account.or_else(|_| text.parse().map(Scope::Key)).map_err(|_| NotAScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Platform => f.write_str("platform"),
            Scope::Account(account) => account.fmt(f),
            Scope::Key(key) => key.fmt(f),
            Scope::Destination(destination) => write!(f, "destination {destination:?}"),
        }
    }
}
