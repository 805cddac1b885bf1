//! Giving limits and taking them away: by the operator to anybody, by an account at the top to itself, its subaccounts and their keys.
//!
//! What is there is read, and changed only if it is still so: what was and what is then stand in the audit log together, in the transaction of the change.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use crate::{
    ids::AccountSid,
    lease::{Leases as _, Paced, Rate},
    store::{Statement, StoreError},
};

use super::{
    Giver, Limit, LimitError, LimitsError, PerSecond, Policy, Resource, Scope, StoredLimits,
    stored::{KEPT, ROWS_MAX, json, rule},
    subject::Breadth,
};

/// Limits that one account at the top may have given, those included that it took away within the last hours (`KEPT`).
pub const OWNED_MAX: i64 = 2_000;
/// Who waits, or is slowed, holds a connection: by an owner's limit no more of one account and kind of work on a node than this, and no longer. The operator's may be more.
const OWNED_WAITING_MAX: u32 = 256;
const OWNED_WAIT_MAX: Duration = Duration::from_secs(30);
/// Changes that one account at the top may make of limits on one node: so many at once, and one more each second. Each costs everybody: what is known of callers is
/// made anew by all nodes.
pub const EDITS_MAX: u32 = 60;
const EDITS: Rate = Rate { interval: Duration::from_secs(1), burst: EDITS_MAX, backlog_max: 0 };
/// How often a change is tried that somebody else is faster with.
const TRIES: u32 = 16;

/// What a limit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// How many may be in progress at once.
    InProgress(Limit),
    /// How many may begin in a second.
    PerSecond(PerSecond),
}

/// Which of the two a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// How many may be in progress at once.
    InProgress,
    /// How many may begin in a second.
    PerSecond,
}

/// What a limit is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitName {
    /// Who gives it.
    pub giver: Giver,
    /// Whom it limits.
    pub scope: Scope,
    /// In what.
    pub resource: Resource,
    /// And how.
    pub measure: Measure,
}

/// Which limit of those that a giver may give: whose, on what, and how it is measured.
pub type Slot = (Scope, Resource, Measure);

/// Who gives a limit, or takes it away.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The account at the top that does; nobody: it is the operator.
    pub owner: Option<AccountSid>,
    /// As it is kept beside the limit.
    pub who: &'a str,
    /// When.
    pub at: SystemTime,
}

/// One change of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Of which.
    pub name: LimitName,
    /// What it said.
    pub was: Option<Rule>,
    /// What it says.
    pub is: Option<Rule>,
}

/// What else is written when a limit is changed, in the same transaction: who did it.
pub type Recorder<'a> = &'a (dyn Fn(&Edit) -> Vec<Statement> + Sync);

impl Rule {
    /// Which of the two it is.
    pub const fn measure(self) -> Measure {
        match self {
            Rule::InProgress(_) => Measure::InProgress,
            Rule::PerSecond(_) => Measure::PerSecond,
        }
    }

    fn check(self) -> Result<Rule, LimitsError> {
        Ok(match self {
            Rule::InProgress(limit) => Rule::InProgress(limit.check()?),
            Rule::PerSecond(rate) => Rule::PerSecond(rate.check()?),
        })
    }
}

/// Checks that it would be counted anywhere: what is listed and holds nothing is worse than none.
pub(super) fn check_holds(whose: Breadth, resource: Resource, measure: Measure) -> Result<(), LimitError> {
    match (measure, whose, resource) {
        (Measure::PerSecond, Breadth::Account, Resource::Calls | Resource::CallWrites) => Ok(()),
        (Measure::PerSecond, Breadth::Account, _) => {
            Err(LimitError::Invalid("so many a second are of calls and call-writes only"))
        }
        (Measure::InProgress, Breadth::Key, Resource::Fills | Resource::Speech) => Err(LimitError::Invalid(
            "fills and speech are an account's, whoever waits for them: no key's limit holds; limit its fetches",
        )),
        (Measure::InProgress, Breadth::Destination, of) if of != Resource::Destinations => {
            Err(LimitError::Invalid("of a destination only its destinations are counted"))
        }
        _ => Ok(()),
    }
}

/// Checks what an owner gives: to whom, and of what.
fn check_owned(owner: AccountSid, scope: Scope, resource: Resource, rule: Rule) -> Result<(), LimitError> {
    let Rule::InProgress(Limit { hard, policy, .. }) = rule else { return Ok(()) };
    // It would have to be taken away by a request that it refuses.
    if scope == Scope::Account(owner) && resource == Resource::Accounts && hard == Some(0) {
        return Err(LimitError::Invalid(
            "an account that lets itself make no request about accounts could never take that back",
        ));
    }
    match policy {
        Policy::Delay { wait_max, waiting_max } if OWNED_WAIT_MAX < wait_max || OWNED_WAITING_MAX < waiting_max => {
            Err(LimitError::Invalid("wait_max must be at most 30s and waiting_max at most 256"))
        }
        Policy::Throttle { slowed_by, .. } if OWNED_WAIT_MAX < slowed_by => {
            Err(LimitError::Invalid("slowed_by must be at most 30s"))
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Rule {
    /// As the audit log has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::InProgress(Limit { soft, hard, policy }) => {
                let number = |number: &Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
                write!(f, "soft {} hard {} {}", number(soft), number(hard), policy.as_str())?;
                match policy {
                    Policy::Delay { wait_max, waiting_max } => write!(f, " {wait_max:?} {waiting_max}"),
                    Policy::Throttle { slowed_by, beyond } => write!(f, " {slowed_by:?} {beyond}"),
                    Policy::Reject | Policy::DryRun => Ok(()),
                }
            }
            Rule::PerSecond(PerSecond { count, backlog_max }) => write!(f, "{count} a second, {backlog_max} waiting"),
        }
    }
}

impl LimitName {
    /// Where it is kept: nothing stands for the first table, which was there before there were others than the operator's on what is in progress.
    pub(super) fn layer(self) -> Option<&'static str> {
        match (self.giver, self.measure) {
            (Giver::Owner, Measure::InProgress) => Some("owner"),
            (Giver::Owner, Measure::PerSecond) => Some("owner-rate"),
            (_, Measure::InProgress) => None,
            (_, Measure::PerSecond) => Some("rate"),
        }
    }
}

impl fmt::Display for Edit {
    /// What was and what is, for the audit log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edit { name: LimitName { giver, resource, .. }, was, is } = self;
        let said = |rule: &Option<Rule>| rule.map_or("nothing".to_owned(), |rule| rule.to_string());
        write!(f, "{resource}, the {}'s: was {}, is {}", giver.as_str(), said(was), said(is))
    }
}

impl StoredLimits {
    /// Gives a scope a limit of its own, or takes it away, as [`change`](StoredLimits::change) does.
    ///
    /// # Errors
    /// As [`change`](StoredLimits::change).
    pub async fn set(
        &self,
        slot: Slot,
        is: Option<Rule>,
        by: By<'_>,
        recorder: Recorder<'_>,
    ) -> Result<Edit, LimitsError> {
        let edits = self.change(&[(slot, is)], by, recorder).await?;
        edits.first().copied().ok_or(LimitsError::Store(StoreError::Busy))
    }

    /// Gives limits, or takes them away, whatever they were before: all of them or, if one cannot be, none. They hold on this node at once, on others within a
    /// second. That an owner may give these scopes anything is for whoever asks to have seen to.
    ///
    /// # Errors
    /// One makes no sense or would hold nothing, there are too many, the owner changes too often, or the store cannot be asked. Nothing was changed then.
    pub async fn change(
        &self,
        wanted: &[(Slot, Option<Rule>)],
        by: By<'_>,
        recorder: Recorder<'_>,
    ) -> Result<Vec<Edit>, LimitsError> {
        let giver = if by.owner.is_some() { Giver::Owner } else { Giver::Operator };
        let checked = |((scope, resource, measure), is): &(Slot, Option<Rule>)| {
            let (scope, resource, measure) = (*scope, *resource, *measure);
            let is = is.map(Rule::check).transpose()?.filter(|rule| rule.measure() == measure);
            if measure == Measure::PerSecond && !matches!(scope, Scope::Account(_)) {
                return Err(LimitError::Invalid("so many a second are of accounts only").into());
            }
            if let Some(rule) = is {
                check_holds(scope.breadth(), resource, measure)?;
                by.owner.map_or(Ok(()), |owner| check_owned(owner, scope, resource, rule))?;
            }
            Ok::<_, LimitsError>((LimitName { giver, scope, resource, measure }, is))
        };
        let wanted = wanted.iter().map(checked).collect::<Result<Vec<_>, _>>()?;
        let mut is_paced = false;
        for _ in 0..TRIES {
            let (mut edits, mut change, mut versions) = (Vec::new(), Vec::new(), Vec::new());
            for (name, is) in &wanted {
                let (was, version) = self.one(*name).await?;
                let edit = Edit { name: *name, was, is: *is };
                if was != *is {
                    change.extend(self.changing(&edit, version, by));
                    versions.push((*name, version));
                }
                edits.push(edit);
            }
            if change.is_empty() {
                return Ok(edits);
            }
            if !std::mem::replace(&mut is_paced, true) {
                self.check_pace(by.owner).await?;
            }
            self.check_room(&versions).await?;
            // Its own statements come first, so that an error names them.
            let own = change.len();
            change.extend(edits.iter().filter(|edit| edit.was != edit.is).flat_map(recorder));
            match self.store.write(&change).await {
                Ok(()) => {
                    // That others hear it is their business, and so is a store that went away right after.
                    if let Err(error) = self.hear().await {
                        tracing::warn!(%error, "a change of a limit cannot be read back");
                    }
                    return Ok(edits);
                }
                // Somebody else was faster; or there is no room, which is so where nothing has changed.
                Err(error)
                    if matches!(error, StoreError::Duplicate)
                        || matches!(error, StoreError::Unchanged { statement, .. } if statement < own) =>
                {
                    let mut is_overtaken = false;
                    for (name, version) in &versions {
                        is_overtaken |= self.one(*name).await?.1 != *version;
                    }
                    if !is_overtaken {
                        return Err(if by.owner.is_some() { LimitsError::TooManyOwned } else { LimitsError::TooMany });
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(LimitsError::Store(StoreError::Busy))
    }

    /// One change more of an owner's. Who cannot be counted, because too many are, is let in.
    async fn check_pace(&self, owner: Option<AccountSid>) -> Result<(), LimitsError> {
        let Some(owner) = owner else { return Ok(()) };
        let pool = Scope::Account(owner).pool(Resource::Accounts, owner);
        match self.edits.pace(pool, EDITS).await {
            Ok(Paced::Full { retry_in }) => Err(LimitsError::TooOften { retry_in }),
            Ok(Paced::Turn { .. }) | Err(_) => Ok(()),
        }
    }

    /// Whether there may be one more, where one is new. Counted before the change and not in it: all that are there, while everybody else who changes any waits, is
    /// not worth being exact to the last one.
    async fn check_room(&self, versions: &[(LimitName, i64)]) -> Result<(), LimitsError> {
        if !versions.iter().any(|(name, version)| *version == 0 && name.layer().is_some()) {
            return Ok(());
        }
        let rows = self.store.read(Statement::new("SELECT count(*) FROM given_limits")).await?;
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        if count < ROWS_MAX { Ok(()) } else { Err(LimitsError::TooMany) }
    }

    /// What a limit says now, and how often it was changed.
    async fn one(&self, name: LimitName) -> Result<(Option<Rule>, i64), LimitsError> {
        let (scope, resource) = (name.scope.to_string(), name.resource.as_str());
        let one = match name.layer() {
            None => Statement::new("SELECT record, version FROM limits WHERE scope = $1 AND resource = $2"),
            Some(_) => Statement::new(
                "SELECT record, version FROM given_limits WHERE scope = $1 AND resource = $2 AND layer = $3",
            ),
        };
        let one = one.bind(scope).bind(resource);
        let rows = self.store.read(name.layer().into_iter().fold(one, Statement::bind)).await?;
        let Some(row) = rows.first() else { return Ok((None, 0)) };
        let said = row.maybe_text(0)?.map(|text| rule(name, &text)).transpose()?;
        Ok((said, row.int(1)?))
    }

    /// The statements of a change to what is at this version.
    fn changing(&self, edit: &Edit, version: i64, by: By<'_>) -> Vec<Statement> {
        let at = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).map_or(Duration::ZERO, |since| since);
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        };
        let Edit { name, is, .. } = edit;
        let (scope, resource, text) = (name.scope.to_string(), name.resource.as_str(), is.and_then(json));
        let mut change =
            vec![Statement::new("UPDATE limits_revision SET number = number + 1 WHERE id = 1").changing(1)];
        let Some(layer) = name.layer() else {
            let insert = Statement::new(
                "INSERT INTO limits (scope, resource, record, changed_by, changed_at, version, number) \
                 SELECT $1, $2, $3, $4, $5, 1, number FROM limits_revision \
                 WHERE id = 1 AND ((SELECT count(*) FROM limits) < $6 \
                 OR EXISTS (SELECT 1 FROM limits WHERE scope = $1 AND resource = $2)) \
                 ON CONFLICT (scope, resource) DO UPDATE SET record = excluded.record, changed_by = excluded.changed_by, \
                 changed_at = excluded.changed_at, version = limits.version + 1, number = excluded.number \
                 WHERE limits.version = $7",
            );
            let insert = insert.bind(scope).bind(resource).bind(text).bind(by.who).bind(at(by.at)).bind(ROWS_MAX);
            change.push(insert.bind(version).changing(1));
            return change;
        };
        let owner = by.owner.map(|owner| owner.to_string()).unwrap_or_default();
        let insert = Statement::new(
            "INSERT INTO given_limits (scope, resource, layer, owner, record, changed_by, changed_at, version, number) \
             SELECT $1, $2, $3, $4, $5, $6, $7, 1, number FROM limits_revision \
             WHERE id = 1 AND ((SELECT count(*) FROM given_limits WHERE owner = $4 AND (record IS NOT NULL OR $8 < changed_at)) < $9 \
             OR EXISTS (SELECT 1 FROM given_limits WHERE scope = $1 AND resource = $2 AND layer = $3)) \
             ON CONFLICT (scope, resource, layer) DO UPDATE SET owner = excluded.owner, record = excluded.record, \
             changed_by = excluded.changed_by, changed_at = excluded.changed_at, version = given_limits.version + 1, \
             number = excluded.number WHERE given_limits.version = $10",
        );
        let old = at(by.at.checked_sub(KEPT).unwrap_or(by.at));
        let insert = insert.bind(scope).bind(resource).bind(layer).bind(owner.as_str()).bind(text).bind(by.who);
        let insert = insert.bind(at(by.at)).bind(old);
        change.push(insert.bind(if by.owner.is_some() { OWNED_MAX } else { ROWS_MAX }).bind(version).changing(1));
        // Whoever has not heard of it by now reads all anew. Not this one, which just may have been taken away.
        let forget = "DELETE FROM given_limits WHERE owner = $1 AND owner <> '' AND record IS NULL AND changed_at < $2";
        change.push(Statement::new(forget).bind(owner).bind(old));
        change
    }
}
