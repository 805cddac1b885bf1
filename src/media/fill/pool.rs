//! The decode pool: how many transcodes may be in progress, and how many of them may use a CPU at the same time.
//!
//! A transcode spends much of its life waiting for its origin. So the limits are apart: many workers may wait, few may
//! compute, and a worker that waits gives its CPU back. One that has waited for long is parked: it gives its worker's place to
//! the next. Slow origins thus do not hold up others' fills until they fill the parking places as well, and fills never take
//! more CPUs than they were given, so that hits stay fast beside them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use crate::problem::{Kind, Problem};

/// A wait for the origin that is longer than this is a slow origin's: a prompt's bytes follow each other faster on any network.
const PARKED_AFTER: Duration = Duration::from_millis(250);

/// How many of each there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Transcodes in progress.
    pub(super) workers: usize,
    /// Transcodes in progress beside these that have waited long for their origin.
    pub(super) parked_max: usize,
    /// Transcodes that wait for a worker.
    pub(super) waiting_max: usize,
    /// Transcodes that compute.
    pub(super) cpus: usize,
}

/// Workers and CPUs for transcoding.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    workers: Arc<Semaphore>,
    parking: Arc<Semaphore>,
    cpus: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

impl Pool {
    pub(super) fn new(places: Places) -> Pool {
        Pool {
            workers: Arc::new(Semaphore::new(places.workers)),
            parking: Arc::new(Semaphore::new(places.parked_max)),
            cpus: Arc::new(Semaphore::new(places.cpus)),
            waiting: Arc::new(AtomicUsize::new(0)),
            waiting_max: places.waiting_max,
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
        let place = self.worker().await?;
        let mut cpu = Cpu { place, is_parked: false, pool: self.clone(), permit: None, runtime: Handle::current() };
        let running = tokio::task::spawn_blocking(move || {
            cpu.take();
            job(cpu)
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

/// A worker's place, and its hold on a CPU. Fair: CPUs are given in the order in which they are asked for.
#[derive(Debug)]
pub(super) struct Cpu {
    /// Of a worker, or in the parking.
    place: OwnedSemaphorePermit,
    is_parked: bool,
    pool: Pool,
    permit: Option<OwnedSemaphorePermit>,
    runtime: Handle,
}

impl Cpu {
    /// Waits for a CPU; nothing where this worker has one.
    fn take(&mut self) {
        if self.permit.is_some() {
            return;
        }
        let acquire = Arc::clone(&self.pool.cpus).acquire_owned();
        // The semaphore is never closed; without a permit the worker would only go on unlimited.
        self.permit = self.runtime.block_on(acquire).ok();
    }

    /// One more CPU, for a thread that soon gives it back: only while one is free and nobody waits, be it for a worker. (Who waits for a
    /// CPU is given each that becomes free before it could be had here.)
    pub(super) fn spare(&self) -> Option<OwnedSemaphorePermit> {
        if 0 < self.pool.queue_depth() {
            return None;
        }
        Arc::clone(&self.pool.cpus).try_acquire_owned().ok()
    }

    /// Lets others have a turn: called between steps of a long transcode.
    pub(super) fn give_way(&mut self) {
        self.permit = None;
        self.take();
    }

    /// Waits for `future` without holding a CPU, and after a while without holding up others that want a worker.
    pub(super) fn wait<F: Future>(&mut self, future: F) -> F::Output {
        self.permit = None;
        let runtime = self.runtime.clone();
        let output = runtime.block_on(async {
            tokio::pin!(future);
            if !self.is_parked {
                if let Ok(output) = tokio::time::timeout(PARKED_AFTER, &mut future).await {
                    return output;
                }
                self.park();
            }
            future.await
        });
        self.take();
        output
    }

    /// Changes the worker's place for one in the parking, for good: there is no way back that would not have to be waited for.
    fn park(&mut self) {
        if let Ok(place) = Arc::clone(&self.pool.parking).try_acquire_owned() {
            self.place = place;
            self.is_parked = true;
        }
    }
}

#[cfg(test)]
mod tests;
