//! `POST /v1/media/purge`.

use axum::{
    Json,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use crate::{
    media::PurgeRequest,
    problem::{Kind, Problem},
};

use super::{Failed, V1, body};

/// What a body that is none is told.
const EXPECTED: &str = r#"one of {"url":…}, {"prefix":…}, {"tag":…}, {"all":true}"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Purge {
    Url(String),
    Prefix(String),
    Tag(String),
    All(bool),
}

/// Has what the tenant got before now count as absent: on this node at once, on those that share its durable tier within seconds. The
/// answer says how far that is.
pub(super) async fn purge(v1: V1, sent: Request) -> Result<Response, Failed> {
    let body = body::receive(sent, v1.body_timeout).await?;
    let request = match body::read(&body, EXPECTED)? {
        Purge::Url(url) => PurgeRequest::Url(url),
        Purge::Prefix(prefix) => PurgeRequest::Prefix(prefix),
        Purge::Tag(tag) => PurgeRequest::Tag(tag),
        Purge::All(true) => PurgeRequest::All,
        Purge::All(false) => return Err(Problem::new(Kind::BadRequest, format!("the body is not {EXPECTED}")).into()),
    };
    v1.parts.media.purge(&v1.parts.tenant, request, &v1.parts.ignored_query).await?;
    let scope = if v1.parts.media.is_shared() { "fleet" } else { "node" };
    Ok(Json(serde_json::json!({ "scope": scope })).into_response())
}
