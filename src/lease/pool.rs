//! Pools, chains of them, and names of leases.

use std::fmt;

use super::{LeaseError, local, redis};

/// Pools of one chain at most.
pub const LEVELS_MAX: usize = 8;

/// Something of which only so many may be held at once.
///
/// Where it lies decides what a decision has to lock in process: pools of one family (an account, its subaccounts and keys) lie together, and
/// those that everybody shares beside one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pool {
    id: u128,
    /// Always the same for the same class and id. 0 for none; two that fall together do no harm: their pools lie together.
    family: u64,
    class: u16,
}

impl Pool {
    /// A pool of one family. `class` tells pools apart that have the same `id`.
    pub const fn of_family(family: u128, class: u16, id: u128) -> Pool {
        Pool { class, id, family: ((family >> 64) as u64 ^ family as u64) | 1 }
    }

    /// A pool that takers of all families share.
    pub const fn shared(class: u16, id: u128) -> Pool {
        Pool { class, id, family: 0 }
    }

    /// Whose it is, unless everybody's.
    pub(super) const fn family(self) -> Option<u64> {
        if self.family == 0 { None } else { Some(self.family) }
    }

    /// Class and id, each with as many digits as it needs: as another process knows it.
    pub(super) fn name(self) -> String {
        format!("{:x}.{:x}", self.class, self.id)
    }

    /// What its place in a table is found by. Ids are drawn at random or are digests, but for a few small numbers.
    pub(super) fn mixed(self, seed: u64) -> u64 {
        let [high, low] = [(self.id >> 64) as u64, self.id as u64];
        fold(fold(high ^ seed, low ^ 0x9e37_79b9_7f4a_7c15), u64::from(self.class) ^ seed.rotate_left(32))
    }
}

/// Both halves of a product: each bit of the result hangs on all bits of both numbers.
pub(super) fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left | 1) * u128::from(right | 1);
    (product >> 64) as u64 ^ product as u64 ^ left.rotate_left(17) ^ right
}

/// Pools that one decision counts in, made ready by who keeps them. Made once for many decisions, and kept where they find it: in one piece, because each piece
/// of a caller's that lies elsewhere in memory costs a decision as much as all the rest of it.
pub struct Chain {
    ready: Ready,
    pools: Box<[Pool]>,
}

/// What whoever keeps the pools has made ready.
pub(super) enum Ready {
    Local(local::Slots),
    Redis(Box<redis::Names>),
}

impl Chain {
    pub(super) fn new(pools: &[Pool], ready: Ready) -> Chain {
        Chain { ready, pools: pools.into() }
    }

    /// Checks what chains have to be.
    pub(super) fn check(pools: &[Pool]) -> Result<(), LeaseError> {
        if pools.is_empty() || LEVELS_MAX < pools.len() {
            return Err(LeaseError::Chain("a chain has 1 to 8 pools"));
        }
        let mut families = pools.iter().filter_map(|pool| pool.family());
        let first = families.next();
        if families.any(|family| Some(family) != first) {
            return Err(LeaseError::Chain("the pools of a chain are of one family, or shared"));
        }
        let twice = pools.iter().enumerate().any(|(at, pool)| pools.iter().take(at).any(|other| other == pool));
        if twice {
            return Err(LeaseError::Chain("a chain has each pool once"));
        }
        Ok(())
    }

    /// The pools, as they were given.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    pub(super) fn ready(&self) -> &Ready {
        &self.ready
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Chain").field(&self.pools).finish()
    }
}

/// Names a lease. What it is made of is known to who keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseId(pub(super) u128);

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// What the pools of a chain hold.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Values {
    count: u8,
    held: [u32; LEVELS_MAX],
}

impl Values {
    /// How many are held in the pool at this place of the chain.
    pub fn at(&self, level: usize) -> u32 {
        self.as_slice().get(level).copied().unwrap_or_default()
    }

    /// All of them, in the chain's order.
    pub fn as_slice(&self) -> &[u32] {
        self.held.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// One more in each.
    pub(super) fn count_up(&mut self) {
        for held in self.held.iter_mut().take(usize::from(self.count)) {
            *held = held.saturating_add(1);
        }
    }

    pub(super) fn set(&mut self, level: usize, value: u32) {
        if let Some(held) = self.held.get_mut(level) {
            *held = value;
            self.count = self.count.max(u8::try_from(level + 1).unwrap_or(u8::MAX));
        }
    }
}

impl FromIterator<u32> for Values {
    fn from_iter<I: IntoIterator<Item = u32>>(values: I) -> Values {
        let mut all = Values::default();
        for (level, value) in values.into_iter().take(LEVELS_MAX).enumerate() {
            all.set(level, value);
        }
        all
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}
