//! `GET /v1/media`: what there is, page by page; with `?source=URL` of one source.

use std::borrow::Cow;

use axum::{Json, extract::Request};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    api::told::{self, refusals},
    ids::{ArtifactId, ContentHash},
    media::{CanonicalUrl, Listed, SourceStanding, format::input_text},
    problem::{Kind, Problem},
};

use super::{Failed, Parts, V1};

/// Artifacts of a page where the caller says nothing.
const LIMIT: u32 = 100;
/// Artifacts of a page at most.
const LIMIT_MAX: u32 = 1_000;

/// What a tenant may know of its artifact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Artifact)]
pub(super) struct Described {
    /// Its name.
    id: ArtifactId,
    /// Its persistent address.
    url: String,
    /// What it was made of: a URL, or the name of an upload or of a text.
    source: String,
    /// The original that it was made of.
    content_hash: ContentHash,
    /// What the original was taken for: `sniffed`, or what was declared of it.
    input: Cow<'static, str>,
    /// Its extension.
    format: String,
    /// Versions of the stages that made it.
    pipeline: String,
    /// How long it is. Null where it is not kept any more.
    bytes: Option<u64>,
    /// The same in time.
    duration_ms: Option<u64>,
    /// Labels.
    tags: Vec<String>,
    /// Where it is kept: `memory`, `disk`, `directory`, `s3`.
    tiers: Vec<&'static str>,
    /// Whether it was purged since. Left out where it was not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    purged: bool,
}

impl Described {
    pub(super) fn new(known: &Listed, parts: &Parts) -> Described {
        let (reference, manifest) = (&known.reference, known.manifest.as_deref());
        Described {
            id: known.artifact,
            url: parts.media.address(
                &parts.tenant,
                &parts.addresses,
                (&known.artifact, reference.visibility),
                reference.format.extension(),
            ),
            source: reference.source_url.clone(),
            content_hash: reference.content_hash,
            input: input_text(reference.input),
            format: reference.format.extension().to_owned(),
            pipeline: reference.pipeline.clone(),
            bytes: manifest.map(|manifest| manifest.length),
            duration_ms: manifest.map(|manifest| manifest.duration_ms),
            tags: reference.tags.clone(),
            tiers: known.tier.iter().map(|tier| tier.as_str()).collect(),
            purged: known.is_purged,
        }
    }
}

/// What is known of a source.
#[derive(Debug, Serialize, ToSchema)]
struct Source {
    /// Where it is.
    url: String,
    /// What came from there last.
    content_hash: ContentHash,
    /// How long that is.
    bytes: u64,
    /// Whether its audio is used without asking its origin.
    fresh: bool,
    /// Seconds of freshness that are left, and, negative, those that it has been over.
    ttl: i64,
    /// As its origin says.
    etag: Option<String>,
    /// As its origin says.
    last_modified: Option<String>,
    /// When its origin was asked last.
    #[schema(format = DateTime)]
    checked_at: String,
    /// When something else came from there than before.
    #[schema(format = DateTime)]
    changed_at: String,
    /// Labels that callers and the origin gave it.
    tags: Vec<String>,
}

impl Source {
    fn new(standing: &SourceStanding) -> Source {
        let record = &standing.record;
        let said = |name: &http::HeaderName| record.said.get(name).map(|text| text.to_string());
        Source {
            url: record.url.clone(),
            content_hash: record.content_hash,
            bytes: record.length,
            fresh: 0 < standing.ttl,
            ttl: standing.ttl,
            etag: said(&http::header::ETAG),
            last_modified: said(&http::header::LAST_MODIFIED),
            checked_at: humantime::format_rfc3339_seconds(record.checked_at).to_string(),
            changed_at: humantime::format_rfc3339_seconds(record.changed_at).to_string(),
            tags: record.tags.iter().chain(&record.labels).cloned().collect(),
        }
    }
}

/// A page. What other nodes have is not in it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArtifactList)]
pub(super) struct Answer {
    /// What is known of the source that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    /// Artifacts, in order of their ids.
    media: Vec<Described>,
    /// What `after` is to be for the next page; null at the end.
    next: Option<ArtifactId>,
}

/// What is asked for.
#[derive(Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only what was made of this URL.
    #[param(required = false)]
    source: Option<String>,
    /// Only what comes behind this id: the `next` of the page before.
    #[param(required = false)]
    after: Option<ArtifactId>,
    /// Artifacts of the page at most; 100 where it is not said.
    #[param(required = false, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

impl Asked {
    fn parse(query: &str) -> Result<Asked, Problem> {
        let refuse = |detail: &str| Problem::new(Kind::BadRequest, detail.to_owned());
        let mut asked = Asked::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "source" => asked.source = Some(value.into_owned()),
                "after" => {
                    let after = value.parse().map_err(|_| refuse("after is the \"next\" of the page before"))?;
                    asked.after = Some(after);
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                    asked.limit = Some(limit.ok_or_else(|| refuse("limit is a number from 1 to 1000"))?);
                }
                _ => return Err(refuse("a list takes source, after and limit")),
            }
        }
        Ok(asked)
    }
}

refusals! {
    List: told::ANY, &[Kind::SourceForbidden, Kind::Busy];
}

/// Tells what this node knows of the caller's artifacts, in order of their ids.
#[utoipa::path(get, path = "/v1/media", tag = "Media", params(Asked),
    responses((status = 200, body = Answer, description = "A page of them."), List))]
pub(super) async fn list(v1: V1, sent: Request) -> Result<Json<Answer>, Failed> {
    let asked = Asked::parse(sent.uri().query().unwrap_or_default())?;
    let (media, tenant) = (&v1.parts.media, &v1.parts.tenant);
    let limit = asked.limit.unwrap_or(LIMIT);
    let (standing, page) = match &asked.source {
        Some(source) => {
            let url = CanonicalUrl::parse(source, &v1.parts.ignored_query).map_err(|error| error.problem())?;
            media.list_source(tenant, &url, asked.after, limit).await?
        }
        None => (None, media.list(tenant, asked.after, limit).await?),
    };
    Ok(Json(Answer {
        source: standing.as_ref().map(Source::new),
        media: page.listed.iter().map(|known| Described::new(known, &v1.parts)).collect(),
        next: page.next,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let check = |query: &str, expected: Result<(Option<&str>, bool, Option<u32>), ()>| {
            let got = Asked::parse(query).map(|asked| (asked.source, asked.after.is_some(), asked.limit));
            let got = got.as_ref().map(|(source, after, limit)| (source.as_deref(), *after, *limit));
            assert_eq!(got.map_err(drop), expected, "for {query:?}");
        };
        check("", Ok((None, false, None)));
        check("source=http%3A%2F%2Fa%2Fb%3Fc%26d&limit=7", Ok((Some("http://a/b?c&d"), false, Some(7))));
        check(&format!("after={}", "0f".repeat(32)), Ok((None, true, None)));
        for wrong in ["limit=0", "limit=1001", "limit=x", "after=x", "page=2"] {
            check(wrong, Err(()));
        }
    }
}
