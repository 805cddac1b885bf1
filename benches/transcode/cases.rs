//! What is measured: one line for each input, each output, and each program that does the same.
//!
//! Command lines are templates: words between blanks, with `{music}` (44.1 kHz stereo WAV), `{mono}` (48 kHz mono WAV), `{in}` and
//! `{out}` standing for files.

/// A kind of original.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    /// Makes the file of the music.
    pub(crate) make: &'static str,
    /// Most of ffmpeg's CPU that is aimed at, on the way to the first output.
    pub(crate) aim: Option<f64>,
    /// The other programs that read it.
    pub(crate) others: &'static [Program],
}

const fn input(
    name: &'static str,
    file: &'static str,
    make: &'static str,
    aim: Option<f64>,
    others: &'static [Program],
) -> Input {
    Input { name, file, make, aim, others }
}

const SOX: &[Program] = &[Program::Sox];
const SOX_MPG123: &[Program] = &[Program::Sox, Program::Mpg123];

pub(crate) const INPUTS: &[Input] = &[
    input("WAV 44.1/16", "music.wav", "cp {music} {out}", Some(0.65), SOX),
    input("MP3 128k", "128k.mp3", "lame --quiet -m j -b 128 {music} {out}", Some(0.28), SOX_MPG123),
    input("MP3 320k", "320k.mp3", "lame --quiet -m j -b 320 {music} {out}", Some(0.25), SOX_MPG123),
    input("MP3 V2", "v2.mp3", "lame --quiet -V 2 {music} {out}", None, SOX_MPG123),
    input("MP3 64k 22k mono", "64k.mp3", "lame --quiet -m m -a --resample 22.05 -b 64 {music} {out}", None, SOX_MPG123),
    input(
        "AAC-LC 128k M4A",
        "128k.m4a",
        "ffmpeg -nostdin -v error -y -i {music} -c:a aac -b:a 128k {out}",
        Some(0.5),
        &[],
    ),
    input(
        "AAC-LC 128k ADTS",
        "128k.aac",
        "ffmpeg -nostdin -v error -y -i {music} -c:a aac -b:a 128k {out}",
        Some(0.5),
        &[],
    ),
    input("FLAC", "music.flac", "flac --silent --force -o {out} {music}", Some(0.65), SOX),
    input("Vorbis q4", "q4.ogg", "oggenc --quiet -q 4 -o {out} {music}", Some(0.60), SOX),
    input("Opus 64k", "64k.opus", "opusenc --quiet --bitrate 64 {music} {out}", Some(0.55), &[]),
    input("WAV 48/16 mono", "mono.wav", "cp {mono} {out}", None, SOX),
];

/// A kind of result.
pub(crate) struct Output {
    /// As `ringback transcode` knows it.
    pub(crate) extension: &'static str,
    /// What ffmpeg must be told to write it, and sox and mpg123 where they can.
    ffmpeg: &'static str,
    sox: Option<&'static str>,
    mpg123: Option<&'static str>,
    /// Whose samples tell what conversion lost: its own, or the linear output of the same rate where coarse steps would hide it.
    pub(crate) judged: &'static str,
    /// What ffmpeg must be told to read it.
    pub(crate) read: &'static str,
}

const fn output(
    extension: &'static str,
    ffmpeg: &'static str,
    sox: Option<&'static str>,
    mpg123: Option<&'static str>,
    judged: &'static str,
    read: &'static str,
) -> Output {
    Output { extension, ffmpeg, sox, mpg123, judged, read }
}

pub(crate) const OUTPUTS: &[Output] = &[
    output(
        "ulaw",
        "-ar 8000 -c:a pcm_mulaw -f mulaw",
        Some("-r 8000 -e mu-law -t raw"),
        Some("-r 8000 -e ulaw"),
        "sln",
        "-f mulaw -ar 8000",
    ),
    output(
        "alaw",
        "-ar 8000 -c:a pcm_alaw -f alaw",
        Some("-r 8000 -e a-law -t raw"),
        Some("-r 8000 -e alaw"),
        "sln",
        "-f alaw -ar 8000",
    ),
    output(
        "sln",
        "-ar 8000 -c:a pcm_s16le -f s16le",
        Some("-r 8000 -e signed -b 16 -t raw"),
        Some("-r 8000 -e s16"),
        "sln",
        "-f s16le -ar 8000",
    ),
    output(
        "wav16",
        "-ar 16000 -c:a pcm_s16le -f wav",
        Some("-r 16000 -e signed -b 16 -t wav"),
        None,
        "wav16",
        "-f wav",
    ),
    output(
        "sln48",
        "-ar 48000 -c:a pcm_s16le -f s16le",
        Some("-r 48000 -e signed -b 16 -t raw"),
        Some("-r 48000 -e s16"),
        "sln48",
        "-f s16le -ar 48000",
    ),
    output("opus", "-ar 48000 -c:a libopus -b:a 32k -f ogg", None, None, "opus", LIBOPUS),
];
const LIBOPUS: &str = "-c:a libopus";

/// A program that converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Ringback,
    Ffmpeg,
    Sox,
    Mpg123,
    /// Nothing but the Opus encoder: raw samples in, packets out (`bare.rs`).
    BareOpus,
}

impl Program {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Program::Ringback => "ringback",
            Program::Ffmpeg => "ffmpeg",
            Program::Sox => "sox",
            Program::Mpg123 => "mpg123",
            Program::BareOpus => "bare libopus",
        }
    }

    /// The command line for a conversion; `None` where the program has no such output.
    pub(crate) fn command(self, output: &Output) -> Option<String> {
        match self {
            Program::Ringback => Some(format!("{{ringback}} transcode --format {} {{in}} {{out}}", output.extension)),
            Program::Ffmpeg => Some(format!("ffmpeg -nostdin -v error -y -i {{in}} -ac 1 {} {{out}}", output.ffmpeg)),
            Program::Sox => output.sox.map(|options| format!("sox -V1 {{in}} -c 1 {options} {{out}}")),
            Program::Mpg123 => output.mpg123.map(|options| format!("mpg123 -q -m {options} -O {{out}} {{in}}")),
            Program::BareOpus => (output.extension == "opus").then(|| "{bench} bare-opus {in} {out}".to_owned()),
        }
    }
}

impl Input {
    /// What ffmpeg must be told to decode it as the reference: its own Opus decoder is not the one that the standard holds.
    pub(crate) fn read(&self) -> &'static str {
        if self.file.ends_with(".opus") { LIBOPUS } else { "" }
    }

    /// Who does the same, the reference first.
    pub(crate) fn programs(&self) -> Vec<Program> {
        let mut programs = vec![Program::Ringback, Program::Ffmpeg];
        programs.extend_from_slice(self.others);
        if self.file == BARE_INPUT {
            programs.push(Program::BareOpus);
        }
        programs
    }

    /// Most of a program's CPU that is aimed at.
    pub(crate) fn aim(&self, program: Program, output: &Output) -> Option<f64> {
        match program {
            Program::Ringback => None,
            Program::Ffmpeg => self.aim.filter(|_| output.extension == "ulaw"),
            Program::Sox | Program::Mpg123 => Some(1.0),
            Program::BareOpus => Some(1.05),
        }
    }
}

/// The input that already is what the Opus encoder takes.
const BARE_INPUT: &str = "mono.wav";

pub(crate) fn output_of(extension: &str) -> Option<&'static Output> {
    OUTPUTS.iter().find(|output| output.extension == extension)
}
