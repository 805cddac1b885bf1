//! The media layer: a URL in, telephony audio out, cached under a persistent address (`spec/media.md`).
//!
//! `Media` is the face of the room. A request goes `http` → `Media::fetch` or `Media::artifact` → `hit` or
//! `fill` → `body`. What is named, how it is named and what it is made into is said in `address` and `format`;
//! `origin` brings originals, `audio` turns them into telephony formats, `cache` keeps both.

pub mod format;

pub mod address;

pub mod freshness;

pub mod origin;

pub mod audio;

pub mod cache;

pub mod spool;

pub mod fill;

pub mod proxy;

mod hit;

mod hot;

mod artifact;

mod purge;

mod conditional;

mod body;

pub mod http;

mod config;

mod presets;

mod signing;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    ids::{ArtifactId, Tenant},
    outbound::{Forwarder, Hops},
    problem::{Kind, Problem, Side},
};

use cache::{Cache, CacheError, SourceRecord, Tier};
use fill::{Fill, Finished, From, Joined, Ready, Tried, Wanted};
use format::{Format, Headerless};
use freshness::{Decision, Selection};
use hit::{Found, Hit};
use hot::Hot;
use origin::Origin;
use proxy::Proxy;
use spool::Spools;

pub use address::{AddressError, CanonicalUrl, EXPIRES, FetchPath, IgnoredQuery, KEY, UNSIGNED};
pub(in crate::media) use artifact::Named;
pub use artifact::{Description, Obtained};
pub use audio::{AudioError, Input, Levelled, Limits, Output, PIPELINE, Summary, transcode};
pub use body::AudioBody;
pub use config::Config;
pub use freshness::RequestDirectives;
pub use presets::{PresetError, Presets};
pub use purge::PurgeRequest;
pub use signing::{Config as SigningConfig, Pair, PairError, Signing, SigningError, Standing};

/// How often a request looks at the index again because a fill found that there was nothing to fetch.
const LOOKS_MAX: usize = 4;

/// The media layer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Media {
    cache: Cache,
    spools: Spools,
    tasks: TaskTracker,
    fill: Fill,
    origin: Origin,
    clock: Clock,
    hot: Hot,
    hits: Hits,
    presets: Presets,
    /// How long the origin is waited for where stale audio may stand in.
    stale_wait: Duration,
    presets_only: bool,
}

/// Counters of hits by tier, looked up once: a look-up by name costs more than the hit's own.
#[derive(Clone)]
struct Hits {
    memory: metrics::Counter,
    disk: metrics::Counter,
}

impl Hits {
    fn new() -> Hits {
        let counter = |tier: Tier| metrics::counter!("ringback_media_hits_total", "tier" => tier.as_str());
        Hits { memory: counter(Tier::Memory), disk: counter(Tier::Disk) }
    }

    fn count(&self, tier: Tier) {
        match tier {
            Tier::Memory => self.memory.increment(1),
            Tier::Disk => self.disk.increment(1),
        }
    }
}

impl std::fmt::Debug for Hits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hits")
    }
}

/// Audio of a remote source.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Where from.
    pub url: CanonicalUrl,
    /// What it is, where neither its bytes nor its origin say so, or the origin is wrong: counts only if it has no container.
    pub input: Option<Headerless>,
    /// Into what.
    pub format: Format,
    /// Under what conditions.
    pub directives: RequestDirectives,
    /// Whether the caller needs to know the whole before the first byte: HEAD, ranges, conditions.
    pub whole: bool,
    /// Labels for the reference.
    pub tags: Vec<String>,
    /// What the request went through before this node.
    pub hops: Hops,
}

/// Audio that was found or is being made.
#[derive(Debug)]
pub(in crate::media) struct Opened {
    pub(in crate::media) audio: Audio,
    pub(in crate::media) via: Via,
}

/// Where its bytes are.
#[derive(Debug)]
pub(in crate::media) enum Audio {
    /// In the tiers.
    Hit(Hit, Option<Arc<SourceRecord>>),
    /// In a fill that is whole.
    Filled(Arc<Finished>, Joined),
    /// In a fill that goes on.
    Running(Joined),
}

/// How an answer came about: the parameters of Cache-Status (RFC 9211).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) enum Via {
    /// From the cache alone.
    Hit,
    /// From the cache, after the origin confirmed it.
    Revalidated,
    /// From the cache, stale, because the origin failed or is slow.
    StandIn,
    /// Fetched: the cache had nothing.
    Miss,
    /// Fetched: what the cache had was stale.
    Stale,
    /// Fetched: the caller insisted.
    Request,
    /// Made from an original that was kept.
    Kept,
}

impl Media {
    /// Opens the media layer's stores in `data_directory`. Fills run as tasks of `tasks`, on the runtime that this runs on.
    ///
    /// # Errors
    /// The directory is locked by another process, or a store cannot be opened.
    pub async fn open(
        config: Config,
        data_directory: &Path,
        origin: Origin,
        clock: Clock,
        tasks: TaskTracker,
    ) -> Result<Media, CacheError> {
        let hot = Hot::new(config.hot_max);
        let (presets, presets_only) = (Presets::new(&config.presets), config.presets_only);
        let cache = Cache::open(&config.cache, data_directory).await?;
        let spool_directory = data_directory.join("spool");
        let spools = Spools::open(&spool_directory, config.fill.spool_limits())
            .map_err(|source| CacheError::DataDirectory { path: spool_directory, source: Arc::new(source) })?;
        let stale_wait = config.fill.stale_wait;
        let (filled, spooled) = (tasks.clone(), spools.clone());
        let fill = Fill::new(config.fill, config.audio, cache.clone(), origin.clone(), spooled, clock.clone(), filled);
        Ok(Media {
            cache,
            spools,
            tasks,
            fill,
            origin,
            clock,
            hot,
            hits: Hits::new(),
            presets,
            presets_only,
            stale_wait,
        })
    }

    /// Makes out a format, and what the source is declared to be, from an extension and options, which may name a preset.
    ///
    /// # Errors
    /// `not-acceptable` or `bad-request`, naming the extension or option; `presets-only`.
    pub fn recipe(&self, extension: &str, options: &[(&str, &str)]) -> Result<(Format, Option<Headerless>), Problem> {
        if self.presets_only && !Presets::beside(options).is_empty() {
            let detail = "this node takes no options but \"preset\" (media.presets_only)";
            return Err(Problem::new(Kind::PresetsOnly, detail));
        }
        let options =
            self.presets.expand(options).map_err(|error| Problem::new(Kind::BadRequest, error.to_string()))?;
        let (options, input) = Headerless::take_option(options).map_err(http::format_problem)?;
        Ok((Format::parse(extension, &options).map_err(http::format_problem)?, input))
    }

    /// A reverse proxy on the stores of this layer, in a namespace of its own.
    pub fn proxy(&self, forwarder: Forwarder, config: proxy::Config) -> Proxy {
        let (cache, spools) = (self.cache.clone(), self.spools.clone());
        let parts = proxy::Parts { cache, spools, clock: self.clock.clone(), tasks: self.tasks.clone() };
        Proxy::new(parts, forwarder, config)
    }

    /// Finds or makes audio of a remote source.
    pub(in crate::media) async fn fetch(&self, tenant: &Tenant, request: &FetchRequest) -> Result<Opened, Problem> {
        self.fill.check_allowed(&request.url)?;
        let key = request.url.key();
        if request.directives.no_cache {
            self.fill.forget_failure(&tried(tenant, request));
        }
        let (mut known, mut failed) = (Known::Nothing, None);
        for _ in 0..LOOKS_MAX {
            let record = self.degrade(self.cache.source(tenant, &key).await).flatten();
            let (wanted, via, may_stand_in) = match self.plan(tenant, request, record, known).await? {
                Plan::Serve(opened) => return Ok(opened),
                Plan::Fill { wanted, via, may_stand_in } => (wanted, via, may_stand_in),
            };
            let joined = self.fill.join(wanted);
            let whole = request.whole || request.format.is_held() || request.format.is_raw();
            let ready = async { if whole { joined.whole().await } else { joined.started().await } };
            let ready = if may_stand_in {
                match tokio::time::timeout(self.stale_wait, ready).await {
                    Ok(ready) => ready,
                    Err(_) => {
                        // Who comes after this caller finds the new audio.
                        joined.pin();
                        known = Known::Fails;
                        continue;
                    }
                }
            } else {
                ready.await
            };
            match ready {
                Ok(Ready::Whole(finished)) => return Ok(Opened { audio: Audio::Filled(finished, joined), via }),
                Ok(Ready::Streaming) => return Ok(Opened { audio: Audio::Running(joined), via }),
                Ok(Ready::LookAgain { revalidated }) => {
                    known = if revalidated { Known::Confirmed } else { Known::Nothing };
                }
                // What its origin refused another caller's signature may come with this one's.
                Err(problem) if problem.kind.side() == Side::Origin && joined.is_of_another_address(&request.url) => {
                    failed = Some(problem);
                }
                Err(problem) if may_stand_in && problem.lets_stale_stand_in() => {
                    known = Known::Fails;
                    failed = Some(problem);
                }
                Err(problem) => return Err(problem),
            }
        }
        Err(failed.unwrap_or_else(|| {
            Problem::new(Kind::OriginFailed, "the origin keeps confirming audio that is no longer there")
        }))
    }

    /// Audio of a remote source where that takes nothing but looks into memory: a fresh index entry and all of its artifact.
    pub(in crate::media) fn fetch_in_memory(&self, tenant: &Tenant, request: &FetchRequest) -> Option<Opened> {
        if !request.directives.takes_any_fresh() || self.fill.check_allowed(&request.url).is_err() {
            return None;
        }
        let record = self.cache.source_in_memory(tenant, &request.url.key())?;
        let answers_all = record.selection.as_ref().is_some_and(Selection::is_any);
        if !answers_all || self.clock.now_wall() >= record.fresh_until {
            return None;
        }
        let artifact = artifact_id(request, &record);
        let hit = hit::in_memory(&self.cache, &self.hot, tenant, &artifact)?;
        Some(Opened { audio: Audio::Hit(hit, Some(record)), via: Via::Hit })
    }

    /// What to do for a request, from what the index and the tiers have.
    async fn plan(
        &self,
        tenant: &Tenant,
        request: &FetchRequest,
        record: Option<Arc<SourceRecord>>,
        known: Known,
    ) -> Result<Plan, Problem> {
        let failure = self.fill.failure(&tried(tenant, request));
        let known = match &failure {
            Some(problem) if known == Known::Nothing && problem.lets_stale_stand_in() => Known::Failed,
            _ => known,
        };
        let found = match &record {
            Some(record) => self.find(tenant, record, request).await,
            None => Found::Unknown,
        };
        let kept = match &record {
            Some(record) => self.degrade(self.cache.kept_source(&record.content_hash).await).flatten(),
            None => None,
        };
        let usability = record.as_deref().map_or(Usability::Unusable, |record| self.usability(record, request, known));
        let usable = !matches!(usability, Usability::Unusable | Usability::ToValidate { .. });
        let is_hit = matches!(found, Found::Hit(_));
        let (from, via) = match (&record, kept) {
            (Some(_), Some(kept)) if usable => (From::Kept(kept), Via::Kept),
            // Asking whether it changed is of use only if there is something to serve when it did not.
            (Some(record), kept) if kept.is_some() || is_hit => {
                let via = if request.directives.no_cache { Via::Request } else { Via::Stale };
                (From::Origin(Some(Arc::clone(record))), via)
            }
            (Some(_), _) if !usable => (From::Origin(None), Via::Stale),
            _ => (From::Origin(None), Via::Miss),
        };
        let has_something = is_hit || matches!(from, From::Kept(_)) || matches!(from, From::Origin(Some(_)));
        let may_stand_in = has_something && matches!(usability, Usability::ToValidate { may_stand_in: true });
        let wanted = Wanted {
            tenant: tenant.clone(),
            url: request.url.clone(),
            format: request.format,
            input: request.input,
            from,
            serves: if let Found::Hit(hit) = &found { Some(hit.manifest.artifact) } else { None },
            previous: record.clone(),
            keep: !request.directives.no_store,
            tags: request.tags.clone(),
            hops: request.hops.clone(),
        };
        match found {
            Found::Hit(hit) if usable => {
                let via = self.serve_via(usability, known, wanted);
                return Ok(Plan::Serve(Opened { audio: Audio::Hit(hit, record), via }));
            }
            _ if request.directives.only_if_cached => {
                return Err(Problem::new(Kind::NotCached, "there is no fresh audio of this source in this format"));
            }
            _ => {}
        }
        // Before it joins others: a request of our own that came back would wait for itself.
        self.fill.check_loop(&request.hops)?;
        // Only now: an origin that fails takes nothing from those who do not need it.
        if let Some(problem) = failure
            && !(via == Via::Kept && problem.kind.side() == Side::Origin)
        {
            return Err(problem);
        }
        Ok(Plan::Fill { wanted, via, may_stand_in })
    }

    /// What the index entry of a source is good for, for this request and now.
    fn usability(&self, record: &SourceRecord, request: &FetchRequest, known: Known) -> Usability {
        let now = self.clock.now_wall();
        if known == Known::Confirmed {
            return Usability::Fresh;
        }
        let freshness = self.origin.freshness(request.url.fetch_url(), &record.said, record.times());
        let may_stand_in = freshness.may_stand_in(&request.directives, now);
        if may_stand_in && matches!(known, Known::Fails | Known::Failed) {
            return Usability::Stale;
        }
        let sent = self.origin.constant_fields(request.url.fetch_url());
        let answers =
            record.selection.as_ref().is_some_and(|selection| selection.answers(sent, &record.said.to_headers()));
        match freshness.decide(&request.directives, now) {
            _ if !answers => Usability::ToValidate { may_stand_in: false },
            Decision::Fresh => Usability::Fresh,
            Decision::Stale => Usability::Stale,
            Decision::StaleWhileRevalidate => Usability::StaleWhileRevalidate,
            Decision::Validate => Usability::ToValidate { may_stand_in },
        }
    }

    /// How a hit is served, and what is done behind it.
    fn serve_via(&self, usability: Usability, known: Known, wanted: Wanted) -> Via {
        let reason = match (usability, known) {
            (Usability::Fresh, Known::Confirmed) => return Via::Revalidated,
            (Usability::StaleWhileRevalidate, _) => {
                // Who is not to go out is served all the same.
                if self.fill.check_loop(&wanted.hops).is_ok() {
                    self.fill.refresh(Wanted { from: From::Origin(wanted.previous.clone()), ..wanted });
                }
                "revalidating"
            }
            (Usability::Stale, Known::Fails) => "origin-fails",
            (Usability::Stale, Known::Failed) => "origin-failed",
            (Usability::Stale, _) => "asked",
            _ => return Via::Hit,
        };
        metrics::counter!("ringback_media_stale_total", "reason" => reason).increment(1);
        if known == Known::Fails { Via::StandIn } else { Via::Hit }
    }

    /// The artifact that an index entry leads to.
    async fn find(&self, tenant: &Tenant, record: &SourceRecord, request: &FetchRequest) -> Found {
        let artifact = artifact_id(request, record);
        if let Some(hit) = hit::in_memory(&self.cache, &self.hot, tenant, &artifact) {
            return Found::Hit(hit);
        }
        self.degrade(hit::lookup(&self.cache, tenant, &artifact).await).unwrap_or(Found::Unknown)
    }

    /// Whether the stores work, and load figures for metrics.
    pub fn report(&self) {
        let (queued, flights) = self.fill.load();
        metrics::gauge!("ringback_media_fill_queue_depth").set(queued as f64);
        metrics::gauge!("ringback_media_fill_flights").set(flights as f64);
        metrics::gauge!("ringback_media_spool_bytes").set(self.fill.spooled() as f64);
        let stats = self.cache.stats();
        metrics::gauge!("ringback_media_cache_memory_bytes").set(stats.memory_bytes as f64);
        metrics::gauge!("ringback_media_cache_memory_chunks").set(stats.memory_chunks as f64);
        metrics::gauge!("ringback_media_cache_disk_bytes").set(stats.disk_bytes.unwrap_or_default() as f64);
        metrics::gauge!("ringback_media_cache_disk_writing").set(f64::from(u8::from(stats.disk_writing)));
        metrics::gauge!("ringback_media_catalogue_memory_bytes").set(stats.record_bytes as f64);
        metrics::gauge!("ringback_media_artifacts").set(stats.counts.artifacts as f64);
        metrics::gauge!("ringback_proxy_addresses").set(stats.counts.responses as f64);
    }

    /// Writes what is still in memory to disk. After it nothing is stored any more.
    pub async fn close(&self) {
        self.cache.close().await;
    }

    /// A store that fails makes misses, not errors.
    fn degrade<T>(&self, result: Result<T, CacheError>) -> Option<T> {
        result
            .inspect_err(|error| {
                tracing::error!(%error, "catalogue cannot be read, going on without it");
                metrics::counter!("ringback_media_catalogue_failures_total").increment(1);
            })
            .ok()
    }

    /// Seconds of freshness that are left, and, negative, those that it has been over.
    fn ttl(&self, until: SystemTime) -> i64 {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        until.duration_since(self.clock.now_wall()).map_or_else(|over| -seconds(over.duration()), seconds)
    }
}

enum Plan {
    Serve(Opened),
    Fill {
        wanted: Wanted,
        via: Via,
        /// Whether what is stale may be served if the fill fails, or takes long.
        may_stand_in: bool,
    },
}

/// What is known of a source's origin beside the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    /// It has just said that the index is right.
    Confirmed,
    /// It has just failed, or takes long.
    Fails,
    /// It failed a moment ago.
    Failed,
}

/// What an index entry is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usability {
    /// There is none.
    Unusable,
    /// Its audio is the answer.
    Fresh,
    /// Its audio is the answer, though it is stale.
    Stale,
    /// The same, and the origin is asked behind it.
    StaleWhileRevalidate,
    /// The origin is asked first.
    ToValidate {
        /// If the origin fails, its audio is the answer.
        may_stand_in: bool,
    },
}

/// What a request tries, as far as its failure matters to others.
fn tried(tenant: &Tenant, request: &FetchRequest) -> Tried {
    Tried {
        tenant: tenant.clone(),
        address: request.url.fetched_key(),
        input: request.input,
        raw: request.format.is_raw(),
    }
}

/// The name of what is asked for, of the original that the index knows.
fn artifact_id(request: &FetchRequest, record: &SourceRecord) -> ArtifactId {
    request.format.artifact_id(&record.content_hash, record.input(request.input), audio::PIPELINE)
}
