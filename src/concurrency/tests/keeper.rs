//! Keeping what is held, against leases that do as they are told.

use std::{sync::Arc, time::Duration};

use super::{Config, Gate, Limit, account, delay, fake::Fake, scope, settle, subject};
use crate::lease::Standing;

const LASTS: Duration = Duration::from_secs(15);

#[tokio::test]
async fn what_was_taken_just_when_decisions_began_is_given_back() {
    let leases = Arc::new(Fake::new());
    let gate = Gate::new(Config::default(), leases.clone(), Arc::default(), LASTS);
    leases.say(Standing::Away);
    let place = gate.admit(subject(1)).await.unwrap();
    assert_eq!(gate.current(account(1)).await, 1);
    drop(place);
    settle().await;
    assert_eq!(gate.current(account(1)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_released_is_released_when_it_can_be() {
    let leases = Arc::new(Fake::new());
    let gate = Gate::new(Config::default(), leases.clone(), Arc::default(), LASTS);
    gate.limit(scope(1), Limit::hard(1).with(delay(Duration::from_secs(60), 9)));
    let place = gate.admit(subject(1)).await.unwrap();
    leases.fail_releases(3);
    drop(place);
    settle().await;
    assert_eq!(gate.current(account(1)).await, 1);
    let place = gate.admit(subject(1)).await.unwrap();
    leases.fail_releases(1);
    drop(place);
    settle().await;
    assert_eq!(gate.current(account(1)).await, 1);
    // It is not waited for where it is heard that somebody can be asked.
    leases.say(Standing::Deciding { epoch: 0 });
    settle().await;
    assert_eq!(gate.current(account(1)).await, 0);
}
