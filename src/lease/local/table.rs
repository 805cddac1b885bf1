//! Pools by their names, and what each holds.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
};

use super::super::Pool;

/// Pools that lie together.
pub(super) struct Table {
    names: HashMap<Name, u32, Seeded>,
    pools: Vec<Held>,
    /// Places in `pools` that are free.
    free: Vec<u32>,
    seed: u64,
}

/// One pool.
struct Held {
    pool: Pool,
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
        Table { names: HashMap::default(), pools: Vec::new(), free: Vec::new(), seed }
    }

    fn name(&self, pool: Pool) -> Name {
        Name { pool, mixed: pool.mixed(self.seed) }
    }

    /// One more chain counts in a pool: where it lies, and whether it is new.
    pub(super) fn enter(&mut self, pool: Pool) -> (u32, bool) {
        let name = self.name(pool);
        if let Some(index) = self.names.get(&name).copied() {
            if let Some(held) = self.at(index) {
                held.chains += 1;
            }
            return (index, false);
        }
        let new = Held { pool, held: 0, chains: 1 };
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(held) = self.at(index) {
                    *held = new;
                }
                index
            }
            None => {
                self.pools.push(new);
                u32::try_from(self.pools.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.names.insert(name, index);
        (index, true)
    }

    /// One chain less; whether the pool is gone with it.
    pub(super) fn leave(&mut self, index: u32) -> bool {
        let Some(held) = self.at(index) else { return false };
        held.chains = held.chains.saturating_sub(1);
        if 0 < held.chains || 0 < held.held {
            return false;
        }
        let pool = held.pool;
        let name = self.name(pool);
        self.names.remove(&name);
        self.free.push(index);
        true
    }

    pub(super) fn held(&self, index: u32) -> u32 {
        self.pools.get(index as usize).map_or(0, |held| held.held)
    }

    pub(super) fn count_up(&mut self, index: u32) {
        if let Some(held) = self.at(index) {
            held.held += 1;
        }
    }

    pub(super) fn count_down(&mut self, index: u32) {
        if let Some(held) = self.at(index) {
            held.held = held.held.saturating_sub(1);
        }
    }

    fn at(&mut self, index: u32) -> Option<&mut Held> {
        self.pools.get_mut(index as usize)
    }
}
