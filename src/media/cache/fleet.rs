//! What nodes that share a durable tier tell one another: purges, and references that were dropped.
//!
//! Announcements are objects whose names are in order of time. Each node looks for new ones every few seconds, its own included, and at
//! its start for all of them. One that comes late, because its node could not reach the store, is heard if it is no older than
//! [`LATE_MAX`]; a node that was away for longer hears everything again when it starts.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::{
    Cache, CacheError,
    catalogue::{Announcement, Order},
    durable::{ObjectKey, StoreError, layout},
};
use crate::ids::{ArtifactId, Tenant};

/// How late an announcement may come and still be heard by nodes that are running.
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
    /// Obeys what other nodes have announced since the last time; the first time, since ever. What it led to.
    ///
    /// # Errors
    /// The durable tier cannot be asked, or the catalogue not written: the next time hears the same again.
    pub async fn hear(&self, now: SystemTime) -> Result<Vec<News>, CacheError> {
        let Some(durable) = &self.durable else { return Ok(Vec::new()) };
        let is_first = self.heard.lock().is_empty();
        let since = if is_first { SystemTime::UNIX_EPOCH } else { now - LATE_MAX };
        // Behind all that is older: no announcement bears this very name.
        let mut after = layout::announcements_from(since);
        let mut news = Vec::new();
        loop {
            let listed = durable
                .store()
                .list(layout::ANNOUNCEMENTS, Some(&after), LISTED_MAX)
                .await
                .map_err(CacheError::from)?;
            let Some(last) = listed.last() else { break };
            after = last.key.clone();
            for key in listed.into_iter().map(|listed| listed.key) {
                if self.heard.lock().contains(&key) {
                    continue;
                }
                news.extend(self.obey(durable.record(&key).await.map_err(CacheError::from)?).await?);
                let mut heard = self.heard.lock();
                if heard.len() >= HEARD_MAX {
                    heard.clear();
                }
                heard.insert(key);
            }
        }
        Ok(news)
    }

    async fn obey(&self, announcement: Option<Announcement>) -> Result<Option<News>, CacheError> {
        let Some(announcement) = announcement else { return Ok(None) };
        if let Some(rule) = announcement.rule() {
            self.rule(rule).await?;
            return Ok(Some(News::Purged));
        }
        let (Order::Forget(artifact), Ok(tenant)) = (&announcement.order, announcement.tenant.parse::<Tenant>()) else {
            return Ok(None);
        };
        let known = self.catalogue.reference(&tenant, artifact).await?;
        // One that came into being since is not meant.
        if known.is_none_or(|reference| announcement.at < reference.created_at) {
            return Ok(None);
        }
        self.drop_here(&tenant, artifact, false).await?;
        Ok(Some(News::Forgotten(tenant, *artifact)))
    }
}

impl Heard {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<ObjectKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<StoreError> for CacheError {
    fn from(source: StoreError) -> CacheError {
        CacheError::Durable { source: Arc::new(source) }
    }
}
