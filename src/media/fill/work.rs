//! The place that a flight holds among what its tenant may have in progress: taken before anything is done for it, given back when its last task ends.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    concurrency::{Concurrency, Place, Resource},
    media::source::Source,
    problem::Problem,
};

use super::source::SourceFlight;

/// What works on a flight. A std lock: held for reads and writes of these two fields.
#[derive(Debug, Default)]
pub(super) struct Work(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    tasks: usize,
    place: Option<Place>,
}

/// A task of a flight. The last one that is dropped gives the place back.
pub(super) struct Task(Arc<SourceFlight>);

impl Work {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// Another task of a flight that has some, or its first.
    pub(super) fn of(flight: &Arc<SourceFlight>) -> Task {
        flight.work.state().tasks += 1;
        Task(Arc::clone(flight))
    }

    /// Takes the place of the flight. Dropped, it waits for none.
    ///
    /// # Errors
    /// Its tenant has as many in progress as it may: nothing was done.
    pub(super) async fn admit(&self, concurrency: &Concurrency) -> Result<(), Problem> {
        let flight = &self.0;
        let resource = if matches!(flight.of, Source::Speech(_)) { Resource::Speech } else { Resource::Fills };
        let subject = concurrency.subject_of(&flight.tenant).await;
        let admitted = concurrency.admit(subject, resource).await;
        // It says nothing of the source.
        let place = admitted.map_err(|impeded| impeded.problem().passing())?;
        flight.work.state().place = Some(place);
        Ok(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let place = {
            let mut state = self.0.work.state();
            state.tasks -= 1;
            if state.tasks == 0 { state.place.take() } else { None }
        };
        drop(place);
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.0.work).finish()
    }
}
