//! Reading what is to be warmed: one source or text a line, a few lines ahead of the work.

use std::{
    fmt,
    io::{self, BufRead, Read as _},
    thread,
};

use tokio::sync::mpsc;
use url::Url;

use super::{client::Outcome, documents::Spoken};

/// Longest line that is read, in bytes. A longer one is a mistake in the list, or no list at all.
const LINE_BYTES_MAX: u64 = 8 << 10;
/// Bytes of a longer one that are passed over: what has no end is no list.
const LINE_SKIPPED_MAX: u64 = 64 << 20;
/// What is shown of a text, in characters.
const SHOWN_CHARS_MAX: usize = 100;

/// Something to be warmed, in whatever formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Where it stands.
    pub(super) place: Place,
    /// What stands there.
    pub(super) entry: Entry,
}

/// The same in one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Where it stands.
    pub(super) place: Place,
    /// What stands there.
    pub(super) entry: Entry,
    /// Extension of the format to make.
    pub(super) format: String,
}

/// Where a wish stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a line of a list, from 1; among arguments, which of them.
    Line(usize),
    /// In an instruction document.
    Document(Url),
}

/// What a line of the list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An address to fetch.
    Source(Url),
    /// A text to speak.
    Text(Spoken),
    /// Something else.
    NotASource {
        /// The line, shortened.
        text: String,
        /// Why it is none.
        reason: String,
    },
}

/// A job that was done, or tried.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) job: Job,
    pub(super) outcome: Outcome,
    pub(super) elapsed: std::time::Duration,
}

/// What the lines of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// URLs.
    Sources,
    /// Texts.
    Texts,
}

/// A list, and what its lines are.
pub(super) type List = (Box<dyn BufRead + Send>, Lines);

impl Wish {
    /// The jobs that it is.
    pub(super) fn jobs(&self, formats: &[String]) -> impl Iterator<Item = Job> {
        formats.iter().map(|format| Job {
            place: self.place.clone(),
            entry: self.entry.clone(),
            format: format.clone(),
        })
    }

    /// Bytes of its address or text.
    pub(super) fn length(&self) -> usize {
        match &self.entry {
            Entry::Source(url) => url.as_str().len(),
            Entry::Text(spoken) => spoken.text.len(),
            Entry::NotASource { .. } => 0,
        }
    }
}

impl Job {
    /// Who has to do with it: the origin of its source, or the voice.
    pub(super) fn origin(&self) -> String {
        match &self.entry {
            Entry::Source(url) => url.origin().ascii_serialization(),
            Entry::Text(_) => "speech".to_owned(),
            Entry::NotASource { .. } => String::new(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line(number) => write!(f, "line {number}"),
            Place::Document(url) => write!(f, "{}", shown(url)),
        }
    }
}

impl fmt::Display for Entry {
    /// For people and their logs: without credentials and without the query, which may hold a signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Source(url) => f.write_str(&shown(url)),
            Entry::Text(spoken) => write!(f, "{:?}", spoken.text.chars().take(SHOWN_CHARS_MAX).collect::<String>()),
            Entry::NotASource { text, .. } => f.write_str(text),
        }
    }
}

fn shown(url: &Url) -> String {
    let query = if url.query().is_some() { "?…" } else { "" };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Reads the lists on a thread of its own, one after the other, behind what is known already.
///
/// The thread stays at most `ahead` wishes ahead, and ends when the receiver is gone or, at the latest, with the process:
/// a read from a terminal cannot be called off.
pub(super) fn read(known: Vec<Wish>, lists: Vec<List>, ahead: usize) -> mpsc::Receiver<io::Result<Wish>> {
    let (wishes, receiver) = mpsc::channel(ahead);
    thread::spawn(move || {
        let lines = lists.into_iter().flat_map(|(list, lines)| {
            let wish =
                move |line: Line| parse(&line.text, lines).map(|entry| Wish { place: Place::Line(line.number), entry });
            NumberedLines::of(list).filter_map(move |line| line.map(wish).transpose())
        });
        for wish in known.into_iter().map(Ok).chain(lines) {
            let is_over = wish.is_err();
            // If nobody listens any more, nobody wants to know.
            if wishes.blocking_send(wish).is_err() || is_over {
                return;
            }
        }
    });
    receiver
}

/// How many wishes a list has.
pub(super) fn count(list: impl BufRead, lines: Lines) -> io::Result<u64> {
    NumberedLines::of(list).try_fold(0, |count, line| Ok(count + u64::from(parse(&line?.text, lines).is_some())))
}

/// What a line says; `None` for blank lines and comments.
pub(super) fn parse(line: &str, lines: Lines) -> Option<Entry> {
    // Some editors begin a file with it.
    let text = line.trim_start_matches('\u{feff}').trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let not_a_source =
        |reason: String| Entry::NotASource { text: text.chars().take(SHOWN_CHARS_MAX).collect(), reason };
    if line.len() as u64 > LINE_BYTES_MAX {
        return Some(not_a_source(format!("the line is longer than {LINE_BYTES_MAX} bytes")));
    }
    if lines == Lines::Texts {
        return Some(Entry::Text(Spoken { text: text.to_owned(), options: Vec::new() }));
    }
    Some(match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Entry::Source(url),
        Ok(url) => not_a_source(format!("{}: is not fetched, only http and https are", url.scheme())),
        Err(error) => not_a_source(format!("not a URL: {error}")),
    })
}

/// The lines of a list, none of them kept longer than [`LINE_BYTES_MAX`] and one byte. Ends at the first error.
struct NumberedLines<R> {
    list: Option<R>,
    number: usize,
}

struct Line {
    number: usize,
    text: String,
}

impl<R: BufRead> NumberedLines<R> {
    fn of(list: R) -> NumberedLines<R> {
        NumberedLines { list: Some(list), number: 0 }
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let Some(list) = &mut self.list else { return Ok(None) };
        let mut bytes = Vec::new();
        if list.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() as u64 > LINE_BYTES_MAX {
            let skipped = list.by_ref().take(LINE_SKIPPED_MAX).skip_until(b'\n')?;
            if skipped as u64 == LINE_SKIPPED_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line has no end: this is no list"));
            }
        }
        Ok(Some(Line { number: self.number, text: String::from_utf8_lossy(&bytes).into_owned() }))
    }
}

impl<R: BufRead> Iterator for NumberedLines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<io::Result<Line>> {
        let line = self.next_line().transpose();
        if !matches!(line, Some(Ok(_))) {
            self.list = None;
        }
        line
    }
}
