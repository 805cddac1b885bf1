//! Who waits: for each pool that is full the accounts that wait there, in turn; for each account its lines; in each line first come, first served. Pure: no clock,
//! no lock, no task.
//!
//! A line is those who wait alike: same account, same key, same kind of work. So nobody waits behind another whom something else stops.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::{ids::AccountSid, lease::Pool};

use super::{Resource, Subject};

/// Names a line.
pub(super) type LineKey = (Subject, Resource);

/// All who wait. `T` is what is known of one of them.
#[derive(Debug)]
pub(super) struct Lines<T> {
    lines: HashMap<LineKey, Line<T>>,
    rings: HashMap<Pool, Ring>,
    /// How many lines are being tried right now, by the pool where they have their turn: they wait there still.
    tried: HashMap<Pool, u32>,
    /// How many wait for each account, by kind of work.
    waiting: HashMap<(AccountSid, Resource), u32>,
    number: u64,
    /// Counts the looks, so that pools of an account with many come in turn.
    looks: usize,
}

#[derive(Debug)]
struct Line<T> {
    waiters: BTreeMap<u64, T>,
    /// The pool that stopped the first of them.
    stopped_by: Pool,
    /// Whether its first is being tried right now: it is in no ring meanwhile.
    is_tried: bool,
}

/// The accounts that wait at one pool, in turn.
#[derive(Debug, Default)]
struct Ring {
    turns: VecDeque<AccountSid>,
    lines: HashMap<AccountSid, VecDeque<LineKey>>,
}

/// As many wait for the account as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<T> Lines<T> {
    pub(super) fn new() -> Lines<T> {
        Lines {
            lines: HashMap::new(),
            rings: HashMap::new(),
            tried: HashMap::new(),
            waiting: HashMap::new(),
            number: 0,
            looks: 0,
        }
    }

    /// How many wait.
    #[cfg(all(test, not(model)))]
    pub(super) fn len(&self) -> usize {
        self.lines.values().map(|line| line.waiters.len()).sum()
    }

    /// How many wait for an account.
    pub(super) fn waiting(&self, account: AccountSid, resource: Resource) -> u32 {
        self.waiting.get(&(account, resource)).copied().unwrap_or_default()
    }

    /// Whether somebody who waits would be passed by one who comes now: the place of the first of these pools in which somebody waits.
    pub(super) fn first_waited_for(&self, key: &LineKey, pools: &[Pool]) -> Option<usize> {
        if let Some(line) = self.lines.get(key) {
            return Some(pools.iter().position(|pool| *pool == line.stopped_by).unwrap_or_default());
        }
        pools.iter().position(|pool| self.rings.contains_key(pool) || self.tried.contains_key(pool))
    }

    /// Joins the end of a line, which is stopped by a pool unless it is there already: the waiter's number. No more of the account wait than may for this kind of
    /// work, and for all kinds together.
    pub(super) fn join(
        &mut self,
        key: LineKey,
        stopped_by: Pool,
        (waiting_max, in_all_max): (u32, u32),
        waiter: T,
    ) -> Result<u64, Full> {
        let in_all = Resource::ALL.iter().map(|resource| self.waiting(key.0.owner(), *resource)).sum::<u32>();
        if in_all_max <= in_all {
            return Err(Full);
        }
        let waiting = self.waiting.entry((key.0.owner(), key.1)).or_default();
        if waiting_max <= *waiting {
            return Err(Full);
        }
        *waiting += 1;
        self.number += 1;
        let line = self.lines.entry(key).or_insert_with(|| {
            self.rings.entry(stopped_by).or_default().push_back(key);
            Line { waiters: BTreeMap::new(), stopped_by, is_tried: false }
        });
        line.waiters.insert(self.number, waiter);
        Ok(self.number)
    }

    /// Leaves, wherever one stands; whether one stood there.
    pub(super) fn leave(&mut self, key: &LineKey, number: u64) -> bool {
        let Some(line) = self.lines.get_mut(key) else { return false };
        if line.waiters.remove(&number).is_none() {
            return false;
        }
        let is_gone = line.waiters.is_empty() && !line.is_tried;
        let pool = line.stopped_by;
        self.count_down(key);
        if is_gone {
            self.lines.remove(key);
            self.take_from_ring(pool, key);
        }
        true
    }

    /// Who is next at a pool: the first of a line of the account whose turn it is. Until [`admitted`](Lines::admitted) or
    /// [`stopped`](Lines::stopped) is said of the line, it has no other turn.
    pub(super) fn next(&mut self, pool: Pool) -> Option<(LineKey, u64, &T)> {
        let ring = self.rings.get_mut(&pool)?;
        let key = ring.pop_front();
        if ring.turns.is_empty() {
            self.rings.remove(&pool);
        }
        let key = key?;
        let line = self.lines.get_mut(&key)?;
        line.is_tried = true;
        let (number, waiter) = line.waiters.first_key_value()?;
        *self.tried.entry(pool).or_default() += 1;
        Some((key, *number, waiter))
    }

    /// How many of a line that is tried may be so at once: all of them while nobody else waits at its pool, otherwise one, because accounts take turns.
    pub(super) fn at_once_max(&self, key: &LineKey) -> usize {
        let Some(line) = self.lines.get(key) else { return 0 };
        if self.rings.contains_key(&line.stopped_by) { 1 } else { line.waiters.len() }
    }

    /// So many of a line that is tried have their places: its first, who are given out, or fewer where others have left meanwhile.
    pub(super) fn take_first(&mut self, key: &LineKey, count: usize) -> Vec<T> {
        let Some(line) = self.lines.get_mut(key) else { return Vec::new() };
        let first: Vec<T> =
            std::iter::from_fn(|| line.waiters.pop_first()).take(count).map(|(_, waiter)| waiter).collect();
        for _ in &first {
            self.count_down(key);
        }
        first
    }

    /// All who were tried of the line have their places. Its account is last in turn now.
    pub(super) fn admitted(&mut self, key: &LineKey) {
        let Some(line) = self.lines.get_mut(key) else { return };
        line.is_tried = false;
        let (pool, is_gone) = (line.stopped_by, line.waiters.is_empty());
        self.end_try(pool);
        if is_gone {
            self.lines.remove(key);
        } else {
            self.rings.entry(pool).or_default().push_back(*key);
        }
    }

    /// The line is stopped by a pool, its first still waiting. At the pool where it had its turn it keeps it.
    pub(super) fn stopped(&mut self, key: &LineKey, pool: Pool) {
        let Some(line) = self.lines.get_mut(key) else { return };
        line.is_tried = false;
        let tried_at = std::mem::replace(&mut line.stopped_by, pool);
        let (keeps_turn, is_gone) = (tried_at == pool, line.waiters.is_empty());
        self.end_try(tried_at);
        if is_gone {
            self.lines.remove(key);
            return;
        }
        let ring = self.rings.entry(pool).or_default();
        if keeps_turn { ring.push_front(*key) } else { ring.push_back(*key) }
    }

    /// Where somebody waits.
    pub(super) fn pools(&self) -> Vec<Pool> {
        self.rings.keys().chain(self.tried.keys()).copied().collect()
    }

    /// The same for one look: of each account at most `of_one_max` of the pools in which nobody else waits, in turn from look to look.
    pub(super) fn pools_in_turn(&mut self, of_one_max: usize) -> Vec<Pool> {
        self.looks = self.looks.wrapping_add(1);
        let (mut looked_at, mut own): (Vec<Pool>, HashMap<AccountSid, Vec<Pool>>) = (Vec::new(), HashMap::new());
        for (pool, ring) in &self.rings {
            match ring.turns.front() {
                Some(account) if ring.turns.len() == 1 => own.entry(*account).or_default().push(*pool),
                _ => looked_at.push(*pool),
            }
        }
        for mut pools in own.into_values() {
            if of_one_max < pools.len() {
                pools.sort_unstable();
                let first = self.looks.wrapping_mul(of_one_max) % pools.len();
                pools.rotate_left(first);
                pools.truncate(of_one_max);
            }
            looked_at.append(&mut pools);
        }
        looked_at
    }

    fn count_down(&mut self, (subject, resource): &LineKey) {
        let key = (subject.owner(), *resource);
        if let Some(waiting) = self.waiting.get_mut(&key) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(&key);
            }
        }
    }

    fn end_try(&mut self, pool: Pool) {
        if let Some(tried) = self.tried.get_mut(&pool) {
            *tried -= 1;
            if *tried == 0 {
                self.tried.remove(&pool);
            }
        }
    }

    fn take_from_ring(&mut self, pool: Pool, key: &LineKey) {
        if let Some(ring) = self.rings.get_mut(&pool) {
            ring.remove(key);
            if ring.turns.is_empty() {
                self.rings.remove(&pool);
            }
        }
    }
}

impl Ring {
    fn push_back(&mut self, key: LineKey) {
        let account = key.0.owner();
        let lines = self.lines.entry(account).or_default();
        if lines.is_empty() {
            self.turns.push_back(account);
        }
        lines.push_back(key);
    }

    fn push_front(&mut self, key: LineKey) {
        let account = key.0.owner();
        let lines = self.lines.entry(account).or_default();
        if !lines.is_empty() {
            self.turns.retain(|other| *other != account);
        }
        self.turns.push_front(account);
        lines.push_front(key);
    }

    /// The first line of the account whose turn it is. With other lines the account is last in turn now.
    fn pop_front(&mut self) -> Option<LineKey> {
        let account = self.turns.pop_front()?;
        let lines = self.lines.get_mut(&account)?;
        let key = lines.pop_front();
        if lines.is_empty() {
            self.lines.remove(&account);
        } else {
            self.turns.push_back(account);
        }
        key
    }

    fn remove(&mut self, key: &LineKey) {
        let account = key.0.owner();
        let Some(lines) = self.lines.get_mut(&account) else { return };
        lines.retain(|other| other != key);
        if lines.is_empty() {
            self.lines.remove(&account);
            self.turns.retain(|other| *other != account);
        }
    }
}
