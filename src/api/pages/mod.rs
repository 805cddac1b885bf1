//! `/connect`: pages for people. They sign in, are shown which application asks for what on their account, allow or deny it, and see, narrow and revoke
//! what they have allowed (`spec/authorization.md`, `spec/trust.md` §6).
//!
//! Pages are HTML from the node (`page.rs`), without scripts. A page is only given by a way on which nobody listens (TLS, or a proxy that is trusted and says
//! so), because what a browser keeps (`visit.rs`) is all that it takes to act for its user. No address is made of what a request says of its host; the only other
//! host that a browser is ever sent to is that of the application's registered address (`authorize.rs`).

mod authorize;

mod authorized;

mod form;

mod page;

mod permissions;

mod sign_in;

mod visit;

mod way_back;

use std::time::Duration;

use axum::{Router, extract::DefaultBodyLimit, routing};
use http::StatusCode;
use maud::{Markup, html};

use crate::{
    accounts::{Accounts, SignedIn},
    problem::{Kind, Problem},
};

use super::{config::Config, edge::Parts};

use page::Page;

/// What pages are made from.
#[derive(Clone, Debug)]
struct Pages {
    accounts: Accounts,
    /// Before each path of this node, as `--public-url` has it.
    prefix: String,
    /// How long a form may take.
    body_timeout: Duration,
}

/// The routes below `/connect`.
pub(super) fn router(parts: &Parts, config: &Config) -> Router {
    let pages = Pages {
        accounts: parts.accounts.clone(),
        prefix: page::prefix_of(&parts.addresses.path("")),
        body_timeout: config.body_timeout,
    };
    let (missing, other) = (pages.clone(), pages.clone());
    Router::new()
        .route("/connect/sign-in", routing::get(sign_in::show).post(sign_in::submit))
        .route("/connect/sign-out", routing::post(sign_in::sign_out))
        .route("/connect/authorize/{app}", routing::get(authorize::show).post(authorize::decide))
        .route("/connect/authorized", routing::get(authorized::list))
        .route("/connect/authorized/{subaccount}", routing::post(authorized::change))
        .route(page::STYLE_PATH, routing::get(page::style))
        .fallback(async move || missing.problem(&Problem::new(Kind::NotFound, "There is nothing under this address.")))
        .method_not_allowed_fallback(async move || {
            other.problem(&Problem::new(Kind::MethodNotAllowed, "This page is not asked for in this way."))
        })
        .layer(DefaultBodyLimit::max(form::FORM_MAX))
        .layer(axum::middleware::map_response(page::guard))
        .with_state(pages)
}

impl Pages {
    /// A path of this node as browsers have to ask for it.
    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    fn problem(&self, problem: &Problem) -> Box<Page> {
        Box::new(Page::problem(&self.prefix, problem))
    }

    /// The page for who comes by a way on which anybody may listen.
    fn in_the_open(&self) -> Box<Page> {
        let body = html! {
            p { "This page is only shown over HTTPS: your password and what keeps you signed in must not be read on their way." }
            h2 { "If you run this node" }
            ul {
                li { "Start it with " code { "--tls-cert FILE --tls-key FILE" } ", and open this page by " code { "https://" } "; or" }
                li {
                    "put a proxy with TLS in front of it, name the proxy in " code { "http.trusted_proxies" } ", and have it send "
                    code { "X-Forwarded-Proto: https" } "."
                }
            }
            p { "That goes for " code { "localhost" } ", too. A certificate that you sign yourself will do there." }
        };
        Box::new(Page { status: StatusCode::FORBIDDEN, ..Page::new(&self.prefix, "HTTPS is needed", body) })
    }

    /// A page for somebody who is signed in.
    ///
    /// # Errors
    /// The page of a problem, if there is one.
    fn for_user(&self, session: &SignedIn, title: impl Into<String>, body: Markup) -> Result<Page, Box<Page>> {
        let token = self.token(session)?;
        let signed_in = html! {
            form.who method="post" action=(self.path("/connect/sign-out")) {
                (visit::token_field(&token))
                a href=(self.path("/connect/authorized")) { "Applications" }
                span { (session.user.email) }
                button.link type="submit" { "Sign out" }
            }
        };
        Ok(Page { signed_in: Some(signed_in), ..Page::new(&self.prefix, title, body) })
    }

    /// The token of forms of somebody who is signed in.
    fn token(&self, session: &SignedIn) -> Result<String, Box<Page>> {
        self.accounts.form_token(session.shown()).map_err(|error| self.problem(&page::problem_of(&error)))
    }

    /// Whether a form was made for this session.
    fn check_token(&self, session: &SignedIn, token: &str) -> Result<(), Box<Page>> {
        if self.accounts.is_form_token(session.shown().reveal(), token) {
            return Ok(());
        }
        let text = "This form was not made for you, or you have signed in anew since. Go back, reload the page, and try again.";
        Err(self.problem(&Problem::new(Kind::Forbidden, text)))
    }
}
