//! When to try again.

use std::time::Duration;

/// Wait before the second try; doubles with each further one.
const FIRST: Duration = Duration::from_millis(250);
/// Longest wait between two tries, whatever the other side says.
const LONGEST: Duration = Duration::from_secs(60);

/// How long to wait between tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { first: FIRST }
    }
}

impl Backoff {
    /// One with a shorter wait.
    #[cfg(test)]
    pub(super) fn beginning_with(first: Duration) -> Backoff {
        Backoff { first }
    }

    /// How long to wait before another try after so many: what the other side says, or twice as long each time with up to half of it
    /// off, so that those refused together do not come back together.
    pub(super) fn wait(self, tries: u32, told: Option<Duration>) -> Duration {
        let doubled = self.first.saturating_mul(1 << tries.saturating_sub(1).min(16));
        told.unwrap_or_else(|| doubled.mul_f64(1.0 - rand::random::<f64>() / 2.0)).min(LONGEST)
    }
}
