//! `POST /v1/media`, `GET` and `DELETE /v1/media/{artifact}`.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::{
    ids::ArtifactId,
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

/// The body of `POST /v1/media`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    source: SourceOfCreate,
    format: String,
    #[serde(default)]
    options: BTreeMap<String, OptionValue>,
    #[serde(default = "yes")]
    wait: bool,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SourceOfCreate {
    Url(String),
    /// Its content hash.
    Upload(String),
    Text(String),
}

/// `"gain":-3.5` and `"gain":"-3.5"` mean the same.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OptionValue {
    Text(String),
    Number(serde_json::Number),
}

fn yes() -> bool {
    true
}

/// What is told of audio that is there.
#[derive(Debug, Serialize)]
pub(super) struct Made {
    id: ArtifactId,
    url: String,
    content_hash: String,
    format: String,
    bytes: u64,
    duration_ms: u64,
    cache: &'static str,
}

impl Made {
    pub(super) fn new(obtained: &Obtained, extension: &str, parts: &Parts) -> Made {
        let manifest = &obtained.manifest;
        let named = (&manifest.artifact, obtained.visibility);
        Made {
            id: manifest.artifact,
            url: parts.media.address(&parts.tenant, &parts.addresses, named, extension),
            content_hash: manifest.content_hash.to_string(),
            format: extension.to_owned(),
            bytes: manifest.length,
            duration_ms: manifest.duration_ms,
            cache: if obtained.cached { "hit" } else { "miss" },
        }
    }
}

/// Finds or makes audio and says under which address it is: 200 where it was there, 201 where it was made, 202 where the caller does not wait.
pub(super) async fn create(v1: V1, headers: HeaderMap, sent: Request) -> Result<Response, Failed> {
    let body = body::receive(sent, v1.body_timeout).await?;
    may_be_kept(&headers)?;
    let create: Create = body::read(&body, EXPECTED)?;
    let (wait, extension) = (create.wait, create.format.clone());
    let request = request(&v1, create, Hops::of(&headers))?;
    if !wait {
        let id = v1.fills.start(v1.parts.tenant.clone(), request, extension)?;
        let location = v1.parts.addresses.path(&format!("/v1/fills/{id}"));
        let body = Json(serde_json::json!({ "fill": id.to_string(), "url": location }));
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

fn request(v1: &V1, create: Create, hops: Hops) -> Result<FetchRequest, Problem> {
    let fits =
        create.tags.len() <= TAGS_MAX && create.tags.iter().all(|tag| !tag.is_empty() && tag.len() <= TAG_BYTES_MAX);
    if !fits {
        return Err(Problem::new(Kind::BadRequest, "at most 32 tags of 1 to 256 bytes"));
    }
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
        // What it tells is kept.
        takes_stand_in: false,
    })
}

/// Metadata of an artifact and the tiers that hold it.
pub(super) async fn describe(v1: V1, artifact: Named) -> Result<Response, Failed> {
    let artifact = parse(artifact)?;
    let described = v1.parts.media.describe(&v1.parts.tenant, &artifact).await?;
    let Description { reference, manifest, tier, is_purged } = described;
    let known = Listed { artifact, reference, manifest, tier, is_purged };
    Ok(Json(Described::new(&known, &v1.parts)).into_response())
}

/// Drops the tenant's reference: 204.
pub(super) async fn forget(v1: V1, artifact: Named) -> Result<StatusCode, Failed> {
    v1.parts.media.forget(&v1.parts.tenant, &parse(artifact)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A malformed id is as unknown as any other.
fn parse(artifact: Named) -> Result<ArtifactId, Problem> {
    let id = artifact.ok().and_then(|artifact| artifact.parse().ok());
    id.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such artifact"))
}
