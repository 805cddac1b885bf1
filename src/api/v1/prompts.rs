//! `PUT` and `DELETE /prompts/{name}.{ext}`, and `GET /v1/prompts`. How a prompt is played is in `media::http`.

use axum::{
    Json,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::{
    IntoParams, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};

use crate::{
    api::{
        audio,
        told::{self, Binary, refusals},
    },
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
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PromptRequest)]
pub(super) struct Given {
    /// Its content hash.
    upload: String,
}

/// What is told of a prompt that was set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Prompt)]
struct Set {
    /// Its name, without an extension.
    name: String,
    /// Its address.
    url: String,
    /// The upload that it stands for.
    content_hash: ContentHash,
    /// How long that is.
    bytes: u64,
    /// What it is, by its content.
    r#type: String,
    /// What the name stood for before: an upload that stays until it is removed.
    replaced: Option<ContentHash>,
}

/// What stands in the path of a prompt that is changed.
struct Name;

impl IntoParams for Name {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let extension = told::pattern("^[A-Za-z0-9]{1,16}$");
        let description =
            "Any: that of a file that is put here may stay. Which one a prompt is asked for by chooses its format.";
        vec![audio::prompt_name(), audio::in_path("extension", description, extension, "wav")]
    }
}

refusals! {
    OfSet: told::ANY, told::ORIGINAL, &[Kind::NotFound];
    Remove: told::ANY, &[Kind::NotFound, Kind::Busy];
    List: told::ANY, &[Kind::Busy];
}

/// Has a name stand for the audio of the body, or for an upload that it names.
///
/// Names may lie in folders, with `/` between them as it is.
#[utoipa::path(put, path = "/prompts/{name}.{extension}", tag = "Prompts", params(Name),
    request_body(description = "Audio as it is, or JSON that names an upload.",
        content((Binary = "application/octet-stream"), (Given = "application/json"))),
    responses(
        (status = 200, body = Set, description = "It stood for something else before.", headers(("Location" = String, description = "Its address."))),
        (status = 201, body = Set, description = "It is new.", headers(("Location" = String, description = "Its address."))),
        OfSet,
    ))]
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

/// Removes a name. What it stood for stays among the uploads.
#[utoipa::path(delete, path = "/prompts/{name}.{extension}", tag = "Prompts", params(Name),
    responses((status = 204, description = "It stands for nothing."), Remove))]
pub(super) async fn remove(v1: V1, asked: Request) -> Result<StatusCode, Failed> {
    let (name, _) = media_http::prompt_path(asked.uri().path())?;
    v1.parts.media.prompts().remove(&v1.parts.tenant, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A page of names.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PromptList)]
pub(super) struct Listed {
    /// In the store's order, without extensions.
    prompts: Vec<String>,
    /// What to ask for the rest with; none at the end.
    next: Option<String>,
}

/// Which part of the list is asked for.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only what comes behind this name: the `next` of the page before.
    #[param(value_type = Option<String>, required = false, pattern = "^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*$", max_length = 200)]
    after: Option<PromptName>,
    /// Names at most; 100 where it is not said.
    #[param(required = false, minimum = 1, maximum = 1000)]
    limit: usize,
}

/// Lists names in the store's order, some at a time.
#[utoipa::path(get, path = "/v1/prompts", tag = "Prompts", params(Asked),
    responses((status = 200, body = Listed, description = "A page of them."), List))]
pub(super) async fn list(v1: V1, asked: Request) -> Result<Json<Listed>, Failed> {
    let Asked { after, limit } = page(asked.uri().query().unwrap_or_default())?;
    let (names, has_more) = v1.parts.media.prompts().list(&v1.parts.tenant, after.as_ref(), limit).await?;
    let next = names.last().filter(|_| has_more).map(ToString::to_string);
    let prompts = names.iter().map(ToString::to_string).collect();
    Ok(Json(Listed { prompts, next }))
}

fn page(query: &str) -> Result<Asked, Problem> {
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
    Ok(Asked { after, limit })
}
