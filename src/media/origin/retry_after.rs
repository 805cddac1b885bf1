use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

/// `Retry-After` as a span from `now`, at most `max` (RFC 9110 §10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime, max: Duration) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // More than can be counted is the most there is.
    let seconds = digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    let until = || httpdate::parse_http_date(text).ok().map(|at| at.duration_since(now).unwrap_or_default());
    seconds.or_else(until).map(|span| span.min(max))
}
