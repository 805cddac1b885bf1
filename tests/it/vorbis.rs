//! Vorbis at a reduced rate, judged by what ffmpeg decodes at the full one.

use crate::support::{
    band::{CHOPPED, STEREO, check, check_tones, music, weights},
    tools::Work,
};

#[test]
fn every_rate_is_heard_as_ffmpeg_hears_it() {
    let work = Work::new();
    music(&work, CHOPPED);
    for rate in [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000] {
        work.ffmpeg(&format!("-i music.wav -ar {rate} -bitexact -f wav rate.wav"));
        work.run("oggenc --quiet -q 5 -o out.ogg rate.wav");
        check(&work, "out.ogg", f64::from(rate), &[], STEREO, 70.0);
    }
}

#[test]
fn every_quality_is_heard_as_ffmpeg_hears_it() {
    let work = Work::new();
    music(&work, CHOPPED);
    for quality in [-1, 1, 4, 7, 10] {
        work.run(&format!("oggenc --quiet -q {quality} -o out.ogg music.wav"));
        check(&work, "out.ogg", 44_100.0, &[], STEREO, 70.0);
    }
    check(&work, "out.ogg", 44_100.0, &[("channel", "left")], "c0", 70.0);
    check(&work, "out.ogg", 44_100.0, &[("channel", "right")], "c1", 70.0);
    work.run("oggenc --quiet --downmix -q 2 -o out.ogg music.wav");
    check(&work, "out.ogg", 44_100.0, &[], "c0", 70.0);
    // Packets that are cut to a bit rate.
    work.run("oggenc --quiet --managed -b 64 -M 80 -o out.ogg music.wav");
    check(&work, "out.ogg", 44_100.0, &[], STEREO, 70.0);
}

#[test]
fn more_channels_are_mixed_by_their_weights() {
    let work = Work::new();
    music(&work, CHOPPED);
    let make = |layout: &str| {
        // Each channel another part of the music, so that none can stand for another.
        work.ffmpeg(&format!(
            "-i music.wav -ss 0.3 -i music.wav -ss 0.5 -i music.wav -ss 0.7 -i music.wav \
             -filter_complex amerge=inputs=4,pan={layout} -c:a libvorbis -q:a 4 out.ogg"
        ));
    };
    let [front, other] = weights(1.0);
    make("3.0|FL=c0|FR=c3|FC=c5");
    check(&work, "out.ogg", 44_100.0, &[], &format!("{front}*FL+{front}*FR+{other}*FC"), 70.0);
    let [front, other] = weights(3.0);
    make("5.1|FL=c0|FR=c3|FC=c5|LFE=c2|BL=c4|BR=c7");
    let six = format!("{front}*FL+{front}*FR+{other}*FC+{other}*BL+{other}*BR");
    check(&work, "out.ogg", 44_100.0, &[], &six, 70.0);
    check(&work, "out.ogg", 44_100.0, &[("channel", "left")], "FL", 70.0);
    check(&work, "out.ogg", 44_100.0, &[("channel", "right")], "FR", 70.0);
    let [front, other] = weights(5.0);
    make("7.1|FL=c0|FR=c3|FC=c5|LFE=c2|BL=c4|BR=c7|SL=c1|SR=c6");
    let eight = format!("{front}*FL+{front}*FR+{other}*FC+{other}*BL+{other}*BR+{other}*SL+{other}*SR");
    check(&work, "out.ogg", 44_100.0, &[], &eight, 70.0);
}

#[test]
fn tones_above_the_band_do_not_fold_into_it() {
    check_tones("-c:a libvorbis -q:a 8 tone.ogg", "tone.ogg", -80.0);
}
