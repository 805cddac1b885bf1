//! How much each tenant keeps, and whether it may keep more.
//!
//! What lies in the store is what counts: it is counted from its lists when a tenant uploads for the first time since the start, and again
//! when the last count is a minute old. Between two counts this node adds up what it did itself; what other nodes of a fleet received
//! meanwhile is seen with the next count, so that a tenant may go over its quota by what it sends to all of them within a minute.

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
/// Objects of one list.
const PAGE: usize = 1_000;
/// Tenants whose counts are known at once; of more, those that are not uploading are counted again.
const TENANTS_MAX: usize = 10_000;

/// Counts of all tenants. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Quotas {
    bytes_max: Option<ByteCount>,
    uploads_max: Option<u64>,
    /// A std lock: held for map operations only.
    known: Arc<Mutex<HashMap<Tenant, Usage>>>,
    clock: Clock,
}

/// What a tenant keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Total {
    uploads: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Usage {
    kept: Total,
    /// Of uploads that are being written to the store.
    promised: Total,
    counted: Option<SystemTime>,
}

impl Quotas {
    pub(super) fn new(bytes_max: Option<ByteCount>, uploads_max: Option<u64>, clock: Clock) -> Quotas {
        Quotas { bytes_max, uploads_max, known: Arc::default(), clock }
    }

    /// Room for one more upload, until what is returned is dropped. None where nothing is limited.
    ///
    /// # Errors
    /// `over-quota`.
    pub(super) async fn promise(
        &self,
        store: &dyn ObjectStore,
        tenant: &Tenant,
        bytes: u64,
    ) -> Result<Option<Promise>, QuotaError> {
        if self.bytes_max.is_none() && self.uploads_max.is_none() {
            return Ok(None);
        }
        if !self.is_counted(tenant) {
            let counted = count(store, tenant).await?;
            self.note_count(tenant, counted);
        }
        let mut known = self.lock();
        let usage = known.entry(tenant.clone()).or_insert_with(Usage::new);
        let (uploads_after, bytes_after) =
            (usage.kept.uploads + usage.promised.uploads + 1, usage.kept.bytes + usage.promised.bytes + bytes);
        if let Some(max) = self.bytes_max.filter(|max| max.get() < bytes_after) {
            return Err(over(&format!("{max} (media.uploads.tenant_bytes_max)")));
        }
        if let Some(max) = self.uploads_max.filter(|max| *max < uploads_after) {
            return Err(over(&format!("{max} uploads (media.uploads.tenant_uploads_max)")));
        }
        usage.promised.uploads += 1;
        usage.promised.bytes += bytes;
        drop(known);
        Ok(Some(Promise { quotas: self.clone(), tenant: tenant.clone(), bytes }))
    }

    /// An upload of so many bytes is no more.
    pub(super) fn note_removed(&self, tenant: &Tenant, bytes: u64) {
        if let Some(usage) = self.lock().get_mut(tenant) {
            usage.kept.uploads = usage.kept.uploads.saturating_sub(1);
            usage.kept.bytes = usage.kept.bytes.saturating_sub(bytes);
        }
    }

    fn is_counted(&self, tenant: &Tenant) -> bool {
        let counted = self.lock().get(tenant).and_then(|usage| usage.counted);
        let age = counted.and_then(|counted| self.clock.now_wall().duration_since(counted).ok());
        age.is_some_and(|age| age < COUNTED_FOR)
    }

    fn note_count(&self, tenant: &Tenant, kept: Total) {
        let mut known = self.lock();
        if TENANTS_MAX <= known.len() && !known.contains_key(tenant) {
            known.retain(|_, usage| usage.promised != Total::default());
        }
        let usage = known.entry(tenant.clone()).or_insert_with(Usage::new);
        usage.kept = kept;
        usage.counted = Some(self.clock.now_wall());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tenant, Usage>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Usage {
    fn new() -> Usage {
        Usage { kept: Total::default(), promised: Total::default(), counted: None }
    }
}

/// Why there is no room.
pub(super) enum QuotaError {
    /// The tenant keeps as much as it may.
    Over(Problem),
    /// What it keeps could not be counted.
    Store(StoreError),
}

impl From<StoreError> for QuotaError {
    fn from(error: StoreError) -> QuotaError {
        QuotaError::Store(error)
    }
}

fn over(what: &str) -> QuotaError {
    QuotaError::Over(Problem::new(Kind::OverQuota, format!("this account would keep more than {what}")))
}

/// Room for an upload that is being written. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct Promise {
    quotas: Quotas,
    tenant: Tenant,
    bytes: u64,
}

impl Promise {
    /// The upload is in the store, and was not there before.
    pub(super) fn keep(self) {
        if let Some(usage) = self.quotas.lock().get_mut(&self.tenant) {
            usage.kept.uploads += 1;
            usage.kept.bytes += self.bytes;
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(usage) = self.quotas.lock().get_mut(&self.tenant) {
            usage.promised.uploads = usage.promised.uploads.saturating_sub(1);
            usage.promised.bytes = usage.promised.bytes.saturating_sub(self.bytes);
        }
    }
}

async fn count(store: &dyn ObjectStore, tenant: &Tenant) -> Result<Total, StoreError> {
    let (prefix, mut total, mut after) = (layout::uploads(tenant), Total::default(), None);
    loop {
        let page = store.list(&prefix, after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(total) };
        after = Some(last.key.clone());
        total.uploads += page.len() as u64;
        total.bytes += page.iter().map(|listed| listed.length).sum::<u64>();
    }
}
