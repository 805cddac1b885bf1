use http::{HeaderMap, HeaderName, header};

use super::directives::ResponseDirectives;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What speaks of one connection only (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 6] =
    [header::CONNECTION, PROXY_CONNECTION, KEEP_ALIVE, header::TE, header::TRANSFER_ENCODING, header::UPGRADE];

/// What speaks of one client and proxy (RFC 9111 §3.1).
const OF_ONE_PROXY: [HeaderName; 3] =
    [header::PROXY_AUTHENTICATE, PROXY_AUTHENTICATION_INFO, header::PROXY_AUTHORIZATION];

/// What speaks of the bytes that are kept, or names them: a 304 brings none, so that it cannot say otherwise (RFC 9111 §3.2).
const OF_THE_BYTES: [HeaderName; 5] =
    [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_RANGE, CONTENT_MD5, header::ETAG];

/// Takes out what is not for whoever comes next: what `Connection` names, and what it should name.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// The fields of a response that are kept with it: not those of one connection or one proxy, nor those that may not be kept or used
/// without asking (`private="…"`, `no-cache="…"`).
pub fn to_be_stored(headers: &HeaderMap) -> HeaderMap {
    let mut stored = headers.clone();
    remove_hop_by_hop(&mut stored);
    let directives = ResponseDirectives::of(headers);
    for name in OF_ONE_PROXY.iter().chain(&directives.private_fields).chain(&directives.no_cache_fields) {
        stored.remove(name);
    }
    stored
}

/// Brings the fields of a kept response up to date with those of a 304 that was the answer to its validators (RFC 9111 §3.2, §4.3.4).
///
/// Each field of the 304 replaces all lines of its name, but for those that speak of the bytes. The tag is one of them: asked whether
/// the bytes under this tag still are the right ones, the origin has said yes.
pub fn update(stored: &mut HeaderMap, not_modified: &HeaderMap) {
    let fresh = to_be_stored(not_modified);
    // The age was that of the answer before.
    stored.remove(header::AGE);
    for name in fresh.keys().filter(|name| !OF_THE_BYTES.contains(name)) {
        stored.remove(name);
        for value in fresh.get_all(name) {
            stored.append(name, value.clone());
        }
    }
    // What is named now was kept before.
    let directives = ResponseDirectives::of(stored);
    for name in directives.private_fields.iter().chain(&directives.no_cache_fields) {
        stored.remove(name);
    }
}
