//! `ringback warm`: has a running node fetch, convert and speak what callers will hear, before anybody asks for it.
//!
//! What to warm comes from lists of URLs and texts, which are read as they are worked on, so that they may be of any length, and from
//! an application's instruction documents. What is warm already costs a share of one request, so an interrupted run is resumed by
//! running it again.

mod client;
mod documents;
mod list;
mod progress;
mod report;
mod retry;
mod work;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::Args;
use url::Url;

use crate::clock::Clock;

use self::{
    client::{CHECKED_MAX, Client},
    documents::{AllowedHost, Found, Medium, Spoken},
    list::{Entry, Lines, List, Place, Wish},
    progress::Progress,
    report::Report,
    retry::Backoff,
    work::Plan,
};

use super::{
    Exit,
    address::{self, SPEECH_OPTIONS},
    node::NodeArguments,
    output::{STANDARD, is_standard},
    terminal::Terminal,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Source to warm; repeatable. - reads a list from standard input
    #[arg(value_name = "URL", required_unless_present_any = ["from", "text", "say", "document"], conflicts_with = "from")]
    urls: Vec<String>,
    /// List of sources, one URL a line; blank lines and lines that begin with # are skipped. - is standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// List of texts to be spoken, one a line, likewise
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Text to be spoken; repeatable
    #[arg(long, value_name = "TEXT")]
    say: Vec<String>,
    /// Voice of the texts, where they do not come with their own
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Language of the texts, likewise
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// An application's instruction document: all that it plays and says is warmed, and that of the documents it leads to by GET; repeatable
    #[arg(long, value_name = "URL")]
    document: Vec<Url>,
    /// Links from a --document to the last that is read
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(0..=64))]
    document_depth: u8,
    /// Documents that are read in all
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    documents_max: u16,
    /// Another host that documents may come from; repeatable. Otherwise it is that of --document alone
    #[arg(long, value_name = "HOST[:PORT]")]
    allow_host: Vec<AllowedHost>,
    /// Format to make, by its extension (ulaw, alaw, wav, wav16, sln16, opus, …); repeatable
    #[arg(long, value_name = "EXT", default_value = "ulaw")]
    format: Vec<String>,
    /// Option of the formats, such as rate:16000, loudness:-19, trim:both or preset:NAME, or of speech; repeatable
    #[arg(long, value_name = "NAME:VALUE", value_parser = super::parse_option)]
    option: Vec<(String, String)>,
    #[command(flatten)]
    node: NodeArguments,
    /// Items that are made at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Items of one origin that are made at once, and, as if it were one, of speech
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    per_origin: u16,
    /// Further tries of an item, and of a document, after 429, 502, 503, 504 or no answer
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// Write a JSON report to standard output instead of the table
    #[arg(long)]
    json: bool,
}

/// Warms what `arguments` name and reports. Ctrl-C ends it early; the report then tells what was done until then.
pub(super) async fn run(arguments: Arguments, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    let client = match client(&arguments) {
        Ok(client) => client,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::Usage);
        }
    };
    let lists = match Lists::open(&arguments) {
        Ok(lists) => lists,
        Err(error) => {
            terminal.complain(&format!("{error:#}"));
            return Ok(Exit::NothingDone);
        }
    };
    let mut interrupted = Box::pin(crate::cli::interrupted());
    let found = tokio::select! {
        biased;
        () = &mut interrupted => {
            terminal.complain("interrupted while documents were read; nothing was warmed");
            return Ok(Exit::Interrupted);
        }
        found = documents(&arguments, Backoff::default(), terminal) => found?,
    };
    warm(&arguments, &client, lists, found, terminal, interrupted).await
}

/// Does it: from here on nothing of the process's own is used.
async fn warm(
    arguments: &Arguments,
    client: &Client,
    lists: Lists,
    found: Option<Found>,
    terminal: &mut Terminal,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<Exit> {
    let mut report = Report::begin(client.node(), arguments.json, Clock::system().now(), terminal)?;
    let mut known = lists.known;
    if let Some(mut found) = found {
        known.extend(found.media.drain(..).map(|(document, medium)| Wish {
            place: Place::Document(document),
            entry: match medium {
                Medium::Played(url) => Entry::Source(url),
                Medium::Said(spoken) => Entry::Text(spoken),
            },
        }));
        report.documents(found);
    }
    let total = lists.lines.map(|lines| (lines + known.len() as u64) * arguments.format.len() as u64);
    let progress = Progress::new(terminal, total);
    let wishes = list::read(known, lists.lists, CHECKED_MAX);
    let plan = Plan {
        formats: arguments.format.clone(),
        concurrency: usize::from(arguments.concurrency),
        per_origin: usize::from(arguments.per_origin),
    };
    work::work(client, wishes, &plan, report, progress, terminal, interrupted).await
}

/// A client that asks for what the command line says.
fn client(arguments: &Arguments) -> anyhow::Result<Client> {
    let mut options = arguments.option.clone();
    let speech = [("voice", &arguments.voice), ("language", &arguments.language)];
    for (name, value) in speech {
        let Some(value) = value else { continue };
        if options.iter().any(|(known, _)| known == name) {
            bail!("--{name}: it is an --option as well");
        }
        options.push((name.to_owned(), value.clone()));
    }
    let speaks = arguments.text.is_some() || !arguments.say.is_empty() || !arguments.document.is_empty();
    if let Some((name, _)) = options.iter().find(|(name, _)| !speaks && SPEECH_OPTIONS.contains(&name.as_str())) {
        bail!("{name} is an option of speech, and nothing is to be spoken");
    }
    for format in &arguments.format {
        address::check_format(format, &options, speaks)?;
    }
    Ok(Client::new(arguments.node.client()?, arguments.retries, options))
}

/// Reads the documents that are named, if any, and all that they lead to.
async fn documents(arguments: &Arguments, backoff: Backoff, terminal: &mut Terminal) -> anyhow::Result<Option<Found>> {
    if arguments.document.is_empty() {
        return Ok(None);
    }
    let limits = documents::Limits {
        depth: usize::from(arguments.document_depth),
        documents: usize::from(arguments.documents_max),
        allowed: arguments.allow_host.clone(),
        retries: arguments.retries,
    };
    let found = documents::crawl(&arguments.document, &limits, backoff).await?;
    terminal.note(&format!("{} documents read: {} things are played or said", found.read, found.media.len()));
    Ok(Some(found))
}

/// What the command line lists.
#[derive(Default)]
struct Lists {
    /// What stands there itself.
    known: Vec<Wish>,
    /// What it leads to.
    lists: Vec<List>,
    /// How much that is, if it can be told without reading all of it twice from a pipe.
    lines: Option<u64>,
    is_standard_taken: bool,
}

impl Lists {
    fn open(arguments: &Arguments) -> anyhow::Result<Lists> {
        let mut lists = Lists { lines: Some(0), ..Lists::default() };
        if arguments.urls == [STANDARD] {
            lists.add_standard(Lines::Sources)?;
        } else {
            let urls = arguments.urls.iter().enumerate();
            let wish = |(i, url): (usize, &String)| {
                Some(Wish { place: Place::Line(i + 1), entry: list::parse(url, Lines::Sources)? })
            };
            lists.known.extend(urls.filter_map(wish));
        }
        let says = arguments.say.iter().map(|text| text.trim()).enumerate().filter(|(_, text)| !text.is_empty());
        lists.known.extend(says.map(|(i, text)| Wish {
            place: Place::Line(i + 1),
            entry: Entry::Text(Spoken { text: text.to_owned(), options: Vec::new() }),
        }));
        for (path, lines) in [(&arguments.from, Lines::Sources), (&arguments.text, Lines::Texts)] {
            let Some(path) = path else { continue };
            if is_standard(path) {
                lists.add_standard(lines)?;
                continue;
            }
            let open = || File::open(path).map(BufReader::new).with_context(|| format!("opening {}", path.display()));
            let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
            let count = if is_file { Some(list::count(open()?, lines)?) } else { None };
            lists.lines = lists.lines.zip(count).map(|(known, more)| known + more);
            lists.lists.push((Box::new(open()?), lines));
        }
        Ok(lists)
    }

    fn add_standard(&mut self, lines: Lines) -> anyhow::Result<()> {
        if self.is_standard_taken {
            bail!("standard input cannot be two lists");
        }
        (self.is_standard_taken, self.lines) = (true, None);
        self.lists.push((Box::new(BufReader::new(io::stdin())) as Box<dyn BufRead + Send>, lines));
        Ok(())
    }
}

/// Any bytes as an instruction document: see [`crate::testing::fuzz`].
pub(super) fn fuzz_document(data: &[u8]) {
    documents::fuzz(data);
}
