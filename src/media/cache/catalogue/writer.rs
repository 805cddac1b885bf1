//! The one thread that writes: takes all changes that wait, applies them in one transaction, updates the front, replies.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    Commit, Counts, Dropped, Learned,
    filter::Filter,
    front::{Front, Key, Record},
    learning::Learning,
    pending::{self, Announcement, News, Noted, Subject},
    query,
};
use crate::{
    ids::{ArtifactId, ContentHash, ResponseKey, SourceKey, Tenant},
    media::cache::{
        error::CacheError,
        metrics::Metrics,
        purges::Rule,
        records::{KeptSource, Manifest, Reference, SourceRecord},
        responses::{Responses, StoredResponse, Which},
    },
};

/// Most changes in one transaction: beyond a few hundred a batch gains nothing, and the first waits for the last.
const BATCH_MAX: usize = 256;

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) change: Change,
    pub(super) reply: oneshot::Sender<Result<Option<Dropped>, CacheError>>,
}

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Change {
    Commit(Box<Rows>),
    ForgetSource(Tenant, SourceKey),
    DropManifest(ArtifactId),
    DropKept(ContentHash),
    /// Whether it is news to the durable tier: not where it was heard from there. And what the other nodes are told of it.
    DropReference(Tenant, ArtifactId, bool, Option<Announcement>),
    /// More labels for a reference and a source, as far as there are such.
    Label(Tenant, ArtifactId, SourceKey, Vec<String>),
    Purge(Rule),
    /// Something for the other nodes.
    Announce(Announcement),
    /// A reference that has not changed is to be written to the durable tier again.
    TellAgain(Tenant, ArtifactId),
    /// Rows of the outbox that were told.
    Settle(Vec<i64>),
    /// Nothing but what waits.
    WriteLearned,
    /// With the most addresses of which responses are kept.
    KeepResponse(ResponseKey, Box<StoredResponse>, u64),
    /// One of them, or all.
    ForgetResponses(ResponseKey, Option<Which>),
    /// The last change: what comes after it finds the channel closed.
    Close,
}

/// A [`Commit`], written as JSON.
#[derive(Debug)]
pub(super) struct Rows {
    tenant: Tenant,
    source_key: SourceKey,
    source: Option<Row<SourceRecord>>,
    manifest: Option<Row<Manifest>>,
    reference: Option<(ArtifactId, Row<Reference>)>,
    kept: Option<Row<KeptSource>>,
    is_news: bool,
}

#[derive(Debug)]
struct Row<T> {
    record: Arc<T>,
    text: String,
}

impl<T: Serialize> Row<T> {
    fn new(record: T) -> Result<Row<T>, CacheError> {
        Ok(Row { text: serde_json::to_string(&record)?, record: Arc::new(record) })
    }
}

impl Change {
    pub(super) fn commit(commit: Commit) -> Result<Change, CacheError> {
        Ok(Change::Commit(Box::new(Rows::new(commit, true)?)))
    }
}

impl Rows {
    fn new(commit: Commit, is_news: bool) -> Result<Rows, CacheError> {
        let Commit { tenant, source_key, source, manifest, reference, kept } = commit;
        let reference = match reference {
            Some((artifact, record)) => Some((artifact, Row::new(record)?)),
            None => None,
        };
        Ok(Rows {
            tenant,
            source_key,
            source: source.map(Row::new).transpose()?,
            manifest: manifest.map(Row::new).transpose()?,
            reference,
            kept: kept.map(Row::new).transpose()?,
            is_news,
        })
    }

    /// What the durable tier knew: no news to it.
    pub(super) fn learn(learned: Learned) -> Result<Rows, CacheError> {
        let (tenant, key) = match &learned {
            Learned::Source(tenant, key, _) => (tenant.clone(), *key),
            Learned::Reference(tenant, _, shared) => (tenant.clone(), shared.source_key),
            // Nobody's.
            Learned::Manifest(_) | Learned::Kept(_) => (Tenant::default_tenant(), SourceKey::from_bytes([0; 32])),
        };
        let mut commit = Commit::new(tenant, key);
        match learned {
            Learned::Source(_, _, record) => commit.source = Some(record),
            Learned::Reference(_, artifact, shared) => commit.reference = Some((artifact, shared.reference)),
            Learned::Manifest(manifest) => commit.manifest = Some(manifest),
            Learned::Kept(kept) => commit.kept = Some(kept),
        }
        Rows::new(commit, false)
    }
}

/// The counts as of the last transaction.
#[derive(Debug, Default)]
pub(super) struct LiveCounts {
    sources: AtomicU64,
    references: AtomicU64,
    artifacts: AtomicU64,
    kept_sources: AtomicU64,
    responses: AtomicU64,
    pending: AtomicU64,
}

impl LiveCounts {
    pub(super) fn store(&self, counts: Counts) {
        self.sources.store(counts.sources, Ordering::Relaxed);
        self.references.store(counts.references, Ordering::Relaxed);
        self.artifacts.store(counts.artifacts, Ordering::Relaxed);
        self.kept_sources.store(counts.kept_sources, Ordering::Relaxed);
        self.responses.store(counts.responses, Ordering::Relaxed);
        self.pending.store(counts.pending, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> Counts {
        Counts {
            sources: self.sources.load(Ordering::Relaxed),
            references: self.references.load(Ordering::Relaxed),
            artifacts: self.artifacts.load(Ordering::Relaxed),
            kept_sources: self.kept_sources.load(Ordering::Relaxed),
            responses: self.responses.load(Ordering::Relaxed),
            pending: self.pending.load(Ordering::Relaxed),
        }
    }
}

/// Where changes are noted for the durable tier.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    /// Rows at most; none where nobody is to be told.
    pub(super) rows_max: Option<u64>,
    /// Told when there is something.
    pub(super) news: Arc<Notify>,
}

/// Who writes, on a thread of its own.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) front: Front,
    pub(super) filter: Filter,
    pub(super) learning: Learning,
    pub(super) counts: Arc<LiveCounts>,
    pub(super) outbox: Outbox,
    pub(super) metrics: Metrics,
    /// The lock on the data directory, given back with the connection.
    pub(super) _data_dir: Arc<File>,
}

/// What the front and the durable tier learn from a change, and what its sender is told.
#[derive(Default)]
struct Effect {
    changed: Vec<(Key, Option<Record>)>,
    dropped: Option<Dropped>,
    /// For the durable tier.
    news: Vec<News>,
}

impl Effect {
    /// A change of what only this node has.
    fn here(changed: Vec<(Key, Option<Record>)>) -> Effect {
        Effect { changed, ..Effect::default() }
    }

    /// A change that the durable tier is to be told of.
    fn everywhere(changed: Vec<(Key, Option<Record>)>) -> Effect {
        let news = changed
            .iter()
            .filter_map(|(key, record)| Some(News { subject: Subject::of(key)?, is_owed: record.is_none() }));
        Effect { news: news.collect(), changed, dropped: None }
    }
}

impl Writer {
    /// Starts the thread. It ends at [`Change::Close`], or when nobody can send any more and all is written.
    pub(super) fn spawn(self, jobs: mpsc::Receiver<Job>) -> io::Result<()> {
        thread::Builder::new().name("catalogue".to_owned()).spawn(move || self.run(jobs)).map(drop)
    }

    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        let mut closing = Vec::new();
        while let Some(first) = jobs.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH_MAX
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            closing.extend(batch.extract_if(.., |job| matches!(job.change, Change::Close)));
            if !closing.is_empty() {
                jobs.close();
                // Those that were already in the queue are still written.
                while let Ok(job) = jobs.try_recv() {
                    batch.push(job);
                }
            }
            self.apply(&mut batch);
        }
        self.apply(&mut batch);
        self.checkpoint();
        // With the lock on the directory, before anybody is told.
        drop(self);
        for job in closing {
            // The process may end as soon as it is told.
            let _gone = job.reply.send(Ok(None));
        }
    }

    /// Moves the log into the database. Not needed for safety: it makes the next start quicker and leaves one file to back up.
    fn checkpoint(&self) {
        let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        if !matches!(busy, Ok(false)) {
            tracing::warn!(outcome = ?busy, "the catalogue's log was left as it is");
        }
    }

    fn apply(&mut self, batch: &mut Vec<Job>) {
        // First: who asked for a change may have learned what it changes before.
        let learned = self.learning.take().into_iter().map(|rows| {
            let (reply, _) = oneshot::channel();
            Job { change: Change::Commit(Box::new(rows)), reply }
        });
        batch.splice(..0, learned);
        if batch.is_empty() {
            return;
        }
        let front = self.front.clone();
        let _applying = front.applying();
        let effects = self.transact(batch);
        match effects {
            Ok(effects) => {
                self.metrics.catalogue_batches.increment(1);
                self.metrics.catalogue_commits.increment(batch.len() as u64);
                for (job, effect) in batch.drain(..).zip(effects) {
                    self.update_front(effect.changed);
                    // Whoever asked may have gone; the change stands.
                    let _gone = job.reply.send(Ok(effect.dropped));
                }
            }
            Err(error) => {
                self.metrics.catalogue_failures.increment(1);
                tracing::error!(%error, changes = batch.len(), "the catalogue cannot be written");
                let error = CacheError::from(error);
                for job in batch.drain(..) {
                    if let Change::Commit(rows) = &job.change {
                        self.update_front(rows.records(None));
                    }
                    let _gone = job.reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn transact(&mut self, batch: &[Job]) -> rusqlite::Result<Vec<Effect>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let effects =
            batch.iter().map(|job| execute(&transaction, &job.change)).collect::<rusqlite::Result<Vec<_>>>()?;
        let (mut noted, mut unnoted) = (false, 0);
        if let Some(rows_max) = self.outbox.rows_max {
            for news in effects.iter().flat_map(|effect| &effect.news) {
                let became = pending::put(&transaction, news, rows_max)?;
                noted |= became != Noted::No;
                unnoted += u64::from(became != Noted::Yes);
                if became == Noted::No && news.is_owed {
                    tracing::error!(subject = ?news.subject, "the durable tier will not be told: its list is full of removals");
                }
            }
        }
        let counts = query::counts(&transaction)?;
        // What the outbox has rows of is among it.
        self.filter.add(effects.iter().flat_map(|effect| &effect.changed).map(|(key, _)| key));
        transaction.commit()?;
        self.counts.store(counts);
        self.metrics.pending_refused.increment(unnoted);
        if noted {
            self.outbox.news.notify_one();
        }
        Ok(effects)
    }

    fn update_front(&self, changed: Vec<(Key, Option<Record>)>) {
        for (key, record) in changed {
            self.front.change(key, record);
        }
    }
}

fn execute(db: &Transaction<'_>, change: &Change) -> rusqlite::Result<Effect> {
    let gone = |key| Effect::here(vec![(key, None)]);
    Ok(match change {
        // The front may have it already, in the place of what is newer.
        Change::Commit(rows) if rows.is_overtaken(db)? => {
            Effect::here(rows.records(None).into_iter().map(|(key, _)| (key, None)).collect())
        }
        Change::Commit(rows) => {
            let reference = rows.put(db)?;
            let changed = rows.records(reference);
            if rows.is_news { Effect::everywhere(changed) } else { Effect::here(changed) }
        }
        Change::ForgetSource(tenant, key) => {
            query::delete_source(db, tenant, key)?;
            Effect::everywhere(vec![(Key::Source(tenant.clone(), *key), None)])
        }
        Change::DropManifest(artifact) => {
            query::delete_manifest(db, artifact)?;
            gone(Key::Manifest(*artifact))
        }
        Change::DropKept(hash) => {
            query::delete_kept(db, hash)?;
            gone(Key::Kept(*hash))
        }
        Change::DropReference(tenant, artifact, is_news, announcement) => {
            let mut effect = match query::delete_reference(db, tenant, artifact)? {
                Some(deleted) => {
                    let changed = deleted.keys.into_iter().map(|key| (key, None)).collect();
                    let effect = if *is_news { Effect::everywhere(changed) } else { Effect::here(changed) };
                    Effect { dropped: Some(deleted.dropped), ..effect }
                }
                // One that could never be written down lives in the front alone.
                None => gone(Key::Reference(tenant.clone(), *artifact)),
            };
            effect.news.extend(announcement.as_ref().map(to_announce));
            effect
        }
        Change::Label(tenant, artifact, source_key, tags) => {
            let (reference, source) = query::label(db, tenant, artifact, source_key, tags)?;
            let reference = reference
                .map(|record| (Key::Reference(tenant.clone(), *artifact), Some(Record::Reference(Arc::new(record)))));
            let source =
                source.map(|record| (Key::Source(tenant.clone(), *source_key), Some(Record::Source(Arc::new(record)))));
            Effect::everywhere(reference.into_iter().chain(source).collect())
        }
        Change::Purge(rule) => {
            query::put_purge(db, rule)?;
            Effect::default()
        }
        Change::Announce(announcement) => Effect { news: vec![to_announce(announcement)], ..Effect::default() },
        Change::TellAgain(tenant, artifact) => {
            // One that lives in the front alone would be taken for one that was dropped.
            let is_there = query::reference_with_key(db, tenant, artifact)?.is_some();
            let news =
                is_there.then(|| News { subject: Subject::Reference(tenant.clone(), *artifact), is_owed: false });
            Effect { news: news.into_iter().collect(), ..Effect::default() }
        }
        Change::Settle(numbers) => {
            pending::settle(db, numbers)?;
            Effect::default()
        }
        Change::WriteLearned => Effect::default(),
        Change::KeepResponse(key, response, addresses_max) => {
            let together = query::responses(db, key)?.with(StoredResponse::clone(response));
            query::put_responses(db, key, &together)?;
            let mut changed = vec![(Key::Responses(*key), responses_record(together))];
            let trimmed = query::trim_responses(db, *addresses_max)?;
            changed.extend(trimmed.into_iter().map(|key| (Key::Responses(key), None)));
            Effect::here(changed)
        }
        Change::ForgetResponses(key, which) => {
            let left = match which {
                Some(which) => query::responses(db, key)?.without(which),
                None => Responses::default(),
            };
            query::put_responses(db, key, &left)?;
            Effect::here(vec![(Key::Responses(*key), responses_record(left))])
        }
        Change::Close => Effect::default(),
    })
}

fn to_announce(announcement: &Announcement) -> News {
    News { subject: Subject::Announcement(announcement.clone()), is_owed: true }
}

fn responses_record(responses: Responses) -> Option<Record> {
    (!responses.variants.is_empty()).then(|| Record::Responses(Arc::new(responses)))
}

impl Rows {
    /// Whether what the durable tier knew is older than what has come to be known here while it was on its way.
    fn is_overtaken(&self, db: &Transaction<'_>) -> rusqlite::Result<bool> {
        if self.is_news {
            return Ok(false);
        }
        let mut subjects = Vec::new();
        if let Some(row) = &self.source {
            let known = query::source_record(db, &self.tenant, &self.source_key)?;
            if known.is_some_and(|known| row.record.checked_at < known.checked_at) {
                return Ok(true);
            }
            subjects.push(Subject::Source(self.tenant.clone(), self.source_key));
        }
        subjects.extend(self.reference.iter().map(|(artifact, _)| Subject::Reference(self.tenant.clone(), *artifact)));
        subjects.iter().try_fold(false, |is_overtaken, subject| Ok(is_overtaken || pending::names(db, subject)?))
    }

    /// Writes all; answers the reference, where it is not what was given because there was one before.
    fn put(&self, db: &Transaction<'_>) -> rusqlite::Result<Option<Reference>> {
        if let Some(row) = &self.kept {
            query::put_kept(db, &row.record, &row.text)?;
        }
        if let Some(row) = &self.manifest {
            query::put_manifest(db, &row.record, &row.text)?;
        }
        if let Some(row) = &self.source {
            query::put_source(db, &self.tenant, &self.source_key, &row.text)?;
        }
        match &self.reference {
            Some((artifact, row)) => {
                query::put_reference(db, &self.tenant, artifact, &self.source_key, &row.record, &row.text)
            }
            None => Ok(None),
        }
    }

    /// What the front learns, with `reference` as it was written in place of what was given.
    pub(super) fn records(&self, reference: Option<Reference>) -> Vec<(Key, Option<Record>)> {
        let rewritten = reference.map(Arc::new);
        let source = self
            .source
            .as_ref()
            .map(|row| (Key::Source(self.tenant.clone(), self.source_key), Record::Source(row.record.clone())));
        let manifest = self
            .manifest
            .as_ref()
            .map(|row| (Key::Manifest(row.record.artifact), Record::Manifest(row.record.clone())));
        let reference = self.reference.as_ref().map(|(artifact, row)| {
            let record = rewritten.unwrap_or_else(|| row.record.clone());
            (Key::Reference(self.tenant.clone(), *artifact), Record::Reference(record))
        });
        let kept = self.kept.as_ref().map(|row| (Key::Kept(row.record.content_hash), Record::Kept(row.record.clone())));
        [source, manifest, reference, kept].into_iter().flatten().map(|(key, record)| (key, Some(record))).collect()
    }
}
