//! Metrics of admission. Handles are made once: asking the recorder by name costs more than a decision.

use metrics::{Counter, counter};

use super::{Policy, Resource, Why};

/// Counters of each kind of work.
pub(super) struct Meters {
    resources: Vec<Counters>,
    overcommitted: Counter,
    alone: Counter,
    unreleased: Counter,
}

struct Counters {
    admitted: Counter,
    /// What is in progress is what was admitted and has not ended: two counters are cheaper than a gauge.
    ended: Counter,
    above_soft: Counter,
    /// In the order of [`place`].
    impeded: [Counter; 4],
}

fn place(policy: Policy) -> usize {
    match policy {
        Policy::Reject => 0,
        Policy::Delay { .. } => 1,
        Policy::Throttle { .. } => 2,
        Policy::DryRun => 3,
    }
}

impl Meters {
    pub(super) fn new() -> Meters {
        let of = |resource: &Resource| {
            let resource = resource.as_str();
            let impeded = |policy: &'static str| counter!("ringback_concurrency_impeded_total", "resource" => resource, "policy" => policy);
            Counters {
                admitted: counter!("ringback_concurrency_admitted_total", "resource" => resource),
                ended: counter!("ringback_concurrency_ended_total", "resource" => resource),
                above_soft: counter!("ringback_concurrency_above_soft_total", "resource" => resource),
                impeded: ["reject", "delay", "throttle", "dry-run"].map(impeded),
            }
        };
        Meters {
            resources: Resource::ALL.iter().map(of).collect(),
            overcommitted: counter!("ringback_concurrency_overcommit_total"),
            alone: counter!("ringback_concurrency_decided_alone_total"),
            unreleased: counter!("ringback_concurrency_left_to_expire_total"),
        }
    }

    pub(super) fn count_admitted(&self, resource: Resource) {
        if let Some(counters) = self.resources.get(resource as usize) {
            counters.admitted.increment(1);
        }
    }

    pub(super) fn count_ended(&self, resource: Resource) {
        if let Some(counters) = self.resources.get(resource as usize) {
            counters.ended.increment(1);
        }
    }

    pub(super) fn count_above_soft(&self, resource: Resource) {
        if let Some(counters) = self.resources.get(resource as usize) {
            counters.above_soft.increment(1);
        }
    }

    pub(super) fn count_impeded(&self, resource: Resource, policy: Policy) {
        let counters = self.resources.get(resource as usize);
        if let Some(counter) = counters.and_then(|counters| counters.impeded.get(place(policy))) {
            counter.increment(1);
        }
    }

    /// What operators asked was let in by the reserve.
    pub(super) fn count_reserved(&self, resource: Resource) {
        counter!("ringback_concurrency_reserved_total", "resource" => resource.as_str()).increment(1);
    }

    /// Why somebody was refused in the end.
    pub(super) fn refused(&self, resource: Resource, why: Why) {
        counter!("ringback_concurrency_refused_total", "resource" => resource.as_str(), "why" => why.as_str())
            .increment(1);
    }

    /// Work that goes on without a place.
    pub(super) fn overcommitted(&self) -> &Counter {
        &self.overcommitted
    }

    /// Decisions without those who keep the leases of the fleet.
    pub(super) fn alone(&self) -> &Counter {
        &self.alone
    }

    /// Leases that nobody could be told of that they had ended.
    pub(super) fn unreleased(&self) -> &Counter {
        &self.unreleased
    }
}
