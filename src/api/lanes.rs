//! Lanes: a thread for each processor, each with a runtime of its own. A connection stays on the lane that it was given to, so that
//! answering it wakes no other thread and carries nothing from one processor's cache to another's.

use std::{convert::Infallible, io, thread};

use futures_util::future::join_all;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};
use tokio_util::task::TaskTracker;

/// Threads of a lane beside its own, for reads of files on the node's own disk: they take microseconds, and a caller whose read has to
/// wait is one that would wait for the disk anyway.
const BLOCKING_THREADS_MAX: usize = 8;

/// The lanes of a listener. Dropping them ends their threads and cuts whatever still runs on them.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    connections: TaskTracker,
    /// Nothing is ever sent: the thread ends when this is dropped.
    _end: oneshot::Sender<Infallible>,
}

impl Lanes {
    /// Starts `count` lanes.
    ///
    /// # Errors
    /// The operating system gives no thread or no event queue.
    pub(super) fn start(count: usize) -> io::Result<Lanes> {
        let lanes = (0..count).map(Lane::start).collect::<io::Result<_>>()?;
        Ok(Lanes { lanes })
    }

    /// Runs a connection on the lane that has the fewest.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(&self, connection: F) {
        if let Some(lane) = self.lanes.iter().min_by_key(|lane| lane.connections.len()) {
            lane.connections.spawn_on(connection, &lane.runtime);
        }
    }

    /// Connections that run.
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.connections.len()).sum()
    }

    /// Waits until no connection runs any more.
    pub(super) async fn wait(&self) {
        join_all(self.lanes.iter().map(|lane| {
            lane.connections.close();
            lane.connections.wait()
        }))
        .await;
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Lane> {
        let runtime = Builder::new_current_thread().max_blocking_threads(BLOCKING_THREADS_MAX).enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<Infallible>();
        thread::Builder::new().name(format!("lane-{number}")).spawn(move || {
            // The only way to end is that the other side is gone.
            let _closed = runtime.block_on(ended).is_err();
            runtime.shutdown_background();
        })?;
        Ok(Lane { runtime: handle, connections: TaskTracker::new(), _end: end })
    }
}
