//! The HTTP service as an engine.

use futures_util::future::BoxFuture;

use super::{Config, Engine, Manner, Request, Resolved, SpeechError, Voiced};
use crate::{
    clock::Clock,
    outbound::{self, Guard},
};

/// The service.
#[derive(Debug)]
pub(super) struct HttpService {}

impl HttpService {
    pub(super) fn new(
        _config: &Config,
        _outbound: &outbound::Config,
        _guard: Guard,
        _node_loop_id: &str,
        _clock: Clock,
    ) -> Result<Option<HttpService>, SpeechError> {
        Ok(None)
    }
}

impl Engine for HttpService {
    fn name(&self) -> &'static str {
        super::HTTP
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
