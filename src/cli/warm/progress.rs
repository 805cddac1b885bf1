//! What people see while it works: a bar on a terminal, elsewhere a line for each item.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::terminal::Terminal;

use super::{client::Outcome, list::Item};

const BAR: &str = "{bar:32} {pos}/{len}  {per_sec}  {eta} left  {msg}";
const BAR_WITHOUT_END: &str = "{spinner} {pos}  {per_sec}  {elapsed}  {msg}";

/// How far it is.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    failed: u64,
}

impl Progress {
    /// Begins with `total` items to do, if that is known.
    pub(super) fn new(terminal: &Terminal, total: Option<u64>) -> Progress {
        let bar = terminal.is_interactive().then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let template = if total.is_some() { BAR } else { BAR_WITHOUT_END };
            // The templates are constants that parse; were one wrong, the plain bar does as well.
            bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Progress { bar, failed: 0 }
    }

    /// Tells of one more item.
    pub(super) fn item(&mut self, item: &Item, terminal: &mut Terminal) {
        let failed = !matches!(item.outcome, Outcome::Made { .. });
        let Some(bar) = &self.bar else {
            terminal.note(&line(item));
            return;
        };
        if failed {
            self.failed += 1;
            bar.println(line(item));
            bar.set_message(format!("{} failed", self.failed));
        }
        bar.inc(1);
    }

    /// Takes the bar away: the table follows.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One item, on one line.
fn line(item: &Item) -> String {
    let seconds = item.elapsed.as_secs_f64();
    let what = match &item.outcome {
        Outcome::Made { already: true, answer } => format!("warm    {} bytes", answer.bytes),
        Outcome::Made { already: false, answer } => format!("filled  {} bytes", answer.bytes),
        Outcome::Refused(refusal) => format!("failed  {refusal}"),
    };
    format!("{}  {}  {}  {seconds:.3} s  {what}", item.job.place, item.job.entry, item.job.format)
}
