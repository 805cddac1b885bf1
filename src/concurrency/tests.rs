//! Admission: on a node alone, in a fleet with a real server, and its queue against a model.

mod alone;
mod asked;
mod fleet;
mod givers;
mod lines;
mod lookout;
mod reserve;
mod stored;
mod wire;

use std::{sync::Arc, time::Duration};

use super::{Concurrency, Config, Impeded, Limit, MemoryLimits, Place, Policy, Resource, Scope, Subject, Why};
use crate::{
    clock::Clock,
    ids::AccountSid,
    lease::{Leases, Local},
};

/// What a test admits by.
struct Gate {
    concurrency: Concurrency,
    limits: Arc<MemoryLimits>,
    clock: Clock,
    keeping: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(keeping) = &self.keeping {
            keeping.abort();
        }
    }
}

impl Gate {
    fn new(config: Config, leases: Arc<dyn Leases>, limits: Arc<MemoryLimits>, lasts: Duration) -> Gate {
        let clock = Clock::system();
        let concurrency = Concurrency::new(config, leases, lasts, limits.clone(), clock.clone());
        let keeping = tokio::spawn({
            let concurrency = concurrency.clone();
            async move { concurrency.keep().await }
        });
        Gate { concurrency, limits, clock, keeping: Some(keeping) }
    }

    /// A node alone.
    fn alone() -> Gate {
        let leases = Arc::new(Local::new(Clock::system()));
        Gate::new(Config::default(), leases, Arc::default(), Duration::from_secs(15))
    }

    fn limit(&self, scope: Scope, limit: Limit) {
        self.limits.set(scope, RESOURCE, limit).unwrap();
    }

    async fn admit(&self, subject: Subject) -> Result<Place, Impeded> {
        self.concurrency.admit(subject, RESOURCE).await
    }

    async fn current(&self, account: AccountSid) -> u32 {
        let readings = self.concurrency.usage(Subject::account(account)).await;
        readings.iter().find(|reading| reading.resource == RESOURCE).map_or(0, |reading| reading.current)
    }
}

const RESOURCE: Resource = Resource::Fetches;

fn account(number: u8) -> AccountSid {
    format!("AC{number:032x}").parse().unwrap()
}

fn subject(number: u8) -> Subject {
    Subject::account(account(number))
}

fn scope(number: u8) -> Scope {
    Scope::Account(account(number))
}

fn delay(wait_max: Duration, waiting_max: u32) -> Policy {
    Policy::Delay { wait_max, waiting_max }
}

/// Lets all other tasks do what they can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[track_caller]
fn impeded(admitted: Result<Place, Impeded>, why: Why) -> Impeded {
    let impeded = admitted.unwrap_err();
    assert_eq!(impeded.why, why, "{impeded:?}");
    impeded
}
