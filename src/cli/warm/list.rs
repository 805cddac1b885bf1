//! Reading what is to be warmed: one source a line, a few lines ahead of the work.

use std::{
    fmt,
    io::{self, BufRead, Read as _},
    thread,
};

use tokio::sync::mpsc;
use url::Url;

use super::client::Outcome;

/// Longest line that is read, in bytes. A longer one is a mistake in the list, or no list at all.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// One source in one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Line of the list, from 1; among arguments, which of them.
    pub(super) line: usize,
    /// What stands there.
    pub(super) entry: Entry,
    /// Extension of the format to make.
    pub(super) format: String,
}

/// What a line of the list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An address to fetch.
    Source(Url),
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

impl fmt::Display for Entry {
    /// For people and their logs: without credentials and without the query, which may hold a signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::Source(url) => {
                let query = if url.query().is_some() { "?…" } else { "" };
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "{}://{}{port}{}{query}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
            }
            Entry::NotASource { text, .. } => f.write_str(text),
        }
    }
}

/// Reads the list on a thread of its own and makes a job of each source and format, in the order of the list.
///
/// The thread stays at most `ahead` jobs ahead, and ends when the receiver is gone or, at the latest, with the process:
/// a read from a terminal cannot be called off.
pub(super) fn read(
    list: impl BufRead + Send + 'static,
    formats: Vec<String>,
    ahead: usize,
) -> mpsc::Receiver<io::Result<Job>> {
    let (jobs, receiver) = mpsc::channel(ahead);
    thread::spawn(move || {
        for line in Lines::of(list) {
            let read = match line {
                Ok(read) => read,
                Err(error) => {
                    // If nobody listens any more, nobody wants to know.
                    jobs.blocking_send(Err(error)).unwrap_or_default();
                    return;
                }
            };
            let Some(entry) = parse(&read.text) else { continue };
            for format in &formats {
                let job = Job { line: read.number, entry: entry.clone(), format: format.clone() };
                if jobs.blocking_send(Ok(job)).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

/// How many sources a list has.
pub(super) fn count(list: impl BufRead) -> io::Result<u64> {
    Lines::of(list).try_fold(0, |count, line| Ok(count + u64::from(parse(&line?.text).is_some())))
}

/// What a line says; `None` for blank lines and comments.
fn parse(line: &str) -> Option<Entry> {
    let text = line.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let not_a_source = |reason: String| {
        const SHOWN_CHARS_MAX: usize = 100;
        Entry::NotASource { text: text.chars().take(SHOWN_CHARS_MAX).collect(), reason }
    };
    if line.len() as u64 > LINE_BYTES_MAX {
        return Some(not_a_source(format!("the line is longer than {LINE_BYTES_MAX} bytes")));
    }
    Some(match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Entry::Source(url),
        Ok(url) => not_a_source(format!("{}: is not fetched, only http and https are", url.scheme())),
        Err(error) => not_a_source(format!("not a URL: {error}")),
    })
}

/// The lines of a list, none of them kept longer than [`LINE_BYTES_MAX`] and one byte.
struct Lines<R> {
    list: R,
    number: usize,
}

struct Line {
    number: usize,
    text: String,
}

impl<R: BufRead> Lines<R> {
    fn of(list: R) -> Lines<R> {
        Lines { list, number: 0 }
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        if self.list.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() as u64 > LINE_BYTES_MAX {
            self.list.skip_until(b'\n')?;
        }
        Ok(Some(Line { number: self.number, text: String::from_utf8_lossy(&bytes).into_owned() }))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<io::Result<Line>> {
        self.next_line().transpose()
    }
}
