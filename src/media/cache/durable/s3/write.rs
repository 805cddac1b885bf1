//! Writing objects in one request, and removing them.

use std::{io, sync::atomic::Ordering};

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::{
    S3,
    direct::Object,
    error::{Failure, Meaning},
};
use crate::{
    ids::BodyDigest,
    media::cache::durable::store::{ObjectBytes, ObjectKey, Replace, StoreError, Upload, Written},
};

/// For whoever reads the bucket without us: what a name of our own stands for never changes.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// The condition "only where there is nothing" (RFC 9110 §13.1.2).
pub(super) const NOTHING_THERE: &str = "*";

/// What an object is, beside its bytes.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) content_type: String,
    pub(super) immutable: bool,
    pub(super) replace: Replace,
    /// Of its bytes, where it is known.
    pub(super) digest: Option<BodyDigest>,
}

impl S3 {
    pub(super) async fn write(&self, key: &ObjectKey, upload: Upload) -> Result<Written, StoreError> {
        let Upload { body, length, content_type, immutable, replace, digest } = upload;
        let about = About { content_type, immutable, replace, digest };
        let mut source = Source::new(body, length);
        if length > self.part_bytes as u64 {
            return self.write_in_parts(key, source, length, &about).await;
        }
        let body_error = |source| StoreError::Body { key: key.clone(), source };
        let bytes = source.take(self.part_bytes).await.map_err(body_error)?;
        source.end().await.map_err(body_error)?;
        let written = match replace {
            Replace::Always => self.send(key, &bytes, &about, false).await.map(|()| Written::Yes),
            Replace::Never => self.create(key, &bytes, &about).await,
        };
        written.map_err(|failure| failure.about(format!("writing {key}"), key))
    }

    /// Writes where nothing is, as surely as the server can tell.
    async fn create(&self, key: &ObjectKey, bytes: &Bytes, about: &About) -> Result<Written, Failure> {
        let mut is_refused = false;
        if self.creates_only() {
            match self.send(key, bytes, about, true).await {
                Ok(()) => return Ok(Written::Yes),
                Err(Failure { meaning: Meaning::IsThere, .. }) => return Ok(Written::WasThere),
                Err(Failure { meaning: Meaning::Unknown, .. }) => is_refused = true,
                // The other request was a write, or a removal: then this one can have its turn now.
                Err(Failure { meaning: Meaning::Conflict, .. }) if self.is_there(key).await? => {
                    return Ok(Written::WasThere);
                }
                Err(Failure { meaning: Meaning::Conflict, .. }) => {
                    return match self.send(key, bytes, about, true).await {
                        Err(Failure { meaning: Meaning::IsThere, .. }) => Ok(Written::WasThere),
                        sent => sent.map(|()| Written::Yes),
                    };
                }
                Err(failure) => return Err(failure),
            }
        }
        if self.is_there(key).await? {
            return Ok(Written::WasThere);
        }
        self.send(key, bytes, about, false).await?;
        if is_refused {
            self.give_up_creating_only();
        }
        Ok(Written::Yes)
    }

    async fn send(&self, key: &ObjectKey, bytes: &Bytes, about: &About, only_create: bool) -> Result<(), Failure> {
        let name = self.name_of(key);
        if let Some(direct) = self.direct().await {
            let object = Object {
                bytes,
                digest: about.digest,
                content_type: &about.content_type,
                cache_control: about.immutable.then_some(IMMUTABLE),
                if_none_match: only_create.then_some(NOTHING_THERE),
            };
            if let Some(sent) = direct.put(&name, &object).await {
                return sent;
            }
        }
        let request = self
            .clients
            .writing
            .put_object()
            .bucket(&self.bucket)
            .key(name)
            .content_type(&about.content_type)
            .set_cache_control(about.immutable.then(|| IMMUTABLE.to_owned()))
            .set_if_none_match(only_create.then(|| NOTHING_THERE.to_owned()))
            // In memory, so that it can be sent again.
            .body(ByteStream::from(bytes.clone()));
        request.send().await.map(drop).map_err(Failure::from)
    }

    /// Whether there is an object.
    pub(super) async fn is_there(&self, key: &ObjectKey) -> Result<bool, Failure> {
        match self.known(key).await {
            Ok(_) => Ok(true),
            Err(Failure { meaning: Meaning::Absent, .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Called when the server took without the condition what it had refused with it.
    pub(super) fn give_up_creating_only(&self) {
        if self.creates_only.swap(false, Ordering::Relaxed) {
            tracing::warn!(
                "the S3 server knows no conditional writes: of two nodes that write one object the last wins"
            );
        }
    }

    pub(super) async fn remove(&self, key: &ObjectKey) -> Result<(), StoreError> {
        let name = self.name_of(key);
        let removed = match self.direct().await {
            Some(direct) => direct.delete(&name).await,
            None => {
                let request = self.clients.asking.delete_object().bucket(&self.bucket).key(name);
                request.send().await.map(drop).map_err(Failure::from)
            }
        };
        match removed {
            Ok(()) | Err(Failure { meaning: Meaning::Absent, .. }) => Ok(()),
            Err(failure) => Err(failure.about(format!("removing {key}"), key)),
        }
    }
}

/// The bytes of an upload, cut as requests want them, and counted.
pub(super) struct Source {
    body: ObjectBytes<io::Error>,
    /// How many are to be taken still.
    left: u64,
    /// What came with the last piece and is not taken yet.
    over: Bytes,
}

impl Source {
    pub(super) fn new(body: ObjectBytes<io::Error>, length: u64) -> Source {
        Source { body, left: length, over: Bytes::new() }
    }

    /// How many bytes are to be taken still.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The next `most` bytes, or all that are left.
    ///
    /// # Errors
    /// The stream's own, or it ends before that.
    pub(super) async fn take(&mut self, most: usize) -> io::Result<Bytes> {
        let wanted = usize::try_from(self.left).map_or(most, |left| left.min(most));
        self.left -= wanted as u64;
        let mut taken = BytesMut::new();
        loop {
            let part = self.over.split_to(self.over.len().min(wanted - taken.len()));
            // A piece of just the right length is not copied.
            if taken.is_empty() && part.len() == wanted {
                return Ok(part);
            }
            taken.reserve(wanted - taken.len());
            taken.extend_from_slice(&part);
            if taken.len() == wanted {
                return Ok(taken.freeze());
            }
            self.over = self.body.next().await.ok_or(io::ErrorKind::UnexpectedEof)??;
        }
    }

    /// Nothing where all was taken and nothing more comes.
    ///
    /// # Errors
    /// The stream's own, or it is longer than it was said to be.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        while self.over.is_empty() {
            match self.body.next().await {
                None => return Ok(()),
                Some(piece) => self.over = piece?,
            }
        }
        Err(io::Error::other("it is longer than was said"))
    }
}
