//! `/AuthorizedConnectApps`: what the account allows applications of others. Narrowing and revoking are ours: the ecosystem has pages for them.

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    accounts::{Amount, Authorization, Limits},
    ids::ConnectAppSid,
};

use super::{
    answer::{ErrorBody, Failed, answer, date},
    asked::Asked,
    connect_apps::parse_permissions,
    form::{Form, Query},
    paging::{Meta, Paging},
};

/// What an application is allowed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuthorizedBody {
    account_sid: String,
    connect_app_sid: String,
    connect_app_friendly_name: String,
    connect_app_company_name: String,
    connect_app_description: String,
    connect_app_homepage_url: Option<String>,
    /// What it may do: `get-all`, `post-all`, or words like `media:read`.
    permissions: Vec<String>,
    /// The subaccount on which it acts.
    connect_account_sid: String,
    /// What it may spend in a month, in the currency of the account, as `12.50`. Kept and shown; nothing is metered yet.
    spend_limit: Option<String>,
    /// How many of each kind of work it may have in progress at once: requests, fetches, fills, calls.
    concurrency_limit: Option<u32>,
    /// Who has allowed it: an account or a user, and what they showed.
    allowed_by: String,
    date_created: String,
    date_updated: String,
    /// When it acted last, give or take a minute.
    date_last_used: Option<String>,
    uri: String,
}

/// A page of what applications are allowed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuthorizedList {
    #[serde(flatten)]
    meta: Meta,
    authorized_connect_apps: Vec<AuthorizedBody>,
}

impl AuthorizedBody {
    fn new(authorization: &Authorization) -> AuthorizedBody {
        let Authorization { sid, connect_app, user_account, profile, limits, allowed_by, used, stamps, .. } =
            authorization;
        let fields = &connect_app.fields;
        AuthorizedBody {
            account_sid: user_account.to_string(),
            connect_app_sid: connect_app.sid.to_string(),
            connect_app_friendly_name: fields.friendly_name.clone(),
            connect_app_company_name: fields.company_name.clone(),
            connect_app_description: fields.description.clone(),
            connect_app_homepage_url: fields.homepage_url.clone(),
            permissions: profile.words().map(str::to_owned).collect(),
            connect_account_sid: sid.to_string(),
            spend_limit: limits.spend.map(|spend| spend.to_string()),
            concurrency_limit: limits.concurrency,
            allowed_by: allowed_by.clone(),
            date_created: date(stamps.created),
            date_updated: date(stamps.updated),
            date_last_used: used.map(date),
            uri: format!("/2010-04-01/Accounts/{user_account}/AuthorizedConnectApps/{}.json", connect_app.sid),
        }
    }
}

/// What an application is to be allowed still. What is not said stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schema(as = AuthorizedForm)]
pub(super) struct Said {
    /// Fewer words than there are, each by itself. Of `get-all` and `post-all` those can be left that they stand for.
    #[serde(deserialize_with = "super::form::repeated")]
    permissions: Option<Vec<String>>,
    /// What it may spend in a month, in the currency of the account, as `12.50`.
    spend_limit: Option<String>,
    /// How many of each kind of work it may have in progress at once.
    concurrency_limit: Option<u32>,
}

/// What is allowed now: what was revoked is not there.
async fn there(asked: &Asked) -> Result<Authorization, Failed> {
    let app: ConnectAppSid = asked.sid()?;
    let there = asked.accounts.authorization(&asked.account, &app).await.map_err(|error| asked.failed(&error))?;
    if there.is_active() { Ok(there) } else { Err(Failed::missing(&asked.path)) }
}

/// Lists what the account allows applications, the newest first.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/AuthorizedConnectApps.json", tag = "AuthorizedConnectApps",
    params(("account" = String, Path), Paging),
    responses((status = 200, body = AuthorizedList), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn list(asked: Asked, Query(paging): Query<Paging>) -> Result<Response, Failed> {
    let account = asked.account;
    let listed = asked.accounts.authorizations(&account, &paging.page()?).await;
    let listed = listed.map_err(|error| asked.failed(&error))?;
    let meta = paging.meta(&format!("/2010-04-01/Accounts/{account}/AuthorizedConnectApps.json"), &[], &listed);
    let authorized_connect_apps = listed.records.iter().map(AuthorizedBody::new).collect();
    Ok(answer(StatusCode::OK, AuthorizedList { meta, authorized_connect_apps }))
}

/// Tells what an application is allowed.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/AuthorizedConnectApps/{sid}.json", tag = "AuthorizedConnectApps",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 200, body = AuthorizedBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn fetch(asked: Asked) -> Result<Response, Failed> {
    Ok(answer(StatusCode::OK, AuthorizedBody::new(&there(&asked).await?)))
}

/// Allows an application less than it was allowed, everywhere within a second. More it is allowed by asking again.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/AuthorizedConnectApps/{sid}.json", tag = "AuthorizedConnectApps",
    params(("account" = String, Path), ("sid" = String, Path)),
    request_body(content = Said, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = AuthorizedBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn narrow(asked: Asked, Form(said): Form<Said>) -> Result<Response, Failed> {
    let there = there(&asked).await?;
    let profile = said.permissions.as_deref().map_or_else(|| Ok(there.profile.clone()), parse_permissions)?;
    let spend = said.spend_limit.as_deref().map(str::parse::<Amount>).transpose();
    let spend = spend.map_err(|error| Failed::invalid(format!("SpendLimit: {error}")))?;
    let limits = Limits {
        spend: spend.or(there.limits.spend),
        concurrency: said.concurrency_limit.or(there.limits.concurrency),
    };
    let narrowed = asked.accounts.narrow(&asked.account, &there.connect_app.sid, profile, limits, &asked.actor()).await;
    Ok(answer(StatusCode::OK, AuthorizedBody::new(&narrowed.map_err(|error| asked.failed(&error))?)))
}

/// Allows an application nothing any more, everywhere within a second, and has its developer told.
#[utoipa::path(delete, path = "/2010-04-01/Accounts/{account}/AuthorizedConnectApps/{sid}.json", tag = "AuthorizedConnectApps",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn revoke(asked: Asked) -> Result<StatusCode, Failed> {
    let revoked = asked.accounts.revoke(&asked.account, &asked.sid()?, &asked.actor()).await;
    revoked.map(|()| StatusCode::NO_CONTENT).map_err(|error| asked.failed(&error))
}
