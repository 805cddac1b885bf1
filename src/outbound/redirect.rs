//! Where a redirect leads, and what must not follow it there. Pure.

use http::{HeaderMap, StatusCode, header};
use url::Url;

/// The address that a response sends us on to; `None` if it is no redirect. Whether it may be fetched is the guard's to say.
///
/// # Errors
/// What is wrong with the redirect.
pub(super) fn next(from: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Option<Url>, &'static str> {
    let follows = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    if !follows {
        return Ok(None);
    }
    let location = headers.get(header::LOCATION).ok_or("has no Location")?;
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| "has a Location that is not text")?;
    let to = from.join(location).map_err(|_| "has a Location that is not an address")?;
    if !matches!(to.scheme(), "http" | "https") {
        return Err("leads to something other than http or https");
    }
    // A relative Location keeps the credentials of the address it is relative to; any others are the redirector's choice.
    let credentials = |url: &Url| (url.username().to_owned(), url.password().map(str::to_owned));
    let carries_some = !to.username().is_empty() || to.password().is_some();
    if carries_some && !(same_origin(from, &to) && credentials(from) == credentials(&to)) {
        return Err("carries credentials");
    }
    Ok(Some(to))
}

/// Takes away what was meant for `from` alone, if `to` is somebody else: another host, port or scheme.
pub(super) fn keep_secrets(headers: &mut HeaderMap, from: &Url, to: &Url) {
    if same_origin(from, to) {
        return;
    }
    for name in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
    let secret: Vec<_> =
        headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone()).collect();
    for name in secret {
        headers.remove(name);
    }
}

fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}
