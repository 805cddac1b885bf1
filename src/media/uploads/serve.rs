//! Gives uploads back: the bytes as they came, to whom they belong.

use std::{
    io::{self, Cursor},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::{Beginning, Uploaded, Uploads, key, problem};
use crate::{
    ids::{ContentHash, Sha256, Tenant},
    media::{
        AudioBody, audio,
        cache::durable::{ObjectBytes, ObjectKey, ObjectMeta, ObjectStore, StoreError},
        conditional::{self, Decision, Representation},
        http as media_http,
    },
    problem::{Kind, Problem},
};

/// It is its owner's, and he may remove it at any time.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-store");
/// Bytes that tell what an original is, where the store does not.
const BEGINNING: u64 = 128 << 10;
/// Bytes that are read at once.
const PIECE: u64 = 256 << 10;

impl Uploads {
    /// Answers GET and HEAD for an upload, with conditions and ranges. The whole is checked as it is sent: where it is not what its name
    /// says, the connection is aborted before its last bytes.
    ///
    /// # Errors
    /// `not-found`, also where the name is none; `busy` where the store fails.
    pub async fn answer(&self, tenant: &Tenant, name: &str, parts: &Parts) -> Result<Response<AudioBody>, Problem> {
        let (hash, key) = key(tenant, name)?;
        let meta = self.store.head(&key).await.map_err(|error| problem(&error))?;
        let length = meta.length;
        let etag = format!("\"{hash}\"");
        let representation = Representation { etag: &etag, last_modified: None, length };
        let decision = conditional::decide(&parts.method, &parts.headers, representation);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
        headers.insert(header::ETAG, value(etag));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let (status, range) = match decision {
            Decision::Whole => (StatusCode::OK, 0..length),
            Decision::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
            Decision::NotModified => return Ok(respond(StatusCode::NOT_MODIFIED, headers, AudioBody::empty())),
            Decision::NotSatisfiable => return Ok(not_satisfiable(length)),
            Decision::Changed => {
                return Err(Problem::new(Kind::PreconditionFailed, "the upload is not what the condition names"));
            }
        };
        headers.insert(header::CONTENT_TYPE, value(self.content_type(&key, &meta).await?));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        if status == StatusCode::PARTIAL_CONTENT {
            headers.insert(header::CONTENT_RANGE, value(format!("bytes {}-{}/{length}", range.start, range.end - 1)));
        }
        if parts.method == Method::HEAD {
            return Ok(respond(status, headers, AudioBody::empty()));
        }
        let body = self.body(&hash, &key, range, length).await?;
        Ok(respond(status, headers, body))
    }

    /// What is known of an upload.
    ///
    /// # Errors
    /// `not-found`, also where the name is none; `busy` where the store fails.
    pub async fn describe(&self, tenant: &Tenant, name: &str) -> Result<Uploaded, Problem> {
        let (content_hash, key) = key(tenant, name)?;
        let meta = self.store.head(&key).await.map_err(|error| problem(&error))?;
        let content_type = self.content_type(&key, &meta).await?;
        Ok(Uploaded { content_hash, bytes: meta.length, content_type, was_there: true })
    }

    async fn body(
        &self,
        hash: &ContentHash,
        key: &ObjectKey,
        range: Range<u64>,
        length: u64,
    ) -> Result<AudioBody, Problem> {
        let is_whole = range == (0..length);
        let sent = range.end - range.start;
        let mut pieces = Pieces { store: Arc::clone(&self.store), key: key.clone(), range, length };
        // Before anything is promised.
        let first = pieces.next().await.map_err(|error| problem(&error))?;
        let rest =
            stream::try_unfold(
                pieces,
                |mut pieces| async move { Ok(pieces.next().await?.map(|piece| (piece, pieces))) },
            );
        let body: ObjectBytes<StoreError> = Box::pin(stream::iter(first.map(Ok)).chain(rest));
        let body = if is_whole { checked(body, *hash, key.clone()) } else { body };
        let body = body.map(|piece| piece.map_err(io::Error::other));
        Ok(AudioBody::from_store(Box::pin(body), sent))
    }

    /// What an upload is, as the store was told, or by its beginning.
    async fn content_type(&self, key: &ObjectKey, meta: &ObjectMeta) -> Result<String, Problem> {
        if let Some(content_type) = &meta.content_type {
            return Ok(content_type.clone());
        }
        let range = (BEGINNING < meta.length).then_some(0..BEGINNING);
        let mut body = self.store.get(key, range).await.map_err(|error| problem(&error))?.body;
        let mut beginning = Vec::new();
        while let Some(piece) = body.next().await {
            beginning.extend_from_slice(&piece.map_err(|error| problem(&error))?);
        }
        // A tag with a large picture hides what comes behind it; nearly always it is this.
        let else_wise = if beginning.starts_with(b"ID3") {
            audio::Kind::Mp3.content_type()
        } else {
            media_http::UNKNOWN_TYPE.into()
        };
        let kind = audio::recognize(Box::new(Beginning(Cursor::new(Bytes::from(beginning)))));
        Ok(kind.map_or(else_wise, audio::Kind::content_type).into_owned())
    }
}

/// An upload as it is read: a piece at a time, each a request of its own. So who takes his time holds a piece in memory, and none of the places
/// and connections that all share for the store.
struct Pieces {
    store: Arc<dyn ObjectStore>,
    key: ObjectKey,
    /// What is still to be read.
    range: Range<u64>,
    /// Of the whole upload.
    length: u64,
}

impl Pieces {
    /// The next piece; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let piece = self.range.start..self.range.end.min(self.range.start + PIECE);
        let is_all = piece == (0..self.length);
        let bytes = usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX);
        let got = self.store.get_cut(&self.key, (!is_all).then(|| piece.clone()), vec![bytes]).await?;
        let other = |reason: &str| StoreError::Unavailable { subject: self.key.to_string(), reason: reason.to_owned() };
        if got.meta.length != self.length {
            return Err(other("the upload is being written anew"));
        }
        let mut body = got.body;
        let read = body.next().await.transpose()?.ok_or_else(|| other("the bytes of the upload end too early"))?;
        self.range.start = piece.end;
        Ok(Some(read))
    }
}

/// The same bytes, the last of them only if all are those that `hash` stands for.
fn checked(body: ObjectBytes<StoreError>, hash: ContentHash, key: ObjectKey) -> ObjectBytes<StoreError> {
    let start = Checked { body, digest: Some(Sha256::new()), held: None, hash, key };
    Box::pin(stream::unfold(start, |mut checked| async move { Some((checked.next().await?, checked)) }))
}

struct Checked {
    body: ObjectBytes<StoreError>,
    /// None after the end.
    digest: Option<Sha256>,
    /// What came last.
    held: Option<Bytes>,
    hash: ContentHash,
    key: ObjectKey,
}

impl Checked {
    async fn next(&mut self) -> Option<Result<Bytes, StoreError>> {
        loop {
            let digest = self.digest.as_mut()?;
            match self.body.next().await {
                Some(Ok(bytes)) => {
                    digest.update(&bytes);
                    if let Some(bytes) = self.held.replace(bytes) {
                        return Some(Ok(bytes));
                    }
                }
                Some(Err(error)) => {
                    self.digest = None;
                    return Some(Err(error));
                }
                None => {
                    let found = self.digest.take()?.finish();
                    if ContentHash::from_bytes(found) == self.hash {
                        return self.held.take().map(Ok);
                    }
                    tracing::error!(key = %self.key, "an upload is damaged in its store, aborting");
                    metrics::counter!("ringback_media_aborted_total", "reason" => "upload-damaged").increment(1);
                    let source = io::Error::other("the bytes are not those that were uploaded");
                    return Some(Err(StoreError::Body { key: self.key.clone(), source }));
                }
            }
        }
    }
}

fn not_satisfiable(length: u64) -> Response<AudioBody> {
    let problem = Problem::new(Kind::RangeNotSatisfiable, format!("the upload has {length} bytes"));
    let mut response = media_http::problem(&problem);
    response.headers_mut().insert(header::CONTENT_RANGE, value(format!("bytes */{length}")));
    response
}

fn respond(status: StatusCode, headers: HeaderMap, body: AudioBody) -> Response<AudioBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Hexadecimal, numbers and media types are header values; what a store says may be none, and is left out then.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(media_http::UNKNOWN_TYPE))
}
