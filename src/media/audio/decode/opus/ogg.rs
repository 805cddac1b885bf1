//! Opus in Ogg (RFC 7845).

use std::collections::VecDeque;

use super::packets::Packets;
use crate::media::audio::{
    AudioError, Kind,
    decode::{
        Block,
        ogg::{self, PageEnd, Purpose},
    },
};

/// One logical stream.
pub(in crate::media::audio::decode) struct Link {
    decoder: Packets,
    /// The comment header is still to come.
    awaits_tags: bool,
    /// Granule position at which the first packet starts, known at the end of the first audio page.
    start: Option<u64>,
    /// Ticks to be heard in all, known on the last page.
    end: Option<u64>,
    /// Frames given out, and those of the pre-skip dropped.
    frames: u64,
    frames_skipped: u64,
}

impl ogg::Link for Link {
    const KIND: Kind = Kind::OggOpus;

    fn open(head: &[u8], purpose: Purpose) -> Result<Option<Link>, AudioError> {
        let decoder = Packets::open(Kind::OggOpus, head, purpose.target, purpose.channel)?;
        Ok(decoder.map(|decoder| Link {
            decoder,
            awaits_tags: true,
            start: None,
            end: None,
            frames: 0,
            frames_skipped: 0,
        }))
    }

    fn take_header(&mut self, _packet: &[u8]) -> Result<bool, AudioError> {
        Ok(std::mem::take(&mut self.awaits_tags))
    }

    /// The granule position of a page tells where the stream starts and ends.
    ///
    /// A stream cut out of a longer one starts later than 0 (§4.3). On a page that is also the last, a smaller position than the
    /// packets add up to means padding at the end instead (§4.4).
    fn begin_page(&mut self, packets: &VecDeque<Vec<u8>>, end: PageEnd) -> Result<(), AudioError> {
        let ticks: u64 = packets.iter().map(|packet| Packets::ticks(packet)).sum();
        let start = *self.start.get_or_insert(match end.position {
            Some(position) if !end.is_last => position.saturating_sub(ticks),
            _ => 0,
        });
        if end.is_last {
            let heard = |position: u64| position.saturating_sub(start).saturating_sub(self.decoder.pre_skip);
            self.end = end.position.map(heard);
        }
        Ok(())
    }

    /// A damaged packet gives silence of its length.
    fn decode(&mut self, packet: &[u8], block: &mut Block) -> bool {
        let decoded = self.decoder.decode(packet, block);
        self.cut(block);
        decoded
    }

    fn finish(&mut self, block: &mut Block) {
        self.decoder.finish(block);
        self.cut(block);
    }
}

impl Link {
    /// Takes out the pre-skip, and at the end what lies beyond the last granule position.
    fn cut(&mut self, block: &mut Block) {
        let channels = block.layout.channels().count();
        let skip = (self.decoder.frames_in(self.decoder.pre_skip) - self.frames_skipped).min(block.frames() as u64);
        self.frames_skipped += skip;
        block.samples.drain(..skip as usize * channels);
        if let Some(end) = self.end {
            let kept = self.decoder.frames_in(end).saturating_sub(self.frames).min(block.frames() as u64);
            block.samples.truncate(kept as usize * channels);
        }
        self.frames += block.frames() as u64;
    }
}
