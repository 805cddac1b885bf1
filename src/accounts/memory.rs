//! What is remembered of accounts until a change takes something from their callers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::Hash,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::ids::AccountSid;

use super::Principal;

/// The part of all that is remembered which one account and its subaccounts may have at most: who makes tokens without end drives out
/// its own.
const SHARE: usize = 16;

/// Entries of accounts. A std lock: held for map operations only.
#[derive(Debug)]
pub(super) struct Memory<K, V> {
    entries: RwLock<Entries<K, V>>,
    entries_max: usize,
}

#[derive(Debug)]
struct Entries<K, V> {
    all: HashMap<K, Entry<V>>,
    /// The names of the entries that rest on each account, beside those that it owns.
    own: HashMap<AccountSid, HashSet<K>>,
    /// The names of the entries of each account at the top and of its subaccounts, the oldest first.
    owned: HashMap<AccountSid, BTreeMap<u64, K>>,
    /// Those accounts by how many entries they have.
    by_size: BTreeSet<(usize, AccountSid)>,
    /// Counts entries.
    number: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    of: Of,
    number: u64,
}

/// Whose an entry is, and whose changes forget it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of {
    pub(super) account: AccountSid,
    pub(super) parent: Option<AccountSid>,
    /// Of an application's subaccount: who offers the application.
    pub(super) developer: Option<AccountSid>,
    pub(super) developer_parent: Option<AccountSid>,
    /// And how many of each kind of work it was allowed to have in progress there.
    pub(super) allowed: Option<u32>,
}

impl Of {
    /// Nobody's.
    pub(super) fn nobody() -> Of {
        Of { account: AccountSid::NOBODY, parent: None, developer: None, developer_parent: None, allowed: None }
    }

    pub(super) fn principal(principal: &Principal) -> Of {
        let connected = principal.credential.connected();
        Of {
            account: principal.account,
            parent: principal.parent,
            developer: connected.map(|connected| connected.developer),
            developer_parent: connected.and_then(|connected| connected.developer_parent),
            allowed: connected.and_then(|connected| connected.limits.concurrency),
        }
    }

    /// The accounts that it rests on, but for the one at the top.
    fn rests_on(self) -> HashSet<AccountSid> {
        [Some(self.account), self.developer, self.developer_parent].into_iter().flatten().collect()
    }

    /// The account at the top.
    fn owner(self) -> AccountSid {
        self.parent.unwrap_or(self.account)
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    pub(super) fn new(entries_max: usize) -> Memory<K, V> {
        Memory { entries: RwLock::new(Entries::new()), entries_max }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.read().all.get(key).map(|entry| entry.value.clone())
    }

    /// Whose an entry is.
    pub(super) fn of(&self, key: &K) -> Option<Of> {
        self.read().all.get(key).map(|entry| entry.of)
    }

    /// Remembers it, unless more was heard since it was read.
    pub(super) fn insert(&self, key: K, value: V, of: Of, heard: &AtomicI64, read_at: i64) {
        let mut entries = self.write();
        if heard.load(Ordering::Acquire) != read_at {
            return;
        }
        entries.remove(&key);
        // Whoever is driven out is asked for again: its own oldest where an owner has its share, that of the one with the most where all is full.
        let share = (self.entries_max / SHARE).max(1);
        let crowded = if entries.owned.get(&of.owner()).is_some_and(|owned| share <= owned.len()) {
            Some(of.owner())
        } else if self.entries_max <= entries.all.len() {
            entries.by_size.last().map(|(_, owner)| *owner)
        } else {
            None
        };
        let driven_out = crowded.and_then(|owner| entries.owned.get(&owner)?.values().next().cloned());
        if let Some(driven_out) = driven_out {
            entries.remove(&driven_out);
        }
        entries.add(key, value, of);
    }

    /// Forgets what does not hold any more by itself.
    pub(super) fn remove(&self, key: &K) {
        self.write().remove(key);
    }

    /// Forgets all entries of these accounts and of their subaccounts, and of those that their applications act on.
    pub(super) fn forget(&self, named: &HashSet<AccountSid>) {
        if named.is_empty() {
            return;
        }
        let mut entries = self.write();
        for account in named {
            let own = entries.own.get(account).into_iter().flatten();
            let owned = entries.owned.get(account).into_iter().flat_map(BTreeMap::values);
            for key in own.chain(owned).cloned().collect::<Vec<_>>() {
                entries.remove(&key);
            }
        }
    }

    pub(super) fn forget_all(&self) {
        *self.write() = Entries::new();
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries<K, V>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries<K, V>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, V> Entries<K, V> {
    fn new() -> Entries<K, V> {
        Entries { all: HashMap::new(), own: HashMap::new(), owned: HashMap::new(), by_size: BTreeSet::new(), number: 0 }
    }

    fn add(&mut self, key: K, value: V, of: Of) {
        self.number += 1;
        for account in of.rests_on() {
            self.own.entry(account).or_default().insert(key.clone());
        }
        let owned = self.owned.entry(of.owner()).or_default();
        self.by_size.remove(&(owned.len(), of.owner()));
        owned.insert(self.number, key.clone());
        self.by_size.insert((owned.len(), of.owner()));
        self.all.insert(key, Entry { value, of, number: self.number });
    }

    fn remove(&mut self, key: &K) {
        let Some(Entry { of, number, .. }) = self.all.remove(key) else { return };
        for account in of.rests_on() {
            if let Some(own) = self.own.get_mut(&account) {
                own.remove(key);
                if own.is_empty() {
                    self.own.remove(&account);
                }
            }
        }
        if let Some(owned) = self.owned.get_mut(&of.owner()) {
            self.by_size.remove(&(owned.len(), of.owner()));
            owned.remove(&number);
            if owned.is_empty() {
                self.owned.remove(&of.owner());
            } else {
                self.by_size.insert((owned.len(), of.owner()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static HEARD: AtomicI64 = AtomicI64::new(7);

    fn account(number: u8) -> AccountSid {
        format!("AC{number:032x}").parse().unwrap()
    }

    fn of(number: u8) -> Of {
        // Those with an even number stand at the top, each with the next as its child.
        // The next one's application acts on every third, and that one is a subaccount of the one after it.
        Of {
            account: account(number),
            parent: (number % 2 == 1).then(|| account(number - 1)),
            developer: number.is_multiple_of(3).then(|| account(number + 100)),
            developer_parent: number.is_multiple_of(3).then(|| account(number + 101)),
            allowed: None,
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u8),
        Remove(u16),
        Forget(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let insert = (0..400_u16, 0..12_u8).prop_map(|(key, number)| Step::Insert(key, number));
        let remove = (0..400_u16).prop_map(Step::Remove);
        prop::collection::vec(
            prop_oneof![9 => insert, 1 => remove, 1 => prop_oneof![0..12_u8, 100..113_u8].prop_map(Step::Forget)],
            0..300,
        )
    }

    proptest! {
        #[test]
        fn nothing_that_was_forgotten_is_remembered_and_all_of_it_is_bounded(steps in steps(), max in 1..64_usize) {
            let memory = Memory::new(max);
            let mut model: HashMap<u16, u8> = HashMap::new();
            for step in steps {
                match step {
                    Step::Insert(key, number) => {
                        memory.insert(key, number, of(number), &HEARD, 7);
                        model.insert(key, number);
                        prop_assert_eq!(memory.get(&key), Some(number));
                    }
                    Step::Remove(key) => {
                        memory.remove(&key);
                        model.remove(&key);
                    }
                    Step::Forget(number) => {
                        memory.forget(&HashSet::from([account(number)]));
                        model.retain(|_, of| {
                            let is_parent = number % 2 == 0 && *of == number + 1;
                            let is_developer = of.is_multiple_of(3) && (number == *of + 100 || number == *of + 101);
                            *of != number && !is_parent && !is_developer
                        });
                    }
                }
                let entries = memory.read();
                prop_assert!(entries.all.len() <= max);
                prop_assert!(entries.own.values().all(|own| !own.is_empty()));
                prop_assert!(entries.owned.values().all(|owned| !owned.is_empty() && owned.len() <= (max / SHARE).max(1)));
                let named = entries.all.values().map(|entry| entry.of.rests_on().len()).sum::<usize>();
                prop_assert_eq!(entries.own.values().map(HashSet::len).sum::<usize>(), named);
                prop_assert_eq!(entries.owned.values().map(BTreeMap::len).sum::<usize>(), entries.all.len());
                let sizes = entries.owned.iter().map(|(owner, owned)| (owned.len(), *owner)).collect::<BTreeSet<_>>();
                prop_assert_eq!(&sizes, &entries.by_size);
                for (key, entry) in &entries.all {
                    prop_assert_eq!(model.get(key), Some(&entry.value));
                }
            }
        }
    }

    #[test]
    fn who_makes_tokens_without_end_drives_out_its_own_oldest() {
        let memory = Memory::new(64);
        let share = 64 / SHARE;
        memory.insert(0, 2, of(2), &HEARD, 7);
        for key in 1..1_000 {
            // By a subaccount as well.
            memory.insert(key, 4, of(4 + u8::from(key % 2 == 0)), &HEARD, 7);
        }
        assert_eq!(memory.get(&0), Some(2));
        assert_eq!(memory.read().all.len(), 1 + share);
        for key in 1_000 - u16::try_from(share).unwrap()..1_000 {
            assert!(memory.get(&key).is_some(), "the newest of its own are known");
        }
        // What was read before a change is not remembered after it.
        memory.insert(1_000, 2, of(2), &HEARD, 6);
        assert_eq!(memory.get(&1_000), None);
    }

    #[test]
    fn who_comes_late_has_as_much_room_as_the_others() {
        let memory = Memory::new(64);
        let greedy = u16::try_from(SHARE).unwrap();
        for key in 0..1_000 {
            memory.insert(key, 0, of(u8::try_from(2 * (key % greedy)).unwrap()), &HEARD, 7);
        }
        assert_eq!(memory.read().all.len(), 64);
        for key in 1_000..1_003 {
            memory.insert(key, 0, of(100), &HEARD, 7);
        }
        assert!((1_000..1_003).all(|key| memory.get(&key).is_some()));
        assert_eq!(memory.read().all.len(), 64);
    }
}
