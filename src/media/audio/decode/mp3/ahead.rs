//! Frames read ahead in segments, which a thread on a spare CPU decodes while the segments before them are heard.
//!
//! What a decoder knows of earlier frames is the end of the reservoir and what the last granules left in the filterbank. So the thread
//! begins some frames before its segment, and knows behind them whether it stands exactly where a decoder of all frames would stand
//! ([`FrameDecoder::is_settled`]). Where it does not (damage, or frames too small to fill the reservoir), the segment is decoded when
//! its turn comes, as those are that no CPU was spare for. Each segment hands its decoder on to the next: the samples are the same
//! whichever way they are made.
//!
//! One thread does this for the whole of an original, and its buffers go round: a thread for each segment would have a heap of its own
//! each time, and those of threads that have ended take megabytes.

mod helper;

use std::{collections::VecDeque, sync::Arc};

use self::helper::{Helper, Job};
use super::frames::FrameDecoder;
use crate::media::audio::decode::mpeg::Header;

/// Frames that the thread decodes before its segment. At 16 kbit/s (16 kHz, mono) nine of them fill the reservoir; two more settle the
/// filterbank.
const WARM_UP: usize = 12;
/// Segments read ahead, of which the thread decodes one. Each holds at most 1 MB: 256 frames of 1,441 bytes, and of 576 samples when
/// they are decoded.
const SEGMENTS_MAX: usize = 2;

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
    /// A segment is 6.7 s at 44.1 kHz, which the thread decodes in two or three milliseconds: so soon its CPU is free for others. A
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
    /// Becomes the first of a segment behind another one.
    fn begin_behind(&mut self, before: Option<&Frames>) {
        self.bytes.clear();
        self.headers.clear();
        if let Some(before) = before {
            for (header, frame) in before.iter().skip(before.headers.len().saturating_sub(WARM_UP)) {
                self.push(header, frame);
            }
        }
        self.warm_up = self.headers.len();
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

    /// Decodes the segment with a new decoder and replaces `samples` by what is in it; `false` where the decoder does not settle
    /// before it. What one frame gives goes by way of `frame_samples`.
    fn decode(&self, decoder: &mut FrameDecoder, frame_samples: &mut Vec<f32>, samples: &mut Vec<f32>) -> bool {
        let mut frames = self.iter();
        for (header, frame) in frames.by_ref().take(self.warm_up) {
            decoder.decode(header, frame, frame_samples);
        }
        samples.clear();
        if !decoder.is_settled() {
            return false;
        }
        for (header, frame) in frames {
            decoder.decode(header, frame, frame_samples);
            samples.extend_from_slice(frame_samples);
        }
        true
    }
}

/// A segment whose turn has not come.
struct Segment {
    frames: Arc<Frames>,
    made: Made,
}

/// What there is of a segment.
enum Made {
    /// Its frames: it is decoded in its turn.
    Nothing,
    /// The thread decodes it: the last of those that were read ahead.
    InWork,
    /// Its samples, and the decoder as it stands behind it.
    Decoded { samples: Vec<f32>, decoder: FrameDecoder },
}

/// The segment whose turn it is.
struct Current {
    frames: Arc<Frames>,
    /// Its samples, where the thread made them.
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
    helper: Option<Helper>,
    frames_since_look: usize,
    /// Buffers of segments that are over.
    spare_frames: Vec<Frames>,
    spare_samples: Vec<Vec<f32>>,
}

impl Ahead {
    pub(super) fn new(sizes: Sizes) -> Ahead {
        Ahead {
            sizes,
            current: None,
            segments: VecDeque::new(),
            helper: None,
            frames_since_look: 0,
            spare_frames: Vec::new(),
            spare_samples: Vec::new(),
        }
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

    /// Whether a segment more can be lent out: there is room, and the thread has nothing to do.
    pub(super) fn can_lend(&mut self) -> bool {
        if let Some(job) = self.helper.as_ref().and_then(Helper::try_take) {
            self.done(job);
        }
        let is_at_work = self.segments.back().is_some_and(|last| matches!(last.made, Made::InWork));
        self.segments.len() < SEGMENTS_MAX && !is_at_work
    }

    /// Whether nothing is there to be decoded or heard behind the segment whose turn it is.
    pub(super) fn is_dry(&self) -> bool {
        self.segments.is_empty()
    }

    /// Where the frames of the next segment go: behind the last ones that were read ahead.
    pub(super) fn behind_last(&mut self) -> Frames {
        let mut frames = self.spare_frames.pop().unwrap_or_default();
        let last = self.segments.back().map(|segment| &segment.frames);
        let last = last.or(self.current.as_ref().map(|current| &current.frames));
        frames.begin_behind(last.map(Arc::as_ref));
        frames
    }

    /// Adds a segment that is to be decoded in its turn.
    pub(super) fn push(&mut self, frames: Frames) {
        self.segments.push_back(Segment { frames: Arc::new(frames), made: Made::Nothing });
    }

    /// Adds a segment that is decoded on a spare CPU from now on, by a new decoder.
    pub(super) fn push_lent(&mut self, frames: Frames, decoder: FrameDecoder, cpu: Box<dyn Send>) {
        let mut samples = self.spare_samples.pop().unwrap_or_default();
        // Here, so that the thread's own heap stays small.
        let frame_samples = frames.headers.first().map_or(0, |header| decoder.samples_of(*header));
        samples.reserve(frames.count() * frame_samples);
        let frames = Arc::new(frames);
        let job = Job { frames: Arc::clone(&frames), decoder, samples, is_decoded: false, cpu: Some(cpu) };
        if self.helper.is_none() {
            self.helper = Helper::start().ok();
        }
        // Without a thread it is decoded in its turn.
        let is_begun = self.helper.as_ref().is_some_and(|helper| helper.give(job));
        self.segments.push_back(Segment { frames, made: if is_begun { Made::InWork } else { Made::Nothing } });
    }

    /// Puts what the thread made of the last segment where it belongs.
    fn done(&mut self, job: Job) {
        let Some(last) = self.segments.back_mut() else { return };
        if job.is_decoded {
            last.made = Made::Decoded { samples: job.samples, decoder: job.decoder };
        } else {
            last.made = Made::Nothing;
            self.spare_samples.push(job.samples);
        }
    }

    /// Replaces `samples` by those of the next frame that was read ahead, and says whether it or one before was whole; `None` where
    /// there is no frame. `decoder` is the one of all frames before, and then the one of this frame, too.
    pub(super) fn next_frame(&mut self, decoder: &mut FrameDecoder, samples: &mut Vec<f32>) -> Option<bool> {
        loop {
            let next = self.current.as_mut().and_then(|current| current.next_frame(decoder, samples));
            if next.is_some() {
                return next;
            }
            self.end_current();
            if self.segments.front().is_some_and(|next| matches!(next.made, Made::InWork))
                && let Some(job) = self.helper.as_mut().and_then(Helper::take)
            {
                self.done(job);
            }
            let Segment { frames, made } = self.segments.pop_front()?;
            let number = frames.warm_up;
            let offset = frames.iter().take(number).map(|(_, frame)| frame.len()).sum();
            let samples = match made {
                Made::Decoded { samples, decoder: behind } => {
                    *decoder = behind;
                    Some(samples)
                }
                Made::Nothing | Made::InWork => None,
            };
            self.current = Some(Current { frames, samples, number, offset });
        }
    }

    /// Keeps the buffers of the segment that is over.
    fn end_current(&mut self) {
        let Some(current) = self.current.take() else { return };
        self.spare_samples.extend(current.samples);
        // The thread has let go of it, or it never was there.
        self.spare_frames.extend(Arc::into_inner(current.frames));
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

#[cfg(test)]
mod tests;
