//! Limits: what they say, where they come from, and how they are changed while the node runs.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{lease::Rate, units::duration_text};

use super::{Measure, Resource, Scope, giving::check_holds, subject::Breadth};

/// The longest that anybody is made to wait, or an answer slowed: callers have given up by then.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The most that may wait for one account.
const WAITING_MAX: u32 = 1_000_000;
/// More begin in no second: what is counted are microseconds.
const PER_SECOND_MAX: u32 = 1_000_000;

/// How many may be in progress at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// From so many on it is told: in a header, a metric and the usage. Nobody is impeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft: Option<u32>,
    /// So many at most. Without it there is no limit; 0 admits nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard: Option<u32>,
    /// What happens to one more.
    pub policy: Policy,
}

/// What happens to who would be one too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Policy {
    /// It is refused at once, and certainly not processed.
    #[default]
    Reject,
    /// It waits for its turn: first come, first served within an account, and accounts in turn.
    Delay {
        /// Then it is refused.
        #[serde(with = "duration_text")]
        wait_max: Duration,
        /// How many may wait at once for one account on one node; one more is refused.
        waiting_max: u32,
    },
    /// It is admitted, and its answer slowed.
    Throttle {
        /// By so much.
        #[serde(with = "duration_text")]
        slowed_by: Duration,
        /// How many may be in progress beyond the limit; one more is refused.
        beyond: u32,
    },
    /// It is admitted, and only counted and logged.
    DryRun,
}

impl Policy {
    /// Label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Policy::Reject => "reject",
            Policy::Delay { .. } => "delay",
            Policy::Throttle { .. } => "throttle",
            Policy::DryRun => "dry-run",
        }
    }
}

impl Limit {
    /// A limit that refuses.
    pub const fn hard(hard: u32) -> Limit {
        Limit { soft: None, hard: Some(hard), policy: Policy::Reject }
    }

    /// The same with another policy.
    #[must_use]
    pub const fn with(self, policy: Policy) -> Limit {
        Limit { policy, ..self }
    }

    /// How many may be held in fact, by whatever policy.
    pub(super) fn cap(self) -> u32 {
        match (self.hard, self.policy) {
            (None, _) | (_, Policy::DryRun) => u32::MAX,
            (Some(hard), Policy::Throttle { beyond, .. }) => hard.saturating_add(beyond),
            (Some(hard), Policy::Reject | Policy::Delay { .. }) => hard,
        }
    }

    /// Beyond how many it has something to say besides refusing.
    pub(super) fn says_from(self) -> u32 {
        let refuses = self.hard.is_none_or(|hard| hard == self.cap());
        let hard = self.hard.filter(|_| !refuses);
        // A value of the soft limit has something to say, one of the hard limit not yet: it is what may be.
        let soft = self.soft.map(|soft| soft.saturating_sub(1));
        soft.into_iter().chain(hard).min().unwrap_or(u32::MAX)
    }

    /// Checks what somebody has written.
    ///
    /// # Errors
    /// It makes no sense; the text says why.
    pub fn check(self) -> Result<Limit, LimitError> {
        let soft_is_beyond = self.soft.zip(self.hard).is_some_and(|(soft, hard)| hard < soft);
        if soft_is_beyond {
            return Err(LimitError::Invalid("the soft limit must not be above the hard one"));
        }
        match self.policy {
            Policy::Delay { wait_max, waiting_max } => {
                if wait_max.is_zero() || WAIT_MAX < wait_max {
                    return Err(LimitError::Invalid("wait_max must be more than 0s and at most 5m"));
                }
                if waiting_max == 0 || WAITING_MAX < waiting_max {
                    return Err(LimitError::Invalid("waiting_max must be 1 to 1000000"));
                }
            }
            Policy::Throttle { slowed_by, .. } => {
                if slowed_by.is_zero() || WAIT_MAX < slowed_by {
                    return Err(LimitError::Invalid("slowed_by must be more than 0s and at most 5m"));
                }
            }
            Policy::Reject | Policy::DryRun => {}
        }
        Ok(self)
    }
}

/// Who has given a limit. Each may give one for the same scope and kind of work, and all of them hold: so nobody loosens what another has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Giver {
    /// The operator, by the configuration or a limit of its own instead.
    Operator,
    /// The account at the top, for itself, its subaccounts and their keys.
    Owner,
    /// Who has allowed an application to act for it. It comes with whoever acts ([`Subject::allowed`](super::Subject)), and is kept with what was allowed.
    Authorization,
}

impl Giver {
    /// All of them. What the operator says comes first.
    pub(super) const ALL: [Giver; 3] = [Giver::Operator, Giver::Owner, Giver::Authorization];

    /// As the API calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Giver::Operator => "operator",
            Giver::Owner => "owner",
            Giver::Authorization => "authorization",
        }
    }
}

/// How many may begin in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerSecond {
    /// So many, one after the other; 0 for none.
    pub count: u32,
    /// How many may wait for their turn; one more is refused.
    pub backlog_max: u32,
}

impl PerSecond {
    /// Checks what somebody has written.
    ///
    /// # Errors
    /// It makes no sense; the text says why.
    pub fn check(self) -> Result<PerSecond, LimitError> {
        if PER_SECOND_MAX < self.count || WAITING_MAX < self.backlog_max {
            return Err(LimitError::Invalid("count and backlog_max must be at most 1000000"));
        }
        Ok(self)
    }

    /// What keeps to both.
    pub(super) fn and(self, other: PerSecond) -> PerSecond {
        PerSecond { count: self.count.min(other.count), backlog_max: self.backlog_max.min(other.backlog_max) }
    }

    pub(super) fn rate(self) -> Option<Rate> {
        Rate::per_second(self.count, self.backlog_max)
    }
}

/// A limit was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// What was written makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// Somebody else has changed it since it was read.
    #[error("somebody else has changed this limit; it is at version {0} now")]
    Overtaken(u64),
}

/// Limits of their own that somebody was given. What is asked often is answered from memory.
pub trait LimitRecords: fmt::Debug + Send + Sync + 'static {
    /// The limit that somebody has given a scope on a resource.
    fn limit(&self, giver: Giver, scope: Scope, resource: Resource) -> Option<Limit>;

    /// How many may begin in a second, if somebody has said so.
    fn rate(&self, giver: Giver, scope: Scope, resource: Resource) -> Option<PerSecond>;

    /// Another number after each change.
    fn revision(&self) -> u64;

    /// The same, to wait for: a limit that is raised lets those in who wait.
    fn revisions(&self) -> watch::Receiver<u64>;
}

/// Limits that are kept in memory only.
#[derive(Debug)]
pub struct MemoryLimits {
    records: RwLock<Records>,
    revision: AtomicU64,
    revisions: watch::Sender<u64>,
}

/// What a limit is known by.
type Of = (Giver, Scope, Resource);

#[derive(Debug, Default)]
struct Records {
    limits: HashMap<Of, LimitRecord>,
    rates: HashMap<Of, PerSecond>,
}

/// One limit as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRecord {
    /// What it says.
    pub limit: Limit,
    /// Counts its changes, so that of two who change it at once one is told.
    pub version: u64,
}

/// What became of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heard {
    Limit(Of, Option<LimitRecord>),
    Rate(Of, Option<PerSecond>),
}

impl Default for MemoryLimits {
    fn default() -> MemoryLimits {
        MemoryLimits { records: RwLock::default(), revision: AtomicU64::new(1), revisions: watch::Sender::new(1) }
    }
}

impl MemoryLimits {
    /// Changes the operator's limit that is at `version` (0: there is none), or takes it away.
    ///
    /// # Errors
    /// It makes no sense, or somebody else was faster.
    pub fn edit(
        &self,
        scope: Scope,
        resource: Resource,
        limit: Option<Limit>,
        version: u64,
    ) -> Result<u64, LimitError> {
        let limit = limit.map(Limit::check).transpose()?;
        let of = (Giver::Operator, scope, resource);
        {
            let mut records = self.write();
            let now = records.limits.get(&of).map_or(0, |record| record.version);
            if now != version {
                return Err(LimitError::Overtaken(now));
            }
            let record = limit.map(|limit| LimitRecord { limit, version: version + 1 });
            records.take_in(Heard::Limit(of, record));
        }
        self.note_change();
        Ok(if limit.is_some() { version + 1 } else { 0 })
    }

    /// Gives the operator's limit whatever it was before.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn set(&self, scope: Scope, resource: Resource, limit: Limit) -> Result<(), LimitError> {
        self.set_by(Giver::Operator, scope, resource, limit)
    }

    /// Gives somebody's limit whatever it was before.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn set_by(&self, giver: Giver, scope: Scope, resource: Resource, limit: Limit) -> Result<(), LimitError> {
        let (limit, of) = (limit.check()?, (giver, scope, resource));
        {
            let mut records = self.write();
            let version = records.limits.get(&of).map_or(0, |record| record.version) + 1;
            records.limits.insert(of, LimitRecord { limit, version });
        }
        self.note_change();
        Ok(())
    }

    /// Gives a rate, or takes it away.
    pub fn set_rate(&self, giver: Giver, scope: Scope, resource: Resource, rate: Option<PerSecond>) {
        self.apply(vec![Heard::Rate((giver, scope, resource), rate)]);
    }

    /// Takes in what was changed elsewhere.
    pub(super) fn apply(&self, changes: Vec<Heard>) {
        {
            let mut records = self.write();
            changes.into_iter().for_each(|change| records.take_in(change));
        }
        self.note_change();
    }

    /// The same, of which nothing is left that was there before.
    pub(super) fn replace(&self, changes: Vec<Heard>) {
        let mut fresh = Records::default();
        changes.into_iter().for_each(|change| fresh.take_in(change));
        let before = std::mem::replace(&mut *self.write(), fresh);
        drop(before);
        self.note_change();
    }

    fn read(&self) -> RwLockReadGuard<'_, Records> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Records> {
        self.records.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_change(&self) {
        let revision = self.revision.fetch_add(1, Ordering::AcqRel) + 1;
        self.revisions.send_replace(revision);
    }
}

impl Records {
    fn take_in(&mut self, change: Heard) {
        match change {
            Heard::Limit(of, Some(record)) => drop(self.limits.insert(of, record)),
            Heard::Limit(of, None) => drop(self.limits.remove(&of)),
            Heard::Rate(of, Some(rate)) => drop(self.rates.insert(of, rate)),
            Heard::Rate(of, None) => drop(self.rates.remove(&of)),
        }
    }
}

impl LimitRecords for MemoryLimits {
    fn limit(&self, giver: Giver, scope: Scope, resource: Resource) -> Option<Limit> {
        self.read().limits.get(&(giver, scope, resource)).map(|record| record.limit)
    }

    fn rate(&self, giver: Giver, scope: Scope, resource: Resource) -> Option<PerSecond> {
        self.read().rates.get(&(giver, scope, resource)).copied()
    }

    fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }
}

/// Limits of those who have none of their own, by kind of work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DefaultLimits {
    /// Of everybody together.
    pub platform: BTreeMap<Resource, Limit>,
    /// Of each account with its subaccounts, and of each subaccount.
    pub account: BTreeMap<Resource, Limit>,
    /// Of each key.
    pub key: BTreeMap<Resource, Limit>,
    /// Of each destination.
    pub destination: BTreeMap<Resource, Limit>,
    /// How many may begin in a second for each account.
    pub per_second: BTreeMap<Resource, PerSecond>,
}

impl DefaultLimits {
    pub(super) fn of(&self, scope: Scope, resource: Resource) -> Option<Limit> {
        self.table(scope.breadth()).get(&resource).copied()
    }

    fn table(&self, whose: Breadth) -> &BTreeMap<Resource, Limit> {
        match whose {
            Breadth::Platform => &self.platform,
            Breadth::Account => &self.account,
            Breadth::Key => &self.key,
            Breadth::Destination => &self.destination,
        }
    }

    /// What makes no sense, or would hold nothing: the key below this table, and why.
    pub(super) fn mistakes(&self) -> impl Iterator<Item = (String, LimitError)> {
        let all = [Breadth::Platform, Breadth::Account, Breadth::Key, Breadth::Destination];
        let in_progress = all.into_iter().flat_map(|whose| {
            self.table(whose).iter().map(move |(resource, limit)| {
                let holds = check_holds(whose, *resource, Measure::InProgress);
                (whose.as_str(), resource, holds.and_then(|()| limit.check().map(drop)))
            })
        });
        let per_second = self.per_second.iter().map(|(resource, rate)| {
            let holds = check_holds(Breadth::Account, *resource, Measure::PerSecond);
            ("per_second", resource, holds.and_then(|()| rate.check().map(drop)))
        });
        in_progress
            .chain(per_second)
            .filter_map(|(table, resource, checked)| Some((format!("{table}.{resource}"), checked.err()?)))
    }
}
