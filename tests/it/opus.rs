//! Opus of one or two channels at a reduced rate, judged by libopus at the full one.

use crate::support::{
    band::{CHOPPED, STEREO, check, check_tones, music},
    tools::Work,
};

/// Each side alone: in a mix of both, channels that were turned over for stereo would cancel.
fn check_sides(work: &Work) {
    for (side, channel) in [("left", "c0"), ("right", "c1")] {
        check(work, "out.opus", 48_000.0, &[("channel", side)], channel, 65.0);
    }
}

#[test]
fn every_bit_rate_is_heard_as_libopus_hears_it() {
    let work = Work::new();
    music(&work, CHOPPED);
    for bits in [32, 64, 96, 192] {
        work.run(&format!("opusenc --quiet --music --bitrate {bits} music.wav out.opus"));
        check_sides(&work);
    }
    // Here nothing is turned over.
    check(&work, "out.opus", 48_000.0, &[], STEREO, 55.0);
    work.run("opusenc --quiet --music --downmix-mono --bitrate 48 music.wav out.opus");
    check(&work, "out.opus", 48_000.0, &[], "c0", 65.0);
}

#[test]
fn every_frame_size_is_heard_as_libopus_hears_it() {
    let work = Work::new();
    music(&work, CHOPPED);
    for size in ["2.5", "5", "10", "40", "60"] {
        work.run(&format!("opusenc --quiet --music --bitrate 96 --framesize {size} music.wav out.opus"));
        check_sides(&work);
    }
}

#[test]
fn tones_above_the_band_do_not_fold_into_it() {
    check_tones("-ar 48000 -c:a libopus -b:a 192k -f opus tone.opus", "tone.opus", -80.0);
}
