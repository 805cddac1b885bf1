//! Prompts: names of a tenant's that stand for uploads, for audio that people replace (`spec/media.md` §2).
//!
//! What a name stands for is a small record in the store of uploads. A node looks at it at most once a second, so what another node
//! changed is seen within a second; while the store fails, what was known last goes on to be right.

mod config;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bytes::{Bytes, BytesMut};
use foyer::{Cache as MemoryCache, CacheBuilder};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

pub use self::config::Config;
use crate::{
    clock::Clock,
    ids::{ContentHash, Tenant},
    media::cache::durable::{ObjectKey, ObjectStore, Replace, StoreError, Upload, layout},
    problem::{Kind, Problem},
};

/// Bytes of a name at most, its folders included.
const NAME_BYTES_MAX: usize = 200;
/// Bytes that it has at most where it is stored: names of files end at 255.
const STORED_BYTES_MAX: usize = 255;
/// What stands for `/` in names of objects: a name that begins with another's and a `/` must not make a folder of a file.
const FOLDER: &str = "..";
/// Bytes of a record at most.
const RECORD_BYTES_MAX: usize = 4 << 10;
/// How long a node goes by what it saw last.
const BELIEVED: Duration = Duration::from_secs(1);
/// Prompts of one list.
pub const LIST_MAX: usize = 1000;

/// The name of a prompt: segments of letters, digits, `-`, `_` and single dots, with `/` between them. No segment is empty or begins or ends with a
/// dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromptName(Arc<str>);

/// The text is not a [`PromptName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prompt's name has 1 to 200 letters, digits, - and _, in few folders by /, with single dots inside")]
pub struct NotAPromptName;

impl PromptName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn key(&self, tenant: &Tenant) -> ObjectKey {
        layout::prompt(tenant, &self.0.replace('/', FOLDER))
    }

    fn of_key(tenant: &Tenant, key: &ObjectKey) -> Option<PromptName> {
        let name = key.as_str().strip_prefix(&layout::prompts(tenant))?;
        name.replace(FOLDER, "/").parse().ok()
    }
}

impl FromStr for PromptName {
    type Err = NotAPromptName;

    fn from_str(text: &str) -> Result<PromptName, NotAPromptName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_segment = |segment: &str| {
            !segment.is_empty() && !segment.starts_with('.') && !segment.ends_with('.') && segment.bytes().all(plain)
        };
        let stored = text.replace('/', FOLDER).len();
        let is_short = text.len() <= NAME_BYTES_MAX && stored <= STORED_BYTES_MAX;
        let is_name = is_short && !text.contains(FOLDER) && text.split('/').all(is_segment);
        is_name.then(|| PromptName(text.into())).ok_or(NotAPromptName)
    }
}

impl fmt::Display for PromptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// The upload.
    pub content_hash: ContentHash,
    /// Since when.
    pub set_at: SystemTime,
}

/// What a node saw last under a name.
#[derive(Debug)]
struct Seen {
    prompt: Arc<Prompt>,
    at: Instant,
}

/// The names of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Prompts {
    store: Arc<dyn ObjectStore>,
    seen: MemoryCache<(Tenant, PromptName), Arc<Seen>>,
    /// How often a name was set or removed here: what was read before that is not noted after it. A std lock: held for map operations only.
    changes: Arc<Mutex<u64>>,
    clock: Clock,
    age_max: Duration,
}

impl fmt::Debug for Prompts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompts").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Prompts {
    /// Names that are kept in `store`.
    pub(in crate::media) fn new(config: &Config, store: Arc<dyn ObjectStore>, clock: Clock) -> Prompts {
        let seen = CacheBuilder::new(config.names_max).build();
        Prompts { store, seen, changes: Arc::default(), clock, age_max: config.max_age }
    }

    /// For how long callers may go by what a name stood for.
    pub(in crate::media) fn age_max(&self) -> Duration {
        self.age_max
    }

    /// What a name stands for, where that was looked at a moment ago.
    pub(in crate::media) fn in_memory(&self, tenant: &Tenant, name: &PromptName) -> Option<Arc<Prompt>> {
        let seen = self.seen.get(&(tenant.clone(), name.clone()))?;
        let is_believed = self.clock.now().saturating_duration_since(seen.at) < BELIEVED;
        is_believed.then(|| Arc::clone(&seen.prompt))
    }

    /// What a name stands for. While the store fails, what it stood for when it was seen last.
    ///
    /// # Errors
    /// `not-found`; `busy` where the store fails and nothing is known.
    pub async fn get(&self, tenant: &Tenant, name: &PromptName) -> Result<Arc<Prompt>, Problem> {
        if let Some(prompt) = self.in_memory(tenant, name) {
            return Ok(prompt);
        }
        let (at, changes) = (self.clock.now(), *self.changes());
        let key = (tenant.clone(), name.clone());
        match self.read(&name.key(tenant)).await {
            Ok(prompt) => {
                let prompt = Arc::new(prompt);
                self.note(key, Some(Seen { prompt: Arc::clone(&prompt), at }), changes);
                Ok(prompt)
            }
            Err(StoreError::NotFound { .. }) => {
                self.note(key, None, changes);
                Err(unknown())
            }
            Err(error) => {
                let seen = self.seen.get(&key).map(|seen| Arc::clone(&seen.prompt));
                seen.ok_or_else(|| problem(&error))
            }
        }
    }

    fn changes(&self) -> MutexGuard<'_, u64> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was read under a name, where nothing was changed here since that began.
    fn note(&self, key: (Tenant, PromptName), seen: Option<Seen>, since: u64) {
        let changes = self.changes();
        if *changes != since {
            return;
        }
        match seen {
            Some(seen) => drop(self.seen.insert(key, Arc::new(seen))),
            None => drop(self.seen.remove(&key)),
        }
    }

    /// Notes what was changed in the store. Where something else was changed meanwhile, nobody knows which came last: it is read.
    fn change(&self, key: (Tenant, PromptName), seen: Option<Seen>, since: u64) {
        let mut changes = self.changes();
        match seen.filter(|_| *changes == since) {
            Some(seen) => drop(self.seen.insert(key, Arc::new(seen))),
            None => drop(self.seen.remove(&key)),
        }
        *changes += 1;
    }

    async fn read(&self, key: &ObjectKey) -> Result<Prompt, StoreError> {
        let mut body = self.store.get(key, None).await?.body;
        let mut bytes = BytesMut::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece?);
            if RECORD_BYTES_MAX < bytes.len() {
                break;
            }
        }
        layout::read(key, &bytes).ok_or_else(|| StoreError::Unavailable {
            subject: key.to_string(),
            reason: "what lies there is no record of a prompt".to_owned(),
        })
    }

    /// Has a name stand for an upload; gives back what it stood for before. It is on stable storage when this returns.
    ///
    /// # Errors
    /// `storage-full`, `busy`: the name stands for what it stood for.
    pub async fn set(
        &self,
        tenant: &Tenant,
        name: &PromptName,
        content_hash: ContentHash,
    ) -> Result<Option<Arc<Prompt>>, Problem> {
        let key = name.key(tenant);
        let before = match self.read(&key).await {
            Ok(before) => Some(Arc::new(before)),
            Err(StoreError::NotFound { .. }) => None,
            // What is damaged is written anew; a store that fails will say so when it is written to.
            Err(_) => self.seen.get(&(tenant.clone(), name.clone())).map(|seen| Arc::clone(&seen.prompt)),
        };
        let prompt = Prompt { content_hash, set_at: self.clock.now_wall() };
        let bytes = layout::write(&key, &prompt).map_err(|_| Problem::new(Kind::Internal, "no record can be made"))?;
        let changes = *self.changes();
        self.write(&key, bytes).await.map_err(|error| problem(&error))?;
        let seen = Seen { prompt: Arc::new(prompt), at: self.clock.now() };
        self.change((tenant.clone(), name.clone()), Some(seen), changes);
        Ok(before)
    }

    async fn write(&self, key: &ObjectKey, bytes: Bytes) -> Result<(), StoreError> {
        self.store.put(key, Upload::of(bytes, "application/json", Replace::Always)).await.map(drop)
    }

    /// Removes a name. The upload that it stood for stays.
    ///
    /// # Errors
    /// `not-found`; `busy` where the store fails.
    pub async fn remove(&self, tenant: &Tenant, name: &PromptName) -> Result<(), Problem> {
        let key = name.key(tenant);
        self.store.head(&key).await.map_err(|error| problem(&error))?;
        let changes = *self.changes();
        self.store.delete(&key).await.map_err(|error| problem(&error))?;
        self.change((tenant.clone(), name.clone()), None, changes);
        Ok(())
    }

    /// The first `limit` names behind `after`, and whether there are more.
    ///
    /// # Errors
    /// `busy` where the store fails.
    pub async fn list(
        &self,
        tenant: &Tenant,
        after: Option<&PromptName>,
        limit: usize,
    ) -> Result<(Vec<PromptName>, bool), Problem> {
        let (prefix, mut after) = (layout::prompts(tenant), after.map(|name| name.key(tenant)));
        let limit = limit.clamp(1, LIST_MAX);
        let mut names: Vec<PromptName> = Vec::new();
        loop {
            let listed = self.store.list(&prefix, after.as_ref(), limit + 1).await.map_err(|error| problem(&error))?;
            // Somebody may have put there what is no prompt's.
            names.extend(listed.iter().filter_map(|listed| PromptName::of_key(tenant, &listed.key)));
            if limit < names.len() {
                names.truncate(limit);
                return Ok((names, true));
            }
            match listed.into_iter().nth(limit) {
                Some(last) => after = Some(last.key),
                None => return Ok((names, false)),
            }
        }
    }
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound, "there is no such prompt")
}

/// What callers are told of a store that fails: nothing of where it is.
fn problem(error: &StoreError) -> Problem {
    match error {
        StoreError::NotFound { .. } => unknown(),
        StoreError::Full { .. } => Problem::new(Kind::StorageFull, "there is no room to note the prompt"),
        error => {
            tracing::warn!(%error, "the store of prompts failed");
            Problem::new(Kind::Busy, "the store of prompts cannot be asked at the moment")
        }
    }
}
