//! Temporal noise shaping (ISO/IEC 14496-3 §4.6.9): filters that run over the lines of a spectrum.

use std::f32::consts::PI;

use super::{
    Damaged,
    bands::{Bands, SHORT_LINES},
    bits::Bits,
    ics::Info,
};

/// Highest order of a filter in this profile (Table 4.156); that of short windows has three bits only.
const ORDER_MAX: usize = 12;
/// Filters of a block: three of a long window or one of each short one.
const FILTERS_MAX: usize = 8;

/// One all-pole filter over lines `start..end`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Filter {
    start: usize,
    end: usize,
    /// Whether it runs from high lines to low ones.
    downward: bool,
    order: usize,
    /// Coefficients of the lines before, the nearest first.
    coefficients: [f32; ORDER_MAX],
}

/// The filters of one channel's block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tns {
    filters: [Filter; FILTERS_MAX],
    count: usize,
}

impl Tns {
    pub(super) fn clear(&mut self) {
        // What is not in use stays equal in all.
        self.filters.iter_mut().take(self.count).for_each(|filter| *filter = Filter::default());
        self.count = 0;
    }

    /// Reads `tns_data()`.
    pub(super) fn parse(&mut self, bits: &mut Bits<'_>, info: &Info, bands: &Bands) -> Result<(), Damaged> {
        let short = info.is_short();
        let (windows, count_bits, length_bits, order_bits) = if short { (8, 1, 4, 3) } else { (1, 2, 6, 5) };
        let shaped = if short { bands.shaped_short } else { bands.shaped_long }.min(info.bands_used);
        let edge = |band: usize| info.edges.get(band.min(shaped)).map_or(0, |line| usize::from(*line));
        for window in 0..windows {
            let count = bits.take(count_bits);
            let fine = count > 0 && bits.flag();
            let mut top = info.edges.len() - 1;
            for _ in 0..count {
                let bottom = top.saturating_sub(bits.take(length_bits) as usize);
                let order = bits.take(order_bits) as usize;
                let offset = window * SHORT_LINES;
                let mut filter =
                    Filter { start: offset + edge(bottom), end: offset + edge(top), order, ..Filter::default() };
                top = bottom;
                if order == 0 {
                    continue;
                }
                filter.downward = bits.flag();
                filter.parse_coefficients(bits, fine)?;
                if filter.start < filter.end {
                    *self.filters.get_mut(self.count).ok_or(Damaged)? = filter;
                    self.count += 1;
                }
            }
        }
        Ok(())
    }

    /// Lines of each window that must be there for the first `limit` to come out right.
    pub(super) fn reach(&self, info: &Info, limit: usize) -> usize {
        let lines = info.window_lines();
        let crossing = |filter: &&Filter| filter.downward && filter.start % lines < limit;
        let ends = self.filters.iter().take(self.count).filter(crossing).map(|filter| (filter.end - 1) % lines + 1);
        ends.fold(limit, usize::max)
    }

    /// Filters the lines; `limit` of each window matter.
    pub(super) fn apply(&self, info: &Info, limit: usize, lines: &mut [f32]) {
        for filter in self.filters.iter().take(self.count) {
            let last = filter.start - filter.start % info.window_lines() + limit;
            let end = if filter.downward { filter.end } else { filter.end.min(last) };
            if let Some(lines) = lines.get_mut(filter.start..end.max(filter.start)) {
                filter.run(lines);
            }
        }
    }
}

impl Filter {
    /// Reads reflection coefficients and turns them into those of the filter.
    fn parse_coefficients(&mut self, bits: &mut Bits<'_>, fine: bool) -> Result<(), Damaged> {
        let compressed = bits.flag();
        let resolution = if fine { 4 } else { 3 };
        let width = resolution - u32::from(compressed);
        if self.order > ORDER_MAX {
            return Err(Damaged);
        }
        for order in 0..self.order {
            let raw = bits.take(width) as i32;
            let negative = raw >> (width - 1) & 1 == 1;
            let signed = if negative { raw - (1 << width) } else { raw };
            let steps = (1 << (resolution - 1)) as f32 + if negative { 0.5 } else { -0.5 };
            let reflection = (signed as f32 * PI / 2.0 / steps).sin();
            let before = self.coefficients;
            let (now, _) = self.coefficients.split_at_mut(order);
            for (at, coefficient) in now.iter_mut().enumerate() {
                *coefficient += reflection * before[order - 1 - at];
            }
            self.coefficients[order] = reflection;
        }
        Ok(())
    }

    fn run(&self, lines: &mut [f32]) {
        // The last lines put out, the nearest first.
        let mut state = [0.0; ORDER_MAX];
        let mut step = |line: &mut f32| {
            let sum: f32 = self.coefficients.iter().zip(&state).map(|(coefficient, past)| coefficient * past).sum();
            *line -= sum;
            state.copy_within(..ORDER_MAX - 1, 1);
            state[0] = *line;
        };
        if self.downward { lines.iter_mut().rev().for_each(&mut step) } else { lines.iter_mut().for_each(&mut step) }
    }
}
