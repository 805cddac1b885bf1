//! `/v1`: the JSON interface of the media layer (`spec/media.md` §2).

mod body;

mod fills;

mod jambonz;

mod limits;

mod listing;

mod media;

mod owned_limits;

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
    concurrency::{Concurrency, Subject},
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

pub(super) use uploads::discard;

use fills::Fills;

/// What the handlers of `/v1` work with, for one caller.
#[derive(Clone, Debug)]
struct V1 {
    parts: Parts,
    fills: Fills,
    warming: warm::Places,
    /// How long a body may take.
    body_timeout: Duration,
    /// For whom it counts what a caller with credentials asks.
    subject: Option<Subject>,
}

impl FromRequestParts<V1> for V1 {
    type Rejection = Failed;

    async fn from_request_parts(head: &mut request::Parts, shared: &V1) -> Result<V1, Failed> {
        let caller = Caller::from_request_parts(head, shared).await?;
        let subject = caller.subject_at_once();
        let V1 { parts, fills, warming, body_timeout, .. } = shared.clone();
        Ok(V1 { parts: Parts { tenant: caller.tenant, ..parts }, fills, warming, body_timeout, subject })
    }
}

impl Gate for V1 {
    type Refused = Failed;

    /// Who has shown no credentials stands on something else, which the edge has judged.
    async fn pass(&self, needs: Needs, head: &mut request::Parts) -> Result<Subject, Failed> {
        let caller = Caller::from_request_parts(head, self).await?;
        let is_met = caller.principal.as_ref().is_none_or(|principal| needs.are_met_by(principal, true));
        if is_met { Ok(caller.subject(&self.parts.concurrency).await) } else { Err(forbidden().into()) }
    }

    fn concurrency(&self) -> &Concurrency {
        &self.parts.concurrency
    }

    fn refused(problem: &Problem) -> Failed {
        problem.clone().into()
    }
}

/// The last part of a path, or what is wrong with it.
type Named = Result<Path<String>, PathRejection>;

operations! {
    /// What the document says of these routes.
    Document, operations, V1, schemas(ArtifactId, ContentHash, RandomId, ProblemBody):
    listing::{list, __path_list} needs Read(Media) counts MediaReads,
    media::{create, __path_create} needs Write(Media) counts MediaWrites,
    warm::{warm, __path_warm} needs Write(Media) counts Warming,
    purge::{purge, __path_purge} needs Write(Media) counts MediaWrites else reserve,
    uploads::{receive, __path_receive} needs Write(Media) counts Uploads,
    resumable::{create, __path_create} needs Write(Media) counts Uploads,
    resumable::{options, __path_options} needs Read(Media) counts MediaReads,
    resumable::{ask, __path_ask} needs Read(Media) counts MediaReads,
    resumable::{append, __path_append} needs Write(Media) counts Uploads,
    resumable::{give_up, __path_give_up} needs Write(Media) counts MediaWrites,
    resumable::{overridden, __path_overridden} needs Write(Media) counts Uploads,
    uploads::{serve, __path_serve} needs Read(Media) counts Fetches,
    uploads::{remove, __path_remove} needs Write(Media) counts MediaWrites,
    media::{describe, __path_describe} needs Read(Media) counts MediaReads,
    media::{forget, __path_forget} needs Write(Media) counts MediaWrites,
    prompts::{list, __path_list} needs Read(Media) counts MediaReads,
    prompts::{set, __path_set} at "/prompts/{*name}" needs Write(Media) counts Uploads,
    prompts::{remove, __path_remove} at "/prompts/{*name}" needs Write(Media) counts MediaWrites,
    jambonz::{speak, __path_speak} needs Write(Media) counts MediaWrites,
    fills::{describe, __path_describe} needs Read(Media) counts MediaReads,
    limits::{list, __path_list} needs Read(Accounts) counts Accounts else reserve,
    limits::{usage, __path_usage} needs Read(Accounts) counts Accounts else reserve,
    owned_limits::{given, __path_given} needs Read(Limits) counts Accounts,
    owned_limits::{given_to, __path_given_to} needs Read(Limits) counts Accounts,
    owned_limits::{give, __path_give} needs Write(Limits) counts Accounts,
    owned_limits::{take_away, __path_take_away} needs Write(Limits) counts Accounts,
}

/// The routes below `/v1`, bodies limited as `config` says.
pub(super) fn router(parts: &Parts, config: &Config) -> Router {
    let (fills, warming) = (Fills::new(parts), warm::Places::default());
    let state = V1 { parts: parts.clone(), fills, warming, body_timeout: config.body_timeout, subject: None };
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
