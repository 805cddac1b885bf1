//! Instants as foyer's throttle wants them, from the system's clock.
//!
//! The published crate of this name reads the processor's own counter and finds out how fast that is in a constructor that runs
//! before `main`, at every start of whatever it is linked into: 13 ms of CPU, more than a whole conversion of a prompt takes. Its
//! only user here is foyer's count of bytes a second, which asks for the time once in a read or write of the disk.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant as SystemInstant},
};

/// What instants count from: the first one that was asked for.
static START: LazyLock<SystemInstant> = LazyLock::new(SystemInstant::now);

/// A moment of the monotonic clock, in nanoseconds since the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// This moment.
    pub fn now() -> Instant {
        let start = *START;
        // 64 bits of nanoseconds last for five centuries.
        Instant(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after `earlier` it is; zero where it is not after it.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How long ago it is.
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }
}

/// An instant that threads share.
#[derive(Debug)]
pub struct Atomic(AtomicU64);

impl Atomic {
    /// With this value.
    pub fn new(instant: Instant) -> Atomic {
        Atomic(AtomicU64::new(instant.0))
    }

    /// The value.
    pub fn load(&self, order: Ordering) -> Instant {
        Instant(self.0.load(order))
    }

    /// Replaces the value.
    pub fn store(&self, instant: Instant, order: Ordering) {
        self.0.store(instant.0, order);
    }
}
