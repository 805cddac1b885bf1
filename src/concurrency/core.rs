//! The decision.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    clock::Clock,
    lease::{Answer, LEVELS_MAX, Lease, LeaseError, LeaseId, Leases, Local, Mutex, Take, Taken, Values, lock},
};

use super::{
    Admitted, Config, Impeded, LimitRecords, Place, Policy, Reserve, Resource, Scope, Subject, Threshold, WhenAway,
    Why,
    lines::Lines,
    lookout::Lookout,
    meters::Meters,
    paths::{Level, Path, Paths, Sources},
    place::{Held, Ticket, TicketState},
    waiting::{Freed, Waiter},
};

/// Within so long it is worth asking again. Clients are told whole seconds: those who were refused together come back in four parts.
const RETRY_WITHIN: Duration = Duration::from_secs(4);

/// What admission knows. Its parts: `paths.rs` (who counts where), `waiting.rs` (who waits), `keeper.rs` (what is held in a fleet).
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) leases: Arc<dyn Leases>,
    /// How long leases last without being renewed; `None` where they end with the process.
    pub(super) lasts: Option<Duration>,
    /// Counts what this node admits alone.
    pub(super) local: Local,
    pub(super) records: Arc<dyn LimitRecords>,
    pub(super) paths: Paths,
    pub(super) meters: Meters,
    /// How many wait: while nobody does, no decision looks at the lines.
    pub(super) waiting: AtomicUsize,
    pub(super) lines: Mutex<Lines<Waiter>>,
    pub(super) freed: Freed,
    pub(super) numbers: AtomicU64,
    pub(super) tickets: Mutex<HashMap<u64, Arc<Ticket>>>,
    /// Leases whose work has ended, to be released in one call.
    pub(super) ended: Mutex<Vec<(LeaseId, Arc<Path>)>>,
    pub(super) has_ended: Notify,
    pub(super) overcommitted: AtomicU64,
    pub(super) lookout: Lookout,
}

/// How one try went.
pub(super) enum Attempt {
    Admitted(Place),
    /// One of the pools is full.
    Full(Stop),
    /// Nobody can be asked, and nothing is admitted then.
    Closed,
}

/// What stopped somebody.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    /// The level of the path.
    pub(super) level: usize,
    pub(super) current: u32,
    /// How many may be held there, by who decided.
    pub(super) cap: u32,
    /// Whether it is everybody's level, and nothing narrower stops them.
    pub(super) is_of_all: bool,
}

impl Core {
    pub(super) fn path(&self, subject: Subject, resource: Resource) -> Result<Arc<Path>, LeaseError> {
        self.paths.of(subject, resource, &self.sources())
    }

    pub(super) fn sources(&self) -> Sources<'_> {
        Sources { leases: &*self.leases, records: &*self.records, defaults: &self.config.limits }
    }

    /// A decision without any waiting: of a node alone, while nobody waits and there is room. `None` leaves it to [`admit`](Core::admit).
    pub(super) fn admit_at_once(self: &Arc<Self>, subject: Subject, resource: Resource) -> Option<Place> {
        if self.lasts.is_some() || 0 < self.waiting.load(Ordering::Acquire) {
            return None;
        }
        let path = self.path(subject, resource).ok()?;
        let taken = self.take(&path, None, false).at_once().ok()?;
        match taken {
            Ok(Taken::Held { lease, values, .. }) => Some(Place::new(self.clone(), path, Held::Here(lease), values)),
            Ok(Taken::Full { .. }) | Err(_) => None,
        }
    }

    pub(super) async fn admit(self: &Arc<Self>, subject: Subject, resource: Resource) -> Result<Place, Impeded> {
        let path = self.path_to_admit(subject, resource)?;
        let attempt = match self.stopped_by_waiters(&path) {
            Some(stop) => Attempt::Full(stop),
            None => self.attempt(&path).await,
        };
        match attempt {
            Attempt::Admitted(place) => Ok(place),
            Attempt::Full(stop) => self.impede(&path, stop).await,
            Attempt::Closed => Err(self.refuse(&path, Why::Away, None)),
        }
    }

    /// The same for a request of operators: what stops everybody does not stop it, while the reserve has a place.
    pub(super) async fn admit_operator(
        self: &Arc<Self>,
        subject: Subject,
        resource: Resource,
        reserve: &Reserve,
    ) -> Result<Admitted, Impeded> {
        let path = self.path_to_admit(subject, resource)?;
        // Before those who wait, who are many: and it is to be known what else stops it than everybody's limit.
        let attempt = self.attempt(&path).await;
        let is_everybody_stopped = match &attempt {
            Attempt::Admitted(_) => false,
            Attempt::Full(stop) => stop.is_of_all,
            Attempt::Closed => true,
        };
        if is_everybody_stopped && let Some(place) = reserve.admin(subject.owner()) {
            self.meters.count_reserved(resource);
            return Ok(Admitted::Reserved(place));
        }
        match attempt {
            Attempt::Admitted(place) => Ok(Admitted::Counted(place)),
            Attempt::Full(stop) => self.impede(&path, stop).await.map(Admitted::Counted),
            Attempt::Closed => Err(self.refuse(&path, Why::Away, None)),
        }
    }

    fn path_to_admit(&self, subject: Subject, resource: Resource) -> Result<Arc<Path>, Impeded> {
        self.path(subject, resource).map_err(|error| {
            tracing::error!(%error, "nothing can be counted");
            self.impeded(subject, resource, Why::Away, Scope::Platform, 0, 0)
        })
    }

    /// What the limit says to whom it has stopped.
    async fn impede(self: &Arc<Self>, path: &Arc<Path>, stop: Stop) -> Result<Place, Impeded> {
        let Some(level) = path.levels.get(stop.level) else { return Err(self.refuse(path, Why::Full, Some(stop))) };
        match level.limit.policy {
            Policy::Delay { wait_max, waiting_max } => self.wait(path, stop, wait_max, waiting_max).await,
            Policy::Reject | Policy::Throttle { .. } | Policy::DryRun => Err(self.refuse(path, Why::Full, Some(stop))),
        }
    }

    /// What stops one who would pass those who wait.
    fn stopped_by_waiters(&self, path: &Path) -> Option<Stop> {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let pools = path.chain.pools();
        let level = lock(&self.lines).first_waited_for(&(path.subject, path.resource), pools)?;
        let Level { limit, scope, .. } = *path.levels.get(level)?;
        // Without a queue of its own it takes what there is: the limit was changed under those who wait.
        matches!(limit.policy, Policy::Delay { .. }).then(|| {
            let cap = limit.cap();
            Stop { level, current: cap, cap, is_of_all: scope == Scope::Platform }
        })
    }

    /// One try to take a place.
    pub(super) async fn attempt(self: &Arc<Self>, path: &Arc<Path>) -> Attempt {
        let Some(lasts) = self.lasts else {
            return match self.take(path, None, false).await {
                Ok(Taken::Held { lease, values, .. }) => {
                    Attempt::Admitted(Place::new(self.clone(), path.clone(), Held::Here(lease), values))
                }
                Ok(Taken::Full { level, values }) => Attempt::Full(stop(path, level, &values, path.caps())),
                Err(_) => Attempt::Closed,
            };
        };
        let asked = self.clock.since_boot();
        match self.take(path, Some(lasts), false).await {
            Ok(Taken::Held { lease, epoch, values }) => {
                let lease = Some((lease, epoch));
                let state = TicketState { lease, good_until: asked + lasts, ..TicketState::default() };
                let held = self.ticket(path, state);
                Attempt::Admitted(Place::new(self.clone(), path.clone(), held, values))
            }
            Ok(Taken::Full { level, values }) => Attempt::Full(stop(path, level, &values, path.caps())),
            Err(error) => {
                tracing::debug!(%error, "a decision without those who keep the leases");
                self.attempt_alone(path)
            }
        }
    }

    pub(super) fn take<'a>(
        &'a self,
        path: &'a Path,
        lasts: Option<Duration>,
        is_held_already: bool,
    ) -> Answer<'a, Result<Taken, LeaseError>> {
        self.leases.take(Take { chain: &path.chain, caps: path.caps(), lasts, is_held_already })
    }

    /// The same while nobody can be asked.
    fn attempt_alone(self: &Arc<Self>, path: &Arc<Path>) -> Attempt {
        self.meters.alone().increment(1);
        // What is held so is registered with the others as soon as they can be asked; until then nobody else decides.
        let state = TicketState { good_until: Duration::MAX, ..TicketState::default() };
        let admitted = |state, values: Values| {
            let held = self.ticket(path, state);
            Attempt::Admitted(Place::new(self.clone(), path.clone(), held, values))
        };
        match self.config.when_away {
            WhenAway::Closed => Attempt::Closed,
            WhenAway::Open => admitted(state, path.levels.iter().map(|_| 0).collect()),
            WhenAway::Local => {
                let Some(chain) = path.alone(&self.local) else { return Attempt::Closed };
                let caps: [u32; LEVELS_MAX] = path.caps_alone(self.config.local_percent);
                let take = Take { chain, caps: &caps, lasts: None, is_held_already: false };
                match self.local.take_now(take) {
                    Ok(Taken::Held { lease, values, .. }) => {
                        admitted(TicketState { alone: Some(lease), ..state }, values)
                    }
                    Ok(Taken::Full { level, values }) => Attempt::Full(stop(path, level, &values, &caps)),
                    Err(_) => Attempt::Closed,
                }
            }
        }
    }

    /// Gives back what this node keeps alone.
    pub(super) fn release_here(&self, lease: LeaseId, path: &Path) {
        let leases = [Lease { id: lease, chain: &path.chain }];
        // It is kept in process: the answer is there.
        drop(self.leases.release(&leases));
        self.note_freed(path);
    }

    pub(super) fn refuse(&self, path: &Arc<Path>, why: Why, stop: Option<Stop>) -> Impeded {
        if let Some(stop) = stop {
            self.note_full(path, stop);
        }
        path.usage.note_impeded(Policy::Reject);
        self.meters.count_impeded(path.resource, Policy::Reject);
        self.meters.refused(path.resource, why);
        let scope = stop.and_then(|stop| path.levels.get(stop.level)).map_or(Scope::Platform, |level| level.scope);
        let (current, cap) = stop.map_or((0, 0), |stop| (stop.current, stop.cap));
        self.impeded(path.subject, path.resource, why, scope, cap, current)
    }

    /// Somebody found a level full.
    pub(super) fn note_full(&self, path: &Arc<Path>, stop: Stop) {
        let hard = path.levels.get(stop.level).and_then(|level| level.limit.hard).unwrap_or(stop.cap);
        self.lookout.note(path, stop.level, Threshold::Hard, (hard, stop.current));
    }

    pub(super) fn impeded(
        &self,
        subject: Subject,
        resource: Resource,
        why: Why,
        scope: Scope,
        limit: u32,
        current: u32,
    ) -> Impeded {
        let account = subject.account;
        tracing::debug!(%account, %resource, level = scope.as_str(), why = why.as_str(), "impeded");
        let retry_after = RETRY_WITHIN.mul_f64(rand::random_range(0.01..1.0));
        Impeded { why, resource, scope, limit, current, retry_after }
    }
}

fn stop(path: &Path, level: usize, values: &Values, caps: &[u32]) -> Stop {
    let is_full = |at: usize| caps.get(at).is_some_and(|cap| *cap <= values.at(at));
    let is_of_all = path.levels.get(level).is_some_and(|level| level.scope == Scope::Platform)
        && (level + 1..path.levels.len()).all(|narrower| !is_full(narrower));
    Stop { level, current: values.at(level), cap: caps.get(level).copied().unwrap_or(u32::MAX), is_of_all }
}
