//! A store of objects that fails on command, around one that works, and remembers what it was asked.
//!
//! What goes wrong is said by [`Faults`], which tests change while the store is in use; when it goes wrong is drawn from a seed, so
//! that a run can be repeated.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::media::cache::durable::{
    Got, Listed, ObjectBytes, ObjectKey, ObjectMeta, ObjectStore, StoreError, Upload, Written,
};

/// What goes wrong, each with a probability between 0 (never) and 1 (always). By default nothing does.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The store cannot be reached at all: every request fails, and nothing happens.
    pub is_down: bool,
    /// There is no room: nothing is written.
    pub is_full: bool,
    /// Objects whose names begin with this are neither written nor removed; for ever, until a person mends it.
    pub refuse: Option<&'static str>,
    /// A request fails with [`StoreError::Unavailable`], and nothing happens.
    pub fail: f64,
    /// What a request waits for before anything else happens to it, in tokio's time.
    pub delay: Duration,
    /// A body that is read has one bit that is not as it was written.
    pub corrupt: f64,
    /// A body that is read ends before its end, as if that were the end.
    pub truncate: f64,
    /// A body that is read breaks off with an error.
    pub break_off: f64,
    /// A body that is read is that of the object that was read before, cut or filled up to the right length.
    pub swap: f64,
    /// A write happens, and fails.
    pub lose_acknowledgement: f64,
    /// A write reads a part of its body and fails, and nothing is kept.
    pub tear: f64,
    /// What each piece of a body that is read waits for, in tokio's time.
    pub piece_delay: Duration,
}

/// What a store was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// To write an object.
    Put(String),
    /// To read an object, or a part of it.
    Get(String, Option<Range<u64>>),
    /// What it knows of an object.
    Head(String),
    /// To remove an object.
    Delete(String),
    /// Which objects begin with this.
    List(String),
}

/// A store that fails on command. Clones share everything.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    faults: Faults,
    chance: StdRng,
    calls: Vec<Call>,
    /// The beginning of the object that was read last.
    last_read: Bytes,
}

impl FaultyStore {
    /// `inner`, so far without faults; what is left to chance is drawn from `seed`.
    pub fn new(inner: Arc<dyn ObjectStore>, seed: u64) -> FaultyStore {
        let shared = Shared {
            faults: Faults::default(),
            chance: StdRng::seed_from_u64(seed),
            calls: Vec::new(),
            last_read: Bytes::new(),
        };
        FaultyStore { inner, shared: Arc::new(Mutex::new(shared)) }
    }

    /// What goes wrong from now on.
    pub fn set(&self, faults: Faults) {
        self.shared().faults = faults;
    }

    /// Changes one thing or another of what goes wrong from now on.
    pub fn change(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared().faults);
    }

    /// What it was asked since this was called last, in order, with what failed.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared().calls)
    }

    /// How often it was asked something since `take_calls`.
    pub fn calls_count(&self, is_meant: impl Fn(&Call) -> bool) -> usize {
        self.shared().calls.iter().filter(|call| is_meant(call)).count()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something with this probability happens now.
    fn happens(&self, probability: impl FnOnce(&Faults) -> f64) -> bool {
        let mut shared = self.shared();
        let probability = probability(&shared.faults).clamp(0.0, 1.0);
        shared.chance.random_bool(probability)
    }

    /// Notes a call, waits, and fails if that is to be.
    async fn enter(&self, call: Call) -> Result<(), StoreError> {
        let delay = {
            let mut shared = self.shared();
            shared.calls.push(call);
            shared.faults.delay
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        // Looked at after the delay: a test may have switched in the meantime.
        let is_down = self.shared().faults.is_down;
        if is_down || self.happens(|faults| faults.fail) { Err(planned("a request")) } else { Ok(()) }
    }

    fn check_allowed(&self, key: &ObjectKey) -> Result<(), StoreError> {
        if self.shared().faults.refuse.is_some_and(|prefix| key.as_str().starts_with(prefix)) {
            return Err(StoreError::Refused { subject: key.to_string(), reason: "as the test wants it".to_owned() });
        }
        Ok(())
    }

    async fn write(&self, key: &ObjectKey, mut upload: Upload) -> Result<Written, StoreError> {
        self.enter(Call::Put(key.to_string())).await?;
        if self.shared().faults.is_full {
            return Err(StoreError::Full { subject: key.to_string() });
        }
        self.check_allowed(key)?;
        if self.happens(|faults| faults.tear) {
            drop(upload.body.next().await);
            return Err(planned("a write"));
        }
        let written = self.inner.put(key, upload).await?;
        if self.happens(|faults| faults.lose_acknowledgement) {
            Err(planned("an acknowledgement"))
        } else {
            Ok(written)
        }
    }

    async fn read(&self, key: &ObjectKey, range: Option<Range<u64>>) -> Result<Got, StoreError> {
        self.enter(Call::Get(key.to_string(), range.clone())).await?;
        let Got { meta, body } = self.inner.get(key, range).await?;
        Ok(Got { meta, body: self.spoil(body).await? })
    }

    /// The body with what is to go wrong in it. It is read to its end first where that is something.
    async fn spoil(&self, body: ObjectBytes<StoreError>) -> Result<ObjectBytes<StoreError>, StoreError> {
        let corrupt = self.happens(|faults| faults.corrupt);
        let truncate = self.happens(|faults| faults.truncate);
        let break_off = self.happens(|faults| faults.break_off);
        let swap = self.happens(|faults| faults.swap);
        let (is_swapping, delay) = {
            let shared = self.shared();
            (shared.faults.swap > 0.0, shared.faults.piece_delay)
        };
        let body = if corrupt || truncate || break_off || is_swapping {
            let whole = body.try_collect::<Vec<Bytes>>().await?.concat();
            self.spoiled(whole, corrupt, truncate, break_off, swap)
        } else {
            body
        };
        if delay.is_zero() {
            return Ok(body);
        }
        Ok(Box::pin(body.then(move |piece| async move {
            tokio::time::sleep(delay).await;
            piece
        })))
    }

    fn spoiled(
        &self,
        mut bytes: Vec<u8>,
        corrupt: bool,
        truncate: bool,
        break_off: bool,
        swap: bool,
    ) -> ObjectBytes<StoreError> {
        let mut shared = self.shared();
        let true_bytes = Bytes::from(bytes.clone());
        if swap {
            let length = bytes.len();
            bytes = shared.last_read.to_vec();
            bytes.resize(length, 0);
        }
        shared.last_read = true_bytes;
        if corrupt && !bytes.is_empty() {
            let at = shared.chance.random_range(0..bytes.len());
            let bit = shared.chance.random_range(0..8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        if (truncate || break_off) && !bytes.is_empty() {
            let kept = shared.chance.random_range(0..bytes.len());
            bytes.truncate(kept);
        }
        let end = break_off.then(|| Err(planned("a body")));
        Box::pin(stream::iter([Ok(Bytes::from(bytes))].into_iter().chain(end)))
    }
}

fn planned(what: &str) -> StoreError {
    StoreError::Unavailable { subject: what.to_owned(), reason: "as the test wants it".to_owned() }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FaultyStore {
    fn put<'a>(&'a self, key: &'a ObjectKey, upload: Upload) -> BoxFuture<'a, Result<Written, StoreError>> {
        self.write(key, upload).boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Got, StoreError>> {
        self.read(key, range).boxed()
    }

    fn get_cut<'a>(
        &'a self,
        key: &'a ObjectKey,
        range: Option<Range<u64>>,
        lengths: Vec<usize>,
    ) -> BoxFuture<'a, Result<Got, StoreError>> {
        async move { Ok(self.read(key, range).await?.cut(lengths)) }.boxed()
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, StoreError>> {
        async move {
            self.enter(Call::Head(key.to_string())).await?;
            self.inner.head(key).await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            self.enter(Call::Delete(key.to_string())).await?;
            self.check_allowed(key)?;
            self.inner.delete(key).await?;
            if self.happens(|faults| faults.lose_acknowledgement) { Err(planned("an acknowledgement")) } else { Ok(()) }
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a ObjectKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        async move {
            self.enter(Call::List(prefix.to_owned())).await?;
            self.inner.list(prefix, after, limit).await
        }
        .boxed()
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.shared();
        f.debug_struct("FaultyStore")
            .field("inner", &self.inner)
            .field("faults", &shared.faults)
            .field("calls", &shared.calls.len())
            .finish_non_exhaustive()
    }
}
