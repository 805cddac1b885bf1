//! `/v1/AuthTokens`: an account replaces the token that it authenticates with, while both are good.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{accounts::Account, secret::Secret};

use super::{
    answer::{ErrorBody, Failed, answer},
    asked::Asked,
};

/// The second token of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SecondaryToken {
    account_sid: String,
    secondary_auth_token: Option<String>,
    /// When, as `2027-01-01T00:00:00Z`.
    date_created: String,
    /// When.
    date_updated: String,
    url: String,
}

/// The token that an account has now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PromotedToken {
    account_sid: String,
    auth_token: String,
    /// When, as `2027-01-01T00:00:00Z`.
    date_created: String,
    /// When.
    date_updated: String,
    url: String,
}

fn dates(account: &Account) -> (String, String) {
    let date = |time| humantime::format_rfc3339_seconds(time).to_string();
    (date(account.stamps.created), date(account.stamps.updated))
}

/// Makes a second token beside the first. Both authenticate.
#[utoipa::path(post, path = "/v1/AuthTokens/Secondary", tag = "AuthTokens",
    responses((status = 201, body = SecondaryToken), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn create(asked: Asked) -> Result<Response, Failed> {
    let account = asked.accounts.create_secondary_token(&asked.account, &asked.actor()).await;
    let account = account.map_err(|error| asked.failed(&error))?;
    let (date_created, date_updated) = dates(&account);
    let body = SecondaryToken {
        account_sid: account.sid.to_string(),
        secondary_auth_token: account.secondary_token.as_ref().map(Secret::reveal).map(str::to_owned),
        date_created,
        date_updated,
        url: "/v1/AuthTokens/Secondary".to_owned(),
    };
    Ok(answer(StatusCode::CREATED, body))
}

/// Drops the second token.
#[utoipa::path(delete, path = "/v1/AuthTokens/Secondary", tag = "AuthTokens",
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn delete(asked: Asked) -> Result<StatusCode, Failed> {
    let deleted = asked.accounts.delete_secondary_token(&asked.account, &asked.actor()).await;
    deleted.map(|_| StatusCode::NO_CONTENT).map_err(|error| asked.failed(&error))
}

/// Makes the second token the only one. The first authenticates nobody any more, everywhere within a second.
#[utoipa::path(post, path = "/v1/AuthTokens/Promote", tag = "AuthTokens",
    responses((status = 200, body = PromotedToken), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn promote(asked: Asked) -> Result<Response, Failed> {
    let account = asked.accounts.promote_secondary_token(&asked.account, &asked.actor()).await;
    let account = account.map_err(|error| asked.failed(&error))?;
    let (date_created, date_updated) = dates(&account);
    let body = PromotedToken {
        account_sid: account.sid.to_string(),
        auth_token: account.primary_token.reveal().to_owned(),
        date_created,
        date_updated,
        url: "/v1/AuthTokens/Promote".to_owned(),
    };
    Ok(answer(StatusCode::OK, body))
}
