//! Where nodes of a test keep what they share.

use std::{path::Path, sync::Arc};

use futures_util::TryStreamExt as _;
use ringback::{
    config::Config,
    media::cache::durable::{Directory, ObjectStore, S3, StoreKind, s3},
    testing::s3_server::{ACCESS_KEY, S3Server, SECRET_KEY},
};
use tempfile::TempDir;

/// A durable store.
pub(super) enum Bucket {
    Directory(TempDir),
    S3(S3Server),
}

const NAME: &str = "audio";

impl Bucket {
    pub(super) fn directory() -> Bucket {
        Bucket::Directory(tempfile::tempdir().unwrap())
    }

    pub(super) async fn s3() -> Bucket {
        ringback::outbound::install_crypto_provider();
        let server = S3Server::start().await.unwrap();
        server.create_bucket(NAME).await.unwrap();
        Bucket::S3(server)
    }

    /// What `Cache-Status` calls it.
    pub(super) fn detail(&self) -> &'static str {
        match self {
            Bucket::Directory(_) => "directory",
            Bucket::S3(_) => "s3",
        }
    }

    /// Has a node use it.
    pub(super) fn configure(&self, config: &mut Config) {
        let durable = &mut config.media.cache.durable;
        match self {
            Bucket::Directory(directory) => {
                durable.store = StoreKind::Directory;
                durable.directory = Some(directory.path().to_owned());
            }
            Bucket::S3(server) => {
                durable.store = StoreKind::S3;
                durable.s3 = s3_config(&server.endpoint());
            }
        }
        // The machine may be busy with other tests.
        durable.index_wait = std::time::Duration::from_secs(20);
        durable.slow = std::time::Duration::from_secs(20);
        durable.drain = std::time::Duration::from_secs(60);
    }

    /// A look into it.
    pub(super) async fn store(&self) -> Arc<dyn ObjectStore> {
        match self {
            Bucket::Directory(directory) => Arc::new(Directory::open(directory.path().to_owned()).await.unwrap()),
            Bucket::S3(server) => Arc::new(S3::open(&s3_config(&server.endpoint())).await),
        }
    }

    /// Where on this machine it keeps what it holds.
    pub(super) fn data(&self) -> &Path {
        match self {
            Bucket::Directory(directory) => directory.path(),
            Bucket::S3(server) => server.data(),
        }
    }

    /// Every object's bytes, by its name.
    pub(super) async fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let store = self.store().await;
        let mut objects = Vec::new();
        for listed in store.list("", None, 1000).await.unwrap() {
            let pieces: Vec<_> = store.get(&listed.key, None).await.unwrap().body.try_collect().await.unwrap();
            objects.push((listed.key.to_string(), pieces.concat()));
        }
        assert!(objects.len() < 1000, "there may be more");
        objects
    }

    /// The names of all objects that begin so.
    pub(super) async fn names(&self, prefix: &str) -> Vec<String> {
        let listed = self.store().await.list(prefix, None, 1000).await.unwrap();
        listed.into_iter().map(|listed| listed.key.to_string()).collect()
    }
}

/// A node's way to the bucket behind an endpoint.
pub(super) fn s3_config(endpoint: &str) -> s3::Config {
    s3::Config {
        bucket: Some(NAME.to_owned()),
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
        access_key: Some(s3::Secret::new(ACCESS_KEY.to_owned())),
        secret_key: Some(s3::Secret::new(SECRET_KEY.to_owned())),
        ..s3::Config::default()
    }
}
