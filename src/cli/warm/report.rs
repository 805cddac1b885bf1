//! What came of it: a table for people, or one JSON document that is written as items finish.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::cli::{Exit, terminal::Terminal};

use super::{
    client::Outcome,
    list::{Entry, Item},
};

/// Failures that the table shows one by one; of the rest it gives the number. A whole list can fail.
const FAILURES_SHOWN_MAX: usize = 20;

/// What an item that the node did not answer is called among the kinds of problems.
pub(super) const UNREACHABLE: &str = "node-unreachable";

/// Why not everything was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    Complete,
    Interrupted,
    NodeGone,
    ListFailed(String),
}

/// Sums over all items so far.
#[derive(Debug)]
pub(super) struct Report {
    node: String,
    json: bool,
    begun: Instant,
    filled: Sum,
    warm: Sum,
    failed: u64,
    unreachable: u64,
    reasons: BTreeMap<String, u64>,
    shown: Vec<[String; 4]>,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    items: u64,
    bytes: u64,
    audio: Duration,
}

impl Sum {
    fn plus(self, other: Sum) -> Sum {
        Sum { items: self.items + other.items, bytes: self.bytes + other.bytes, audio: self.audio + other.audio }
    }

    fn cells(self) -> [String; 3] {
        let audio = format!("{:.1} s", self.audio.as_secs_f64());
        [self.items.to_string(), HumanBytes(self.bytes).to_string(), audio]
    }
}

impl Report {
    /// Begins a report on work at `node`; with `json` it starts to be written at once.
    pub(super) fn begin(node: &str, json: bool, now: Instant, terminal: &mut Terminal) -> io::Result<Report> {
        if json {
            write!(terminal.out(), "{{\"node\":{},\"items\":[", Value::from(node))?;
        }
        Ok(Report {
            node: node.to_owned(),
            json,
            begun: now,
            filled: Sum::default(),
            warm: Sum::default(),
            failed: 0,
            unreachable: 0,
            reasons: BTreeMap::new(),
            shown: Vec::new(),
            ended: Ended::Complete,
        })
    }

    /// Takes one more item in.
    pub(super) fn add(&mut self, item: &Item, terminal: &mut Terminal) -> io::Result<()> {
        if self.json {
            let comma = if self.items() == 0 { "" } else { "," };
            write!(terminal.out(), "{comma}\n{}", item_json(item))?;
        }
        match &item.outcome {
            Outcome::Made { already, answer } => {
                let audio = Duration::from_millis(answer.duration_ms);
                let sum = if *already { &mut self.warm } else { &mut self.filled };
                *sum = sum.plus(Sum { items: 1, bytes: answer.bytes, audio });
            }
            Outcome::Failed { slug, detail } => self.fail(item, slug, detail),
            Outcome::Unreachable { detail } => {
                self.unreachable += 1;
                self.fail(item, UNREACHABLE, detail);
            }
        }
        Ok(())
    }

    fn fail(&mut self, item: &Item, slug: &str, detail: &str) {
        self.failed += 1;
        *self.reasons.entry(slug.to_owned()).or_default() += 1;
        if self.shown.len() < FAILURES_SHOWN_MAX {
            let line = item.job.line.to_string();
            self.shown.push([line, item.job.format.clone(), item.job.entry.to_string(), format!("{slug}: {detail}")]);
        }
    }

    /// Notes that Ctrl-C ended it.
    pub(super) fn interrupt(&mut self) {
        self.ended = Ended::Interrupted;
    }

    /// Notes that it ended because the node does not answer any more.
    pub(super) fn give_up(&mut self) {
        self.ended = Ended::NodeGone;
    }

    /// Notes that the list could not be read on.
    pub(super) fn list_failed(&mut self, error: &io::Error) {
        self.ended = Ended::ListFailed(error.to_string());
    }

    /// Writes what there is to tell, and tells how it ended.
    pub(super) fn finish(self, now: Instant, terminal: &mut Terminal) -> io::Result<Exit> {
        let elapsed = now.saturating_duration_since(self.begun);
        if self.json {
            let end = self.end_json(elapsed).to_string();
            // The sums continue the object that the items are in.
            writeln!(terminal.out(), "\n],{}", &end[1..])?;
            terminal.out().flush()?;
        } else {
            terminal.say(&self.table(elapsed))?;
        }
        match &self.ended {
            Ended::Complete => {}
            Ended::Interrupted => terminal.complain("interrupted; running it again goes on from here"),
            Ended::NodeGone => terminal.complain(&format!("{} does not answer; gave up", self.node)),
            Ended::ListFailed(error) => terminal.complain(&format!("the list cannot be read: {error}")),
        }
        Ok(self.exit())
    }

    fn exit(&self) -> Exit {
        let made = self.filled.items + self.warm.items;
        match self.ended {
            Ended::Interrupted => Exit::Interrupted,
            Ended::NodeGone | Ended::ListFailed(_) if made == 0 => Exit::NothingDone,
            _ if made == 0 && self.unreachable > 0 => Exit::NothingDone,
            Ended::Complete if self.failed == 0 => Exit::Done,
            _ => Exit::Failed,
        }
    }

    fn items(&self) -> u64 {
        self.filled.items + self.warm.items + self.failed
    }

    fn end_json(&self, elapsed: Duration) -> Value {
        let all = self.filled.plus(self.warm);
        json!({
            "filled": self.filled.items,
            "warm": self.warm.items,
            "failed": self.failed,
            "reasons": self.reasons,
            "bytes": all.bytes,
            "audio_ms": u64::try_from(all.audio.as_millis()).unwrap_or(u64::MAX),
            "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "complete": self.ended == Ended::Complete,
        })
    }

    fn table(&self, elapsed: Duration) -> String {
        let mut sums = Table::new();
        sums.load_preset(presets::NOTHING).set_header(["", "items", "bytes", "audio"]);
        let mut row = |name: &str, [items, bytes, audio]: [String; 3]| {
            sums.add_row([name.to_owned(), items, bytes, audio]);
        };
        row("filled", self.filled.cells());
        row("already warm", self.warm.cells());
        row("failed", [self.failed.to_string(), String::new(), String::new()]);
        for (slug, count) in &self.reasons {
            row(&format!("  {slug}"), [count.to_string(), String::new(), String::new()]);
        }
        row("elapsed", [String::new(), String::new(), format!("{:.1} s", elapsed.as_secs_f64())]);
        for column in sums.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if self.shown.is_empty() {
            return sums.trim_fmt();
        }
        let mut failures = Table::new();
        failures.load_preset(presets::NOTHING).set_header(["line", "format", "source", "failed because"]);
        failures.add_rows(&self.shown);
        let more = match self.failed - self.shown.len() as u64 {
            0 => String::new(),
            more => format!("\n… and {more} more"),
        };
        format!("{}\n\n{}{more}", sums.trim_fmt(), failures.trim_fmt())
    }
}

fn item_json(item: &Item) -> Value {
    let source = match &item.job.entry {
        Entry::Source(url) => url.as_str(),
        Entry::NotASource { text, .. } => text,
    };
    let mut value = json!({
        "line": item.job.line,
        "source": source,
        "format": item.job.format,
        "elapsed_ms": u64::try_from(item.elapsed.as_millis()).unwrap_or(u64::MAX),
    });
    let more = match &item.outcome {
        Outcome::Made { already, answer } => json!({
            "result": if *already { "warm" } else { "filled" },
            "id": answer.id,
            "url": answer.url,
            "bytes": answer.bytes,
            "duration_ms": answer.duration_ms,
        }),
        Outcome::Failed { slug, detail } => json!({ "result": "failed", "reason": slug, "detail": detail }),
        Outcome::Unreachable { detail } => json!({ "result": "failed", "reason": UNREACHABLE, "detail": detail }),
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}
