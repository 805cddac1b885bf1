//! Limits that are reached are told, each once at a time, and no decision waits for it.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;

use super::{
    super::{Alarms, Alert, TOLD_EVERY, Threshold},
    Gate, Limit, Policy, Scope, Subject, Why, delay, impeded, scope, settle, subject,
};
use crate::ids::AccountSid;

#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<Alert>>>);

impl Alarms for Heard {
    fn raise(&self, alert: Alert) -> BoxFuture<'_, ()> {
        self.0.lock().unwrap().push(alert);
        Box::pin(std::future::ready(()))
    }
}

impl Heard {
    fn take(&self) -> Vec<(Scope, Threshold, u32, u32)> {
        let mut all: Vec<_> = std::mem::take(&mut *self.0.lock().unwrap());
        all.sort_by_key(|alert| (alert.scope, alert.threshold));
        all.iter().map(|alert| (alert.scope, alert.threshold, alert.limit, alert.current)).collect()
    }
}

/// Looks out while `story` goes on.
async fn looking_out(gate: &Gate, heard: &Heard, story: impl Future<Output = ()>) {
    tokio::select! {
        () = gate.concurrency.keep_looking_out(heard) => {}
        () = story => {}
    }
}

/// Until what was seen has been told.
async fn a_round() {
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn each_threshold_is_told_once_however_often_it_is_reached() {
    let (gate, heard) = (Gate::alone(), Heard::default());
    let key = "SK00000000000000000000000000000001".parse().unwrap();
    let with_key = Subject { key: Some(key), ..subject(1) };
    gate.limit(scope(1), Limit { soft: Some(2), ..Limit::hard(4) });
    gate.limit(Scope::Key(key), Limit { soft: Some(2), hard: None, policy: Policy::Reject });
    gate.limit(Scope::Platform, Limit { soft: Some(1), ..Limit::hard(100) });
    looking_out(&gate, &heard, async {
        a_round().await;
        let mut held = vec![gate.admit(with_key).await.unwrap()];
        a_round().await;
        assert_eq!(heard.take(), [], "the platform's is the operator's matter");
        for _ in 0..3 {
            held.push(gate.admit(with_key).await.unwrap());
        }
        a_round().await;
        let soft = |scope, current| (scope, Threshold::Soft, 2, current);
        // What was seen first: nobody counts on while nothing is told.
        assert_eq!(heard.take(), [soft(scope(1), 2), soft(Scope::Key(key), 2)]);
        for _ in 0..50 {
            impeded(gate.admit(with_key).await, Why::Full);
            impeded(gate.admit(subject(1)).await, Why::Full);
        }
        a_round().await;
        assert_eq!(heard.take(), [(scope(1), Threshold::Hard, 4, 4)]);
        // Told again only after a while: who hears it knows then that it goes on.
        impeded(gate.admit(subject(1)).await, Why::Full);
        a_round().await;
        assert_eq!(heard.take(), []);
        gate.clock.advance_wall(TOLD_EVERY);
        a_round().await;
        impeded(gate.admit(subject(1)).await, Why::Full);
        a_round().await;
        assert_eq!(heard.take(), [(scope(1), Threshold::Hard, 4, 4)]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_slowed_or_would_be_has_reached_the_limit() {
    for policy in [delay(TOLD_EVERY, 5), Policy::Throttle { slowed_by: TOLD_EVERY, beyond: 5 }, Policy::DryRun] {
        let (gate, heard) = (Gate::alone(), Heard::default());
        gate.limit(scope(1), Limit::hard(1).with(policy));
        looking_out(&gate, &heard, async {
            let _held = gate.admit(subject(1)).await.unwrap();
            let second = tokio::time::timeout(TOLD_EVERY / 4, gate.admit(subject(1))).await;
            a_round().await;
            let current = if second.is_ok() { 2 } else { 1 };
            assert_eq!(heard.take(), [(scope(1), Threshold::Hard, 1, current)], "{policy:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_too_many_at_once_some_are_told_later_and_none_is_waited_for() {
    let (gate, heard) = (Gate::alone(), Heard::default());
    let accounts: Vec<AccountSid> = (0..2_000_u32).map(|number| format!("AC{number:032x}").parse().unwrap()).collect();
    for account in &accounts {
        gate.limit(Scope::Account(*account), Limit::hard(0));
    }
    let refuse_all = async || {
        for account in &accounts {
            impeded(gate.admit(Subject::account(*account)).await, Why::Full);
        }
    };
    // Nobody looks: what is seen has a bound, and the room for it was there before.
    let room = gate.concurrency.core.lookout.capacity();
    refuse_all().await;
    refuse_all().await;
    assert_eq!(gate.concurrency.core.lookout.capacity(), room);
    {
        let lookout = &gate.concurrency.core.lookout;
        let _locked = lookout.locked();
        // While there is no room nobody waits for the lock to learn it.
        refuse_all().await;
    }
    let told = std::sync::Mutex::new(std::collections::HashSet::new());
    looking_out(&gate, &heard, async {
        a_round().await;
        let first = heard.take();
        assert!(!first.is_empty() && first.len() <= 128, "{}", first.len());
        let mut rounds = 0;
        told.lock().unwrap().extend(first.iter().map(|alert| alert.0));
        while told.lock().unwrap().len() < accounts.len() {
            refuse_all().await;
            a_round().await;
            told.lock().unwrap().extend(heard.take().iter().map(|alert| alert.0));
            rounds += 1;
            assert!(rounds < 500, "{}", told.lock().unwrap().len());
            assert_eq!(gate.concurrency.core.lookout.capacity(), room);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_owner_with_many_subaccounts_leaves_others_their_turn() {
    let (gate, heard) = (Gate::alone(), Heard::default());
    let account = |number: u32| -> AccountSid { format!("AC{number:032x}").parse().unwrap() };
    let (top, other) = (account(1), account(2));
    gate.limit(Scope::Account(other), Limit::hard(0));
    let subs: Vec<AccountSid> = (10..210).map(account).collect();
    for sub in &subs {
        gate.limit(Scope::Account(*sub), Limit::hard(0));
    }
    for sub in &subs {
        impeded(gate.admit(Subject { parent: Some(top), ..Subject::account(*sub) }).await, Why::Full);
    }
    impeded(gate.admit(Subject::account(other)).await, Why::Full);
    looking_out(&gate, &heard, async {
        a_round().await;
        let told = heard.take();
        assert_eq!(told.len(), 33, "{told:?}");
        assert!(told.iter().any(|alert| alert.0 == Scope::Account(other)));
    })
    .await;
}
