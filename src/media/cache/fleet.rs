//! What nodes that share a durable tier tell one another: purges, and references that were dropped.
//!
//! Announcements are objects whose names are in order of time. Each node looks for new ones every few seconds, its own included, and at
//! its start for all of them. One that comes late, because its node could not reach the store, is heard if it is no older than
//! [`LATE_MAX`] when it comes. A node that could not listen hears what was said meanwhile, however long that was.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    Cache, CacheError,
    durable::{Durable, ObjectKey, StoreError, layout},
};
use crate::ids::{ArtifactId, Tenant};

/// How late an announcement may come and still be heard by nodes that are listening.
const LATE_MAX: Duration = Duration::from_secs(3600);
/// Announcements in one list.
const LISTED_MAX: usize = 1000;
/// Announcements that are remembered as heard: as many as one node hears in [`LATE_MAX`]. Beyond, they are heard twice, which does no harm.
const HEARD_MAX: usize = 100_000;

/// What a node has heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// A std lock: held for set operations only.
    keys: Arc<Mutex<HashSet<ObjectKey>>>,
    /// References that were dropped, here or by others, and when: older ones are none, also where the durable tier still has them or has
    /// them again by a node that had not heard. A std lock, too.
    forgotten: Arc<Mutex<HashMap<(Tenant, ArtifactId), SystemTime>>>,
    /// When the last pass began that came to the end of what there was to hear; none before the first. A std lock, too.
    until: Arc<Mutex<Option<SystemTime>>>,
}

/// What came of an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A rule of purging holds now.
    Purged,
    /// A tenant's reference was dropped.
    Forgotten(Tenant, ArtifactId),
}

impl Cache {
    /// Obeys what other nodes have announced since the last time that all was heard; before that, since ever. What it led to: only where that is
    /// nothing, there is certainly no more.
    ///
    /// # Errors
    /// The durable tier cannot be asked, or the catalogue not written: the next time hears the same again.
    pub async fn hear(&self, now: SystemTime) -> Result<Vec<News>, CacheError> {
        let Some(durable) = &self.parts.durable else { return Ok(Vec::new()) };
        let since = self.parts.heard.since(now);
        // Behind all that is older: no announcement bears this very name.
        let mut after = layout::announcements_from(since);
        let mut news = Vec::new();
        loop {
            let listed = durable.store().list(layout::ANNOUNCEMENTS, Some(&after), LISTED_MAX).await;
            let listed = match listed {
                Ok(listed) => listed,
                Err(error) => return so_far(news, error.into()),
            };
            let Some(last) = listed.last() else {
                self.parts.heard.all_until(now);
                return Ok(news);
            };
            after = last.key.clone();
            for key in listed.into_iter().map(|listed| listed.key) {
                if self.parts.heard.has(&key) {
                    continue;
                }
                match self.obey(durable, &key).await {
                    Ok(heard) => news.extend(heard),
                    Err(error) => return so_far(news, error),
                }
                self.parts.heard.note(key);
            }
        }
    }

    async fn obey(&self, durable: &Durable, key: &ObjectKey) -> Result<Option<News>, CacheError> {
        let Some(announcement) = durable.announcement(key).await? else { return Ok(None) };
        if let Some(rule) = announcement.rule() {
            self.rule(rule).await?;
            return Ok(Some(News::Purged));
        }
        let Some((tenant, artifact)) = announcement.forgotten() else { return Ok(None) };
        // Before looking: what is learned from now on is held against it.
        self.parts.heard.forget(&tenant, &artifact, announcement.at);
        // Neither may what was learned before come to light after.
        if let Err(error) = self.parts.catalogue.write_learned().await {
            tracing::warn!(%error, "what was learned cannot be written before a reference is dropped");
        }
        let known = self.parts.catalogue.reference(&tenant, &artifact).await?;
        // One that came into being since is not meant.
        if !known.is_ok_and(|reference| reference.created_at <= announcement.at) {
            return Ok(None);
        }
        // Told again: what this node has written there since, or is writing now, is taken back behind it.
        self.drop_here(&tenant, &artifact, Some(announcement)).await?;
        Ok(Some(News::Forgotten(tenant, artifact)))
    }
}

/// What was heard before something failed: whoever listens must learn of it, because it is not heard again. The failure comes again.
fn so_far(news: Vec<News>, error: CacheError) -> Result<Vec<News>, CacheError> {
    if news.is_empty() { Err(error) } else { Ok(news) }
}

impl Heard {
    /// Since when there may be something that was not heard, at `now`.
    fn since(&self, now: SystemTime) -> SystemTime {
        // Not after now: wall clocks are set back as well.
        let until = lock(&self.until).map(|until| until.min(now));
        until.and_then(|until| until.checked_sub(LATE_MAX)).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Notes that all was heard, by a pass that began at `began`.
    fn all_until(&self, began: SystemTime) {
        *lock(&self.until) = Some(began);
    }

    fn has(&self, key: &ObjectKey) -> bool {
        lock(&self.keys).contains(key)
    }

    fn note(&self, key: ObjectKey) {
        let mut keys = lock(&self.keys);
        if keys.len() >= HEARD_MAX {
            keys.clear();
        }
        keys.insert(key);
    }

    /// Notes that a reference was dropped.
    pub(super) fn forget(&self, tenant: &Tenant, artifact: &ArtifactId, at: SystemTime) {
        let mut forgotten = lock(&self.forgotten);
        if forgotten.len() >= HEARD_MAX {
            forgotten.clear();
        }
        let known = forgotten.entry((tenant.clone(), *artifact)).or_insert(at);
        *known = at.max(*known);
    }

    /// When a reference was dropped last, as far as is known.
    pub(super) fn forgotten_at(&self, tenant: &Tenant, artifact: &ArtifactId) -> Option<SystemTime> {
        lock(&self.forgotten).get(&(tenant.clone(), *artifact)).copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<StoreError> for CacheError {
    fn from(source: StoreError) -> CacheError {
        CacheError::Durable { source: Arc::new(source) }
    }
}
