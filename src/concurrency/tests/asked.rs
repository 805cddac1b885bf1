//! What waiting costs: questions to those who keep the leases, and connections.

use std::sync::Arc;

use super::{
    super::{Giver, waiting::OWNER_WAITING_MAX},
    Config, Duration, Gate, Limit, MemoryLimits, RESOURCE, Resource, Why, delay,
    fake::Fake,
    impeded, scope, settle, subject,
};

#[tokio::test(start_paused = true)]
async fn what_lets_in_nobody_is_asked_once_and_lets_in_who_waits_when_it_is_raised() {
    let leases = Arc::new(Fake::new());
    let limits: Arc<MemoryLimits> = Arc::default();
    let gate = Arc::new(Gate::new(Config::default(), leases.clone(), limits.clone(), Duration::from_secs(15)));
    let policy = delay(Duration::from_secs(30), 9);
    gate.limit(scope(1), Limit::hard(0).with(policy));
    // For as long as six hundred looks take.
    impeded(gate.admit(subject(1)).await, Why::WaitedTooLong);
    assert_eq!(leases.asked(), 1);
    let waits = tokio::spawn({
        let gate = gate.clone();
        async move { gate.admit(subject(1)).await }
    });
    settle().await;
    assert!(!waits.is_finished());
    limits.set_by(Giver::Operator, scope(1), RESOURCE, Limit::hard(1).with(policy)).unwrap();
    let held = waits.await.unwrap().unwrap();
    // Where there may be one somebody looks for it.
    let before = leases.asked();
    impeded(gate.admit(subject(1)).await, Why::WaitedTooLong);
    assert!(before + 100 < leases.asked());
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn an_owners_limits_make_so_many_wait_whatever_for() {
    let gate = Arc::new(Gate::alone());
    let policy = delay(Duration::from_secs(30), OWNER_WAITING_MAX);
    let kinds = [RESOURCE, Resource::MediaReads];
    for kind in kinds {
        gate.limits.set_by(Giver::Owner, scope(1), kind, Limit::hard(0).with(policy)).unwrap();
    }
    // The operator's may make more wait.
    gate.limits.set(scope(1), Resource::Uploads, Limit::hard(0).with(policy)).unwrap();
    let mut all = tokio::task::JoinSet::new();
    let mut wait = |kind| {
        let gate = gate.clone();
        all.spawn(async move { gate.concurrency.admit(subject(1), kind).await.map(drop) });
    };
    for number in 0..OWNER_WAITING_MAX {
        wait(kinds[usize::from(number % 2 == 0)]);
    }
    settle().await;
    let waiting = |kind| gate.concurrency.waiting(subject(1), kind);
    assert_eq!(waiting(kinds[0]) + waiting(kinds[1]), OWNER_WAITING_MAX);
    for kind in kinds {
        impeded(gate.concurrency.admit(subject(1), kind).await, Why::QueueFull);
    }
    wait(Resource::Uploads);
    settle().await;
    assert_eq!(waiting(Resource::Uploads), 1);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_never_ends_keeps_no_other_from_its_turn() {
    const ANSWER: Duration = Duration::from_millis(1);
    let leases = Arc::new(Fake::slow(ANSWER));
    let gate = Arc::new(Gate::new(Config::default(), leases, Arc::default(), Duration::from_secs(15)));
    // Of the flood there are more than may, and whoever is let in is done at once: there is always one who waits, and always room.
    for (number, limit) in [(1, 50), (2, 1)] {
        gate.limit(scope(number), Limit::hard(limit).with(delay(Duration::from_secs(30), 999)));
    }
    let held = gate.admit(subject(2)).await.unwrap();
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..150 {
        let gate = gate.clone();
        flood.spawn(async move {
            loop {
                drop(gate.admit(subject(1)).await);
            }
        });
    }
    let waits = tokio::spawn({
        let gate = gate.clone();
        async move {
            let began = gate.clock.now();
            gate.admit(subject(2)).await.map(|_| gate.clock.now() - began)
        }
    });
    tokio::time::sleep(200 * ANSWER).await;
    assert_eq!(gate.concurrency.waiting(subject(2), RESOURCE), 1);
    let before = gate.concurrency.usage(subject(1)).await[0].admitted;
    drop(held);
    let waited = waits.await.unwrap().unwrap();
    assert!(waited < 300 * ANSWER, "{waited:?}");
    // The flood is served, too.
    tokio::time::sleep(200 * ANSWER).await;
    assert!(before + 50 < gate.concurrency.usage(subject(1)).await[0].admitted);
}
