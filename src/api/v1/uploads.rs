//! `PUT /v1/media/uploads`, and `GET`, `HEAD` and `DELETE /v1/media/uploads/{content_hash}`.

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde::Serialize;

use crate::ids::ContentHash;

use super::{Failed, Named, V1};

/// What is told of an upload.
#[derive(Debug, Serialize)]
struct Kept {
    content_hash: ContentHash,
    bytes: u64,
    r#type: String,
    url: String,
}

/// Keeps an original: 201 when it is on stable storage, 200 where it was there.
pub(super) async fn receive(State(v1): State<V1>, sent: Request) -> Result<Response, Failed> {
    let declared = sent.headers().get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
    let body = sent.into_body().into_data_stream();
    let uploads = v1.parts.media.uploads();
    let uploaded = uploads.receive(&v1.parts.tenant, declared, body, v1.body_timeout).await?;
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

/// The original, as it came.
pub(super) async fn serve(State(v1): State<V1>, name: Named, asked: Request) -> Result<Response, Failed> {
    let name = name.map(|name| name.0).unwrap_or_default();
    let (parts, _) = asked.into_parts();
    let response = v1.parts.media.uploads().answer(&v1.parts.tenant, &name, &parts).await?;
    Ok(response.map(Body::new))
}

/// Removes it: 204.
pub(super) async fn remove(State(v1): State<V1>, name: Named) -> Result<StatusCode, Failed> {
    let name = name.map(|name| name.0).unwrap_or_default();
    v1.parts.media.uploads().remove(&v1.parts.tenant, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
