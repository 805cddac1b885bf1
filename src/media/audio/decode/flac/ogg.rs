//! FLAC in Ogg (§10.1): STREAMINFO in the first packet, a frame in each but the headers.
//!
//! ```text
//! first packet: 0x7f "FLAC" version:2 (1.x) other header packets:2 "fLaC" block header:4 STREAMINFO
//! ```

use std::{io::BufReader, time::Duration};

use ogg::{Packet, PacketReader, reading::OggReadError};

use super::{Packets, info};
use crate::media::{
    audio::{
        AudioError, Kind,
        decode::{Block, Decode},
        source::{STALL_MAX, Source, Tap, Watch},
    },
    format::Channel,
};

/// What the first packet begins with.
const SIGNATURE: &[u8] = b"\x7fFLAC\x01";
/// Bytes before STREAMINFO: signature, minor version, count of headers, "fLaC", block header.
const STREAMINFO_AT: usize = 17;
/// Bytes read without a frame coming of them: the reader keeps the pieces of a packet that never ends.
const PACKET_BYTES_MAX: u64 = STALL_MAX / 4;
/// What a frame begins with; no header packet does (§8.1).
const FRAME: u8 = 0xff;
/// Damaged pages one after another before the rest is given up.
const DAMAGED_MAX: u32 = 500;

pub(in crate::media::audio::decode) fn open(source: Source, channel: Channel) -> Result<Box<dyn Decode>, AudioError> {
    let start = source.position();
    let (tap, watch) = source.into_tap(start, PACKET_BYTES_MAX)?;
    let mut pages = PacketReader::new(BufReader::with_capacity(16 * 1024, tap));
    // What was sniffed is the first packet, unless its page is damaged.
    let first = pages.read_packet().map_err(|error| translate(&watch, &error))?;
    let link = match first {
        Some(packet) => Link::open(&packet, channel)?,
        None => None,
    };
    let link = link.ok_or_else(|| damaged("its STREAMINFO is missing"))?;
    let declared = link.packets.declared();
    Ok(Box::new(OggFlac { pages, watch, channel, link, declared, damaged: 0, truncated: false }))
}

struct OggFlac {
    pages: PacketReader<BufReader<Tap>>,
    watch: Watch,
    channel: Channel,
    /// The logical stream being decoded; another one may follow it.
    link: Link,
    declared: Option<Duration>,
    damaged: u32,
    truncated: bool,
}

/// One logical stream.
struct Link {
    serial: u32,
    packets: Packets,
    is_ended: bool,
}

impl Link {
    /// Reads the first packet of a stream; `None` if it is one of something else.
    fn open(first: &Packet, channel: Channel) -> Result<Option<Link>, AudioError> {
        if !first.data.starts_with(SIGNATURE) {
            return Ok(None);
        }
        let streaminfo = first.data.get(STREAMINFO_AT..).unwrap_or_default();
        let packets = Packets::open(Kind::OggFlac, streaminfo, channel)?;
        Ok(Some(Link { serial: first.stream_serial(), packets, is_ended: false }))
    }
}

fn damaged(reason: &'static str) -> AudioError {
    AudioError::undecodable(Kind::OggFlac, reason)
}

/// What the reader says, in our terms; failures of the input come first.
fn translate(watch: &Watch, error: &OggReadError) -> AudioError {
    watch.take_fault().unwrap_or_else(|| AudioError::undecodable(Kind::OggFlac, error.to_string()))
}

impl OggFlac {
    /// Sorts a packet in: the beginning of a stream, a header, or a frame.
    fn take(&mut self, packet: &Packet, block: &mut Block) -> Result<(), AudioError> {
        if packet.first_in_stream() {
            // A stream of something else, beside or behind, is none of ours.
            if let Some(link) = Link::open(packet, self.channel)? {
                self.link = link;
            }
            return Ok(());
        }
        if packet.stream_serial() != self.link.serial {
            return Ok(());
        }
        self.link.is_ended = packet.last_in_stream();
        if packet.data.first() == Some(&FRAME) {
            self.watch.progressed();
            self.damaged = 0;
            self.link.packets.decode(&packet.data, block)?;
        }
        if self.link.is_ended {
            // The next link may have the serial of this one, as in a file joined to itself.
            self.pages.delete_unread_packets();
        }
        Ok(())
    }

    fn end(&mut self) -> Result<bool, AudioError> {
        self.truncated = !self.link.is_ended;
        if self.link.packets.is_silent_failure(self.truncated) {
            return Err(damaged("no part of it can be decoded"));
        }
        Ok(false)
    }
}

impl Decode for OggFlac {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        match self.pages.read_packet() {
            Ok(Some(packet)) => self.take(&packet, block)?,
            Ok(None) => return self.end(),
            Err(OggReadError::ReadError(error)) => match self.watch.take_fault() {
                Some(fault) => return Err(fault),
                None if error.kind() == std::io::ErrorKind::UnexpectedEof => return self.end(),
                None => return Err(AudioError::undecodable(Kind::OggFlac, error.to_string())),
            },
            // A damaged page is lost; the next capture pattern is looked for.
            Err(_) => {
                self.pages.delete_unread_packets();
                self.damaged += 1;
                if self.damaged > DAMAGED_MAX {
                    return Err(damaged("too much of it in a row is damaged"));
                }
            }
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

const _: () = assert!(STREAMINFO_AT + info::SIZE == 51, "what §10.1 gives as the size of the first packet");
