#![deny(clippy::indexing_slicing, reason = "these parse what strangers send")]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Directives for caches that are no browsers (RFC 9213 §3.1).
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// Seconds are counted up to here, the 2^31 that RFC 9111 §1.2.2 asks for at least: 68 years.
const SECONDS_MAX: u64 = 1 << 31;

/// What a response says to caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    /// Kept by nobody.
    pub no_store: bool,
    /// Never used without asking again.
    pub no_cache: bool,
    /// Fields that are never used without asking again: `no-cache="…"`.
    pub no_cache_fields: Vec<HeaderName>,
    /// Kept by no shared cache.
    pub private: bool,
    /// Fields that no shared cache keeps: `private="…"`.
    pub private_fields: Vec<HeaderName>,
    /// Kept although it would not be by itself.
    pub public: bool,
    /// Never used stale.
    pub must_revalidate: bool,
    /// Never used stale by shared caches.
    pub proxy_revalidate: bool,
    /// Kept only by who understands the status.
    pub must_understand: bool,
    /// Does not change while it is fresh (RFC 8246).
    pub immutable: bool,
    /// Freshness lifetime.
    pub max_age: Option<Duration>,
    /// Freshness lifetime in shared caches.
    pub s_maxage: Option<Duration>,
    /// Used stale for so long while it is asked for anew (RFC 5861 §3).
    pub stale_while_revalidate: Option<Duration>,
    /// Used stale for so long when the origin fails (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
    /// Whether these came from `CDN-Cache-Control`, beside which `Cache-Control` and `Expires` count for nothing (RFC 9213 §2.2).
    pub is_targeted: bool,
}

impl ResponseDirectives {
    /// Those of a response with these headers. What is said twice counts as the stricter of both.
    pub fn of(headers: &HeaderMap) -> ResponseDirectives {
        let mut targeted = ResponseDirectives { is_targeted: true, ..ResponseDirectives::default() };
        if each_directive(headers, &CDN_CACHE_CONTROL, |name, value| targeted.apply(name, value)) {
            return targeted;
        }
        let mut directives = ResponseDirectives::default();
        each_directive(headers, &header::CACHE_CONTROL, |name, value| directives.apply(name, value));
        directives
    }

    fn apply(&mut self, name: &str, value: Option<&str>) {
        let shorter = |known: Option<Duration>| {
            // A lifetime that cannot be read is over (RFC 9111 §4.2.1).
            let said = value.and_then(seconds).unwrap_or_default();
            Some(known.map_or(said, |known| known.min(said)))
        };
        match name {
            "no-store" => self.no_store = true,
            "no-cache" => match value.map(field_names) {
                Some(Some(fields)) => self.no_cache_fields.extend(fields),
                // Names that cannot be read could be those of any field.
                Some(None) | None => self.no_cache = true,
            },
            "private" => match value.map(field_names) {
                Some(Some(fields)) => self.private_fields.extend(fields),
                Some(None) | None => self.private = true,
            },
            "public" => self.public = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "must-understand" => self.must_understand = true,
            "immutable" => self.immutable = true,
            "max-age" => self.max_age = shorter(self.max_age),
            "s-maxage" => self.s_maxage = shorter(self.s_maxage),
            "stale-while-revalidate" => self.stale_while_revalidate = shorter(self.stale_while_revalidate),
            "stale-if-error" => self.stale_if_error = shorter(self.stale_if_error),
            _ => {}
        }
    }
}

/// How stale an answer may be that a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxStale {
    /// However stale.
    Any,
    /// Stale for no longer than this.
    For(Duration),
}

/// What a request asks of caches (RFC 9111 §5.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// Nothing without asking the origin.
    pub no_cache: bool,
    /// Nothing is kept.
    pub no_store: bool,
    /// Nothing is asked of the origin.
    pub only_if_cached: bool,
    /// Nothing older than this.
    pub max_age: Option<Duration>,
    /// Nothing that is fresh for less than this.
    pub min_fresh: Option<Duration>,
    /// Stale is well.
    pub max_stale: Option<MaxStale>,
    /// Stale is well if the origin fails (RFC 5861 §4).
    pub stale_if_error: Option<Duration>,
}

impl RequestDirectives {
    /// Whether whatever is fresh is the answer, and nothing more is asked.
    pub fn takes_any_fresh(&self) -> bool {
        *self == RequestDirectives { only_if_cached: self.only_if_cached, ..RequestDirectives::default() }
    }

    /// Those of a request with these headers. `Pragma: no-cache` counts where there is no `Cache-Control` (RFC 9111 §5.4). Values
    /// that cannot be read are left out: they ask for nothing.
    pub fn of(headers: &HeaderMap) -> RequestDirectives {
        let mut directives = RequestDirectives::default();
        if !headers.contains_key(header::CACHE_CONTROL) {
            directives.no_cache = asks_pragma_no_cache(headers);
            return directives;
        }
        each_directive(headers, &header::CACHE_CONTROL, |name, value| directives.apply(name, value));
        directives
    }

    fn apply(&mut self, name: &str, value: Option<&str>) {
        let read = value.and_then(seconds);
        match name {
            "no-cache" => self.no_cache = true,
            "no-store" => self.no_store = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => self.max_age = read.or(self.max_age),
            "min-fresh" => self.min_fresh = read.or(self.min_fresh),
            "max-stale" if value.is_none() => self.max_stale = Some(MaxStale::Any),
            "max-stale" => self.max_stale = read.map(MaxStale::For).or(self.max_stale),
            "stale-if-error" => self.stale_if_error = read.or(self.stale_if_error),
            _ => {}
        }
    }
}

/// Whether `Pragma` says `no-cache`.
pub(super) fn asks_pragma_no_cache(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::PRAGMA)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|text| split_outside_quotes(text, ',').any(|directive| directive.trim().eq_ignore_ascii_case("no-cache")))
}

/// Calls `apply` with each directive's name, in lower case, and value. Whether there was any.
fn each_directive(headers: &HeaderMap, field: &HeaderName, mut apply: impl FnMut(&str, Option<&str>)) -> bool {
    let mut any = false;
    for value in headers.get_all(field) {
        // A value that is not text: the origin wanted something, and this is the strictest that can be wanted.
        let Some(text) = text_of(value) else {
            apply("no-cache", None);
            any = true;
            continue;
        };
        for directive in split_outside_quotes(text, ',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (name, value) = match directive.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (directive, None),
            };
            apply(&name.to_ascii_lowercase(), value);
            any = true;
        }
    }
    any
}

fn text_of(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

/// The parts of a list, whose commas inside of quotes are none of its own. A quote that is not closed takes all that follows.
pub(super) fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
}

/// delta-seconds (RFC 9111 §1.2.2), bare or quoted (§5.2): digits only, and more than can be counted is the most there is.
fn seconds(text: &str) -> Option<Duration> {
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    digit_seconds(digits)
}

/// delta-seconds as they stand in `Age`.
pub(super) fn digit_seconds(digits: &str) -> Option<Duration> {
    let are_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    are_digits.then(|| Duration::from_secs(digits.parse().unwrap_or(SECONDS_MAX).min(SECONDS_MAX)))
}

/// The names in `no-cache="a, b"`, which some write without quotes. None if one of them is no name.
fn field_names(text: &str) -> Option<Vec<HeaderName>> {
    let list = text.trim_matches('"');
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let names: Vec<HeaderName> = names.map(|name| name.parse().ok()).collect::<Option<_>>()?;
    (!names.is_empty()).then_some(names)
}
