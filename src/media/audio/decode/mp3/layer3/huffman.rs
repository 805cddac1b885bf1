//! Huffman decoding (ISO/IEC 11172-3 §2.4.2.7, huffmancodebits): a code word by one look into a table, and mostly two a step.
//!
//! A table is looked into with the next [`FIRST_BITS`] bits; a code word that is longer links to a second table for what follows. The
//! signs behind it are no part of the look: with them, words of loud music would be too long for one. Values come out raised to the
//! power of 4/3 and signed, not yet multiplied by their band's gain.

use std::sync::{LazyLock, OnceLock};

use super::{
    LINES, Spectrum,
    bits::{Bits, top},
    codes::{Codes, FIRST_WITH_LINBITS, PAIRS, QUADRUPLES, SELECTABLE},
    side_info::Granule,
};

/// Bits of the first look. With ten, nearly no code word of loud music needs a second; the table is 4 KiB.
const FIRST_BITS: u32 = 10;
/// Largest value of a code word itself.
const WORD_MAX: u8 = 15;
/// Largest value: 15 and 13 bits more.
const VALUE_MAX: usize = WORD_MAX as usize + (1 << 13) - 1;

/// What a look finds, in bits:
///
/// | | 0–7 | 8–12 | 13–17 | 18–21 | 22–25 | 26–27 | 30 |
/// |---|---|---|---|---|---|---|---|
/// | two values | length with signs | length without | that and the sign of x | x | y | how many have more bits to come | 0 |
/// | a link | bits of the second look | its table's place, to bit 29 | | | | | 1 |
type Entry = u32;

const BEFORE_X_SIGN: u32 = 8;
const BEFORE_Y_SIGN: u32 = 13;
const X: u32 = 18;
const Y: u32 = 22;
const ESCAPES: u32 = 26;
const LINK: Entry = 1 << 30;

struct Tree {
    first: Box<[Entry; 1 << FIRST_BITS]>,
    second: Vec<Entry>,
}

/// Everything computed from the code tables, each when it is first needed: a prompt uses a few of them.
pub(super) struct Tables {
    pairs: [OnceLock<Tree>; PAIRS.len()],
    /// By table and the next ten bits: length, and four fields of two bits (0, 1, 2 for −1) from bit 8 on.
    quadruples: [Box<[u16; 1 << FIRST_BITS]>; 2],
}

/// n^(4/3).
pub(super) static POWERS: [f32; VALUE_MAX + 1] = powers();

/// The same of 0 to 15, by twice the value, and at the next place with the other sign. There is no −0.
static SIGNED_POWERS: [f32; 32] = signed_powers();

const fn powers() -> [f32; VALUE_MAX + 1] {
    let mut powers = [0.0; VALUE_MAX + 1];
    let (mut value, mut root) = (1, 1.0);
    while value < powers.len() {
        // Newton's steps towards the cube root, from that of the number before.
        let mut steps = 0;
        while steps < 6 {
            root -= (root * root * root - value as f64) / (3.0 * root * root);
            steps += 1;
        }
        powers[value] = (value as f64 * root) as f32;
        value += 1;
    }
    powers
}

const fn signed_powers() -> [f32; 32] {
    let (mut signed, mut value) = ([0.0; 32], 1);
    while value <= WORD_MAX as usize {
        signed[2 * value] = POWERS[value];
        signed[2 * value + 1] = -POWERS[value];
        value += 1;
    }
    signed
}

impl Tables {
    pub(super) fn get() -> &'static Tables {
        static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
            pairs: [const { OnceLock::new() }; PAIRS.len()],
            quadruples: QUADRUPLES.map(quadruple_table),
        });
        &TABLES
    }

    /// Number `at` of [`PAIRS`].
    fn tree(&self, at: usize) -> Option<&Tree> {
        let codes = PAIRS.get(at)?;
        Some(self.pairs.get(at)?.get_or_init(|| Tree::new(codes, at >= FIRST_WITH_LINBITS)))
    }
}

/// A code word: where its bits begin, left-aligned in 32; how many they are; and what it stands for.
struct Word {
    bits: u32,
    length: u32,
    entry: Entry,
}

impl Tree {
    fn new(codes: Codes, has_linbits: bool) -> Tree {
        let words = words(codes, has_linbits);
        let mut tree = Tree { first: Box::new([0; 1 << FIRST_BITS]), second: Vec::new() };
        let prefix = |word: &Word| (word.bits >> (32 - FIRST_BITS)) as usize;
        for same in words.chunk_by(|a, b| prefix(a) == prefix(b)) {
            let Some(word) = same.first() else { continue };
            let longest = same.iter().map(|word| word.length).max().unwrap_or_default();
            if longest <= FIRST_BITS {
                let filled = 1 << (FIRST_BITS - word.length);
                tree.first.iter_mut().skip(prefix(word)).take(filled).for_each(|entry| *entry = word.entry);
                continue;
            }
            let (bits, place) = (longest - FIRST_BITS, tree.second.len() as u32);
            for word in same {
                let filled = 1 << (longest - word.length);
                tree.second.extend(std::iter::repeat_n(word.entry, filled));
            }
            tree.first.iter_mut().skip(prefix(word)).take(1).for_each(|entry| *entry = LINK | place << 8 | bits);
        }
        tree
    }

    /// What the highest bits of `window` are; never a link.
    fn look(&self, window: u64) -> Entry {
        let entry = self.first[(window >> (64 - FIRST_BITS)) as usize];
        if entry & LINK == 0 {
            return entry;
        }
        let place = (entry & !LINK) >> 8;
        let at = place + top(window << FIRST_BITS, entry & 0xff);
        self.second.get(at as usize).copied().unwrap_or_default()
    }
}

/// All code words of a table, in ascending order.
fn words(codes: Codes, has_linbits: bool) -> Vec<Word> {
    let mut bits = 0u32;
    let word = |code: &u16| {
        let length = u32::from(code >> 8);
        let [x, y] = [code >> 4, *code].map(|value| u32::from(value) & u32::from(WORD_MAX));
        let word = Word { bits, length, entry: entry(length, x, y, has_linbits) };
        bits = bits.wrapping_add(1 << (32 - length));
        word
    };
    codes.iter().map(word).collect()
}

fn entry(length: u32, x: u32, y: u32, has_linbits: bool) -> Entry {
    let escapes = [x, y].iter().filter(|value| has_linbits && **value == u32::from(WORD_MAX)).count() as u32;
    let before_y = length + u32::from(x != 0);
    let whole = before_y + u32::from(y != 0);
    escapes << ESCAPES | y << Y | x << X | before_y << BEFORE_Y_SIGN | length << BEFORE_X_SIGN | whole
}

fn quadruple_table(codes: Codes) -> Box<[u16; 1 << FIRST_BITS]> {
    let mut table = Box::new([0; 1 << FIRST_BITS]);
    let mut places = table.iter_mut();
    for code in codes {
        let (length, values) = (code >> 8, code & 15);
        let signs = values.count_ones();
        for mut sign_bits in (0..1u16 << signs).map(|bits| bits << ((16 - signs) % 16)) {
            let mut entry = length + signs as u16;
            for place in 0..4 {
                if values & (8 >> place) != 0 {
                    entry |= (1 + (sign_bits >> 15)) << (8 + 2 * place);
                    sign_bits <<= 1;
                }
            }
            let filled = 1 << (FIRST_BITS as u16 - length - signs as u16);
            places.by_ref().take(filled).for_each(|place| *place = entry);
        }
    }
    table
}

impl Tables {
    /// Decodes a granule's lines up to `limit` from `bits`, which end at bit `end`. Lines before the limit that are not coded are zero;
    /// those behind it stay as they are.
    pub(super) fn decode(
        &self,
        bits: &mut Bits<'_>,
        granule: &Granule,
        end: usize,
        limit: usize,
        lines: &mut Spectrum,
    ) {
        let big = granule.big_lines.min(limit);
        let [first, second] = granule.region_ends;
        let mut from = 0;
        for (to, table) in [first, second, LINES].into_iter().zip(granule.tables) {
            let to = to.min(big).max(from);
            self.region(bits, table, lines.get_mut(from..to).unwrap_or_default());
            from = to;
        }
        let coded = self.quadruples(bits, granule.count1_table, end, limit, from, lines);
        if let Some(rest) = lines.get_mut(coded..limit) {
            rest.fill(0.0);
        }
    }

    fn region(&self, bits: &mut Bits<'_>, table: u8, lines: &mut [f32]) {
        let codes = SELECTABLE[usize::from(table) % SELECTABLE.len()];
        let Some(tree) = codes.tree.and_then(|tree| self.tree(tree)) else {
            lines.fill(0.0);
            return;
        };
        if codes.linbits > 0 {
            for pair in lines.as_chunks_mut().0 {
                *pair = escaped_pair(bits, tree, codes.linbits);
            }
            return;
        }
        let (fours, two) = lines.as_chunks_mut::<4>();
        for four in fours {
            let window = bits.window();
            let first = tree.look(window);
            let behind = window << (first & 0xff);
            let second = tree.look(behind);
            // Together 42 bits at most: they are all in the window.
            bits.skip((first & 0xff) as usize + (second & 0xff) as usize);
            let ([a, b], [c, d]) = (signed_pair(window, first), signed_pair(behind, second));
            *four = [a, b, c, d];
        }
        for pair in two.as_chunks_mut().0 {
            let window = bits.window();
            let entry = tree.look(window);
            bits.skip((entry & 0xff) as usize);
            *pair = signed_pair(window, entry);
        }
    }

    /// Decodes quadruples from line `from` on; gives where they end.
    fn quadruples(
        &self,
        bits: &mut Bits<'_>,
        table: usize,
        end: usize,
        limit: usize,
        from: usize,
        lines: &mut Spectrum,
    ) -> usize {
        const VALUES: [f32; 4] = [0.0, 1.0, -1.0, 0.0];
        let table = &self.quadruples[table & 1];
        let mut at = from;
        for four in lines.get_mut(from..).unwrap_or_default().as_chunks_mut::<4>().0 {
            if at >= limit || bits.at() >= end {
                break;
            }
            let entry = table[(bits.window() >> (64 - FIRST_BITS)) as usize];
            bits.skip(usize::from(entry & 0xff));
            // A code word that the granule's bits do not hold is none.
            if bits.at() > end {
                break;
            }
            *four = [8, 10, 12, 14].map(|shift| VALUES[usize::from(entry >> shift & 3)]);
            at += 4;
        }
        at
    }
}

/// The two values of an entry whose code word is the highest bits of `window`.
#[inline(always)]
fn signed_pair(window: u64, entry: Entry) -> [f32; 2] {
    [(X, BEFORE_X_SIGN), (Y, BEFORE_Y_SIGN)].map(|(value, before_sign)| {
        let twice = entry >> (value - 1) & (2 * WORD_MAX as u32);
        let is_negative = (window << (entry >> before_sign & 31) >> 63) as u32;
        SIGNED_POWERS[(twice | is_negative) as usize & 31]
    })
}

/// Decodes two values of a table in which 15 means that more bits of the value follow before its sign. Without a branch, because loud
/// music has such values in no order that a processor could foresee.
#[inline(always)]
fn escaped_pair(bits: &mut Bits<'_>, tree: &Tree, linbits: u32) -> [f32; 2] {
    let window = bits.window();
    let entry = tree.look(window);
    bits.skip((entry & 0xff) as usize + (entry >> ESCAPES & 3) as usize * linbits as usize);
    let mut rest = window << (entry >> BEFORE_X_SIGN & 31);
    [X, Y].map(|at| {
        let word = entry >> at & u32::from(WORD_MAX);
        let more = if word == u32::from(WORD_MAX) { linbits } else { 0 };
        let value = word + top(rest, more);
        rest <<= more;
        let is_coded = u32::from(word != 0);
        let sign = ((rest >> 63) as u32 & is_coded) << 31;
        rest <<= is_coded;
        let power = POWERS.get(value as usize).copied().unwrap_or_default();
        f32::from_bits(power.to_bits() ^ sign)
    })
}
