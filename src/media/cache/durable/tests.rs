//! The contract of stores, on those that need no server; that of S3 is held in `s3::tests`.

use std::{path::Path, sync::Arc};

use super::{
    Config, Directory, ObjectStore as _, Resting,
    conformance::{self, Promises},
    open,
};
use crate::{clock::Clock, testing::faulty_store::FaultyStore};

async fn directory(path: &Path) -> Directory {
    Directory::open(path.to_owned()).await.unwrap()
}

#[tokio::test]
async fn a_directory_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    conformance::all(Arc::new(directory(dir.path()).await), Promises::ALL).await;
}

#[tokio::test]
async fn a_resting_store_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let store = Resting::new(Arc::new(directory(dir.path()).await), &Config::default(), Clock::system());
    let store = Arc::new(store);
    conformance::all(Arc::clone(&store) as _, Promises::ALL).await;
    assert!(!store.is_resting());
}

#[tokio::test]
async fn a_faulty_store_without_faults_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let store = FaultyStore::new(Arc::new(directory(dir.path()).await), 1);
    conformance::all(Arc::new(store), Promises::ALL).await;
}

#[tokio::test]
async fn the_store_that_is_configured_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |text: &str| {
        let config: Config = toml::from_str(text).unwrap();
        open(&config, dir.path(), Clock::system()).await.unwrap()
    };
    assert!(open("").await.is_none());
    assert_eq!(open("store = \"directory\"").await.unwrap().name(), "directory");
    assert!(dir.path().join("durable").is_dir());
    // Nobody listens there: a store that is down does not hinder the start.
    let s3 = "store = \"s3\"\ns3 = { bucket = \"b\", endpoint = \"http://127.0.0.1:1\", access_key = \"a\", secret_key = \"b\" }";
    assert_eq!(open(s3).await.unwrap().name(), "s3");
}
