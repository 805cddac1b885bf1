//! `/2010-04-01`: accounts and what belongs to them, in the shapes that the ecosystem's libraries speak (`spec/wire.md` §6).
//!
//! Bodies are forms, answers JSON, with and without `.json` at the end of the path. Every path names an account; credentials act on their
//! own and, of a top-level account, on its subaccounts, and of a developer on those that allow its application. What is another's answers as what is not there.

mod accounts;

mod answer;

mod applications;

mod asked;

mod authorized;

mod connect_apps;

mod form;

mod keys;

mod numbers;

mod paging;

mod tokens;

mod voice;

use std::time::Duration;

use axum::{Router, extract::DefaultBodyLimit};

use crate::{accounts::Accounts, concurrency::Concurrency};

use super::{config::Config, edge::Parts, operations::operations};

pub(super) use answer::refuse;

use answer::Failed;

/// What the handlers work with.
#[derive(Clone, Debug)]
struct V2010 {
    accounts: Accounts,
    concurrency: Concurrency,
    /// How long a body may take.
    body_timeout: Duration,
}

operations! {
    /// What the document says of these routes.
    Document, operations, V2010, schemas():
    accounts::{list, __path_list} needs Read(Accounts) counts Accounts,
    accounts::{create, __path_create} needs Write(Accounts) counts Accounts,
    accounts::{fetch, __path_fetch} needs OwnOrRead(Accounts) counts Accounts,
    accounts::{update, __path_update} needs Write(Accounts) counts Accounts,
    keys::{list, __path_list} needs Read(Keys) counts Accounts,
    keys::{create, __path_create} needs Write(Keys) counts Accounts,
    keys::{fetch, __path_fetch} needs Read(Keys) counts Accounts,
    keys::{update, __path_update} needs Write(Keys) counts Accounts,
    keys::{delete, __path_delete} needs Write(Keys) counts Accounts,
    keys::{list_signing, __path_list_signing} needs Read(Keys) counts Accounts,
    keys::{create_signing, __path_create_signing} needs Write(Keys) counts Accounts,
    keys::{fetch_signing, __path_fetch_signing} needs Read(Keys) counts Accounts,
    keys::{update_signing, __path_update_signing} needs Write(Keys) counts Accounts,
    keys::{delete_signing, __path_delete_signing} needs Write(Keys) counts Accounts,
    applications::{list, __path_list} needs Read(Applications) counts Numbers,
    applications::{create, __path_create} needs Write(Applications) counts Numbers,
    applications::{fetch, __path_fetch} needs Read(Applications) counts Numbers,
    applications::{update, __path_update} needs Write(Applications) counts Numbers,
    applications::{delete, __path_delete} needs Write(Applications) counts Numbers,
    numbers::{list, __path_list} needs Read(Numbers) counts Numbers,
    numbers::{create, __path_create} needs Write(Numbers) counts Numbers,
    numbers::{fetch, __path_fetch} needs Read(Numbers) counts Numbers,
    numbers::{update, __path_update} needs Write(Numbers) counts Numbers,
    numbers::{delete, __path_delete} needs Write(Numbers) counts Numbers,
    connect_apps::{list, __path_list} needs Read(ConnectApps) counts Accounts,
    connect_apps::{create, __path_create} needs Write(ConnectApps) counts Accounts,
    connect_apps::{fetch, __path_fetch} needs Read(ConnectApps) counts Accounts,
    connect_apps::{update, __path_update} needs Write(ConnectApps) counts Accounts,
    connect_apps::{delete, __path_delete} needs Write(ConnectApps) counts Accounts,
    authorized::{list, __path_list} needs Read(Authorizations) counts Accounts,
    authorized::{fetch, __path_fetch} needs Read(Authorizations) counts Accounts,
    authorized::{narrow, __path_narrow} needs Write(Authorizations) counts Accounts,
    authorized::{revoke, __path_revoke} needs Write(Authorizations) counts Accounts,
    tokens::{create, __path_create} needs Token counts Accounts,
    tokens::{delete, __path_delete} needs Token counts Accounts,
    tokens::{promote, __path_promote} needs Token counts Accounts,
}

/// The routes below `/2010-04-01`, and those of auth tokens below `/v1`, bodies limited as `config` says.
pub(super) fn router(parts: &Parts, config: &Config) -> Router {
    let state = V2010 {
        accounts: parts.accounts.clone(),
        concurrency: parts.concurrency.clone(),
        body_timeout: config.body_timeout,
    };
    operations()
        .fallback(async |uri: http::Uri| Failed::missing(uri.path()))
        .method_not_allowed_fallback(async || Failed::method())
        .layer(DefaultBodyLimit::max(config.body_max.as_usize()))
        .with_state(state)
}
