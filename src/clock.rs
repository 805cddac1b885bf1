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
}
