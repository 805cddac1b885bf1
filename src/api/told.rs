//! What the document says of answers: problems by their kinds, audio, and header fields.
//!
//! The kinds are those of the one table (`problem.rs`). Each operation lists which of them it may answer with, and the document says them by
//! status, so that a client reads what to expect and a test finds what is not listed.

use std::collections::BTreeMap;

use http::StatusCode;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, Content, Header, HeaderBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Required, Response,
        ResponseBuilder, Schema, SchemaFormat, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::SchemaType,
    },
};

use crate::{
    concurrency::Resource,
    media::{format::Format, http as media_http},
    problem::Kind,
};

/// Answers by status, as the document has them.
pub(super) type Responses = BTreeMap<String, RefOr<Response>>;

/// What any request may be answered with: who asks is judged first.
pub(super) const ANY: &[Kind] = &[
    Kind::BadRequest,
    Kind::Unauthorized,
    Kind::Forbidden,
    Kind::AccountInactive,
    Kind::TooManyRequests,
    Kind::Internal,
    Kind::AccountsAway,
    Kind::Busy,
];
/// What a request for a part may be answered with.
pub(super) const PART: &[Kind] = &[Kind::RangeNotSatisfiable];
/// What a path is refused with that may be signed.
pub(super) const SIGNED: &[Kind] = &[Kind::SignatureInvalid, Kind::LinkExpired];
/// What a body of limited size is refused with.
pub(super) const BODY: &[Kind] = &[Kind::OverLimit, Kind::RequestTimeout];
/// What an original is refused with that is put here.
pub(super) const ORIGINAL: &[Kind] = &[
    Kind::OverQuota,
    Kind::OverLimit,
    Kind::RequestTimeout,
    Kind::NotAudio,
    Kind::Undecodable,
    Kind::Busy,
    Kind::StorageFull,
];
/// What choosing a format may lead to.
pub(super) const FORMAT: &[Kind] = &[Kind::PresetsOnly, Kind::NotAcceptable];
/// What making audio of an original may lead to.
pub(super) const MAKING: &[Kind] = &[
    Kind::OverLimit,
    Kind::NotAudio,
    Kind::Undecodable,
    Kind::Busy,
    Kind::NotCached,
    Kind::FillRunning,
    Kind::StorageFull,
];
/// What fetching an original may lead to.
pub(super) const FETCHING: &[Kind] =
    &[Kind::SourceForbidden, Kind::SourceMissing, Kind::OriginFailed, Kind::OriginTimeout, Kind::LoopDetected];
/// What having a text spoken may lead to.
pub(super) const SPEAKING: &[Kind] =
    &[Kind::UnknownVoice, Kind::NoEngine, Kind::SpeechFailed, Kind::SpeechTimeout, Kind::LoopDetected];

/// Types that stand in `responses(…)` for the problems of these kinds.
macro_rules! refusals {
    ($($name:ident: $($kinds:expr),+;)*) => {
        $(
            #[doc = concat!("Problems of the operation ", stringify!($name), ".")]
            pub(super) struct $name;

            impl utoipa::IntoResponses for $name {
                fn responses() -> $crate::api::told::Responses {
                    $crate::api::told::problems(&[$($kinds),+])
                }
            }
        )*
    };
}

pub(super) use refusals;

/// The answers that problems of these kinds are, by their status: each refers to what stands in the document once ([`defined`]).
pub(super) fn problems(kinds: &[&[Kind]]) -> Responses {
    let named = |kinds: Vec<Kind>| {
        let slugs: Vec<&str> = kinds.iter().map(|kind| kind.slug()).collect();
        Ref::from_response_name(slugs.join(".")).into()
    };
    by_status(kinds).map(|(status, kinds)| (status.to_string(), named(kinds))).collect()
}

/// The same, each said where it stands.
pub(super) fn problems_in_full(kinds: &[&[Kind]]) -> BTreeMap<String, Response> {
    by_status(kinds).map(|(status, kinds)| (status.to_string(), problem(status, &kinds))).collect()
}

fn by_status(kinds: &[&[Kind]]) -> impl Iterator<Item = (u16, Vec<Kind>)> + use<> {
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    // In the order of the table, each once.
    for kind in Kind::ALL.iter().filter(|kind| kinds.iter().any(|some| some.contains(kind))) {
        by_status.entry(kind.status()).or_default().push(*kind);
    }
    by_status.into_iter()
}

/// What a reference to an answer stands for: its name says which kinds of problems.
pub(super) fn defined(reference: &Ref) -> Option<(&str, Response)> {
    let name = reference.ref_location.rsplit('/').next()?;
    let kinds: Vec<Kind> = name.split('.').filter_map(Kind::from_slug).collect();
    Some((name, problem(kinds.first()?.status(), &kinds)))
}

fn problem(status: u16, kinds: &[Kind]) -> Response {
    let lines: Vec<String> = kinds.iter().map(|kind| format!("`{}`: {}.", kind.slug(), kind.title())).collect();
    let urns = kinds.iter().map(|kind| kind.urn());
    let is_one = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .property("type", ObjectBuilder::new().schema_type(SchemaType::AnyValue).enum_values(Some(urns)));
    let schema = AllOfBuilder::new().item(Ref::from_schema_name("Problem")).item(is_one).build();
    let mut response = ResponseBuilder::new()
        .description(lines.join(" "))
        .content("application/problem+json", Content::new(Some(Schema::AllOf(schema))))
        .header("Cache-Control", header("No cache keeps a problem.", one_of(["no-store"])));
    if status == StatusCode::UNAUTHORIZED {
        response = response.header("WWW-Authenticate", header("How callers authenticate.", text()));
    }
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        response = response.header("Retry-After", header("Seconds after which asking again is worth it.", count()));
    }
    if status == StatusCode::RANGE_NOT_SATISFIABLE {
        response = response.header("Content-Range", header("`bytes */LENGTH`.", pattern(r"^bytes \*/[0-9]+$")));
    }
    response.build()
}

/// What answers with audio are: all of it, a part of it, or that it has not changed. The fields of `sometimes` may be missing.
fn audio(content_types: &[String], always: &[Field], sometimes: &[Field]) -> Responses {
    let answer = |description: &str, has_body: bool| {
        let mut response = ResponseBuilder::new().description(description);
        for (name, description, schema) in always {
            response = response.header(*name, header(description, schema()));
        }
        for (name, description, schema) in sometimes {
            response = response.header(*name, sometimes_header(description, schema()));
        }
        for content_type in content_types.iter().filter(|_| has_body) {
            response = response.content(content_type, Content::new(Some(Ref::from_schema_name("Binary"))));
        }
        response
    };
    let whole = answer("The audio.", true);
    let part = answer("The part of it that `Range` asks for.", true)
        .header("Content-Range", header("Which bytes these are.", pattern(r"^bytes [0-9]+-[0-9]+/[0-9]+$")))
        .header("Content-Length", header("Bytes of the part.", count()));
    let unchanged = answer("It is what the caller has.", false);
    let responses = [("200", whole), ("206", part), ("304", unchanged)];
    responses.map(|(status, response)| (status.to_owned(), response.build().into())).into()
}

/// A header field: its name, what it says, and the form of its value.
pub(super) type Field = (&'static str, &'static str, fn() -> RefOr<Schema>);

const CACHE_CONTROL: Field =
    ("Cache-Control", "For how long it may be kept, and by whom.", || pattern("^(public|private|no-store)"));
const CACHE_STATUS: Field = ("Cache-Status", "What the cache did (RFC 9211).", || pattern("^ringback; "));
const ETAG: Field = ("ETag", "Names the bytes.", || pattern("^\"[0-9a-f]{64}\"$"));
const REPR_DIGEST: Field = ("Repr-Digest", "Their SHA-256 (RFC 9530).", || pattern("^sha-256=:.*:$"));
const ACCEPT_RANGES: Field = ("Accept-Ranges", "Parts can be asked for.", || one_of(["bytes"]));
const LAST_MODIFIED: Field = ("Last-Modified", "When it changed last.", text);
const CONTENT_LENGTH: Field = ("Content-Length", "Its bytes.", count);
const CONTENT_LOCATION: Field = ("Content-Location", "The persistent address of this audio, where it is kept.", text);
const SERVER_TIMING: Field = ("Server-Timing", "How long each stage of its making took.", text);

/// What is told of what was counted.
pub(super) const COUNTED: [Field; 3] = [
    ("Concurrent-Requests", "How many of this kind of work the account has in progress, with this one.", count),
    ("Concurrent-Requests-Resource", "The kind of work.", kind_of_work),
    ("Server-Timing", "How long it took until its headers were ready (`total`).", text),
];

/// The same, where there are limits.
pub(super) const LIMITED: [Field; 2] = [
    ("Concurrent-Requests-Limit", "How many may be; missing where any number may.", count),
    ("Concurrent-Requests-Soft-Limit", "The soft limit, where it is reached.", count),
];

fn kind_of_work() -> RefOr<Schema> {
    let kinds = Resource::ALL.iter().map(|kind| kind.as_str());
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds)).into()
}

/// Missing where an answer begins before all of its audio is there, or where nothing of it is kept.
const AT_ITS_END: [Field; 8] =
    [CONTENT_LENGTH, ETAG, REPR_DIGEST, ACCEPT_RANGES, LAST_MODIFIED, CONTENT_LOCATION, SERVER_TIMING, CACHE_CONTROL];

/// Audio under its persistent address.
pub(super) struct Artifact;

impl utoipa::IntoResponses for Artifact {
    fn responses() -> Responses {
        let always = [CACHE_CONTROL, CACHE_STATUS, ETAG, REPR_DIGEST, ACCEPT_RANGES, LAST_MODIFIED];
        let mut responses = audio(&media_http::audio_types(), &always, &[CONTENT_LENGTH]);
        let moved = ResponseBuilder::new()
            .description("It was made by an older version of the pipeline and is gone: where today's is.")
            .header("Location", header("Its address.", text()))
            .header("Cache-Control", header("The older one may come back.", one_of(["no-store"])));
        responses.insert("307".to_owned(), moved.build().into());
        responses
    }
}

/// Audio by its source. Where it is sent while it is being made, what is known at its end only is missing.
pub(super) struct OfSource;

impl utoipa::IntoResponses for OfSource {
    fn responses() -> Responses {
        audio(&media_http::audio_types(), &[CACHE_STATUS], &AT_ITS_END)
    }
}

/// The same, as jambonz wants it.
pub(super) struct Spoken;

impl utoipa::IntoResponses for Spoken {
    fn responses() -> Responses {
        audio(&["audio/wav".to_owned()], &[CACHE_STATUS], &AT_ITS_END)
    }
}

/// An original, as it came.
pub(super) struct Original;

impl utoipa::IntoResponses for Original {
    fn responses() -> Responses {
        audio(&media_http::original_types(), &[CACHE_CONTROL, ETAG, ACCEPT_RANGES], &[CONTENT_LENGTH])
    }
}

/// An extension that chooses a format.
pub(super) struct Extension;

impl PartialSchema for Extension {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Format::extensions()))
            .description(Some(
                "Chooses the format. It tells upper case from lower: `PCMU` is `ulaw` as FreeSWITCH names it.",
            ))
            .into()
    }
}

impl ToSchema for Extension {}

/// Audio, or a part of it, as a body.
pub(super) struct Binary;

impl PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(format))
            .description(Some("Bytes as they are."))
            .into()
    }
}

impl ToSchema for Binary {}

/// The fields of a request for audio.
pub(super) struct Asking;

impl IntoParams for Asking {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let field = |name: &str, description: &str, example: &str| {
            let field = field(name, description, Required::False, text());
            ParameterBuilder::from(field).example(Some(example.into())).build()
        };
        vec![
            field("Range", "Which bytes are wanted (RFC 9110 §14.2).", "bytes=0-159"),
            field("If-None-Match", "Answers 304 where the bytes are still these.", "\"0\""),
            field("If-Modified-Since", "Answers 304 where nothing has changed since.", "Fri, 27 Nov 2026 00:00:00 GMT"),
            field(
                "Cache-Control",
                "`only-if-cached`: nothing is made (504 where it is not there). `no-cache`: the origin is asked. `no-store`: nothing is kept.",
                "no-cache",
            ),
            field("Prefer", "`wait`: the answer begins when the whole is there, so that its length is known.", "wait"),
        ]
    }
}

/// A header field of requests.
pub(super) fn field(name: &str, description: &str, required: Required, schema: RefOr<Schema>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// A header field that is always there.
pub(super) fn header(description: &str, schema: RefOr<Schema>) -> Header {
    HeaderBuilder::new().description(Some(description)).schema(Some(schema)).build()
}

/// One that may be missing.
pub(super) fn sometimes_header(description: &str, schema: RefOr<Schema>) -> Header {
    let mut header = header(description, schema);
    require(&mut header, false);
    header
}

/// Says whether a header field is always there, unless that was said.
///
/// The crate knows no `required` of header fields, but writes what stands among its extensions.
pub(super) fn require(header: &mut Header, required: bool) {
    let extensions = header.extensions.get_or_insert_default();
    extensions.entry("required".to_owned()).or_insert(required.into());
}

pub(super) fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}

pub(super) fn count() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).into()
}

pub(super) fn pattern(pattern: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
}

pub(super) fn one_of<const N: usize>(values: [&str; N]) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).into()
}
