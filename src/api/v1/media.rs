//! `POST /v1/media`, `GET` and `DELETE /v1/media/{artifact}`.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, Type, schema::SchemaType},
};

use crate::{
    api::told::{self, refusals},
    ids::{ArtifactId, ContentHash, RandomId},
    media::{CanonicalUrl, Conditions, Description, FetchRequest, Listed, Obtained, RequestDirectives, Source, TextIn},
    outbound::Hops,
    problem::{Kind, Problem},
};

use super::{Failed, Named, Parts, V1, body, listing::Described};

/// Labels of one reference.
const TAGS_MAX: usize = 32;
/// Bytes of one label.
const TAG_BYTES_MAX: usize = 256;

/// What a body that is none is told.
const EXPECTED: &str =
    r#"{"source":{"url":… or "upload":… or "text":…},"format":…} with "options", "wait" and "tags" if need be"#;

/// What audio is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MediaRequest)]
pub(super) struct Create {
    /// What it is made of.
    source: SourceOfCreate,
    /// Its extension, such as `ulaw`.
    format: String,
    /// How it is to be made, as `{"gain": -3, "voice": "en-us"}`.
    #[serde(default)]
    options: BTreeMap<String, OptionValue>,
    /// Whether the answer comes when the audio is there.
    #[serde(default = "yes")]
    wait: bool,
    /// Labels by which it can be purged.
    #[serde(default)]
    #[schema(schema_with = labels)]
    tags: Vec<String>,
}

/// What audio is made of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MediaSource)]
pub(super) enum SourceOfCreate {
    /// What is at this address.
    Url(String),
    /// What was put here: its content hash.
    Upload(String),
    /// Text to be spoken.
    Text(String),
}

/// `"gain":-3.5` and `"gain":"-3.5"` mean the same.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OptionValue {
    Text(String),
    Number(serde_json::Number),
}

impl PartialSchema for OptionValue {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Number])).into()
    }
}

impl ToSchema for OptionValue {}

fn yes() -> bool {
    true
}

/// What the document says of labels.
pub(super) fn labels() -> utoipa::openapi::schema::Array {
    let label = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(TAG_BYTES_MAX));
    ArrayBuilder::new()
        .items(label)
        .max_items(Some(TAGS_MAX))
        .description(Some("Labels by which it can be purged, each of 1 to 256 bytes."))
        .build()
}

/// What is told of audio that is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Media)]
pub(super) struct Made {
    /// Its name.
    id: ArtifactId,
    /// Its persistent address.
    url: String,
    /// The original that it was made of.
    content_hash: ContentHash,
    /// Its extension, as asked for.
    format: String,
    /// How long it is.
    bytes: u64,
    /// The same in time.
    duration_ms: u64,
    /// Whether it was there before.
    cache: Cached,
}

/// Whether audio was there before it was asked for.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Cached {
    /// It was.
    Hit,
    /// It was made.
    Miss,
}

/// A fill that goes on without the caller.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FillStarted)]
struct Started {
    /// Its name.
    fill: RandomId,
    /// Where it tells how it stands.
    url: String,
}

impl Made {
    pub(super) fn new(obtained: &Obtained, extension: &str, parts: &Parts) -> Made {
        let manifest = &obtained.manifest;
        let named = (&manifest.artifact, obtained.visibility);
        Made {
            id: manifest.artifact,
            url: parts.media.address(&parts.tenant, &parts.addresses, named, extension),
            content_hash: manifest.content_hash,
            format: extension.to_owned(),
            bytes: manifest.length,
            duration_ms: manifest.duration_ms,
            cache: if obtained.cached { Cached::Hit } else { Cached::Miss },
        }
    }
}

refusals! {
    OfCreate: told::ANY, told::BODY, told::FORMAT, told::MAKING, told::FETCHING, told::SPEAKING, &[Kind::NotFound];
    Describe: told::ANY, &[Kind::NotFound, Kind::Busy];
    Forget: told::ANY, &[Kind::NotFound, Kind::Busy, Kind::StorageFull];
}

/// Finds or makes audio and tells under which address it is.
#[utoipa::path(post, path = "/v1/media", tag = "Media", request_body = Create,
    responses(
        (status = 200, body = Made, description = "It was there.", headers(("Location" = String, description = "Its persistent address."))),
        (status = 201, body = Made, description = "It was made.", headers(("Location" = String, description = "Its persistent address."))),
        (status = 202, body = Started, description = "It is being made, and the caller does not wait.",
            headers(("Location" = String, description = "Where the fill tells how it stands."))),
        OfCreate,
    ))]
pub(super) async fn create(v1: V1, headers: HeaderMap, sent: Request) -> Result<Response, Failed> {
    let body = body::receive(sent, v1.body_timeout).await?;
    may_be_kept(&headers)?;
    let create: Create = body::read(&body, EXPECTED)?;
    let (wait, extension) = (create.wait, create.format.clone());
    let request = request(&v1, create, Hops::of(&headers))?;
    if !wait {
        let id = v1.fills.start(v1.parts.tenant.clone(), request, extension)?;
        let location = v1.parts.addresses.path(&format!("/v1/fills/{id}"));
        let body = Json(Started { fill: id, url: location.clone() });
        return Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], body).into_response());
    }
    let obtained = v1.parts.media.obtain(&v1.parts.tenant, request).await?;
    let status = if obtained.cached { StatusCode::OK } else { StatusCode::CREATED };
    let made = Made::new(&obtained, &extension, &v1.parts);
    Ok((status, [(header::LOCATION, made.url.clone())], Json(made)).into_response())
}

/// What these requests tell is where audio is kept.
///
/// # Errors
/// `bad-request` where nothing may be kept.
pub(super) fn may_be_kept(headers: &HeaderMap) -> Result<(), Problem> {
    if RequestDirectives::of(headers).no_store {
        let detail = "what this answers with is where audio is kept: with no-store it is had by GET alone";
        return Err(Problem::new(Kind::BadRequest, detail));
    }
    Ok(())
}

/// The request that this body would make.
///
/// # Errors
/// `bad-request`, or what is wrong with a part of it.
pub(super) fn request_of(v1: &V1, body: serde_json::Value, hops: Hops) -> Result<FetchRequest, Problem> {
    let create = serde_json::from_value(body);
    let create = create.map_err(|_| Problem::new(Kind::BadRequest, format!("this is not {EXPECTED}")))?;
    request(v1, create, hops)
}

/// Whether these may be labels.
///
/// # Errors
/// `bad-request`: too many, or one that is empty or too long.
pub(super) fn check_labels(tags: &[String]) -> Result<(), Problem> {
    let fits = tags.len() <= TAGS_MAX && tags.iter().all(|tag| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX);
    fits.then_some(()).ok_or_else(|| Problem::new(Kind::BadRequest, "at most 32 tags of 1 to 256 bytes"))
}

fn request(v1: &V1, create: Create, hops: Hops) -> Result<FetchRequest, Problem> {
    check_labels(&create.tags)?;
    let options: Vec<(&str, String)> = create
        .options
        .iter()
        .map(|(name, value)| {
            let text = match value {
                OptionValue::Text(text) => text.clone(),
                OptionValue::Number(number) => number.to_string(),
            };
            (name.as_str(), text)
        })
        .collect();
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let media = &v1.parts.media;
    let (format, input, source) = match &create.source {
        SourceOfCreate::Text(text) => {
            let (format, source) = media.speech_recipe(&create.format, &options, (text, TextIn::Body))?;
            (format, None, source)
        }
        SourceOfCreate::Url(url) => {
            let (format, input) = media.recipe(&create.format, &options)?;
            let url = CanonicalUrl::parse(url, &v1.parts.ignored_query).map_err(|error| error.problem())?;
            (format, input, url.into())
        }
        SourceOfCreate::Upload(hash) => {
            let (format, input) = media.recipe(&create.format, &options)?;
            let hash = hash.parse().map_err(|_| Problem::new(Kind::NotFound, "there is no such upload"))?;
            (format, input, Source::Upload(hash))
        }
    };
    Ok(FetchRequest {
        source,
        format,
        input,
        directives: RequestDirectives::default(),
        whole: true,
        conditions: Conditions::no_bytes(),
        tags: create.tags,
        hops,
        counts: false,
        subject: v1.subject,
        // What it tells is kept.
        takes_stand_in: false,
    })
}

/// Tells what is known of an artifact, and where it is kept.
#[utoipa::path(get, path = "/v1/media/{artifact}", tag = "Media", params(("artifact" = ArtifactId, Path)),
    responses((status = 200, body = Described, description = "What is known of it."), Describe))]
pub(super) async fn describe(v1: V1, artifact: Named) -> Result<Response, Failed> {
    let artifact = parse(artifact)?;
    let described = v1.parts.media.describe(&v1.parts.tenant, &artifact).await?;
    let Description { reference, manifest, tier, is_purged } = described;
    let known = Listed { artifact, reference, manifest, tier, is_purged };
    Ok(Json(Described::new(&known, &v1.parts)).into_response())
}

/// Drops an artifact: what was made is gone, and is made anew when its source is asked for.
#[utoipa::path(delete, path = "/v1/media/{artifact}", tag = "Media", params(("artifact" = ArtifactId, Path)),
    responses((status = 204, description = "It is gone."), Forget))]
pub(super) async fn forget(v1: V1, artifact: Named) -> Result<StatusCode, Failed> {
    v1.parts.media.forget(&v1.parts.tenant, &parse(artifact)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A malformed id is as unknown as any other.
fn parse(artifact: Named) -> Result<ArtifactId, Problem> {
    let id = artifact.ok().and_then(|artifact| artifact.parse().ok());
    id.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such artifact"))
}
