//! Native FLAC (RFC 9639). Only STREAMINFO is let through to the reader: pictures and tags are skipped, not kept.

use symphonia::{core::formats::FormatOptions, default::formats::FlacReader};

use super::{
    Block, Decode, checked_rate,
    foreign::{Fed, Foreign, Stream, translate},
};
use crate::media::audio::{
    AudioError, Kind,
    source::{STALL_MAX, Source},
    timeline::frames_duration,
};

/// Metadata blocks at most.
const BLOCKS_MAX: usize = 1_000;
const STREAMINFO: u8 = 0;
const STREAMINFO_SIZE: usize = 34;
/// Marks the last metadata block.
const LAST: u8 = 0x80;

pub(super) fn open(mut source: Source) -> Result<Box<dyn Decode>, AudioError> {
    let damaged = |reason| AudioError::undecodable(Kind::Flac, reason);
    source.skip(4)?;
    let mut info = None;
    let mut complete = false;
    for _ in 0..BLOCKS_MAX {
        let mut head = [0; 4];
        if source.read_full(&mut head)? < head.len() {
            break;
        }
        let [block, a, b, c] = head;
        let size = u64::from(u32::from_be_bytes([0, a, b, c]));
        if block & !LAST == STREAMINFO && size == STREAMINFO_SIZE as u64 {
            let mut body = [0; STREAMINFO_SIZE];
            source.read_full(&mut body)?;
            info = Some(body);
        } else {
            source.skip(size)?;
        }
        if block & LAST != 0 {
            complete = true;
            break;
        }
    }
    let info = info.filter(|_| complete).ok_or_else(|| damaged("its STREAMINFO is missing"))?;
    // 20 bits rate, 3 bits channels − 1, 5 bits sample size − 1, 36 bits samples.
    let packed = info.get(10..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let rate = checked_rate(Kind::Flac, u32::try_from(packed >> 44).unwrap_or(0))?;
    let declared_frames = Some(packed & 0xf_ffff_ffff).filter(|frames| *frames != 0);

    // What an encoder writes that was given nothing. The reader takes it for a file cut short.
    if declared_frames.is_none() && source.peek(1)?.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let mut head = b"fLaC".to_vec();
    head.extend_from_slice(&[LAST | STREAMINFO, 0, 0, STREAMINFO_SIZE as u8]);
    head.extend_from_slice(&info);
    let audio_start = source.position();
    let (tap, watch) = source.into_tap(audio_start, STALL_MAX)?;
    let reader = FlacReader::try_new(Fed::streamed(head, tap).into_stream(), FormatOptions::default())
        .map_err(|error| translate(Kind::Flac, &watch, &error))?;
    let stream = Stream {
        kind: Kind::Flac,
        watch,
        track: None,
        span: None,
        declared_frames,
        declared: declared_frames.map(|frames| frames_duration(frames, rate)),
    };
    Foreign::open(stream, Box::new(reader))
}

/// A file of no frames.
struct Nothing;

impl Decode for Nothing {
    fn next_block(&mut self, block: &mut Block) -> Result<bool, AudioError> {
        block.samples.clear();
        Ok(false)
    }

    fn truncated(&self) -> bool {
        false
    }
}
