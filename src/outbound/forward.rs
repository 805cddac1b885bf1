//! Requests of others passed on to one origin as they are: any method, path and query byte for byte, bodies in both directions as they
//! come, nothing added but `CDN-Loop`, nothing decoded, no redirect followed.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Empty, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, ext::ReasonPhrase};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use url::Url;

use super::{
    body::is_broken_off,
    cdn_loop::{self, Hops},
    client::{Target, install_crypto_provider},
    config::Config,
    connect::{ConnectError, Connector, To, Used},
    error::{Cause, OutboundError, TimeoutKind},
    guard::Guard,
    resolve::{GuardedResolver, system_lookup},
};
use crate::{clock::Clock, problem::Problem};

/// The body of a request that is passed on. An error that is a [`Problem`] is the answer.
pub type RequestBody = UnsyncBoxBody<Bytes, Cause>;

/// Passes requests on to one origin. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Forwarder {
    shared: Arc<Shared>,
}

struct Shared {
    http: legacy::Client<Connector, RequestBody>,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    label: Box<str>,
    config: Config,
    loop_id: HeaderValue,
    clock: Clock,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("origin", &self.label).finish_non_exhaustive()
    }
}

/// A request that goes out.
pub struct Outgoing {
    /// Any but CONNECT.
    pub method: Method,
    /// As received.
    pub path: PathAndQuery,
    /// All but `CDN-Loop` of this node, and `Host` where it is the origin's own.
    pub headers: HeaderMap,
    /// Its body; an empty one is ended.
    pub body: RequestBody,
}

/// An answer whose head has arrived.
pub struct Forwarded {
    /// Status code.
    pub status: StatusCode,
    /// Reason phrase, where it is not the usual one.
    pub reason: Option<ReasonPhrase>,
    /// Fields as received.
    pub headers: HeaderMap,
    /// The body, as it arrives.
    pub body: ForwardedBody,
}

/// The body of an answer. Dropping it early closes the connection.
pub struct ForwardedBody {
    incoming: Incoming,
    host: Box<str>,
    received: u64,
    idle_timeout: Duration,
    clock: Clock,
}

/// Neither addresses nor headers: both may hold secrets.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Neither addresses nor headers: both may hold secrets.
impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarded").field("status", &self.status).field("body", &self.body).finish_non_exhaustive()
    }
}

impl fmt::Debug for ForwardedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardedBody").field("received", &self.received).finish_non_exhaustive()
    }
}

impl Forwarder {
    /// A forwarder to `origin`, of which scheme, host and port count. `guard` judges its addresses, with this host and port exempt;
    /// `node_loop_id` names this node in `CDN-Loop`.
    ///
    /// # Errors
    /// [`OutboundError::Setup`], or [`OutboundError::NotHttp`] for an origin that is none.
    pub fn new(
        config: &Config,
        guard: Guard,
        origin: &Url,
        node_loop_id: &str,
        clock: Clock,
    ) -> Result<Forwarder, OutboundError> {
        install_crypto_provider();
        let target = Target::of(origin)?;
        let host = origin.host().ok_or(OutboundError::NotHttp)?;
        let guard = guard.exempting(host, target.asked.port);
        let authority = target.label.parse::<Authority>().map_err(|_| OutboundError::NotHttp)?;
        let host = HeaderValue::from_str(&target.label).map_err(|_| OutboundError::NotHttp)?;
        let is_tls = origin.scheme() == "https";
        let to = To {
            tls: if is_tls { Some(tls_to(&target.asked.host).map_err(no_tls)?) } else { None },
            asked: target.asked,
            literal: target.literal,
            resolver: GuardedResolver {
                guard: Arc::new(guard),
                lookup: Arc::new(system_lookup),
                lookups: Arc::new(Semaphore::new(config.lookups_max)),
            },
            timeout: config.connect_timeout,
        };
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_connection_timeout)
            .pool_max_idle_per_host(config.idle_connections_max)
            .set_host(false)
            .build(Connector { shared: Arc::new(to) });
        let scheme = if is_tls { Scheme::HTTPS } else { Scheme::HTTP };
        let loop_id = cdn_loop::id(node_loop_id)?;
        let shared =
            Shared { http, scheme, authority, host, label: target.label, config: config.clone(), loop_id, clock };
        Ok(Forwarder { shared: Arc::new(shared) })
    }

    /// Host, and port where it is not the usual one, of the origin.
    pub fn origin(&self) -> &str {
        &self.shared.label
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.shared.scheme.as_str()
    }

    /// Whether this node may go out for a request that went through `hops`.
    ///
    /// # Errors
    /// `loop-detected` when that request has been here before, or went through more nodes than are passed on.
    pub fn check_loop(&self, hops: &Hops) -> Result<(), Problem> {
        hops.check(self.shared.loop_id.to_str().unwrap_or_default())
    }

    /// Sends a request; answers when the head of the response is there. Without a body of the request that is within `header_timeout`;
    /// a body must come first, so with one it is within `total_timeout`.
    ///
    /// # Errors
    /// As [`OutboundError`] names them.
    pub async fn send(&self, outgoing: Outgoing) -> Result<Forwarded, OutboundError> {
        let outcome = self.shared.send(outgoing).await;
        let label = outcome.as_ref().map_or_else(OutboundError::label, |_| "answered");
        metrics::counter!("ringback_outbound_forwarded_total", "outcome" => label).increment(1);
        outcome
    }
}

/// TLS for HTTP/1.1 to a server that the operator has named, as a URL spells its `host`: certificates are those that the system trusts.
///
/// # Errors
/// TLS cannot be set up, or nothing can be certified of such a host.
pub fn tls_to(host: &str) -> io::Result<(TlsConnector, rustls::pki_types::ServerName<'static>)> {
    let mut config = rustls::ClientConfig::with_platform_verifier().map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = rustls::pki_types::ServerName::try_from(bare).map_err(io::Error::other)?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn no_tls(error: io::Error) -> OutboundError {
    OutboundError::Setup { what: "TLS to the origin", source: Some(error.into()) }
}

fn request(method: Method, uri: Uri, headers: HeaderMap, body: RequestBody) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// Whether a connection that had brought answers before was closed without one: most likely the origin gave it up, as servers do after
/// some seconds, just when the request was on its way.
fn was_closed_meanwhile(error: &legacy::Error) -> bool {
    let mut extras = http::Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extras);
    }
    extras.get::<Used>().is_some_and(Used::get) && is_broken_off(error)
}

impl Shared {
    async fn send(&self, outgoing: Outgoing) -> Result<Forwarded, OutboundError> {
        let Outgoing { method, path, mut headers, body } = outgoing;
        let has_body = !body.is_end_stream();
        headers.entry(header::HOST).or_insert_with(|| self.host.clone());
        cdn_loop::append(&mut headers, &self.loop_id);
        let uri = self.uri(path)?;
        // What changes nothing can be sent again (RFC 9110 §9.2.2).
        let again = (method.is_safe() && !has_body).then(|| (method.clone(), uri.clone(), headers.clone()));
        let (limit, which) = if has_body {
            (self.config.total_timeout, TimeoutKind::Total)
        } else {
            (self.config.header_timeout, TimeoutKind::Headers)
        };
        let limit = self.clock.now() + limit;
        let exchange = async {
            match (self.http.request(request(method, uri, headers, body)).await, again) {
                (Err(error), Some((method, uri, headers))) if was_closed_meanwhile(&error) => {
                    let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
                    self.http.request(request(method, uri, headers, nothing)).await
                }
                (outcome, _) => outcome,
            }
        };
        let response = match tokio::time::timeout_at(limit.into(), exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.failure(error)),
            Err(_) => return Err(OutboundError::Timeout { host: self.label.clone(), which }),
        };
        let (mut head, incoming) = response.into_parts();
        if head.status.is_informational() {
            let source = "the origin changed to another protocol without having been asked".into();
            return Err(OutboundError::Protocol { host: self.label.clone(), source });
        }
        if let Some(used) = head.extensions.get::<Used>() {
            used.note();
        }
        let header_bytes: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let max = self.config.header_bytes_max.get();
        if header_bytes as u64 > max {
            return Err(OutboundError::HeadersTooLarge { host: self.label.clone(), max });
        }
        let body = ForwardedBody {
            incoming,
            host: self.label.clone(),
            received: 0,
            idle_timeout: self.config.idle_timeout,
            clock: self.clock.clone(),
        };
        let reason = head.extensions.remove::<ReasonPhrase>();
        Ok(Forwarded { status: head.status, reason, headers: head.headers, body })
    }

    fn uri(&self, path: PathAndQuery) -> Result<Uri, OutboundError> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| OutboundError::NotHttp)
    }

    fn failure(&self, error: legacy::Error) -> OutboundError {
        let host = self.label.clone();
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(problem) = inner.downcast_ref::<Problem>() {
                return OutboundError::RequestBody { host, problem: Box::new(problem.clone()) };
            }
            match inner.downcast_ref::<ConnectError>() {
                Some(ConnectError::Refused(refusal)) => return OutboundError::Forbidden { host, refusal: *refusal },
                Some(ConnectError::Dns(_)) => return OutboundError::Dns { host, source: error.into() },
                Some(ConnectError::Timeout) => return OutboundError::Timeout { host, which: TimeoutKind::Connect },
                Some(ConnectError::Io(_)) => return OutboundError::Connect { host, source: error.into() },
                None => cause = inner.source(),
            }
        }
        if error.is_connect() {
            return OutboundError::Connect { host, source: error.into() };
        }
        OutboundError::Protocol { host, source: error.into() }
    }
}

impl ForwardedBody {
    /// Bytes that will come, where that is known.
    pub fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// The next piece, or the trailers; none at the end, which is the end that was meant.
    ///
    /// # Errors
    /// [`OutboundError::Truncated`], [`OutboundError::Timeout`] after too long a silence, [`OutboundError::Protocol`]. After an error
    /// the body is spent. Cancel-safe.
    pub async fn frame(&mut self) -> Result<Option<Frame<Bytes>>, OutboundError> {
        let limit = self.clock.now() + self.idle_timeout;
        let outcome = match tokio::time::timeout_at(limit.into(), self.incoming.frame()).await {
            Err(_) => Err(OutboundError::Timeout { host: self.host.clone(), which: TimeoutKind::Idle }),
            Ok(None) => Ok(None),
            Ok(Some(Ok(frame))) => {
                self.received += frame.data_ref().map_or(0, Bytes::len) as u64;
                Ok(Some(frame))
            }
            Ok(Some(Err(error))) if is_broken_off(&error) => {
                Err(OutboundError::Truncated { host: self.host.clone(), expected: None, received: self.received })
            }
            Ok(Some(Err(error))) => Err(OutboundError::Protocol { host: self.host.clone(), source: error.into() }),
        };
        if let Err(error) = &outcome {
            metrics::counter!("ringback_outbound_body_failures_total", "reason" => error.label()).increment(1);
        }
        outcome
    }
}
