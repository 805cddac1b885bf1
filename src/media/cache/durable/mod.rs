//! The durable tier: whole artifacts as served, originals and records in a store that outlives this node and that others share
//! (`spec/media.md` §6).
//!
//! `store` is what any store must do, `layout` where things lie in it, `tier` what the cache asks of it.

mod config;
#[cfg(test)]
mod conformance;
mod directory;
pub(crate) mod layout;
mod metrics;
mod resting;
pub mod s3;
mod store;
#[cfg(test)]
mod tests;
mod tier;

use std::{path::Path, sync::Arc};

use crate::clock::Clock;
pub use config::{Config, StoreKind};
pub use directory::Directory;
pub use resting::Resting;
pub use s3::S3;
pub use store::{
    Got, Listed, NotAnObjectKey, ObjectBytes, ObjectKey, ObjectMeta, ObjectStore, Replace, StoreError, Upload, Written,
};
pub(in crate::media::cache) use tier::{Durable, Home, ORIGINAL_TYPE, Run};

/// The store that `config` names, if any, left alone while it fails. A server that is down is no error.
///
/// # Errors
/// The directory cannot be made or written.
pub async fn open(config: &Config, data_dir: &Path, clock: Clock) -> Result<Option<Arc<Resting>>, StoreError> {
    let store: Arc<dyn ObjectStore> = match config.store {
        StoreKind::Off => return Ok(None),
        StoreKind::Directory => Arc::new(Directory::open(config.directory(data_dir)).await?),
        StoreKind::S3 => Arc::new(S3::open(&config.s3).await),
    };
    Ok(Some(Arc::new(Resting::new(store, config, clock))))
}
