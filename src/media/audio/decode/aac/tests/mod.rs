//! Stage by stage against the standard's formulas, and the whole against another decoder and itself at the full rate.

mod damage;
mod oracle;
mod reduced;
mod stages;
mod syntax;

use super::{Config, Heard, Stream, Until};
use crate::{
    media::{
        audio::{
            Kind,
            decode::{Block, random::Random},
        },
        format::Channel,
    },
    units::SampleRate,
};

impl Random {
    /// Within ±1.
    fn sample(&mut self) -> f32 {
        (self.next() as i32) as f32 / 2_147_483_648.0
    }
}

/// The raw data blocks of an ADTS stream with one in each frame and no check sums.
fn packets(adts: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    let mut rest = adts;
    while let [0xff, 0xf1 | 0xf9, _, d, e, f, ..] = rest {
        let size = usize::from(d & 3) << 11 | usize::from(*e) << 3 | usize::from(f >> 5);
        packets.push(&rest[7..size]);
        rest = &rest[size..];
    }
    assert!(rest.is_empty());
    packets
}

fn fixture(name: &str) -> Vec<u8> {
    crate::testing::fixture::audio(name).unwrap().to_vec()
}

/// What all tests over whole streams read: one channel and smooth, two channels and anything but.
const FILES: [&str; 2] = ["chirp.aac", "music.aac"];

/// A decoder for an ADTS stream at 44.1 kHz that gives every `factor`th sample.
fn stream_of(adts: &[u8], factor: usize, heard: Heard) -> Stream {
    assert_eq!(adts[2] >> 2 & 0x0f, 4);
    let configuration = u32::from(adts[2] & 1) << 2 | u32::from(adts[3] >> 6);
    Stream::reduced(Kind::Adts, &Config::of_header(44_100, configuration, Channel::Mix), factor, heard).unwrap()
}

fn stream(frequency: u32, configuration: u32, target: SampleRate, heard: Heard) -> Stream {
    let config = Config::of_header(frequency, configuration, Channel::Mix);
    Stream::new(Kind::Adts, &config, target, heard).unwrap()
}

/// Samples of all packets, and the frames of the source that they stand for.
fn decode(mut stream: Stream, packets: &[&[u8]]) -> (Vec<f64>, usize) {
    let (mut block, mut samples, mut frames) = (Block::new(), Vec::new(), 0);
    for packet in packets {
        stream.begin(&mut block);
        stream.decode(packet, Until::Heard, &mut block).unwrap();
        samples.extend(block.samples.iter().map(|sample| f64::from(*sample)));
        frames += block.extent().frames;
    }
    (samples, frames)
}

/// Signal against difference, in dB.
fn snr(reference: &[f64], actual: &[f64]) -> f64 {
    assert_eq!(reference.len(), actual.len());
    let signal: f64 = reference.iter().map(|sample| sample * sample).sum();
    let noise: f64 = reference.iter().zip(actual).map(|(a, b)| (a - b) * (a - b)).sum();
    10.0 * (signal / noise.max(1e-30)).log10()
}
