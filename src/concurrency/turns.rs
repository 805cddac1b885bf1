//! How many may begin in a second: each gets a turn, some time from now.

use std::time::Duration;

use crate::lease::{Leases as _, Paced};

use super::{Giver, Impeded, PerSecond, Resource, Scope, Subject, WhenAway, Why, core::Core};

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
    /// A turn at the account and at the one above it. Who is refused by the one above has had its turn at its own: that goes to nobody. Never the
    /// other way about: one that asks too fast would take the turns of all that stand under the same.
    pub(super) async fn turn(&self, subject: Subject, resource: Resource) -> Result<Turn, Impeded> {
        let mut turn = Turn { queue_time: Duration::ZERO };
        for account in [subject.account].into_iter().chain(subject.parent) {
            if let Some(per_second) = self.per_second(Scope::Account(account), resource) {
                let at = self.turn_at(subject, Scope::Account(account), resource, per_second).await?;
                turn.queue_time = turn.queue_time.max(at.queue_time);
            }
        }
        Ok(turn)
    }

    /// How many may begin in a second: what the operator and the owner say both holds.
    fn per_second(&self, scope: Scope, resource: Resource) -> Option<PerSecond> {
        self.rates_given(scope, resource).map(|(_, rate)| rate).reduce(PerSecond::and)
    }

    pub(super) fn rates_given(&self, scope: Scope, resource: Resource) -> impl Iterator<Item = (Giver, PerSecond)> {
        let operators = self.records.rate(Giver::Operator, scope, resource);
        let operators = operators.or_else(|| self.config.limits.per_second.get(&resource).copied());
        let owners = self.records.rate(Giver::Owner, scope, resource);
        operators.map(|rate| (Giver::Operator, rate)).into_iter().chain(owners.map(|rate| (Giver::Owner, rate)))
    }

    async fn turn_at(
        &self,
        subject: Subject,
        scope: Scope,
        resource: Resource,
        per_second: PerSecond,
    ) -> Result<Turn, Impeded> {
        let at_once = Turn { queue_time: Duration::ZERO };
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
