//! A speech service on a real socket that speaks in tones, or does what the test tells it: stalls, lies, breaks off, answers with errors.

use std::{io, time::Duration};

use http::header;

use super::{
    origin::{Body, Origin, Reply},
    signal::{Depth, Signal},
};
use crate::units::SampleRate;

/// Where it takes requests.
const PATH: &str = "/v1/audio/speech";

/// A request as the service got it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The field `Authorization`, if there was one.
    pub authorization: Option<String>,
    /// The JSON of its body; null where it was none.
    pub body: serde_json::Value,
}

/// The service. Dropping it closes its socket and all of its connections.
#[derive(Debug)]
pub struct SpeechService {
    origin: Origin,
}

impl SpeechService {
    /// A service on a free port of 127.0.0.1 that answers everything with a tone of half a second.
    ///
    /// # Errors
    /// The socket cannot be had.
    pub async fn start() -> io::Result<SpeechService> {
        let origin = Origin::start().await?;
        origin.keep_bodies();
        let service = SpeechService { origin };
        service.answer(Reply::ok("audio/wav", Body::of(tone(Duration::from_millis(500)))));
        Ok(service)
    }

    /// What is to be configured as its URL.
    pub fn url(&self) -> String {
        self.origin.url(PATH)
    }

    /// From now on every request is answered so.
    pub fn answer(&self, reply: Reply) {
        self.origin.set(PATH, reply);
    }

    /// From now on requests are answered by these in turn; the last one stays.
    pub fn answer_in_turn(&self, replies: impl IntoIterator<Item = Reply>) {
        self.origin.set_sequence(PATH, replies);
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.origin.seen().into_iter().map(|seen| Asked {
            authorization: seen
                .headers
                .get(header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            body: serde_json::from_slice(&seen.body).unwrap_or_default(),
        });
        asked.collect()
    }

    /// The server under it, to wait for requests and for clients that leave.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// A tone as such services send speech: WAV of 24 kHz and 16 bits.
pub fn tone(duration: Duration) -> Vec<u8> {
    Signal::tone(SampleRate::HZ_24000, 440.0, 0.5, duration).wav(Depth::S16)
}
