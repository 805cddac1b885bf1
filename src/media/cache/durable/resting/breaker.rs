//! When a store is asked and when it is left alone, as a pure function of what happened to requests before.
//!
//! ```text
//!             failures in a row                    pause over: one request
//!  Working ─────────────────────► Resting ────────────────────────────────► Trying
//!     ▲                             ▲  ▲                                      │ │
//!     │                             │  └──── fails: pause doubled ────────────┘ │
//!     └─────────────────────────────┼──────────── succeeds ─────────────────────┘
//! ```

use std::time::{Duration, Instant};

/// How much of itself a pause is longer at most, by chance.
const JITTER: f64 = 0.2;

/// When a store rests, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Failures in a row after which it does; at least one.
    pub(super) after_failures: u32,
    /// First pause.
    pub(super) first: Duration,
    /// Longest pause, but for what chance adds.
    pub(super) max: Duration,
}

/// What is known of the store.
#[derive(Debug)]
pub(super) struct Breaker {
    rules: Rules,
    state: State,
    /// The next pause; back to the first one when a request has succeeded from its beginning to its end.
    pause: Duration,
    /// How often it has rested. What became of requests from before a pause says nothing of the time after it.
    round: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Working {
        failures: u32,
    },
    Resting {
        until: Instant,
    },
    /// One request is on its way.
    Trying,
}

/// The right to send a request. What became of it is told by one of `succeeded`, `failed` and `abandoned`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    round: u64,
    is_trial: bool,
}

impl Breaker {
    pub(super) fn new(rules: Rules) -> Breaker {
        Breaker { rules, state: State::Working { failures: 0 }, pause: rules.first, round: 0 }
    }

    /// Whether a request would be let through; `may_try` says whether it would do as the one that tries the store after a pause.
    pub(super) fn would_admit(&self, now: Instant, may_try: bool) -> bool {
        matches!(self.state, State::Working { .. }) || (may_try && self.wants_trial(now))
    }

    /// Whether a pause is over, and nobody tries yet.
    pub(super) fn wants_trial(&self, now: Instant) -> bool {
        matches!(self.state, State::Resting { until } if until <= now)
    }

    /// The right to send a request, if there is any. After a pause one request that `may_try` gets it, and others once that one has succeeded.
    pub(super) fn admit(&mut self, now: Instant, may_try: bool) -> Option<Ticket> {
        if !self.would_admit(now, may_try) {
            return None;
        }
        let is_trial = matches!(self.state, State::Resting { .. });
        if is_trial {
            self.state = State::Trying;
        }
        Some(Ticket { round: self.round, is_trial })
    }

    /// Whether the store is left alone, but for the one that tries it.
    pub(super) fn is_resting(&self) -> bool {
        !matches!(self.state, State::Working { .. })
    }

    /// A request was answered, and its body is still to come. That ends a pause; but the next failure begins another one.
    pub(super) fn answered(&mut self, ticket: Ticket) {
        if self.is_trial(ticket) {
            self.state = State::Working { failures: self.rules.after_failures - 1 };
        }
    }

    /// A request succeeded, body and all.
    pub(super) fn succeeded(&mut self, ticket: Ticket) {
        if self.counts(ticket) {
            self.state = State::Working { failures: 0 };
            self.pause = self.rules.first;
        }
    }

    /// A request failed. The pause that begins with it, if one does; `chance` is between 0 and 1.
    pub(super) fn failed(&mut self, ticket: Ticket, now: Instant, chance: f64) -> Option<Duration> {
        if !self.counts(ticket) {
            return None;
        }
        let failures = match self.state {
            State::Working { failures } => failures + 1,
            State::Resting { .. } | State::Trying => self.rules.after_failures,
        };
        if failures < self.rules.after_failures {
            self.state = State::Working { failures };
            return None;
        }
        let pause = self.pause.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0));
        self.state = State::Resting { until: now + pause };
        self.pause = (self.pause * 2).min(self.rules.max);
        self.round += 1;
        Some(pause)
    }

    /// Nobody waited for what became of a request. If it was the one that tried, another one may.
    pub(super) fn abandoned(&mut self, ticket: Ticket, now: Instant) {
        if self.is_trial(ticket) {
            self.state = State::Resting { until: now };
        }
    }

    fn is_trial(&self, ticket: Ticket) -> bool {
        ticket.is_trial && ticket.round == self.round && self.state == State::Trying
    }

    /// Whether a request is one of those that are let through now: only such a one tells how the store is now.
    fn counts(&self, ticket: Ticket) -> bool {
        let is_admitted = matches!(self.state, State::Working { .. }) || self.is_trial(ticket);
        ticket.round == self.round && is_admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Breaker, Rules, Ticket};

    const SECOND: Duration = Duration::from_secs(1);

    /// A breaker at a time that goes on only by the test's doing.
    struct Bench {
        breaker: Breaker,
        now: Instant,
    }

    impl Bench {
        fn new(after_failures: u32) -> Bench {
            let rules = Rules { after_failures, first: SECOND, max: 4 * SECOND };
            // Any moment does: only spans count.
            Bench { breaker: Breaker::new(rules), now: tokio::time::Instant::now().into_std() }
        }

        fn admit(&mut self) -> Option<Ticket> {
            self.breaker.admit(self.now, true)
        }

        fn fail(&mut self, ticket: Ticket) -> Option<Duration> {
            self.breaker.failed(ticket, self.now, 0.0)
        }

        fn fail_next(&mut self) -> Option<Duration> {
            let ticket = self.admit().unwrap();
            self.fail(ticket)
        }
    }

    #[test]
    fn failures_in_a_row_begin_a_pause_and_pauses_grow_to_a_limit() {
        let mut bench = Bench::new(3);
        assert_eq!(bench.fail_next(), None);
        assert_eq!(bench.fail_next(), None);
        let ticket = bench.admit().unwrap();
        bench.breaker.succeeded(ticket);
        assert_eq!(bench.fail_next(), None, "the count begins anew with a success");
        assert_eq!(bench.fail_next(), None);
        assert_eq!(bench.fail_next(), Some(SECOND));
        for pause in [1, 2, 4, 4] {
            assert!(bench.breaker.is_resting());
            bench.now += pause * SECOND - Duration::from_millis(1);
            assert_eq!(bench.admit(), None);
            bench.now += Duration::from_millis(1);
            assert_eq!(bench.fail_next(), Some((2 * pause).min(4) * SECOND));
        }
    }

    #[test]
    fn one_request_tries_and_its_success_lets_all_through() {
        let mut bench = Bench::new(1);
        bench.fail_next().unwrap();
        bench.now += SECOND;
        let trial = bench.admit().unwrap();
        assert_eq!(bench.admit(), None, "one at a time");
        assert!(!bench.breaker.wants_trial(bench.now));
        assert!(bench.breaker.is_resting());
        bench.breaker.succeeded(trial);
        assert!(!bench.breaker.is_resting());
        assert_eq!(bench.fail_next(), Some(SECOND), "the first pause again");
    }

    #[test]
    fn an_abandoned_trial_gives_its_turn_to_another() {
        let mut bench = Bench::new(1);
        bench.fail_next().unwrap();
        bench.now += SECOND;
        assert!(bench.breaker.wants_trial(bench.now));
        assert_eq!(bench.breaker.admit(bench.now, false), None, "not by what takes long");
        let trial = bench.admit().unwrap();
        bench.breaker.abandoned(trial, bench.now);
        assert!(bench.admit().is_some());
    }

    #[test]
    fn what_began_before_a_pause_says_nothing_after_it() {
        let mut bench = Bench::new(1);
        let (early, other) = (bench.admit().unwrap(), bench.admit().unwrap());
        bench.fail_next().unwrap();
        bench.breaker.succeeded(early);
        assert!(bench.breaker.is_resting());
        bench.now += SECOND;
        let trial = bench.admit().unwrap();
        assert_eq!(bench.fail(other), None);
        bench.breaker.abandoned(early, bench.now);
        assert_eq!(bench.admit(), None, "the trial goes on");
        bench.breaker.succeeded(trial);
        assert_eq!(bench.fail(other), None);
        assert!(!bench.breaker.is_resting());
    }

    #[test]
    fn bodies_that_break_off_again_and_again_are_failures() {
        let mut bench = Bench::new(3);
        for _ in 0..2 {
            let ticket = bench.admit().unwrap();
            bench.breaker.answered(ticket);
            assert_eq!(bench.fail(ticket), None);
        }
        assert_eq!(bench.fail_next(), Some(SECOND));
        bench.now += SECOND;
        let trial = bench.admit().unwrap();
        bench.breaker.answered(trial);
        assert!(bench.admit().is_some(), "an answer ends the pause");
        assert_eq!(bench.fail(trial), Some(2 * SECOND), "and the next failure begins another, longer one");
    }

    #[test]
    fn chance_makes_pauses_longer() {
        let mut bench = Bench::new(1);
        let ticket = bench.admit().unwrap();
        assert_eq!(bench.breaker.failed(ticket, bench.now, 1.0), Some(Duration::from_millis(1_200)));
    }
}
