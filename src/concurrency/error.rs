//! Who was not admitted, and why.

use std::time::Duration;

use crate::problem::{Kind, LimitReached, Problem};

use super::{Resource, Scope};

/// Number of the ecosystem's error for too many concurrent requests.
pub const TOO_MANY_CODE: u32 = 20_429;

/// Something was not admitted, and certainly not processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impeded {
    /// Why.
    pub why: Why,
    /// Of what there is too much.
    pub resource: Resource,
    /// Whose limit it was.
    pub scope: Scope,
    /// What the limit is.
    pub limit: u32,
    /// How many were in progress.
    pub current: u32,
    /// When it is worth asking again: of random length, so that those who were refused together do not come back together.
    pub retry_after: Duration,
}

/// Why something was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// As many are in progress as may be.
    Full,
    /// It has waited for as long as may be waited.
    WaitedTooLong,
    /// As many wait as may.
    QueueFull,
    /// So many may begin in a second, and as many wait as may.
    TooFast,
    /// Those who keep the leases of the fleet cannot be asked, and without them nothing is admitted.
    Away,
}

impl Why {
    /// Label of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Full => "full",
            Why::WaitedTooLong => "waited-too-long",
            Why::QueueFull => "queue-full",
            Why::TooFast => "too-fast",
            Why::Away => "away",
        }
    }
}

impl Impeded {
    /// As callers are told: which limit, its value, of what.
    pub fn problem(&self) -> Problem {
        let Impeded { resource, limit, current, .. } = self;
        let whose = match self.scope {
            Scope::Platform => "this service",
            Scope::Destination(_) => "this destination",
            Scope::Account(_) => "this account",
            Scope::Key(_) => "this key",
        };
        let (kind, detail) = match self.why {
            Why::Full => (
                Kind::TooManyRequests,
                format!(
                    "{current} {resource} of {whose} are in progress, and {limit} may be; this one was not processed"
                ),
            ),
            Why::WaitedTooLong => (
                Kind::TooManyRequests,
                format!(
                    "{limit} {resource} of {whose} may be in progress, and none of them ended in time; this one was not processed"
                ),
            ),
            Why::QueueFull => (
                Kind::TooManyRequests,
                format!(
                    "{limit} {resource} of {whose} may be in progress, and as many wait as may; this one was not processed"
                ),
            ),
            Why::TooFast => (
                Kind::TooManyRequests,
                format!(
                    "{limit} {resource} of {whose} may begin in a second, and as many wait as may; this one was not processed"
                ),
            ),
            Why::Away => {
                (Kind::Busy, format!("{resource} cannot be counted at the moment; this one was not processed"))
            }
        };
        let problem = Problem::new(kind, detail).retry_after(self.retry_after);
        match self.why {
            // Nobody knows how many there are.
            Why::Away => problem,
            why => problem.limited(LimitReached {
                level: self.scope.as_str(),
                resource: resource.as_str(),
                limit: *limit,
                current: *current,
                why: why.as_str(),
            }),
        }
    }
}

/// A place was lost while its work was going on: others have it. What is streamed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the place of this work was given to others while this node was away")]
pub struct PlaceLost;
