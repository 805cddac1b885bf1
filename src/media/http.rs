//! `/media` and `/fetch` over HTTP: requests in, responses with audio out (`spec/media.md` §2, `spec/wire.md` §1).

mod prompt;

mod refused;

mod say;

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version,
    header::{self},
    request::Parts,
};

use crate::{
    ids::{ArtifactId, Tenant},
    media::{
        AudioBody, FetchRequest, Media,
        address::{FetchPath, IgnoredQuery, MediaPath, Verb},
        audio,
        cache::{Manifest, SourceRecord, Tier, Visibility},
        conditional::{self, Conditions, Decision, Representation},
        fill::{Finished, Stages, Stored},
        format::Format,
        freshness::RequestDirectives,
        hit::{self, There},
        hot::Tags,
    },
    outbound::Hops,
    problem::{Kind, Problem},
};

use super::{
    Asker, Audio, Named, Opened, Via, address::CanonicalUrl, artifact::ByName, private::Private, to_the_second,
};

pub use prompt::{prompt, prompt_in_memory, prompt_path};
pub(super) use refused::format_problem;
pub use refused::{CHALLENGE, ProblemBody, problem};
pub use say::{JambonzRequest, jambonz, say, say_in_memory};

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What is said of bytes of which nobody knows what they are.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Persistent addresses never change meaning.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// What was revoked lives on elsewhere for as long at most (`spec/trust.md` §2).
const PRIVATE: HeaderValue = HeaderValue::from_static("private, max-age=60");
/// The same.
const PRIVATE_AGE_MAX: Duration = Duration::from_secs(60);
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const HIT_MEMORY: HeaderValue = HeaderValue::from_static("ringback; hit; ttl=31536000; detail=memory");
const HIT_DISK: HeaderValue = HeaderValue::from_static("ringback; hit; ttl=31536000; detail=disk");
const HIT_DIRECTORY: HeaderValue = HeaderValue::from_static("ringback; hit; ttl=31536000; detail=directory");
const HIT_S3: HeaderValue = HeaderValue::from_static("ringback; hit; ttl=31536000; detail=s3");

/// Last-Modified of every artifact of this pipeline: the day its versions were set. A constant, so that nodes agree.
const PIPELINE_SINCE: HeaderValue = HeaderValue::from_static("Fri, 27 Nov 2026 00:00:00 GMT");
/// [`PIPELINE_SINCE`] in seconds of the Unix epoch.
const PIPELINE_SINCE_SECONDS: u64 = 1_795_737_600;

/// Answers `GET` and `HEAD /media/{artifact}.{ext}` where all of it is in memory; none where that takes more than a look.
///
/// This is the hot path: it waits for nothing and formats nothing but what the artifact itself says.
pub fn artifact_in_memory(media: &Media, tenant: &Tenant, parts: &Parts) -> Option<Response<AudioBody>> {
    let path = MediaPath::parse(parts.uri.path()).ok()?;
    let MediaPath { artifact, extension, .. } = path;
    let entry = media.hot.get(&media.cache, tenant, &artifact)?;
    let visibility = entry.reference.visibility;
    let may = visibility == Visibility::Public || media.opens(tenant, &path);
    if !may || media.cache.is_purged_in_memory(tenant, &artifact) {
        return None;
    }
    let manifest = &entry.manifest;
    if !manifest.format.answers_to(extension) {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(12);
    artifact_headers(&mut headers, manifest, visibility, entry.tags.clone(), extension);
    headers.insert(CACHE_STATUS, HIT_MEMORY);
    let decision = decide(parts, &headers, manifest.length, pipeline_since());
    // Bytes that are not sent need not be there: what the tag names never changes.
    let there = hit::chunks_in_memory(&media.cache, manifest, decision.sent(manifest.length))?;
    let there = There { chunks: there, rest: None };
    Some(media.answer_hit(parts, headers, manifest, there, Tier::Memory, decision))
}

/// Answers `GET` and `HEAD /media/{artifact}.{ext}`. An answer for which audio was made has the place that it holds among its extensions (`Arc<Place>`), and so
/// have those of [`fetch`], [`say`], [`prompt`] and [`jambonz`]: whoever sends it holds it to the last byte.
///
/// # Errors
/// The problem to answer instead.
pub async fn artifact(
    media: &Media,
    asker: Asker<'_>,
    addresses: &Addresses,
    parts: &Parts,
) -> Result<Response<AudioBody>, Problem> {
    let Asker { tenant, subject } = asker;
    let path = MediaPath::parse(parts.uri.path()).map_err(|error| error.problem())?;
    let MediaPath { artifact, extension, .. } = path;
    known_extension(extension)?;
    let wanted = ByName {
        extension,
        directives: RequestDirectives::of(&parts.headers),
        conditions: Conditions::of(parts),
        hops: Hops::of(&parts.headers),
        opens_private: media.opens(tenant, &path),
        subject,
    };
    let opened = match media.artifact(tenant, &artifact, wanted).await? {
        Named::Opened(opened) => opened,
        Named::Successor(successor, visibility) => {
            return Ok(moved(media.address(tenant, addresses, (&successor, visibility), extension)));
        }
    };
    let (manifest, visibility, tags, is_stored) = match &opened.audio {
        Audio::Hit(hit, _) => (&hit.manifest, hit.reference.visibility, hit.tags.clone(), true),
        Audio::Filled(finished, _) => {
            let tags = Tags::of(&finished.manifest.digest);
            (&finished.manifest, finished.visibility, tags, finished.stored != Stored::Forbidden)
        }
        Audio::Running(_) => return Err(Problem::new(Kind::Internal, "an artifact without its length")),
    };
    if !manifest.format.answers_to(extension) {
        return Err(wrong_extension(manifest.format));
    }
    let mut headers = HeaderMap::with_capacity(12);
    artifact_headers(&mut headers, manifest, visibility, tags, extension);
    if !is_stored {
        headers.insert(header::CACHE_CONTROL, NO_STORE);
    }
    let cached = match &opened.audio {
        Audio::Hit(hit, _) => match hit.tier {
            Tier::Memory => HIT_MEMORY,
            Tier::Disk => HIT_DISK,
            Tier::Directory => HIT_DIRECTORY,
            Tier::S3 => HIT_S3,
        },
        _ => value(cache_status(&opened, 31_536_000)),
    };
    headers.insert(CACHE_STATUS, cached);
    Ok(media.answer(parts, headers, opened, pipeline_since()))
}

/// The answer under the address of an artifact of an older pipeline that is gone: where today's is. Not to be kept, because the older
/// one may come back from another tier.
fn moved(location: String) -> Response<AudioBody> {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::LOCATION, value(location));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    respond(StatusCode::TEMPORARY_REDIRECT, headers, AudioBody::empty())
}

/// What is answered under an extension that is not the artifact's.
pub(super) fn wrong_extension(format: Format) -> Problem {
    Problem::new(Kind::WrongExtension, format!("this artifact is \".{}\"", format.extension()))
}

/// When every artifact of this pipeline changed last.
pub(super) fn pipeline_since() -> Option<SystemTime> {
    Some(UNIX_EPOCH + Duration::from_secs(PIPELINE_SINCE_SECONDS))
}

fn artifact_headers(headers: &mut HeaderMap, manifest: &Manifest, visibility: Visibility, tags: Tags, extension: &str) {
    let cache_control = if visibility == Visibility::Public { IMMUTABLE } else { PRIVATE };
    headers.insert(header::CACHE_CONTROL, cache_control);
    headers.insert(header::LAST_MODIFIED, PIPELINE_SINCE);
    representation_headers(headers, manifest, tags, extension);
}

/// What any answer with this artifact says of it.
fn representation_headers(headers: &mut HeaderMap, manifest: &Manifest, tags: Tags, extension: &str) {
    headers.insert(header::CONTENT_TYPE, content_type(manifest, extension));
    headers.insert(header::ETAG, tags.etag);
    headers.insert(REPR_DIGEST, tags.repr_digest);
    headers.insert(header::ACCEPT_RANGES, BYTES);
}

fn content_type(manifest: &Manifest, extension: &str) -> HeaderValue {
    match manifest.format.content_type(extension) {
        Some(Cow::Borrowed(text)) => HeaderValue::from_static(text),
        Some(Cow::Owned(text)) => value(text),
        None => value(manifest.raw_type.clone().unwrap_or_else(|| UNKNOWN_TYPE.to_owned())),
    }
}

/// Answers `GET` and `HEAD /fetch/…` where the source is fresh and its audio in memory; none where it takes more, or is refused.
/// Whether the path is signed, and has to be, is judged before.
pub fn fetch_in_memory(
    media: &Media,
    tenant: &Tenant,
    ignored: &IgnoredQuery,
    addresses: &Addresses,
    parts: &Parts,
) -> Option<Response<AudioBody>> {
    let asked = asked(media, ignored, parts).ok()?;
    let opened = media.fetch_in_memory(tenant, &asked.request)?;
    Some(fetched(media, (tenant, addresses), parts, &asked, opened))
}

/// Answers `GET` and `HEAD /fetch/…` of a path whose signature was judged.
///
/// # Errors
/// The problem to answer instead.
pub async fn fetch(
    media: &Media,
    asker: Asker<'_>,
    ignored: &IgnoredQuery,
    addresses: &Addresses,
    parts: &Parts,
) -> Result<Response<AudioBody>, Problem> {
    let mut asked = asked(media, ignored, parts)?;
    asked.request.hops = Hops::of(&parts.headers);
    asked.request.conditions = Conditions::of(parts);
    asked.request.subject = asker.subject;
    let opened = media.fetch(asker.tenant, &asked.request).await?;
    Ok(fetched(media, (asker.tenant, addresses), parts, &asked, opened))
}

/// What a path says that names a source.
struct Asked {
    request: FetchRequest,
    /// As asked for.
    extension: String,
    /// When the address ends: nobody may keep its answer for longer.
    expires: Option<SystemTime>,
    /// For how long its answer may be kept at most.
    age_max: Option<Duration>,
    /// When it began to name what it names, where that is known.
    modified: Option<SystemTime>,
}

/// Reads a `/fetch` path. What the request went through, and which bytes have to be read for it, is of no interest to a hit in memory.
fn asked(media: &Media, ignored: &IgnoredQuery, parts: &Parts) -> Result<Asked, Problem> {
    let (path, expires) = path_of(media, Verb::Fetch, parts)?;
    let (format, input) = media.recipe(&path.extension, &path.option_pairs())?;
    let request = FetchRequest {
        format,
        input,
        source: CanonicalUrl::parse(&path.source, ignored).map_err(|error| error.problem())?.into(),
        directives: RequestDirectives::of(&parts.headers),
        whole: wants_whole(parts),
        conditions: Conditions::no_bytes(),
        tags: Vec::new(),
        hops: Hops::default(),
        counts: true,
        subject: None,
        takes_stand_in: false,
    };
    Ok(Asked { request, extension: path.extension, expires, age_max: None, modified: None })
}

/// Reads a path that names a source or a text, and looks whether its time is over.
fn path_of(media: &Media, verb: Verb, parts: &Parts) -> Result<(FetchPath, Option<SystemTime>), Problem> {
    let path = FetchPath::parse_as(verb, parts.uri.path()).map_err(|error| error.problem())?;
    let expires = path.expires().map_err(|error| error.problem())?;
    if expires.is_some_and(|expires| expires <= media.clock.now_wall()) {
        return Err(Problem::new(Kind::LinkExpired, "the time that this address was given out for is over"));
    }
    Ok((path, expires))
}

fn fetched(
    media: &Media,
    (tenant, addresses): (&Tenant, &Addresses),
    parts: &Parts,
    asked: &Asked,
    opened: Opened,
) -> Response<AudioBody> {
    let (request, extension) = (&asked.request, asked.extension.as_str());
    let visibility = request.source.visibility();
    let address =
        |manifest: &Manifest| value(media.address(tenant, addresses, (&manifest.artifact, visibility), extension));
    let mut headers = HeaderMap::with_capacity(16);
    let modified = match &opened.audio {
        Audio::Hit(hit, record) => {
            representation_headers(&mut headers, &hit.manifest, hit.tags.clone(), extension);
            // Who wants nothing kept is given no address to come back to.
            let keeps = !request.directives.no_store && opened.via != Via::SpokenFor;
            if keeps {
                headers.insert(header::CONTENT_LOCATION, address(&hit.manifest));
            }
            record.as_deref().and_then(|record| source_headers(&mut headers, media, asked, &Terms::of(record, keeps)))
        }
        Audio::Filled(finished, _) => {
            let tags = Tags::of(&finished.manifest.digest);
            representation_headers(&mut headers, &finished.manifest, tags, extension);
            if finished.stored == Stored::Yes && opened.via != Via::SpokenFor {
                headers.insert(header::CONTENT_LOCATION, address(&finished.manifest));
            }
            headers.insert(SERVER_TIMING, server_timing(&finished.stages));
            // A store of ours that refused says nothing of what others may keep.
            let keeps = finished.stored != Stored::Forbidden && opened.via != Via::SpokenFor;
            source_headers(&mut headers, media, asked, &Terms::of(&finished.record, keeps))
        }
        Audio::Running(joined) => {
            let content_type = joined.format().content_type(extension);
            headers.insert(header::CONTENT_TYPE, value(content_type.unwrap_or_default().into_owned()));
            if let Some((arrival, latency)) = joined.arrival() {
                headers.insert(SERVER_TIMING, value(format!("origin;dur={}", milliseconds(latency))));
                let source = Terms {
                    fresh_until: arrival.fresh_until,
                    modified: arrival.last_modified,
                    keeps: joined.keeps() && arrival.storable && opened.via != Via::SpokenFor,
                };
                source_headers(&mut headers, media, asked, &source);
            }
            None
        }
    };
    let ttl = match &opened.audio {
        Audio::Hit(_, Some(record)) => media.ttl(record.fresh_until),
        Audio::Filled(finished, _) => media.ttl(finished.record.fresh_until),
        _ => 0,
    };
    headers.insert(CACHE_STATUS, value(cache_status(&opened, ttl)));
    media.answer(parts, headers, opened, modified)
}

/// What is said of a source beside its audio.
struct Terms {
    fresh_until: SystemTime,
    modified: Option<SystemTime>,
    /// Whether its audio may be kept.
    keeps: bool,
}

impl Terms {
    fn of(record: &SourceRecord, keeps: bool) -> Terms {
        Terms { fresh_until: record.fresh_until, modified: Some(record.modified()), keeps }
    }
}

/// Cache-Control and Last-Modified of a source's audio; gives back the latter to compare with.
fn source_headers(headers: &mut HeaderMap, media: &Media, asked: &Asked, source: &Terms) -> Option<SystemTime> {
    let until = asked.expires.map_or(source.fresh_until, |expires| expires.min(source.fresh_until));
    let scope = if asked.request.source.visibility() == Visibility::Public { "public" } else { "private" };
    let age_max = asked.age_max.map_or(i64::MAX, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    let age = media.ttl(until).clamp(0, age_max);
    let cache_control = if source.keeps { value(format!("{scope}, max-age={age}")) } else { NO_STORE };
    headers.insert(header::CACHE_CONTROL, cache_control);
    let modified = asked.modified.or(source.modified)?;
    headers.insert(header::LAST_MODIFIED, value(httpdate::fmt_http_date(modified)));
    to_the_second(modified)
}

/// Builds addresses that callers can use: from the configured public URL, never from the Host header.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Without a slash at the end; empty = addresses are paths.
    public_url: String,
}

impl Addresses {
    /// Addresses under `public_url`, or paths alone where there is none.
    pub fn new(public_url: Option<&str>) -> Addresses {
        Addresses { public_url: public_url.unwrap_or_default().trim_end_matches('/').to_owned() }
    }

    /// The persistent address of an artifact, under the extension that was asked for: players choose their decoder by it.
    pub fn artifact_text(&self, artifact: &ArtifactId, extension: &str) -> String {
        self.path(&MediaPath { capability: None, artifact: *artifact, extension }.to_string())
    }

    /// The address of a path of this node.
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }
}

impl Media {
    /// The persistent address of an artifact for whoever may have it: that of private audio opens it.
    pub fn address(
        &self,
        tenant: &Tenant,
        addresses: &Addresses,
        (artifact, visibility): (&ArtifactId, Visibility),
        extension: &str,
    ) -> String {
        match visibility {
            Visibility::Public => addresses.artifact_text(artifact, extension),
            Visibility::Private => {
                let capability = self.private.capability(tenant, artifact, extension, None);
                let path = MediaPath { capability: Some(&capability), artifact: *artifact, extension };
                addresses.path(&path.to_string())
            }
        }
    }

    /// Whose private audio a path opens: a credential, for this path and no other.
    pub fn opened_at(&self, path: &str) -> Option<Tenant> {
        let path = MediaPath::parse(path).ok()?;
        let tenant = Private::tenant_of(path.capability?)?;
        self.opens(&tenant, &path).then_some(tenant)
    }

    fn opens(&self, tenant: &Tenant, path: &MediaPath<'_>) -> bool {
        let MediaPath { capability, artifact, extension } = path;
        let now = self.clock.now_wall();
        capability.is_some_and(|capability| self.private.opens(capability, tenant, artifact, extension, now))
    }

    /// Turns opened audio and its headers into a response, with conditions, ranges and HEAD.
    fn answer(
        &self,
        parts: &Parts,
        mut headers: HeaderMap,
        opened: Opened,
        modified: Option<SystemTime>,
    ) -> Response<AudioBody> {
        let place = opened.place().cloned();
        let mut response = match opened.audio {
            Audio::Hit(hit, _) => {
                let decision = decide(parts, &headers, hit.manifest.length, modified);
                self.answer_hit(parts, headers, &hit.manifest, hit.there, hit.tier, decision)
            }
            Audio::Filled(finished, joined) => {
                let length = finished.manifest.length;
                match decide(parts, &headers, length, modified) {
                    Decision::Whole => {
                        whole(parts, headers, length, || AudioBody::from_fill(&finished, joined, 0..length))
                    }
                    Decision::Part(range) => {
                        let body = AudioBody::from_fill(&finished, joined, range.clone());
                        part(headers, length, &range, body)
                    }
                    other => without_body(headers, length, &other),
                }
            }
            Audio::Running(joined) => {
                let wants_trailers = te_trailers(&parts.headers);
                if wants_trailers {
                    headers.insert(header::TRAILER, HeaderValue::from_static("etag, repr-digest"));
                }
                let trailers: Option<fn(&Finished) -> HeaderMap> = wants_trailers.then_some(trailers);
                respond(StatusCode::OK, headers, AudioBody::from_running(joined, trailers))
            }
        };
        if let Some(place) = place {
            response.extensions_mut().insert(place);
        }
        response
    }

    fn answer_hit(
        &self,
        parts: &Parts,
        headers: HeaderMap,
        manifest: &Arc<Manifest>,
        there: There,
        tier: Tier,
        decision: Decision,
    ) -> Response<AudioBody> {
        self.hits.count(tier);
        let length = manifest.length;
        let body = |range| AudioBody::from_tiers(&self.cache, manifest, there, range);
        match decision {
            Decision::Whole => whole(parts, headers, length, || body(0..length)),
            Decision::Part(range) => part(headers, length, &range, body(range.clone())),
            other => without_body(headers, length, &other),
        }
    }
}

fn decide(parts: &Parts, headers: &HeaderMap, length: u64, last_modified: Option<SystemTime>) -> Decision {
    if !conditional::is_conditional(&parts.headers) {
        return Decision::Whole;
    }
    let etag = headers.get(header::ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default();
    conditional::decide(&parts.method, &parts.headers, Representation { etag, last_modified, length })
}

fn whole(parts: &Parts, mut headers: HeaderMap, length: u64, body: impl FnOnce() -> AudioBody) -> Response<AudioBody> {
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let body = if parts.method == Method::HEAD { AudioBody::empty() } else { body() };
    respond(StatusCode::OK, headers, body)
}

fn part(mut headers: HeaderMap, length: u64, range: &std::ops::Range<u64>, body: AudioBody) -> Response<AudioBody> {
    let last = range.end - 1;
    headers.insert(header::CONTENT_RANGE, value(format!("bytes {}-{last}/{length}", range.start)));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    respond(StatusCode::PARTIAL_CONTENT, headers, body)
}

fn without_body(mut headers: HeaderMap, length: u64, decision: &Decision) -> Response<AudioBody> {
    if *decision == Decision::NotSatisfiable {
        let mut response = crate::media::http::problem(&Problem::new(
            Kind::RangeNotSatisfiable,
            format!("the audio has {length} bytes"),
        ));
        response.headers_mut().insert(header::CONTENT_RANGE, value(format!("bytes */{length}")));
        return response;
    }
    if *decision == Decision::Changed {
        return crate::media::http::problem(&Problem::new(Kind::PreconditionFailed, "the audio is another by now"));
    }
    headers.remove(header::CONTENT_TYPE);
    respond(StatusCode::NOT_MODIFIED, headers, AudioBody::empty())
}

fn respond(status: StatusCode, headers: HeaderMap, body: AudioBody) -> Response<AudioBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Every Content-Type that audio has, but for originals without a container that say their rate and channels: theirs have parameters.
pub fn audio_types() -> Vec<String> {
    let formats = Format::all().filter_map(|(extension, format)| format.content_type(extension));
    let headerless = ["audio/L16", "audio/GSM"].map(Cow::Borrowed);
    sorted(formats.chain(headerless).map(Cow::into_owned).chain(original_types()))
}

/// Every Content-Type that an upload has.
pub fn original_types() -> Vec<String> {
    let kinds = audio::Kind::ALL.into_iter().map(|kind| kind.content_type().into_owned());
    sorted(kinds.chain([UNKNOWN_TYPE.to_owned()]))
}

fn sorted(types: impl Iterator<Item = String>) -> Vec<String> {
    types.collect::<BTreeSet<_>>().into_iter().collect()
}

fn known_extension(extension: &str) -> Result<(), Problem> {
    Format::parse(extension, &[]).map(|_| ()).map_err(format_problem)
}

/// Whether a request can be answered only when the whole is known.
fn wants_whole(parts: &Parts) -> bool {
    let prefers_wait = parts.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|preference| {
            let name = preference.split([';', '=']).next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case("wait")
        })
    });
    // HTTP/1.0 has no chunks: without its length nobody could tell a part from the whole.
    let is_old = parts.version < Version::HTTP_11;
    parts.method == Method::HEAD || prefers_wait || is_old || conditional::is_conditional(&parts.headers)
}

fn te_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

fn trailers(finished: &Finished) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    let tags = Tags::of(&finished.manifest.digest);
    trailers.insert(header::ETAG, tags.etag);
    trailers.insert(REPR_DIGEST, tags.repr_digest);
    trailers
}

/// RFC 9211.
fn cache_status(opened: &Opened, ttl: i64) -> String {
    let detail = match &opened.audio {
        Audio::Hit(hit, _) => hit.tier.as_str(),
        _ if opened.via == Via::Kept => "kept",
        _ if opened.via == Via::Upload => "upload",
        _ if opened.via == Via::Spoken => "speech",
        _ if opened.via == Via::SpokenFor => "stand-in",
        _ => "origin",
    };
    let how = match opened.via {
        Via::Hit => format!("hit; ttl={ttl}"),
        Via::Revalidated { status, why } => format!("fwd={why}; fwd-status={}; ttl={ttl}", status.as_u16()),
        Via::StandIn => format!("fwd=stale; ttl={ttl}"),
        Via::Miss
        | Via::Kept
        | Via::Upload
        | Via::Spoken
        | Via::SpokenFor
        | Via::Stale
        | Via::Request
        | Via::Variant => {
            format!("fwd={}", opened.via.why())
        }
    };
    let stored = match &opened.audio {
        Audio::Filled(finished, _) => finished.stored == Stored::Yes,
        Audio::Running(joined) => joined.keeps() && joined.arrival().is_some_and(|(arrival, _)| arrival.storable),
        Audio::Hit(..) => false,
    };
    let collapsed = match &opened.audio {
        Audio::Filled(_, joined) | Audio::Running(joined) => joined.was_running(),
        Audio::Hit(..) => false,
    };
    let flag = |set: bool, text: &'static str| if set { text } else { "" };
    format!("ringback; {how}{}{}; detail={detail}", flag(stored, "; stored"), flag(collapsed, "; collapsed"))
}

/// Each stage by itself, in the order in which they end.
fn server_timing(stages: &Stages) -> HeaderValue {
    let Stages { origin, received, encoded, stored } = *stages;
    value(format!(
        "origin;dur={}, receive;dur={}, encode;dur={}, store;dur={}",
        milliseconds(origin),
        milliseconds(received.saturating_sub(origin)),
        milliseconds(encoded.saturating_sub(received)),
        milliseconds(stored.saturating_sub(encoded)),
    ))
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1_000.0)
}

/// Header values that we format are ASCII; what would not be is dropped rather than sent.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
