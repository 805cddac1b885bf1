//! Paces and counters of one node.

use std::{collections::HashMap, time::Duration};

use super::super::{
    LeaseError, Mutex, Paced, Pool, Rate, lock,
    pace::{decide, micros},
};

/// Paces, and counters, that are kept at once.
const COUNTS_MAX: usize = 1 << 20;

/// Std locks: held for map operations only.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// When the next turn is, in microseconds.
    paces: Mutex<Forgetful<u64>>,
    counters: Mutex<Forgetful<(i64, u64)>>,
}

/// A table that is rid of what has passed when it has doubled since, so that each entry is looked at twice at most.
#[derive(Debug)]
struct Forgetful<V> {
    all: HashMap<Pool, V>,
    look_at: usize,
}

impl<V> Default for Forgetful<V> {
    fn default() -> Self {
        Forgetful { all: HashMap::new(), look_at: 1_024 }
    }
}

impl<V> Forgetful<V> {
    fn make_room(&mut self, what: &'static str, is_passed: impl Fn(&V) -> bool) -> Result<(), LeaseError> {
        if self.look_at <= self.all.len() {
            self.all.retain(|_, value| !is_passed(value));
            self.look_at = (2 * self.all.len()).clamp(1_024, COUNTS_MAX);
        }
        if COUNTS_MAX <= self.all.len() { Err(LeaseError::TooMany { what, max: COUNTS_MAX }) } else { Ok(()) }
    }
}

impl Counts {
    pub(super) fn pace(&self, pool: Pool, rate: Rate, now: Duration) -> Result<Paced, LeaseError> {
        let now = micros(now);
        let mut paces = lock(&self.paces);
        paces.make_room("paces", |due| *due <= now)?;
        let due = paces.all.entry(pool).or_insert(0);
        let (paced, after) = decide(rate, *due, now);
        *due = after;
        Ok(paced)
    }

    pub(super) fn add(&self, counter: Pool, by: i64, lasts: Duration, now: Duration) -> Result<i64, LeaseError> {
        let now = micros(now);
        let mut counters = lock(&self.counters);
        counters.make_room("counters", |(_, until)| *until <= now)?;
        let (value, until) = counters.all.entry(counter).or_insert((0, 0));
        if *until <= now {
            *value = 0;
        }
        *value = value.saturating_add(by);
        *until = now.saturating_add(micros(lasts));
        Ok(*value)
    }
}
