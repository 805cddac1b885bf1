//! Whole streams: where our decoder begins, what it gives at the end, and how libopus takes over.

use ::opus::{Application, Bandwidth, Channels};

use super::{
    packets::Packets,
    testing::{Make, libopus, music, speech},
};
use crate::{
    media::{
        audio::{Kind, decode::Block},
        format::Channel,
    },
    units::SampleRate,
};

/// An identification header.
fn head(channels: u8, gain: i16) -> Vec<u8> {
    let [low, high] = gain.to_le_bytes();
    [b"OpusHead".as_slice(), &[1, channels, 0, 0, 0x80, 0xbb, 0, 0, low, high, 0]].concat()
}

fn open(channels: u8, gain: i16, hz: u32, channel: Channel) -> Packets {
    let target = SampleRate::new(hz).unwrap();
    Packets::open(Kind::OggOpus, &head(channels, gain), target, channel).unwrap().unwrap()
}

/// All samples, and how many packets were damaged. Where libopus has both sides, the mix of them.
fn decode(mut decoder: Packets, packets: &[Vec<u8>]) -> (Vec<f32>, usize) {
    let (mut block, mut all, mut damaged) = (Block::new(), Vec::new(), 0);
    for packet in packets {
        damaged += usize::from(!decoder.decode(packet, &mut block));
        all.extend_from_slice(&block.samples);
    }
    block.samples.clear();
    decoder.finish(&mut block);
    all.extend_from_slice(&block.samples);
    (all, damaged)
}

fn snr(expected: &[f32], actual: &[f32]) -> f64 {
    assert_eq!(expected.len(), actual.len());
    let square = |value: f32| f64::from(value) * f64::from(value);
    let signal: f64 = expected.iter().map(|sample| square(*sample)).sum();
    let noise: f64 = expected.iter().zip(actual).map(|(a, b)| square(a - b)).sum();
    10.0 * (signal / noise.max(1e-30)).log10()
}

/// CELT, then SILK: what comes when a stream of music turns to speech.
fn music_then_speech() -> (Vec<Vec<u8>>, usize) {
    let mut packets = Make { bandwidth: Bandwidth::Wideband, channels: 1, ..Make::MUSIC }.packets(music, 2.0);
    let celt = packets.len();
    let speech_packets = Make {
        application: Application::Voip,
        bandwidth: Bandwidth::Wideband,
        channels: 1,
        bits: 16_000,
        ..Make::MUSIC
    };
    packets.extend(speech_packets.packets(speech, 1.0));
    assert!(packets[..celt].iter().all(|packet| packet[0] & 0x80 != 0));
    assert!(packets[celt..].iter().all(|packet| packet[0] & 0x80 == 0));
    (packets, celt)
}

#[test]
fn libopus_takes_over_to_the_sample() {
    const STEP: usize = 160;
    let (packets, celt) = music_then_speech();
    let full = libopus(&packets, 8_000, Channels::Mono);
    let (ours, damaged) = decode(open(1, 0, 8_000, Channel::Mix), &packets);
    assert_eq!(damaged, 0);
    assert_eq!(ours.len(), full.len());
    let snr_of = |packets: std::ops::Range<usize>| {
        let samples = packets.start * STEP..packets.end * STEP;
        snr(&full[samples.clone()], &ours[samples])
    };
    // libopus at this rate lets more through above the telephone band than ours.
    let (before, around) = (snr_of(1..celt), snr_of(celt - 1..celt + 1));
    assert!(before > 25.0 && around > 20.0, "{before} dB, {around} dB");
    let behind = snr_of(celt..packets.len());
    assert!(behind > 60.0, "{behind} dB");
}

#[test]
fn a_side_goes_on_as_a_side() {
    let mut packets = Make::MUSIC.packets(music, 1.0);
    let celt = packets.len();
    // A packet without a frame: something was lost.
    packets.push(vec![packets[0][0] & 0xfc]);
    packets.extend(Make::MUSIC.packets(music, 1.0));
    let both = libopus(&packets, 8_000, Channels::Stereo);
    let mut decoder = open(2, 0, 8_000, Channel::Right);
    let (mut block, mut frames) = (Block::new(), 0);
    for (at, packet) in packets.iter().enumerate() {
        assert!(decoder.decode(packet, &mut block));
        let channels = block.layout.channels().count();
        assert_eq!(channels, if at < celt { 1 } else { 2 }, "packet {at}");
        if at > celt {
            let expected = &both[2 * frames..][..block.samples.len()];
            let snr = snr(expected, &block.samples);
            assert!(snr > 55.0, "packet {at}: {snr} dB");
        }
        frames += block.frames();
    }
    assert_eq!(2 * frames, both.len());
}

#[test]
fn malformed_packets_are_damage_and_change_nothing_else() {
    let packets = Make::MUSIC.packets(music, 1.0);
    let (whole, _) = decode(open(2, 0, 8_000, Channel::Mix), &packets);
    let mut with_damage = packets.clone();
    with_damage.insert(20, Vec::new());
    with_damage.insert(30, vec![0xff]);
    let (ours, damaged) = decode(open(2, 0, 8_000, Channel::Mix), &with_damage);
    assert_eq!(damaged, 2);
    assert!(ours == whole);
}

#[test]
fn all_samples_come_whatever_the_length() {
    for count in 0..6 {
        let packets =
            Make { size: ::opus::FrameSize::Ms2_5, ..Make::MUSIC }.packets(music, 0.0025 * f64::from(count) + 1e-6);
        let (ours, _) = decode(open(2, 0, 8_000, Channel::Mix), &packets);
        assert_eq!(ours.len(), 20 * packets.len());
    }
    // Too short for ours to have given anything before libopus takes over.
    let mut packets = Make { size: ::opus::FrameSize::Ms2_5, ..Make::MUSIC }.packets(music, 0.0026);
    packets
        .extend(Make { application: Application::Voip, bits: 12_000, channels: 1, ..Make::MUSIC }.packets(speech, 0.1));
    let full = libopus(&packets, 8_000, Channels::Mono);
    let (ours, _) = decode(open(2, 0, 8_000, Channel::Mix), &packets);
    assert!(ours == full);
}

#[test]
fn the_headers_gain_is_heard() {
    let packets = Make::MUSIC.packets(music, 0.5);
    let (plain, _) = decode(open(2, 0, 8_000, Channel::Mix), &packets);
    // −6.0206 dB in steps of 1/256 dB.
    let (quiet, _) = decode(open(2, -1_541, 8_000, Channel::Mix), &packets);
    let halved: Vec<f32> = plain.iter().map(|sample| 0.5 * sample).collect();
    assert!(snr(&halved, &quiet) > 60.0);
}

#[test]
fn other_rates_and_more_channels_are_for_libopus() {
    let packets = Make::MUSIC.packets(music, 0.5);
    for hz in [16_000, 24_000, 48_000] {
        let (ours, _) = decode(open(2, 0, hz, Channel::Mix), &packets);
        assert!(ours == libopus(&packets, hz, Channels::Mono));
    }
}
