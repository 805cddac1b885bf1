//! What pages are told: queries and forms, within their limits. A mistake is answered by a page.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
};
use http::{StatusCode, header, request};
use serde::de::DeserializeOwned;

use crate::problem::{Kind, Problem};

use super::{Pages, page::Page};

/// Bytes of a form at most; the router refuses what is more.
pub(super) const FORM_MAX: usize = 64 << 10;
/// Bytes of a query at most: a way back is written twice over in it.
const QUERY_MAX: usize = 32 << 10;

/// What the form of a body says.
pub(super) struct Form<T>(pub(super) T);

/// What the query of an address says.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Pages> for Form<T> {
    type Rejection = Box<Page>;

    async fn from_request(request: Request<Body>, pages: &Pages) -> Result<Form<T>, Box<Page>> {
        let said = request.headers().get(header::CONTENT_TYPE).and_then(|said| said.to_str().ok());
        if !said.is_some_and(|said| said.trim_start().starts_with("application/x-www-form-urlencoded")) {
            return Err(pages.problem(&Problem::new(Kind::BadRequest, "This is no form.")));
        }
        let body = tokio::time::timeout(pages.body_timeout, Bytes::from_request(request, pages)).await;
        let body =
            body.map_err(|_| pages.problem(&Problem::new(Kind::RequestTimeout, "The form did not come in time.")))?;
        let body = body.map_err(|rejection| {
            let is_long = rejection.status() == StatusCode::PAYLOAD_TOO_LARGE;
            let kind = if is_long { Kind::OverLimit } else { Kind::BadRequest };
            pages.problem(&Problem::new(kind, "The form cannot be read."))
        })?;
        read(pages, &body).map(Form)
    }
}

impl<T: DeserializeOwned> FromRequestParts<Pages> for Query<T> {
    type Rejection = Box<Page>;

    async fn from_request_parts(parts: &mut request::Parts, pages: &Pages) -> Result<Query<T>, Box<Page>> {
        let query = parts.uri.query().unwrap_or_default();
        if QUERY_MAX < query.len() {
            return Err(pages.problem(&Problem::new(Kind::OverLimit, "The address is too long.")));
        }
        read(pages, query.as_bytes()).map(Query)
    }
}

/// What is not known is passed over; what stands there twice and may not is refused. Nothing is quoted: it may be a password.
fn read<T: DeserializeOwned>(pages: &Pages, text: &[u8]) -> Result<T, Box<Page>> {
    let unread = |_| {
        pages.problem(&Problem::new(
            Kind::BadRequest,
            "What was sent cannot be read: something is missing, or is there twice.",
        ))
    };
    serde_html_form::from_bytes(text).map_err(unread)
}
