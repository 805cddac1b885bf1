//! `/v1/limits/{owner}`: the limits that an account at the top gives itself, its subaccounts and their keys, beside what the operator gives them.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, Request, rejection::PathRejection},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    accounts::{AccountsError, Entry, Ledger, Principal},
    api::{
        admission::{Caller, forbidden, nobody},
        told::{self, refusals},
    },
    concurrency::{
        By, Edit, Giver, Limit, LimitsError, Measure, PerSecond, Policy, Resource, Rule, Scope, StoredLimit,
    },
    ids::AccountSid,
    problem::{Kind, Problem},
};

use super::{
    Failed, V1, body,
    limits::{LimitBody, LimitsBody},
};

/// What a body that is none is told.
const EXPECTED: &str = r#"{"soft":…, "hard":…, "policy":"reject"|"delay"|"throttle"|"dry-run", "wait_max":…, "waiting_max":…, "slowed_by":…, "beyond":…, "per_second":…, "backlog_max":…}"#;

/// A limit that is given. It says all there is to it: what it does not say does not hold any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnedLimit)]
pub(super) struct Said {
    /// From so many on it is told and counted; nobody is impeded.
    soft: Option<u32>,
    /// So many at most; 0 lets in none.
    hard: Option<u32>,
    /// What happens to one more: `reject` (so it is where nothing is said), `delay`, `throttle`, `dry-run`.
    #[serde(default)]
    policy: What,
    /// With `delay`: seconds after which it is refused; more than 0 and at most 30. 10.
    wait_max: Option<f64>,
    /// With `delay`: how many may wait at once for an account on a node; at most 256. 100.
    waiting_max: Option<u32>,
    /// With `throttle`: seconds by which its answer is slowed; more than 0 and at most 30. 1.
    slowed_by: Option<f64>,
    /// With `throttle`: how many beyond the limit are let in so. 10.
    beyond: Option<u32>,
    /// So many may begin in a second; of accounts only, and of `calls` and `call-writes`.
    per_second: Option<u32>,
    /// How many may wait to begin. 100.
    backlog_max: Option<u32>,
}

/// What happens to one more.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = OwnedLimitPolicy)]
enum What {
    #[default]
    Reject,
    Delay,
    Throttle,
    DryRun,
}

impl Said {
    fn limit(&self) -> Result<Option<Limit>, Problem> {
        if self.soft.is_none() && self.hard.is_none() {
            return Ok(None);
        }
        let seconds = |said: Option<f64>, usual: f64| {
            Duration::try_from_secs_f64(said.unwrap_or(usual)).map_err(|_| {
                Problem::new(Kind::BadRequest, "wait_max and slowed_by are seconds, more than 0 and at most 30")
            })
        };
        let policy = match self.policy {
            What::Reject => Policy::Reject,
            What::Delay => {
                Policy::Delay { wait_max: seconds(self.wait_max, 10.0)?, waiting_max: self.waiting_max.unwrap_or(100) }
            }
            What::Throttle => {
                Policy::Throttle { slowed_by: seconds(self.slowed_by, 1.0)?, beyond: self.beyond.unwrap_or(10) }
            }
            What::DryRun => Policy::DryRun,
        };
        Ok(Some(Limit { soft: self.soft, hard: self.hard, policy }))
    }

    fn rate(&self) -> Option<PerSecond> {
        self.per_second.map(|count| PerSecond { count, backlog_max: self.backlog_max.unwrap_or(100) })
    }
}

refusals! {
    OfGiven: told::ANY;
    OfList: told::ANY, &[Kind::NotFound];
    OfSet: told::ANY, told::BODY, &[Kind::NotFound, Kind::Conflict];
    OfRemove: told::ANY, &[Kind::NotFound, Kind::Conflict];
}

/// Somebody who may give limits, and to whom.
struct Giving {
    principal: Arc<Principal>,
    scope: Scope,
    /// The account whose the scope is, as the audit log names it.
    account: AccountSid,
}

impl Giving {
    /// An account at the top, to whom it is its own: what is another's answers as what is not there.
    async fn of(v1: &V1, caller: &Caller, owner: &str) -> Result<Giving, Problem> {
        let principal = giver(caller)?;
        let missing = || Problem::new(Kind::NotFound, "the account has no such subaccount or key");
        let scope: Scope = owner.parse().map_err(|_| missing())?;
        let ledger = v1.parts.accounts.ledger();
        let account = match scope {
            Scope::Account(account) => Some(account),
            Scope::Key(key) => ledger.account_of_key(&key).await.map_err(|error| error.problem())?,
            Scope::Platform | Scope::Destination(_) => None,
        };
        let Some(account) = account else {
            // A key that is no more may have a limit still, which is its giver's to take away.
            let given = v1.parts.limits.given_by(&principal.account).await.map_err(|error| limits_problem(&error))?;
            let is_given = given.iter().any(|limit| limit.name.scope == scope);
            let account = principal.account;
            return if is_given { Ok(Giving { principal, scope, account }) } else { Err(missing()) };
        };
        let is_own = ledger.is_of(&account, &principal.account).await.map_err(|error| error.problem())?;
        if is_own { Ok(Giving { principal, scope, account }) } else { Err(missing()) }
    }

    /// The same of one who may change them. Whoever was given a key has been given a part of what the account may: what bounds the key, and the account itself, is
    /// not for the key to say.
    async fn to_change(v1: &V1, caller: &Caller, owner: &str) -> Result<Giving, Problem> {
        let giving = Giving::of(v1, caller, owner).await?;
        let principal = &giving.principal;
        let is_its_own = match giving.scope {
            Scope::Account(account) => account == principal.account,
            Scope::Key(key) => principal.credential.key() == Some(key),
            Scope::Platform | Scope::Destination(_) => false,
        };
        if !is_its_own || principal.is_owner() {
            return Ok(giving);
        }
        Err(Problem::new(
            Kind::Forbidden,
            "a key changes neither its own limits nor its account's: the auth token does",
        ))
    }

    /// Gives them, or takes them away: all or none.
    async fn set(&self, v1: &V1, resource: Resource, rules: [Option<Rule>; 2]) -> Result<Vec<Edit>, Problem> {
        let (actor, at) = (self.principal.actor(), v1.parts.clock.now_wall());
        let who = format!("{} {}", actor.who, actor.credential);
        let by = By { owner: Some(self.principal.account), who: &who, at };
        let recorder = |edit: &Edit| {
            let action = if edit.is.is_some() { "limit.set" } else { "limit.remove" };
            let (target, detail) = (self.scope.to_string(), edit.to_string());
            Ledger::write(Entry { account: self.account, by: &actor, action, target, detail, at })
        };
        let all = [Measure::InProgress, Measure::PerSecond].into_iter().zip(rules);
        // So many a second are of accounts only.
        let has = |measure| measure == Measure::InProgress || matches!(self.scope, Scope::Account(_));
        let wanted = all.filter(|(measure, rule)| has(*measure) || rule.is_some());
        let wanted: Vec<_> = wanted.map(|(measure, rule)| ((self.scope, resource, measure), rule)).collect();
        v1.parts.limits.change(&wanted, by, &recorder).await.map_err(|error| limits_problem(&error))
    }

    /// What this scope was given.
    async fn given(&self, v1: &V1) -> Result<Vec<StoredLimit>, Problem> {
        v1.parts.limits.given_to(self.scope).await.map_err(|error| limits_problem(&error))
    }
}

/// An account at the top: its subaccounts have no part in it, nor have applications.
fn giver(caller: &Caller) -> Result<Arc<Principal>, Problem> {
    let principal = caller.principal.clone().ok_or_else(nobody)?;
    let is_top = principal.parent.is_none() && principal.credential.connected().is_none();
    if is_top { Ok(principal) } else { Err(forbidden()) }
}

fn limits_problem(error: &LimitsError) -> Problem {
    match error {
        LimitsError::Limit(error) => Problem::new(Kind::BadRequest, error.to_string()),
        LimitsError::TooMany | LimitsError::TooManyOwned => Problem::new(Kind::Conflict, error.to_string()),
        LimitsError::TooOften { retry_in } => {
            Problem::new(Kind::TooManyRequests, error.to_string()).retry_after(*retry_in)
        }
        LimitsError::Store(error) => AccountsError::Store(error.clone()).problem(),
        _ => {
            tracing::error!(%error, "limits fail");
            Problem::new(Kind::Internal, "limits fail; the log says why")
        }
    }
}

fn told(given: Vec<StoredLimit>) -> Response {
    let bodies = given
        .into_iter()
        .filter_map(|limit| LimitBody::new(limit.name.resource, limit.name.scope, limit.name.giver, limit.rule));
    ([(header::CACHE_CONTROL, "no-store")], Json(LimitsBody { limits: bodies.collect() })).into_response()
}

fn parse_resource(text: &str) -> Result<Resource, Problem> {
    text.parse().map_err(|_| Problem::new(Kind::NotFound, "there is no such kind of work"))
}

fn missing(_: PathRejection) -> Problem {
    Problem::new(Kind::NotFound, "there is nothing under this path")
}

/// Lists all limits that the account has given, those of keys that are no more included.
#[utoipa::path(get, path = "/v1/limits/given", tag = "Concurrency", responses((status = 200, body = LimitsBody), OfGiven))]
pub(super) async fn given(v1: V1, caller: Caller) -> Result<Response, Failed> {
    let principal = giver(&caller)?;
    let given = v1.parts.limits.given_by(&principal.account).await;
    Ok(told(given.map_err(|error| limits_problem(&error))?))
}

/// Lists the limits that a subaccount, a key or the account itself was given, by the account and by the operator.
#[utoipa::path(get, path = "/v1/limits/{owner}", tag = "Concurrency",
    params(("owner" = String, Path, description = "The account itself, a subaccount (AC…) or a key of either (SK…).")),
    responses((status = 200, body = LimitsBody), OfList))]
pub(super) async fn given_to(
    v1: V1,
    caller: Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failed> {
    let Path(owner) = path.map_err(missing)?;
    let giving = Giving::of(&v1, &caller, &owner).await?;
    Ok(told(giving.given(&v1).await?))
}

/// Gives a subaccount, a key or the account itself a limit on one kind of work. It holds on all nodes within a second, beside those that the operator has
/// given: the lowest decides. What is in progress beyond it goes on.
#[utoipa::path(put, path = "/v1/limits/{owner}/{resource}", tag = "Concurrency", request_body = Said,
    params(("owner" = String, Path, description = "The account itself, a subaccount (AC…) or a key of either (SK…)."),
        ("resource" = String, Path, description = "A kind of work, such as `fetches`.")),
    responses((status = 200, body = LimitsBody, description = "What it was given by the account of this kind of work."), OfSet))]
pub(super) async fn give(
    v1: V1,
    caller: Caller,
    path: Result<Path<(String, String)>, PathRejection>,
    sent: Request,
) -> Result<Response, Failed> {
    let Path((owner, resource)) = path.map_err(missing)?;
    let giving = Giving::to_change(&v1, &caller, &owner).await?;
    let resource = parse_resource(&resource)?;
    let body = body::receive(sent, v1.body_timeout).await?;
    let said: Said = body::read(&body, EXPECTED)?;
    let (limit, rate) = (said.limit()?.map(Rule::InProgress), said.rate().map(Rule::PerSecond));
    if limit.is_none() && rate.is_none() {
        return Err(
            Problem::new(Kind::BadRequest, "a limit needs soft, hard or per_second; DELETE takes one away").into()
        );
    }
    giving.set(&v1, resource, [limit, rate]).await?;
    let mut given = giving.given(&v1).await?;
    given.retain(|limit| limit.name.giver == Giver::Owner && limit.name.resource == resource);
    Ok(told(given))
}

/// Takes away what the account has given of one kind of work. What the operator gives goes on to hold.
#[utoipa::path(delete, path = "/v1/limits/{owner}/{resource}", tag = "Concurrency",
    params(("owner" = String, Path, description = "The account itself, a subaccount (AC…) or a key of either (SK…)."),
        ("resource" = String, Path, description = "A kind of work, such as `fetches`.")),
    responses((status = 204, description = "It is gone."), OfRemove))]
pub(super) async fn take_away(
    v1: V1,
    caller: Caller,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Failed> {
    let Path((owner, resource)) = path.map_err(missing)?;
    let giving = Giving::to_change(&v1, &caller, &owner).await?;
    let resource = parse_resource(&resource)?;
    if giving.set(&v1, resource, [None; 2]).await?.iter().any(|edit| edit.was.is_some()) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(Kind::NotFound, "the account has given it no such limit").into())
    }
}
