//! FLAC (RFC 9639, whose sections are cited), decoded to the bit; of two channels that are to be mixed, straight to their mean.
//!
//! [`stream`] finds the frames of a native stream, [`frame`] decodes one: its [`header`], then a [`subframe`] for each channel, whose
//! samples are [predicted](predict) from those before and corrected by a [`residual`].

mod bits;
mod check;
mod frame;
mod header;
mod info;
mod ogg;
mod packets;
mod predict;
mod residual;
mod stream;
mod subframe;
#[cfg(test)]
mod tests;

pub(super) use ogg::Link;
pub(super) use packets::Packets;
pub(super) use stream::open;

/// Why a frame cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It breaks the rules of its syntax, or its check sum is another.
    Damaged,
    /// It goes on behind the bytes that are there.
    Short,
}
