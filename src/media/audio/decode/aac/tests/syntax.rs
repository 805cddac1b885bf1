//! Configurations, window information and noise shaping, bit by bit.

use super::{
    super::{
        Config,
        bands::{FREQUENCIES, LINES, SHORT_LINES, bands_of},
        bits::{Bits, PADDING},
        ics::Info,
        stream::factor,
        tns::Tns,
    },
    Random,
};
use crate::{media::format::Channel, units::SampleRate};

/// Bits as text, blanks left out, to a packet.
fn packed(text: &str) -> Vec<u8> {
    let bits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').map(|byte| byte - b'0').collect();
    let mut bytes: Vec<u8> =
        bits.chunks(8).map(|bits| (0..8).fold(0, |byte, at| byte << 1 | bits.get(at).copied().unwrap_or(0))).collect();
    bytes.resize(bytes.len() + PADDING, 0);
    bytes
}

#[test]
fn the_core_of_every_signalling_is_found() {
    let cases: [(&str, &[u8], u32, usize); 6] = [
        ("LC stereo", &[0x12, 0x10], 44_100, 2),
        ("LC 5.1", &[0x11, 0xb0], 48_000, 6),
        ("HE in front", &[0x2b, 0x92, 0x08, 0x00], 22_050, 2),
        ("HE v2 in front", &[0xeb, 0x8a, 0x08, 0x00], 22_050, 1),
        ("HE behind", &[0x13, 0x90, 0x56, 0xe5, 0xa0], 22_050, 2),
        ("a frequency in full", &[0x17, 0x80, 0x2b, 0xe8, 0x90], 22_481, 2),
    ];
    for (what, bytes, frequency, channels) in cases {
        let config = Config::parse(bytes, Channel::Mix).unwrap();
        let found = config.program.map(|program| program.channels);
        assert_eq!((config.frequency, found), (frequency, Some(channels)), "{what}");
    }
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let cases: [(&str, &[u8]); 7] = [
        ("Main", &[0x0a, 0x10]),
        ("LTP", &[0x22, 0x10]),
        ("960 samples", &[0x12, 0x14]),
        ("a core coder", &[0x12, 0x12]),
        ("a reserved frequency", &[0x16, 0x90]),
        ("a reserved configuration", &[0x12, 0x40]),
        ("nothing", &[]),
    ];
    for (what, bytes) in cases {
        assert!(Config::parse(bytes, Channel::Mix).is_err(), "{what}");
    }
}

#[test]
fn a_program_in_the_configuration_names_its_elements() {
    // LC, 44.1 kHz, configuration 0; then tag, profile, frequency, one front pair, one back pair, one LFE, nothing else.
    let bytes = packed(
        "00010 0100 0000 000  0000 01 0100 0001 0000 0001 01 000 0000 0 0 0  1 0011  1 0101  0010  00000000 00000000",
    );
    let program = Config::parse(&bytes, Channel::Mix).unwrap().program.unwrap();
    assert_eq!(program.channels, 5);
    let left = Config::parse(&bytes, Channel::Left).unwrap().program.unwrap();
    assert_ne!(left, program);
}

#[test]
fn band_edges_are_whole_and_multiples_of_four() {
    for frequency in FREQUENCIES {
        let bands = bands_of(frequency);
        for (edges, lines) in [(bands.long, LINES), (bands.short, SHORT_LINES)] {
            assert!(edges.is_sorted_by(|a, b| a < b) && edges.iter().all(|edge| edge % 4 == 0), "{frequency}");
            assert_eq!((edges[0], usize::from(edges[edges.len() - 1])), (0, lines), "{frequency}");
        }
        assert!(bands.shaped_long < bands.long.len() && bands.shaped_short < bands.short.len());
    }
}

#[test]
fn short_windows_are_grouped_as_their_bits_say() {
    // Reserved, eight short, sine, 14 bands, and groups of 1, 3, 2, 2 windows.
    let bytes = packed("0 10 0 1110 0 1 1 0 1 0 1");
    let info = Info::parse(&mut Bits::new(&bytes), bands_of(44_100)).unwrap();
    let groups: Vec<(usize, usize)> = info.groups().map(|group| (group.first_line / 128, group.windows)).collect();
    assert_eq!(groups, [(0, 1), (1, 3), (4, 2), (6, 2)]);
    assert_eq!(info.bands().count(), 14);
    let too_many = packed("0 10 0 1111 0000000");
    assert!(Info::parse(&mut Bits::new(&too_many), bands_of(44_100)).is_err());
}

#[test]
fn noise_shaping_is_undone_by_the_filter_it_inverts() {
    // Long window, all 49 bands.
    let info = Info::parse(&mut Bits::new(&packed("0 00 0 110001 0")), bands_of(44_100)).unwrap();
    for downward in ["0", "1"] {
        // One filter of fine resolution over 20 bands: order 2, not compressed, coefficients 5 and −3.
        let bytes = packed(&format!("01 1 010100 00010 {downward} 0 0101 1101"));
        let mut tns = Tns::default();
        tns.parse(&mut Bits::new(&bytes), &info, bands_of(44_100)).unwrap();
        // Bands 29 to 42 are within what is shaped at this frequency: the filter begins below line 896.
        let (start, end) = (usize::from(info.edges[29]), usize::from(info.edges[42]));
        let (first, second) = ((5.0 / 7.5 * 90f32).to_radians().sin(), (-3.0 / 8.5 * 90f32).to_radians().sin());
        let coefficients = [first + second * first, second];
        let mut random = Random(9);
        let original: [f32; LINES] = std::array::from_fn(|_| random.sample());
        let mut shaped = original;
        tns.apply(&info, LINES, &mut shaped);
        assert_eq!((&shaped[..start], &shaped[end..]), (&original[..start], &original[end..]));
        let inside = |at: Option<usize>| at.filter(|at| (start..end).contains(at)).map_or(0.0, |at| shaped[at]);
        for line in start..end {
            let before =
                |steps: usize| inside(if downward == "1" { Some(line + steps) } else { line.checked_sub(steps) });
            let undone = shaped[line] + coefficients[0] * before(1) + coefficients[1] * before(2);
            assert!((undone - original[line]).abs() < 1e-4, "line {line}");
        }
        // What runs down needs its beginning, what runs up does not.
        let reach = tns.reach(&info, start + 8);
        assert_eq!(reach, if downward == "1" { end } else { start + 8 });
        let mut low = original;
        tns.apply(&info, start + 8, &mut low);
        assert_eq!(low[..start + 8], shaped[..start + 8]);
    }
}

#[test]
fn rates_are_reduced_as_far_as_the_target_allows() {
    let factor = |hz: u32, target: u32| factor(SampleRate::new(hz).unwrap(), SampleRate::new(target).unwrap());
    for (hz, narrow, wide) in [
        (8_000, 1, 1),
        (11_025, 1, 1),
        (12_000, 1, 1),
        (16_000, 1, 1),
        (22_050, 2, 1),
        (24_000, 2, 1),
        (32_000, 2, 1),
        (44_100, 2, 2),
        (48_000, 2, 2),
        (64_000, 4, 2),
        (96_000, 4, 2),
        (44_099, 1, 1),
        (44_102, 2, 2),
    ] {
        assert_eq!((factor(hz, 8_000), factor(hz, 16_000)), (narrow, wide), "{hz}");
        assert_eq!(factor(hz, 24_000), 1);
    }
}
