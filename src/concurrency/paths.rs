//! What is known of callers: which limits concern them, and where they are counted. Made once, asked by every decision.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock, atomic::AtomicU16},
};

use crate::{
    ids::AccountSid,
    lease::{BuildMixed, Chain, LEVELS_MAX, LeaseError, Leases, Local, Mutex, Pool, Values, lock},
};

use super::{Giver, Limit, LimitRecords, Policy, Resource, Scope, Subject, limits::DefaultLimits, usage::Usage};

/// Parts of what is remembered, each with a lock of its own.
const SHARDS: usize = 64;

/// One caller's way through all levels, for one kind of work.
///
/// What every decision reads stands first and in one piece: of a million callers none is in a processor's cache, and each line of it that has to be fetched costs
/// as much as the rest of the decision.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Path {
    /// The revision of the limits that it was made from.
    revision: u64,
    pub(super) usage: Arc<Usage>,
    /// Where it is counted, by whoever keeps the leases.
    pub(super) chain: Chain,
    /// What may be held in each pool of the chain.
    caps: [u32; LEVELS_MAX],
    pub(super) levels: Box<[Level]>,
    /// Which level is the account's own.
    own: u8,
    /// Whether some level has something to say besides refusing.
    has_notes: bool,
    pub(super) resource: Resource,
    pub(super) subject: Subject,
    /// From how many on a level has something to say: its soft limit, or its hard one where that does not refuse.
    notes: [u32; LEVELS_MAX],
    /// Further limits of levels that have several: those that do not decide when a level is full, and have something to say before that.
    beside: Box<[(usize, Limit)]>,
    /// Which thresholds were seen reached and are not told yet (`lookout.rs`).
    pub(super) seen: AtomicU16,
    /// Where it is counted by this node alone, when nobody else can be asked.
    alone: OnceLock<Option<Box<Chain>>>,
}

/// One level of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) scope: Scope,
    pub(super) pool: Pool,
    /// Of the limits that hold at the level the one that lets in the fewest, with the lowest of their soft limits.
    pub(super) limit: Limit,
    /// Whether that one is an owner's.
    pub(super) is_owners: bool,
}

impl Path {
    pub(super) fn caps(&self) -> &[u32] {
        self.caps.get(..self.levels.len()).unwrap_or_default()
    }

    /// The widest level that lets in nobody.
    pub(super) fn shut_at(&self) -> Option<usize> {
        self.caps().iter().position(|cap| *cap == 0)
    }

    /// Whether some level has something to say to so many.
    pub(super) fn is_notable(&self, values: &Values) -> bool {
        self.has_notes && values.as_slice().iter().zip(&self.notes).any(|(held, from)| from < held)
    }

    /// The limits of a level.
    pub(super) fn limits_of(&self, level: usize) -> impl Iterator<Item = Limit> {
        let beside = self.beside.iter().filter(move |(at, _)| *at == level).map(|(_, limit)| *limit);
        self.levels.get(level).map(|level| level.limit).into_iter().chain(beside)
    }

    /// What is in progress of the caller's own account.
    pub(super) fn own_value(&self, values: &Values) -> u32 {
        values.at(usize::from(self.own))
    }

    /// The limit of the caller's own account.
    pub(super) fn own_limit(&self) -> Option<Limit> {
        Some(self.levels.get(usize::from(self.own))?.limit)
    }

    /// The chain by which this node counts alone.
    pub(super) fn alone(&self, local: &Local) -> Option<&Chain> {
        let make = || local.chain(self.chain.pools()).ok().map(Box::new);
        self.alone.get_or_init(make).as_deref()
    }

    /// What this node may admit alone.
    pub(super) fn caps_alone(&self, percent: u32) -> [u32; LEVELS_MAX] {
        self.caps.map(|cap| match cap {
            0 | u32::MAX => cap,
            cap => u32::try_from(u64::from(cap) * u64::from(percent) / 100).unwrap_or(cap).max(1),
        })
    }
}

/// All callers that are remembered.
#[derive(Debug)]
pub(super) struct Paths {
    shards: Box<[Mutex<Shard>]>,
    shard_max: usize,
    usages: Mutex<Usages>,
}

/// What accounts use. Those whom nobody uses are looked for when there are twice as many as were left the last time.
#[derive(Debug)]
struct Usages {
    all: HashMap<(AccountSid, Resource), Arc<Usage>>,
    look_at: usize,
}

/// Fewer than this are not worth looking through.
const USAGES_MIN: usize = 4_096;

/// The younger half and the older one, so that forgetting is no search. Who is asked for again is young again.
#[derive(Debug, Default)]
struct Shard {
    younger: Half,
    older: Half,
}

type Half = HashMap<Key, Arc<Path>, BuildMixed>;

/// What a path is found by: small, so that as many as possible are in a processor's cache. Made of sids, which are drawn at random, and of digests; no two callers have the
/// same but by a chance of 1 in 2^100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key(u128);

impl Key {
    fn of(subject: Subject, resource: Resource) -> Key {
        let key = subject.key.map_or(0, |key| key.number().rotate_left(43) ^ 1);
        // As it was known: while nobody can say whose subaccount it is, it has none, and that is another path.
        let parent = subject.parent.map_or(0, |parent| parent.number().rotate_left(17) ^ 4);
        let destination = subject.destination.map_or(0, |destination| destination.number().rotate_left(86) ^ 2);
        let resource = (resource as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let allowed = subject
            .allowed
            .map_or(0, |allowed| (u128::from(allowed) + 1).wrapping_mul(0xd6e8_feb8_6659_fd93_a076_1d64_78bd_642f));
        Key(subject.account.number() ^ parent ^ key ^ destination ^ resource ^ allowed)
    }

    fn mixed(self) -> u64 {
        let folded = (self.0 >> 64) as u64 ^ self.0 as u64;
        let product = u128::from(folded) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.mixed());
    }
}

/// What paths are made of.
pub(super) struct Sources<'a> {
    pub(super) leases: &'a dyn Leases,
    pub(super) records: &'a dyn LimitRecords,
    pub(super) defaults: &'a DefaultLimits,
}

impl Sources<'_> {
    /// The limits of a level, and who has given them: all of them hold.
    pub(super) fn given(
        &self,
        subject: Subject,
        scope: Scope,
        resource: Resource,
    ) -> impl Iterator<Item = (Giver, Limit)> {
        Giver::ALL.into_iter().filter_map(move |giver| {
            let limit = match giver {
                Giver::Operator => {
                    let own = self.records.limit(giver, scope, resource);
                    own.or_else(|| self.defaults.of(scope, resource))
                }
                Giver::Owner => self.records.limit(giver, scope, resource),
                Giver::Authorization => {
                    subject.allowed.filter(|_| scope == Scope::Account(subject.account)).map(Limit::hard)
                }
            };
            Some((giver, limit?))
        })
    }
}

impl Paths {
    pub(super) fn new(callers_max: usize) -> Paths {
        Paths {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_max: (callers_max / SHARDS / 2).max(1),
            usages: Mutex::new(Usages { all: HashMap::new(), look_at: USAGES_MIN }),
        }
    }

    /// The path of a caller, as the limits are now.
    pub(super) fn of(&self, subject: Subject, resource: Resource, from: &Sources<'_>) -> Result<Arc<Path>, LeaseError> {
        let key = Key::of(subject, resource);
        let revision = from.records.revision();
        let at = (key.mixed() >> 32) as usize % SHARDS;
        let Some(shard) = self.shards.get(at) else { return Err(LeaseError::Chain("no such shard")) };
        {
            let mut shard = lock(shard);
            if let Some(path) = shard.younger.get(&key).filter(|path| path.revision == revision) {
                return Ok(path.clone());
            }
            if let Some(path) = shard.older.remove(&key).filter(|path| path.revision == revision) {
                let forgotten = self.insert(&mut shard, key, path.clone());
                drop(shard);
                drop(forgotten);
                return Ok(path);
            }
        }
        let path = Arc::new(self.make(subject, resource, revision, from)?);
        let forgotten = self.insert(&mut lock(shard), key, path.clone());
        drop(forgotten);
        Ok(path)
    }

    /// Remembers it. What is forgotten for it is for the caller to drop, with the lock released: it may be thousands.
    fn insert(&self, shard: &mut Shard, key: Key, path: Arc<Path>) -> Half {
        let forgotten = if self.shard_max <= shard.younger.len() {
            let younger = std::mem::take(&mut shard.younger);
            std::mem::replace(&mut shard.older, younger)
        } else {
            Half::default()
        };
        shard.younger.insert(key, path);
        forgotten
    }

    fn make(
        &self,
        subject: Subject,
        resource: Resource,
        revision: u64,
        from: &Sources<'_>,
    ) -> Result<Path, LeaseError> {
        let (mut levels, mut beside) = (Vec::new(), Vec::new());
        for scope in subject.scopes(resource) {
            // Counted whether it has a limit or not: one that is given later holds of what is in progress by then.
            let (givers, given): (Vec<Giver>, Vec<Limit>) = from.given(subject, scope, resource).unzip();
            // The first of several that are alike is the operator's.
            let decides = (0..given.len()).min_by_key(|at| given.get(*at).map(|limit| limit.cap()));
            let limit = decides.and_then(|at| given.get(at)).copied().unwrap_or_default();
            let is_owners = decides.and_then(|at| givers.get(at)) == Some(&Giver::Owner);
            let soft = given.iter().filter_map(|limit| limit.soft).min();
            let others = given.iter().enumerate().filter(|(at, _)| Some(*at) != decides);
            // One that refuses at more than what is let in never says anything.
            let others = others.filter(|(_, limit)| matches!(limit.policy, Policy::Throttle { .. } | Policy::DryRun));
            beside.extend(others.map(|(_, limit)| (levels.len(), Limit { soft: None, ..*limit })));
            let pool = scope.pool(resource, subject.owner());
            levels.push(Level { scope, pool, limit: Limit { soft, ..limit }, is_owners });
        }
        let pools: Vec<Pool> = levels.iter().map(|level| level.pool).collect();
        let (mut caps, mut notes) = ([u32::MAX; LEVELS_MAX], [u32::MAX; LEVELS_MAX]);
        for ((level, cap), note) in levels.iter().zip(&mut caps).zip(&mut notes) {
            *cap = level.limit.cap();
            *note = level.limit.says_from();
        }
        for (at, limit) in &beside {
            if let Some(note) = notes.get_mut(*at) {
                *note = limit.says_from().min(*note);
            }
        }
        let own = levels.iter().position(|level| level.scope == Scope::Account(subject.account)).unwrap_or_default();
        Ok(Path {
            subject,
            resource,
            revision,
            chain: from.leases.chain(&pools)?,
            caps,
            notes,
            levels: levels.into(),
            beside: beside.into(),
            seen: AtomicU16::new(0),
            usage: self.usage(subject.account, resource),
            alone: OnceLock::new(),
            own: u8::try_from(own).unwrap_or_default(),
            has_notes: notes.iter().any(|from| *from != u32::MAX),
        })
    }

    pub(super) fn usage(&self, account: AccountSid, resource: Resource) -> Arc<Usage> {
        let mut usages = lock(&self.usages);
        if usages.look_at <= usages.all.len() {
            // Their peaks are gone with them.
            usages.all.retain(|_, usage| 1 < Arc::strong_count(usage));
            usages.look_at = USAGES_MIN.max(2 * usages.all.len());
        }
        usages.all.entry((account, resource)).or_default().clone()
    }
}
