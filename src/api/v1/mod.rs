//! `/v1`: the JSON interface of the media layer (`spec/media.md` §2).

mod body;

mod fills;

mod jambonz;

mod listing;

mod media;

mod prompts;

mod purge;

mod resumable;

mod uploads;

mod warm;

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequestParts, Path, rejection::PathRejection},
    http::request,
    response::{IntoResponse, Response},
    routing,
};

use crate::{
    media::http as media_http,
    problem::{Kind, Problem},
};

use super::{admission::Caller, config::Config, edge::Parts};

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

/// The last part of a path, or what is wrong with it.
type Named = Result<Path<String>, PathRejection>;

/// The routes below `/v1`, bodies limited as `config` says.
pub(super) fn router(parts: &Parts, config: &Config) -> Router {
    let (fills, warming) = (Fills::new(parts), warm::Places::default());
    let state = V1 { parts: parts.clone(), fills, warming, body_timeout: config.body_timeout };
    Router::new()
        .route("/v1/media", routing::get(listing::list).post(media::create))
        .route("/v1/media/warm", routing::post(warm::warm))
        .route("/v1/media/purge", routing::post(purge::purge))
        .route("/v1/media/uploads", routing::put(uploads::receive).post(resumable::create).options(resumable::options))
        .route(
            "/v1/media/uploads/resumable/{id}",
            routing::head(resumable::ask)
                .patch(resumable::append)
                .delete(resumable::give_up)
                .post(resumable::overridden),
        )
        .route("/v1/media/uploads/{content_hash}", routing::get(uploads::serve).delete(uploads::remove))
        .route("/v1/media/{artifact}", routing::get(media::describe).delete(media::forget))
        .route("/v1/prompts", routing::get(prompts::list))
        .route("/prompts/{*name}", routing::put(prompts::set).delete(prompts::remove))
        .route("/v1/jambonz/speech", routing::post(jambonz::speak))
        .route("/v1/fills/{fill}", routing::get(fills::describe))
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
