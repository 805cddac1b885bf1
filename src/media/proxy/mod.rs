//! The reverse proxy: stands in front of one origin, passes everything on as it is, and keeps what HTTP lets a shared cache keep.
//!
//! It uses the stores of the media layer (chunks in memory and on disk, records in the catalogue) in a namespace of its own: no artifact,
//! no reference, no header rule of audio. A request goes
//!
//! ```text
//! request → kept? ── fresh ───────────────────────────► answer          respond.rs, body.rs
//!   │         └ stale, in its window ► answer; behind it: ask
//!   ▼
//! flight: first? ── no ─► wait for its head: share it, look again, or ask alone      flight.rs
//!   │ yes
//!   ▼
//! exchange: ask the origin, with validators ─► 304: bring up to date, answer from the store
//!   │                                          error: what is stale may stand in
//!   ├ may not be kept ─► passed on as it comes
//!   └ may be kept ─────► spool ─► every caller; chunks ─► tiers; at the end the record, then the last byte    incoming.rs
//! ```
//!
//! What may be kept and used is decided by `media::freshness` alone.

mod body;

mod config;

mod exchange;

mod flight;

mod incoming;

mod request;

mod respond;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    media::{
        cache::{Cache, Responses, StoredResponse, Which},
        conditional,
        freshness::{Decision, Freshness, RequestDirectives, Rules, Times},
        http::problem as problem_response,
        spool::Spools,
    },
    outbound::{Cause, Forwarder, Hops},
    problem::{Kind, Problem, Side},
};

use flight::{Flights, Outcome, Place};
use incoming::Incoming;
use request::Asked;

pub use body::Body;
pub use config::Config;

/// How often a request looks at the store again because another's request to the origin ended.
const LOOKS_MAX: usize = 4;

/// The methods that are passed on, to who has tried another; unknown ones are too.
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// The reverse proxy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Proxy {
    inner: Arc<Inner>,
}

/// What the proxy is made of.
#[derive(Debug)]
struct Inner {
    cache: Cache,
    spools: Spools,
    forwarder: Forwarder,
    config: Config,
    rules: Rules,
    clock: Clock,
    flights: Flights,
    /// A permit for each response that is being kept.
    storing: Arc<Semaphore>,
    /// Work that outlives its request, and where it runs.
    tasks: TaskTracker,
    runtime: Handle,
}

/// A kept response that answers a request, if it is fresh enough.
#[derive(Clone, Debug)]
struct Kept {
    /// Those of its address, and which of them it is.
    among: Arc<Responses>,
    index: usize,
    freshness: Freshness,
    /// Its first chunk, which is there.
    first: Option<Bytes>,
}

/// How an answer came about: the label of metrics.
#[derive(Clone, Copy, Debug)]
enum Via {
    /// From the store.
    Hit,
    /// From the store though it is stale.
    Stale,
    /// From the store, confirmed by the origin.
    Revalidated,
    /// From what another request is bringing in.
    Shared,
    /// From the origin, and kept.
    Miss,
    /// From the origin.
    Pass,
    /// Refused, or failed.
    Problem,
}

impl Via {
    const fn as_str(self) -> &'static str {
        match self {
            Via::Hit => "hit",
            Via::Stale => "stale",
            Via::Revalidated => "revalidated",
            Via::Shared => "shared",
            Via::Miss => "miss",
            Via::Pass => "pass",
            Via::Problem => "problem",
        }
    }
}

/// The stores and the way out.
pub(in crate::media) struct Parts {
    pub(in crate::media) cache: Cache,
    pub(in crate::media) spools: Spools,
    pub(in crate::media) clock: Clock,
    pub(in crate::media) tasks: TaskTracker,
}

impl Proxy {
    /// A proxy on these stores. Responses come in as tasks of `parts.tasks`, on the runtime that this runs on.
    pub(in crate::media) fn new(parts: Parts, forwarder: Forwarder, config: Config) -> Proxy {
        let Parts { cache, spools, clock, tasks } = parts;
        let flights = Flights::new(config.pass_memory);
        let storing = Arc::new(Semaphore::new(config.storing_max));
        let (rules, runtime) = (config.rules(), Handle::current());
        let inner = Inner { cache, spools, forwarder, config, rules, clock, flights, storing, tasks, runtime };
        Proxy { inner: Arc::new(inner) }
    }

    /// Answers a request. What cannot be answered is a problem, as the rest of the node tells it.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Cause>,
    {
        let (head, body) = request.into_parts();
        let answered = match Asked::of(head, self.inner.config.pass_host) {
            Ok(asked) => self.inner.dispatch(asked, body).await,
            Err(problem) => Err(problem),
        };
        let (response, via) = answered.unwrap_or_else(|problem| (refuse(&problem), Via::Problem));
        metrics::counter!("ringback_proxy_answers_total", "via" => via.as_str()).increment(1);
        response
    }
}

type Answered = Result<(Response<Body>, Via), Problem>;

impl Inner {
    async fn dispatch<B>(self: &Arc<Self>, asked: Asked, body: B) -> Answered
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Cause>,
    {
        let has_body = !body.is_end_stream();
        if asked.may_use_cache(has_body) {
            return self.from_cache(asked).await;
        }
        self.check_loop(&asked)?;
        self.pass(asked, body).await
    }

    /// One that comes back would wait for itself.
    fn check_loop(&self, asked: &Asked) -> Result<(), Problem> {
        self.forwarder.check_loop(&Hops::of(&asked.headers))
    }

    /// Answers GET and HEAD: from the store, from what another is bringing in, or from the origin.
    async fn from_cache(self: &Arc<Self>, asked: Asked) -> Answered {
        let mut kept = None;
        for _ in 0..LOOKS_MAX {
            kept = self.find(&asked).await;
            if let Some(kept) = &kept {
                let now = self.clock.now_wall();
                match kept.freshness.decide(&asked.directives, now) {
                    Decision::Fresh => return Ok((self.serve(&asked, kept), Via::Hit)),
                    Decision::Stale => return Ok((self.serve(&asked, kept), Via::Stale)),
                    Decision::StaleWhileRevalidate => {
                        self.ask_behind(&asked, kept);
                        return Ok((self.serve(&asked, kept), Via::Stale));
                    }
                    Decision::Validate => {}
                }
            }
            if asked.directives.only_if_cached {
                return Err(Problem::new(Kind::NotCached, "there is no response in the store that may be used"));
            }
            self.check_loop(&asked)?;
            let asks_of_kept = kept.as_ref().is_some_and(Kept::has_validator);
            if !asked.may_share(asks_of_kept) || self.flights.is_passed(&asked.key, self.clock.now()) {
                break;
            }
            let follow = match self.flights.join(asked.key) {
                Place::Lead(lead) => return self.ask(&asked, kept, Some(lead)).await,
                Place::Follow(follow) => follow,
            };
            match follow.outcome().await {
                Outcome::Incoming(incoming) => {
                    let now = self.clock.now_wall();
                    if !incoming.answers(&asked.headers, &asked.directives, now) {
                        break;
                    }
                    return Ok((self.serve_incoming(&asked, &incoming), Via::Shared));
                }
                Outcome::LookAgain => {}
                Outcome::PassOn => break,
                Outcome::Failed(problem) => return self.stand_in(&asked, kept.as_ref()).ok_or(problem),
            }
        }
        self.ask(&asked, kept, None).await
    }

    /// What is kept for a request, all of whose bytes are there. What is not is forgotten.
    async fn find(&self, asked: &Asked) -> Option<Kept> {
        let responses = match self.cache.responses_in_memory(&asked.key) {
            Some(responses) => Some(responses),
            None => self.cache.responses(&asked.key).await.unwrap_or_else(|error| {
                tracing::error!(%error, "the catalogue cannot be read, going on without it");
                None
            }),
        };
        let among = responses?;
        let index = among.answering(&asked.headers)?;
        let response = among.variants.get(index)?;
        let first = match response.chunks.first() {
            Some(chunk) => self.cache.chunk(&chunk.id).await.map(|(bytes, _)| Some(bytes)),
            None => Some(None),
        };
        let others_there = response.chunks.iter().skip(1).all(|chunk| self.cache.chunk_tier(&chunk.id).is_some());
        let Some(first) = first.filter(|_| others_there) else {
            self.forget(asked.key, Some(Which::of(response))).await;
            return None;
        };
        let freshness = self.freshness(response);
        Some(Kept { among, index, freshness, first })
    }

    fn freshness(&self, response: &StoredResponse) -> Freshness {
        let times = Times { request: response.request_time, response: response.response_time };
        Freshness::of(response.status(), &response.headers, times, &self.rules)
    }

    /// Answers with what is kept.
    fn serve(&self, asked: &Asked, kept: &Kept) -> Response<Body> {
        let response = kept.response();
        let decision = respond::decide(asked, response);
        let head = respond::kept_head(response, kept.freshness.age(self.clock.now_wall()), &decision);
        let range = decision.sent(response.length);
        respond::with_body(head, &asked.method, || {
            body::kept(&self.cache, &response.chunks, kept.first.as_ref(), range)
        })
    }

    /// Answers with what is coming in.
    fn serve_incoming(&self, asked: &Asked, incoming: &Incoming) -> Response<Body> {
        let age = incoming.freshness.age(self.clock.now_wall());
        let head = if respond::is_unchanged(asked, &incoming.response) {
            respond::kept_head(&incoming.response, age, &conditional::Decision::NotModified)
        } else {
            respond::incoming_head(&incoming.response, age, incoming.length)
        };
        respond::with_body(head, &asked.method, || body::incoming(incoming.spool.clone()))
    }

    /// The kept response in the place of an origin that fails, where it may be.
    fn stand_in(&self, asked: &Asked, kept: Option<&Kept>) -> Option<(Response<Body>, Via)> {
        let now = self.clock.now_wall();
        let kept = kept.filter(|kept| kept.may_stand_in(&asked.directives, now, &self.config))?;
        Some((self.serve(asked, kept), Via::Stale))
    }

    /// Asks the origin anew for what was answered from the store, if nobody does yet.
    fn ask_behind(self: &Arc<Self>, asked: &Asked, kept: &Kept) {
        let Some(lead) = self.flights.lead(asked.key) else { return };
        let (inner, asked, kept) = (Arc::clone(self), asked.for_all(), kept.clone());
        let asking = async move {
            if let Err(problem) = inner.ask(&asked, Some(kept), Some(lead)).await {
                tracing::info!(%problem, "what was used stale could not be asked for anew");
            }
        };
        drop(self.tasks.spawn_on(asking, &self.runtime));
    }
}

impl Kept {
    fn response(&self) -> &StoredResponse {
        &self.among.variants[self.index]
    }

    /// Whether its origin can be asked if it has changed.
    fn has_validator(&self) -> bool {
        let headers = &self.response().headers;
        headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED)
    }

    /// Whether it may be used though the origin cannot be reached: what the response and the request say, or else the operator.
    fn may_stand_in(&self, directives: &RequestDirectives, now: SystemTime, config: &Config) -> bool {
        let mut freshness = self.freshness.clone();
        let is_said = freshness.directives.stale_if_error.is_some() || freshness.directives.s_maxage.is_some();
        if !is_said {
            freshness.stale_if_error = config.stale_if_unreachable;
        }
        freshness.may_stand_in(directives, now)
    }
}

/// A problem as a response, logged by whose fault it is.
pub fn refuse(problem: &Problem) -> Response<Body> {
    match problem.kind.side() {
        Side::Client => tracing::info!(%problem, "request refused"),
        Side::Us | Side::Origin => tracing::warn!(%problem, "request refused"),
    }
    let mut response = problem_response(problem).map(BodyExt::boxed_unsync);
    if problem.kind == Kind::MethodNotAllowed {
        response.headers_mut().insert(header::ALLOW, ALLOW);
    }
    response
}
