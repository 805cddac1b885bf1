//! Sound and containers judged by other programs: sox and ffmpeg resample and decode the same files, opusdec, ffprobe and Python
//! read ours. `scripts/install-needs test` installs them; a test fails where one is missing.

use std::{f64::consts::TAU, time::Duration};

use ringback::{
    media::format::{Format, Headerless},
    testing::signal::{Depth, Signal},
    units::{Channels, SampleRate},
};

use crate::support::{
    audio,
    tools::{Work, text, tool},
};

fn format(extension: &str, options: &[(&str, &str)]) -> Format {
    Format::parse(extension, options).unwrap()
}

/// Our output of a file.
fn ours(original: &[u8], extension: &str) -> Vec<u8> {
    audio::transcode(original, format(extension, &[])).unwrap().1
}

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).unwrap()
}

/// 16-bit samples within ±1.
fn linear(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|sample| f64::from(i16::from_le_bytes(*sample)) / 32_768.0).collect()
}

/// 32-bit float samples.
fn float(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|sample| f64::from(f32::from_le_bytes(*sample))).collect()
}

/// A chirp through the telephone band that fades in and out, so that no filter rings at its ends.
fn chirp(hz: u32, seconds: f64) -> Signal {
    const FADE_SECONDS: f64 = 0.05;
    let (from, to) = (100.0, 3_400.0);
    Signal::from_fn(rate(hz), Duration::from_secs_f64(seconds), |t| {
        let fade = (t.min(seconds - t) / FADE_SECONDS).clamp(0.0, 1.0);
        let fade = (fade * TAU / 4.0).sin().powi(2);
        0.7 * fade * (TAU * (from * t + (to - from) * t * t / (2.0 * seconds))).sin()
    })
}

/// Amplitude of a sine of `hz` in samples at `rate`, by least squares over whole periods in the middle.
fn amplitude(samples: &[f64], hz: f64, rate: u32) -> f64 {
    let edge = samples.len() / 10;
    let inner = &samples[edge..samples.len() - edge];
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (n, sample) in inner.iter().enumerate() {
        let (s, c) = (TAU * hz * n as f64 / f64::from(rate)).sin_cos();
        sine += s * sample;
        cosine += c * sample;
    }
    2.0 * sine.hypot(cosine) / inner.len() as f64
}

/// How many samples `actual` is later than `reference`: the peak of their cross-correlation, between samples by a parabola.
fn delay(reference: &[f64], actual: &[f64]) -> f64 {
    const LAG_MAX: usize = 20;
    let reference = &reference[LAG_MAX..reference.len() - LAG_MAX];
    let correlations: Vec<f64> = (0..=2 * LAG_MAX)
        .map(|lag| reference.iter().zip(&actual[lag..]).map(|(reference, actual)| reference * actual).sum())
        .collect();
    let inner = 1..2 * LAG_MAX;
    let peak = inner.max_by(|a, b| correlations[*a].total_cmp(&correlations[*b])).unwrap();
    let [before, middle, after] = [peak - 1, peak, peak + 1].map(|lag| correlations[lag]);
    peak as f64 - LAG_MAX as f64 + (before - after) / (2.0 * (before - 2.0 * middle + after))
}

/// Signal against difference in dB, sample by sample from the first: what is shifted or louder is noise here.
fn snr(reference: &[f64], actual: &[f64]) -> f64 {
    assert_eq!(reference.len(), actual.len());
    ringback::testing::signal::snr_db(reference, actual)
}

const SOURCES: [u32; 4] = [22_050, 44_100, 48_000, 96_000];

/// What the two best resamplers that Debian has make of `in.wav`, as 32-bit float at `hz`.
fn resampled_by_others(work: &Work, hz: u32) -> [(&'static str, Vec<f64>); 2] {
    let sox = work.run(&format!("sox -G -D in.wav -t raw -e floating-point -b 32 -c 1 - rate -v {hz}"));
    let soxr =
        work.ffmpeg(&format!("-i in.wav -af aresample=resampler=soxr:precision=33:cutoff=0.97 -ar {hz} -f f32le -"));
    [("sox rate -v", float(&sox)), ("ffmpeg soxr", float(&soxr))]
}

#[test]
fn levels_agree_with_other_resamplers_to_a_tenth_of_a_decibel() {
    let work = Work::new();
    for source in SOURCES {
        let tone = Signal::tone(rate(source), 1_000.0, 0.5, Duration::from_secs(1)).wav(Depth::S16);
        work.write("in.wav", &tone);
        for (extension, hz) in [("sln", 8_000), ("sln16", 16_000)] {
            let level = amplitude(&linear(&ours(&tone, extension)), 1_000.0, hz);
            for (other, samples) in resampled_by_others(&work, hz) {
                let difference = 20.0 * (level / amplitude(&samples, 1_000.0, hz)).log10();
                assert!(difference.abs() < 0.1, "{source} -> {hz}, {other}: {difference} dB");
            }
            assert!((20.0 * (level / 0.5).log10()).abs() < 0.1, "{source} -> {hz}: {level}");
        }
    }
}

#[test]
fn sixteen_bit_output_is_what_other_resamplers_make_and_in_its_place() {
    let work = Work::new();
    for source in SOURCES {
        let original = chirp(source, 1.5).wav(Depth::S24);
        work.write("in.wav", &original);
        for (extension, header, hz) in [("wav", 44, 8_000), ("wav16", 44, 16_000)] {
            let heard = linear(&ours(&original, extension)[header..]);
            let computed = chirp(hz, 1.5).samples().to_vec();
            let [sox, soxr] = resampled_by_others(&work, hz);
            for (other, samples) in [sox, soxr, ("computed", computed)] {
                let what = format!("{source} -> {hz}, {other}");
                let late = delay(&samples, &heard);
                assert!(late.abs() < 0.01, "{what}: {late} samples late");
                // ffmpeg rounds the length its own way.
                let common = samples.len().min(heard.len());
                assert!(samples.len().abs_diff(heard.len()) <= 1, "{what}: {} samples", samples.len());
                let snr = snr(&samples[..common], &heard[..common]);
                assert!(snr > 80.0, "{what}: {snr} dB");
            }
        }
    }
}

#[test]
fn rates_without_a_common_divisor_delay_by_less_than_a_sample() {
    for source in [8_193, 8_999, 11_027, 22_051, 37_123, 44_099] {
        let original = chirp(source, 1.0).wav(Depth::F32);
        for (extension, hz) in [("sln", 8_000), ("sln16", 16_000), ("sln48", 48_000)] {
            let heard = linear(&ours(&original, extension));
            let late = delay(chirp(hz, 1.0).samples(), &heard);
            assert!(late.abs() < 0.55, "{source} -> {hz}: {late} samples late");
        }
    }
}

#[test]
fn opus_is_accepted_and_as_long_as_it_should_be_to_the_sample() {
    let work = Work::new();
    let clips: [(u32, u32); 7] =
        [(48_000, 0), (48_000, 1), (48_000, 648), (48_000, 960), (48_000, 961), (48_000, 20_001), (44_100, 12_345)];
    for (hz, frames) in clips {
        let signal = Signal::noise(rate(hz), 3, 0.3, Duration::from_secs_f64(f64::from(frames) / f64::from(hz)));
        let original = signal.wav(Depth::S16);
        for options in [vec![], vec![("bitrate", "12000")]] {
            let (summary, body) = audio::transcode(&original, format("opus", &options)).unwrap();
            let expected = (u64::from(frames) * 48_000 + u64::from(hz) / 2) / u64::from(hz);
            assert_eq!(summary.frames, expected);
            work.write("out.opus", &body);
            work.run("opusdec --quiet --rate 48000 --force-wav out.opus decoded.wav");
            assert_eq!(text(work.run("soxi -s decoded.wav")), expected.to_string(), "opusdec, {frames} at {hz}");
            let decoded = work.ffmpeg("-i out.opus -f s16le -");
            assert_eq!(decoded.len() as u64, 2 * expected, "ffmpeg, {frames} at {hz}");
            // ffprobe counts the pre-skip of an Ogg Opus file in, whoever wrote it.
            let probed =
                work.run("ffprobe -v error -show_entries stream=codec_name,channels,duration_ts -of csv=p=0 out.opus");
            assert_eq!(text(probed), format!("opus,1,{}", expected + 312), "{frames} at {hz}");
        }
    }
}

#[test]
fn opus_keeps_its_place() {
    let work = Work::new();
    let original = chirp(48_000, 1.0);
    let body = audio::transcode(&original.wav(Depth::S16), format("opus", &[("bitrate", "96000")])).unwrap().1;
    work.write("out.opus", &body);
    work.run("opusdec --quiet --rate 48000 --no-dither out.opus decoded.wav");
    let opusdec = linear(&work.read("decoded.wav")[44..]);
    let ffmpeg = float(&work.ffmpeg("-i out.opus -f f32le -"));
    for (decoder, samples) in [("opusdec", opusdec), ("ffmpeg", ffmpeg)] {
        let late = delay(original.samples(), &samples);
        assert!(late.abs() < 0.5, "{decoder}: {late} samples late");
    }
}

#[test]
fn g711_decodes_elsewhere_to_what_it_decodes_to_here() {
    let work = Work::new();
    let noise = Signal::noise(rate(44_100), 7, 1.0, Duration::from_millis(700)).wav(Depth::S16);
    for (extension, ffmpeg_name, sox_name) in [("ulaw", "mulaw", "ul"), ("alaw", "alaw", "al")] {
        // Every code there is, and what comes out of a transcode.
        let every: Vec<u8> = (0..=255).collect();
        for codes in [every, ours(&noise, extension)] {
            let tag: u16 = if extension == "ulaw" { 7 } else { 6 };
            let here = ours(&g711_wav(tag, &codes), "sln");
            assert_eq!(here.len(), 2 * codes.len());
            work.write("codes", &codes);
            let ffmpeg = work.ffmpeg(&format!("-f {ffmpeg_name} -ar 8000 -ac 1 -i codes -f s16le -"));
            assert!(ffmpeg == here, "ffmpeg, {extension}");
            let sox = work.run(&format!("sox -D -t {sox_name} -r 8000 -c 1 codes -t raw -e signed -b 16 -L -"));
            assert!(sox == here, "sox, {extension}");
        }
    }
}

/// What is heard of G.722 here.
fn g722_samples(bytes: &[u8]) -> Vec<u8> {
    let declared = Headerless::from_option("g722").ok();
    audio::transcode_declared(bytes, declared, format("sln16", &[])).unwrap().1
}

#[test]
fn g722_is_what_ffmpeg_makes_and_hears_to_the_bit() {
    // Samples by which encoder and decoder together are late.
    const DELAY: usize = 22;
    let work = Work::new();
    let speech = work.ffmpeg(&format!(
        "-i {} -ar 16000 -f wav -",
        ringback::testing::fixture::audio_dir().join("speech.wav").display()
    ));
    let seconds = Duration::from_secs(2);
    let signals = [
        ("speech", speech, 20.0),
        ("a chirp", chirp(16_000, 2.0).wav(Depth::S16), 20.0),
        ("a sweep at full scale", Signal::sweep(rate(16_000), 20.0, 8_000.0, 1.0, seconds).wav(Depth::S16), 5.0),
        ("noise", Signal::noise(rate(16_000), 11, 1.0, seconds).wav(Depth::S16), 5.0),
    ];
    for (what, original, snr_min) in signals {
        work.write("in.wav", &original);
        let here = ours(&original, "g722");
        let theirs = work.ffmpeg("-i in.wav -c:a g722 -f g722 -");
        assert!(here == theirs, "{what}: {} bytes and {}", here.len(), theirs.len());
        work.write("bytes", &here);
        let heard = g722_samples(&here);
        assert!(heard == work.ffmpeg("-f g722 -i bytes -f s16le -"), "{what}");
        let reference = linear(&work.ffmpeg("-i in.wav -f s16le -"));
        let snr = snr(&reference[..reference.len() - DELAY], &linear(&heard)[DELAY..reference.len()]);
        assert!(snr > snr_min, "{what}: {snr} dB");
    }
    // Bytes that no encoder would send.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(200_000)
    .collect();
    work.write("bytes", &noise);
    assert!(g722_samples(&noise) == work.ffmpeg("-f g722 -i bytes -f s16le -"));
}

#[test]
fn bodies_without_a_container_are_read_as_sox_reads_them() {
    let work = Work::new();
    work.write("in.wav", &chirp(8_000, 1.3).wav(Depth::S16));
    for (input, sox) in [
        ("ulaw", "-t ul -r 8000 -c 1"),
        ("alaw", "-t al -r 8000 -c 1"),
        ("gsm", "-t gsm -r 8000 -c 1"),
        ("sln", "-t raw -e signed -b 16 -r 8000 -c 1 -L"),
        ("l16be:8000", "-t raw -e signed -b 16 -r 8000 -c 1 -B"),
    ] {
        work.run(&format!("sox -D in.wav {sox} body"));
        let body = work.read("body");
        let declared = Headerless::from_option(input).ok();
        let (summary, heard) = audio::transcode_declared(&body, declared, format("sln", &[])).unwrap();
        assert_eq!((summary.kind.headerless(), summary.truncated), (declared, false), "{input}");
        let sox = work.run(&format!("sox -D {sox} body -t raw -e signed -b 16 -L -"));
        assert!(sox.len() > 20_000 && heard == sox, "{input}: {} bytes and {}", heard.len(), sox.len());
    }
}

/// A WAV file around G.711 codes at 8 kHz.
fn g711_wav(tag: u16, codes: &[u8]) -> Vec<u8> {
    let mut file = ringback::testing::signal::wav_header(rate(8_000), Channels::MONO, Depth::U8, codes.len() as u32);
    file[20..22].copy_from_slice(&tag.to_le_bytes());
    file.extend(codes);
    file
}

#[test]
fn wav_headers_are_accepted_and_tell_the_length() {
    let work = Work::new();
    let outputs: [(&str, &str, &str, u32); 8] = [
        ("wav", "", "pcm_s16le", 8_000),
        ("wav16", "", "pcm_s16le", 16_000),
        ("wav", "rate:16000", "pcm_s16le", 16_000),
        ("wav", "rate:24000", "pcm_s16le", 24_000),
        ("wav", "rate:32000", "pcm_s16le", 32_000),
        ("wav", "rate:48000", "pcm_s16le", 48_000),
        ("wav", "codec:ulaw", "pcm_mulaw", 8_000),
        ("wav", "codec:alaw", "pcm_alaw", 8_000),
    ];
    // The first gives an odd number of frames at 8 kHz, so that a G.711 body has an odd length.
    for frames in [44_095_u32, 44_100, 6] {
        let duration = Duration::from_secs_f64(f64::from(frames) / 44_100.0);
        let original = Signal::tone(rate(44_100), 440.0, 0.5, duration).wav(Depth::S16);
        for (extension, option, codec, hz) in outputs {
            let options: Vec<_> = option.split_once(':').into_iter().collect();
            let (summary, file) = audio::transcode(&original, format(extension, &options)).unwrap();
            let what = format!("{extension} {option} of {frames}");
            let expected = (u64::from(frames) * u64::from(hz) + 22_050) / 44_100;
            assert_eq!(summary.frames, expected, "{what}");
            work.write("out.wav", &file);
            for (question, answer) in [("s", expected), ("r", u64::from(hz)), ("c", 1)] {
                assert_eq!(text(work.run(&format!("soxi -{question} out.wav"))), answer.to_string(), "soxi, {what}");
            }
            let sox = work.run("sox -D out.wav -t raw -e signed -b 16 -L -");
            let entries = "stream=codec_name,sample_rate,channels,duration_ts";
            let probed = work.run(&format!("ffprobe -v error -show_entries {entries} -of csv=p=0 out.wav"));
            assert_eq!(text(probed), format!("{codec},{hz},1,{expected}"), "ffprobe, {what}");
            let ffmpeg = work.ffmpeg("-i out.wav -f s16le -");
            assert!(sox == ffmpeg && sox.len() as u64 == 2 * expected, "{what}: {} {}", sox.len(), ffmpeg.len());
            if codec == "pcm_s16le" {
                assert!(file[44..] == sox, "{what}");
                // Python reads no G.711.
                let script = "import wave; w = wave.open('out.wav'); print(*w.getparams()[:4])";
                let python = tool(work.path(), "python3", ["-c", script]);
                assert_eq!(text(python), format!("1 2 {hz} {expected}"), "python, {what}");
            }
        }
    }
}

/// A file of another encoder, and the samples of it that are right.
struct Family {
    name: &'static str,
    /// Makes the file of `in.wav`.
    encode: &'static str,
    /// Prints the file's samples, interleaved: 32-bit float from ffmpeg, 16 bits else.
    decode: &'static str,
    /// Least SNR of the decoded against the original, in dB: the encoder's doing, here only to know that there is a signal.
    snr_original: f64,
}

const fn family(name: &'static str, encode: &'static str, decode: &'static str, snr_original: f64) -> Family {
    Family { name, encode, decode, snr_original }
}

// Noise substitution would leave samples to the decoder's dice. ffmpeg does not cut Vorbis to the sample, and its own Opus
// decoder is not the reference one: those have others for their judges.
const FAMILIES: [Family; 8] = [
    family("cbr.mp3", "lame --quiet -b 128 in.wav cbr.mp3", FFMPEG, 20.0),
    family("vbr.mp3", "lame --quiet -V 2 in.wav vbr.mp3", FFMPEG, 20.0),
    family("separate.mp3", "lame --quiet -m s -b 192 in.wav separate.mp3", FFMPEG, 15.0),
    family("last.m4a", "ffmpeg -v error -i in.wav -c:a aac -b:a 128k -aac_pns 0 last.m4a", FFMPEG, 20.0),
    family(
        "first.m4a",
        "ffmpeg -v error -i in.wav -c:a aac -b:a 96k -aac_pns 0 -movflags +faststart first.m4a",
        FFMPEG,
        15.0,
    ),
    family("vorbis.ogg", "oggenc --quiet -q 6 -o vorbis.ogg in.wav", OGGDEC, 15.0),
    family("opus.opus", "opusenc --quiet --bitrate 128 in.wav opus.opus", LIBOPUS, 15.0),
    family("flac.flac", "flac --silent -o flac.flac in.wav", FFMPEG, 80.0),
];
const FFMPEG: &str = "ffmpeg -nostdin -v error -i in.file -f f32le -";
/// libvorbis itself.
const OGGDEC: &str = "sox -D in.file -t raw -b 16 -e signed -";
const LIBOPUS: &str = "ffmpeg -nostdin -v error -c:a libopus -i in.file -f f32le -";

/// Interleaved samples mixed to mono.
fn mean(interleaved: &[f64], channels: usize) -> Vec<f64> {
    interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f64>() / channels as f64).collect()
}

#[test]
fn other_encoders_files_decode_as_ffmpeg_decodes_them() {
    // A length that is no multiple of any frame.
    const SECONDS: f64 = 1.2345;
    let channels = [chirp(48_000, SECONDS), Signal::tone(rate(48_000), 440.0, 0.3, Duration::from_secs_f64(SECONDS))];
    for count in [1, 2] {
        let work = Work::new();
        let original = Signal::interleave(&channels[..count]).unwrap();
        work.write("in.wav", &original.wav(Depth::S16));
        let original = mean(original.samples(), count);
        for Family { name, encode, decode, snr_original } in &FAMILIES {
            work.run(encode);
            let (summary, body) = audio::transcode(&work.read(name), format("sln48", &[])).unwrap();
            let heard = linear(&body);
            let what = format!("{name}, {count} channels");
            assert_eq!((heard.len(), summary.truncated), (original.len(), false), "{what}");
            let decoded = work.run(&decode.replace("in.file", name));
            let theirs = if decode.starts_with("ffmpeg") { float(&decoded) } else { linear(&decoded) };
            let theirs = mean(&theirs, count);
            // Some of ffmpeg's demuxers leave the last frame's padding on.
            assert!(theirs.len() >= heard.len(), "{what}: {} of theirs, {} of ours", theirs.len(), heard.len());
            let theirs = &theirs[..heard.len()];
            let late = delay(theirs, &heard);
            assert!(late.abs() < 0.01, "{what}: {late} samples late");
            let same = snr(theirs, &heard);
            assert!(same > 60.0, "{what}: {same} dB");
            let (late, like) = (delay(&original, &heard), snr(&original, &heard));
            assert!(late.abs() < 0.5 && like > *snr_original, "{what}: {like} dB, {late} samples late");
        }
    }
}

#[test]
fn empty_files_of_every_encoder_are_audio_of_no_frames() {
    let work = Work::new();
    work.write("in.wav", &Signal::silence(rate(48_000), Duration::ZERO).wav(Depth::S16));
    work.write("in.raw", &[]);
    work.run("oggenc --quiet -o empty.ogg in.wav");
    work.run("opusenc --quiet in.wav empty.opus");
    work.run("lame --quiet in.wav empty.mp3");
    work.run("flac --silent --force-raw-format --endian=little --sign=signed --channels=1 --bps=16 --sample-rate=48000 -o empty.flac in.raw");
    for name in ["in.wav", "empty.ogg", "empty.opus", "empty.mp3", "empty.flac"] {
        let (summary, body) = audio::transcode(&work.read(name), format("ulaw", &[])).unwrap();
        assert_eq!((summary.frames, body.len(), summary.truncated), (0, 0, false), "{name}");
    }
}
