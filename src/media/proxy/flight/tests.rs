//! Who asks and who waits. No IO: outcomes are said by hand.

use std::time::{Duration, Instant};

use super::{Flights, Lead, Outcome, PASSES_MAX, Place};
use crate::{
    clock::Clock,
    ids::ResponseKey,
    problem::{Kind, Problem},
};

const MEMORY: Duration = Duration::from_secs(60);

fn key(name: &str) -> ResponseKey {
    ResponseKey::of(name.as_bytes())
}

fn lead(flights: &Flights, name: &str) -> Lead {
    flights.lead(key(name)).expect("nobody has this place")
}

fn follow(flights: &Flights, name: &str) -> super::Follow {
    match flights.join(key(name)) {
        Place::Follow(follow) => follow,
        Place::Lead(_) => panic!("somebody leads already"),
    }
}

fn now() -> Instant {
    Clock::system().now()
}

#[tokio::test]
async fn one_leads_and_the_others_hear_what_came_of_it() {
    let flights = Flights::new(MEMORY);
    let first = lead(&flights, "a");
    let others = [follow(&flights, "a"), follow(&flights, "a")];
    let _elsewhere = lead(&flights, "b");
    first.say(Outcome::Failed(Problem::new(Kind::OriginTimeout, "too slow")));
    for other in others {
        let outcome = other.outcome().await;
        assert!(matches!(&outcome, Outcome::Failed(problem) if problem.kind == Kind::OriginTimeout), "{outcome:?}");
    }
    // The flight is over although the leader is still there.
    let _next = lead(&flights, "a");
}

#[tokio::test]
async fn a_leader_that_goes_away_leaves_the_place_to_the_next() {
    let flights = Flights::new(MEMORY);
    let first = lead(&flights, "a");
    let waiting = follow(&flights, "a");
    drop(first);
    assert!(matches!(waiting.outcome().await, Outcome::LookAgain));
    let _next = lead(&flights, "a");
}

#[tokio::test]
async fn what_was_declared_void_takes_no_place_of_a_later_one() {
    let flights = Flights::new(MEMORY);
    let (asking, elsewhere) = (flights.asking(key("a")), flights.asking(key("b")));
    let before = lead(&flights, "a");
    flights.void(&key("a"));
    let asking_again = flights.asking(key("a"));
    assert!(!asking.is_current() && elsewhere.is_current() && asking_again.is_current());
    drop(asking);
    assert!(asking_again.is_current());
    drop((asking_again, elsewhere));
    assert!(flights.shared.asked.lock().unwrap().is_empty());
    let after = lead(&flights, "a");
    let waiting = follow(&flights, "a");
    before.say(Outcome::PassOn);
    drop(before);
    let also_waiting = follow(&flights, "a");
    after.say(Outcome::LookAgain);
    for waiting in [waiting, also_waiting] {
        assert!(matches!(waiting.outcome().await, Outcome::LookAgain));
    }
}

#[test]
fn what_cannot_be_shared_is_remembered_for_a_while_and_within_bounds() {
    let flights = Flights::new(MEMORY);
    let start = now();
    flights.remember_pass(key("a"), start);
    assert!(flights.is_passed(&key("a"), start));
    assert!(!flights.is_passed(&key("b"), start));
    assert!(!flights.is_passed(&key("a"), start + MEMORY));
    flights.forget_pass(&key("a"));
    assert!(!flights.is_passed(&key("a"), start));
    for number in 0..=PASSES_MAX {
        flights.remember_pass(key(&number.to_string()), start);
    }
    assert!(flights.is_passed(&key(&PASSES_MAX.to_string()), start));
    assert!(flights.shared.passes.lock().unwrap().len() <= PASSES_MAX);
}
