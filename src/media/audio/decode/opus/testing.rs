//! Packets to test with, made by libopus of computed sounds.

use std::f64::consts::TAU;

use ::opus::{Application, Bandwidth, Bitrate, Channels, Encoder, FrameSize};

/// What the encoder is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Make {
    pub(super) application: Application,
    pub(super) bandwidth: Bandwidth,
    pub(super) channels: usize,
    pub(super) bits: i32,
    pub(super) size: FrameSize,
}

impl Make {
    /// As for music; with the application that has CELT alone.
    pub(super) const MUSIC: Make = Make {
        application: Application::LowDelay,
        bandwidth: Bandwidth::Fullband,
        channels: 2,
        bits: 64_000,
        size: FrameSize::Ms20,
    };

    /// Packets of a sound as a function of seconds and channel.
    pub(super) fn packets(self, sound: impl Fn(f64, usize) -> f64, seconds: f64) -> Vec<Vec<u8>> {
        let channels = if self.channels == 1 { Channels::Mono } else { Channels::Stereo };
        let mut encoder = Encoder::new(48_000, channels, self.application).unwrap();
        encoder.set_bitrate(Bitrate::Bits(self.bits)).unwrap();
        encoder.set_bandwidth(self.bandwidth).unwrap();
        let frames = match self.size {
            FrameSize::Ms2_5 => 120,
            FrameSize::Ms5 => 240,
            FrameSize::Ms10 => 480,
            _ => 960,
        };
        let mut packet = vec![0; 4_000];
        let count = (seconds * 48_000.0) as usize / frames;
        let encode = |at: usize| {
            let sample =
                |n: usize| sound((at * frames + n / self.channels) as f64 / 48_000.0, n % self.channels) as f32;
            let samples: Vec<f32> = (0..frames * self.channels).map(sample).collect();
            let length = encoder.encode_float(&samples, &mut packet).unwrap();
            packet[..length].to_vec()
        };
        (0..count).map(encode).collect()
    }
}

/// All samples as libopus decodes them, interleaved.
pub(super) fn libopus(packets: &[Vec<u8>], hz: u32, channels: Channels) -> Vec<f32> {
    let mut decoder = ::opus::Decoder::new(hz, channels).unwrap();
    let (mut all, mut room) = (Vec::new(), vec![0.0; 11_520]);
    let width = if channels == Channels::Mono { 1 } else { 2 };
    for packet in packets {
        let frames = decoder.decode_float(packet, &mut room, false).unwrap();
        all.extend_from_slice(&room[..frames * width]);
    }
    all
}

/// A hash of an integer as a number within ±1.
fn random(n: i64) -> f64 {
    let hash = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Chords with partials, beats and breath, another one four times a second; the channels differ.
pub(super) fn music(t: f64, channel: usize) -> f64 {
    let chord = (4.0 * t) as usize;
    let root = [220.0, 294.0, 165.0, 392.0][chord % 4] * (1.0 + 0.003 * channel as f64);
    let since = t - chord as f64 / 4.0;
    let fade = (-5.0 * since).exp();
    let voice = |ratio: f64| (1..14).map(|k| (TAU * root * ratio * f64::from(k) * t).sin() / f64::from(k)).sum::<f64>();
    let beat = 0.3 * (-80.0 * since).exp() * random((48_000.0 * t) as i64);
    0.12 * fade * (voice(1.0) + voice(1.25) + voice(1.5)) + beat + 0.002 * noise(t, channel)
}

/// Glottal pulses with a wandering pitch through resonances, and pauses.
pub(super) fn speech(t: f64, _channel: usize) -> f64 {
    let voiced = if (t * 1.7).fract() < 0.75 { 1.0 } else { 0.02 };
    let pitch = 120.0 + 20.0 * (TAU * 1.3 * t).sin();
    let phase = (pitch * t).fract();
    let since = phase / pitch;
    let formant = |hz: f64, width: f64| (-width * since).exp() * (TAU * hz * since).sin();
    voiced * (0.4 * formant(600.0, 400.0) + 0.25 * formant(1_400.0, 500.0) + 0.15 * formant(2_600.0, 700.0))
}

/// A click every 70 ms.
pub(super) fn clicks(t: f64, channel: usize) -> f64 {
    let since = (t / 0.07).fract() * 0.07;
    if since < 0.000_5 { 0.9 * random((48_000.0 * t) as i64 + channel as i64) } else { 0.0 }
}

/// White noise, the channels apart.
pub(super) fn noise(t: f64, channel: usize) -> f64 {
    0.4 * random(2 * (48_000.0 * t).round() as i64 + channel as i64)
}
