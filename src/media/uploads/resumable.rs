//! Uploads that are sent in parts and go on where they broke off: what the protocol of tus 1.0 needs (<https://tus.io/protocols/resumable-upload>).
//!
//! ```text
//! <data directory>/uploads-unfinished/<id>.part    the bytes that have come, on stable storage as far as they were acknowledged
//! <data directory>/uploads-unfinished/<id>.json    what it is: tenant, length, when it was begun, and once it is kept its hash
//! ```
//!
//! An upload belongs to the node that it was begun on. Its bytes become an upload like any other when the last of them has come: only
//! then is it hashed, recognised and kept, and the answer to the last part says how that ended. A node that dies in between does it when
//! it is asked next.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tokio::time::Sleep;

use super::{Config, PIECE, Uploaded, Uploads, full};
use crate::{
    clock::Clock,
    ids::{ContentHash, RandomId, Tenant},
    problem::{Kind, Problem},
    units::ByteCount,
};

/// An account's own unfinished uploads are at most this part of all that may be, so that there is room for others.
const ACCOUNT_SHARE: u64 = 2;

/// What files here end with: parts, records, and records that were being written.
const EXTENSIONS: [&str; 3] = ["part", "json", "new"];

/// Uploads that have not come to their end. Clones share everything.
#[derive(Clone, Debug)]
pub struct Resumable {
    uploads: Uploads,
    directory: PathBuf,
    /// A std lock: held for map operations only.
    known: Arc<Mutex<HashMap<RandomId, Entry>>>,
    clock: Clock,
    begun_max: usize,
    unfinished_max: ByteCount,
    resumed_within: Duration,
    bytes_max: ByteCount,
}

#[derive(Clone, Debug)]
struct Entry {
    upload: Begun,
    offset: u64,
    /// Whether a part of it is coming.
    is_busy: bool,
}

impl Entry {
    fn is_finished(&self) -> bool {
        self.upload.content_hash.is_some()
    }
}

/// Bytes of the unfinished uploads of some tenants, by the lengths that their senders said.
fn unfinished_of(known: &HashMap<RandomId, Entry>, is_meant: impl Fn(&str) -> bool) -> u64 {
    let meant = known.values().filter(|entry| !entry.is_finished() && is_meant(&entry.upload.tenant));
    meant.fold(0, |sum, entry| sum.saturating_add(entry.upload.length))
}

/// An upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    tenant: String,
    length: u64,
    /// When the last part came.
    at: SystemTime,
    /// What it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_hash: Option<ContentHash>,
}

/// How an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are on stable storage.
    pub offset: u64,
    /// Bytes of the whole.
    pub length: u64,
    /// Until when it can be gone on with.
    pub ends: SystemTime,
    /// What it became, once all of it is kept.
    pub content_hash: Option<ContentHash>,
}

/// Nobody else sends a part while this lives.
struct Turn {
    known: Arc<Mutex<HashMap<RandomId, Entry>>>,
    id: RandomId,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(entry) = lock(&self.known).get_mut(&self.id) {
            entry.is_busy = false;
        }
    }
}

fn lock(known: &Mutex<HashMap<RandomId, Entry>>) -> MutexGuard<'_, HashMap<RandomId, Entry>> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resumable {
    /// What was begun before this node started, as far as it can still be gone on with.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub(in crate::media) fn open(
        config: &Config,
        data_dir: &Path,
        uploads: Uploads,
        clock: Clock,
    ) -> io::Result<Resumable> {
        let directory = data_dir.join("uploads-unfinished");
        fs::create_dir_all(&directory)?;
        let resumable = Resumable {
            uploads,
            directory,
            known: Arc::default(),
            clock,
            begun_max: config.unfinished_uploads_max,
            unfinished_max: config.unfinished_max,
            resumed_within: config.resumed_within,
            bytes_max: config.bytes_max,
        };
        resumable.read_back()?;
        Ok(resumable)
    }

    fn read_back(&self) -> io::Result<()> {
        let id_of = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()?.parse::<RandomId>().ok());
        let (mut known, mut unreadable) = (HashMap::new(), HashSet::new());
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let Some(id) = id_of(&path).filter(|_| path.extension().is_some_and(|extension| extension == "json"))
            else {
                continue;
            };
            match self.read_entry(id) {
                Ok(Some(entry)) => drop(known.insert(id, entry)),
                Ok(None) => {}
                // It may be readable after the next start: what was acknowledged stays for as long.
                Err(error) => {
                    tracing::error!(%error, path = %path.display(), "an unfinished upload cannot be read back");
                    unreadable.insert(id);
                }
            }
        }
        // What has no record was never told to anybody. What is not ours stays.
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let is_ours = path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|ours| extension == *ours));
            if let Some(id) = id_of(&path).filter(|_| is_ours && path.is_file())
                && !known.contains_key(&id)
                && !unreadable.contains(&id)
            {
                fs::remove_file(&path)?;
            }
        }
        *lock(&self.known) = known;
        Ok(())
    }

    /// What there is of an upload; none where it has no record, or one that is damaged.
    fn read_entry(&self, id: RandomId) -> io::Result<Option<Entry>> {
        let Some(record) = absent_is_none(fs::read(self.record(id)))? else { return Ok(None) };
        let Ok(upload) = serde_json::from_slice::<Begun>(&record) else { return Ok(None) };
        if upload.content_hash.is_some() {
            return Ok(Some(Entry { offset: upload.length, upload, is_busy: false }));
        }
        let mut entry = Entry { offset: 0, upload, is_busy: false };
        if let Some(part) = absent_is_none(File::open(self.part(id)))? {
            // From now on it counts as acknowledged, and some of it may not have been when the node died.
            part.sync_all()?;
            let metadata = part.metadata()?;
            entry.offset = metadata.len().min(entry.upload.length);
            // The record says when it was begun: it is not written anew for each part.
            entry.upload.at = entry.upload.at.max(metadata.modified()?);
        }
        Ok(Some(entry))
    }

    fn part(&self, id: RandomId) -> PathBuf {
        self.directory.join(format!("{id}.part"))
    }

    fn record(&self, id: RandomId) -> PathBuf {
        self.directory.join(format!("{id}.json"))
    }

    /// Bytes of an upload at most.
    pub fn bytes_max(&self) -> ByteCount {
        self.bytes_max
    }

    /// Begins an upload of `length` bytes.
    ///
    /// # Errors
    /// `bad-request` for an empty one, `over-limit` for one that is too long, `over-quota`, `busy` where too much is unfinished, `storage-full`.
    pub async fn begin(&self, tenant: &Tenant, length: u64) -> Result<(RandomId, Progress), Problem> {
        if length == 0 {
            return Err(Problem::new(Kind::BadRequest, "an upload has at least one byte"));
        }
        if self.bytes_max.get() < length {
            return Err(self.uploads.too_long());
        }
        self.forget_old().await;
        // With what this tenant has not finished yet. Not held until it has come, which may take a day: it is asked for again then.
        let unfinished = unfinished_of(&lock(&self.known), |of| of == tenant.as_str());
        self.uploads.check_room(tenant, unfinished.saturating_add(length)).await?;
        let id = RandomId::draw(&mut rand::rng());
        let upload = Begun { tenant: tenant.to_string(), length, at: self.clock.now_wall(), content_hash: None };
        let forgotten = self.note(id, upload.clone())?;
        if let Some(finished) = forgotten {
            self.remove_files(finished).await;
        }
        let (part, record) = (self.part(id), self.record(id));
        let written = blocking(move || {
            File::create(part).and_then(|file| file.sync_all()).and_then(|()| write(&record, &upload))
        });
        if let Err(problem) = written.await {
            self.discard(id).await;
            return Err(problem);
        }
        Ok((id, self.progress(tenant, id)?))
    }

    /// Notes an upload that begins, where that may be. Where there are as many as may, gives back the one that is known no more for it: of those
    /// that have come to their end, the one that was begun first.
    fn note(&self, id: RandomId, upload: Begun) -> Result<Option<RandomId>, Problem> {
        let mut known = lock(&self.known);
        let is_own = |of: &str| of == upload.tenant;
        let unfinished = unfinished_of(&known, |_| true).saturating_add(upload.length);
        let own = unfinished_of(&known, is_own).saturating_add(upload.length);
        let own_uploads = known.values().filter(|entry| !entry.is_finished() && is_own(&entry.upload.tenant)).count();
        if upload.tenant != Tenant::default_tenant().as_str()
            && (self.unfinished_max.get() / ACCOUNT_SHARE < own
                || self.begun_max as u64 / ACCOUNT_SHARE <= own_uploads as u64)
        {
            return Err(Problem::new(Kind::Busy, "too many of this account's uploads are unfinished"));
        }
        let mut makes_room = None;
        let is_full = self.begun_max <= known.len();
        if is_full {
            let finished = known.iter().filter(|(_, entry)| entry.is_finished() && !entry.is_busy);
            makes_room = finished.min_by_key(|(_, entry)| entry.upload.at).map(|(id, _)| *id);
        }
        if (is_full && makes_room.is_none()) || self.unfinished_max.get() < unfinished {
            let detail = "too many uploads are unfinished (media.uploads.unfinished_uploads_max, unfinished_max)";
            return Err(Problem::new(Kind::Busy, detail));
        }
        if let Some(finished) = makes_room {
            known.remove(&finished);
        }
        known.insert(id, Entry { upload, offset: 0, is_busy: false });
        Ok(makes_room)
    }

    /// Begins an upload with its first part. One that is not whole then, because its sender or this node broke off, goes on by its id.
    ///
    /// # Errors
    /// As [`begin`](Resumable::begin) and [`append`](Resumable::append): nothing was begun then.
    pub async fn begin_with<E>(
        &self,
        tenant: &Tenant,
        length: u64,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        idle_max: Duration,
    ) -> Result<(RandomId, Progress), Problem> {
        let (id, _) = self.begin(tenant, length).await?;
        let problem = match self.append(tenant, id, 0, body, idle_max).await {
            Ok(progress) => return Ok((id, progress)),
            Err(problem) => problem,
        };
        if matches!(problem.kind, Kind::BadRequest | Kind::RequestTimeout | Kind::Busy)
            && let Ok(progress) = self.progress(tenant, id)
            // That all bytes are there says that it is kept.
            && (progress.offset < progress.length || progress.content_hash.is_some())
        {
            return Ok((id, progress));
        }
        // Nobody was told its id.
        self.discard(id).await;
        Err(problem)
    }

    fn progress(&self, tenant: &Tenant, id: RandomId) -> Result<Progress, Problem> {
        let known = lock(&self.known);
        let Entry { upload, offset, .. } =
            known.get(&id).filter(|entry| self.is_of(tenant, entry)).ok_or_else(unknown)?;
        let ends = upload.at + self.resumed_within;
        Ok(Progress { offset: *offset, length: upload.length, ends, content_hash: upload.content_hash })
    }

    /// How an upload stands. One that has all its bytes is kept before this answers, if that was not done.
    ///
    /// # Errors
    /// `not-found`; what keeping it led to.
    pub async fn ask(&self, tenant: &Tenant, id: RandomId) -> Result<Progress, Problem> {
        let progress = self.progress(tenant, id)?;
        if progress.offset < progress.length || progress.content_hash.is_some() {
            return Ok(progress);
        }
        let _turn = self.turn(tenant, id)?;
        let _place = self.uploads.place()?;
        self.finish(tenant, id).await?;
        self.progress(tenant, id)
    }

    /// Whether an upload is this tenant's and can still be gone on with.
    fn is_of(&self, tenant: &Tenant, entry: &Entry) -> bool {
        entry.upload.tenant == tenant.as_str() && !self.is_over(entry)
    }

    /// Whether nobody went on with it in time.
    fn is_over(&self, entry: &Entry) -> bool {
        !entry.is_busy && entry.upload.at + self.resumed_within < self.clock.now_wall()
    }

    /// Has an upload to oneself.
    fn turn(&self, tenant: &Tenant, id: RandomId) -> Result<Turn, Problem> {
        let mut known = lock(&self.known);
        let entry = known.get_mut(&id).filter(|entry| self.is_of(tenant, entry)).ok_or_else(unknown)?;
        if std::mem::replace(&mut entry.is_busy, true) {
            return Err(Problem::new(Kind::Locked, "another part of this upload is being received"));
        }
        Ok(Turn { known: Arc::clone(&self.known), id })
    }

    /// Takes the part that begins at `offset`. What has come of a body that breaks off is kept: the sender asks how far it got.
    ///
    /// # Errors
    /// `not-found`; `conflict` where `offset` is not where the upload stands; `over-limit` where the body is longer than the rest; `locked`
    /// where another part is coming; `request-timeout`, also for a part that takes longer than an upload may; `bad-request`, `storage-full`; and
    /// with the last part what keeping it led to.
    pub async fn append<E>(
        &self,
        tenant: &Tenant,
        id: RandomId,
        offset: u64,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        idle_max: Duration,
    ) -> Result<Progress, Problem> {
        let turn = Arc::new(self.turn(tenant, id)?);
        let Progress { offset: stands, length, content_hash, .. } = self.progress(tenant, id)?;
        if offset != stands || (content_hash.is_some() && offset < length) {
            return Err(Problem::new(Kind::Conflict, format!("the upload stands at {stands}")));
        }
        let _place = self.uploads.place()?;
        let mut ended = Ok(());
        let mut at = stands;
        // A sender who is slow for ever would have the place for ever.
        let mut late = pin!(tokio::time::sleep(self.uploads.timeout));
        while at < length {
            let gathered = gather(&mut body, idle_max, late.as_mut()).await;
            let (bytes, mut end) = match gathered {
                Ok((bytes, has_ended)) => (bytes, has_ended.then_some(Ok(()))),
                Err((bytes, problem)) => (bytes, Some(Err(problem))),
            };
            let left = length - at;
            let mut is_too_long = left < bytes.len() as u64;
            if left == bytes.len() as u64 && end.is_none() {
                // Before the last of it is taken.
                let behind = gather(&mut body, idle_max, late.as_mut()).await;
                let (behind, its_end) = match behind {
                    Ok((bytes, _)) => (bytes, Ok(())),
                    Err((bytes, problem)) => (bytes, Err(problem)),
                };
                (is_too_long, end) = (!behind.is_empty(), Some(its_end));
            }
            if is_too_long {
                return Err(Problem::new(Kind::OverLimit, "the part is longer than what is missing of the upload"));
            }
            if !bytes.is_empty() {
                at = self.write(&turn, at, bytes).await?;
            }
            if let Some(end) = end {
                ended = end;
                break;
            }
        }
        // What ends in an error is not kept by itself, though all of it has come: its sender may not be who may have that done any more.
        if at == length && content_hash.is_none() && ended.is_ok() {
            self.finish(tenant, id).await?;
        }
        drop(turn);
        ended?;
        self.progress(tenant, id)
    }

    /// Has bytes on stable storage, and says so. A sender who leaves meanwhile changes nothing of that, and nobody else has the turn before it
    /// is done.
    async fn write(&self, turn: &Arc<Turn>, at: u64, bytes: Bytes) -> Result<u64, Problem> {
        let (part, turn, now) = (self.part(turn.id), Arc::clone(turn), self.clock.now_wall());
        let written = move || {
            let file = OpenOptions::new().write(true).open(part)?;
            // What a part that was never acknowledged left behind it is written over.
            file.set_len(at)?;
            file.write_all_at(&bytes, at)?;
            file.sync_data()?;
            let after = at + bytes.len() as u64;
            if let Some(entry) = lock(&turn.known).get_mut(&turn.id) {
                entry.offset = after;
                entry.upload.at = now;
            }
            Ok(after)
        };
        blocking(written).await
    }

    /// All its bytes are there: they become an upload like any other. What cannot be one is gone with this.
    async fn finish(&self, tenant: &Tenant, id: RandomId) -> Result<Uploaded, Problem> {
        let (part, record) = (self.part(id), self.record(id));
        let length = lock(&self.known).get(&id).map(|entry| entry.upload.length).ok_or_else(unknown)?;
        // Before all of it is read: who keeps as much as it may can ask for this over and over.
        self.uploads.check_room(tenant, length).await?;
        let path = part.clone();
        let file = Arc::new(blocking(move || File::open(path)).await?);
        let bytes = stream::try_unfold((file, 0), |(file, at)| async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; PIECE];
                let read = file.read_at(&mut buffer, at)?;
                buffer.truncate(read);
                Ok::<_, io::Error>((file, Bytes::from(buffer)))
            });
            let (file, bytes) = read.await.map_err(io::Error::other)??;
            let next = at + bytes.len() as u64;
            Ok::<_, io::Error>((!bytes.is_empty()).then_some((bytes, (file, next))))
        });
        let bytes = pin!(bytes);
        let kept = self.uploads.receive_placed(tenant, Some(length), bytes, Duration::MAX).await;
        let uploaded = match kept {
            Ok(uploaded) => uploaded,
            Err(problem) => {
                return Err(match problem.kind {
                    // What is no audio stays none.
                    Kind::NotAudio | Kind::Undecodable | Kind::OverLimit => {
                        self.discard(id).await;
                        problem
                    }
                    // The body is a file of ours: its sender did nothing wrong, and what was acknowledged is not thrown away.
                    Kind::BadRequest | Kind::RequestTimeout => {
                        tracing::error!(%problem, "the parts of an upload cannot be read back");
                        Problem::new(Kind::Internal, "the parts of the upload cannot be read back")
                    }
                    // A store that fails may not fail the next time.
                    _ => problem,
                });
            }
        };
        let upload = {
            let mut known = lock(&self.known);
            let entry = known.get_mut(&id).ok_or_else(unknown)?;
            entry.upload.content_hash = Some(uploaded.content_hash);
            entry.upload.clone()
        };
        // It is kept, whatever becomes of this: a sender who asks again has it kept again.
        blocking(move || write(&record, &upload).and_then(|()| remove(&part))).await?;
        Ok(uploaded)
    }

    /// Gives an upload up. What it became stays.
    ///
    /// # Errors
    /// `not-found`; `locked` where a part is coming.
    pub async fn give_up(&self, tenant: &Tenant, id: RandomId) -> Result<(), Problem> {
        let _turn = self.turn(tenant, id)?;
        self.discard(id).await;
        Ok(())
    }

    async fn discard(&self, id: RandomId) {
        lock(&self.known).remove(&id);
        self.remove_files(id).await;
    }

    /// Of an upload that is not known any more.
    async fn remove_files(&self, id: RandomId) {
        let paths = [self.record(id), self.part(id)];
        // One that stays is found at the next start.
        let removed =
            tokio::task::spawn_blocking(move || paths.iter().for_each(|path| remove(path).unwrap_or_default()));
        removed.await.unwrap_or_default();
    }

    /// Gives up what nobody went on with in time.
    async fn forget_old(&self) {
        // In one step: whoever has the turn of one keeps it, and nobody gets it any more.
        let old: Vec<RandomId> =
            lock(&self.known).extract_if(|_, entry| self.is_over(entry)).map(|(id, _)| id).collect();
        for id in old {
            self.remove_files(id).await;
        }
    }
}

/// What comes of a body until there is a piece that is worth writing, or its end: then true. What has come goes with an error, too, of which
/// one is that it is `late`.
async fn gather<E>(
    body: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    idle_max: Duration,
    mut late: Pin<&mut Sleep>,
) -> Result<(Bytes, bool), (Bytes, Problem)> {
    let mut gathered = BytesMut::new();
    while gathered.len() < PIECE {
        let next = tokio::select! {
            next = tokio::time::timeout(idle_max, body.next()) => next,
            () = late.as_mut() => {
                let detail = "the part did not come in time (media.uploads.timeout)";
                return Err((gathered.freeze(), Problem::new(Kind::RequestTimeout, detail)));
            }
        };
        match next {
            Ok(Some(Ok(bytes))) => gathered.extend_from_slice(&bytes),
            Ok(None) => return Ok((gathered.freeze(), true)),
            Ok(Some(Err(_))) => {
                return Err((gathered.freeze(), Problem::new(Kind::BadRequest, "the body broke off")));
            }
            Err(_) => {
                let detail = "nothing of the body came for too long (http.body_timeout)";
                return Err((gathered.freeze(), Problem::new(Kind::RequestTimeout, detail)));
            }
        }
    }
    Ok((gathered.freeze(), false))
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound, "there is no such upload, or its time is over")
}

async fn blocking<T: Send + 'static>(job: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(job).await;
    let done = done.map_err(|_| Problem::new(Kind::Internal, "the upload was given up"))?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => full(),
        _ => {
            tracing::error!(%error, "unfinished uploads cannot be written");
            Problem::new(Kind::Internal, "the upload cannot be written")
        }
    })
}

/// Removes a file, where it is there.
fn remove(path: &Path) -> io::Result<()> {
    absent_is_none(fs::remove_file(path)).map(drop)
}

fn absent_is_none<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a record in one step.
fn write(path: &Path, upload: &Begun) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec(upload)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
