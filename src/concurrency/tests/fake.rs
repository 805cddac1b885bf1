//! Leases as if others took from the same pools, with what a server may do to a node.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::sync::watch;

use super::{Clock, Leases, Local};
use crate::lease::{Answer, Chain, Lease, LeaseError, Paced, Pool, Rate, Standing, Subscription, Take, Taken, Values};

/// It counts how often it is asked for a place.
#[derive(Debug)]
pub(super) struct Fake {
    local: Local,
    asked: AtomicUsize,
    /// How long each answer takes.
    takes: Duration,
    standing: watch::Sender<Standing>,
    /// Releases that fail.
    failing: AtomicUsize,
}

impl Fake {
    pub(super) fn new() -> Fake {
        let local = Local::new(Clock::system());
        let standing = watch::Sender::new(*local.standing().borrow());
        Fake { local, asked: AtomicUsize::new(0), takes: Duration::ZERO, standing, failing: AtomicUsize::new(0) }
    }

    /// One whose answers take some time.
    pub(super) fn slow(takes: Duration) -> Fake {
        Fake { takes, ..Fake::new() }
    }

    /// What is said of how things are. It answers all the same.
    pub(super) fn say(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }

    /// So many releases fail.
    pub(super) fn fail_releases(&self, count: usize) {
        self.failing.store(count, Ordering::SeqCst);
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answer<'a, T: Send + 'a>(&'a self, answer: impl FnOnce(&'a Local) -> T + Send + 'a) -> Answer<'a, T> {
        if self.takes.is_zero() {
            return Answer::now(answer(&self.local));
        }
        Answer::later(async move {
            tokio::time::sleep(self.takes).await;
            answer(&self.local)
        })
    }
}

impl Leases for Fake {
    fn is_shared(&self) -> bool {
        true
    }

    fn chain(&self, pools: &[Pool]) -> Result<Chain, LeaseError> {
        self.local.chain(pools)
    }

    fn take<'a>(&'a self, take: Take<'a>) -> Answer<'a, Result<Taken, LeaseError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answer(move |local| local.take_now(take))
    }

    fn renew<'a>(&'a self, leases: &'a [Lease<'a>], lasts: Duration) -> Answer<'a, Result<Vec<bool>, LeaseError>> {
        self.local.renew(leases, lasts)
    }

    fn release<'a>(&'a self, leases: &'a [Lease<'a>]) -> Answer<'a, Result<usize, LeaseError>> {
        let fails = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
        if fails.is_ok() {
            return Answer::now(Err(LeaseError::Unreachable));
        }
        self.answer(move |local| Ok(leases.iter().filter(|lease| local.release_now(**lease)).count()))
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
        self.standing.subscribe()
    }

    fn keep(&self) -> Answer<'_, ()> {
        self.local.keep()
    }
}
