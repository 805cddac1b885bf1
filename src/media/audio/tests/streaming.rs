//! Equal bytes however the original arrives, and first bytes early.

use proptest::prelude::*;

use super::support::{Coding, Original, convert, fixture, format, run, tone, wav};
use crate::media::{audio::Limits, format::Format};

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn streamed_equals_whole(
        // Multiples of 25 Hz: rates without a common divisor take a second a block, and `quality` has them.
        rate in prop_oneof![Just(8_000u32), Just(44_100), Just(48_000), (320u32..=7_680).prop_map(|step| step * 25)],
        channels in 1u16..=8,
        frames in 0usize..6_000,
        hz in 100.0f64..3_000.0,
        steps in prop::collection::vec(1usize..5_000, 1..20),
    ) {
        let input = wav(rate, channels, frames, Coding::Int16, tone(hz, rate));
        for (extension, format) in Format::all() {
            let (summary, whole) = convert(&input, extension);
            let stepped = Original::stepped(&input, steps.clone());
            let (streamed_summary, streamed) = run(stepped, format, &Limits::default()).unwrap();
            prop_assert!(streamed.bytes == whole, "{extension}");
            prop_assert_eq!(&streamed_summary, &summary);
            if !format.is_raw() {
                let exact = (frames as f64 * f64::from(format.rate().hz()) / f64::from(rate)).round();
                prop_assert_eq!(summary.frames, exact as u64, "{}", extension);
            }
        }
    }

    #[test]
    fn streamed_families_equal_whole(steps in prop::collection::vec(1usize..3_000, 1..20)) {
        for name in ["chirp-44k-stereo.mp3", "chirp-22k-vbr-untagged.mp3", "chirp-8k-mono.flac", "chirp-8k-mono.oga",
            "chirp-flac.m4a", "chirp-44k-stereo.ogg", "chirp-moov-last.m4a", "chirp-moov-first.m4a", "chirp.aac", "chirp-stereo.opus", "chirp-5.1.opus", "chirp-ms.wav", "chirp-gsm.wav",
            "chirp-mp3.wav", "chirp-ulaw.au", "chirp.aiff", "chirp-ima.aifc", "chirp-ima.caf", "chirp-alaw.caf",
            "chirp-stereo.webm", "chirp-live.webm"] {
            let input = fixture(name);
            let (summary, whole) = convert(&input, "ulaw");
            let (streamed_summary, streamed) =
                run(Original::stepped(&input, steps.clone()), format("ulaw"), &Limits::default()).unwrap();
            prop_assert!(streamed.bytes == whole, "{name}");
            prop_assert_eq!(streamed_summary, summary);
        }
    }
}

#[test]
fn the_first_bytes_come_after_the_first_kilobytes() {
    let minutes = |name: &str, times: usize| fixture(name).repeat(times);
    let cases = [
        ("wav", wav(44_100, 2, 441_000, Coding::Int16, tone(500.0, 44_100)), 32 * 1024),
        ("mp3", minutes("chirp-44k-stereo.mp3", 60), 12 * 1024),
        ("flac", [fixture("chirp-8k-mono.flac"), vec![0; 100_000]].concat(), 20 * 1024),
        ("vorbis", minutes("chirp-44k-stereo.ogg", 60), 20 * 1024),
        ("opus", minutes("chirp-stereo.opus", 60), 20 * 1024),
        ("aac", minutes("chirp.aac", 60), 12 * 1024),
    ];
    for (what, input, most) in cases {
        for extension in ["ulaw", "opus"] {
            // A whole second of Opus may need more than one link of the chain.
            let (_, body) = match run(Original::stepped(&input, vec![700]), format(extension), &Limits::default()) {
                Ok(done) => done,
                Err(error) => panic!("{what}: {error:?}"),
            };
            let consumed = body.consumed_at_first.unwrap();
            assert!(consumed <= most, "{what} to {extension}: {consumed} bytes were read before the first came out");
        }
    }
}
