//! Scale factor bands by sampling rate (ISO/IEC 11172-3 annex B, table 3-B.8; 13818-3 annex B, table B.2): data of the standards.

use super::{LINES, WINDOWS, side_info::Blocks};

/// Long bands of every rate, and short bands.
pub(super) const LONG: usize = 22;
const SHORT: usize = 13;

/// The bands of one rate.
#[derive(Debug)]
pub(super) struct Bands {
    /// First lines of the long bands, and the end.
    pub(super) long_edges: [u16; LONG + 1],
    /// First lines of the short bands in each of the three windows, and the end.
    short_edges: [u16; SHORT + 1],
    long: [u16; LONG],
    short: [u16; WINDOWS * SHORT],
    mixed: [u16; LONG + WINDOWS * SHORT],
    /// Of the widths in `mixed`, how many are those of long bands, and how many there are.
    mixed_long: usize,
    mixed_count: usize,
}

impl Bands {
    /// Lines of the bands of a granule, in the order in which they are coded: of short ones, the three windows of each in turn.
    pub(super) fn widths(&self, blocks: Blocks) -> &[u16] {
        match (blocks.is_short(), blocks.mixed) {
            (false, _) => &self.long,
            (true, false) => &self.short,
            (true, true) => self.mixed.get(..self.mixed_count).unwrap_or_default(),
        }
    }

    /// How many of the widths are those of long bands.
    pub(super) fn long_count(&self, blocks: Blocks) -> usize {
        match (blocks.is_short(), blocks.mixed) {
            (false, _) => LONG,
            (true, false) => 0,
            (true, true) => self.mixed_long,
        }
    }

    /// Where decoding may stop for the lowest `kept` lines: there, or at the end of the short band that reaches as far.
    pub(super) fn limit(&self, blocks: Blocks, kept: usize) -> usize {
        if !blocks.is_short() {
            return kept;
        }
        let reaches = |edge: &&u16| usize::from(**edge) * WINDOWS >= kept;
        self.short_edges.iter().find(reaches).map_or(LINES, |edge| usize::from(*edge) * WINDOWS)
    }

    const fn new(long_edges: [u16; LONG + 1], short_edges: [u16; SHORT + 1], is_mpeg1: bool) -> Bands {
        // Mixed blocks: long bands up to line 36, short ones from line 12 of each window on.
        let mixed_long = if is_mpeg1 { 8 } else { 6 };
        let mut bands = Bands {
            long_edges,
            short_edges,
            long: [0; LONG],
            short: [0; WINDOWS * SHORT],
            mixed: [0; LONG + WINDOWS * SHORT],
            mixed_long,
            mixed_count: mixed_long,
        };
        let mut band = 0;
        while band < LONG {
            bands.long[band] = long_edges[band + 1] - long_edges[band];
            if band < mixed_long {
                bands.mixed[band] = bands.long[band];
            }
            band += 1;
        }
        let mut place = 0;
        while place < WINDOWS * SHORT {
            let band = place / WINDOWS;
            bands.short[place] = short_edges[band + 1] - short_edges[band];
            if short_edges[band] >= 12 {
                bands.mixed[bands.mixed_count] = bands.short[place];
                bands.mixed_count += 1;
            }
            place += 1;
        }
        bands
    }
}

/// The bands of a rate in Hz; `None` for those of MPEG-2.5, which are too low to be reduced.
pub(super) fn of(rate: u32) -> Option<&'static Bands> {
    let place = match rate {
        44_100 => 0,
        48_000 => 1,
        32_000 => 2,
        22_050 => 3,
        24_000 => 4,
        16_000 => 5,
        _ => return None,
    };
    BANDS.get(place)
}

static BANDS: [Bands; 6] = [
    Bands::new(
        [0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 52, 62, 74, 90, 110, 134, 162, 196, 238, 288, 342, 418, 576],
        [0, 4, 8, 12, 16, 22, 30, 40, 52, 66, 84, 106, 136, 192],
        true,
    ),
    Bands::new(
        [0, 4, 8, 12, 16, 20, 24, 30, 36, 42, 50, 60, 72, 88, 106, 128, 156, 190, 230, 276, 330, 384, 576],
        [0, 4, 8, 12, 16, 22, 28, 38, 50, 64, 80, 100, 126, 192],
        true,
    ),
    Bands::new(
        [0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 54, 66, 82, 102, 126, 156, 194, 240, 296, 364, 448, 550, 576],
        [0, 4, 8, 12, 16, 22, 30, 42, 58, 78, 104, 138, 180, 192],
        true,
    ),
    Bands::new(
        [0, 6, 12, 18, 24, 30, 36, 44, 54, 66, 80, 96, 116, 140, 168, 200, 238, 284, 336, 396, 464, 522, 576],
        [0, 4, 8, 12, 18, 24, 32, 42, 56, 74, 100, 132, 174, 192],
        false,
    ),
    Bands::new(
        [0, 6, 12, 18, 24, 30, 36, 44, 54, 66, 80, 96, 114, 136, 162, 194, 232, 278, 332, 394, 464, 540, 576],
        [0, 4, 8, 12, 18, 26, 36, 48, 62, 80, 104, 136, 180, 192],
        false,
    ),
    Bands::new(
        [0, 6, 12, 18, 24, 30, 36, 44, 54, 66, 80, 96, 116, 140, 168, 200, 238, 284, 336, 396, 464, 522, 576],
        [0, 4, 8, 12, 18, 26, 36, 48, 62, 80, 104, 134, 174, 192],
        false,
    ),
];
