//! When one may begin, as a pure function.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{Paced, Rate, pace::decide};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn in_no_span_of_time_begin_more_than_may_and_nobody_waits_for_longer(
        pauses in prop::collection::vec(0_u64..3_000, 1..200),
        interval in 1_u64..1_000,
        burst in 1_u32..5,
        backlog_max in 0_u32..6,
    ) {
        let rate = Rate { interval: Duration::from_micros(interval), burst, backlog_max };
        let (mut now, mut due) = (1_000_000, 0);
        let mut starts: Vec<u64> = Vec::new();
        for pause in pauses {
            now += pause;
            let (paced, after) = decide(rate, due, now);
            prop_assert!(due <= after);
            due = after;
            match paced {
                Paced::Turn { starts_in } => {
                    let starts_in = u64::try_from(starts_in.as_micros()).unwrap();
                    prop_assert!(starts_in <= interval * u64::from(backlog_max));
                    starts.push(now + starts_in);
                }
                Paced::Full { retry_in } => {
                    // Who comes back then finds room, and a microsecond earlier none.
                    let later = now + u64::try_from(retry_in.as_micros()).unwrap();
                    let comes_back = |when| matches!(decide(rate, due, when).0, Paced::Turn { .. });
                    prop_assert!(comes_back(later) && !comes_back(later - 1));
                }
            }
        }
        prop_assert!(starts.is_sorted(), "first come, first served");
        for (at, first) in starts.iter().enumerate() {
            for (count, last) in starts[at..].iter().enumerate() {
                // One more than so many intervals, and what may begin at once beside.
                let may = (last - first) / interval + u64::from(burst);
                prop_assert!(u64::try_from(count).unwrap() < may + 1);
            }
        }
    }
}

#[test]
fn no_more_than_is_said_begin_in_any_second() {
    const SECOND: u64 = 1_000_000;
    for count in [1, 3, 7, 30_000, 700_000, 1_000_000] {
        let rate = Rate::per_second(count, u32::MAX).unwrap();
        let mut due = SECOND;
        let begun = std::iter::from_fn(|| {
            let (paced, after) = decide(rate, due, SECOND);
            due = after;
            let Paced::Turn { starts_in } = paced else { return None };
            (u64::try_from(starts_in.as_micros()).unwrap() < SECOND).then_some(())
        });
        let begun = begun.count();
        assert!(begun <= count as usize, "{begun} of {count}");
        assert!(count as usize / 2 < begun, "{begun} of {count}");
    }
}
