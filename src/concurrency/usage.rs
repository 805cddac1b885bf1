//! What accounts use: how many now, how many at most, how many were impeded.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Policy, Resource};
use crate::ids::AccountSid;

/// What one account uses of one kind of work, as this node has seen it.
#[derive(Debug, Default)]
pub(super) struct Usage {
    admitted: AtomicU64,
    /// What the pool held when somebody was admitted last: with other nodes' share.
    seen: AtomicU32,
    peak: AtomicU32,
    above_soft: AtomicU64,
    rejected: AtomicU64,
    delayed: AtomicU64,
    throttled: AtomicU64,
    would_be: AtomicU64,
}

/// What an account uses of one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageReading {
    /// Whose.
    pub account: AccountSid,
    /// Of what.
    pub resource: Resource,
    /// How many are in progress, on all nodes.
    pub current: u32,
    /// The most that this node has seen in progress at once, on all nodes.
    pub peak: u32,
    /// How many may be; without it any number.
    pub limit: Option<u32>,
    /// How many this node has admitted.
    pub admitted: u64,
    /// How many of them found the soft limit reached.
    pub above_soft: u64,
    /// How many were impeded, by what was done with them.
    pub impeded: Impediments,
}

/// How many were impeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impediments {
    /// Refused: at once, or after they had waited.
    pub rejected: u64,
    /// Made to wait, whether they were admitted in the end or not.
    pub delayed: u64,
    /// Answered slowly.
    pub throttled: u64,
    /// Would have been impeded.
    pub dry_run: u64,
}

impl Usage {
    pub(super) fn note_admitted(&self, held: u32) {
        self.admitted.fetch_add(1, Ordering::Relaxed);
        self.seen.store(held, Ordering::Relaxed);
        if self.peak.load(Ordering::Relaxed) < held {
            self.peak.fetch_max(held, Ordering::Relaxed);
        }
    }

    pub(super) fn note_above_soft(&self) {
        self.above_soft.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_impeded(&self, policy: Policy) {
        let counter = match policy {
            Policy::Reject => &self.rejected,
            Policy::Delay { .. } => &self.delayed,
            Policy::Throttle { .. } => &self.throttled,
            Policy::DryRun => &self.would_be,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether anybody was admitted or impeded.
    pub(super) fn is_used(&self) -> bool {
        let counters = [&self.admitted, &self.rejected, &self.delayed];
        counters.iter().any(|counter| 0 < counter.load(Ordering::Relaxed))
    }

    /// What it was when somebody was admitted last.
    pub(super) fn seen(&self) -> u32 {
        self.seen.load(Ordering::Relaxed)
    }

    pub(super) fn read(
        &self,
        account: AccountSid,
        resource: Resource,
        current: u32,
        limit: Option<u32>,
    ) -> UsageReading {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        UsageReading {
            account,
            resource,
            current,
            peak: self.peak.load(Ordering::Relaxed),
            limit,
            admitted: count(&self.admitted),
            above_soft: count(&self.above_soft),
            impeded: Impediments {
                rejected: count(&self.rejected),
                delayed: count(&self.delayed),
                throttled: count(&self.throttled),
                dry_run: count(&self.would_be),
            },
        }
    }
}
