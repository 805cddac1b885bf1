//! What is heard, against ffmpeg's loudness meter, sox, and computed signals.

use std::time::Duration;

use proptest::prelude::*;
use ringback::{
    media::{Levelled, format::Format},
    testing::{
        fixture,
        signal::{Depth, Signal},
    },
    units::SampleRate,
};

use crate::support::{
    audio,
    tools::{Work, text},
};

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).unwrap()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn ours(original: &[u8], extension: &str, options: &[(&str, &str)]) -> Vec<u8> {
    audio::transcode(original, Format::parse(extension, options).unwrap()).unwrap().1
}

fn levelled(original: &[u8], extension: &str, options: &[(&str, &str)]) -> (Levelled, Vec<u8>) {
    let (summary, body) = audio::transcode(original, Format::parse(extension, options).unwrap()).unwrap();
    (summary.levelled.unwrap(), body)
}

fn pcm(body: &[u8]) -> Vec<i16> {
    body.as_chunks().0.iter().map(|sample| i16::from_le_bytes(*sample)).collect()
}

/// Integrated loudness and highest sample of a file as ffmpeg measures them, in LUFS and dBFS.
fn measured_by_ffmpeg(work: &Work, input: &str) -> (f64, f64) {
    let filter = "ebur128=peak=sample:framelog=verbose";
    let command = format!("ffmpeg -nostdin -hide_banner -nostats {input} -af {filter} -f null -");
    let printed = work.complaints(&command);
    let value = |name: &str| {
        let line =
            printed.lines().rev().find(|line| line.trim().starts_with(name)).unwrap_or_else(|| panic!("{printed}"));
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (value("I:"), value("Peak:"))
}

/// How ffmpeg is told what a file is.
fn input(extension: &str) -> String {
    match extension {
        "ulaw" => "-f mulaw -ar 8000 -ac 1 -i out".to_owned(),
        "alaw" => "-f alaw -ar 8000 -ac 1 -i out".to_owned(),
        "sln48" => "-f s16le -ar 48000 -ac 1 -i out".to_owned(),
        "sln16" => "-f s16le -ar 16000 -ac 1 -i out".to_owned(),
        "sln" => "-f s16le -ar 8000 -ac 1 -i out".to_owned(),
        _ => "-i out".to_owned(),
    }
}

/// Sources as different as prompts are: speech, music, a tone, speech with long pauses, two tones in stereo.
fn sources() -> Vec<(&'static str, Vec<u8>)> {
    let tone = |hz, amplitude| Signal::tone(rate(44_100), hz, amplitude, seconds(3.0));
    let stereo = Signal::interleave(&[tone(440.0, 0.3), tone(2_000.0, 0.1)]).unwrap();
    let pause = Signal::silence(rate(16_000), seconds(4.0)).wav(Depth::S16)[44..].to_vec();
    let speech = ours(&fixture::audio("speech.wav").unwrap(), "sln16", &[("gain", "-14")]);
    let paused = [&speech[..], &pause, &speech, &pause].concat();
    let mut spaced = ringback::testing::signal::wav_header(
        rate(16_000),
        ringback::units::Channels::MONO,
        Depth::S16,
        paused.len() as u32,
    );
    spaced.extend(paused);
    vec![
        ("speech", fixture::audio("speech.wav").unwrap().to_vec()),
        // Six seconds of it.
        ("music", fixture::audio("music.mp3").unwrap()[..96_000].to_vec()),
        ("tone", tone(1_000.0, 0.05).wav(Depth::S16)),
        ("stereo", stereo.wav(Depth::S24)),
        ("pauses", spaced),
    ]
}

#[test]
fn audio_comes_out_as_loud_as_asked_for() {
    let work = Work::new();
    for (name, original) in sources() {
        for extension in ["sln48", "sln", "ulaw", "opus"] {
            // Quieter speech than that loses half a decibel to the Opus encoder.
            for target in
                if name == "speech" && extension != "opus" { &["-23", "-30.5", "-50"][..] } else { &["-27.3"] }
            {
                let (levelled, body) = levelled(&original, extension, &[("loudness", target)]);
                work.write("out", &body);
                let (heard, peak) = measured_by_ffmpeg(&work, &input(extension));
                let what = format!("{name} as {extension} at {target}: {heard} LUFS, {peak} dBFS, {levelled:?}");
                assert!(!levelled.limited, "{what}");
                let target: f64 = target.parse().unwrap();
                // ffmpeg prints tenths.
                assert!((heard - target).abs() < 0.2, "{what}");
            }
        }
    }
}

#[test]
fn what_is_measured_is_what_ffmpeg_measures() {
    let work = Work::new();
    for (name, original) in sources() {
        for extension in ["sln48", "sln16", "sln"] {
            work.write("out", &ours(&original, extension, &[]));
            let (theirs, _) = measured_by_ffmpeg(&work, &input(extension));
            let (levelled, _) = levelled(&original, extension, &[("loudness", "-23")]);
            let measured = f64::from(levelled.measured.unwrap()) / 100.0;
            assert!((measured - theirs).abs() < 0.11, "{name} as {extension}: {measured} against {theirs}");
        }
    }
}

#[test]
fn peaks_stay_below_the_ceiling_and_it_is_said() {
    let work = Work::new();
    for (name, original) in sources() {
        for extension in ["sln48", "sln", "alaw"] {
            let (levelled, body) = levelled(&original, extension, &[("loudness", "0"), ("gain", "10")]);
            work.write("out", &body);
            let (heard, peak) = measured_by_ffmpeg(&work, &input(extension));
            let what = format!("{name} as {extension}: {heard} LUFS, {peak} dBFS, {levelled:?}");
            assert!(levelled.limited, "{what}");
            // A companded sample is off by up to a 32nd: 0.3 dB.
            let coarse = if extension == "alaw" { 0.3 } else { 0.0 };
            assert!((-1.11 - coarse..=-0.95 + coarse).contains(&peak), "{what}");
        }
    }
}

#[test]
fn gain_is_sox_vol() {
    let work = Work::new();
    // At the output's rate and depth, so that nothing else happens to it.
    let original = ours(&fixture::audio("speech.wav").unwrap(), "wav", &[]);
    work.write("in.wav", &original);
    let plain = pcm(&ours(&original, "sln", &[]));
    for gain in ["-60", "-23.5", "-0.1", "0", "3.3", "12", "30"] {
        // sox warns where it clips, which the high gains are here for.
        let theirs = pcm(&work.run(&format!("sox -V1 -D in.wav -t raw -e signed -b 16 - vol {gain}dB")));
        let heard = pcm(&ours(&original, "sln", &[("gain", gain)]));
        assert_eq!(heard.len(), plain.len(), "{gain}");
        for ((before, heard), theirs) in plain.iter().zip(&heard).zip(&theirs) {
            assert!(heard.abs_diff(*theirs) <= 1, "{before} by {gain} dB: {heard}, but sox {theirs}");
        }
        let saturates = heard.contains(&i16::MAX);
        assert_eq!(saturates, gain.parse::<f64>().unwrap() > 0.0, "{gain}: the speech reaches almost full scale");
    }
}

#[test]
fn a_side_is_soxs_remix() {
    let work = Work::new();
    // Each channel its own noise; their order is left, right, then others, in each of these.
    for channels in 1..=8_usize {
        let parts: Vec<Signal> =
            (0..channels).map(|index| Signal::noise(rate(16_000), index as u64, 0.9, seconds(0.3))).collect();
        let original = Signal::interleave(&parts).unwrap().wav(Depth::S16);
        work.write("in.wav", &original);
        let side = |channel: usize| {
            pcm(&work.run(&format!("sox -D in.wav -t raw -e signed -b 16 - remix {}", channel.min(channels))))
        };
        for (name, channel) in [("left", 1), ("right", 2)] {
            let heard = pcm(&ours(&original, "sln16", &[("channel", name)]));
            assert!(heard == side(channel), "{name} of {channels}");
        }
        let mixed = ours(&original, "sln16", &[]);
        assert!(ours(&original, "sln16", &[("channel", "mix")]) == mixed);
        assert_eq!(ours(&original, "sln16", &[("channel", "left")]) == mixed, channels == 1);
    }
}

#[test]
fn every_family_gives_its_sides() {
    let work = Work::new();
    let side = |hz| Signal::tone(rate(48_000), hz, 0.4, seconds(1.0));
    let original = Signal::interleave(&[side(500.0), side(1_700.0)]).unwrap();
    work.write("in.wav", &original.wav(Depth::S16));
    let families = [
        ("a.mp3", "lame --quiet -m j -b 128 in.wav a.mp3"),
        ("b.mp3", "lame --quiet -m s -b 192 in.wav b.mp3"),
        ("c.m4a", "ffmpeg -v error -y -i in.wav -c:a aac -b:a 128k c.m4a"),
        ("d.ogg", "oggenc --quiet -q 6 -o d.ogg in.wav"),
        ("e.opus", "opusenc --quiet --bitrate 128 in.wav e.opus"),
        ("f.flac", "flac --silent -f -o f.flac in.wav"),
    ];
    // Power at a frequency, in dB of a full-scale sine.
    let power = |samples: &[i16], hz: f64, rate: f64| {
        let inner = &samples[samples.len() / 4..samples.len() * 3 / 4];
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, sample) in inner.iter().enumerate() {
            let (s, c) = (std::f64::consts::TAU * hz * n as f64 / rate).sin_cos();
            sine += s * f64::from(*sample);
            cosine += c * f64::from(*sample);
        }
        20.0 * (2.0 * sine.hypot(cosine) / inner.len() as f64 / 32_768.0).log10()
    };
    for (name, encode) in families {
        work.run(encode);
        let file = work.read(name);
        for (extension, hz) in [("sln", 8_000.0), ("sln48", 48_000.0)] {
            for (channel, wanted, other) in [("left", 500.0, 1_700.0), ("right", 1_700.0, 500.0)] {
                let heard = pcm(&ours(&file, extension, &[("channel", channel)]));
                let (wanted, other) = (power(&heard, wanted, hz), power(&heard, other, hz));
                let what = format!("{channel} of {name} as {extension}: {wanted} dB, {other} dB");
                assert!((wanted - 20.0 * 0.4f64.log10()).abs() < 0.5, "{what}");
                assert!(other < -50.0, "{what}");
            }
        }
    }
    // One channel is all there is.
    work.write("in.wav", &side(500.0).wav(Depth::S16));
    for (name, encode) in families {
        work.run(encode);
        let file = work.read(name);
        let mixed = ours(&file, "sln", &[]);
        for channel in ["left", "right"] {
            assert!(ours(&file, "sln", &[("channel", channel)]) == mixed, "{channel} of mono {name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Speech between silences: what stays is a stretch of what it would be without trimming, and all that is loud is in it.
    #[test]
    fn trimming_keeps_the_sound_and_leaves_the_middle_alone(before in 0..20_000usize, between in 0..20_000usize, after in 0..20_000usize) {
        let silence = |frames: usize| Signal::silence(rate(8_000), seconds(frames as f64 / 8_000.0));
        let tone = || Signal::tone(rate(8_000), 700.0, 0.3, seconds(0.2));
        let parts = [silence(before), tone(), silence(between), tone(), silence(after)];
        let data: Vec<u8> = parts.iter().flat_map(|part| part.wav(Depth::S16)[44..].to_vec()).collect();
        let mut original = ringback::testing::signal::wav_header(rate(8_000), ringback::units::Channels::MONO, Depth::S16, data.len() as u32);
        original.extend(data);
        let whole = ours(&original, "sln", &[]);
        // The tone's first sample is 0, its last ones are not.
        let (first, margin) = (before + 1, 400);
        let last = whole.len() / 2 - after;
        for (edges, start, end) in [
            ("leading", first.saturating_sub(margin), whole.len() / 2),
            ("trailing", 0, (last + margin).min(whole.len() / 2)),
            ("both", first.saturating_sub(margin), (last + margin).min(whole.len() / 2)),
        ] {
            let (summary, body) = audio::transcode(&original, Format::parse("sln", &[("trim", edges)]).unwrap()).unwrap();
            prop_assert!(body == whole[2 * start..2 * end], "{edges}: {} bytes of {start}..{end}", body.len());
            prop_assert_eq!(summary.frames, (end - start) as u64);
            prop_assert_eq!(summary.duration.as_micros() as u64, (end - start) as u64 * 125);
        }
    }
}

#[test]
fn wav_headers_count_what_was_not_trimmed() {
    let work = Work::new();
    let clip =
        [0.0, 0.5, 0.0].map(|amplitude| Signal::tone(rate(16_000), 500.0, amplitude, seconds(1.0)).wav(Depth::S16));
    let data: Vec<u8> = clip.iter().flat_map(|part| part[44..].to_vec()).collect();
    let mut original = ringback::testing::signal::wav_header(
        rate(16_000),
        ringback::units::Channels::MONO,
        Depth::S16,
        data.len() as u32,
    );
    original.extend(data);
    for extension in ["wav", "wav16"] {
        let (summary, body) =
            audio::transcode(&original, Format::parse(extension, &[("trim", "both")]).unwrap()).unwrap();
        work.write("out.wav", &body);
        assert_eq!(text(work.run("soxi -s out.wav")), summary.frames.to_string());
        assert!((1.09..1.12).contains(&summary.duration.as_secs_f64()), "{:?}", summary.duration);
    }
}

#[test]
fn nothing_and_silence_have_no_loudness_and_no_sound() {
    let loud = [("loudness", "-16"), ("gain", "6")];
    for length in [0.0, 0.3, 2.0] {
        let original = Signal::silence(rate(44_100), seconds(length)).wav(Depth::S16);
        for (extension, header) in [("ulaw", 0), ("wav", 44), ("sln48", 0)] {
            let plain = ours(&original, extension, &[]);
            assert!(ours(&original, extension, &loud) == plain, "{length} s as {extension}");
            let trimmed = ours(&original, extension, &[("trim", "both")]);
            assert_eq!(trimmed.len(), header, "{length} s as {extension}");
        }
        // Ogg Opus has its headers with or without sound.
        assert!(!ours(&original, "opus", &[("trim", "both")]).is_empty());
    }
}

#[test]
fn eight_channels_take_every_option() {
    let parts: Vec<Signal> =
        (0..8).map(|index| Signal::tone(rate(96_000), 300.0 + 100.0 * f64::from(index), 0.2, seconds(1.0))).collect();
    let original = Signal::interleave(&parts).unwrap().wav(Depth::F32);
    let options = [("channel", "right"), ("trim", "both"), ("loudness", "-20"), ("gain", "-3")];
    let (levelled, body) = levelled(&original, "sln", &options);
    // A sine of 0.2 has −17 dB of power, and BS.1770 takes 0.7 to 0.4 dB off at 400 Hz; 0.4 is its front right here.
    let measured = f64::from(levelled.measured.unwrap()) / 100.0;
    assert!((-18.2..-16.8).contains(&measured), "{levelled:?}");
    assert_eq!(levelled.applied, -2_300 - levelled.measured.unwrap());
    assert_eq!(body.len(), 16_000);
}
