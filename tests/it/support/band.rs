//! The telephone band of a decoded original, judged by what ffmpeg decodes at the full rate.

use std::f64::consts::PI;

use ringback::{
    media::format::Format,
    testing::{fixture, signal::snr_db},
};

use super::{audio, tools::Work};

/// Half the length of the filter that both are compared through, in seconds.
const FILTER_SECONDS: f64 = 0.012;
/// Band that is compared, in Hz.
const BAND: [f64; 2] = [100.0, 3_400.0];

/// The mean of two channels, as ffmpeg writes it.
pub(crate) const STEREO: &str = "0.5*c0+0.5*c1";

/// A gate that makes attacks, which encoders answer with short windows.
pub(crate) const CHOPPED: &str = "-af volume=if(lt(mod(t\\,0.25)\\,0.12)\\,1\\,0.01):eval=frame";

/// Two seconds of music.
pub(crate) fn music(work: &Work, filter: &str) {
    work.write("music.mp3", &fixture::audio("music.mp3").unwrap());
    work.ffmpeg(&format!("-ss 1 -t 2 -i music.mp3 {filter} -bitexact -f wav music.wav"));
}

/// Weights of fronts and of centre and surrounds among `count` of the latter.
pub(crate) fn weights(count: f64) -> [f64; 2] {
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
pub(crate) fn heard(samples: &[f64], rate: f64) -> Vec<f64> {
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
pub(crate) fn check(work: &Work, name: &str, rate: f64, options: &[(&str, &str)], pan: &str, snr_min: f64) {
    let original = work.read(name);
    let (_, ours) = audio::transcode(&original, Format::parse("sln", options).unwrap()).unwrap();
    let ours: Vec<f64> =
        ours.as_chunks().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)) / 32_768.0).collect();
    // ffmpeg's own decoder of Opus has other noise.
    let decoder = if name.ends_with(".opus") { "-c:a libopus" } else { "" };
    let theirs = work.ffmpeg(&format!("{decoder} -i {name} -af pan=mono|c0={pan} -f f32le -"));
    let theirs: Vec<f64> = theirs.as_chunks().0.iter().map(|sample| f64::from(f32::from_le_bytes(*sample))).collect();
    let (expected, actual) = (duration(&theirs, rate), ours.len());
    // MP4 and Ogg files say where their audio ends; ffmpeg plays the last block to its own end.
    let spare_frames = match name.rsplit_once('.') {
        Some((_, "m4a")) => 1_024.0,
        Some((_, "ogg")) => 2_048.0,
        _ => 0.0,
    };
    let spare = (spare_frames * 8_000.0 / rate) as usize;
    assert!((actual..=actual + spare).contains(&expected), "{name} {options:?}: {actual} {expected}");
    let (theirs, ours) = (heard(&theirs, rate), heard(&ours, 8_000.0));
    // What is cut begins and ends at once: at the full rate that sounds in the whole band, below the limit only up to it.
    let edge = if spare > 0 { (FILTER_SECONDS * 8_000.0) as usize / INSTANTS_STEP + 1 } else { 0 };
    let inner = edge..ours.len() - edge;
    let (theirs, ours) = (&theirs[inner.clone()], &ours[inner]);
    let snr = snr_db(theirs, ours);
    assert!(snr > snr_min, "{name} {options:?}: {snr} dB");
}

/// Checks what an output at 8 kHz has of tones above its band, as ffmpeg encodes them by `encode` into `name`.
pub(crate) fn check_tones(encode: &str, name: &str, level_max: f64) {
    let work = Work::new();
    for (rate, hz) in [(32_000, 4_200), (32_000, 6_000), (44_100, 5_400), (44_100, 7_000), (48_000, 9_000)] {
        work.ffmpeg(&format!(
            "-f lavfi -i sine=frequency={hz}:sample_rate={rate}:duration=2 -af volume=4 -ac 2 {encode}"
        ));
        let (_, ours) = audio::transcode(&work.read(name), Format::parse("sln", &[]).unwrap()).unwrap();
        let ours: Vec<f64> =
            ours.as_chunks().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)) / 32_768.0).collect();
        let heard = heard(&ours, 8_000.0);
        // Without the ends, where the tone is none.
        let inner = &heard[500..heard.len() - 500];
        let power = inner.iter().map(|sample| sample * sample).sum::<f64>() / inner.len() as f64;
        // Against the tone's own power, an eighth: the encoder's noise is in it.
        let level = 10.0 * (power / 0.125).log10();
        assert!(level < level_max, "{hz} Hz at {rate}: {level} dB");
    }
}
