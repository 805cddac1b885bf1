//! From a parsed request to a response: request id, who may, and which room answers.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use futures_util::future::{Either, Ready, ready};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::Instrument as _;

use crate::{
    accounts::Accounts,
    clock::Clock,
    concurrency::{Concurrency, Place, StoredLimits},
    ids::{RandomId, Tenant},
    media::{
        Asker, AudioBody, IgnoredQuery, Media, Signing,
        http::{self as media_http, Addresses},
    },
    problem::{Kind, LimitReached, Problem, Side},
};

use super::{
    admission::{Admission, Caller, reads},
    answer::Answer,
    audio,
    config::Config,
    connect, docs, pages,
    peer::TrustedProxies,
    places,
    socket::Peer,
    v1, v2010,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What the edge hands to the rooms behind it.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Who callers are.
    pub accounts: Accounts,
    /// The media layer.
    pub media: Media,
    /// How many may be in progress.
    pub concurrency: Concurrency,
    /// What was given of limits.
    pub limits: Arc<StoredLimits>,
    /// For whom a request acts; at first, for whom those without credentials do.
    pub tenant: Tenant,
    /// Query parameters that are no part of a source's identity.
    pub ignored_query: IgnoredQuery,
    /// Keys of signed paths.
    pub signing: Signing,
    /// How addresses are built.
    pub addresses: Addresses,
    /// Time.
    pub clock: Clock,
    /// Where work that outlives its request runs.
    pub tasks: TaskTracker,
    /// Fills started without waiting that can be asked for.
    pub fills_remembered_max: usize,
}

/// What listener an edge stands behind.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    /// One that only this machine reaches.
    pub is_loopback: bool,
    /// One whose connections are TLS.
    pub is_tls: bool,
}

/// Answers requests. Cheap to clone: one for each connection.
#[derive(Clone, Debug)]
pub struct Edge {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    admission: Admission,
    trusted_proxies: TrustedProxies,
    is_tls: bool,
    pages: Router,
    v1: Router,
    v2010: Router,
    connect: Router,
    docs: Router,
    from_memory: FromMemory,
}

/// Counters of requests that were answered from memory, looked up once: a look-up by name costs as much as a hit.
struct FromMemory {
    whole_or_part: metrics::Counter,
    not_modified: metrics::Counter,
    refused: metrics::Counter,
}

impl FromMemory {
    fn new() -> FromMemory {
        let counter =
            |status| metrics::counter!("ringback_http_requests_total", "room" => "memory", "class" => class(status));
        FromMemory {
            whole_or_part: counter(StatusCode::OK),
            not_modified: counter(StatusCode::NOT_MODIFIED),
            refused: counter(StatusCode::RANGE_NOT_SATISFIABLE),
        }
    }

    fn count(&self, status: StatusCode) {
        let counter = match status {
            StatusCode::NOT_MODIFIED => &self.not_modified,
            status if status.is_success() => &self.whole_or_part,
            _ => &self.refused,
        };
        counter.increment(1);
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("parts", &self.parts).finish_non_exhaustive()
    }
}

type Answered = Result<Response<ResponseBody>, Infallible>;

/// An answer that is there, or one that is being worked on.
type Answering = Either<Ready<Answered>, Pin<Box<dyn Future<Output = Answered> + Send>>>;

/// A body from any room.
pub(super) type ResponseBody = http_body_util::Either<AudioBody, Body>;

impl Edge {
    /// The edge in front of `parts`, behind a listener.
    pub fn new(config: &Config, behind: Behind, parts: Parts) -> Edge {
        let pages = pages::router(&parts, config);
        let (v1, v2010) = (v1::router(&parts, config), v2010::router(&parts, config));
        let connect = connect::router(&parts, config);
        let admission = Admission {
            accounts: parts.accounts.clone(),
            media: parts.media.clone(),
            signing: parts.signing.clone(),
            anonymous: config.anonymous(behind.is_loopback),
            tenant: parts.tenant.clone(),
        };
        let trusted_proxies = TrustedProxies::new(&config.trusted_proxies);
        let from_memory = FromMemory::new();
        Edge {
            inner: Arc::new(Inner {
                parts,
                admission,
                trusted_proxies,
                is_tls: behind.is_tls,
                pages,
                v1,
                v2010,
                connect,
                docs: docs::router(),
                from_memory,
            }),
        }
    }

    /// Answers one request. Audio that is in memory is answered before anything else is set up for the request.
    ///
    /// No `async fn`: hyper moves the future about, and that of the slow way is large.
    fn answering(&self, request: Request<Incoming>, peer: &Peer) -> Answering {
        let id = RandomId::draw(&mut rand::rng());
        let (head, body) = request.into_parts();
        if let Some(response) = self.in_memory(&head, peer.address) {
            self.inner.from_memory.count(response.status());
            return Either::Left(ready(Ok(named(response.map(ResponseBody::Left), id))));
        }
        let (edge, request, peer) = (self.clone(), Request::from_parts(head, body), peer.clone());
        Either::Right(Box::pin(async move { Ok(named(edge.slow(request, peer, id).await, id)) }))
    }

    /// The answer, where audio in memory is all it takes.
    fn in_memory(&self, head: &http::request::Parts, peer: IpAddr) -> Option<Response<AudioBody>> {
        let Parts { media, ignored_query, addresses, .. } = &self.inner.parts;
        let room = Room::of(head.uri.path());
        if !reads(&head.method) || !names_one_host(head.version, &head.headers) {
            return None;
        }
        let Caller { tenant, .. } = &self.inner.admission.at_once(room, head, peer)?.ok()?;
        match room {
            Room::Media => media_http::artifact_in_memory(media, tenant, head),
            Room::Fetch => media_http::fetch_in_memory(media, tenant, ignored_query, addresses, head),
            Room::Say => media_http::say_in_memory(media, tenant, addresses, head),
            Room::Prompts => media_http::prompt_in_memory(media, tenant, addresses, head),
            Room::V1 | Room::V2010 | Room::Connect | Room::Docs | Room::Pages | Room::Other => None,
        }
    }

    /// Everything that is not a hit in memory: logged, timed, with its own span.
    async fn slow(&self, request: Request<Incoming>, peer: Peer, id: RandomId) -> Response<ResponseBody> {
        let started = self.inner.parts.clock.now();
        let room = Room::of(request.uri().path());
        let span = tracing::info_span!("request", request_id = %id, room = room.as_str());
        let is_api = room.is_routed(request.method()) && !matches!(room, Room::Docs | Room::Pages);
        let mut response = self.room(room, request, peer.clone()).instrument(span.clone()).await;
        // Audio had to be made for it.
        if let Some(place) = response.extensions_mut().remove::<Arc<Place>>() {
            response = places::hold_and_tell(response.map(Body::new), place, Some(peer)).await.map(ResponseBody::Right);
        }
        // It, or what it asked for, was refused.
        if let Some(limit) = response.extensions_mut().remove::<LimitReached>() {
            places::tell_reached(response.headers_mut(), &limit);
        }
        if is_api || response.headers().contains_key(places::CONCURRENT_REQUESTS) {
            let took = self.inner.parts.clock.now().saturating_duration_since(started);
            tell_total(response.headers_mut(), took);
        }
        span.in_scope(|| self.note(room, &response, started));
        response
    }

    fn note(&self, room: Room, response: &Response<ResponseBody>, started: Instant) {
        let took = self.inner.parts.clock.now().saturating_duration_since(started);
        let (label, status) = (room.as_str(), response.status().as_u16());
        metrics::counter!("ringback_http_requests_total", "room" => label, "class" => class(response.status()))
            .increment(1);
        metrics::histogram!("ringback_http_first_byte_seconds", "room" => label).record(took);
        tracing::info!(status, milliseconds = took.as_secs_f64() * 1_000.0, "request answered");
    }

    async fn room(&self, room: Room, request: Request<Incoming>, peer: Peer) -> Response<ResponseBody> {
        let (mut head, body) = request.into_parts();
        let answered = match self.admit(room, &head, peer.address).await {
            Err(problem) if room == Room::V2010 => return v2010::refuse(&problem).map(ResponseBody::Right),
            Err(problem) if room == Room::Connect => return connect::refuse(&problem).map(ResponseBody::Right),
            Err(problem) => Err(problem),
            Ok(caller) if room.is_routed(&head.method) => {
                head.extensions.insert(caller);
                head.extensions.insert(self.inner.trusted_proxies.way(peer.address, &head.headers, self.inner.is_tls));
                head.extensions.insert(peer);
                let request = Request::from_parts(head, Body::new(body));
                let router = match room {
                    Room::V2010 => &self.inner.v2010,
                    Room::Connect => &self.inner.connect,
                    Room::Docs => &self.inner.docs,
                    Room::Pages => &self.inner.pages,
                    _ => &self.inner.v1,
                };
                // The router's errors are answers: it cannot fail.
                let mut response = match router.clone().oneshot(request).await {
                    Ok(response) => response.map(ResponseBody::Right),
                    Err(never) => match never {},
                };
                // Of prompts it knows those methods alone that change them.
                if room == Room::Prompts && response.status() == StatusCode::METHOD_NOT_ALLOWED {
                    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, PUT, DELETE"));
                }
                return response;
            }
            Ok(caller) => {
                let asker = Asker { tenant: &caller.tenant, subject: caller.subject_at_once() };
                // A body that comes with it is read by nobody.
                places::unless_gone(Some(peer), self.audio(room, asker, &head)).await.unwrap_or_else(Err)
            }
        };
        answered.unwrap_or_else(|problem| refuse(&problem)).map(ResponseBody::Left)
    }

    /// For whom a request acts, if it is one and may be asked.
    async fn admit(&self, room: Room, head: &http::request::Parts, peer: IpAddr) -> Result<Caller, Problem> {
        if !names_one_host(head.version, &head.headers) {
            return Err(Problem::new(Kind::BadRequest, "a request has one Host field, with a host"));
        }
        let from = self.inner.trusted_proxies.origin(peer, &head.headers);
        self.inner.admission.of(room, head, from).await
    }

    async fn audio(
        &self,
        room: Room,
        asker: Asker<'_>,
        head: &http::request::Parts,
    ) -> Result<Response<AudioBody>, Problem> {
        let parts = &self.inner.parts;
        if room == Room::Other {
            return Err(Problem::new(Kind::NotFound, "there is nothing under this path"));
        }
        if !reads(&head.method) {
            return Err(Problem::new(Kind::MethodNotAllowed, "audio is asked for by GET and HEAD"));
        }
        match room {
            Room::Media => audio::artifact(parts, asker, head).await,
            Room::Say => audio::say(parts, asker, head).await,
            Room::Prompts => audio::prompt(parts, asker, head).await,
            _ => audio::fetch(parts, asker, head).await,
        }
    }
}

impl Answer for Edge {
    type Body = ResponseBody;
    type Answering = Answering;

    fn answer(&self, request: Request<Incoming>, peer: &Peer) -> Answering {
        self.answering(request, peer)
    }
}

fn named(mut response: Response<ResponseBody>, id: RandomId) -> Response<ResponseBody> {
    if let Ok(id) = HeaderValue::from_bytes(&id.to_hex()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Tells how long a request took until its headers were ready, behind what its stages took: in one field, because clients take the first or the last.
fn tell_total(headers: &mut HeaderMap, took: Duration) {
    let stages = headers.get(SERVER_TIMING).and_then(|stages| stages.to_str().ok()).map(|stages| format!("{stages}, "));
    let text = format!("{}total;dur={:.1}", stages.unwrap_or_default(), took.as_secs_f64() * 1_000.0);
    headers.insert(SERVER_TIMING, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("total")));
}

/// RFC 9112 §3.2: HTTP/1.1 has Host, nobody has it twice, and its value is a host. Ours answer alike under any.
///
/// Two that disagree are how a cache in front of this node and the node itself come to see different requests.
pub(super) fn names_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version < Version::HTTP_11,
        // The characters of RFC 3986 §3.2.2 and §3.2.3, user names aside.
        (Some(host), None) => {
            host.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
        }
        (Some(_), Some(_)) => false,
    }
}

/// A problem as a response, logged by whose fault it is.
fn refuse(problem: &Problem) -> Response<AudioBody> {
    match problem.kind.side() {
        Side::Us if problem.kind == Kind::Internal => tracing::error!(%problem, "request failed"),
        Side::Us | Side::Origin => tracing::warn!(%problem, "request refused"),
        Side::Client => tracing::info!(%problem, "request refused"),
    }
    let mut response = media_http::problem(problem);
    if problem.kind == Kind::MethodNotAllowed {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// Which room a path belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Media,
    Fetch,
    Say,
    Prompts,
    V1,
    V2010,
    Connect,
    Docs,
    Pages,
    Other,
}

impl Room {
    fn of(path: &str) -> Room {
        let mut parts = path.split('/').skip(1);
        match parts.next() {
            Some("media") => Room::Media,
            Some("fetch") => Room::Fetch,
            Some("say") => Room::Say,
            Some("prompts") => Room::Prompts,
            Some("v1") if parts.next() == Some("AuthTokens") => Room::V2010,
            Some("v1") => Room::V1,
            Some("2010-04-01") => Room::V2010,
            Some("connect") if matches!(parts.next(), Some("token" | "revoke")) => Room::Connect,
            Some("docs") => Room::Docs,
            Some("connect") => Room::Pages,
            _ => Room::Other,
        }
    }

    /// Whether a request is answered by a room's routes rather than with audio.
    fn is_routed(self, method: &Method) -> bool {
        match self {
            Room::V1 | Room::V2010 | Room::Connect | Room::Docs | Room::Pages => true,
            Room::Prompts => !reads(method),
            Room::Media | Room::Fetch | Room::Say | Room::Other => false,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Room::Media => "media",
            Room::Fetch => "fetch",
            Room::Say => "say",
            Room::Prompts => "prompts",
            Room::V1 => "v1",
            Room::V2010 => "v2010",
            Room::Connect => "connect",
            Room::Docs => "docs",
            Room::Pages => "pages",
            Room::Other => "other",
        }
    }
}

pub(super) fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
