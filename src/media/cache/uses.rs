//! What was used today: its references are written to the durable tier once more, so that the time they were written is, to a day, the
//! time of the last use. The sweep goes by it.
//!
//! A day is one of this process, counted from its start, so that not all nodes write at midnight.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Cache, Reference, durable};
use crate::{
    clock::Clock,
    ids::{ArtifactId, Tenant},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Uses of one day that are noted at most, about 150 bytes each. What was used beyond that counts as used when it is one of the next day.
const NOTED_MAX: usize = 100_000;

/// Clones share everything.
#[derive(Clone, Debug)]
pub(super) struct Uses {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Whether anything ever expires by its last use.
    is_on: bool,
    clock: Clock,
    /// The number of the day, from 1 on.
    day: AtomicU32,
    /// A std lock: held for set operations only.
    today: Mutex<Today>,
}

#[derive(Debug)]
struct Today {
    begun: Instant,
    noted: HashSet<(Tenant, ArtifactId)>,
}

impl Uses {
    pub(super) fn new(config: &durable::Config, is_shared: bool, clock: Clock) -> Uses {
        let is_on = is_shared && config.expires();
        let today = Mutex::new(Today { begun: clock.now(), noted: HashSet::new() });
        Uses { shared: Arc::new(Shared { is_on, clock, day: AtomicU32::new(1), today }) }
    }

    /// Begins a new day when it is time.
    pub(super) fn look_at_the_clock(&self) {
        let now = self.shared.clock.now();
        let mut today = self.today();
        if DAY <= now.saturating_duration_since(today.begun) {
            *today = Today { begun: now, noted: HashSet::new() };
            self.shared.day.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes a use. Whether it is the first of the day, and there was room to note it.
    fn note(&self, tenant: &Tenant, artifact: &ArtifactId) -> bool {
        let mut today = self.today();
        today.noted.len() < NOTED_MAX && today.noted.insert((tenant.clone(), *artifact))
    }

    fn forget(&self, tenant: &Tenant, artifact: &ArtifactId) {
        self.today().noted.remove(&(tenant.clone(), *artifact));
    }

    fn today(&self) -> MutexGuard<'_, Today> {
        self.shared.today.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// The number of the day: whoever has told [`touch`](Cache::touch) of a use today need not tell it of another.
    pub fn day(&self) -> u32 {
        self.parts.uses.shared.day.load(Ordering::Relaxed)
    }

    /// Has an artifact count as used, for the sweep of the durable tier. Waits for nothing. What was purged is of no use.
    ///
    /// **Cost**: a lock and a look-up in a set, and once a day for each artifact a change of the catalogue, behind the caller.
    pub fn touch(&self, tenant: &Tenant, artifact: &ArtifactId, reference: &Reference) {
        let Shared { is_on, clock, .. } = &*self.parts.uses.shared;
        if !is_on || self.is_purged(tenant, reference) {
            return;
        }
        // It was written when it was made.
        let age = clock.now_wall().duration_since(reference.created_at);
        if age.is_ok_and(|age| age < DAY) || !self.parts.uses.note(tenant, artifact) {
            return;
        }
        // A catalogue that is as busy as that is told at the next use.
        if !self.parts.catalogue.try_tell_again(tenant, artifact) {
            self.parts.uses.forget(tenant, artifact);
        }
    }
}
