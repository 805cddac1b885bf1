//! Speech: text in, audio out, by whatever engine the configuration names (`spec/media.md` §8).
//!
//! # How a fill uses this room
//!
//! 1. [`Wish::take`] takes the wishes (`voice`, `language`, `speed`, …) out of a request's options; [`jambonz::parse`] reads them from
//!    jambonz's request. [`Speech::utterance`] makes of wish and text an [`Utterance`], in which nothing is left to a default:
//!    [`Utterance::content_hash`] is its content hash and [`Utterance::key`] its key in the index, both known before a word is spoken.
//!    [`Utterance::to_text`] is what stands in records where URLs stand; [`Utterance::parse`] reads it back ([`Utterance::is_text`] tells
//!    them apart).
//! 2. [`Utterance::pieces`] are its sentences, utterances themselves: each is a source of its own, which is kept under its own key and
//!    shared by all texts that have it; what is kept under a content hash is what the engine gave. What has one sentence is its own only piece, with the same hash.
//! 3. [`Speech::speak`] speaks one piece. It answers when the first sound is there, which [`Speech::deadline`] says how long to wait for,
//!    and gives a [`Spoken`]: [`Spoken::chunk`] until `None`, which alone means that it is whole. [`Spoken::declared`] is what it is where
//!    it has no container. Dropping it ends the process or the request. Engines have places of their own; no gate is needed around it.
//! 4. Several pieces go into one spool by `media::parts::Framer`, and come out of it by `media::parts::FramedParts`, which
//!    `audio::transcode_parts` decodes as one, while they arrive.
//! 5. Where it fails or takes longer than the deadline, and nothing has gone out, [`Speech::stand_in`] is what may be served instead:
//!    never stored, without `Content-Location`. After which problems is the caller's to say (`media::known`).
//!
//! Nothing here logs a text, or puts one on a command line or into an error.
#![deny(clippy::indexing_slicing)]

mod config;

mod error;

mod record;

mod markup;

mod wish;

mod split;

pub mod jambonz;

mod engine;

mod espeak;

mod http_service;

mod queue;

mod spoken;

mod metrics;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::{
    clock::Clock,
    media::format::Headerless,
    outbound::{self, Guard, Hops},
};

use espeak::Espeak;
use http_service::HttpService;
use queue::Queue;

pub use crate::secret::Secret;
pub use config::{Config, EspeakConfig, HttpConfig};
pub use engine::{Engine, Request, Resolved, Voiced};
pub use error::SpeechError;
pub use record::{Manner, Markup, Percent, SCHEME, Speaker, Utterance};
pub use split::split;
pub use spoken::Spoken;
pub use wish::{Options, Wish};

/// Name of the local program as an engine.
pub(crate) const ESPEAK: &str = "espeak-ng";
/// Name of the service as an engine.
pub(crate) const HTTP: &str = "http";
/// All names of engines.
const ENGINES: [&str; 2] = [ESPEAK, HTTP];
/// The name under which a clip stands in.
const CLIP: &str = "clip";

/// The speech room. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Speech {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    lines: Vec<Line>,
    clock: Clock,
}

/// An engine and who waits for it.
#[derive(Debug)]
struct Line {
    engine: Arc<dyn Engine>,
    queue: Queue,
}

/// Where a text stood: how long it may be depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextIn {
    /// In the path of a request.
    Path,
    /// In its body.
    Body,
}

/// What stands in for speech that did not come. Never to be stored.
#[derive(Debug)]
pub enum StandIn {
    /// Another engine, or a clip of the operator's.
    Spoken(Box<Spoken>),
    /// A clip at this address, to be had like any other source.
    Url(String),
}

impl Speech {
    /// Looks for the engines of the configuration. One that is not there is no error: what only it could speak is a problem later.
    ///
    /// `node_loop_id` names this node in `CDN-Loop`; `guard` judges the service's addresses, with its own host and port exempt.
    ///
    /// # Errors
    /// [`SpeechError::Outbound`] where the way to the service cannot be set up.
    pub async fn start(
        config: Config,
        outbound: &outbound::Config,
        guard: Guard,
        node_loop_id: &str,
        clock: Clock,
    ) -> Result<Speech, SpeechError> {
        let mut engines: Vec<Arc<dyn Engine>> = Vec::new();
        if let Some(service) = HttpService::new(&config, outbound, guard, node_loop_id, clock.clone())? {
            engines.push(Arc::new(service));
        }
        if let Some(program) = Espeak::find(&config).await {
            engines.push(Arc::new(program));
        }
        Ok(Speech::of(config, engines, clock))
    }

    /// A room with these engines, the first being the one that speaks where neither request nor configuration names one.
    pub fn of(config: Config, engines: Vec<Arc<dyn Engine>>, clock: Clock) -> Speech {
        let line = |engine: Arc<dyn Engine>| {
            let queue = Queue::new(engine.name(), engine.speaking_max(), config.waiting_max, config.wait);
            Line { engine, queue }
        };
        let lines = engines.into_iter().map(line).collect();
        Speech { shared: Arc::new(Shared { config, lines, clock }) }
    }

    /// Names and versions of the engines that are here.
    pub fn engines(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.shared.lines.iter().map(|line| (line.engine.name(), line.engine.version()))
    }

    /// How long the first sound of a piece may take before something stands in for it.
    pub fn deadline(&self) -> Duration {
        self.shared.config.deadline
    }

    /// What a caller wishes to be spoken, with everything decided.
    ///
    /// # Errors
    /// [`SpeechError::NoEngine`], a voice, language or option that it does not have, or a text that is not spoken.
    pub fn utterance(&self, wish: &Wish, text: &str, text_in: TextIn) -> Result<Utterance, SpeechError> {
        let config = &self.shared.config;
        let named = wish.engine.as_deref().or(Some(config.engine.as_str()).filter(|name| !name.is_empty()));
        let line = match named {
            Some(name) => self.shared.line(name),
            None => self.shared.lines.first(),
        };
        let line = line.ok_or_else(|| SpeechError::NoEngine { name: named.map(error::echo) })?;
        let text_max = match text_in {
            TextIn::Path => config.text_max,
            TextIn::Body => config.long_text_max,
        };
        line.utterance(wish, text, text_max)
    }

    /// Speaks one piece, and answers when its first sound is there. `hops` is what the request that wants it went through.
    ///
    /// Cancel-safe: dropping the future, or what it gives, ends the process or the request.
    ///
    /// # Errors
    /// As [`SpeechError`] names them. [`SpeechError::OtherVersion`] where the engine is another one by now.
    pub async fn speak(&self, utterance: &Utterance, hops: &Hops) -> Result<Spoken, SpeechError> {
        let name = &utterance.speaker().engine;
        let line = self.shared.line(name);
        let line = line.ok_or_else(|| SpeechError::NoEngine { name: Some(error::echo(name)) })?;
        let engine = line.engine.name();
        if *utterance.speaker().version != *line.engine.version() {
            return Err(SpeechError::OtherVersion { engine });
        }
        let clock = &self.shared.clock;
        let started = clock.now();
        let spoken = self.shared.speak(line, utterance, hops).await;
        if let Err(error) = &spoken {
            metrics::ended(engine, metrics::result(error), clock.now() - started, 0);
        }
        spoken
    }

    /// What may be served instead of an utterance that did not come: another engine with the same text, else a clip; none where the
    /// configuration has nothing.
    pub async fn stand_in(&self, utterance: &Utterance, hops: &Hops) -> Option<StandIn> {
        let config = &self.shared.config;
        if let Some(spoken) = self.stand_in_engine(utterance, hops).await {
            metrics::stood_in(spoken.engine());
            return Some(StandIn::Spoken(Box::new(spoken)));
        }
        let clip = &config.fallback_clip;
        if clip.is_empty() {
            return None;
        }
        metrics::stood_in(CLIP);
        if config::is_url(clip) {
            return Some(StandIn::Url(clip.clone()));
        }
        let spoken = self.shared.clip().await.inspect_err(|error| {
            tracing::error!(%error, "media.speech.fallback_clip cannot be read");
        });
        spoken.ok().map(|spoken| StandIn::Spoken(Box::new(spoken)))
    }

    async fn stand_in_engine(&self, utterance: &Utterance, hops: &Hops) -> Option<Spoken> {
        let config = &self.shared.config;
        let name = config.fallback_engine.as_str();
        if name.is_empty() || *name == *utterance.speaker().engine {
            return None;
        }
        let line = self.shared.line(name)?;
        let Manner { speed, pitch, markup, .. } = utterance.manner();
        let language = Some(utterance.speaker().language.to_string()).filter(|language| !language.is_empty());
        // Its voices have other names; what it cannot do it does not do.
        let wishes = [
            Wish { language: language.clone(), speed: Some(speed), pitch: Some(pitch), markup, ..Wish::default() },
            Wish { language, markup, ..Wish::default() },
            Wish { markup, ..Wish::default() },
        ];
        let text_max = config.long_text_max;
        let utterance = wishes.iter().find_map(|wish| line.utterance(wish, utterance.text(), text_max).ok())?;
        tokio::time::timeout(config.deadline, self.speak(&utterance, hops)).await.ok()?.ok()
    }
}

impl Shared {
    fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.engine.name() == name)
    }

    async fn speak(&self, line: &Line, utterance: &Utterance, hops: &Hops) -> Result<Spoken, SpeechError> {
        let seat = line.queue.enter().await?;
        let started = self.clock.now();
        let deadline = started + self.config.time_max;
        let limits = spoken::Limits { bytes: self.config.bytes_max, time: self.config.time_max, deadline };
        let engine = line.engine.name();
        let voiced = line.engine.speak(Request { utterance, hops, deadline });
        let voiced = tokio::time::timeout_at(deadline.into(), voiced);
        let voiced = voiced.await.map_err(|_| SpeechError::Timeout { engine, limit: self.config.time_max })??;
        Spoken::begin(engine, voiced, limits, Some(seat), started, self.clock.clone()).await
    }

    /// The operator's clip, from its file.
    async fn clip(&self) -> Result<Spoken, SpeechError> {
        let path = self.config.fallback_clip.clone();
        let failed = |why: std::io::Error| SpeechError::Failed { engine: CLIP, why: why.to_string().into() };
        let read = tokio::fs::read(path).await.map_err(failed)?;
        let bytes = stream::once(async { Ok(Bytes::from(read)) }).boxed();
        let started = self.clock.now();
        let (bytes_max, time) = (self.config.bytes_max, self.config.time_max);
        let limits = spoken::Limits { bytes: bytes_max, time, deadline: started + time };
        Spoken::begin(CLIP, Voiced { content_type: None, bytes }, limits, None, started, self.clock.clone()).await
    }
}

impl Line {
    fn utterance(&self, wish: &Wish, text: &str, text_max: usize) -> Result<Utterance, SpeechError> {
        let usual = Percent::USUAL;
        let (speed, pitch) = (wish.speed.unwrap_or(usual), wish.pitch.unwrap_or(usual));
        let manner = Manner { speed, pitch, markup: wish.markup, is_private: wish.is_private };
        let Resolved { voice, language } =
            self.engine.resolve(wish.voice.as_deref(), wish.language.as_deref(), manner)?;
        let (engine, version) = (self.engine.name().into(), self.engine.version().into());
        Utterance::new(Speaker { engine, version, voice, language }, manner, text, text_max)
    }
}

/// What a body without a container is, spelled like the option `input`.
fn headerless(text: &str) -> Option<Headerless> {
    Headerless::from_option(text).ok()
}
