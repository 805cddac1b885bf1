//! Blocks that are no blocks: silence of their length, never more.

use super::{
    super::{Heard, Until},
    Block, Random, fixture, packets, stream, stream_of,
};
use crate::units::SampleRate;

#[test]
fn a_damaged_block_lasts_as_long_as_any_other() {
    let file = fixture("music.aac");
    let packets = packets(&file);
    let mut random = Random(11);
    for factor in [4, 2, 1] {
        let mut stream = stream_of(&file, factor, Heard::ALL);
        let mut block = Block::new();
        for round in 0..4_000 {
            let mut packet = packets[round % packets.len()].to_vec();
            // Every third stays whole, so that damage never lasts too long.
            if round % 3 != 0 {
                for _ in 0..1 + random.below(6) {
                    let at = random.below(packet.len());
                    packet[at] ^= 1 << random.below(8);
                }
                packet.truncate(1 + random.below(2 * packet.len()));
            }
            stream.begin(&mut block);
            stream.decode(&packet, Until::End, &mut block).unwrap();
            assert_eq!(block.samples.len(), 1024 / factor);
            assert_eq!(block.extent().frames, 1024);
            assert!(block.samples.iter().all(|sample| sample.is_finite()));
        }
    }
}

#[test]
fn random_bits_are_read_to_an_end() {
    let mut random = Random(12);
    for configuration in [0, 1, 2, 6, 7] {
        for _ in 0..400 {
            let size = random.below(2_000);
            let packet: Vec<u8> = (0..size).map(|_| (random.next() >> 20) as u8).collect();
            let mut stream = stream(44_100, configuration, SampleRate::HZ_8000, Heard::ALL);
            let mut block = Block::new();
            stream.begin(&mut block);
            let taken = stream.decode(&packet, Until::End, &mut block).unwrap();
            assert!(taken.unwrap_or(0) <= size);
        }
    }
}

#[test]
fn too_much_damage_in_a_row_is_an_error() {
    let mut stream = stream(44_100, 2, SampleRate::HZ_8000, Heard::ALL);
    let mut block = Block::new();
    for _ in 0..500 {
        stream.begin(&mut block);
        assert_eq!(stream.decode(&[0xff; 10], Until::Heard, &mut block).unwrap(), None);
        // Nothing was heard yet: there is nothing to keep the time of.
        assert!(block.samples.is_empty() && block.extent().frames == 0);
    }
    assert!(stream.decode(&[0xff; 10], Until::Heard, &mut block).is_err());
}
