//! Leases of the families of one shard.

use std::{collections::BTreeSet, time::Duration};

use super::{Places, table::Table};

/// Pools of some families, and the leases that count in them.
pub(super) struct Shard {
    pub(super) table: Table,
    leases: Vec<Slot>,
    /// Places in `leases` that are free: the last one that became so is taken first, because its memory is here still.
    free: Vec<u32>,
    /// When those expire that do, and where they are.
    expiries: BTreeSet<(Duration, u32)>,
}

/// A place for a lease.
#[derive(Default)]
struct Slot {
    /// Counts the leases that were here: what tells one from those before it.
    turn: u64,
    /// The chain that it was taken by; 0 for none.
    chain: u64,
    /// Where it counts. They stay there while it does, whatever becomes of the chain.
    places: Places,
    expires: Option<Duration>,
}

/// A lease that has ended and is to be counted out.
pub(super) struct Ended {
    pub(super) places: Places,
    pub(super) would_expire: bool,
}

impl Shard {
    pub(super) fn new(seed: u64) -> Shard {
        Shard { table: Table::new(seed), leases: Vec::new(), free: Vec::new(), expiries: BTreeSet::new() }
    }

    /// Notes a lease: where, and the how manieth it is there.
    pub(super) fn hold(&mut self, chain: u64, places: Places, expires: Option<Duration>) -> (u32, u64) {
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.leases.push(Slot::default());
                u32::try_from(self.leases.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(when) = expires {
            self.expiries.insert((when, at));
        }
        let Some(slot) = self.leases.get_mut(at as usize) else { return (at, 0) };
        *slot = Slot { turn: slot.turn + 1, chain, places, expires };
        (at, slot.turn)
    }

    /// Ends a lease if it is still there.
    pub(super) fn end(&mut self, at: u32, turn: u64, chain: u64) -> Option<Ended> {
        let slot = self.leases.get_mut(at as usize).filter(|slot| slot.turn == turn && slot.chain == chain)?;
        slot.chain = 0;
        let expires = slot.expires.take();
        if let Some(when) = expires {
            self.expiries.remove(&(when, at));
        }
        self.free.push(at);
        Some(Ended { places: slot.places, would_expire: expires.is_some() })
    }

    /// Moves the expiry of a lease, if it is still there and expires at all.
    pub(super) fn extend(&mut self, at: u32, turn: u64, chain: u64, until: Duration) -> bool {
        let slot = self.leases.get_mut(at as usize).filter(|slot| slot.turn == turn && slot.chain == chain);
        let Some(slot) = slot else { return false };
        if let Some(when) = &mut slot.expires {
            self.expiries.remove(&(*when, at));
            *when = until;
            self.expiries.insert((until, at));
        }
        true
    }

    /// Ends the lease that expired first.
    pub(super) fn next_expired(&mut self, now: Duration) -> Option<Ended> {
        let (_, at) = self.expiries.first().copied().filter(|(when, _)| *when <= now)?;
        self.expiries.pop_first();
        let slot = self.leases.get_mut(at as usize)?;
        slot.chain = 0;
        slot.expires = None;
        self.free.push(at);
        Some(Ended { places: slot.places, would_expire: true })
    }
}
