//! One channel's part of a band: split in halves until a codeword can hold a half's pulses (RFC 6716 §4.3.4.4).

use super::{
    pulses::{self, Costs},
    range::RangeDecoder,
    resolution::{Order, haar, unspread},
    theta::{RIGHT_ANGLE, Split, Theta},
};

const BIT: i32 = 8;
/// Bits that the first half may leave to it before the second has them.
const REBALANCE: i32 = 3 * BIT;

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) lines: usize,
    pub(super) bits: i32,
    /// The blocks are 2^`size` short blocks long, −1 for half of one.
    pub(super) size: i32,
    pub(super) blocks: usize,
}

/// How what is read is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) gain: f32,
    /// Blocks that are folded where there are no pulses.
    pub(super) fill: u32,
}

/// One band while it is read.
#[derive(Debug)]
pub(super) struct Band<'r, 'a> {
    pub(super) range: &'r mut RangeDecoder<'a>,
    pub(super) band: usize,
    /// Eighths of a bit left in the frame.
    pub(super) left: i32,
    /// How the band's resolution is changed: positive is finer in frequency.
    pub(super) change: i32,
    pub(super) spread: usize,
    /// Of the noise.
    pub(super) seed: u32,
}

/// How a band's blocks become what is coded: so many pairs of them joined, then so many times halved.
#[derive(Clone, Copy, Debug)]
struct Resolution {
    joined: u32,
    halved: u32,
    blocks: usize,
}

impl Resolution {
    fn of(part: Part, change: i32) -> Resolution {
        let joined = change.max(0) as u32;
        let mut blocks = part.blocks >> joined;
        let mut each = (part.lines / part.blocks) << joined;
        let mut halved = 0;
        while each & 1 == 0 && (halved as i32) < -change {
            blocks <<= 1;
            each >>= 1;
            halved += 1;
        }
        Resolution { joined, halved, blocks }
    }
}

impl Band<'_, '_> {
    /// The sign of a line that is alone, if there is a bit left.
    pub(super) fn read_sign(&mut self, shape: &mut [f32]) {
        let mut is_negative = false;
        if self.left >= BIT {
            is_negative = self.range.raw(1) == 1;
            self.left -= BIT;
        }
        if let [line] = shape {
            *line = if is_negative { -1.0 } else { 1.0 };
        }
    }

    /// Passes over the symbols of a part.
    pub(super) fn pass(&mut self, part: Part) {
        if part.lines == 1 {
            return self.read_sign(&mut []);
        }
        let blocks = Resolution::of(part, self.change).blocks;
        self.partition::<false>(Part { blocks, ..part }, &mut [], None, Heard { gain: 0.0, fill: 0 });
    }

    /// Reads the shape of one channel, whose blocks without pulses fold `source`, and tells which blocks have something.
    pub(super) fn read(&mut self, part: Part, shape: &mut [f32], mut source: Option<&mut [f32]>, heard: Heard) -> u32 {
        if part.lines == 1 {
            self.read_sign(shape);
            return 1;
        }
        let resolution = Resolution::of(part, self.change);
        let Resolution { joined, halved, blocks } = resolution;
        let mut fill = heard.fill;
        for step in 0..joined {
            if let Some(source) = &mut source {
                haar(source, 1 << step);
            }
            fill = join_pairs(fill);
        }
        for step in 0..halved {
            let blocks = (part.blocks >> joined) << step;
            if let Some(source) = &mut source {
                haar(source, blocks);
            }
            fill |= fill << blocks;
        }
        let order = Order { blocks: blocks << joined, is_hadamard: part.blocks == 1 };
        if let (Some(source), true) = (&mut source, blocks > 1) {
            order.by_block(source);
        }
        let heard = Heard { fill, ..heard };
        let mut mask = self.partition::<true>(Part { blocks, ..part }, shape, source.as_deref(), heard);
        if blocks > 1 {
            order.by_line(shape);
        }
        for step in (0..halved).rev() {
            let blocks = (part.blocks >> joined) << step;
            mask |= mask >> blocks;
            haar(shape, blocks);
        }
        for step in 0..joined {
            mask = split_pairs(mask);
            haar(shape, 1 << step);
        }
        mask & ((1 << part.blocks) - 1)
    }

    /// Reads a part, or passes over it where it is not `HEARD`: then there are no lines.
    fn partition<const HEARD: bool>(
        &mut self,
        part: Part,
        shape: &mut [f32],
        source: Option<&[f32]>,
        heard: Heard,
    ) -> u32 {
        /// Eighths of a bit beyond the largest codeword from which splitting is better.
        const SPLIT_BEYOND: i32 = 12;
        let costs = Costs::of(self.band, (part.size + 1) as usize);
        if part.size >= 0 && part.bits > costs.largest() + SPLIT_BEYOND && part.lines > 2 {
            return self.split::<HEARD>(part, shape, source, heard);
        }
        let mut step = costs.nearest(part.bits);
        self.left -= costs.cost(step);
        while self.left < 0 && step > 0 {
            self.left += costs.cost(step);
            step -= 1;
            self.left -= costs.cost(step);
        }
        if step == 0 {
            return if HEARD { self.fill(part, shape, source, heard) } else { 0 };
        }
        let pulses = pulses::pulses_of(step);
        let codeword = self.range.uniform(pulses::codewords(part.lines, pulses));
        if !HEARD {
            return 0;
        }
        let squares = pulses::vector(codeword, pulses, shape);
        // Blocks are known by their pulses before those are spread.
        let mask = match part.blocks {
            1 => 1,
            blocks => shape
                .chunks_exact(part.lines / blocks)
                .enumerate()
                .fold(0, |mask, (block, lines)| mask | u32::from(lines.iter().any(|line| *line != 0.0)) << block),
        };
        let scale = heard.gain / squares.sqrt();
        shape.iter_mut().for_each(|line| *line *= scale);
        unspread(shape, part.blocks, pulses, self.spread);
        mask
    }

    fn split<const HEARD: bool>(&mut self, part: Part, shape: &mut [f32], source: Option<&[f32]>, heard: Heard) -> u32 {
        let half = Part { lines: part.lines / 2, bits: 0, size: part.size - 1, blocks: part.blocks.div_ceil(2) };
        let mut fill = heard.fill;
        if part.blocks == 1 {
            fill = fill & 1 | fill << 1;
        }
        let is_in_time = part.blocks > 1;
        let split = Split { band: self.band, lines: half.lines, size: half.size, is_stereo: false, is_in_time };
        let tell = self.range.tell_eighths();
        let steps = split.steps(part.bits);
        let mut theta = if steps > 1 { split.read(self.range, steps) } else { Theta::of(0, half.lines) };
        let used = self.range.tell_eighths() - tell;
        let all = (1 << half.blocks) - 1;
        match theta.angle {
            0 => fill &= all,
            RIGHT_ANGLE => fill &= all << half.blocks,
            angle if is_in_time && angle > RIGHT_ANGLE / 2 => theta.delta -= theta.delta >> (4 - half.size),
            _ if is_in_time => theta.delta = (theta.delta + ((half.lines as i32 * BIT) >> (5 - half.size))).min(0),
            _ => {}
        }
        self.left -= used;
        let halves = self.halves(part.bits - used, theta);
        let (first, second) = shape.split_at_mut(if HEARD { half.lines } else { 0 });
        let (source, source_second) = source.map(|source| source.split_at(half.lines)).unzip();
        let mut mask = 0;
        self.read_halves(halves, theta, |band, is_second, bits| {
            let half = Part { bits, ..half };
            if is_second {
                let heard = Heard { gain: heard.gain * theta.side(), fill: fill >> half.blocks };
                mask |= band.partition::<HEARD>(half, second, source_second, heard) << (part.blocks >> 1);
            } else {
                let heard = Heard { gain: heard.gain * theta.middle(), fill };
                mask |= band.partition::<HEARD>(half, first, source, heard);
            }
        });
        mask
    }

    /// The bits of both halves.
    pub(super) fn halves(&self, bits: i32, theta: Theta) -> [i32; 2] {
        let first = ((bits - theta.delta) / 2).min(bits).max(0);
        [first, bits - first]
    }

    /// Reads the larger half first: what it leaves goes to the other, if there is anything in that.
    pub(super) fn read_halves(
        &mut self,
        [first, second]: [i32; 2],
        theta: Theta,
        mut read: impl FnMut(&mut Self, bool, i32),
    ) {
        let is_second = first < second;
        let (large, small) = if is_second { (second, first) } else { (first, second) };
        let before = self.left;
        read(self, is_second, large);
        let saved = large - (before - self.left);
        let has_none = theta.angle == if is_second { RIGHT_ANGLE } else { 0 };
        let more = if saved > REBALANCE && !has_none { saved - REBALANCE } else { 0 };
        read(self, !is_second, small + more);
    }

    /// Fills a part that has no pulses: with what a lower band has, or with noise.
    fn fill(&mut self, part: Part, shape: &mut [f32], source: Option<&[f32]>, heard: Heard) -> u32 {
        /// What is added to a fold, so that it is no copy, 48 dB below it.
        const NOISE: f32 = 1.0 / 256.0;
        let all = (1 << part.blocks) - 1;
        let fill = heard.fill & all;
        if fill == 0 {
            shape.fill(0.0);
            return 0;
        }
        match source {
            Some(source) => {
                for (line, source) in shape.iter_mut().zip(source) {
                    noise_step(&mut self.seed);
                    *line = source + if self.seed & 0x8000 != 0 { NOISE } else { -NOISE };
                }
            }
            None => {
                for line in shape.iter_mut() {
                    noise_step(&mut self.seed);
                    *line = ((self.seed as i32) >> 20) as f32;
                }
            }
        }
        normalise(shape, heard.gain);
        if source.is_some() { fill } else { all }
    }
}

/// The generator of noise (§4.3.4.2 and `celt_lcg_rand`).
pub(super) fn noise_step(seed: &mut u32) {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
}

/// Gives a vector a length.
pub(super) fn normalise(shape: &mut [f32], gain: f32) {
    let squares: f32 = shape.iter().map(|line| line * line).sum();
    let scale = gain / (squares + 1e-15).sqrt();
    shape.iter_mut().for_each(|line| *line *= scale);
}

/// Blocks that have something after each two neighbours are joined: of up to eight.
fn join_pairs(mask: u32) -> u32 {
    (0..4).fold(0, |joined, pair| joined | u32::from(mask >> (2 * pair) & 3 != 0) << pair)
}

/// And before.
fn split_pairs(mask: u32) -> u32 {
    (0..4).fold(0, |split, pair| split | ((mask >> pair & 1) * 3) << (2 * pair))
}
