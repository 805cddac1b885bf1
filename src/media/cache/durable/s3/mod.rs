//! The store that is a bucket of S3, or of a server that speaks its protocol.
//!
//! What is only convention among such servers is not relied upon: conditional writes are tried and given up where they are refused,
//! a range that is answered is compared with the one that was asked for, and a body must be as long as its answer said.
//!
//! There are two ways to the server: the short one (`direct`) for what is asked often, and the SDK's for everything else.

mod client;
mod config;
mod direct;
mod error;
mod parts;
mod read;
mod signing;
mod sought;
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

pub use self::config::{Checksums, Config};
use self::{client::Clients, direct::Direct, sought::Sought};
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
    config: Arc<Config>,
    /// The short way, once it was looked for; none where there is only the SDK's.
    direct: Arc<Sought<Option<Direct>>>,
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
            config: Arc::new(config.clone()),
            // Sums beyond the signature are the SDK's to make and to check.
            direct: Arc::new(match config.checksums {
                Checksums::WhenRequired => Sought::new(config.connect_timeout + config.read_timeout),
                Checksums::WhenSupported => Sought::known(None),
            }),
            creates_only: Arc::new(AtomicBool::new(config.create_only)),
            runtime: Handle::current(),
        }
    }

    /// The same by the SDK's way alone: what the short one is measured by.
    #[must_use]
    pub fn by_sdk_alone(self) -> S3 {
        S3 { direct: Arc::new(Sought::known(None)), ..self }
    }

    /// The short way, where there is one.
    async fn direct(&self) -> Option<&Direct> {
        let find = || Direct::find(&self.clients.asking, self.clients.provider.clone(), &self.bucket, &self.config);
        // Why it cannot be found the SDK says best, when it is asked instead.
        self.direct.get_or_find(find).await?.as_ref()
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
        self.request(self.read(key, range, None))
    }

    fn get_cut<'a>(
        &'a self,
        key: &'a ObjectKey,
        range: Option<Range<u64>>,
        lengths: Vec<usize>,
    ) -> BoxFuture<'a, Result<Got, StoreError>> {
        self.request(self.read(key, range, Some(lengths)))
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
