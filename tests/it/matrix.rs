//! Every kind of original to every kind of output, judged by programs that are not ours: ffmpeg decodes both ends of each cell, opusdec
//! the Opus outputs as well. A new kind is one line in a table here; the table of results is printed (`--nocapture`).

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use ringback::{
    media::format::Format,
    testing::signal::{Depth, Signal, snr_db},
    units::SampleRate,
};

use crate::support::{audio, tools::Work};

/// A kind of original.
struct Input {
    file: &'static str,
    /// Makes it of `in.wav`, 44.1 kHz stereo of 16 bits; no command for that file itself.
    make: &'static str,
    /// What ffmpeg must be told to read it.
    read: &'static str,
    /// Least SNR of ours against ffmpeg's decoder and soxr, in dB, where the output itself is finer.
    snr: f64,
}

const fn input(file: &'static str, make: &'static str, read: &'static str, snr: f64) -> Input {
    Input { file, make, read, snr }
}

/// The chirp ends where the transition bands of resamplers begin, which differ; noise that coarse codings leave there counts.
const INPUTS: &[Input] = &[
    input("in.wav", "", "", 75.0),
    input("8.wav", "sox -D in.wav -b 8 8.wav", "", 45.0),
    input("24.wav", "sox -D in.wav -b 24 24.wav", "", 75.0),
    input("32.wav", "ffmpeg -v error -i in.wav -c:a pcm_s32le 32.wav", "", 75.0),
    input("f32.wav", "ffmpeg -v error -i in.wav -c:a pcm_f32le f32.wav", "", 75.0),
    input("f64.wav", "ffmpeg -v error -i in.wav -c:a pcm_f64le f64.wav", "", 75.0),
    input("ulaw.wav", "sox -D in.wav -e mu-law ulaw.wav", "", 45.0),
    input("alaw.wav", "sox -D in.wav -e a-law alaw.wav", "", 45.0),
    input("ima.wav", "sox -D in.wav -e ima-adpcm ima.wav", "", 45.0),
    input("ms.wav", "sox -D in.wav -e ms-adpcm ms.wav", "", 45.0),
    input("rf64.wav", "ffmpeg -v error -i in.wav -rf64 always rf64.wav", "", 75.0),
    input("cbr.mp3", "lame --quiet -b 128 in.wav cbr.mp3", "", 60.0),
    input("vbr.mp3", "lame --quiet -V 2 in.wav vbr.mp3", "", 60.0),
    input("low.mp3", "lame --quiet -m m -a --resample 22.05 -b 64 in.wav low.mp3", "", 60.0),
    input("lowest.mp3", "lame --quiet -m m -a --resample 8 -b 32 in.wav lowest.mp3", "", 60.0),
    input("last.m4a", "ffmpeg -v error -i in.wav -c:a aac -b:a 128k -aac_pns 0 last.m4a", "", 55.0),
    input(
        "first.m4a",
        "ffmpeg -v error -i in.wav -c:a aac -b:a 128k -aac_pns 0 -movflags +faststart first.m4a",
        "",
        55.0,
    ),
    input("adts.aac", "ffmpeg -v error -i in.wav -c:a aac -b:a 128k -aac_pns 0 adts.aac", "", 55.0),
    input("flac.flac", "flac --silent -o flac.flac in.wav", "", 75.0),
    input("vorbis.ogg", "oggenc --quiet -q 6 -o vorbis.ogg in.wav", "", 60.0),
    // libopus' own modes at its own rates differ by more than rounding.
    input("opus.opus", "opusenc --quiet --bitrate 96 in.wav opus.opus", LIBOPUS, 30.0),
    input("aiff.aiff", "sox -D in.wav aiff.aiff", "", 75.0),
    input("aifc.aiff", "ffmpeg -v error -i in.wav -c:a pcm_s16le -f aiff aifc.aiff", "", 75.0),
    input("caf.caf", "ffmpeg -v error -i in.wav -c:a pcm_s24le caf.caf", "", 75.0),
    input("au.au", "sox -D in.wav au.au", "", 75.0),
    input("ulaw.au", "sox -D in.wav -e mu-law ulaw.au", "", 45.0),
    input("gsm.wav", "ffmpeg -nostdin -v error -y -i in.wav -ac 1 -ar 8000 -c:a libgsm_ms gsm.wav", "", 45.0),
    input("opus.webm", "ffmpeg -v error -i in.wav -c:a libopus -b:a 96k opus.webm", LIBOPUS, 30.0),
];

/// A kind of output.
struct Output {
    extension: &'static str,
    option: &'static str,
    /// What ffmpeg must be told to read it.
    read: &'static str,
    /// Most SNR that its coding allows, in dB, less a little.
    snr: f64,
    /// Samples by which the coding itself is late.
    delay: usize,
}

const fn output(extension: &'static str, option: &'static str, read: &'static str, snr: f64) -> Output {
    Output { extension, option, read, snr, delay: 0 }
}

/// By how much the two filter banks of G.722 delay what passes both, in samples.
const G722_DELAY: usize = 22;

/// What is linear loses nothing by itself.
const LINEAR: f64 = f64::INFINITY;
/// Eight bits of G.711 for a chirp of this level.
const G711: f64 = 36.0;
/// Six bits of G.722 for the lower half of the band.
const G722: f64 = 15.0;
/// Two chirps that cross are not what Opus models: that they are there shows at the usual bit rate, where they are at a higher one.
const OPUS: f64 = 4.0;
const OPUS_HIGH: f64 = 25.0;
const LIBOPUS: &str = "-c:a libopus";

const OUTPUTS: &[Output] = &[
    output("ulaw", "", "-f mulaw -ar 8000 -ac 1", G711),
    output("alaw", "", "-f alaw -ar 8000 -ac 1", G711),
    output("wav", "", "", LINEAR),
    output("wav16", "", "", LINEAR),
    output("wav", "rate:24000", "", LINEAR),
    output("wav", "codec:ulaw", "", G711),
    output("wav", "codec:alaw", "", G711),
    output("sln", "", "-f s16le -ar 8000 -ac 1", LINEAR),
    output("sln16", "", "-f s16le -ar 16000 -ac 1", LINEAR),
    output("sln24", "", "-f s16le -ar 24000 -ac 1", LINEAR),
    output("sln32", "", "-f s16le -ar 32000 -ac 1", LINEAR),
    output("sln48", "", "-f s16le -ar 48000 -ac 1", LINEAR),
    Output { delay: G722_DELAY, ..output("g722", "", "-f g722", G722) },
    output("opus", "", LIBOPUS, OPUS),
    output("opus", "bitrate:128000", LIBOPUS, OPUS_HIGH),
];
/// Rates of the outputs.
const RATES: [u32; 5] = [8_000, 16_000, 24_000, 32_000, 48_000];

impl Output {
    fn format(&self) -> Format {
        let options: Vec<_> = self.option.split_once(':').into_iter().collect();
        Format::parse(self.extension, &options).unwrap()
    }

    fn name(&self) -> String {
        format!("{} {}", self.extension, self.option).trim().to_owned()
    }
}

/// A chirp on the left and a softer one that falls on the right, within the telephone band, faded at both ends.
fn original() -> Vec<u8> {
    const SECONDS: f64 = 0.6;
    const FADE_SECONDS: f64 = 0.05;
    let chirp = |level: f64, from: f64, to: f64| {
        Signal::from_fn(SampleRate::new(44_100).unwrap(), Duration::from_secs_f64(SECONDS), move |t| {
            let fade = (t.min(SECONDS - t) / FADE_SECONDS).clamp(0.0, 1.0);
            let phase = std::f64::consts::TAU * (from * t + (to - from) * t * t / (2.0 * SECONDS));
            level * (fade * std::f64::consts::FRAC_PI_2).sin().powi(2) * phase.sin()
        })
    };
    Signal::interleave(&[chirp(0.6, 150.0, 3_200.0), chirp(0.3, 2_500.0, 300.0)]).unwrap().wav(Depth::S16)
}

fn float(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|sample| f64::from(f32::from_le_bytes(*sample))).collect()
}

/// What ffmpeg and soxr make of an original, mono, at each rate.
fn references(work: &Work, input: &Input) -> BTreeMap<u32, Vec<f64>> {
    let file = |rate: u32| format!("reference-{rate}.f32");
    let outputs: String = RATES.iter().fold(String::new(), |mut outputs, rate| {
        let soxr = format!("aresample={rate}:resampler=soxr:precision=28:cutoff=0.97");
        write!(outputs, " -af aformat=sample_fmts=flt,pan=mono|c0=.5*c0+.5*c1,{soxr} -f f32le {}", file(*rate))
            .unwrap();
        outputs
    });
    let outputs = if is_mono(input) { outputs.replace("pan=mono|c0=.5*c0+.5*c1,", "") } else { outputs };
    work.ffmpeg(&format!("{} -i {}{outputs}", input.read, input.file));
    RATES.iter().map(|rate| (*rate, float(&work.read(&file(*rate))))).collect()
}

fn is_mono(input: &Input) -> bool {
    ["-m m", "-c 1", "-ac 1"].iter().any(|mono| input.make.contains(mono))
}

/// What ffmpeg decodes of many files of one kind, in one process.
fn decoded(work: &Work, output: &Output, files: &[String]) -> Vec<Vec<f64>> {
    let inputs: String = files.iter().map(|file| format!("{} -i {file} ", output.read)).collect();
    let outputs: String =
        files.iter().enumerate().map(|(index, file)| format!("-map {index} -f f32le {file}.f32 ")).collect();
    work.ffmpeg(&format!("{inputs}{outputs}"));
    files.iter().map(|file| float(&work.read(&format!("{file}.f32")))).collect()
}

#[test]
fn every_input_becomes_every_output_as_other_programs_hear_it() {
    let work = Work::new();
    work.write("in.wav", &original());
    let originals: Vec<Vec<u8>> = INPUTS
        .iter()
        .map(|input| {
            if !input.make.is_empty() {
                work.run(input.make);
            }
            work.read(input.file)
        })
        .collect();
    let references: Vec<_> = INPUTS.iter().map(|input| references(&work, input)).collect();
    let mut table = format!("{:<12}", "dB");
    INPUTS.iter().for_each(|input| write!(table, "{:>11}", input.file).unwrap());
    for (number, output) in OUTPUTS.iter().enumerate() {
        let format = output.format();
        let files: Vec<String> = INPUTS.iter().map(|input| format!("{number}-{}", input.file)).collect();
        for (file, original) in files.iter().zip(&originals) {
            let (summary, bytes) = audio::transcode(original, format).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(!summary.truncated, "{file}");
            work.write(file, &bytes);
        }
        write!(table, "\n{:<16}", output.name()).unwrap();
        for ((input, references), heard) in INPUTS.iter().zip(&references).zip(decoded(&work, output, &files)) {
            let reference = &references[&format.rate().hz()];
            // Some of ffmpeg's demuxers leave the last frame's padding on, and it rounds lengths its own way.
            assert!(heard.len() <= reference.len() + 1, "{} of {}: {}", output.name(), input.file, heard.len());
            let heard = &heard[output.delay..];
            let common = heard.len().min(reference.len());
            let snr = snr_db(&reference[..common], &heard[..common]);
            write!(table, "{snr:>11.1}").unwrap();
            let least = input.snr.min(output.snr);
            assert!(snr > least, "{} of {}: {snr} dB instead of {least}\n{table}", output.name(), input.file);
        }
    }
    println!("{table}");
}

#[test]
fn the_matrix_has_every_output_there_is() {
    for (extension, format) in Format::all().filter(|(_, format)| !format.is_raw()) {
        assert!(OUTPUTS.iter().any(|output| output.format() == format), "{extension}");
    }
}

#[test]
fn g711_outputs_are_the_linear_output_within_half_a_step() {
    let work = Work::new();
    work.write("in.wav", &original());
    let linear = audio::transcode(&work.read("in.wav"), Format::parse("sln", &[]).unwrap()).unwrap().1;
    let linear = integers(&linear);
    // The lowest bits of a linear sample decide nothing (ITU-T G.711 has 14 and 13 of 16): a sample may be taken for one of these.
    for (extension, ffmpeg, idle) in [("ulaw", "mulaw", 4), ("alaw", "alaw", 16)] {
        let decode = |codes: &[u8]| {
            work.write("codes", codes);
            integers(&work.ffmpeg(&format!("-f {ffmpeg} -ar 8000 -ac 1 -i codes -f s16le -")))
        };
        let mut levels = decode(&(0..=255).collect::<Vec<u8>>());
        levels.sort_unstable();
        levels.dedup();
        let codes = audio::transcode(&work.read("in.wav"), Format::parse(extension, &[]).unwrap()).unwrap().1;
        let heard = decode(&codes);
        assert_eq!(heard.len(), linear.len());
        for (heard, sample) in heard.iter().zip(&linear) {
            let at = levels.binary_search(heard).unwrap();
            // Steps differ where segments meet; the loudest level has none on one side.
            let step =
                levels[at.saturating_sub(1)..levels.len().min(at + 2)].windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!((heard - sample).abs() <= step.unwrap() / 2 + idle, "{extension}: {sample} became {heard}");
        }
    }
}

fn integers(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks().0.iter().map(|sample| i32::from(i16::from_le_bytes(*sample))).collect()
}

#[test]
fn opus_outputs_are_the_same_to_opusdec() {
    let work = Work::new();
    work.write("in.wav", &original());
    let (summary, file) = audio::transcode(&work.read("in.wav"), Format::parse("opus", &[]).unwrap()).unwrap();
    work.write("out.opus", &file);
    work.run("opusdec --quiet --rate 48000 --float out.opus out.wav");
    let opusdec = float(&work.ffmpeg("-i out.wav -f f32le -"));
    let ffmpeg = float(&work.ffmpeg(&format!("{LIBOPUS} -i out.opus -f f32le -")));
    assert_eq!((opusdec.len() as u64, ffmpeg.len() as u64), (summary.frames, summary.frames));
    let same = snr_db(&opusdec, &ffmpeg);
    assert!(same > 80.0, "{same} dB");
}
