//! The store that is a bucket of S3, or of a server that speaks its protocol.
//!
//! What is only convention among such servers is not relied upon: conditional writes are tried and given up where they are refused,
//! a range that is answered is compared with the one that was asked for, and a body must be as long as its answer said.

mod client;
mod config;
mod error;
mod parts;
mod read;
mod signing;
mod write;

#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_s3::primitives::DateTime;
use futures_util::{
    FutureExt as _,
    future::{self, BoxFuture},
};
use tokio::runtime::Handle;

use self::client::Clients;
pub use self::config::{Checksums, Config};
use super::store::{Got, Listed, ObjectKey, ObjectMeta, ObjectStore, StoreError, Upload, Written};
pub use crate::secret::Secret;

/// Objects in a bucket. Clones share connections.
#[derive(Clone, Debug)]
pub struct S3 {
    clients: Clients,
    bucket: String,
    prefix: String,
    read_timeout: Duration,
    part_bytes: usize,
    /// Whether the server is asked to write only where nothing is. Cleared for good by the first refusal that goes away without it.
    creates_only: Arc<AtomicBool>,
    /// Where connections live. Requests come from lanes, too, and those end before what is still to be written is.
    runtime: Handle,
}

impl S3 {
    /// The store in `config`'s bucket. Nothing is asked of the server yet, so that a node starts while it is down.
    ///
    /// `config` must be one that its `validate` finds no fault with; without a bucket every request is refused.
    pub async fn open(config: &Config) -> S3 {
        S3 {
            clients: Clients::new(config).await,
            bucket: config.bucket.clone().unwrap_or_default(),
            prefix: config.prefix.clone(),
            read_timeout: config.read_timeout,
            part_bytes: config.part_bytes.as_usize(),
            creates_only: Arc::new(AtomicBool::new(config.create_only)),
            runtime: Handle::current(),
        }
    }

    /// A request whose connection, if it makes one, is the runtime's that this was opened on.
    fn request<'a, T: 'a>(&'a self, future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
        let mut future = future.boxed();
        future::poll_fn(move |context| {
            let _entered = self.runtime.enter();
            future.poll_unpin(context)
        })
        .boxed()
    }

    /// The name in the bucket.
    fn name_of(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.prefix)
    }

    fn creates_only(&self) -> bool {
        self.creates_only.load(Ordering::Relaxed)
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for S3 {
    fn put<'a>(&'a self, key: &'a ObjectKey, upload: Upload) -> BoxFuture<'a, Result<Written, StoreError>> {
        self.request(self.write(key, upload))
    }

    fn get<'a>(&'a self, key: &'a ObjectKey, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Got, StoreError>> {
        self.request(self.read(key, range))
    }

    fn head<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<ObjectMeta, StoreError>> {
        self.request(self.look(key))
    }

    fn delete<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.request(self.remove(key))
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a ObjectKey>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Listed>, StoreError>> {
        self.request(self.list_all(prefix, after, limit))
    }

    fn name(&self) -> &'static str {
        "s3"
    }
}

/// A server that says no time, or one that cannot be: the beginning of all.
fn modified(time: Option<&DateTime>) -> SystemTime {
    time.and_then(|time| SystemTime::try_from(*time).ok()).unwrap_or(SystemTime::UNIX_EPOCH)
}
