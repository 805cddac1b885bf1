//! Every syntax element, by frames that are made of known samples.

use super::{
    super::{Fault, bits::Bits, check, header::Coding, info::SIZE},
    Channel, Header, Info, Kind, Random, decode,
    encoder::{self, Frame},
    info,
};

/// Samples of each channel that are alike but not the same, of up to `width` bits, with a few low bits that are always zero.
fn signal(random: &mut Random, channels: usize, count: usize, width: u32) -> Vec<Vec<i64>> {
    let low = random.below(4) as u32 * random.below(2) as u32;
    let limit = (1i64 << (width - 1)) - 1;
    // Slow, so that a prediction has something to find.
    let loudness = random.below(width as usize) as u32 + 1;
    let mut value = 0i64;
    let base: Vec<i64> = (0..count)
        .map(|_| {
            value = (value + random.signed(loudness.div_ceil(2))).clamp(-limit - 1, limit);
            value
        })
        .collect();
    let channel = |random: &mut Random| {
        let near = random.below(loudness as usize) as u32 + 1;
        base.iter().map(|sample| (sample + random.signed(near)).clamp(-limit - 1, limit) >> low << low).collect()
    };
    (0..channels).map(|_| channel(random)).collect()
}

fn samples(channels: &[Vec<i64>], width: u32) -> Vec<f32> {
    let frames = 0..channels[0].len();
    let full_scale = (1u64 << (width - 1)) as f64;
    frames.flat_map(|at| channels.iter().map(move |plane| (plane[at] as f64 / full_scale) as f32)).collect()
}

const CODINGS: [Coding; 4] = [Coding::Independent, Coding::LeftSide, Coding::SideRight, Coding::MidSide];

#[test]
fn whatever_says_the_samples_gives_the_samples() {
    use encoder::Kind::{Constant, Fixed, Linear, Verbatim};
    let mut random = Random(21);
    let kinds = [Constant, Verbatim].into_iter().chain((0..=4).map(Fixed)).chain((1..=32).map(Linear));
    for kind in kinds {
        for width in [4, 8, 12, 16, 20, 24, 32] {
            for coding in CODINGS {
                // Fifth differences of 32 bits do not fit into a residual.
                let loud = if matches!(kind, Fixed(_) | Linear(_)) { width.min(27) } else { width };
                let count = [33, 48, 64, 192, 240, 576][random.below(6)];
                let count = if kind == Constant { 16 } else { count };
                let channels =
                    signal(&mut random, if coding == Coding::Independent { 1 + count % 8 } else { 2 }, count, loud);
                let number = random.next() >> (28 + random.below(36));
                let bytes = Frame { coding, width, number, kind }.encode(&channels, &mut random);
                let info = info(channels.len(), width);
                let header = Header::parse(&bytes, &info).unwrap();
                assert_eq!((header.number, header.block_size, header.coding), (number, count, coding));
                // Whatever follows is not part of it.
                let longer = [bytes.as_slice(), &[0xa5; 9]].concat();
                let (size, block) = decode(&longer, &info, Channel::Left).unwrap();
                assert_eq!(size, bytes.len());
                assert!(block.samples == samples(&channels, width), "{kind:?} {width} {coding:?}");
                let (_, mixed) = decode(&bytes, &info, Channel::Mix).unwrap();
                if channels.len() == 2 && width <= 24 {
                    let sums = channels[0].iter().zip(&channels[1]).map(|(l, r)| l + r).collect();
                    assert!(mixed.samples == samples(&[sums], width + 1), "{kind:?} {width} {coding:?}");
                } else {
                    assert!(mixed.samples == block.samples);
                }
            }
        }
    }
}

#[test]
fn a_frame_that_is_not_all_there_is_short_and_not_damaged() {
    let mut random = Random(22);
    for kind in [encoder::Kind::Verbatim, encoder::Kind::Fixed(2), encoder::Kind::Linear(8)] {
        let channels = signal(&mut random, 2, 192, 16);
        let bytes = Frame { coding: Coding::MidSide, width: 16, number: 7, kind }.encode(&channels, &mut random);
        for length in 10..bytes.len() {
            let outcome = decode(&bytes[..length], &info(2, 16), Channel::Mix);
            assert_eq!(outcome.map(|(size, _)| size), Err(Fault::Short), "{kind:?}: {length} of {}", bytes.len());
        }
    }
}

#[test]
fn a_header_is_of_its_stream_or_none() {
    let mut random = Random(23);
    let channels = signal(&mut random, 2, 192, 16);
    let kind = encoder::Kind::Verbatim;
    let bytes = Frame { coding: Coding::MidSide, width: 16, number: 1, kind }.encode(&channels, &mut random);
    assert!(Header::parse(&bytes, &info(2, 16)).is_some());
    assert!(Header::parse(&bytes, &info(1, 16)).is_none());
    for bit in 0..8 * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(Header::parse(&damaged, &info(2, 16)).is_none(), "bit {bit}");
    }
    for length in 0..8 {
        assert!(Header::parse(&bytes[..length], &info(2, 16)).is_none());
    }
}

#[test]
fn headers_say_sizes_rates_and_widths_by_their_codes() {
    let header = |sizes: u8, kinds: u8, more: &[u8]| {
        let mut bytes = [&[0xff, 0xf8, sizes, kinds, 0x05], more].concat();
        bytes.push(check::crc_8(&bytes));
        bytes
    };
    let sizes = [192, 576, 1_152, 2_304, 4_608].into_iter().zip(1..).chain((8..16).map(|code| (1 << code, code)));
    for (block_size, code) in sizes {
        let parsed = Header::parse(&header(code << 4, 0, &[]), &info(1, 16)).unwrap();
        assert_eq!((parsed.block_size, parsed.size, parsed.number, parsed.is_variable), (block_size, 6, 5, false));
    }
    assert_eq!(Header::parse(&header(0x60, 0, &[99]), &info(1, 16)).unwrap().block_size, 100);
    assert!(Header::parse(&header(0x70, 0, &[0xff, 0xff]), &info(1, 16)).is_none());
    let rates = [88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
    let coded = rates.into_iter().zip(1..).map(|(rate, code)| (rate, code, vec![]));
    let spelled = [(11_000, 12, vec![11]), (11_025, 13, vec![43, 17]), (96_000, 14, vec![37, 128])];
    for (rate, code, more) in coded.chain(spelled) {
        let of = |rate| Info { rate: crate::units::SampleRate::new(rate).unwrap(), ..info(1, 16) };
        let bytes = header(0x10 | code, 0, &more);
        assert!(Header::parse(&bytes, &of(rate)).is_some(), "{rate}");
        assert!(Header::parse(&bytes, &of(rate - 1)).is_none(), "{rate}");
    }
    for (width, code) in [(8, 1), (12, 2), (16, 4), (20, 5), (24, 6), (32, 7)] {
        assert!(Header::parse(&header(0x10, code << 1, &[]), &info(1, width)).is_some(), "{width}");
        assert!(Header::parse(&header(0x10, code << 1, &[]), &info(1, width - 1)).is_none(), "{width}");
    }
    // Reserved.
    for (sizes, kinds) in [(0, 0), (0x1f, 0), (0x10, 0xb0), (0x10, 0xf0), (0x10, 6), (0x10, 1)] {
        assert!(Header::parse(&header(sizes, kinds, &[0; 2]), &info(1, 16)).is_none(), "{sizes:x} {kinds:x}");
    }
}

#[test]
fn streaminfo_is_checked() {
    let body = |rate: u64, channels: u64, width: u64, frames: u64| {
        let mut body = [0; SIZE];
        let packed = rate << 44 | (channels - 1) << 41 | (width - 1) << 36 | frames;
        body[10..18].copy_from_slice(&packed.to_be_bytes());
        Info::parse(Kind::Flac, &body)
    };
    let parsed = body(48_000, 8, 32, (1 << 36) - 1).unwrap();
    assert_eq!(parsed, Info { frames: Some((1 << 36) - 1), ..info(8, 32) });
    assert_eq!(body(48_000, 1, 4, 0).unwrap(), info(1, 4));
    for (rate, width) in [(0, 16), (655_350, 16), (1, 16), (48_000, 3)] {
        assert!(body(rate, 2, width, 0).is_err(), "{rate} {width}");
    }
}

#[test]
fn check_sums_are_those_of_their_catalogue() {
    // Of "123456789", as catalogues of check sums give them (CRC-8/SMBUS, CRC-16/UMTS).
    assert_eq!((check::crc_8(b"123456789"), check::crc_16(b"123456789")), (0xf4, 0xfee8));
}

#[test]
fn bits_are_read_as_they_were_written() {
    let mut random = Random(24);
    for _ in 0..200 {
        let mut out = encoder::Writer::default();
        let numbers: Vec<(i64, u32)> = (0..random.below(40))
            .map(|_| {
                let width = random.below(34) as u32;
                (if width == 0 { 0 } else { random.signed(width) }, width)
            })
            .collect();
        numbers.iter().for_each(|(number, width)| out.put(*number, *width));
        let bytes = out.into_bytes();
        let mut bits = Bits::new(&bytes);
        for (number, width) in &numbers {
            assert_eq!(bits.take_signed(*width), *number);
        }
        let read: usize = numbers.iter().map(|(_, width)| *width as usize).sum();
        assert_eq!(bits.position(), read);
        assert!(bits.check().is_ok());
        bits.align();
        assert_eq!(bits.position(), 8 * bytes.len());
        bits.take(1);
        assert_eq!(bits.check(), Err(Fault::Short));
    }
}
