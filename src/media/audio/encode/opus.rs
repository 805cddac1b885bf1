//! Opus in Ogg (RFC 6716, RFC 7845): mono, 20 ms packets, pages of 200 ms so that the first one leaves early.
//!
//! ```text
//! page 0  OpusHead: version 1, 1 channel, pre-skip, input rate 48000, gain 0, family 0
//! page 1  OpusTags: vendor, no comments
//! page 2… ten packets each; granule = 48 kHz ticks up to the end of the page's last packet, pre-skip included
//! last    granule = pre-skip + frames: what the last packet holds beyond is padding
//! ```
//! Serial and vendor are constants: equal audio has equal bytes.

use ogg::{PacketWriter, writing::PacketWriteEndInfo};

use super::Encode;
use crate::media::{audio::AudioError, format::Bitrate};

const RATE: u32 = 48_000;
/// Samples of a packet: 20 ms.
const PACKET_SAMPLES: usize = 960;
/// Packets of a page.
const PAGE_PACKETS: u64 = 10;
/// The longest packet of one frame (RFC 6716 §3.4), with room for its table of contents.
const PACKET_BYTES_MAX: usize = 1_500;
const SERIAL: u32 = 0x5242_4b31;
const VENDOR: &[u8] = b"ringback";

/// Encodes mono at 48 kHz.
pub(super) struct OggOpus {
    encoder: ::opus::Encoder,
    writer: PacketWriter<'static, Vec<u8>>,
    /// Samples of the packet that is not full yet.
    pending: Vec<f32>,
    packet: Vec<u8>,
    /// The last packet made: whether it ends the stream shows later.
    held: Option<Vec<u8>>,
    pre_skip: u64,
    frames: u64,
    packets_made: u64,
    packets_written: u64,
}

impl OggOpus {
    pub(super) fn new(bitrate: Bitrate) -> Result<OggOpus, AudioError> {
        let mut encoder =
            ::opus::Encoder::new(RATE, ::opus::Channels::Mono, ::opus::Application::Audio).map_err(failed)?;
        let bits_per_second = i32::try_from(bitrate.bits_per_second()).unwrap_or(i32::MAX);
        encoder.set_bitrate(::opus::Bitrate::Bits(bits_per_second)).map_err(failed)?;
        let pre_skip = u64::try_from(encoder.get_lookahead().map_err(failed)?).unwrap_or(0);
        Ok(OggOpus {
            encoder,
            writer: PacketWriter::new(Vec::new()),
            pending: Vec::with_capacity(PACKET_SAMPLES),
            packet: vec![0; PACKET_BYTES_MAX],
            held: None,
            pre_skip,
            frames: 0,
            packets_made: 0,
            packets_written: 0,
        })
    }

    fn encode_packet(&mut self) -> Result<(), AudioError> {
        let size = self.encoder.encode_float(&self.pending, &mut self.packet).map_err(failed)?;
        self.pending.clear();
        let packet = self.packet.get(..size).unwrap_or_default().to_vec();
        self.packets_made += 1;
        if let Some(earlier) = self.held.replace(packet) {
            let fills_page = (self.packets_written + 1).is_multiple_of(PAGE_PACKETS);
            let end = if fills_page { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            let granule = (self.packets_written + 1) * PACKET_SAMPLES as u64;
            self.write_packet(earlier, end, granule)?;
        }
        Ok(())
    }

    fn write_packet(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, granule: u64) -> Result<(), AudioError> {
        if self.packets_written == 0 {
            self.write_headers()?;
        }
        self.packets_written += 1;
        self.writer.write_packet(packet, SERIAL, end, granule).map_err(AudioError::Output)
    }

    fn write_headers(&mut self) -> Result<(), AudioError> {
        let mut head = b"OpusHead\x01\x01".to_vec();
        head.extend_from_slice(&u16::try_from(self.pre_skip).unwrap_or(u16::MAX).to_le_bytes());
        head.extend_from_slice(&RATE.to_le_bytes());
        head.extend_from_slice(&[0, 0, 0]);
        let mut tags = b"OpusTags".to_vec();
        tags.extend_from_slice(&(VENDOR.len() as u32).to_le_bytes());
        tags.extend_from_slice(VENDOR);
        tags.extend_from_slice(&0u32.to_le_bytes());
        for header in [head, tags] {
            self.writer.write_packet(header, SERIAL, PacketWriteEndInfo::EndPage, 0).map_err(AudioError::Output)?;
        }
        Ok(())
    }

    fn drain(&mut self, body: &mut Vec<u8>) {
        body.append(self.writer.inner_mut());
    }
}

fn failed(error: ::opus::Error) -> AudioError {
    AudioError::unsupported(format!("this audio by the Opus encoder: {error}"))
}

impl Encode for OggOpus {
    fn push(&mut self, mono: &[f32], body: &mut Vec<u8>) -> Result<(), AudioError> {
        self.frames += mono.len() as u64;
        let mut rest = mono;
        while self.pending.len() + rest.len() >= PACKET_SAMPLES {
            let (now, later) = rest.split_at(PACKET_SAMPLES - self.pending.len());
            self.pending.extend_from_slice(now);
            rest = later;
            self.encode_packet()?;
        }
        self.pending.extend_from_slice(rest);
        self.drain(body);
        Ok(())
    }

    fn finish(&mut self, body: &mut Vec<u8>) -> Result<(), AudioError> {
        let end = self.pre_skip + self.frames;
        while self.packets_made * (PACKET_SAMPLES as u64) < end {
            self.pending.resize(PACKET_SAMPLES, 0.0);
            self.encode_packet()?;
        }
        if let Some(last) = self.held.take() {
            self.write_packet(last, PacketWriteEndInfo::EndStream, end)?;
        }
        self.drain(body);
        Ok(())
    }
}
