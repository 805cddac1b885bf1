//! Floor type 0: the frequency response of a filter given by line spectral pairs (Vorbis I §6). Only the first encoders made it.

use std::f64::consts::PI;

use super::{
    Refused,
    bits::Bits,
    codebook::{Codebook, bits_of},
    floor::{Extent, vector_book},
};

/// Of a decibel: ln 10 ÷ 20, as far as the specification writes it out.
const DECIBEL: f64 = 0.115_129_25;

/// The configuration of a curve (§6.2.1).
#[derive(Debug)]
pub(super) struct LspFloor {
    order: usize,
    bark_map_size: f64,
    amplitude_bits: u32,
    amplitude_offset: f64,
    books: Vec<usize>,
    /// For each wanted line of a short and of a long block its place on the Bark scale.
    maps: [Vec<u16>; 2],
}

/// Amplitude and coefficients of a channel's curve.
#[derive(Clone, Debug)]
pub(super) struct Lsp {
    amplitude: f64,
    /// Twice the cosines of the coefficients.
    cosines: Vec<f64>,
}

impl Lsp {
    pub(super) fn new() -> Lsp {
        Lsp { amplitude: 0.0, cosines: Vec::new() }
    }
}

/// A frequency on the Bark scale.
fn bark(hz: f64) -> f64 {
    13.1 * (0.000_74 * hz).atan() + 2.24 * (0.000_000_018_5 * hz * hz).atan() + 0.000_1 * hz
}

impl LspFloor {
    pub(super) fn parse(bits: &mut Bits<'_>, books: &[Codebook], extent: Extent) -> Result<LspFloor, Refused> {
        let order = bits.take(8) as usize;
        let rate = f64::from(bits.take(16));
        let bark_map_size = bits.take(16);
        let amplitude_bits = bits.take(6);
        let amplitude_offset = f64::from(bits.take(8));
        let count = bits.take(4) + 1;
        let numbers = (0..count).map(|_| vector_book(books, bits.take(8))).collect::<Result<_, _>>()?;
        if order == 0 || rate == 0.0 || bark_map_size == 0 {
            return Err(Refused::Damaged("a floor has no order, rate or scale"));
        }
        let size = f64::from(bark_map_size);
        let scale = size / bark(0.5 * rate);
        let place = |line: usize, lines: usize| {
            let bark = bark(rate * line as f64 / (2.0 * lines as f64));
            (bark * scale).floor().min(size - 1.0) as u16
        };
        let map = |at: usize| (0..extent.reach[at]).map(|line| place(line, extent.lines[at])).collect();
        let maps = [map(0), map(1)];
        Ok(LspFloor { order, bark_map_size: size, amplitude_bits, amplitude_offset, books: numbers, maps })
    }

    /// Reads a curve (§6.2.2); `None` where it has no amplitude or the packet ends.
    pub(super) fn read(&self, bits: &mut Bits<'_>, books: &[Codebook], lsp: &mut Lsp) -> Option<()> {
        // As many as 63 bits.
        let low_bits = self.amplitude_bits.min(32);
        let low = u64::from(bits.take(low_bits));
        let amplitude = low | u64::from(bits.take(self.amplitude_bits - low_bits)) << low_bits;
        if amplitude == 0 {
            return None;
        }
        lsp.amplitude = amplitude as f64;
        let book = bits.take(bits_of(self.books.len())) as usize;
        let book = books.get(*self.books.get(book)?)?;
        lsp.cosines.clear();
        let mut last = 0.0;
        while lsp.cosines.len() < self.order {
            let vector = book.vector(bits)?;
            let room = self.order - lsp.cosines.len();
            lsp.cosines.extend(vector.iter().take(room).map(|value| 2.0 * (f64::from(*value) + last).cos()));
            last += vector.last().copied().map_or(0.0, f64::from);
        }
        Some(())
    }

    /// See [`super::floor::Floor::add`].
    pub(super) fn add(&self, lsp: &Lsp, is_long: bool, gain: f32, lines: &[f32], spectrum: &mut [f32]) {
        let map = &self.maps[usize::from(is_long)];
        let mut known = None;
        for ((to, line), place) in spectrum.iter_mut().zip(lines).zip(map) {
            let level = match known {
                Some((at, level)) if at == place => level,
                _ => gain * self.level(lsp, f64::from(*place)),
            };
            known = Some((place, level));
            *to += line * level;
        }
    }

    /// The curve at a place of the Bark scale (§6.2.3).
    fn level(&self, lsp: &Lsp, place: f64) -> f32 {
        let root = response(&lsp.cosines, PI * place / self.bark_map_size).sqrt();
        let full = ((1u64 << self.amplitude_bits) - 1) as f64;
        let decibels = lsp.amplitude * self.amplitude_offset / (full * root) - self.amplitude_offset;
        (DECIBEL * decibels).exp() as f32
    }
}

/// The square of what the filter of line spectral pairs lets through at a frequency, from twice the pairs' cosines: *p* and *q*
/// of §6.2.3 in one.
pub(super) fn response(cosines: &[f64], omega: f64) -> f64 {
    let cosine = omega.cos();
    let product = |skip: usize| -> f64 {
        let terms = cosines.iter().skip(skip).step_by(2).map(|twice| twice - 2.0 * cosine);
        terms.product::<f64>().powi(2)
    };
    let (even, odd) = (product(0), product(1));
    if cosines.len().is_multiple_of(2) {
        (1.0 - cosine) / 2.0 * odd + (1.0 + cosine) / 2.0 * even
    } else {
        (1.0 - cosine * cosine) * odd + even / 4.0
    }
}
