//! How often somebody may be wrong about credentials before having to wait: an address, or whatever else failures are counted for.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What failures of API credentials are counted over.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Keys that are remembered at most; beyond them the older half is forgotten.
const KEYS_MAX: usize = 65_536;

/// Counts failures of each key. A std lock: held for map operations only.
#[derive(Debug)]
pub(super) struct Ceiling<K = IpAddr> {
    failures_max: u32,
    window: Duration,
    windows: Mutex<Windows<K>>,
}

/// Two halves, so that forgetting the older one is no search among tens of thousands of addresses that somebody makes up.
#[derive(Debug)]
struct Windows<K> {
    younger: HashMap<K, Window>,
    older: HashMap<K, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    failures: u32,
}

impl<K: Copy + Eq + Hash> Ceiling<K> {
    pub(super) fn new(failures_max: u32, window: Duration) -> Ceiling<K> {
        let windows = Windows { younger: HashMap::new(), older: HashMap::new() };
        Ceiling { failures_max, window, windows: Mutex::new(windows) }
    }

    /// How long the key has to wait, if it has to.
    pub(super) fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.younger.get(key).or_else(|| windows.older.get(key))?;
        let left = self.window.checked_sub(now.saturating_duration_since(window.began))?;
        (self.failures_max <= window.failures && !left.is_zero()).then_some(left)
    }

    pub(super) fn note_failure(&self, key: K, now: Instant) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let before = windows.younger.remove(&key).or_else(|| windows.older.remove(&key));
        let is_over = |window: &Window| self.window <= now.saturating_duration_since(window.began);
        let mut window = before.filter(|window| !is_over(window)).unwrap_or(Window { began: now, failures: 0 });
        window.failures = window.failures.saturating_add(1);
        if KEYS_MAX / 2 <= windows.younger.len() {
            windows.older = std::mem::take(&mut windows.younger);
        }
        windows.younger.insert(key, window);
    }
}

/// What one caller has: an address of version 4, or a /64 of version 6, of which everybody has many.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn an_address_waits_for_the_rest_of_its_minute_and_no_other_does() {
        let (ceiling, now) = (Ceiling::new(2, WINDOW), Clock::system().now());
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        ceiling.note_failure(network(one), now);
        assert_eq!(ceiling.wait(&network(one), now), None);
        ceiling.note_failure(network(one), now + Duration::from_secs(20));
        assert_eq!(ceiling.wait(&network(one), now + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(ceiling.wait(&network("::ffff:192.0.2.1".parse().unwrap()), now), Some(WINDOW));
        assert_eq!(ceiling.wait(&network(other), now), None);
        assert_eq!(ceiling.wait(&network(one), now + WINDOW), None);
        ceiling.note_failure(network(one), now + WINDOW);
        assert_eq!(ceiling.wait(&network(one), now + WINDOW), None);
    }

    #[test]
    fn a_network_of_version_6_is_one_address_and_memory_is_bounded() {
        let (ceiling, now) = (Ceiling::new(1, WINDOW), Clock::system().now());
        ceiling.note_failure(network("2001:db8::1".parse().unwrap()), now);
        assert!(ceiling.wait(&network("2001:db8::2".parse().unwrap()), now).is_some());
        assert!(ceiling.wait(&network("2001:db8:0:1::1".parse().unwrap()), now).is_none());
        for number in 0..u32::try_from(2 * KEYS_MAX).unwrap() {
            ceiling.note_failure(IpAddr::V4(number.into()), now + Duration::from_secs(1));
        }
        let windows = ceiling.windows.lock().unwrap();
        assert!(windows.younger.len() + windows.older.len() <= KEYS_MAX);
        drop(windows);
        assert!(ceiling.wait(&network("2001:db8::2".parse().unwrap()), now).is_none());
    }
}
