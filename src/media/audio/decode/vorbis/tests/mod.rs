//! Stage by stage against the specification's formulas, and the whole against another decoder and itself at the full rate.

mod damage;
mod headers;
mod oracle;
mod packer;
mod pages;
mod reduced;
mod stages;
mod synthetic;

use std::io::Cursor;

use super::{
    Refused,
    floor::Extent,
    packet::PacketDecoder,
    setup::{HeaderKind, Identification, Setup},
    stream::{Stream, factor},
};
use crate::{
    media::audio::{
        AudioError,
        decode::{Block, ogg, random::Random},
        fuzz,
        mix::Layout,
        source::Source,
    },
    media::format::Channel,
    units::{Channels, SampleRate},
};

impl Random {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 24) as u8).collect()
    }
}

fn fixture(name: &str) -> Vec<u8> {
    crate::testing::fixture::audio(name).unwrap().to_vec()
}

/// What all tests over whole files read: stereo, pages of few packets, six channels, a lower rate, attacks.
const FILES: [&str; 5] = ["chirp-44k-stereo.ogg", "chirp-44k-pages.ogg", "chirp-5.1.ogg", "speech.ogg", "music.ogg"];

/// The packets of a file of one logical stream.
struct Packets {
    headers: Vec<Vec<u8>>,
    head: Identification,
    audio: Vec<Vec<u8>>,
}

impl Packets {
    fn of(file: &[u8]) -> Packets {
        let mut reader = ::ogg::PacketReader::new(Cursor::new(file));
        let mut all = std::iter::from_fn(|| reader.read_packet().unwrap()).map(|packet| packet.data);
        Packets::new(all.by_ref().take(3).collect(), all.collect())
    }

    fn new(headers: Vec<Vec<u8>>, audio: Vec<Vec<u8>>) -> Packets {
        let head = Identification::parse(HeaderKind::Identification.body(&headers[0]).unwrap()).unwrap();
        Packets { headers, head, audio }
    }

    /// The decoder of the packets for a target.
    fn decoder(&self, target: SampleRate) -> PacketDecoder {
        self.try_decoder(target).unwrap()
    }

    fn try_decoder(&self, target: SampleRate) -> Result<PacketDecoder, Refused> {
        let factor = factor(&self.head, target);
        let gains = Layout::vorbis(Channels::new(self.head.channels).unwrap()).factors(Channel::Mix);
        let gains = &gains[..self.head.channels];
        let lines = self.head.sizes.map(|size| size / 2);
        let extent = Extent { lines, reach: lines.map(|lines| lines / factor) };
        let setup = Setup::parse(HeaderKind::Setup.body(&self.headers[2]).unwrap(), gains, extent)?;
        Ok(PacketDecoder::new(setup, gains))
    }

    /// The stream for a target, heard from a frame on.
    fn stream(&self, target: SampleRate, start: u64) -> Stream {
        self.stream_of(self.decoder(target), target, start)
    }

    fn stream_of(&self, decoder: PacketDecoder, target: SampleRate, start: u64) -> Stream {
        Stream::new(&self.head, factor(&self.head, target), decoder, start).unwrap()
    }

    /// All samples for a target, and the frames that they stand for.
    fn decode(&self, target: SampleRate, start: u64) -> (Vec<f64>, usize) {
        let mut stream = self.stream(target, start);
        let (mut block, mut samples, mut frames) = (Block::new(), Vec::new(), 0);
        for packet in &self.audio {
            stream.decode(packet, &mut block).unwrap();
            samples.extend(block.samples.iter().map(|sample| f64::from(*sample)));
            frames += block.extent().frames;
        }
        (samples, frames)
    }
}

/// What a whole file decodes to: its samples, the frames that they stand for, and whether it was cut short.
#[derive(Debug, PartialEq)]
struct Decoded {
    samples: Vec<f64>,
    frames: usize,
    truncated: bool,
}

fn decode(file: &[u8], target: SampleRate) -> Result<Decoded, AudioError> {
    let mut decoder = ogg::open::<super::Link>(Source::new(fuzz::input(file)), target, Channel::Mix)?;
    let (mut block, mut samples, mut frames) = (Block::new(), Vec::new(), 0);
    while decoder.next_block(&mut block)? {
        samples.extend(block.samples.iter().map(|sample| f64::from(*sample)));
        frames += block.extent().frames;
    }
    Ok(Decoded { samples, frames, truncated: decoder.truncated() })
}

/// Signal against difference, in dB.
fn snr(reference: &[f64], actual: &[f64]) -> f64 {
    assert_eq!(reference.len(), actual.len());
    let signal: f64 = reference.iter().map(|sample| sample * sample).sum();
    let noise: f64 = reference.iter().zip(actual).map(|(a, b)| (a - b) * (a - b)).sum();
    10.0 * (signal / noise.max(1e-30)).log10()
}
