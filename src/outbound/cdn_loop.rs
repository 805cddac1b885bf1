//! `CDN-Loop` (RFC 8586): every request that goes out names this node, and a request that names us has been here before.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Whether one of the `CDN-Loop` values names `id`. Parameters after `;` are not part of the name.
pub fn is_loop<'a>(values: impl IntoIterator<Item = &'a HeaderValue>, id: &str) -> bool {
    values.into_iter().any(|value| {
        let members = value.as_bytes().split(|byte| *byte == b',');
        members
            .filter_map(|member| member.split(|byte| *byte == b';').next())
            .any(|name| name.trim_ascii() == id.as_bytes())
    })
}

/// Whether the text can stand as a `cdn-id`: a token, as a host name or pseudonym (RFC 8586 §2).
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(&b))
}

/// Puts `id` behind what the request already went through.
pub(super) fn append(headers: &mut HeaderMap, id: &HeaderValue) {
    headers.append(CDN_LOOP, id.clone());
}
