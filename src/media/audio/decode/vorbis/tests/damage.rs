//! Packets that are cut or changed: less audio, never more, and never a panic.

use super::{
    FILES, Packets, Random, fixture,
    packer::{Header, identification},
};
use crate::{media::audio::decode::Block, units::SampleRate};

#[test]
fn a_damaged_packet_lasts_as_long_as_its_block() {
    let mut random = Random(11);
    for name in FILES {
        let packets = Packets::of(&fixture(name));
        for target in [SampleRate::HZ_8000, SampleRate::HZ_48000] {
            let (mut stream, mut block) = (packets.stream(target, 0), Block::new());
            let mut decoded = 0;
            for round in 0..1_500 {
                let mut packet = packets.audio[round % packets.audio.len()].clone();
                for _ in 0..random.below(6) {
                    let at = random.below(packet.len());
                    packet[at] ^= 1 << random.below(8);
                }
                packet.truncate(1 + random.below(2 * packet.len()));
                let expected = stream.frames([&packet]) as usize;
                if stream.decode(&packet, &mut block).is_ok() {
                    decoded += 1;
                }
                assert_eq!(block.extent().frames, expected);
            }
            assert!(decoded > 700, "{name}: {decoded}");
        }
    }
}

#[test]
fn a_packet_that_ends_early_keeps_what_it_has() {
    // Of the lines in a packet those that are coded first are the same however much follows.
    let packets = Packets::of(&fixture("chirp-44k-stereo.ogg"));
    let (whole, _) = packets.decode(SampleRate::HZ_48000, 0);
    let power = |samples: &[f64]| samples.iter().map(|sample| sample * sample).sum::<f64>();
    let mut before = 0.0;
    for share in [2, 8, 14, 16] {
        let audio = packets.audio.iter().map(|packet| packet[..(packet.len() * share).div_ceil(16)].to_vec());
        let cut = Packets::new(packets.headers.clone(), audio.collect());
        let (samples, _) = cut.decode(SampleRate::HZ_48000, 0);
        assert_eq!(samples.len(), whole.len());
        let difference: Vec<f64> = whole.iter().zip(&samples).map(|(a, b)| a - b).collect();
        let kept = 1.0 - power(&difference) / power(&whole);
        assert!(before <= kept, "{share} sixteenths: {kept} after {before}");
        before = kept;
    }
    assert!(before > 0.999_999);
}

#[test]
fn random_bits_are_read_to_an_end() {
    let mut random = Random(12);
    for name in FILES {
        let packets = Packets::of(&fixture(name));
        let (mut stream, mut block) = (packets.stream(SampleRate::HZ_8000, 0), Block::new());
        for _ in 0..400 {
            let size = 1 + random.below(2_000);
            let packet = random.bytes(size);
            let expected = stream.frames([&packet]) as usize;
            if stream.decode(&packet, &mut block).is_ok() {
                assert_eq!(block.extent().frames, expected);
            }
        }
    }
}

#[test]
fn damaged_headers_are_refused_or_lead_to_some_sound() {
    let mut random = Random(13);
    let mut accepted = 0;
    for round in 0..600 {
        let channels = [1, 2, 6][round % 3];
        let mut setup = Header::random(channels, &mut random).packet();
        for _ in 0..1 + random.below(4) {
            // Behind the codebooks a few bits decide much; most of the header is codebooks.
            let range = if random.below(2) == 0 { setup.len() } else { setup.len().min(150) };
            let at = setup.len() - 1 - random.below(range - 7);
            setup[at] ^= 1 << random.below(8);
        }
        let headers = vec![identification(channels as u64, 44_100, [6, 9]), b"\x03vorbis".to_vec(), setup];
        let packets = Packets::new(headers, Vec::new());
        let Ok(decoder) = packets.try_decoder(SampleRate::HZ_8000) else { continue };
        accepted += 1;
        let mut stream = packets.stream_of(decoder, SampleRate::HZ_8000, 0);
        let mut block = Block::new();
        for _ in 0..8 {
            let size = 1 + random.below(600);
            let packet = random.bytes(size);
            let expected = stream.frames([&packet]) as usize;
            let frames = stream.decode(&packet, &mut block).map_or(expected, |()| block.extent().frames);
            assert_eq!(frames, expected);
        }
    }
    assert!((60..540).contains(&accepted), "{accepted}");
}
