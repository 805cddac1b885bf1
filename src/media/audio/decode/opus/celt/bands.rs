//! The shapes of all bands (RFC 6716 §4.3.4): vectors of length one, and what fills bands that have no bits.
//!
//! Bands are read one after the other to the last, because where a symbol is depends on all before it. Of bands above what is heard
//! only the symbols are read: no vector is built, nothing is folded. That changes nothing below, because bands fold upwards only, and
//! the noise of the next frame grows from the state of the range coder.

use super::{
    allocation::Allocation,
    partition::{Band, Heard, Part, noise_step},
    range::RangeDecoder,
    resolution::BAND_LINES_MAX,
    tables::{BANDS, EDGES, LINES_MAX, width},
    theta::{RIGHT_ANGLE, Split, Theta},
};

const BIT: i32 = 8;

/// How a frame's bands are coded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coding {
    /// Bands of the frame, and those of them that are heard.
    pub(super) end: usize,
    pub(super) heard: usize,
    pub(super) size: usize,
    pub(super) channels: usize,
    pub(super) is_transient: bool,
    pub(super) spread: usize,
    /// Whether the second channel may be the first one turned over.
    pub(super) may_invert: bool,
    /// Eighths of a bit kept for what comes behind the bands.
    pub(super) kept: i32,
}

/// The lines of both channels, and what later bands are folded from.
#[derive(Debug)]
pub(super) struct Shapes {
    pub(super) lines: [Vec<f32>; 2],
    /// Earlier bands of each channel, with lines of mean energy one.
    folded: [Vec<f32>; 2],
    /// For each band and channel: which of its blocks have pulses.
    pub(super) masks: [[u8; 2]; BANDS],
    pub(super) seed: u32,
}

/// Where a band is folded from.
#[derive(Clone, Copy, Debug, Default)]
struct Fold {
    /// The first line; none: there is nothing yet.
    from: Option<usize>,
    /// Blocks that have something, of each channel.
    masks: [u32; 2],
}

/// What goes from band to band.
#[derive(Debug)]
struct Progress {
    balance: i32,
    /// The band that the last fold ended before, if there is one.
    source: usize,
    moves_on: bool,
    is_dual: bool,
}

impl Shapes {
    pub(super) fn new() -> Shapes {
        let lines = || vec![0.0; LINES_MAX];
        Shapes { lines: [lines(), lines()], folded: [lines(), lines()], masks: [[0; 2]; BANDS], seed: 0 }
    }

    /// Reads the shapes of a frame whose bands change their resolution by `changes`.
    pub(super) fn read(
        &mut self,
        range: &mut RangeDecoder<'_>,
        coding: Coding,
        allocation: &Allocation,
        changes: &[i8; BANDS],
        seed: u32,
    ) {
        self.seed = seed;
        let mut progress =
            Progress { balance: allocation.balance, source: 0, moves_on: true, is_dual: allocation.is_dual };
        let total = BIT * range.size() - coding.kept;
        for band in 0..coding.end {
            let tell = range.tell_eighths();
            if band > 0 {
                progress.balance -= tell;
            }
            let left = total - tell - 1;
            let bits = match allocation.coded.checked_sub(band) {
                Some(coded @ 1..) => {
                    let share = progress.balance / coded.min(3) as i32;
                    (allocation.shapes[band] + share).min(left + 1).clamp(0, 16_383)
                }
                _ => 0,
            };
            let lines = width(band) << coding.size;
            let is_heard = band < coding.heard;
            let can_fold = lines <= EDGES[band] << coding.size || band == 1;
            if is_heard && can_fold && (progress.moves_on || progress.source == 0) {
                progress.source = band;
            }
            let mut context = Band {
                range: &mut *range,
                band,
                left,
                change: i32::from(changes[band]),
                spread: coding.spread,
                seed: self.seed,
            };
            let of_band = BandOf { coding, bits, is_intense: band >= allocation.intensity };
            if is_heard {
                let fold = self.fold(&progress, coding, band, changes[band]);
                self.read_heard(&mut context, of_band, fold, &mut progress, allocation.intensity);
                self.seed = context.seed;
            } else {
                progress.is_dual &= band != allocation.intensity;
                of_band.pass(&mut context, progress.is_dual);
            }
            progress.balance += allocation.shapes[band] + tell;
            progress.moves_on = bits > lines as i32 * BIT;
        }
    }

    fn fold(&self, progress: &Progress, coding: Coding, band: usize, change: i8) -> Fold {
        /// The spread with which there is noise instead of a fold.
        const AGGRESSIVE: usize = 3;
        let blocks = if coding.is_transient { 1 << coding.size } else { 1 };
        let all = (1 << blocks) - 1;
        let is_noise = coding.spread == AGGRESSIVE && blocks == 1 && change >= 0;
        if progress.source == 0 || is_noise {
            return Fold { from: None, masks: [all; 2] };
        }
        let edge = |band: usize| EDGES[band] << coding.size;
        let lines = width(band) << coding.size;
        // No line is repeated within the band.
        let from = edge(progress.source).saturating_sub(lines);
        let first = (0..progress.source).rev().find(|band| edge(*band) <= from).unwrap_or(0);
        let last = (progress.source..band).find(|band| edge(*band) >= from + lines).unwrap_or(band);
        let mut masks = [0; 2];
        for of_band in &self.masks[first..last] {
            masks[0] |= u32::from(of_band[0]);
            masks[1] |= u32::from(of_band[1]);
        }
        Fold { from: Some(from), masks }
    }

    fn read_heard(
        &mut self,
        context: &mut Band<'_, '_>,
        of_band: BandOf,
        fold: Fold,
        progress: &mut Progress,
        intensity: usize,
    ) {
        let (coding, band) = (of_band.coding, context.band);
        let (begin, end) = (EDGES[band] << coding.size, EDGES[band + 1] << coding.size);
        if progress.is_dual && band == intensity {
            progress.is_dual = false;
            let [first, second] = &mut self.folded;
            for (first, second) in first.iter_mut().zip(second).take(begin) {
                *first = 0.5 * (*first + *second);
            }
        }
        let [first, second] = &mut self.lines;
        let (first, second) = (&mut first[begin..end], &mut second[begin..end]);
        let [folded, folded_second] = &mut self.folded;
        let lines = end - begin;
        let (mut copy, mut copy_second) = ([0.0; BAND_LINES_MAX], [0.0; BAND_LINES_MAX]);
        let source = |from: &[f32], copy: &mut [f32; BAND_LINES_MAX]| {
            let Some(at) = fold.from else { return false };
            copy[..lines].copy_from_slice(&from[at..at + lines]);
            true
        };
        let has_source = source(folded, &mut copy);
        let whole = Part { lines, bits: of_band.bits, size: coding.size as i32, blocks: of_band.blocks() };
        let both = fold.masks[0] | fold.masks[1];
        let mask = if progress.is_dual {
            source(folded_second, &mut copy_second);
            let half = Part { bits: of_band.bits / 2, ..whole };
            let heard = Heard { gain: 1.0, fill: fold.masks[0] };
            let mask = context.read(half, first, has_source.then_some(&mut copy[..lines]), heard);
            let heard = Heard { gain: 1.0, fill: fold.masks[1] };
            let mask_second = context.read(half, second, has_source.then_some(&mut copy_second[..lines]), heard);
            copy_scaled(second, &mut folded_second[begin..end]);
            copy_scaled(first, &mut folded[begin..end]);
            [mask, mask_second]
        } else {
            let source = has_source.then_some(&mut copy[..lines]);
            let mask = if coding.channels == 2 {
                let middle = &mut folded[begin..end];
                of_band.read_stereo(context, whole, Stereo { first, second, source, middle, fill: both })
            } else {
                let mask = context.read(whole, first, source, Heard { gain: 1.0, fill: both });
                copy_scaled(first, &mut folded[begin..end]);
                mask
            };
            [mask; 2]
        };
        self.masks[band] = mask.map(|mask| mask as u8);
    }

    /// Fills blocks that lost all their pulses with noise (§4.3.5). `gain` tells how loud a band of a channel may have been.
    pub(super) fn fill_collapsed(&mut self, coding: Coding, heard: usize, gain: impl Fn(usize, usize) -> f32) {
        let blocks = 1 << coding.size;
        for band in 0..heard {
            let (begin, end) = (EDGES[band] << coding.size, EDGES[band + 1] << coding.size);
            for channel in 0..coding.channels {
                let mask = u32::from(self.masks[band][channel]);
                let gain = gain(band, channel);
                let lines = &mut self.lines[channel][begin..end];
                for block in (0..blocks).filter(|block| mask & (1 << block) == 0) {
                    for line in lines.iter_mut().skip(block).step_by(blocks) {
                        noise_step(&mut self.seed);
                        *line = if self.seed & 0x8000 != 0 { gain } else { -gain };
                    }
                }
                if mask != (1 << blocks) - 1 {
                    super::partition::normalise(lines, 1.0);
                }
            }
        }
    }
}

/// Keeps a band for later ones to fold.
fn copy_scaled(lines: &[f32], to: &mut [f32]) {
    let scale = (lines.len() as f32).sqrt();
    for (to, line) in to.iter_mut().zip(lines) {
        *to = scale * line;
    }
}

#[derive(Clone, Copy, Debug)]
struct BandOf {
    coding: Coding,
    bits: i32,
    is_intense: bool,
}

/// The lines of both channels of a band, what its middle folds, where that is kept, and which blocks are folded.
struct Stereo<'a> {
    first: &'a mut [f32],
    second: &'a mut [f32],
    source: Option<&'a mut [f32]>,
    middle: &'a mut [f32],
    fill: u32,
}

/// How a band of two channels is shared between middle and side.
#[derive(Clone, Copy, Debug)]
struct Sharing {
    theta: Theta,
    inverts: bool,
    bits: i32,
}

impl BandOf {
    fn blocks(self) -> usize {
        if self.coding.is_transient { 1 << self.coding.size } else { 1 }
    }

    /// The angle between middle and side, or where both have one shape, whether one of them is turned over.
    fn read_angle(self, context: &mut Band<'_, '_>, lines: usize) -> Sharing {
        let split =
            Split { band: context.band, lines, size: self.coding.size as i32, is_stereo: true, is_in_time: false };
        let tell = context.range.tell_eighths();
        let steps = if self.is_intense { 1 } else { split.steps(self.bits) };
        let mut inverts = false;
        let theta = if steps > 1 {
            split.read(context.range, steps)
        } else {
            let is_read = self.bits > 2 * BIT && context.left > 2 * BIT;
            inverts = is_read && context.range.bit(2) && self.coding.may_invert;
            Theta::of(0, lines)
        };
        let used = context.range.tell_eighths() - tell;
        context.left -= used;
        Sharing { theta, inverts, bits: self.bits - used }
    }

    /// Reads a band of two channels that share their bits (§4.3.4.4).
    fn read_stereo(self, context: &mut Band<'_, '_>, whole: Part, stereo: Stereo<'_>) -> u32 {
        let Stereo { first, second, source, middle, fill } = stereo;
        if whole.lines == 1 {
            context.read_sign(first);
            context.read_sign(second);
            middle[0] = first[0];
            return 1;
        }
        let all = (1 << whole.blocks) - 1;
        let sharing = self.read_angle(context, whole.lines);
        let theta = sharing.theta;
        let mask;
        if whole.lines == 2 {
            let (part, is_negative) = pair(context, whole, sharing);
            let is_side = theta.angle > RIGHT_ANGLE / 2;
            let (long, short) = if is_side { (&mut *second, &mut *first) } else { (&mut *first, &mut *second) };
            mask = context.read(part, long, source, Heard { gain: 1.0, fill });
            copy_scaled(long, middle);
            let sign = if is_negative { -1.0 } else { 1.0 };
            short[0] = -sign * long[1];
            short[1] = sign * long[0];
            for (first, second) in first.iter_mut().zip(second.iter_mut()) {
                let (middle, side) = (theta.middle() * *first, theta.side() * *second);
                (*first, *second) = (middle - side, middle + side);
            }
        } else {
            let (fill_middle, fill_side) = match theta.angle {
                0 => (fill & all, 0),
                RIGHT_ANGLE => (0, fill >> whole.blocks),
                _ => (fill, fill >> whole.blocks),
            };
            let heard = Heard { gain: 1.0, fill: fill_middle };
            let heard_side = Heard { gain: theta.side(), fill: fill_side };
            let halves = context.halves(sharing.bits, theta);
            let mut masks = [0; 2];
            let mut source = source;
            context.read_halves(halves, theta, |context, is_side, bits| {
                let part = Part { bits, ..whole };
                if is_side {
                    masks[1] = context.read(part, second, None, heard_side);
                } else {
                    masks[0] = context.read(part, first, source.take(), heard);
                    copy_scaled(first, middle);
                }
            });
            mask = masks[0] | masks[1];
            merge(first, second, theta.middle());
        }
        if sharing.inverts {
            second.iter_mut().for_each(|line| *line = -*line);
        }
        mask
    }

    /// Passes over the symbols of a band.
    fn pass(self, context: &mut Band<'_, '_>, is_dual: bool) {
        let whole = Part {
            lines: width(context.band) << self.coding.size,
            bits: self.bits,
            size: self.coding.size as i32,
            blocks: self.blocks(),
        };
        if self.coding.channels == 1 {
            context.pass(whole);
        } else if is_dual {
            let half = Part { bits: self.bits / 2, ..whole };
            context.pass(half);
            context.pass(half);
        } else if whole.lines == 1 {
            context.read_sign(&mut []);
            context.read_sign(&mut []);
        } else {
            let sharing = self.read_angle(context, whole.lines);
            if whole.lines == 2 {
                let (part, _) = pair(context, whole, sharing);
                context.pass(part);
            } else {
                let halves = context.halves(sharing.bits, sharing.theta);
                context.read_halves(halves, sharing.theta, |context, _, bits| {
                    context.pass(Part { bits, ..whole });
                });
            }
        }
    }
}

/// Of two lines the side stands upright on the middle: it needs one bit. The part that is left, and whether the side points down.
fn pair(context: &mut Band<'_, '_>, whole: Part, sharing: Sharing) -> (Part, bool) {
    let is_coded = sharing.theta.angle != 0 && sharing.theta.angle != RIGHT_ANGLE;
    let bits = if is_coded { BIT } else { 0 };
    context.left -= bits;
    let is_negative = is_coded && context.range.raw(1) == 1;
    (Part { bits: sharing.bits - bits, ..whole }, is_negative)
}

/// From a middle of length one and a side that is scaled to both channels, each of length one.
fn merge(first: &mut [f32], second: &mut [f32], gain: f32) {
    /// Where less than this is left of a channel, there is no telling what it was.
    const SMALLEST: f32 = 6e-4;
    let (mut across, mut side) = (0.0, 0.0);
    for (first, second) in first.iter().zip(&*second) {
        across += first * second;
        side += second * second;
    }
    let (both, across) = (gain * gain + side, 2.0 * gain * across);
    let (left, right) = (both - across, both + across);
    if left < SMALLEST || right < SMALLEST {
        second.copy_from_slice(first);
        return;
    }
    let (left, right) = (1.0 / left.sqrt(), 1.0 / right.sqrt());
    for (first, second) in first.iter_mut().zip(second) {
        let (middle, side) = (gain * *first, *second);
        (*first, *second) = (left * (middle - side), right * (middle + side));
    }
}
