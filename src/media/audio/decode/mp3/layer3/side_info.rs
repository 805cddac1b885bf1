//! Side information: what of the main data belongs to which granule, and how it is coded (ISO/IEC 11172-3 §2.4.1.7, 13818-3
//! §2.4.1.7).

use super::{LINES, bits::Bits};

/// Most values in pairs: half of all lines.
const BIG_VALUES_MAX: usize = LINES / 2;
/// Lines of the first region of short blocks, which have no scale factor bands of long ones to count.
const SHORT_REGION: usize = 36;
/// Scale factor bands of the first region where the window is switched and the block is long.
const SWITCHED_REGION_BANDS: usize = 8;

/// The shape of the transform of a granule and channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) window: Window,
    /// Whether the lowest two sub-bands have a normal window whatever the others have.
    pub(super) mixed: bool,
}

/// Window of the transform (§2.4.2.7, block_type).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Window {
    #[default]
    Normal,
    Start,
    Short,
    Stop,
}

impl Blocks {
    pub(super) fn is_short(self) -> bool {
        self.window == Window::Short
    }
}

/// What the side information says about one channel of a granule. Names are those of the standard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Granule {
    /// Bits of scale factors and Huffman codes.
    pub(super) part2_3_length: usize,
    /// Lines coded in pairs.
    pub(super) big_lines: usize,
    pub(super) global_gain: i32,
    pub(super) scalefac_compress: u32,
    pub(super) blocks: Blocks,
    /// Tables of the three regions of pairs.
    pub(super) tables: [u8; 3],
    /// Lines where the first and second region end.
    pub(super) region_ends: [usize; 2],
    pub(super) subblock_gain: [u8; 3],
    pub(super) preflag: bool,
    pub(super) scalefac_scale: bool,
    /// Which table quadruples are coded with.
    pub(super) count1_table: usize,
    /// Groups of scale factors taken over from the first granule, the lowest group in the highest of 4 bits.
    pub(super) shared: u8,
}

/// Side information of a frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SideInfo {
    /// Bytes by which the main data begins before the frame's own.
    pub(super) main_data_begin: usize,
    /// By granule and channel.
    pub(super) granules: [[Granule; 2]; 2],
}

/// What of a frame's header the layers below need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// MPEG-1: two granules of 576 samples, and scale factors in their older form.
    pub(super) is_mpeg1: bool,
    pub(super) channels: usize,
    /// Whether the channels may be joined by intensity stereo.
    pub(super) has_intensity: bool,
    /// Long scale factor bands by their first lines.
    pub(super) long_edges: &'static [u16; 23],
}

impl Shape {
    pub(super) fn granules(&self) -> usize {
        if self.is_mpeg1 { 2 } else { 1 }
    }

    /// Bytes of the side information.
    pub(super) fn side_info_bytes(&self) -> usize {
        match (self.is_mpeg1, self.channels) {
            (true, 1) => 17,
            (true, _) => 32,
            (false, 1) => 9,
            (false, _) => 17,
        }
    }
}

impl SideInfo {
    /// Reads the side information; `None` where a value is not allowed.
    pub(super) fn parse(bytes: &[u8], shape: &Shape) -> Option<SideInfo> {
        let bits = &mut Bits::new(bytes);
        let mut info = SideInfo::default();
        let mut shared = [0; 2];
        if shape.is_mpeg1 {
            info.main_data_begin = bits.take(9) as usize;
            bits.skip(if shape.channels == 1 { 5 } else { 3 });
            for shared in shared.iter_mut().take(shape.channels) {
                *shared = bits.take(4) as u8;
            }
        } else {
            info.main_data_begin = bits.take(8) as usize;
            bits.skip(shape.channels);
        }
        for (number, granule) in info.granules.iter_mut().take(shape.granules()).enumerate() {
            for (granule, shared) in granule.iter_mut().take(shape.channels).zip(shared) {
                *granule = Granule::parse(bits, shape)?;
                // Short blocks share nothing: their bands are not those of the first granule.
                if number == 1 && !granule.blocks.is_short() {
                    granule.shared = shared;
                }
            }
        }
        Some(info)
    }

    /// Bits of main data that all granules have together.
    pub(super) fn main_data_bits(&self) -> usize {
        self.granules.as_flattened().iter().map(|granule| granule.part2_3_length).sum()
    }
}

impl Granule {
    fn parse(bits: &mut Bits<'_>, shape: &Shape) -> Option<Granule> {
        let mut granule = Granule {
            part2_3_length: bits.take(12) as usize,
            big_lines: 2 * bits.take(9) as usize,
            global_gain: bits.take(8) as i32,
            scalefac_compress: bits.take(if shape.is_mpeg1 { 4 } else { 9 }),
            ..Granule::default()
        };
        if granule.big_lines > 2 * BIG_VALUES_MAX {
            return None;
        }
        if bits.flag() {
            granule.switched(bits, shape)?
        } else {
            granule.unswitched(bits, shape)
        }
        // MPEG-2 says it with the scale factors (13818-3 §2.4.3.2).
        granule.preflag = if shape.is_mpeg1 { bits.flag() } else { granule.scalefac_compress >= 500 };
        granule.scalefac_scale = bits.flag();
        granule.count1_table = bits.take(1) as usize;
        Some(granule)
    }

    fn switched(&mut self, bits: &mut Bits<'_>, shape: &Shape) -> Option<()> {
        let window = match bits.take(2) {
            1 => Window::Start,
            2 => Window::Short,
            3 => Window::Stop,
            _ => return None,
        };
        self.blocks = Blocks { window, mixed: bits.flag() };
        self.tables = [bits.take(5) as u8, bits.take(5) as u8, 0];
        self.subblock_gain = [(); 3].map(|()| bits.take(3) as u8);
        let first = if window == Window::Short { SHORT_REGION } else { edge(shape, SWITCHED_REGION_BANDS) };
        self.region_ends = [first, LINES];
        Some(())
    }

    fn unswitched(&mut self, bits: &mut Bits<'_>, shape: &Shape) {
        self.tables = [(); 3].map(|()| bits.take(5) as u8);
        let first = bits.take(4) as usize + 1;
        let second = first + bits.take(3) as usize + 1;
        self.region_ends = [edge(shape, first), edge(shape, second)];
    }
}

fn edge(shape: &Shape, band: usize) -> usize {
    shape.long_edges.get(band).map_or(LINES, |line| usize::from(*line))
}
