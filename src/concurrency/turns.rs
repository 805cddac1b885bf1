//! How many may begin in a second: each gets a turn, some time from now.

use std::time::Duration;

use crate::lease::{Leases as _, Paced};

use super::{Impeded, Resource, Scope, Subject, WhenAway, Why, core::Core};

/// When something may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// In so long: what `queue_time` tells.
    pub queue_time: Duration,
}

impl Turn {
    /// Waits for it. Who leaves meanwhile has had its turn: nobody else gets it.
    pub async fn wait(self) {
        if !self.queue_time.is_zero() {
            tokio::time::sleep(self.queue_time).await;
        }
    }
}

impl Core {
    pub(super) async fn turn(&self, subject: Subject, resource: Resource) -> Result<Turn, Impeded> {
        let at_once = Turn { queue_time: Duration::ZERO };
        let scope = Scope::Account(subject.account);
        let per_second = self.records.rate(scope, resource);
        let per_second = per_second.or_else(|| self.config.limits.per_second.get(&resource).copied());
        let Some(per_second) = per_second else { return Ok(at_once) };
        let too_fast = |retry_in: Duration| {
            self.meters.refused(resource, Why::TooFast);
            let impeded = self.impeded(subject, resource, Why::TooFast, scope, per_second.count, per_second.count);
            Impeded { retry_after: impeded.retry_after.max(retry_in), ..impeded }
        };
        let Some(rate) = per_second.rate() else { return Err(too_fast(Duration::ZERO)) };
        let pool = scope.pool(resource, subject.owner());
        let paced = match self.leases.pace(pool, rate).await {
            Ok(paced) => paced,
            Err(error) => {
                tracing::debug!(%error, "a turn without those who keep the leases");
                self.meters.alone().increment(1);
                match self.config.when_away {
                    WhenAway::Open => return Ok(at_once),
                    WhenAway::Closed => return Err(self.impeded(subject, resource, Why::Away, scope, 0, 0)),
                    WhenAway::Local => match self.local.pace(pool, rate).await {
                        Ok(paced) => paced,
                        Err(_) => return Err(too_fast(Duration::ZERO)),
                    },
                }
            }
        };
        match paced {
            Paced::Turn { starts_in } => Ok(Turn { queue_time: starts_in }),
            Paced::Full { retry_in } => Err(too_fast(retry_in)),
        }
    }
}
