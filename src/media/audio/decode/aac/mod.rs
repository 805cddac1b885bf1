//! AAC-LC (ISO/IEC 14496-3 subpart 4), decoded straight to one channel and to as low a rate as the target allows.
//!
//! The stages are the standard's: [`block`] reads elements, [`ics`] what stands before a spectrum, [`spectrum`] the lines, [`stereo`]
//! and [`tns`] undo what the encoder did to them, [`filterbank`] makes samples. Of all of them only the lowest lines are done: a
//! transform of half of the lines gives every second sample of what the whole one would, but for the frequencies left out
//! ([`super::transform`]). Spectra that are windowed alike are mixed before they are transformed.

mod bands;
mod bits;
mod block;
mod codebooks;
mod config;
mod filterbank;
mod huffman;
mod ics;
mod program;
mod spectrum;
mod stereo;
mod stream;
#[cfg(test)]
mod tests;
mod tns;
mod window;

use super::transform;
pub(super) use bands::FREQUENCIES;
pub(super) use block::Until;
pub(super) use config::Config;
pub(super) use stream::{Heard, Stream};

/// A block that breaks the rules of its syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Damaged;
