//! Every container and coding that other programs write, decoded here and by them: the same samples, bit for bit, where the coding
//! defines them.

use std::time::Duration;

use ringback::{
    media::format::Format,
    problem,
    testing::signal::{Depth, Signal},
    units::SampleRate,
};

use crate::support::{audio, tools::Work};

/// No multiple of any block.
const SECONDS: f64 = 1.2345;
/// At the source's own rate nothing is resampled.
const FRAMES: usize = 9_876;

/// A sweep over noise, at 8 kHz: every sample of it is another number.
fn original() -> Vec<u8> {
    let mut noise = 1u32;
    let signal = Signal::from_fn(SampleRate::HZ_8000, Duration::from_secs_f64(SECONDS), |t| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        0.6 * (2_000.0 * t * (1.0 + t)).sin() + 0.1 * f64::from(noise as i32) / 2f64.powi(31)
    });
    signal.wav(Depth::S16)
}

fn transcode(bytes: &[u8], extension: &str) -> (&'static str, Vec<u8>) {
    let (summary, body) = audio::transcode(bytes, Format::parse(extension, &[]).unwrap()).unwrap();
    assert!(!summary.truncated);
    (summary.kind.as_str(), body)
}

/// How a file is made of `in.wav`; where it is named `-`, it comes through a pipe and its header is never completed.
struct Made {
    kind: &'static str,
    by: &'static str,
    /// Frames that the coding adds at the end and no header tells of.
    padding: usize,
}

const fn made(kind: &'static str, by: &'static str) -> Made {
    Made { kind, by, padding: 0 }
}

const MADE: &[Made] = &[
    made("au", "sox -D in.wav -b 8 -e signed x.au"),
    made("au", "sox -D in.wav -b 16 x.au"),
    made("au", "sox -D in.wav -b 24 x.au"),
    made("au", "sox -D in.wav -b 32 x.au"),
    made("au", "sox -D in.wav -b 32 -e floating-point x.au"),
    made("au", "sox -D in.wav -b 64 -e floating-point x.au"),
    made("au", "sox -D in.wav -e mu-law x.au"),
    made("au", "sox -D in.wav -e a-law x.au"),
    made("au", "ffmpeg -nostdin -v error -bitexact -i in.wav -f au -"),
    made("aiff", "sox -D in.wav -b 8 x.aiff"),
    made("aiff", "sox -D in.wav -b 16 x.aiff"),
    made("aiff", "sox -D in.wav -b 16 x.aifc"),
    made("aiff", "sox -D in.wav -b 24 x.aiff"),
    made("aiff", "sox -D in.wav -b 32 x.aiff"),
    made("aiff", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_s16le x.aiff"),
    made("aiff", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_f32be x.aiff"),
    made("aiff", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_f64be x.aiff"),
    made("aiff", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_mulaw x.aiff"),
    made("aiff", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_alaw x.aiff"),
    made("aiff", "ffmpeg -nostdin -v error -bitexact -i in.wav -f aiff -"),
    Made { kind: "aiff", by: "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a adpcm_ima_qt x.aiff", padding: 44 },
    made("caf", "sox -D in.wav -b 8 x.caf"),
    made("caf", "sox -D in.wav -b 24 x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_s16be x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_s16le x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_s24le x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_s32be x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_f32le x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_f64be x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_mulaw x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_alaw x.caf"),
    made("caf", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_s16be -f caf -"),
    Made { kind: "caf", by: "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a adpcm_ima_qt x.caf", padding: 44 },
    made("wav", "sox -D in.wav -b 8 x.wav"),
    made("wav", "sox -D in.wav -b 24 x.wav"),
    made("wav", "sox -D in.wav -e mu-law x.wav"),
    made("wav", "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a pcm_f64le x.wav"),
    made("wav", "ffmpeg -nostdin -v error -bitexact -i in.wav -rf64 always x.wav"),
    made("wav", "ffmpeg -nostdin -v error -bitexact -i in.wav -f wav -"),
    Made { kind: "wav", by: "ffmpeg -nostdin -v error -bitexact -i in.wav -c:a adpcm_ima_wav x.wav", padding: 329 },
];

#[test]
fn files_of_other_programs_are_decoded_as_they_decode_them() {
    let original = original();
    for Made { kind, by, padding } in MADE {
        let work = Work::new();
        work.write("in.wav", &original);
        let printed = work.run(by);
        let name = by.rsplit(' ').next().unwrap();
        // ffmpeg does not read all that it writes to a pipe; what it wrote are the samples as they were.
        let (bytes, theirs) = match name {
            "-" => (printed, transcode(&original, "sln").1),
            _ => (work.read(name), work.ffmpeg(&format!("-i {name} -f s16le -"))),
        };
        let (found, body) = transcode(&bytes, "sln");
        assert_eq!(found, *kind, "{by}");
        assert_eq!(body.len(), 2 * (FRAMES + padding), "{by}");
        assert!(body == theirs, "{by}");
    }
}

#[test]
fn au_of_another_byte_order_is_read() {
    let work = Work::new();
    let original = original();
    work.write("in.wav", &original);
    work.run("sox -D in.wav -L x.au");
    assert!(transcode(&work.read("x.au"), "sln") == ("au", transcode(&original, "sln").1));
}

#[test]
fn g722_in_au_and_aiff_is_decoded_as_ffmpeg_decodes_it() {
    let work = Work::new();
    work.write("in.wav", &original());
    work.ffmpeg("-i in.wav -ar 16000 -c:a g722 x.au");
    let au = work.read("x.au");
    // ffmpeg reads AIFF-C of it and does not write it. Its data in AU begins behind 32 bytes.
    let aiff = aiff_of_g722(16_000, &au[32..]);
    work.write("x.aifc", &aiff);
    for (kind, name, bytes) in [("au", "x.au", &au), ("aiff", "x.aifc", &aiff)] {
        let (found, body) = transcode(bytes, "sln16");
        assert_eq!((found, body.len()), (kind, 4 * FRAMES), "{name}");
        assert!(body == work.ffmpeg(&format!("-i {name} -f s16le -")), "{name}");
        let cut = audio::transcode(&bytes[..bytes.len() - 100], Format::parse("sln16", &[]).unwrap()).unwrap();
        assert!(cut.0.truncated && body.starts_with(&cut.1), "{name}");
    }
    // At another rate it would be heard at another pitch.
    let other_rate = [&au[..16], &8_000u32.to_be_bytes(), &au[20..]].concat();
    let stereo = [&au[..20], &2u32.to_be_bytes(), &au[24..]].concat();
    for refused in [other_rate, stereo, aiff_of_g722(8_000, &au[32..])] {
        let error = audio::transcode(&refused, Format::parse("sln16", &[]).unwrap()).unwrap_err();
        assert_eq!(error.problem().kind, problem::Kind::NotAudio, "{error:?}");
    }
}

/// AIFF-C, mono, of G.722 bytes.
fn aiff_of_g722(hz: u16, data: &[u8]) -> Vec<u8> {
    let chunk = |id: &[u8], body: &[u8]| [id, &(body.len() as u32).to_be_bytes(), body].concat();
    // The rate in 80 bits: its exponent, and a mantissa whose highest bit is its leading one.
    let shift = hz.leading_zeros() as u16;
    let rate = [(16_383 + 15 - shift).to_be_bytes(), (hz << shift).to_be_bytes()].concat();
    let frames = (data.len() as u32).to_be_bytes();
    let common = [&[0, 1], frames.as_slice(), &[0, 16], &rate, &[0; 6], b"G722\0\0"].concat();
    let chunks = [chunk(b"COMM", &common), chunk(b"SSND", &[&[0; 8], data].concat())].concat();
    chunk(b"FORM", &[b"AIFC", chunks.as_slice()].concat())
}

#[test]
fn gsm_in_wav_is_decoded_as_libgsm_decodes_it() {
    let work = Work::new();
    work.write("in.wav", &original());
    // sox tells where the audio ends in the last two frames, ffmpeg counts them whole.
    for (by, frames) in [
        ("sox -D in.wav -e gsm-full-rate x.wav", FRAMES),
        ("ffmpeg -nostdin -v error -y -i in.wav -c:a libgsm_ms x.wav", FRAMES.next_multiple_of(320)),
    ] {
        work.run(by);
        let (_, body) = transcode(&work.read("x.wav"), "sln");
        assert_eq!(body.len(), 2 * frames, "{by}");
        assert!(work.run("sox x.wav -t raw -").starts_with(&body), "{by}");
    }
}

#[test]
fn mp3_in_wav_is_the_mp3() {
    let work = Work::new();
    work.write("in.wav", &original());
    work.run("lame --quiet -t -b 64 in.wav plain.mp3");
    work.ffmpeg("-i plain.mp3 -c copy x.wav");
    let (kind, body) = transcode(&work.read("x.wav"), "sln16");
    assert_eq!(kind, "wav");
    assert!(body == transcode(&work.read("plain.mp3"), "sln16").1);
}

#[test]
fn opus_in_webm_is_the_opus_in_ogg() {
    let work = Work::new();
    work.write("in.wav", &original());
    work.run("opusenc --quiet in.wav x.opus");
    work.ffmpeg("-i x.opus -c copy x.webm");
    work.ffmpeg("-i x.opus -c copy x.mka");
    let live = work.ffmpeg("-i x.opus -c copy -f webm -live 1 -");
    for extension in ["sln", "sln16", "sln48"] {
        let (_, expected) = transcode(&work.read("x.opus"), extension);
        for (name, bytes) in [("WebM", &work.read("x.webm")), ("Matroska", &work.read("x.mka")), ("live", &live)] {
            let (kind, body) = transcode(bytes, extension);
            assert!(kind == "webm" && body == expected, "{name}, {extension}");
        }
    }
}
