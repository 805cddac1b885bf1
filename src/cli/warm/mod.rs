//! `ringback warm`: has a running node fetch and convert sources before anybody asks for them.
//!
//! A list is read as it is worked on, a few items ahead, so it may be of any length. What is warm already costs one
//! request, so an interrupted run is resumed by running it again.

mod client;
mod list;
mod progress;
mod report;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufReader},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use futures_util::{StreamExt as _, stream};

use crate::{
    clock::Clock,
    media::{Presets, format::Format},
};

use self::{
    client::{Client, Outcome},
    list::{Entry, Item, Job},
    progress::Progress,
    report::Report,
};

use super::{Exit, terminal::Terminal};

/// The list that stands for standard input.
const STANDARD: &str = "-";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Source to warm; repeatable. - reads a list from standard input
    #[arg(value_name = "URL", required_unless_present = "from", conflicts_with = "from")]
    urls: Vec<String>,
    /// List of sources, one URL a line; blank lines and lines that begin with # are skipped. - is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Format to make, by its extension (ulaw, alaw, wav, wav16, sln16, opus, …); repeatable
    #[arg(long, value_name = "EXT", default_value = "ulaw")]
    format: Vec<String>,
    /// Option of the formats, such as rate:16000, loudness:-19, trim:both or preset:NAME; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = super::parse_option)]
    option: Vec<(String, String)>,
    /// The node
    #[arg(long, value_name = "URL", env = "RINGBACK_NODE", default_value = "http://127.0.0.1:8080")]
    node: String,
    /// Requests at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Further tries of an item after 429, 502, 503, 504 or no answer
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// Write a JSON report to standard output instead of the table
    #[arg(long)]
    json: bool,
}

/// Warms what `arguments` name and reports. Ctrl-C ends it early; the report then tells what was done until then.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let formats: Result<Vec<_>, _> = arguments.format.iter().map(|format| check_format(format, &arguments)).collect();
    let client = formats.and_then(|_: Vec<()>| Client::new(&arguments.node, arguments.retries, &arguments.option));
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let (jobs, total) = match jobs(&arguments) {
        Ok(jobs) => jobs,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::NothingDone);
        }
    };
    let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    let progress = Progress::new(terminal, total);
    work(&client, jobs, &arguments, progress, terminal, interrupted).await
}

/// What presets stand for is known to the node alone; options beside them must be right by themselves.
fn check_format(extension: &str, arguments: &Arguments) -> anyhow::Result<()> {
    let options: Vec<_> = arguments.option.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Format::parse(extension, &Presets::beside(&options)).map(drop).with_context(|| format!("--format {extension}"))
}

/// The work to do, as it is read, and how much it is, if that can be told without reading all of it twice from a pipe.
fn jobs(arguments: &Arguments) -> anyhow::Result<(tokio::sync::mpsc::Receiver<io::Result<Job>>, Option<u64>)> {
    let standard =
        arguments.urls == [STANDARD] || arguments.from.as_ref().is_some_and(|from| from.as_os_str() == STANDARD);
    let ahead = usize::from(arguments.concurrency);
    let formats = arguments.format.clone();
    let per_source = formats.len() as u64;
    if standard {
        return Ok((list::read(BufReader::new(io::stdin()), formats, ahead), None));
    }
    if let Some(path) = &arguments.from {
        let open = || File::open(path).map(BufReader::new).with_context(|| format!("opening {}", path.display()));
        let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
        let total = if is_file { Some(list::count(open()?)? * per_source) } else { None };
        return Ok((list::read(open()?, formats, ahead), total));
    }
    let text = arguments.urls.join("\n");
    Ok((list::read(io::Cursor::new(text), formats, ahead), Some(arguments.urls.len() as u64 * per_source)))
}

/// Does the jobs, several at once, until there are no more, the node is gone, or `interrupted`.
async fn work(
    client: &Client,
    jobs: tokio::sync::mpsc::Receiver<io::Result<Job>>,
    arguments: &Arguments,
    mut progress: Progress,
    terminal: &mut Terminal,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<Exit> {
    let clock = Clock::system();
    let mut report = Report::begin(&arguments.node, arguments.json, clock.now(), terminal)?;
    let concurrency = usize::from(arguments.concurrency);
    let jobs = stream::unfold(jobs, async |mut jobs| Some((jobs.recv().await?, jobs)));
    let mut done = Box::pin(
        jobs.map(async |job| {
            let job = job?;
            let begun = clock.now();
            let outcome = match &job.entry {
                Entry::Source(url) => client.warm(url, &job.format).await,
                Entry::NotASource { reason, .. } => Outcome::Failed { slug: "bad-url".into(), detail: reason.clone() },
            };
            Ok(Item { job, outcome, elapsed: clock.now() - begun })
        })
        .buffer_unordered(concurrency),
    );
    let mut interrupted = std::pin::pin!(interrupted);
    let mut unanswered = 0;
    loop {
        let item: io::Result<Item> = tokio::select! {
            biased;
            () = &mut interrupted => {
                report.interrupt();
                break;
            }
            item = done.next() => match item {
                Some(item) => item,
                None => break,
            },
        };
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                report.list_failed(&error);
                break;
            }
        };
        progress.item(&item, terminal);
        unanswered = if matches!(item.outcome, Outcome::Unreachable { .. }) { unanswered + 1 } else { 0 };
        report.add(&item, terminal)?;
        // As many in a row as run at once: the node is gone, and the rest of a long list would only wait for it.
        if unanswered >= concurrency {
            report.give_up();
            break;
        }
    }
    drop(done);
    progress.finish();
    Ok(report.finish(clock.now(), terminal)?)
}
