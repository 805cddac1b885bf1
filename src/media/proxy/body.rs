//! Bodies on their way to a caller. An error ends the connection without the last chunk, so that nobody takes a part for the whole.

use std::{collections::VecDeque, io, ops::Range, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::UnsyncBoxBody};

use crate::{
    media::{
        cache::{Cache, ChunkRef},
        spool::{End, Progress, Spool},
    },
    outbound::ForwardedBody,
};

/// What is sent.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What is read from a spool for one frame.
const SPOOL_READ: usize = 64 << 10;

/// No bytes.
pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Bytes that are there.
pub(super) fn ready(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// What the origin sends, as it sends it, trailers too.
pub(super) fn passing(body: ForwardedBody) -> Body {
    let next = |mut body: ForwardedBody| async move {
        match body.frame().await {
            Ok(Some(frame)) => Ok(Some((frame, body))),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::info!(%error, "the origin broke off while its response was passed on");
                Err(io::Error::other(error))
            }
        }
    };
    StreamBody::new(stream::try_unfold(body, next)).boxed_unsync()
}

/// `range` of a kept response. `first` is its first chunk, already read; the others are read when their turn comes.
pub(super) fn kept(cache: &Cache, chunks: &[ChunkRef], first: Option<&Bytes>, range: Range<u64>) -> Body {
    if range.is_empty() {
        return empty();
    }
    let mut parts = VecDeque::new();
    let mut offset = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        let start = offset;
        offset += u64::from(chunk.length);
        let (from, to) = (range.start.max(start), range.end.min(offset));
        if from < to {
            let there = first.filter(|_| index == 0).cloned();
            parts.push_back(Part { chunk: *chunk, there, within: (from - start) as usize..(to - start) as usize });
        }
    }
    if let [part] = parts.make_contiguous()
        && let Some(bytes) = &part.there
        && bytes.len() >= part.within.end
    {
        return ready(bytes.slice(part.within.clone()));
    }
    let source = Tiers { cache: cache.clone(), parts };
    StreamBody::new(stream::try_unfold(source, Tiers::next)).boxed_unsync()
}

/// A chunk and what is wanted of it.
struct Part {
    chunk: ChunkRef,
    there: Option<Bytes>,
    within: Range<usize>,
}

struct Tiers {
    cache: Cache,
    parts: VecDeque<Part>,
}

impl Tiers {
    async fn next(mut self) -> io::Result<Option<(Frame<Bytes>, Tiers)>> {
        let Some(part) = self.parts.pop_front() else { return Ok(None) };
        let bytes = match part.there {
            Some(bytes) => Some(bytes),
            None => self.cache.chunk(&part.chunk.id).await.map(|(bytes, _)| bytes),
        };
        match bytes.filter(|bytes| bytes.len() >= part.within.end) {
            Some(bytes) => Ok(Some((Frame::data(bytes.slice(part.within)), self))),
            None => {
                // It was there before the headers went out. The next request finds that it is not, and asks the origin.
                tracing::warn!("a chunk was lost while its response was sent, aborting");
                Err(io::Error::other("a chunk was lost"))
            }
        }
    }
}

/// All of a response that is coming in.
pub(super) fn incoming(spool: Arc<Spool>) -> Body {
    StreamBody::new(stream::try_unfold((spool, 0), next_of_spool)).boxed_unsync()
}

async fn next_of_spool((spool, offset): (Arc<Spool>, u64)) -> io::Result<Option<(Frame<Bytes>, (Arc<Spool>, u64))>> {
    let Progress { length, end } = spool.wait_past(offset).await;
    match end {
        _ if length > offset => {
            let bytes = spool.read(offset, SPOOL_READ).await?;
            let next = offset + bytes.len() as u64;
            Ok(Some((Frame::data(bytes), (spool, next))))
        }
        Some(End::Failed(problem)) => Err(io::Error::other(problem)),
        _ => Ok(None),
    }
}
