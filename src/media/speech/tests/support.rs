//! Who speaks in tests.

use std::time::Duration;

use crate::{
    clock::Clock,
    media::speech::{Config, EspeakConfig, HttpConfig, Manner, Speaker, Speech, SpeechError, Spoken, Utterance},
    outbound::{self, Guard},
};

pub(super) fn speaker() -> Speaker {
    Speaker { engine: "espeak-ng".into(), version: "1.51".into(), voice: "en-us".into(), language: "en-us".into() }
}

pub(super) fn utterance(text: &str) -> Result<Utterance, SpeechError> {
    Utterance::new(speaker(), Manner::default(), text, 4_096)
}

/// A room with the real program alone.
pub(super) async fn program(change: impl FnOnce(&mut Config)) -> Speech {
    let mut config = Config::default();
    change(&mut config);
    start(config).await
}

/// A room with a service at this URL alone.
pub(super) async fn service(url: String, change: impl FnOnce(&mut Config)) -> Speech {
    let espeak = EspeakConfig { enabled: false, ..EspeakConfig::default() };
    let http = HttpConfig { url: Some(url), ..HttpConfig::default() };
    let mut config = Config { espeak, http, ..Config::default() };
    change(&mut config);
    start(config).await
}

pub(super) async fn start(config: Config) -> Speech {
    Speech::start(config, &outbound(), Guard::default(), "ringback-test", Clock::system()).await.unwrap()
}

/// Usual limits, but for silence: a test that waits for it waits that long.
fn outbound() -> outbound::Config {
    outbound::Config { idle_timeout: Duration::from_millis(300), ..outbound::Config::default() }
}

/// All of what is spoken.
pub(super) async fn whole(mut spoken: Spoken) -> Result<Vec<u8>, SpeechError> {
    let mut all = Vec::new();
    while let Some(piece) = spoken.chunk().await? {
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
    }
    Ok(all)
}
