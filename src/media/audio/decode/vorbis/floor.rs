//! Floors: the smooth curve that a spectrum is multiplied by (Vorbis I §6, §7).

use super::{
    Refused,
    bits::Bits,
    codebook::Codebook,
    floor0::{Lsp, LspFloor},
    floor1::{LineFloor, Posts},
};

/// What a setup header says of a curve.
#[derive(Debug)]
pub(super) enum Floor {
    Lsp(LspFloor),
    Lines(LineFloor),
}

/// What a packet says of a channel's curve.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    lsp: Lsp,
    posts: Posts,
}

impl Curve {
    pub(super) fn new() -> Curve {
        Curve { lsp: Lsp::new(), posts: Posts::new() }
    }
}

/// Lines of a short and of a long block, all of them and those that are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) lines: [usize; 2],
    pub(super) reach: [usize; 2],
}

impl Floor {
    pub(super) fn parse(bits: &mut Bits<'_>, books: &[Codebook], extent: Extent) -> Result<Floor, Refused> {
        match bits.take(16) {
            0 => LspFloor::parse(bits, books, extent).map(Floor::Lsp),
            1 => LineFloor::parse(bits, books).map(Floor::Lines),
            _ => Err(Refused::Damaged("a floor is of an unknown type")),
        }
    }

    /// Reads a channel's curve; `false` where it has none, and so no sound.
    pub(super) fn read(&self, bits: &mut Bits<'_>, books: &[Codebook], curve: &mut Curve) -> bool {
        match self {
            Floor::Lsp(floor) => floor.read(bits, books, &mut curve.lsp).is_some(),
            Floor::Lines(floor) => floor.read(bits, books, &mut curve.posts).is_some(),
        }
    }

    /// Adds `lines` times the curve times `gain` to the spectrum of a short or long block, as far as the spectrum reaches.
    pub(super) fn add(&self, curve: &Curve, is_long: bool, gain: f32, lines: &[f32], spectrum: &mut [f32]) {
        match self {
            Floor::Lsp(floor) => floor.add(&curve.lsp, is_long, gain, lines, spectrum),
            Floor::Lines(floor) => floor.add(&curve.posts, gain, lines, spectrum),
        }
    }
}

/// The codebook of a number that the setup header names; entries are read of it.
pub(super) fn book(books: &[Codebook], number: u32) -> Result<usize, Refused> {
    let number = number as usize;
    let exists = books.get(number).is_some_and(Codebook::has_entries);
    if exists { Ok(number) } else { Err(Refused::Damaged("a codebook is used that is none")) }
}

/// The same; vectors are read of it.
pub(super) fn vector_book(books: &[Codebook], number: u32) -> Result<usize, Refused> {
    let number = number as usize;
    let exists = books.get(number).is_some_and(Codebook::has_vectors);
    if exists { Ok(number) } else { Err(Refused::Damaged("a codebook is used for vectors that has none")) }
}
