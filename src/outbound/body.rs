use std::{
    fmt, io,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    config::Config,
    error::{OutboundError, TimeoutKind},
};
use crate::clock::Clock;

/// The body of a response, as a stream. Dropping it early closes the connection.
pub struct Body {
    response: reqwest::Response,
    host: Box<str>,
    declared_length: Option<u64>,
    received: u64,
    idle_timeout: Duration,
    deadline: Instant,
    clock: Clock,
}

impl Body {
    pub(super) fn new(
        response: reqwest::Response,
        host: Box<str>,
        config: &Config,
        deadline: Instant,
        clock: Clock,
    ) -> Body {
        let declared_length = response.content_length();
        Body { response, host, declared_length, received: 0, idle_timeout: config.idle_timeout, deadline, clock }
    }

    /// The length in bytes that the origin declared, if it did. A body that ends before it is [`OutboundError::Truncated`].
    pub fn declared_length(&self) -> Option<u64> {
        self.declared_length
    }

    /// The next piece as it came from the connection; `None` at the end.
    ///
    /// # Errors
    /// [`OutboundError::Truncated`], [`OutboundError::Timeout`] (idle or total), [`OutboundError::Protocol`]. After an error
    /// the body is spent. Cancel-safe.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError> {
        let idle_limit = self.clock.now() + self.idle_timeout;
        let (limit, which) = if idle_limit < self.deadline {
            (idle_limit, TimeoutKind::Idle)
        } else {
            (self.deadline, TimeoutKind::Total)
        };
        let outcome = match tokio::time::timeout_at(limit.into(), self.response.chunk()).await {
            Err(_) => Err(OutboundError::Timeout { host: self.host.clone(), which }),
            Ok(Ok(Some(piece))) => {
                self.received += piece.len() as u64;
                Ok(Some(piece))
            }
            Ok(Ok(None)) if self.declared_length.is_some_and(|declared| self.received < declared) => {
                Err(self.truncated())
            }
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) if is_broken_off(&error) => Err(self.truncated()),
            Ok(Err(error)) => {
                Err(OutboundError::Protocol { host: self.host.clone(), source: error.without_url().into() })
            }
        };
        if let Err(error) = &outcome {
            metrics::counter!("ringback_outbound_body_failures_total", "reason" => error.label()).increment(1);
        }
        outcome
    }

    fn truncated(&self) -> OutboundError {
        OutboundError::Truncated { host: self.host.clone(), expected: self.declared_length, received: self.received }
    }
}

/// Says nothing of the address, whose path and query may be secret.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("host", &self.host)
            .field("declared_length", &self.declared_length)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// Whether the connection ended in the middle of a message, as opposed to carrying nonsense.
pub(super) fn is_broken_off(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let incomplete = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message);
        let closed = error.downcast_ref::<io::Error>().is_some_and(|error| {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        });
        if incomplete || closed {
            return true;
        }
        cause = error.source();
    }
    false
}
