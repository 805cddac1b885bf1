//! Digests of all outputs of one computed input. When a line changes, raise the stage's version in `PIPELINE` with it: addresses
//! name the recipe, so other bytes need another address.

use sha2::{Digest as _, Sha256};

use super::support::{Coding, convert, tone, wav};
use crate::media::{audio::PIPELINE, format::Format};

const PIPELINE_OF_DIGESTS: &str = "5.2.1.1";

/// Extension, and the start of the digest of header and body.
const DIGESTS: &[(&str, &str)] = &[
    ("ulaw", "8e2176d5b7b3a172"),
    ("alaw", "b2e238bfe782a828"),
    ("wav", "db6e264814703fbe"),
    ("wav16", "8cdc5750e76c5ff7"),
    ("sln", "c28769d79d6ff447"),
    ("sln16", "8271016173949b94"),
    ("sln24", "74c96c69ee93163c"),
    ("sln32", "b59ea1e4e3b3b7f1"),
    ("sln48", "805be6918dfb8d16"),
    ("g722", "86cc60cf5c8e514c"),
    ("raw", "452b099a64f6f20d"),
];

#[test]
fn bytes_change_only_with_the_pipeline() {
    // Two tones that sweep all stages: 44.1 kHz stereo with different channels.
    let (low, high) = (tone(440.0, 44_100), tone(2_500.0, 44_100));
    let input = wav(
        44_100,
        2,
        30_000,
        Coding::Int16,
        |frame, channel| if channel == 0 { low(frame, 0) } else { high(frame, 0) },
    );
    let made: Vec<(String, String)> = Format::all()
        // Opus is bit-exact for one build of libopus on one CPU feature set only: its test is by ear, in `families`.
        .filter(|(extension, _)| *extension != "opus")
        .map(|(extension, _)| {
            let (summary, body) = convert(&input, extension);
            let digest = Sha256::digest([summary.header, body].concat());
            (extension.to_owned(), digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
        })
        .collect();
    let expected: Vec<(String, String)> = DIGESTS.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(PIPELINE.to_string(), PIPELINE_OF_DIGESTS);
    assert_eq!(made, expected);
}
