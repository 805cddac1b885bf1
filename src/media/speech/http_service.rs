//! A speech service over HTTP as an engine: `POST {model, input, voice, response_format}`, audio back as it is made.
//!
//! The shape is OpenAI's, which most servers that run models have as well. Its host is the operator's word, so its own address passes the
//! guard, and nothing else does; redirects are not followed, so that the key goes to nobody else.

use std::{fmt, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;
use url::{Position, Url};

use super::{
    Config, Engine, HTTP, HttpConfig, Manner, Markup, Percent, Request, Resolved, SpeechError, Utterance, Voiced,
};
use crate::{
    clock::Clock,
    outbound::{self, Forwarded, Forwarder, Guard, Hops, OutboundError, Outgoing},
};

/// The service.
pub(super) struct HttpService {
    forwarder: Forwarder,
    path: PathAndQuery,
    /// What every request has.
    headers: HeaderMap,
    version: Box<str>,
    config: HttpConfig,
    /// What a body is declared to be, where the configuration says it.
    declared: Option<Box<str>>,
    clock: Clock,
}

/// What is sent.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    voice: &'a str,
    response_format: &'a str,
    /// Of the usual speed: 0.5 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f32>,
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService")
            .field("origin", &self.forwarder.origin())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl HttpService {
    /// The service of the configuration, if it has one.
    pub(super) fn new(
        config: &Config,
        outbound: &outbound::Config,
        guard: Guard,
        node_loop_id: &str,
        clock: Clock,
    ) -> Result<Option<HttpService>, SpeechError> {
        let Some(url) = config.http.url() else { return Ok(None) };
        let limits = outbound::Config { total_timeout: config.time_max, ..outbound.clone() };
        let forwarder = Forwarder::new(&limits, guard, &url, node_loop_id, clock.clone())?;
        let path = path(&url).ok_or(OutboundError::NotHttp)?;
        let config = config.http.clone();
        let version = config.version.clone().unwrap_or_else(|| config.model.clone()).into();
        let declared = super::headerless(&config.input).map(|headerless| headerless.content_type().into());
        let headers =
            headers(&config).ok_or(OutboundError::Setup { what: "media.speech.http.api_key", source: None })?;
        tracing::info!(origin = forwarder.origin(), "speech service configured");
        Ok(Some(HttpService { forwarder, path, headers, version, config, declared, clock }))
    }

    fn outgoing(&self, utterance: &Utterance, hops: &Hops) -> Result<Outgoing, SpeechError> {
        let speed = utterance.manner().speed;
        let body = Body {
            model: &self.config.model,
            input: utterance.text(),
            voice: &utterance.speaker().voice,
            response_format: &self.config.response_format,
            speed: (speed != Percent::USUAL).then(|| f32::from(speed.get()) / 100.0),
        };
        let body = serde_json::to_vec(&body);
        let body = body.map_err(|_| SpeechError::Failed { engine: HTTP, why: "the text cannot be sent".into() })?;
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.extend(hops.to_headers());
        let body = Full::from(body).map_err(|never| match never {}).boxed_unsync();
        Ok(Outgoing { method: Method::POST, path: self.path.clone(), headers, body })
    }

    /// Asks, and once more where the service says that it is worth it soon.
    async fn ask(&self, request: Request<'_>) -> Result<Voiced, SpeechError> {
        let Request { utterance, hops, deadline } = request;
        if self.forwarder.check_loop(hops).is_err() {
            return Err(OutboundError::LoopDetected { host: self.forwarder.origin().into() }.into());
        }
        let answer = self.forwarder.send(self.outgoing(utterance, hops)?).await?;
        match self.retry_after(&answer) {
            Some(pause) if pause <= self.config.retry_after_max && self.clock.now() + pause < deadline => {
                drop(answer);
                tokio::time::sleep(pause).await;
                self.judge(self.forwarder.send(self.outgoing(utterance, hops)?).await?)
            }
            _ => self.judge(answer),
        }
    }

    /// When a service that is at its limit says that it is worth asking again.
    fn retry_after(&self, answer: &Forwarded) -> Option<Duration> {
        if !matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            return None;
        }
        let text = answer.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        httpdate::parse_http_date(text).ok()?.duration_since(self.clock.now_wall()).ok()
    }

    /// What an answer means. Of an error nothing is read: the text may stand in it.
    fn judge(&self, answer: Forwarded) -> Result<Voiced, SpeechError> {
        let retry_after = self.retry_after(&answer);
        let Forwarded { status, headers, body, .. } = answer;
        if status != StatusCode::OK {
            return Err(SpeechError::Status { engine: HTTP, status: status.as_u16(), retry_after });
        }
        let coding = headers.get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(OutboundError::Encoding { host: self.forwarder.origin().into() }.into());
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if let Some(what) = content_type.and_then(not_audio) {
            return Err(SpeechError::NotAudio { engine: HTTP, what });
        }
        let content_type = self.declared.clone().or_else(|| content_type.map(Box::from));
        let bytes = stream::try_unfold(body, |mut body| async move {
            loop {
                let Some(frame) = body.frame().await? else { return Ok(None) };
                // What is no data are trailers.
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some((piece, body)));
                }
            }
        });
        Ok(Voiced { content_type, bytes: bytes.boxed() })
    }
}

impl Engine for HttpService {
    fn name(&self) -> &'static str {
        HTTP
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn speaking_max(&self) -> usize {
        self.config.speaking_max
    }

    fn resolve(&self, voice: Option<&str>, language: Option<&str>, manner: Manner) -> Result<Resolved, SpeechError> {
        if manner.markup == Markup::Ssml && !self.config.ssml {
            return Err(SpeechError::UnknownOption { engine: HTTP, option: "ssml" });
        }
        if manner.pitch != Percent::USUAL {
            return Err(SpeechError::UnknownOption { engine: HTTP, option: "pitch" });
        }
        let voice = voice.unwrap_or(&self.config.voice);
        let voices = &self.config.voices;
        if !voices.is_empty() && !voices.iter().any(|known| known == voice) {
            return Err(SpeechError::UnknownVoice { engine: HTTP, voice: super::error::echo(voice) });
        }
        let language = language.unwrap_or(&self.config.language).into();
        Ok(Resolved { voice: voice.into(), language })
    }

    fn speak<'a>(&'a self, request: Request<'a>) -> BoxFuture<'a, Result<Voiced, SpeechError>> {
        Box::pin(self.ask(request))
    }
}

fn path(url: &Url) -> Option<PathAndQuery> {
    url[Position::BeforePath..Position::AfterQuery].parse().ok()
}

/// What every request has; `None` where the key cannot stand in a header.
fn headers(config: &HttpConfig) -> Option<HeaderMap> {
    let mut headers = outbound::own_headers();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &config.api_key {
        let mut value = HeaderValue::try_from(format!("Bearer {}", key.reveal())).ok()?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Some(headers)
}

/// What a Content-Type that is none of audio says.
fn not_audio(content_type: &str) -> Option<&'static str> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "text/json" => Some("JSON"),
        "text/html" | "application/xhtml+xml" => Some("a page"),
        other if other.starts_with("text/") => Some("text"),
        other if other.ends_with("+json") => Some("JSON"),
        other if other.ends_with("/xml") || other.ends_with("+xml") => Some("XML"),
        _ => None,
    }
}
