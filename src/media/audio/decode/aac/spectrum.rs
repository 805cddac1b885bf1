//! Spectral data (ISO/IEC 14496-3 §4.6.2, §4.6.3, §4.6.13): Huffman decoding, inverse quantisation and noise substitution in one pass.

use std::{array, sync::LazyLock};

use super::{
    Damaged,
    bands::LINES,
    bits::Bits,
    huffman::{BIAS, Entry, Table, Tables},
    ics::{BOOK_INTENSITY, BOOK_INTENSITY_OUT, BOOK_NOISE, BOOK_ZERO, Ics},
    stereo::Relations,
};

/// The codebook with escape sequences.
const BOOK_ESCAPE: u8 = 11;
/// The last codebook whose codewords stand for four values.
const BOOK_QUADS_LAST: u8 = 4;
/// Field of a value that an escape sequence takes the place of: −16 and 16.
const ESCAPES: [usize; 2] = [0, 2 * BIAS as usize];
/// Bits of an escape sequence besides its prefix's, and the longest prefix: values are below 8192.
const ESCAPE_BITS: u32 = 4;
const ESCAPE_PREFIX_MAX: u32 = 8;
/// Quantised magnitudes, escape sequences included.
const MAGNITUDES: usize = 1 << (ESCAPE_BITS + ESCAPE_PREFIX_MAX + 1);

/// Lines of one channel: of a long window, or of eight short ones one after another.
pub(super) type Lines = [f32; LINES];

/// Which bands are to be decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs<'a> {
    /// Those that begin below this line of their window,
    pub(super) reach: usize,
    /// and of those, where given, the bands that have lines of their own in the second channel.
    pub(super) apart: Option<&'a Relations>,
    /// Whether the bits of all others are passed over too. Else the reader stops where nothing more is wanted.
    pub(super) finish: bool,
}

impl Needs<'_> {
    fn wants(&self, slot: usize, start: usize) -> bool {
        start < self.reach && self.apart.is_none_or(|relations| relations.is_apart(slot))
    }

    /// Whether nothing is wanted from a slot on.
    fn are_met(&self, slot: usize, start: usize, in_last_group: bool) -> bool {
        !self.finish
            && match self.apart {
                Some(relations) => relations.apart_end <= slot,
                None => in_last_group && self.reach <= start,
            }
    }
}

/// Lines of one codebook that are to be passed over.
struct Passed {
    book: u8,
    lines: usize,
}

/// x^(4/3) of what the codebooks hold.
struct Powers {
    /// By the field of an entry, with sign.
    fields: [f32; 64],
    magnitudes: Box<[f32]>,
}

impl Powers {
    fn get() -> &'static Powers {
        static POWERS: LazyLock<Powers> = LazyLock::new(|| {
            let power = |value: i32| (f64::from(value) * f64::from(value.abs()).cbrt()) as f32;
            let magnitudes = (0..MAGNITUDES as i32).map(power).collect();
            Powers { fields: array::from_fn(|field| power(field as i32 - BIAS)), magnitudes }
        });
        &POWERS
    }
}

/// Decodes spectra.
pub(super) struct Decoder {
    tables: &'static Tables,
    powers: &'static Powers,
    noise: Noise,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        Decoder { tables: Tables::get(), powers: Powers::get(), noise: Noise { state: 1 } }
    }

    /// Reads `spectral_data()`. Of the lines those of wanted bands are set, and those up to the reach behind the last band.
    pub(super) fn decode(
        &mut self,
        bits: &mut Bits<'_>,
        ics: &Ics,
        needs: Needs<'_>,
        lines: &mut Lines,
    ) -> Result<(), Damaged> {
        let stride = ics.info.window_lines();
        let last_slot = ics.info.groups().map(|group| group.slot).max();
        let mut passed = Passed { book: BOOK_ZERO, lines: 0 };
        let mut done = false;
        for group in ics.info.groups() {
            let mut behind = 0;
            for (slot, (start, end)) in (group.slot..).zip(ics.info.bands()) {
                if needs.are_met(slot, start, Some(group.slot) == last_slot) {
                    done = true;
                    break;
                }
                let (Some(book), Some(scale)) = (ics.books.get(slot), ics.scales.get(slot)) else {
                    return Err(Damaged);
                };
                behind = end;
                if !needs.wants(slot, start) {
                    self.pass(bits, &mut passed, *book, (end - start) * group.windows)?;
                    continue;
                }
                self.flush(bits, &mut passed)?;
                for window in 0..group.windows {
                    let first = group.first_line + window * stride;
                    let band = lines.get_mut(first + start..first + end).ok_or(Damaged)?;
                    self.decode_band(bits, *book, *scale, band)?;
                }
            }
            if done {
                break;
            }
            for window in 0..group.windows {
                let first = group.first_line + window * stride;
                // Nothing where the bands go beyond the reach.
                lines.get_mut(first + behind..first + needs.reach).unwrap_or_default().fill(0.0);
            }
        }
        if !done {
            self.flush(bits, &mut passed)?;
        }
        if 0 < ics.pulses.count {
            self.add_pulses(ics, needs, lines);
        }
        bits.check()
    }

    /// Notes lines that nobody wants: those of one codebook are passed over together.
    fn pass(&self, bits: &mut Bits<'_>, passed: &mut Passed, book: u8, lines: usize) -> Result<(), Damaged> {
        if passed.book != book {
            self.flush(bits, passed)?;
            passed.book = book;
        }
        passed.lines += lines;
        Ok(())
    }

    /// Passes over the codewords of the lines that were noted.
    fn flush(&self, bits: &mut Bits<'_>, passed: &mut Passed) -> Result<(), Damaged> {
        let lines = std::mem::take(&mut passed.lines);
        let Some(table) = self.tables.spectral(passed.book).filter(|_| 0 < lines) else { return Ok(()) };
        let codewords = lines / if passed.book <= BOOK_QUADS_LAST { 4 } else { 2 };
        if passed.book != BOOK_ESCAPE {
            table.skip(bits, codewords);
            return Ok(());
        }
        for _ in 0..codewords {
            bits.refill();
            let entry = table.read(bits);
            for at in 0..2 {
                if ESCAPES.contains(&entry.field(at)) {
                    read_escape(bits)?;
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn decode_band(&mut self, bits: &mut Bits<'_>, book: u8, scale: f32, band: &mut [f32]) -> Result<(), Damaged> {
        match book {
            BOOK_ZERO | BOOK_INTENSITY | BOOK_INTENSITY_OUT => band.fill(0.0),
            BOOK_NOISE => self.noise.fill(scale, band),
            BOOK_ESCAPE => {
                let table = self.tables.spectral(book).ok_or(Damaged)?;
                for [first, second] in band.as_chunks_mut().0 {
                    bits.refill();
                    let entry = table.read(bits);
                    *first = self.escaped(bits, entry, 0)? * scale;
                    *second = self.escaped(bits, entry, 1)? * scale;
                }
            }
            _ => {
                let table = self.tables.spectral(book).ok_or(Damaged)?;
                if book <= BOOK_QUADS_LAST {
                    decode_quads(bits, table, &self.powers.fields, scale, band);
                } else {
                    decode_pairs(bits, table, &self.powers.fields, scale, band);
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn escaped(&self, bits: &mut Bits<'_>, entry: Entry, at: u32) -> Result<f32, Damaged> {
        let field = entry.field(at);
        if !ESCAPES.contains(&field) {
            return Ok(self.powers.fields[field & 63]);
        }
        let magnitude = self.powers.magnitudes.get(read_escape(bits)? as usize).copied().unwrap_or(0.0);
        Ok(if field == ESCAPES[0] { -magnitude } else { magnitude })
    }

    /// Raises single lines (§4.6.3.4). Quantised values are taken back from the spectrum, which is exact and seldom needed.
    fn add_pulses(&self, ics: &Ics, needs: Needs<'_>, lines: &mut Lines) {
        for (line, amplitude) in ics.pulses.lines.iter().zip(ics.pulses.amplitudes).take(ics.pulses.count) {
            let line = usize::from(*line);
            let mut bands = (0..).zip(ics.info.bands());
            let Some((slot, (start, _))) = bands.find(|(_, (start, end))| (*start..*end).contains(&line)) else {
                continue;
            };
            let (Some(book), Some(scale), Some(value)) =
                (ics.books.get(slot), ics.scales.get(slot), lines.get_mut(line))
            else {
                continue;
            };
            if !(1..=BOOK_ESCAPE).contains(book) || !needs.wants(slot, start) {
                continue;
            }
            let quantised = (*value / scale).abs().powf(0.75).round() as usize;
            let raised = self.powers.magnitudes.get(quantised + usize::from(amplitude)).copied().unwrap_or(0.0) * scale;
            *value = if 0.0 < *value { raised } else { -raised };
        }
    }
}

#[inline]
fn decode_quads(bits: &mut Bits<'_>, table: &Table, powers: &[f32; 64], scale: f32, band: &mut [f32]) {
    for quad in band.as_chunks_mut::<4>().0 {
        bits.refill();
        let entry = table.read(bits);
        *quad = [0, 1, 2, 3].map(|at| powers[entry.field(at) & 63] * scale);
    }
}

/// Two codewords at a time: 17 bits at most each, and bands are multiples of four lines.
#[inline]
fn decode_pairs(bits: &mut Bits<'_>, table: &Table, powers: &[f32; 64], scale: f32, band: &mut [f32]) {
    for quad in band.as_chunks_mut::<4>().0 {
        bits.refill();
        let (low, high) = (table.read(bits), table.read(bits));
        let value = |entry: Entry, at: u32| powers[entry.field(at) & 63] * scale;
        *quad = [value(low, 0), value(low, 1), value(high, 0), value(high, 1)];
    }
}

/// An escape sequence (§4.6.3.3): as many ones as bits follow beyond four, a zero, and those bits.
fn read_escape(bits: &mut Bits<'_>) -> Result<u32, Damaged> {
    bits.refill();
    let prefix = (!bits.ahead()).leading_zeros();
    if ESCAPE_PREFIX_MAX < prefix {
        return Err(Damaged);
    }
    bits.consume(prefix + 1);
    let width = prefix + ESCAPE_BITS;
    Ok(1 << width | bits.take(width))
}

/// The generator of noise substitution: the same numbers in each run.
struct Noise {
    state: u32,
}

impl Noise {
    /// Noise of the energy `amplitude`² in all (§4.6.13.3).
    fn fill(&mut self, amplitude: f32, band: &mut [f32]) {
        let mut energy = 0.0;
        for line in &mut *band {
            // Numerical Recipes' linear congruence.
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *line = self.state.cast_signed() as f32;
            energy += *line * *line;
        }
        let scale = if 0.0 < energy { amplitude / energy.sqrt() } else { 0.0 };
        band.iter_mut().for_each(|line| *line *= scale);
    }
}
