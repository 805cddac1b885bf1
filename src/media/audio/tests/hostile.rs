//! What is no audio, lies about itself, or never ends.

use std::time::Duration;

use super::support::{Coding, Original, convert, error, fixture, format, run, tone, wav, wav_of};
use crate::{
    media::audio::{AudioError, Limits, config::Config},
    problem::{self, ConfigProblems},
};

fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(count)
    .collect()
}

#[test]
fn what_is_no_audio_is_said_to_be_none() {
    let page = b"<!DOCTYPE html><html><body>404 Not Found</body></html>".repeat(100);
    let with_id3 = [b"ID3\x04\0\0\0\0\0\x05aaaaa".as_slice(), &page].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("nothing", Vec::new()),
        ("ten bytes", noise(10, 1)),
        ("a random megabyte", noise(1 << 20, 2)),
        ("another", noise(1 << 20, 3)),
        ("markup", page),
        ("markup behind a tag", with_id3),
        ("JSON", b"{\"error\":\"no such file\"}".to_vec()),
        ("zeros", vec![0; 100_000]),
        ("ones", vec![0xff; 100_000]),
    ];
    for (what, bytes) in cases {
        for extension in ["ulaw", "raw"] {
            let error = error(&bytes, extension);
            assert!(matches!(error, AudioError::NotAudio), "{what}: {error:?}");
            assert_eq!(error.problem().kind, problem::Kind::NotAudio);
        }
    }
}

#[test]
fn headers_that_lie_give_typed_errors() {
    let one = |rate, channels| wav_of(1, rate, channels, 2, &[0; 64]);
    let zero_channels = wav_of(1, 8_000, 0, 2, &[0; 64]);
    let mut small_block = one(8_000, 2);
    small_block[32] = 1;
    let flac = fixture("chirp-8k-mono.flac");
    let mp4 = fixture("chirp-moov-first.m4a");
    let cases: [(&str, Vec<u8>, problem::Kind); 11] = [
        ("rate 0", one(0, 1), problem::Kind::Undecodable),
        ("rate 3999", one(3_999, 1), problem::Kind::OverLimit),
        ("rate 192001", one(192_001, 1), problem::Kind::OverLimit),
        ("no channels", zero_channels, problem::Kind::Undecodable),
        ("nine channels", one(8_000, 9), problem::Kind::OverLimit),
        ("frames smaller than samples", small_block, problem::Kind::Undecodable),
        ("GSM of two channels", wav_of(0x31, 8_000, 2, 2, &[0; 65]), problem::Kind::NotAudio),
        ("WAV without data", one(8_000, 1)[..36].to_vec(), problem::Kind::Undecodable),
        ("FLAC without frames", flac[..42].to_vec(), problem::Kind::Undecodable),
        ("MP4 cut in its tables", mp4[..300].to_vec(), problem::Kind::Undecodable),
        ("AIFF of nothing", b"FORM\0\0\0\0AIFFCOMM".to_vec(), problem::Kind::Undecodable),
    ];
    for (what, bytes, kind) in cases {
        let error = error(&bytes, "ulaw");
        assert_eq!(error.problem().kind, kind, "{what}: {error:?}");
    }
}

#[test]
fn unfinished_wav_headers_play_to_the_end() {
    let whole = wav(8_000, 1, 4_000, Coding::Int16, tone(500.0, 8_000));
    let (_, expected) = convert(&whole, "sln");
    let patched = |riff: u32, data: u32| {
        let mut file = whole.clone();
        file[4..8].copy_from_slice(&riff.to_le_bytes());
        file[40..44].copy_from_slice(&data.to_le_bytes());
        file
    };
    for (riff, data) in [(u32::MAX, u32::MAX), (0, 0), (36, 0), (0, u32::MAX)] {
        let (summary, body) = convert(&patched(riff, data), "sln");
        assert!(body == expected && !summary.truncated, "{riff} {data}");
    }
    let (summary, body) = convert(&patched(100_036, 100_000), "sln");
    assert!(body == expected && summary.truncated);
}

#[test]
fn truncation_is_seen_in_every_family() {
    let opus = fixture("chirp-stereo.opus").repeat(2);
    let cases = [
        ("mp3", fixture("chirp-44k-stereo.mp3"), 1_000..6_400),
        ("flac", fixture("chirp-8k-mono.flac"), 1_000..6_400),
        ("flac in ogg", fixture("chirp-8k-mono.oga"), 1_000..6_400),
        ("flac in m4a", fixture("chirp-flac.m4a"), 1_000..6_400),
        ("vorbis", fixture("chirp-44k-pages.ogg"), 400..6_400),
        ("m4a", fixture("chirp-moov-first.m4a"), 1_000..6_400),
        ("aac", fixture("chirp.aac"), 1_000..6_400),
        ("opus", opus, 6_400..12_800),
    ];
    for (name, file, range) in cases {
        let (summary, body) = convert(&file[..file.len() * 3 / 4 + 3], "ulaw");
        assert!(summary.truncated, "{name}");
        assert!(range.contains(&body.len()), "{name}: {}", body.len());
    }
}

#[test]
fn lengths_over_the_limit_fail_before_any_byte_where_the_header_says_so() {
    let limits = Limits { decoded_max: Duration::from_millis(500) };
    let told = [
        ("chirp-8k-mono.flac", true),
        ("chirp-8k-mono.oga", true),
        ("chirp-moov-first.m4a", true),
        ("chirp-44k-stereo.mp3", false),
        ("chirp-stereo.opus", false),
    ];
    for (name, before) in told {
        let original = Original::whole(&fixture(name));
        let mut body = super::support::Body::default();
        let outcome = crate::media::audio::transcode(Box::new(original), format("ulaw"), &limits, &mut body);
        let error = outcome.unwrap_err();
        assert_eq!(error.problem().kind, problem::Kind::OverLimit, "{name}: {error:?}");
        assert_eq!(body.bytes.is_empty(), before, "{name}");
        assert!(body.bytes.len() <= 4_400, "{name}");
    }
    let mut claims_days = wav(8_000, 1, 8_000, Coding::Int16, tone(500.0, 8_000));
    claims_days[40..44].copy_from_slice(&4_000_000_000u32.to_le_bytes());
    assert_eq!(error(&claims_days, "ulaw").problem().kind, problem::Kind::OverLimit);
}

#[test]
fn a_failing_source_is_told_from_damage() {
    for name in [
        "chirp-44k-stereo.mp3",
        "chirp-8k-mono.flac",
        "chirp-8k-mono.oga",
        "chirp-flac.m4a",
        "chirp-44k-stereo.ogg",
        "chirp.aac",
        "chirp-stereo.opus",
        "chirp-moov-first.m4a",
        "chirp-ima.wav",
        "chirp-gsm.wav",
        "chirp-ulaw.au",
        "chirp.aiff",
        "chirp-ima.caf",
        "chirp-stereo.webm",
    ] {
        let file = fixture(name);
        for at in [0, 100, file.len() as u64 / 2] {
            let outcome = run(Original::failing(&file, at), format("ulaw"), &Limits::default());
            let error = outcome.map(|(summary, _)| summary).unwrap_err();
            assert!(
                matches!(&error, AudioError::Input(cause) if cause.to_string() == "the origin hung up"),
                "{name} at {at}: {error:?}"
            );
            assert_eq!(error.problem().kind, problem::Kind::OriginFailed);
        }
    }
}

#[test]
fn an_output_that_refuses_ends_the_work() {
    struct Refuses;
    impl crate::media::audio::Output for Refuses {
        fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    let original = Box::new(Original::whole(&fixture("chirp-44k-stereo.mp3")));
    let error = crate::media::audio::transcode(original, format("ulaw"), &Limits::default(), &mut Refuses).unwrap_err();
    assert!(matches!(error, AudioError::Output(_)));
}

#[test]
fn damaged_bytes_never_panic_and_always_end() {
    for name in [
        "chirp-44k-stereo.mp3",
        "chirp-8k-mono.flac",
        "chirp-8k-mono.oga",
        "chirp-flac.m4a",
        "chirp-44k-stereo.ogg",
        "chirp-moov-first.m4a",
        "chirp-moov-last.m4a",
        "chirp.aac",
        "chirp-stereo.opus",
        "chirp-5.1.opus",
        "chirp-ima.wav",
        "chirp-ms.wav",
        "chirp-gsm.wav",
        "chirp-mp3.wav",
        "chirp-ulaw.au",
        "chirp.aiff",
        "chirp-ima.aifc",
        "chirp-ima.caf",
        "chirp-alaw.caf",
        "chirp-stereo.webm",
        "chirp-live.webm",
    ] {
        let file = fixture(name);
        for seed in 0..30u64 {
            let mut bytes = file.clone();
            for place in noise(24, seed).as_chunks::<3>().0 {
                let at = (usize::from(place[0]) << 8 | usize::from(place[1])) % bytes.len();
                // Headers are where lies are told: half of the damage goes there.
                let at = if place[0] & 1 == 0 { at % 400 } else { at };
                bytes[at] = place[2];
            }
            crate::media::audio::fuzz(&bytes);
        }
    }
}

#[test]
fn a_panic_inside_is_an_error_outside() {
    struct Panics;
    impl std::io::Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("as a decoder might")
        }
    }
    impl std::io::Seek for Panics {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    impl crate::media::audio::Input for Panics {
        fn length(&self) -> Option<u64> {
            None
        }
        fn wait_complete(&mut self) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let mut body = super::support::Body::default();
    let outcome = crate::media::audio::transcode(Box::new(Panics), format("ulaw"), &Limits::default(), &mut body);
    let error = outcome.unwrap_err();
    assert!(matches!(error, AudioError::Panicked { kind: None }));
    assert_eq!(error.problem().kind, problem::Kind::Undecodable);
}

#[test]
fn bytes_without_audio_do_not_go_on_for_ever() {
    let mut file = fixture("chirp-44k-stereo.mp3");
    file.resize(file.len() + (33 << 20), 0);
    assert_eq!(error(&file, "ulaw").problem().kind, problem::Kind::OverLimit);
    // An Ogg stream that loses its pages and never finds another.
    let opus = fixture("chirp-stereo.opus");
    let mut file = opus[..opus.len() / 2].to_vec();
    file.resize(file.len() + (33 << 20), b'O');
    let error = error(&file, "ulaw");
    assert!(matches!(error.problem().kind, problem::Kind::OverLimit | problem::Kind::Undecodable), "{error:?}");
}

#[test]
fn infinities_in_float_wav_are_silence() {
    let input = wav(48_000, 2, 48_000, Coding::Float32, |frame, _| match frame % 1000 {
        7 => f64::INFINITY,
        9 => f64::NAN,
        _ => 0.25,
    });
    let (_, heard) = super::support::convert_samples(&input, "sln");
    assert!(heard[4_000..4_400].iter().all(|sample| (sample - 0.25).abs() < 0.12));
}

#[test]
fn limits_are_checked_when_configured() {
    let mut problems = ConfigProblems::default();
    Config::default().validate("media.audio", &mut problems);
    assert!(problems.is_empty());
    for decoded_max in [Duration::ZERO, Duration::from_secs(86_400)] {
        let mut problems = ConfigProblems::default();
        Config { decoded_max }.validate("media.audio", &mut problems);
        assert_eq!(problems.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["media.audio.decoded_max"]);
    }
}
