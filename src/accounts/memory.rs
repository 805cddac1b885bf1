//! What is remembered of accounts until a change names them.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use crate::ids::AccountSid;

/// The part of all that is remembered which one account may have at most: who makes tokens without end drives out its own.
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
    /// The names of each account's own entries.
    own: HashMap<AccountSid, HashSet<K>>,
    /// The accounts with entries whose parent this is.
    children: HashMap<AccountSid, HashSet<AccountSid>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    of: Of,
}

/// Whose an entry is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of {
    pub(super) account: AccountSid,
    pub(super) parent: Option<AccountSid>,
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    pub(super) fn new(entries_max: usize) -> Memory<K, V> {
        let entries = Entries { all: HashMap::new(), own: HashMap::new(), children: HashMap::new() };
        Memory { entries: RwLock::new(entries), entries_max }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.read().all.get(key).map(|entry| entry.value.clone())
    }

    /// Remembers it, unless more was heard since it was read.
    pub(super) fn insert(&self, key: K, value: V, of: Of, heard: &AtomicI64, read_at: i64) {
        let mut entries = self.write();
        if heard.load(Ordering::Acquire) != read_at {
            return;
        }
        entries.remove(&key);
        // Whoever is driven out is asked for again: one of its own where an account has its share, any one where all is full.
        let own = entries.own.get(&of.account);
        let share = (self.entries_max / SHARE).max(1);
        let crowded = own.filter(|own| share <= own.len() || self.entries_max <= entries.all.len());
        let driven_out = match crowded {
            Some(own) => own.iter().next().cloned(),
            None if self.entries_max <= entries.all.len() => entries.all.keys().next().cloned(),
            None => None,
        };
        if let Some(driven_out) = driven_out {
            entries.remove(&driven_out);
        }
        entries.own.entry(of.account).or_default().insert(key.clone());
        if let Some(parent) = of.parent {
            entries.children.entry(parent).or_default().insert(of.account);
        }
        entries.all.insert(key, Entry { value, of });
    }

    /// Forgets all entries of these accounts and of those whose parent they are.
    pub(super) fn forget(&self, named: &HashSet<AccountSid>) {
        if named.is_empty() {
            return;
        }
        let mut entries = self.write();
        for account in named {
            let children = entries.children.get(account).cloned().unwrap_or_default();
            for account in children.into_iter().chain([*account]) {
                for key in entries.own.get(&account).cloned().unwrap_or_default() {
                    entries.remove(&key);
                }
            }
        }
    }

    pub(super) fn forget_all(&self) {
        let mut entries = self.write();
        entries.all.clear();
        entries.own.clear();
        entries.children.clear();
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries<K, V>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries<K, V>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V> Entries<K, V> {
    fn remove(&mut self, key: &K) {
        let Some(Entry { of: Of { account, parent }, .. }) = self.all.remove(key) else { return };
        let Some(own) = self.own.get_mut(&account) else { return };
        own.remove(key);
        if !own.is_empty() {
            return;
        }
        self.own.remove(&account);
        if let Some(parent) = parent
            && let Some(children) = self.children.get_mut(&parent)
        {
            children.remove(&account);
            if children.is_empty() {
                self.children.remove(&parent);
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
        Of { account: account(number), parent: (number % 2 == 1).then(|| account(number - 1)) }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u16, u8),
        Forget(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let insert = (0..400_u16, 0..12_u8).prop_map(|(key, number)| Step::Insert(key, number));
        prop::collection::vec(prop_oneof![9 => insert, 1 => (0..12_u8).prop_map(Step::Forget)], 0..300)
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
                    Step::Forget(number) => {
                        memory.forget(&HashSet::from([account(number)]));
                        model.retain(|_, of| *of != number && (number % 2 == 1 || *of != number + 1));
                    }
                }
                let entries = memory.read();
                prop_assert!(entries.all.len() <= max);
                prop_assert!(entries.own.values().all(|own| !own.is_empty() && own.len() <= (max / SHARE).max(1)));
                prop_assert_eq!(entries.own.values().map(HashSet::len).sum::<usize>(), entries.all.len());
                for (key, entry) in &entries.all {
                    prop_assert_eq!(model.get(key), Some(&entry.value));
                }
                let children = entries.children.values().flatten();
                prop_assert!(children.clone().all(|child| entries.own.contains_key(child)));
            }
        }
    }

    #[test]
    fn who_makes_tokens_without_end_drives_out_its_own() {
        let memory = Memory::new(64);
        memory.insert(0, 2, of(2), &HEARD, 7);
        for key in 1..1_000 {
            memory.insert(key, 4, of(4), &HEARD, 7);
        }
        assert_eq!((memory.get(&0), memory.get(&999)), (Some(2), Some(4)));
        assert_eq!(memory.read().all.len(), 1 + 64 / SHARE);
        // What was read before a change is not remembered after it.
        memory.insert(1_000, 2, of(2), &HEARD, 6);
        assert_eq!(memory.get(&1_000), None);
    }
}
