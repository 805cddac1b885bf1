//! Waiting under every order of tasks that ten thousand random schedules find (`make model`). A wake-up that is lost is a deadlock, which is found.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use shuttle::future::{JoinHandle, block_on, spawn, yield_now};

use super::{Concurrency, Config, Limit, MemoryLimits, Policy, Resource, Scope, Subject};
use crate::{clock::Clock, ids::AccountSid, lease::Local};

const SCHEDULES: usize = 10_000;
const RESOURCE: Resource = Resource::Fetches;

fn subject(number: u8) -> Subject {
    let account: AccountSid = format!("AC{number:032x}").parse().unwrap();
    Subject::account(account)
}

/// Admission where `limit` is everybody's, and its keeper.
fn gate(limit: u32) -> (Concurrency, Arc<MemoryLimits>, JoinHandle<()>) {
    let limits: Arc<MemoryLimits> = Arc::default();
    let policy = Policy::Delay { wait_max: Duration::from_secs(60), waiting_max: 10 };
    limits.set(Scope::Platform, RESOURCE, Limit::hard(limit).with(policy)).unwrap();
    let leases = Arc::new(Local::new(Clock::system()));
    let gate = Concurrency::new(Config::default(), leases, Duration::ZERO, limits.clone(), Clock::system());
    let core = gate.core.clone();
    let keeping = spawn(async move { core.keep_handing_over().await });
    (gate, limits, keeping)
}

/// Runs it within a runtime, for its timers only: no time passes.
fn check(model: fn()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    shuttle::check_random(model, SCHEDULES);
}

async fn work(gate: Concurrency, number: u8, inside: Arc<AtomicU32>, limit: u32) {
    let place = gate.admit(subject(number), RESOURCE).await.unwrap();
    assert!(inside.fetch_add(1, Ordering::SeqCst) < limit);
    yield_now().await;
    inside.fetch_sub(1, Ordering::SeqCst);
    drop(place);
}

#[test]
fn all_who_wait_are_served() {
    check(|| {
        block_on(async {
            let (gate, _, keeping) = gate(1);
            let inside = Arc::new(AtomicU32::new(0));
            let all: Vec<_> = [1, 1, 2, 3].map(|number| spawn(work(gate.clone(), number, inside.clone(), 1))).into();
            for one in all {
                one.await.unwrap();
            }
            assert_eq!(gate.waiting(subject(1), RESOURCE), 0);
            assert_eq!(gate.core.waiting.load(Ordering::SeqCst), 0);
            keeping.abort();
        });
    });
}

#[test]
fn who_leaves_at_any_moment_takes_nothing_along() {
    check(|| {
        block_on(async {
            let (gate, _, keeping) = gate(1);
            let inside = Arc::new(AtomicU32::new(0));
            let leaves = spawn({
                let gate = gate.clone();
                async move {
                    let mut waits = pin!(gate.admit(subject(1), RESOURCE));
                    for _ in 0..2 {
                        if poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_ready())).await {
                            break;
                        }
                        yield_now().await;
                    }
                }
            });
            let stay: Vec<_> = [1, 2].map(|number| spawn(work(gate.clone(), number, inside.clone(), 1))).into();
            leaves.await.unwrap();
            for one in stay {
                one.await.unwrap();
            }
            drop(gate.admit(subject(4), RESOURCE).await.unwrap());
            assert_eq!(gate.core.waiting.load(Ordering::SeqCst), 0);
            keeping.abort();
        });
    });
}

#[test]
fn a_limit_that_is_raised_lets_in_who_waits() {
    check(|| {
        block_on(async {
            let (gate, limits, keeping) = gate(0);
            let inside = Arc::new(AtomicU32::new(0));
            let waits: Vec<_> = [1, 2].map(|number| spawn(work(gate.clone(), number, inside.clone(), 1))).into();
            yield_now().await;
            let policy = Policy::Delay { wait_max: Duration::from_secs(60), waiting_max: 10 };
            limits.set(Scope::Platform, RESOURCE, Limit::hard(1).with(policy)).unwrap();
            for one in waits {
                one.await.unwrap();
            }
            keeping.abort();
        });
    });
}
