//! Waiting for a place: how one joins and leaves, and how places that were given back are handed to those who wait.
//!
//! Nobody who waits asks for himself. One task, the keeper's, tries for the first of each line, and hands over the place together with the lease: so there is no
//! rush on what was given back, and whoever leaves meanwhile gives it back by being dropped. Each pool is handed over by itself, in parts: one that never has its
//! fill keeps no other from its turn.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use tokio::sync::{Notify, oneshot};

use crate::lease::{self, Mutex, Pool, lock};

use super::{
    Impeded, Place, Policy, Why,
    core::{Attempt, Core, Stop},
    lines::LineKey,
    paths::Path,
};

/// Pools for which a place is tried at once.
const AT_ONCE_MAX: usize = 64;
/// Tries for one pool until another that waits for its turn comes before it.
const TRIES_MAX: usize = 16;
/// Tries at once for one line where nobody else waits: one at first, twice as many each time that all of them were let in.
const OF_LINE_MAX: usize = 8;

/// Who waits holds a connection: where an owner's limit is what is full, nobody waits any more when so many of the account do on a node, for whatever kind of work.
pub(super) const OWNER_WAITING_MAX: u32 = 256;
/// Pools of one account in which one look tries for a place, each a question to those who keep the leases. With more they are looked at in turn.
pub(super) const LOOKED_AT_MAX: usize = 16;

/// One who waits.
pub(super) type Waiter = oneshot::Sender<Place>;

/// Pools in which something was given back that somebody may wait for.
#[derive(Default)]
pub(super) struct Freed {
    pools: Mutex<Due>,
    notify: Notify,
}

/// The same, each once, in the order in which they come.
#[derive(Default)]
struct Due {
    order: VecDeque<Pool>,
    all: HashSet<Pool>,
}

impl Due {
    fn pop(&mut self) -> Option<Pool> {
        let pool = self.order.pop_front()?;
        self.all.remove(&pool);
        Some(pool)
    }
}

impl Extend<Pool> for Due {
    fn extend<I: IntoIterator<Item = Pool>>(&mut self, pools: I) {
        for pool in pools {
            if self.all.insert(pool) {
                self.order.push_back(pool);
            }
        }
    }
}

/// A place in a line, left when it is dropped.
struct Standing<'a> {
    core: &'a Core,
    key: LineKey,
    number: u64,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        if lock(&self.core.lines).leave(&self.key, self.number) {
            self.core.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Core {
    /// Waits for a place. Dropped, it leaves its line at once.
    pub(super) async fn wait(
        self: &Arc<Self>,
        path: &Arc<Path>,
        stop: Stop,
        wait_max: Duration,
        waiting_max: u32,
    ) -> Result<Place, Impeded> {
        let policy = Policy::Delay { wait_max, waiting_max };
        let Some(level) = path.levels.get(stop.level) else { return Err(self.refuse(path, Why::Full, Some(stop))) };
        let key = (path.subject, path.resource);
        let (sender, granted) = oneshot::channel();
        // Counted before it stands there: who gives something back meanwhile has to look.
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let in_all_max = if level.is_owners { OWNER_WAITING_MAX } else { u32::MAX };
        let joined = lock(&self.lines).join(key, level.pool, (waiting_max, in_all_max), sender);
        let Ok(number) = joined else {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(self.refuse(path, Why::QueueFull, Some(stop)));
        };
        let _standing = Standing { core: self, key, number };
        self.note_full(path, stop);
        path.usage.note_impeded(policy);
        self.meters.count_impeded(path.resource, policy);
        // What was given back between the decision and now nobody was told of.
        self.freed.note(level.pool);
        match tokio::time::timeout(wait_max, granted).await {
            Ok(Ok(mut place)) => {
                place.has_waited = true;
                Ok(place)
            }
            Ok(Err(_)) | Err(_) => Err(self.refuse(path, Why::WaitedTooLong, Some(stop))),
        }
    }

    /// How many wait for one account on this node.
    pub(super) fn waiting_of(&self, path: &Path) -> u32 {
        lock(&self.lines).waiting(path.subject.owner(), path.resource)
    }

    /// Something was given back.
    pub(super) fn note_freed(&self, path: &Path) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        lock(&self.freed.pools).extend(path.chain.pools().iter().copied());
        self.freed.notify.notify_one();
    }

    /// Hands over what is given back, until it is dropped.
    pub(super) async fn keep_handing_over(self: &Arc<Self>) {
        let mut revisions = self.records.revisions();
        let is_shared = self.lasts.is_some();
        // Where leases are not shared nobody else gives anything back, and no timer is made.
        let mut look = pin!(is_shared.then(|| tokio::time::sleep(self.look_pause())));
        let mut under_way = FuturesUnordered::new();
        // Of each pool that is being handed over, whether something was given back meanwhile.
        let mut freed_again: HashMap<Pool, bool> = HashMap::new();
        loop {
            let is_look_due = async {
                match look.as_mut().as_pin_mut() {
                    Some(look) if 0 < self.waiting.load(Ordering::Acquire) => look.await,
                    _ => std::future::pending().await,
                }
            };
            let is_look_due = tokio::select! {
                () = self.freed.notify.notified() => false,
                () = is_look_due => true,
                // A limit that was raised frees something, too.
                changed = revisions.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                    self.note_all_freed();
                    false
                }
                Some((pool, is_left)) = under_way.next(), if !under_way.is_empty() => {
                    if freed_again.remove(&pool).unwrap_or_default() || is_left {
                        lock(&self.freed.pools).extend([pool]);
                    }
                    false
                }
            };
            if is_look_due {
                // What other nodes give back nobody tells.
                let looked_at = lock(&self.lines).pools_in_turn(LOOKED_AT_MAX);
                lock(&self.freed.pools).extend(looked_at);
                look.set(Some(tokio::time::sleep(self.look_pause())));
            }
            while under_way.len() < AT_ONCE_MAX {
                let Some(pool) = lock(&self.freed.pools).pop() else { break };
                match freed_again.entry(pool) {
                    Entry::Occupied(mut again) => *again.get_mut() = true,
                    Entry::Vacant(first) => {
                        first.insert(false);
                        under_way.push(self.hand_over(pool));
                    }
                }
            }
        }
    }

    /// Until one looks again: by chance a little more or less, so that nodes do not ask all at once.
    fn look_pause(&self) -> Duration {
        self.config.look_interval.mul_f64(rand::random_range(0.5..1.5))
    }

    fn note_all_freed(&self) {
        let waited_for = lock(&self.lines).pools();
        lock(&self.freed.pools).extend(waited_for);
    }

    /// One try for somebody who waits. What lets in nobody is not asked again and again whether it does: a limit that is raised is heard of.
    async fn attempt_unless_shut(self: &Arc<Self>, path: &Arc<Path>) -> Attempt {
        match path.shut_at() {
            Some(level) if self.is_asked() => Attempt::Full(Stop { level, current: 0, cap: 0, is_of_all: false }),
            _ => self.attempt(path).await,
        }
    }

    /// Whether those who keep the leases decide; while they cannot be asked, the configuration says what is let in.
    fn is_asked(&self) -> bool {
        self.lasts.is_none() || matches!(*self.leases.standing().borrow(), lease::Standing::Deciding { .. })
    }

    /// Hands over what is free of one pool: which it was, and whether more of it may be.
    async fn hand_over(self: &Arc<Self>, pool: Pool) -> (Pool, bool) {
        let (mut at_once, mut tries) = (1, 0);
        while tries < TRIES_MAX {
            let next = {
                let mut lines = lock(&self.lines);
                let key = lines.next(pool).map(|(key, ..)| key);
                key.map(|key| (key, lines.at_once_max(&key)))
            };
            let Some((key, at_once_max)) = next else { return (pool, false) };
            let count = at_once.min(at_once_max);
            tries += count;
            let (places, stopped_by) = self.try_for(&key, count, pool).await;
            let waiters = {
                let mut lines = lock(&self.lines);
                let waiters = lines.take_first(&key, places.len());
                match stopped_by {
                    Some(stopped_by) => lines.stopped(&key, stopped_by),
                    None => lines.admitted(&key),
                }
                waiters
            };
            self.waiting.fetch_sub(waiters.len(), Ordering::AcqRel);
            // Who has left meanwhile drops the place, which gives it back.
            waiters.into_iter().zip(places).for_each(|(waiter, place)| drop(waiter.send(place)));
            match stopped_by {
                Some(stopped_by) if stopped_by == pool => return (pool, false),
                Some(_) => at_once = 1,
                None => at_once = OF_LINE_MAX.min(2 * at_once),
            }
        }
        (pool, true)
    }

    /// So many tries for the first of a line that has its turn at a pool: the places, and the pool that stopped the others.
    async fn try_for(self: &Arc<Self>, key: &LineKey, count: usize, pool: Pool) -> (Vec<Place>, Option<Pool>) {
        // As the limits are now.
        let Ok(path) = self.path(key.0, key.1) else { return (Vec::new(), Some(pool)) };
        let (mut places, mut stopped_by) = (Vec::new(), None);
        for attempt in join_all((0..count).map(|_| self.attempt_unless_shut(&path))).await {
            match attempt {
                Attempt::Admitted(place) => places.push(place),
                Attempt::Full(stop) => stopped_by = Some(path.levels.get(stop.level).map_or(pool, |level| level.pool)),
                Attempt::Closed => stopped_by = Some(pool),
            }
        }
        (places, stopped_by)
    }
}

impl Freed {
    fn note(&self, pool: Pool) {
        lock(&self.pools).extend([pool]);
        self.notify.notify_one();
    }
}
