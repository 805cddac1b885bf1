//! Pools by their names, and what each holds.

use std::{collections::HashMap, hash::Hasher};

use super::super::{BuildMixed, Pool};

/// Pools that lie together.
pub(super) struct Table {
    names: HashMap<Name, u32, BuildMixed>,
    /// By themselves, so that a million pools are a few megabytes and those of one chain lie beside one another.
    counts: Vec<Counts>,
    pools: Vec<Pool>,
    /// Places in both that are free.
    free: Vec<u32>,
    seed: u64,
}

/// What is counted of one pool.
#[derive(Clone, Copy, Default)]
struct Counts {
    held: u32,
    /// Chains that count here.
    chains: u32,
}

/// A pool's name with what it is found by.
#[derive(PartialEq, Eq)]
struct Name {
    pool: Pool,
    mixed: u64,
}

impl std::hash::Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.mixed);
    }
}

impl Table {
    pub(super) fn new(seed: u64) -> Table {
        Table { names: HashMap::default(), counts: Vec::new(), pools: Vec::new(), free: Vec::new(), seed }
    }

    fn name(&self, pool: Pool) -> Name {
        Name { pool, mixed: pool.mixed(self.seed) }
    }

    /// One more chain counts in a pool: where it lies, and whether it is new.
    pub(super) fn enter(&mut self, pool: Pool) -> (u32, bool) {
        let name = self.name(pool);
        let known = self.names.get(&name).copied();
        let index = known.unwrap_or_else(|| {
            let index = self.free.pop().unwrap_or_else(|| {
                self.pools.push(pool);
                self.counts.push(Counts::default());
                u32::try_from(self.pools.len() - 1).unwrap_or(u32::MAX)
            });
            if let Some(place) = self.pools.get_mut(index as usize) {
                *place = pool;
            }
            self.names.insert(name, index);
            index
        });
        if let Some(counts) = self.counts.get_mut(index as usize) {
            counts.chains += 1;
        }
        (index, known.is_none())
    }

    /// One chain less; whether the pool is gone with it.
    pub(super) fn leave(&mut self, index: u32) -> bool {
        let Some(counts) = self.counts.get_mut(index as usize) else { return false };
        counts.chains = counts.chains.saturating_sub(1);
        self.forget_unused(index)
    }

    pub(super) fn held(&self, index: u32) -> u32 {
        self.counts.get(index as usize).map_or(0, |counts| counts.held)
    }

    pub(super) fn count_up(&mut self, index: u32) {
        if let Some(counts) = self.counts.get_mut(index as usize) {
            counts.held += 1;
        }
    }

    /// Counts down; whether the pool is gone with it, because its chains went before.
    pub(super) fn count_down(&mut self, index: u32) -> bool {
        let Some(counts) = self.counts.get_mut(index as usize) else { return false };
        counts.held = counts.held.saturating_sub(1);
        self.forget_unused(index)
    }

    /// Asked when a chain or a lease is gone: only the last of them finds the pool unused.
    fn forget_unused(&mut self, index: u32) -> bool {
        let is_used = self.counts.get(index as usize).is_none_or(|counts| 0 < counts.held || 0 < counts.chains);
        if is_used {
            return false;
        }
        let Some(name) = self.pools.get(index as usize).map(|pool| self.name(*pool)) else { return false };
        self.names.remove(&name);
        self.free.push(index);
        true
    }
}
