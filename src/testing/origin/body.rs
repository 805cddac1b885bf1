//! Bodies of any length, made while they are sent.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body::Frame;
use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};

use super::gate::Gate;

/// What one write carries unless the reply is paced.
const PIECE_BYTES: u64 = 64 << 10;
/// How often a paced reply writes.
const PIECES_PER_SECOND: u64 = 50;

/// Bytes of a reply. Only the pattern is held in memory, however long the body is.
#[derive(Clone, Debug)]
pub struct Body {
    pattern: Bytes,
    /// `None` never ends.
    length: Option<u64>,
}

impl Body {
    /// Exactly these bytes.
    pub fn of(bytes: impl Into<Bytes>) -> Body {
        let pattern = bytes.into();
        let length = Some(pattern.len() as u64);
        Body { pattern, length }
    }

    /// `pattern` again and again until `length` bytes are out.
    ///
    /// # Panics
    /// When `pattern` is empty.
    pub fn repeat(pattern: impl Into<Bytes>, length: u64) -> Body {
        Body { length: Some(length), ..Body::endless(pattern) }
    }

    /// `pattern` again and again, without end.
    ///
    /// # Panics
    /// When `pattern` is empty.
    pub fn endless(pattern: impl Into<Bytes>) -> Body {
        let pattern = pattern.into();
        assert!(!pattern.is_empty(), "nothing can be made of an empty pattern");
        Body { pattern, length: None }
    }

    /// How many bytes there are; `None` for an endless body.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The bytes from `offset` on: `most` of them, or what is left.
    fn piece(&self, offset: u64, most: u64) -> Bytes {
        let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(offset));
        let count = most.min(left) as usize;
        if count == 0 || self.pattern.is_empty() {
            return Bytes::new();
        }
        let start = (offset % self.pattern.len() as u64) as usize;
        if start + count <= self.pattern.len() {
            return self.pattern.slice(start..start + count);
        }
        self.pattern.iter().cycle().skip(start).take(count).copied().collect()
    }
}

/// How a body goes out.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    pub(super) bytes_per_second: Option<u64>,
    /// The connection is torn down after so many bytes.
    pub(super) cut_after: Option<u64>,
    pub(super) hold: Option<Hold>,
    /// Sizes of the writes, again and again from the first; empty = as is convenient.
    pub(super) pieces: Vec<u64>,
}

/// The body stands at `gate` after so many bytes.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) after: u64,
    pub(super) gate: Gate,
}

struct Sending {
    body: Body,
    delivery: Delivery,
    offset: u64,
    ticks: Option<Interval>,
    piece_bytes: u64,
    /// How many pieces are out.
    count: usize,
    sent: Arc<AtomicU64>,
    end: End,
}

/// Counts a body that was dropped before its end: the client hung up.
struct End {
    reached: bool,
    abandoned: Arc<watch::Sender<usize>>,
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.reached {
            self.abandoned.send_modify(|count| *count += 1);
        }
    }
}

/// The body as hyper wants it. Without a size hint, so that a reply's Content-Length may lie.
pub(super) fn stream(
    body: Body,
    delivery: Delivery,
    sent: Arc<AtomicU64>,
    abandoned: Arc<watch::Sender<usize>>,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
    let piece_bytes = delivery.bytes_per_second.map_or(PIECE_BYTES, |rate| (rate / PIECES_PER_SECOND).max(1));
    let ticks = delivery.bytes_per_second.map(|rate| {
        let mut ticks = interval(Duration::from_secs_f64(piece_bytes as f64 / rate as f64));
        // A late tick is made good by the next, so that the rate holds over time on a busy machine.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        ticks
    });
    let end = End { reached: false, abandoned };
    stream::try_unfold(Sending { body, delivery, offset: 0, ticks, piece_bytes, count: 0, sent, end }, next_frame)
}

async fn next_frame(mut sending: Sending) -> io::Result<Option<(Frame<Bytes>, Sending)>> {
    if sending.delivery.cut_after == Some(sending.offset) {
        sending.end.reached = true;
        flush().await;
        return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the script cuts the body here"));
    }
    if let Some(hold) = sending.delivery.hold.take_if(|hold| hold.after == sending.offset) {
        hold.gate.pass().await;
    }
    let piece = sending.body.piece(sending.offset, sending.piece_max());
    if piece.is_empty() {
        sending.end.reached = true;
        flush().await;
        return Ok(None);
    }
    if let Some(ticks) = &mut sending.ticks {
        ticks.tick().await;
    }
    if !sending.delivery.pieces.is_empty() {
        flush().await;
    }
    sending.count += 1;
    sending.offset += piece.len() as u64;
    sending.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
    Ok(Some((Frame::data(piece), sending)))
}

/// Gives hyper the chance to hand what it has buffered to the socket: it flushes whenever a body is not ready, and forgets the
/// buffer when a body fails. What a stalled reader has not taken is lost all the same, as on a real network.
async fn flush() {
    tokio::task::yield_now().await;
}

impl Sending {
    /// Pieces end where the script does something.
    fn piece_max(&self) -> u64 {
        let hold = self.delivery.hold.as_ref().map(|hold| hold.after);
        let stops = [self.delivery.cut_after, hold];
        let next_stop = stops.into_iter().flatten().filter(|stop| *stop > self.offset).min();
        let pieces = &self.delivery.pieces;
        let piece_bytes = pieces.get(self.count % pieces.len().max(1)).copied().unwrap_or(self.piece_bytes);
        next_stop.map_or(piece_bytes, |stop| piece_bytes.min(stop - self.offset))
    }
}
