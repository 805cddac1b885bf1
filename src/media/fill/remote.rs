//! An original that its origin is asked for: what its answer brings, and what becomes of the index entry.

use std::time::{Duration, SystemTime};

use http::{StatusCode, header};

use crate::{
    ids::ContentHash,
    media::{
        address::CanonicalUrl,
        cache::SourceRecord,
        format::Headerless,
        freshness::{Freshness, Said, Selection},
        origin::{Answer, Fetched, Incoming},
    },
    problem::Problem,
};

use super::{
    Shared,
    source::{Arrival, Hashed, Received, SourceFlight, State, Stop},
};

/// Keeps `now + fresh_for` inside what a wall clock can hold, whatever an origin claims.
const FRESH_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A fetch from an origin.
pub(super) struct Remote<'a> {
    pub(super) shared: &'a Shared,
    pub(super) flight: &'a SourceFlight,
    pub(super) url: &'a CanonicalUrl,
    /// The index entry that the answer confirms or replaces.
    pub(super) previous: Option<&'a SourceRecord>,
}

/// The original that an answer speaks of.
struct Original {
    content_hash: ContentHash,
    length: u64,
    declared: Option<Headerless>,
}

impl Remote<'_> {
    /// Asks the origin; whether what is `known` is still right, where something is.
    pub(super) async fn fetch(&self, known: Option<&SourceRecord>) -> Result<(Arrival, Received), Stop> {
        metrics::counter!("ringback_media_origin_requests_total").increment(1);
        let said = known.map(|known| &known.said);
        let fetched = self.shared.origin.fetch(self.url.fetch_url(), said, &self.flight.hops).await;
        match fetched.map_err(|error| error.problem())? {
            Fetched::Body(incoming) => self.receive(*incoming).await,
            Fetched::NotModified(answer) => {
                let confirmed = self.revalidate(&answer).await?;
                Err(Stop::LookAgain { confirmed: confirmed.then_some(StatusCode::NOT_MODIFIED) })
            }
        }
    }

    /// The bytes of a response, into the spool.
    async fn receive(&self, mut incoming: Incoming) -> Result<(Arrival, Received), Stop> {
        let (shared, flight) = (self.shared, self.flight);
        let answer = incoming.answer.clone();
        let said = Said::of(&answer.headers);
        let freshness = shared.origin.freshness(self.url.fetch_url(), &said, answer.times);
        let arrival = Arrival {
            declared: incoming.declared_length,
            first_byte: shared.clock.now(),
            fresh_until: fresh_until(&freshness),
            last_modified: said.get(&header::LAST_MODIFIED).and_then(|text| httpdate::parse_http_date(text).ok()),
            storable: incoming.storable,
            input: self.declared(answer.content_type().as_deref()),
        };
        flight.state.send_replace(State::Arriving(arrival));
        let mut hashed = Hashed::new(&flight.spool);
        while let Some(bytes) = incoming.chunk().await.map_err(|error| error.problem())? {
            hashed = hashed.append(bytes).await?;
        }
        if !arrival.storable && self.previous.is_some() {
            self.forget().await?;
        }
        let body = hashed.finish();
        let content_hash = ContentHash::from_bytes(*body.digest.as_bytes());
        let original = Original { content_hash, length: body.length, declared: arrival.input };
        let record = self.record(original, said, &answer);
        Ok((arrival, Received { body, content_hash, record, finished: shared.clock.now() }))
    }

    /// A 304: what the index has is still right, for as long as the answer says. Whether it may still be used.
    async fn revalidate(&self, answer: &Answer) -> Result<bool, Problem> {
        let (shared, flight) = (self.shared, self.flight);
        let Some(previous) = self.previous else { return Ok(false) };
        metrics::counter!("ringback_media_origin_revalidated_total").increment(1);
        // What a 304 says replaces what was said before; it need not say it again (RFC 9111 §3.2).
        let said = previous.said.updated(&answer.headers);
        if !shared.origin.may_keep(self.url.fetch_url(), &said) {
            self.forget().await?;
            return Ok(false);
        }
        // What was purged while it was asked about is to be got anew.
        if shared.cache.is_source_purged(&flight.tenant, previous) {
            return Ok(false);
        }
        let declared = answer.content_type().map_or(previous.declared, |text| self.declared(Some(&text)));
        let original = Original { content_hash: previous.content_hash, length: previous.length, declared };
        let refreshed = self.record(original, said, answer);
        if flight.keep && !flight.is_revoked() {
            shared.commit_source(flight, refreshed).await;
        }
        Ok(true)
    }

    /// The origin does not allow any more that its source is kept.
    async fn forget(&self) -> Result<(), Problem> {
        let forgotten = self.shared.cache.forget_source(&self.flight.tenant, &self.url.key()).await;
        forgotten.map_err(|error| error.problem())
    }

    /// What the origin declares its original to be.
    fn declared(&self, content_type: Option<&str>) -> Option<Headerless> {
        Headerless::declared(content_type, self.url.fetch_url().path())
    }

    /// The index entry that an answer of the origin leads to. Whether a new original is headerless shows when it is read.
    fn record(&self, original: Original, said: Said, answer: &Answer) -> SourceRecord {
        let Original { content_hash, length, declared } = original;
        let (origin, url) = (&self.shared.origin, self.url.fetch_url());
        let unchanged = self.previous.filter(|previous| previous.content_hash == content_hash);
        let tags = answer.tags();
        let sounds_alike = |previous: &&SourceRecord| !previous.headerless || previous.declared == declared;
        SourceRecord {
            url: self.url.as_str().to_owned(),
            content_hash,
            length,
            headerless: unchanged.is_some_and(|previous| previous.headerless),
            declared,
            fresh_until: fresh_until(&origin.freshness(url, &said, answer.times)),
            selection: Selection::of(&said.to_headers(), origin.constant_fields(url)),
            said,
            tags: if tags.is_empty() {
                unchanged.map(|previous| previous.tags.clone()).unwrap_or_default()
            } else {
                tags
            },
            labels: self.previous.map(|previous| previous.labels.clone()).unwrap_or_default(),
            rules_stamp: origin.rules_stamp(),
            asked_at: Some(answer.times.request),
            checked_at: answer.times.response,
            changed_at: unchanged.filter(sounds_alike).map_or(answer.times.response, |previous| previous.changed_at),
        }
    }
}

/// Until when an answer may be used without asking.
fn fresh_until(freshness: &Freshness) -> SystemTime {
    let now = freshness.response_time;
    now + freshness.fresh_for(now).min(FRESH_MAX)
}
