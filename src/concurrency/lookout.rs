//! Looking out for limits that are reached, so that whose they are can be told: beside the decisions, which only leave a mark.
//!
//! A decision that finds a threshold reached sets a bit of its path and puts the path into a list that has its room already: it allocates nothing, and waits for
//! nobody but another that puts something there at that moment. Where the bit is set, or the list is full, it takes no lock. Once a second what stands there is told
//! to [`Alarms`], who keep who is told how often. The list is for whoever comes first; of what is told at one time one owner has a share.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, future::BoxFuture, stream};
use metrics::counter;

use crate::{
    ids::AccountSid,
    lease::{Mutex, lock},
};

use super::{Resource, Scope, core::Core, paths::Path};

/// How often what was seen is told.
const INTERVAL: Duration = Duration::from_secs(1);
/// Marks that are kept from one time to the next. Who finds no room is seen again when the threshold is found reached the next time.
const SEEN_MAX: usize = 1_024;
/// Limits that are told of at one time; the others are seen again.
const TOLD_MAX: usize = 128;
/// The same of one owner, an account at the top with its subaccounts and keys.
const TOLD_OF_OWNER_MAX: usize = 32;
/// At once.
const AT_ONCE: usize = 8;
/// One limit is told so often at most while it goes on being reached: whoever hears it has to know that it still is.
pub const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Threshold {
    /// The soft limit: somebody was admitted who reached it.
    Soft,
    /// The hard limit: somebody was impeded by it, or would have been.
    Hard,
}

impl Threshold {
    /// As whoever is told reads it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Threshold::Soft => "soft",
            Threshold::Hard => "hard",
        }
    }
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Whose limit: an account's or a key's.
    pub scope: Scope,
    /// In what.
    pub resource: Resource,
    /// Which of the two.
    pub threshold: Threshold,
    /// What it is.
    pub limit: u32,
    /// The most that was seen in progress since the last time.
    pub current: u32,
}

/// Who tells those whose limits are reached.
pub trait Alarms: fmt::Debug + Send + Sync + 'static {
    /// Notes that one is reached. Called again and again while it is.
    fn raise(&self, alert: Alert) -> BoxFuture<'_, ()>;
}

/// What was seen since the last time.
pub(super) struct Lookout {
    seen: Mutex<Vec<Seen>>,
    /// Whether there is no room until it is emptied. Written under the lock.
    is_full: AtomicBool,
}

struct Seen {
    path: Arc<Path>,
    level: usize,
    threshold: Threshold,
    limit: u32,
    current: u32,
}

impl Lookout {
    pub(super) fn new() -> Lookout {
        Lookout { seen: Mutex::new(Vec::with_capacity(SEEN_MAX)), is_full: AtomicBool::new(false) }
    }

    /// Leaves a mark. Cost: of a threshold that was seen already, one load; where there is no room, two.
    pub(super) fn note(&self, path: &Arc<Path>, level: usize, threshold: Threshold, (limit, current): (u32, u32)) {
        let is_told =
            path.levels.get(level).is_some_and(|level| matches!(level.scope, Scope::Account(_) | Scope::Key(_)));
        let bit = bit(level, threshold);
        if !is_told || path.seen.load(Ordering::Relaxed) & bit != 0 || self.is_full.load(Ordering::Relaxed) {
            return;
        }
        if path.seen.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return;
        }
        let mut seen = lock(&self.seen);
        if seen.len() < SEEN_MAX {
            seen.push(Seen { path: path.clone(), level, threshold, limit, current });
        } else {
            self.is_full.store(true, Ordering::Relaxed);
            path.seen.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// For how many marks there is room: it never grows.
    #[cfg(all(test, not(model)))]
    pub(super) fn capacity(&self) -> usize {
        lock(&self.seen).capacity()
    }

    /// Keeps everybody waiting who needs the lock.
    #[cfg(all(test, not(model)))]
    pub(super) fn locked(&self) -> impl Sized {
        lock(&self.seen)
    }

    /// What was seen. `empty` is what is written into from now on, and has room.
    fn take(&self, empty: &mut Vec<Seen>) {
        let mut seen = lock(&self.seen);
        std::mem::swap(&mut *seen, empty);
        self.is_full.store(false, Ordering::Relaxed);
    }
}

impl Seen {
    fn forget(&self) {
        self.path.seen.fetch_and(!bit(self.level, self.threshold), Ordering::AcqRel);
    }

    fn alert(&self) -> Option<Alert> {
        let Seen { path, level, threshold, limit, current } = self;
        let (resource, scope) = (path.resource, path.levels.get(*level)?.scope);
        Some(Alert { scope, resource, threshold: *threshold, limit: *limit, current: *current })
    }
}

/// What was told of one limit, and by which paths it was seen since: those leave no other mark until it may be told again, and take no place from others.
struct Told {
    alert: Alert,
    at: SystemTime,
    seen: Vec<Seen>,
}

/// What is told of, by limit and threshold.
type AllTold = HashMap<(Scope, Resource, Threshold), Told>;

/// Of what was seen that which is to be told now.
fn sort(seen: &mut Vec<Seen>, told: &mut AllTold, now: SystemTime) -> Vec<Alert> {
    // A clock that was set back has them told again, and no harm is done.
    told.retain(|_, told| {
        let is_fresh = now.duration_since(told.at).is_ok_and(|since| since < TOLD_EVERY);
        if !is_fresh {
            told.seen.iter().for_each(Seen::forget);
        }
        is_fresh
    });
    let (mut fresh, mut put_off) = (Vec::new(), 0);
    let mut shares: HashMap<AccountSid, usize> = HashMap::new();
    for seen in seen.drain(..) {
        let Some(alert) = seen.alert() else { continue };
        let key = (alert.scope, alert.resource, alert.threshold);
        match told.get_mut(&key) {
            Some(known) => {
                known.alert.current = known.alert.current.max(alert.current);
                known.seen.push(seen);
            }
            None => {
                let share = shares.entry(seen.path.subject.owner()).or_default();
                if fresh.len() < TOLD_MAX && *share < TOLD_OF_OWNER_MAX {
                    *share += 1;
                    fresh.push(key);
                    told.insert(key, Told { alert, at: now, seen: vec![seen] });
                } else {
                    put_off += 1;
                    seen.forget();
                }
            }
        }
    }
    counter!("ringback_concurrency_alerts_put_off_total").increment(put_off);
    fresh.iter().filter_map(|key| told.get(key)).map(|told| told.alert).collect()
}

fn bit(level: usize, threshold: Threshold) -> u16 {
    let place = 2 * level + usize::from(threshold == Threshold::Hard);
    u32::try_from(place).ok().and_then(|place| 1_u16.checked_shl(place)).unwrap_or_default()
}

impl Core {
    /// Tells of limits that are reached, until it is dropped.
    pub(super) async fn keep_looking_out(&self, alarms: &dyn Alarms) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut empty = Vec::with_capacity(SEEN_MAX);
        let mut told = AllTold::new();
        loop {
            ticks.tick().await;
            self.lookout.take(&mut empty);
            let alerts = sort(&mut empty, &mut told, self.clock.now_wall());
            stream::iter(alerts).for_each_concurrent(AT_ONCE, |alert| alarms.raise(alert)).await;
        }
    }
}

impl fmt::Debug for Lookout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookout").field("seen", &lock(&self.seen).len()).finish_non_exhaustive()
    }
}
