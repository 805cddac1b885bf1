//! How long a response may be used without asking again (RFC 9111 §4.2, §5.2.2). Pure.
//!
//! must-revalidate, Vary, heuristic freshness, stale-while-revalidate and stale-if-error come with the freshness issue.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::config::Config;

/// What an origin allows with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Usable for this long from now without asking again.
    pub fresh_for: Duration,
    /// Usable for this long from when it was made, whatever its age.
    pub lifetime: Duration,
    /// Whether the answer itself speaks of it.
    pub is_said: bool,
    /// Whether it may be kept at all: `no-store` forbids it, and so does `private` while there are no private sources.
    pub storable: bool,
}

impl Freshness {
    /// Reads the headers of a response that was received at `now`: s-maxage, else max-age, else Expires, less its age; else
    /// the configured default. Unreadable or contradicting values count as the shortest time they could mean.
    pub fn of(headers: &HeaderMap, now: SystemTime, config: &Config) -> Freshness {
        let control = CacheControl::of(headers);
        let storable = !control.no_store && !control.private;
        if !storable || control.no_cache {
            return Freshness { fresh_for: Duration::ZERO, lifetime: Duration::ZERO, is_said: true, storable };
        }
        let declared = control.s_maxage.or(control.max_age).map(Duration::from_secs);
        let declared = declared.or_else(|| expires_lifetime(headers, now));
        let lifetime = declared.unwrap_or(config.fresh_default);
        let fresh_for = if declared.is_some() { lifetime.saturating_sub(age(headers, now)) } else { lifetime };
        Freshness {
            fresh_for: fresh_for.min(config.fresh_max),
            lifetime: lifetime.min(config.fresh_max),
            is_said: declared.is_some(),
            storable,
        }
    }
}

#[derive(Default)]
struct CacheControl {
    no_store: bool,
    no_cache: bool,
    private: bool,
    max_age: Option<u64>,
    s_maxage: Option<u64>,
}

impl CacheControl {
    fn of(headers: &HeaderMap) -> CacheControl {
        let mut control = CacheControl::default();
        for value in headers.get_all(header::CACHE_CONTROL) {
            // What is not text counts as the strictest directive: the origin wanted something.
            let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
                control.no_cache = true;
                continue;
            };
            for directive in split_outside_quotes(text) {
                control.apply(directive.trim());
            }
        }
        control
    }

    fn apply(&mut self, directive: &str) {
        let (name, value) = match directive.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (directive, None),
        };
        let seconds = || parse_seconds(value.unwrap_or_default().trim_matches('"')).unwrap_or(0);
        let shorter = |known: Option<u64>| Some(known.map_or_else(seconds, |known| known.min(seconds())));
        match name.to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            // With field names (`no-cache="set-cookie"`, `private="set-cookie"`) they speak of those headers, which are
            // not kept here anyway.
            "no-cache" if value.is_none() => self.no_cache = true,
            "private" if value.is_none() => self.private = true,
            "max-age" => self.max_age = shorter(self.max_age),
            "s-maxage" => self.s_maxage = shorter(self.s_maxage),
            _ => {}
        }
    }
}

/// Expires less Date (less now without one). An unreadable Expires, such as the usual `0`, is the past (RFC 9111 §5.3).
fn expires_lifetime(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let expires = headers.get(header::EXPIRES)?;
    let from = date(headers.get(header::DATE)).unwrap_or(now);
    Some(date(Some(expires)).and_then(|expires| expires.duration_since(from).ok()).unwrap_or_default())
}

/// How old the response was when it came (RFC 9111 §4.2.3): what caches on its way say, or how long ago it was made.
fn age(headers: &HeaderMap, now: SystemTime) -> Duration {
    let text = headers.get(header::AGE).and_then(|value| value.to_str().ok());
    let said = text.and_then(|text| parse_seconds(text.trim())).map(Duration::from_secs).unwrap_or_default();
    let apparent = date(headers.get(header::DATE)).and_then(|date| now.duration_since(date).ok()).unwrap_or_default();
    said.max(apparent)
}

fn date(value: Option<&HeaderValue>) -> Option<SystemTime> {
    httpdate::parse_http_date(value?.to_str().ok()?).ok()
}

/// delta-seconds (RFC 9111 §1.2.2): digits only, and more than fits is the most there is.
fn parse_seconds(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse::<u32>().unwrap_or(u32::MAX).into())
}

fn split_outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// `Retry-After` as a span from `now`, at most `max` (RFC 9110 §10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime, max: Duration) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok().and_then(|text| parse_seconds(text.trim())).map(Duration::from_secs);
    let span = seconds.or_else(|| date(Some(value)).map(|at| at.duration_since(now).unwrap_or_default()));
    span.map(|span| span.min(max))
}

/// A header's value as text, if it is text and short enough to be kept.
pub(super) fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    const KEPT_BYTES_MAX: usize = 1024;
    let text = headers.get(name)?.to_str().ok()?;
    (!text.is_empty() && text.len() <= KEPT_BYTES_MAX).then(|| text.to_owned())
}
