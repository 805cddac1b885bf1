//! libopus at the full rate against our decoder: the state of the range coder after each packet, and the sound.

use ::opus::{Application, Channels, FrameSize};

use super::{
    Decoder, MIX, Mix, RATES, Random, decode, snr,
    testing::{Make, clicks, libopus, music, noise, speech},
};

const SIZES: [FrameSize; 4] = [FrameSize::Ms2_5, FrameSize::Ms5, FrameSize::Ms10, FrameSize::Ms20];

/// Packets of all sizes, rates and sounds.
fn packets_of_all_kinds() -> Vec<(String, Vec<Vec<u8>>)> {
    let mut all = Vec::new();
    for (name, signal) in
        [("music", music as fn(f64, usize) -> f64), ("speech", speech), ("clicks", clicks), ("noise", noise)]
    {
        for (size, channels, bits) in [
            (FrameSize::Ms20, 2, 64_000),
            (FrameSize::Ms20, 2, 24_000),
            (FrameSize::Ms20, 1, 32_000),
            (FrameSize::Ms20, 2, 192_000),
            (FrameSize::Ms10, 2, 48_000),
            (FrameSize::Ms5, 2, 96_000),
            (FrameSize::Ms5, 1, 24_000),
            (FrameSize::Ms2_5, 2, 128_000),
            (FrameSize::Ms2_5, 1, 32_000),
        ] {
            let make = Make { channels, bits, size, ..Make::MUSIC };
            all.push((format!("{name}, {channels} channels, {bits} bit/s, {size:?}"), make.packets(signal, 0.6)));
        }
    }
    all
}

#[test]
fn every_symbol_is_read_as_libopus_reads_it() {
    for (name, packets) in packets_of_all_kinds() {
        let mut theirs = ::opus::Decoder::new(48_000, Channels::Mono).unwrap();
        let mut ours = RATES.map(|hz| Decoder::new(hz, MIX, 1.0).unwrap());
        let (mut room, mut samples) = (vec![0.0; 5_760], Vec::new());
        for (at, packet) in packets.iter().enumerate() {
            theirs.decode_float(packet, &mut room, false).unwrap();
            for ours in &mut ours {
                ours.decode(packet, &mut samples).unwrap();
                assert_eq!(ours.final_range(), theirs.get_final_range().unwrap(), "{name}: packet {at}");
            }
        }
    }
}

#[test]
fn every_kind_sounds_as_libopus_at_the_full_rate() {
    for (name, packets) in packets_of_all_kinds() {
        let full = libopus(&packets, 48_000, Channels::Mono);
        for hz in RATES {
            let snr = snr(&full, &decode(&packets, hz, MIX), hz);
            // Clicks and noise are as loud above the reduced rate's band as in ours: what is cut there sounds through the windows.
            let is_white = name.starts_with("clicks") || name.starts_with("noise");
            let least = if is_white { 62.0 } else { 70.0 };
            assert!(snr > least, "{name} to {hz} Hz: {snr} dB");
        }
    }
}

#[test]
fn narrower_bands_are_decoded_as_well() {
    use ::opus::Bandwidth;
    for bandwidth in [Bandwidth::Narrowband, Bandwidth::Wideband, Bandwidth::Superwideband] {
        let packets = Make { bandwidth, bits: 32_000, ..Make::MUSIC }.packets(music, 1.0);
        let full = libopus(&packets, 48_000, Channels::Mono);
        for hz in RATES {
            let snr = snr(&full, &decode(&packets, hz, MIX), hz);
            assert!(snr > 70.0, "{bandwidth:?} to {hz} Hz: {snr} dB");
        }
    }
}

#[test]
fn a_side_alone_is_what_libopus_has_of_it() {
    // At 24 kbit/s most bands have one shape for both channels, at 96 none.
    for bits in [24_000, 96_000] {
        let packets = Make { bits, ..Make::MUSIC }.packets(music, 1.0);
        let both = libopus(&packets, 48_000, Channels::Stereo);
        for (side, gains) in [[1.0, 0.0], [0.0, 1.0]].into_iter().enumerate() {
            let full: Vec<f32> = both.chunks_exact(2).map(|frame| frame[side]).collect();
            let ours = decode(&packets, 8_000, Mix { gains, may_invert: true });
            let snr = snr(&full, &ours, 8_000);
            assert!(snr > 70.0, "side {side} at {bits} bit/s: {snr} dB");
        }
    }
}

#[test]
fn channels_sizes_and_bands_may_change_in_the_middle() {
    use ::opus::Bandwidth;
    let mut packets = Vec::new();
    for round in 0..2 {
        for (size, channels) in SIZES.into_iter().zip([1, 2, 1, 2]) {
            let bandwidth = if round == 0 { Bandwidth::Fullband } else { Bandwidth::Wideband };
            packets.extend(Make { size, channels, bandwidth, ..Make::MUSIC }.packets(music, 0.2));
        }
    }
    let full = libopus(&packets, 48_000, Channels::Mono);
    for hz in RATES {
        let snr = snr(&full, &decode(&packets, hz, MIX), hz);
        assert!(snr > 60.0, "to {hz} Hz: {snr} dB");
    }
}

#[test]
fn damaged_frames_are_read_as_libopus_reads_them() {
    let mut random = Random(0x5eed);
    let packets = Make { bits: 32_000, ..Make::MUSIC }.packets(music, 2.0);
    let mut theirs = ::opus::Decoder::new(48_000, Channels::Mono).unwrap();
    let mut ours = Decoder::new(8_000, MIX, 1.0).unwrap();
    let (mut room, mut samples, mut refused) = (vec![0.0; 5_760], Vec::new(), 0);
    for (at, packet) in packets.iter().enumerate() {
        let mut packet = packet.clone();
        for _ in 0..random.below(4) {
            let place = 1 + random.below(packet.len() - 1);
            packet[place] = random.next() as u8;
        }
        let is_read = theirs.decode_float(&packet, &mut room, false).is_ok();
        assert_eq!(ours.decode(&packet, &mut samples).is_ok(), is_read, "packet {at}");
        assert_eq!(ours.final_range(), theirs.get_final_range().unwrap(), "packet {at}");
        refused += usize::from(!is_read);
    }
    assert!(samples.iter().all(|sample| sample.is_finite()));
    assert!(refused < packets.len() / 4, "{refused}");
}

#[test]
fn tones_above_the_band_do_not_fold_into_it() {
    for hz in [4_200.0, 4_600.0, 5_500.0, 7_100.0, 9_000.0, 13_000.0] {
        let tone = |t: f64, _| 0.5 * (std::f64::consts::TAU * hz * t).sin();
        let packets = Make { bits: 256_000, application: Application::LowDelay, ..Make::MUSIC }.packets(tone, 1.0);
        let full = libopus(&packets, 48_000, Channels::Mono);
        let power = |samples: Vec<f64>| {
            // Where the tone has begun.
            let inner = &samples[samples.len() / 4..];
            inner.iter().map(|sample| sample * sample).sum::<f64>() / inner.len() as f64
        };
        let ours = power(super::heard(&decode(&packets, 8_000, MIX), 8_000.0, 1, 1.0));
        let theirs = power(super::heard(&full, 48_000.0, 6, 1.0));
        // The encoder's own noise is in both.
        let level = |power: f64| 10.0 * (power / 0.125).log10();
        assert!(level(ours) < level(theirs).max(-80.0) + 1.0, "{hz}: {} dB, {} dB", level(ours), level(theirs));
    }
}
