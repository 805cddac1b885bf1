//! What is kept free.

use std::time::Duration;

use super::{
    super::{Admitted, HangUp, HangUpPlace, Limit, Policy, Scope, reserve::Reserve},
    Gate, RESOURCE, account, delay, scope, settle, subject,
};

fn first(hang_up: HangUp) -> HangUpPlace {
    match hang_up {
        HangUp::First(place) => place,
        HangUp::Again => panic!("somebody else is at it"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_ends_so_many_calls_at_once_and_no_hang_up_is_refused() {
    let reserve = Reserve::new(2, 1);
    let (one, other) = (first(reserve.hang_up(account(1), 1).await), first(reserve.hang_up(account(1), 2).await));
    let mut waits: Vec<_> = (3..1_000)
        .map(|call| {
            let reserve = reserve.clone();
            tokio::spawn(async move { first(reserve.hang_up(account(1), call).await).done() })
        })
        .collect();
    settle().await;
    assert!(waits.iter().all(|wait| !wait.is_finished()));
    // Another account does not wait for it.
    first(reserve.hang_up(account(2), 1).await).done();
    one.done();
    drop(other);
    for wait in waits.drain(..) {
        tokio::time::timeout(Duration::from_secs(1), wait).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn repeats_for_one_call_are_one() {
    let reserve = Reserve::new(1, 1);
    let place = first(reserve.hang_up(account(1), 7).await);
    let repeats: Vec<_> = (0..10)
        .map(|_| {
            let reserve = reserve.clone();
            tokio::spawn(async move { matches!(reserve.hang_up(account(1), 7).await, HangUp::Again) })
        })
        .collect();
    settle().await;
    assert!(repeats.iter().all(|repeat| !repeat.is_finished()));
    place.done();
    for repeat in repeats {
        assert!(repeat.await.unwrap());
    }
    // Afterwards it is anew: the caller looks at the call, which has ended.
    first(reserve.hang_up(account(1), 7).await).done();
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_done_by_the_next() {
    let reserve = Reserve::new(1, 1);
    let place = first(reserve.hang_up(account(1), 7).await);
    let repeats: Vec<_> = (0..3)
        .map(|_| {
            let reserve = reserve.clone();
            tokio::spawn(async move {
                match reserve.hang_up(account(1), 7).await {
                    HangUp::First(place) => {
                        place.done();
                        1
                    }
                    HangUp::Again => 0,
                }
            })
        })
        .collect();
    settle().await;
    drop(place);
    let mut firsts = 0;
    for repeat in repeats {
        firsts += repeat.await.unwrap();
    }
    assert!(1 <= firsts);
}

#[tokio::test]
async fn operators_have_a_ceiling_of_their_own() {
    let reserve = Reserve::new(1, 2);
    let places = (reserve.admin(account(1)).unwrap(), reserve.admin(account(2)).unwrap());
    assert!(reserve.admin(account(3)).is_none());
    drop(places);
    assert!(reserve.admin(account(3)).is_some());
}

#[test]
fn no_account_takes_all_that_is_kept_free() {
    let reserve = Reserve::new(1, 16);
    let mut places: Vec<_> = std::iter::from_fn(|| reserve.admin(account(1))).take(16).collect();
    assert_eq!(places.len(), 2);
    assert!(reserve.admin(account(2)).is_some());
    drop(places.pop());
    assert!(reserve.admin(account(1)).is_some());
}

#[tokio::test(start_paused = true)]
async fn at_ten_times_the_ceiling_operators_and_hang_ups_are_let_in() {
    const CEILING: u32 = 20;
    for policy in [Policy::Reject, delay(Duration::from_secs(300), 1_000)] {
        let gate = Gate::alone();
        gate.limit(Scope::Platform, Limit::hard(CEILING).with(policy));
        let mut held = Vec::new();
        for _ in 0..CEILING {
            held.push(gate.admit(subject(1)).await.unwrap());
        }
        let flood: Vec<_> = (0..10 * CEILING)
            .map(|number| {
                let concurrency = gate.concurrency.clone();
                tokio::spawn(async move { concurrency.admit(subject((number % 5) as u8), RESOURCE).await })
            })
            .collect();
        settle().await;
        let reserve = gate.concurrency.reserve();
        for call in 0..10 * u128::from(CEILING) {
            first(reserve.hang_up(account(1), call).await).done();
        }
        for _ in 0..10 * CEILING {
            let admitted = gate.concurrency.admit_operator(subject(2), RESOURCE).await;
            assert!(matches!(admitted, Ok(Admitted::Reserved(_))), "{admitted:?}");
        }
        flood.iter().for_each(|asked| asked.abort());
        // While there is room the reserve is left alone.
        drop(held.pop());
        let admitted = gate.concurrency.admit_operator(subject(2), RESOURCE).await;
        assert!(matches!(admitted, Ok(Admitted::Counted(_))) || policy != Policy::Reject, "{admitted:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_stops_an_account_stops_its_operators_as_well() {
    let gate = Gate::alone();
    gate.limit(Scope::Platform, Limit::hard(2));
    gate.limit(scope(1), Limit::hard(1));
    let _held = gate.admit(subject(1)).await.unwrap();
    let refused = gate.concurrency.admit_operator(subject(1), RESOURCE).await.unwrap_err();
    assert_eq!(refused.scope, scope(1));
    let _other = gate.admit(subject(2)).await.unwrap();
    // Everybody is stopped now, and this one by its own limit as well.
    assert!(gate.concurrency.admit_operator(subject(1), RESOURCE).await.is_err());
    // So it is where others wait for everybody's places.
    gate.limit(Scope::Platform, Limit::hard(2).with(delay(Duration::from_secs(300), 10)));
    let waiting = gate.concurrency.clone();
    let waiting = tokio::spawn(async move { waiting.admit(subject(4), RESOURCE).await });
    settle().await;
    assert_eq!(gate.concurrency.waiting(subject(4), RESOURCE), 1);
    // It stands in the same line, in vain.
    assert!(gate.concurrency.admit_operator(subject(1), RESOURCE).await.is_err());
    let admitted = gate.concurrency.admit_operator(subject(3), RESOURCE).await;
    assert!(matches!(admitted, Ok(Admitted::Reserved(_))), "{admitted:?}");
    waiting.abort();
}
