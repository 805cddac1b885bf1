//! Frames that are none: refused, whatever they say.

use super::{
    super::header::Coding,
    Channel, Random, decode,
    encoder::{Frame, Kind},
    info,
};

#[test]
fn a_flipped_bit_is_seen() {
    let mut random = Random(31);
    let channels: Vec<Vec<i64>> = (0..2).map(|_| (0..48).map(|_| random.signed(9)).collect()).collect();
    for kind in [Kind::Verbatim, Kind::Fixed(3), Kind::Linear(4), Kind::Linear(20)] {
        let bytes = Frame { coding: Coding::LeftSide, width: 16, number: 3, kind }.encode(&channels, &mut random);
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 0x80 >> (bit % 8);
            assert!(decode(&damaged, &info(2, 16), Channel::Mix).is_err(), "{kind:?}: bit {bit}");
        }
    }
}

#[test]
fn random_bits_behind_a_header_are_read_to_an_end() {
    let mut random = Random(32);
    for round in 0..1_000 {
        let width = [4, 16, 24, 32][round % 4];
        let coding = [Coding::Independent, Coding::MidSide][round / 4 % 2];
        let channels = vec![vec![1; 1 + random.below(5_000)]; 2];
        let kind = Kind::Constant;
        let head = Frame { coding, width, number: 0, kind }.encode(&channels, &mut random);
        // The first subframe begins behind header and check sum: its kind is drawn as well.
        let first = random.below(128) as u8;
        let noise = (0..random.below(4_000)).map(|_| (random.next() >> 20) as u8 & (random.next() >> 30) as u8);
        let bytes = [&head[..8], &[first], &noise.collect::<Vec<u8>>()].concat();
        assert!(decode(&bytes, &info(2, width), Channel::Mix).is_err());
    }
}
