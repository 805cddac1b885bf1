//! `/docs`: the document of the API (OpenAPI 3.1), made from its handlers, and a page that shows it. Nothing of either comes from another machine.

use std::sync::{Arc, LazyLock};

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
    Modify, OpenApi,
    openapi::{
        self,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::v2010;

/// Where the document is.
const DOCUMENT: &str = "/docs/openapi.json";
/// The page runs its own scripts and shows its own pictures, and talks to this node alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);
const CONTENT_TYPE_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");

/// The document of the API, as far as it is one for accounts.
#[derive(OpenApi)]
#[openapi(
    info(title = "Ringback", description = "Sound for call routers: media, and the accounts that it belongs to."),
    modifiers(&Credentials)
)]
struct Document;

/// How callers authenticate.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, scheme) in [("basic", HttpAuthScheme::Basic), ("bearer", HttpAuthScheme::Bearer)] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
        let none: [&str; 0] = [];
        document.security =
            Some(vec![SecurityRequirement::new("basic", none), SecurityRequirement::new("bearer", none)]);
    }
}

/// The document as it is served.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    let mut document = Document::openapi();
    document.merge(v2010::Document::openapi());
    // Made of constants: where it cannot be written, a test says so.
    Bytes::from(serde_json::to_vec(&document).unwrap_or_default())
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
