//! Writes headers, bit by bit: well-formed ones of every kind, which tests then spoil.

use super::{Random, stages::lengths};

/// Bits in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Packer(Vec<bool>);

impl Packer {
    pub(super) fn put(&mut self, value: u64, count: u32) -> &mut Packer {
        self.0.extend((0..count).map(|bit| value.checked_shr(bit).unwrap_or(0) & 1 == 1));
        self
    }

    pub(super) fn append(&mut self, other: &Packer) -> &mut Packer {
        self.0.extend_from_slice(&other.0);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
    }
}

/// An identification header.
pub(super) fn identification(channels: u64, hz: u64, exponents: [u64; 2]) -> Vec<u8> {
    let mut body = Packer::default();
    body.put(0, 32).put(channels, 8).put(hz, 32).put(0, 64).put(0, 32);
    body.put(exponents[0], 4).put(exponents[1], 4).put(1, 1);
    [b"\x01vorbis".as_slice(), &body.bytes()].concat()
}

/// Vectors of a codebook.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookup {
    pub(super) kind: u64,
    /// In units of 2⁻⁸, for they are written as integers with an exponent.
    pub(super) minimum: i32,
    pub(super) delta: i32,
    pub(super) value_bits: u32,
    pub(super) is_sequence: bool,
}

fn float(value: i32) -> u64 {
    u64::from(value < 0) << 31 | (788 - 8) << 21 | u64::from(value.unsigned_abs())
}

/// A codebook with codewords of these lengths.
pub(super) fn codebook(dimensions: u64, lengths: &[u8], lookup: Option<Lookup>, random: &mut Random) -> Packer {
    let mut book = Packer::default();
    book.put(0x56_4342, 24).put(dimensions, 16).put(lengths.len() as u64, 24);
    let ordered = lengths.is_sorted() && lengths.iter().all(|length| *length > 0);
    book.put(u64::from(ordered), 1);
    if ordered {
        book.put(u64::from(lengths[0]) - 1, 5);
        let mut left = lengths.len();
        for length in lengths[0]..=lengths[lengths.len() - 1] {
            let count = lengths.iter().filter(|other| **other == length).count();
            book.put(count as u64, usize::BITS - left.leading_zeros());
            left -= count;
        }
    } else {
        let sparse = lengths.contains(&0);
        book.put(u64::from(sparse), 1);
        for length in lengths {
            if sparse {
                book.put(u64::from(*length > 0), 1);
            }
            if *length > 0 {
                book.put(u64::from(*length) - 1, 5);
            }
        }
    }
    let Some(Lookup { kind, minimum, delta, value_bits, is_sequence }) = lookup else {
        book.put(0, 4);
        return book;
    };
    book.put(kind, 4).put(float(minimum), 32).put(float(delta), 32);
    book.put(u64::from(value_bits) - 1, 4).put(u64::from(is_sequence), 1);
    let all = lengths.len() * dimensions as usize;
    let lattice = (1..)
        .take_while(|side: &usize| side.checked_pow(dimensions as u32).is_some_and(|count| count <= lengths.len()))
        .last()
        .unwrap();
    for _ in 0..if kind == 1 { lattice } else { all } {
        book.put(random.next() >> 20, value_bits);
    }
    book
}

/// The parts of a setup header.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) books: Vec<Packer>,
    pub(super) transforms: Vec<Packer>,
    pub(super) floors: Vec<Packer>,
    pub(super) residues: Vec<Packer>,
    pub(super) mappings: Vec<Packer>,
    pub(super) modes: Vec<Packer>,
    pub(super) is_framed: bool,
}

/// Numbers of the books.
pub(super) const CLASS_BOOK: u64 = 0;
pub(super) const MASTER_BOOK: u64 = 1;
pub(super) const HEIGHT_BOOK: u64 = 2;
pub(super) const LSP_BOOK: u64 = 4;
/// The first of those for residues, and how many there are.
pub(super) const VECTOR_BOOK: u64 = 5;
const VECTOR_BOOKS: u64 = 6;
/// A multiple of the dimensions of all books.
const PARTITION_SIZE: u64 = 24;
const CLASSES: u64 = 4;

impl Header {
    /// One of its kind for so many channels.
    pub(super) fn random(channels: usize, random: &mut Random) -> Header {
        let modes = [0, 1].map(|long| {
            let mut mode = Packer::default();
            mode.put(long, 1).put(0, 32).put(long, 8);
            mode
        });
        Header {
            // Of several channels in one vector each, the oracle lets the last classes of one spill into the next.
            books: books(if channels > 2 { 1 } else { 2 }, random),
            transforms: vec![Packer::default().put(0, 16).clone()],
            floors: vec![line_floor(6, random), line_floor(9, random), lsp_floor(random)],
            residues: (0..3).map(|kind| residue(kind, channels as u64, random)).collect(),
            mappings: (0..2).map(|_| mapping(channels, random)).collect(),
            modes: modes.to_vec(),
            is_framed: true,
        }
    }

    pub(super) fn packet(&self) -> Vec<u8> {
        let mut body = Packer::default();
        let lists = [
            (8, &self.books),
            (6, &self.transforms),
            (6, &self.floors),
            (6, &self.residues),
            (6, &self.mappings),
            (6, &self.modes),
        ];
        for (bits, list) in lists {
            body.put(list.len() as u64 - 1, bits);
            for item in list {
                body.append(item);
            }
        }
        body.put(u64::from(self.is_framed), 1);
        [b"\x05vorbis".as_slice(), &body.bytes()].concat()
    }
}

fn books(class_dimensions: u32, random: &mut Random) -> Vec<Packer> {
    let classes = lengths(CLASSES.pow(class_dimensions) as usize, 20, random);
    let master = lengths(16, 12, random);
    // A book with entries that are not used, and one whose lengths are in order.
    let mut sparse = lengths(30, 20, random);
    sparse.extend([0; 9]);
    let mut ordered = lengths(40, 9, random);
    ordered.sort_unstable();
    let lsp = lengths(50, 16, random);
    let coefficients = Lookup { kind: 2, minimum: 80, delta: 2, value_bits: 4, is_sequence: true };
    let mut books = vec![
        codebook(u64::from(class_dimensions), &classes, None, random),
        codebook(1, &master, None, random),
        codebook(1, &sparse, None, random),
        codebook(1, &ordered, None, random),
        codebook(4, &lsp, Some(coefficients), random),
    ];
    for (dimensions, kind) in [(1, 1), (2, 1), (3, 2), (4, 1), (8, 1), (8, 2)] {
        let count = 300 + random.below(100);
        let is_sequence = random.below(4) == 0;
        let lookup = Lookup { kind, minimum: -900, delta: 120, value_bits: 4, is_sequence };
        books.push(codebook(dimensions, &lengths(count, 24, random), Some(lookup), random));
    }
    books
}

/// A floor of posts at places of so many bits.
fn line_floor(range_bits: u32, random: &mut Random) -> Packer {
    let mut floor = Packer::default();
    let partitions = [0, 1, 1, 0, 2];
    floor.put(1, 16).put(partitions.len() as u64, 5);
    for class in partitions {
        floor.put(class, 4);
    }
    let sizes = [3, 4, 1];
    for (size, choice_bits) in sizes.into_iter().zip([1, 2, 0]) {
        floor.put(size - 1, 3).put(choice_bits, 2);
        if choice_bits > 0 {
            floor.put(MASTER_BOOK, 8);
        }
        for choice in 0..1 << choice_bits {
            // One is of posts that stay on the line.
            floor.put(if choice == 1 { 0 } else { HEIGHT_BOOK + 1 + choice % 2 }, 8);
        }
    }
    // Heights below 64 fit every multiplier; that of 3 leaves room for heights that do not.
    floor.put([0, 1, 3][random.below(3)], 2).put(u64::from(range_bits), 4);
    let mut places: Vec<u64> = (1..1 << range_bits).collect();
    for class in partitions {
        for _ in 0..sizes[class as usize] {
            let place = random.below(places.len());
            floor.put(places.swap_remove(place), range_bits);
        }
    }
    floor
}

fn lsp_floor(random: &mut Random) -> Packer {
    let mut floor = Packer::default();
    // Order, rate, scale, amplitude.
    floor.put(0, 16).put(7 + random.below(2) as u64, 8).put(44_100, 16).put(64, 16).put(6, 6).put(6, 8);
    floor.put(0, 4).put(LSP_BOOK, 8);
    floor
}

fn residue(kind: u64, channels: u64, random: &mut Random) -> Packer {
    let mut residue = Packer::default();
    let begin = random.below(40) as u64;
    let end = begin + random.below(1_200 * channels as usize) as u64;
    residue
        .put(kind, 16)
        .put(begin, 24)
        .put(end, 24)
        .put(PARTITION_SIZE - 1, 24)
        .put(CLASSES - 1, 6)
        .put(CLASS_BOOK, 8);
    // Each class has other passes; the first none.
    let cascades = [0, 1 + 2 * random.below(4) as u64, random.below(8) as u64, random.below(256) as u64];
    for cascade in cascades {
        residue.put(cascade, 3).put(u64::from(cascade > 7), 1);
        if cascade > 7 {
            residue.put(cascade >> 3, 5);
        }
    }
    for cascade in cascades {
        for _ in 0..cascade.count_ones() {
            residue.put(VECTOR_BOOK + random.next() % VECTOR_BOOKS, 8);
        }
    }
    residue
}

fn mapping(channels: usize, random: &mut Random) -> Packer {
    let mut mapping = Packer::default();
    let submaps = channels.min(2);
    mapping.put(0, 16).put(u64::from(submaps > 1), 1);
    if submaps > 1 {
        mapping.put(submaps as u64 - 1, 4);
    }
    // The oracle undoes several in the wrong order.
    let pairs = if channels > 1 { random.below(2) } else { 0 };
    mapping.put(u64::from(pairs > 0), 1);
    if pairs > 0 {
        mapping.put(pairs as u64 - 1, 8);
        let bits = usize::BITS - (channels - 1).leading_zeros();
        for _ in 0..pairs {
            let magnitude = random.below(channels);
            let angle = (magnitude + 1 + random.below(channels - 1)) % channels;
            mapping.put(magnitude as u64, bits).put(angle as u64, bits);
        }
    }
    mapping.put(0, 2);
    if submaps > 1 {
        for channel in 0..channels {
            // The oracle mixes up two channels in one vector that are not the first of all.
            mapping.put(u64::from(channel == 1), 4);
        }
    }
    for _ in 0..submaps {
        mapping.put(0, 8).put(random.below(3) as u64, 8).put(random.below(3) as u64, 8);
    }
    mapping
}
