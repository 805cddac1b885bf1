//! From bits to lines.

use super::{super::*, random};
use crate::media::audio::decode::mp3::layer3::{
    bits::{Bits, top},
    codes::{PAIRS, QUADRUPLES, SELECTABLE},
    huffman::POWERS,
    requantise::requantise,
    scale_factors::{FACTORS, Gains, power_of_two},
    side_info::{Blocks, Granule, Window},
    stereo::Intensity,
};

/// Writes bits from the left.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    count: usize,
}

impl Writer {
    fn put(&mut self, value: u32, bits: u32) {
        for bit in (0..bits).rev() {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (7 - self.count % 8);
            self.count += 1;
        }
    }
}

const SHORT: Blocks = Blocks { window: Window::Short, mixed: false };
const MIXED: Blocks = Blocks { window: Window::Short, mixed: true };

#[test]
fn bits_are_read_from_the_left_and_end_in_zeros() {
    let bytes = [0b1010_0101, 0xff, 0x00, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc];
    let mut bits = Bits::new(&bytes);
    assert_eq!((bits.take(1), bits.take(3), bits.take(0), bits.take(12)), (1, 2, 0, 0x5ff));
    assert_eq!((bits.left(), bits.at()), (56, 16));
    assert_eq!(bits.take(32), 0x0012_3456);
    assert_eq!(bits.further(4).take(32), 0x89ab_c000);
    bits.skip(100);
    assert_eq!((bits.take(32), bits.left()), (0, 0));
    assert_eq!((top(u64::MAX, 0), top(u64::MAX, 32)), (0, u32::MAX));
}

#[test]
fn the_reservoir_lends_what_it_has_and_no_more() {
    let mut reservoir = Reservoir::new();
    assert!(reservoir.push(&[1; 100], 1).is_none());
    assert_eq!(reservoir.push(&[2; 300], 100).map(|bits| (bits.left(), bits.clone().take(8))), Some((3_200, 1)));
    assert_eq!(reservoir.push(&[3; 400], 400).map(|bits| bits.left()), Some(6_400));
    // 800 bytes have passed, 511 of them are kept.
    assert!(reservoir.push(&[], 512).is_none());
    assert_eq!(reservoir.push(&[4; 1_441], 511).map(|bits| (bits.left(), bits.clone().take(8))), Some((8 * 1_952, 2)));
    // More than a frame can have.
    assert_eq!(reservoir.push(&[5; 4_000], 0).map(|bits| bits.left()), Some(8 * 1_441));
}

#[test]
fn code_tables_leave_no_gap_and_hold_every_pair_once() {
    for codes in PAIRS.iter().chain(&QUADRUPLES) {
        let space: u64 = codes.iter().map(|code| 1 << (32 - (code >> 8))).sum();
        assert_eq!(space, 1 << 32);
        let mut values: Vec<_> = codes.iter().map(|code| code & 0xff).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), codes.len());
    }
    let sides = PAIRS.map(|codes| (codes.len() as f64).sqrt());
    assert_eq!(sides.map(|side| side as usize), [2, 3, 3, 4, 4, 6, 6, 6, 8, 8, 8, 16, 16, 16, 16]);
}

/// Writes a value's code word, and the bits that follow it.
fn write_word(writer: &mut Writer, codes: &[u16], linbits: u32, values: &[i32]) {
    let magnitudes = values.iter().map(|value| value.unsigned_abs());
    let word = match values.len() {
        2 => magnitudes.clone().fold(0, |word, value| word << 4 | value.min(15)),
        _ => magnitudes.clone().fold(0, |word, value| word << 1 | value),
    };
    let at = codes.iter().position(|code| u32::from(code & 0xff) == word).unwrap();
    let before: u64 = codes[..at].iter().map(|code| 1u64 << (32 - (code >> 8))).sum();
    let length = u32::from(codes[at] >> 8);
    writer.put((before >> (32 - length)) as u32, length);
    for value in values {
        if 15 <= value.unsigned_abs() && linbits != 0 {
            writer.put(value.unsigned_abs() - 15, linbits);
        }
        if *value != 0 {
            writer.put(u32::from(*value < 0), 1);
        }
    }
}

fn power(value: i32) -> f32 {
    (f64::from(value).abs().powf(4.0 / 3.0) * f64::from(value.signum())) as f32
}

#[test]
fn powers_are_those_of_the_formula() {
    for (value, power) in POWERS.iter().enumerate() {
        assert_eq!(*power, (value as f64).powf(4.0 / 3.0) as f32, "{value}");
    }
}

#[test]
fn every_table_decodes_what_was_coded_with_it() {
    let mut random = random(5);
    for (table, selected) in SELECTABLE.iter().enumerate() {
        let Some(tree) = selected.tree else { continue };
        let codes = PAIRS[tree];
        let most = (codes.len() as f64).sqrt() as i32 - 1 + (1 << selected.linbits) - 1;
        for (count1_table, quadruples) in QUADRUPLES.iter().enumerate() {
            let mut writer = Writer::default();
            let mut values = Vec::new();
            for _ in 0..200 {
                // Small values, which have short codes, as well as any.
                let most = if random().is_multiple_of(2) { most.min(15) } else { most };
                let pair = [(); 2].map(|()| (random() % (2 * most as u64 + 1)) as i32 - most);
                write_word(&mut writer, codes, selected.linbits, &pair);
                values.extend(pair);
            }
            for _ in 0..20 {
                let four = [(); 4].map(|()| (random() % 3) as i32 - 1);
                write_word(&mut writer, quadruples, 0, &four);
                values.extend(four);
            }
            let granule = Granule {
                big_lines: 400,
                tables: [table as u8; 3],
                region_ends: [36, 150],
                count1_table,
                ..Granule::default()
            };
            let end = writer.count;
            let bits = Bits::new(&writer.bytes);
            for limit in [144, 410, LINES] {
                let mut lines = [9.0; LINES];
                Tables::get().decode(&mut bits.clone(), &granule, end, limit, &mut lines);
                let coded: Vec<_> =
                    values.iter().map(|value| power(*value)).chain(std::iter::repeat_n(0.0, 96)).collect();
                assert_eq!(lines[..limit], coded[..limit], "table {table}, {count1_table}, to {limit}");
            }
            // The last quadruple does not fit into one bit less.
            let mut lines = [9.0; LINES];
            Tables::get().decode(&mut bits.clone(), &granule, end - 1, LINES, &mut lines);
            assert_eq!(lines[476..], [0.0; 100]);
        }
    }
}

#[test]
fn bands_cover_all_lines() {
    for rate in [48_000, 44_100, 32_000, 24_000, 22_050, 16_000] {
        let bands = bands::of(rate).unwrap();
        for blocks in [Blocks::default(), SHORT, MIXED] {
            let widths = bands.widths(blocks);
            assert_eq!(widths.iter().sum::<u16>(), 576, "{rate} {blocks:?}");
            assert!(widths.iter().all(|width| width % 2 == 0));
            // All bands but the last of each window have a scale factor.
            assert!(widths.len() <= FACTORS);
            for kept in [144, 288] {
                let limit = bands.limit(blocks, kept);
                assert!((kept..kept + 120).contains(&limit), "{rate} {blocks:?}: {limit}");
            }
        }
        assert_eq!(bands.long_count(MIXED), if rate < 32_000 { 6 } else { 8 });
    }
    assert!(bands::of(11_025).is_none());
}

#[test]
fn scale_factors_take_the_bits_that_the_standard_says() {
    let bytes: Vec<u8> = (0..64u32).map(|n| (n * 37) as u8).collect();
    for blocks in [Blocks::default(), SHORT, MIXED] {
        for compress in 0..16u32 {
            let granule = Granule { scalefac_compress: compress, blocks, ..Granule::default() };
            let mut scale = ScaleFactors::ZERO;
            let mut bits = Bits::new(&bytes);
            scale.read_mpeg1(&mut bits, &granule);
            // §2.4.2.7, scalefac_compress.
            let low = [0, 0, 0, 0, 3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4][compress as usize];
            let high = [0, 1, 2, 3, 0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 2, 3][compress as usize];
            let (first, second) = match (blocks.is_short(), blocks.mixed) {
                (false, _) => (11, 10),
                (true, false) => (18, 18),
                (true, true) => (17, 18),
            };
            assert_eq!(bits.at(), first * low + second * high, "{blocks:?} {compress}");
        }
        for compress in 0..512u32 {
            for is_intensity in [false, true] {
                let granule = Granule { scalefac_compress: compress, blocks, ..Granule::default() };
                let mut bits = Bits::new(&bytes);
                let mut scale = ScaleFactors::ZERO;
                scale.read_mpeg2(&mut bits, &granule, is_intensity);
                assert!(bits.at() <= 39 * 5, "{blocks:?} {compress}");
                assert_eq!(scale.factors[36..], [0; 3]);
            }
        }
    }
    // What the second granule takes over stays.
    let mut scale = ScaleFactors { factors: [7; FACTORS], ..ScaleFactors::ZERO };
    let granule = Granule { scalefac_compress: 15, shared: 0b1010, ..Granule::default() };
    let mut bits = Bits::new(&bytes);
    scale.read_mpeg1(&mut bits, &granule);
    assert_eq!(bits.at(), 5 * 4 + 5 * 3);
    assert!(scale.factors[..6] == [7; 6] && scale.factors[11..16] == [7; 5] && scale.factors[6..11] != [7; 5]);
}

#[test]
fn gains_are_those_of_the_formula() {
    let bands = bands::of(44_100).unwrap();
    let factors: [u8; FACTORS] = std::array::from_fn(|band| (band % 5) as u8);
    let scale = ScaleFactors { factors, ..ScaleFactors::ZERO };
    let pretab = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3, 2, 0];
    for (preflag, scalefac_scale) in [(false, false), (true, false), (true, true)] {
        let granule = Granule { global_gain: 170, preflag, scalefac_scale, ..Granule::default() };
        let multiplier = if scalefac_scale { 1.0 } else { 0.5 };
        for (band, gain) in Gains::new(&granule, &scale, bands, -2).factors().take(22).enumerate() {
            let factor = f64::from(factors[band]) + if preflag { f64::from(pretab[band]) } else { 0.0 };
            let expected = 2f64.powf((170.0 - 210.0 - 2.0) / 4.0 - multiplier * factor);
            assert!((f64::from(gain) / expected - 1.0).abs() < 1e-6, "{band}");
        }
    }
    let granule = Granule { global_gain: 200, subblock_gain: [0, 3, 7], blocks: MIXED, ..Granule::default() };
    for (band, gain) in Gains::new(&granule, &scale, bands, 0).factors().take(35).enumerate().skip(8) {
        let subblock = [0.0, 3.0, 7.0][(band - 8) % 3];
        let expected = 2f64.powf(-10.0 / 4.0 - 2.0 * subblock - 0.5 * f64::from(factors[band]));
        assert!((f64::from(gain) / expected - 1.0).abs() < 1e-6, "{band}");
    }
    assert!((power_of_two(-5) - 0.5f32.powf(1.25)).abs() < 1e-7);
}

#[test]
fn requantisation_multiplies_each_band_up_to_the_limit() {
    let mut lines = [1.0; LINES];
    requantise(&mut lines, &[4, 4, 8, 560], [2.0, 3.0, 4.0, 5.0].into_iter(), 20);
    assert_eq!((lines[3], lines[4], lines[8], lines[15], lines[16], lines[19]), (2.0, 3.0, 4.0, 4.0, 5.0, 5.0));
    assert_eq!(lines[20..], [1.0; 556]);
}

/// Left 1 everywhere, right a half up to line `right_end`.
fn joined(right_end: usize) -> [Spectrum; 2] {
    let mut right = [0.0; LINES];
    right[..right_end].fill(0.5);
    [[1.0; LINES], right]
}

#[test]
fn intensity_stereo_begins_where_the_right_channel_ends() {
    let bands = bands::of(44_100).unwrap();
    let (widths, edges) = (bands.widths(Blocks::default()), &bands.long_edges);
    let mut scale = ScaleFactors { factors: [0; FACTORS], illegal: [u8::MAX; FACTORS] };
    for (band, factor) in scale.factors.iter_mut().enumerate() {
        *factor = (band % 8) as u8;
    }
    // The last line of band 5: intensity from band 6 on.
    for middle_side in [false, true] {
        let mut spectra = joined(24);
        stereo::process(middle_side, Some(Intensity::Mpeg1), &mut spectra, &scale, widths, 22);
        for (band, edge) in edges.iter().enumerate().take(22) {
            let line = usize::from(*edge);
            let place = if band == 21 { 20 % 8 } else { band % 8 };
            let ratio = (std::f64::consts::PI / 12.0 * place as f64).tan();
            let sum = f64::from(std::f32::consts::FRAC_1_SQRT_2);
            let expected = match (band, place) {
                (6.., 6) => (1.0, 0.0),
                (6.., 0..6) => (ratio / (1.0 + ratio), 1.0 / (1.0 + ratio)),
                (0..6, _) if middle_side => (1.5 * sum, 0.5 * sum),
                (0..6, _) => (1.0, 0.5),
                _ if middle_side => (sum, sum),
                _ => (1.0, 0.0),
            };
            let [left, right] = [0, 1].map(|channel| f64::from(spectra[channel][line]));
            let difference = (left - expected.0).abs().max((right - expected.1).abs());
            assert!(difference < 1e-6, "band {band}: {left} {right} and not {expected:?}");
        }
    }
}

#[test]
fn intensity_stereo_of_mpeg2_weakens_one_side() {
    let bands = bands::of(22_050).unwrap();
    let widths = bands.widths(Blocks::default());
    for quarters in [1, 2] {
        let mut scale = ScaleFactors { factors: [0; FACTORS], illegal: [7; FACTORS] };
        scale.factors[..8].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7]);
        let mut spectra = joined(0);
        stereo::process(false, Some(Intensity::Mpeg2 { quarters }), &mut spectra, &scale, widths, 22);
        for band in 0..8usize {
            let line = usize::from(bands.long_edges[band]);
            let weaker = 2f64.powf(-0.25 * f64::from(quarters) * band.div_ceil(2) as f64);
            let expected = match band {
                7 => (1.0, 0.0),
                _ if band % 2 == 1 => (weaker, 1.0),
                _ => (1.0, weaker),
            };
            let [left, right] = [0, 1].map(|channel| f64::from(spectra[channel][line]));
            assert!((left - expected.0).abs().max((right - expected.1).abs()) < 1e-6, "{band}: {left} {right}");
        }
    }
}

#[test]
fn short_blocks_have_a_border_of_intensity_in_each_window() {
    let bands = bands::of(44_100).unwrap();
    let scale = ScaleFactors { factors: [6; FACTORS], illegal: [u8::MAX; FACTORS] };
    let mut spectra = joined(0);
    // Band 3, window 1: lines 36 + 4 to 36 + 8.
    spectra[1][41] = 0.25;
    stereo::process(false, Some(Intensity::Mpeg1), &mut spectra, &scale, bands.widths(SHORT), 0);
    let [left, right] = spectra;
    // Everything to the left where intensity reigns: place 6.
    let is_left = |line: usize| (left[line] - 1.0).abs() < 1e-6 && right[line].abs() < 1e-6;
    assert!(is_left(36) && is_left(44) && is_left(48) && is_left(575));
    assert_eq!((left[41], right[41]), (1.0, 0.25));
}

#[test]
fn side_information_is_read_field_by_field() {
    let shape =
        Shape { is_mpeg1: true, channels: 1, has_intensity: false, long_edges: &bands::of(44_100).unwrap().long_edges };
    let mut writer = Writer::default();
    for (value, bits) in [(300, 9), (0, 5), (0b1010, 4)] {
        writer.put(value, bits);
    }
    // Part 2 and 3, big values, gain, compress; no switching; three tables; two counts; preflag, scale, table.
    let long = [
        (1_000, 12),
        (100, 9),
        (180, 8),
        (9, 4),
        (0, 1),
        (1, 5),
        (2, 5),
        (24, 5),
        (7, 4),
        (3, 3),
        (1, 1),
        (0, 1),
        (1, 1),
    ];
    // The same with switching: short, mixed; two tables; three gains.
    let short = [
        (500, 12),
        (50, 9),
        (170, 8),
        (3, 4),
        (1, 1),
        (2, 2),
        (1, 1),
        (5, 5),
        (6, 5),
        (1, 3),
        (2, 3),
        (3, 3),
        (0, 1),
        (1, 1),
        (0, 1),
    ];
    for (value, bits) in long.into_iter().chain(short) {
        writer.put(value, bits);
    }
    assert_eq!(writer.bytes.len(), shape.side_info_bytes());
    let info = SideInfo::parse(&writer.bytes, &shape).unwrap();
    assert_eq!((info.main_data_begin, info.main_data_bits()), (300, 1_500));
    let [[first, _], [second, _]] = info.granules;
    assert_eq!(
        (first.part2_3_length, first.big_lines, first.global_gain, first.scalefac_compress),
        (1_000, 200, 180, 9)
    );
    assert_eq!((first.tables, first.region_ends, first.blocks), ([1, 2, 24], [36, 74], Blocks::default()));
    assert_eq!((first.preflag, first.scalefac_scale, first.count1_table, first.shared), (true, false, 1, 0));
    assert_eq!((second.tables, second.region_ends, second.blocks), ([5, 6, 0], [36, 576], MIXED));
    assert_eq!(
        (second.subblock_gain, second.preflag, second.scalefac_scale, second.shared),
        ([1, 2, 3], false, true, 0)
    );
}

#[test]
fn side_information_that_is_not_allowed_is_refused() {
    let shape = Shape {
        is_mpeg1: false,
        channels: 1,
        has_intensity: false,
        long_edges: &bands::of(22_050).unwrap().long_edges,
    };
    let written = |big_values: u32, switched: u32, window: u32| {
        let mut writer = Writer::default();
        let fields = [(0, 9), (0, 12), (big_values, 9), (0, 17), (switched, 1), (window, 2), (0, 22)];
        fields.into_iter().for_each(|(value, bits)| writer.put(value, bits));
        SideInfo::parse(&writer.bytes, &shape)
    };
    assert!(written(288, 1, 1).is_some());
    assert!(written(289, 1, 1).is_none());
    assert!(written(288, 1, 0).is_none());
}
