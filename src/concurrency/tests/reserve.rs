//! What is kept free.

use std::time::Duration;

use super::{
    super::{HangUp, HangUpPlace, reserve::Reserve},
    account, settle,
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
    let places = (reserve.admin().unwrap(), reserve.admin().unwrap());
    assert!(reserve.admin().is_none());
    drop(places);
    assert!(reserve.admin().is_some());
}
