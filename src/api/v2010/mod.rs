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

use axum::{Router, extract::DefaultBodyLimit};

use crate::accounts::Accounts;

use super::{config::Config, edge::Parts, operations::operations};

pub(super) use answer::refuse;

use answer::Failed;

/// What the handlers work with.
#[derive(Clone, Debug)]
struct V2010 {
    accounts: Accounts,
    /// How long a body may take.
    body_timeout: Duration,
}

operations! {
    /// What the document says of these routes.
    Document, operations, V2010, schemas():
    accounts::{list, __path_list},
    accounts::{create, __path_create},
    accounts::{fetch, __path_fetch},
    accounts::{update, __path_update},
    keys::{list, __path_list},
    keys::{create, __path_create},
    keys::{fetch, __path_fetch},
    keys::{update, __path_update},
    keys::{delete, __path_delete},
    keys::{list_signing, __path_list_signing},
    keys::{create_signing, __path_create_signing},
    keys::{fetch_signing, __path_fetch_signing},
    keys::{update_signing, __path_update_signing},
    keys::{delete_signing, __path_delete_signing},
    applications::{list, __path_list},
    applications::{create, __path_create},
    applications::{fetch, __path_fetch},
    applications::{update, __path_update},
    applications::{delete, __path_delete},
    numbers::{list, __path_list},
    numbers::{create, __path_create},
    numbers::{fetch, __path_fetch},
    numbers::{update, __path_update},
    numbers::{delete, __path_delete},
    tokens::{create, __path_create},
    tokens::{delete, __path_delete},
    tokens::{promote, __path_promote},
}

/// The routes below `/2010-04-01`, and those of auth tokens below `/v1`, bodies limited as `config` says.
pub(super) fn router(parts: &Parts, config: &Config) -> Router {
    let state = V2010 { accounts: parts.accounts.clone(), body_timeout: config.body_timeout };
    operations()
        .fallback(async |uri: http::Uri| Failed::missing(uri.path()))
        .method_not_allowed_fallback(async || Failed::method())
        .layer(DefaultBodyLimit::max(config.body_max.as_usize()))
        .with_state(state)
}
