//! Codebooks as lookup tables: a codeword together with the signs behind it is found in one step if it is short.

use std::sync::LazyLock;

use super::{
    bits::Bits,
    codebooks::{Book, SCALE_FACTORS, SHAPES, SPECTRAL, Shape},
};

/// Bits that the first table of a codebook is looked up by: half a nanosecond of cache for nearly all codewords that occur.
const ROOT_BITS: u32 = 9;
/// Bits that each further table is looked up by at most.
const BRANCH_BITS: u32 = 6;
/// Marks an entry that leads to a further table.
const LINK: u32 = 0x80;
/// Bits of an entry with a length: the codeword's and its signs', or of the further table's index.
const LENGTH_MASK: u32 = 0x3f;
/// Where an entry's content begins: an offset for links, for others four fields.
const CONTENT: u32 = 8;
/// Bits of one value.
const FIELD_BITS: u32 = 6;
/// Bits that codewords are passed over by in one step, and those of its entry that say how many bits the codewords have that are
/// whole in them. The rest says how many codewords they are.
const STRIDE_BITS: u32 = 10;
const STRIDE_LENGTH_BITS: u32 = 4;
/// What is added to a value so that it fits its field.
pub(super) const BIAS: i32 = 16;

/// One codebook's lookup.
pub(super) struct Table {
    root: [u32; 1 << ROOT_BITS],
    branches: Vec<u32>,
    /// Whole codewords in the next [`STRIDE_BITS`] bits; 0 where there is none.
    strides: [u8; 1 << STRIDE_BITS],
}

/// What a codeword stands for.
#[derive(Clone, Copy)]
pub(super) struct Entry(u32);

impl Entry {
    /// The value in field `at` (0 to 3), plus [`BIAS`]: 0 to 63.
    #[inline(always)]
    pub(super) fn field(self, at: u32) -> usize {
        ((self.0 >> (CONTENT + FIELD_BITS * at)) & 63) as usize
    }
}

/// All lookups, made at first use.
pub(super) struct Tables {
    /// Differences of scale factors, in two fields (see [`Tables::scale_factor_step`]).
    scale_factors: Table,
    spectral: [Table; 11],
}

impl Tables {
    pub(super) fn get() -> &'static Tables {
        static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
            scale_factors: Table::new(&scale_factor_codes()),
            spectral: std::array::from_fn(|at| Table::new(&spectral_codes(&SPECTRAL[at], SHAPES[at]))),
        });
        &TABLES
    }

    /// The table of spectral codebook 1 to 11.
    #[inline]
    pub(super) fn spectral(&self, book: u8) -> Option<&Table> {
        self.spectral.get(usize::from(book).wrapping_sub(1))
    }

    /// Reads the difference of two scale factors, −60 to 60.
    #[inline]
    pub(super) fn scale_factor_step(&self, bits: &mut Bits<'_>) -> i32 {
        bits.refill();
        let entry = self.scale_factors.read(bits);
        (entry.field(0) | entry.field(1) << FIELD_BITS) as i32 - 60
    }
}

impl Table {
    /// Reads a codeword and its signs, 20 bits at most, which the reader's register must hold.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Entry {
        let mut entry = self.root[(bits.ahead() >> (64 - ROOT_BITS)) as usize];
        if entry & LINK != 0 {
            entry = self.descend(bits.ahead() << ROOT_BITS, entry);
        }
        bits.consume(entry & LENGTH_MASK);
        Entry(entry)
    }

    /// Passes over so many codewords and their signs.
    pub(super) fn skip(&self, bits: &mut Bits<'_>, codewords: usize) {
        let mut left = codewords;
        while left > 0 {
            bits.refill();
            let stride = self.strides[(bits.ahead() >> (64 - STRIDE_BITS)) as usize];
            let count = usize::from(stride >> STRIDE_LENGTH_BITS);
            if count == 0 || left < count {
                self.read(bits);
                left -= 1;
            } else {
                bits.consume(u32::from(stride) & ((1 << STRIDE_LENGTH_BITS) - 1));
                left -= count;
            }
        }
    }

    /// What [`STRIDE_BITS`] bits hold of whole codewords.
    fn stride(&self, window: usize) -> u8 {
        let mut rest = (window as u64) << (64 - STRIDE_BITS);
        let (mut length, mut count) = (0, 0);
        loop {
            let mut entry = self.root[(rest >> (64 - ROOT_BITS)) as usize];
            if entry & LINK != 0 {
                entry = self.descend(rest << ROOT_BITS, entry);
            }
            let next = entry & LENGTH_MASK;
            if next == 0 || STRIDE_BITS < length + next {
                return (count << STRIDE_LENGTH_BITS | length) as u8;
            }
            length += next;
            count += 1;
            rest <<= next;
        }
    }

    fn descend(&self, mut rest: u64, mut entry: u32) -> u32 {
        while entry & LINK != 0 {
            let index_bits = entry & LENGTH_MASK;
            let index = (entry >> CONTENT) as usize + (rest >> (64 - index_bits)) as usize;
            rest <<= index_bits;
            entry = self.branches.get(index).copied().unwrap_or(0);
        }
        entry
    }

    /// Builds the lookup of a complete code in the order of its codewords.
    fn new(codes: &[Code]) -> Table {
        let mut table = Table { root: [0; 1 << ROOT_BITS], branches: Vec::new(), strides: [0; 1 << STRIDE_BITS] };
        let mut root = vec![0; 1 << ROOT_BITS];
        table.fill(codes, 0, ROOT_BITS, &mut root);
        for (to, from) in table.root.iter_mut().zip(root) {
            *to = from;
        }
        let strides = std::array::from_fn(|window| table.stride(window));
        table.strides = strides;
        table
    }

    /// Fills a table looked up by `width` bits behind the first `known` ones, which all of `codes` share.
    fn fill(&mut self, codes: &[Code], known: u32, width: u32, entries: &mut [u32]) {
        let prefix = |code: &Code| code.bits >> (32 - known - width) & ((1 << width) - 1);
        for same in codes.chunk_by(|a, b| prefix(a) == prefix(b)) {
            let Some(first) = same.first() else { continue };
            let at = prefix(first) as usize;
            let longest = same.iter().map(|code| code.length).max().unwrap_or(0);
            if longest <= known + width {
                let copies = 1 << (known + width - first.length);
                entries.iter_mut().skip(at).take(copies).for_each(|entry| *entry = first.entry());
                continue;
            }
            let branch_bits = (longest - known - width).min(BRANCH_BITS);
            let mut branch = vec![0; 1 << branch_bits];
            self.fill(same, known + width, branch_bits, &mut branch);
            let link = (self.branches.len() as u32) << CONTENT | LINK | branch_bits;
            entries.iter_mut().skip(at).take(1).for_each(|entry| *entry = link);
            self.branches.append(&mut branch);
        }
    }
}

/// A codeword with the signs behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code {
    /// From the top of the word on.
    pub(super) bits: u32,
    pub(super) length: u32,
    fields: [u32; 4],
}

impl Code {
    fn entry(&self) -> u32 {
        let fields = self.fields.iter().rev().fold(0, |packed, field| packed << FIELD_BITS | field);
        fields << CONTENT | self.length
    }
}

/// Codewords of a book in their order, with their symbols.
fn codewords(book: &Book) -> impl Iterator<Item = (u32, u32, u32)> {
    let lengths = book.counts.iter().zip(1u32..).flat_map(|(count, length)| (0..*count).map(move |_| length));
    let mut next = 0u64;
    lengths.zip(book.symbols).map(move |(length, symbol)| {
        let bits = next as u32;
        next += 1 << (32 - length);
        (bits, length, u32::from(*symbol))
    })
}

pub(super) fn scale_factor_codes() -> Vec<Code> {
    let low = (1 << FIELD_BITS) - 1;
    codewords(&SCALE_FACTORS)
        .map(|(bits, length, symbol)| Code { bits, length, fields: [symbol & low, symbol >> FIELD_BITS, 0, 0] })
        .collect()
}

/// Each codeword with all signs that may follow it.
pub(super) fn spectral_codes(book: &Book, shape: Shape) -> Vec<Code> {
    let mut codes = Vec::new();
    for (bits, length, symbol) in codewords(book) {
        let values = values(symbol as i32, shape);
        let unsigned = |value: &i32| !shape.signed && *value != 0;
        let sign_count = values.iter().filter(|value| unsigned(value)).count() as u32;
        for signs in 0..1u32 << sign_count {
            let mut left = sign_count;
            let fields = values.map(|value| {
                let negative = unsigned(&value) && {
                    left -= 1;
                    signs >> left & 1 == 1
                };
                (if negative { BIAS - value } else { BIAS + value }) as u32
            });
            let length = length + sign_count;
            codes.push(Code { bits: bits | signs << (32 - length), length, fields });
        }
    }
    codes
}

/// The values of an index (§4.6.3.3): digits of a number, the first value the most significant.
fn values(index: i32, shape: Shape) -> [i32; 4] {
    let (base, offset) = if shape.signed { (2 * shape.largest + 1, shape.largest) } else { (shape.largest + 1, 0) };
    let mut values = [0; 4];
    let mut rest = index;
    for value in values.iter_mut().take(shape.dimension as usize).rev() {
        *value = rest % base - offset;
        rest /= base;
    }
    values
}
