//! Random clips: any rate, channels, depth and length, and what is difficult to hear.

use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use ringback::{
    testing::signal::{Depth, Signal},
    units::{Channels, SampleRate},
};

/// What there is to hear.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Silence,
    Tone(f64),
    Sweep,
    Noise(u64),
    /// Far beyond full scale: clipped where the depth has a limit, by us where it has none.
    Loud(u64),
}

/// A WAV file that can be made again from what a failure prints.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) rate: SampleRate,
    pub(crate) channels: Channels,
    pub(crate) depth: Depth,
    pub(crate) frames: usize,
    pub(crate) content: Content,
}

impl Clip {
    pub(crate) fn wav(&self) -> Vec<u8> {
        let rate = self.rate;
        let duration = Duration::from_secs_f64(self.frames as f64 / f64::from(rate.hz()));
        let channel = |index: usize| match self.content {
            Content::Silence => Signal::silence(rate, duration),
            Content::Tone(hz) => Signal::tone(rate, hz * (index + 1) as f64, 0.7, duration),
            Content::Sweep if duration.is_zero() => Signal::silence(rate, duration),
            Content::Sweep => Signal::sweep(rate, 20.0, f64::from(rate.hz()) / 2.0, 0.9, duration),
            Content::Noise(seed) => Signal::noise(rate, seed.wrapping_add(index as u64), 1.0, duration),
            Content::Loud(seed) => Signal::noise(rate, seed.wrapping_add(index as u64), 9.0, duration),
        };
        let channels: Vec<Signal> = (0..self.channels.count()).map(channel).collect();
        let signal = Signal::interleave(&channels).unwrap();
        assert_eq!(signal.frames(), self.frames);
        signal.wav(self.depth)
    }

    /// How many frames it is at another rate: rounded to the nearest.
    pub(crate) fn frames_at(&self, rate: SampleRate) -> u64 {
        let (from, to) = (u64::from(self.rate.hz()), u64::from(rate.hz()));
        (self.frames as u64 * to + from / 2) / from
    }
}

/// Clips of up to a quarter of a second, the very short ones and the odd rates among them.
pub(crate) fn clips() -> impl Strategy<Value = Clip> {
    let usual = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000];
    let rate = prop_oneof![3 => proptest::sample::select(usual.to_vec()), 1 => 8_000..=192_000_u32];
    let content = prop_oneof![
        Just(Content::Silence),
        (20.0..3_000.0).prop_map(Content::Tone),
        Just(Content::Sweep),
        any::<u64>().prop_map(Content::Noise),
        any::<u64>().prop_map(Content::Loud),
    ];
    let depth = proptest::sample::select(Depth::ALL.to_vec());
    (rate, 1..=8_usize, depth, content).prop_flat_map(|(hz, channels, depth, content)| {
        let frames_max = (hz as usize / 4).min(48_000 / channels);
        let frames = prop_oneof![1 => Just(0), 1 => Just(1), 1 => 2..=40_usize, 5 => 41..=frames_max];
        let (rate, channels) = (SampleRate::new(hz).unwrap(), Channels::new(channels).unwrap());
        frames.prop_map(move |frames| Clip { rate, channels, depth, frames, content: content.clone() })
    })
}
