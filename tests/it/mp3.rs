//! MP3 at a reduced rate against full decoding: nanomp3 decodes the same file at its full rate, and its samples go the same way from
//! there, as 32-bit WAV.

use std::{f64::consts::PI, time::Duration};

use ringback::{
    media::format::Format,
    testing::signal::{Depth, Signal, wav_header},
    units::{Channels, SampleRate},
};

use crate::support::{audio, tools::Work};

/// What full decoding makes of a file without the encoder's delay and padding.
struct Full {
    samples: Vec<f32>,
    channels: Channels,
    rate: SampleRate,
}

impl Full {
    fn of(mp3: &[u8]) -> Full {
        let decoded = nanomp3::decode_all::<f32>(mp3);
        let channels = Channels::new(usize::from(decoded.channels.unwrap().num())).unwrap();
        Full { samples: decoded.samples, channels, rate: SampleRate::new(decoded.sample_rate).unwrap() }
    }

    fn mono(&self) -> Vec<f32> {
        let count = self.channels.count();
        self.samples.chunks(count).map(|frame| frame.iter().sum::<f32>() / count as f32).collect()
    }

    fn wav(&self) -> Vec<u8> {
        let data: Vec<u8> = self.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        [wav_header(self.rate, self.channels, Depth::F32, data.len() as u32), data].concat()
    }
}

/// 16-bit samples of an original in a format, within ±1.
fn heard(original: &[u8], extension: &str, channel: &str) -> Vec<f64> {
    let format = Format::parse(extension, &[("channel", channel)]).unwrap();
    let body = audio::transcode(original, format).unwrap().1;
    body.as_chunks().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)) / 32_768.0).collect()
}

/// Taps of a low-pass filter that is flat to 0.425 of the rate and over at 0.465 of it (3.4 and 3.72 kHz at
/// 8 kHz): a sinc under Blackman and Harris' window.
fn low_pass() -> Vec<f64> {
    const HALF: i32 = 100;
    const CUT: f64 = 0.445;
    let tap = |n: i32| {
        let x = PI * (f64::from(n) / f64::from(HALF) + 1.0);
        let window = 0.358_75 - 0.488_29 * x.cos() + 0.141_28 * (2.0 * x).cos() - 0.011_68 * (3.0 * x).cos();
        let angle = 2.0 * PI * CUT * f64::from(n);
        window * 2.0 * CUT * if n == 0 { 1.0 } else { angle.sin() / angle }
    };
    (-HALF..=HALF).map(tap).collect()
}

/// Mean squares of a reference and of what differs from it, within the pass-band: to 3.4 kHz at 8 kHz.
fn compare(reference: &[f64], actual: &[f64]) -> (f64, f64) {
    assert_eq!(reference.len(), actual.len());
    let taps = low_pass();
    let filtered = |samples: &[f64]| samples.iter().zip(&taps).map(|(sample, tap)| sample * tap).sum::<f64>();
    let windows = reference.windows(taps.len()).zip(actual.windows(taps.len())).step_by(3);
    let (mut wanted, mut rest, mut count) = (0.0, 0.0, 0.0);
    for (reference, actual) in windows {
        let (reference, actual) = (filtered(reference), filtered(actual));
        wanted += reference * reference;
        rest += (reference - actual).powi(2);
        count += 1.0;
    }
    (wanted / count, rest / count)
}

/// Signal to difference in dB. A shift by one sample of a source at 44.1 kHz leaves 20 dB of it.
fn likeness(reference: &[f64], actual: &[f64]) -> f64 {
    let (wanted, rest) = compare(reference, actual);
    10.0 * (wanted / rest).log10()
}

fn noise(seed: u64, seconds: f64) -> Signal {
    Signal::noise(SampleRate::new(44_100).unwrap(), seed, 0.5, Duration::from_secs_f64(seconds))
}

/// Bursts on the left at another pace than on the right, which make an encoder switch its windows, over tones and some noise.
fn music(seconds: f64) -> Signal {
    let side = |pace: f64, hz: f64, seed: u64| {
        let mut noise = noise(seed, seconds).samples().to_vec().into_iter();
        Signal::from_fn(SampleRate::new(44_100).unwrap(), Duration::from_secs_f64(seconds), |t| {
            let noise = noise.next().unwrap();
            let burst = (-(t % pace) / 0.01).exp();
            0.45 * (2.0 * PI * hz * t).sin() + (0.05 + 0.9 * burst) * noise
        })
    };
    Signal::interleave(&[side(0.170, 330.0, 1), side(0.230, 1_250.0, 2)]).unwrap()
}

#[test]
fn every_kind_of_file_sounds_as_if_it_were_decoded_in_full() {
    let work = Work::new();
    work.write("in.wav", &music(1.3).wav(Depth::S16));
    let kinds = [
        "-b 128",
        "-b 320",
        "-V 2",
        "-V 7",
        "-m s -b 192",
        "-m f -b 160",
        "-m m -b 64",
        "--resample 48 -b 128",
        "--resample 32 -b 128",
        "--resample 32 -m m -b 64",
        "--resample 24 -b 96",
        "--resample 22.05 -m m -b 64",
        "--resample 22.05 -V 5",
        "--resample 16 -m s -b 64",
        "--resample 12 -b 48",
        "--resample 11.025 -b 48",
        "--resample 8 -m m -b 32",
    ];
    for kind in kinds {
        work.run(&format!("lame --quiet {kind} in.wav out.mp3"));
        let mp3 = work.read("out.mp3");
        let wav = Full::of(&mp3).wav();
        for (extension, channel) in [("sln", "mix"), ("sln", "left"), ("sln", "right"), ("sln16", "mix")] {
            let likeness = likeness(&heard(&wav, extension, channel), &heard(&mp3, extension, channel));
            assert!(likeness > 70.0, "{kind} to {extension}, {channel}: {likeness} dB");
        }
    }
}

#[test]
fn channels_with_windows_of_their_own_are_mixed_as_if_decoded_in_full() {
    const MODE: usize = 3;
    let work = Work::new();
    work.write("in.wav", &music(1.3).wav(Depth::S16));
    work.run("lame --quiet -m s -b 128 in.wav out.mp3");
    let separate = work.read("out.mp3");
    // The same bits as middle and side, as no encoder makes them of unequal windows.
    let mut joint = separate.clone();
    let mut at = 0;
    while at + 4 <= joint.len() {
        assert_eq!(joint[at], 0xff);
        joint[at + MODE] = joint[at + MODE] & 0x0f | 0x60;
        at += 417 + usize::from(joint[at + 2] >> 1 & 1);
    }
    for mp3 in [separate, joint] {
        let wav = Full::of(&mp3).wav();
        for channel in ["mix", "left", "right"] {
            let likeness = likeness(&heard(&wav, "sln", channel), &heard(&mp3, "sln", channel));
            assert!(likeness > 70.0, "{channel}: {likeness} dB");
        }
    }
}

#[test]
fn tones_above_the_band_do_not_fold_into_it() {
    const AMPLITUDE: f64 = 0.5;
    let work = Work::new();
    for (hz, bitrate) in [(44_100, 320), (48_000, 320), (32_000, 320), (24_000, 160), (22_050, 160), (16_000, 160)] {
        let rate = SampleRate::new(hz).unwrap();
        for tone in [4_300.0, 4_700.0, 5_400.0, 5_700.0, 6_900.0, 7_800.0, 10_300.0, 13_000.0, 16_100.0] {
            if tone > 0.45 * f64::from(hz) {
                continue;
            }
            work.write("in.wav", &Signal::tone(rate, tone, AMPLITUDE, Duration::from_millis(500)).wav(Depth::S24));
            work.run(&format!("lame --quiet --lowpass -1 -m m -b {bitrate} in.wav out.mp3"));
            let mp3 = work.read("out.mp3");
            // The encoder's own noise is in both. The ends of the tone click.
            let (reference, actual) = (heard(&Full::of(&mp3).wav(), "sln", "mix"), heard(&mp3, "sln", "mix"));
            assert_eq!(reference.len(), actual.len());
            let (_, alias) = compare(&reference[400..3_600], &actual[400..3_600]);
            let below = 10.0 * (alias / (AMPLITUDE * AMPLITUDE / 2.0)).log10();
            assert!(below < -85.0, "{tone} Hz at {hz}: {below} dB");
        }
    }
}

/// Where in a file's first frame the Info tag is, and what is where in it (LAME, "Mp3 Info Tag revision 1").
const FRAMES_AT: usize = 8;
const DELAY_AT: usize = 141;

/// The first frames of a file of 128 kbit/s at 44.1 kHz with its Info tag, which then says so, and that the encoder's delay and padding
/// are these.
fn cut(file: &[u8], frames: u32, delay: u16, padding: u16) -> Vec<u8> {
    const HEADER_AND_SIDE_INFO: usize = 36;
    let tag = file.windows(4).position(|bytes| bytes == b"Info").unwrap();
    let mut end = tag - HEADER_AND_SIDE_INFO;
    for _ in 0..=frames {
        assert_eq!(file[end], 0xff);
        end += 417 + usize::from(file[end + 2] >> 1 & 1);
    }
    let mut file = file[..end].to_vec();
    file[tag + FRAMES_AT..tag + FRAMES_AT + 4].copy_from_slice(&frames.to_be_bytes());
    let both = u32::from(delay) << 12 | u32::from(padding);
    file[tag + DELAY_AT..tag + DELAY_AT + 3].copy_from_slice(&both.to_be_bytes()[1..]);
    file
}

#[test]
fn every_delay_and_padding_is_cut_to_the_sample_of_the_source() {
    let work = Work::new();
    work.write("in.wav", &music(1.0).wav(Depth::S16));
    work.run("lame --quiet -b 128 in.wav out.mp3");
    let file = work.read("out.mp3");
    for step in 0..8u16 {
        let mp3 = cut(&file, 25, 576 + step, 1_000 + 3 * step);
        let full = Full::of(&mp3);
        for (extension, rate) in [("sln", 8_000), ("sln16", 16_000)] {
            let (reference, actual) = (heard(&full.wav(), extension, "mix"), heard(&mp3, extension, "mix"));
            let length = (full.mono().len() as u64 * rate + 22_050) / 44_100;
            assert_eq!(actual.len() as u64, length, "{step} {extension}");
            let likeness = likeness(&reference, &actual);
            assert!(likeness > 70.0, "{step} {extension}: {likeness} dB");
        }
    }
}

#[test]
fn joined_files_stand_where_they_stand_after_full_decoding() {
    let work = Work::new();
    work.write("in.wav", &music(1.0).wav(Depth::S16));
    work.run("lame --quiet -b 128 in.wav out.mp3");
    let file = work.read("out.mp3");
    // Without a tag, and of one channel.
    work.run("lame --quiet -t -m m -b 128 in.wav mono.mp3");
    let untagged = work.read("mono.mp3");
    for step in 0..4u16 {
        let parts = [
            cut(&file, 20, 576 + step, 1_000),
            cut(&file, 15, 577, 999 - step),
            untagged.clone(),
            cut(&file, 15, 1_105, 600 + step),
        ];
        let pieces: Vec<Vec<f32>> = parts.iter().map(|part| Full::of(part).mono()).collect();
        let whole = Full { samples: pieces.concat(), channels: Channels::MONO, rate: SampleRate::new(44_100).unwrap() };
        let (reference, actual) = (heard(&whole.wav(), "sln", "mix"), heard(&parts.concat(), "sln", "mix"));
        assert_eq!(actual.len(), reference.len());
        // Where the parts meet there is a step, which sounds different to each side's filters.
        const APART: usize = 400;
        let mut from = 0;
        for piece in &pieces {
            let to = from + piece.len() * 8_000 / 44_100;
            let within = from + APART..to - APART;
            let likeness = likeness(&reference[within.clone()], &actual[within]);
            assert!(likeness > 70.0, "{step}, from {from}: {likeness} dB");
            from = to;
        }
    }
}
