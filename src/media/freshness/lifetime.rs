use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{
    directives::{ResponseDirectives, asks_pragma_no_cache, digit_seconds},
    storable::is_heuristically_cacheable,
};

/// Steps back of the clock that are passed over.
pub const CLOCK_STEP_MAX: Duration = Duration::from_secs(5);
/// A guess at the lifetime is this part of the time that the response had not changed for (RFC 9111 §4.2.2).
const HEURISTIC_DIVISOR: u32 = 10;

/// What the operator decides where the standards leave it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Longest lifetime that is guessed from `Last-Modified`; zero guesses nothing.
    pub heuristic_max: Duration,
    /// Lifetime where nothing is said and nothing can be guessed.
    pub unsaid: Duration,
    /// Least lifetime, whatever is said, `no-cache` aside.
    pub lifetime_min: Duration,
    /// Most lifetime that is believed.
    pub lifetime_max: Duration,
    /// How long a response that says nothing of it is used stale while it is asked for anew.
    pub stale_while_revalidate: Duration,
    /// How long a response that says nothing of it is used stale when the origin fails.
    pub stale_if_error: Duration,
}

impl Default for Rules {
    /// What RFC 9111 says and no more, with guesses of up to a day.
    fn default() -> Rules {
        Rules {
            heuristic_max: Duration::from_secs(24 * 3600),
            unsaid: Duration::ZERO,
            lifetime_min: Duration::ZERO,
            lifetime_max: Duration::MAX,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
        }
    }
}

/// When a response was asked for and when its head was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Asked for.
    pub request: SystemTime,
    /// There.
    pub response: SystemTime,
}

impl Times {
    /// Both at once: for whoever does not count the way.
    pub fn at(now: SystemTime) -> Times {
        Times { request: now, response: now }
    }
}

/// What a lifetime comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// `s-maxage`.
    SMaxAge,
    /// `max-age`.
    MaxAge,
    /// `Expires`.
    Expires,
    /// A guess from `Last-Modified`.
    Heuristic,
    /// The operator's rule.
    Unsaid,
}

impl Basis {
    /// Whether the response itself speaks of it.
    pub fn is_said(self) -> bool {
        matches!(self, Basis::SMaxAge | Basis::MaxAge | Basis::Expires)
    }
}

/// What is known of a response's freshness: all that decisions are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// How long it is fresh from when it was made.
    pub lifetime: Duration,
    /// Where that comes from.
    pub basis: Basis,
    /// How old it was when it came.
    pub initial_age: Duration,
    /// When it came.
    pub response_time: SystemTime,
    /// How long it may be used stale while it is asked for anew.
    pub stale_while_revalidate: Duration,
    /// How long it may be used stale when the origin fails.
    pub stale_if_error: Duration,
    /// What it says to caches.
    pub directives: ResponseDirectives,
}

impl Freshness {
    /// Reads a response that came at `times`.
    pub fn of(status: StatusCode, headers: &HeaderMap, times: Times, rules: &Rules) -> Freshness {
        let directives = ResponseDirectives::of(headers);
        let date = date(headers, &header::DATE).ok().flatten().unwrap_or(times.response);
        let (lifetime, basis) = lifetime(status, headers, &directives, date, rules);
        // `s-maxage` forbids stale use (§5.2.2.10) but for what the same response says expressly.
        let unsaid = |rule: Duration| if directives.s_maxage.is_some() { Duration::ZERO } else { rule };
        let stale_while_revalidate = directives.stale_while_revalidate.unwrap_or(unsaid(rules.stale_while_revalidate));
        let stale_if_error = directives.stale_if_error.unwrap_or(unsaid(rules.stale_if_error));
        Freshness {
            lifetime,
            basis,
            initial_age: initial_age(headers, date, times),
            response_time: times.response,
            stale_while_revalidate,
            stale_if_error,
            directives,
        }
    }

    /// How old it is (RFC 9111 §4.2.3). What came later than now, by a clock that was ahead, could be of any age.
    pub fn age(&self, now: SystemTime) -> Duration {
        let resident = match now.duration_since(self.response_time) {
            Ok(resident) => resident,
            Err(ahead) if ahead.duration() <= CLOCK_STEP_MAX => Duration::ZERO,
            Err(_) => Duration::MAX,
        };
        self.initial_age.saturating_add(resident)
    }

    /// For how much longer it is fresh; zero once it is stale. What must be asked for each time is never fresh.
    pub fn fresh_for(&self, now: SystemTime) -> Duration {
        if self.directives.no_cache { Duration::ZERO } else { self.lifetime.saturating_sub(self.age(now)) }
    }

    /// For how long it has been stale; zero while it is fresh.
    pub fn stale_for(&self, now: SystemTime) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// Whether a response like this is of any use once it was kept: it may be used for a while, or its origin can be asked about it.
    pub fn is_worth_keeping(&self, headers: &HeaderMap) -> bool {
        let has_validator = headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
        let stale = self.stale_while_revalidate.max(self.stale_if_error);
        has_validator || (!self.directives.no_cache && !self.lifetime.max(stale).is_zero())
    }
}

/// Freshness lifetime, in the order of RFC 9111 §4.2.1.
fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    date: SystemTime,
    rules: &Rules,
) -> (Duration, Basis) {
    let expires = if directives.is_targeted { None } else { expires(headers, date) };
    let said = directives
        .s_maxage
        .map(|said| (said, Basis::SMaxAge))
        .or(directives.max_age.map(|said| (said, Basis::MaxAge)))
        .or(expires.map(|said| (said, Basis::Expires)));
    let (lifetime, basis) = said.unwrap_or_else(|| guess(status, headers, directives, date, rules));
    (lifetime.max(rules.lifetime_min).min(rules.lifetime_max), basis)
}

/// Expires less Date. What cannot be read, such as the usual `0`, is the past (§5.3), and so are two that differ.
fn expires(headers: &HeaderMap, date_value: SystemTime) -> Option<Duration> {
    match date(headers, &header::EXPIRES) {
        Ok(None) => None,
        Ok(Some(expires)) => Some(expires.duration_since(date_value).unwrap_or_default()),
        Err(Unreadable) => Some(Duration::ZERO),
    }
}

/// A tenth of the time for which it had not changed, where guessing is allowed (§4.2.2).
fn guess(
    status: StatusCode,
    headers: &HeaderMap,
    directives: &ResponseDirectives,
    date_value: SystemTime,
    rules: &Rules,
) -> (Duration, Basis) {
    let may_guess = is_heuristically_cacheable(status) || directives.public;
    if !may_guess || asks_pragma_no_cache(headers) {
        return (Duration::ZERO, Basis::Unsaid);
    }
    let unchanged = date(headers, &header::LAST_MODIFIED).ok().flatten();
    match unchanged.and_then(|modified| date_value.duration_since(modified).ok()) {
        Some(unchanged) if !rules.heuristic_max.is_zero() => {
            ((unchanged / HEURISTIC_DIVISOR).min(rules.heuristic_max), Basis::Heuristic)
        }
        _ => (rules.unsaid, Basis::Unsaid),
    }
}

/// How old a response was when it came (§4.2.3): what caches on its way say and how long it was on its way to us, or how long ago
/// it was made. An `Age` that is no single number could be any age: such a response is never fresh.
fn initial_age(headers: &HeaderMap, date_value: SystemTime, times: Times) -> Duration {
    let mut ages = headers.get_all(header::AGE).iter();
    let said = match (ages.next(), ages.next()) {
        (None, _) => Some(Duration::ZERO),
        (Some(age), None) => age.to_str().ok().and_then(|text| digit_seconds(text.trim())),
        (Some(_), Some(_)) => None,
    };
    let delay = times.response.duration_since(times.request).unwrap_or_default();
    let apparent = times.response.duration_since(date_value).unwrap_or_default();
    said.map_or(Duration::MAX, |said| (said + delay).max(apparent))
}

struct Unreadable;

/// A field that is a date, in any of the three formats of RFC 9110 §5.6.7.
fn date(headers: &HeaderMap, name: &HeaderName) -> Result<Option<SystemTime>, Unreadable> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(Unreadable);
    }
    let text = first.to_str().map_err(|_| Unreadable)?;
    httpdate::parse_http_date(text.trim()).map(Some).map_err(|_| Unreadable)
}
