//! `/v1`: the JSON interface of the media layer (`spec/media.md` §2).

mod body;

mod fills;

mod jambonz;

mod listing;

mod media;

mod prompts;

mod purge;

mod resumable;

mod tus;

mod uploads;

mod warm;

mod watched;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequestParts, Path, rejection::PathRejection},
    http::request,
    response::{IntoResponse, Response},
};

use crate::{
    ids::{ArtifactId, ContentHash, RandomId},
    media::http::{self as media_http, ProblemBody},
    problem::{Kind, Problem},
};

use super::{
    admission::{Caller, forbidden},
    config::Config,
    edge::Parts,
    operations::operations,
    permission::{Gate, Needs},
};

use fills::Fills;

/// What the handlers of `/v1` work with, for one caller.
#[derive(Clone, Debug)]
struct V1 {
    parts: Parts,
    fills: Fills,
    warming: warm::Places,
    /// How long a body may take.
    body_timeout: Duration,
}

impl FromRequestParts<V1> for V1 {
    type Rejection = Failed;

    async fn from_request_parts(head: &mut request::Parts, shared: &V1) -> Result<V1, Failed> {
        let Caller { tenant, .. } = Caller::from_request_parts(head, shared).await?;
        let V1 { parts, fills, warming, body_timeout } = shared.clone();
        Ok(V1 { parts: Parts { tenant, ..parts }, fills, warming, body_timeout })
    }
}

impl Gate for V1 {
    type Refused = Failed;

    /// Who has shown no credentials stands on something else, which the edge has judged.
    async fn pass(&self, needs: Needs, head: &mut request::Parts) -> Result<(), Failed> {
        let principal = Caller::from_request_parts(head, self).await?.principal;
        let is_met = principal.is_none_or(|principal| needs.are_met_by(&principal, true));
        if is_met { Ok(()) } else { Err(forbidden().into()) }
    }
}

/// The last part of a path, or what is wrong with it.
type Named = Result<Path<String>, PathRejection>;

operations! {
    /// What the document says of these routes.
    Document, operations, V1, schemas(ArtifactId, ContentHash, RandomId, ProblemBody):
    listing::{list, __path_list} needs Read(Media),
    media::{create, __path_create} needs Write(Media),
    warm::{warm, __path_warm} needs Write(Media),
    purge::{purge, __path_purge} needs Write(Media),
    uploads::{receive, __path_receive} needs Write(Media),
    resumable::{create, __path_create} needs Write(Media),
    resumable::{options, __path_options} needs Read(Media),
    resumable::{ask, __path_ask} needs Read(Media),
    resumable::{append, __path_append} needs Write(Media),
    resumable::{give_up, __path_give_up} needs Write(Media),
    resumable::{overridden, __path_overridden} needs Write(Media),
    uploads::{serve, __path_serve} needs Read(Media),
    uploads::{remove, __path_remove} needs Write(Media),
    media::{describe, __path_describe} needs Read(Media),
    media::{forget, __path_forget} needs Write(Media),
    prompts::{list, __path_list} needs Read(Media),
    prompts::{set, __path_set} at "/prompts/{*name}" needs Write(Media),
    prompts::{remove, __path_remove} at "/prompts/{*name}" needs Write(Media),
    jambonz::{speak, __path_speak} needs Write(Media),
    fills::{describe, __path_describe} needs Read(Media),
}

/// The routes below `/v1`, bodies limited as `config` says.
pub(super) fn router(parts: &Parts, config: &Config) -> Router {
    let (fills, warming) = (Fills::new(parts), warm::Places::default());
    let state = V1 { parts: parts.clone(), fills, warming, body_timeout: config.body_timeout };
    operations()
        .fallback(async || Failed(Problem::new(Kind::NotFound, "there is nothing under this path")))
        .method_not_allowed_fallback(async || {
            Failed(Problem::new(Kind::MethodNotAllowed, "the method is not allowed here"))
        })
        .layer(DefaultBodyLimit::max(config.body_max.as_usize()))
        .with_state(state)
}

/// A problem as the answer of a handler.
#[derive(Debug)]
pub(super) struct Failed(Problem);

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Failed {
        Failed(problem)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        tracing::info!(problem = %self.0, "request refused");
        media_http::problem(&self.0).map(Body::new)
    }
}
