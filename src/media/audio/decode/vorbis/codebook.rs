//! Codebooks (Vorbis I §3): codewords, the entries that they stand for, and the vectors that entries stand for.

use super::{
    Refused,
    bits::Bits,
    huffman::{Codes, codewords},
};

const SYNC: u32 = 0x56_4342;
/// Entries of all codebooks, and numbers in their vectors. Encoders need a tenth of either.
const ENTRIES_MAX: usize = 128 * 1024;
const VALUES_MAX: usize = 512 * 1024;

/// What the codebooks of a stream may still take.
#[derive(Debug)]
pub(super) struct Budget {
    entries: usize,
    values: usize,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { entries: ENTRIES_MAX, values: VALUES_MAX }
    }

    fn spend_entries(&mut self, count: usize) -> Result<(), Refused> {
        self.entries =
            self.entries.checked_sub(count).ok_or(Refused::OverLimit { limit: ENTRIES_MAX, of: "codebook entries" })?;
        Ok(())
    }

    fn spend_values(&mut self, count: usize) -> Result<(), Refused> {
        self.values =
            self.values.checked_sub(count).ok_or(Refused::OverLimit { limit: VALUES_MAX, of: "codebook values" })?;
        Ok(())
    }
}

/// One codebook.
#[derive(Debug)]
pub(super) struct Codebook {
    /// Values of a vector; for classes, how many a codeword stands for.
    pub(super) dimensions: usize,
    pub(super) entries: usize,
    /// `None` if it has no entries at all.
    codes: Option<Codes>,
    /// The vectors of all entries, one after the other, if it has any.
    vectors: Vec<f32>,
}

impl Codebook {
    /// Reads a codebook (§3.2.1).
    pub(super) fn parse(bits: &mut Bits<'_>, budget: &mut Budget) -> Result<Codebook, Refused> {
        if bits.take(24) != SYNC {
            return Err(Refused::Damaged("a codebook does not begin like one"));
        }
        let dimensions = bits.take(16) as usize;
        let entries = bits.take(24) as usize;
        if dimensions == 0 {
            return Err(Refused::Damaged("a codebook has no dimensions"));
        }
        budget.spend_entries(entries)?;
        let lengths = if bits.flag() { ordered_lengths(bits, entries)? } else { lengths(bits, entries) };
        if bits.is_over() {
            return Err(Refused::CUT_SHORT);
        }
        let codes = codewords(&lengths)?;
        let vectors = match bits.take(4) {
            0 => Vec::new(),
            lookup @ 1..=2 => {
                budget.spend_values(entries.saturating_mul(dimensions))?;
                vectors(bits, lookup == 1, entries, dimensions)?
            }
            _ => return Err(Refused::Damaged("a codebook's vectors are of an unknown kind")),
        };
        let codes = (!codes.is_empty()).then(|| Codes::new(codes, !vectors.is_empty()));
        Ok(Codebook { dimensions, entries, codes, vectors })
    }

    /// Whether entries can be read.
    pub(super) fn has_entries(&self) -> bool {
        self.codes.is_some()
    }

    /// Whether vectors can be read.
    pub(super) fn has_vectors(&self) -> bool {
        self.has_entries() && !self.vectors.is_empty()
    }

    /// Reads an entry; `None` where the packet ends before it does.
    #[inline(always)]
    pub(super) fn entry(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let entry = self.codes.as_ref()?.read(bits);
        (!bits.is_over()).then_some(entry)
    }

    /// Reads a vector, likewise.
    #[inline(always)]
    pub(super) fn vector(&self, bits: &mut Bits<'_>) -> Option<&[f32]> {
        let entry = self.entry(bits)?;
        self.vectors.get(entry * self.dimensions..)?.get(..self.dimensions)
    }

    /// Adds vectors to `to`, one behind the other, until it is full; `None` where the packet ends before.
    #[inline]
    pub(super) fn add(&self, bits: &mut Bits<'_>, to: &mut [f32]) -> Option<()> {
        match self.dimensions {
            1 => self.add_all::<1>(bits, to),
            2 => self.add_all::<2>(bits, to),
            4 => self.add_all::<4>(bits, to),
            8 => self.add_all::<8>(bits, to),
            dimensions => to.chunks_mut(dimensions).try_for_each(|part| {
                add_to(part, self.vector(bits)?);
                Some(())
            }),
        }
    }

    fn add_all<const DIMENSIONS: usize>(&self, bits: &mut Bits<'_>, to: &mut [f32]) -> Option<()> {
        let codes = self.codes.as_ref()?;
        let vectors = self.vectors.as_chunks::<DIMENSIONS>().0;
        let (parts, rest) = to.as_chunks_mut::<DIMENSIONS>();
        for part in parts {
            let entry = codes.read(bits);
            if bits.is_over() {
                return None;
            }
            add_to(part, vectors.get(entry)?);
        }
        if !rest.is_empty() {
            add_to(rest, self.vector(bits)?);
        }
        Some(())
    }

    /// Adds vectors to `to` so that the values of one stand as far from each other as there are vectors; `None` likewise.
    pub(super) fn add_apart(&self, bits: &mut Bits<'_>, to: &mut [f32]) -> Option<()> {
        let step = to.len() / self.dimensions;
        for at in 0..step {
            let places = to.iter_mut().skip(at).step_by(step);
            places.zip(self.vector(bits)?).for_each(|(to, value)| *to += value);
        }
        Some(())
    }

    /// Passes over vectors; `None` likewise.
    pub(super) fn skip(&self, bits: &mut Bits<'_>, vectors: usize) -> Option<()> {
        self.codes.as_ref()?.skip(bits, vectors);
        (!bits.is_over()).then_some(())
    }
}

#[inline(always)]
fn add_to(to: &mut [f32], vector: &[f32]) {
    to.iter_mut().zip(vector).for_each(|(to, value)| *to += value);
}

/// Lengths of the codewords one by one; 0 for entries that are not used.
fn lengths(bits: &mut Bits<'_>, entries: usize) -> Vec<u8> {
    let is_sparse = bits.flag();
    (0..entries).map(|_| if is_sparse && !bits.flag() { 0 } else { bits.take(5) as u8 + 1 }).collect()
}

/// Lengths of codewords that do not become shorter: how many there are of each.
fn ordered_lengths(bits: &mut Bits<'_>, entries: usize) -> Result<Vec<u8>, Refused> {
    let mut lengths = Vec::with_capacity(entries);
    let mut length = bits.take(5) as u8 + 1;
    while lengths.len() < entries {
        let left = entries - lengths.len();
        let count = bits.take(bits_of(left)) as usize;
        if left < count || 32 < length || bits.is_over() {
            return Err(Refused::Damaged("the codewords of a codebook are miscounted"));
        }
        lengths.resize(lengths.len() + count, length);
        length += 1;
    }
    Ok(lengths)
}

/// The vectors of all entries: from a lattice of values, each dimension's place on it a digit of the entry, or one by one.
fn vectors(bits: &mut Bits<'_>, is_lattice: bool, entries: usize, dimensions: usize) -> Result<Vec<f32>, Refused> {
    let minimum = float(bits.take(32));
    let delta = float(bits.take(32));
    let value_bits = bits.take(4) + 1;
    let is_sequence = bits.flag();
    let side = if is_lattice { lattice_side(entries, dimensions) } else { entries * dimensions };
    let values: Vec<f32> = (0..side).map(|_| bits.take(value_bits) as f32 * delta + minimum).collect();
    if bits.is_over() {
        return Err(Refused::CUT_SHORT);
    }
    let mut vectors = Vec::with_capacity(entries * dimensions);
    for entry in 0..entries {
        let (mut last, mut digits) = (0.0, entry);
        for dimension in 0..dimensions {
            let place = if is_lattice { digits % side } else { entry * dimensions + dimension };
            digits /= side;
            let value = values.get(place).copied().unwrap_or_default() + last;
            if is_sequence {
                last = value;
            }
            vectors.push(value);
        }
    }
    Ok(vectors)
}

/// The largest count of values of which as many vectors can be made as there are entries (§9.2.3, `lookup1_values`).
fn lattice_side(entries: usize, dimensions: usize) -> usize {
    let vectors = |side: usize| u32::try_from(dimensions).ok().and_then(|dimensions| side.checked_pow(dimensions));
    (1..).take_while(|side| vectors(*side).is_some_and(|count| count <= entries)).last().unwrap_or(0)
}

/// A number in the packed form of §9.2.2: sign, 10 bits of exponent, 21 of mantissa.
fn float(packed: u32) -> f32 {
    let mantissa = f64::from(packed & 0x1f_ffff);
    let exponent = (packed >> 21 & 0x3ff) as i32 - 788;
    let magnitude = (mantissa * 2f64.powi(exponent)) as f32;
    if packed >> 31 == 1 { -magnitude } else { magnitude }
}

/// Bits that a number needs (§9.2.1, `ilog`).
pub(super) fn bits_of(number: usize) -> u32 {
    usize::BITS - number.leading_zeros()
}
