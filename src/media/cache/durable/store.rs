//! What the durable tier is kept in: named objects, written whole, read whole or in part (`spec/media.md` §6).
//!
//! Implementations are `directory` and `s3`; `conformance` says what both must do. What an object means is none of their concern:
//! that is `layout`'s.

use std::{fmt, ops::Range, pin::Pin, time::SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, future::BoxFuture, stream};

use crate::ids::BodyDigest;

/// Bytes of a name at most.
const KEY_MAX: usize = 512;

/// The name of an object: segments of letters, digits, `-`, `_` and `.`, with `/` between them. No segment is empty or begins with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

/// A text that is no [`ObjectKey`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of an object")]
pub struct NotAnObjectKey(String);

impl ObjectKey {
    /// The name, where it is one. Nothing that it lets pass leads out of a directory.
    ///
    /// # Errors
    /// A segment is empty, begins with a dot or has another character; or all is too long.
    pub fn new(text: String) -> Result<ObjectKey, NotAnObjectKey> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_segment = |text: &str| !text.is_empty() && !text.starts_with('.') && text.bytes().all(plain);
        if text.len() <= KEY_MAX && text.split('/').all(is_segment) {
            Ok(ObjectKey(text))
        } else {
            Err(NotAnObjectKey(text))
        }
    }

    /// A name that is made of parts which are known to pass.
    pub(super) fn of_parts(text: String) -> ObjectKey {
        debug_assert!(ObjectKey::new(text.clone()).is_ok(), "{text:?} is no name of an object");
        ObjectKey(text)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The bytes of an object as they are read or written, in pieces of any size.
pub type ObjectBytes<E> = Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;

/// An object that is to be written.
pub struct Upload {
    /// Its bytes, as many as `length` says: fewer or more make the write fail. An error of the stream does, too; nothing is kept then.
    pub body: ObjectBytes<std::io::Error>,
    /// How many.
    pub length: u64,
    /// What readers who know nothing of us are told of it.
    pub content_type: String,
    /// Whether it never changes, so that whoever reads it may keep it for ever.
    pub immutable: bool,
    /// What happens to one that is there under this name.
    pub replace: Replace,
    /// sha256 of its bytes, for whoever knows it already: what is sent is signed with it. A wrong one makes the write fail.
    pub digest: Option<BodyDigest>,
}

impl Upload {
    /// An object whose bytes are at hand.
    pub fn of(bytes: Bytes, content_type: &str, replace: Replace) -> Upload {
        let length = bytes.len() as u64;
        let body = Box::pin(futures_util::stream::iter([Ok(bytes)]));
        Upload {
            body,
            length,
            content_type: content_type.to_owned(),
            immutable: replace == Replace::Never,
            replace,
            digest: None,
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Upload { body: _, length, content_type, immutable, replace, digest: _ } = self;
        f.debug_struct("Upload")
            .field("length", length)
            .field("content_type", content_type)
            .field("immutable", immutable)
            .field("replace", replace)
            .finish_non_exhaustive()
    }
}

/// What writing does where there is an object under the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It stays, and [`Written::WasThere`] is the answer. A store that cannot promise that between two writers at the same moment
    /// replaces it: so only names that stand for their bytes are written like this.
    Never,
    /// The new one takes its place, in one step: who reads sees the one or the other.
    Always,
}

/// What a write did. It is on stable storage when this is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The object is there now.
    Yes,
    /// One was there, and stays.
    WasThere,
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Bytes of the whole.
    pub length: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// As it was written; a store that keeps none (a directory) says none.
    pub content_type: Option<String>,
}

/// An object that is being read.
pub struct Got {
    /// Of the whole, also where a part is read.
    pub meta: ObjectMeta,
    /// The bytes asked for. They are as many as were asked for, or the stream ends with an error; whether they are the right ones is
    /// for the reader to check.
    pub body: ObjectBytes<StoreError>,
}

impl Got {
    /// The same in pieces of these lengths, copied out of those that it comes in.
    #[must_use]
    pub fn cut(self, lengths: Vec<usize>) -> Got {
        Got { body: cut(self.body, lengths), ..self }
    }
}

impl fmt::Debug for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Got").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: ObjectKey,
    /// Its bytes.
    pub length: u64,
    /// When it was written.
    pub modified: SystemTime,
}

/// A store of objects. Every call is bounded in time by the implementation; all are cancel-safe: a write that was cancelled may have
/// happened or not, and never in part.
pub trait ObjectStore: fmt::Debug + Send + Sync {
    /// Writes an object.
    ///
    /// # Errors
    /// It could not be written: nothing, or what was there before, is under the name.
    fn put<'a>(&'a self, key: &'a ObjectKey, upload: Upload) -> BoxFuture<'a, Result<Written, StoreError>>;

    /// Reads an object, or the bytes `range` of it, which must not be empty.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::OutOfRange`] where `range` does not lie within it.
    fn get<'a>(&'a self, key: &'a ObjectKey, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Got, StoreError>>;

    /// The same in pieces that are as long as `lengths` say, each in memory of its own, so that it can be kept without the others. Together
    /// they are as long as what is read. A store that can read right into such memory does; the others copy ([`Got::cut`]).
    ///
    /// # Errors
    /// As [`get`](ObjectStore::get).
    fn get_cut<'a>(
        &'a self,
        key: &'a ObjectKey,
        range: Option<Range<u64>>,
        lengths: Vec<usize>,
    ) -> BoxFuture<'a, Result<Got, StoreError>>;

    /// What is known of an object.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, StoreError>>;

    /// Removes an object. One that is not there is no error.
    ///
    /// # Errors
    /// It could not be removed.
    fn delete<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The first `limit` objects, in order of the bytes of their names, whose names begin with `prefix` and come after `after`.
    /// Servers that are made of folders may sort those of each folder by itself (`a/b` before `a-b`): asked page by page they tell all the
    /// same, and no more is to be relied upon. `prefix` need not end with a segment. What has another kind of name was not written by us and is left out, so that fewer may
    /// come; none come only at the end.
    ///
    /// # Errors
    /// They could not be listed.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a ObjectKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>>;

    /// The label of metrics, and what `Cache-Status` calls it: `s3` or `directory`.
    fn name(&self) -> &'static str;
}

/// A body in pieces of these lengths, copied out of those that it comes in. One that ends too early ends with the last piece that is whole.
fn cut(body: ObjectBytes<StoreError>, lengths: Vec<usize>) -> ObjectBytes<StoreError> {
    let start = (body, Bytes::new(), lengths.into_iter());
    Box::pin(stream::try_unfold(start, |(mut body, mut over, mut lengths)| async move {
        let Some(length) = lengths.next() else { return Ok(None) };
        let mut piece = BytesMut::with_capacity(length);
        loop {
            let part = over.split_to(over.len().min(length - piece.len()));
            piece.extend_from_slice(&part);
            if piece.len() == length {
                return Ok(Some((piece.freeze(), (body, over, lengths))));
            }
            over = match body.next().await {
                Some(more) => more?,
                None => return Ok(None),
            };
        }
    }))
}

/// What a store could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such object.
    #[error("{key} is not there")]
    NotFound {
        /// Its name.
        key: ObjectKey,
    },
    /// The object is shorter than what was asked for.
    #[error("{key} has no bytes {start}..{end}")]
    OutOfRange {
        /// Its name.
        key: ObjectKey,
        /// First byte asked for.
        start: u64,
        /// Behind the last.
        end: u64,
    },
    /// The store refuses us: credentials, permissions, a bucket that does not exist. Only a person can mend that.
    #[error("the store refuses {subject}: {reason}")]
    Refused {
        /// What was to be done with what.
        subject: String,
        /// What it said.
        reason: String,
    },
    /// The store has no room.
    #[error("the store is full: {subject}")]
    Full {
        /// What was to be written.
        subject: String,
    },
    /// The store cannot be reached, is too slow, or failed by itself. It may be tried again.
    #[error("the store fails at {subject}: {reason}")]
    Unavailable {
        /// What was to be done with what.
        subject: String,
        /// How it failed.
        reason: String,
    },
    /// The store has failed so often that it is not asked at the moment.
    #[error("the store has failed and is not asked at the moment")]
    Resting,
    /// The bytes that were to be written did not come, or too few or many of them.
    #[error("the bytes of {key} could not be read")]
    Body {
        /// What was to be written.
        key: ObjectKey,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl StoreError {
    /// The label of metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            StoreError::NotFound { .. } => "not-found",
            StoreError::OutOfRange { .. } => "out-of-range",
            StoreError::Refused { .. } => "refused",
            StoreError::Full { .. } => "full",
            StoreError::Unavailable { .. } => "unavailable",
            StoreError::Resting => "resting",
            StoreError::Body { .. } => "body",
        }
    }

    /// Whether it says that the store works: an answer, if not the one hoped for.
    pub const fn is_answer(&self) -> bool {
        matches!(self, StoreError::NotFound { .. } | StoreError::OutOfRange { .. } | StoreError::Body { .. })
    }

    /// Whether the same may succeed later without anybody's doing.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. } | StoreError::Resting | StoreError::Full { .. })
    }
}
