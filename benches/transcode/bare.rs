//! What Opus costs without anything around it: samples from a file, packets into a file, one loop.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use anyhow::Result;
use ringback::media::format::Bitrate;

/// 20 ms at 48 kHz, as the node's own packets.
const PACKET_SAMPLES: usize = 960;
/// The longest packet of one frame (RFC 6716 §3.4) with its table of contents.
const PACKET_BYTES_MAX: usize = 1_500;
/// The header of the WAV file that the benchmark makes: PCM without further chunks.
const HEADER_BYTES: u64 = 44;

/// Encodes a WAV of 16-bit mono at 48 kHz at the node's settings, each packet behind its length.
pub(crate) fn encode(input: &Path, output: &Path) -> Result<()> {
    let mut encoder = opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Audio)?;
    encoder.set_bitrate(opus::Bitrate::Bits(i32::try_from(Bitrate::DEFAULT.bits_per_second())?))?;
    let mut from = BufReader::new(File::open(input)?);
    from.seek(SeekFrom::Start(HEADER_BYTES))?;
    let mut to = BufWriter::new(File::create(output)?);
    let (mut raw, mut packet) = ([0; 2 * PACKET_SAMPLES], [0; PACKET_BYTES_MAX]);
    while from.read_exact(&mut raw).is_ok() {
        let samples: Vec<f32> =
            raw.as_chunks().0.iter().map(|sample| f32::from(i16::from_le_bytes(*sample)) / 32_768.0).collect();
        let bytes = encoder.encode_float(&samples, &mut packet)?;
        to.write_all(&u16::try_from(bytes)?.to_le_bytes())?;
        to.write_all(packet.get(..bytes).unwrap_or_default())?;
    }
    Ok(to.flush()?)
}
