//! Several originals as one.

use std::{
    collections::VecDeque,
    io::{self, Read, Seek, SeekFrom},
    time::Duration,
};

use proptest::prelude::*;

use super::support::{
    Body, CHIRP, Coding, Original, convert, fixture, format, match_chirp, run, samples, seconds, tone, wav,
};
use crate::media::{
    audio::{AudioError, Input, Limits, Parts, Summary, transcode_parts},
    format::Format,
};

/// Originals in a row.
struct Row(VecDeque<io::Result<Box<dyn Input>>>);

impl Row {
    fn of(parts: impl IntoIterator<Item = Original>) -> Row {
        Row(parts.into_iter().map(|part| Ok(Box::new(part) as Box<dyn Input>)).collect())
    }
}

impl Parts for Row {
    fn next(&mut self) -> io::Result<Option<Box<dyn Input>>> {
        self.0.pop_front().transpose()
    }
}

fn run_row(row: Row, format: Format, limits: &Limits) -> Result<(Summary, Vec<u8>), AudioError> {
    let mut body = Body::default();
    let summary = transcode_parts(Box::new(row), format, limits, &mut body)?;
    Ok((summary, body.bytes))
}

fn convert_row(parts: &[&[u8]], extension: &str) -> (Summary, Vec<u8>) {
    let row = Row::of(parts.iter().map(|part| Original::whole(part)));
    run_row(row, format(extension), &Limits::default()).unwrap()
}

fn error(row: Row) -> AudioError {
    run_row(row, format("ulaw"), &Limits::default()).unwrap_err()
}

const FAMILIES: &[&str] = &[
    "chirp-44k-stereo.mp3",
    "chirp-22k-vbr-untagged.mp3",
    "chirp-8k-mono.flac",
    "chirp-44k-stereo.ogg",
    "chirp-moov-last.m4a",
    "chirp.aac",
    "chirp-stereo.opus",
    "chirp-mp3.wav",
    "chirp-ulaw.au",
    "chirp.aiff",
    "chirp-ima.caf",
    "chirp-stereo.webm",
    "speech.wav",
];

#[test]
fn one_alone_is_what_it_is_by_itself() {
    for name in FAMILIES {
        let input = fixture(name);
        for extension in ["ulaw", "wav16", "sln48", "g722", "opus"] {
            let alone = convert(&input, extension);
            assert!(convert_row(&[&input], extension) == alone, "{name} to {extension}");
        }
    }
    let effects = Format::parse("ulaw", &[("loudness", "-19"), ("trim", "both")]).unwrap();
    let input = fixture("speech.wav");
    let (summary, body) = run(Original::whole(&input), effects, &Limits::default()).unwrap();
    let row = run_row(Row::of([Original::whole(&input)]), effects, &Limits::default()).unwrap();
    assert!(row == (summary, body.bytes));
}

/// A clip that is cut anywhere and put together again is the clip, to the bit: no gap, no click, no sample more or less.
#[test]
fn what_is_cut_is_heard_as_one() {
    for (rate, cuts) in [(44_100, [1, 20_000, 20_001]), (8_000, [7, 4_000, 7_999]), (48_000, [479, 481, 24_000])] {
        let signal = tone(700.0, rate);
        let frames = rate as usize;
        let whole = wav(rate, 2, frames, Coding::Int16, &signal);
        let edges: Vec<usize> = [0].into_iter().chain(cuts).chain([frames]).collect();
        let parts: Vec<Vec<u8>> = edges
            .windows(2)
            .map(|edge| {
                wav(rate, 2, edge[1] - edge[0], Coding::Int16, |frame, channel| signal(edge[0] + frame, channel))
            })
            .collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        for extension in ["ulaw", "sln16", "wav", "g722", "opus"] {
            assert!(convert_row(&parts, extension) == convert(&whole, extension), "{rate} Hz to {extension}");
        }
    }
}

#[test]
fn whatever_they_are_each_stands_where_the_last_one_ended() {
    let files: Vec<Vec<u8>> =
        FAMILIES.iter().filter(|name| name.starts_with("chirp")).map(|name| fixture(name)).collect();
    for (extension, rate) in [("sln", 8_000), ("sln16", 16_000), ("sln48", 48_000)] {
        let parts: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let (summary, body) = convert_row(&parts, extension);
        let heard = samples(&body);
        assert_eq!(summary.frames, heard.len() as u64);
        let (mut at, mut compared) = (Duration::ZERO, 0);
        // Looking for a chirp takes long: where decoders leave samples out there is most to find.
        let looks = extension == "sln";
        for (name, file) in FAMILIES.iter().zip(&files) {
            let (alone, alone_body) = convert(file, extension);
            let offset = (seconds(at) * f64::from(rate)).round() as usize;
            at += alone.duration;
            if !looks {
                continue;
            }
            let (alone_delay, alone_snr) = match_chirp(&samples(&alone_body), rate, 0);
            let (delay, snr) = match_chirp(&heard, rate, offset);
            // One whose file does not say how late its encoder is cannot be found where it should be, alone or not.
            if alone_snr < 10.0 {
                continue;
            }
            compared += 1;
            let late = delay - alone_delay;
            assert!(late.abs() <= 1.0, "{name} to {extension}: {delay} samples late, alone {alone_delay}");
            // A fraction of a sample between the two costs a clean one its last decibels.
            assert!(snr > (alone_snr - 6.0).min(15.0), "{name} to {extension}: {snr} dB, alone {alone_snr}");
        }
        assert!(!looks || compared >= 8, "{compared} of {}", files.len());
        assert!((seconds(summary.duration) - seconds(at)).abs() < 0.002, "{:?} for {at:?}", summary.duration);
        assert!(seconds(at) > 0.99 * CHIRP * files.len() as f64);
    }
}

/// A decoder that leaves samples out counts from the beginning of its own original: nothing adds up over many of them.
#[test]
fn many_short_ones_do_not_drift() {
    let input = fixture("chirp-44k-stereo.mp3");
    let (alone, _) = convert(&input, "sln");
    let (row, body) = convert_row(&[input.as_slice(); 50], "sln");
    assert!(row.frames.abs_diff(50 * alone.frames) <= 50, "{} for {}", row.frames, 50 * alone.frames);
    let last = (seconds(row.duration) * 8_000.0 * 49.0 / 50.0).round() as usize;
    let (delay, _) = match_chirp(&samples(&body), 8_000, last);
    let (alone_delay, _) = match_chirp(&samples(&body), 8_000, 0);
    assert!((delay - alone_delay).abs() <= 2.0, "{delay} and {alone_delay}");
}

#[test]
fn limits_hold_for_all_of_them_together() {
    let limits = Limits { decoded_max: Duration::from_secs(1) };
    let part = wav(8_000, 1, 4_800, Coding::Int16, tone(500.0, 8_000));
    let row = |count| Row::of((0..count).map(|_| Original::whole(&part)));
    assert!(run_row(row(1), format("ulaw"), &limits).is_ok());
    let error = run_row(row(2), format("ulaw"), &limits).unwrap_err();
    assert!(matches!(error, AudioError::OverLimit { .. }), "{error:?}");

    struct Endless(Vec<u8>);
    impl Parts for Endless {
        fn next(&mut self) -> io::Result<Option<Box<dyn Input>>> {
            Ok(Some(Box::new(Original::whole(&self.0))))
        }
    }
    let empty = wav(8_000, 1, 0, Coding::Int16, tone(500.0, 8_000));
    let endless = transcode_parts(Box::new(Endless(empty)), format("ulaw"), &limits, &mut Body::default());
    assert!(matches!(endless, Err(AudioError::OverLimit { .. })), "{endless:?}");
}

#[test]
fn what_cannot_be_is_said_by_type() {
    let good = fixture("chirp.aiff");
    let raw = run_row(Row::of([Original::whole(&good)]), format("raw"), &Limits::default()).unwrap_err();
    assert!(matches!(raw, AudioError::NotOne), "{raw:?}");
    assert_eq!(raw.problem().kind, crate::problem::Kind::NotAcceptable);
    assert!(matches!(error(Row::of([])), AudioError::NotAudio));
    assert!(matches!(error(Row::of([Original::whole(&good), Original::whole(b"<html>")])), AudioError::NotAudio));
    assert!(matches!(error(Row::of([Original::whole(&good), Original::failing(&good, 3_000)])), AudioError::Input(_)));
    let lost: io::Result<Box<dyn Input>> = Err(io::Error::other("nobody speaks any more"));
    let mut row = Row::of([Original::whole(&good)]);
    row.0.push_back(lost);
    assert!(matches!(error(row), AudioError::Input(_)));
    // What ends early is heard as far as it goes and said so; what ends before it begins is damage.
    let whole = wav(8_000, 1, 8_000, Coding::Int16, tone(500.0, 8_000));
    let (summary, _) = convert_row(&[&whole[..9_000], &whole], "ulaw");
    assert!(summary.truncated && summary.frames > 12_000);
    let cut = Row::of([Original::whole(&whole), Original::whole(&whole[..44])]);
    assert!(matches!(error(cut), AudioError::Undecodable { .. }));
}

/// An original whose owner has a bug.
struct Panics;

impl Read for Panics {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("a bug that the test planted")
    }
}

impl Seek for Panics {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

impl Input for Panics {
    fn length(&self) -> Option<u64> {
        None
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn a_panic_in_one_is_contained() {
    let mut row = Row::of([Original::whole(&fixture("chirp.aiff"))]);
    row.0.push_back(Ok(Box::new(Panics)));
    assert!(matches!(error(row), AudioError::Panicked { kind: None }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn streamed_equals_whole(
        names in prop::collection::vec(prop::sample::select(FAMILIES), 1..5),
        steps in prop::collection::vec(1usize..3_000, 1..20),
        extension in prop::sample::select(vec!["ulaw", "sln16", "opus", "g722"]),
    ) {
        let files: Vec<Vec<u8>> = names.iter().map(|name| fixture(name)).collect();
        let parts: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let whole = convert_row(&parts, extension);
        let stepped = Row::of(files.iter().map(|file| Original::stepped(file, steps.clone())));
        let streamed = run_row(stepped, format(extension), &Limits::default()).unwrap();
        prop_assert!(streamed == whole, "{:?} to {}", names, extension);
    }
}
