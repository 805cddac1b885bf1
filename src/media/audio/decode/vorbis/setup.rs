//! The identification and the setup header (Vorbis I §4.2).

use super::{
    Refused,
    bits::{Bits, PADDING},
    codebook::{Budget, Codebook, bits_of},
    floor::{Extent, Floor},
    mapping::Mapping,
    residue::Residue,
};

const SIGNATURE: &[u8] = b"vorbis";
/// Exponents of the block sizes that there are: 64 to 8192.
const BLOCK_EXPONENTS: std::ops::RangeInclusive<u32> = 6..=13;

/// What a packet's first bytes say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderKind {
    Identification = 1,
    Setup = 5,
}

impl HeaderKind {
    /// The body of a header of this kind.
    pub(super) fn body(self, packet: &[u8]) -> Option<&[u8]> {
        packet.strip_prefix(&[self as u8])?.strip_prefix(SIGNATURE)
    }
}

/// What the identification header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identification {
    pub(super) channels: usize,
    pub(super) hz: u32,
    /// Sizes of short and long blocks: twice their lines.
    pub(super) sizes: [usize; 2],
}

impl Identification {
    /// Reads the body of the header.
    pub(super) fn parse(body: &[u8]) -> Result<Identification, Refused> {
        let padded = [body, &[0; PADDING]].concat();
        let mut bits = Bits::new(&padded);
        if bits.take(32) != 0 {
            return Err(Refused::Damaged("its version is not 0"));
        }
        let channels = bits.take(8) as usize;
        let hz = bits.take(32);
        // Bit rates are hints.
        for _ in 0..3 {
            bits.take(32);
        }
        let exponents = [bits.take(4), bits.take(4)];
        let is_framed = bits.flag();
        if bits.is_over() || !is_framed {
            return Err(Refused::CUT_SHORT);
        }
        if exponents[1] < exponents[0] || !exponents.iter().all(|exponent| BLOCK_EXPONENTS.contains(exponent)) {
            return Err(Refused::Damaged("its blocks are of a size that there is not"));
        }
        Ok(Identification { channels, hz, sizes: exponents.map(|exponent| 1 << exponent) })
    }
}

/// One kind of block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    pub(super) is_long: bool,
    pub(super) mapping: usize,
}

/// What the setup header says.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) books: Vec<Codebook>,
    pub(super) floors: Vec<Floor>,
    pub(super) residues: Vec<Residue>,
    pub(super) mappings: Vec<Mapping>,
    pub(super) modes: Vec<Mode>,
    pub(super) extent: Extent,
}

impl Setup {
    /// Reads the body of the header, for what is heard of each channel and the lines that are wanted.
    pub(super) fn parse(body: &[u8], gains: &[f32], extent: Extent) -> Result<Setup, Refused> {
        let padded = [body, &[0; PADDING]].concat();
        let bits = &mut Bits::new(&padded);
        let mut budget = Budget::new();
        let books = list(bits, 8, |bits| Codebook::parse(bits, &mut budget))?;
        list(bits, 6, |bits| match bits.take(16) {
            0 => Ok(()),
            _ => Err(Refused::Damaged("a transform is of an unknown type")),
        })?;
        let floors = list(bits, 6, |bits| Floor::parse(bits, &books, extent))?;
        let residues = list(bits, 6, |bits| Residue::parse(bits, &books))?;
        let mappings = list(bits, 6, |bits| Mapping::parse(bits, floors.len(), residues.len(), gains))?;
        let modes = list(bits, 6, |bits| Mode::parse(bits, mappings.len()))?;
        if bits.flag() {
            Ok(Setup { books, floors, residues, mappings, modes, extent })
        } else {
            Err(Refused::CUT_SHORT)
        }
    }

    /// The mode of an audio packet, from its first bits; `None` if it is none (§4.3.1).
    pub(super) fn mode(&self, bits: &mut Bits<'_>) -> Option<Mode> {
        let is_header = bits.flag();
        let mode = self.modes.get(bits.take(bits_of(self.modes.len() - 1)) as usize)?;
        if mode.is_long {
            // Which neighbours are long: they say it themselves.
            bits.take(2);
        }
        (!is_header && !bits.is_over()).then_some(*mode)
    }
}

impl Mode {
    fn parse(bits: &mut Bits<'_>, mapping_count: usize) -> Result<Mode, Refused> {
        let is_long = bits.flag();
        let types = [bits.take(16), bits.take(16)];
        let mapping = bits.take(8) as usize;
        if types == [0; 2] && mapping < mapping_count {
            Ok(Mode { is_long, mapping })
        } else {
            Err(Refused::Damaged("a mode is of an unknown type"))
        }
    }
}

/// Reads a list that its length, less one, stands before in so many bits.
fn list<T>(
    bits: &mut Bits<'_>,
    length_bits: u32,
    mut item: impl FnMut(&mut Bits<'_>) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let count = bits.take(length_bits) + 1;
    let items = (0..count).map(|_| item(bits)).collect::<Result<_, _>>()?;
    if bits.is_over() { Err(Refused::CUT_SHORT) } else { Ok(items) }
}
