//! Leases: places of which there is a limited number, held for a time and given back by themselves; with them counters, paces and messages
//! between nodes.
//!
//! One trait, [`Leases`], and two that keep it: [`Local`] for one node, exact and in process, and [`Redis`] for a fleet. The room knows no
//! account and no call: a [`Pool`] is a number, a [`Chain`] the pools that one decision counts in, from the widest to the narrowest. A decision looks at
//! all of them and takes in all or in none.
//!
//! A value is the number of leases that have not ended, been released or expired. What expires is counted out before the next decision, on the
//! clock of whoever keeps the leases. `conformance.rs` says what both must do.

mod config;

mod error;

mod mixed;

mod pool;

mod pace;

mod answer;

mod standing;

mod topics;

mod local;

mod redis;

mod sync;

#[cfg(test)]
#[cfg(not(model))]
mod conformance;
#[cfg(test)]
#[cfg(model)]
mod model;
#[cfg(test)]
#[cfg(not(model))]
mod tests;

use std::{fmt, time::Duration};

pub use answer::Answer;
pub use config::{Config, RedisUrl};
pub use error::LeaseError;
pub use local::Local;
pub(crate) use mixed::BuildMixed;
pub use pace::{Paced, Rate};
pub use pool::{Chain, LEVELS_MAX, LeaseId, Pool, Values};
pub use redis::Redis;
pub use standing::Standing;
pub use sync::{Mutex, MutexGuard, lock};
pub use topics::Subscription;

use tokio::sync::watch;

/// Who keeps leases. Cheap to call: what is kept in process answers without waiting and without a heap allocation.
pub trait Leases: fmt::Debug + Send + Sync + 'static {
    /// Whether other nodes take from the same pools. Leases that are not shared need no renewal: they end with the process.
    fn is_shared(&self) -> bool;

    /// Makes ready what decisions over these pools need, once for many of them.
    ///
    /// # Errors
    /// There are none or too many of them, or they are of several families.
    fn chain(&self, pools: &[Pool]) -> Result<Chain, LeaseError>;

    /// Takes one place in every pool of a chain, or in none: one atomic step.
    ///
    /// # Errors
    /// Nobody can be asked. What was taken without our hearing of it is given back, at the latest when it expires.
    fn take<'a>(&'a self, take: Take<'a>) -> Answer<'a, Result<Taken, LeaseError>>;

    /// Extends leases from now on, and says of each whether it was still there. One that has expired is not: its place may be another's.
    ///
    /// # Errors
    /// Nobody can be asked.
    fn renew<'a>(&'a self, leases: &'a [Lease<'a>], lasts: Duration) -> Answer<'a, Result<Vec<bool>, LeaseError>>;

    /// Gives places back, and says how many of them were still held. What is not held is passed over, so it may be done again.
    ///
    /// # Errors
    /// Nobody can be asked. They expire then.
    fn release<'a>(&'a self, leases: &'a [Lease<'a>]) -> Answer<'a, Result<usize, LeaseError>>;

    /// How many places are taken in each pool of a chain.
    ///
    /// # Errors
    /// Nobody can be asked.
    fn values<'a>(&'a self, chain: &'a Chain) -> Answer<'a, Result<Values, LeaseError>>;

    /// When the next one may begin of which only so many may in a second.
    ///
    /// # Errors
    /// Nobody can be asked.
    fn pace(&self, pool: Pool, rate: Rate) -> Answer<'_, Result<Paced, LeaseError>>;

    /// Adds to a counter, which begins at 0 and is forgotten when nobody has added to it for so long. Returns what it is then.
    ///
    /// # Errors
    /// Nobody can be asked.
    fn add(&self, counter: Pool, by: i64, lasts: Duration) -> Answer<'_, Result<i64, LeaseError>>;

    /// Tells all who listen to a topic, on all nodes. At most once: who is away or slow hears that something was lost, not what.
    ///
    /// # Errors
    /// Nobody can be told.
    fn publish<'a>(&'a self, topic: &'a str, message: &'a [u8]) -> Answer<'a, Result<(), LeaseError>>;

    /// Listens to a topic.
    ///
    /// # Errors
    /// There are too many topics already.
    fn subscribe(&self, topic: &str) -> Result<Subscription, LeaseError>;

    /// Whether decisions are made, as it changes.
    fn standing(&self) -> watch::Receiver<Standing>;

    /// Keeps the way to whoever keeps the leases open, until it is dropped. One task does this for as long as leases are used.
    fn keep(&self) -> Answer<'_, ()>;
}

/// What is to be taken.
#[derive(Clone, Copy, Debug)]
pub struct Take<'a> {
    /// Where.
    pub chain: &'a Chain,
    /// How many may be held in each pool of the chain, this one among them. Pools beyond the list have no limit.
    pub caps: &'a [u32],
    /// When it expires unless it is renewed; without it, when the process ends.
    pub lasts: Option<Duration>,
    /// Whether it is held already, by work that goes on: it counts, whatever the limits, and also while holders register again.
    pub is_held_already: bool,
}

/// How a decision went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The place is held.
    Held {
        /// Names it.
        lease: LeaseId,
        /// The epoch that it was taken in: when that is over it is lost.
        epoch: u64,
        /// What the pools hold, this one among them.
        values: Values,
    },
    /// One of the pools is full: the first of the chain that is. Nothing was taken.
    Full {
        /// Which one, counted from 0.
        level: usize,
        /// What the pools hold.
        values: Values,
    },
}

/// A place that is held, as [`Leases::renew`] and [`Leases::release`] take it.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    /// Names it.
    pub id: LeaseId,
    /// Where it was taken.
    pub chain: &'a Chain,
}
