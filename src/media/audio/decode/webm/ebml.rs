//! EBML (RFC 8794): the tree of elements that Matroska is written in, read as a flat sequence.
//!
//! ```text
//! element: id:1…4 size:1…8 body        both numbers are as long as the zeros before their first one say
//! ```
//! A size of all ones is unknown: the element ends where another of its level begins.

use crate::media::audio::{AudioError, source::Source};

/// Bytes of an id, and of a size, at most.
const ID_SIZE_MAX: usize = 4;
const SIZE_SIZE_MAX: usize = 8;

/// The beginning of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// With the bits that tell its length, as documents give it.
    pub(super) id: u32,
    /// Bytes of the body; `None` is unknown.
    pub(super) size: Option<u64>,
}

impl Element {
    /// Reads one; `None` at the end and where there is none.
    pub(super) fn read(source: &mut Source) -> Result<Option<Element>, AudioError> {
        let head = source.peek(ID_SIZE_MAX + SIZE_SIZE_MAX)?;
        let Some((id, size, length)) = parse_head(head) else { return Ok(None) };
        source.consume(length);
        Ok(Some(Element { id, size }))
    }
}

fn parse_head(head: &[u8]) -> Option<(u32, Option<u64>, usize)> {
    let id_size = head.first()?.leading_zeros() as usize + 1;
    let (id, rest) = head.split_at_checked(id_size).filter(|_| id_size <= ID_SIZE_MAX)?;
    let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let (size, rest) = Number::parse(rest)?;
    Some((id, size.known(), head.len() - rest.len()))
}

/// A number that tells its own length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: u64,
    /// Bits that it has room for: 7 for each of its bytes.
    bits: u32,
}

impl Number {
    /// Reads one from the start of `bytes`; gives what follows too.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Number, &[u8])> {
        let size = bytes.first()?.leading_zeros() as usize + 1;
        let (number, rest) = bytes.split_at_checked(size).filter(|_| size <= SIZE_SIZE_MAX)?;
        let bits = 7 * size as u32;
        let value = number.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)) & ((1 << bits) - 1);
        Some((Number { value, bits }, rest))
    }

    /// `None` where all bits are ones.
    fn known(self) -> Option<u64> {
        (self.value != (1 << self.bits) - 1).then_some(self.value)
    }

    /// Half of the range is below zero.
    pub(super) fn signed(self) -> i64 {
        self.value.cast_signed() - ((1 << (self.bits - 1)) - 1)
    }
}

/// A body of up to 8 bytes as an unsigned integer.
pub(super) fn unsigned(body: &[u8]) -> u64 {
    body.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A body of up to 8 bytes as a signed integer.
pub(super) fn signed(body: &[u8]) -> i64 {
    let unused = u64::BITS - 8 * body.len().min(8) as u32;
    unsigned(body).checked_shl(unused).map_or(0, |value| value.cast_signed() >> unused)
}
