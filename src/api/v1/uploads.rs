//! `PUT /v1/media/uploads`, and `GET`, `HEAD` and `DELETE /v1/media/uploads/{content_hash}`.

use std::time::Duration;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::Request,
    response::{IntoResponse as _, Response},
};
use futures_util::{Stream, StreamExt as _};
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    api::told::{self, Asking, Binary, Original, refusals},
    ids::ContentHash,
    media::uploads::Uploaded,
    problem::{Kind, Problem},
};

use super::{Failed, Named, V1, watched::Watched};

/// Bytes of a refused body that are taken.
const DISCARDED_MAX: usize = 4 << 20;
/// How long its rest is waited for.
const DISCARD_MAX: Duration = Duration::from_secs(1);

/// What is told of an upload.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Upload)]
pub(super) struct Kept {
    /// Its name.
    content_hash: ContentHash,
    /// How long it is.
    bytes: u64,
    /// What it is, by its content.
    r#type: String,
    /// Where it can be had as it came.
    url: String,
}

refusals! {
    Receive: told::ANY, told::ORIGINAL;
    Serve: told::ANY, told::PART, &[Kind::NotFound, Kind::Busy];
    Remove: told::ANY, &[Kind::NotFound, Kind::Busy];
}

/// Keeps an original.
///
/// What it is, is told by its content; what its sender says counts for nothing.
#[utoipa::path(put, path = "/v1/media/uploads", tag = "Uploads",
    request_body(content = Binary, content_type = "application/octet-stream", description = "Audio as it is."),
    responses(
        (status = 200, body = Kept, description = "It was there.", headers(("Location" = String, description = "Where it can be had."))),
        (status = 201, body = Kept, description = "It is on stable storage.", headers(("Location" = String, description = "Where it can be had."))),
        Receive,
    ))]
pub(super) async fn receive(v1: V1, sent: Request) -> Result<Response, Failed> {
    let uploaded = take(&v1, sent).await?;
    let url = v1.parts.addresses.path(&format!("/v1/media/uploads/{}", uploaded.content_hash));
    let status = if uploaded.was_there { StatusCode::OK } else { StatusCode::CREATED };
    let kept = Kept {
        content_hash: uploaded.content_hash,
        bytes: uploaded.bytes,
        r#type: uploaded.content_type,
        url: url.clone(),
    };
    Ok((status, [(header::LOCATION, url)], Json(kept)).into_response())
}

/// Keeps the audio that is the body of a request.
pub(super) async fn take(v1: &V1, sent: Request) -> Result<Uploaded, Problem> {
    let (head, body) = sent.into_parts();
    let declared = head.headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = Watched::new(v1, &head, body);
    let uploads = v1.parts.media.uploads();
    match uploads.receive(&v1.parts.tenant, declared, &mut body, v1.body_timeout).await {
        Ok(uploaded) => Ok(uploaded),
        Err(problem) => {
            let problem = body.refusal().unwrap_or(problem);
            discard(body).await;
            Err(problem)
        }
    }
}

/// Takes what is still coming of a refused body, within bounds: a sender whose connection ends while it sends may never read the answer.
pub(in crate::api) async fn discard<E>(mut body: impl Stream<Item = Result<Bytes, E>> + Unpin) {
    let rest = async {
        let mut discarded = 0;
        while discarded < DISCARDED_MAX
            && let Some(Ok(piece)) = body.next().await
        {
            discarded += piece.len();
        }
    };
    // Whoever sends no more has read the answer, or will.
    let _over = tokio::time::timeout(DISCARD_MAX, rest).await;
}

/// Gives an original back as it came.
#[utoipa::path(method(get, head), path = "/v1/media/uploads/{content_hash}", tag = "Uploads",
    params(("content_hash" = ContentHash, Path), Asking), responses(Original, Serve))]
pub(super) async fn serve(v1: V1, name: Named, asked: Request) -> Result<Response, Failed> {
    let name = name.map(|name| name.0).unwrap_or_default();
    let (parts, _) = asked.into_parts();
    let response = v1.parts.media.uploads().answer(&v1.parts.tenant, &name, &parts).await?;
    Ok(response.map(Body::new))
}

/// Removes an original, and what was made of it.
#[utoipa::path(delete, path = "/v1/media/uploads/{content_hash}", tag = "Uploads",
    params(("content_hash" = ContentHash, Path)), responses((status = 204, description = "It is gone."), Remove))]
pub(super) async fn remove(v1: V1, name: Named) -> Result<StatusCode, Failed> {
    let name = name.map(|name| name.0).unwrap_or_default();
    v1.parts.media.remove_upload(&v1.parts.tenant, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
