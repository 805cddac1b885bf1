//! A store that is left alone for a while when it fails, and is not asked more at once than it bears.
//!
//! Whoever asks during a pause is told at once and goes another way, instead of waiting for one timeout after the other.

mod breaker;
#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::breaker::{Breaker, Rules, Ticket};
use super::{
    config::Config,
    metrics::{Metrics, Operation},
    store::{Got, Listed, ObjectBytes, ObjectKey, ObjectMeta, ObjectStore, StoreError, Upload, Written},
};
use crate::clock::Clock;

/// A store behind a circuit-breaker and a bound on requests at once.
///
/// Failures are errors that are no answers (see [`StoreError::is_answer`]), bodies that break off, and answers slower than `slow`, writes
/// excepted. A store without room is none: it can be read.
#[derive(Debug)]
pub struct Resting {
    inner: Arc<dyn ObjectStore>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// A std lock: held for a few instructions and never across an await.
    breaker: Mutex<Breaker>,
    places: Arc<Semaphore>,
    wait: Duration,
    slow: Duration,
    clock: Clock,
    metrics: Metrics,
}

impl Resting {
    /// `inner` with the limits of `config`.
    pub fn new(inner: Arc<dyn ObjectStore>, config: &Config, clock: Clock) -> Resting {
        let rules =
            Rules { after_failures: config.rest_after_failures.max(1), first: config.rest_first, max: config.rest_max };
        let shared = Shared {
            breaker: Mutex::new(Breaker::new(rules)),
            places: Arc::new(Semaphore::new(config.requests_max.min(Semaphore::MAX_PERMITS))),
            wait: config.requests_wait,
            slow: config.slow,
            clock,
            metrics: Metrics::new(inner.name()),
        };
        Resting { inner, shared: Arc::new(shared) }
    }

    /// Whether the store has failed so often that it is not asked at the moment, but by one request at a time that tries it.
    pub fn is_resting(&self) -> bool {
        self.shared.breaker().is_resting()
    }

    /// A place among the requests, once there is one.
    ///
    /// # Errors
    /// [`StoreError::Resting`] at once; [`StoreError::Unavailable`] when no place became free in time.
    async fn begin(&self, operation: Operation) -> Result<Turn, StoreError> {
        let begun = self.find_place(operation).await;
        if let Err(error) = &begun {
            self.shared.metrics.ended(operation, error.as_str());
        }
        begun
    }

    async fn find_place(&self, operation: Operation) -> Result<Turn, StoreError> {
        let shared = &self.shared;
        // Before waiting too: nobody queues for a store that rests.
        let may_try = operation != Operation::Put;
        if !shared.breaker().would_admit(shared.clock.now(), may_try) {
            return Err(StoreError::Resting);
        }
        let place = tokio::time::timeout(shared.wait, Arc::clone(&shared.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let reason = format!("no request has ended within {:?}", shared.wait);
            return Err(StoreError::Unavailable { subject: operation.as_str().to_owned(), reason });
        };
        let begun = shared.clock.now();
        let ticket = shared.breaker().admit(begun, may_try).ok_or(StoreError::Resting)?;
        Ok(Turn {
            shared: Arc::clone(shared),
            operation,
            ticket,
            begun,
            is_settled: false,
            result: "abandoned",
            _place: place,
        })
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Resting {
    fn put<'a>(&'a self, key: &'a ObjectKey, upload: Upload) -> BoxFuture<'a, Result<Written, StoreError>> {
        async move {
            // A long write would keep all others waiting for how it ends: something short tries the store before it.
            let wants_trial = self.shared.breaker().wants_trial(self.shared.clock.now());
            if wants_trial
                && let Err(error) = self.head(key).await
                && !error.is_answer()
            {
                return Err(error);
            }
            let turn = self.begin(Operation::Put).await?;
            let length = upload.length;
            let written = turn.settle(self.inner.put(key, upload).await);
            if matches!(written, Ok(Written::Yes)) {
                self.shared.metrics.written_bytes.increment(length);
            }
            written
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Got, StoreError>> {
        async move {
            let turn = self.begin(Operation::Get).await?;
            turn.reading(self.inner.get(key, range.clone()).await, range)
        }
        .boxed()
    }

    fn get_cut<'a>(
        &'a self,
        key: &'a ObjectKey,
        range: Option<Range<u64>>,
        lengths: Vec<usize>,
    ) -> BoxFuture<'a, Result<Got, StoreError>> {
        async move {
            let turn = self.begin(Operation::Get).await?;
            turn.reading(self.inner.get_cut(key, range.clone(), lengths).await, range)
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, StoreError>> {
        async move { self.begin(Operation::Head).await?.settle(self.inner.head(key).await) }.boxed()
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        async move { self.begin(Operation::Delete).await?.settle(self.inner.delete(key).await) }.boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a ObjectKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        async move { self.begin(Operation::List).await?.settle(self.inner.list(prefix, after, limit).await) }.boxed()
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }
}

impl Shared {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the breaker something, and people what comes of it.
    fn tell(&self, what: impl FnOnce(&mut Breaker) -> Option<Duration>) {
        let (was_resting, pause, is_resting) = {
            let mut breaker = self.breaker();
            (breaker.is_resting(), what(&mut breaker), breaker.is_resting())
        };
        if let Some(pause) = pause {
            self.metrics.resting(true);
            tracing::warn!(
                pause_ms = pause.as_millis() as u64,
                "the durable store fails and is left alone for a while"
            );
        } else if was_resting && !is_resting {
            self.metrics.resting(false);
            tracing::info!("the durable store works again");
        }
    }
}

/// A request that was let through. Dropped unsettled, it was given up.
#[derive(Debug)]
struct Turn {
    shared: Arc<Shared>,
    operation: Operation,
    ticket: Ticket,
    begun: Instant,
    /// Whether the breaker knows what became of it.
    is_settled: bool,
    /// The label of metrics.
    result: &'static str,
    _place: OwnedSemaphorePermit,
}

impl Turn {
    /// Says what became of a request that has no body to come.
    fn settle<T>(mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        self.time();
        match &result {
            Ok(_) => self.succeeded(),
            Err(error) => self.failed(error),
        }
        result
    }

    /// Says what became of a request whose body is to come, and goes on with that.
    fn reading(mut self, got: Result<Got, StoreError>, range: Option<Range<u64>>) -> Result<Got, StoreError> {
        match got {
            Ok(Got { meta, body }) => {
                self.answered();
                let left = range.map_or(meta.length, |range| range.end.saturating_sub(range.start));
                Ok(Got { meta, body: Box::pin(Reading { body, left, turn: Some(self) }) })
            }
            Err(error) => self.settle(Err(error)),
        }
    }

    /// The request was answered, and its body is to come.
    fn answered(&mut self) {
        self.time();
        let ticket = self.ticket;
        if !self.is_settled {
            self.shared.tell(|breaker| {
                breaker.answered(ticket);
                None
            });
        }
    }

    /// Looks at how long the answer took. A slow one is a failure, whatever else it is.
    fn time(&mut self) {
        let took = self.shared.clock.now().saturating_duration_since(self.begun);
        self.shared.metrics.answered(self.operation, took);
        if self.shared.slow < took && self.operation != Operation::Put {
            self.count_failure();
        }
    }

    fn succeeded(&mut self) {
        self.result = "ok";
        let ticket = self.ticket;
        if !std::mem::replace(&mut self.is_settled, true) {
            self.shared.tell(|breaker| {
                breaker.succeeded(ticket);
                None
            });
        }
    }

    fn failed(&mut self, error: &StoreError) {
        match error {
            // These say nothing of whether the store can be asked: as if the request had been given up.
            StoreError::Body { .. } | StoreError::Full { .. } => {}
            // An object that it does not take, or does not let go, is no reason to read none of the others.
            StoreError::Refused { .. } if self.operation.changes() => {}
            _ if error.is_answer() => self.succeeded(),
            _ => self.count_failure(),
        }
        self.result = error.as_str();
    }

    fn count_failure(&mut self) {
        let (ticket, now) = (self.ticket, self.shared.clock.now());
        if !std::mem::replace(&mut self.is_settled, true) {
            self.shared.tell(|breaker| breaker.failed(ticket, now, rand::random()));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.metrics.ended(self.operation, self.result);
        if !self.is_settled {
            let now = self.shared.clock.now();
            self.shared.breaker().abandoned(self.ticket, now);
        }
    }
}

/// A body whose request ends with its last byte: not all readers look whether something comes after it.
struct Reading {
    body: ObjectBytes<StoreError>,
    left: u64,
    /// `None` after the end.
    turn: Option<Turn>,
}

impl Stream for Reading {
    type Item = Result<Bytes, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = ready!(self.body.poll_next_unpin(context));
        let Some(turn) = &self.turn else { return Poll::Ready(piece) };
        match &piece {
            Some(Ok(bytes)) => {
                turn.shared.metrics.read_bytes.increment(bytes.len() as u64);
                self.left = self.left.saturating_sub(bytes.len() as u64);
                if self.left == 0 {
                    self.end(Turn::succeeded);
                }
            }
            Some(Err(error)) => self.end(|turn| turn.failed(error)),
            None => self.end(Turn::succeeded),
        }
        Poll::Ready(piece)
    }
}

impl Reading {
    fn end(&mut self, how: impl FnOnce(&mut Turn)) {
        if let Some(mut turn) = self.turn.take() {
            how(&mut turn);
        }
    }
}
