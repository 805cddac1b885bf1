//! `ringback transcode`: converts a local file through the node's own pipeline, so that the bytes are the node's bytes.

use std::{
    fs::File,
    io::{self, BufWriter, Seek as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use tempfile::NamedTempFile;

use crate::{
    config::{self, Config, Sources},
    media::{
        self, Levelled, Presets,
        format::{Format, Headerless, input_text},
    },
};

use super::{
    Exit,
    original::{Content, Original},
    output::{directory_of, is_standard, put, temporary},
    terminal::Terminal,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The original: MP3, WAV, FLAC, Ogg Vorbis, Ogg Opus, AAC or M4A, or a telephony body without a container; - is standard input
    #[arg(value_name = "IN")]
    original: PathBuf,
    /// Where the audio goes; - is standard output. Replaced at once when all is done, untouched if anything fails
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Output format, by its extension (ulaw, alaw, wav, wav16, sln, sln16, g722, opus, …) [default: the extension of OUT]
    #[arg(long, value_name = "EXT")]
    format: Option<String>,
    /// What IN is if it has no container: ulaw, alaw, g722, gsm, sln, sln16, l16:RATE:CHANNELS, … [default: the extension of IN]
    #[arg(long, value_name = "TYPE")]
    input: Option<String>,
    /// Option of the format, such as rate:16000, loudness:-19, trim:both or gain:-3; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = super::parse_option)]
    option: Vec<(String, String)>,
    /// TOML file of a node whose presets the option preset:NAME can name
    #[arg(long, value_name = "FILE", env = "RINGBACK_CONFIG")]
    config: Option<PathBuf>,
    /// Write {"kind", "duration_ms", "bytes", "id", …} instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let (format, asked) = match recipe_of(arguments) {
        Ok(recipe) => recipe,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let by_name = || arguments.original.to_str().and_then(Headerless::of_path);
    let (original, content) = open(&arguments.original, asked.or_else(by_name))
        .with_context(|| format!("opening {}", arguments.original.display()))?;
    let mut body = Body::beside(&arguments.output)?;
    let summary = media::transcode(Box::new(original), format, &media::Limits::default(), &mut body)
        .with_context(|| format!("converting {}", arguments.original.display()))?;
    let bytes = body
        .finish(&summary.header, &arguments.output, terminal)
        .with_context(|| format!("writing {}", arguments.output.display()))?;

    let content = content.hash().with_context(|| format!("reading {}", arguments.original.display()))?;
    let declared = summary.kind.headerless();
    let id = format.artifact_id(&content, declared, media::PIPELINE);
    let (kind, input) = (summary.kind.as_str(), input_text(declared));
    let report = if arguments.json {
        serde_json::json!({
            "id": id, "content_hash": content, "format": format, "kind": kind, "input": input,
            "bytes": bytes,
            "duration_ms": summary.duration.as_millis(), "truncated": summary.truncated,
            "loudness": summary.levelled.map(|levelled| loudness_json(&levelled)),
        })
        .to_string()
    } else {
        let truncated = if summary.truncated { "\ntruncated  the original ends before it should" } else { "" };
        let input = if declared.is_some() { format!("\ninput      {input}, as declared") } else { String::new() };
        let seconds = summary.duration.as_secs_f64();
        let loudness = summary.levelled.map(|levelled| loudness_text(&levelled)).unwrap_or_default();
        format!(
            "kind       {kind}{input}\nduration   {seconds:.3} s\nbytes      {bytes}\nartifact   {id}{loudness}{truncated}"
        )
    };
    // Where the audio itself is the result, what there is to say about it goes the other way.
    if is_standard(&arguments.output) {
        terminal.note(&report)
    } else {
        terminal.say(&report)?
    }
    Ok(Exit::Done)
}

/// What to make, and what IN is said to be.
fn recipe_of(arguments: &Arguments) -> anyhow::Result<(Format, Option<Headerless>)> {
    let extension = match &arguments.format {
        Some(extension) => extension.as_str(),
        None => {
            let extension = arguments.output.extension().and_then(|extension| extension.to_str());
            extension.context("OUT has no extension to take the format from: say --format")?
        }
    };
    let mut options: Vec<_> = arguments.option.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    options.extend(arguments.input.iter().map(|input| ("input", input.as_str())));
    let presets = if Presets::are_named(&options) { presets(arguments)? } else { Presets::default() };
    let (options, input) = Headerless::take_option(presets.expand(&options)?)?;
    let format = Format::parse(extension, &options)?;
    if format.is_raw() {
        bail!("raw is the original as it is: there is nothing to convert");
    }
    Ok((format, input))
}

/// The presets of the node whose configuration this is.
fn presets(arguments: &Arguments) -> anyhow::Result<Presets> {
    let environment = config::process_environment();
    let sources = Sources { file: arguments.config.clone(), environment, flags: Vec::new() };
    Ok(Presets::new(&config::load::<Config>(&sources)?.config.media.presets))
}

fn loudness_json(levelled: &Levelled) -> serde_json::Value {
    serde_json::json!({
        "measured_lufs": levelled.measured.map(hundredths), "applied_db": hundredths(levelled.applied),
        "limited": levelled.limited,
    })
}

fn loudness_text(levelled: &Levelled) -> String {
    let measured = levelled
        .measured
        .map_or_else(|| "too quiet to measure".to_owned(), |lufs| format!("{:.2} LUFS", hundredths(lufs)));
    let limited = if levelled.limited { ", no more because peaks stay below -1 dBFS" } else { "" };
    format!("\nloudness   {measured}, changed by {:.2} dB{limited}", hundredths(levelled.applied))
}

fn hundredths(value: i32) -> f64 {
    f64::from(value) / 100.0
}

fn open(path: &Path, declared: Option<Headerless>) -> io::Result<(Original, Content)> {
    if is_standard(path) {
        Original::standard(declared)
    } else {
        File::open(path).and_then(|file| Original::new(file, declared))
    }
}

/// The audio on its way: in a file beside its place, which nobody sees until it is whole.
struct Body {
    file: BufWriter<NamedTempFile>,
    directory: PathBuf,
}

impl media::Output for Body {
    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        self.file.write_all(body)
    }
}

impl Body {
    fn beside(output: &Path) -> anyhow::Result<Body> {
        let directory = directory_of(output);
        let file =
            temporary(&directory).with_context(|| format!("making a temporary file in {}", directory.display()))?;
        Ok(Body { file: BufWriter::new(file), directory })
    }

    /// Puts header and body into their place, all at once. Returns how many bytes they are.
    ///
    /// The header comes last because it counts what follows it, so a body that needs one is copied behind it.
    fn finish(self, header: &[u8], output: &Path, terminal: &mut Terminal) -> io::Result<u64> {
        let mut body = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        body.rewind()?;
        if is_standard(output) {
            terminal.out().write_all(header)?;
            let bytes = io::copy(&mut body, terminal.out())?;
            terminal.out().flush()?;
            return Ok(header.len() as u64 + bytes);
        }
        if !header.is_empty() {
            let mut whole = temporary(&self.directory)?;
            whole.write_all(header)?;
            io::copy(body.as_file_mut(), whole.as_file_mut())?;
            body = whole;
        }
        let bytes = body.as_file().metadata()?.len();
        put(body, output)?;
        Ok(bytes)
    }
}
