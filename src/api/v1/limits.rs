//! `GET /v1/limits` and `GET /v1/usage/concurrency`: what an account may have in progress, and what it has.

use axum::{Json, response::IntoResponse as _, response::Response};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::{
        admission::Caller,
        told::{self, refusals},
    },
    concurrency::{Giver, Impediments, Limit, PerSecond, Policy, Resource, Rule, Scope, Subject, UsageReading},
    ids::AccountSid,
};

use super::V1;

/// A limit on what may be in progress at once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConcurrencyLimit)]
pub(super) struct LimitBody {
    /// A kind of work.
    #[schema(value_type = String)]
    resource: Resource,
    /// Whose it is: `account`, for this account or the one above it, or `key`.
    scope: &'static str,
    /// Which account or key.
    owner: String,
    /// Who has given it: `operator`, `owner` (the account at the top), or `authorization` (who has allowed an application so many). All of them hold.
    given_by: &'static str,
    /// From so many on it is told and counted; nobody is impeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    soft: Option<u32>,
    /// So many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    hard: Option<u32>,
    /// What happens to one more: `reject`, `delay`, `throttle`, `dry-run`. Left out of limits of so many a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'static str>,
    /// With `delay`: seconds after which it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_max: Option<f64>,
    /// With `delay`: how many may wait at once for an account on a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_max: Option<u32>,
    /// With `throttle`: seconds by which its answer is slowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    slowed_by: Option<f64>,
    /// With `throttle`: how many beyond the limit are let in so.
    #[serde(skip_serializing_if = "Option::is_none")]
    beyond: Option<u32>,
    /// So many may begin in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<u32>,
    /// How many may wait to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    backlog_max: Option<u32>,
}

impl LimitBody {
    /// `None` for what is no matter of the account's.
    pub(super) fn new(resource: Resource, scope: Scope, giver: Giver, rule: Rule) -> Option<LimitBody> {
        let owner = match scope {
            Scope::Account(account) => account.to_string(),
            Scope::Key(key) => key.to_string(),
            Scope::Platform | Scope::Destination(_) => return None,
        };
        let mut body = LimitBody {
            resource,
            scope: scope.as_str(),
            owner,
            given_by: giver.as_str(),
            soft: None,
            hard: None,
            policy: None,
            wait_max: None,
            waiting_max: None,
            slowed_by: None,
            beyond: None,
            per_second: None,
            backlog_max: None,
        };
        match rule {
            Rule::PerSecond(PerSecond { count, backlog_max }) => {
                (body.per_second, body.backlog_max) = (Some(count), Some(backlog_max));
            }
            Rule::InProgress(Limit { soft, hard, policy }) => {
                (body.soft, body.hard, body.policy) = (soft, hard, Some(policy.as_str()));
                match policy {
                    Policy::Delay { wait_max, waiting_max } => {
                        (body.wait_max, body.waiting_max) = (Some(wait_max.as_secs_f64()), Some(waiting_max));
                    }
                    Policy::Throttle { slowed_by, beyond } => {
                        (body.slowed_by, body.beyond) = (Some(slowed_by.as_secs_f64()), Some(beyond));
                    }
                    Policy::Reject | Policy::DryRun => {}
                }
            }
        }
        Some(body)
    }
}

/// The limits that concern an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConcurrencyLimits)]
pub(super) struct LimitsBody {
    /// Of each kind of work that has any, the widest first.
    pub(super) limits: Vec<LimitBody>,
}

/// What an account has in progress.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConcurrencyUsage)]
struct UsageBody {
    /// Which account. Null where it is none.
    #[schema(value_type = Option<String>)]
    account_sid: Option<AccountSid>,
    /// By kind of work, of those that it uses or has used on this node.
    usage: Vec<ResourceUsage>,
}

/// What an account has in progress of one kind of work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConcurrencyOfResource)]
struct ResourceUsage {
    /// A kind of work.
    #[schema(value_type = String)]
    resource: Resource,
    /// How many are in progress, on all nodes.
    current: u32,
    /// The most that this node has seen at once, on all nodes.
    peak: u32,
    /// How many may be. Left out where any number may.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
    /// How many of it and its subaccounts wait on this node. Left out for subaccounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<u32>,
    /// How many this node has admitted.
    admitted: u64,
    /// How many of them found the soft limit reached.
    above_soft: u64,
    /// How many this node has impeded.
    impeded: Impeded,
}

/// How many were impeded, by what was done with them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConcurrencyImpeded)]
struct Impeded {
    /// Refused, at once or after they had waited.
    rejected: u64,
    /// Made to wait.
    delayed: u64,
    /// Answered slowly.
    throttled: u64,
    /// Would have been impeded.
    dry_run: u64,
}

impl ResourceUsage {
    fn new(reading: &UsageReading, waiting: Option<u32>) -> ResourceUsage {
        let Impediments { rejected, delayed, throttled, dry_run } = reading.impeded;
        ResourceUsage {
            resource: reading.resource,
            current: reading.current,
            peak: reading.peak,
            limit: reading.limit,
            waiting,
            admitted: reading.admitted,
            above_soft: reading.above_soft,
            impeded: Impeded { rejected, delayed, throttled, dry_run },
        }
    }
}

refusals! {
    OfLimits: told::ANY;
}

/// Lists the limits on what an account may have in progress.
#[utoipa::path(get, path = "/v1/limits", tag = "Concurrency", responses((status = 200, body = LimitsBody), OfLimits))]
pub(super) async fn list(v1: V1, caller: Caller) -> Response {
    let subject = caller.subject(&v1.parts.concurrency).await;
    let concurrency = &v1.parts.concurrency;
    let limits =
        concurrency.limits(subject).into_iter().map(|(of, scope, by, limit)| (of, scope, by, Rule::InProgress(limit)));
    let rates =
        concurrency.rates(subject).into_iter().map(|(of, scope, by, rate)| (of, scope, by, Rule::PerSecond(rate)));
    let all = limits.chain(rates);
    let limits = all.filter_map(|(of, scope, by, rule)| LimitBody::new(of, scope, by, rule)).collect();
    ([(header::CACHE_CONTROL, "no-store")], Json(LimitsBody { limits })).into_response()
}

/// Tells what an account has in progress, at most had, and was impeded in.
#[utoipa::path(get, path = "/v1/usage/concurrency", tag = "Concurrency",
    responses((status = 200, body = UsageBody), OfLimits))]
pub(super) async fn usage(v1: V1, caller: Caller) -> Response {
    let concurrency = &v1.parts.concurrency;
    let subject = Subject { key: None, ..caller.subject(concurrency).await };
    let usage = concurrency.usage(subject).await;
    let waiting = |resource| subject.parent.is_none().then(|| concurrency.waiting(subject, resource));
    let usage = usage.iter().map(|of| ResourceUsage::new(of, waiting(of.resource))).collect();
    let account_sid = Some(subject.account).filter(|account| *account != AccountSid::NOBODY);
    ([(header::CACHE_CONTROL, "no-store")], Json(UsageBody { account_sid, usage })).into_response()
}
