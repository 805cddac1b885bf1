//! Bodies of requests: within the limits of size and time, and of the form that is asked for.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest as _, Request},
};
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

/// The body of a request, within the limits of size and time.
pub(super) async fn receive(sent: Request, timeout: Duration) -> Result<Bytes, Problem> {
    match tokio::time::timeout(timeout, Bytes::from_request(sent, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Problem::new(Kind::OverLimit, "the body is too large (http.body_max)"))
        }
        Ok(Err(_)) => Err(Problem::new(Kind::BadRequest, "the body cannot be read")),
        Err(_) => Err(Problem::new(Kind::RequestTimeout, "the body did not come in time (http.body_timeout)")),
    }
}

/// Reads JSON. Says where it is not what is `expected`, never what stands there: the parser's own text quotes the body, whose addresses may
/// hold secrets.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes, expected: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::new(Kind::BadRequest, format!("the body is not {expected}: see line {line}, column {column}"))
    })
}
