//! Residues: spectra without their floors (Vorbis I §8). Vectors are cut into partitions, those are of a class each, and the class has
//! a codebook for each of up to eight passes, whose vectors add up.
//!
//! Only the lowest lines are wanted. Codewords of the others must be passed over where later ones count, but nothing is added for
//! them; and in the last pass that any wanted partition has a book for, nothing behind those counts.

use super::{
    Refused,
    bits::Bits,
    codebook::Codebook,
    floor::{book, vector_book},
};

const PASSES: usize = 8;

/// How the values of several channels, and those of a codebook's vector, stand in a vector that is coded (§8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Type 0: values of a codebook's vector are spread over the partition.
    Apart,
    /// Type 1: they stand side by side.
    InRow,
    /// Type 2: the channels take turns in one vector.
    Interleaved,
}

/// The configuration of a residue (§8.6.1).
#[derive(Debug)]
pub(super) struct Residue {
    order: Order,
    /// What of a vector is coded.
    begin: usize,
    end: usize,
    partition_size: usize,
    /// Each of its codewords stands for the classes of as many partitions as it has dimensions.
    class_book: usize,
    classes: Vec<Class>,
}

#[derive(Clone, Copy, Debug)]
struct Class {
    books: [Option<usize>; PASSES],
    /// Passes up to the last one with a book.
    passes: usize,
}

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// For each channel whether its vector is there.
    pub(super) channels: &'a [bool],
    /// Lines of each channel, and the lowest of them that are wanted.
    pub(super) lines: usize,
    pub(super) reach: usize,
    /// Whether something else follows in the packet.
    pub(super) finish: bool,
}

/// Vectors as they are read.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    values: Vec<f32>,
    /// Values from the beginning of a vector to that of the next.
    stride: usize,
    classes: Vec<u8>,
}

/// Where in vectors the lowest lines of a channel are.
struct Place {
    first: usize,
    step: usize,
}

impl Residue {
    pub(super) fn parse(bits: &mut Bits<'_>, books: &[Codebook]) -> Result<Residue, Refused> {
        let order = match bits.take(16) {
            0 => Order::Apart,
            1 => Order::InRow,
            2 => Order::Interleaved,
            _ => return Err(Refused::Damaged("a residue is of an unknown type")),
        };
        let (begin, end) = (bits.take(24) as usize, bits.take(24) as usize);
        let partition_size = bits.take(24) as usize + 1;
        let count = bits.take(6) as usize + 1;
        let class_book = book(books, bits.take(8))?;
        let needed = books.get(class_book).and_then(|book| count.checked_pow(u32::try_from(book.dimensions).ok()?));
        if needed.is_none_or(|needed| books.get(class_book).is_none_or(|book| book.entries < needed)) {
            return Err(Refused::Damaged("the classes of a residue are more than its codebook has entries for"));
        }
        let cascades: Vec<u32> = (0..count)
            .map(|_| {
                let low = bits.take(3);
                if bits.flag() { low | bits.take(5) << 3 } else { low }
            })
            .collect();
        let mut classes = Vec::with_capacity(count);
        for cascade in cascades {
            let mut class = Class { books: [None; PASSES], passes: 0 };
            for (pass, slot) in class.books.iter_mut().enumerate().filter(|(pass, _)| cascade >> pass & 1 == 1) {
                *slot = Some(vector_book(books, bits.take(8))?);
                class.passes = pass + 1;
            }
            classes.push(class);
        }
        Ok(Residue { order, begin, end, partition_size, class_book, classes })
    }

    /// Reads what is wanted (§8.6.2). Where the packet ends, so do the vectors.
    pub(super) fn read(&self, bits: &mut Bits<'_>, books: &[Codebook], wanted: Wanted<'_>, vectors: &mut Vectors) {
        let there = wanted.channels.iter().filter(|is_there| **is_there).count();
        let (count, share) = match self.order {
            // All channels or none are in it.
            Order::Interleaved => (there.min(1), wanted.channels.len()),
            _ => (there, 1),
        };
        let (length, reach) = (wanted.lines * share, wanted.reach * share);
        let end = self.end.min(length);
        let partitions = end.saturating_sub(self.begin) / self.partition_size;
        let needed = reach.saturating_sub(self.begin).div_ceil(self.partition_size).min(partitions);
        vectors.stride = reach.max(self.begin.min(end) + needed * self.partition_size);
        vectors.values.clear();
        vectors.values.resize(count * vectors.stride, 0.0);
        vectors.classes.clear();
        vectors.classes.resize(count * partitions, 0);
        if 0 < count && 0 < partitions {
            let run = Run { residue: self, books, count, partitions, needed, finish: wanted.finish };
            // The end of the packet is an end like any other.
            let _ = run.passes(bits, vectors);
        }
    }

    /// Copies the lowest lines of a channel, the `channel`th of the bundle, as far as `lines` reaches; where it is not there, silence.
    pub(super) fn lines(&self, channels: &[bool], channel: usize, vectors: &Vectors, lines: &mut [f32]) {
        let there = |channels: &[bool]| channels.iter().filter(|is_there| **is_there).count();
        let place = match self.order {
            Order::Interleaved if 0 < there(channels) => Place { first: channel, step: channels.len() },
            Order::Apart | Order::InRow if channels.get(channel) == Some(&true) => {
                let before = there(channels.get(..channel).unwrap_or_default());
                Place { first: before * vectors.stride, step: 1 }
            }
            _ => return lines.fill(0.0),
        };
        let values = vectors.values.iter().skip(place.first).step_by(place.step);
        lines.iter_mut().zip(values).for_each(|(line, value)| *line = *value);
    }
}

/// One reading of a residue.
struct Run<'a> {
    residue: &'a Residue,
    books: &'a [Codebook],
    /// Vectors, partitions of each, and those of them in which anything is wanted.
    count: usize,
    partitions: usize,
    needed: usize,
    finish: bool,
}

impl Run<'_> {
    /// Reads pass after pass; `None` where the packet ends before.
    fn passes(&self, bits: &mut Bits<'_>, vectors: &mut Vectors) -> Option<()> {
        let class_book = self.books.get(self.residue.class_book)?;
        // Passes up to the last that counts, as far as the classes are known.
        let mut passes = 0;
        for pass in 0..PASSES {
            for first in (0..self.partitions).step_by(class_book.dimensions) {
                let behind = self.partitions.min(first + class_book.dimensions);
                if pass == 0 {
                    for vector in 0..self.count {
                        let entry = class_book.entry(bits)?;
                        passes = passes.max(self.set_classes(entry, vector, first, behind, vectors));
                    }
                }
                for partition in first..behind {
                    if partition == self.needed && passes <= pass + 1 && !self.finish {
                        return Some(());
                    }
                    for vector in 0..self.count {
                        self.partition(bits, pass, vector, partition, vectors)?;
                    }
                }
            }
            if passes <= pass + 1 {
                break;
            }
        }
        Some(())
    }

    /// Takes the classes of partitions out of a class book's entry: its digits. Gives the passes that those need that count.
    fn set_classes(&self, entry: usize, vector: usize, first: usize, behind: usize, vectors: &mut Vectors) -> usize {
        let residue = self.residue;
        let dimensions = self.books.get(residue.class_book).map_or(0, |book| book.dimensions);
        let (mut digits, mut passes) = (entry, 0);
        for partition in (first..first + dimensions).rev() {
            let class = digits % residue.classes.len();
            digits /= residue.classes.len();
            if partition < behind
                && let Some(slot) = vectors.classes.get_mut(vector * self.partitions + partition)
            {
                *slot = class as u8;
                if partition < self.needed || self.finish {
                    passes = passes.max(residue.classes.get(class).map_or(0, |class| class.passes));
                }
            }
        }
        passes
    }

    /// Reads a partition, or passes over it.
    #[inline]
    fn partition(
        &self,
        bits: &mut Bits<'_>,
        pass: usize,
        vector: usize,
        partition: usize,
        vectors: &mut Vectors,
    ) -> Option<()> {
        let residue = self.residue;
        let class = *vectors.classes.get(vector * self.partitions + partition)?;
        let Some(book) = residue.classes.get(usize::from(class))?.books.get(pass).copied().flatten() else {
            return Some(());
        };
        let book = self.books.get(book)?;
        let size = residue.partition_size;
        if self.needed <= partition {
            // Spread vectors are whole; of those in a row the last may be cut.
            let apart = residue.order == Order::Apart;
            let count = if apart { size / book.dimensions } else { size.div_ceil(book.dimensions) };
            return book.skip(bits, count);
        }
        let first = vector * vectors.stride + residue.begin + partition * size;
        let to = vectors.values.get_mut(first..first + size)?;
        if residue.order == Order::Apart { book.add_apart(bits, to) } else { book.add(bits, to) }
    }
}
