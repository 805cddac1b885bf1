//! Pulses: what they cost, and the vector that a codeword stands for (RFC 6716 §4.3.4.1, §4.3.4.2).
//!
//! With U(n, k) = V(n − 1, 0) + … + V(n − 1, k − 1), there are V(n, k) = U(n, k) + U(n, k + 1) vectors of n integers whose magnitudes
//! add up to k. Codewords count first those that begin with a positive integer, U(n, k) of them, then those that begin with zero, then
//! those that begin with a negative one. So a codeword's distance from the middle of all stays the same while zeros are taken off its
//! front: of the zeros before the next pulse only their count is looked for, in the row of V(·, k).

use super::tables::{BANDS, COST_INDEX, COSTS, SIZE_MAX};

/// U is symmetric: rows hold the smaller argument, columns the larger.
const ROWS: usize = 16;
const COLUMNS: usize = 178;

/// U(row, column), and as much as an integer holds where it is larger: no codeword is there.
static COUNTS: [[u32; COLUMNS]; ROWS] = counts();
/// V(column, row): all vectors of so many integers with few pulses.
static VECTORS: [[u32; COLUMNS]; ROWS - 1] = vectors();

/// By U(n, k) = U(n − 1, k) + U(n, k − 1) + U(n − 1, k − 1).
const fn counts() -> [[u32; COLUMNS]; ROWS] {
    let mut counts = [[0_u32; COLUMNS]; ROWS];
    counts[0][0] = 1;
    let mut row = 1;
    while row < ROWS {
        let mut column = 1;
        while column < COLUMNS {
            let sum = counts[row - 1][column].saturating_add(counts[row][column - 1]);
            counts[row][column] = sum.saturating_add(counts[row - 1][column - 1]);
            column += 1;
        }
        row += 1;
    }
    counts
}

const fn vectors() -> [[u32; COLUMNS]; ROWS - 1] {
    let counts = counts();
    let mut vectors = [[0_u32; COLUMNS]; ROWS - 1];
    let mut row = 0;
    while row < ROWS - 1 {
        let mut column = 0;
        while column < COLUMNS {
            vectors[row][column] = counts[row][column].saturating_add(counts[row + 1][column]);
            column += 1;
        }
        row += 1;
    }
    vectors
}

#[inline]
fn count(a: usize, b: usize) -> u32 {
    COUNTS[a.min(b)][a.max(b)]
}

/// Vectors of `length` integers, 2 or more, with so many pulses, 1 or more: what the codeword is out of.
#[inline]
pub(super) fn codewords(length: usize, pulses: usize) -> u32 {
    count(length, pulses).saturating_add(count(length, pulses + 1))
}

/// Writes the vector of a codeword and returns the sum of its squares.
pub(super) fn vector(mut codeword: u32, mut pulses: usize, shape: &mut [f32]) -> f32 {
    let mut squares = 0;
    let length = shape.len();
    let mut left = length;
    shape.fill(0.0);
    while left > 2 && pulses > 1 {
        if pulses < left.min(ROWS - 1) {
            // The distance is doubled, so that it is whole.
            let row = &VECTORS[pulses];
            let distance = 2 * i64::from(codeword) + 1 - i64::from(row[left]);
            let is_zero = |all: &u32| distance.unsigned_abs() < u64::from(*all);
            left -= row[2..left].iter().rev().take_while(|all| is_zero(all)).count();
            codeword = ((distance + i64::from(row[left]) - 1) / 2) as u32;
            if left <= 2 {
                break;
            }
        }
        let (positive, others) = (count(left, pulses), count(left, pulses + 1));
        if (positive..others).contains(&codeword) {
            codeword -= positive;
            left -= 1;
            continue;
        }
        let is_negative = codeword >= others;
        codeword -= if is_negative { others } else { 0 };
        let before = pulses;
        let below = loop {
            pulses -= 1;
            let below = count(left, pulses);
            if below <= codeword {
                break below;
            }
        };
        codeword -= below;
        let size = (before - pulses) as i32;
        squares += size * size;
        shape[length - left] = if is_negative { -size as f32 } else { size as f32 };
        left -= 1;
    }
    let rest = &mut shape[length - left..];
    squares += match pulses {
        0 => 0,
        1 => last_pulse(codeword, rest),
        _ => last_pair(codeword, pulses, rest),
    };
    squares as f32
}

/// One pulse: V(n, 1) = 2n, so that its place is half the distance.
fn last_pulse(codeword: u32, shape: &mut [f32]) -> i32 {
    let distance = 2 * i64::from(codeword) + 1 - 2 * shape.len() as i64;
    let rest = distance.unsigned_abs().div_ceil(2) as usize;
    let place = shape.len() - rest;
    shape[place] = if distance > 0 { -1.0 } else { 1.0 };
    1
}

/// The last two integers, whose counts are simple: U(2, k) = 2k − 1, and one alone has only its sign.
fn last_pair(codeword: u32, pulses: usize, shape: &mut [f32]) -> i32 {
    let [first, second] = shape else { return 0 };
    let signed = |is_negative: bool, size: i32| if is_negative { -size as f32 } else { size as f32 };
    let (all, mut codeword) = (pulses as u32, codeword);
    let is_negative = codeword > 2 * all;
    if is_negative {
        codeword -= 2 * all + 1;
    }
    let rest = codeword.div_ceil(2).min(all);
    codeword = if rest > 0 { codeword - (2 * rest - 1) } else { codeword };
    let (size, rest) = ((all - rest) as i32, rest as i32);
    *first = signed(is_negative, size);
    *second = signed(codeword != 0, rest);
    size * size + rest * rest
}

/// Pulses of a step of the costs' table (§4.3.4.1): each up to eight, then ever fewer.
pub(super) fn pulses_of(step: usize) -> usize {
    if step < 8 { step } else { (8 + (step & 7)) << ((step >> 3) - 1) }
}

/// Different rows of costs, and a limit of what a step of them costs.
const COST_ROWS: usize = 23;
const COST_LIMIT: usize = 257;

/// The step whose cost is nearest to so many eighths of a bit, for each row of costs.
static NEAREST: [[u8; COST_LIMIT]; COST_ROWS] = nearest();

const fn nearest() -> [[u8; COST_LIMIT]; COST_ROWS] {
    let mut nearest = [[0; COST_LIMIT]; COST_ROWS];
    let (mut row, mut begin) = (0, 0);
    while row < COST_ROWS {
        let steps = COSTS[begin] as usize;
        let (mut step, mut eighths) = (0, 0);
        while eighths < COST_LIMIT {
            // The cost of no pulses is nothing; where two are as near, the lower one is taken.
            while step < steps {
                let below = if step == 0 { 0 } else { COSTS[begin + step] as usize + 1 };
                let above = COSTS[begin + step + 1] as usize + 1;
                if 2 * eighths <= below + above {
                    break;
                }
                step += 1;
            }
            nearest[row][eighths] = step as u8;
            eighths += 1;
        }
        begin += steps + 1;
        row += 1;
    }
    nearest
}

/// The row of each entry of [`COST_INDEX`].
static ROWS_OF_COSTS: [[u8; BANDS]; SIZE_MAX + 2] = rows_of_costs();

const fn rows_of_costs() -> [[u8; BANDS]; SIZE_MAX + 2] {
    let mut rows = [[0; BANDS]; SIZE_MAX + 2];
    let mut entry = 0;
    while entry < BANDS * (SIZE_MAX + 2) {
        let (mut row, mut begin) = (0, 0);
        while (begin as i16) < COST_INDEX[entry / BANDS][entry % BANDS] {
            begin += COSTS[begin] as usize + 1;
            row += 1;
        }
        rows[entry / BANDS][entry % BANDS] = row;
        entry += 1;
    }
    rows
}

/// What pulses cost in a band whose blocks are 2^(`size` − 1) short blocks long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Costs {
    /// The last step first, then the costs of the steps from 1 on.
    table: &'static [u8],
    nearest: &'static [u8; COST_LIMIT],
}

impl Costs {
    #[inline]
    pub(super) fn of(band: usize, size: usize) -> Costs {
        let at = COST_INDEX[size][band].max(0) as usize;
        let steps = usize::from(COSTS[at]);
        Costs { table: &COSTS[at..=at + steps], nearest: &NEAREST[usize::from(ROWS_OF_COSTS[size][band])] }
    }

    /// The most that one codeword can use, in eighths of a bit, less one.
    #[inline]
    pub(super) fn largest(self) -> i32 {
        i32::from(self.table[self.table.len() - 1])
    }

    /// Eighths of a bit that a step costs.
    #[inline]
    pub(super) fn cost(self, step: usize) -> i32 {
        if step == 0 { 0 } else { i32::from(self.table[step]) + 1 }
    }

    /// The step whose cost is nearest to so many eighths of a bit.
    #[inline]
    pub(super) fn nearest(self, eighths: i32) -> usize {
        usize::from(self.nearest[(eighths.max(0) as usize).min(COST_LIMIT - 1)])
    }
}
