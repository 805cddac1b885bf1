//! The local program `espeak-ng` as an engine.

use futures_util::future::BoxFuture;

use super::{Config, Engine, Manner, Request, Resolved, SpeechError, Voiced};
use crate::clock::Clock;

/// The program.
#[derive(Debug)]
pub(super) struct Espeak {}

impl Espeak {
    pub(super) async fn find(_config: &Config, _clock: Clock) -> Option<Espeak> {
        None
    }
}

impl Engine for Espeak {
    fn name(&self) -> &'static str {
        super::ESPEAK
    }

    fn version(&self) -> &str {
        ""
    }

    fn speaking_max(&self) -> usize {
        1
    }

    fn resolve(&self, _: Option<&str>, _: Option<&str>, _: Manner) -> Result<Resolved, SpeechError> {
        Err(SpeechError::NoEngine { name: None })
    }

    fn speak<'a>(&'a self, _: Request<'a>) -> BoxFuture<'a, Result<Voiced, SpeechError>> {
        Box::pin(async { Err(SpeechError::NoEngine { name: None }) })
    }
}
