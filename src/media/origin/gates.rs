//! How many fetches run at once against one origin.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One gate for each origin that somebody fetches from or waits for; gone when nobody does.
#[derive(Debug)]
pub(super) struct Gates {
    waiting_max: usize,
    /// A std lock: it is held for a map operation and never across an await.
    gates: Mutex<HashMap<Arc<str>, Gate>>,
}

#[derive(Debug)]
struct Gate {
    running: Arc<Semaphore>,
    /// Fetches that run or wait.
    users: usize,
}

/// A fetch that may run. Dropping it lets the next in line start.
#[derive(Debug)]
pub(super) struct Permit {
    /// Given back before the seat, whose drop may take the gate away.
    _running: OwnedSemaphorePermit,
    _seat: Seat,
}

/// A fetch that runs or waits.
#[derive(Debug)]
struct Seat {
    gates: Arc<Gates>,
    origin: Arc<str>,
}

impl Gates {
    pub(super) fn new(waiting_max: usize) -> Arc<Gates> {
        Arc::new(Gates { waiting_max, gates: Mutex::default() })
    }

    /// Waits in line for one of `running_max` permits, which is the same each time for one origin; `None` at once if the line is full.
    /// First come, first served; cancel-safe.
    pub(super) async fn enter(self: &Arc<Gates>, origin: &str, running_max: usize) -> Option<Permit> {
        let (seat, running) = self.sit(origin, running_max)?;
        // A gate's semaphore is never closed.
        let running = running.acquire_owned().await.ok()?;
        Some(Permit { _running: running, _seat: seat })
    }

    fn sit(self: &Arc<Gates>, origin: &str, running_max: usize) -> Option<(Seat, Arc<Semaphore>)> {
        let mut gates = self.lock();
        let origin: Arc<str> = gates.get_key_value(origin).map_or_else(|| origin.into(), |(known, _)| known.clone());
        let gate = gates
            .entry(origin.clone())
            .or_insert_with(|| Gate { running: Arc::new(Semaphore::new(running_max)), users: 0 });
        if gate.users >= running_max.saturating_add(self.waiting_max) {
            return None;
        }
        gate.users += 1;
        Some((Seat { gates: self.clone(), origin }, gate.running.clone()))
    }

    /// Nothing in here panics while the lock is held, and counts would survive it.
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn users(&self, origin: &str) -> Option<usize> {
        self.lock().get(origin).map(|gate| gate.users)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut gates = self.gates.lock();
        if let Some(gate) = gates.get_mut(&self.origin) {
            gate.users -= 1;
            if gate.users == 0 {
                gates.remove(&self.origin);
            }
        }
    }
}
