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
    Answer, Chain, LEVELS_MAX, Lease, LeaseError, LeaseId, Leases, Mutex, Paced, Pool, Rate, Standing, Subscription,
    Take, Taken, Values, lock,
    pool::{Ready, fold},
    topics::Topics,
};
use counts::Counts;
use shard::{Ended, Shard};
use table::Table;

/// Shards. More than cores that decide at once, so that two seldom want the same; few enough that sweeping all of them is nothing.
const SHARDS: usize = 64;
/// Pools that are kept at once: what chains in use are made of. A few gigabytes of memory; far above what a node has callers.
const POOLS_MAX: usize = 1 << 24;

/// The one epoch: what is kept here is never lost before the process ends.
const EPOCH: u64 = 0;

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
    places: Places,
    shard: u16,
}

/// Where pools lie, in a chain's order.
#[derive(Clone, Copy, Default)]
pub(super) struct Places {
    places: [Place; LEVELS_MAX],
    count: u8,
    has_shared: bool,
}

/// Where one pool lies: its index, and in the highest bit whether in the shared table or in that of the shard.
#[derive(Clone, Copy, Default)]
struct Place(u32);

impl Place {
    const SHARED: u32 = 1 << 31;

    const fn new(index: u32, is_shared: bool) -> Place {
        Place(if is_shared { index | Place::SHARED } else { index })
    }

    const fn is_shared(self) -> bool {
        self.0 & Place::SHARED != 0
    }

    const fn index(self) -> u32 {
        self.0 & !Place::SHARED
    }
}

// An index never reaches the bit.
const _: () = assert!(POOLS_MAX < Place::SHARED as usize);

impl Places {
    fn all(&self) -> impl Iterator<Item = (usize, Place)> + use<> {
        self.places.into_iter().take(usize::from(self.count)).enumerate()
    }

    fn own(&self) -> impl Iterator<Item = (usize, Place)> + use<> {
        self.all().filter(|(_, place)| !place.is_shared())
    }

    fn shared(&self) -> impl Iterator<Item = (usize, Place)> + use<> {
        self.all().filter(|(_, place)| place.is_shared())
    }

    fn push(&mut self, place: Place) {
        if let Some(free) = self.places.get_mut(usize::from(self.count)) {
            *free = place;
            self.count += 1;
            self.has_shared |= place.is_shared();
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let Some(shard) = self.inner.shards.get(usize::from(self.shard)) else { return };
        let mut shard = lock(shard);
        let mut gone: usize = self.places.own().map(|(_, place)| usize::from(shard.table.leave(place.index()))).sum();
        if self.places.has_shared {
            let mut shared = lock(&self.inner.shared);
            gone += self.places.shared().map(|(_, place)| usize::from(shared.leave(place.index()))).sum::<usize>();
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
            standing: watch::Sender::new(Standing::Deciding { epoch: EPOCH }),
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
        let is_shared = slots.places.shared().any(|(at, _)| at == level);
        if is_shared && self.is_expiring() && self.sweep_all() {
            return self.decide(take, slots);
        }
        Ok(taken)
    }

    fn decide(&self, take: Take<'_>, slots: &Slots) -> Result<Taken, LeaseError> {
        let inner = &*self.inner;
        let Some(shard) = inner.shards.get(usize::from(slots.shard)) else { return Err(FOREIGN) };
        let is_expiring = take.lasts.is_some() || self.is_expiring();
        let now = if is_expiring { inner.clock.since_boot() } else { Duration::ZERO };
        let mut shard = lock(shard);
        if is_expiring {
            self.sweep(&mut shard, now);
        }
        let places = slots.places;
        let mut values = Values::default();
        let mut full = None;
        let mut look = |level: usize, held: u32| {
            values.set(level, held);
            let cap = take.caps.get(level).copied().unwrap_or(u32::MAX);
            if cap <= held && !take.is_held_already {
                full = Some(full.map_or(level, |full: usize| full.min(level)));
            }
        };
        for (level, place) in places.own() {
            look(level, shard.table.held(place.index()));
        }
        // The memory of the narrow pools is here by now: the lock that all share is held for no more than it must be.
        if places.has_shared {
            let mut shared = lock(&inner.shared);
            for (level, place) in places.shared() {
                look(level, shared.held(place.index()));
            }
            if full.is_none() {
                for (_, place) in places.shared() {
                    shared.count_up(place.index());
                }
            }
        }
        if let Some(level) = full {
            return Ok(Taken::Full { level, values });
        }
        for (_, place) in places.own() {
            shard.table.count_up(place.index());
        }
        let expires = take.lasts.map(|lasts| now + lasts);
        if expires.is_some() {
            inner.expiring.fetch_add(1, Ordering::Relaxed);
        }
        let (slot, turn) = shard.hold(slots.number, places, expires);
        drop(shard);
        values.count_up();
        Ok(Taken::Held { lease: lease_id(slots.shard, slot, turn), epoch: EPOCH, values })
    }

    /// [`Leases::release`] of one lease, which needs no waiting here: whether it was still held.
    pub fn release_now(&self, lease: Lease<'_>) -> bool {
        let Ok(slots) = self.slots(lease.chain) else { return false };
        let (at, slot, turn) = parts(lease.id);
        if at != slots.shard {
            return false;
        }
        let Some(shard) = self.inner.shards.get(usize::from(at)) else { return false };
        let mut shard = lock(shard);
        let Some(ended) = shard.end(slot, turn, slots.number) else { return false };
        self.count_out(&mut shard, ended);
        true
    }

    /// Counts out a lease that has ended. The caller holds the shard's lock.
    fn count_out(&self, shard: &mut Shard, ended: Ended) {
        let places = ended.places;
        let mut gone: usize = places.own().map(|(_, place)| usize::from(shard.table.count_down(place.index()))).sum();
        if places.has_shared {
            let mut shared = lock(&self.inner.shared);
            gone += places.shared().map(|(_, place)| usize::from(shared.count_down(place.index()))).sum::<usize>();
        }
        if 0 < gone {
            self.inner.pools.fetch_sub(gone, Ordering::Relaxed);
        }
        if ended.would_expire {
            self.inner.expiring.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Ends what has expired in one shard, and says whether there was anything.
    fn sweep(&self, shard: &mut Shard, now: Duration) -> bool {
        let mut swept = false;
        while let Some(ended) = shard.next_expired(now) {
            self.count_out(shard, ended);
            swept = true;
        }
        swept
    }

    fn sweep_all(&self) -> bool {
        let now = self.inner.clock.since_boot();
        self.inner.shards.iter().fold(false, |swept, shard| self.sweep(&mut lock(shard), now) | swept)
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
        let Some(shard) = self.inner.shards.get(usize::from(slots.shard)) else { return Err(FOREIGN) };
        let shard = lock(shard);
        let shared = lock(&self.inner.shared);
        let table = |place: Place| if place.is_shared() { &*shared } else { &shard.table };
        Ok(slots.places.all().map(|(_, place)| table(place).held(place.index())).collect())
    }

    fn renew_now(&self, lease: Lease<'_>, lasts: Duration) -> bool {
        let Ok(slots) = self.slots(lease.chain) else { return false };
        let (at, slot, turn) = parts(lease.id);
        if at != slots.shard {
            return false;
        }
        let Some(shard) = self.inner.shards.get(usize::from(at)) else { return false };
        let now = self.inner.clock.since_boot();
        let mut shard = lock(shard);
        self.sweep(&mut shard, now);
        shard.extend(slot, turn, slots.number, now + lasts)
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
        let mixed = fold(family.unwrap_or_default(), inner.seed);
        let shard = u16::try_from(mixed % SHARDS as u64).unwrap_or_default();
        let mut places = Places::default();
        {
            let Some(locked) = inner.shards.get(usize::from(shard)) else { return Err(FOREIGN) };
            let mut own = lock(locked);
            let mut shared = lock(&inner.shared);
            for pool in pools {
                let is_shared = pool.family().is_none();
                let (index, is_new) = if is_shared { shared.enter(*pool) } else { own.table.enter(*pool) };
                inner.pools.fetch_add(usize::from(is_new), Ordering::Relaxed);
                places.push(Place::new(index, is_shared));
            }
        }
        let number = inner.chains.fetch_add(1, Ordering::Relaxed);
        Ok(Chain::new(pools, Ready::Local(Slots { inner: inner.clone(), number, places, shard })))
    }

    /// Pools that chains in use are made of.
    pub fn pools(&self) -> usize {
        self.inner.pools.load(Ordering::Relaxed)
    }
}

const FOREIGN: LeaseError = LeaseError::Chain("a chain is used with leases that it was not made for");

fn lease_id(shard: u16, slot: u32, turn: u64) -> LeaseId {
    LeaseId(u128::from(shard) << 96 | u128::from(slot) << 64 | u128::from(turn))
}

fn parts(LeaseId(id): LeaseId) -> (u16, u32, u64) {
    ((id >> 96) as u16, (id >> 64) as u32, id as u64)
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
