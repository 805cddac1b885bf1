//! `/docs`: the document of the API (OpenAPI 3.1), made from its handlers, and a page that shows it. Nothing of either comes from another machine.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    body::Body,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use utoipa::{
    OpenApi,
    openapi::{
        self, HttpMethod, PathItem, RefOr, Response as Documented,
        extensions::ExtensionsBuilder,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::accounts::Access;

use super::{
    audio, connect,
    permission::Needs,
    told::{self, Responses},
    v1, v2010,
};

/// What an operation says that it needs: a word of scopes, `own or` such a word, or `auth token`.
const PERMISSION: &str = "x-permission";
/// Where the document is.
const DOCUMENT: &str = "/docs/openapi.json";
/// The page runs its own scripts and shows its own pictures, and talks to this node alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);
const CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");

/// The document of the API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Ringback", description = "Sound for call routers: media, and the accounts that it belongs to."),
    tags(
        (name = "Audio", description = "Audio by its address: what players and call routers ask for."),
        (name = "Media", description = "Audio made, described, purged, and made ahead of time."),
        (name = "Uploads", description = "Originals that are put here, whole or in parts."),
        (name = "Prompts", description = "Names that stand for uploads."),
        (name = "Speech", description = "Text to be spoken."),
        (name = "Concurrency", description = "How much may be in progress, and how much is."),
        (name = "Accounts", description = "Accounts and their subaccounts."),
        (name = "AuthTokens", description = "What an account authenticates with."),
        (name = "Keys", description = "What authenticates requests."),
        (name = "SigningKeys", description = "What signs the tokens of clients."),
        (name = "Applications", description = "What calls do, under a name."),
        (name = "IncomingPhoneNumbers", description = "Numbers, and what calls to them do."),
        (name = "ConnectApps", description = "Applications that an account offers to others, to act for them."),
        (name = "AuthorizedConnectApps", description = "What an account allows applications of others."),
        (name = "Connect", description = "Codes and tokens for developers whose applications accounts allow."),
    ),
)]
struct Document;

/// Everything that is served, as one document.
fn document() -> openapi::OpenApi {
    let mut document = Document::openapi();
    for part in
        [audio::Document::openapi(), v1::Document::openapi(), v2010::Document::openapi(), connect::Document::openapi()]
    {
        document.merge(part);
    }
    authenticate(&mut document);
    let mut problems = BTreeMap::new();
    let needs = [v1::Document::needs(), v2010::Document::needs(), connect::Document::needs()].concat();
    for (path, item) in &mut document.paths.paths {
        let PathItem { get, head, post, put, patch, delete, options, .. } = item;
        if let Some(head) = head {
            without_bodies(head);
        }
        for (method, operation) in [
            (HttpMethod::Get, &mut *get),
            (HttpMethod::Head, &mut *head),
            (HttpMethod::Post, &mut *post),
            (HttpMethod::Put, &mut *put),
            (HttpMethod::Patch, &mut *patch),
            (HttpMethod::Delete, &mut *delete),
            (HttpMethod::Options, &mut *options),
        ] {
            let said = needs.iter().find(|need| need.path == *path && need.methods.contains(&method));
            // What is not routed is audio, which is read.
            let needs = said.map_or(Needs::media(Access::Read), |need| need.needs);
            let extension = ExtensionsBuilder::new().add(PERMISSION, needs.to_string()).build();
            if let Some(operation) = operation {
                operation.extensions.get_or_insert_default().merge(extension);
                // What is routed is counted before its handler is asked, unless the reserve lets it in.
                let is_counted = said.is_some_and(|need| !need.counts.is_operators);
                complete(operation, is_counted, &mut problems);
            }
        }
    }
    document.components.get_or_insert_default().responses.extend(problems);
    document
}

/// How callers authenticate.
fn authenticate(document: &mut openapi::OpenApi) {
    let components = document.components.get_or_insert_default();
    for (name, scheme) in [("basic", HttpAuthScheme::Basic), ("bearer", HttpAuthScheme::Bearer)] {
        components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
    }
    let none: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new("basic", none), SecurityRequirement::new("bearer", none)]);
}

/// What is the same of all operations. Collects what their answers refer to.
fn complete(operation: &mut Operation, is_counted: bool, referred: &mut Responses) {
    // Handlers of different things have equal names.
    let tag = operation.tags.iter().flatten().next().map_or("", String::as_str);
    operation.operation_id = operation.operation_id.take().map(|id| format!("{tag}_{id}"));
    for (status, response) in &mut operation.responses.responses {
        match response {
            RefOr::T(response) => complete_response(status, is_counted, response),
            RefOr::Ref(reference) => {
                if let Some((name, mut response)) = told::defined(reference) {
                    complete_response(status, false, &mut response);
                    referred.insert(name.to_owned(), response.into());
                }
            }
        }
    }
}

fn complete_response(status: &str, is_counted: bool, response: &mut Documented) {
    if response.description.is_empty() {
        response.description = description(status).to_owned();
    }
    let id = told::header("Names the request in the node's log.", told::pattern("^[0-9a-f]{32}$"));
    response.headers.entry("X-Request-Id".to_owned()).or_insert(id.into());
    // A refusal is that of a request that was counted, or comes before.
    let is_answer = is_counted && status.starts_with(['2', '3']);
    for (name, description, schema) in told::COUNTED {
        let header =
            if is_answer { told::header(description, schema()) } else { told::sometimes_header(description, schema()) };
        response.headers.entry(name.to_owned()).or_insert(header.into());
    }
    for (name, description, schema) in told::LIMITED {
        response.headers.entry(name.to_owned()).or_insert(told::sometimes_header(description, schema()).into());
    }
    for header in response.headers.values_mut() {
        if let RefOr::T(header) = header {
            told::require(header, true);
        }
    }
}

/// What a status means, where an operation says no more of it. The document needs to say something.
fn description(status: &str) -> &'static str {
    match status {
        "4XX" => "It is refused.",
        "5XX" => "The node failed, or cannot do it now.",
        _ => status.parse().ok().and_then(|status: StatusCode| status.canonical_reason()).unwrap_or("It is done."),
    }
}

/// What a HEAD is answered with: the same, but for the body.
fn without_bodies(head: &mut Operation) {
    head.operation_id = head.operation_id.take().map(|id| format!("{id}_head"));
    for response in head.responses.responses.values_mut() {
        if let RefOr::Ref(reference) = response
            && let Some((_, said)) = told::defined(reference)
        {
            *response = said.into();
        }
        if let RefOr::T(response) = response {
            response.content.clear();
        }
    }
}

/// The document as it is served.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    // Made of constants: where it cannot be written, a test says so.
    Bytes::from(serde_json::to_vec(&document()).unwrap_or_default())
});

/// The routes below `/docs`.
pub(super) fn router() -> Router {
    Router::new()
        .route("/docs", routing::get(async || Redirect::permanent("/docs/")))
        .route("/docs/", routing::get(async || page("index.html")))
        .route(DOCUMENT, routing::get(async || ([(header::CONTENT_TYPE, "application/json")], TEXT.clone())))
        .route("/docs/{file}", routing::get(async |Path(file): Path<String>| page(&file)))
}

/// A file of the page.
fn page(file: &str) -> Response {
    let config = utoipa_swagger_ui::Config::new([DOCUMENT]);
    match utoipa_swagger_ui::serve(file, Arc::new(config)) {
        Ok(Some(found)) => {
            let mut response = Response::new(Body::from(found.bytes.into_owned()));
            let headers = response.headers_mut();
            if let Ok(content_type) = HeaderValue::from_str(&found.content_type) {
                headers.insert(header::CONTENT_TYPE, content_type);
            }
            headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
            headers.insert(CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
