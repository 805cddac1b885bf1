//! How much each tenant keeps, and whether it may keep more.
//!
//! What lies in the store is what counts: it is counted from its lists when a tenant uploads for the first time since the start, and again
//! when the last count is a minute old. Between two counts this node adds what it wrote itself, and takes nothing away: whatever may have made
//! it less, or may have been counted twice, only makes the count doubtful, and a doubtful count refuses nobody before it was taken again.
//! What other nodes of a fleet received meanwhile is seen with the next count, so that a tenant may go over its quota by what it sends to all
//! of them within a minute.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{
    clock::Clock,
    ids::Tenant,
    media::cache::durable::{ObjectStore, StoreError, layout},
    problem::{Kind, Problem},
    units::ByteCount,
};

/// How long a count is good.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// How long one may take.
const COUNT_MAX: Duration = Duration::from_secs(30);
/// Objects of one list.
const PAGE: usize = 1_000;
/// Uploads of a tenant where only its bytes are limited, so that counting them ends.
const UPLOADS_MAX: u64 = 100_000;
/// Tenants whose counts are known at once; of more, those that are not uploading are counted again.
const TENANTS_MAX: usize = 10_000;
/// How often one upload looks whether there is room, with a count in between: another's removal may make each count doubtful at once.
const LOOKS_MAX: usize = 4;

/// Counts of all tenants. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Quotas {
    limits: Option<Limits>,
    /// A std lock: held for map operations only.
    known: Arc<Mutex<HashMap<Tenant, Usage>>>,
    clock: Clock,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    bytes: Option<ByteCount>,
    uploads: u64,
}

/// What a tenant keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    uploads: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Usage {
    kept: Total,
    /// Of uploads that are being written to the store.
    promised: Total,
    counted: Option<SystemTime>,
    /// How often it was counted.
    counts: u64,
    /// It may be less by now.
    is_doubtful: bool,
    /// Whose turn it is to count: one list at a time for each tenant.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Whether there is room, as far as is known.
enum Known {
    Room(Promise),
    Over,
    /// What was counted the last of so many times does not hold any more.
    NotCounted {
        counts: u64,
    },
}

impl Quotas {
    pub(super) fn new(bytes_max: Option<ByteCount>, uploads_max: Option<u64>, clock: Clock) -> Quotas {
        let is_limited = bytes_max.is_some() || uploads_max.is_some();
        let limits = Limits { bytes: bytes_max, uploads: uploads_max.unwrap_or(UPLOADS_MAX) };
        Quotas { limits: is_limited.then_some(limits), known: Arc::default(), clock }
    }

    /// Room for one more upload, until what is returned is dropped. None where nothing is limited.
    ///
    /// # Errors
    /// `over-quota`, or what it keeps could not be counted.
    pub(super) async fn promise(
        &self,
        store: &dyn ObjectStore,
        tenant: &Tenant,
        bytes: u64,
    ) -> Result<Option<Promise>, QuotaError> {
        let Some(limits) = self.limits else { return Ok(None) };
        for _ in 0..LOOKS_MAX {
            match self.look(limits, tenant, bytes) {
                Known::Room(promise) => return Ok(Some(promise)),
                Known::Over => return Err(QuotaError::Over(over(&limits))),
                Known::NotCounted { counts } => self.count(limits, store, tenant, counts).await?,
            }
        }
        Err(QuotaError::Over(over(&limits)))
    }

    fn look(&self, limits: Limits, tenant: &Tenant, bytes: u64) -> Known {
        let now = self.clock.now_wall();
        let mut known = self.lock();
        let Some(usage) = known.get_mut(tenant) else { return Known::NotCounted { counts: 0 } };
        let not_counted = Known::NotCounted { counts: usage.counts };
        let age = usage.counted.and_then(|counted| now.duration_since(counted).ok());
        if age.is_none_or(|age| COUNTED_FOR <= age) {
            return not_counted;
        }
        let uploads_after = usage.kept.uploads.saturating_add(usage.promised.uploads).saturating_add(1);
        let bytes_after = usage.kept.bytes.saturating_add(usage.promised.bytes).saturating_add(bytes);
        if limits.uploads < uploads_after || limits.bytes.is_some_and(|max| max.get() < bytes_after) {
            return if usage.is_doubtful { not_counted } else { Known::Over };
        }
        usage.promised.uploads += 1;
        usage.promised.bytes += bytes;
        Known::Room(Promise {
            quotas: self.clone(),
            tenant: tenant.clone(),
            bytes,
            counts: usage.counts,
            end: End::Unknown,
        })
    }

    /// Counts what a tenant keeps, unless somebody has done so since there were `counts` of it.
    async fn count(
        &self,
        limits: Limits,
        store: &dyn ObjectStore,
        tenant: &Tenant,
        counts: u64,
    ) -> Result<(), QuotaError> {
        let turn = {
            let mut known = self.lock();
            if TENANTS_MAX <= known.len() && !known.contains_key(tenant) {
                known.retain(|_, usage| usage.promised != Total::default() || 1 < Arc::strong_count(&usage.turn));
            }
            Arc::clone(&known.entry(tenant.clone()).or_default().turn)
        };
        let _turn = turn.lock().await;
        {
            let mut known = self.lock();
            let usage = known.entry(tenant.clone()).or_default();
            if usage.counts != counts {
                return Ok(());
            }
            // What is removed from here on may be counted or not.
            usage.is_doubtful = false;
        }
        let counted = tokio::time::timeout(COUNT_MAX, count(store, tenant, limits)).await;
        let kept = counted.map_err(|_| QuotaError::Late)??;
        let mut known = self.lock();
        let usage = known.entry(tenant.clone()).or_default();
        usage.kept = kept;
        usage.counted = Some(self.clock.now_wall());
        usage.counts += 1;
        Ok(())
    }

    /// Something of a tenant's was removed: how much, the next count that matters tells.
    pub(super) fn note_removed(&self, tenant: &Tenant) {
        if let Some(usage) = self.lock().get_mut(tenant) {
            usage.is_doubtful = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tenant, Usage>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no room.
pub(super) enum QuotaError {
    /// The tenant keeps as much as it may.
    Over(Problem),
    /// What it keeps could not be counted.
    Store(StoreError),
    /// Counting took too long.
    Late,
}

impl From<StoreError> for QuotaError {
    fn from(error: StoreError) -> QuotaError {
        QuotaError::Store(error)
    }
}

fn over(limits: &Limits) -> Problem {
    let bytes = limits.bytes.map(|max| format!("{max} (media.uploads.tenant_bytes_max) or ")).unwrap_or_default();
    let uploads = limits.uploads;
    let detail =
        format!("this account would keep more than {bytes}{uploads} uploads (media.uploads.tenant_uploads_max)");
    Problem::new(Kind::OverQuota, detail)
}

/// Room for an upload that is being written. Dropped without a word, the upload is taken to be in the store: it may be.
#[derive(Debug)]
pub(super) struct Promise {
    quotas: Quotas,
    tenant: Tenant,
    bytes: u64,
    /// How often the tenant had been counted when this was given.
    counts: u64,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Unknown,
    Written,
    NotWritten,
}

impl Promise {
    /// The upload is in the store, and was not there before.
    pub(super) fn keep(mut self) {
        self.end = End::Written;
    }

    /// Nothing was written.
    pub(super) fn give_back(mut self) {
        self.end = End::NotWritten;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut known = self.quotas.lock();
        let Some(usage) = known.get_mut(&self.tenant) else { return };
        usage.promised.uploads = usage.promised.uploads.saturating_sub(1);
        usage.promised.bytes = usage.promised.bytes.saturating_sub(self.bytes);
        if self.end != End::NotWritten {
            usage.kept.uploads = usage.kept.uploads.saturating_add(1);
            usage.kept.bytes = usage.kept.bytes.saturating_add(self.bytes);
            // A count that was taken meanwhile may have it, too.
            usage.is_doubtful |= self.end == End::Unknown || usage.counts != self.counts;
        }
    }
}

/// What lies in the store, as far as it matters: who is over its limit is not counted to the end.
async fn count(store: &dyn ObjectStore, tenant: &Tenant, limits: Limits) -> Result<Total, StoreError> {
    let (prefix, mut total, mut after) = (layout::uploads(tenant), Total::default(), None);
    loop {
        let page = store.list(&prefix, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(total) };
        after = Some(last.key.clone());
        total.uploads += page.len() as u64;
        total.bytes = page.iter().fold(total.bytes, |sum, listed| sum.saturating_add(listed.length));
        if limits.uploads < total.uploads {
            return Ok(total);
        }
    }
}
