//! An encoder that chooses at random among all ways to say the same.

use super::{
    super::{check, header::Coding},
    Random,
};

/// How a subframe may say its samples; of a linear prediction the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Constant,
    Verbatim,
    Fixed(usize),
    Linear(usize),
}

/// Bits from the highest on.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    bits: usize,
}

impl Writer {
    pub(super) fn put(&mut self, value: i64, count: u32) {
        for bit in (0..count).rev() {
            if self.bits.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (7 - self.bits % 8);
            self.bits += 1;
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn unary(&mut self, zeros: u64) {
        for _ in 0..zeros {
            self.put(0, 1);
        }
        self.put(1, 1);
    }

    /// The number as in UTF-8.
    fn number(&mut self, number: u64) {
        if number < 0x80 {
            return self.put(number as i64, 8);
        }
        let more = (1..=6).find(|more| number < 1 << (6 * more + 6 - more)).unwrap();
        self.put((0xff00 >> (more + 1) & 0xff) | (number >> (6 * more)) as i64, 8);
        for place in (0..more).rev() {
            self.put(0x80 | (number >> (6 * place) & 0x3f) as i64, 8);
        }
    }
}

/// What a frame is to be like.
pub(super) struct Frame {
    pub(super) coding: Coding,
    pub(super) width: u32,
    pub(super) number: u64,
    pub(super) kind: Kind,
}

impl Frame {
    /// The bytes of a frame of these channels.
    pub(super) fn encode(&self, channels: &[Vec<i64>], random: &mut Random) -> Vec<u8> {
        let mut out = Writer::default();
        out.put(0x7ffc, 15);
        out.put(1, 1);
        // The block size in 16 bits, the rate of the stream.
        out.put(0x70, 8);
        let code = match self.coding {
            Coding::Independent => channels.len() as i64 - 1,
            Coding::LeftSide => 8,
            Coding::SideRight => 9,
            Coding::MidSide => 10,
        };
        out.put(code, 4);
        out.put(0, 4);
        out.number(self.number);
        out.put(channels[0].len() as i64 - 1, 16);
        out.put(i64::from(check::crc_8(&out.bytes)), 8);
        let of = |combine: fn(i64, i64) -> i64| -> Vec<i64> {
            channels[0].iter().zip(&channels[1]).map(|(l, r)| combine(*l, *r)).collect()
        };
        let side = self.width + 1;
        let planes = match self.coding {
            Coding::Independent => channels.iter().map(|plane| (plane.clone(), self.width)).collect(),
            Coding::LeftSide => vec![(channels[0].clone(), self.width), (of(|l, r| l - r), side)],
            Coding::SideRight => vec![(of(|l, r| l - r), side), (channels[1].clone(), self.width)],
            Coding::MidSide => vec![(of(|l, r| (l + r) >> 1), self.width), (of(|l, r| l - r), side)],
        };
        for (plane, width) in planes {
            subframe(&mut out, self.kind, &plane, width, random);
        }
        out.put(0, (8 - out.bits as u32 % 8) % 8);
        let sum = check::crc_16(&out.bytes);
        out.put(i64::from(sum), 16);
        out.bytes
    }
}

fn subframe(out: &mut Writer, kind: Kind, samples: &[i64], width: u32, random: &mut Random) {
    let kind = match kind {
        Kind::Constant if samples.iter().any(|sample| *sample != samples[0]) => Kind::Verbatim,
        other => other,
    };
    let zeros = samples.iter().fold(0, |all, sample| all | sample).trailing_zeros();
    let wasted = if zeros < width { zeros } else { 0 };
    let (samples, width): (Vec<i64>, u32) = (samples.iter().map(|sample| sample >> wasted).collect(), width - wasted);
    let code = match kind {
        Kind::Constant => 0,
        Kind::Verbatim => 1,
        Kind::Fixed(order) => 8 + order,
        Kind::Linear(order) => 31 + order,
    };
    out.put(code as i64, 7);
    out.put(i64::from(wasted > 0), 1);
    if wasted > 0 {
        out.unary(u64::from(wasted) - 1);
    }
    match kind {
        Kind::Constant => out.put(samples[0], width),
        Kind::Verbatim => samples.iter().for_each(|sample| out.put(*sample, width)),
        Kind::Fixed(order) => {
            samples[..order].iter().for_each(|sample| out.put(*sample, width));
            let weights: &[i64] = [&[][..], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]][order];
            residual(out, weights, 0, &samples, random);
        }
        Kind::Linear(order) => {
            samples[..order].iter().for_each(|sample| out.put(*sample, width));
            let precision = 2 + random.below(14) as u32;
            let shift = (precision - 1).min(random.below(16) as u32);
            // The newest sample counts most, so that a residual stays within its 32 bits.
            let one = (1i64 << shift).min((1 << (precision - 1)) - 1);
            let mut weights: Vec<i64> = (0..order).map(|_| random.signed(3).clamp(-one, one)).collect();
            weights[0] = one;
            out.put(i64::from(precision) - 1, 4);
            out.put(i64::from(shift), 5);
            weights.iter().for_each(|weight| out.put(*weight, precision));
            residual(out, &weights, shift, &samples, random);
        }
    }
}

fn residual(out: &mut Writer, weights: &[i64], shift: u32, samples: &[i64], random: &mut Random) {
    let order = weights.len();
    let predicted = |at: usize| {
        let sum: i64 = weights.iter().enumerate().map(|(back, weight)| weight * samples[at - 1 - back]).sum();
        sum >> shift
    };
    let residuals: Vec<i64> = (order..samples.len()).map(|at| samples[at] - predicted(at)).collect();
    let is_possible = |partition_order: &u32| {
        samples.len().is_multiple_of(1 << partition_order) && order <= samples.len() >> partition_order
    };
    let possible: Vec<u32> = (0..=15).filter(is_possible).collect();
    let partition_order = possible[random.below(possible.len())];
    let parameter_bits = 4 + random.below(2) as u32;
    out.put(i64::from(parameter_bits) - 4, 2);
    out.put(i64::from(partition_order), 4);
    let size = samples.len() >> partition_order;
    let mut rest = residuals.as_slice();
    for partition in 0..1 << partition_order {
        let (now, later) = rest.split_at(if partition == 0 { size - order } else { size });
        rest = later;
        let largest = now.iter().map(|residual| residual.unsigned_abs()).max().unwrap_or(0);
        // Bits that the largest takes with its sign.
        let width = if largest == 0 { 0 } else { 65 - largest.leading_zeros() };
        let parameter_max = (1 << parameter_bits) - 2;
        if width < 32 && random.below(5) == 0 {
            out.put((1 << parameter_bits) - 1, parameter_bits);
            out.put(i64::from(width), 5);
            now.iter().for_each(|residual| out.put(*residual, width));
            continue;
        }
        // From too small, with long runs of zeros, to too large, but never so small that it fills the memory.
        let parameter = (width.saturating_sub(random.below(8) as u32)).min(parameter_max);
        out.put(i64::from(parameter), parameter_bits);
        for residual in now {
            let folded = (residual << 1 ^ residual >> 63) as u64;
            out.unary(folded >> parameter);
            out.put((folded & ((1 << parameter) - 1)) as i64, parameter);
        }
    }
}
