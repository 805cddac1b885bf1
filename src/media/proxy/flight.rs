//! One request to the origin for all who ask the same at the same time.
//!
//! Whoever is first leads: it asks, and says what came of it as soon as it knows. The others wait for that, no longer: an answer that
//! they may have is read by all from one spool; where there is none, each asks for itself, and the address is remembered, so that
//! nobody waits in line for what cannot be shared. A leader that goes away without a word leaves the place to the next.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::incoming::Incoming;
use crate::{ids::ResponseKey, problem::Problem};

/// Addresses that are remembered as not to be shared.
const PASSES_MAX: usize = 10_000;

/// What came of a request that others wait for.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// A response is coming in that may be others' too.
    Incoming(Arc<Incoming>),
    /// The store knows more now.
    LookAgain,
    /// It is nobody else's.
    PassOn,
    /// The origin cannot be reached.
    Failed(Problem),
}

/// The flights, and what is known of addresses beside the store. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Flights {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// A std lock: held for a map operation, never across an await.
    flights: Mutex<HashMap<ResponseKey, watch::Receiver<Option<Outcome>>>>,
    /// Until when an address is not to be shared.
    passes: Mutex<HashMap<ResponseKey, Instant>>,
    pass_memory: Duration,
    /// Of each address that the origin is being asked for: by how many, and how often it was declared void meanwhile.
    asked: Mutex<HashMap<ResponseKey, (usize, u64)>>,
}

/// A place among those who ask for an address.
pub(super) enum Place {
    /// First: asks.
    Lead(Lead),
    /// Waits for the first.
    Follow(Follow),
}

/// The first. Dropped without a word, it leaves the place to the next.
#[derive(Debug)]
pub(super) struct Lead {
    key: ResponseKey,
    outcome: watch::Sender<Option<Outcome>>,
    shared: Arc<Shared>,
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Follow {
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Flights {
    pub(super) fn new(pass_memory: Duration) -> Flights {
        let (flights, passes, asked) = (Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Shared { flights, passes, pass_memory, asked };
        Flights { shared: Arc::new(shared) }
    }

    /// Takes a place.
    pub(super) fn join(&self, key: ResponseKey) -> Place {
        let mut flights = lock(&self.shared.flights);
        if let Some(outcome) = flights.get(&key) {
            return Place::Follow(Follow { outcome: outcome.clone() });
        }
        let (outcome, receiver) = watch::channel(None);
        flights.insert(key, receiver);
        Place::Lead(Lead { key, outcome, shared: self.shared.clone() })
    }

    /// Takes the first place, if nobody has it.
    pub(super) fn lead(&self, key: ResponseKey) -> Option<Lead> {
        match self.join(key) {
            Place::Lead(lead) => Some(lead),
            Place::Follow(_) => None,
        }
    }

    /// Whether what is there under this address was not to be shared lately.
    pub(super) fn is_passed(&self, key: &ResponseKey, now: Instant) -> bool {
        lock(&self.shared.passes).get(key).is_some_and(|until| now < *until)
    }

    /// Remembers that what is there is not to be shared.
    pub(super) fn remember_pass(&self, key: ResponseKey, now: Instant) {
        let mut passes = lock(&self.shared.passes);
        if passes.len() >= PASSES_MAX {
            passes.retain(|_, until| now < *until);
        }
        // Full of what still counts: forgetting it costs a wait in line, once each.
        if passes.len() >= PASSES_MAX {
            passes.clear();
        }
        passes.insert(key, now + self.shared.pass_memory);
    }

    /// Forgets that.
    pub(super) fn forget_pass(&self, key: &ResponseKey) {
        lock(&self.shared.passes).remove(key);
    }

    /// To be taken before the origin is asked, and held until what it answers is kept.
    pub(super) fn asking(&self, key: ResponseKey) -> Asking {
        let mut asked = lock(&self.shared.asked);
        let (count, voided) = asked.entry(key).or_default();
        *count += 1;
        Asking { key, voided_before: *voided, shared: self.shared.clone() }
    }

    /// From now on, what was asked for before is not kept.
    pub(super) fn void(&self, key: &ResponseKey) {
        if let Some((_, voided)) = lock(&self.shared.asked).get_mut(key) {
            *voided += 1;
        }
        lock(&self.shared.flights).remove(key);
    }
}

/// A request to the origin whose answer may be kept.
#[derive(Debug)]
pub(super) struct Asking {
    key: ResponseKey,
    voided_before: u64,
    shared: Arc<Shared>,
}

impl Asking {
    /// Whether nothing has declared void what it asked for.
    pub(super) fn is_current(&self) -> bool {
        lock(&self.shared.asked).get(&self.key).is_some_and(|(_, voided)| *voided == self.voided_before)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut asked = lock(&self.shared.asked);
        if let Some((count, _)) = asked.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                asked.remove(&self.key);
            }
        }
    }
}

impl Lead {
    /// Says what came of it. A response that is coming in keeps the place until this is dropped; any other outcome ends the flight.
    pub(super) fn say(&self, outcome: Outcome) {
        if !matches!(outcome, Outcome::Incoming(_)) {
            self.leave();
        }
        self.outcome.send_replace(Some(outcome));
    }

    fn leave(&self) {
        let mut flights = lock(&self.shared.flights);
        // Not another's, which took the place after this one's was declared void.
        if flights.get(&self.key).is_some_and(|there| there.same_channel(&self.outcome.subscribe())) {
            flights.remove(&self.key);
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Follow {
    /// What came of it.
    pub(super) async fn outcome(mut self) -> Outcome {
        match self.outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            // The leader has gone: its caller hung up.
            Ok(None) | Err(_) => Outcome::LookAgain,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
