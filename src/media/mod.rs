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

mod plan;

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

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::{
    clock::Clock,
    concurrency::{Concurrency, Place, Resource, Subject},
    ids::{ArtifactId, SourceKey, Tenant},
    outbound::{Forwarder, Hops},
    problem::{Kind, Problem, Side},
};

use cache::{Cache, CacheError, Commit, Manifest, Reference, SourceRecord};
use fill::{Fill, Finished, Joined, Ready, Tried};
use format::{Format, Headerless};
use hit::{Found, Hit};
use hot::{Hot, Tags};
use origin::Origin;
use plan::{Known, Plan};
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
    /// Where what has to come to its end runs, though whoever asked for it leaves.
    runtime: Handle,
    fill: Fill,
    origin: Origin,
    concurrency: Concurrency,
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
    /// How many fills, and answers that wait for them, may be in progress.
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
    /// Whether its answer counts where audio has to be made for it. Whoever only has audio made is counted by what it asked for, and by the fill.
    pub counts: bool,
    /// For whom it counts; for its tenant where nothing is said.
    pub subject: Option<Subject>,
    /// Whether the caller rather takes something else now than speech too late (`media.speech.deadline`).
    pub takes_stand_in: bool,
}

/// Who asks for audio.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Whose audio it is.
    pub tenant: &'a Tenant,
    /// For whom its answer counts, if that is more than the tenant: a key has limits of its own.
    pub subject: Option<Subject>,
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
            concurrency: concurrency.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
        };
        let fill = Fill::new(config.fill, config.audio, parts);
        Ok(Media {
            cache,
            spools,
            tasks,
            runtime: Handle::current(),
            fill,
            origin,
            concurrency,
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

    /// Finds or makes audio of a source. What is found takes no place; before anything is made, or waited for that others have made, one is taken.
    pub(in crate::media) async fn fetch(&self, tenant: &Tenant, request: &FetchRequest) -> Result<Opened, Problem> {
        self.fetch_with(tenant, request, None).await
    }

    /// The same, for whoever may hold a place already.
    async fn fetch_with(
        &self,
        tenant: &Tenant,
        request: &FetchRequest,
        mut place: Option<Arc<Place>>,
    ) -> Result<Opened, Problem> {
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
                    Err(problem) => return self.instead(tenant, request, problem, place).await,
                },
            };
            let (wanted, via, may_stand_in) = match plan {
                Plan::Serve(opened) => return Ok(opened),
                Plan::Fill { wanted, via, may_stand_in } => (*wanted, via, may_stand_in),
            };
            if place.is_none() {
                match self.admit(tenant, request).await {
                    Ok(held) => {
                        let has_waited = held.as_ref().is_some_and(|held| held.has_waited());
                        place = held;
                        if has_waited {
                            // What it wants may be there by now.
                            continue;
                        }
                    }
                    Err(problem) if may_stand_in && problem.lets_stale_stand_in() => {
                        known = Known::Fails;
                        failed = Some(problem);
                        continue;
                    }
                    Err(problem) => return Err(problem),
                }
            }
            let joined = self.fill.join(wanted, place.clone());
            let whole = request.whole || request.format.is_held() || request.format.is_raw();
            let mut ended = None;
            if let (true, Source::Speech(utterance)) = (request.takes_stand_in, &request.source) {
                match self.spoken_in_time(&joined, whole).await {
                    known::Spoken::InTime(ready) => ended = ready,
                    known::Spoken::Late => {
                        if let Some(opened) = self.stand_in(tenant, request, utterance, place.clone()).await {
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
                Err(problem) => return self.instead(tenant, request, problem, place).await,
            }
        }
        Err(failed.unwrap_or_else(|| {
            Problem::new(Kind::OriginFailed, "the origin keeps confirming audio that is no longer there")
        }))
    }

    /// Takes a place for an answer that has to be made. Each caller has its own, whoever began what it waits for: what it takes of the node, a connection and
    /// what is read ahead for it, is its own as well. What is made is counted once, by whoever makes it (`fill::work`).
    async fn admit(&self, tenant: &Tenant, request: &FetchRequest) -> Result<Option<Arc<Place>>, Problem> {
        if !request.counts {
            return Ok(None);
        }
        let subject = match request.subject {
            Some(subject) => subject,
            None => self.concurrency.subject_of(tenant).await,
        };
        let admitted = self.concurrency.admit(subject, Resource::Fetches).await;
        // It says nothing of the source.
        admitted.map(|place| Some(Arc::new(place))).map_err(|impeded| impeded.problem().passing())
    }

    /// What is known of a source: where this node's knowledge is stale, another's may not be.
    async fn newest(&self, tenant: &Tenant, key: &SourceKey, record: Arc<SourceRecord>) -> Arc<SourceRecord> {
        if record.is_fresh_at(self.clock.now_wall()) {
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
                (is_decided && record.is_fresh_at(self.clock.now_wall())).then_some(record)?
            }
            known => self.known_record(known, known.content_hash()?),
        };
        let artifact = self.artifact_id(tenant, request, &record);
        let hit = hit::in_memory(&self.cache, &self.hot, tenant, &artifact)?;
        // Its reference has to be brought up to date.
        let is_purged = self.cache.is_purged_in_memory(tenant, &artifact);
        (!is_purged).then(|| Opened { audio: Audio::Hit(hit, Some(record)), via: Via::Hit })
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
