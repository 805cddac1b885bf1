//! Scale factor bands (ISO/IEC 14496-3 Tables 4.129 to 4.147) and what else depends on the sampling frequency.

/// Lines of a long window's spectrum, and of all eight short ones.
pub(super) const LINES: usize = 1024;
/// Lines of a short window's spectrum.
pub(super) const SHORT_LINES: usize = 128;

/// Band edges and limits for one sampling frequency.
#[derive(Debug)]
pub(super) struct Bands {
    /// Band edges of a long window, the last one [`LINES`].
    pub(super) long: &'static [u16],
    /// Band edges of a short window, the last one [`SHORT_LINES`].
    pub(super) short: &'static [u16],
    /// First band that temporal noise shaping leaves alone (Table 4.155), of a long and of a short window.
    pub(super) shaped_long: usize,
    pub(super) shaped_short: usize,
}

/// Sampling frequencies by index (Table 1.18).
pub(in crate::media::audio::decode) const FREQUENCIES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Lowest sampling frequencies in Hz that use the tables of an index (Table 4.82); all below use the last.
const LOWEST: [u32; 11] = [92_017, 75_132, 55_426, 46_009, 37_566, 27_713, 23_004, 18_783, 13_856, 11_502, 9_391];

/// The bands of a sampling frequency in Hz.
pub(super) fn bands_of(frequency: u32) -> &'static Bands {
    let index = LOWEST.iter().position(|lowest| frequency >= *lowest).unwrap_or(LOWEST.len());
    TABLES.get(index).unwrap_or(&TABLES[TABLES.len() - 1])
}

const fn bands(long: &'static [u16], short: &'static [u16], shaped_long: usize, shaped_short: usize) -> Bands {
    Bands { long, short, shaped_long, shaped_short }
}

static TABLES: [Bands; 12] = [
    bands(&LONG_96, &SHORT_96, 31, 9),
    bands(&LONG_96, &SHORT_96, 31, 9),
    bands(&LONG_64, &SHORT_96, 34, 10),
    bands(&LONG_48, &SHORT_48, 40, 14),
    bands(&LONG_48, &SHORT_48, 42, 14),
    bands(&LONG_32, &SHORT_48, 51, 14),
    bands(&LONG_24, &SHORT_24, 46, 14),
    bands(&LONG_24, &SHORT_24, 46, 14),
    bands(&LONG_16, &SHORT_16, 42, 14),
    bands(&LONG_16, &SHORT_16, 42, 14),
    bands(&LONG_16, &SHORT_16, 42, 14),
    bands(&LONG_8, &SHORT_8, 39, 14),
];

static LONG_96: [u16; 42] = [
    0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 64, 72, 80, 88, 96, 108, 120, 132, 144, 156, 172, 188,
    212, 240, 276, 320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960, 1024,
];
static LONG_64: [u16; 48] = [
    0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 64, 72, 80, 88, 100, 112, 124, 140, 156, 172, 192, 216,
    240, 268, 304, 344, 384, 424, 464, 504, 544, 584, 624, 664, 704, 744, 784, 824, 864, 904, 944, 984, 1024,
];
static LONG_48: [u16; 50] = [
    0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 88, 96, 108, 120, 132, 144, 160, 176, 196, 216, 240,
    264, 292, 320, 352, 384, 416, 448, 480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800, 832, 864, 896, 928, 1024,
];
static LONG_32: [u16; 52] = [
    0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 72, 80, 88, 96, 108, 120, 132, 144, 160, 176, 196, 216, 240,
    264, 292, 320, 352, 384, 416, 448, 480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800, 832, 864, 896, 928, 960,
    992, 1024,
];
static LONG_24: [u16; 48] = [
    0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 52, 60, 68, 76, 84, 92, 100, 108, 116, 124, 136, 148, 160, 172, 188,
    204, 220, 240, 260, 284, 308, 336, 364, 396, 432, 468, 508, 552, 600, 652, 704, 768, 832, 896, 960, 1024,
];
static LONG_16: [u16; 44] = [
    0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 100, 112, 124, 136, 148, 160, 172, 184, 196, 212, 228, 244, 260, 280,
    300, 320, 344, 368, 396, 424, 456, 492, 532, 572, 616, 664, 716, 772, 832, 896, 960, 1024,
];
static LONG_8: [u16; 41] = [
    0, 12, 24, 36, 48, 60, 72, 84, 96, 108, 120, 132, 144, 156, 172, 188, 204, 220, 236, 252, 268, 288, 308, 328, 348,
    372, 396, 420, 448, 476, 508, 544, 580, 620, 664, 712, 764, 820, 880, 944, 1024,
];
static SHORT_96: [u16; 13] = [0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 92, 128];
static SHORT_48: [u16; 15] = [0, 4, 8, 12, 16, 20, 28, 36, 44, 56, 68, 80, 96, 112, 128];
static SHORT_24: [u16; 16] = [0, 4, 8, 12, 16, 20, 24, 28, 36, 44, 52, 64, 76, 92, 108, 128];
static SHORT_16: [u16; 16] = [0, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 60, 72, 88, 108, 128];
static SHORT_8: [u16; 16] = [0, 4, 8, 12, 16, 20, 24, 28, 36, 44, 52, 60, 72, 88, 108, 128];
