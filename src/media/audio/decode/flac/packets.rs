//! Frames that a container hands over one by one.

use std::time::Duration;

use super::{
    frame::FrameDecoder,
    header::Header,
    info::{Info, SIZE},
};
use crate::{
    media::{
        audio::{AudioError, Kind, decode::Block, mix::Layout, timeline::frames_duration},
        format::Channel,
    },
    units::SampleRate,
};

/// Damaged frames one after another that are played as silence before the rest is given up.
const DAMAGED_MAX: u32 = 500;

/// Decodes the frames of one stream.
pub(in crate::media::audio::decode) struct Packets {
    kind: Kind,
    info: Info,
    decoder: FrameDecoder,
    damaged: u32,
    /// Frames of the last packet that could be decoded; 0 before the first.
    last_frames: usize,
}

impl Packets {
    /// Reads a STREAMINFO found in an original of `kind`. `channel` is what of the channels is heard.
    pub(in crate::media::audio::decode) fn open(
        kind: Kind,
        streaminfo: &[u8],
        channel: Channel,
    ) -> Result<Packets, AudioError> {
        let body = streaminfo.first_chunk::<SIZE>();
        let body = body.ok_or_else(|| AudioError::undecodable(kind, "its STREAMINFO is cut short"))?;
        let (info, decoder) = (Info::parse(kind, body)?, FrameDecoder::new(channel));
        Ok(Packets { kind, info, decoder, damaged: 0, last_frames: 0 })
    }

    /// How long STREAMINFO says the audio is, if it does.
    pub(super) fn declared(&self) -> Option<Duration> {
        self.info.frames.map(|frames| frames_duration(frames, self.info.rate))
    }

    pub(in crate::media::audio::decode) fn rate(&self) -> SampleRate {
        self.info.rate
    }

    /// Replaces `block` by what a packet holds. A damaged one is silence as long as the one before it.
    ///
    /// # Errors
    /// Too much is damaged.
    pub(in crate::media::audio::decode) fn decode(
        &mut self,
        packet: &[u8],
        block: &mut Block,
    ) -> Result<(), AudioError> {
        if self.decode_or_silence(packet, block) {
            self.damaged = 0;
            return Ok(());
        }
        self.damaged += 1;
        if self.damaged > DAMAGED_MAX {
            return Err(AudioError::undecodable(self.kind, "too much of it in a row is damaged"));
        }
        Ok(())
    }

    /// The same for a container that counts what is damaged itself; `false` where the packet is.
    pub(super) fn decode_or_silence(&mut self, packet: &[u8], block: &mut Block) -> bool {
        let header = Header::parse(packet, &self.info);
        if header.is_some_and(|header| self.decoder.decode(packet, &header, &self.info, block).is_ok()) {
            self.last_frames = block.frames();
            return true;
        }
        block.rate = self.info.rate;
        block.layout = Layout::MONO;
        block.samples.clear();
        block.samples.resize(self.last_frames, 0.0);
        false
    }

    /// Whether the stream, at its end, turns out to have been none: nothing could be decoded although there was something.
    pub(in crate::media::audio::decode) fn is_silent_failure(&self, broken_off: bool) -> bool {
        self.last_frames == 0 && (broken_off || self.damaged > 0)
    }
}
