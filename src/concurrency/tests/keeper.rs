//! Keeping what is held, against leases that do as they are told.

use std::{sync::Arc, time::Duration};

use super::{Config, Gate, account, fake::Fake, settle, subject};
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
