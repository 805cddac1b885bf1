//! Conditions and ranges of a request (RFC 9110 §13, §14), decided without IO.

use std::{ops::Range, time::SystemTime};

use http::{HeaderMap, HeaderName, Method, header, request::Parts};

/// What a representation says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Representation<'a> {
    /// The ETag, with its quotes and `W/` if it is weak; empty without one.
    pub(super) etag: &'a str,
    /// Last-Modified, to the second.
    pub(super) last_modified: Option<SystemTime>,
    /// Bytes.
    pub(super) length: u64,
}

/// What a request says of the bytes that it wants: its method, and its conditions and ranges.
#[derive(Clone, Debug)]
pub struct Conditions {
    method: Method,
    fields: HeaderMap,
}

/// The fields that decide.
const CONDITIONS: [HeaderName; 6] = [
    header::RANGE,
    header::IF_RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
];

impl Conditions {
    /// Those of a request.
    pub(super) fn of(parts: &Parts) -> Conditions {
        let mut fields = HeaderMap::new();
        if is_conditional(&parts.headers) {
            for name in CONDITIONS {
                for value in parts.headers.get_all(&name) {
                    fields.append(name.clone(), value.clone());
                }
            }
        }
        Conditions { method: parts.method.clone(), fields }
    }

    /// Those of a request that wants to know of audio and not to hear it.
    pub fn no_bytes() -> Conditions {
        Conditions { method: Method::HEAD, fields: HeaderMap::new() }
    }

    /// Which bytes of a representation are sent to whoever asks so.
    pub(super) fn sent(&self, representation: Representation<'_>) -> Range<u64> {
        if self.method == Method::HEAD {
            return 0..0;
        }
        decide(&self.method, &self.fields, representation).sent(representation.length)
    }
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// 200 and all of it.
    Whole,
    /// 206 and this part of it.
    Part(Range<u64>),
    /// 304.
    NotModified,
    /// 416.
    NotSatisfiable,
    /// 412: it is no more what the caller has.
    Changed,
}

impl Decision {
    /// Which of the `length` bytes of the representation are sent.
    pub(super) fn sent(&self, length: u64) -> Range<u64> {
        match self {
            Decision::Whole => 0..length,
            Decision::Part(range) => range.clone(),
            Decision::NotModified | Decision::NotSatisfiable | Decision::Changed => 0..0,
        }
    }
}

/// Whether a request has conditions or ranges, so that it can be answered only when the whole is known.
pub(super) fn is_conditional(headers: &HeaderMap) -> bool {
    CONDITIONS.iter().any(|name| *name != header::IF_RANGE && headers.contains_key(name))
}

/// Decides as the one whose representation it is, in the order of RFC 9110 §13.2.2: first If-Match, or else If-Unmodified-Since.
pub(super) fn decide(method: &Method, headers: &HeaderMap, representation: Representation<'_>) -> Decision {
    let holds = if headers.contains_key(header::IF_MATCH) {
        matches(headers, representation.etag)
    } else {
        let dates = date(headers, header::IF_UNMODIFIED_SINCE).zip(representation.last_modified);
        dates.is_none_or(|(since, modified)| modified <= since)
    };
    if holds { decide_as_cache(method, headers, representation) } else { Decision::Changed }
}

/// Decides as a cache, which knows nothing of If-Match and If-Unmodified-Since (RFC 9111 §4.3.2): If-None-Match wins over
/// If-Modified-Since, both over Range. Range is defined for GET only (RFC 9110 §14.2): HEAD is answered as if it had none.
pub(super) fn decide_as_cache(method: &Method, headers: &HeaderMap, representation: Representation<'_>) -> Decision {
    if headers.contains_key(header::IF_NONE_MATCH) {
        if none_match(headers, representation.etag) {
            return Decision::NotModified;
        }
    } else if let (Some(since), Some(modified)) =
        (date(headers, header::IF_MODIFIED_SINCE), representation.last_modified)
        && modified <= since
    {
        return Decision::NotModified;
    }
    match single(headers, header::RANGE) {
        Some(range) if *method == Method::GET && if_range_holds(headers, representation) => {
            parse_range(range, representation.length)
        }
        _ => Decision::Whole,
    }
}

/// The text of a field that may stand in a request once. One that is repeated says nothing that can be relied on: none.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// If-Match: by the strong comparison of RFC 9110 §8.8.3.2.
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    // There is something, whatever it is.
    if single(headers, header::IF_MATCH).is_some_and(|value| value.trim() == "*") {
        return true;
    }
    let values = headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok());
    !etag.is_empty() && !etag.starts_with("W/") && values.flat_map(tags).any(|candidate| candidate == etag)
}

fn none_match(headers: &HeaderMap, etag: &str) -> bool {
    // Not a member of a list: "*" is the whole value or means nothing (RFC 9110 §13.1.2).
    if single(headers, header::IF_NONE_MATCH).is_some_and(|value| value.trim() == "*") {
        return true;
    }
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // The weak comparison of RFC 9110 §8.8.3.2.
    let etag = opaque(etag);
    values.flat_map(tags).any(|candidate| !candidate.is_empty() && opaque(candidate) == etag)
}

/// The members of a list of tags. A comma inside of a tag's quotes cuts nothing.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let members = list.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    });
    members.map(str::trim)
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

/// If-Range by strong comparison: a weak tag or another date means the whole.
fn if_range_holds(headers: &HeaderMap, representation: Representation<'_>) -> bool {
    if !headers.contains_key(header::IF_RANGE) {
        return true;
    }
    let Some(value) = single(headers, header::IF_RANGE).map(str::trim) else { return false };
    if value.starts_with('"') || value.starts_with("W/") {
        return value == representation.etag && !value.starts_with("W/");
    }
    httpdate::parse_http_date(value).is_ok_and(|date| Some(date) == representation.last_modified)
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    single(headers, name).and_then(|value| httpdate::parse_http_date(value.trim()).ok())
}

/// One byte range of RFC 9110 §14.1.2. What is no byte range, or several of them, is answered with the whole, as §14.2 allows.
fn parse_range(value: &str, length: u64) -> Decision {
    let Some((unit, set)) = value.split_once('=') else { return Decision::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Decision::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else { return Decision::Whole };
    let range = match (position(first), position(last)) {
        (Position::At(first), Position::At(last)) if first > last => return Decision::Whole,
        (Position::At(first), Position::At(last)) => first..last.saturating_add(1).min(length),
        (Position::At(first), Position::Open) => first..length,
        // The last bytes of nothing are nothing, which no Content-Range can say: the whole can.
        (Position::Open, Position::At(1..)) if length == 0 => return Decision::Whole,
        (Position::Open, Position::At(suffix)) => length.saturating_sub(suffix)..length,
        _ => return Decision::Whole,
    };
    if range.start < range.end { Decision::Part(range) } else { Decision::NotSatisfiable }
}

enum Position {
    At(u64),
    Open,
    Nonsense,
}

fn position(text: &str) -> Position {
    match text.trim() {
        "" => Position::Open,
        // More digits than a u64 holds lie behind any end.
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Position::At(digits.parse().unwrap_or(u64::MAX)),
        _ => Position::Nonsense,
    }
}

#[cfg(test)]
mod tests;
