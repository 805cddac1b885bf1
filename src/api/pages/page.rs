//! What pages have in common: their frame, their headers, and what is said where there is none.
//!
//! Text is put into HTML by `maud`, which escapes whatever is put into it. There is no script: a page works without, and the policy that goes with it lets none run.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use url::Url;

use crate::{
    accounts::AccountsError,
    problem::{Kind, Problem, Side},
};

/// The style of all pages.
const STYLE: &str = include_str!("style.css");
/// Where it is.
pub(super) const STYLE_PATH: &str = "/connect/style.css";
/// How long a browser keeps the style: a change of it is seen within the hour.
const STYLE_KEPT: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// Nothing but our own style is loaded, nobody frames the page, and forms go to this node and nowhere else, by no redirect either: browsers hold each hop
/// of a form's redirects against the policy, so the way to an application is a page that leads on.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// A page that is to be shown.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) title: String,
    /// What stands under the title.
    pub(super) body: Markup,
    /// Who is signed in, and the form to sign out.
    pub(super) signed_in: Option<Markup>,
    /// Where a browser goes on from it by itself.
    pub(super) leads_to: Option<Url>,
    /// Before each path of this node, as `--public-url` has it.
    pub(super) prefix: String,
    /// Further fields of the answer.
    pub(super) headers: HeaderMap,
}

impl Page {
    pub(super) fn new(prefix: &str, title: impl Into<String>, body: Markup) -> Page {
        Page {
            status: StatusCode::OK,
            title: title.into(),
            body,
            signed_in: None,
            leads_to: None,
            prefix: prefix.to_owned(),
            headers: HeaderMap::new(),
        }
    }

    /// A page from which a browser goes on to an application, wherever that leads it.
    pub(super) fn leading_to(prefix: &str, to: Url) -> Page {
        let host = to.host_str().unwrap_or_default();
        let body = html! { p { "If nothing happens: " a href=(to) rel="noreferrer" { "go on to " (host) } "." } };
        Page { leads_to: Some(to), ..Page::new(prefix, "You are sent back", body) }
    }

    /// A page that says why something is not done.
    pub(super) fn refusal(prefix: &str, status: StatusCode, title: &str, text: &str) -> Page {
        let body = html! { p { (text) } };
        Page { status, ..Page::new(prefix, title, body) }
    }

    /// The page of a problem. What the log needs to know of it is logged here.
    pub(super) fn problem(prefix: &str, problem: &Problem) -> Page {
        match problem.kind.side() {
            Side::Us => tracing::warn!(%problem, "page refused"),
            Side::Client | Side::Origin => tracing::info!(%problem, "page refused"),
        }
        let status = StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut page = Page::refusal(prefix, status, problem.kind.title(), &problem.detail);
        if let Some(after) = problem.retry_after {
            page.headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        page
    }

    fn markup(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    @if let Some(to) = &self.leads_to { meta http-equiv="refresh" content={ "0;url=" (to) }; }
                    title { (self.title) " – Ringback" }
                    link rel="stylesheet" href={ (self.prefix) (STYLE_PATH) };
                }
                body {
                    header {
                        span.name { "Ringback" }
                        @if let Some(signed_in) = &self.signed_in { (signed_in) }
                    }
                    main {
                        h1 { (self.title) }
                        (self.body)
                    }
                }
            }
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.markup().into_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.extend(self.headers);
        response
    }
}

/// What goes with every answer of these pages, redirects and refusals of the router's among them, unless the answer says it for itself.
pub(super) async fn guard(mut response: Response) -> Response {
    const FIELDS: [(HeaderName, HeaderValue); 5] = [
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    ];
    let headers = response.headers_mut();
    for (name, value) in FIELDS {
        headers.entry(name).or_insert(value);
    }
    response
}

/// Pages of refusals go by errors, which are to be small.
impl IntoResponse for Box<Page> {
    fn into_response(self) -> Response {
        (*self).into_response()
    }
}

/// Where an address of the configuration begins its paths.
pub(super) fn prefix_of(public_url: &str) -> String {
    Url::parse(public_url).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
}

/// Sends a browser on, by GET.
pub(super) fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    match HeaderValue::from_str(to) {
        Ok(to) => drop(headers.insert(header::LOCATION, to)),
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

/// The style of pages.
pub(super) async fn style() -> Response {
    let mut response = STYLE.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, STYLE_KEPT);
    response
}

/// What accounts say, as a problem: of what is not there no more than that.
pub(super) fn problem_of(error: &AccountsError) -> Problem {
    match error {
        AccountsError::NotFound(_) => Problem::new(Kind::NotFound, "There is nothing under this address."),
        error => error.problem(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_into_a_page_is_text() {
        let evil = "<script>alert(1)</script>\"'&";
        let page = Page::new("", evil, html! { p title=(evil) { (evil) } });
        let text = page.markup().into_string();
        assert!(!text.contains("<script"), "{text}");
        assert_eq!(text.matches("&lt;script&gt;").count(), 4);
    }

    #[test]
    fn paths_begin_where_the_public_address_does() {
        for (public_url, prefix) in [
            ("", ""),
            ("https://a.example", ""),
            ("https://a.example/", ""),
            ("https://a.example/ring/back/", "/ring/back"),
        ] {
            assert_eq!(prefix_of(public_url), prefix, "{public_url}");
        }
    }
}
