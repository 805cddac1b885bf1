//! `POST /v1/media/purge`.

use axum::{Json, extract::Request};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::told::{self, refusals},
    media::PurgeRequest,
    problem::{Kind, Problem},
};

use super::{Failed, V1, body};

/// What a body that is none is told.
const EXPECTED: &str = r#"one of {"url":…}, {"prefix":…}, {"tag":…}, {"all":true}"#;

/// What is to be got anew.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
#[schema(as = PurgeRequest)]
pub(super) enum Purge {
    /// One source: its URL, or what an upload or a text is called in descriptions.
    Url(String),
    /// All sources whose URL begins so.
    Prefix(String),
    /// All with this label, of 1 to 256 bytes.
    Tag(String),
    /// All there is; `true` alone.
    All(bool),
}

/// How far a purge is obeyed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Purged {
    scope: Scope,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PurgeScope)]
enum Scope {
    /// On this node.
    Node,
    /// On all that share its durable tier.
    Fleet,
}

refusals! {
    OfPurge: told::ANY, told::BODY, &[Kind::SourceForbidden, Kind::Busy, Kind::StorageFull];
}

/// Has what the caller got before now count as absent: on this node at once, on those that share its durable tier within seconds.
#[utoipa::path(post, path = "/v1/media/purge", tag = "Media", request_body = Purge,
    responses((status = 200, body = Purged, description = "How far that is obeyed."), OfPurge))]
pub(super) async fn purge(v1: V1, sent: Request) -> Result<Json<Purged>, Failed> {
    let body = body::receive(sent, v1.body_timeout).await?;
    let request = match body::read(&body, EXPECTED)? {
        Purge::Url(url) => PurgeRequest::Url(url),
        Purge::Prefix(prefix) => PurgeRequest::Prefix(prefix),
        Purge::Tag(tag) => PurgeRequest::Tag(tag),
        Purge::All(true) => PurgeRequest::All,
        Purge::All(false) => return Err(Problem::new(Kind::BadRequest, format!("the body is not {EXPECTED}")).into()),
    };
    v1.parts.media.purge(&v1.parts.tenant, request, &v1.parts.ignored_query).await?;
    let scope = if v1.parts.media.is_shared() { Scope::Fleet } else { Scope::Node };
    Ok(Json(Purged { scope }))
}
