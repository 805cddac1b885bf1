//! `/v1`: the JSON interface of the media layer (`spec/media.md` §2).

mod fills;

mod media;

use axum::{
    Router,
    body::Body,
    extract::DefaultBodyLimit,
    response::{IntoResponse, Response},
    routing,
};

use crate::{
    media::http as media_http,
    problem::{Kind, Problem},
    units::ByteCount,
};

use super::edge::Parts;

use fills::Fills;

/// What the handlers of `/v1` work with.
#[derive(Clone, Debug)]
struct V1 {
    parts: Parts,
    fills: Fills,
}

/// The routes below `/v1`, bodies limited to `body_max`.
pub(super) fn router(parts: &Parts, body_max: ByteCount) -> Router {
    let state = V1 { parts: parts.clone(), fills: Fills::new(parts) };
    Router::new()
        .route("/v1/media", routing::post(media::create))
        .route("/v1/media/{artifact}", routing::get(media::describe).delete(media::forget))
        .route("/v1/fills/{fill}", routing::get(fills::describe))
        .fallback(async || Failed(Problem::new(Kind::NotFound, "there is nothing under this path")))
        .method_not_allowed_fallback(async || {
            Failed(Problem::new(Kind::MethodNotAllowed, "the method is not allowed here"))
        })
        .layer(DefaultBodyLimit::max(body_max.as_usize()))
        .with_state(state)
}

/// A problem as the answer of a handler.
#[derive(Debug)]
struct Failed(Problem);

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
