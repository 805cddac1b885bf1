//! Pools by their names, and what each holds.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
};

use super::super::Pool;

/// Pools that lie together.
pub(super) struct Table {
    names: HashMap<Name, u32, Seeded>,
    /// How many are held in each. By itself, so that a million pools are a few megabytes and those of one chain lie beside one another.
    held: Vec<u32>,
    pools: Vec<Named>,
    /// Places in `pools` that are free.
    free: Vec<u32>,
    seed: u64,
}

/// One pool.
struct Named {
    pool: Pool,
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

/// Passes on what was mixed already.
#[derive(Clone, Copy, Default)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = Seeded;

    fn build_hasher(&self) -> Seeded {
        Seeded(0)
    }
}

impl Hasher for Seeded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl Table {
    pub(super) fn new(seed: u64) -> Table {
        Table { names: HashMap::default(), held: Vec::new(), pools: Vec::new(), free: Vec::new(), seed }
    }

    fn name(&self, pool: Pool) -> Name {
        Name { pool, mixed: pool.mixed(self.seed) }
    }

    /// One more chain counts in a pool: where it lies, and whether it is new.
    pub(super) fn enter(&mut self, pool: Pool) -> (u32, bool) {
        let name = self.name(pool);
        if let Some(index) = self.names.get(&name).copied() {
            if let Some(named) = self.pools.get_mut(index as usize) {
                named.chains += 1;
            }
            return (index, false);
        }
        let new = Named { pool, chains: 1 };
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(named) = self.pools.get_mut(index as usize) {
                    *named = new;
                }
                index
            }
            None => {
                self.pools.push(new);
                self.held.push(0);
                u32::try_from(self.pools.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.names.insert(name, index);
        (index, true)
    }

    /// One chain less; whether the pool is gone with it.
    pub(super) fn leave(&mut self, index: u32) -> bool {
        let is_held = 0 < self.held(index);
        let Some(named) = self.pools.get_mut(index as usize) else { return false };
        named.chains = named.chains.saturating_sub(1);
        if 0 < named.chains || is_held {
            return false;
        }
        let pool = named.pool;
        let name = self.name(pool);
        self.names.remove(&name);
        self.free.push(index);
        true
    }

    pub(super) fn held(&self, index: u32) -> u32 {
        self.held.get(index as usize).copied().unwrap_or_default()
    }

    pub(super) fn count_up(&mut self, index: u32) {
        if let Some(held) = self.held.get_mut(index as usize) {
            *held += 1;
        }
    }

    pub(super) fn count_down(&mut self, index: u32) {
        if let Some(held) = self.held.get_mut(index as usize) {
            *held = held.saturating_sub(1);
        }
    }
}
