//! `/media`, `/fetch`, `/say` and `/prompts`: audio. What each of them means is in `media::http`; here is what the document says of them.

use http::{Response, request::Parts as Head};
use utoipa::{
    IntoParams, Modify, OpenApi,
    openapi::{
        self, Ref, RefOr, Required, Schema,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

use crate::{
    ids::ArtifactId,
    media::{Asker, AudioBody, http as media_http},
    problem::{Kind, Problem},
};

use super::{
    edge::Parts,
    told::{self, Artifact, Asking, Binary, Extension, OfSource, refusals},
};

/// What the document says of audio.
#[derive(OpenApi)]
#[openapi(
    paths(artifact, fetch, say, prompt),
    components(schemas(Extension, ArtifactId, Binary, media_http::ProblemBody)),
    modifiers(&OtherForms)
)]
pub(super) struct Document;

refusals! {
    OfArtifact: told::ANY, told::PART, told::MAKING, told::FETCHING, told::SPEAKING, &[Kind::NotFound, Kind::WrongExtension, Kind::NotAcceptable];
    Fetch: told::ANY, told::SIGNED, told::PART, told::FORMAT, told::MAKING, told::FETCHING;
    Say: told::ANY, told::SIGNED, told::PART, told::FORMAT, told::MAKING, told::SPEAKING;
    OfPrompt: told::ANY, told::PART, told::FORMAT, told::MAKING, &[Kind::NotFound];
}

/// What stands in the path of a source or of a text.
struct Signed;

impl IntoParams for Signed {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            in_path("signature", "`_` where none is needed.", told::pattern("^[A-Za-z0-9_-]{1,128}$"), "_"),
            in_path(
                "options",
                "How it is to be made, as `rate:16000,gain:-3`; `-` where nothing is said.",
                told::pattern("^(-|[a-z0-9_]+:[A-Za-z0-9._~+:-]+(,[a-z0-9_]+:[A-Za-z0-9._~+:-]+)*)$"),
                "-",
            ),
            in_path("source", "base64url of it.", told::pattern("^[A-Za-z0-9_-]+$"), "SGVsbG8"),
            extension(),
        ]
    }
}

/// What stands in the path of a prompt.
struct PromptParams;

impl IntoParams for PromptParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![prompt_name(), extension()]
    }
}

/// The name in the path of a prompt.
pub(super) fn prompt_name() -> Parameter {
    let form = told::pattern(r"^[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,2}$");
    let description = "Letters, digits, `-`, `_` and single dots; with `/` between folders, as it is.";
    in_path("name", description, form, "welcome")
}

/// What stands in a path.
pub(super) fn in_path(name: &str, description: &str, form: RefOr<Schema>, example: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(form))
        .example(Some(example.into()))
        .build()
}

fn extension() -> Parameter {
    let chosen = Ref::from_schema_name("Extension");
    in_path("extension", "Chooses the format.", chosen.into(), "ulaw")
}

/// The other forms that paths have: private audio, and sources and texts that people can read.
struct OtherForms;

impl Modify for OtherForms {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let capability = in_path(
            "capability",
            "Opens private audio, and is given out with its address.",
            told::pattern("^[A-Za-z0-9_-]{1,128}$"),
            "0",
        );
        let plain = in_path("source", "It, percent-escaped.", told::text(), "Hello");
        for (path, other, name, parameter) in [
            ("/media/{artifact}.{extension}", "/media/{capability}/{artifact}.{extension}", "private", &capability),
            (
                "/fetch/{signature}/{options}/{source}.{extension}",
                "/fetch/{signature}/{options}/plain/{source}.{extension}",
                "plain",
                &plain,
            ),
            (
                "/say/{signature}/{options}/{source}.{extension}",
                "/say/{signature}/{options}/plain/{source}.{extension}",
                "plain",
                &plain,
            ),
        ] {
            let Some(mut item) = document.paths.paths.get(path).cloned() else { continue };
            for operation in [&mut item.get, &mut item.head].into_iter().flatten() {
                operation.operation_id = operation.operation_id.as_ref().map(|id| format!("{id}_{name}"));
                operation.description = None;
                let parameters = operation.parameters.get_or_insert_default();
                parameters.retain(|known| !matches!(known, RefOr::T(known) if known.name == parameter.name));
                parameters.insert(0, parameter.clone().into());
            }
            document.paths.paths.insert(other.to_owned(), item);
        }
    }
}

type Answered = Result<Response<AudioBody>, Problem>;

/// Gives audio under its persistent address, which never changes meaning.
#[utoipa::path(method(get, head), path = "/media/{artifact}.{extension}", tag = "Audio", security(("basic" = []), ("bearer" = []), ()),
    params(("artifact" = ArtifactId, Path), ("extension" = Extension, Path), Asking), responses(Artifact, OfArtifact))]
pub(super) async fn artifact(parts: &Parts, asker: Asker<'_>, head: &Head) -> Answered {
    media_http::artifact(&parts.media, asker, &parts.addresses, head).await
}

/// Gives audio from a remote source, in one round trip.
///
/// The source's URL stands in the path as base64url.
#[utoipa::path(method(get, head), path = "/fetch/{signature}/{options}/{source}.{extension}", tag = "Audio",
    security(("basic" = []), ("bearer" = []), ()), params(Signed, Asking), responses(OfSource, Fetch))]
pub(super) async fn fetch(parts: &Parts, asker: Asker<'_>, head: &Head) -> Answered {
    media_http::fetch(&parts.media, asker, &parts.ignored_query, &parts.addresses, head).await
}

/// Gives a text spoken.
///
/// The text stands in the path as base64url.
#[utoipa::path(method(get, head), path = "/say/{signature}/{options}/{source}.{extension}", tag = "Audio",
    security(("basic" = []), ("bearer" = []), ()), params(Signed, Asking), responses(OfSource, Say))]
pub(super) async fn say(parts: &Parts, asker: Asker<'_>, head: &Head) -> Answered {
    media_http::say(&parts.media, asker, &parts.addresses, head).await
}

/// Gives the audio that a name stands for.
#[utoipa::path(method(get, head), path = "/prompts/{name}.{extension}", tag = "Prompts",
    security(("basic" = []), ("bearer" = []), ()), params(PromptParams, Asking), responses(OfSource, OfPrompt))]
pub(super) async fn prompt(parts: &Parts, asker: Asker<'_>, head: &Head) -> Answered {
    media_http::prompt(&parts.media, asker, &parts.addresses, head).await
}
