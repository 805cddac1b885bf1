//! Bodies and queries: forms, of which what is not known is passed over.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::request,
};
use http::{Method, header};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    accounts::Header,
    api::admission::{Caller, refusal_problem},
};

use super::{V2010, answer::Failed};

/// What the form of a body says.
pub(super) struct Form<T>(pub(super) T);

/// What the query of an address says.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<V2010> for Form<T> {
    type Rejection = Failed;

    async fn from_request(request: Request<Body>, state: &V2010) -> Result<Form<T>, Failed> {
        let shown = request.headers().get(header::AUTHORIZATION).cloned();
        let from = request.extensions().get::<Caller>().map(|caller| caller.from);
        let said = request.headers().get(header::CONTENT_TYPE).map(|said| said.to_str().unwrap_or_default().to_owned());
        let body = tokio::time::timeout(state.body_timeout, Bytes::from_request(request, state)).await;
        let body = body.map_err(|_| Failed::new(408, 20408, "the body did not come in time"))?;
        // Whoever sends it slowly may have been revoked meanwhile.
        if let (Some(shown), Some(from)) = (shown, from) {
            let again = state.accounts.check_again(Header::new(shown.as_bytes()), from).await;
            again.map_err(|refusal| Failed::from(&refusal_problem(refusal)))?;
        }
        let body = body.map_err(|rejection| Failed::new(rejection.status().as_u16(), 20001, rejection.body_text()))?;
        let is_form = |said: &String| said.trim_start().starts_with("application/x-www-form-urlencoded");
        if !body.is_empty() && !said.as_ref().is_some_and(is_form) {
            return Err(Failed::new(415, 20001, "the body is to be application/x-www-form-urlencoded"));
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
