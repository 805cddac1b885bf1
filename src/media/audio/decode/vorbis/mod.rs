//! Vorbis I, decoded straight to one channel and to as low a rate as the target allows.
//!
//! The stages are the specification's: [`setup`] reads the headers with their [`codebook`]s, [`packet`] makes of a packet the
//! spectrum of all that is heard of its channels, out of [`residue`]s and floors ([`floor`]), and [`synthesis`] makes samples of spectra.
//! Of all of them only the lowest lines are done: a transform of a quarter of the lines gives every fourth sample of what the whole
//! one would, but for the frequencies left out ([`super::transform`]). All channels of a block have one window, so that there is one
//! transform for all of them.

mod bits;
mod codebook;
mod floor;
mod floor0;
mod floor1;
mod huffman;
mod link;
mod mapping;
mod packet;
mod residue;
mod setup;
mod stream;
mod synthesis;
#[cfg(test)]
mod tests;

pub(super) use link::Link;

/// A packet that is no audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Damaged;

/// Why headers cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Damaged(&'static str),
    OverLimit { limit: usize, of: &'static str },
}

impl Refused {
    const CUT_SHORT: Refused = Refused::Damaged("its headers are cut short");
}
