//! What stands before the spectrum of an individual channel stream (ISO/IEC 14496-3 §4.4.2.7): window, sections, scale factors.

use super::{
    Damaged,
    bands::{Bands, LINES, SHORT_LINES},
    bits::Bits,
    huffman::Tables,
    tns::Tns,
};

/// Bands of all groups: 51 of a long window, or up to 8 groups of 15.
pub(super) const SLOTS: usize = 128;
/// Slots of a group, where there is more than one.
const GROUP_SLOTS: usize = 16;

/// Codebook numbers that stand for something else than a spectrum (Table 4.150).
pub(super) const BOOK_ZERO: u8 = 0;
const BOOK_RESERVED: u8 = 12;
pub(super) const BOOK_NOISE: u8 = 13;
pub(super) const BOOK_INTENSITY_OUT: u8 = 14;
pub(super) const BOOK_INTENSITY: u8 = 15;

/// Block switching (Table 4.127).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    OnlyLong,
    LongStart,
    EightShort,
    LongStop,
}

/// `ics_info()`: windows and their grouping.
#[derive(Clone, Copy, Debug)]
pub(super) struct Info {
    pub(super) sequence: Sequence,
    /// 0 for the sine window, 1 for the Kaiser–Bessel-derived one: of this block's right half and the next one's left.
    pub(super) shape: u8,
    pub(super) bands_used: usize,
    /// Windows of each group; the first `groups` count.
    group_windows: [u8; 8],
    groups: usize,
    /// Band edges of the window length.
    pub(super) edges: &'static [u16],
}

impl Info {
    pub(super) fn parse(bits: &mut Bits<'_>, bands: &'static Bands) -> Result<Info, Damaged> {
        let reserved = bits.flag();
        let sequence = match bits.take(2) {
            0 => Sequence::OnlyLong,
            1 => Sequence::LongStart,
            2 => Sequence::EightShort,
            _ => Sequence::LongStop,
        };
        let shape = bits.take(1) as u8;
        let mut info = Info {
            sequence,
            shape,
            bands_used: 0,
            group_windows: [1, 0, 0, 0, 0, 0, 0, 0],
            groups: 1,
            edges: bands.long,
        };
        let mut predicted = false;
        if sequence == Sequence::EightShort {
            info.edges = bands.short;
            info.bands_used = bits.take(4) as usize;
            let grouping = bits.take(7);
            for window in (0..7).rev() {
                if grouping >> window & 1 == 0 {
                    info.groups += 1;
                }
                if let Some(count) = info.group_windows.get_mut(info.groups - 1) {
                    *count += 1;
                }
            }
        } else {
            info.bands_used = bits.take(6) as usize;
            // Prediction is of other profiles.
            predicted = bits.flag();
        }
        if reserved || predicted || info.bands_used >= info.edges.len() { Err(Damaged) } else { Ok(info) }
    }

    pub(super) fn is_short(&self) -> bool {
        self.sequence == Sequence::EightShort
    }

    /// Lines of one window.
    pub(super) fn window_lines(&self) -> usize {
        if self.is_short() { SHORT_LINES } else { LINES }
    }

    /// First line of each group, and its windows.
    pub(super) fn groups(&self) -> impl Iterator<Item = Group> + use<> {
        let windows = self.group_windows;
        let mut first_window = 0;
        windows.into_iter().take(self.groups).enumerate().map(move |(index, count)| {
            let windows = usize::from(count);
            let group = Group { slot: index * GROUP_SLOTS, first_line: first_window * SHORT_LINES, windows };
            first_window += windows;
            group
        })
    }

    /// Edges of the bands used.
    pub(super) fn bands(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let ends = self.edges.iter().skip(1);
        self.edges.iter().zip(ends).take(self.bands_used).map(|(start, end)| (usize::from(*start), usize::from(*end)))
    }
}

/// Windows that share scale factors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// Slot of its first band.
    pub(super) slot: usize,
    pub(super) first_line: usize,
    pub(super) windows: usize,
}

/// Up to four lines that are raised after the spectrum is decoded (`pulse_data()`, §4.6.3.4).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulses {
    pub(super) lines: [u16; 4],
    pub(super) amplitudes: [u8; 4],
    pub(super) count: usize,
}

/// An individual channel stream before its spectrum.
#[derive(Debug)]
pub(super) struct Ics {
    pub(super) info: Info,
    /// Codebook of each slot.
    pub(super) books: [u8; SLOTS],
    /// Factor of each slot: of spectra and noise their scale, of intensity stereo right over left.
    pub(super) scales: [f32; SLOTS],
    pub(super) pulses: Pulses,
    pub(super) tns: Tns,
}

impl Ics {
    pub(super) fn new(bands: &'static Bands) -> Ics {
        let info = Info {
            sequence: Sequence::OnlyLong,
            shape: 0,
            bands_used: 0,
            group_windows: [1, 0, 0, 0, 0, 0, 0, 0],
            groups: 1,
            edges: bands.long,
        };
        Ics { info, books: [0; SLOTS], scales: [0.0; SLOTS], pulses: Pulses::default(), tns: Tns::default() }
    }

    /// Reads everything up to the spectrum. `common` is the window of a pair's both channels.
    pub(super) fn parse(
        &mut self,
        bits: &mut Bits<'_>,
        common: Option<Info>,
        bands: &'static Bands,
        tables: &Tables,
        gains: &Gains,
    ) -> Result<(), Damaged> {
        let global_gain = bits.take(8) as i32;
        self.info = match common {
            Some(info) => info,
            None => Info::parse(bits, bands)?,
        };
        self.parse_sections(bits)?;
        self.parse_scale_factors(bits, global_gain, tables, gains)?;
        self.pulses.count = 0;
        if bits.flag() {
            self.parse_pulses(bits)?;
        }
        self.tns.clear();
        if bits.flag() {
            self.tns.parse(bits, &self.info, bands)?;
        }
        // Gain control is of another profile.
        if bits.flag() { Err(Damaged) } else { bits.check() }
    }

    fn parse_sections(&mut self, bits: &mut Bits<'_>) -> Result<(), Damaged> {
        let length_bits = if self.info.is_short() { 3 } else { 5 };
        let escape = (1 << length_bits) - 1;
        for group in self.info.groups() {
            let mut band = 0;
            while band < self.info.bands_used {
                let book = bits.take(4) as u8;
                let mut length = 0;
                loop {
                    let part = bits.take(length_bits) as usize;
                    length += part;
                    if part != escape || length > SLOTS {
                        break;
                    }
                }
                let end = band + length;
                if book == BOOK_RESERVED || length == 0 || end > self.info.bands_used {
                    return Err(Damaged);
                }
                let slots = self.books.get_mut(group.slot + band..group.slot + end).ok_or(Damaged)?;
                slots.fill(book);
                band = end;
            }
        }
        Ok(())
    }

    fn parse_scale_factors(
        &mut self,
        bits: &mut Bits<'_>,
        global_gain: i32,
        tables: &Tables,
        gains: &Gains,
    ) -> Result<(), Damaged> {
        let mut scale_factor = global_gain;
        let mut noise = global_gain - NOISE_OFFSET;
        let mut noise_begun = false;
        let mut position = 0;
        for group in self.info.groups() {
            let used = group.slot..group.slot + self.info.bands_used;
            let books = self.books.get(used.clone()).ok_or(Damaged)?;
            let scales = self.scales.get_mut(used).ok_or(Damaged)?;
            for (book, scale) in books.iter().zip(scales) {
                *scale = match *book {
                    BOOK_ZERO => 0.0,
                    BOOK_NOISE => {
                        noise += if noise_begun { tables.scale_factor_step(bits) } else { bits.take(9) as i32 - 256 };
                        noise_begun = true;
                        gains.noise(noise)
                    }
                    BOOK_INTENSITY | BOOK_INTENSITY_OUT => {
                        position += tables.scale_factor_step(bits);
                        let ratio = gains.intensity(position);
                        if *book == BOOK_INTENSITY { ratio } else { -ratio }
                    }
                    _ => {
                        scale_factor += tables.scale_factor_step(bits);
                        gains.spectral(scale_factor)?
                    }
                };
            }
        }
        Ok(())
    }

    fn parse_pulses(&mut self, bits: &mut Bits<'_>) -> Result<(), Damaged> {
        if self.info.is_short() {
            return Err(Damaged);
        }
        self.pulses.count = bits.take(2) as usize + 1;
        let first_band = bits.take(6) as usize;
        let mut line = *self.info.edges.get(first_band).ok_or(Damaged)?;
        let pulses = self.pulses.lines.iter_mut().zip(&mut self.pulses.amplitudes);
        for (at, amplitude) in pulses.take(self.pulses.count) {
            line += bits.take(5) as u16;
            *at = line;
            *amplitude = bits.take(4) as u8;
        }
        Ok(())
    }
}

/// Noise energies are coded relative to this (§4.6.13.3).
const NOISE_OFFSET: i32 = 90;
/// Scale factor that leaves values as they are (§4.6.2.3.3).
const SCALE_FACTOR_UNIT: i32 = 100;
/// Scale factors go up to this (§4.6.2.3.2).
const SCALE_FACTOR_MAX: i32 = 255;
/// Exponents of powers of 2^¼ that are kept; what is beyond is inaudible or damage, and is held to the nearest.
const QUARTERS: std::ops::RangeInclusive<i32> = -200..=200;

/// Powers of 2^¼.
#[derive(Debug)]
pub(super) struct Gains {
    powers: Vec<f32>,
}

impl Gains {
    pub(super) fn new() -> Gains {
        Gains { powers: QUARTERS.map(|quarters| (0.25 * f64::from(quarters)).exp2() as f32).collect() }
    }

    fn power(&self, quarters: i32) -> f32 {
        let held = quarters.clamp(*QUARTERS.start(), *QUARTERS.end());
        self.powers.get((held - QUARTERS.start()) as usize).copied().unwrap_or(0.0)
    }

    fn spectral(&self, scale_factor: i32) -> Result<f32, Damaged> {
        let valid = (0..=SCALE_FACTOR_MAX).contains(&scale_factor);
        if valid { Ok(self.power(scale_factor - SCALE_FACTOR_UNIT)) } else { Err(Damaged) }
    }

    fn noise(&self, noise: i32) -> f32 {
        self.power(noise)
    }

    /// Right over left (§4.6.8.2.3).
    fn intensity(&self, position: i32) -> f32 {
        self.power(position.saturating_neg())
    }
}
