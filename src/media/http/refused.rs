//! Problems as they are told over HTTP (RFC 9457).

use std::{borrow::Cow, collections::VecDeque, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, Type},
};

use crate::{
    media::{AudioBody, format::FormatError},
    problem::{Kind, LimitReached, Problem},
    units::seconds_up,
};

use super::{NO_STORE, respond};

/// How callers authenticate (RFC 7617 §2).
pub const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"ringback\", charset=\"UTF-8\"");

/// When to ask again after `busy`, where its cause knows no better.
const RETRY_AFTER_BUSY: Duration = Duration::from_secs(1);

/// What is told of a problem (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// What kind of thing went wrong: a name that never changes meaning.
    #[serde(rename = "type")]
    #[schema(schema_with = problem_types)]
    kind: String,
    /// The same for people, one constant line.
    title: &'static str,
    /// HTTP status code.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    detail: Cow<'static, str>,
    /// The limit that stood in the way, where one on what is in progress did.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_reached: Option<LimitReached>,
}

impl From<&Problem> for ProblemBody {
    fn from(problem: &Problem) -> ProblemBody {
        let Problem { kind, detail, limit, .. } = problem;
        ProblemBody {
            kind: kind.urn(),
            title: kind.title(),
            status: kind.status(),
            detail: detail.clone(),
            limit_reached: limit.as_deref().copied(),
        }
    }
}

fn problem_types() -> utoipa::openapi::Object {
    let urns = Kind::ALL.iter().map(|kind| kind.urn());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(urns)).build()
}

/// A problem as `application/problem+json` (RFC 9457): never audio, never cacheable.
pub fn problem(problem: &Problem) -> Response<AudioBody> {
    let kind = problem.kind;
    metrics::counter!("ringback_media_problems_total", "kind" => kind.slug()).increment(1);
    let body = Bytes::from(serde_json::to_vec(&ProblemBody::from(problem)).unwrap_or_default());
    let mut headers = HeaderMap::with_capacity(6);
    if kind == Kind::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let busy = (kind == Kind::Busy).then_some(RETRY_AFTER_BUSY);
    if let Some(after) = problem.retry_after.or(busy) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds_up(after)));
    }
    let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, headers, AudioBody::ready(VecDeque::from([body])));
    // Whoever sends it tells of it in headers as well.
    if let Some(limit) = &problem.limit {
        response.extensions_mut().insert(**limit);
    }
    response
}

/// The problem that an unusable format is.
pub(in crate::media) fn format_problem(error: FormatError) -> Problem {
    let kind = match error {
        FormatError::UnknownExtension { .. } => Kind::NotAcceptable,
        _ => Kind::BadRequest,
    };
    Problem::new(kind, error.to_string())
}
