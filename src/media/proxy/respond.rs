//! Heads of answers: of what is kept, of what is coming in, of what is passed on.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;

use super::{
    body::{self, Body},
    request::{Asked, pass_via},
};
use crate::media::{
    cache::StoredResponse,
    conditional::{self, Decision, Representation},
    freshness::remove_hop_by_hop,
};

/// What a 304 says of what it spares the caller (RFC 9110 §15.4.5); the body's own fields stay out of it.
const OF_A_304: [HeaderName; 9] = [
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::VARY,
    header::VIA,
];

/// Which part of a kept response is the answer. Conditions and ranges are those of a plain 200 (RFC 9110 §13.2.1, §14.2).
pub(super) fn decide(asked: &Asked, response: &StoredResponse) -> Decision {
    if response.status() != StatusCode::OK {
        return Decision::Whole;
    }
    let text = |name| response.headers.get(name).and_then(|value| value.to_str().ok());
    let date = |name| text(name).and_then(|text| httpdate::parse_http_date(text.trim()).ok());
    // Without a Last-Modified the time that it was made at stands for it (RFC 9111 §4.3.2), but not to put parts together by.
    let made_at = || date(header::DATE).unwrap_or(response.response_time);
    let has_parts = asked.headers.contains_key(header::IF_RANGE);
    let last_modified = date(header::LAST_MODIFIED).or_else(|| (!has_parts).then(made_at));
    conditional::decide_as_cache(
        &asked.method,
        &asked.headers,
        Representation { etag: text(header::ETAG).map_or("", str::trim), last_modified, length: response.length },
    )
}

/// Whether a response that is coming in is what the caller says it has.
pub(super) fn is_unchanged(asked: &Asked, response: &StoredResponse) -> bool {
    decide(asked, response) == Decision::NotModified
}

/// The head of an answer from what is kept, and the range of its body.
pub(super) fn kept_head(response: &StoredResponse, age: Duration, decision: &Decision) -> Response<()> {
    let mut headers = response.headers.clone();
    headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    pass_via(&mut headers);
    let status = match decision {
        Decision::Whole => response.status(),
        Decision::Part(range) => {
            let length = response.length;
            set(&mut headers, header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, range.end - 1));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
            StatusCode::PARTIAL_CONTENT
        }
        Decision::NotSatisfiable => {
            set(&mut headers, header::CONTENT_RANGE, &format!("bytes */{}", response.length));
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            StatusCode::RANGE_NOT_SATISFIABLE
        }
        Decision::Changed => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            StatusCode::PRECONDITION_FAILED
        }
        Decision::NotModified => {
            headers = only(&headers, &OF_A_304);
            StatusCode::NOT_MODIFIED
        }
    };
    if *decision == Decision::Whole && may_have_body(status) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(response.length));
    }
    let reason = response.reason.as_deref().filter(|_| *decision == Decision::Whole).and_then(reason_of);
    head(status, reason, headers)
}

/// The head of a response that is coming in, for others than the caller who asked for it.
pub(super) fn incoming_head(response: &StoredResponse, age: Duration, length: Option<u64>) -> Response<()> {
    let mut headers = response.headers.clone();
    headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    pass_via(&mut headers);
    with_length(&mut headers, length);
    head(response.status(), response.reason.as_deref().and_then(reason_of), headers)
}

/// The head of a response as it is passed on: all of it but what was for this hop.
pub(super) fn passed_head(
    status: StatusCode,
    reason: Option<ReasonPhrase>,
    mut headers: HeaderMap,
    now: SystemTime,
) -> Response<()> {
    let is_framed_otherwise = headers.contains_key(header::TRANSFER_ENCODING);
    remove_hop_by_hop(&mut headers);
    // Framing of its own says the length; and what has no body has none to declare.
    if is_framed_otherwise || !may_have_body(status) {
        headers.remove(header::CONTENT_LENGTH);
    }
    with_date(&mut headers, now);
    pass_via(&mut headers);
    head(status, reason, headers)
}

/// Whether a status can come with a body.
pub(super) fn may_have_body(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Gives a message that does not say when it was made the time that it came (RFC 9110 §6.6.1).
pub(super) fn with_date(headers: &mut HeaderMap, now: SystemTime) {
    if !headers.contains_key(header::DATE) {
        set(headers, header::DATE, &httpdate::fmt_http_date(now));
    }
}

/// The body that belongs to a head, but for callers who asked for the head only.
pub(super) fn with_body(head: Response<()>, method: &Method, body: impl FnOnce() -> Body) -> Response<Body> {
    let has_body = *method != Method::HEAD && may_have_body(head.status());
    head.map(|()| if has_body { body() } else { body::empty() })
}

fn with_length(headers: &mut HeaderMap, length: Option<u64>) {
    match length {
        Some(length) => drop(headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length))),
        None => drop(headers.remove(header::CONTENT_LENGTH)),
    }
}

fn head(status: StatusCode, reason: Option<ReasonPhrase>, headers: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(reason) = reason {
        response.extensions_mut().insert(reason);
    }
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// A reason phrase from the characters that it was written down as.
fn reason_of(text: &str) -> Option<ReasonPhrase> {
    let bytes: Vec<u8> = text.chars().map(u8::try_from).collect::<Result<_, _>>().ok()?;
    ReasonPhrase::try_from(bytes).ok()
}

/// Only these fields.
fn only(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(names.len());
    for name in names {
        for value in headers.get_all(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}
