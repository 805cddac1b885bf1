//! AAC at a reduced rate, judged by what ffmpeg decodes at the full one.

use ringback::media::format::Format;

use crate::support::{
    audio,
    band::{CHOPPED, STEREO, check, check_tones, heard, music, weights},
    tools::Work,
};

#[test]
fn every_rate_is_heard_as_ffmpeg_hears_it() {
    let work = Work::new();
    music(&work, "");
    for rate in [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000] {
        work.ffmpeg(&format!("-i music.wav -ar {rate} -c:a aac -aac_pns 0 -b:a {} out.aac", rate * 3));
        check(&work, "out.aac", f64::from(rate), &[], STEREO, 65.0);
    }
}

#[test]
fn every_tool_is_heard_as_ffmpeg_hears_it() {
    let work = Work::new();
    music(&work, CHOPPED);
    for options in [
        "-b:a 128k -aac_coder fast",
        "-b:a 320k",
        "-b:a 64k -aac_is 1 -aac_ms 0 -aac_tns 0",
        "-b:a 128k -aac_is 0 -aac_ms 1 -aac_tns 0",
        "-b:a 96k -aac_is 0 -aac_ms 0 -aac_tns 1",
        "-b:a 64k -ac 1",
    ] {
        work.ffmpeg(&format!("-i music.wav -c:a aac -aac_pns 0 {options} out.aac"));
        let mono = options.contains("-ac 1");
        check(&work, "out.aac", 44_100.0, &[], if mono { "c0" } else { STEREO }, 65.0);
        if !mono {
            check(&work, "out.aac", 44_100.0, &[("channel", "left")], "c0", 65.0);
            check(&work, "out.aac", 44_100.0, &[("channel", "right")], "c1", 65.0);
        }
    }
}

#[test]
fn noise_substitution_keeps_the_energy() {
    let work = Work::new();
    work.ffmpeg("-f lavfi -i anoisesrc=r=44100:d=2:a=0.3:s=7 -ac 2 -c:a aac -b:a 32k -aac_pns 1 out.aac");
    let power = |samples: &[f64]| samples.iter().map(|sample| sample * sample).sum::<f64>();
    let (_, ours) = audio::transcode(&work.read("out.aac"), Format::parse("sln", &[]).unwrap()).unwrap();
    let ours: Vec<f64> =
        ours.as_chunks().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)) / 32_768.0).collect();
    let theirs = work.ffmpeg(&format!("-i out.aac -af pan=mono|c0={STEREO} -f f32le -"));
    let theirs: Vec<f64> = theirs.as_chunks().0.iter().map(|sample| f64::from(f32::from_le_bytes(*sample))).collect();
    let difference = 10.0 * (power(&heard(&ours, 8_000.0)) / power(&heard(&theirs, 44_100.0))).log10();
    assert!(difference.abs() < 0.5, "{difference} dB");
}

#[test]
fn more_channels_are_mixed_by_their_weights() {
    let work = Work::new();
    music(&work, CHOPPED);
    let make = |layout: &str, name: &str| {
        // Each channel another part of the music, so that none can stand for another.
        work.ffmpeg(&format!(
            "-i music.wav -ss 0.3 -i music.wav -ss 0.5 -i music.wav -ss 0.7 -i music.wav \
             -filter_complex amerge=inputs=4,pan={layout} -c:a aac -aac_pns 0 -b:a 384k {name}"
        ));
    };
    let [front, other] = weights(3.0);
    make("5.1|FL=c0|FR=c3|FC=c5|LFE=c2|BL=c4|BR=c7", "six.m4a");
    let six = format!("{front}*FL+{front}*FR+{other}*FC+{other}*BL+{other}*BR");
    check(&work, "six.m4a", 44_100.0, &[], &six, 65.0);
    check(&work, "six.m4a", 44_100.0, &[("channel", "left")], "FL", 65.0);
    let [front, other] = weights(5.0);
    make("7.1|FL=c0|FR=c3|FC=c5|LFE=c2|BL=c4|BR=c7|SL=c1|SR=c6", "eight.m4a");
    let eight = format!("{front}*FL+{front}*FR+{other}*FC+{other}*BL+{other}*BR+{other}*SL+{other}*SR");
    check(&work, "eight.m4a", 44_100.0, &[], &eight, 65.0);
}

#[test]
fn tones_above_the_band_do_not_fold_into_it() {
    check_tones("-c:a aac -b:a 256k tone.aac", "tone.aac", -85.0);
}
