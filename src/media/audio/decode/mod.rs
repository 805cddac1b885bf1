//! From an original to blocks of interleaved samples: one file per family.

mod aac;
mod adpcm;
mod adts;
mod aiff;
pub(super) mod au;
mod caf;
mod cut;
mod flac;
mod foreign;
pub(super) mod g722;
mod gsm;
mod headerless;
mod ima;
mod mp3;
mod mp4;
pub(super) mod mpeg;
mod ogg;
mod opus;
mod pcm;
#[cfg(test)]
mod random;
mod transform;
mod trim;
mod vorbis;
mod wav;
mod webm;

use std::time::Duration;

use super::{AudioError, Kind, mix::Layout, sniff::Sniffed, source::Source};
use crate::{
    media::format::Channel,
    units::{Channels, SampleRate},
};

/// Interleaved samples of one rate and layout, nominally within ±1.
#[derive(Debug)]
pub(super) struct Block {
    /// Rate of the samples.
    pub(super) rate: SampleRate,
    pub(super) layout: Layout,
    pub(super) samples: Vec<f32>,
    /// Set where the decoder leaves out frequencies that the target cannot hold and gives fewer samples than the source has.
    ///
    /// Among the blocks of one rate and source rate, sample number *m* stands at the source's frame number *m* × source rate ÷ rate,
    /// so that a block may have one sample more or less than its share, or none.
    pub(super) reduced: Option<Extent>,
}

/// A stretch of the source at its own rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) rate: SampleRate,
    pub(super) frames: usize,
}

impl Block {
    pub(super) fn new() -> Block {
        Block { rate: SampleRate::HZ_8000, layout: Layout::MONO, samples: Vec::new(), reduced: None }
    }

    /// What of the source the block stands for.
    pub(super) fn extent(&self) -> Extent {
        self.reduced.unwrap_or(Extent { rate: self.rate, frames: self.frames() })
    }

    /// Frames: samples of each channel.
    pub(super) fn frames(&self) -> usize {
        self.samples.len() / self.layout.channels().count()
    }
}

/// Decodes one original, block by block.
pub(super) trait Decode {
    /// Replaces `block` by the next samples, which may be none; `false` at the end.
    ///
    /// Rate and layout may change from block to block. A block is one packet or frame of the codec: at most 65 536 frames.
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError>;

    /// How long the header says the audio is, if it does.
    fn declared(&self) -> Option<Duration> {
        None
    }

    /// How many channels the original has, where blocks do not show it because the decoder always mixes; known with the first of them.
    fn channels(&self) -> Option<usize> {
        None
    }

    /// After the end: whether the original stopped before it should.
    fn truncated(&self) -> bool;
}

/// Opens the decoder for what was sniffed.
///
/// `target` is the rate wanted in the end: decoders that can give it directly do. `channel` is what of the channels is heard: only a
/// decoder that is asked for the mix may mix, one that is asked for a side may leave the others out.
pub(super) fn open(
    mut source: Source,
    sniffed: Sniffed,
    target: SampleRate,
    channel: Channel,
) -> Result<Box<dyn Decode>, AudioError> {
    source.seek_to(sniffed.start)?;
    match sniffed.kind {
        Kind::Mp3 => Ok(mp3::open(source, target, channel)),
        Kind::Wav => wav::open(source, target, channel),
        Kind::Flac => flac::open(source, channel),
        Kind::OggFlac => ogg::open::<flac::Link>(source, target, channel),
        Kind::OggVorbis => ogg::open::<vorbis::Link>(source, target, channel),
        Kind::OggOpus => ogg::open::<opus::Link>(source, target, channel),
        Kind::Adts => Ok(adts::open(source, target, channel)),
        Kind::Mp4 => mp4::open(source, target, channel),
        Kind::Au => au::open(source),
        Kind::Aiff => aiff::open(source),
        Kind::Caf => caf::open(source),
        Kind::WebM => Ok(webm::open(source, target, channel)),
        Kind::Headerless(headerless) => Ok(headerless::open(source, headerless)),
    }
}

/// A rate from a header; zero is damage, anything else outside the limits is over them.
fn checked_rate(kind: Kind, hz: u32) -> Result<SampleRate, AudioError> {
    match SampleRate::new(hz) {
        Some(rate) => Ok(rate),
        None if hz == 0 => Err(AudioError::undecodable(kind, "its sample rate is 0")),
        None => Err(AudioError::over_limit(format!("{} to {} Hz", SampleRate::MIN, SampleRate::MAX))),
    }
}

/// A channel count from a header, likewise.
fn checked_channels(kind: Kind, count: usize) -> Result<Channels, AudioError> {
    match Channels::new(count) {
        Some(channels) => Ok(channels),
        None if count == 0 => Err(AudioError::undecodable(kind, "it has no channels")),
        None => Err(AudioError::over_limit(format!("{} channels", Channels::MAX.count()))),
    }
}
