//! A bucket in memory: what nodes share, without a disk or a server to wait for. Its objects are as old as the simulation's clock says.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _, future::BoxFuture, stream};
use ringback::{
    clock::Clock,
    media::cache::durable::{Got, Listed, ObjectKey, ObjectMeta, ObjectStore, Replace, StoreError, Upload, Written},
};

/// Objects by their names. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    objects: Arc<Mutex<BTreeMap<ObjectKey, (Bytes, SystemTime)>>>,
    clock: Clock,
}

impl Bucket {
    pub(super) fn new(clock: Clock) -> Bucket {
        Bucket { objects: Arc::default(), clock }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, (Bytes, SystemTime)>> {
        self.objects.lock().unwrap()
    }

    fn found(&self, key: &ObjectKey) -> Result<(Bytes, ObjectMeta), StoreError> {
        let objects = self.objects();
        let (bytes, modified) = objects.get(key).ok_or_else(|| StoreError::NotFound { key: key.clone() })?;
        let meta = ObjectMeta { length: bytes.len() as u64, modified: *modified, content_type: None };
        Ok((bytes.clone(), meta))
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Bucket {
    fn put<'a>(&'a self, key: &'a ObjectKey, upload: Upload) -> BoxFuture<'a, Result<Written, StoreError>> {
        async move {
            if upload.replace == Replace::Never && self.objects().contains_key(key) {
                return Ok(Written::WasThere);
            }
            let body = |source| StoreError::Body { key: key.clone(), source };
            let bytes = upload.body.try_collect::<Vec<Bytes>>().await.map_err(body)?.concat();
            if bytes.len() as u64 != upload.length {
                return Err(body(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let mut objects = self.objects();
            if upload.replace == Replace::Never && objects.contains_key(key) {
                return Ok(Written::WasThere);
            }
            objects.insert(key.clone(), (bytes.into(), self.clock.now_wall()));
            Ok(Written::Yes)
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Got, StoreError>> {
        async move {
            let (bytes, meta) = self.found(key)?;
            let range = range.unwrap_or(0..meta.length);
            if meta.length < range.end {
                return Err(StoreError::OutOfRange { key: key.clone(), start: range.start, end: range.end });
            }
            // In pieces that fit no chunk, as a network has them.
            let bytes = bytes.slice(range.start as usize..range.end as usize);
            let pieces: Vec<_> = (0..bytes.len()).step_by(7_001).collect();
            let pieces = pieces.into_iter().map(move |at| Ok(bytes.slice(at..bytes.len().min(at + 7_001))));
            Ok(Got { meta, body: Box::pin(stream::iter(pieces)) })
        }
        .boxed()
    }

    fn get_cut<'a>(
        &'a self,
        key: &'a ObjectKey,
        range: Option<Range<u64>>,
        lengths: Vec<usize>,
    ) -> BoxFuture<'a, Result<Got, StoreError>> {
        async move { Ok(self.get(key, range).await?.cut(lengths)) }.boxed()
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, StoreError>> {
        async move { self.found(key).map(|(_, meta)| meta) }.boxed()
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            self.objects().remove(key);
            Ok(())
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
            let objects = self.objects();
            let wanted = objects
                .iter()
                .filter(|(key, _)| key.as_str().starts_with(prefix) && after.is_none_or(|after| *key > after));
            let listed = wanted.map(|(key, (bytes, modified))| Listed {
                key: key.clone(),
                length: bytes.len() as u64,
                modified: *modified,
            });
            Ok(listed.take(limit).collect())
        }
        .boxed()
    }

    fn name(&self) -> &'static str {
        "s3"
    }
}
