//! Bodies of audio on their way to a caller.

use std::{
    collections::VecDeque,
    io,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    media::{
        cache::{Cache, Manifest, Reader, Whole},
        fill::{Finished, Joined},
        hit::There,
        spool::{End, Progress},
    },
    problem::Problem,
};

/// What is read from a spool for one frame.
const SPOOL_READ: usize = 64 * 1024;
/// Frames of a spool that are read and not yet in the kernel's hands: one that is being sent, one that is ready. A caller who does not
/// read costs no more than these.
const FRAMES_AHEAD_MAX: usize = 2;

/// Audio that is sent. An error aborts the connection without the final chunk, so that nobody takes a part for the whole.
pub struct AudioBody(Kind);

enum Kind {
    /// Everything is in memory.
    Ready { frames: VecDeque<Bytes>, left: u64 },
    /// Read as it is sent.
    Streamed { frames: Frames, left: Option<u64> },
}

type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, io::Error>> + Send>>;

impl std::fmt::Debug for AudioBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AudioBody").field(&self.size_hint()).finish()
    }
}

impl AudioBody {
    /// No bytes.
    pub fn empty() -> AudioBody {
        AudioBody(Kind::Ready { frames: VecDeque::new(), left: 0 })
    }

    /// Bytes that are there.
    pub fn ready(frames: VecDeque<Bytes>) -> AudioBody {
        let left = frames.iter().map(|frame| frame.len() as u64).sum();
        AudioBody(Kind::Ready { frames, left })
    }

    /// `range` of an artifact in the tiers. `there` holds chunks that were read already; the others are read when their turn comes.
    pub(in crate::media) fn from_tiers(
        cache: &Cache,
        manifest: &Arc<Manifest>,
        there: There,
        range: Range<u64>,
    ) -> AudioBody {
        let mut parts = VecDeque::new();
        let mut offset = 0;
        for (number, chunk) in manifest.chunks.iter().enumerate() {
            let chunk_range = offset..offset + u64::from(chunk.length);
            offset = chunk_range.end;
            let (start, end) = (range.start.max(chunk_range.start), range.end.min(chunk_range.end));
            if start < end {
                let within = (start - chunk_range.start) as usize..(end - chunk_range.start) as usize;
                parts.push_back(Part { number, there: there.chunks.get(number).cloned().flatten(), within });
            }
        }
        if parts.iter().all(|part| part.there.is_some()) {
            return AudioBody::ready(parts.into_iter().filter_map(Part::cut).collect());
        }
        let end = parts.back().map_or(0, |part| part.number + 1);
        let source =
            TierSource { cache: cache.clone(), manifest: Arc::clone(manifest), parts, end, reader: there.rest };
        let frames = Box::pin(stream::try_unfold(source, TierSource::next));
        AudioBody(Kind::Streamed { frames, left: Some(range.end - range.start) })
    }

    /// `range` of a finished fill, from its spool.
    pub(in crate::media) fn from_fill(finished: &Arc<Finished>, joined: Joined, range: Range<u64>) -> AudioBody {
        let length = range.end - range.start;
        let source = SpoolSource {
            joined,
            header: finished.header.clone(),
            position: range.start,
            end: Some(range.end),
            trailers: None,
            ahead: Arc::new(Semaphore::new(FRAMES_AHEAD_MAX)),
        };
        let frames = Box::pin(stream::try_unfold(source, SpoolSource::next));
        AudioBody(Kind::Streamed { frames, left: Some(length) })
    }

    /// `length` bytes as a store gives them.
    pub(in crate::media) fn from_store(
        bytes: Pin<Box<dyn Stream<Item = Result<Bytes, io::Error>> + Send>>,
        length: u64,
    ) -> AudioBody {
        let frames = Box::pin(bytes.map_ok(Frame::data));
        AudioBody(Kind::Streamed { frames, left: Some(length) })
    }

    /// A fill as it goes on, from its first byte to its end, whatever that will be. With `trailers`: ETag and Repr-Digest behind the last byte.
    pub(in crate::media) fn from_running(joined: Joined, trailers: Option<Trailers>) -> AudioBody {
        let ahead = Arc::new(Semaphore::new(FRAMES_AHEAD_MAX));
        let source = SpoolSource { joined, header: Bytes::new(), position: 0, end: None, trailers, ahead };
        AudioBody(Kind::Streamed { frames: Box::pin(stream::try_unfold(source, SpoolSource::next)), left: None })
    }
}

/// Makes trailers of a finished fill.
pub(in crate::media) type Trailers = fn(&Finished) -> HeaderMap;

/// A chunk and what is wanted of it.
struct Part {
    number: usize,
    there: Option<Bytes>,
    within: Range<usize>,
}

impl Part {
    fn cut(self) -> Option<Bytes> {
        let within = self.within;
        self.there.filter(|bytes| bytes.len() >= within.end).map(|bytes| bytes.slice(within))
    }
}

struct TierSource {
    cache: Cache,
    manifest: Arc<Manifest>,
    parts: VecDeque<Part>,
    /// The number behind the last one.
    end: usize,
    reader: Option<Box<Reader>>,
}

impl TierSource {
    /// What reads this part next. Those that were there already are no reader's, and may lie before, behind or between the others: what was
    /// read for one answer can be sent in another, where a condition was decided otherwise meanwhile.
    fn reader_at(&mut self, number: usize) -> &mut Reader {
        let reader = self.reader.take().filter(|reader| reader.is_at(number)).unwrap_or_else(|| {
            let whole = Whole::Artifact(Arc::clone(&self.manifest));
            Box::new(Reader::new(&self.cache, whole, number..self.end))
        });
        self.reader.insert(reader)
    }

    async fn next(mut self) -> io::Result<Option<(Frame<Bytes>, TierSource)>> {
        let Some(mut part) = self.parts.pop_front() else { return Ok(None) };
        if part.there.is_none() {
            part.there = self.reader_at(part.number).next().await.map(|(bytes, _)| bytes);
        }
        match part.cut() {
            Some(bytes) => Ok(Some((Frame::data(bytes), self))),
            None => {
                // The check before the headers found it; it was lost since. The next request fills again.
                tracing::warn!(artifact = %self.manifest.artifact, "chunk lost while serving, aborting");
                metrics::counter!("ringback_media_aborted_total", "reason" => "chunk-lost").increment(1);
                if let Err(error) = self.cache.drop_manifest(&self.manifest.artifact).await {
                    tracing::error!(%error, "manifest cannot be dropped");
                }
                Err(io::Error::other("a chunk was lost"))
            }
        }
    }
}

struct SpoolSource {
    joined: Joined,
    /// Bytes before the spool's.
    header: Bytes,
    /// In the body: header and spool together.
    position: u64,
    /// Where to stop; none = where the fill does.
    end: Option<u64>,
    trailers: Option<Trailers>,
    /// A permit for each frame that may be under way.
    ahead: Arc<Semaphore>,
}

/// Bytes of a frame, which give the permit back when the last of them is sent.
struct Ahead {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Ahead {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl SpoolSource {
    async fn next(mut self) -> io::Result<Option<(Frame<Bytes>, SpoolSource)>> {
        if self.end.is_some_and(|end| self.position >= end) {
            return Ok(None);
        }
        let left = self.end.map_or(usize::MAX, |end| usize::try_from(end - self.position).unwrap_or(usize::MAX));
        let header = self.header.len() as u64;
        let bytes = if self.position < header {
            let rest = self.header.slice(self.position as usize..);
            rest.slice(..rest.len().min(left))
        } else {
            match self.read(self.position - header, left.min(SPOOL_READ)).await? {
                Some(bytes) => bytes,
                None => return Ok(self.finish().await),
            }
        };
        self.position += bytes.len() as u64;
        Ok(Some((Frame::data(bytes), self)))
    }

    /// The next bytes of the spool; none at its end.
    async fn read(&self, offset: u64, length_max: usize) -> io::Result<Option<Bytes>> {
        let spool = self.joined.spool();
        let Progress { length, end } = spool.wait_past(offset).await;
        match end {
            _ if length > offset => {
                let permit = Arc::clone(&self.ahead).acquire_owned().await.map_err(io::Error::other)?;
                let bytes = spool.read(offset, length_max).await?;
                Ok(Some(Bytes::from_owner(Ahead { bytes, _permit: permit })))
            }
            Some(End::Failed(problem)) => Err(aborted(&problem)),
            _ => Ok(None),
        }
    }

    /// The trailers, once, where they were asked for.
    async fn finish(mut self) -> Option<(Frame<Bytes>, SpoolSource)> {
        let make = self.trailers.take()?;
        let finished = self.joined.finished().await?;
        Some((Frame::trailers(make(&finished)), self))
    }
}

fn aborted(problem: &Problem) -> io::Error {
    tracing::warn!(%problem, "fill failed after its headers were sent, aborting");
    metrics::counter!("ringback_media_aborted_total", "reason" => problem.kind.slug()).increment(1);
    io::Error::other(problem.clone())
}

impl Body for AudioBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Ready { frames, left } => Poll::Ready(frames.pop_front().map(|bytes| {
                *left -= bytes.len() as u64;
                Ok(Frame::data(bytes))
            })),
            Kind::Streamed { frames, left } => {
                let polled = frames.as_mut().poll_next(cx);
                if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, left)
                    && let Some(data) = frame.data_ref()
                {
                    *left = left.saturating_sub(data.len() as u64);
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Ready { frames, .. } if frames.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Ready { left, .. } | Kind::Streamed { left: Some(left), .. } => SizeHint::with_exact(*left),
            Kind::Streamed { left: None, .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests;
