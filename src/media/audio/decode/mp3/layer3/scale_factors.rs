//! Scale factors (ISO/IEC 11172-3 §2.4.2.7 and table 3-B.6; 13818-3 §2.4.3.2) and what they and the gains multiply a band by.

use super::{
    WINDOWS,
    bands::Bands,
    bits::Bits,
    side_info::{Granule, Window},
};

/// Most scale factors of a granule: 13 short bands of three windows. The last band of every kind has none and stays at zero.
pub(super) const FACTORS: usize = 39;

/// Scale factors of a channel in the order of [`Bands::widths`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ScaleFactors {
    pub(super) factors: [u8; FACTORS],
    /// Of each factor, the value that marks no place between the channels (intensity stereo of MPEG-2).
    pub(super) illegal: [u8; FACTORS],
}

impl ScaleFactors {
    pub(super) const ZERO: ScaleFactors = ScaleFactors { factors: [0; FACTORS], illegal: [u8::MAX; FACTORS] };

    /// Reads MPEG-1's: two widths, each for the half of the bands. What is shared stays as it is.
    pub(super) fn read_mpeg1(&mut self, bits: &mut Bits<'_>, granule: &Granule) {
        let [low, high] = MPEG1_BITS.get(granule.scalefac_compress as usize).copied().unwrap_or_default();
        let counts = match (granule.blocks.window, granule.blocks.mixed) {
            (Window::Short, true) => [8, 9, 9, 9],
            (Window::Short, false) => [9, 9, 9, 9],
            _ => [6, 5, 5, 5],
        };
        self.read(bits, counts, [low, low, high, high], granule.shared);
    }

    /// Reads MPEG-2's: four widths and four counts. The right channel of intensity stereo has counts of its own.
    pub(super) fn read_mpeg2(&mut self, bits: &mut Bits<'_>, granule: &Granule, is_intensity: bool) {
        let (row, widths) = mpeg2_bits(granule.scalefac_compress, is_intensity);
        let kind = match (granule.blocks.window, granule.blocks.mixed) {
            (Window::Short, true) => 2,
            (Window::Short, false) => 1,
            _ => 0,
        };
        let counts = MPEG2_COUNTS.get(row).and_then(|row| row.get(kind)).copied().unwrap_or_default();
        self.read(bits, counts, widths, 0);
        // Where a place takes no bits it is the legal 0.
        let illegal = |width: u32| if width == 0 { u8::MAX } else { (1 << width) - 1 };
        let illegal = widths.into_iter().zip(counts).flat_map(|(width, count)| (0..count).map(move |_| illegal(width)));
        self.illegal = [u8::MAX; FACTORS];
        for (to, illegal) in self.illegal.iter_mut().zip(illegal) {
            *to = illegal;
        }
    }

    fn read(&mut self, bits: &mut Bits<'_>, counts: [u8; 4], widths: [u32; 4], shared: u8) {
        let mut factors = self.factors.iter_mut();
        for (group, (count, width)) in counts.into_iter().zip(widths).enumerate() {
            let group_factors = factors.by_ref().take(usize::from(count));
            if shared & (8 >> group) != 0 {
                group_factors.for_each(|_| ());
            } else {
                group_factors.for_each(|factor| *factor = bits.take(width) as u8);
            }
        }
        factors.for_each(|factor| *factor = 0);
    }
}

/// The gain of the standard's formula that leaves a value as it is (§2.4.3.4.7).
const GAIN_UNITY: i32 = 210;
/// What preflag adds to the factors of long bands (table 3-B.6).
const PRETAB: [u8; 22] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 2, 0];

/// Exponents of a granule's bands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gains<'a> {
    granule: &'a Granule,
    factors: &'a [u8; FACTORS],
    long_count: usize,
    /// Added to all, in quarters of an exponent of two.
    offset: i32,
}

impl<'a> Gains<'a> {
    pub(super) fn new(granule: &'a Granule, scale: &'a ScaleFactors, bands: &Bands, offset: i32) -> Gains<'a> {
        let offset = granule.global_gain - GAIN_UNITY + offset;
        Gains { granule, factors: &scale.factors, long_count: bands.long_count(granule.blocks), offset }
    }

    /// What each band is multiplied by, in the order of [`Bands::widths`].
    pub(super) fn factors(self) -> impl Iterator<Item = f32> {
        // A factor counts for half or a whole exponent.
        let shift = if self.granule.scalefac_scale { 2 } else { 1 };
        self.factors.iter().enumerate().map(move |(band, factor)| {
            let (mut factor, mut exponent) = (i32::from(*factor), self.offset);
            if band >= self.long_count {
                let window = (band - self.long_count) % WINDOWS;
                exponent -= 8 * i32::from(self.granule.subblock_gain.get(window).copied().unwrap_or_default());
            } else if self.granule.preflag {
                factor += i32::from(PRETAB.get(band).copied().unwrap_or_default());
            }
            power_of_two(exponent - (factor << shift))
        })
    }
}

/// 2 to the power of so many quarters.
pub(super) fn power_of_two(quarters: i32) -> f32 {
    const ROOTS: [f32; 4] = [1.0, 1.189_207_1, std::f32::consts::SQRT_2, 1.681_792_8];
    const BIAS: i32 = 127;
    const MANTISSA_BITS: u32 = 23;
    let exponent = (quarters.div_euclid(4) + BIAS).clamp(0, 2 * BIAS) as u32;
    f32::from_bits(exponent << MANTISSA_BITS) * ROOTS[quarters.rem_euclid(4) as usize & 3]
}

/// Bits of a factor in the lower and upper bands by scalefac_compress (§2.4.2.7).
const MPEG1_BITS: [[u32; 2]; 16] = [
    [0, 0],
    [0, 1],
    [0, 2],
    [0, 3],
    [3, 0],
    [1, 1],
    [1, 2],
    [1, 3],
    [2, 1],
    [2, 2],
    [2, 3],
    [3, 1],
    [3, 2],
    [3, 3],
    [4, 2],
    [4, 3],
];

/// Counts of factors with one width each, by the form of scalefac_compress and long, short or mixed blocks (13818-3 §2.4.3.2). The
/// last three rows are those of the right channel of intensity stereo.
const MPEG2_COUNTS: [[[u8; 4]; 3]; 6] = [
    [[6, 5, 5, 5], [9, 9, 9, 9], [6, 9, 9, 9]],
    [[6, 5, 7, 3], [9, 9, 12, 6], [6, 9, 12, 6]],
    [[11, 10, 0, 0], [18, 18, 0, 0], [15, 18, 0, 0]],
    [[7, 7, 7, 0], [12, 12, 12, 0], [6, 15, 12, 0]],
    [[6, 6, 6, 3], [12, 9, 9, 6], [6, 12, 9, 6]],
    [[8, 8, 5, 0], [15, 12, 9, 0], [6, 18, 9, 0]],
];

/// The row of counts and the four widths that scalefac_compress stands for (13818-3 §2.4.3.2).
fn mpeg2_bits(compress: u32, is_intensity: bool) -> (usize, [u32; 4]) {
    if is_intensity {
        return match compress >> 1 {
            half @ 0..180 => (3, [half / 36, half % 36 / 6, half % 6, 0]),
            half @ 180..244 => (4, [(half - 180) / 16, (half - 180) % 16 / 4, (half - 180) % 4, 0]),
            half => (5, [(half - 244) / 3, (half - 244) % 3, 0, 0]),
        };
    }
    match compress {
        0..400 => (0, [compress / 80, compress / 16 % 5, compress / 4 % 4, compress % 4]),
        400..500 => (1, [(compress - 400) / 20, (compress - 400) / 4 % 5, (compress - 400) % 4, 0]),
        _ => (2, [(compress - 500) / 3, (compress - 500) % 3, 0, 0]),
    }
}
