//! From a packet to its frames (RFC 6716 §3).
#![deny(clippy::indexing_slicing)]

use super::{frame::FrameKind, tables::SHORT_LINES};

/// Frames of a packet at most, and samples of all of them.
const FRAMES_MAX: usize = 48;
const SAMPLES_MAX: usize = 5_760;
/// Bytes of a frame at most.
const FRAME_BYTES_MAX: usize = 1_275;

/// What the frames of a CELT packet are, and their bytes; `None` if it is none, if it is malformed, or if a frame is missing.
pub(super) fn parse(packet: &[u8]) -> Option<(FrameKind, impl Iterator<Item = &[u8]>)> {
    /// Set in the first byte of packets that are CELT alone.
    const IS_CELT: u8 = 0x80;
    let (first, body) = packet.split_first().filter(|(first, _)| *first & IS_CELT != 0)?;
    let kind = FrameKind {
        end: [13, 17, 19, 21].get(usize::from(first >> 5 & 3)).copied()?,
        size: usize::from(first >> 3 & 3),
        channels: if first & 4 == 0 { 1 } else { 2 },
    };
    let mut sizes = [0; FRAMES_MAX];
    let (body, count) = match first & 3 {
        0 => (body, sizes_alike(body, 1, &mut sizes)?),
        1 => (body, sizes_alike(body, 2, &mut sizes)?),
        2 => sizes_given(body, 2, &mut sizes)?,
        _ => {
            let (flags, body) = body.split_first()?;
            let count = usize::from(flags & 0x3f);
            if SAMPLES_MAX < (count * SHORT_LINES) << kind.size {
                return None;
            }
            let body = if flags & 0x40 != 0 { without_padding(body)? } else { body };
            match flags & 0x80 {
                0 => (body, sizes_alike(body, count, &mut sizes)?),
                _ => sizes_given(body, count, &mut sizes)?,
            }
        }
    };
    let sizes = sizes.into_iter().take(count);
    // Of an empty frame, or one of a single byte, there is nothing to decode: it is lost, or was not sent.
    if sizes.clone().any(|size| !(2..=FRAME_BYTES_MAX).contains(&size)) {
        return None;
    }
    let mut rest = body;
    let frames = sizes.map(move |size| {
        let (frame, behind) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        rest = behind;
        frame
    });
    Some((kind, frames))
}

/// Frames of one size.
fn sizes_alike(body: &[u8], count: usize, sizes: &mut [usize; FRAMES_MAX]) -> Option<usize> {
    let size = body.len().checked_div(count)?;
    if size * count != body.len() {
        return None;
    }
    sizes.get_mut(..count)?.fill(size);
    Some(count)
}

/// Frames of which all but the last one say their size.
fn sizes_given<'a>(body: &'a [u8], count: usize, sizes: &mut [usize; FRAMES_MAX]) -> Option<(&'a [u8], usize)> {
    let mut rest = body;
    let (last, others) = sizes.get_mut(..count)?.split_last_mut()?;
    let mut sum = 0;
    for size in others {
        // One byte up to 251, or two (§3.2.1).
        (*size, rest) = match rest {
            [low @ 0..=251, rest @ ..] => (usize::from(*low), rest),
            [low, high, rest @ ..] => (4 * usize::from(*high) + usize::from(*low), rest),
            _ => return None,
        };
        sum += *size;
    }
    *last = rest.len().checked_sub(sum)?;
    Some((rest, count))
}

/// Takes off the padding (§3.2.5), whose length comes first: 255 stands for 254 and more to come.
fn without_padding(body: &[u8]) -> Option<&[u8]> {
    let mut rest = body;
    let mut padding = 0;
    loop {
        let (length, behind) = rest.split_first()?;
        rest = behind;
        padding += usize::from(*length).min(254);
        if *length != 255 {
            return rest.get(..rest.len().checked_sub(padding)?);
        }
    }
}
