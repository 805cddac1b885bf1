//! `/Keys` and `/SigningKeys`: what authenticates requests, and what signs the tokens of clients.

use std::time::SystemTime;

use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    accounts::{Key, KeyKind, NewKey, Scopes},
    secret::Secret,
};

use super::{
    answer::{ErrorBody, Failed, answer, date},
    asked::Asked,
    form::{Form, Query},
    paging::{Meta, Paging},
};

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyBody {
    sid: String,
    friendly_name: String,
    date_created: String,
    date_updated: String,
    /// What it may do.
    scopes: String,
    /// Until when it is good.
    date_expires: Option<String>,
    /// When it was used last, give or take a minute.
    date_last_used: Option<String>,
    /// Only in the answer to its making: it is shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// A page of API keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyList {
    #[serde(flatten)]
    meta: Meta,
    keys: Vec<KeyBody>,
}

/// A page of signing keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SigningKeyList {
    #[serde(flatten)]
    meta: Meta,
    signing_keys: Vec<KeyBody>,
}

impl KeyBody {
    fn new(key: &Key, secret: Option<&Secret>) -> KeyBody {
        KeyBody {
            sid: key.sid.to_string(),
            friendly_name: key.friendly_name.clone(),
            date_created: date(key.stamps.created),
            date_updated: date(key.stamps.updated),
            scopes: key.scopes.to_string(),
            date_expires: key.expires.map(date),
            date_last_used: key.used.map(date),
            secret: secret.map(|secret| secret.reveal().to_owned()),
        }
    }
}

/// What to make a key of.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schema(as = KeyCreate)]
pub(super) struct Create {
    /// Its name for people; at most 64 characters.
    friendly_name: Option<String>,
    /// What it may do, no more than the credentials that make it: `standard` (media, applications and numbers), `all`, or words like
    /// `media:read`. `standard` where it is not said.
    scopes: Option<String>,
    /// Until when it is good, as `2027-01-01T00:00:00Z`; for ever where it is not said.
    date_expires: Option<String>,
}

/// What to change of a key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
#[schema(as = KeyUpdate)]
pub(super) struct Update {
    /// Its name for people; at most 64 characters.
    friendly_name: Option<String>,
}

async fn list_of(asked: &Asked, paging: &Paging, kind: KeyKind, name: &str) -> Result<(Meta, Vec<KeyBody>), Failed> {
    let account = asked.account;
    let listed = asked.accounts.keys(&account, kind, &paging.page()?).await.map_err(|error| asked.failed(&error))?;
    let meta = paging.meta(&format!("/2010-04-01/Accounts/{account}/{name}.json"), &[], &listed);
    Ok((meta, listed.records.iter().map(|key| KeyBody::new(key, None)).collect()))
}

async fn create_of(asked: &Asked, form: Create, kind: KeyKind) -> Result<Response, Failed> {
    let account = asked.account;
    let scopes = form.scopes.as_deref().unwrap_or("standard").parse::<Scopes>();
    let scopes = scopes.map_err(|error| Failed::invalid(format!("Scopes: {error}")))?;
    if !asked.principal.scopes.include(scopes) {
        return Err(Failed::new(403, 20003, "a key may do no more than the credentials that make it"));
    }
    let asked_for = form.date_expires.as_deref().map(parse_time).transpose()?;
    // Nor may it outlive them.
    let expires = [asked_for, asked.principal.expires].into_iter().flatten().min();
    let new = NewKey { kind, friendly_name: form.friendly_name.unwrap_or_default(), scopes, expires };
    let made = asked.accounts.create_key(&account, &new, &asked.actor()).await;
    let (key, secret) = made.map_err(|error| asked.failed(&error))?;
    Ok(answer(StatusCode::CREATED, KeyBody::new(&key, Some(&secret))))
}

async fn fetch_of(asked: &Asked, kind: KeyKind) -> Result<Response, Failed> {
    let account = asked.account;
    let key = asked.accounts.key(&account, kind, &asked.sid()?).await.map_err(|error| asked.failed(&error))?;
    Ok(answer(StatusCode::OK, KeyBody::new(&key, None)))
}

async fn update_of(asked: &Asked, form: Update, kind: KeyKind) -> Result<Response, Failed> {
    let account = asked.account;
    let sid = asked.sid()?;
    let key = match form.friendly_name {
        Some(name) => asked.accounts.rename_key(&account, kind, &sid, &name, &asked.actor()).await,
        None => asked.accounts.key(&account, kind, &sid).await,
    };
    Ok(answer(StatusCode::OK, KeyBody::new(&key.map_err(|error| asked.failed(&error))?, None)))
}

async fn delete_of(asked: &Asked, kind: KeyKind) -> Result<StatusCode, Failed> {
    let account = asked.account;
    let deleted = asked.accounts.delete_key(&account, kind, &asked.sid()?, &asked.actor()).await;
    deleted.map(|()| StatusCode::NO_CONTENT).map_err(|error| asked.failed(&error))
}

fn parse_time(text: &str) -> Result<SystemTime, Failed> {
    humantime::parse_rfc3339(text).map_err(|error| Failed::invalid(format!("DateExpires: {error}")))
}

/// Lists an account's API keys, the newest first.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/Keys.json", tag = "Keys", params(("account" = String, Path), Paging),
    responses((status = 200, body = KeyList), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn list(asked: Asked, Query(paging): Query<Paging>) -> Result<Response, Failed> {
    let (meta, keys) = list_of(&asked, &paging, KeyKind::Api, "Keys").await?;
    Ok(answer(StatusCode::OK, KeyList { meta, keys }))
}

/// Makes an API key. Its secret is in this answer and in no other.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/Keys.json", tag = "Keys", params(("account" = String, Path)),
    request_body(content = Create, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, body = KeyBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn create(asked: Asked, Form(form): Form<Create>) -> Result<Response, Failed> {
    create_of(&asked, form, KeyKind::Api).await
}

/// Tells of an API key.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/Keys/{sid}.json", tag = "Keys",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 200, body = KeyBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn fetch(asked: Asked) -> Result<Response, Failed> {
    fetch_of(&asked, KeyKind::Api).await
}

/// Gives an API key another name.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/Keys/{sid}.json", tag = "Keys",
    params(("account" = String, Path), ("sid" = String, Path)),
    request_body(content = Update, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = KeyBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn update(asked: Asked, Form(form): Form<Update>) -> Result<Response, Failed> {
    update_of(&asked, form, KeyKind::Api).await
}

/// Revokes an API key, everywhere within a second.
#[utoipa::path(delete, path = "/2010-04-01/Accounts/{account}/Keys/{sid}.json", tag = "Keys",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn delete(asked: Asked) -> Result<StatusCode, Failed> {
    delete_of(&asked, KeyKind::Api).await
}

/// Lists an account's signing keys, the newest first.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/SigningKeys.json", tag = "SigningKeys",
    params(("account" = String, Path), Paging),
    responses((status = 200, body = SigningKeyList), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn list_signing(asked: Asked, Query(paging): Query<Paging>) -> Result<Response, Failed> {
    let (meta, signing_keys) = list_of(&asked, &paging, KeyKind::Signing, "SigningKeys").await?;
    Ok(answer(StatusCode::OK, SigningKeyList { meta, signing_keys }))
}

/// Makes a signing key. Its secret is in this answer and in no other.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/SigningKeys.json", tag = "SigningKeys", params(("account" = String, Path)),
    request_body(content = Create, content_type = "application/x-www-form-urlencoded"),
    responses((status = 201, body = KeyBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn create_signing(asked: Asked, Form(form): Form<Create>) -> Result<Response, Failed> {
    create_of(&asked, form, KeyKind::Signing).await
}

/// Tells of a signing key.
#[utoipa::path(get, path = "/2010-04-01/Accounts/{account}/SigningKeys/{sid}.json", tag = "SigningKeys",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 200, body = KeyBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn fetch_signing(asked: Asked) -> Result<Response, Failed> {
    fetch_of(&asked, KeyKind::Signing).await
}

/// Gives a signing key another name.
#[utoipa::path(post, path = "/2010-04-01/Accounts/{account}/SigningKeys/{sid}.json", tag = "SigningKeys",
    params(("account" = String, Path), ("sid" = String, Path)),
    request_body(content = Update, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = KeyBody), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn update_signing(asked: Asked, Form(form): Form<Update>) -> Result<Response, Failed> {
    update_of(&asked, form, KeyKind::Signing).await
}

/// Revokes a signing key, and every token that it has signed.
#[utoipa::path(delete, path = "/2010-04-01/Accounts/{account}/SigningKeys/{sid}.json", tag = "SigningKeys",
    params(("account" = String, Path), ("sid" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(super) async fn delete_signing(asked: Asked) -> Result<StatusCode, Failed> {
    delete_of(&asked, KeyKind::Signing).await
}
