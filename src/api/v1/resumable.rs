//! Uploads by tus 1.0 (<https://tus.io/protocols/resumable-upload>): `OPTIONS` and `POST /v1/media/uploads`, and `HEAD`, `PATCH` and
//! `DELETE /v1/media/uploads/resumable/{id}`, also as `POST` with `X-HTTP-Method-Override`. Extensions: creation, creation-with-upload,
//! expiration, termination. Every answer says the version, refusals too.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request};

use crate::{
    api::told::Binary,
    ids::RandomId,
    media::uploads::Progress,
    problem::{Kind, Problem},
};

use super::{
    Failed, Named, V1,
    tus::{Beginning, GoingOn, OfAppend, OfAsk, OfCreate, OfGiveUp, OfOptions, OfOverridden, Overridden, Version},
    uploads::discard,
    watched::Watched,
};

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
/// What an upload that was begun takes.
const METHODS: HeaderValue = HeaderValue::from_static("HEAD, POST, PATCH, DELETE");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PART: &str = "application/offset+octet-stream";

/// Tells what this server can of tus.
#[utoipa::path(options, path = "/v1/media/uploads", tag = "Uploads", responses(OfOptions))]
pub(super) async fn options(v1: V1) -> Response {
    let resumable = v1.parts.media.resumable();
    let headers = [
        (TUS_RESUMABLE, VERSION),
        (TUS_VERSION, VERSION),
        (HeaderName::from_static("tus-max-size"), HeaderValue::from(resumable.bytes_max().get())),
        (
            HeaderName::from_static("tus-extension"),
            HeaderValue::from_static("creation,creation-with-upload,expiration,termination"),
        ),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// A refusal as tus has it: it says the version, too.
#[derive(Debug)]
pub(super) struct Refused(Problem);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        Refused(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let kind = self.0.kind;
        let mut response = Failed(self.0).into_response();
        response.headers_mut().insert(TUS_RESUMABLE, VERSION);
        match kind {
            Kind::PreconditionFailed => drop(response.headers_mut().insert(TUS_VERSION, VERSION)),
            Kind::MethodNotAllowed => drop(response.headers_mut().insert(header::ALLOW, METHODS)),
            _ => {}
        }
        response
    }
}

/// Begins an upload that is sent in parts (tus 1.0). A body is its first part.
#[utoipa::path(post, path = "/v1/media/uploads", tag = "Uploads", params(Beginning),
    request_body(content = Binary, content_type = "application/offset+octet-stream", description = "The first part, or nothing."),
    responses(OfCreate))]
pub(super) async fn create(v1: V1, sent: Request) -> Result<Response, Refused> {
    let (head, body) = sent.into_parts();
    taking(&v1, &head, body, async |body| begin(&v1, &head.headers, body).await).await
}

async fn begin(v1: &V1, headers: &HeaderMap, body: &mut Watched) -> Result<Response, Problem> {
    speaks_tus(headers)?;
    let length = number(headers, &UPLOAD_LENGTH)?;
    let is_part = headers.get(header::CONTENT_TYPE).is_some_and(|value| value == PART);
    let (resumable, tenant) = (v1.parts.media.resumable(), &v1.parts.tenant);
    let (id, progress) = match is_part {
        true => resumable.begin_with(tenant, length, body, v1.body_timeout).await?,
        false => resumable.begin(tenant, length).await?,
    };
    let location = v1.parts.addresses.path(&format!("/v1/media/uploads/resumable/{id}"));
    let mut headers = told(v1, &progress);
    headers.insert(header::LOCATION, HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("")));
    Ok((StatusCode::CREATED, headers).into_response())
}

/// Does something with a body; where that is refused, what is still coming of it is taken, so that its sender reads why.
async fn taking(
    v1: &V1,
    head: &request::Parts,
    body: axum::body::Body,
    work: impl AsyncFnOnce(&mut Watched) -> Result<Response, Problem>,
) -> Result<Response, Refused> {
    let mut body = Watched::new(v1, head, body);
    let worked = work(&mut body).await;
    // Also where what has come is kept for who goes on: that is somebody else.
    match body.refusal().map_or(worked, Err) {
        Ok(response) => Ok(response),
        Err(problem) => {
            discard(body).await;
            Err(problem.into())
        }
    }
}

/// Does what another method does, for who cannot send that (tus 1.0).
#[utoipa::path(post, path = "/v1/media/uploads/resumable/{id}", tag = "Uploads",
    params(("id" = RandomId, Path), Overridden),
    request_body(content = Binary, content_type = "application/offset+octet-stream", description = "The part."),
    responses(OfOverridden))]
pub(super) async fn overridden(v1: V1, id: Named, sent: Request) -> Result<Response, Refused> {
    match sent.headers().get(METHOD_OVERRIDE).map(HeaderValue::as_bytes) {
        Some(b"PATCH") => append(v1, id, sent).await,
        Some(b"HEAD") => ask(v1, id, sent).await,
        Some(b"DELETE") => give_up(v1, id, sent).await,
        _ => {
            let detail = "an upload that was begun takes HEAD, PATCH and DELETE";
            let (head, body) = sent.into_parts();
            taking(&v1, &head, body, async |_| Err(Problem::new(Kind::MethodNotAllowed, detail))).await
        }
    }
}

/// Tells how far an upload is.
#[utoipa::path(head, path = "/v1/media/uploads/resumable/{id}", tag = "Uploads",
    params(("id" = RandomId, Path), Version), responses(OfAsk))]
pub(super) async fn ask(v1: V1, id: Named, asked: Request) -> Result<Response, Refused> {
    speaks_tus(asked.headers())?;
    let progress = v1.parts.media.resumable().ask(&v1.parts.tenant, parse(id)?).await?;
    let mut headers = told(&v1, &progress);
    headers.insert(UPLOAD_LENGTH, HeaderValue::from(progress.length));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    Ok((StatusCode::OK, headers).into_response())
}

/// Takes the next part of an upload. The last one is answered when all is on stable storage.
#[utoipa::path(patch, path = "/v1/media/uploads/resumable/{id}", tag = "Uploads",
    params(("id" = RandomId, Path), GoingOn),
    request_body(content = Binary, content_type = "application/offset+octet-stream", description = "The part."),
    responses(OfAppend))]
pub(super) async fn append(v1: V1, id: Named, sent: Request) -> Result<Response, Refused> {
    let (head, body) = sent.into_parts();
    taking(&v1, &head, body, async |body| go_on(&v1, id, &head.headers, body).await).await
}

async fn go_on(v1: &V1, id: Named, headers: &HeaderMap, body: &mut Watched) -> Result<Response, Problem> {
    speaks_tus(headers)?;
    if headers.get(header::CONTENT_TYPE).is_none_or(|value| value != PART) {
        let detail = "a part of an upload has the Content-Type application/offset+octet-stream";
        return Err(Problem::new(Kind::NotAudio, detail));
    }
    let (id, offset) = (parse(id)?, number(headers, &UPLOAD_OFFSET)?);
    let resumable = v1.parts.media.resumable();
    let progress = resumable.append(&v1.parts.tenant, id, offset, body, v1.body_timeout).await?;
    Ok((StatusCode::NO_CONTENT, told(v1, &progress)).into_response())
}

/// Gives an upload up.
#[utoipa::path(delete, path = "/v1/media/uploads/resumable/{id}", tag = "Uploads",
    params(("id" = RandomId, Path), Version), responses(OfGiveUp))]
pub(super) async fn give_up(v1: V1, id: Named, asked: Request) -> Result<Response, Refused> {
    speaks_tus(asked.headers())?;
    v1.parts.media.resumable().give_up(&v1.parts.tenant, parse(id)?).await?;
    Ok((StatusCode::NO_CONTENT, [(TUS_RESUMABLE, VERSION)]).into_response())
}

/// What every answer says; once all is kept, also where it is.
fn told(v1: &V1, progress: &Progress) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(TUS_RESUMABLE, VERSION);
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(progress.offset));
    let mut insert = |name, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    insert(UPLOAD_EXPIRES, httpdate::fmt_http_date(progress.ends));
    if let Some(hash) = progress.content_hash {
        insert(header::CONTENT_LOCATION, v1.parts.addresses.path(&format!("/v1/media/uploads/{hash}")));
    }
    headers
}

fn speaks_tus(headers: &HeaderMap) -> Result<(), Problem> {
    let speaks = headers.get(TUS_RESUMABLE).is_some_and(|version| *version == VERSION);
    let detail = "resumable uploads speak tus 1.0.0 and say so (Tus-Resumable)";
    speaks.then_some(()).ok_or_else(|| Problem::new(Kind::PreconditionFailed, detail))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    let number = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Problem::new(Kind::BadRequest, format!("the field {name} is a number of bytes")))
}

/// A malformed id is as unknown as any other.
fn parse(id: Named) -> Result<RandomId, Problem> {
    let id = id.ok().and_then(|id| id.parse().ok());
    id.ok_or_else(|| Problem::new(Kind::NotFound, "there is no such upload, or its time is over"))
}
