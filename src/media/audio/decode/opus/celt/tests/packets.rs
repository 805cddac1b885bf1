//! Packets of all codes against libopus' own reading of them.

use super::{super::packet::parse, Random};

/// Frames as libopus finds them, where all have something to decode.
fn by_libopus(packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    let parsed = ::opus::packet::parse(packet).ok()?;
    let frames: Vec<Vec<u8>> = parsed.frames.iter().map(|frame| frame.to_vec()).collect();
    frames.iter().all(|frame| frame.len() >= 2).then_some(frames)
}

fn by_us(packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    parse(packet).map(|(_, frames)| frames.map(<[u8]>::to_vec).collect())
}

#[test]
fn random_packets_are_taken_apart_as_libopus_takes_them() {
    let mut random = Random(7);
    let mut parsed = 0;
    for _ in 0..20_000 {
        let length = 1 + random.below(40) + if random.below(10) == 0 { 2_600 } else { 0 };
        let mut packet: Vec<u8> = (0..length).map(|_| (random.next() >> 24) as u8).collect();
        packet[0] |= 0x80;
        // Most random counts of frames are too large.
        if let (3, Some(count)) = (packet[0] & 3, packet.get_mut(1)) {
            *count &= 0xc7;
        }
        // And most random sizes.
        packet.iter_mut().skip(2).take(4).for_each(|size| *size &= 0x07);
        let expected = by_libopus(&packet);
        parsed += usize::from(expected.is_some());
        assert_eq!(by_us(&packet), expected, "{packet:?}");
    }
    assert!(parsed > 4_000, "{parsed}");
}

#[test]
fn what_is_not_celt_alone_is_for_others() {
    for first in 0..0x80 {
        assert!(parse(&[first, 1, 2, 3]).is_none());
    }
    assert!(parse(&[]).is_none());
    assert!(parse(&[0xfc]).is_none());
    assert!(parse(&[0xfc, 1]).is_none());
    assert!(parse(&[0xfc, 1, 2]).is_some());
}
