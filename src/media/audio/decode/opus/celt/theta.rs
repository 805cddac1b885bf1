//! The angle by which a band's energy splits in two: between halves of it, or between the middle and the side (RFC 6716 §4.3.4.4).

use super::{range::RangeDecoder, tables::LOG_WIDTHS};

const BIT: i32 = 8;
/// A quarter of a turn: all energy is in the second part.
pub(super) const RIGHT_ANGLE: i32 = 16_384;
/// Offsets of the angle's resolution from its share of the bits; for two lines of stereo, whose angle is all there is.
const OFFSET: i32 = 4;
const OFFSET_PAIR: i32 = 16;

/// What is split.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) band: usize,
    /// Lines of each part, and the size of their blocks.
    pub(super) lines: usize,
    pub(super) size: i32,
    pub(super) is_stereo: bool,
    /// Whether the parts are of different time, so that all angles are as likely.
    pub(super) is_in_time: bool,
}

/// The angle that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theta {
    pub(super) angle: i32,
    /// Gains of both parts, times 2¹⁵.
    middle: i32,
    side: i32,
    /// By how much more the first part needs than the second, in eighths of a bit.
    pub(super) delta: i32,
}

impl Split {
    /// Steps of the angle that `bits` allow; 1 where it is not coded.
    pub(super) fn steps(self, bits: i32) -> u32 {
        /// 2^(14 + k/8).
        const EXPONENTIALS: [u32; 8] = [16_384, 17_866, 19_483, 21_247, 23_170, 25_267, 27_554, 30_048];
        let is_pair = self.is_stereo && self.lines == 2;
        let cap = LOG_WIDTHS[self.band] + self.size * BIT;
        let offset = (cap >> 1) - if is_pair { OFFSET_PAIR } else { OFFSET };
        let freedom = 2 * self.lines as i32 - 1 - i32::from(is_pair);
        let eighths = ((bits + freedom * offset) / freedom).min(bits - cap - 4 * BIT).min(8 * BIT);
        if eighths < BIT / 2 {
            return 1;
        }
        let steps = EXPONENTIALS[eighths as usize & 7] >> (14 - (eighths >> 3));
        (steps + 1) & !1
    }

    /// Reads an angle of more than one step.
    pub(super) fn read(self, range: &mut RangeDecoder<'_>, steps: u32) -> Theta {
        let angle = if self.is_stereo && self.lines > 2 {
            read_stepped(range, steps)
        } else if self.is_stereo || self.is_in_time {
            range.uniform(steps + 1)
        } else {
            read_triangular(range, steps)
        };
        Theta::of(angle as i32 * RIGHT_ANGLE / steps as i32, self.lines)
    }
}

impl Theta {
    pub(super) fn of(angle: i32, lines: usize) -> Theta {
        match angle {
            0 => Theta { angle, middle: 32_767, side: 0, delta: -RIGHT_ANGLE },
            RIGHT_ANGLE => Theta { angle, middle: 0, side: 32_767, delta: RIGHT_ANGLE },
            _ => {
                let (middle, side) = (cosine(angle), cosine(RIGHT_ANGLE - angle));
                let delta = product((lines as i32 - 1) << 7, log_tangent(side, middle));
                Theta { angle, middle, side, delta }
            }
        }
    }

    pub(super) fn middle(self) -> f32 {
        self.middle as f32 / 32_768.0
    }

    pub(super) fn side(self) -> f32 {
        self.side as f32 / 32_768.0
    }
}

/// Angles up to the half are three times as likely as those above.
fn read_stepped(range: &mut RangeDecoder<'_>, steps: u32) -> u32 {
    let half = steps / 2;
    let likely = 3 * (half + 1);
    let total = likely + half;
    let (place, unit) = range.place(total);
    let angle = if place < likely { place / 3 } else { half + 1 + (place - likely) };
    let (low, high) = match angle <= half {
        true => (3 * angle, 3 * (angle + 1)),
        false => (angle - 1 - half + likely, angle - half + likely),
    };
    range.update(unit, low, high, total);
    angle
}

/// Angles become more likely towards the half.
fn read_triangular(range: &mut RangeDecoder<'_>, steps: u32) -> u32 {
    let half = steps / 2;
    let total = (half + 1) * (half + 1);
    let (place, unit) = range.place(total);
    let (angle, low, share);
    if place < half * (half + 1) / 2 {
        angle = ((8 * place + 1).isqrt() - 1) / 2;
        share = angle + 1;
        low = angle * (angle + 1) / 2;
    } else {
        angle = (2 * (steps + 1) - (8 * (total - place - 1) + 1).isqrt()) / 2;
        share = steps + 1 - angle;
        low = total - (steps + 1 - angle) * (steps + 2 - angle) / 2;
    }
    range.update(unit, low, low + share, total);
    angle
}

/// Product of two numbers of 16 bits as a fraction of 2¹⁵, rounded.
fn product(a: i32, b: i32) -> i32 {
    (16_384 + a * b) >> 15
}

/// The cosine of an angle times 2¹⁵, in integers because all decoders must agree on it.
fn cosine(angle: i32) -> i32 {
    let square = (4_096 + angle * angle) >> 13;
    1 + (32_767 - square) + product(square, -7_651 + product(square, 8_277 + product(-626, square)))
}

/// The logarithm of a tangent times 2¹¹, likewise.
fn log_tangent(sine: i32, cosine: i32) -> i32 {
    let length = |value: i32| (i32::BITS - value.leading_zeros()) as i32;
    let (of_sine, of_cosine) = (length(sine), length(cosine));
    let polynomial = |value: i32| product(value, product(value, -2_597) + 7_932);
    (of_sine - of_cosine) * (1 << 11) + polynomial(sine << (15 - of_sine)) - polynomial(cosine << (15 - of_cosine))
}
