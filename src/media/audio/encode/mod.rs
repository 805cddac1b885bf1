//! From mono samples at the output's rate to the bytes of its body.

pub(super) mod g711;
mod g722;
mod opus;
pub(super) mod wav;

use super::AudioError;
use crate::media::format::{Bitrate, Codec, Format};

/// Encodes one output.
pub(super) trait Encode {
    /// Takes samples and appends what is ready to `body`.
    fn push(&mut self, mono: &[f32], body: &mut Vec<u8>) -> Result<(), AudioError>;

    /// Appends what is left.
    fn finish(&mut self, body: &mut Vec<u8>) -> Result<(), AudioError>;
}

/// The encoder of a format; `None` for the unconverted original.
pub(super) fn open(format: Format) -> Result<Option<Box<dyn Encode>>, AudioError> {
    Ok(Some(match format.codec() {
        Codec::Ulaw => Samples::boxed(|sample| [g711::ulaw_from_linear(sample)]),
        Codec::Alaw => Samples::boxed(|sample| [g711::alaw_from_linear(sample)]),
        Codec::Pcm16 => Samples::boxed(i16::to_le_bytes),
        Codec::G722 => Box::new(g722::G722::new()),
        Codec::Opus => Box::new(opus::OggOpus::new(format.bitrate().unwrap_or(Bitrate::DEFAULT))?),
        Codec::Raw => return Ok(None),
    }))
}

/// Codecs that turn each 16-bit sample into bytes on its own.
struct Samples<C> {
    code: C,
}

impl<C: Fn(i16) -> [u8; N] + 'static, const N: usize> Samples<C> {
    fn boxed(code: C) -> Box<dyn Encode> {
        Box::new(Samples { code })
    }
}

impl<C: Fn(i16) -> [u8; N], const N: usize> Encode for Samples<C> {
    fn push(&mut self, mono: &[f32], body: &mut Vec<u8>) -> Result<(), AudioError> {
        let start = body.len();
        body.resize(start + mono.len() * N, 0);
        let (codes, _) = body.get_mut(start..).unwrap_or_default().as_chunks_mut();
        for (code, sample) in codes.iter_mut().zip(mono) {
            *code = (self.code)(to_i16(*sample));
        }
        Ok(())
    }

    fn finish(&mut self, _body: &mut Vec<u8>) -> Result<(), AudioError> {
        Ok(())
    }
}

/// Rounds to 16 bits, ties to even, and saturates. What came from 16 bits goes back exactly.
///
/// Adding 1.5·2²³ leaves the integer in the low bits of the float: `f32::round` would be a library call for each sample.
pub(super) fn to_i16(sample: f32) -> i16 {
    const MAGIC: f32 = 12_582_912.0;
    let scaled = (sample * 32_768.0).clamp(-32_768.0, 32_767.0);
    ((scaled + MAGIC).to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32) as i16
}
