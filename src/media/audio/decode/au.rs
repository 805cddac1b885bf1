//! Sun AU, of NeXT machines too (`audio/basic`), and the same in the byte order of DEC machines.
//!
//! ```text
//! ".snd" data-offset:u32 data-length:u32 coding:u32 rate:u32 channels:u32 text      all big-endian
//! "dns." or "\0ds." and the same                                                    all little-endian
//! ```
//! A length of 0xFFFFFFFF, or of 0 where the writer never came back to fill it in, means "to the end".

use super::{
    Decode, checked_channels, checked_rate, g722,
    pcm::{self, Coding, Order, Shape},
};
use crate::{
    media::audio::{AudioError, Kind, mix::Layout, source::Source},
    units::{Channels, SampleRate},
};

/// Numbers of the header.
const FIELDS: usize = 5;
/// Bytes of the header without its text.
const HEADER_SIZE: u32 = 24;
/// A text is never longer: a file of any letters that begins like one of DEC's would have one.
const DATA_OFFSET_MAX: u32 = 1024 * 1024;
/// A length that says nothing.
const UNKNOWN: u32 = u32::MAX;

const ULAW: u32 = 1;
const LINEAR_8: u32 = 2;
const LINEAR_32: u32 = 5;
const FLOAT_32: u32 = 6;
const FLOAT_64: u32 = 7;
/// Sun's number of it (`multimedia/audio_filehdr.h`).
const G722: u32 = 24;
const ALAW: u32 = 27;

/// Whether a file that starts like this is one.
pub(in crate::media::audio) fn is_signature(head: &[u8]) -> bool {
    order_of(head).is_some()
}

fn order_of(head: &[u8]) -> Option<Order> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    match magic {
        b".snd" => Some(Order::Big),
        b"dns." | b"\0ds." => {
            let offset = u32::from_le_bytes(*rest.first_chunk()?);
            (HEADER_SIZE..=DATA_OFFSET_MAX).contains(&offset).then_some(Order::Little)
        }
        _ => None,
    }
}

/// Opens the file that starts where the source stands.
pub(super) fn open(mut source: Source) -> Result<Box<dyn Decode>, AudioError> {
    let damaged = |reason| AudioError::undecodable(Kind::Au, reason);
    let head = source.peek(HEADER_SIZE as usize)?;
    let order = order_of(head).ok_or_else(|| damaged("its header is not one"))?;
    let fields: &[u8; 4 * FIELDS] =
        head.get(4..).and_then(<[u8]>::first_chunk).ok_or_else(|| damaged("its header is cut short"))?;
    let fields = fields.as_chunks().0.iter().map(|field| match order {
        Order::Big => u32::from_be_bytes(*field),
        Order::Little => u32::from_le_bytes(*field),
    });
    let mut numbers = [0; FIELDS];
    for (number, field) in numbers.iter_mut().zip(fields) {
        *number = field;
    }
    let [offset, length, coding, rate, channels] = numbers;
    if offset < HEADER_SIZE {
        return Err(damaged("its data begins within its header"));
    }
    let (channels, rate) = (checked_channels(Kind::Au, channels as usize)?, checked_rate(Kind::Au, rate)?);
    source.skip(u64::from(offset))?;
    if !matches!(length, 0 | UNKNOWN) {
        source.end_after(u64::from(length));
    }
    match coding {
        G722 if (channels, rate) == (Channels::MONO, SampleRate::HZ_16000) => Ok(g722::open(source)),
        G722 => Err(AudioError::unsupported("G.722 in AU that is not mono at 16 kHz")),
        _ => Ok(pcm::open(
            source,
            Shape { coding: coding_of(coding, order)?, rate, layout: Layout::wave_default(channels) },
        )),
    }
}

fn coding_of(number: u32, order: Order) -> Result<Coding, AudioError> {
    let coding = match number {
        ULAW => Some(Coding::Ulaw),
        ALAW => Some(Coding::Alaw),
        LINEAR_8..=LINEAR_32 => Coding::signed((number - LINEAR_8 + 1) as usize, order),
        FLOAT_32 => Some(Coding::Float32(order)),
        FLOAT_64 => Some(Coding::Float64(order)),
        _ => None,
    };
    coding.ok_or_else(|| AudioError::unsupported(format!("AU with coding {number}")))
}
