//! Each input family against the computed chirp: place, length, likeness.

use super::support::{CHIRP, convert, convert_samples, fixture, match_chirp, seconds};
use crate::media::audio::Kind;

/// Name, kind, seconds of priming that stay, seconds in all, least SNR in dB.
const FAMILIES: &[(&str, Kind, f64, f64, f64)] = &[
    ("chirp-44k-stereo.mp3", Kind::Mp3, 0.0, CHIRP, 22.0),
    ("chirp-22k-vbr-untagged.mp3", Kind::Mp3, (576.0 + 529.0) / 22_050.0, 33.0 * 576.0 / 22_050.0, 15.0),
    ("chirp-8k-mono.flac", Kind::Flac, 0.0, CHIRP, 80.0),
    ("chirp-8k-mono.oga", Kind::OggFlac, 0.0, CHIRP, 80.0),
    ("chirp-flac.m4a", Kind::Mp4, 0.0, CHIRP, 80.0),
    ("chirp-44k-stereo.ogg", Kind::OggVorbis, 0.0, CHIRP, 12.0),
    ("chirp-5.1.ogg", Kind::OggVorbis, 0.0, CHIRP, 8.0),
    ("chirp-moov-last.m4a", Kind::Mp4, 0.0, CHIRP, 20.0),
    ("chirp-moov-first.m4a", Kind::Mp4, 0.0, CHIRP, 20.0),
    ("chirp.aac", Kind::Adts, 1_024.0 / 44_100.0, 36.0 * 1_024.0 / 44_100.0, 20.0),
    ("chirp-stereo.opus", Kind::OggOpus, 0.0, CHIRP, 12.0),
    ("chirp-5.1.opus", Kind::OggOpus, 0.0, CHIRP, 12.0),
    ("chirp-ima.wav", Kind::Wav, 0.0, CHIRP, 20.0),
    ("chirp-ms.wav", Kind::Wav, 0.0, CHIRP, 20.0),
    ("chirp-gsm.wav", Kind::Wav, 0.0, CHIRP, 8.0),
    ("chirp-mp3.wav", Kind::Wav, (576.0 + 529.0) / 24_000.0, 36.0 * 576.0 / 24_000.0, 22.0),
    ("chirp-ulaw.au", Kind::Au, 0.0, CHIRP, 30.0),
    ("chirp.aiff", Kind::Aiff, 0.0, CHIRP, 80.0),
    ("chirp-ima.aifc", Kind::Aiff, 0.0, CHIRP, 20.0),
    ("chirp-ima.caf", Kind::Caf, 0.0, CHIRP, 20.0),
    ("chirp-alaw.caf", Kind::Caf, 0.0, CHIRP, 30.0),
    ("chirp-stereo.webm", Kind::WebM, 0.0, CHIRP, 12.0),
    ("chirp-live.webm", Kind::WebM, 0.0, CHIRP, 12.0),
];

#[test]
fn every_family_is_decoded_in_place() {
    for (name, kind, priming, length, snr_min) in FAMILIES {
        for (extension, rate) in [("sln", 8_000), ("sln16", 16_000), ("sln32", 32_000), ("sln48", 48_000)] {
            let (summary, heard) = convert_samples(&fixture(name), extension);
            assert_eq!(summary.kind, *kind, "{name}");
            assert!(!summary.truncated, "{name}");
            let expected = priming * f64::from(rate);
            let (delay, snr) = match_chirp(&heard, rate, expected as usize);
            let late = delay - expected.fract();
            if name.contains("ima") || name.contains("ms") {
                // Block-padded by the writer: the fact chunk counts the padding too.
                assert!(seconds(summary.duration) >= *length, "{name}");
            } else {
                assert!(
                    (seconds(summary.duration) - length).abs() * f64::from(rate) <= 1.0,
                    "{name}: {:?}",
                    summary.duration
                );
            }
            // libopus' own modes differ in delay by some 50 μs.
            let late_max = if matches!(kind, Kind::OggOpus | Kind::WebM) { 0.6 + 60e-6 * f64::from(rate) } else { 0.6 };
            assert!(late.abs() < late_max, "{name} at {rate}: {late} samples late");
            assert!(snr > *snr_min, "{name} at {rate}: {snr} dB");
        }
    }
}

#[test]
fn joined_mp3_files_of_different_rates_play_one_after_the_other() {
    let (tagged, untagged) = (fixture("chirp-44k-stereo.mp3"), fixture("chirp-22k-vbr-untagged.mp3"));
    let joined = [tagged.as_slice(), &untagged, &tagged].concat();
    let (summary, heard) = convert_samples(&joined, "sln");
    let first = (CHIRP * 8_000.0) as usize;
    let second = 33.0 * 576.0 / 22_050.0;
    assert_eq!(summary.frames, ((2.0 * CHIRP + second) * 8_000.0).round() as u64);
    let third = first + (second * 8_000.0) as usize;
    for at in [0, third] {
        let (delay, snr) = match_chirp(&heard, 8_000, at);
        assert!((-0.2..1.2).contains(&delay) && snr > 20.0, "at {at}: {delay}, {snr} dB");
    }
}

#[test]
fn tags_and_junk_around_mp3_change_nothing() {
    let plain = fixture("chirp-44k-stereo.mp3");
    let (_, expected) = convert(&plain, "ulaw");
    let mut id3 = b"ID3\x04\0\0\0\x10\0\0".to_vec();
    id3.resize(10 + 0x10 * 128 * 128, 0xff);
    let mut id3v1 = b"TAG".to_vec();
    id3v1.resize(128, b' ');
    let mut ape = b"APETAGEX\xd0\x07\0\0".to_vec();
    ape.extend_from_slice(&2_000u32.to_le_bytes());
    ape.resize(32 + 2_000, 0xff);
    for (what, file) in [
        ("ID3v2", [id3.as_slice(), &plain].concat()),
        ("ID3v1", [plain.as_slice(), &id3v1].concat()),
        ("APE and ID3v1", [plain.as_slice(), &ape, &id3v1].concat()),
        ("zeros before", [&[0; 3_000], plain.as_slice()].concat()),
    ] {
        let (summary, body) = convert(&file, "ulaw");
        assert!(body == expected && !summary.truncated, "{what}: {} and {}", body.len(), expected.len());
    }
}

#[test]
fn chained_ogg_plays_every_link() {
    for (name, length) in [("chirp-44k-stereo.ogg", CHIRP), ("chirp-stereo.opus", CHIRP), ("chirp-8k-mono.oga", CHIRP)]
    {
        let link = fixture(name);
        let (summary, heard) = convert_samples(&[link.as_slice(), &link].concat(), "sln");
        assert!((seconds(summary.duration) - 2.0 * length).abs() < 0.000_3, "{name}: {:?}", summary.duration);
        for at in [0, (length * 8_000.0) as usize] {
            let (delay, snr) = match_chirp(&heard, 8_000, at);
            assert!(delay.abs() < 0.6 && snr > 10.0, "{name} at {at}: {delay}, {snr} dB");
        }
    }
}

#[test]
fn ogg_opus_output_is_read_back_in_place_and_to_the_sample() {
    for name in ["chirp-8k-mono.flac", "chirp-44k-stereo.mp3"] {
        let (made, file) = convert(&fixture(name), "opus");
        let (read, heard) = convert_samples(&file, "sln48");
        assert_eq!(read.frames, made.frames);
        assert_eq!(read.frames, 38_400);
        let (delay, snr) = match_chirp(&heard, 48_000, 0);
        assert!(delay.abs() < 3.0 && snr > 12.0, "{name}: {delay}, {snr} dB");
    }
}

#[test]
fn raw_is_the_original() {
    for (name, kind, ..) in FAMILIES {
        let original = fixture(name);
        let (summary, body) = convert(&original, "raw");
        assert!(body == original && summary.kind == *kind && summary.header.is_empty(), "{name}");
    }
}
