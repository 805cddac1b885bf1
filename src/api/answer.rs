//! Who answers the requests of a listener.

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use super::socket::Peer;

/// Answers requests. Cloned for each connection.
pub trait Answer: Clone + Send + Sync + 'static {
    /// What answers carry.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
    /// An answer that is being worked on.
    type Answering: Future<Output = Result<Response<Self::Body>, Infallible>> + Send + 'static;

    /// Answers one request, whatever it is, that came from `peer`.
    fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Self::Answering;
}
