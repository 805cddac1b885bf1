//! Bodies and queries: forms, of which what is not known is passed over.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::request,
};
use http::Method;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use url::Url;

use crate::api::{
    admission::refusal_problem,
    posted::{NotPosted, posted},
};

use super::{V2010, answer::Failed, asked::Passed};

/// What the form of a body says.
pub(super) struct Form<T>(pub(super) T);

/// What the query of an address says.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<V2010> for Form<T> {
    type Rejection = Failed;

    async fn from_request(request: Request<Body>, state: &V2010) -> Result<Form<T>, Failed> {
        let path = request.uri().path().to_owned();
        let passed = request.extensions().get::<Passed>().cloned();
        let posted = posted(request, &state.accounts, state.body_timeout).await;
        let (body, principal) = posted.map_err(|why| match why {
            NotPosted::TimedOut => Failed::new(408, 20408, "the body did not come in time"),
            NotPosted::Refused(refusal) => Failed::from(&refusal_problem(refusal)),
            NotPosted::Rejected(rejection) => Failed::new(rejection.status().as_u16(), 20001, rejection.body_text()),
            NotPosted::NotAForm => Failed::new(415, 20001, "the body is to be application/x-www-form-urlencoded"),
        })?;
        if let (Some(principal), Some(passed)) = (principal, passed) {
            passed.holds_for(&principal, state, &path).await?;
        }
        read(&body).map(Form)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Query<T>, Failed> {
        debug_assert_ne!(parts.method, Method::POST, "what is posted stands in the body");
        read(parts.uri.query().unwrap_or_default().as_bytes()).map(Query)
    }
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failed> {
    serde_html_form::from_bytes(text).map_err(|error| Failed::invalid(error.to_string()))
}

/// A field that may come several times, once for each word.
pub(super) fn repeated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

/// The address of an application server, or nothing where it is empty.
pub(super) fn url(field: &str, text: &str) -> Result<Option<String>, Failed> {
    /// Longer ones are a mistake, and are sent with every call.
    const LENGTH_MAX: usize = 4_096;
    if text.is_empty() {
        return Ok(None);
    }
    let is_url = text.len() <= LENGTH_MAX
        && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_url {
        Ok(Some(text.to_owned()))
    } else {
        Err(Failed::new(400, 21205, format!("{field} is not an absolute http or https URL")))
    }
}
