//! Opus in Ogg (RFC 7845), decoded by libopus straight at the output's rate where it is one of libopus' own.

use std::{collections::VecDeque, io::BufReader};

use ogg::{Packet, PacketReader, reading::OggReadError};

use super::{Block, Decode, checked_channels};
use crate::{
    media::audio::{
        AudioError, Kind,
        mix::Layout,
        source::{STALL_MAX, Source, Tap, Watch},
    },
    media::format::Channel,
    units::{Channels, SampleRate},
};

/// Granule positions and durations count at this rate whatever the decoder's.
const GRANULE_RATE: u64 = 48_000;
/// The longest packet: 120 ms (RFC 6716 §3.2.5).
const PACKET_TICKS_MAX: usize = 5_760;
/// Bytes read without a packet coming of them: the reader keeps the pieces of a packet that never ends, and no picture in a comment
/// header is larger.
const PACKET_BYTES_MAX: u64 = STALL_MAX / 4;
/// Damaged packets or pages one after another before the rest is given up.
const DAMAGED_MAX: u32 = 500;

pub(super) fn open(source: Source, target: SampleRate, channel: Channel) -> Result<Box<dyn Decode>, AudioError> {
    let start = source.position();
    let (tap, watch) = source.into_tap(start, PACKET_BYTES_MAX)?;
    let rate = match target.hz() {
        8_000 | 16_000 | 24_000 => target,
        _ => SampleRate::HZ_48000,
    };
    Ok(Box::new(OggOpus {
        packets: PacketReader::new(BufReader::with_capacity(16 * 1024, tap)),
        watch,
        rate,
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
    rate: SampleRate,
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
    decoder: Decoder,
    layout: Layout,
    /// The comment header is still to come.
    awaits_tags: bool,
    pre_skip: u64,
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

enum Decoder {
    Single(opus::Decoder),
    Multi(opus::MSDecoder),
}

fn damaged(reason: &'static str) -> AudioError {
    AudioError::undecodable(Kind::OggOpus, reason)
}

impl Link {
    /// Reads an identification header (RFC 7845 §5.1).
    fn open(head: &Packet, rate: SampleRate, channel: Channel) -> Result<Option<Link>, AudioError> {
        let Some(body) = head.data.strip_prefix(b"OpusHead") else { return Ok(None) };
        let [version, channels, skip_low, skip_high, _, _, _, _, gain_low, gain_high, family] =
            *body.first_chunk::<11>().ok_or_else(|| damaged("its header is cut short"))?;
        if version & 0xf0 != 0 {
            return Err(AudioError::unsupported("this version of Ogg Opus"));
        }
        let channels = checked_channels(Kind::OggOpus, usize::from(channels))?;
        let failed = |error: opus::Error| AudioError::undecodable(Kind::OggOpus, error.to_string());
        let gain = i32::from(i16::from_le_bytes([gain_low, gain_high]));
        let (decoder, layout) = match family {
            0 if channels.count() <= 2 => {
                // libopus itself mixes stereo to mono, where the mix is what is wanted.
                let (out, layout) = match (channels, channel) {
                    (Channels::STEREO, Channel::Left | Channel::Right) => {
                        (opus::Channels::Stereo, Layout::vorbis(channels))
                    }
                    _ => (opus::Channels::Mono, Layout::MONO),
                };
                let mut decoder = opus::Decoder::new(rate.hz(), out).map_err(failed)?;
                decoder.set_gain(gain).map_err(failed)?;
                (Decoder::Single(decoder), layout)
            }
            1 => {
                let [streams, coupled, mapping @ ..] = body.get(11..).unwrap_or_default() else {
                    return Err(damaged("its channel mapping is cut short"));
                };
                let mapping =
                    mapping.get(..channels.count()).ok_or_else(|| damaged("its channel mapping is cut short"))?;
                let mut decoder = opus::MSDecoder::new(rate.hz(), *streams, *coupled, mapping).map_err(failed)?;
                decoder.set_gain(gain).map_err(failed)?;
                (Decoder::Multi(decoder), Layout::vorbis(channels))
            }
            _ => return Err(AudioError::unsupported(format!("Opus channel mapping family {family}"))),
        };
        Ok(Some(Link {
            serial: head.stream_serial(),
            decoder,
            layout,
            awaits_tags: true,
            pre_skip: u64::from(u16::from_le_bytes([skip_low, skip_high])),
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
        let ticks: u64 = self.queued.iter().map(|packet| packet_ticks(&packet.data)).sum();
        let start = *self.start.get_or_insert(match position {
            Some(position) if !self.is_last_page => position.saturating_sub(ticks),
            _ => 0,
        });
        if self.is_last_page {
            self.end = position.map(|position| position.saturating_sub(start).saturating_sub(self.pre_skip));
        }
    }

    /// Decodes a packet into `block`. A damaged one gives silence of its length.
    fn decode(&mut self, packet: &Packet, rate: SampleRate, block: &mut Block) -> bool {
        let channels = self.layout.channels().count();
        let frames_max = PACKET_TICKS_MAX * rate.hz() as usize / GRANULE_RATE as usize;
        block.rate = rate;
        block.layout = self.layout;
        block.samples.resize(frames_max * channels, 0.0);
        let outcome = match (packet.data.is_empty(), &mut self.decoder) {
            (true, _) => None,
            (false, Decoder::Single(decoder)) => decoder.decode_float(&packet.data, &mut block.samples, false).ok(),
            (false, Decoder::Multi(decoder)) => decoder.decode_float(&packet.data, &mut block.samples, false).ok(),
        };
        let ticks = packet_ticks(&packet.data);
        let frames = outcome.unwrap_or((ticks * u64::from(rate.hz()) / GRANULE_RATE) as usize).min(frames_max);
        if outcome.is_none() {
            block.samples.fill(0.0);
        }
        block.samples.truncate(frames * channels);
        self.cut(rate, block);
        outcome.is_some()
    }

    /// Takes out the pre-skip, and at the end what lies beyond the last granule position.
    fn cut(&mut self, rate: SampleRate, block: &mut Block) {
        let channels = self.layout.channels().count();
        let to_frames = |ticks: u64| (ticks * u64::from(rate.hz()) + GRANULE_RATE / 2) / GRANULE_RATE;
        let skip = (to_frames(self.pre_skip) - self.frames_skipped).min(block.frames() as u64);
        self.frames_skipped += skip;
        block.samples.drain(..skip as usize * channels);
        if let Some(end) = self.end {
            let kept = to_frames(end).saturating_sub(self.frames).min(block.frames() as u64);
            block.samples.truncate(kept as usize * channels);
        }
        self.frames += block.frames() as u64;
    }
}

/// Duration of a packet in ticks of 48 kHz; 0 if it is malformed.
fn packet_ticks(packet: &[u8]) -> u64 {
    opus::packet::get_nb_samples(packet, GRANULE_RATE as u32).map_or(0, |ticks| ticks.min(PACKET_TICKS_MAX) as u64)
}

impl OggOpus {
    /// Sorts a packet in: a header, or audio that waits for its page to be complete.
    fn take(&mut self, packet: Packet) -> Result<(), AudioError> {
        if packet.first_in_stream() {
            // A stream of something else, beside or behind, is none of ours.
            if let Some(link) = Link::open(&packet, self.rate, self.channel)? {
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
            if link.decode(packet, self.rate, block) {
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
