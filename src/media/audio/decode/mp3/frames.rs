//! From frames to samples: at a reduced rate where that suffices, at the full one else.

use nanomp3::Decoder;

use super::layer3::{Layer3, Reduction};
use crate::{
    media::{audio::decode::mpeg::Header, format::Channel},
    units::SampleRate,
};

/// Highest rate of an output whose sources may be decoded at a reduced rate: that of wide-band telephony. What is meant to be
/// heard over more than a telephone keeps the last tenth of its band as it is, too.
const REDUCED_TARGET_MAX: SampleRate = SampleRate::HZ_16000;

/// How far frames with this header may be reduced: the rate left is not below `target`.
pub(super) fn reduction(header: Header, target: SampleRate) -> Option<Reduction> {
    if REDUCED_TARGET_MAX < target || !Layer3::can_decode(header) {
        return None;
    }
    let suffices = |reduction: &Reduction| header.rate() as usize / reduction.factor() >= target.hz() as usize;
    [Reduction::Quarter, Reduction::Half].into_iter().find(suffices)
}

/// Decodes the frames of one part after the other.
pub(super) enum FrameDecoder {
    /// All channels at the source's rate.
    Full(Box<Decoder>),
    /// One channel, at the rate and phase that it was made for.
    Reduced { decoder: Box<Layer3>, reduction: Reduction, phase: usize },
}

impl FrameDecoder {
    pub(super) fn full() -> FrameDecoder {
        FrameDecoder::Full(Box::default())
    }

    /// A decoder that knows nothing of earlier frames.
    pub(super) fn new(reduction: Option<Reduction>, phase: usize, channel: Channel) -> FrameDecoder {
        match reduction {
            None => FrameDecoder::full(),
            Some(reduction) => {
                let decoder = Box::new(Layer3::new(reduction, phase, channel));
                FrameDecoder::Reduced { decoder, reduction, phase }
            }
        }
    }

    /// Whether it gives what a new one would give.
    pub(super) fn fits(&self, wanted: Option<Reduction>, wanted_phase: usize) -> bool {
        match self {
            FrameDecoder::Full(_) => wanted.is_none(),
            FrameDecoder::Reduced { reduction, phase, .. } => wanted == Some(*reduction) && wanted_phase == *phase,
        }
    }

    /// A new one of the same kind, to decode in another place of the same part; none of those that decode in full.
    pub(super) fn another(&self) -> Option<FrameDecoder> {
        let FrameDecoder::Reduced { decoder, reduction, phase } = self else { return None };
        Some(FrameDecoder::new(Some(*reduction), *phase, decoder.channel()))
    }

    /// Whether it stands where it would if it had decoded all frames before as well, however many they are.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, FrameDecoder::Reduced { decoder, .. } if decoder.is_settled())
    }

    /// Samples that a frame with this header gives.
    pub(super) fn samples_of(&self, header: Header) -> usize {
        match self {
            FrameDecoder::Full(_) => header.samples() * header.channels(),
            FrameDecoder::Reduced { reduction, .. } => header.samples() / reduction.factor(),
        }
    }

    /// Replaces `samples` by those of a frame, or by silence of its length where it cannot be decoded; then `false`.
    pub(super) fn decode(&mut self, header: Header, frame: &[u8], samples: &mut Vec<f32>) -> bool {
        let count = self.samples_of(header);
        match self {
            FrameDecoder::Full(decoder) => {
                samples.resize(nanomp3::MAX_SAMPLES_PER_FRAME, 0.0);
                let (_, outcome) = decoder.decode(frame, samples);
                samples.truncate(count);
                let is_whole =
                    outcome.is_ok_and(|info| info.samples_produced * usize::from(info.channels.num()) == count);
                if !is_whole {
                    samples.fill(0.0);
                }
                is_whole
            }
            FrameDecoder::Reduced { decoder, .. } => {
                samples.clear();
                let is_whole = decoder.decode(header, frame, samples).is_some();
                samples.resize(count, 0.0);
                is_whole
            }
        }
    }
}
