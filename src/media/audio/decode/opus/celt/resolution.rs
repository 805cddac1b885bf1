//! Changes of a band's resolution in time and frequency by Haar transforms, and the order of its lines (RFC 6716 §4.3.4.5), and the
//! rotation that spreads pulses (§4.3.4.3).

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_PI_2};

/// The most blocks that a band has.
const BLOCKS_MAX: usize = 16;
/// Lines of the widest band.
pub(super) const BAND_LINES_MAX: usize = 22 << 3;

/// The place of each block among those of a Hadamard transform, ordered by sequency from the highest down; for 2, 4, 8, 16 blocks.
const SEQUENCIES: [&[usize]; 4] =
    [&[1, 0], &[3, 0, 2, 1], &[7, 0, 4, 3, 6, 1, 5, 2], &[15, 0, 8, 7, 12, 3, 11, 4, 14, 1, 9, 6, 13, 2, 10, 5]];

/// One step of a Haar transform over the lines of `stride` interleaved blocks. It is its own inverse.
pub(super) fn haar(lines: &mut [f32], stride: usize) {
    for pair in lines.chunks_exact_mut(2 * stride) {
        let (evens, odds) = pair.split_at_mut(stride);
        for (even, odd) in evens.iter_mut().zip(odds) {
            let (a, b) = (FRAC_1_SQRT_2 * *even, FRAC_1_SQRT_2 * *odd);
            (*even, *odd) = (a + b, a - b);
        }
    }
}

/// How the lines of a band with several blocks are ordered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) blocks: usize,
    /// Whether the blocks are made of one long one.
    pub(super) is_hadamard: bool,
}

impl Order {
    fn place(self, block: usize) -> usize {
        match self.is_hadamard {
            true => SEQUENCIES[self.blocks.trailing_zeros() as usize - 1][block],
            false => block,
        }
    }

    /// From lines with blocks interleaved to one block after the other.
    pub(super) fn by_block(self, lines: &mut [f32]) {
        let mut copy = [0.0; BAND_LINES_MAX];
        let each = lines.len() / self.blocks;
        for block in 0..self.blocks.min(BLOCKS_MAX) {
            let to = &mut copy[self.place(block) * each..][..each];
            for (to, from) in to.iter_mut().zip(lines[block..].iter().step_by(self.blocks)) {
                *to = *from;
            }
        }
        lines.copy_from_slice(&copy[..lines.len()]);
    }

    /// And back.
    pub(super) fn by_line(self, lines: &mut [f32]) {
        let mut copy = [0.0; BAND_LINES_MAX];
        let copy = &mut copy[..lines.len()];
        let each = lines.len() / self.blocks;
        for block in 0..self.blocks.min(BLOCKS_MAX) {
            let from = &lines[self.place(block) * each..][..each];
            for (to, from) in copy[block..].iter_mut().step_by(self.blocks).zip(from) {
                *to = *from;
            }
        }
        lines.copy_from_slice(copy);
    }
}

/// How much pulses are spread: divisors of the rotation's angle for the frame's choice.
const SPREADS: [usize; 4] = [0, 15, 10, 5];

/// Undoes the rotation by which a vector of so many pulses was made fit for few pulses.
pub(super) fn unspread(shape: &mut [f32], blocks: usize, pulses: usize, spread: usize) {
    let length = shape.len();
    if 2 * pulses >= length || spread == 0 {
        return;
    }
    let gain = length as f32 / (length + SPREADS[spread] * pulses) as f32;
    let angle = FRAC_PI_2 * (gain * gain / 2.0);
    let (sine, cosine) = angle.sin_cos();
    // The root of a block's length, rounded.
    let mut stride = 0;
    if length >= 8 * blocks {
        stride = 1;
        while (stride * stride + stride) * blocks + (blocks >> 2) < length {
            stride += 1;
        }
    }
    for block in shape.chunks_exact_mut(length / blocks) {
        if stride > 0 {
            rotate(block, stride, sine, cosine);
        }
        rotate(block, 1, cosine, sine);
    }
}

/// Rotates pairs of lines `stride` apart, forwards and then backwards.
fn rotate(block: &mut [f32], stride: usize, cosine: f32, sine: f32) {
    let Some(last) = block.len().checked_sub(stride) else { return };
    if stride == 1 {
        return rotate_neighbours(block, cosine, sine);
    }
    for at in 0..last {
        let (a, b) = (block[at], block[at + stride]);
        block[at + stride] = cosine * b + sine * a;
        block[at] = cosine * a - sine * b;
    }
    for at in (0..last.saturating_sub(stride)).rev() {
        let (a, b) = (block[at], block[at + stride]);
        block[at + stride] = cosine * b + sine * a;
        block[at] = cosine * a - sine * b;
    }
}

/// The same of neighbours: what goes from pair to pair stays in a register.
fn rotate_neighbours(block: &mut [f32], cosine: f32, sine: f32) {
    let [first, rest @ ..] = &mut *block else { return };
    let mut carried = *first;
    let mut before = first;
    for line in rest {
        *before = cosine * carried - sine * *line;
        carried = cosine * *line + sine * carried;
        before = line;
    }
    *before = carried;
    // The last pair was just rotated.
    let Some((_, inner)) = block.split_last_mut() else { return };
    let Some((last, inner)) = inner.split_last_mut() else { return };
    let mut carried = *last;
    let mut behind = last;
    for line in inner.iter_mut().rev() {
        let a = *line;
        *behind = cosine * carried + sine * a;
        carried = cosine * a - sine * carried;
        behind = line;
    }
    *behind = carried;
}
