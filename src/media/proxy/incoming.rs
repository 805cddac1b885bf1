//! A response that may be kept, on its way: from the origin into a spool, from which whoever wants it reads, and into the store.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Inner,
    flight::{Asking, Lead},
};
use crate::{
    ids::{ChunkId, ResponseKey},
    media::{
        cache::{CHUNK_MAX, Cache, ChunkRef, StoredResponse, Which},
        freshness::{Decision, Freshness, RequestDirectives},
        spool::{End, Spool},
    },
    outbound::{ForwardedBody, OutboundError},
    problem::{Kind, Problem},
};

/// A response on its way.
#[derive(Debug)]
pub(super) struct Incoming {
    /// What will be kept, but for the body's length and chunks.
    pub(super) response: StoredResponse,
    pub(super) freshness: Freshness,
    /// Bytes that will come, where that is known.
    pub(super) length: Option<u64>,
    pub(super) spool: Arc<Spool>,
}

impl Incoming {
    /// Whether it is the answer to another request too.
    pub(super) fn answers(&self, request: &HeaderMap, directives: &RequestDirectives, now: SystemTime) -> bool {
        self.response.selection.answers(request, &self.response.headers)
            && self.freshness.decide(directives, now) == Decision::Fresh
    }
}

/// What storing a response takes along.
pub(super) struct Storing {
    pub(super) key: ResponseKey,
    /// The place of the first, given back when all is kept.
    pub(super) lead: Option<Lead>,
    /// From before the origin was asked.
    pub(super) asking: Asking,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl Inner {
    /// Brings a body in, keeps it when it is whole, and ends the spool. The last byte is given out after the response is kept, so that
    /// whoever has all of it finds it in the store.
    pub(super) async fn store(self: Arc<Self>, incoming: Arc<Incoming>, mut body: ForwardedBody, storing: Storing) {
        // Whatever becomes of this task, nobody waits for more.
        let ending = Ending(Arc::clone(&incoming.spool));
        match self.bring_in(&incoming, &mut body, storing).await {
            Ok(()) => ending.0.finish(End::Complete),
            Err(problem) => {
                tracing::info!(%problem, "a response that was to be kept did not come to its end");
                ending.0.finish(End::Failed(problem));
            }
        }
    }

    async fn bring_in(
        &self,
        incoming: &Arc<Incoming>,
        body: &mut ForwardedBody,
        storing: Storing,
    ) -> Result<(), Problem> {
        let mut chunks = Chunks::new(&self.cache, incoming.length);
        let (mut received, mut held) = (0, Bytes::new());
        while let Some(frame) = body.frame().await.map_err(|error: OutboundError| error.problem())? {
            // Trailers are not kept: nothing here depends on them.
            let Ok(bytes) = frame.into_data() else { continue };
            received += bytes.len() as u64;
            // Callers first: the tiers may have to wait for the disk.
            if incoming.length == Some(received) {
                held = bytes.clone();
            } else {
                append(&incoming.spool, bytes.clone()).await?;
            }
            if received <= self.config.response_max.get() {
                chunks.append(&bytes).await;
            } else if !has_readers(incoming) {
                return Err(Problem::new(Kind::OverLimit, "it is too long to be kept, and nobody reads it any more"));
            }
        }
        let whole = chunks.finish().await;
        if received <= self.config.response_max.get() {
            let response = StoredResponse { length: received, chunks: whole, ..incoming.response.clone() };
            self.keep(storing.key, response, &storing.asking).await;
        }
        drop(storing);
        append(&incoming.spool, held).await
    }

    /// Keeps a response unless what was there when it was asked for was declared void since.
    pub(super) async fn keep(&self, key: ResponseKey, response: StoredResponse, asking: &Asking) {
        if !asking.is_current() {
            return;
        }
        let which = Which::of(&response);
        if let Err(error) = self.cache.keep_response(key, response, self.config.addresses_max).await {
            tracing::warn!(%error, "a response is not kept");
            return;
        }
        // Declared void while it was being written: taken back.
        if !asking.is_current() {
            self.forget(key, Some(which)).await;
        }
    }

    /// Forgets one response of an address, or all.
    pub(super) async fn forget(&self, key: ResponseKey, which: Option<Which>) {
        if let Err(error) = self.cache.forget_responses(key, which).await {
            tracing::error!(%error, "a response cannot be forgotten");
        }
    }
}

/// Whether callers read what comes in. Beside theirs there are two handles of the spool: the record's and that of the task that fills it.
fn has_readers(incoming: &Incoming) -> bool {
    Arc::strong_count(&incoming.spool) > 2
}

/// Ends a spool when it is dropped, unless it has ended before: then that end stands.
struct Ending(Arc<Spool>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.finish(End::Failed(Problem::new(Kind::Internal, "the response was dropped while it came in")));
    }
}

async fn append(spool: &Arc<Spool>, bytes: Bytes) -> Result<(), Problem> {
    if bytes.is_empty() {
        return Ok(());
    }
    let spool = Arc::clone(spool);
    let appended = tokio::task::spawn_blocking(move || spool.append(&bytes)).await;
    appended.unwrap_or_else(|_| Err(Problem::new(Kind::Internal, "writing to the spool died")))
}

/// Cuts a body into chunks and hands each to the tiers as soon as it is full. Without the record that names them they are nobody's.
struct Chunks<'a> {
    cache: &'a Cache,
    open: Vec<u8>,
    done: Vec<ChunkRef>,
}

impl<'a> Chunks<'a> {
    fn new(cache: &'a Cache, length: Option<u64>) -> Chunks<'a> {
        let room = length.map_or(0, |length| usize::try_from(length).unwrap_or(CHUNK_MAX).min(CHUNK_MAX));
        Chunks { cache, open: Vec::with_capacity(room), done: Vec::new() }
    }

    async fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(CHUNK_MAX - self.open.len()));
            self.open.extend_from_slice(part);
            bytes = rest;
            if self.open.len() == CHUNK_MAX {
                self.close().await;
            }
        }
    }

    async fn close(&mut self) {
        let bytes = Bytes::from(std::mem::take(&mut self.open).into_boxed_slice());
        let chunk = ChunkRef { id: ChunkId::of(&bytes), length: bytes.len() as u32, sum: None };
        self.done.push(chunk);
        self.cache.admit(chunk.id, bytes).await;
    }

    async fn finish(mut self) -> Vec<ChunkRef> {
        if !self.open.is_empty() {
            self.close().await;
        }
        self.done
    }
}
