//! Codewords (Vorbis I §3.2.1) and how they are looked up: several bits at once, those of long ones in one or two further steps.

use super::{Refused, bits::Bits};

/// Bits that the first table of a codebook is looked up by.
const ROOT_BITS: u32 = 9;
/// Bits that each further table is looked up by at most.
const BRANCH_BITS: u32 = 6;
/// Marks a slot that leads to a further table.
const LINK: u32 = 0x40;
/// Bits of a slot with a length: the codeword's, or of the further table's index.
const LENGTH_MASK: u32 = 0x3f;
/// Where a slot's content begins: the entry, for links an offset.
const CONTENT: u32 = 7;
/// Bits that codewords are passed over by in one step, and those of its slot that say how many bits the codewords have that are
/// whole in them. The rest says how many codewords they are.
const STRIDE_BITS: u32 = 10;
const STRIDE_LENGTH_BITS: u32 = 4;
/// The longest codeword.
pub(super) const LENGTH_MAX: usize = 32;

/// A codeword, from the top of the word on, and the entry that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) bits: u32,
    pub(super) length: u32,
    pub(super) entry: u32,
}

impl Code {
    fn slot(&self) -> u32 {
        self.entry << CONTENT | self.length
    }
}

/// Gives each entry the lowest free codeword of its length; entries of length 0 have none.
///
/// # Errors
/// Codewords are left over or lacking. A lone codeword of one bit is in order (errata of 2015).
pub(super) fn codewords(lengths: &[u8]) -> Result<Vec<Code>, Refused> {
    // The free parts of the tree, by their depth. The lowest one that has room is cut in two until one of its parts is of the length
    // wanted: so there is never more than one of a depth, and the deeper, the lower its codewords.
    let mut free = [None; LENGTH_MAX + 1];
    free[0] = Some(0u32);
    let used = lengths.iter().filter(|length| **length > 0).count();
    let mut codes = Vec::with_capacity(used);
    for (entry, length) in (0..).zip(lengths).filter(|(_, length)| **length > 0) {
        let length = usize::from(*length);
        let above = free.iter().take(length + 1).rposition(Option::is_some);
        let depth = above.ok_or(Refused::Damaged("a codebook has more entries than codewords"))?;
        let bits = free.get_mut(depth).and_then(Option::take).unwrap_or_default();
        for (depth, part) in free.iter_mut().enumerate().take(length + 1).skip(depth + 1) {
            *part = Some(bits | 1 << (LENGTH_MAX - depth));
        }
        codes.push(Code { bits, length: length as u32, entry });
    }
    let is_lone = matches!(*codes, [Code { length: 1, .. }]);
    if !codes.is_empty() && !is_lone && free.iter().any(Option::is_some) {
        return Err(Refused::Damaged("a codebook has more codewords than entries"));
    }
    Ok(codes)
}

/// One codebook's lookup. The bits of an index come in the order of the packet, the codeword's first at the bottom.
#[derive(Debug)]
pub(super) struct Codes {
    root: Box<[u32; 1 << ROOT_BITS]>,
    branches: Vec<u32>,
    /// Whole codewords in the next [`STRIDE_BITS`] bits; 0 where there is none.
    strides: Option<Box<[u8; 1 << STRIDE_BITS]>>,
}

impl Codes {
    /// Builds the lookup of codewords, of which there is at least one; `is_passed_over` if it will be used for that.
    pub(super) fn new(mut codes: Vec<Code>, is_passed_over: bool) -> Codes {
        codes.sort_unstable_by_key(|code| code.bits);
        let mut table = Codes { root: Box::new([0; 1 << ROOT_BITS]), branches: Vec::new(), strides: None };
        let mut root = std::mem::replace(&mut table.root, Box::new([0; 1 << ROOT_BITS]));
        match *codes {
            // Its bit is read and may be either.
            [lone] => root.fill(lone.slot()),
            _ => table.fill(&codes, 0, ROOT_BITS, root.as_mut_slice()),
        }
        table.root = root;
        if is_passed_over {
            table.strides = Some(Box::new(std::array::from_fn(|window| table.stride(window as u64))));
        }
        table
    }

    /// Reads a codeword.
    #[inline(always)]
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> usize {
        bits.refill();
        let slot = self.find(bits.ahead());
        bits.consume(slot & LENGTH_MASK);
        (slot >> CONTENT) as usize
    }

    #[inline(always)]
    fn find(&self, ahead: u64) -> u32 {
        let slot = self.root[(ahead & ((1 << ROOT_BITS) - 1)) as usize];
        if slot & LINK == 0 { slot } else { self.descend(ahead >> ROOT_BITS, slot) }
    }

    fn descend(&self, mut rest: u64, mut slot: u32) -> u32 {
        while slot & LINK != 0 {
            let index_bits = slot & LENGTH_MASK;
            let index = (slot >> CONTENT) as usize + (rest & ((1 << index_bits) - 1)) as usize;
            rest >>= index_bits;
            slot = self.branches.get(index).copied().unwrap_or(0);
        }
        slot
    }

    /// Passes over so many codewords.
    pub(super) fn skip(&self, bits: &mut Bits<'_>, codewords: usize) {
        let mut left = codewords;
        while left > 0 {
            bits.refill();
            let window = (bits.ahead() & ((1 << STRIDE_BITS) - 1)) as usize;
            let stride = self.strides.as_ref().map_or(0, |strides| strides[window]);
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
    fn stride(&self, window: u64) -> u8 {
        let (mut rest, mut length, mut count) = (window, 0, 0);
        loop {
            let next = self.find(rest) & LENGTH_MASK;
            if next == 0 || STRIDE_BITS < length + next {
                return (count << STRIDE_LENGTH_BITS | length) as u8;
            }
            length += next;
            count += 1;
            rest >>= next;
        }
    }

    /// Fills a table looked up by `width` bits behind the first `known` ones, which all of `codes` share.
    fn fill(&mut self, codes: &[Code], known: u32, width: u32, slots: &mut [u32]) {
        let prefix = |code: &Code| code.bits << known >> (32 - width);
        for same in codes.chunk_by(|a, b| prefix(a) == prefix(b)) {
            let Some(first) = same.first() else { continue };
            let at = (prefix(first).reverse_bits() >> (32 - width)) as usize;
            let longest = same.iter().map(|code| code.length).max().unwrap_or(0);
            if longest <= known + width {
                // All that can stand behind a short codeword.
                let copies = slots.iter_mut().skip(at).step_by(1 << (first.length - known));
                copies.for_each(|slot| *slot = first.slot());
                continue;
            }
            let branch_bits = (longest - known - width).min(BRANCH_BITS);
            let mut branch = vec![0; 1 << branch_bits];
            self.fill(same, known + width, branch_bits, &mut branch);
            let link = (self.branches.len() as u32) << CONTENT | LINK | branch_bits;
            slots.iter_mut().skip(at).take(1).for_each(|slot| *slot = link);
            self.branches.append(&mut branch);
        }
    }
}
