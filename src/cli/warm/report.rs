//! What came of it: a table for people, or one JSON document that is written as items finish.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::cli::{Exit, node::Refusal, terminal::Terminal};

use super::{
    client::Outcome,
    documents::{Found, NotRead},
    list::{Entry, Item, Place},
    work::saved,
};

/// Failures that the table shows one by one; of the rest it gives the number. A whole list can fail.
const FAILURES_SHOWN_MAX: usize = 20;

/// Loops that are told to people; the rest are in the JSON report.
const LOOPS_SHOWN_MAX: usize = 10;

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
    saved: Duration,
    reasons: BTreeMap<String, u64>,
    shown: Vec<[String; 4]>,
    /// What was found in instruction documents, where there were any.
    documents: Option<Found>,
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
            saved: Duration::ZERO,
            reasons: BTreeMap::new(),
            shown: Vec::new(),
            documents: None,
            ended: Ended::Complete,
        })
    }

    /// Takes one more item in.
    pub(super) fn add(&mut self, item: &Item, terminal: &mut Terminal) -> io::Result<()> {
        if self.json {
            let comma = if self.items() == 0 { "" } else { "," };
            write!(terminal.out(), "{comma}\n{}", item_json(item))?;
        }
        self.saved += saved(item);
        match &item.outcome {
            Outcome::Made { already, answer } => {
                let audio = Duration::from_millis(answer.duration_ms);
                let sum = if *already { &mut self.warm } else { &mut self.filled };
                *sum = sum.plus(Sum { items: 1, bytes: answer.bytes, audio });
            }
            Outcome::Refused(refusal) => {
                self.unreachable += u64::from(refusal.is_unreachable());
                self.fail(item, refusal);
            }
        }
        Ok(())
    }

    fn fail(&mut self, item: &Item, refusal: &Refusal) {
        self.failed += 1;
        *self.reasons.entry(refusal.slug.clone()).or_default() += 1;
        if self.shown.len() < FAILURES_SHOWN_MAX {
            let (place, source) = (item.job.place.to_string(), item.job.entry.to_string());
            self.shown.push([place, item.job.format.clone(), source, refusal.to_string()]);
        }
    }

    /// Takes in what was found in instruction documents.
    pub(super) fn documents(&mut self, found: Found) {
        self.documents = Some(found);
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
        let missed = self.documents.as_ref().is_some_and(|found| !found.dead.is_empty() || found.cut_short);
        let unread = self.documents.as_ref().is_some_and(|found| found.read == 0);
        match self.ended {
            Ended::Interrupted => Exit::Interrupted,
            Ended::NodeGone | Ended::ListFailed(_) if made == 0 => Exit::NothingDone,
            _ if made == 0 && self.unreachable > 0 => Exit::NothingDone,
            Ended::Complete if unread && self.items() == 0 => Exit::NothingDone,
            Ended::Complete if self.failed == 0 && !missed => Exit::Done,
            _ => Exit::Failed,
        }
    }

    fn items(&self) -> u64 {
        self.filled.items + self.warm.items + self.failed
    }

    fn end_json(&self, elapsed: Duration) -> Value {
        let all = self.filled.plus(self.warm);
        let mut end = json!({
            "filled": self.filled.items,
            "warm": self.warm.items,
            "failed": self.failed,
            "reasons": self.reasons,
            "bytes": all.bytes,
            "audio_ms": u64::try_from(all.audio.as_millis()).unwrap_or(u64::MAX),
            "saved_ms": u64::try_from(self.saved.as_millis()).unwrap_or(u64::MAX),
            "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "complete": self.ended == Ended::Complete,
        });
        if let (Some(found), Value::Object(end)) = (&self.documents, &mut end) {
            end.insert("documents".to_owned(), serde_json::to_value(found).unwrap_or_default());
        }
        end
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
        let seconds = |span: Duration| [String::new(), String::new(), format!("{:.1} s", span.as_secs_f64())];
        row("elapsed", seconds(elapsed));
        row("saved to callers", seconds(self.saved));
        for column in sums.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = sums.trim_fmt();
        if !self.shown.is_empty() {
            let mut failures = Table::new();
            failures.load_preset(presets::NOTHING).set_header(["where", "format", "what", "failed because"]);
            failures.add_rows(&self.shown);
            text += &format!("\n\n{}{}", failures.trim_fmt(), more(self.failed, self.shown.len()));
        }
        if let Some(found) = &self.documents {
            text += &documents_text(found);
        }
        text
    }
}

/// What was found in instruction documents, for people.
fn documents_text(found: &Found) -> String {
    let (loops, dead, left) = (found.loops.len(), found.dead.len(), found.not_followed.len());
    let mut text = format!("\n\n{} documents read, {loops} loops, {dead} dead links, {left} not followed", found.read);
    let list = |name: &str, links: &[NotRead]| {
        if links.is_empty() {
            return String::new();
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([name, "in", "because"]);
        for NotRead { link, from, reason } in links.iter().take(FAILURES_SHOWN_MAX) {
            table.add_row([link, from.as_deref().unwrap_or_default(), reason]);
        }
        format!("\n\n{}{}", table.trim_fmt(), more(links.len() as u64, FAILURES_SHOWN_MAX))
    };
    text += &list("dead link", &found.dead);
    text += &list("not followed", &found.not_followed);
    for way in found.loops.iter().take(LOOPS_SHOWN_MAX) {
        text += &format!("\nloop: {}", way.join(" → "));
    }
    text + &more(loops as u64, LOOPS_SHOWN_MAX)
}

/// That a list goes on.
fn more(all: u64, shown: usize) -> String {
    match all.saturating_sub(shown as u64) {
        0 => String::new(),
        more => format!("\n… and {more} more"),
    }
}

fn item_json(item: &Item) -> Value {
    let source = match &item.job.entry {
        Entry::Source(url) => json!({ "source": url.as_str() }),
        Entry::Text(spoken) => json!({ "text": spoken.text }),
        Entry::NotASource { text, .. } => json!({ "source": text }),
    };
    let place = match &item.job.place {
        Place::Line(number) => json!({ "line": number }),
        Place::Document(url) => json!({ "document": url.as_str() }),
    };
    let result = match &item.outcome {
        Outcome::Made { already, answer } => json!({
            "result": if *already { "warm" } else { "filled" },
            "id": answer.id,
            "url": answer.url,
            "bytes": answer.bytes,
            "duration_ms": answer.duration_ms,
        }),
        Outcome::Refused(refusal) => {
            json!({ "result": "failed", "reason": refusal.slug, "detail": refusal.detail })
        }
    };
    let rest = json!({
        "format": item.job.format,
        "elapsed_ms": u64::try_from(item.elapsed.as_millis()).unwrap_or(u64::MAX),
    });
    let parts = [place, source, rest, result].into_iter();
    parts.filter_map(|part| if let Value::Object(part) = part { Some(part) } else { None }).flatten().collect()
}
