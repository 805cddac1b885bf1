//! The catalogue: which sources, references, manifests and kept sources there are. One SQLite file with a front in memory.
//!
//! One thread writes, in transactions that take up everything that waits (group commit). Readers ask the front, then one of a few
//! read connections. Write-ahead log and `synchronous = NORMAL`: a commit survives the process, a loss of power can cost the last ones.
//! What was only learned of the durable tier nobody waits for: it is written with the next change, or a little later.

mod filter;
mod front;
mod learning;
mod pending;
mod query;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fs::File,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, mpsc, oneshot},
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) use self::pending::{Announcement, Pending, Subject};
use self::{
    filter::Filter,
    front::{Front, Key, Record},
    learning::Learning,
    writer::{Change, Job, LiveCounts},
};
use super::{
    CacheError,
    metrics::Metrics,
    purges::Rule,
    records::{KeptSource, Manifest, Reference, SharedReference, SourceRecord},
    responses::{Responses, StoredResponse, Which},
};
use crate::{
    ids::{ArtifactId, ChunkId, ContentHash, ResponseKey, SourceKey, Tenant},
    units::ByteCount,
};

/// Read connections, and so lookups at a time that memory cannot answer. A lookup takes microseconds unless the disk must be read.
const READERS: usize = 4;
/// Keys that are read at once to fill the filter, in about a millisecond.
const KEYS_PAGE: u32 = 1024;
/// How long after a failure to read them it is tried again.
const FILLING_PAUSE: Duration = Duration::from_secs(60);
/// Changes that may wait for the writer; beyond, committers wait.
const QUEUE_MAX: usize = 1024;

/// What is written down in one transaction.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Whose source and reference these are.
    pub tenant: Tenant,
    /// The source they came from.
    pub source_key: SourceKey,
    /// What the index is to know of the source.
    pub source: Option<SourceRecord>,
    /// The artifact that was made.
    pub manifest: Option<Manifest>,
    /// The tenant's reference to an artifact.
    pub reference: Option<(ArtifactId, Reference)>,
    /// The original, if it is kept.
    pub kept: Option<KeptSource>,
}

/// What the durable tier knew and this node did not.
#[derive(Clone, Debug)]
pub(super) enum Learned {
    Source(Tenant, SourceKey, SourceRecord),
    Reference(Tenant, ArtifactId, SharedReference),
    Manifest(Manifest),
    Kept(KeptSource),
}

/// A record that is not here, or is not the newest. What the durable tier knows of it may be [learned](Catalogue::learn).
#[derive(Debug)]
pub(super) struct Gap {
    /// Whether the durable tier is still to be told of the record: what it has under the name is not the last word.
    pub(super) is_pending: bool,
    /// As of when.
    generation: u64,
}

impl Commit {
    /// A commit of nothing yet.
    pub fn new(tenant: Tenant, source_key: SourceKey) -> Commit {
        Commit { tenant, source_key, source: None, manifest: None, reference: None, kept: None }
    }
}

/// What dropping a reference took along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The reference.
    pub reference: Reference,
    /// Whether it was the last one of its artifact, so that the manifest went too.
    pub artifact_gone: bool,
    /// Chunks that nothing owned any more.
    pub chunks: Vec<ChunkId>,
}

/// Rows of the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Index entries.
    pub sources: u64,
    /// References of all tenants.
    pub references: u64,
    /// Manifests.
    pub artifacts: u64,
    /// Kept originals.
    pub kept_sources: u64,
    /// Addresses of which the reverse proxy keeps responses.
    pub responses: u64,
    /// What the durable tier is still to be told.
    pub pending: u64,
}

/// The catalogue. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    front: Front,
    filter: Filter,
    /// Fills the filter while the catalogue is there.
    _filling: Arc<DropGuard>,
    readers: Arc<Readers>,
    writer: mpsc::Sender<Job>,
    learning: Learning,
    /// Whether there is a durable tier that has to be told of changes.
    has_outbox: bool,
    counts: Arc<LiveCounts>,
    /// Told when there is something for the durable tier.
    news: Arc<Notify>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Readers {
    /// Permits for the connections below, so that no blocking thread waits for one.
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    /// Whose blocking pool reads: the node's, whoever asks. Those of lanes are small, and may be busy with a file system that is silent.
    runtime: Handle,
}

impl Readers {
    /// Reads from the file, on the blocking pool of the runtime that the catalogue was opened on.
    async fn read<T: Send + 'static>(
        self: &Arc<Readers>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, CacheError> {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| CacheError::Closed)?;
        let readers = self.clone();
        let read = move || {
            let _turn = turn;
            let Some(connection) = lock(&readers.idle).pop() else { return Err(CacheError::Closed) };
            let found = read(&connection);
            lock(&readers.idle).push(connection);
            Ok(found?)
        };
        self.runtime.spawn_blocking(read).await.map_err(|_| CacheError::Closed)?
    }
}

/// Fills the filter from the file.
struct Filling {
    filter: Filter,
    front: Front,
    readers: Arc<Readers>,
    counts: Arc<LiveCounts>,
}

impl Filling {
    async fn run(self) {
        loop {
            match self.fill().await {
                Ok(()) => self.filter.crowded().await,
                Err(CacheError::Closed) => return,
                Err(error) => {
                    self.filter.give_up();
                    tracing::warn!(%error, "which records there are cannot be read; it is tried again");
                    tokio::time::sleep(FILLING_PAUSE).await;
                }
            }
        }
    }

    async fn fill(&self) -> Result<(), CacheError> {
        let Counts { sources, references, artifacts, kept_sources, responses, pending } = self.counts.load();
        let keys = sources + references + artifacts + kept_sources + responses + pending;
        let filter = self.filter.clone();
        let bits = tokio::task::spawn_blocking(move || filter.begin(keys)).await.map_err(|_| CacheError::Closed)?;
        for table in query::KEYS {
            let mut after = None;
            loop {
                let (front, bits) = (self.front.clone(), Arc::clone(&bits));
                let page = move |db: &Connection| {
                    // A transaction that began before the filter is over: what it has written is seen.
                    front.caught_up();
                    let add = |kind, tenant: &str, digest: &_| bits.add(filter::hash_of(kind, tenant, digest));
                    query::keys(db, table, after, KEYS_PAGE, add)
                };
                after = self.readers.read(page).await?;
                if after.is_none() {
                    break;
                }
            }
        }
        self.filter.finish();
        Ok(())
    }
}

impl Catalogue {
    /// Opens or makes the file, brings its schema up to date and starts the writing thread, which ends with the last clone.
    ///
    /// With `pending_max`, changes are noted for the durable tier, at most so many at a time. The thread holds `data_dir` until it has written
    /// its last change: whoever opened the file before that would not hear of it.
    pub(super) fn open(
        path: &Path,
        memory: ByteCount,
        pending_max: Option<u64>,
        data_dir: Arc<File>,
        metrics: Metrics,
    ) -> Result<Catalogue, CacheError> {
        let unreadable = |source| CacheError::CatalogueUnreadable { path: path.to_owned(), source: Arc::new(source) };
        let connection = schema::open_writer(path).map_err(unreadable)?;
        let idle = (0..READERS).map(|_| schema::open_reader(path)).collect::<Result<_, _>>().map_err(unreadable)?;
        let counts = Arc::new(LiveCounts::default());
        counts.store(query::counts(&connection).map_err(unreadable)?);
        let front = Front::new(memory);
        let (writer, jobs) = mpsc::channel(QUEUE_MAX);
        let outbox = writer::Outbox { rows_max: pending_max, news: Arc::default() };
        let news = Arc::clone(&outbox.news);
        let learning = Learning::new(writer.downgrade());
        let filter = Filter::default();
        let writing = writer::Writer {
            connection,
            front: front.clone(),
            filter: filter.clone(),
            learning: learning.clone(),
            counts: counts.clone(),
            outbox,
            metrics: metrics.clone(),
            _data_dir: data_dir,
        };
        writing
            .spawn(jobs)
            .map_err(|source| CacheError::DataDirectory { path: path.to_owned(), source: Arc::new(source) })?;
        let turns = Arc::new(Semaphore::new(READERS));
        let readers = Arc::new(Readers { turns, idle: Mutex::new(idle), runtime: Handle::current() });
        let has_outbox = pending_max.is_some();
        let ended = CancellationToken::new();
        let filling = Filling {
            filter: filter.clone(),
            front: front.clone(),
            readers: Arc::clone(&readers),
            counts: Arc::clone(&counts),
        };
        let until = ended.clone();
        tokio::spawn(async move { until.run_until_cancelled(filling.run()).await });
        let _filling = Arc::new(ended.drop_guard());
        Ok(Catalogue { front, filter, _filling, readers, writer, learning, has_outbox, counts, news, metrics })
    }

    pub(super) async fn source(
        &self,
        tenant: &Tenant,
        key: &SourceKey,
    ) -> Result<Result<Arc<SourceRecord>, Gap>, CacheError> {
        self.find(Key::Source(tenant.clone(), *key), Record::into_source).await
    }

    pub(super) async fn reference(
        &self,
        tenant: &Tenant,
        id: &ArtifactId,
    ) -> Result<Result<Arc<Reference>, Gap>, CacheError> {
        self.find(Key::Reference(tenant.clone(), *id), Record::into_reference).await
    }

    pub(super) async fn manifest(&self, id: &ArtifactId) -> Result<Result<Arc<Manifest>, Gap>, CacheError> {
        self.find(Key::Manifest(*id), Record::into_manifest).await
    }

    pub(super) async fn kept_source(&self, hash: &ContentHash) -> Result<Result<Arc<KeptSource>, Gap>, CacheError> {
        self.find(Key::Kept(*hash), Record::into_kept).await
    }

    pub(super) async fn responses(&self, key: &ResponseKey) -> Result<Option<Arc<Responses>>, CacheError> {
        Ok(self.find(Key::Responses(*key), Record::into_responses).await?.ok())
    }

    pub(super) fn responses_in_memory(&self, key: &ResponseKey) -> Option<Arc<Responses>> {
        self.recall(&Key::Responses(*key))?.into_responses()
    }

    pub(super) async fn keep_response(
        &self,
        key: ResponseKey,
        response: StoredResponse,
        addresses_max: u64,
    ) -> Result<(), CacheError> {
        self.change(Change::KeepResponse(key, Box::new(response), addresses_max)).await.map(drop)
    }

    pub(super) async fn forget_responses(&self, key: ResponseKey, which: Option<Which>) -> Result<(), CacheError> {
        self.change(Change::ForgetResponses(key, which)).await.map(drop)
    }

    pub(super) fn source_in_memory(&self, tenant: &Tenant, key: &SourceKey) -> Option<Arc<SourceRecord>> {
        self.recall(&Key::Source(tenant.clone(), *key))?.into_source()
    }

    pub(super) fn reference_in_memory(&self, tenant: &Tenant, id: &ArtifactId) -> Option<Arc<Reference>> {
        self.recall(&Key::Reference(tenant.clone(), *id))?.into_reference()
    }

    pub(super) fn manifest_in_memory(&self, id: &ArtifactId) -> Option<Arc<Manifest>> {
        self.recall(&Key::Manifest(*id))?.into_manifest()
    }

    pub(super) async fn commit(&self, commit: Commit) -> Result<(), CacheError> {
        // Written as JSON here rather than by the one writing thread.
        self.change(Change::commit(commit)?).await.map(drop)
    }

    pub(super) async fn forget_source(&self, tenant: &Tenant, key: &SourceKey) -> Result<(), CacheError> {
        self.change(Change::ForgetSource(tenant.clone(), *key)).await.map(drop)
    }

    pub(super) async fn drop_manifest(&self, id: &ArtifactId) -> Result<(), CacheError> {
        self.change(Change::DropManifest(*id)).await.map(drop)
    }

    pub(super) async fn drop_kept(&self, hash: &ContentHash) -> Result<(), CacheError> {
        self.change(Change::DropKept(*hash)).await.map(drop)
    }

    /// Drops a reference and adds what the other nodes are to be told of it: both or neither, also where nobody waits for the end.
    pub(super) async fn drop_reference(
        &self,
        tenant: &Tenant,
        id: &ArtifactId,
        is_news: bool,
        announcement: Option<Announcement>,
    ) -> Result<Option<Dropped>, CacheError> {
        self.change(Change::DropReference(tenant.clone(), *id, is_news, announcement)).await
    }

    pub(super) async fn label(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        source: &SourceKey,
        tags: Vec<String>,
    ) -> Result<(), CacheError> {
        self.change(Change::Label(tenant.clone(), *artifact, *source, tags)).await.map(drop)
    }

    /// Writes a rule down. One that speaks of everything takes the place of those that are not newer.
    pub(super) async fn purge(&self, rule: Rule) -> Result<(), CacheError> {
        self.change(Change::Purge(rule)).await.map(drop)
    }

    /// Adds what the other nodes are to be told.
    pub(super) async fn announce(&self, announcement: Announcement) -> Result<(), CacheError> {
        self.change(Change::Announce(announcement)).await.map(drop)
    }

    /// Has a reference written to the durable tier again, as it is. Does not wait for it; whether there was room in the queue.
    pub(super) fn try_tell_again(&self, tenant: &Tenant, artifact: &ArtifactId) -> bool {
        let (reply, _) = oneshot::channel();
        self.writer.try_send(Job { change: Change::TellAgain(tenant.clone(), *artifact), reply }).is_ok()
    }

    /// Notes what the durable tier knew and this node did not: at once where it is looked up, in the file soon. What is lost on the way is learned
    /// again.
    pub(super) async fn learn(&self, learned: Learned, gap: &Gap) -> Result<(), CacheError> {
        let rows = writer::Rows::learn(learned)?;
        for (key, record) in rows.records(None).into_iter().filter_map(|(key, record)| Some((key, record?))) {
            self.front.fill(key, record, gap.generation);
        }
        if self.learning.note(rows) { Ok(()) } else { self.write_learned().await }
    }

    /// Has what was learned written down, for those who ask the file what there is.
    pub(super) async fn write_learned(&self) -> Result<(), CacheError> {
        // Also where nothing waits: the writer may be about to commit what waited.
        if self.has_outbox { self.change(Change::WriteLearned).await.map(drop) } else { Ok(()) }
    }

    /// Has another node's manifest take the place of ours.
    pub(super) async fn adopt(&self, manifest: Manifest) -> Result<(), CacheError> {
        let rows = writer::Rows::learn(Learned::Manifest(manifest))?;
        self.change(Change::Commit(Box::new(rows))).await.map(drop)
    }

    /// Waits until something was noted for the durable tier since the last time.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// A source of which something newer is to be learned.
    pub(super) async fn older_source(&self, tenant: &Tenant, key: &SourceKey) -> Result<Gap, CacheError> {
        let key = Key::Source(tenant.clone(), *key);
        let generation = self.front.generation(&key);
        let has_outbox = self.has_outbox;
        self.read(move |db| Ok(Gap { is_pending: has_outbox && pending::names_record(db, &key)?, generation })).await
    }

    /// Whether a tenant has a reference to an artifact.
    pub(super) async fn is_referenced(&self, artifact: &ArtifactId) -> Result<bool, CacheError> {
        self.write_learned().await?;
        let artifact = *artifact;
        self.read(move |db| query::is_referenced(db, &artifact)).await
    }

    /// Whether a tenant has a reference to something that was made of an original.
    pub(super) async fn is_referenced_original(&self, hash: &ContentHash) -> Result<bool, CacheError> {
        self.write_learned().await?;
        let hash = *hash;
        self.read(move |db| query::is_referenced_original(db, &hash)).await
    }

    /// A tenant's references in order of their artifacts, `limit` of them behind `after`, of one original or of all, with the manifests
    /// that are here. What this version cannot read is named and not told.
    pub(super) async fn references(
        &self,
        tenant: &Tenant,
        original: Option<ContentHash>,
        after: Option<ArtifactId>,
        limit: u32,
    ) -> Result<Vec<(ArtifactId, Option<Reference>, Option<Manifest>)>, CacheError> {
        // What was served a moment ago is among them: who lists them may be about to remove them all.
        self.write_learned().await?;
        let tenant = tenant.clone();
        let read = move |db: &Connection| {
            let rows = query::references(db, &tenant, original.as_ref(), after.as_ref(), limit)?;
            let read = |row: query::ListedText| {
                let manifest = row.manifest.and_then(|text| serde_json::from_str(&text).ok());
                (row.artifact, serde_json::from_str(&row.reference).ok(), manifest)
            };
            Ok(rows.into_iter().map(read).collect())
        };
        self.read(read).await
    }

    /// What the durable tier is still to be told: the first `limit` behind the row `after`.
    pub(super) async fn pending(&self, after: i64, limit: usize) -> Result<Vec<Pending>, CacheError> {
        let front = self.front.clone();
        let read = move |db: &Connection| {
            let rows = pending::first(db, after, limit)?;
            // A row tells to look at a record: not at what it was before the change that has noted the row.
            front.caught_up();
            Ok(rows)
        };
        self.read(read).await
    }

    /// Has rows count as told.
    pub(super) async fn settle(&self, numbers: Vec<i64>) -> Result<(), CacheError> {
        self.change(Change::Settle(numbers)).await.map(drop)
    }

    /// The rules that were written down.
    pub(super) async fn purges(&self) -> Result<Vec<Rule>, CacheError> {
        self.read(query::purges).await
    }

    /// Writes what waits, empties the log into the file and ends the thread.
    pub(super) async fn close(&self) {
        if let Err(error) = self.change(Change::Close).await
            && !matches!(error, CacheError::Closed)
        {
            tracing::warn!(%error, "the catalogue did not close cleanly");
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts.load()
    }

    pub(super) fn front_entries(&self) -> usize {
        self.front.entries()
    }

    pub(super) fn front_bytes(&self) -> usize {
        self.front.bytes()
    }

    fn recall(&self, key: &Key) -> Option<Record> {
        let record = self.front.get(key)?;
        self.metrics.catalogue_hits.increment(1);
        Some(record)
    }

    async fn find<T>(&self, key: Key, into: fn(Record) -> Option<T>) -> Result<Result<T, Gap>, CacheError> {
        if let Some(found) = self.recall(&key).and_then(into) {
            return Ok(Ok(found));
        }
        // Before the filter is asked: what is committed after it has said no is a change since.
        let generation = self.front.generation(&key);
        if !self.filter.may_have(&key) {
            return Ok(Err(Gap { is_pending: false, generation }));
        }
        self.metrics.catalogue_reads.increment(1);
        let (front, metrics, has_outbox) = (self.front.clone(), self.metrics.clone(), self.has_outbox);
        let read = move |connection: &Connection| {
            let generation = front.generation(&key);
            if let Some(text) = query::record(connection, &key)? {
                match Record::read(&key, &text) {
                    Ok(record) => {
                        front.fill(key, record.clone(), generation);
                        return Ok(Ok(record));
                    }
                    Err(error) => {
                        metrics.catalogue_unreadable.increment(1);
                        tracing::warn!(%error, "a catalogue record cannot be read and counts as absent");
                    }
                }
            }
            Ok(Err(Gap { is_pending: has_outbox && pending::names_record(connection, &key)?, generation }))
        };
        let found = self.read(read).await?;
        // A record is of the kind that its key says.
        Ok(found.and_then(|record| into(record).ok_or(Gap { is_pending: true, generation: 0 })))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, CacheError> {
        self.readers.read(read).await
    }

    async fn change(&self, change: Change) -> Result<Option<Dropped>, CacheError> {
        let (reply, outcome) = oneshot::channel();
        self.writer.send(Job { change, reply }).await.map_err(|_| CacheError::Closed)?;
        outcome.await.map_err(|_| CacheError::Closed)?
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
