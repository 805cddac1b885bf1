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

    /// How long to wait before another try after so many: what the other side says and up to a quarter more, or twice as long each time
    /// with up to half of it off, so that those refused together do not come back together.
    pub(super) fn wait(self, tries: u32, told: Option<Duration>) -> Duration {
        self.wait_by(tries, told, rand::random())
    }

    /// The same by a number from 0 to 1 that chance drew.
    fn wait_by(self, tries: u32, told: Option<Duration>, chance: f64) -> Duration {
        let wait = match told {
            // Bounded before it is multiplied: what is said may be any number.
            Some(told) => told.min(LONGEST).mul_f64(1.0 + chance / 4.0),
            None => self.first.saturating_mul(1 << tries.saturating_sub(1).min(16)).mul_f64(1.0 - chance / 2.0),
        };
        wait.min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_themselves_and_are_no_shorter_than_what_was_told() {
        let milliseconds = Duration::from_millis;
        let check = |tries: u32, told: Option<Duration>, shortest: Duration, longest: Duration| {
            let waits = [0.0, 0.5, 1.0].map(|chance| Backoff::default().wait_by(tries, told, chance));
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert_eq!((*least, *most), (shortest, longest), "after {tries}, told {told:?}");
        };
        check(1, None, milliseconds(125), milliseconds(250));
        check(2, None, milliseconds(250), milliseconds(500));
        check(5, None, milliseconds(2_000), milliseconds(4_000));
        check(u32::MAX, None, LONGEST, LONGEST);
        check(1, Some(Duration::ZERO), Duration::ZERO, Duration::ZERO);
        check(1, Some(milliseconds(4_000)), milliseconds(4_000), milliseconds(5_000));
        check(9, Some(Duration::MAX), LONGEST, LONGEST);
    }
}
