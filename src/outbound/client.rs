use std::{
    error::Error as _,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::{
    body::Body,
    cdn_loop::{self, Hops},
    config::Config,
    error::{OutboundError, TimeoutKind},
    guard::Guard,
    redirect,
    resolve::{ASKED, Asked, GuardedResolver, Lookup, ResolveError, is_local, system_lookup},
};
use crate::{clock::Clock, ids::SourceKey, problem::Problem};

const USER_AGENT: &str = concat!("ringback/", env!("CARGO_PKG_VERSION"));

/// Makes ring the process's TLS provider. Harmless to call again; [`Client::new`] does.
pub fn install_crypto_provider() {
    // An error says that a provider is installed already, which is what is wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// The guarded HTTP client. Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    guard: Arc<Guard>,
    config: Config,
    loop_id: HeaderValue,
    clock: Clock,
}

/// One GET request.
pub struct Get {
    /// What to fetch: http or https.
    pub url: Url,
    /// Headers besides those the client sets itself. Values marked sensitive, credentials and cookies do not follow a
    /// redirect to another origin. `CDN-Loop` values of the request that caused this one belong here
    /// ([`Hops::to_headers`](super::Hops::to_headers)).
    pub headers: HeaderMap,
    /// What asks whether something has changed, and of what: sent to this address only, whether it is the first or a redirect leads there. Elsewhere
    /// it would be held against something else (RFC 9110 §15.4).
    pub conditions: Option<(SourceKey, HeaderMap)>,
    /// When the caller loses interest, if before `total_timeout`.
    pub deadline: Option<Instant>,
    /// Which redirects are followed, where not all that the guard lets pass.
    pub may_follow: Option<Follow>,
}

/// Whether a redirect to this address is followed.
pub type Follow = Arc<dyn Fn(&Url) -> bool + Send + Sync>;

impl Get {
    /// A request for `url` with no headers and no deadline of its own, which follows redirects.
    pub fn new(url: Url) -> Get {
        Get { url, headers: HeaderMap::new(), conditions: None, deadline: None, may_follow: None }
    }
}

/// An answer whose headers have arrived.
pub struct Response {
    /// Status code; never one of a redirect that was followed.
    pub status: StatusCode,
    /// Headers as received.
    pub headers: HeaderMap,
    /// Where the answer came from, after redirects.
    pub final_url: Url,
    /// The redirects that were followed: status and headers of each.
    pub redirects: Vec<(StatusCode, HeaderMap)>,
    /// Whether the conditions were sent to where it came from.
    pub is_conditional: bool,
    /// The body, as it arrives.
    pub body: Body,
}

/// Neither addresses nor headers: both may hold secrets.
impl fmt::Debug for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// Neither addresses nor headers: both may hold secrets.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).field("body", &self.body).finish_non_exhaustive()
    }
}

impl Client {
    /// Builds the client. `node_loop_id` names this node in `CDN-Loop`: the whole token, for example `ringback-5f0c`.
    ///
    /// # Errors
    /// [`OutboundError::Setup`].
    pub fn new(config: &Config, guard: Guard, node_loop_id: &str, clock: Clock) -> Result<Client, OutboundError> {
        Client::with_lookup(config, guard, node_loop_id, clock, Arc::new(system_lookup))
    }

    pub(super) fn with_lookup(
        config: &Config,
        guard: Guard,
        node_loop_id: &str,
        clock: Clock,
        lookup: Arc<Lookup>,
    ) -> Result<Client, OutboundError> {
        install_crypto_provider();
        let loop_id = cdn_loop::id(node_loop_id)?;
        let guard = Arc::new(guard);
        let resolver =
            GuardedResolver { guard: guard.clone(), lookup, lookups: Arc::new(Semaphore::new(config.lookups_max)) };
        let resolver = Arc::new(resolver);
        let setup = |error: reqwest::Error| OutboundError::Setup { what: "TLS", source: Some(error.into()) };
        let authorities = config.authorities().map_err(|error| {
            tracing::error!(%error, "outbound.ca_file cannot be used");
            OutboundError::Setup { what: "outbound.ca_file", source: None }
        })?;
        let authorities = authorities.iter().map(|authority| reqwest::Certificate::from_der(authority));
        let authorities: Vec<_> = authorities.collect::<Result<_, _>>().map_err(setup)?;
        let http = builder(config, resolver.clone()).tls_certs_merge(authorities.clone()).build().or_else(|error| {
            // Most likely a machine without CA certificates: http must work there, and https fails with its own error.
            tracing::warn!(error = &error as &dyn std::error::Error, "no certificates of the system are trusted");
            builder(config, resolver).tls_certs_only(authorities).build()
        });
        let http = http.map_err(setup)?;
        Ok(Client { shared: Arc::new(Shared { http, guard, config: config.clone(), loop_id, clock }) })
    }

    /// Whether this node may go out for a request that went through `hops`.
    ///
    /// # Errors
    /// `loop-detected` when that request has been here before, or went through more nodes than are passed on.
    pub fn check_loop(&self, hops: &Hops) -> Result<(), Problem> {
        hops.check(self.shared.loop_id.to_str().unwrap_or_default())
    }

    /// Sends a request that was made with [`http`](Client::http), and waits for the head of its answer.
    pub(super) async fn send(
        &self,
        target: &Target,
        request: reqwest::RequestBuilder,
        timeout: Duration,
    ) -> Result<reqwest::Response, OutboundError> {
        let outcome = self.shared.send(target, request, self.shared.clock.now() + timeout).await;
        count(&outcome);
        outcome
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.shared.http
    }

    pub(super) fn loop_id(&self) -> &HeaderValue {
        &self.shared.loop_id
    }

    /// Sends one GET, follows its redirects, and answers when the headers of the last response are there.
    ///
    /// # Errors
    /// As [`OutboundError`] names them. A status of 400 and above is an answer, not an error.
    pub async fn get(&self, get: Get) -> Result<Response, OutboundError> {
        let outcome = self.shared.get(get).await;
        count(&outcome);
        outcome
    }
}

fn count<T>(outcome: &Result<T, OutboundError>) {
    let label = outcome.as_ref().map_or_else(OutboundError::label, |_| "answered");
    metrics::counter!("ringback_outbound_requests_total", "outcome" => label).increment(1);
}

/// The header fields that every request has, and always the same.
pub fn own_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (header::ACCEPT, HeaderValue::from_static("*/*")),
        (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
    ])
}

fn builder(config: &Config, resolver: Arc<GuardedResolver>) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .dns_resolver(resolver)
        // A proxy would connect where the guard cannot see.
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .default_headers(own_headers())
        // Asked for or not, some origins compress, and stores keep objects that are. Other codings are refused.
        .gzip(true)
        .deflate(true)
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(config.idle_connection_timeout)
        .pool_max_idle_per_host(config.idle_connections_max)
}

impl Shared {
    async fn get(&self, get: Get) -> Result<Response, OutboundError> {
        let Get { mut url, mut headers, conditions, deadline, may_follow } = get;
        let total_limit = self.clock.now() + self.config.total_timeout;
        let deadline = deadline.map_or(total_limit, |deadline| deadline.min(total_limit));
        let mut target = Target::of(&url)?;
        let own_name = self.loop_id.to_str().unwrap_or_default();
        if cdn_loop::is_loop(headers.get_all(cdn_loop::CDN_LOOP), own_name) {
            return Err(OutboundError::LoopDetected { host: target.label });
        }
        cdn_loop::append(&mut headers, &self.loop_id);

        let mut redirects = Vec::new();
        for _ in 0..=self.config.redirects_max {
            let conditions = conditions.as_ref().filter(|(of, _)| *of == key_of(&url)).map(|(_, fields)| fields);
            let mut request = self.http.get(url.clone()).headers(headers.clone());
            if let Some(conditions) = conditions {
                request = request.headers(conditions.clone());
            }
            let mut response = self.send(&target, request, deadline).await?;
            let next = redirect::next(&url, response.status(), response.headers())
                .map_err(|why| OutboundError::BadRedirect { host: target.label.clone(), why })?;
            let Some(next) = next else {
                return self.accept(response, (target, url), redirects, conditions.is_some(), deadline);
            };
            redirects.push((response.status(), std::mem::take(response.headers_mut())));
            redirect::keep_secrets(&mut headers, &url, &next);
            let from = std::mem::replace(&mut target, Target::of(&next)?).label;
            if may_follow.as_ref().is_some_and(|may_follow| !may_follow(&next)) {
                return Err(OutboundError::RedirectRefused { host: from, to: target.label });
            }
            url = next;
        }
        Err(OutboundError::TooManyRedirects { host: target.label, max: self.config.redirects_max })
    }

    /// One hop: judges a literal address here, a name in the resolver, and waits for the response headers.
    async fn send(
        &self,
        target: &Target,
        request: reqwest::RequestBuilder,
        deadline: Instant,
    ) -> Result<reqwest::Response, OutboundError> {
        if let Some(address) = target.literal {
            self.guard
                .judge(&target.asked.host, SocketAddr::new(address, target.asked.port), is_local)
                .map_err(|refusal| OutboundError::Forbidden { host: target.label.clone(), refusal })?;
        }
        let header_limit = self.clock.now() + self.config.header_timeout;
        let (limit, which) =
            if header_limit < deadline { (header_limit, TimeoutKind::Headers) } else { (deadline, TimeoutKind::Total) };
        let answer = ASKED.scope(target.asked.clone(), request.send());
        match tokio::time::timeout_at(limit.into(), answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(target.failure(error)),
            Err(_) => Err(OutboundError::Timeout { host: target.label.clone(), which }),
        }
    }

    fn accept(
        &self,
        mut response: reqwest::Response,
        (target, final_url): (Target, Url),
        redirects: Vec<(StatusCode, HeaderMap)>,
        is_conditional: bool,
        deadline: Instant,
    ) -> Result<Response, OutboundError> {
        let host = target.label;
        let max = self.config.header_bytes_max.get();
        let header_bytes: usize =
            response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if header_bytes as u64 > max {
            return Err(OutboundError::HeadersTooLarge { host, max });
        }
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        // An error page may be compressed for all we care: nobody reads it.
        if status.is_success() && !is_identity(&headers) {
            return Err(OutboundError::Encoding { host });
        }
        let body = Body::new(response, host, &self.config, deadline, self.clock.clone());
        Ok(Response { status, headers, final_url, redirects, is_conditional, body })
    }
}

/// An address as it is compared and written down: it may hold secrets.
pub fn key_of(url: &Url) -> SourceKey {
    SourceKey::of(url.as_str().as_bytes())
}

fn is_identity(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).all(|coding| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    })
}

/// Whom a hop is for.
pub(super) struct Target {
    pub(super) asked: Asked,
    /// The host, if it is an address and needs no look-up.
    pub(super) literal: Option<IpAddr>,
    /// Host, and port where the address names one: what errors say.
    pub(super) label: Box<str>,
}

impl Target {
    pub(super) fn of(url: &Url) -> Result<Target, OutboundError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::NotHttp);
        }
        let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or(OutboundError::NotHttp)?;
        // `url` has already turned decimal, octal and hexadecimal hosts into addresses.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(name)) => name.parse().ok(),
            None => None,
        };
        let label = match url.port() {
            Some(port) => format!("{host}:{port}").into(),
            None => host.into(),
        };
        Ok(Target { asked: Asked { host: host.into(), port }, literal, label })
    }

    fn failure(&self, error: reqwest::Error) -> OutboundError {
        let host = self.label.clone();
        let source = error.without_url();
        let mut cause = source.source();
        while let Some(inner) = cause {
            match inner.downcast_ref::<ResolveError>() {
                Some(ResolveError::Refused(refusal)) => {
                    return OutboundError::Forbidden { host, refusal: *refusal };
                }
                Some(ResolveError::Lookup(_) | ResolveError::Unasked) => {
                    return OutboundError::Dns { host, source: source.into() };
                }
                None => cause = inner.source(),
            }
        }
        match (source.is_connect(), source.is_timeout()) {
            (true, true) => OutboundError::Timeout { host, which: TimeoutKind::Connect },
            (true, false) => OutboundError::Connect { host, source: source.into() },
            (false, true) => OutboundError::Timeout { host, which: TimeoutKind::Headers },
            (false, false) => OutboundError::Protocol { host, source: source.into() },
        }
    }
}
