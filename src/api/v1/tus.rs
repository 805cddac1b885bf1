//! What the document says of uploads in parts: the fields of requests and answers of tus 1.0. The handlers are in `resumable`.

use utoipa::{
    IntoParams, IntoResponses,
    openapi::{
        Required, Response, ResponseBuilder,
        path::{Parameter, ParameterIn},
    },
};

use crate::{
    api::told::{self, Field},
    problem::Kind,
};

/// What every answer of tus says of an upload.
const PROGRESS: [Field; 2] = [
    ("Upload-Offset", "Bytes that are on stable storage: the next part begins there.", told::count),
    ("Upload-Expires", "Until when it can be gone on with.", told::text),
];
/// Where all of it is kept.
const KEPT: Field = ("Content-Location", "Where it is, once all of it is kept.", told::text);

/// The field that says which protocol is spoken.
pub(super) struct Version;

impl IntoParams for Version {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![told::field(
            "Tus-Resumable",
            "Which version of tus the caller speaks.",
            Required::True,
            told::one_of(["1.0.0"]),
        )]
    }
}

/// The fields of one that begins.
pub(super) struct Beginning;

impl IntoParams for Beginning {
    fn into_params(from: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut params = Version::into_params(from);
        params.push(told::field("Upload-Length", "Bytes of the whole, 1 at least.", Required::True, told::count()));
        params
    }
}

/// The fields of one that goes on.
pub(super) struct GoingOn;

impl IntoParams for GoingOn {
    fn into_params(from: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut params = Version::into_params(from);
        let description = "Where the part begins: what the last answer said.";
        params.push(told::field("Upload-Offset", description, Required::True, told::count()));
        params
    }
}

/// The fields of one whose sender has no other method.
pub(super) struct Overridden;

impl IntoParams for Overridden {
    fn into_params(from: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut params = Version::into_params(from);
        let methods = told::one_of(["PATCH", "HEAD", "DELETE"]);
        params.push(told::field("X-HTTP-Method-Override", "The method that is meant.", Required::True, methods));
        params.push(told::field("Upload-Offset", "As `PATCH` takes it.", Required::False, told::count()));
        params
    }
}

/// What an answer without a body says in its fields.
fn answer(status: u16, description: &str, fields: &[Field]) -> told::Responses {
    let mut response = ResponseBuilder::new()
        .description(description)
        .header("Tus-Resumable", told::header("The version of tus that is spoken here.", told::one_of(["1.0.0"])));
    for (name, description, schema) in fields {
        response = response.header(*name, told::header(description, schema()));
    }
    if status < 300 && !fields.is_empty() {
        let (name, description, schema) = KEPT;
        response = response.header(name, told::sometimes_header(description, schema()));
    }
    [(status.to_string(), response.build().into())].into()
}

/// Problems as tus has them: each says the version, but for those of who may not ask at all.
fn problems(kinds: &[&[Kind]]) -> told::Responses {
    let with_version = |mut response: Response| {
        let version = told::sometimes_header("The version of tus that is spoken here.", told::one_of(["1.0.0"]));
        response.headers.insert("Tus-Resumable".to_owned(), version.into());
        response.into()
    };
    let problems = told::problems_in_full(kinds).into_iter();
    problems.map(|(status, response)| (status, with_version(response))).collect()
}

/// What `options` answers.
pub(super) struct OfOptions;

impl IntoResponses for OfOptions {
    fn responses() -> told::Responses {
        let can: [Field; 3] = [
            ("Tus-Version", "Versions that are spoken here.", told::text),
            ("Tus-Max-Size", "Bytes of an upload at most.", told::count),
            ("Tus-Extension", "Extensions that are spoken here.", told::text),
        ];
        let mut responses = problems(&[told::ANY]);
        responses.extend(answer(204, "What this server can.", &can));
        responses
    }
}

/// What `create` answers.
pub(super) struct OfCreate;

impl IntoResponses for OfCreate {
    fn responses() -> told::Responses {
        let [offset, expires] = PROGRESS;
        let fields = [("Location", "Where it goes on.", told::text as _), offset, expires];
        let mut responses = problems(&[told::ANY, told::ORIGINAL, &[Kind::PreconditionFailed]]);
        responses.extend(answer(201, "It was begun.", &fields));
        responses
    }
}

/// What `ask` answers.
pub(super) struct OfAsk;

impl IntoResponses for OfAsk {
    fn responses() -> told::Responses {
        let [offset, expires] = PROGRESS;
        let fields = [
            offset,
            expires,
            ("Upload-Length", "Bytes of the whole.", told::count as _),
            ("Cache-Control", "It changes.", || told::one_of(["no-store"])),
        ];
        let mut responses = problems(&[told::ANY, told::ORIGINAL, ON_ONE]);
        responses.extend(answer(200, "How far it is.", &fields));
        responses
    }
}

/// What `append` answers.
pub(super) struct OfAppend;

impl IntoResponses for OfAppend {
    fn responses() -> told::Responses {
        let mut responses = problems(&[told::ANY, told::ORIGINAL, ON_ONE, &[Kind::Conflict]]);
        responses.extend(answer(
            204,
            "The part is on stable storage; with the last one, the upload is kept.",
            &PROGRESS,
        ));
        responses
    }
}

/// What `give_up` answers.
pub(super) struct OfGiveUp;

impl IntoResponses for OfGiveUp {
    fn responses() -> told::Responses {
        let mut responses = problems(&[told::ANY, ON_ONE]);
        responses.extend(answer(204, "It was given up. What it became stays.", &[]));
        responses
    }
}

/// What `overridden` answers: what the method that is meant does.
pub(super) struct OfOverridden;

impl IntoResponses for OfOverridden {
    fn responses() -> told::Responses {
        let kinds: [&[Kind]; 4] = [told::ANY, told::ORIGINAL, ON_ONE, &[Kind::Conflict, Kind::MethodNotAllowed]];
        let mut responses = problems(&kinds);
        responses.extend(answer(200, "As of `HEAD`.", &PROGRESS));
        responses.extend(answer(204, "As of `PATCH` and `DELETE`.", &[]));
        responses
    }
}

/// What asking about one may be refused with.
const ON_ONE: &[Kind] = &[Kind::NotFound, Kind::PreconditionFailed, Kind::Locked];
