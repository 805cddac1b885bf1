//! Answers and errors in the ecosystem's shapes.

use std::time::SystemTime;

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    accounts::AccountsError,
    media::http::CHALLENGE,
    problem::{Kind, LimitReached, Problem},
    units::seconds_up,
};

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failed {
    status: u16,
    code: u32,
    message: String,
    fields: Vec<(HeaderName, HeaderValue)>,
    limit: Option<Box<LimitReached>>,
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// What went wrong, as a number that never changes meaning.
    code: u32,
    /// The same for people.
    message: String,
    /// Where more is said of the code.
    more_info: String,
    /// HTTP status code.
    status: u16,
    /// The limit that stood in the way, where one on what is in progress did.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<LimitReached>,
}

impl Failed {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Failed {
        Failed { status, code, message: message.into(), fields: Vec::new(), limit: None }
    }

    /// Whether it is the caller's to mend.
    pub(super) fn is_client_error(&self) -> bool {
        (400..500).contains(&self.status)
    }

    /// A value that cannot be taken.
    pub(super) fn invalid(message: impl Into<String>) -> Failed {
        Failed::new(400, 20001, message)
    }

    /// Nothing is under this path, or it is somebody else's.
    pub(super) fn missing(path: &str) -> Failed {
        Failed::new(404, 20404, format!("The requested resource {path} was not found"))
    }

    /// The path is there, the method is not.
    pub(super) fn method() -> Failed {
        Failed::new(405, 20004, "Method not allowed")
    }

    /// These credentials may not do this.
    pub(super) fn forbidden() -> Failed {
        Failed::new(403, 20003, "Permission denied")
    }

    /// What accounts say of something that was asked for under `path`.
    pub(super) fn of(error: &AccountsError, path: &str) -> Failed {
        match error {
            AccountsError::NotFound(_) => Failed::missing(path),
            AccountsError::Invalid { .. } => Failed::invalid(error.to_string()),
            error => Failed::from(&error.problem()),
        }
    }
}

impl From<&Problem> for Failed {
    fn from(problem: &Problem) -> Failed {
        let status = problem.kind.status();
        let code = match problem.kind {
            Kind::Unauthorized | Kind::Forbidden => 20003,
            Kind::AccountInactive => 20005,
            Kind::BadRequest => 20001,
            Kind::MethodNotAllowed => 20004,
            // 20404, 20429, 20500, 20503 and their like.
            _ => 20000 + u32::from(status),
        };
        let mut failed = Failed::new(status, code, problem.detail.as_ref());
        if problem.kind == Kind::Unauthorized {
            failed.fields.push((header::WWW_AUTHENTICATE, CHALLENGE));
        }
        if let Some(after) = problem.retry_after {
            failed.fields.push((header::RETRY_AFTER, HeaderValue::from(seconds_up(after))));
        }
        failed.limit.clone_from(&problem.limit);
        failed
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        tracing::info!(status = self.status, code = self.code, message = self.message, "request refused");
        let body = ErrorBody {
            code: self.code,
            message: self.message,
            more_info: format!("https://www.twilio.com/docs/errors/{}", self.code),
            status: self.status,
            details: self.limit.as_deref().copied(),
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().extend(self.fields);
        // Whoever sends it tells of it in headers as well.
        if let Some(limit) = self.limit {
            response.extensions_mut().insert(*limit);
        }
        response
    }
}

/// What the edge refuses before a handler is asked.
pub(in crate::api) fn refuse(problem: &Problem) -> Response<Body> {
    Failed::from(problem).into_response()
}

/// A record as an answer that no cache keeps.
pub(super) fn answer(status: StatusCode, record: impl Serialize) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(record)).into_response()
}

/// A time as `Fri, 18 Oct 2019 17:00:00 +0000`.
pub(super) fn date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time).replace("GMT", "+0000")
}
