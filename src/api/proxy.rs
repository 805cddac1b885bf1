//! The door of the reverse proxy: a listener's requests, each logged and timed, and nothing added to what comes back.

use std::{convert::Infallible, pin::Pin};

use http::{Request, Response};
use hyper::body::Incoming;
use tracing::Instrument as _;

use super::{
    answer::Answer,
    edge::{class, names_one_host},
    socket::Peer,
};
use crate::{
    clock::Clock,
    ids::RandomId,
    media::proxy::{Body, Proxy, refuse},
    problem::{Kind, Problem},
};

/// Hands requests to the proxy. Cheap to clone: one for each connection.
#[derive(Clone, Debug)]
pub struct ProxyEdge {
    proxy: Proxy,
    clock: Clock,
}

impl ProxyEdge {
    /// The edge in front of `proxy`.
    pub fn new(proxy: Proxy, clock: Clock) -> ProxyEdge {
        ProxyEdge { proxy, clock }
    }

    async fn passed(self, request: Request<Incoming>) -> Response<Body> {
        let started = self.clock.now();
        let response = if names_one_host(request.version(), request.headers()) {
            self.proxy.answer(request).await
        } else {
            refuse(&Problem::new(Kind::BadRequest, "a request has one Host field, with a host"))
        };
        let took = self.clock.now().saturating_duration_since(started);
        metrics::counter!("ringback_http_requests_total", "room" => "proxy", "class" => class(response.status()))
            .increment(1);
        metrics::histogram!("ringback_http_first_byte_seconds", "room" => "proxy").record(took);
        tracing::debug!(
            status = response.status().as_u16(),
            milliseconds = took.as_secs_f64() * 1_000.0,
            "request answered"
        );
        response
    }
}

impl Answer for ProxyEdge {
    type Body = Body;
    type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn answer(&self, request: Request<Incoming>, _: &Peer) -> Self::Answering {
        let id = RandomId::draw(&mut rand::rng());
        let span = tracing::info_span!("request", request_id = %id, room = "proxy");
        let passed = self.clone().passed(request).instrument(span);
        Box::pin(async move { Ok(passed.await) })
    }
}
