//! Admission: on a node alone, in a fleet with a real server, and its queue against a model.

mod alone;
mod asked;
mod fake;
mod fleet;
mod givers;
mod keeper;
mod lines;
mod lookout;
mod paused;
mod reserve;
mod stored;
mod wire;

use std::{sync::Arc, time::Duration};

use super::{
    Concurrency, Config, Impeded, Limit, MemoryLimits, PerSecond, Place, Policy, Resource, Scope, Subject, Why,
};
use crate::{
    clock::Clock,
    ids::AccountSid,
    lease::{Leases, Local},
    problem::ConfigProblems,
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

#[test]
fn limits_in_the_configuration_that_cannot_be_or_hold_nothing_are_told() {
    let mut config = Config::default();
    let told = |config: &Config| {
        let mut problems = ConfigProblems::default();
        config.validate("concurrency", &mut problems);
        problems.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
    };
    let limits = &mut config.limits;
    for table in [&mut limits.platform, &mut limits.account] {
        table.extend([Resource::Fills, Resource::Speech, Resource::Destinations].map(|of| (of, Limit::hard(1))));
    }
    limits.key.insert(Resource::Fetches, Limit::hard(1));
    limits.destination.insert(Resource::Destinations, Limit::hard(1));
    limits.per_second.insert(Resource::Calls, PerSecond { count: 1, backlog_max: 1 });
    assert_eq!(told(&config), Vec::<String>::new());

    let limits = &mut config.limits;
    limits.platform.insert(Resource::Calls, Limit { soft: Some(2), ..Limit::hard(1) });
    limits.key.insert(Resource::Fills, Limit::hard(1));
    limits.destination.insert(Resource::Calls, Limit::hard(1));
    limits.per_second.insert(Resource::Fetches, PerSecond { count: 1, backlog_max: 1 });
    limits.per_second.insert(Resource::Calls, PerSecond { count: u32::MAX, backlog_max: 1 });
    let mut keys = told(&config);
    keys.sort();
    let wrong = ["destination.calls", "key.fills", "per_second.calls", "per_second.fetches", "platform.calls"];
    assert_eq!(keys, wrong.map(|key| format!("concurrency.limits.{key}")));
}
