//! How many may be in progress: for each account and each kind of work, so that one account at its limit never slows another and heavy work never blocks light.
//!
//! [`Concurrency`] is the face. Before work begins it is [admitted](Concurrency::admit): one atomic step looks at every level that concerns it (platform, account,
//! subaccount, key) and takes a place in all or in none. The [`Place`] is given back when it is dropped, however the work ends; who holds it, and until when, the
//! kind of work says ([`Resource::completion`]). Who would be one too many is refused, made to wait, answered slowly, or only counted ([`Policy`]).
//!
//! Where the leases are this node's own nothing is asked of anybody. In a fleet they are kept by a server: then places are renewed while work goes on, taken again
//! after a pause, registered again where the server has lost them, and while it cannot be asked the node decides by itself ([`WhenAway`]).

mod config;

mod error;

mod resource;

mod subject;

mod limits;

mod stored;

mod giving;

mod paths;

mod core;

mod place;

mod lines;

mod waiting;

mod keeper;

mod lookout;

mod turns;

mod reserve;

mod usage;

mod meters;

#[cfg(test)]
#[cfg(model)]
mod model;
#[cfg(test)]
#[cfg(not(model))]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    clock::Clock,
    ids::{AccountSid, Tenant},
    lease::{Leases, Local, Mutex, lock},
};

pub use config::{Config, WhenAway};
pub use error::{Impeded, PlaceLost, TOO_MANY_CODE, Why};
pub use giving::{By, EDITS_MAX, Edit, LimitName, Measure, OWNED_MAX, Recorder, Rule, Slot};
pub use limits::{DefaultLimits, Giver, Limit, LimitError, LimitRecord, LimitRecords, MemoryLimits, PerSecond, Policy};
pub use lookout::{Alarms, Alert, TOLD_EVERY, Threshold};
pub use place::{Place, PlaceReading};
pub use reserve::{AdminPlace, Admitted, CallNumber, HangUp, HangUpPlace, Reserve};
pub use resource::{Completion, NotAResource, Resource};
pub use stored::{LimitsError, NotAScope, StoredLimit, StoredLimits};
pub use subject::{Destination, Families, Family, NoFamilies, Scope, Subject};
pub use turns::Turn;
pub use usage::{Impediments, UsageReading};

use self::core::Core;
use lines::Lines;
use meters::Meters;
use paths::Paths;

/// Admission of one node. Cheap to clone.
#[derive(Clone)]
pub struct Concurrency {
    core: Arc<Core>,
    reserve: Reserve,
    families: Arc<dyn Families>,
}

impl Concurrency {
    /// Admission by these leases and limits. `lasts` is how long leases last without being renewed, where they are shared. In a fleet, and where anything
    /// waits, [`keep`](Concurrency::keep) has to run.
    pub fn new(
        config: Config,
        leases: Arc<dyn Leases>,
        lasts: Duration,
        records: Arc<dyn LimitRecords>,
        clock: Clock,
    ) -> Concurrency {
        let reserve = Reserve::new(config.hang_ups_max, config.admin_max);
        let core = Core {
            lasts: leases.is_shared().then_some(lasts),
            leases,
            local: Local::new(clock.clone()),
            records,
            paths: Paths::new(config.callers_max),
            meters: Meters::new(),
            waiting: AtomicUsize::new(0),
            lines: Mutex::new(Lines::new()),
            freed: waiting::Freed::default(),
            numbers: AtomicU64::new(0),
            tickets: Mutex::default(),
            ended: Mutex::default(),
            has_ended: Notify::new(),
            overcommitted: AtomicU64::new(0),
            lookout: lookout::Lookout::new(),
            clock,
            config,
        };
        Concurrency { core: Arc::new(core), reserve, families: Arc::new(NoFamilies) }
    }

    /// The same, which knows whose subaccounts accounts are.
    #[must_use]
    pub fn with_families(self, families: Arc<dyn Families>) -> Concurrency {
        Concurrency { families, ..self }
    }

    /// For whom something counts that is done for a tenant, whoever asked for it.
    pub async fn subject_of(&self, tenant: &Tenant) -> Subject {
        let Some(account) = tenant.account() else { return Subject::account(AccountSid::NOBODY) };
        let Family { parent, allowed } = self.families.of(account).await;
        Subject { parent, allowed, ..Subject::account(account) }
    }

    /// Admits one piece of work, at once or after it has waited. Dropped, it holds nothing and stands in no line.
    ///
    /// # Errors
    /// It is not admitted, and nothing of it was done.
    ///
    /// Cost: on a node alone, without waiting, under 0.2 µs and no heap allocation; in a fleet one question to the server.
    pub async fn admit(&self, subject: Subject, resource: Resource) -> Result<Place, Impeded> {
        match self.core.admit_at_once(subject, resource) {
            Some(place) => Ok(place),
            // In a box, so that what never waits does not carry the room for it about.
            None => Box::pin(self.core.admit(subject, resource)).await,
        }
    }

    /// The same for a request by which operators look after the node. Where everybody together has as many in progress as may be, or nobody can be asked, it is let
    /// in by the reserve, without waiting; what limits its own account stops it like any other.
    ///
    /// # Errors
    /// As [`admit`](Concurrency::admit).
    pub async fn admit_operator(&self, subject: Subject, resource: Resource) -> Result<Admitted, Impeded> {
        match self.core.admit_at_once(subject, resource) {
            Some(place) => Ok(Admitted::Counted(place)),
            None => Box::pin(self.core.admit_operator(subject, resource, &self.reserve)).await,
        }
    }

    /// When one more may begin, of which only so many may in a second.
    ///
    /// # Errors
    /// As many wait for their turn as may.
    pub async fn turn(&self, subject: Subject, resource: Resource) -> Result<Turn, Impeded> {
        self.core.turn(subject, resource).await
    }

    /// What is kept free for hang-ups and operators.
    pub fn reserve(&self) -> &Reserve {
        &self.reserve
    }

    /// What an account uses, by kind of work: of all kinds of which any is in progress somewhere or was on this node. By whatever key: it is the account's.
    pub async fn usage(&self, subject: Subject) -> Vec<UsageReading> {
        let (core, subject) = (&self.core, Subject { key: None, ..subject });
        let read = async |resource: &Resource| {
            let path = core.path(subject, *resource).ok()?;
            let current = match core.leases.values(&path.chain).await {
                Ok(values) => path.own_value(&values),
                Err(_) => path.usage.seen(),
            };
            let is_used = 0 < current || path.usage.is_used();
            is_used.then(|| {
                path.usage.read(subject.account, *resource, current, path.own_limit().and_then(|limit| limit.hard))
            })
        };
        futures_util::future::join_all(Resource::ALL.iter().map(read)).await.into_iter().flatten().collect()
    }

    /// The limits that concern somebody, by kind of work, from the widest to the narrowest, and who has given them. All of them hold.
    pub fn limits(&self, subject: Subject) -> Vec<(Resource, Scope, Giver, Limit)> {
        let sources = self.core.sources();
        let mut all = Vec::new();
        for resource in Resource::ALL {
            for scope in subject.scopes(*resource) {
                let given = sources.given(subject, scope, *resource);
                let given = given.filter(|(_, limit)| limit.soft.is_some() || limit.hard.is_some());
                all.extend(given.map(|(giver, limit)| (*resource, scope, giver, limit)));
            }
        }
        all
    }

    /// How many may begin in a second of what concerns somebody, by kind of work, and who says so.
    pub fn rates(&self, subject: Subject) -> Vec<(Resource, Scope, Giver, PerSecond)> {
        let mut all = Vec::new();
        for resource in Resource::ALL {
            for account in subject.parent.into_iter().chain([subject.account]) {
                let scope = Scope::Account(account);
                let given = self.core.rates_given(scope, *resource);
                all.extend(given.map(|(giver, rate)| (*resource, scope, giver, rate)));
            }
        }
        all
    }

    /// Tells of limits that are reached, until it is dropped. Without it nobody is told; decisions are the same.
    pub async fn keep_looking_out(&self, alarms: &dyn Alarms) {
        self.core.keep_looking_out(alarms).await;
    }

    /// How many of an account wait for a place on this node.
    pub fn waiting(&self, subject: Subject, resource: Resource) -> u32 {
        self.core.path(subject, resource).map_or(0, |path| self.core.waiting_of(&path))
    }

    /// How much work goes or went on though its place was given to others.
    pub fn overcommitted(&self) -> u64 {
        self.core.overcommitted.load(Ordering::Relaxed)
    }

    /// Places that this node holds in a fleet.
    pub fn held(&self) -> usize {
        lock(&self.core.tickets).len()
    }

    /// Hands places over to those who wait, renews them, registers them again and gives them back, until it is dropped. One task does this.
    pub async fn keep(&self) {
        tokio::join!(self.core.keep_handing_over(), self.core.keep_renewing(), self.core.keep_releasing());
    }

    /// Gives back what has ended and was not given back yet: at the end of a drain.
    pub async fn close(&self) {
        self.core.release_ended().await;
    }
}

impl fmt::Debug for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concurrency").field("leases", &self.core.leases).finish_non_exhaustive()
    }
}
