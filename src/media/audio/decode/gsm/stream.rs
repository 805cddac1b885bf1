//! Frames one after another, as WAV, AIFF-C and headerless files have them.

use std::time::Duration;

use super::{Decoder, FRAME_SAMPLES, FRAME_SIZE, Frame, PAIR_SIZE};
use crate::{
    media::audio::{
        AudioError, Kind,
        decode::{Block, Decode, pcm},
        mix::Layout,
        source::Source,
        timeline::frames_duration,
    },
    units::SampleRate,
};

/// Damaged frames one after another before the rest is given up: 10 s.
const DAMAGED_MAX: u32 = 500;

/// How frames are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media::audio) enum Packing {
    /// Each by itself in [`FRAME_SIZE`] bytes.
    Frames,
    /// Two in [`PAIR_SIZE`] bytes.
    Pairs,
}

impl Packing {
    /// Samples that so many bytes hold.
    pub(in crate::media::audio) fn samples_in(self, bytes: u64) -> u64 {
        match self {
            Packing::Frames => bytes / FRAME_SIZE as u64 * FRAME_SAMPLES as u64,
            Packing::Pairs => bytes / PAIR_SIZE as u64 * 2 * FRAME_SAMPLES as u64,
        }
    }
}

/// Opens the frames that begin where the source stands and end where it does.
///
/// `rate` is 8 kHz but for files that play a voice faster or slower.
pub(in crate::media::audio) fn open(source: Source, kind: Kind, packing: Packing, rate: SampleRate) -> Box<dyn Decode> {
    let declared = source.left().map(|bytes| frames_duration(packing.samples_in(bytes), rate));
    Box::new(Stream {
        source,
        kind,
        packing,
        rate,
        decoder: Decoder::new(),
        declared,
        damaged: 0,
        decoded_any: false,
        truncated: false,
    })
}

struct Stream {
    source: Source,
    kind: Kind,
    packing: Packing,
    rate: SampleRate,
    decoder: Decoder,
    declared: Option<Duration>,
    damaged: u32,
    decoded_any: bool,
    truncated: bool,
}

impl Stream {
    /// Reads the next packet into `block`; `false` where no whole one is left.
    fn read(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        let (mut single, mut pair) = ([0; FRAME_SIZE], [0; PAIR_SIZE]);
        let packet = match self.packing {
            Packing::Frames => single.as_mut_slice(),
            Packing::Pairs => &mut pair,
        };
        let read = self.source.read_full(packet)?;
        if read < packet.len() {
            // A piece of a packet at the end that was declared is none; at any other end one was cut.
            self.truncated = self.source.left().map_or(0 < read, |left| 0 < left);
            return Ok(false);
        }
        match self.packing {
            Packing::Frames => self.decode(Frame::parse(&single), block)?,
            Packing::Pairs => {
                for frame in Frame::parse_pair(&pair) {
                    self.decode(Some(frame), block)?;
                }
            }
        }
        Ok(true)
    }

    /// Decodes a frame; a damaged one is as much silence.
    fn decode(&mut self, frame: Option<Frame>, block: &mut Block) -> Result<(), AudioError> {
        let Some(frame) = frame else {
            self.damaged += 1;
            if self.damaged > DAMAGED_MAX {
                return Err(AudioError::undecodable(self.kind, "too much of it in a row is damaged"));
            }
            block.samples.resize(block.samples.len() + FRAME_SAMPLES, 0.0);
            return Ok(());
        };
        self.damaged = 0;
        self.decoded_any = true;
        block.samples.extend(self.decoder.decode(&frame).map(pcm::from_i16));
        Ok(())
    }
}

impl Decode for Stream {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        block.rate = self.rate;
        block.layout = Layout::MONO;
        if !self.read(block)? {
            if self.damaged > 0 && !self.decoded_any {
                return Err(AudioError::undecodable(self.kind, "no frame of it can be decoded"));
            }
            return Ok(false);
        }
        Ok(true)
    }

    fn declared(&self) -> Option<Duration> {
        self.declared
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}
