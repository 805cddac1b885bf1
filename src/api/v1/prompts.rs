//! `PUT` and `DELETE /prompts/{name}.{ext}`, and `GET /v1/prompts`. How a prompt is played is in `media::http`.

use axum::{
    Json,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use crate::{
    ids::ContentHash,
    media::{
        http as media_http,
        prompts::{LIST_MAX, PromptName},
        uploads::Uploaded,
    },
    problem::{Kind, Problem},
};

use super::{Failed, V1, body, uploads};

/// What a JSON body that is none is told.
const EXPECTED: &str = r#"{"upload":"content hash"}; audio is sent as it is, with another Content-Type"#;
/// Prompts in a list, where nothing is said.
const LIST_DEFAULT: usize = 100;

/// A name that stands for an upload which is there already.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    upload: String,
}

/// What is told of a prompt that was set.
#[derive(Debug, Serialize)]
struct Set {
    name: String,
    url: String,
    content_hash: ContentHash,
    bytes: u64,
    r#type: String,
    /// What the name stood for before: an upload that stays until it is removed.
    replaced: Option<ContentHash>,
}

/// Has a name stand for the audio of the body, or for an upload that it names: 201 where the name is new, 200 where it stood for something.
pub(super) async fn set(v1: V1, sent: Request) -> Result<Response, Failed> {
    let path = sent.uri().path().to_owned();
    let name = match media_http::prompt_path(&path) {
        Ok((name, _)) => name,
        Err(problem) => {
            // Whoever sends something long reads why it is not taken.
            uploads::discard(sent.into_body().into_data_stream()).await;
            return Err(problem.into());
        }
    };
    let (media, tenant) = (&v1.parts.media, &v1.parts.tenant);
    let uploaded = if is_json(&sent) {
        let body = body::receive(sent, v1.body_timeout).await?;
        let Given { upload } = body::read(&body, EXPECTED)?;
        media.uploads().describe(tenant, &upload).await?
    } else {
        uploads::take(&v1, sent).await?
    };
    let Uploaded { content_hash, bytes, content_type, .. } = uploaded;
    let before = media.prompts().set(tenant, &name, content_hash).await?;
    let replaced = before.as_ref().map(|before| before.content_hash).filter(|before| *before != content_hash);
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let url = v1.parts.addresses.path(&path);
    let set = Set { name: name.to_string(), url: url.clone(), content_hash, bytes, r#type: content_type, replaced };
    Ok((status, [(header::LOCATION, url)], Json(set)).into_response())
}

fn is_json(sent: &Request) -> bool {
    let content_type = sent.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Removes a name: 204. What it stood for stays among the uploads.
pub(super) async fn remove(v1: V1, asked: Request) -> Result<StatusCode, Failed> {
    let (name, _) = media_http::prompt_path(asked.uri().path())?;
    v1.parts.media.prompts().remove(&v1.parts.tenant, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Serialize)]
struct Listed {
    prompts: Vec<String>,
    /// What to ask for the rest with; none at the end.
    next: Option<String>,
}

/// Names in the store's order, some at a time.
pub(super) async fn list(v1: V1, asked: Request) -> Result<Response, Failed> {
    let (after, limit) = page(asked.uri().query().unwrap_or_default())?;
    let (names, has_more) = v1.parts.media.prompts().list(&v1.parts.tenant, after.as_ref(), limit).await?;
    let next = names.last().filter(|_| has_more).map(ToString::to_string);
    let prompts = names.iter().map(ToString::to_string).collect();
    Ok(Json(Listed { prompts, next }).into_response())
}

/// Which part of the list is asked for.
fn page(query: &str) -> Result<(Option<PromptName>, usize), Problem> {
    let wrong = |what: &str| Problem::new(Kind::BadRequest, what.to_owned());
    let (mut after, mut limit) = (None, LIST_DEFAULT);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "after" => after = Some(value.parse().map_err(|_| wrong("\"after\" is the name of a prompt"))?),
            "limit" => {
                let said = value.parse().ok().filter(|limit| (1..=LIST_MAX).contains(limit));
                limit = said.ok_or_else(|| wrong("\"limit\" is 1 to 1000"))?;
            }
            _ => return Err(wrong("a list of prompts is asked for with \"after\" and \"limit\"")),
        }
    }
    Ok((after, limit))
}
