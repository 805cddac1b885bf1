//! What waiting costs: questions to those who keep the leases, and connections.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::watch;

use super::{
    super::{Giver, waiting::OWNER_WAITING_MAX},
    Clock, Config, Duration, Gate, Leases, Limit, Local, MemoryLimits, RESOURCE, Resource, Why, delay, impeded, scope,
    settle, subject,
};
use crate::lease::{Answer, Chain, Lease, LeaseError, Paced, Pool, Rate, Standing, Subscription, Take, Taken, Values};

/// As if others took from the same pools. It counts how often it is asked for a place.
#[derive(Debug)]
struct Counting {
    local: Local,
    asked: AtomicUsize,
}

impl Leases for Counting {
    fn is_shared(&self) -> bool {
        true
    }

    fn chain(&self, pools: &[Pool]) -> Result<Chain, LeaseError> {
        self.local.chain(pools)
    }

    fn take<'a>(&'a self, take: Take<'a>) -> Answer<'a, Result<Taken, LeaseError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.local.take(take)
    }

    fn renew<'a>(&'a self, leases: &'a [Lease<'a>], lasts: Duration) -> Answer<'a, Result<Vec<bool>, LeaseError>> {
        self.local.renew(leases, lasts)
    }

    fn release<'a>(&'a self, leases: &'a [Lease<'a>]) -> Answer<'a, Result<usize, LeaseError>> {
        self.local.release(leases)
    }

    fn values<'a>(&'a self, chain: &'a Chain) -> Answer<'a, Result<Values, LeaseError>> {
        self.local.values(chain)
    }

    fn pace(&self, pool: Pool, rate: Rate) -> Answer<'_, Result<Paced, LeaseError>> {
        self.local.pace(pool, rate)
    }

    fn add(&self, counter: Pool, by: i64, lasts: Duration) -> Answer<'_, Result<i64, LeaseError>> {
        self.local.add(counter, by, lasts)
    }

    fn publish<'a>(&'a self, topic: &'a str, message: &'a [u8]) -> Answer<'a, Result<(), LeaseError>> {
        self.local.publish(topic, message)
    }

    fn subscribe(&self, topic: &str) -> Result<Subscription, LeaseError> {
        self.local.subscribe(topic)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.local.standing()
    }

    fn keep(&self) -> Answer<'_, ()> {
        self.local.keep()
    }
}

#[tokio::test(start_paused = true)]
async fn what_lets_in_nobody_is_asked_once_and_lets_in_who_waits_when_it_is_raised() {
    let leases = Arc::new(Counting { local: Local::new(Clock::system()), asked: AtomicUsize::new(0) });
    let limits: Arc<MemoryLimits> = Arc::default();
    let gate = Arc::new(Gate::new(Config::default(), leases.clone(), limits.clone(), Duration::from_secs(15)));
    let policy = delay(Duration::from_secs(30), 9);
    gate.limit(scope(1), Limit::hard(0).with(policy));
    // For as long as six hundred looks take.
    impeded(gate.admit(subject(1)).await, Why::WaitedTooLong);
    assert_eq!(leases.asked.load(Ordering::SeqCst), 1);
    let waits = tokio::spawn({
        let gate = gate.clone();
        async move { gate.admit(subject(1)).await }
    });
    settle().await;
    assert!(!waits.is_finished());
    limits.set_by(Giver::Operator, scope(1), RESOURCE, Limit::hard(1).with(policy)).unwrap();
    let held = waits.await.unwrap().unwrap();
    // Where there may be one somebody looks for it.
    let before = leases.asked.load(Ordering::SeqCst);
    impeded(gate.admit(subject(1)).await, Why::WaitedTooLong);
    assert!(before + 100 < leases.asked.load(Ordering::SeqCst));
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
