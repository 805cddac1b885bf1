//! The thread that decodes segments, one after the other, on CPUs that are borrowed for one segment each.

use std::{
    io, panic,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
};

use super::{FrameDecoder, Frames};

/// A segment on its way to the thread and back.
pub(super) struct Job {
    pub(super) frames: Arc<Frames>,
    /// A new one; afterwards as it stands behind the segment.
    pub(super) decoder: FrameDecoder,
    /// Afterwards those of the segment.
    pub(super) samples: Vec<f32>,
    /// Whether the segment was decoded.
    pub(super) is_decoded: bool,
    /// Given back as soon as the segment is done.
    pub(super) cpu: Option<Box<dyn Send>>,
}

/// The thread. It has one segment at a time, and ends with this value: no thread outlives what it works for.
pub(super) struct Helper {
    /// Taken to end it.
    jobs: Option<SyncSender<Job>>,
    done: Receiver<Job>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    pub(super) fn start() -> io::Result<Helper> {
        let (jobs, taken) = mpsc::sync_channel(1);
        let (finished, done) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("segments".to_owned()).spawn(move || work(&taken, &finished))?;
        Ok(Helper { jobs: Some(jobs), done, thread: Some(thread) })
    }

    /// Gives it a segment; `false` where it has one, or is gone.
    pub(super) fn give(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }

    /// The segment that it had, if it is done with it.
    pub(super) fn try_take(&self) -> Option<Job> {
        self.done.try_recv().ok()
    }

    /// Waits for the segment that it has. Its panic goes on here.
    pub(super) fn take(&mut self) -> Option<Job> {
        let job = self.done.recv().ok();
        if job.is_none()
            && let Some(Err(cause)) = self.thread.take().map(JoinHandle::join)
        {
            panic::resume_unwind(cause);
        }
        job
    }
}

/// One that panics here has nobody left who wants to know.
impl Drop for Helper {
    fn drop(&mut self) {
        self.jobs = None;
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn work(jobs: &Receiver<Job>, done: &SyncSender<Job>) {
    let mut frame_samples = Vec::new();
    for mut job in jobs {
        job.is_decoded = job.frames.decode(&mut job.decoder, &mut frame_samples, &mut job.samples);
        // Before anybody hears of it: whoever does finds the CPU free and the frames his own.
        job.cpu = None;
        if done.send(job).is_err() {
            return;
        }
    }
}
