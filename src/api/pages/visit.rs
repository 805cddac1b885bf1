//! Who visits: what a request's cookies say, and whether it came by a way on which they may be said.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderValue, header, request};
use maud::{Markup, html};

use crate::{
    accounts::{Role, SignedIn},
    api::{admission::Caller, peer::Way},
    problem::{Kind, Problem},
    secret::Secret,
};

use super::{
    Pages,
    page::{Page, problem_of},
};

/// What a browser keeps of a session. By this prefix it takes it from this very host, over TLS, for all paths and from nobody else.
const SESSION: &str = "__Host-ringback-session";
/// What it keeps while nobody is signed in.
const VISITOR: &str = "__Host-ringback-visitor";
/// What both have beside their value: no script sees them, and no other site's forms send them.
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";
/// Bytes of a cookie that is looked at, at most: ours have half of it.
const COOKIE_MAX: usize = 200;

/// Somebody's request.
#[derive(Debug)]
pub(super) struct Visit {
    /// Where from.
    pub(super) from: IpAddr,
    /// Who, if somebody is signed in.
    pub(super) session: Option<SignedIn>,
    /// What the browser shows as its session's, whether there is one or not.
    pub(super) shown: Option<String>,
    /// What the browser keeps while nobody is signed in.
    pub(super) visitor: Option<String>,
}

impl FromRequestParts<Pages> for Visit {
    type Rejection = Box<Page>;

    async fn from_request_parts(parts: &mut request::Parts, pages: &Pages) -> Result<Visit, Box<Page>> {
        let is_private = parts.extensions.get::<Way>().is_some_and(|way| *way == Way::Private);
        if !is_private {
            return Err(pages.in_the_open());
        }
        let from = parts.extensions.get::<Caller>().map(|caller| caller.from);
        let from = from.ok_or_else(|| pages.problem(&Problem::new(Kind::Internal, "nobody asks")))?;
        let (shown, visitor) = (cookie(&parts.headers, SESSION), cookie(&parts.headers, VISITOR));
        let session = match &shown {
            Some(shown) => pages.accounts.session(shown).await.map_err(|error| pages.problem(&problem_of(&error)))?,
            None => None,
        };
        Ok(Visit { from, session, shown, visitor })
    }
}

/// The value of a cookie. Of several with one name, which no browser sends of ours, there is none.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    let value = values.next().filter(|value| value.len() <= COOKIE_MAX)?;
    values.next().is_none().then(|| value.to_owned())
}

/// Has a browser keep a session.
pub(super) fn keep_session(headers: &mut HeaderMap, value: &Secret) {
    keep(headers, SESSION, value);
}

/// Has a browser keep something while nobody is signed in.
pub(super) fn keep_visitor(headers: &mut HeaderMap, value: &Secret) {
    keep(headers, VISITOR, value);
}

/// Has a browser forget a session.
pub(super) fn forget_session(headers: &mut HeaderMap) {
    append(headers, format!("{SESSION}=; Max-Age=0; {ATTRIBUTES}"));
}

/// For as long as the browser runs: how long a session lasts is said by the node.
fn keep(headers: &mut HeaderMap, name: &str, value: &Secret) {
    append(headers, format!("{name}={}; {ATTRIBUTES}", value.reveal()));
}

fn append(headers: &mut HeaderMap, field: String) {
    if let Ok(mut field) = HeaderValue::from_str(&field) {
        field.set_sensitive(true);
        headers.append(header::SET_COOKIE, field);
    }
}

/// The field of a form that shows which browser it was made for.
pub(super) fn token_field(token: &str) -> Markup {
    html! { input type="hidden" name="token" value=(token); }
}

/// What a user is called on a page.
pub(super) fn role_text(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "administrator",
        Role::Viewer => "viewer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_as_browsers_send_them() {
        let check = |fields: &[&str], expected: Option<&str>| {
            let headers = fields.iter().map(|field| (header::COOKIE, field.parse().unwrap())).collect();
            assert_eq!(cookie(&headers, SESSION).as_deref(), expected, "{fields:?}");
        };
        check(&["__Host-ringback-session=a.b"], Some("a.b"));
        check(&["x=1; __Host-ringback-session=a.b; y=2"], Some("a.b"));
        check(&["x=1", "__Host-ringback-session=a.b"], Some("a.b"));
        check(&["ringback-session=a.b; __host-ringback-session=a.b"], None);
        check(&["__Host-ringback-session=a.b; __Host-ringback-session=c.d"], None);
        check(&[&format!("__Host-ringback-session={}", "x".repeat(COOKIE_MAX + 1))], None);
        check(&[""], None);
    }
}
