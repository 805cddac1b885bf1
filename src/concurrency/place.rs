//! A place that is held while work is in progress, and given back however the work ends.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::lease::{LeaseId, Mutex, Values, lock};

use super::{PlaceLost, Policy, Resource, Threshold, core::Core, paths::Path};

/// A place among those that may be in progress. Dropping it gives it back: so does every way in which work can end that holds it.
pub struct Place {
    core: Arc<Core>,
    path: Arc<Path>,
    held: Held,
    values: Values,
    slowed_by: Option<Duration>,
    pub(super) has_waited: bool,
}

/// How a place is held.
pub(super) enum Held {
    /// By who keeps the leases of this node alone: it ends with the process.
    Here(LeaseId),
    /// In a fleet.
    There(Arc<Ticket>),
}

/// A place that is held in a fleet: known to the keeper, who renews it.
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) path: Arc<Path>,
    pub(super) state: Mutex<TicketState>,
    /// Held by whoever gets its place back, so that nobody does it twice at once.
    pub(super) getting_back: tokio::sync::Mutex<()>,
}

/// What is known of it. A std lock: held for reads and writes of these few words.
#[derive(Clone, Copy, Default)]
pub(super) struct TicketState {
    /// The lease that others see, and the epoch that it was taken in.
    pub(super) lease: Option<(LeaseId, u64)>,
    /// The lease by which this node counted it alone while nobody could be asked. Kept to the end: it bounds how many were admitted so.
    pub(super) alone: Option<LeaseId>,
    /// Until when, since boot, nobody else can have the place.
    pub(super) good_until: Duration,
    /// The work has ended.
    pub(super) is_over: bool,
    /// Others have the place.
    pub(super) is_lost: bool,
}

/// What is told of a place: in headers, for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceReading {
    /// Of what.
    pub resource: Resource,
    /// How many of the caller's account are in progress, this one among them.
    pub current: u32,
    /// How many may be; without it any number.
    pub limit: Option<u32>,
    /// Its soft limit, where that is reached.
    pub soft_reached: Option<u32>,
}

impl Place {
    pub(super) fn new(core: Arc<Core>, path: Arc<Path>, held: Held, values: Values) -> Place {
        path.usage.note_admitted(path.own_value(&values));
        core.meters.count_admitted(path.resource);
        let mut place = Place { core, path, held, values, slowed_by: None, has_waited: false };
        if place.path.is_notable(&values) {
            place.note();
        }
        place
    }

    /// Notes which limits have something to say.
    fn note(&mut self) {
        let path = &self.path;
        let lookout = &self.core.lookout;
        // One admission counts once, however many levels have something to say to it.
        let (mut is_above_soft, mut slows, mut would_impede) = (false, None, None);
        for (at, (level, held)) in path.levels.iter().zip(self.values.as_slice()).enumerate() {
            if let Some(soft) = level.limit.soft.filter(|soft| soft <= held) {
                is_above_soft = true;
                lookout.note(path, at, Threshold::Soft, (soft, *held));
            }
            for limit in path.limits_of(at) {
                let Some(hard) = limit.hard.filter(|hard| hard < held) else { continue };
                match limit.policy {
                    Policy::Throttle { slowed_by, .. } => {
                        self.slowed_by = Some(self.slowed_by.map_or(slowed_by, |other| other.max(slowed_by)));
                        slows = Some(limit.policy);
                    }
                    Policy::DryRun => {
                        let (account, resource) = (path.subject.account, path.resource);
                        tracing::info!(%account, %resource, level = level.scope.as_str(), hard, held, "would be impeded");
                        would_impede = Some(limit.policy);
                    }
                    // Raised or taken away since; or a call that lives on though its place was given to others.
                    Policy::Reject | Policy::Delay { .. } => continue,
                }
                lookout.note(path, at, Threshold::Hard, (hard, *held));
            }
        }
        if is_above_soft {
            path.usage.note_above_soft();
            self.core.meters.count_above_soft(path.resource);
        }
        for policy in slows.into_iter().chain(would_impede) {
            path.usage.note_impeded(policy);
            self.core.meters.count_impeded(path.resource, policy);
        }
    }

    /// What is told of it.
    pub fn read(&self) -> PlaceReading {
        let current = self.path.own_value(&self.values);
        PlaceReading {
            resource: self.path.resource,
            current,
            limit: self.path.own_limit().and_then(|limit| limit.hard),
            soft_reached: self.path.own_limit().and_then(|limit| limit.soft).filter(|soft| *soft <= current),
        }
    }

    /// By how much the answer is to be held back, where the limit slows.
    pub fn slowed_by(&self) -> Option<Duration> {
        self.slowed_by
    }

    /// Whether it was waited for, so that what was known before may be old by now.
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Whether it is sure that nobody else has the place, so that work may go on without [`confirm`](Place::confirm). Cost: reads a clock in a fleet,
    /// nothing on a node alone.
    pub fn is_sure(&self) -> bool {
        match &self.held {
            Held::Here(_) => true,
            Held::There(ticket) => {
                let state = *lock(&ticket.state);
                !state.is_lost && self.core.clock.since_boot() < state.good_until
            }
        }
    }

    /// Makes sure, before the next chunk, callback or tick: a node that was paused may have lost its places to others, and takes them again first. Asks
    /// nobody while [`is_sure`](Place::is_sure).
    ///
    /// # Errors
    /// Others have the place. Streams end then; of what goes on (calls, uploads) nothing is said here, it is counted as overcommitted.
    pub async fn confirm(&self) -> Result<(), PlaceLost> {
        match &self.held {
            Held::Here(_) => Ok(()),
            Held::There(_) if self.is_sure() => Ok(()),
            Held::There(ticket) => self.core.confirm(ticket).await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.core.meters.count_ended(self.path.resource);
        match &self.held {
            Held::Here(lease) => self.core.release_here(*lease, &self.path),
            Held::There(ticket) => self.core.end(ticket),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("reading", &self.read()).finish_non_exhaustive()
    }
}

impl Core {
    /// A place in a fleet, which the keeper knows from now on.
    pub(super) fn ticket(&self, path: &Arc<Path>, state: TicketState) -> Held {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (state, getting_back) = (Mutex::new(state), tokio::sync::Mutex::default());
        let ticket = Arc::new(Ticket { number, path: path.clone(), state, getting_back });
        lock(&self.tickets).insert(number, ticket.clone());
        Held::There(ticket)
    }
}
