//! Places that requests hold: taken before the handler, or by the media layer before audio is made; told in headers, given back when the last byte of the answer is on its way, however it ends.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header, request};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::{
    concurrency::{AdminPlace, Completion, Place, PlaceLost},
    problem::{Kind, LimitReached, Problem},
};

use super::{socket::Peer, v1::discard};

/// How many requests of this kind the account has in progress, this one among them.
pub(super) const CONCURRENT_REQUESTS: HeaderName = HeaderName::from_static("concurrent-requests");
/// How many it may have. Left out where it may have any number.
const LIMIT: HeaderName = HeaderName::from_static("concurrent-requests-limit");
/// The soft limit that was reached.
const SOFT_LIMIT: HeaderName = HeaderName::from_static("concurrent-requests-soft-limit");
/// What is counted: a kind of work.
const RESOURCE: HeaderName = HeaderName::from_static("concurrent-requests-resource");

/// Has an answer hold the place of its request until it is sent, and tell of it, unless it tells of another. Where the limit slows, it comes later.
/// An answer that is streamed ends when the peer goes.
pub(super) async fn hold_and_tell(
    mut response: Response<Body>,
    place: Arc<Place>,
    peer: Option<Peer>,
) -> Response<Body> {
    let reading = place.read();
    let headers = response.headers_mut();
    if !headers.contains_key(RESOURCE) {
        tell(headers, reading.resource.as_str(), reading.current, reading.limit);
        if let Some(soft) = reading.soft_reached {
            headers.insert(SOFT_LIMIT, HeaderValue::from(soft));
        }
    }
    if let Some(slowed_by) = place.slowed_by() {
        // Who goes meanwhile takes the place along at once.
        drop(unless_gone(peer.clone(), tokio::time::sleep(slowed_by)).await);
    }
    let is_streamed = reading.resource.completion() == Completion::LastByte;
    let gone = peer.filter(|_| is_streamed).map(|peer| Box::pin(peer.gone()) as BoxFuture<'static, ()>);
    response.map(|body| Body::new(Held { body, place, is_streamed, confirming: None, gone }))
}

/// Has an answer hold its place in the reserve until it is sent. Nothing was counted that could be told.
pub(super) fn hold_reserved(response: Response<Body>, place: AdminPlace) -> Response<Body> {
    response.map(|body| {
        let held = body.map_frame(move |frame| {
            let _held = &place;
            frame
        });
        Body::new(held)
    })
}

/// Has a refusal say what stood in the way, whatever its request held meanwhile.
pub(super) fn tell_reached(headers: &mut HeaderMap, reached: &LimitReached) {
    headers.remove(SOFT_LIMIT);
    headers.remove(LIMIT);
    tell(headers, reached.resource, reached.current, Some(reached.limit));
}

fn tell(headers: &mut HeaderMap, resource: &'static str, current: u32, limit: Option<u32>) {
    headers.insert(RESOURCE, HeaderValue::from_static(resource));
    headers.insert(CONCURRENT_REQUESTS, HeaderValue::from(current));
    if let Some(limit) = limit {
        headers.insert(LIMIT, HeaderValue::from(limit));
    }
}

/// Does something for a peer, unless it goes meanwhile.
///
/// # Errors
/// It has gone: what is answered is read by nobody.
pub(super) async fn unless_gone<T>(peer: Option<Peer>, work: impl Future<Output = T>) -> Result<T, Problem> {
    let gone = async {
        match peer {
            Some(peer) => peer.gone().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = gone => Err(Problem::new(Kind::RequestTimeout, "the caller has gone")),
    }
}

/// The peer has gone.
#[derive(Debug, thiserror::Error)]
#[error("the caller has gone")]
struct Gone;

/// Leaves the body of a request that is not let in. What its sender sends all the same is taken within bounds, so that it reads the answer; who asks first is told before.
pub(super) async fn leave(head: &request::Parts, body: Body) {
    if !head.headers.contains_key(header::EXPECT) && !http_body::Body::is_end_stream(&body) {
        discard(body.into_data_stream()).await;
    }
}

/// A body that holds its request's place.
struct Held {
    body: Body,
    place: Arc<Place>,
    is_streamed: bool,
    confirming: Option<BoxFuture<'static, Result<(), PlaceLost>>>,
    /// Ends when the peer has gone.
    gone: Option<BoxFuture<'static, ()>>,
}

/// Bytes that hold the place until the last of them is in the kernel's hands.
struct Sent {
    bytes: Bytes,
    _place: Arc<Place>,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        // A node that was paused may have lost the place: a stream makes sure before it goes on.
        if this.is_streamed && this.confirming.is_none() && !this.place.is_sure() {
            let place = this.place.clone();
            this.confirming = Some(Box::pin(async move { place.confirm().await }));
        }
        if let Some(confirming) = &mut this.confirming {
            let confirmed = ready!(confirming.as_mut().poll(context));
            this.confirming = None;
            if let Err(lost) = confirmed {
                tracing::warn!(resource = %this.place.read().resource, "place lost while serving, aborting");
                return Poll::Ready(Some(Err(axum::Error::new(lost))));
            }
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            // While nothing is written, nothing else would tell.
            let gone = this.gone.as_mut().map_or(Poll::Pending, |gone| gone.as_mut().poll(context));
            ready!(gone);
            this.gone = None;
            return Poll::Ready(Some(Err(axum::Error::new(Gone))));
        };
        let held = |bytes| Bytes::from_owner(Sent { bytes, _place: this.place.clone() });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        http_body::Body::size_hint(&self.body)
    }
}
