//! Bodies without a container: what is declared counts where nothing else says what they are, and only there.

use proptest::{collection::vec, prelude::*};

use super::support::{Coding, Original, convert, error, fixture, format, run, tone, wav, wav_of};
use crate::media::audio::{AudioError, Kind, Limits, Summary};

fn declared(bytes: &[u8], input: &str, extension: &str) -> Result<(Summary, Vec<u8>), AudioError> {
    let (summary, body) = run(Original::whole(bytes).declared(input), format(extension), &Limits::default())?;
    Ok((summary, body.bytes))
}

/// A second of a tone in 16 bits, and the same in a WAV file.
fn linear(rate: u32, channels: u16) -> (Vec<u8>, Vec<u8>) {
    let file = wav(rate, channels, rate as usize, Coding::Int16, |frame, channel| {
        tone(300.0 * f64::from(channel + 1), rate)(frame, 0)
    });
    (file[44..].to_vec(), file)
}

#[test]
fn a_body_sounds_as_it_would_in_a_container() {
    let codes: Vec<u8> = (0..4_000).map(|n| (n * 37 % 251) as u8).collect();
    for extension in ["sln", "sln16", "ulaw", "wav", "g722"] {
        for (input, tag, rate) in [("ulaw", 7, 8_000), ("alaw", 6, 8_000), ("ulaw:16000", 7, 16_000)] {
            let (summary, body) = declared(&codes, input, extension).unwrap();
            assert_eq!(summary.kind.as_str(), &input[..4]);
            let (_, expected) = convert(&wav_of(tag, rate, 1, 1, &codes), extension);
            assert!(!expected.is_empty() && body == expected, "{input} to {extension}");
        }
        for (input, rate, channels) in [("sln", 8_000, 1), ("r16", 16_000, 1), ("l16:44100:2", 44_100, 2)] {
            let (little, file) = linear(rate, channels);
            let big: Vec<u8> = little.as_chunks::<2>().0.iter().flat_map(|[low, high]| [*high, *low]).collect();
            let (_, expected) = convert(&file, extension);
            let (summary, body) = declared(&little, input, extension).unwrap();
            assert_eq!((summary.kind.as_str(), summary.truncated), ("l16", false));
            assert!(body == expected, "{input} to {extension}");
            let (_, body) = declared(&big, &format!("l16be:{rate}:{channels}"), extension).unwrap();
            assert!(body == expected, "{input}, high byte first, to {extension}");
        }
    }
}

#[test]
fn g722_in_wav_sounds_as_its_bytes_alone() {
    let codes: Vec<u8> = (0..6_400_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (alone, expected) = declared(&codes, "g722", "sln16").unwrap();
    for tag in [0x028f, 0x65] {
        let mut file = wav_of(tag, 16_000, 1, 1, &codes);
        file.extend_from_slice(b"LIST\x04\0\0\0junk");
        let (summary, body) = convert(&file, "sln16");
        assert_eq!((summary.frames, body == expected), (alone.frames, true), "{tag:#x}");
    }
}

#[test]
fn a_container_wins_over_whatever_is_declared() {
    for name in [
        "chirp-44k-stereo.mp3",
        "chirp-22k-vbr-untagged.mp3",
        "chirp-8k-mono.flac",
        "chirp-44k-stereo.ogg",
        "chirp-moov-last.m4a",
        "chirp.aac",
        "chirp-stereo.opus",
        "chirp-ima.wav",
    ] {
        let file = fixture(name);
        let (undeclared, expected) = convert(&file, "ulaw");
        for input in ["ulaw", "l16:16000:2", "g722"] {
            let (summary, body) = declared(&file, input, "ulaw").unwrap();
            assert_eq!(summary, undeclared, "{name} as {input}");
            assert!(summary.kind.headerless().is_none() && body == expected, "{name} as {input}");
        }
    }
    // Known, not read, and no samples either.
    let error = declared(b"#!AMR\n\x0c\x00\x00\x00", "ulaw", "alaw").unwrap_err();
    assert!(matches!(error, AudioError::Unsupported { .. }), "{error}");
}

#[test]
fn nothing_and_pages_are_not_audio_whatever_is_declared() {
    let tagged = [&b"ID3\x04\0\0\0\0\0\x05abcde"[..], &[0x55; 4_000]].concat();
    let bodies: [&[u8]; 8] = [
        b"",
        b"<!DOCTYPE html><html><body>Not Found</body></html>",
        b"\n  <html lang=\"de\"><title>Anmelden \xc3\xbc",
        b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
        b"\xef\xbb\xbf<html><body>",
        b"{\"error\":\"gone\"}",
        b"[{\"a\": 1}]",
        &tagged,
    ];
    for body in bodies {
        for input in ["ulaw", "alaw", "sln16", "g722"] {
            let error = declared(body, input, "wav").unwrap_err();
            assert!(matches!(error, AudioError::NotAudio), "{}: {error}", String::from_utf8_lossy(body));
        }
    }
    // Samples that begin like a page are samples.
    for body in [&b"<"[..], b"{\x00\x01\xff\xfe\x7f\x7e\x7d\x80", &[b'<'; 7], &[&b"<!"[..], &[0xff; 600]].concat()] {
        assert_eq!(declared(body, "ulaw", "alaw").unwrap().0.frames, body.len() as u64);
    }
}

#[test]
fn without_a_declaration_nothing_changes() {
    assert!(matches!(error(&[0xff; 100_000], "ulaw"), AudioError::NotAudio));
}

#[test]
fn a_piece_of_a_frame_at_the_end_is_no_frame() {
    for (input, bytes, frames) in [("l16:8000", 3, 1), ("l16:8000:2", 11, 2), ("l16:8000:3", 5, 0), ("ulaw", 3, 3)] {
        let (summary, _) = declared(&vec![1; bytes], input, "sln").unwrap();
        assert_eq!(summary.frames, frames, "{input}");
    }
}

#[test]
fn the_original_itself_is_unconverted_and_has_the_declared_type() {
    let codes: Vec<u8> = (0..=255).collect();
    for (input, content_type) in [
        ("ulaw", "audio/PCMU"),
        ("alaw", "audio/PCMA"),
        ("sln16", "audio/L16;rate=16000"),
        ("l16be:44100:2", "audio/L16;rate=44100;channels=2;endianness=big-endian"),
        ("g722", "audio/G722"),
        ("gsm", "audio/GSM"),
    ] {
        let (summary, body) = declared(&codes, input, "raw").unwrap();
        assert!(body == codes, "{input}");
        assert!(matches!(summary.kind, Kind::Headerless(_)) && summary.kind.content_type() == content_type, "{input}");
    }
}

#[test]
fn the_first_bytes_come_within_the_first_second() {
    // Bytes as they come out of a speech service, at the rate at which they are spoken.
    for (input, bytes_per_second) in [("ulaw", 8_000), ("sln", 16_000), ("g722", 8_000)] {
        let body: Vec<u8> = (0..40_000_u64).map(|n| (n * n % 241) as u8).collect();
        for extension in ["ulaw", "g722", "sln16"] {
            let original = Original::stepped(&body, vec![160]).declared(input);
            let (_, made) = run(original, format(extension), &Limits::default()).unwrap();
            let consumed = made.consumed_at_first.unwrap();
            assert!(consumed <= bytes_per_second + 2_000, "{input} to {extension}: {consumed}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_samples_however_they_arrive(
        body in vec(any::<u8>(), 1..40_000),
        steps in vec(1_usize..5_000, 1..20),
        input in prop_oneof![Just("ulaw"), Just("alaw"), Just("l16:11025:3"), Just("l16be:48000"), Just("g722")],
        extension in prop_oneof![Just("ulaw"), Just("wav"), Just("g722"), Just("raw")],
    ) {
        let whole = declared(&body, input, extension);
        let stepped = Original::stepped(&body, steps).declared(input);
        let streamed = run(stepped, format(extension), &Limits::default());
        match (whole, streamed) {
            (Ok((summary, whole)), Ok((streamed_summary, streamed))) => {
                prop_assert_eq!(summary, streamed_summary);
                prop_assert!(whole == streamed.bytes);
            }
            // At random, something looks like the start of a container now and then: then it does so both times.
            (Err(whole), Err(streamed)) => prop_assert_eq!(whole.to_string(), streamed.to_string()),
            (whole, streamed) => prop_assert!(false, "{} {}", whole.is_ok(), streamed.is_ok()),
        }
    }
}
