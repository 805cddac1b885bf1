//! Originals, outputs and measurements for the tests.

use std::{
    f64::consts::TAU,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::media::{
    audio::{AudioError, Input, Limits, Output, Summary, transcode},
    format::{Format, Headerless},
};

pub(super) fn format(extension: &str) -> Format {
    Format::parse(extension, &[]).unwrap()
}

/// An original in memory that gives at most `step(call)` bytes at a time.
pub(super) struct Original {
    bytes: Vec<u8>,
    position: u64,
    /// Highest offset read so far.
    pub(super) consumed: Arc<AtomicU64>,
    steps: Vec<usize>,
    calls: usize,
    fails_at: Option<u64>,
    declared: Option<Headerless>,
}

impl Original {
    pub(super) fn whole(bytes: &[u8]) -> Original {
        Original::stepped(bytes, vec![usize::MAX])
    }

    pub(super) fn stepped(bytes: &[u8], steps: Vec<usize>) -> Original {
        let consumed = Arc::new(AtomicU64::new(0));
        Original { bytes: bytes.to_vec(), position: 0, consumed, steps, calls: 0, fails_at: None, declared: None }
    }

    /// The same, declared to be what the option `input` says.
    pub(super) fn declared(self, input: &str) -> Original {
        Original { declared: Some(Headerless::from_option(input).unwrap()), ..self }
    }

    pub(super) fn failing(bytes: &[u8], at: u64) -> Original {
        Original { fails_at: Some(at), ..Original::stepped(bytes, vec![1000]) }
    }
}

impl Read for Original {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.fails_at.is_some_and(|at| self.position >= at) {
            return Err(io::Error::other("the origin hung up"));
        }
        let step = self.steps[self.calls % self.steps.len()].max(1);
        self.calls += 1;
        let start = self.bytes.len().min(self.position as usize);
        let mut rest = &self.bytes[start..];
        let wanted = room.len().min(step);
        let count = rest.read(&mut room[..wanted])?;
        self.position += count as u64;
        self.consumed.fetch_max(self.position, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Original {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(offset) => offset,
            SeekFrom::Current(delta) => self.position.saturating_add_signed(delta),
            SeekFrom::End(delta) => (self.bytes.len() as u64).saturating_add_signed(delta),
        };
        Ok(self.position)
    }
}

impl Input for Original {
    fn length(&self) -> Option<u64> {
        None
    }

    fn declared(&self) -> Option<Headerless> {
        self.declared
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }
}

/// Collects the body; notes how much of the original had been read when its first bytes came.
#[derive(Default)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) consumed: Arc<AtomicU64>,
    pub(super) consumed_at_first: Option<u64>,
    pub(super) largest: usize,
}

impl Output for Body {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        if !body.is_empty() {
            let consumed = self.consumed.load(Ordering::Relaxed);
            self.consumed_at_first.get_or_insert(consumed);
        }
        self.largest = self.largest.max(body.len());
        self.bytes.extend_from_slice(body);
        Ok(())
    }
}

pub(super) fn run(original: Original, format: Format, limits: &Limits) -> Result<(Summary, Body), AudioError> {
    let mut body = Body { consumed: original.consumed.clone(), ..Body::default() };
    let summary = transcode(Box::new(original), format, limits, &mut body)?;
    Ok((summary, body))
}

/// Whole original, usual limits, success expected.
pub(super) fn convert(bytes: &[u8], extension: &str) -> (Summary, Vec<u8>) {
    let (summary, body) = run(Original::whole(bytes), format(extension), &Limits::default()).unwrap();
    (summary, body.bytes)
}

/// The same, as samples within ±1.
pub(super) fn convert_samples(bytes: &[u8], extension: &str) -> (Summary, Vec<f64>) {
    let (summary, body) = convert(bytes, extension);
    (summary, samples(&body))
}

pub(super) fn samples(body: &[u8]) -> Vec<f64> {
    body.as_chunks().0.iter().map(|b| f64::from(i16::from_le_bytes(*b)) / 32_768.0).collect()
}

/// The error, with usual limits.
pub(super) fn error(bytes: &[u8], extension: &str) -> AudioError {
    match run(Original::whole(bytes), format(extension), &Limits::default()) {
        Ok((summary, body)) => panic!("{} bytes were made, {summary:?}", body.bytes.len()),
        Err(error) => error,
    }
}

pub(super) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/audio").join(name)).unwrap()
}

/// How samples lie in a generated WAV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coding {
    Unsigned8,
    Int16,
    Int24,
    Int32,
    Float32,
    Float64,
}

/// A WAV file of `frames` frames; `signal(frame, channel)` is within ±1.
pub(super) fn wav(
    rate: u32,
    channels: u16,
    frames: usize,
    coding: Coding,
    signal: impl Fn(usize, u16) -> f64,
) -> Vec<u8> {
    let mut data = Vec::new();
    for frame in 0..frames {
        for channel in 0..channels {
            let value = signal(frame, channel);
            let scaled = |full: f64| (value * full).round().clamp(-full, full - 1.0);
            match coding {
                Coding::Unsigned8 => data.push((scaled(128.0) + 128.0) as u8),
                Coding::Int16 => data.extend_from_slice(&(scaled(32_768.0) as i16).to_le_bytes()),
                Coding::Int24 => data.extend_from_slice(&(scaled(8_388_608.0) as i32).to_le_bytes()[..3]),
                Coding::Int32 => data.extend_from_slice(&(scaled(2_147_483_648.0) as i32).to_le_bytes()),
                Coding::Float32 => data.extend_from_slice(&(value as f32).to_le_bytes()),
                Coding::Float64 => data.extend_from_slice(&value.to_le_bytes()),
            }
        }
    }
    let (tag, size) = match coding {
        Coding::Unsigned8 => (1, 1),
        Coding::Int16 => (1, 2),
        Coding::Int24 => (1, 3),
        Coding::Int32 => (1, 4),
        Coding::Float32 => (3, 4),
        Coding::Float64 => (3, 8),
    };
    wav_of(tag, rate, channels, size, &data)
}

/// A WAV file around data.
pub(super) fn wav_of(tag: u16, rate: u32, channels: u16, sample_size: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * sample_size;
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&(36 + data.len() as u32).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0");
    file.extend_from_slice(&tag.to_le_bytes());
    file.extend_from_slice(&channels.to_le_bytes());
    file.extend_from_slice(&rate.to_le_bytes());
    file.extend_from_slice(&rate.wrapping_mul(u32::from(block)).to_le_bytes());
    file.extend_from_slice(&block.to_le_bytes());
    file.extend_from_slice(&(sample_size * 8).to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&(data.len() as u32).to_le_bytes());
    file.extend_from_slice(data);
    file
}

pub(super) fn tone(hz: f64, rate: u32) -> impl Fn(usize, u16) -> f64 {
    move |frame, _| 0.5 * (TAU * hz * frame as f64 / f64::from(rate)).sin()
}

/// A sine fitted to samples by least squares.
#[derive(Debug)]
pub(super) struct Fit {
    /// Against an amplitude of 0.5, in dB.
    pub(super) level: f64,
    /// How much later than a sine of phase 0, in samples.
    pub(super) delay: f64,
    /// Of the sine to everything else, in dB.
    pub(super) snr: f64,
}

/// Fits a sine of `hz` to the inner part of `signal`, leaving out `edge` samples on both sides.
pub(super) fn fit(signal: &[f64], hz: f64, rate: u32, edge: usize) -> Fit {
    let omega = TAU * hz / f64::from(rate);
    let inner = || signal.iter().enumerate().skip(edge).take(signal.len() - 2 * edge);
    let (mut ss, mut sc, mut cc, mut ys, mut yc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, y) in inner() {
        let (s, c) = (omega * n as f64).sin_cos();
        ss += s * s;
        sc += s * c;
        cc += c * c;
        ys += y * s;
        yc += y * c;
    }
    let determinant = ss * cc - sc * sc;
    let a = (ys * cc - yc * sc) / determinant;
    let b = (yc * ss - ys * sc) / determinant;
    let (mut wanted, mut rest) = (0.0, 0.0);
    for (n, y) in inner() {
        let (s, c) = (omega * n as f64).sin_cos();
        let model = a * s + b * c;
        wanted += model * model;
        rest += (y - model) * (y - model);
    }
    Fit {
        level: 20.0 * (a.hypot(b) / 0.5).log10(),
        delay: -b.atan2(a) / omega,
        snr: 10.0 * (wanted / rest.max(1e-30)).log10(),
    }
}

/// Length in seconds of the chirp in the fixtures.
pub(super) const CHIRP: f64 = 0.8;

/// The chirp in the fixtures at time `t`: 300 to 2700 Hz, faded over 20 ms.
pub(super) fn chirp(t: f64) -> f64 {
    if !(0.0..CHIRP).contains(&t) {
        return 0.0;
    }
    let fade = 1f64.min(t / 0.02).min((CHIRP - t) / 0.02);
    0.5 * fade * (TAU * (300.0 * t + 2400.0 * t * t / (2.0 * CHIRP))).sin()
}

/// How well samples at `rate` from `offset` on are the chirp: best delay in samples (to an eighth) and the SNR there, in dB.
pub(super) fn match_chirp(signal: &[f64], rate: u32, offset: usize) -> (f64, f64) {
    let rate = f64::from(rate);
    let count = (CHIRP * rate) as usize;
    let heard = |n: usize| signal.get(offset + n).copied().unwrap_or(0.0);
    let snr = |delay: f64| {
        let (mut wanted, mut rest) = (0.0, 0.0);
        for n in 0..count {
            let model = chirp((n as f64 - delay) / rate);
            wanted += model * model;
            rest += (heard(n) - model).powi(2);
        }
        10.0 * (wanted / rest).log10()
    };
    (-64..=64)
        .map(|eighth| f64::from(eighth) / 8.0)
        .map(|delay| (delay, snr(delay)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap()
}

pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
