//! Limits of their own that accounts and keys were given, in the store of a node or a fleet: changed by one, heard by all within a second.
//!
//! Each change takes the next number. A row keeps the number of its last change, also when its limit was taken away, so that a node asks for what came after the
//! last number that it has heard.

use std::{
    fmt,
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    clock::Clock,
    ids::AccountSid,
    lease::Local,
    store::{Row, Schema, Statement, Store, StoreError},
};

use super::{
    Giver, Limit, LimitError, LimitName, LimitRecord, LimitRecords, Measure, MemoryLimits, PerSecond, Resource, Rule,
    Scope,
    giving::{EDITS_MAX, OWNED_MAX},
    limits::Heard,
};

/// How often changes are asked for.
const INTERVAL: Duration = Duration::from_millis(250);
/// Rows that are read at once.
const BATCH: i64 = 1_000;
/// Limits that there may be, those that were taken away included: each node has all of them in memory.
pub(super) const ROWS_MAX: i64 = 1_000_000;
/// How long it is kept at least that an owner's limit was taken away, so that all hear of it.
pub(super) const KEPT: Duration = Duration::from_secs(3_600);
/// Who has heard nothing for so long reads all anew.
const DEAF_MAX: Duration = Duration::from_secs(1_800);
const _: () = assert!(DEAF_MAX.as_secs() < KEPT.as_secs());

pub(super) const SCHEMA: Schema = Schema {
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
", "
-- What else is given, by the same numbers: the operator's limits of so many a second (layer rate), and those that accounts at the top give themselves,
-- their subaccounts and keys (owner, owner-rate). A second record beside the operator's, so that nobody can loosen that.
CREATE TABLE given_limits (
    scope TEXT NOT NULL, resource TEXT NOT NULL, layer TEXT NOT NULL,
    -- The account that has given it; nothing where it is the operator's.
    owner TEXT NOT NULL,
    record TEXT, changed_by TEXT NOT NULL, changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL, number BIGINT NOT NULL,
    PRIMARY KEY (scope, resource, layer)
);
CREATE UNIQUE INDEX given_limits_by_number ON given_limits (number);
CREATE INDEX given_limits_by_owner ON given_limits (owner);
"],
};

macro_rules! rows {
    () => {
        "SELECT scope, resource, record, version, changed_by, number, '', '' FROM limits"
    };
}

macro_rules! further_rows {
    () => {
        "SELECT scope, resource, record, version, changed_by, number, layer, owner FROM given_limits"
    };
}

/// Limits that are kept in the store, and in memory to be asked.
#[derive(Debug)]
pub struct StoredLimits {
    pub(super) store: Store,
    memory: MemoryLimits,
    clock: Clock,
    /// How often owners change theirs by this node (`giving.rs`).
    pub(super) edits: Local,
    /// How far this node has heard. A std lock: held for reads and writes of it.
    heard: Mutex<HeardSoFar>,
}

#[derive(Clone, Copy, Debug)]
struct HeardSoFar {
    /// Number of the last change.
    number: i64,
    /// When the store answered last, since boot.
    at: Duration,
}

/// One limit as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLimit {
    /// Whose it is, on what, and who has given it.
    pub name: LimitName,
    /// Which account at the top, where it is an owner's.
    pub owner: Option<AccountSid>,
    /// What it says.
    pub rule: Rule,
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
    /// An account has given as many as it may.
    #[error("the account has given {OWNED_MAX} limits, those included that it took away within the last hour")]
    TooManyOwned,
    /// An account changes its limits faster than it may.
    #[error("the account changes limits too often: {EDITS_MAX} at once, and one more each second")]
    TooOften {
        /// When it may again.
        retry_in: Duration,
    },
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
    pub async fn open(store: Store, clock: Clock) -> Result<StoredLimits, LimitsError> {
        store.migrate(&SCHEMA).await?;
        let heard = HeardSoFar { number: 0, at: clock.since_boot() };
        let edits = Local::new(clock.clone());
        let limits = StoredLimits { store, memory: MemoryLimits::default(), clock, edits, heard: Mutex::new(heard) };
        limits.hear().await?;
        Ok(limits)
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

    /// The limits that a scope was given.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn given_to(&self, scope: Scope) -> Result<Vec<StoredLimit>, LimitsError> {
        let rows = Statement::new(concat!(
            rows!(),
            " WHERE scope = $1 UNION ALL ",
            further_rows!(),
            " WHERE scope = $1 ORDER BY 6"
        ));
        let rows = self.store.read(rows.bind(scope.to_string())).await?;
        rows.iter().filter_map(|row| read(row).transpose()).collect()
    }

    /// The limits that an account at the top has given.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn given_by(&self, owner: &AccountSid) -> Result<Vec<StoredLimit>, LimitsError> {
        let rows = Statement::new(concat!(further_rows!(), " WHERE owner = $1 ORDER BY scope, resource, layer"));
        let rows = self.store.read(rows.bind(owner.to_string())).await?;
        rows.iter().filter_map(|row| read(row).transpose()).collect()
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
        let rows = Statement::new(concat!(
            rows!(),
            " WHERE number > $1 UNION ALL ",
            further_rows!(),
            " WHERE number > $1 ORDER BY 6 LIMIT $2"
        ));
        self.store.read(rows.bind(after).bind(BATCH)).await
    }

    /// Asks for the changes that this node has not heard yet.
    pub(super) async fn hear(&self) -> Result<(), LimitsError> {
        loop {
            let asked = self.clock.since_boot();
            let newest = self.store.read(Statement::new("SELECT number FROM limits_revision WHERE id = 1")).await?;
            let newest = newest.first().map_or(Ok(0), |row| row.int(0))?;
            let before = *self.heard();
            // That something was taken away may be forgotten by now.
            let was_deaf = DEAF_MAX < asked.saturating_sub(before.at);
            if newest == before.number && !was_deaf {
                self.heard().at = asked;
                return Ok(());
            }
            // A store that was set back to what it was earlier: all of it is read anew.
            let is_anew = newest < before.number || was_deaf;
            let (mut after, mut all) = (if is_anew { 0 } else { before.number }, Vec::new());
            loop {
                let rows = self.rows_after(after).await?;
                let Some(last) = rows.last() else { break };
                after = last.int(5)?;
                for row in &rows {
                    match changed(row) {
                        Ok(change) => all.push(change.heard()),
                        // Of a later version, which this one cannot hold to.
                        Err(error) => tracing::error!(%error, "a limit is passed over"),
                    }
                }
            }
            let mut heard = self.heard();
            // Somebody else has heard meanwhile, and perhaps what came after.
            if heard.number == before.number {
                if is_anew {
                    self.memory.replace(all)
                } else {
                    self.memory.apply(all)
                }
                // What was forgotten leaves no number behind.
                let number = if newest < before.number { after } else { after.max(newest) };
                *heard = HeardSoFar { number, at: asked };
            }
        }
    }

    fn heard(&self) -> MutexGuard<'_, HeardSoFar> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of one limit.
struct Changed {
    name: LimitName,
    rule: Option<Rule>,
    version: u64,
}

impl Changed {
    fn heard(self) -> Heard {
        let LimitName { giver, scope, resource, measure } = self.name;
        let of = (giver, scope, resource);
        match (measure, self.rule) {
            (_, Some(Rule::InProgress(limit))) => Heard::Limit(of, Some(LimitRecord { limit, version: self.version })),
            (_, Some(Rule::PerSecond(rate))) => Heard::Rate(of, Some(rate)),
            (Measure::InProgress, None) => Heard::Limit(of, None),
            (Measure::PerSecond, None) => Heard::Rate(of, None),
        }
    }
}

fn changed(row: &Row) -> Result<Changed, LimitsError> {
    let (scope, resource) = (row.text(0)?, row.text(1)?);
    let unreadable = || LimitsError::Unreadable { scope: scope.clone(), resource: resource.clone() };
    let (giver, measure) = match row.text(6)?.as_str() {
        "" => (Giver::Operator, Measure::InProgress),
        "rate" => (Giver::Operator, Measure::PerSecond),
        "owner" => (Giver::Owner, Measure::InProgress),
        "owner-rate" => (Giver::Owner, Measure::PerSecond),
        _ => return Err(unreadable()),
    };
    let (scope, resource) = (scope.parse().map_err(|_| unreadable())?, resource.parse().map_err(|_| unreadable())?);
    let name = LimitName { giver, scope, resource, measure };
    let version = u64::try_from(row.int(3)?).unwrap_or_default();
    Ok(Changed { name, rule: row.maybe_text(2)?.map(|text| rule(name, &text)).transpose()?, version })
}

/// A limit as it is kept.
pub(super) fn json(rule: Rule) -> Option<String> {
    match rule {
        Rule::InProgress(limit) => serde_json::to_string(&limit),
        Rule::PerSecond(rate) => serde_json::to_string(&rate),
    }
    .ok()
}

pub(super) fn rule(name: LimitName, text: &str) -> Result<Rule, LimitsError> {
    let rule = match name.measure {
        Measure::InProgress => serde_json::from_str::<Limit>(text).map(Rule::InProgress),
        Measure::PerSecond => serde_json::from_str::<PerSecond>(text).map(Rule::PerSecond),
    };
    rule.map_err(|_| LimitsError::Unreadable { scope: name.scope.to_string(), resource: name.resource.to_string() })
}

fn read(row: &Row) -> Result<Option<StoredLimit>, LimitsError> {
    let Changed { name, rule, version } = changed(row)?;
    let Some(rule) = rule else { return Ok(None) };
    let owner = row.text(7)?.parse().ok();
    Ok(Some(StoredLimit { name, owner, rule, version, changed_by: row.text(4)? }))
}

impl LimitRecords for StoredLimits {
    fn limit(&self, giver: Giver, scope: Scope, resource: Resource) -> Option<Limit> {
        self.memory.limit(giver, scope, resource)
    }

    fn rate(&self, giver: Giver, scope: Scope, resource: Resource) -> Option<PerSecond> {
        self.memory.rate(giver, scope, resource)
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
