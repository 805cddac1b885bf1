//! FLAC in Ogg (§10.1): STREAMINFO in the first packet, a frame in each but the headers.
//!
//! ```text
//! first packet: 0x7f "FLAC" version:2 (1.x) other header packets:2 "fLaC" block header:4 STREAMINFO
//! ```

use std::{collections::VecDeque, time::Duration};

use super::{Packets, info};
use crate::media::audio::{
    AudioError, Kind,
    decode::{
        Block,
        ogg::{self, PageEnd, Purpose},
    },
};

/// What the first packet begins with.
const SIGNATURE: &[u8] = b"\x7fFLAC\x01";
/// Bytes before STREAMINFO: signature, minor version, count of headers, "fLaC", block header.
const STREAMINFO_AT: usize = 17;
/// What a frame begins with; no header packet does (§8.1).
const FRAME: u8 = 0xff;

/// One logical stream.
pub(in crate::media::audio::decode) struct Link {
    packets: Packets,
}

impl ogg::Link for Link {
    const KIND: Kind = Kind::OggFlac;

    /// A frame of 65,535 samples, eight channels and 33 bits that could not be made smaller, and its headers.
    const PACKET_MAX: usize = 65_535 * 8 * 33 / 8 + 1_024;

    fn open(head: &[u8], purpose: Purpose) -> Result<Option<Link>, AudioError> {
        if !head.starts_with(SIGNATURE) {
            return Ok(None);
        }
        let streaminfo = head.get(STREAMINFO_AT..).unwrap_or_default();
        Ok(Some(Link { packets: Packets::open(Kind::OggFlac, streaminfo, purpose.channel)? }))
    }

    fn declared(&self) -> Option<Duration> {
        self.packets.declared()
    }

    fn take_header(&mut self, packet: &[u8]) -> Result<bool, AudioError> {
        Ok(packet.first() != Some(&FRAME))
    }

    /// Frames say themselves how long they are, and nothing of them is cut.
    fn begin_page(&mut self, _: &VecDeque<Vec<u8>>, _: PageEnd) -> Result<(), AudioError> {
        Ok(())
    }

    /// A damaged packet gives silence as long as the frame before it.
    fn decode(&mut self, packet: &[u8], block: &mut Block) -> bool {
        // What is no audio among the audio is none.
        packet.first() != Some(&FRAME) || self.packets.decode_or_silence(packet, block)
    }
}

const _: () = assert!(STREAMINFO_AT + info::SIZE == 51, "what §10.1 gives as the size of the first packet");
