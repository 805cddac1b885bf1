//! How often an address may be wrong about its credentials before it has to wait.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What failures are counted over.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered at most; beyond them the older half is forgotten.
const ADDRESSES_MAX: usize = 65_536;

/// Counts failures of each address. A std lock: held for map operations only.
#[derive(Debug)]
pub(super) struct Ceiling {
    failures_max: u32,
    windows: Mutex<Windows>,
}

/// Two halves, so that forgetting the older one is no search among tens of thousands of addresses that somebody makes up.
#[derive(Debug, Default)]
struct Windows {
    younger: HashMap<IpAddr, Window>,
    older: HashMap<IpAddr, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    failures: u32,
}

impl Ceiling {
    pub(super) fn new(failures_max: u32) -> Ceiling {
        Ceiling { failures_max, windows: Mutex::default() }
    }

    /// How long the address has to wait, if it has to.
    pub(super) fn wait(&self, from: IpAddr, now: Instant) -> Option<Duration> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(from);
        let window = windows.younger.get(&address).or_else(|| windows.older.get(&address))?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(window.began))?;
        (self.failures_max <= window.failures && !left.is_zero()).then_some(left)
    }

    pub(super) fn note_failure(&self, from: IpAddr, now: Instant) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(from);
        let before = windows.younger.remove(&address).or_else(|| windows.older.remove(&address));
        let is_over = |window: &Window| WINDOW <= now.saturating_duration_since(window.began);
        let mut window = before.filter(|window| !is_over(window)).unwrap_or(Window { began: now, failures: 0 });
        window.failures = window.failures.saturating_add(1);
        if ADDRESSES_MAX / 2 <= windows.younger.len() {
            windows.older = std::mem::take(&mut windows.younger);
        }
        windows.younger.insert(address, window);
    }
}

/// What one caller has: an address of version 4, or a /64 of version 6, of which everybody has many.
fn network(address: IpAddr) -> IpAddr {
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
        let (ceiling, now) = (Ceiling::new(2), Clock::system().now());
        let [one, other]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        ceiling.note_failure(one, now);
        assert_eq!(ceiling.wait(one, now), None);
        ceiling.note_failure(one, now + Duration::from_secs(20));
        assert_eq!(ceiling.wait(one, now + Duration::from_secs(20)), Some(Duration::from_secs(40)));
        assert_eq!(ceiling.wait("::ffff:192.0.2.1".parse().unwrap(), now), Some(WINDOW));
        assert_eq!(ceiling.wait(other, now), None);
        assert_eq!(ceiling.wait(one, now + WINDOW), None);
        ceiling.note_failure(one, now + WINDOW);
        assert_eq!(ceiling.wait(one, now + WINDOW), None);
    }

    #[test]
    fn a_network_of_version_6_is_one_address_and_memory_is_bounded() {
        let (ceiling, now) = (Ceiling::new(1), Clock::system().now());
        ceiling.note_failure("2001:db8::1".parse().unwrap(), now);
        assert!(ceiling.wait("2001:db8::2".parse().unwrap(), now).is_some());
        assert!(ceiling.wait("2001:db8:0:1::1".parse().unwrap(), now).is_none());
        for number in 0..u32::try_from(2 * ADDRESSES_MAX).unwrap() {
            ceiling.note_failure(IpAddr::V4(number.into()), now + Duration::from_secs(1));
        }
        let windows = ceiling.windows.lock().unwrap();
        assert!(windows.younger.len() + windows.older.len() <= ADDRESSES_MAX);
        drop(windows);
        assert!(ceiling.wait("2001:db8::2".parse().unwrap(), now).is_none());
    }
}
