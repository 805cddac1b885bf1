//! Frames read ahead in segments, which threads on spare CPUs decode while the segments before them are heard.
//!
//! What a decoder knows of earlier frames is the end of the reservoir and what the last granules left in the filterbank. So a thread
//! begins some frames before its segment, and knows behind them whether it stands exactly where a decoder of all frames would stand
//! ([`FrameDecoder::is_settled`]). Where it does not (damage, or frames too small to fill the reservoir), the segment is decoded when
//! its turn comes, as those are that no CPU was spare for. Each segment hands its decoder on to the next: the samples are the same
//! whichever way they are made.

use std::{
    collections::VecDeque,
    io, panic,
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::frames::FrameDecoder;
use crate::media::audio::decode::mpeg::Header;

/// Frames that a thread decodes before its segment. At 16 kbit/s (16 kHz, mono) nine of them fill the reservoir; two more settle the
/// filterbank.
const WARM_UP: usize = 12;
/// Segments read ahead. Each holds at most 1 MB: 256 frames of 1,441 bytes, and of 576 samples when they are decoded.
const SEGMENTS_MAX: usize = 4;

/// When frames are read ahead, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Frames of a segment.
    pub(super) segment: usize,
    /// Bytes of the source that must be left.
    pub(super) left_min: u64,
    /// Frames heard between two looks for a spare CPU.
    pub(super) look_every: usize,
}

impl Sizes {
    /// A segment is 6.7 s at 44.1 kHz, which a thread decodes in two or three milliseconds: so soon its CPU is free for others. A
    /// minute of 128 kbit/s is decoded in 20 ms and not worth it. A look costs a lock, one in 16 frames of 7 µs costs nothing.
    pub(super) const USUAL: Sizes = Sizes { segment: 256, left_min: 1024 * 1024, look_every: 16 };
}

/// Frames of a segment, and before them some of the segment before.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    headers: Vec<Header>,
    /// How many belong to the segment before.
    warm_up: usize,
}

impl Frames {
    /// The first of a segment behind another one.
    fn behind(before: &Frames) -> Frames {
        let mut frames = Frames::default();
        for (header, frame) in before.iter().skip(before.headers.len().saturating_sub(WARM_UP)) {
            frames.push(header, frame);
        }
        Frames { warm_up: frames.headers.len(), ..frames }
    }

    pub(super) fn push(&mut self, header: Header, frame: &[u8]) {
        self.headers.push(header);
        self.bytes.extend_from_slice(frame);
    }

    /// Frames of the segment.
    pub(super) fn count(&self) -> usize {
        self.headers.len() - self.warm_up
    }

    fn iter(&self) -> impl Iterator<Item = (Header, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.headers.iter().map_while(move |header| {
            let frame;
            (frame, rest) = rest.split_at_checked(header.frame_size())?;
            Some((*header, frame))
        })
    }

    /// Decodes the segment with a new decoder; `None` where that one does not settle before it.
    fn decode(&self, mut decoder: FrameDecoder) -> Option<Decoded> {
        let (mut samples, mut frame_samples) = (Vec::new(), Vec::new());
        let mut frames = self.iter();
        for (header, frame) in frames.by_ref().take(self.warm_up) {
            decoder.decode(header, frame, &mut frame_samples);
        }
        if !decoder.is_settled() {
            return None;
        }
        for (header, frame) in frames {
            decoder.decode(header, frame, &mut frame_samples);
            if samples.is_empty() {
                // All frames of a part have as many samples.
                samples.reserve_exact(self.count() * frame_samples.len());
            }
            samples.extend_from_slice(&frame_samples);
        }
        Some(Decoded { samples, decoder })
    }
}

/// What a thread makes of a segment: its samples, and the decoder as it stands behind it.
struct Decoded {
    samples: Vec<f32>,
    decoder: FrameDecoder,
}

/// A segment whose turn has not come.
struct Segment {
    frames: Arc<Frames>,
    thread: Option<JoinHandle<Option<Decoded>>>,
}

impl Segment {
    /// Waits for what the thread makes, if there is one. Its panic goes on here.
    fn join(&mut self) -> Option<Decoded> {
        self.thread.take()?.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
    }
}

/// No thread outlives what it works for. One that panics here has nobody left who wants to know.
impl Drop for Segment {
    fn drop(&mut self) {
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The segment whose turn it is.
struct Current {
    frames: Arc<Frames>,
    /// Its samples, where a thread made them.
    samples: Option<Vec<f32>>,
    /// Frames and bytes before the next frame.
    number: usize,
    offset: usize,
}

/// The segments read ahead, all of one part.
pub(super) struct Ahead {
    sizes: Sizes,
    current: Option<Current>,
    segments: VecDeque<Segment>,
    frames_since_look: usize,
}

impl Ahead {
    pub(super) fn new(sizes: Sizes) -> Ahead {
        Ahead { sizes, current: None, segments: VecDeque::new(), frames_since_look: 0 }
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Whether it is time to look for a spare CPU; to be asked once for each frame.
    pub(super) fn is_time_to_look(&mut self) -> bool {
        self.frames_since_look += 1;
        if self.frames_since_look < self.sizes.look_every {
            return false;
        }
        self.frames_since_look = 0;
        true
    }

    pub(super) fn is_full(&self) -> bool {
        SEGMENTS_MAX <= self.segments.len()
    }

    /// Whether the next frame is not one that was read ahead.
    pub(super) fn is_empty(&self) -> bool {
        self.last().is_none()
    }

    /// Where the frames of the next segment go: behind the last ones that were read ahead.
    pub(super) fn behind_last(&self) -> Frames {
        self.last().map(Frames::behind).unwrap_or_default()
    }

    fn last(&self) -> Option<&Frames> {
        let last = self.segments.back().map(|segment| &segment.frames);
        last.or(self.current.as_ref().map(|current| &current.frames)).map(Arc::as_ref)
    }

    /// Adds a segment that is to be decoded in its turn.
    pub(super) fn push(&mut self, frames: Frames) {
        self.segments.push_back(Segment { frames: Arc::new(frames), thread: None });
    }

    /// Adds a segment that is decoded on a spare CPU from now on, by a new decoder.
    pub(super) fn push_lent(&mut self, frames: Frames, decoder: FrameDecoder, cpu: Box<dyn Send>) {
        let frames = Arc::new(frames);
        // Without a thread it is decoded in its turn.
        let thread = spawn(Arc::clone(&frames), decoder, cpu).ok();
        self.segments.push_back(Segment { frames, thread });
    }

    /// Replaces `samples` by those of the next frame that was read ahead, and says whether it or one before was whole; `None` where
    /// there is no frame. `decoder` is the one of all frames before, and then the one of this frame, too.
    pub(super) fn next_frame(&mut self, decoder: &mut FrameDecoder, samples: &mut Vec<f32>) -> Option<bool> {
        loop {
            let next = self.current.as_mut().and_then(|current| current.next_frame(decoder, samples));
            if next.is_some() {
                return next;
            }
            self.current = None;
            let mut segment = self.segments.pop_front()?;
            let decoded = segment.join();
            let (frames, number) = (Arc::clone(&segment.frames), segment.frames.warm_up);
            let offset = frames.iter().take(number).map(|(_, frame)| frame.len()).sum();
            let samples = decoded.map(|decoded| {
                *decoder = decoded.decoder;
                decoded.samples
            });
            self.current = Some(Current { frames, samples, number, offset });
        }
    }
}

impl Current {
    fn next_frame(&mut self, decoder: &mut FrameDecoder, samples: &mut Vec<f32>) -> Option<bool> {
        let header = *self.frames.headers.get(self.number)?;
        let frame = self.frames.bytes.get(self.offset..)?.get(..header.frame_size())?;
        let number = self.number - self.frames.warm_up;
        self.number += 1;
        self.offset += frame.len();
        let Some(all) = &self.samples else { return Some(decoder.decode(header, frame, samples)) };
        let frame_samples = all.len() / self.frames.count();
        samples.clear();
        samples.extend_from_slice(all.get(number * frame_samples..)?.get(..frame_samples)?);
        // Its decoder had settled, by frames before that were whole.
        Some(true)
    }
}

fn spawn(frames: Arc<Frames>, decoder: FrameDecoder, cpu: Box<dyn Send>) -> io::Result<JoinHandle<Option<Decoded>>> {
    thread::Builder::new().name("segment".to_owned()).spawn(move || {
        let decoded = frames.decode(decoder);
        drop(cpu);
        decoded
    })
}

#[cfg(test)]
mod tests;
