use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use super::{
    allowed::AllowedSources,
    config::Config,
    error::OriginError,
    gates::{Gates, Permit},
    retry_after::retry_after,
    rules::{Policies, Policy},
};
use crate::{
    clock::Clock,
    ids::SourceKey,
    media::freshness::{CAME_FROM, CDN_CACHE_CONTROL, Freshness, Rules, Said, Times},
    outbound::{Body, Client, Get, Hops, Response, key_of},
    problem::Problem,
    units::ByteCount,
};

/// Labels of a source that are read at most, and bytes of each.
const TAGS_MAX: usize = 64;
const TAG_BYTES_MAX: usize = 256;

/// Fetches sources. Clones share the limits per origin.
#[derive(Clone, Debug)]
pub struct Origin {
    client: Client,
    config: Config,
    clock: Clock,
    gates: Arc<Gates>,
    allowed: AllowedSources,
    policies: Arc<Policies>,
}

/// What an origin said of how its source may be used.
#[derive(Clone, Debug)]
pub struct Answer {
    /// All of the response's header fields.
    pub headers: HeaderMap,
    /// When it was asked for and when it came.
    pub times: Times,
}

/// What an origin had to say.
#[derive(Debug)]
pub enum Fetched {
    /// What is known still holds (304).
    NotModified(Answer),
    /// A source is coming in.
    Body(Box<Incoming>),
}

/// A source on its way. Holds its place among the origin's fetches until dropped; dropping it early ends the transfer.
#[derive(Debug)]
pub struct Incoming {
    /// Length in bytes as declared, never over the limit. What is empty ends at once.
    pub declared_length: Option<u64>,
    /// What was said with it.
    pub answer: Answer,
    /// Whether it may be kept at all: `no-store` forbids it, and so does `private` while there are no private sources.
    pub storable: bool,
    body: Body,
    received: u64,
    max: ByteCount,
    host: Box<str>,
    _permit: Permit,
}

impl Origin {
    /// An origin room on top of the guarded client.
    pub fn new(client: Client, config: Config, clock: Clock) -> Origin {
        let gates = Gates::new(config.per_origin_waiting_max);
        let policies = Arc::new(Policies::new(&config));
        let allowed = AllowedSources::new(&config.allowed_sources);
        Origin { client, config, clock, gates, allowed, policies }
    }

    /// Whether this node may ask for what a request that went through `hops` wants.
    ///
    /// To be asked before a request joins others: one that came back to us would wait for itself.
    ///
    /// # Errors
    /// `loop-detected`.
    pub fn check_loop(&self, hops: &Hops) -> Result<(), Problem> {
        self.client.check_loop(hops)
    }

    /// What of a request for a source is the same each time: what `Vary` can name.
    pub fn constant_fields(&self, url: &Url) -> &HeaderMap {
        &self.policies.of(url).1.fields
    }

    /// Whether a source may be kept of which its origin `said` this.
    pub fn may_keep(&self, url: &Url, said: &Said) -> bool {
        self.policies.of(url).1.allows_keeping(&said.to_headers())
    }

    /// A number for all that decides on the use of what is kept: entries that were written under another are decided on anew.
    pub fn rules_stamp(&self) -> u64 {
        self.policies.stamp()
    }

    /// How fresh a source is of which its origin `said` this, at `times`.
    pub fn freshness(&self, url: &Url, said: &Said, times: Times) -> Freshness {
        Freshness::of(StatusCode::OK, &said.to_headers(), times, &self.policies.of(url).1.freshness)
    }

    /// Whether this is a source that is used here: to be asked before anything that is known of it is looked at.
    ///
    /// # Errors
    /// `source-forbidden`.
    pub fn check_allowed(&self, url: &Url) -> Result<(), Problem> {
        if self.allowed.admits(url) {
            return Ok(());
        }
        Err(OriginError::NotAllowed { host: url.host_str().unwrap_or_default().into() }.problem())
    }

    /// Asks for a source; with `known`, only if it has changed. Answers when the headers are there. `hops` is what the
    /// request that wants it went through.
    ///
    /// `url` must be in canonical form without credentials. Cancel-safe: dropping the future gives its place back.
    ///
    /// # Errors
    /// As [`OriginError`] names them; a declared length over `source_max` fails here.
    pub async fn fetch(&self, url: &Url, known: Option<&Said>, hops: &Hops) -> Result<Fetched, OriginError> {
        let host: Box<str> = url.host_str().unwrap_or_default().into();
        let (rule, policy) = self.policies.of(url);
        let origin = url.origin().ascii_serialization();
        let entered = async {
            match (rule, policy.per_origin_max) {
                // Counted by itself.
                (Some(rule), Some(most)) => self.gates.enter(&format!("{rule} {origin}"), most).await,
                _ => self.gates.enter(&origin, self.config.per_origin_max).await,
            }
        };
        let permit = tokio::time::timeout(self.config.per_origin_wait, entered);
        let permit = permit.await.ok().flatten().ok_or_else(|| OriginError::Busy { host: host.clone() })?;
        let conditions = known.map(|known| (came_from(known).unwrap_or_else(|| key_of(url)), conditions(known)));
        let conditions = conditions.filter(|(_, fields)| !fields.is_empty());
        let mut headers = policy.headers.clone();
        headers.extend(hops.to_headers());
        let get = Get { headers, conditions, may_follow: self.allowed.to_filter(), ..Get::new(url.clone()) };
        let asked_at = self.clock.now_wall();
        let response = self.client.get(get).await?;
        let times = Times { request: asked_at, response: self.clock.now_wall() };
        self.judge(response, policy, times, host, permit)
    }

    fn judge(
        &self,
        response: Response,
        policy: &Policy,
        times: Times,
        host: Box<str>,
        permit: Permit,
    ) -> Result<Fetched, OriginError> {
        let Response { status, mut headers, final_url, redirects, is_conditional, body } = response;
        headers.remove(CAME_FROM);
        if !redirects.is_empty()
            && let Ok(digest) = HeaderValue::try_from(key_of(&final_url).to_string())
        {
            headers.insert(CAME_FROM, digest);
        }
        for (status, redirect) in &redirects {
            heed(&mut headers, *status, redirect, times, &policy.freshness);
        }
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if is_conditional => {
                return Ok(Fetched::NotModified(Answer { headers, times }));
            }
            StatusCode::NOT_MODIFIED => return Err(OriginError::UnaskedNotModified { host }),
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                let freshness = Freshness::of(status, &headers, times, &policy.freshness);
                let lasting = freshness.basis.is_said().then(|| freshness.fresh_for(times.response));
                let lasting = lasting.filter(|lasting| !lasting.is_zero());
                let lasting = lasting.map(|lasting| lasting.min(self.config.retry_after_max));
                return Err(OriginError::Missing { host, status: status.as_u16(), lasting });
            }
            _ => {
                let retry_after = retry_after(&headers, times.response, self.config.retry_after_max);
                return Err(OriginError::Status { host, status: status.as_u16(), retry_after });
            }
        }
        let max = self.config.source_max;
        let declared_length = body.declared_length();
        if declared_length.is_some_and(|length| length > max.get()) {
            return Err(OriginError::OverLimit { host, max });
        }
        let storable = policy.allows_keeping(&headers);
        Ok(Fetched::Body(Box::new(Incoming {
            declared_length,
            answer: Answer { headers, times },
            storable,
            body,
            received: 0,
            max,
            host,
            _permit: permit,
        })))
    }
}

impl Answer {
    /// `Content-Type` as sent, the first part of it, whatever is in it: a type that cannot be read is another thing than none. Counts
    /// only if there is no container.
    pub fn content_type(&self) -> Option<String> {
        const KEPT_CHARS_MAX: usize = 256;
        let text = String::from_utf8_lossy(self.headers.get(header::CONTENT_TYPE)?.as_bytes());
        Some(text.chars().take(KEPT_CHARS_MAX).collect())
    }

    /// The labels of `Cache-Tag`, by which the source can be purged.
    pub fn tags(&self) -> Vec<String> {
        let values = self.headers.get_all("cache-tag").iter().filter_map(|value| value.to_str().ok());
        let tags = values.flat_map(|text| text.split(',')).map(str::trim);
        tags.filter(|tag| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX).take(TAGS_MAX).map(str::to_owned).collect()
    }
}

impl Incoming {
    /// The next piece; `None` at the end, which is a complete source.
    ///
    /// # Errors
    /// [`OriginError::OverLimit`] as soon as more than `source_max` has come, and whatever breaks a body
    /// ([`Body::chunk`]). Cancel-safe.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, OriginError> {
        let Some(piece) = self.body.chunk().await? else {
            return Ok(None);
        };
        self.received += piece.len() as u64;
        if self.received > self.max.get() {
            return Err(OriginError::OverLimit { host: self.host.clone(), max: self.max });
        }
        Ok(Some(piece))
    }

    /// Bytes that have come so far.
    pub fn received(&self) -> u64 {
        self.received
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        metrics::counter!("ringback_media_origin_bytes_total").increment(self.received);
    }
}

/// Where redirects led to what is known, if they did.
fn came_from(known: &Said) -> Option<SourceKey> {
    known.get(&CAME_FROM)?.parse().ok()
}

/// Has what a redirect says of its use hold of what it led to: whoever asked is told the stricter of both. One that is not for good and says nothing
/// is worth as little as an answer that says nothing.
fn heed(headers: &mut HeaderMap, status: StatusCode, redirect: &HeaderMap, times: Times, rules: &Rules) {
    let there = Freshness::of(StatusCode::OK, headers, times, rules);
    let said = Freshness::of(status, redirect, times, rules);
    let directives = &said.directives;
    let flags = [
        (directives.no_store, "no-store"),
        (directives.no_cache, "no-cache"),
        (directives.private, "private"),
        (directives.must_revalidate, "must-revalidate"),
    ];
    let mut stricter: Vec<String> =
        flags.iter().filter(|(is_said, _)| *is_said).map(|(_, name)| (*name).to_owned()).collect();
    let is_for_good = matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT);
    let lasts = if said.basis.is_said() {
        Some(said.fresh_for(times.response))
    } else {
        (!is_for_good).then(|| rules.unsaid.max(rules.lifetime_min))
    };
    if let Some(lasts) = lasts.filter(|lasts| *lasts < there.fresh_for(times.response)) {
        let age = (lasts + there.initial_age).as_secs();
        stricter.push(format!("max-age={age}"));
        if there.directives.s_maxage.is_some() {
            stricter.push(format!("s-maxage={age}"));
        }
    }
    let field = if there.directives.is_targeted { CDN_CACHE_CONTROL } else { header::CACHE_CONTROL };
    if let Ok(stricter) = HeaderValue::try_from(stricter.join(", "))
        && !stricter.is_empty()
    {
        headers.append(field, stricter);
    }
}

/// The headers that make a request conditional. What cannot stand in a header is left out.
fn conditions(known: &Said) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (condition, validator) in
        [(header::IF_NONE_MATCH, header::ETAG), (header::IF_MODIFIED_SINCE, header::LAST_MODIFIED)]
    {
        if let Some(value) = known.get(&validator).and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(condition, value);
        }
    }
    headers
}
