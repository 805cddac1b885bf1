//! How many speak at once, and how many wait.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SpeechError;

/// The line in front of one engine. First come, first served.
#[derive(Debug)]
pub(super) struct Queue {
    engine: &'static str,
    speaking: Arc<Semaphore>,
    /// Those that speak or wait.
    seats: Arc<Semaphore>,
    wait: Duration,
}

/// One that speaks. Dropping it lets the next in line begin.
#[derive(Debug)]
pub(super) struct Seat {
    _speaking: OwnedSemaphorePermit,
    _seat: OwnedSemaphorePermit,
}

impl Queue {
    pub(super) fn new(engine: &'static str, speaking_max: usize, waiting_max: usize, wait: Duration) -> Queue {
        let seats = speaking_max.saturating_add(waiting_max).min(Semaphore::MAX_PERMITS);
        let (speaking, seats) = (Arc::new(Semaphore::new(speaking_max)), Arc::new(Semaphore::new(seats)));
        Queue { engine, speaking, seats, wait }
    }

    /// Waits in line. Cancel-safe.
    ///
    /// # Errors
    /// [`SpeechError::Busy`], at once where the line is full, and after the wait.
    pub(super) async fn enter(&self) -> Result<Seat, SpeechError> {
        let busy = || SpeechError::Busy { engine: self.engine };
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| busy())?;
        let speaking = tokio::time::timeout(self.wait, Arc::clone(&self.speaking).acquire_owned());
        let speaking = speaking.await.map_err(|_| busy())?.map_err(|_| busy())?;
        Ok(Seat { _speaking: speaking, _seat: seat })
    }
}
