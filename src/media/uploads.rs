//! Uploads: originals that people put here. They are no cache: what was acknowledged stays until it is removed by whoever put it there.
//!
//! A body is spooled, hashed and recognised before anything is written under its name, so that a name stands for whole audio of that hash
//! or for nothing. It is acknowledged when the store has it on stable storage. The store is the durable tier's where there is one, else a
//! directory of this node. Names begin with the tenant: what is another's is as unknown as what is nobody's.

mod config;
mod quota;
mod resumable;
mod serve;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::quota::{Promise, QuotaError, Quotas};
pub use self::{
    config::Config,
    resumable::{Progress, Resumable},
};
use crate::{
    clock::Clock,
    ids::{BodyDigest, ContentHash, Sha256, Tenant},
    media::{
        audio,
        cache::{
            Cache, CacheError,
            durable::{Directory, ObjectBytes, ObjectKey, ObjectStore, Replace, StoreError, Upload, Written, layout},
        },
        spool::{Spool, Spools},
    },
    problem::{Kind, Problem},
    units::ByteCount,
};

/// Bytes that go to the spool at a time: worth the way to a thread that may wait for a disk.
const PIECE: usize = 256 << 10;

/// Receives, keeps and gives back uploads. Clones share everything.
#[derive(Clone, Debug)]
pub struct Uploads {
    store: Arc<dyn ObjectStore>,
    spools: Spools,
    /// A permit for each body that is being received.
    places: Arc<Semaphore>,
    bytes_max: ByteCount,
    timeout: Duration,
    quotas: Quotas,
}

/// What was received and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Its name.
    pub content_hash: ContentHash,
    /// Its bytes.
    pub bytes: u64,
    /// What it is, by its content.
    pub content_type: String,
    /// Whether it was there before.
    pub was_there: bool,
}

impl Uploads {
    /// Uploads in the durable store of `cache`, else in `uploads` in `data_dir`.
    ///
    /// # Errors
    /// That directory cannot be made or written.
    pub(in crate::media) async fn open(
        config: &Config,
        data_dir: &Path,
        cache: &Cache,
        spools: Spools,
        clock: Clock,
    ) -> Result<Uploads, CacheError> {
        let store = match cache.durable_store() {
            Some(store) => store,
            None => Arc::new(Directory::open(data_dir.join("uploads")).await?) as Arc<dyn ObjectStore>,
        };
        let places = Arc::new(Semaphore::new(config.receiving_max.min(Semaphore::MAX_PERMITS)));
        let quotas = Quotas::new(config.tenant_bytes_max, config.tenant_uploads_max, clock);
        Ok(Uploads { store, spools, places, bytes_max: config.bytes_max, timeout: config.timeout, quotas })
    }

    /// Receives a body and keeps it. When this returns, it is on stable storage. `declared` is the length that its sender says;
    /// `idle_max` is how long nothing of it may come.
    ///
    /// **Cancel-safe**: then nothing is kept, or all of it.
    ///
    /// # Errors
    /// `bad-request` where nothing came or the body broke off; `not-audio`; `over-limit`; `over-quota`; `request-timeout`; `storage-full`; `busy` where
    /// the store fails or too many are being received. Nothing was kept then.
    pub async fn receive<E>(
        &self,
        tenant: &Tenant,
        declared: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        idle_max: Duration,
    ) -> Result<Uploaded, Problem> {
        // Who is to be counted waits for that in nobody's place.
        match self.check_room(tenant, 0).await {
            // What is there already may be sent by one who keeps as much as it may.
            Err(problem) if problem.kind != Kind::OverQuota => return Err(problem),
            Err(_) | Ok(()) => {}
        }
        let _place = self.place()?;
        self.receive_placed(tenant, declared, body, idle_max).await
    }

    /// A place among those that are received.
    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Problem::new(Kind::Busy, "as many uploads as may are being received (media.uploads.receiving_max)")
        })
    }

    /// The same for one who has a place.
    async fn receive_placed<E>(
        &self,
        tenant: &Tenant,
        declared: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        idle_max: Duration,
    ) -> Result<Uploaded, Problem> {
        // Before anything of it is read.
        if declared.is_some_and(|declared| self.bytes_max.get() < declared) {
            return Err(self.too_long());
        }
        let late = |_| Problem::new(Kind::RequestTimeout, "the body did not come in time (media.uploads.timeout)");
        let received =
            tokio::time::timeout(self.timeout, self.spool(declared, body, idle_max)).await.map_err(late)??;
        let kind = received.recognize().await?;
        let content_type = kind.content_type().into_owned();
        let key = layout::upload(tenant, &received.content_hash);
        let written = self.keep_within_quota(tenant, &key, &received, &content_type).await?;
        let uploaded = Uploaded {
            content_hash: received.content_hash,
            bytes: received.spool.length(),
            content_type,
            was_there: written == Written::WasThere,
        };
        metrics::counter!("ringback_media_uploads_total").increment(1);
        metrics::counter!("ringback_media_uploads_bytes_total").increment(uploaded.bytes);
        tracing::info!(content_hash = %uploaded.content_hash, bytes = uploaded.bytes, kind = kind.as_str(), "upload kept");
        Ok(uploaded)
    }

    /// Has a body in a spool, to its end.
    async fn spool<E>(
        &self,
        declared: Option<u64>,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        idle_max: Duration,
    ) -> Result<Received, Problem> {
        let mut arriving = Arriving { spool: self.spools.create(), digest: Sha256::new() };
        let mut waiting = BytesMut::new();
        let mut length = 0_u64;
        loop {
            let piece = tokio::time::timeout(idle_max, body.next()).await.map_err(|_| {
                Problem::new(Kind::RequestTimeout, "nothing of the body came for too long (http.body_timeout)")
            })?;
            let piece = piece.transpose().map_err(|_| Problem::new(Kind::BadRequest, "the body broke off"))?;
            if let Some(piece) = &piece {
                length += piece.len() as u64;
                if self.bytes_max.get() < length {
                    return Err(self.too_long());
                }
                waiting.extend_from_slice(piece);
            }
            let has_ended = piece.is_none();
            if PIECE <= waiting.len() || (has_ended && !waiting.is_empty()) {
                arriving = arriving.append(waiting.split().freeze()).await?;
            }
            if has_ended {
                break;
            }
        }
        if length == 0 {
            return Err(Problem::new(Kind::BadRequest, "the body is empty"));
        }
        if declared.is_some_and(|declared| declared != length) {
            return Err(Problem::new(Kind::BadRequest, "the body is not as long as Content-Length says"));
        }
        let content_hash = ContentHash::from_bytes(arriving.digest.finish());
        Ok(Received { spool: arriving.spool, content_hash })
    }

    fn too_long(&self) -> Problem {
        let detail = format!("an upload has at most {} (media.uploads.bytes_max)", self.bytes_max);
        Problem::new(Kind::OverLimit, detail)
    }

    async fn keep_within_quota(
        &self,
        tenant: &Tenant,
        key: &ObjectKey,
        received: &Received,
        content_type: &str,
    ) -> Result<Written, Problem> {
        let promise = match self.room_for(tenant, received.spool.length()).await {
            Err(over) if over.kind == Kind::OverQuota => {
                // What is there already takes no more room, and is not written: it could be removed in this moment.
                let is_there = self.is_sound(key, &received.content_hash).await.map_err(|error| problem(&error))?;
                return if is_there { Ok(Written::WasThere) } else { Err(over) };
            }
            promise => promise?,
        };
        let written = self.keep(key, received, content_type).await.map_err(|error| problem(&error))?;
        match promise {
            Some(promise) if written == Written::Yes => promise.keep(),
            Some(promise) => promise.give_back(),
            None => {}
        }
        Ok(written)
    }

    /// Room among what the tenant may keep, until it is dropped; none where there is no limit.
    async fn room_for(&self, tenant: &Tenant, bytes: u64) -> Result<Option<Promise>, Problem> {
        self.quotas.promise(&*self.store, tenant, bytes).await.map_err(|error| match error {
            QuotaError::Over(problem) => problem,
            QuotaError::Store(error) => problem(&error),
            QuotaError::Late => Problem::new(Kind::Busy, "what the account keeps could not be counted in time"),
        })
    }

    /// Whether there is room at this moment.
    async fn check_room(&self, tenant: &Tenant, bytes: u64) -> Result<(), Problem> {
        if let Some(promise) = self.room_for(tenant, bytes).await? {
            promise.give_back();
        }
        Ok(())
    }

    async fn keep(&self, key: &ObjectKey, received: &Received, content_type: &str) -> Result<Written, StoreError> {
        let upload = |replace| Upload {
            body: received.body(),
            length: received.spool.length(),
            content_type: content_type.to_owned(),
            // Its owner can remove it, and others must not keep it.
            immutable: false,
            replace,
            digest: Some(BodyDigest::from_bytes(*received.content_hash.as_bytes())),
        };
        if self.store.put(key, upload(Replace::Never)).await? == Written::Yes {
            return Ok(Written::Yes);
        }
        // What is said to be kept is looked at: its sender may throw away what he has.
        if self.is_sound(key, &received.content_hash).await? {
            return Ok(Written::WasThere);
        }
        tracing::warn!(%key, "an upload was damaged in the store and is written anew");
        self.store.put(key, upload(Replace::Always)).await
    }

    async fn is_sound(&self, key: &ObjectKey, hash: &ContentHash) -> Result<bool, StoreError> {
        let mut body = match self.store.get(key, None).await {
            Ok(got) => got.body,
            // Removed in the meantime.
            Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut digest = Sha256::new();
        while let Some(piece) = body.next().await {
            digest.update(piece?);
        }
        Ok(ContentHash::from_bytes(digest.finish()) == *hash)
    }

    /// What uploads are kept in.
    pub(in crate::media) fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// Reads an upload: its length, and its bytes as they lie in the store. Whether they are what its name says is for the reader to check.
    ///
    /// # Errors
    /// `not-found`; `busy` where the store fails, also in the midst of it.
    pub(in crate::media) async fn read(
        &self,
        tenant: &Tenant,
        hash: &ContentHash,
    ) -> Result<(u64, impl Stream<Item = Result<Bytes, Problem>> + Unpin + Send + use<>), Problem> {
        let got = self.store.get(&layout::upload(tenant, hash), None).await.map_err(|error| problem(&error))?;
        Ok((got.meta.length, got.body.map(|piece| piece.map_err(|error| problem(&error)))))
    }

    /// Removes an upload.
    ///
    /// # Errors
    /// `not-found`, also where the name is none; `busy` where the store fails.
    pub async fn remove(&self, tenant: &Tenant, name: &str) -> Result<(), Problem> {
        let (_, key) = self::key(tenant, name)?;
        self.store.head(&key).await.map_err(|error| problem(&error))?;
        let removed = self.store.delete(&key).await.map_err(|error| problem(&error));
        // It may be gone although nobody could say so.
        self.quotas.note_removed(tenant);
        removed
    }
}

/// The name of an upload. What is no name is as unknown as any other.
fn key(tenant: &Tenant, name: &str) -> Result<(ContentHash, ObjectKey), Problem> {
    let hash: ContentHash = name.parse().map_err(|_| unknown())?;
    Ok((hash, layout::upload(tenant, &hash)))
}

fn unknown() -> Problem {
    Problem::new(Kind::NotFound, "there is no such upload")
}

/// What callers are told of a store that fails: nothing of where it is.
fn problem(error: &StoreError) -> Problem {
    match error {
        StoreError::NotFound { .. } => unknown(),
        StoreError::Full { .. } => full(),
        StoreError::Body { .. } => Problem::new(Kind::Internal, "what was received cannot be read back"),
        error => {
            tracing::warn!(%error, "the store of uploads failed");
            Problem::new(Kind::Busy, "the store of uploads cannot be asked at the moment")
        }
    }
}

fn full() -> Problem {
    Problem::new(Kind::StorageFull, "there is no room for the upload, and nothing of it was kept")
}

/// A body that is being received.
struct Arriving {
    spool: Arc<Spool>,
    digest: Sha256,
}

impl Arriving {
    /// Where waiting for a disk holds nobody up.
    async fn append(mut self, bytes: Bytes) -> Result<Arriving, Problem> {
        let append = move || {
            self.digest.update(&bytes);
            self.spool.append(&bytes).map(|()| self)
        };
        let appended = tokio::task::spawn_blocking(append).await;
        let appended = appended.map_err(|_| Problem::new(Kind::Internal, "the upload was given up"))?;
        // A spool goes on in memory when its disk is full; an upload that is too long for that has found no room.
        appended.map_err(|problem| if problem.kind == Kind::OverLimit { full() } else { problem })
    }
}

/// A body that has come to its end.
struct Received {
    spool: Arc<Spool>,
    content_hash: ContentHash,
}

impl Received {
    /// What it is, by its content: what its sender says counts for nothing.
    async fn recognize(&self) -> Result<audio::Kind, Problem> {
        let original = Original { spool: Arc::clone(&self.spool), position: 0 };
        let kind = tokio::task::spawn_blocking(move || audio::recognize(Box::new(original))).await;
        kind.map_err(|_| Problem::new(Kind::Internal, "the upload was given up"))?.map_err(|error| error.problem())
    }

    fn body(&self) -> ObjectBytes<io::Error> {
        let start = (Arc::clone(&self.spool), 0);
        Box::pin(stream::try_unfold(start, |(spool, offset)| async move {
            let bytes = spool.read(offset, PIECE).await?;
            let next = offset + bytes.len() as u64;
            Ok((!bytes.is_empty()).then_some((bytes, (spool, next))))
        }))
    }
}

/// A spool as the audio room reads it.
struct Original {
    spool: Arc<Spool>,
    position: u64,
}

impl Read for Original {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.spool.read_at(self.position, buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Original {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.spool.length().checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

impl audio::Input for Original {
    fn length(&self) -> Option<u64> {
        Some(self.spool.length())
    }

    fn complete_length(&self) -> Option<u64> {
        self.length()
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.spool.length())
    }
}

/// The beginning of an original as the audio room reads it.
struct Beginning(Cursor<Bytes>);

impl Read for Beginning {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Beginning {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl audio::Input for Beginning {
    fn length(&self) -> Option<u64> {
        Some(self.0.get_ref().len() as u64)
    }

    fn wait_complete(&mut self) -> io::Result<u64> {
        Ok(self.0.get_ref().len() as u64)
    }
}
