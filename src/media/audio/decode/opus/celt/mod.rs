//! CELT, the transform codec of Opus (RFC 6716 §4.3), decoded straight to one channel of 8 kHz.
//!
//! The stages are the standard's: [`frame`] reads a frame with the entropy decoder in [`range`], its [`energy`], its [`allocation`] and
//! the shapes of its [`bands`]; [`transform`] makes samples, [`post_filter`] filters them, and [`output`] takes the emphasis out. All that
//! can be left out of that is: bands far above the target's are only read, and from the spectrum on everything is done at one and a
//! half times the target's rate and for one channel.

mod allocation;
mod bands;
mod energy;
mod frame;
mod output;
mod packet;
mod partition;
mod post_filter;
mod pulses;
mod range;
mod resolution;
mod tables;
#[cfg(test)]
mod tests;
mod theta;
mod transform;

use frame::{FrameDecoder, FrameKind, Overrun};
use output::Output;
use post_filter::PostFilter;
use transform::Synthesis;

pub(super) use frame::Mix;

/// What is decoded by other means: a packet that is not CELT alone, that lacks a frame, or that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotHere;

/// Decodes the packets of one stream.
#[derive(Debug)]
pub(super) struct Decoder {
    frames: FrameDecoder,
    synthesis: Synthesis,
    filter: PostFilter,
    output: Output,
    /// Samples of the full rate for one of the target's.
    step: usize,
    /// Samples of the target's rate that packets were worth, and those given out.
    due: u64,
    given: u64,
}

/// Targets in hertz, the full rate over the one that is worked at, and the bands that are heard: up to 5.6 kHz.
///
/// For 16 kHz, by a factor of two and 18 bands, this decoder takes as long as libopus does: what is left out is no longer the most.
const TARGETS: [(u32, usize, usize); 1] = [(8_000, 4, 15)];

impl Decoder {
    /// Whether there is a decoder for a target of so many hertz.
    pub(super) fn is_for(hz: u32) -> bool {
        TARGETS.iter().any(|(target, ..)| *target == hz)
    }

    /// A decoder for a target of so many hertz, if there is one. What is heard is `gain` times as loud.
    pub(super) fn new(hz: u32, mix: Mix, gain: f64) -> Option<Decoder> {
        let (_, factor, bands) = TARGETS.into_iter().find(|(target, ..)| *target == hz)?;
        Some(Decoder {
            frames: FrameDecoder::new(mix, bands),
            synthesis: Synthesis::new(factor),
            filter: PostFilter::new(factor),
            output: Output::new(factor, gain),
            step: factor * 3 / 2,
            due: 0,
            given: 0,
        })
    }

    /// Decodes a packet and appends what is ready of the samples so far: all but the last [`Decoder::late`].
    ///
    /// **Errors** Nothing is appended, and nothing can be decoded any more.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), NotHere> {
        let (kind, frames) = packet::parse(packet).ok_or(NotHere)?;
        let (before, due) = (out.len(), self.due);
        for frame in frames {
            if self.decode_frame(kind, frame, out).is_err() {
                out.truncate(before);
                self.due = due;
                return Err(NotHere);
            }
        }
        self.given += (out.len() - before) as u64;
        Ok(())
    }

    fn decode_frame(&mut self, kind: FrameKind, bytes: &[u8], out: &mut Vec<f32>) -> Result<(), Overrun> {
        let (frame, spectrum) = self.frames.decode(kind, bytes)?;
        let samples = self.synthesis.frame(spectrum, frame.size, frame.is_transient);
        let length = samples.len();
        self.output.push(self.filter.run(samples, frame.pitch), out);
        self.filter.advance(length);
        self.synthesis.advance(length);
        self.due += ((tables::SHORT_LINES << frame.size) / self.step) as u64;
        Ok(())
    }

    /// Samples that packets were worth and that were not given out yet.
    pub(super) fn late(&self) -> usize {
        (self.due - self.given) as usize
    }

    /// Appends those samples, as if silence followed.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let late = self.late();
        self.output.finish(late, out);
        self.given += late as u64;
    }

    /// The state of the range coder after the last frame.
    #[cfg(test)]
    fn final_range(&self) -> u32 {
        self.frames.final_range
    }
}
