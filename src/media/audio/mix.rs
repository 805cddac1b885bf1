//! Any number of channels to one: L and R 1, centre and surrounds 0.707, LFE 0, normalised so that full scale never clips; or one of
//! them alone.

use crate::{media::format::Channel, units::Channels};

/// What a channel is for, as far as mixing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    Front,
    Centre,
    Surround,
    Lfe,
}

impl Speaker {
    fn weight(self) -> f32 {
        match self {
            Speaker::Front => 1.0,
            Speaker::Centre | Speaker::Surround => std::f32::consts::FRAC_1_SQRT_2,
            Speaker::Lfe => 0.0,
        }
    }
}

/// The speakers of interleaved samples, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    speakers: [Speaker; 8],
    channels: Channels,
}

impl Layout {
    pub(super) const MONO: Layout = Layout { speakers: [Speaker::Centre; 8], channels: Channels::MONO };

    /// The speakers given; `None` unless there are 1 to 8.
    pub(super) fn of(speakers: impl IntoIterator<Item = Speaker>) -> Option<Layout> {
        let mut all = [Speaker::Lfe; 8];
        let mut count = 0;
        for speaker in speakers {
            *all.get_mut(count)? = speaker;
            count += 1;
        }
        Some(Layout { speakers: all, channels: Channels::new(count)? })
    }

    /// What WAV means by a count of channels without a mask.
    pub(super) fn wave_default(channels: Channels) -> Layout {
        use Speaker::{Centre as C, Front as F, Lfe, Surround as S};
        let speakers = match channels.count() {
            1 => [C, C, C, C, C, C, C, C],
            2 => [F, F, C, C, C, C, C, C],
            4 => [F, F, S, S, C, C, C, C],
            5 => [F, F, C, S, S, C, C, C],
            // 3.0, 5.1, 6.1 and 7.1 agree in their beginning.
            3 => [F, F, C, C, C, C, C, C],
            _ => [F, F, C, Lfe, S, S, S, S],
        };
        Layout { speakers, channels }
    }

    /// What Vorbis and Opus mean by a count of channels (Vorbis I §4.3.9, RFC 7845 §5.1.1.2).
    pub(super) fn vorbis(channels: Channels) -> Layout {
        use Speaker::{Centre as C, Front as F, Lfe, Surround as S};
        let speakers = match channels.count() {
            1 => [C, C, C, C, C, C, C, C],
            2 => [F, F, C, C, C, C, C, C],
            3 => [F, C, F, C, C, C, C, C],
            4 => [F, F, S, S, C, C, C, C],
            5 => [F, C, F, S, S, C, C, C],
            6 => [F, C, F, S, S, Lfe, C, C],
            7 => [F, C, F, S, S, S, Lfe, C],
            _ => [F, C, F, S, S, S, S, Lfe],
        };
        Layout { speakers, channels }
    }

    /// By a WAVEFORMATEXTENSIBLE mask; without as many bits as channels it means nothing and the default holds.
    pub(super) fn wave_mask(channels: Channels, mask: u32) -> Layout {
        if mask.count_ones() as usize != channels.count() {
            return Layout::wave_default(channels);
        }
        let speakers = (0..u32::BITS).filter(|bit| mask & (1 << bit) != 0).map(wave_speaker);
        Layout::of(speakers).unwrap_or_else(|| Layout::wave_default(channels))
    }

    pub(super) fn channels(&self) -> Channels {
        self.channels
    }

    /// Where a side stands among the channels: the first or second of those in front, else of the surrounds, which every layout here
    /// has in the order left, right. `None` where there are no sides.
    fn side(&self, channel: Channel) -> Option<usize> {
        let nth = match channel {
            Channel::Mix => return None,
            Channel::Left => 0,
            Channel::Right => 1,
        };
        let speakers = self.speakers.iter().take(self.channels.count());
        let places = |wanted: Speaker| speakers.clone().enumerate().filter(move |(_, speaker)| **speaker == wanted);
        let pair = [Speaker::Front, Speaker::Surround].into_iter().find(|wanted| 2 <= places(*wanted).count())?;
        places(pair).nth(nth).map(|(at, _)| at)
    }

    /// Factors that [`mix`] multiplies the channels by before it adds them; they add up to one.
    pub(super) fn factors(&self, channel: Channel) -> [f32; 8] {
        match self.side(channel) {
            Some(side) => std::array::from_fn(|at| if at == side { 1.0 } else { 0.0 }),
            None => self.gains(),
        }
    }

    /// Factors of the channels; they add up to one.
    fn gains(&self) -> [f32; 8] {
        let count = self.channels.count();
        let mut gains = self.speakers.map(Speaker::weight);
        let sum: f32 = gains.iter().take(count).sum();
        for gain in &mut gains {
            // Only LFE: then that is what there is to hear.
            *gain = if sum > 0.0 { *gain / sum } else { 1.0 / count as f32 };
        }
        gains
    }
}

/// The speaker of a bit of a WAVE channel mask (bits 0, 1: front left and right; 6, 7: left and right of centre).
pub(super) fn wave_speaker(bit: u32) -> Speaker {
    match bit {
        0 | 1 | 6 | 7 => Speaker::Front,
        2 => Speaker::Centre,
        3 | 18 => Speaker::Lfe,
        _ => Speaker::Surround,
    }
}

/// Samples beyond this are damage, not signal: a float WAV may hold infinities, and one of them would spoil a whole block.
const MAGNITUDE_MAX: f32 = 1.0e4;

/// Mixes interleaved samples to mono, or picks a side where there are sides, appending to `mono`. One channel passes unchanged, bit
/// for bit.
///
/// **Shape** frames of `layout` in → as many samples out. What is no finite number comes out as silence.
pub(super) fn mix(layout: &Layout, channel: Channel, interleaved: &[f32], mono: &mut Vec<f32>) {
    let sound = |sample: f32| if sample.abs() <= MAGNITUDE_MAX { sample } else { 0.0 };
    if let Some(at) = layout.side(channel) {
        let frames = interleaved.chunks_exact(layout.channels().count());
        mono.extend(frames.filter_map(|frame| frame.get(at)).map(|sample| sound(*sample)));
        return;
    }
    match layout.channels().count() {
        1 => mono.extend(interleaved.iter().map(|sample| sound(*sample))),
        2 => {
            let [left, right, ..] = layout.gains();
            let (frames, _) = interleaved.as_chunks::<2>();
            mono.extend(frames.iter().map(|[l, r]| sound(l * left + r * right)));
        }
        count => {
            let gains = layout.gains();
            let frames = interleaved.chunks_exact(count);
            mono.extend(frames.map(|frame| sound(frame.iter().zip(&gains).map(|(sample, gain)| sample * gain).sum())));
        }
    }
}
