//! The only place where time is read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// A source of time. Pure code takes `now` as an argument; shells ask a `Clock` once and pass it on.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Seconds that wall time is ahead of the machine's: tests move it to let cached things go stale.
    wall_offset_seconds: Arc<AtomicI64>,
    /// Microseconds that time since the start of the machine is ahead of what it says: tests move it as a machine does that was asleep.
    boot_offset_micros: Arc<AtomicI64>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// Monotonic time, for durations and deadlines. Follows tokio's paused time in tests.
    pub fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// Wall time, for freshness, expiry and what is written down.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn now_wall(&self) -> SystemTime {
        let offset = self.wall_offset_seconds.load(Ordering::Relaxed);
        let span = Duration::from_secs(offset.unsigned_abs());
        if offset >= 0 { SystemTime::now() + span } else { SystemTime::now() - span }
    }

    /// Moves wall time of this clock and its clones forward.
    pub fn advance_wall(&self, by: Duration) {
        let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        self.wall_offset_seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Time since the machine was started, with what it was asleep for: what was promised for a time on another machine's clock may be
    /// over though [`now`](Clock::now) has not moved. Stands still with no test's paused time.
    pub fn since_boot(&self) -> Duration {
        let read = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(read.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(read.tv_nsec).unwrap_or_default();
        let offset = self.boot_offset_micros.load(Ordering::Relaxed);
        Duration::new(seconds, nanos) + Duration::from_micros(u64::try_from(offset).unwrap_or_default())
    }

    /// Moves the time since boot of this clock and its clones forward, as if the machine had been asleep.
    pub fn sleep_through(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.boot_offset_micros.fetch_add(micros, Ordering::Relaxed);
    }
}
