use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use url::Url;

use super::{
    allowed::AllowedSources,
    config::Config,
    error::OriginError,
    freshness::{Freshness, retry_after, text_of},
    gates::{Gates, Permit},
};
use crate::{
    clock::Clock,
    outbound::{Body, Client, Get, Hops, Response},
    problem::Problem,
    units::ByteCount,
};

/// Fetches sources. Clones share the limits per origin.
#[derive(Clone, Debug)]
pub struct Origin {
    client: Client,
    config: Config,
    clock: Clock,
    gates: Arc<Gates>,
    allowed: AllowedSources,
}

/// What an earlier answer can be checked by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag` as sent.
    pub etag: Option<String>,
    /// `Last-Modified` as sent.
    pub last_modified: Option<String>,
}

/// What an origin had to say.
#[derive(Debug)]
pub enum Fetched {
    /// What is known still holds (304).
    NotModified {
        /// For how much longer.
        freshness: Freshness,
        /// Those of the 304, and where it is silent those that were sent.
        validators: Validators,
        /// `Content-Type`, if the 304 says it again.
        content_type: Option<String>,
    },
    /// A source is coming in.
    Body(Box<Incoming>),
}

/// A source on its way. Holds its place among the origin's fetches until dropped; dropping it early ends the transfer.
#[derive(Debug)]
pub struct Incoming {
    /// Length in bytes as declared, never over the limit. What is empty ends at once.
    pub declared_length: Option<u64>,
    /// `Content-Type` as sent: counts only if there is no container.
    pub content_type: Option<String>,
    /// How long the source may be used without asking again.
    pub freshness: Freshness,
    /// What it can be checked by.
    pub validators: Validators,
    body: Body,
    received: u64,
    max: ByteCount,
    host: Box<str>,
    _permit: Permit,
}

impl Origin {
    /// An origin room on top of the guarded client.
    pub fn new(client: Client, config: Config, clock: Clock) -> Origin {
        let gates = Gates::new(config.per_origin_max, config.per_origin_waiting_max);
        let allowed = AllowedSources::new(&config.allowed_sources);
        Origin { client, config, clock, gates, allowed }
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
    pub async fn fetch(&self, url: &Url, known: Option<&Validators>, hops: &Hops) -> Result<Fetched, OriginError> {
        let host: Box<str> = url.host_str().unwrap_or_default().into();
        let origin = url.origin().ascii_serialization();
        let permit = tokio::time::timeout(self.config.per_origin_wait, self.gates.enter(&origin));
        let permit = permit.await.ok().flatten().ok_or_else(|| OriginError::Busy { host: host.clone() })?;
        let mut headers = conditions(known);
        headers.extend(hops.to_headers());
        let get = Get { headers, may_follow: self.allowed.to_filter(), ..Get::new(url.clone()) };
        let response = self.client.get(get).await?;
        self.judge(response, known, host, permit)
    }

    fn judge(
        &self,
        response: Response,
        known: Option<&Validators>,
        host: Box<str>,
        permit: Permit,
    ) -> Result<Fetched, OriginError> {
        let Response { status, headers, body, .. } = response;
        let now = self.clock.now_wall();
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => {
                let known = known.filter(|known| !conditions(Some(known)).is_empty());
                let known = known.ok_or(OriginError::UnaskedNotModified { host })?;
                let sent = validators_of(&headers);
                let validators = Validators {
                    etag: sent.etag.or_else(|| known.etag.clone()),
                    last_modified: sent.last_modified.or_else(|| known.last_modified.clone()),
                };
                let freshness = Freshness::of(&headers, now, &self.config);
                let content_type = content_type_of(&headers);
                return Ok(Fetched::NotModified { freshness, validators, content_type });
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return Err(OriginError::Missing { host, status: status.as_u16() });
            }
            _ => {
                let retry_after = retry_after(&headers, now, self.config.retry_after_max);
                return Err(OriginError::Status { host, status: status.as_u16(), retry_after });
            }
        }
        let max = self.config.source_max;
        let declared_length = body.declared_length();
        if declared_length.is_some_and(|length| length > max.get()) {
            return Err(OriginError::OverLimit { host, max });
        }
        Ok(Fetched::Body(Box::new(Incoming {
            declared_length,
            content_type: content_type_of(&headers),
            freshness: Freshness::of(&headers, now, &self.config),
            validators: validators_of(&headers),
            body,
            received: 0,
            max,
            host,
            _permit: permit,
        })))
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

/// The headers that make a request conditional. What cannot stand in a header is left out.
fn conditions(known: Option<&Validators>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(known) = known else { return headers };
    for (name, text) in [(header::IF_NONE_MATCH, &known.etag), (header::IF_MODIFIED_SINCE, &known.last_modified)] {
        if let Some(value) = text.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The first part of what is sent, whatever is in it: a type that cannot be read is another thing than none.
fn content_type_of(headers: &HeaderMap) -> Option<String> {
    const KEPT_CHARS_MAX: usize = 256;
    let text = String::from_utf8_lossy(headers.get(header::CONTENT_TYPE)?.as_bytes());
    Some(text.chars().take(KEPT_CHARS_MAX).collect())
}

fn validators_of(headers: &HeaderMap) -> Validators {
    Validators { etag: text_of(headers, header::ETAG), last_modified: text_of(headers, header::LAST_MODIFIED) }
}
