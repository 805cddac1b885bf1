//! The media layer: a URL in, telephony audio out, cached under a persistent address (`spec/media.md`).
//!
//! `Media` is the face of the room. A request goes `http` → `Media::fetch` or `Media::artifact` → `hit` or
//! `fill` → `body`. What is named, how it is named and what it is made into is said in `address` and `format`;
//! `origin` brings originals, `audio` turns them into telephony formats, `cache` keeps both.

pub mod format;

pub mod address;

mod source;

mod private;

mod known;

pub mod freshness;

pub mod origin;

pub mod audio;

pub mod speech;

pub mod parts;

pub mod cache;

pub mod spool;

pub mod fill;

pub mod proxy;

mod hit;

mod hot;

mod report;

mod via;

mod artifact;

mod purge;

mod listing;

mod conditional;

mod body;

pub mod http;

mod config;

mod presets;

mod signing;

pub mod uploads;

pub mod prompts;

use std::{
    borrow::Cow,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ::http::StatusCode;
use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    concurrency::Concurrency,
    ids::{ArtifactId, SourceKey, Tenant},
    outbound::{Forwarder, Hops},
    problem::{Kind, Problem, Side},
};

use cache::{Cache, CacheError, Commit, Manifest, Reference, SourceRecord};
use fill::{Fill, Finished, From, Joined, Ready, Tried, Wanted};
use format::{Format, Headerless};
use freshness::Decision;
use hit::{Found, Hit};
use hot::{Hot, Tags};
use origin::Origin;
use private::Private;
use prompts::Prompts;
use proxy::Proxy;
use report::Hits;
use speech::Speech;
use spool::Spools;
use uploads::{Resumable, Uploads};
use via::Via;

pub use address::{AddressError, CanonicalUrl, EXPIRES, FetchPath, IgnoredQuery, KEY, UNSIGNED, Verb};
pub(in crate::media) use artifact::Named;
pub use artifact::{Description, Obtained};
pub use audio::{AudioError, Input, Inspected, Levelled, Limits, Output, PIPELINE, Summary, inspect, transcode};
pub use body::AudioBody;
pub use conditional::Conditions;
pub use config::Config;
pub use freshness::RequestDirectives;
pub use listing::{Listed, Page, SourceStanding};
pub use presets::{PresetError, Presets};
pub use private::Config as PrivateConfig;
pub use purge::PurgeRequest;
pub use report::Lacks;
pub use signing::{Config as SigningConfig, Pair, PairError, Signing, SigningError, Standing};
pub use source::Source;
pub use speech::{SCHEME as SPEECH_SCHEME, TextIn, Wish as SpeechWish};

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
    uploads: Uploads,
    resumable: Resumable,
    prompts: Prompts,
    speech: Speech,
    private: Private,
    presets: Presets,
    /// How long the origin is waited for where stale audio may stand in.
    stale_wait: Duration,
    presets_only: bool,
}

/// What the media layer works with.
#[derive(Debug)]
pub struct Rooms {
    /// Who asks origins.
    pub origin: Origin,
    /// Who speaks.
    pub speech: Speech,
    /// How many fills may be in progress.
    pub concurrency: Concurrency,
    /// Time.
    pub clock: Clock,
    /// Where fills run.
    pub tasks: TaskTracker,
}

/// Audio of a source.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Where from.
    pub source: Source,
    /// What it is, where neither its bytes nor its origin say so, or the origin is wrong: counts only if it has no container.
    pub input: Option<Headerless>,
    /// Into what.
    pub format: Format,
    /// Under what conditions.
    pub directives: RequestDirectives,
    /// Whether the caller needs to know the whole before the first byte: HEAD, ranges, conditions.
    pub whole: bool,
    /// Which of its bytes the caller wants.
    pub conditions: Conditions,
    /// Labels for the reference.
    pub tags: Vec<String>,
    /// What the request went through before this node.
    pub hops: Hops,
    /// Whether the caller rather takes something else now than speech too late (`media.speech.deadline`).
    pub takes_stand_in: bool,
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

impl Media {
    /// Opens the media layer's stores in `data_directory`. Fills run on the runtime that this runs on.
    ///
    /// # Errors
    /// The directory is locked by another process, or a store cannot be opened.
    pub async fn open(config: Config, data_directory: &Path, rooms: Rooms) -> Result<Media, CacheError> {
        let Rooms { origin, speech, concurrency, clock, tasks } = rooms;
        let hot = Hot::new(config.hot_max);
        let (presets, presets_only) = (Presets::new(&config.presets), config.presets_only);
        let cache = Cache::open(&config.cache, data_directory, clock.clone()).await?;
        let spool_directory = data_directory.join("spool");
        let spools = Spools::open(&spool_directory, config.fill.spool_limits())
            .map_err(|source| CacheError::DataDirectory { path: spool_directory, source: Arc::new(source) })?;
        let uploads = Uploads::open(&config.uploads, data_directory, &cache, spools.clone(), clock.clone()).await?;
        let resumable = Resumable::open(&config.uploads, data_directory, uploads.clone(), clock.clone())
            .map_err(|source| CacheError::DataDirectory { path: data_directory.into(), source: Arc::new(source) })?;
        let prompts = Prompts::new(&config.prompts, uploads.store(), clock.clone());
        let private = Private::open(&config.private, data_directory)
            .map_err(|source| CacheError::DataDirectory { path: data_directory.into(), source: Arc::new(source) })?;
        let stale_wait = config.fill.stale_wait;
        let parts = fill::Parts {
            cache: cache.clone(),
            origin: origin.clone(),
            uploads: uploads.clone(),
            speech: speech.clone(),
            private: private.clone(),
            spools: spools.clone(),
            concurrency,
            clock: clock.clone(),
            tasks: tasks.clone(),
        };
        let fill = Fill::new(config.fill, config.audio, parts);
        Ok(Media {
            cache,
            spools,
            tasks,
            fill,
            origin,
            clock,
            hot,
            hits: Hits::new(),
            uploads,
            resumable,
            prompts,
            speech,
            private,
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
        self.check_presets_only(options)?;
        let options = self.expand(options)?;
        let (options, input) = Headerless::take_option(options).map_err(http::format_problem)?;
        Ok((Format::parse(extension, &options).map_err(http::format_problem)?, input))
    }

    fn check_presets_only(&self, options: &[(&str, &str)]) -> Result<(), Problem> {
        if self.presets_only && !Presets::beside(options).is_empty() {
            let detail = "this node takes no options but \"preset\" (media.presets_only)";
            return Err(Problem::new(Kind::PresetsOnly, detail));
        }
        Ok(())
    }

    fn expand<'a>(&'a self, options: &'a [(&'a str, &'a str)]) -> Result<Cow<'a, [(&'a str, &'a str)]>, Problem> {
        self.presets.expand(options).map_err(|error| Problem::new(Kind::BadRequest, error.to_string()))
    }

    /// What people have put here.
    pub fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Uploads that come in parts.
    pub fn resumable(&self) -> &Resumable {
        &self.resumable
    }

    /// Names that stand for what people have put here.
    pub fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// A reverse proxy on the stores of this layer, in a namespace of its own.
    pub fn proxy(&self, forwarder: Forwarder, config: proxy::Config) -> Proxy {
        let (cache, spools) = (self.cache.clone(), self.spools.clone());
        let parts = proxy::Parts { cache, spools, clock: self.clock.clone(), tasks: self.tasks.clone() };
        Proxy::new(parts, forwarder, config)
    }

    /// Finds or makes audio of a source.
    pub(in crate::media) async fn fetch(&self, tenant: &Tenant, request: &FetchRequest) -> Result<Opened, Problem> {
        if let Some(url) = request.source.url() {
            self.origin.check_allowed(url.fetch_url())?;
        }
        let key = request.source.key();
        if request.directives.no_cache {
            self.fill.forget_failure(&tried(tenant, request), key);
        }
        let (mut known, mut failed) = (Known::Nothing, None);
        for _ in 0..LOOKS_MAX {
            let plan = match &request.source {
                Source::Url(url) => {
                    let record = self.degrade(self.cache.source(tenant, &key).await).flatten();
                    let record = match record {
                        Some(record) if known == Known::Nothing => Some(self.newest(tenant, &key, record).await),
                        record => record,
                    };
                    self.plan(tenant, request, url, record, known).await?
                }
                _ => match self.plan_known(tenant, request).await {
                    Ok(plan) => plan,
                    // How it failed is remembered, and heard by whoever comes next: as by the first.
                    Err(problem) => return self.instead(tenant, request, problem).await,
                },
            };
            let (wanted, via, may_stand_in) = match plan {
                Plan::Serve(opened) => return Ok(opened),
                Plan::Fill { wanted, via, may_stand_in } => (*wanted, via, may_stand_in),
            };
            let joined = self.fill.join(wanted);
            let whole = request.whole || request.format.is_held() || request.format.is_raw();
            let mut ended = None;
            if let (true, Source::Speech(utterance)) = (request.takes_stand_in, &request.source) {
                match self.spoken_in_time(&joined, whole).await {
                    known::Spoken::InTime(ready) => ended = ready,
                    known::Spoken::Late => {
                        if let Some(opened) = self.stand_in(tenant, request, utterance).await {
                            // Whoever comes after this caller hears what was asked for.
                            if joined.keeps() {
                                joined.pin();
                            }
                            return Ok(opened);
                        }
                    }
                }
            }
            let ready = async {
                match ended {
                    Some(ready) => ready,
                    None if whole => joined.whole().await,
                    None => joined.started().await,
                }
            };
            let ready = if may_stand_in {
                match tokio::time::timeout(self.stale_wait, ready).await {
                    Ok(ready) => ready,
                    Err(_) => {
                        // Who comes after this caller finds the new audio.
                        if joined.keeps() {
                            joined.pin();
                        }
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
                Ok(Ready::LookAgain { confirmed }) => {
                    known = confirmed.map_or(Known::Nothing, |status| Known::Confirmed { status, why: via.why() });
                }
                Err(problem) if may_stand_in && problem.lets_stale_stand_in() => {
                    known = Known::Fails;
                    failed = Some(problem);
                }
                // What its origin refused another caller's signature may come with this one's.
                Err(problem)
                    if problem.kind.side() == Side::Origin && joined.is_of_another_address(&request.source) =>
                {
                    failed = Some(problem);
                }
                Err(problem) => return self.instead(tenant, request, problem).await,
            }
        }
        Err(failed.unwrap_or_else(|| {
            Problem::new(Kind::OriginFailed, "the origin keeps confirming audio that is no longer there")
        }))
    }

    /// What is known of a source: where this node's knowledge is stale, another's may not be.
    async fn newest(&self, tenant: &Tenant, key: &SourceKey, record: Arc<SourceRecord>) -> Arc<SourceRecord> {
        if self.clock.now_wall() < record.fresh_until {
            return record;
        }
        self.degrade(self.cache.source_elsewhere(tenant, key, &record).await).flatten().unwrap_or(record)
    }

    /// Audio of a source where that takes nothing but looks into memory: a fresh index entry, if it needs one, and all of its artifact.
    pub(in crate::media) fn fetch_in_memory(&self, tenant: &Tenant, request: &FetchRequest) -> Option<Opened> {
        if !request.directives.takes_any_fresh() {
            return None;
        }
        let record = match &request.source {
            Source::Url(url) => {
                self.origin.check_allowed(url.fetch_url()).ok()?;
                let record = self.cache.source_in_memory(tenant, &url.key())?;
                // By these rules it was decided until when it is fresh, and that our requests choose it.
                let is_decided = record.rules_stamp == self.origin.rules_stamp() && record.selection.is_some();
                (is_decided && self.clock.now_wall() < record.fresh_until).then_some(record)?
            }
            known => self.known_record(known, known.content_hash()?),
        };
        let artifact = self.artifact_id(tenant, request, &record);
        let hit = hit::in_memory(&self.cache, &self.hot, tenant, &artifact)?;
        // Its reference has to be brought up to date.
        let is_purged = self.cache.is_purged_in_memory(tenant, &artifact);
        (!is_purged).then(|| Opened { audio: Audio::Hit(hit, Some(record)), via: Via::Hit })
    }

    /// What to do for a request of a remote source, from what the index and the tiers have.
    async fn plan(
        &self,
        tenant: &Tenant,
        request: &FetchRequest,
        url: &CanonicalUrl,
        record: Option<Arc<SourceRecord>>,
        known: Known,
    ) -> Result<Plan, Problem> {
        let failure = self.fill.failure(&tried(tenant, request));
        let known = match known {
            Known::Nothing if self.has_failed(tenant, request, failure.as_ref()) => Known::Failed,
            known => known,
        };
        let record = record.and_then(|record| self.current(record, url));
        let found = match &record {
            Some(record) => self.find(tenant, record, request).await,
            None => Found::Unknown,
        };
        let usability = record.as_deref().map_or(Usability::None, |record| self.usability(record, request, url, known));
        // The origin has said since that its source is not there, or not for us: that is an answer.
        let usability = match usability {
            Usability::StaleWhileRevalidate if failure.as_ref().is_some_and(|problem| problem.is_final) => {
                Usability::ToValidate { may_stand_in: false }
            }
            usability => usability,
        };
        let is_usable = !matches!(usability, Usability::None | Usability::OtherVariant | Usability::ToValidate { .. });
        let wanted = Wanted {
            tenant: tenant.clone(),
            source: request.source.clone(),
            format: request.format,
            input: request.input,
            from: From::Origin(record.clone()),
            serves: if let Found::Hit(hit) = &found { Some(hit.manifest.artifact) } else { None },
            previous: record.clone(),
            keep: !request.directives.no_store,
            tags: request.tags.clone(),
            hops: request.hops.clone(),
        };
        let is_hit = match found {
            Found::Hit(hit) if is_usable => {
                if let Some(record) = &record {
                    self.confirm_reference(tenant, request, &hit, record).await;
                }
                let asks_behind = usability == Usability::StaleWhileRevalidate
                    && failure.is_none()
                    && !request.directives.only_if_cached
                    && self.origin.check_loop(&request.hops).is_ok();
                if asks_behind {
                    self.fill.refresh(wanted);
                }
                let via = served_via(usability, known);
                return Ok(Plan::Serve(Opened { audio: Audio::Hit(hit, record), via }));
            }
            Found::Hit(_) => true,
            _ => false,
        };
        if request.directives.only_if_cached {
            return Err(not_cached());
        }
        let kept = match &record {
            Some(record) => self.degrade(self.cache.kept_source(&record.content_hash).await).flatten(),
            None => None,
        };
        // Asking whether it changed is of use only if there is something to serve when it did not.
        let has_something = is_hit || kept.is_some();
        let (from, via) = match (&record, kept) {
            (Some(_), Some(kept)) if is_usable => (From::Kept(kept), Via::Kept),
            (Some(record), _) if has_something => {
                let is_fresh = self.clock.now_wall() < record.fresh_until;
                let via = match usability {
                    Usability::OtherVariant => Via::Variant,
                    _ if request.directives.no_cache || is_fresh => Via::Request,
                    _ => Via::Stale,
                };
                (From::Origin(Some(Arc::clone(record))), via)
            }
            (Some(_), _) if !is_usable => (From::Origin(None), Via::Stale),
            _ => (From::Origin(None), Via::Miss),
        };
        let may_stand_in = has_something && usability == Usability::ToValidate { may_stand_in: true };
        // Before it joins others: a request of our own that came back would wait for itself.
        self.origin.check_loop(&request.hops)?;
        // Only now: an origin that fails takes nothing from those who do not need it.
        let is_of_the_origin = |problem: &Problem| problem.kind.side() == Side::Origin || problem.lets_stale_stand_in();
        if let Some(problem) = failure.filter(|problem| via != Via::Kept || !is_of_the_origin(problem)) {
            return Err(problem);
        }
        Ok(Plan::Fill { wanted: Box::new(Wanted { from, ..wanted }), via, may_stand_in })
    }

    /// Whether the source's origin failed to give an answer a moment ago, to this caller or another.
    fn has_failed(&self, tenant: &Tenant, request: &FetchRequest, failure: Option<&Problem>) -> bool {
        failure.is_some_and(Problem::lets_stale_stand_in)
            || self.fill.source_failure(tenant, request.source.key()).is_some()
    }

    /// An index entry as today's rules see it: none, where they do not allow that it is kept.
    fn current(&self, record: Arc<SourceRecord>, url: &CanonicalUrl) -> Option<Arc<SourceRecord>> {
        let stamp = self.origin.rules_stamp();
        if record.rules_stamp == stamp {
            return Some(record);
        }
        let url = url.fetch_url();
        if !self.origin.may_keep(url, &record.said) {
            return None;
        }
        let freshness = self.origin.freshness(url, &record.said, record.times());
        let fresh_until = record.checked_at + freshness.fresh_for(record.checked_at);
        Some(Arc::new(SourceRecord { fresh_until, rules_stamp: stamp, ..SourceRecord::clone(&record) }))
    }

    /// What the index entry of a source is good for, for this request and now.
    fn usability(&self, record: &SourceRecord, request: &FetchRequest, url: &CanonicalUrl, known: Known) -> Usability {
        let now = self.clock.now_wall();
        if matches!(known, Known::Confirmed { .. }) {
            return Usability::Fresh;
        }
        let url = url.fetch_url();
        let (sent, said) = (self.origin.constant_fields(url), record.said.to_headers());
        if !record.selection.as_ref().is_some_and(|selection| selection.answers(sent, &said)) {
            return Usability::OtherVariant;
        }
        let freshness = self.origin.freshness(url, &record.said, record.times());
        let may_stand_in = freshness.may_stand_in(&request.directives, now);
        let decision = freshness.decide(&request.directives, now);
        match decision {
            Decision::Fresh => Usability::Fresh,
            _ if may_stand_in && matches!(known, Known::Fails | Known::Failed) => Usability::Stale,
            Decision::Stale => Usability::Stale,
            Decision::StaleWhileRevalidate => Usability::StaleWhileRevalidate,
            Decision::Validate => Usability::ToValidate { may_stand_in },
        }
    }

    /// Has a hit's persistent address outlive a purge, too, once its source was got again with the same bytes.
    async fn confirm_reference(&self, tenant: &Tenant, request: &FetchRequest, hit: &Hit, record: &SourceRecord) {
        if !self.cache.is_purged_in_memory(tenant, &hit.manifest.artifact) {
            return;
        }
        let reference = Reference {
            source_url: record.url.clone(),
            asked_at: Some(record.asked_at()),
            also: Vec::new(),
            ..Reference::clone(&hit.reference)
        };
        let reference = Some((hit.manifest.artifact, reference));
        let commit = Commit { reference, ..Commit::new(tenant.clone(), request.source.key()) };
        self.degrade(self.cache.commit(commit).await);
    }

    /// The artifact that an index entry leads to.
    async fn find(&self, tenant: &Tenant, record: &SourceRecord, request: &FetchRequest) -> Found {
        let artifact = self.artifact_id(tenant, request, record);
        if let Some(hit) = hit::in_memory(&self.cache, &self.hot, tenant, &artifact) {
            return Found::Hit(hit);
        }
        let modified = to_the_second(record.modified());
        let sent = |manifest: &Manifest, tags: &Tags| request.conditions.sent(tags.representation(manifest, modified));
        self.degrade(hit::lookup(&self.cache, tenant, &artifact, |_| true, sent).await).unwrap_or(Found::Unknown)
    }

    /// The name of what is asked for, of the original that the index knows.
    fn artifact_id(&self, tenant: &Tenant, request: &FetchRequest, record: &SourceRecord) -> ArtifactId {
        let public = request.format.artifact_id(&record.content_hash, record.input(request.input), audio::PIPELINE);
        self.private.name(request.source.visibility(), tenant, public)
    }

    /// Bytes of audio on its way: none once every fill has ended and its readers have gone.
    pub fn spooled(&self) -> u64 {
        self.fill.spooled()
    }

    /// Writes what is still in memory to disk. After it nothing is stored any more.
    pub async fn close(&self) {
        self.cache.close().await;
    }

    /// A store that fails makes misses, not errors.
    fn degrade<T>(&self, result: Result<T, CacheError>) -> Option<T> {
        result
            .inspect_err(|error| match error {
                // Counted where it is asked, and no fault of this node's.
                CacheError::Durable { .. } => tracing::debug!(%error, "going on without the durable tier"),
                _ => {
                    tracing::error!(%error, "catalogue cannot be read, going on without it");
                    metrics::counter!("ringback_media_catalogue_failures_total").increment(1);
                }
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
        wanted: Box<Wanted>,
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
    Confirmed {
        /// By this.
        status: StatusCode,
        /// Why it was asked.
        why: &'static str,
    },
    /// It has just failed, or takes long.
    Fails,
    /// It failed a moment ago.
    Failed,
}

/// What an index entry is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usability {
    /// There is no entry.
    None,
    /// Its audio is the answer.
    Fresh,
    /// Its audio is the answer, though it is stale.
    Stale,
    /// The same, and the origin is asked behind it.
    StaleWhileRevalidate,
    /// Another request than ours chose it, or there is no telling.
    OtherVariant,
    /// The origin is asked first.
    ToValidate {
        /// If the origin fails, its audio is the answer.
        may_stand_in: bool,
    },
}

/// How a hit is served.
fn served_via(usability: Usability, known: Known) -> Via {
    let reason = match (usability, known) {
        (Usability::Fresh, Known::Confirmed { status, why }) => return Via::Revalidated { status, why },
        (Usability::StaleWhileRevalidate, _) => "revalidating",
        (Usability::Stale, Known::Fails) => "origin-fails",
        (Usability::Stale, Known::Failed) => "origin-failed",
        (Usability::Stale, _) => "asked",
        _ => return Via::Hit,
    };
    metrics::counter!("ringback_media_stale_total", "reason" => reason).increment(1);
    if known == Known::Fails { Via::StandIn } else { Via::Hit }
}

/// What a request tries, as far as its failure matters to others.
fn tried(tenant: &Tenant, request: &FetchRequest) -> Tried {
    Tried::new(tenant, &request.source, request.format, request.input)
}

/// Dates on the wire have no fractions: comparing with them would make every second request a miss.
fn to_the_second(time: SystemTime) -> Option<SystemTime> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn not_cached() -> Problem {
    Problem::new(Kind::NotCached, "there is no audio of this source in this format to be used now")
}
