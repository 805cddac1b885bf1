//! A caller's share in a fill: what it may know of it, and how long it waits.

use std::{sync::Arc, time::Duration};

use http::StatusCode;

use crate::{
    concurrency::Place,
    media::{format::Format, source::Source, spool::Spool},
    problem::{Kind, Problem},
};

use super::{
    Arrival, Finished, FlightKey, Shared,
    encode::{EncodeFlight, State as EncodeState},
    source::State as SourceState,
};

/// When to ask again while a fill is running.
const RETRY_AFTER_RUNNING: Duration = Duration::from_secs(2);

/// How a fill looks to a caller who waited.
#[derive(Debug)]
pub(in crate::media) enum Ready {
    /// All of it is there.
    Whole(Arc<Finished>),
    /// It has begun and goes on.
    Streaming,
    /// Look again at the index.
    LookAgain {
        /// The status by which the origin said that what the index has is still right, if it did.
        confirmed: Option<StatusCode>,
    },
}

/// A caller's share in a fill. Dropping it is leaving.
#[derive(Debug)]
pub(in crate::media) struct Joined {
    shared: Arc<Shared>,
    key: FlightKey,
    flight: Arc<EncodeFlight>,
    /// Whether the fill was already running for somebody else.
    joined: bool,
    /// The caller's place among the answers of its account that are in progress, if its answer counts.
    place: Option<Arc<Place>>,
}

impl Joined {
    /// A share in a fill that counts this caller among its waiters already.
    pub(super) fn new(
        shared: Arc<Shared>,
        key: FlightKey,
        flight: Arc<EncodeFlight>,
        joined: bool,
        place: Option<Arc<Place>>,
    ) -> Joined {
        Joined { shared, key, flight, joined, place }
    }

    /// The place that this caller's answer holds: its own, also where the fill is somebody else's.
    pub(in crate::media) fn place(&self) -> Option<&Arc<Place>> {
        self.place.as_ref()
    }

    /// The artifact's bytes as they come, without the header of held formats.
    pub(in crate::media) fn spool(&self) -> &Arc<Spool> {
        &self.flight.spool
    }

    /// Whether the source is fetched under another address than `source`: one with another caller's signature.
    pub(in crate::media) fn is_of_another_address(&self, source: &Source) -> bool {
        self.flight.source.of != *source
    }

    /// What is being made.
    pub(in crate::media) fn format(&self) -> Format {
        self.flight.format
    }

    /// Whether the fill was already running for somebody else.
    pub(in crate::media) fn was_running(&self) -> bool {
        self.joined
    }

    /// What the origin said with its first byte, and how long that took; none while it has not come.
    pub(in crate::media) fn arrival(&self) -> Option<(Arrival, Duration)> {
        let source = &self.flight.source;
        match &*source.state.borrow() {
            SourceState::Arriving(arrival) | SourceState::Received(arrival, _) => {
                Some((*arrival, arrival.first_byte.saturating_duration_since(source.started)))
            }
            _ => None,
        }
    }

    /// Whether the result is kept, as far as the caller is concerned.
    pub(in crate::media) fn keeps(&self) -> bool {
        self.flight.keep
    }

    /// Waits for all of it, at most `wait`.
    ///
    /// # Errors
    /// The fill's; `fill-running` when the time is over: the fill then goes on without this caller.
    pub(in crate::media) async fn whole(&self) -> Result<Ready, Problem> {
        match tokio::time::timeout(self.shared.config.wait, self.flight.wait_end()).await {
            Ok(state) => outcome(state),
            Err(_) => Err(self.out_of_patience()),
        }
    }

    /// What a caller is told who has waited long enough.
    fn out_of_patience(&self) -> Problem {
        if self.flight.keep {
            self.pin();
            let detail = "the audio was not ready in time (media.fill.wait); it is still being made";
            return Problem::new(Kind::FillRunning, detail).retry_after(RETRY_AFTER_RUNNING);
        }
        // Nobody can come back for it: it ends with its caller.
        Problem::new(Kind::OriginTimeout, "the audio was not ready in time (media.fill.wait) and may not be kept")
    }

    /// Waits for the end of a fill whose bytes are all out; none where it failed after all.
    pub(in crate::media) async fn finished(&self) -> Option<Arc<Finished>> {
        match self.flight.wait_end().await {
            EncodeState::Done(finished) => Some(finished),
            _ => None,
        }
    }

    /// Waits for the source's first bytes, or for it to fail.
    pub(in crate::media) async fn begun(&self) {
        self.flight.source.wait(|state| !matches!(state, SourceState::Asking)).await;
    }

    /// Waits until nothing of the source has come for so long; for ever where all of it has.
    pub(in crate::media) async fn stalled(&self, silence: Duration) {
        let spool = &self.flight.source.spool;
        let mut at = spool.length();
        while let Ok(progress) = tokio::time::timeout(silence, spool.wait_past(at)).await {
            if progress.end.is_some() {
                return std::future::pending().await;
            }
            at = progress.length;
        }
    }

    /// Waits for the first bytes and, where the source is short, a moment longer for all of it.
    ///
    /// # Errors
    /// The fill's, where it fails before there are bytes.
    pub(in crate::media) async fn started(&self) -> Result<Ready, Problem> {
        let ended = self.flight.wait_end();
        tokio::pin!(ended);
        let patience = tokio::time::sleep(self.shared.config.wait);
        tokio::select! {
            biased;
            state = &mut ended => return outcome(state),
            progress = self.flight.spool.wait_past(0) => if progress.length == 0 {
                // It ended without a byte: the state says how.
                return outcome(ended.await);
            },
            () = patience => return Err(self.out_of_patience()),
        }
        if self.flight.source.has_failed() {
            // Its bytes are of no use any more: the caller gets the problem rather than a connection that breaks.
            return outcome(ended.await);
        }
        let Some(grace) = self.grace_left() else { return Ok(Ready::Streaming) };
        match tokio::time::timeout(grace, ended).await {
            Ok(state) => outcome(state),
            Err(_) => Ok(Ready::Streaming),
        }
    }

    /// What is left of the grace; none where the source is too long for it, or says nothing of its length.
    fn grace_left(&self) -> Option<Duration> {
        let config = &self.shared.config;
        let (arrival, _) = self.arrival()?;
        arrival.declared.filter(|declared| *declared <= config.grace_source_max.get())?;
        Some(config.grace.saturating_sub(self.shared.clock.now().saturating_duration_since(arrival.first_byte)))
    }

    /// Lets the fill go on whoever leaves.
    pub(in crate::media) fn pin(&self) {
        let mut flights = self.shared.flights();
        let encode = flights.get_mut(&self.key).and_then(|flight| flight.encodes.get_mut(&self.flight.recipe()));
        if let Some(encode) = encode.filter(|encode| Arc::ptr_eq(&encode.flight, &self.flight)) {
            encode.pinned = true;
        }
    }
}

fn outcome(state: EncodeState) -> Result<Ready, Problem> {
    match state {
        EncodeState::Done(finished) => Ok(Ready::Whole(finished)),
        EncodeState::LookAgain { confirmed } => Ok(Ready::LookAgain { confirmed }),
        EncodeState::Failed(problem) => Err(problem),
        EncodeState::Running => Err(Problem::new(Kind::Internal, "the fill has no end")),
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        self.shared.leave(&self.key, &self.flight);
    }
}
