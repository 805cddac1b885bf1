//! `ringback inspect`: what a local file is, and which names a node gives to what it makes of it. Asks no node.

use std::{fs::File, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::media::{
    self, Presets,
    format::{Format, Headerless, input_text},
};

use super::{Exit, original::Original, output::is_standard, terminal::Terminal};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format to name the address of, by its extension; repeatable [default: every format there is]
    #[arg(long, value_name = "EXT")]
    format: Vec<String>,
    /// Option of these formats, such as rate:16000 or loudness:-19; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = super::parse_option, requires = "format")]
    option: Vec<(String, String)>,
    /// What FILE is if it has no container: ulaw, alaw, g722, gsm, sln, sln16, l16:RATE:CHANNELS, … [default: its extension]
    #[arg(long, value_name = "TYPE")]
    input: Option<String>,
    /// Write {"kind", "rate", "channels", "duration_ms", "content_hash", "addresses", …} instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let (formats, declared) = match formats(arguments) {
        Ok(asked) => asked,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let shown = arguments.file.display();
    let by_name = || arguments.file.to_str().and_then(Headerless::of_path);
    let declared = declared.or_else(by_name);
    let opened = if is_standard(&arguments.file) {
        Original::standard(declared)
    } else {
        File::open(&arguments.file).and_then(|file| Original::new(file, declared))
    };
    let (original, content) = opened.with_context(|| format!("opening {shown}"))?;
    let inspected = media::inspect(Box::new(original), &media::Limits::default());
    let inspected = inspected.with_context(|| format!("reading {shown}"))?;
    let content = content.hash().with_context(|| format!("reading {shown}"))?;
    let declared = inspected.kind.headerless();
    let addresses: Vec<(String, String)> = formats
        .into_iter()
        .map(|(extension, format)| {
            let id = format.artifact_id(&content, declared, media::PIPELINE);
            let path = format!("/media/{id}.{extension}");
            (extension, path)
        })
        .collect();

    let (kind, input) = (inspected.kind.as_str(), input_text(declared));
    let (rate, channels) = (inspected.rate.hz(), inspected.channels.count());
    if arguments.json {
        let addresses: serde_json::Map<_, _> =
            addresses.into_iter().map(|(extension, path)| (extension, path.into())).collect();
        let report = json!({
            "kind": kind, "input": input, "content_type": inspected.kind.content_type(), "rate": rate,
            "channels": channels, "duration_ms": u64::try_from(inspected.duration.as_millis()).unwrap_or(u64::MAX),
            "bytes": inspected.bytes, "truncated": inspected.truncated, "content_hash": content, "addresses": addresses,
        });
        terminal.say(&report.to_string())?;
        return Ok(Exit::Done);
    }
    let input = if declared.is_some() { format!("{input}, as declared") } else { "by its content".to_owned() };
    terminal.say(&format!("kind       {kind}, {input}\nrate       {rate} Hz\nchannels   {channels}"))?;
    terminal.say(&format!("duration   {:.3} s\nbytes      {}", inspected.duration.as_secs_f64(), inspected.bytes))?;
    if inspected.truncated {
        terminal.say("truncated  it ends before it should")?;
    }
    terminal.say(&format!("content    {content}"))?;
    for (_, path) in addresses {
        terminal.say(&format!("address    {path}"))?;
    }
    Ok(Exit::Done)
}

/// A format and the extension that it is asked for under.
type Named = (String, Format);

/// The formats to name, and what the file is said to be.
fn formats(arguments: &Arguments) -> anyhow::Result<(Vec<Named>, Option<Headerless>)> {
    let declared = arguments.input.as_deref().map(Headerless::from_option).transpose()?;
    if arguments.format.is_empty() {
        return Ok((Format::all().map(|(extension, format)| (extension.to_owned(), format)).collect(), declared));
    }
    let options: Vec<_> = arguments.option.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // What a preset stands for is the node's to say: no name follows from it here.
    let none = Presets::default();
    let options = none.expand(&options)?;
    let (options, by_option) = Headerless::take_option(options)?;
    let format = |extension: &String| -> anyhow::Result<Named> {
        let format = Format::parse(extension, &options).with_context(|| format!("--format {extension}"))?;
        Ok((extension.clone(), format))
    };
    Ok((arguments.format.iter().map(format).collect::<Result<_, _>>()?, declared.or(by_option)))
}
