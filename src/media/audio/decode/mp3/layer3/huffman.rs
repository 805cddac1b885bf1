//! Huffman decoding (ISO/IEC 11172-3 §2.4.2.7, huffmancodebits): code words with their sign bits by one look into a table.
//!
//! A table is looked into with the next [`FIRST_BITS`] bits; a code word that is longer, signs counted in, links to a second table
//! for what follows. Values come out raised to the power of 4/3 and signed, not yet multiplied by their band's gain.

use std::sync::LazyLock;

use super::{
    LINES, Spectrum,
    bits::{Bits, top},
    codes::{Codes, FIRST_WITH_LINBITS, PAIRS, QUADRUPLES, SELECTABLE},
    side_info::Granule,
};

/// Bits of the first look. With ten, five in six code words of loud music need no second; the table is 4 KiB.
const FIRST_BITS: u32 = 10;
/// Largest value of a code word itself.
const WORD_MAX: u8 = 15;
/// Largest value: 15 and 13 bits more.
const VALUE_MAX: usize = WORD_MAX as usize + (1 << 13) - 1;

/// What a look finds, in bits:
///
/// | | 0–7 | 8–15 | 16–23 | 30 | 31 |
/// |---|---|---|---|---|---|
/// | two values | length with signs | 15 + x | 15 + y | 0 | 0 |
/// | a value of 15 with more bits to come | length without signs | 15 + \|x\| | 15 + \|y\| | 0 | 1 |
/// | a link | bits of the second look | its table's place, to bit 29 | | 1 | 0 |
type Entry = u32;

const LINK: Entry = 1 << 30;
const ESCAPE: Entry = 1 << 31;

struct Tree {
    first: Box<[Entry; 1 << FIRST_BITS]>,
    second: Vec<Entry>,
}

/// Everything computed from the code tables, once.
pub(super) struct Tables {
    pairs: Vec<Tree>,
    /// By table and the next ten bits: length, and four fields of two bits (0, 1, 2 for −1) from bit 8 on.
    quadruples: [Box<[u16; 1 << FIRST_BITS]>; 2],
    /// n^(4/3).
    powers: Vec<f32>,
    /// The same of −15 to 15, by 15 + n.
    signed: [f32; 32],
}

impl Tables {
    pub(super) fn get() -> &'static Tables {
        static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);
        &TABLES
    }

    fn new() -> Tables {
        let powers: Vec<f32> = (0..=VALUE_MAX).map(|value| (value as f64).powf(4.0 / 3.0) as f32).collect();
        let mut signed = [0.0; 32];
        for (at, to) in signed.iter_mut().enumerate().take(2 * usize::from(WORD_MAX) + 1) {
            let value = at as f64 - f64::from(WORD_MAX);
            *to = (value.abs().powf(4.0 / 3.0) * value.signum()) as f32;
        }
        let pairs = PAIRS.iter().enumerate().map(|(at, codes)| Tree::new(codes, at >= FIRST_WITH_LINBITS)).collect();
        Tables { pairs, quadruples: QUADRUPLES.map(quadruple_table), powers, signed }
    }
}

/// A code word with signs: where its bits begin, left-aligned in 32; how many they are; and what it stands for.
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

/// All code words of a table with all signs, in ascending order.
fn words(codes: Codes, has_linbits: bool) -> Vec<Word> {
    let mut words = Vec::new();
    let mut bits = 0u32;
    for code in codes {
        let length = u32::from(code >> 8);
        let [x, y] = [(code >> 4) as u8 & WORD_MAX, *code as u8 & WORD_MAX];
        if has_linbits && (x == WORD_MAX || y == WORD_MAX) {
            words.push(Word { bits, length, entry: ESCAPE | entry(length, i32::from(x), i32::from(y)) });
        } else {
            let (x_signs, y_signs) = (u32::from(x != 0), u32::from(y != 0));
            let total = length + x_signs + y_signs;
            for signs in 0..1 << (x_signs + y_signs) {
                let signed = |value: u8, sign: u32| if sign & 1 == 1 { -i32::from(value) } else { i32::from(value) };
                let entry = entry(total, signed(x, signs >> y_signs), signed(y, signs & y_signs));
                words.push(Word { bits: bits | signs << (32 - total), length: total, entry });
            }
        }
        bits = bits.wrapping_add(1 << (32 - length));
    }
    words
}

fn entry(length: u32, x: i32, y: i32) -> Entry {
    let field = |value: i32| (value + i32::from(WORD_MAX)) as u32;
    length | field(x) << 8 | field(y) << 16
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
        let Some(tree) = codes.tree.and_then(|tree| self.pairs.get(tree)) else {
            lines.fill(0.0);
            return;
        };
        for pair in lines.as_chunks_mut().0 {
            let window = bits.window();
            let entry = tree.look(window);
            bits.skip((entry & 0xff) as usize);
            if entry & ESCAPE == 0 {
                let value = |shift: u32| self.signed[(entry >> shift & 31) as usize];
                *pair = [value(8), value(16)];
            } else {
                *pair = self.escaped(bits, [entry >> 8, entry >> 16], codes.linbits);
            }
        }
    }

    /// Two values whose signs stand apart, with perhaps more of the value before each.
    fn escaped(&self, bits: &mut Bits<'_>, fields: [u32; 2], linbits: u32) -> [f32; 2] {
        let mut window = bits.window();
        let mut used = 0;
        let values = fields.map(|field| {
            let mut value = (field & 0xff) - u32::from(WORD_MAX);
            if value == u32::from(WORD_MAX) {
                value += top(window, linbits);
                window <<= linbits;
                used += linbits;
            }
            let power = self.powers.get(value as usize).copied().unwrap_or_default();
            if value == 0 {
                return 0.0;
            }
            let is_negative = window >> 63 == 1;
            window <<= 1;
            used += 1;
            if is_negative { -power } else { power }
        });
        bits.skip(used as usize);
        values
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
