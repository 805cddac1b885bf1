//! What was learned of the durable tier and is not in the file yet. Nobody waits for it, so that many share a transaction.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    lock,
    writer::{Change, Job, Rows},
};

/// How long something may wait to be written, where no other change comes.
const WAIT: Duration = Duration::from_millis(100);
/// Records that may wait; who learns more waits until all of them are written.
const RECORDS_MAX: usize = 256;

/// The list. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Learning {
    rows: Arc<Mutex<Vec<Rows>>>,
    /// Weak: what waits keeps nobody from closing the catalogue, who writes it then.
    writer: mpsc::WeakSender<Job>,
}

impl Learning {
    pub(super) fn new(writer: mpsc::WeakSender<Job>) -> Learning {
        Learning { rows: Arc::default(), writer }
    }

    /// Notes something. Whether there is room for more.
    pub(super) fn note(&self, rows: Rows) -> bool {
        // Where nobody writes any more, nothing waits.
        if self.writer.upgrade().is_none_or(|writer| writer.is_closed()) {
            return true;
        }
        let mut all = lock(&self.rows);
        all.push(rows);
        if all.len() == 1 {
            let writer = self.writer.clone();
            tokio::spawn(async move {
                tokio::time::sleep(WAIT).await;
                let Some(writer) = writer.upgrade() else { return };
                let (reply, _) = oneshot::channel();
                // A full queue is about to be written, with this.
                let _full = writer.try_send(Job { change: Change::WriteLearned, reply });
            });
        }
        all.len() < RECORDS_MAX
    }

    /// For the writer, with each transaction.
    pub(super) fn take(&self) -> Vec<Rows> {
        mem::take(&mut *lock(&self.rows))
    }
}
