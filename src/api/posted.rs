//! Forms in the bodies of requests: taken in time, as a form, and from who may still be listened to when it is there.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest as _, Request, rejection::BytesRejection},
};
use http::header;

use crate::accounts::{Accounts, Header, Principal, Refusal};

use super::admission::Caller;

/// Why there is no form.
#[derive(Debug)]
pub(super) enum NotPosted {
    /// It did not come in time.
    TimedOut,
    /// Whoever sent it is not let in any more.
    Refused(Refusal),
    /// It is too long, or broke off.
    Rejected(BytesRejection),
    /// It is something else.
    NotAForm,
}

/// The form in a request's body, where nothing is an empty one, and who has sent it.
pub(super) async fn posted(
    request: Request<Body>,
    accounts: &Accounts,
    body_timeout: Duration,
) -> Result<(Bytes, Option<Arc<Principal>>), NotPosted> {
    let shown = request.headers().get(header::AUTHORIZATION).cloned();
    let from = request.extensions().get::<Caller>().map(|caller| caller.from);
    let said = request.headers().get(header::CONTENT_TYPE).map(|said| said.to_str().unwrap_or_default().to_owned());
    let body = tokio::time::timeout(body_timeout, Bytes::from_request(request, &())).await;
    let body = body.map_err(|_| NotPosted::TimedOut)?;
    // Whoever sends it slowly may have been revoked meanwhile.
    let principal = match (shown, from) {
        (Some(shown), Some(from)) => {
            let again = accounts.authenticate_again(Header::new(shown.as_bytes()), from).await;
            Some(again.map_err(NotPosted::Refused)?)
        }
        _ => None,
    };
    let body = body.map_err(NotPosted::Rejected)?;
    let is_form = |said: &String| said.trim_start().starts_with("application/x-www-form-urlencoded");
    if body.is_empty() || said.as_ref().is_some_and(is_form) { Ok((body, principal)) } else { Err(NotPosted::NotAForm) }
}
