//! Doing it: what is warm is told apart many at a time; the rest is made, several at once, and not too much of it from one origin.
//!
//! ```text
//! wishes ──► check: has the node got them? ──► warm: done
//!                      └─► waiting, at most WAITING_MAX ──► running, at most so many, and so many of each origin
//! ```
//!
//! The check is what makes a second run cheap: one request for hundreds of items instead of one for each.

use std::{
    collections::{HashMap, VecDeque},
    io,
    time::Duration,
};

use futures_util::{
    StreamExt as _,
    stream::{self, FuturesUnordered},
};
use tokio::sync::mpsc;

use crate::{
    cli::{Exit, terminal::Terminal},
    clock::Clock,
};

use super::{
    client::{CHECKED_BYTES_MAX, CHECKED_MAX, Client, Outcome},
    list::{Item, Job, Wish},
    progress::Progress,
    report::Report,
};

/// Items that wait for their turn at their origin, so that those behind them which need another can go before. Beyond it no more
/// are read.
const WAITING_MAX: usize = 4 * CHECKED_MAX;

/// How much is done at once.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Extensions of the formats to make.
    pub(super) formats: Vec<String>,
    /// Items that are made at once.
    pub(super) concurrency: usize,
    /// Items of one origin that are made at once.
    pub(super) per_origin: usize,
}

/// Grants what was wished for, until there is no more, the node is gone, or `interrupted`.
pub(super) async fn work(
    client: &Client,
    wishes: mpsc::Receiver<io::Result<Wish>>,
    plan: &Plan,
    mut report: Report,
    mut progress: Progress,
    terminal: &mut Terminal,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<Exit> {
    let clock = Clock::system();
    let batches = stream::unfold((wishes, None), async |(mut wishes, left)| {
        let (batch, left) = next_batch(&mut wishes, left, plan.formats.len()).await?;
        Some((batch, (wishes, left)))
    });
    let checked = batches.then(async |batch: Batch| {
        let warm = client.check(&batch.wishes, &plan.formats).await;
        (batch, warm)
    });
    let mut checked = Box::pin(checked.fuse());
    let mut running = FuturesUnordered::new();
    let mut queue = Queue::new(plan);
    let mut interrupted = std::pin::pin!(interrupted);
    let (mut unanswered, mut is_read) = (0, false);
    'work: loop {
        while running.len() < plan.concurrency
            && let Some((job, origin)) = queue.take()
        {
            let clock = &clock;
            running.push(async move {
                let begun = clock.now();
                let outcome = client.make(&job).await;
                (Item { job, outcome, elapsed: clock.now() - begun }, origin)
            });
        }
        if is_read && running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = &mut interrupted => {
                report.interrupt();
                break;
            }
            Some((item, origin)) = running.next(), if !running.is_empty() => {
                queue.give_back(&origin);
                progress.item(&item, terminal);
                unanswered = if item.outcome.is_unreachable() { unanswered + 1 } else { 0 };
                report.add(&item, terminal)?;
                // As many in a row as run at once: the node is gone, and the rest of a long list would only wait for it.
                if unanswered >= plan.concurrency {
                    report.give_up();
                    break;
                }
            }
            batch = checked.next(), if !is_read && queue.waiting.len() < WAITING_MAX => {
                let Some((batch, mut warm)) = batch else {
                    is_read = true;
                    continue;
                };
                for (place, wish) in batch.wishes.iter().enumerate() {
                    for job in wish.jobs(&plan.formats) {
                        match warm.remove(&(place, job.format.clone())) {
                            None => queue.wait(job),
                            Some((answer, elapsed)) => {
                                let item = Item { job, outcome: Outcome::Made { already: true, answer }, elapsed };
                                progress.item(&item, terminal);
                                report.add(&item, terminal)?;
                                unanswered = 0;
                            }
                        }
                    }
                }
                if let Some(error) = batch.failed {
                    report.list_failed(&error);
                    break 'work;
                }
            }
        }
    }
    drop((running, checked));
    progress.finish();
    Ok(report.finish(clock.now(), terminal)?)
}

/// Wishes that are checked together.
struct Batch {
    wishes: Vec<Wish>,
    /// That the list could not be read on after them.
    failed: Option<io::Error>,
}

/// What there is to read without waiting for more of it, within the bounds of one check; and what was read beyond them.
async fn next_batch(
    wishes: &mut mpsc::Receiver<io::Result<Wish>>,
    left: Option<Wish>,
    formats: usize,
) -> Option<(Batch, Option<Wish>)> {
    let first = match left {
        Some(wish) => Ok(wish),
        None => wishes.recv().await?,
    };
    let most = (CHECKED_MAX / formats.max(1)).max(1);
    let mut batch = Batch { wishes: Vec::new(), failed: None };
    let (mut next, mut bytes) = (Some(first), 0);
    while let Some(wish) = next.take() {
        match wish {
            Err(error) => {
                batch.failed = Some(error);
                break;
            }
            Ok(wish) if bytes + wish.length() > CHECKED_BYTES_MAX && !batch.wishes.is_empty() => {
                return Some((batch, Some(wish)));
            }
            Ok(wish) => {
                bytes += wish.length();
                batch.wishes.push(wish);
            }
        }
        if batch.wishes.len() < most {
            next = wishes.try_recv().ok();
        }
    }
    Some((batch, None))
}

/// What is still to be made, and how much of each origin is being made.
struct Queue {
    waiting: VecDeque<(Job, String)>,
    running: HashMap<String, usize>,
    per_origin: usize,
}

impl Queue {
    fn new(plan: &Plan) -> Queue {
        Queue { waiting: VecDeque::new(), running: HashMap::new(), per_origin: plan.per_origin }
    }

    fn wait(&mut self, job: Job) {
        let origin = job.origin();
        self.waiting.push_back((job, origin));
    }

    /// The first job whose origin has room, and that origin, which then has less.
    fn take(&mut self) -> Option<(Job, String)> {
        let has_room = |(_, origin): &(Job, String)| self.running.get(origin).copied().unwrap_or(0) < self.per_origin;
        let place = self.waiting.iter().position(has_room)?;
        let (job, origin) = self.waiting.remove(place)?;
        *self.running.entry(origin.clone()).or_default() += 1;
        Some((job, origin))
    }

    fn give_back(&mut self, origin: &str) {
        if let Some(running) = self.running.get_mut(origin) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(origin);
            }
        }
    }
}

/// How long a caller would have waited for what is there now.
pub(super) fn saved(item: &Item) -> Duration {
    match item.outcome {
        Outcome::Made { already: false, .. } => item.elapsed,
        _ => Duration::ZERO,
    }
}
