//! FLAC streams as wholes: what stands around the frames, and what is left where some are missing.

use super::support::{Original, convert, error, fixture, format, run, samples};
use crate::{media::audio::Limits, problem};

/// 8 kHz mono in 11 frames of 576 samples and one of 64, whose outputs at 8 kHz are its own samples.
const FILE: &str = "chirp-8k-mono.flac";
const BLOCK: usize = 576;

/// Where frames begin, and where the file ends.
fn frames(file: &[u8]) -> Vec<usize> {
    // Mono of 16 bits, both said by the header.
    let is_begin = |at: &usize| matches!(file[*at..], [0xff, 0xf8, _, 0x08, ..]);
    let mut begins: Vec<usize> = (42..file.len()).filter(is_begin).collect();
    begins.push(file.len());
    begins
}

fn heard(file: &[u8]) -> (bool, Vec<f64>) {
    let (summary, body) = convert(file, "sln");
    (summary.truncated, samples(&body))
}

#[test]
fn damage_is_silence_and_nothing_moves() {
    let file = fixture(FILE);
    let begins = frames(&file);
    assert_eq!(begins.len(), 13);
    let (_, whole) = heard(&file);
    let silent_from = |first: usize, last: usize| {
        let mut expected = whole.clone();
        expected[first * BLOCK..last * BLOCK].fill(0.0);
        expected
    };
    // In the middle of a frame, and in its header.
    for at in [begins[4] + 20, begins[4] + 1, begins[4] + 4] {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert!(heard(&damaged) == (false, silent_from(4, 5)), "at {at}");
    }
    // Cut out, from anywhere to anywhere.
    for (from, to, first, last) in [(begins[2], begins[5], 2, 5), (begins[2] + 7, begins[5] - 9, 2, 5)] {
        let cut = [&file[..from], &file[to..]].concat();
        let (truncated, samples) = heard(&cut);
        if from == begins[2] {
            // Nothing shows that something was there.
            assert!(truncated && samples.len() == whole.len() - 3 * BLOCK);
        } else {
            assert!(!truncated && samples == silent_from(first, last));
        }
    }
    // What stands before the first frame that is whole was never there.
    let mut damaged = file.clone();
    damaged[begins[0] + 9] ^= 1;
    assert!(heard(&damaged) == (true, whole[BLOCK..].to_vec()));
}

#[test]
fn tags_and_pictures_are_passed_over_and_what_follows_the_audio_too() {
    let file = fixture(FILE);
    let (_, expected) = convert(&file, "ulaw");
    let block = |kind: u8, size: usize| [&[kind][..], &(size as u32).to_be_bytes()[1..], &vec![0xff; size]].concat();
    let pictured = [&file[..42], &block(6, (1 << 24) - 1).repeat(2), &block(4, 3), &block(0x81, 100)].concat();
    let begin = frames(&file)[0];
    let mut head = pictured;
    // STREAMINFO is not the last any more.
    head[4] &= 0x7f;
    let pictured = [head.as_slice(), &file[begin..]].concat();
    let tagged = [file.as_slice(), b"TAG", &[b' '; 125]].concat();
    for (what, file) in [("pictures", pictured), ("a tag behind", tagged)] {
        let (summary, body) = convert(&file, "ulaw");
        assert!(body == expected && !summary.truncated, "{what}");
    }
}

#[test]
fn joined_files_play_one_after_the_other() {
    let (first, second) = (fixture(FILE), fixture("speech.flac"));
    let (_, one) = convert(&first, "sln");
    let (_, other) = convert(&second, "sln");
    let (summary, both) = convert(&[first.as_slice(), &first].concat(), "sln");
    assert!(both == [one.as_slice(), &one].concat() && !summary.truncated);
    let (summary, both) = convert(&[first.as_slice(), &second].concat(), "sln");
    assert!(both.len() == one.len() + other.len() && both.starts_with(&one) && !summary.truncated);
    let cut = &second[..second.len() / 2];
    assert!(convert(&[first.as_slice(), cut].concat(), "sln").0.truncated);
    // Beginnings of nothing do not go on for ever.
    let mut head = first[..42].to_vec();
    head[4] |= 0x80;
    let outcome = error(&head.repeat(1_000), "ulaw");
    assert_eq!(outcome.problem().kind, problem::Kind::Undecodable);
}

#[test]
fn a_length_that_is_not_said_is_as_long_as_it_lasts() {
    let mut file = fixture(FILE);
    let (_, expected) = convert(&file, "sln");
    file[21] &= 0xf0;
    file[22..26].fill(0);
    let (summary, body) = convert(&file, "sln");
    assert!(body == expected && !summary.truncated);
    let (summary, body) = convert(&file[..file.len() - 30], "sln");
    assert!(summary.truncated && expected.starts_with(&body));
    let begins = frames(&file);
    let (summary, body) = convert(&file[..begins[5]], "sln");
    assert!(!summary.truncated && body.len() == 2 * 5 * BLOCK);
    // And nothing at all is an empty clip.
    assert!(convert(&file[..begins[0]], "sln").1.is_empty());
}

#[test]
fn a_recording_that_begins_later_loses_nothing() {
    let file = fixture(FILE);
    let begins = frames(&file);
    let (_, expected) = convert(&file, "sln");
    let later = [&file[..begins[0]], &file[begins[3]..]].concat();
    assert!(convert(&later, "sln").1 == expected[2 * 3 * BLOCK..]);
}

#[test]
fn zeros_for_frames_are_given_up() {
    let mut file = fixture(FILE);
    file.resize(file.len() + (33 << 20), 0);
    assert_eq!(error(&file, "ulaw").problem().kind, problem::Kind::OverLimit);
}

#[test]
fn a_trickle_gives_the_same() {
    let file = fixture("speech.flac");
    let (_, expected) = convert(&file, "ulaw");
    for step in [1, 7, 1_000] {
        let (_, body) = run(Original::stepped(&file, vec![step]), format("ulaw"), &Limits::default()).unwrap();
        assert!(body.bytes == expected, "{step} bytes at a time");
    }
}
