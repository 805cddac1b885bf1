//! The decode pool: how many transcodes may be in progress, and how many of them may use a CPU at the same time.
//!
//! A transcode spends much of its life waiting for its origin. So the two limits are apart: many workers may wait, few may
//! compute, and a worker that waits gives its CPU back. A slow origin thus never holds up another's fill, and fills never
//! take more CPUs than they were given, so that hits stay fast beside them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::problem::{Kind, Problem};

/// Workers and CPUs for transcoding.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    workers: Arc<Semaphore>,
    cpus: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

impl Pool {
    pub(super) fn new(workers: usize, waiting_max: usize, cpus: usize) -> Pool {
        Pool {
            workers: Arc::new(Semaphore::new(workers)),
            cpus: Arc::new(Semaphore::new(cpus)),
            waiting: Arc::new(AtomicUsize::new(0)),
            waiting_max,
        }
    }

    /// Runs `job` on a worker's thread and gives back what it returns.
    ///
    /// # Errors
    /// `busy` at once when the queue is full; `internal` when the job panicked.
    pub(super) async fn run<T, F>(&self, job: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(Cpu) -> T + Send + 'static,
    {
        let worker = self.worker().await?;
        let cpu = Cpu { cpus: Arc::clone(&self.cpus), permit: None, runtime: Handle::current() };
        let running = tokio::task::spawn_blocking(move || {
            let mut cpu = cpu;
            cpu.take();
            let result = job(cpu);
            drop(worker);
            result
        });
        running.await.map_err(|error| {
            tracing::error!(%error, "transcode job died");
            metrics::counter!("ringback_media_fill_panics_total").increment(1);
            Problem::new(Kind::Internal, "the transcode died")
        })
    }

    async fn worker(&self) -> Result<OwnedSemaphorePermit, Problem> {
        if let Ok(worker) = Arc::clone(&self.workers).try_acquire_owned() {
            return Ok(worker);
        }
        let waiting = Waiting::enter(&self.waiting, self.waiting_max)?;
        let worker = Arc::clone(&self.workers).acquire_owned().await;
        drop(waiting);
        worker.map_err(|_| Problem::new(Kind::Busy, "the node is shutting down"))
    }

    /// Transcodes in the queue.
    pub(super) fn queue_depth(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// One place in the queue; given back on drop, when the waiter leaves too.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, max: usize) -> Result<Waiting<'a>, Problem> {
        let below = |count: usize| (count < max).then_some(count + 1);
        if waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).is_err() {
            metrics::counter!("ringback_media_fill_rejected_total").increment(1);
            return Err(Problem::new(Kind::Busy, "the queue of transcodes is full (media.fill.queue_max)"));
        }
        Ok(Waiting(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A worker's hold on a CPU. Fair: CPUs are given in the order in which they are asked for.
#[derive(Debug)]
pub(super) struct Cpu {
    cpus: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    runtime: Handle,
}

impl Cpu {
    /// Waits for a CPU; nothing where this worker has one.
    fn take(&mut self) {
        if self.permit.is_some() {
            return;
        }
        let acquire = Arc::clone(&self.cpus).acquire_owned();
        // The semaphore is never closed; without a permit the worker would only go on unlimited.
        self.permit = self.runtime.block_on(acquire).ok();
    }

    /// Lets others have a turn: called between steps of a long transcode.
    pub(super) fn give_way(&mut self) {
        self.permit = None;
        self.take();
    }

    /// Waits for `future` without holding a CPU.
    pub(super) fn wait<F: Future>(&mut self, future: F) -> F::Output {
        self.permit = None;
        let output = self.runtime.block_on(future);
        self.take();
        output
    }
}

#[cfg(test)]
mod tests;
