//! Leases of one node, in its own memory: exact, and answered at once.
//!
//! Pools lie in shards by their family; what all families share lies in a table of its own. A decision locks its family's shard, looks at the narrow
//! pools, then locks the shared table for a moment, looks there, and counts up in both. No other decision comes in between, so nothing is ever counted up on
//! trial and taken back: who is refused was refused by something that was full.

mod counts;
mod shard;
mod table;

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::clock::Clock;

use super::{
    Answer, Chain, LEVELS_MAX, Lease, LeaseError, LeaseId, Leases, Mutex, MutexGuard, Paced, Pool, Rate, Standing,
    Subscription, Take, Taken, Values, lock, pool::Ready, topics::Topics,
};
use counts::Counts;
use shard::Shard;
use table::Table;

/// Shards. More than cores that decide at once, so that two seldom want the same; few enough that sweeping all of them is nothing.
const SHARDS: usize = 64;
/// Pools that are kept at once: what chains in use are made of. A few gigabytes of memory; far above what a node has callers.
const POOLS_MAX: usize = 1 << 24;

/// Leases of one node. Cheap to clone.
#[derive(Clone)]
pub struct Local {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    seed: u64,
    shards: Box<[Mutex<Shard>]>,
    /// Locked after a shard, never before one.
    shared: Mutex<Table>,
    /// Leases that expire. While there are none, decisions read no clock.
    expiring: AtomicUsize,
    chains: AtomicU64,
    pools: AtomicUsize,
    counts: Counts,
    topics: Topics,
    standing: watch::Sender<Standing>,
}

/// Where the pools of a chain lie. They stay there while the chain is in use.
pub(in super::super) struct Slots {
    inner: Arc<Inner>,
    /// No other chain has it.
    number: u64,
    shard: usize,
    places: [Place; LEVELS_MAX],
    count: usize,
    has_shared: bool,
}

/// Where one pool lies: in the shared table, or in that of the shard.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    is_shared: bool,
    index: u32,
}

impl Slots {
    fn places(&self) -> &[Place] {
        self.places.get(..self.count).unwrap_or_default()
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let Some(shard) = self.inner.shards.get(self.shard) else { return };
        let mut shard = lock(shard);
        let mut shared = self.has_shared.then(|| lock(&self.inner.shared));
        let mut gone = 0;
        for place in self.places() {
            let table = if place.is_shared { shared.as_deref_mut() } else { Some(&mut shard.table) };
            gone += table.map_or(0, |table| usize::from(table.leave(place.index)));
        }
        self.inner.pools.fetch_sub(gone, Ordering::Relaxed);
    }
}

impl Local {
    /// Leases that begin with none.
    pub fn new(clock: Clock) -> Local {
        let seed = RandomState::new().hash_one(0_u8);
        let inner = Inner {
            clock,
            seed,
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(seed))).collect(),
            shared: Mutex::new(Table::new(seed)),
            expiring: AtomicUsize::new(0),
            chains: AtomicU64::new(1),
            pools: AtomicUsize::new(0),
            counts: Counts::default(),
            topics: Topics::default(),
            standing: watch::Sender::new(Standing::Deciding { epoch: 0 }),
        };
        Local { inner: Arc::new(inner) }
    }

    /// [`Leases::take`], which needs no waiting here.
    ///
    /// # Errors
    /// The chain is another's.
    pub fn take_now(&self, take: Take<'_>) -> Result<Taken, LeaseError> {
        let slots = self.slots(take.chain)?;
        let taken = self.decide(take, slots)?;
        let Taken::Full { level, .. } = taken else { return Ok(taken) };
        // What is shared may be full of leases of other families that have expired.
        let is_shared = slots.places().get(level).is_some_and(|place| place.is_shared);
        if is_shared && self.is_expiring() && self.sweep_all() {
            return self.decide(take, slots);
        }
        Ok(taken)
    }

    fn decide(&self, take: Take<'_>, slots: &Slots) -> Result<Taken, LeaseError> {
        let inner = &*self.inner;
        let Some(shard) = inner.shards.get(slots.shard) else { return Err(FOREIGN) };
        let is_expiring = take.lasts.is_some() || self.is_expiring();
        let now = if is_expiring { inner.clock.since_boot() } else { Duration::ZERO };
        let mut shard = lock(shard);
        if is_expiring {
            self.sweep(&mut shard, now);
        }
        let taken = self.decide_in(&mut shard, take, slots, now);
        unlock(shard);
        Ok(taken)
    }

    /// The decision itself, with the shard of the chain's family locked.
    fn decide_in(&self, shard: &mut Shard, take: Take<'_>, slots: &Slots, now: Duration) -> Taken {
        let inner = &*self.inner;
        let mut values = Values::default();
        let mut full = None;
        let mut look = |level: usize, held: u32| {
            values.set(level, held);
            let cap = take.caps.get(level).copied().unwrap_or(u32::MAX);
            if cap <= held && !take.is_held_already {
                full = Some(full.map_or(level, |full: usize| full.min(level)));
            }
        };
        for (level, place) in slots.places().iter().enumerate().filter(|(_, place)| !place.is_shared) {
            look(level, shard.table.held(place.index));
        }
        // The memory of the narrow pools is here by now: the lock that all share is held for no more than it must be.
        if slots.has_shared {
            let mut shared = lock(&inner.shared);
            for (level, place) in slots.places().iter().enumerate().filter(|(_, place)| place.is_shared) {
                look(level, shared.held(place.index));
            }
            if full.is_none() {
                for place in slots.places().iter().filter(|place| place.is_shared) {
                    shared.count_up(place.index);
                }
            }
        }
        if let Some(level) = full {
            return Taken::Full { level, values };
        }
        for place in slots.places().iter().filter(|place| !place.is_shared) {
            shard.table.count_up(place.index);
        }
        let expires = take.lasts.map(|lasts| (now + lasts, take.chain.clone()));
        if expires.is_some() {
            inner.expiring.fetch_add(1, Ordering::Relaxed);
        }
        let (slot, turn) = shard.hold(slots.number, expires);
        let values = values.as_slice().iter().map(|held| held.saturating_add(1)).collect();
        Taken::Held { lease: lease_id(slots.shard, slot, turn), values }
    }

    /// [`Leases::release`] of one lease, which needs no waiting here: whether it was still held.
    pub fn release_now(&self, lease: Lease<'_>) -> bool {
        let Ok(slots) = self.slots(lease.chain) else { return false };
        let (at, slot, turn) = parts(lease.id);
        let Some(shard) = self.inner.shards.get(slots.shard).filter(|_| at == slots.shard) else { return false };
        let mut shard = lock(shard);
        match shard.end(slot, turn, slots.number) {
            Some(ended) => {
                self.count_down(&mut shard, slots);
                if ended.0.is_some() {
                    self.inner.expiring.fetch_sub(1, Ordering::Relaxed);
                }
                drop(shard);
                true
            }
            None => false,
        }
    }

    /// Counts down where an ended lease counted. The caller holds the shard's lock.
    fn count_down(&self, shard: &mut Shard, slots: &Slots) {
        for place in slots.places().iter().filter(|place| !place.is_shared) {
            shard.table.count_down(place.index);
        }
        if slots.has_shared {
            let mut shared = lock(&self.inner.shared);
            for place in slots.places().iter().filter(|place| place.is_shared) {
                shared.count_down(place.index);
            }
        }
    }

    /// Ends what has expired in one shard, and says whether there was anything.
    fn sweep(&self, shard: &mut Shard, now: Duration) -> bool {
        let mut swept = false;
        while let Some(chain) = shard.next_expired(now) {
            if let Ready::Local(slots) = chain.ready() {
                self.count_down(shard, slots);
            }
            self.inner.expiring.fetch_sub(1, Ordering::Relaxed);
            shard.dropped.push(chain);
            swept = true;
        }
        swept
    }

    fn sweep_all(&self) -> bool {
        let now = self.inner.clock.since_boot();
        let mut swept = false;
        for shard in &self.inner.shards {
            let mut shard = lock(shard);
            swept |= self.sweep(&mut shard, now);
            unlock(shard);
        }
        swept
    }

    fn is_expiring(&self) -> bool {
        0 < self.inner.expiring.load(Ordering::Relaxed)
    }

    /// [`Leases::values`], which needs no waiting here.
    ///
    /// # Errors
    /// The chain is another's.
    pub fn values_now(&self, chain: &Chain) -> Result<Values, LeaseError> {
        let slots = self.slots(chain)?;
        if self.is_expiring() {
            self.sweep_all();
        }
        let Some(shard) = self.inner.shards.get(slots.shard) else { return Err(FOREIGN) };
        let shard = lock(shard);
        let shared = lock(&self.inner.shared);
        let held =
            |place: &Place| if place.is_shared { shared.held(place.index) } else { shard.table.held(place.index) };
        Ok(slots.places().iter().map(held).collect())
    }

    fn renew_now(&self, lease: Lease<'_>, lasts: Duration) -> bool {
        let Ok(slots) = self.slots(lease.chain) else { return false };
        let (at, slot, turn) = parts(lease.id);
        let Some(shard) = self.inner.shards.get(slots.shard).filter(|_| at == slots.shard) else { return false };
        let now = self.inner.clock.since_boot();
        let mut shard = lock(shard);
        self.sweep(&mut shard, now);
        let is_there = shard.extend(slot, turn, slots.number, now + lasts);
        unlock(shard);
        is_there
    }

    /// The places of a chain of ours.
    fn slots<'a>(&self, chain: &'a Chain) -> Result<&'a Slots, LeaseError> {
        match chain.ready() {
            Ready::Local(slots) if Arc::ptr_eq(&slots.inner, &self.inner) => Ok(slots),
            _ => Err(FOREIGN),
        }
    }

    fn make_chain(&self, pools: &[Pool]) -> Result<Chain, LeaseError> {
        Chain::check(pools)?;
        let inner = &self.inner;
        if POOLS_MAX <= inner.pools.load(Ordering::Relaxed) {
            return Err(LeaseError::TooMany { what: "pools", max: POOLS_MAX });
        }
        let family = pools.iter().find_map(|pool| pool.family());
        let mixed = Pool::shared(0, family.unwrap_or_default()).mixed(inner.seed);
        let shard = usize::try_from(mixed % SHARDS as u64).unwrap_or_default();
        let mut places = [Place::default(); LEVELS_MAX];
        let mut has_shared = false;
        {
            let Some(locked) = inner.shards.get(shard) else { return Err(FOREIGN) };
            let mut own = lock(locked);
            let mut shared = lock(&inner.shared);
            for (pool, place) in pools.iter().zip(&mut places) {
                let is_shared = pool.family().is_none();
                has_shared |= is_shared;
                let (index, is_new) = if is_shared { shared.enter(*pool) } else { own.table.enter(*pool) };
                inner.pools.fetch_add(usize::from(is_new), Ordering::Relaxed);
                *place = Place { is_shared, index };
            }
        }
        let number = inner.chains.fetch_add(1, Ordering::Relaxed);
        let slots = Slots { inner: inner.clone(), number, shard, places, count: pools.len(), has_shared };
        Ok(Chain::new(pools, Ready::Local(slots)))
    }

    /// Pools that chains in use are made of.
    pub fn pools(&self) -> usize {
        self.inner.pools.load(Ordering::Relaxed)
    }
}

const FOREIGN: LeaseError = LeaseError::Chain("a chain is used with leases that it was not made for");

/// Unlocks a shard, and drops the chains of what has expired: the last owner of a chain gives its pools back, for which it locks the shard.
fn unlock(mut shard: MutexGuard<'_, Shard>) {
    let dropped = std::mem::take(&mut shard.dropped);
    drop(shard);
    drop(dropped);
}

fn lease_id(shard: usize, slot: u32, turn: u64) -> LeaseId {
    LeaseId((shard as u128) << 96 | u128::from(slot) << 64 | u128::from(turn))
}

fn parts(LeaseId(id): LeaseId) -> (usize, u32, u64) {
    ((id >> 96) as usize, (id >> 64) as u32, id as u64)
}

impl Leases for Local {
    fn is_shared(&self) -> bool {
        false
    }

    fn chain(&self, pools: &[Pool]) -> Result<Chain, LeaseError> {
        self.make_chain(pools)
    }

    fn take<'a>(&'a self, take: Take<'a>) -> Answer<'a, Result<Taken, LeaseError>> {
        Answer::now(self.take_now(take))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease<'a>], lasts: Duration) -> Answer<'a, Result<Vec<bool>, LeaseError>> {
        Answer::now(Ok(leases.iter().map(|lease| self.renew_now(*lease, lasts)).collect()))
    }

    fn release<'a>(&'a self, leases: &'a [Lease<'a>]) -> Answer<'a, Result<usize, LeaseError>> {
        Answer::now(Ok(leases.iter().filter(|lease| self.release_now(**lease)).count()))
    }

    fn values<'a>(&'a self, chain: &'a Chain) -> Answer<'a, Result<Values, LeaseError>> {
        Answer::now(self.values_now(chain))
    }

    fn pace(&self, pool: Pool, rate: Rate) -> Answer<'_, Result<Paced, LeaseError>> {
        Answer::now(self.inner.counts.pace(pool, rate, self.inner.clock.since_boot()))
    }

    fn add(&self, counter: Pool, by: i64, lasts: Duration) -> Answer<'_, Result<i64, LeaseError>> {
        Answer::now(self.inner.counts.add(counter, by, lasts, self.inner.clock.since_boot()))
    }

    fn publish<'a>(&'a self, topic: &'a str, message: &'a [u8]) -> Answer<'a, Result<(), LeaseError>> {
        self.inner.topics.tell(topic, message);
        Answer::now(Ok(()))
    }

    fn subscribe(&self, topic: &str) -> Result<Subscription, LeaseError> {
        self.inner.topics.subscribe(topic).map(|(subscription, _)| subscription)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.inner.standing.subscribe()
    }

    fn keep(&self) -> Answer<'_, ()> {
        Answer::later(std::future::pending())
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("pools", &self.pools()).finish_non_exhaustive()
    }
}
