//! Headers of WAV outputs. They are made at the end, because they hold the length, and stand before the body.
//!
//! ```text
//! PCM:   "RIFF" size "WAVE" "fmt " 16 {tag 1 …}                          "data" length    44 bytes
//! G.711: "RIFF" size "WAVE" "fmt " 18 {tag 7│6 … cbSize 0} "fact" 4 frames "data" length    58 bytes
//! ```
//! An odd length gets no pad byte: data is the last chunk, and body bytes equal those of the headerless format.

use crate::media::format::{Codec, Format};

/// The header for a body of so many bytes in a WAV format.
pub(in crate::media::audio) fn header(format: Format, body_bytes: u64) -> Vec<u8> {
    let (tag, sample_size) = match format.codec() {
        Codec::Ulaw => (7u16, 1u16),
        Codec::Alaw => (6, 1),
        Codec::Pcm16 | Codec::G722 | Codec::Opus | Codec::Raw => (1, 2),
    };
    let is_pcm = tag == 1;
    let header_bytes = if is_pcm { 44u32 } else { 58 };
    // Limits keep bodies below 4 GiB; the all-ones length means "to the end" to every reader.
    let data = u32::try_from(body_bytes).unwrap_or(u32::MAX);
    let rate = format.rate().hz();
    let mut header = Vec::with_capacity(header_bytes as usize);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&data.saturating_add(header_bytes - 8).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&if is_pcm { 16u32 } else { 18 }.to_le_bytes());
    header.extend_from_slice(&tag.to_le_bytes());
    header.extend_from_slice(&1u16.to_le_bytes());
    header.extend_from_slice(&rate.to_le_bytes());
    header.extend_from_slice(&(rate * u32::from(sample_size)).to_le_bytes());
    header.extend_from_slice(&sample_size.to_le_bytes());
    header.extend_from_slice(&(sample_size * 8).to_le_bytes());
    if !is_pcm {
        header.extend_from_slice(&0u16.to_le_bytes());
        header.extend_from_slice(b"fact");
        header.extend_from_slice(&4u32.to_le_bytes());
        header.extend_from_slice(&data.to_le_bytes());
    }
    header.extend_from_slice(b"data");
    header.extend_from_slice(&data.to_le_bytes());
    header
}
