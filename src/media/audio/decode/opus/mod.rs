//! Opus (RFC 6716), decoded by libopus straight at the output's rate where it is one of libopus' own; in Ogg (RFC 7845), and packet by
//! packet for other containers.

mod ogg;
mod packets;

pub(super) use ogg::Link;
pub(super) use packets::{GRANULE_RATE, Packets};
