//! Opus (RFC 6716); in Ogg (RFC 7845), and packet by packet for other containers.
//!
//! Streams of one or two channels whose packets are CELT alone, as of music, are decoded for 8 kHz by a decoder of our own
//! ([`celt`]); all others by libopus, at the output's rate where it is one of its own. A stream that is no longer what ours can do goes
//! on in libopus.

mod celt;
mod ogg;
mod packets;
mod reduced;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(super) use ogg::Link;
pub(super) use packets::{GRANULE_RATE, Packets};
