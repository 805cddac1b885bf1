//! Writing long objects in parts. Nobody sees the object before it is completed.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};

use super::{
    S3,
    error::{Failure, Meaning},
    write::{About, IMMUTABLE, NOTHING_THERE, Source},
};
use crate::media::cache::durable::store::{ObjectKey, Replace, StoreError, Written};

/// Parts of one upload at most (S3 API reference, "Amazon S3 multipart upload limits").
const PARTS_MAX: u64 = 10_000;
/// Parts that are on their way at once.
const PARTS_AT_ONCE: usize = 2;

impl S3 {
    pub(super) async fn write_in_parts(
        &self,
        key: &ObjectKey,
        source: Source,
        length: u64,
        about: &About,
    ) -> Result<Written, StoreError> {
        let failed = |failure: Failure| failure.about(format!("writing {key}"), key);
        // Also where the server would tell at the end: it would have been sent for nothing.
        if about.replace == Replace::Never && self.is_there(key).await.map_err(failed)? {
            return Ok(Written::WasThere);
        }
        let part_bytes = u64::max(self.part_bytes as u64, length.div_ceil(PARTS_MAX)) as usize;
        let open = self.begin(key, about).await.map_err(failed)?;
        let written = match open.send_all(key, source, part_bytes).await {
            Ok(parts) => open.complete(key, parts, about.replace).await.map_err(failed),
            Err(error) => Err(error),
        };
        open.close(written).await
    }

    async fn begin(&self, key: &ObjectKey, about: &About) -> Result<OpenUpload, Failure> {
        let name = self.name_of(key);
        let request = self
            .clients
            .asking
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(&name)
            .content_type(&about.content_type)
            .set_cache_control(about.immutable.then(|| IMMUTABLE.to_owned()));
        let answer = request.send().await?;
        let id = answer.upload_id.ok_or_else(|| Failure::lies("an upload in parts without a name"))?;
        Ok(OpenUpload { place: Place { store: self.clone(), name, id }, is_open: true })
    }
}

/// An upload in parts that the server keeps until it is completed or aborted: dropped, it is aborted, on the store's runtime: that of who
/// wrote may be ending.
struct OpenUpload {
    place: Place,
    is_open: bool,
}

/// Where parts go.
#[derive(Clone)]
struct Place {
    store: S3,
    name: String,
    id: String,
}

impl OpenUpload {
    async fn send_all(
        &self,
        key: &ObjectKey,
        source: Source,
        part_bytes: usize,
    ) -> Result<Vec<CompletedPart>, StoreError> {
        let (place, key) = (self.place.clone(), key.clone());
        // Nothing in it is borrowed: the compiler could not tell then that it may be sent to another thread.
        let parts = stream::try_unfold((source, 1), move |(mut source, number)| {
            let (place, key) = (place.clone(), key.clone());
            async move {
                let body_error = |source| StoreError::Body { key: key.clone(), source };
                if source.left() == 0 {
                    source.end().await.map_err(body_error)?;
                    return Ok(None);
                }
                let bytes = source.take(part_bytes).await.map_err(body_error)?;
                Ok(Some((place.send(key, number, bytes), (source, number + 1))))
            }
        });
        parts.try_buffered(PARTS_AT_ONCE).try_collect().await
    }

    async fn complete(&self, key: &ObjectKey, parts: Vec<CompletedPart>, replace: Replace) -> Result<Written, Failure> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        if replace == Replace::Always || !self.place.store.creates_only() {
            return self.place.join(parts, false).await.map(|()| Written::Yes);
        }
        match self.place.join(parts.clone(), true).await {
            Ok(()) => Ok(Written::Yes),
            Err(Failure { meaning: Meaning::IsThere, .. }) => Ok(Written::WasThere),
            Err(Failure { meaning: Meaning::Unknown, .. }) => {
                self.place.join(parts, false).await?;
                self.place.store.give_up_creating_only();
                Ok(Written::Yes)
            }
            // Another writer was faster; or it was tried twice, and the answer to the first was lost.
            Err(failure) if matches!(failure.meaning, Meaning::Conflict | Meaning::UploadGone | Meaning::Absent) => {
                if self.place.store.is_there(key).await? {
                    Ok(Written::WasThere)
                } else {
                    Err(Failure::lies(failure.reason))
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// Aborts what did not become an object.
    async fn close(mut self, written: Result<Written, StoreError>) -> Result<Written, StoreError> {
        if !matches!(written, Ok(Written::Yes)) {
            self.place.clone().abort().await;
        }
        self.is_open = false;
        written
    }
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        if self.is_open {
            drop(self.place.store.runtime.spawn(self.place.clone().abort()));
        }
    }
}

impl Place {
    async fn send(self, key: ObjectKey, number: i32, bytes: Bytes) -> Result<CompletedPart, StoreError> {
        let request = self
            .store
            .clients
            .writing
            .upload_part()
            .bucket(&self.store.bucket)
            .key(&self.name)
            .upload_id(&self.id)
            .part_number(number)
            .body(ByteStream::from(bytes));
        let failed = |failure: Failure| failure.about_all(format!("writing part {number} of {key}"));
        let answer = request.send().await.map_err(|error| failed(Failure::from(error)))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc32(answer.checksum_crc32)
            .set_checksum_crc32_c(answer.checksum_crc32_c)
            .set_checksum_crc64_nvme(answer.checksum_crc64_nvme)
            .build())
    }

    /// Makes one object of the parts.
    async fn join(&self, parts: CompletedMultipartUpload, only_create: bool) -> Result<(), Failure> {
        let request = self
            .store
            .clients
            .writing
            .complete_multipart_upload()
            .bucket(&self.store.bucket)
            .key(&self.name)
            .upload_id(&self.id)
            .set_if_none_match(only_create.then(|| NOTHING_THERE.to_owned()))
            .multipart_upload(parts);
        request.send().await.map(drop).map_err(Failure::from)
    }

    /// Lets the server forget the parts. One that fails here keeps them until its own rules remove them.
    async fn abort(self) {
        let Place { store, name, id } = self;
        let request = store.clients.asking.abort_multipart_upload().bucket(&store.bucket).key(name).upload_id(id);
        if let Err(error) = request.send().await.map_err(Failure::from) {
            tracing::debug!(reason = error.reason, "an upload in parts could not be aborted");
        }
    }
}
