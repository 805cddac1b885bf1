//! The header of a frame (§9.1).
//!
//! ```text
//! 11111111111110 0 variable:1   block size:4 rate:4   channels:4 sample size:3 0   number:8–56   [block size:8–16] [rate:8–16]   crc:8
//! ```

use super::{check::crc_8, info::Info};

/// Bytes of the longest.
pub(super) const SIZE_MAX: usize = 16;

/// How the channels of a frame are made of its subframes (§9.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Independent,
    LeftSide,
    SideRight,
    MidSide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of it.
    pub(super) size: usize,
    /// Samples of each channel.
    pub(super) block_size: usize,
    pub(super) coding: Coding,
    /// Whether `number` counts samples; otherwise it counts frames.
    pub(super) is_variable: bool,
    pub(super) number: u64,
}

impl Header {
    /// Reads a header of a stream; `None` where there is none, or one of another stream.
    pub(super) fn parse(bytes: &[u8], info: &Info) -> Option<Header> {
        let [first, second, sizes, kinds, rest @ ..] = bytes else { return None };
        if *first != 0xff || second & 0xfe != 0xf8 || kinds & 1 != 0 {
            return None;
        }
        let mut rest = rest;
        let number = parse_number(&mut rest)?;
        let block_size = match sizes >> 4 {
            0 => return None,
            1 => 192,
            code @ 2..=5 => 144 << code,
            6 => take_u8(&mut rest)? + 1,
            7 => take_u16(&mut rest)? + 1,
            code => 1 << code,
        };
        let rate = match sizes & 0x0f {
            0 => info.rate.hz(),
            12 => take_u8(&mut rest)? * 1_000,
            13 => take_u16(&mut rest)?,
            14 => take_u16(&mut rest)? * 10,
            code => *RATES.get(usize::from(code))?,
        };
        let (coding, channels) = match kinds >> 4 {
            code @ 0..=7 => (Coding::Independent, usize::from(code) + 1),
            8 => (Coding::LeftSide, 2),
            9 => (Coding::SideRight, 2),
            10 => (Coding::MidSide, 2),
            _ => return None,
        };
        let width = match kinds >> 1 & 7 {
            0 => info.width,
            code => *WIDTHS.get(usize::from(code))?,
        };
        let is_of_stream = (rate, channels, width) == (info.rate.hz(), info.channels.count(), info.width);
        let size = bytes.len() - rest.len();
        let checked = crc_8(bytes.get(..size)?) == *rest.first()? && is_of_stream && block_size <= BLOCK_SIZE_MAX;
        checked.then_some(Header {
            size: size + 1,
            block_size: block_size as usize,
            coding,
            is_variable: second & 1 == 1,
            number,
        })
    }
}

/// §9.1.1: 65 536 cannot be announced.
const BLOCK_SIZE_MAX: u32 = 65_535;
/// Rates in Hz by their codes, from 1 on (§9.1.2).
const RATES: [u32; 12] = [0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
/// Bits of a sample by their codes, from 1 on; 3 is reserved (§9.1.4).
const WIDTHS: [u32; 8] = [0, 8, 12, 0, 16, 20, 24, 32];

/// A number in the way of UTF-8, of up to 36 bits (§9.1.5).
fn parse_number(rest: &mut &[u8]) -> Option<u64> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    let more = match first.leading_ones() {
        0 => return Some(u64::from(*first)),
        ones @ 2..=7 => ones - 1,
        _ => return None,
    };
    let mut number = u64::from(first & (0x3f >> more));
    for _ in 0..more {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        if byte >> 6 != 0b10 {
            return None;
        }
        number = number << 6 | u64::from(byte & 0x3f);
    }
    Some(number)
}

fn take_u8(rest: &mut &[u8]) -> Option<u32> {
    let (byte, behind) = rest.split_first()?;
    *rest = behind;
    Some(u32::from(*byte))
}

fn take_u16(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from(u16::from_be_bytes(*bytes)))
}
