//! AAC at a reduced rate, judged by what ffmpeg decodes at the full one.

use std::f64::consts::PI;

use ringback::{
    media::format::Format,
    testing::{fixture, signal::snr_db},
};

use crate::support::{audio, tools::Work};

/// Half the length of the filter that both are compared through, in seconds.
const FILTER_SECONDS: f64 = 0.012;
/// Band that is compared, in Hz.
const BAND: [f64; 2] = [100.0, 3_400.0];
/// Weights of fronts and of centre and surrounds among `count` of the latter.
fn weights(count: f64) -> [f64; 2] {
    let sum = 2.0 + count * 0.5f64.sqrt();
    [1.0 / sum, 0.5f64.sqrt() / sum]
}

/// The band-pass as a function of time: the same for every rate.
fn band_pass(t: f64) -> f64 {
    let low_pass = |hz: f64| if t == 0.0 { 2.0 * hz } else { (2.0 * PI * hz * t).sin() / (PI * t) };
    let place = PI * t / FILTER_SECONDS;
    (low_pass(BAND[1]) - low_pass(BAND[0])) * (0.42 + 0.5 * place.cos() + 0.08 * (2.0 * place).cos())
}

/// Of the instants of an 8 kHz clock every fourth is compared: the filter takes its time.
const INSTANTS_STEP: usize = 4;

/// Samples of an 8 kHz clock that these last for.
fn duration(samples: &[f64], rate: f64) -> usize {
    (samples.len() as f64 * 8_000.0 / rate).round() as usize
}

/// What is within the band at the instants of an 8 kHz clock that starts with the samples.
fn heard(samples: &[f64], rate: f64) -> Vec<f64> {
    let count = duration(samples, rate);
    let inside = |time: f64| {
        let first = ((time - FILTER_SECONDS) * rate).ceil().max(0.0) as usize;
        let last = ((time + FILTER_SECONDS) * rate).floor() as usize;
        let near = samples.iter().enumerate().take(last + 1).skip(first);
        near.map(|(at, sample)| sample * band_pass(at as f64 / rate - time)).sum::<f64>() / rate
    };
    (0..count).step_by(INSTANTS_STEP).map(|n| inside(n as f64 / 8_000.0)).collect()
}

/// Checks `name` in the work directory: our output at 8 kHz against ffmpeg's decoding mixed by `pan`.
fn check(work: &Work, name: &str, rate: f64, options: &[(&str, &str)], pan: &str, snr_min: f64) {
    let original = work.read(name);
    let (_, ours) = audio::transcode(&original, Format::parse("sln", options).unwrap()).unwrap();
    let ours: Vec<f64> =
        ours.as_chunks().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)) / 32_768.0).collect();
    let theirs = work.ffmpeg(&format!("-i {name} -af pan=mono|c0={pan} -f f32le -"));
    let theirs: Vec<f64> = theirs.as_chunks().0.iter().map(|sample| f64::from(f32::from_le_bytes(*sample))).collect();
    let (expected, actual) = (duration(&theirs, rate), ours.len());
    // An MP4 file says where its audio ends; ffmpeg plays the last block to its own end.
    let spare = if name.ends_with(".m4a") { (1_024.0 * 8_000.0 / rate) as usize } else { 0 };
    assert!((actual..=actual + spare).contains(&expected), "{name} {options:?}: {actual} {expected}");
    let (theirs, ours) = (heard(&theirs, rate), heard(&ours, 8_000.0));
    // What is cut begins and ends at once: at the full rate that sounds in the whole band, below the limit only up to it.
    let edge = if spare > 0 { (FILTER_SECONDS * 8_000.0) as usize / INSTANTS_STEP + 1 } else { 0 };
    let inner = edge..ours.len() - edge;
    let (theirs, ours) = (&theirs[inner.clone()], &ours[inner]);
    let snr = snr_db(theirs, ours);
    assert!(snr > snr_min, "{name} {options:?}: {snr} dB");
}

/// A gate that makes attacks, which encoders answer with short windows.
const CHOPPED: &str = "-af volume=if(lt(mod(t\\,0.25)\\,0.12)\\,1\\,0.01):eval=frame";

/// Two seconds of music.
fn music(work: &Work, filter: &str) {
    work.write("music.mp3", &fixture::audio("music.mp3").unwrap());
    work.ffmpeg(&format!("-ss 1 -t 2 -i music.mp3 {filter} -f wav music.wav"));
}

const STEREO: &str = "0.5*c0+0.5*c1";

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
    let work = Work::new();
    for (rate, hz) in [(32_000, 4_200), (32_000, 6_000), (44_100, 5_400), (44_100, 7_000), (48_000, 9_000)] {
        work.ffmpeg(&format!(
            "-f lavfi -i sine=frequency={hz}:sample_rate={rate}:duration=2 -af volume=4 -ac 2 -c:a aac -b:a 256k tone.aac"
        ));
        let (_, ours) = audio::transcode(&work.read("tone.aac"), Format::parse("sln", &[]).unwrap()).unwrap();
        let ours: Vec<f64> =
            ours.as_chunks().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)) / 32_768.0).collect();
        let heard = heard(&ours, 8_000.0);
        // Without the ends, where the tone is none.
        let inner = &heard[500..heard.len() - 500];
        let power = inner.iter().map(|sample| sample * sample).sum::<f64>() / inner.len() as f64;
        // Against the tone's own power, an eighth: the encoder's noise is in it.
        let level = 10.0 * (power / 0.125).log10();
        assert!(level < -85.0, "{hz} Hz at {rate}: {level} dB");
    }
}
