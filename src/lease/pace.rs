//! How many may begin in a second: a pure function of when the last one may.

use std::time::Duration;

/// How fast, how much at once, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time from one to the next. More than 0.
    pub interval: Duration,
    /// How many may begin at once after a pause, the first among them. At least 1.
    pub burst: u32,
    /// How many may wait for their turn at most.
    pub backlog_max: u32,
}

impl Rate {
    /// So many in a second, one after the other; `None` for none at all.
    pub fn per_second(count: u32, backlog_max: u32) -> Option<Rate> {
        let interval = Duration::from_secs(1).checked_div(count)?;
        Some(Rate { interval, burst: 1, backlog_max })
    }

    pub(super) fn interval_micros(self) -> u64 {
        // Rounded up: never faster than it says.
        u64::try_from(self.interval.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
    }

    /// How much earlier than its own turn one may begin.
    pub(super) fn tolerance_micros(self) -> u64 {
        self.interval_micros().saturating_mul(u64::from(self.burst.max(1) - 1))
    }

    /// The longest that one may have to wait.
    pub(super) fn wait_max_micros(self) -> u64 {
        self.interval_micros().saturating_mul(u64::from(self.backlog_max))
    }
}

/// When one may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paced {
    /// It has its turn.
    Turn {
        /// In so long from now: what `queue_time` tells.
        starts_in: Duration,
    },
    /// As many wait as may. It has no turn.
    Full {
        /// When there will be room for one.
        retry_in: Duration,
    },
}

/// The generic cell rate algorithm. `due` is when the next turn is, in microseconds of the same clock as `now`; the second number is when it is after this
/// decision.
pub(super) fn decide(rate: Rate, due: u64, now: u64) -> (Paced, u64) {
    let due = due.max(now);
    let wait = due.saturating_sub(rate.tolerance_micros()).saturating_sub(now);
    let over = wait.saturating_sub(rate.wait_max_micros());
    if 0 < over {
        return (Paced::Full { retry_in: Duration::from_micros(over) }, due);
    }
    (Paced::Turn { starts_in: Duration::from_micros(wait) }, due.saturating_add(rate.interval_micros()))
}

pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
