//! Signals that can be computed anew anywhere, and a WAV writer for them: what decoders, mixers and resamplers are judged by.

use std::{f64::consts::TAU, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::units::{Channels, SampleRate};

/// How the samples of a WAV file are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 8-bit unsigned.
    U8,
    /// 16-bit signed.
    S16,
    /// 24-bit signed, packed in three bytes.
    S24,
    /// 32-bit signed.
    S32,
    /// 32-bit IEEE float.
    F32,
}

impl Depth {
    /// Every depth.
    pub const ALL: [Depth; 5] = [Depth::U8, Depth::S16, Depth::S24, Depth::S32, Depth::F32];

    /// Bytes of one sample of one channel.
    pub const fn bytes(self) -> u16 {
        match self {
            Depth::U8 => 1,
            Depth::S16 => 2,
            Depth::S24 => 3,
            Depth::S32 | Depth::F32 => 4,
        }
    }
}

/// Samples in −1..=1, interleaved by channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    rate: SampleRate,
    channels: Channels,
    samples: Vec<f64>,
}

impl Signal {
    /// A mono signal: `value(seconds)` at every sampling instant from 0 on.
    ///
    /// **Shape**: round(duration · rate) samples.
    pub fn from_fn(rate: SampleRate, duration: Duration, mut value: impl FnMut(f64) -> f64) -> Signal {
        let count = (duration.as_secs_f64() * f64::from(rate.hz())).round() as usize;
        let samples = (0..count).map(|i| value(i as f64 / f64::from(rate.hz()))).collect();
        Signal { rate, channels: Channels::MONO, samples }
    }

    /// A sine that starts at phase 0.
    pub fn tone(rate: SampleRate, frequency_hz: f64, amplitude: f64, duration: Duration) -> Signal {
        Signal::from_fn(rate, duration, |t| amplitude * (TAU * frequency_hz * t).sin())
    }

    /// A linear sweep between two frequencies.
    pub fn sweep(rate: SampleRate, from_hz: f64, to_hz: f64, amplitude: f64, duration: Duration) -> Signal {
        let slope = (to_hz - from_hz) / duration.as_secs_f64();
        Signal::from_fn(rate, duration, |t| amplitude * (TAU * (from_hz * t + slope * t * t / 2.0)).sin())
    }

    /// White noise, equally distributed in ±`amplitude`. The same seed gives the same samples.
    pub fn noise(rate: SampleRate, seed: u64, amplitude: f64, duration: Duration) -> Signal {
        let mut rng = StdRng::seed_from_u64(seed);
        Signal::from_fn(rate, duration, |_| amplitude * (rng.random::<f64>() * 2.0 - 1.0))
    }

    /// Nothing, for a while.
    pub fn silence(rate: SampleRate, duration: Duration) -> Signal {
        Signal::from_fn(rate, duration, |_| 0.0)
    }

    /// One channel after another out of mono signals, cut to the shortest.
    ///
    /// `None` when there are none or more than eight, when one is not mono, or when their rates differ.
    pub fn interleave(parts: &[Signal]) -> Option<Signal> {
        let channels = Channels::new(parts.len())?;
        let rate = parts.first()?.rate;
        if parts.iter().any(|part| part.rate != rate || part.channels != Channels::MONO) {
            return None;
        }
        let frames = parts.iter().map(Signal::frames).min()?;
        let samples = (0..frames).flat_map(|i| parts.iter().map(move |part| part.samples[i])).collect();
        Some(Signal { rate, channels, samples })
    }

    /// The sum with another signal of the same shape; what is longer is cut.
    #[must_use]
    pub fn plus(mut self, other: &Signal) -> Signal {
        self.samples.truncate(other.samples.len());
        for (sample, more) in self.samples.iter_mut().zip(&other.samples) {
            *sample += more;
        }
        self
    }

    /// Samples per second.
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// How many channels.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// How many sampling instants.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels.count()
    }

    /// The samples, interleaved.
    pub fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// A WAV file: plain PCM for one or two channels of up to 16 bits, `WAVE_FORMAT_EXTENSIBLE` for what needs it.
    ///
    /// Samples are rounded to nearest, without dither, and clipped.
    pub fn wav(&self, depth: Depth) -> Vec<u8> {
        let data_bytes = self.samples.len() * usize::from(depth.bytes());
        let mut file = wav_header(self.rate, self.channels, depth, data_bytes as u32);
        file.reserve(data_bytes + 1);
        for sample in &self.samples {
            push_sample(&mut file, depth, *sample);
        }
        if data_bytes % 2 == 1 {
            file.push(0);
        }
        file
    }
}

/// The first 44 or 68 bytes of a WAV file: everything before the samples.
///
/// ```text
/// RIFF size WAVE │ fmt  16 or 40: tag channels rate bytes/s block bits [22 bits mask GUID] │ data size
/// ```
/// `data_bytes` is written as given, so that a header can lie.
pub fn wav_header(rate: SampleRate, channels: Channels, depth: Depth, data_bytes: u32) -> Vec<u8> {
    const TAG_PCM: u16 = 1;
    const TAG_FLOAT: u16 = 3;
    const TAG_EXTENSIBLE: u16 = 0xFFFE;
    /// The GUID's last 14 bytes, after the tag (Microsoft, "Multiple channel audio data and WAVE files").
    const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

    let tag = if depth == Depth::F32 { TAG_FLOAT } else { TAG_PCM };
    let is_extensible = channels.count() > 2 || matches!(depth, Depth::S24 | Depth::S32);
    let fmt_bytes: u32 = if is_extensible { 40 } else { 16 };
    let bits = depth.bytes() * 8;
    let block = channels.count() as u16 * depth.bytes();

    let mut header = Vec::with_capacity(68);
    header.extend(b"RIFF");
    header.extend((4 + 8 + fmt_bytes + 8).wrapping_add(data_bytes).wrapping_add(data_bytes % 2).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(fmt_bytes.to_le_bytes());
    header.extend(if is_extensible { TAG_EXTENSIBLE } else { tag }.to_le_bytes());
    header.extend((channels.count() as u16).to_le_bytes());
    header.extend(rate.hz().to_le_bytes());
    header.extend((rate.hz() * u32::from(block)).to_le_bytes());
    header.extend(block.to_le_bytes());
    header.extend(bits.to_le_bytes());
    if is_extensible {
        header.extend(22_u16.to_le_bytes());
        header.extend(bits.to_le_bytes());
        header.extend(channel_mask(channels).to_le_bytes());
        header.extend(tag.to_le_bytes());
        header.extend(GUID_TAIL);
    }
    header.extend(b"data");
    header.extend(data_bytes.to_le_bytes());
    header
}

/// The usual loudspeakers of each channel count: mono, stereo, 3.0, quad, 5.0, 5.1, 6.1, 7.1 (bits as in `ksmedia.h`).
fn channel_mask(channels: Channels) -> u32 {
    match channels.count() {
        1 => 0x4,
        2 => 0x3,
        3 => 0x7,
        4 => 0x33,
        5 => 0x37,
        6 => 0x3F,
        7 => 0x70F,
        _ => 0x63F,
    }
}

fn push_sample(file: &mut Vec<u8>, depth: Depth, sample: f64) {
    let scaled = |full_scale: f64| (sample * full_scale).round().clamp(-full_scale, full_scale - 1.0);
    match depth {
        Depth::U8 => file.push((scaled(128.0) + 128.0) as u8),
        Depth::S16 => file.extend((scaled(32_768.0) as i16).to_le_bytes()),
        Depth::S24 => file.extend(&(scaled(8_388_608.0) as i32).to_le_bytes()[..3]),
        Depth::S32 => file.extend((scaled(2_147_483_648.0) as i32).to_le_bytes()),
        Depth::F32 => file.extend((sample as f32).to_le_bytes()),
    }
}

/// Root mean square in dB relative to full scale; a full-scale sine has −3.01 dB.
pub fn level_db(samples: &[f64]) -> f64 {
    10.0 * mean_square(samples.iter().copied()).log10()
}

/// Signal-to-noise ratio in dB of `actual` against `reference`, over the shorter of the two. Infinite for equal samples.
///
/// Not forgiving: a shift by one sample or a level off by 0.1 dB shows (a 1 kHz tone at 8 kHz shifted by one sample has 2.3 dB,
/// one that is 0.1 dB too loud 39 dB).
pub fn snr_db(reference: &[f64], actual: &[f64]) -> f64 {
    let frames = reference.len().min(actual.len());
    let signal = mean_square(reference[..frames].iter().copied());
    let noise = mean_square(reference.iter().zip(actual).map(|(r, a)| r - a));
    10.0 * (signal / noise).log10()
}

fn mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value * value, count + 1));
    sum / (count.max(1)) as f64
}

#[cfg(test)]
mod tests;
