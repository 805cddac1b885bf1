//! What one pass has found and left: how much there is, and how old it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Steps of age in which it doubles: bytes are told apart by age to within a twentieth.
const STEPS_PER_DOUBLING: f64 = 16.0;
/// Age of the first step.
const FIRST_SECONDS: f64 = 60.0;
/// Steps at most: 25 doublings of a minute are 63 years.
const STEPS: usize = 400;
/// Of the bound, what is left free when it is exceeded, one part in so many: else every pass would have something to remove.
const FREE_PART: u64 = 20;

/// Objects and bytes, and the bytes by age.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    /// Bytes by the step of their age; steps behind the last that has some are left out.
    ages: Vec<u64>,
}

impl Tally {
    /// Counts objects that were used last `age` ago.
    pub(super) fn add(&mut self, age: Duration, objects: u64, bytes: u64) {
        self.objects += objects;
        self.bytes += bytes;
        let step = step(age);
        if self.ages.len() <= step {
            self.ages.resize(step + 1, 0);
        }
        if let Some(sum) = self.ages.get_mut(step) {
            *sum += bytes;
        }
    }

    /// Adds what another part of the pass has found.
    pub(super) fn merge(&mut self, other: &Tally) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.ages.resize(self.ages.len().max(other.ages.len()).min(STEPS), 0);
        for (sum, more) in self.ages.iter_mut().zip(&other.ages) {
            *sum += more;
        }
    }

    /// The age from which on things are to go, so that no more than `bytes_max` is left. None where there is no more.
    pub(super) fn too_old(&self, bytes_max: u64) -> Option<Duration> {
        if self.bytes <= bytes_max {
            return None;
        }
        let aim = bytes_max - bytes_max / FREE_PART;
        let mut left = self.bytes;
        for (step, bytes) in self.ages.iter().enumerate().rev() {
            left = left.saturating_sub(*bytes);
            if left <= aim {
                return Some(begin_of(step));
            }
        }
        Some(Duration::ZERO)
    }
}

fn step(age: Duration) -> usize {
    let doublings = (age.as_secs_f64() / FIRST_SECONDS).max(1.0).log2();
    // A cast from f64 saturates.
    ((doublings * STEPS_PER_DOUBLING) as usize).min(STEPS - 1)
}

/// The least age of a step, rounded down.
fn begin_of(step: usize) -> Duration {
    if step == 0 {
        return Duration::ZERO;
    }
    Duration::from_secs((FIRST_SECONDS * (step as f64 / STEPS_PER_DOUBLING).exp2()) as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{STEPS, Tally, begin_of, step};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn an_age_is_not_below_the_begin_of_its_step() {
        for seconds in [0, 1, 59, 60, 61, 119, 120, 3600, 86_399, 86_400, 10_000_000, 1 << 40, u64::MAX] {
            let age = Duration::from_secs(seconds);
            let step = step(age);
            assert!(step < STEPS && begin_of(step) <= age, "{seconds} s in step {step}");
            assert!(step + 1 == STEPS || age < begin_of(step + 1) + Duration::from_secs(1), "{seconds} s");
        }
    }

    #[test]
    fn the_oldest_go_until_it_fits() {
        let mut tally = Tally::default();
        for days in 1..=10 {
            tally.add(DAY * days, 2, 100);
        }
        assert_eq!((tally.objects, tally.bytes), (20, 1000));
        assert_eq!(tally.too_old(1000), None);
        // 950 would be left at most: one of them goes.
        let age = tally.too_old(999).unwrap();
        assert!(DAY * 9 < age && age <= DAY * 10, "{age:?}");
        let age = tally.too_old(600).unwrap();
        assert!(DAY * 5 < age && age <= DAY * 6, "{age:?}");
        assert_eq!(tally.too_old(50), Some(begin_of(step(DAY))));
    }

    #[test]
    fn parts_add_up() {
        let (mut one, mut other, mut both) = (Tally::default(), Tally::default(), Tally::default());
        one.add(DAY, 1, 7);
        other.add(DAY * 300, 2, 5);
        for (days, objects, bytes) in [(1, 1, 7), (300, 2, 5)] {
            both.add(DAY * days, objects, bytes);
        }
        one.merge(&other);
        assert_eq!(one, both);
    }
}
