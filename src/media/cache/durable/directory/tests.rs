//! What is true of a directory alone; what all stores do is in `conformance`.

use std::{
    fs::{self, File},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, poll, stream};
use tokio::runtime::Builder;

use super::{Directory, STEPS_MAX, TEMPORARY, failure};
use crate::{
    clock::Clock,
    ids::Tenant,
    media::cache::{
        Cache,
        durable::store::{ObjectKey, ObjectStore as _, Replace, StoreError, Upload, Written},
        tests::memory_only,
    },
};

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text.to_owned()).unwrap()
}

fn object(text: &'static str, replace: Replace) -> Upload {
    Upload::of(Bytes::from_static(text.as_bytes()), "text/plain", replace)
}

fn unfinished(root: &Path) -> usize {
    fs::read_dir(root.join(TEMPORARY)).unwrap().count()
}

#[tokio::test]
async fn what_a_gone_writer_left_is_removed_and_what_one_is_at_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = Directory::open(dir.path().to_owned()).await.unwrap();
    fs::write(dir.path().join(TEMPORARY).join("left"), "half").unwrap();

    // A body that has begun and waits for more.
    let (began, has_begun) = tokio::sync::oneshot::channel();
    let body = stream::iter([Ok(Bytes::from(vec![1; 300 << 10]))])
        .chain(stream::once(async move {
            began.send(()).unwrap();
            std::future::pending().await
        }))
        .boxed();
    let upload = Upload { body, length: 1 << 20, ..object("", Replace::Never) };
    let writing = tokio::spawn({
        let store = store.clone();
        async move { store.put(&key("a/b"), upload).await }
    });
    has_begun.await.unwrap();
    assert_eq!(unfinished(dir.path()), 2);

    drop(Directory::open(dir.path().to_owned()).await.unwrap());
    assert_eq!(unfinished(dir.path()), 1);
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    assert_eq!(unfinished(dir.path()), 0);
}

#[tokio::test]
async fn names_that_stand_in_each_others_way_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Directory::open(dir.path().to_owned()).await.unwrap();
    for replace in [Replace::Never, Replace::Always] {
        assert_eq!(store.put(&key("a/b"), object("1", Replace::Always)).await.unwrap(), Written::Yes);
        let folder = store.put(&key("a"), object("2", replace)).await;
        assert!(matches!(folder, Err(StoreError::Refused { .. })), "{folder:?}");
        let through = store.put(&key("a/b/c"), object("3", replace)).await;
        assert!(matches!(through, Err(StoreError::Refused { .. })), "{through:?}");
    }
    for name in ["a", "a/b/c"] {
        assert!(matches!(store.get(&key(name), None).await, Err(StoreError::NotFound { .. })), "{name}");
        assert!(matches!(store.head(&key(name)).await, Err(StoreError::NotFound { .. })), "{name}");
        store.delete(&key(name)).await.unwrap();
    }
    let whole: Vec<Bytes> = store.get(&key("a/b"), None).await.unwrap().body.try_collect().await.unwrap();
    assert_eq!(whole.concat(), b"1");
    assert_eq!(unfinished(dir.path()), 0);
    // The folder goes with its last object, and the name is free.
    store.delete(&key("a/b")).await.unwrap();
    assert_eq!(store.put(&key("a"), object("2", Replace::Never)).await.unwrap(), Written::Yes);
}

#[tokio::test]
async fn writers_and_removers_of_one_folder_do_not_hinder_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Directory::open(dir.path().to_owned()).await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for name in ["x/y/1", "x/y/2", "x/3"] {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for _ in 0..50 {
                assert_eq!(store.put(&key(name), object("1", Replace::Never)).await.unwrap(), Written::Yes);
                store.delete(&key(name)).await.unwrap();
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert!(!dir.path().join("x").exists());
}

#[tokio::test]
async fn what_others_put_there_is_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Directory::open(dir.path().to_owned()).await.unwrap();
    store.put(&key("a/b"), object("1", Replace::Never)).await.unwrap();
    for foreign in [".hidden", "a/with space", "a/.hidden"] {
        fs::write(dir.path().join(foreign), "x").unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("a/link")).unwrap();
    let names: Vec<String> =
        store.list("", None, 10).await.unwrap().into_iter().map(|listed| listed.key.to_string()).collect();
    assert_eq!(names, ["a/b"]);
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    // Only root can make a small file system.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path()).output();
    if mounted.is_ok_and(|output| output.status.success()) {
        let store = Directory::open(dir.path().to_owned()).await.unwrap();
        let upload = || Upload::of(Bytes::from(vec![7; 2 << 20]), "audio/PCMU", Replace::Never);
        let written = store.put(&key("a/b"), upload()).await;
        let left = unfinished(dir.path());
        let held = store.head(&key("a/b")).await;
        assert!(Command::new("umount").arg(dir.path()).status().unwrap().success());
        assert!(matches!(written, Err(StoreError::Full { .. })), "{written:?}");
        assert_eq!(left, 0);
        assert!(matches!(held, Err(StoreError::NotFound { .. })), "{held:?}");
    }
    // Every write to this device finds it full.
    let error =
        std::io::Write::write_all(&mut File::options().write(true).open("/dev/full").unwrap(), b"x").unwrap_err();
    assert!(matches!(failure("x".to_owned(), &error), StoreError::Full { .. }));
}

/// Neither the few threads of a lane nor those of the node are all held by it.
#[test]
fn a_file_system_that_is_silent_holds_up_no_look_up() {
    let mut node = Builder::new_multi_thread();
    let node = node.worker_threads(1).max_blocking_threads(STEPS_MAX + 1).enable_all().build().unwrap();
    let lane = Builder::new_current_thread().max_blocking_threads(1).enable_all().build().unwrap();
    let (dir, data_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, cache) = node.block_on(async {
        let store = Directory::open(dir.path().to_owned()).await.unwrap();
        (store, Cache::open_on(&memory_only(), data_dir.path(), None, Clock::system()).await.unwrap())
    });
    // Opening it waits until somebody writes.
    let silent = dir.path().join("silent");
    assert!(Command::new("mkfifo").arg(&silent).status().unwrap().success());
    lane.block_on(async {
        let silent_key = key("silent");
        let mut reads: Vec<_> = (0..2 * STEPS_MAX).map(|_| store.get(&silent_key, None)).collect();
        for read in &mut reads {
            assert!(poll!(read).is_pending());
        }
        let tenant = Tenant::default_tenant();
        let listed = tokio::time::timeout(Duration::from_secs(30), cache.list(&tenant, None, None, 1)).await;
        let _writer = File::options().read(true).write(true).open(&silent).unwrap();
        assert!(listed.expect("it is not held up").unwrap().is_empty());
        for read in reads {
            let read = read.await;
            assert!(matches!(read, Err(StoreError::NotFound { .. })), "{read:?}");
        }
    });
    node.block_on(cache.close());
}
