//! `/2010-04-01`: accounts and what belongs to them, in the shapes that the ecosystem's libraries speak (`spec/wire.md` §6).
//!
//! Bodies are forms, answers JSON, with and without `.json` at the end of the path. Every path names an account; credentials act on their
//! own and, of a top-level account, on its subaccounts. What is another's answers as what is not there.

mod accounts;

mod answer;

mod applications;

mod asked;

mod form;

mod keys;

mod numbers;

mod paging;

mod tokens;

mod voice;

use std::time::Duration;

use axum::{Router, extract::DefaultBodyLimit, routing};
use utoipa::OpenApi;

use crate::accounts::Accounts;

use super::{config::Config, edge::Parts};

pub(super) use answer::refuse;

use answer::Failed;

/// What the document says of these routes.
#[derive(OpenApi)]
#[openapi(paths(
    accounts::list,
    accounts::create,
    accounts::fetch,
    accounts::update,
    keys::list,
    keys::create,
    keys::fetch,
    keys::update,
    keys::delete,
    keys::list_signing,
    keys::create_signing,
    keys::fetch_signing,
    keys::update_signing,
    keys::delete_signing,
    applications::list,
    applications::create,
    applications::fetch,
    applications::update,
    applications::delete,
    numbers::list,
    numbers::create,
    numbers::fetch,
    numbers::update,
    numbers::delete,
    tokens::create,
    tokens::delete,
    tokens::promote,
))]
pub(super) struct Document;

/// What the handlers work with.
#[derive(Clone, Debug)]
struct V2010 {
    accounts: Accounts,
    /// How long a body may take.
    body_timeout: Duration,
}

/// The routes below `/2010-04-01`, and those of auth tokens below `/v1`, bodies limited as `config` says.
pub(super) fn router(parts: &Parts, config: &Config) -> Router {
    let state = V2010 { accounts: parts.accounts.clone(), body_timeout: config.body_timeout };
    let mut router = Router::new();
    for suffix in ["", ".json"] {
        let list = |name: &str| format!("/2010-04-01/Accounts/{{account}}/{name}{suffix}");
        router = router
            .route(&format!("/2010-04-01/Accounts{suffix}"), routing::get(accounts::list).post(accounts::create))
            .route(&list("Keys"), routing::get(keys::list).post(keys::create))
            .route(&list("SigningKeys"), routing::get(keys::list_signing).post(keys::create_signing))
            .route(&list("Applications"), routing::get(applications::list).post(applications::create))
            .route(&list("IncomingPhoneNumbers"), routing::get(numbers::list).post(numbers::create));
    }
    let one = |name: &str| format!("/2010-04-01/Accounts/{{account}}/{name}/{{sid}}");
    router
        .route("/2010-04-01/Accounts/{account}", routing::get(accounts::fetch).post(accounts::update))
        .route(&one("Keys"), routing::get(keys::fetch).post(keys::update).delete(keys::delete))
        .route(
            &one("SigningKeys"),
            routing::get(keys::fetch_signing).post(keys::update_signing).delete(keys::delete_signing),
        )
        .route(
            &one("Applications"),
            routing::get(applications::fetch).post(applications::update).delete(applications::delete),
        )
        .route(&one("IncomingPhoneNumbers"), routing::get(numbers::fetch).post(numbers::update).delete(numbers::delete))
        .route("/v1/AuthTokens/Secondary", routing::post(tokens::create).delete(tokens::delete))
        .route("/v1/AuthTokens/Promote", routing::post(tokens::promote))
        .fallback(async |uri: http::Uri| Failed::missing(uri.path()))
        .method_not_allowed_fallback(async || Failed::method())
        .layer(DefaultBodyLimit::max(config.body_max.as_usize()))
        .with_state(state)
}
