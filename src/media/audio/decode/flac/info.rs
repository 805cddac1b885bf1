//! What stands before the frames (§8): STREAMINFO counts, all else is passed over unread, pictures of any size included.

use crate::{
    media::audio::{
        AudioError, Kind,
        decode::{checked_channels, checked_rate},
        source::Source,
    },
    units::{Channels, SampleRate},
};

/// Metadata blocks at most.
const BLOCKS_MAX: usize = 1_000;
/// Type of a metadata block (§8.1).
const STREAMINFO: u8 = 0;
/// Marks the last metadata block.
const LAST: u8 = 0x80;
/// Bytes of STREAMINFO.
pub(super) const SIZE: usize = 34;
/// Least bits of a sample.
const WIDTH_MIN: u32 = 4;

/// What all frames of a stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) rate: SampleRate,
    pub(super) channels: Channels,
    /// Bits of a sample.
    pub(super) width: u32,
    /// Samples of each channel in all, where the encoder knew.
    pub(super) frames: Option<u64>,
}

impl Info {
    /// Reads a STREAMINFO (§8.2) found in an original of `kind`.
    pub(super) fn parse(kind: Kind, body: &[u8; SIZE]) -> Result<Info, AudioError> {
        // Behind block and frame sizes: 20 bits rate, 3 bits channels − 1, 5 bits sample size − 1, 36 bits samples.
        let packed = body.get(10..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let rate = checked_rate(kind, (packed >> 44) as u32)?;
        let channels = checked_channels(kind, (packed >> 41 & 7) as usize + 1)?;
        let width = (packed >> 36 & 0x1f) as u32 + 1;
        if width < WIDTH_MIN {
            return Err(AudioError::undecodable(kind, "its samples have too few bits"));
        }
        let frames = Some(packed & 0xf_ffff_ffff).filter(|frames| *frames != 0);
        Ok(Info { rate, channels, width, frames })
    }

    /// Reads the beginning of a stream, up to its first frame.
    pub(super) fn read(source: &mut Source) -> Result<Info, AudioError> {
        source.skip(4)?;
        let mut info = None;
        for _ in 0..BLOCKS_MAX {
            let Some([block, a, b, c]) = source.take::<4>()? else { break };
            let size = u64::from(u32::from_be_bytes([0, a, b, c]));
            if block & !LAST == STREAMINFO && size == SIZE as u64 {
                info = source.take::<SIZE>()?;
            } else {
                source.skip(size)?;
            }
            if block & LAST != 0 {
                let info = info.ok_or_else(|| AudioError::undecodable(Kind::Flac, MISSING))?;
                return Info::parse(Kind::Flac, &info);
            }
        }
        Err(AudioError::undecodable(Kind::Flac, MISSING))
    }
}

const MISSING: &str = "its STREAMINFO is missing";
