//! Opus in Ogg (RFC 7845).

use std::{collections::VecDeque, io::BufReader};

use ogg::{Packet, PacketReader, reading::OggReadError};

use super::packets::Packets;
use crate::{
    media::audio::{
        AudioError, Kind,
        decode::{Block, Decode},
        source::{STALL_MAX, Source, Tap, Watch},
    },
    media::format::Channel,
    units::SampleRate,
};

/// Bytes read without a packet coming of them: the reader keeps the pieces of a packet that never ends, and no picture in a comment
/// header is larger.
const PACKET_BYTES_MAX: u64 = STALL_MAX / 4;
/// Damaged packets or pages one after another before the rest is given up.
const DAMAGED_MAX: u32 = 500;

pub(in crate::media::audio::decode) fn open(
    source: Source,
    target: SampleRate,
    channel: Channel,
) -> Result<Box<dyn Decode>, AudioError> {
    let start = source.position();
    let (tap, watch) = source.into_tap(start, PACKET_BYTES_MAX)?;
    Ok(Box::new(OggOpus {
        packets: PacketReader::new(BufReader::with_capacity(16 * 1024, tap)),
        watch,
        target,
        channel,
        link: None,
        damaged: 0,
        decoded_any: false,
        at_end: false,
        truncated: false,
    }))
}

struct OggOpus {
    packets: PacketReader<BufReader<Tap>>,
    watch: Watch,
    target: SampleRate,
    channel: Channel,
    /// The logical stream being decoded; another one may follow it.
    link: Option<Link>,
    damaged: u32,
    decoded_any: bool,
    at_end: bool,
    truncated: bool,
}

/// One logical stream.
struct Link {
    serial: u32,
    decoder: Packets,
    /// The comment header is still to come.
    awaits_tags: bool,
    /// Granule position at which the first packet starts, known at the end of the first audio page.
    start: Option<u64>,
    /// Ticks to be heard in all, known on the last page.
    end: Option<u64>,
    /// Packets of the current page.
    queued: VecDeque<Packet>,
    is_page_complete: bool,
    is_last_page: bool,
    /// Frames given out, and those of the pre-skip dropped.
    frames: u64,
    frames_skipped: u64,
}

fn damaged(reason: &'static str) -> AudioError {
    AudioError::undecodable(Kind::OggOpus, reason)
}

impl Link {
    /// Reads an identification header; `None` if it is none.
    fn open(head: &Packet, target: SampleRate, channel: Channel) -> Result<Option<Link>, AudioError> {
        let decoder = Packets::open(Kind::OggOpus, &head.data, target, channel)?;
        Ok(decoder.map(|decoder| Link {
            serial: head.stream_serial(),
            decoder,
            awaits_tags: true,
            start: None,
            end: None,
            queued: VecDeque::new(),
            is_page_complete: false,
            is_last_page: false,
            frames: 0,
            frames_skipped: 0,
        }))
    }

    /// All packets that end on a page are queued now: its granule position tells where the stream starts and ends.
    ///
    /// A stream cut out of a longer one starts later than 0 (§4.3). On a page that is also the last, a smaller position than the
    /// packets add up to means padding at the end instead (§4.4).
    fn finish_page(&mut self) {
        let Some(last) = self.queued.back() else { return };
        self.is_page_complete = true;
        self.is_last_page = last.last_in_stream();
        let position = Some(last.absgp_page()).filter(|position| *position <= i64::MAX as u64);
        let ticks: u64 = self.queued.iter().map(|packet| Packets::ticks(&packet.data)).sum();
        let start = *self.start.get_or_insert(match position {
            Some(position) if !self.is_last_page => position.saturating_sub(ticks),
            _ => 0,
        });
        if self.is_last_page {
            self.end = position.map(|position| position.saturating_sub(start).saturating_sub(self.decoder.pre_skip));
        }
    }

    /// Decodes a packet into `block`. A damaged one gives silence of its length, and `false`.
    fn decode(&mut self, packet: &Packet, block: &mut Block) -> bool {
        let decoded = self.decoder.decode(&packet.data, block);
        self.cut(block);
        decoded
    }

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

impl OggOpus {
    /// Sorts a packet in: a header, or audio that waits for its page to be complete.
    fn take(&mut self, packet: Packet) -> Result<(), AudioError> {
        if packet.first_in_stream() {
            // A stream of something else, beside or behind, is none of ours.
            if let Some(link) = Link::open(&packet, self.target, self.channel)? {
                self.link = Some(link);
            }
            return Ok(());
        }
        let Some(link) = self.link.as_mut().filter(|link| link.serial == packet.stream_serial()) else {
            return Ok(());
        };
        if link.awaits_tags {
            link.awaits_tags = false;
            return Ok(());
        }
        // Beginnings without end and packets of other streams are no audio.
        self.watch.progressed();
        let is_page_end = packet.last_in_page();
        link.queued.push_back(packet);
        if is_page_end {
            link.finish_page();
            if link.is_last_page {
                self.forget_streams();
            }
        }
        Ok(())
    }

    /// The next packet whose page is complete; at the end of everything any that is left.
    fn next_ready(&mut self, at_end: bool) -> Option<Packet> {
        let link = self.link.as_mut().filter(|link| link.is_page_complete || at_end)?;
        let packet = link.queued.pop_front();
        link.is_page_complete &= !link.queued.is_empty();
        packet
    }

    fn decode(&mut self, packet: &Packet, block: &mut Block) -> Result<bool, AudioError> {
        if let Some(link) = &mut self.link {
            if link.decode(packet, block) {
                self.decoded_any = true;
                self.damaged = 0;
            } else {
                self.count_damage()?;
            }
        }
        Ok(true)
    }

    /// Lets the reader take what comes as it comes: after a gap, and where the next link has the serial of the last, as in a file
    /// joined to itself.
    fn forget_streams(&mut self) {
        self.packets.delete_unread_packets();
    }

    fn count_damage(&mut self) -> Result<(), AudioError> {
        self.damaged += 1;
        if self.damaged > DAMAGED_MAX {
            return Err(damaged("too much of it in a row is damaged"));
        }
        Ok(())
    }
}

impl Decode for OggOpus {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        if let Some(packet) = self.next_ready(self.at_end) {
            return self.decode(&packet, block);
        }
        if self.at_end {
            if !self.decoded_any {
                return Err(damaged("no packet of it can be decoded"));
            }
            return Ok(false);
        }
        match self.packets.read_packet() {
            Ok(Some(packet)) => self.take(packet)?,
            Ok(None) => {
                self.at_end = true;
                self.truncated |= self.link.as_ref().is_none_or(|link| !link.is_last_page);
            }
            Err(OggReadError::ReadError(error)) => match self.watch.take_fault() {
                Some(fault) => return Err(fault),
                None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    self.at_end = true;
                    self.truncated = true;
                }
                None => return Err(AudioError::undecodable(Kind::OggOpus, error.to_string())),
            },
            // A damaged page is lost; the next capture pattern is looked for.
            Err(_) => {
                self.forget_streams();
                self.count_damage()?;
            }
        }
        Ok(true)
    }

    fn truncated(&self) -> bool {
        self.truncated
    }
}
