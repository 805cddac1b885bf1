//! What is dropped is dropped, whoever waits for it.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio_util::task::TaskTracker;

use super::super::{Config, Media, Rooms, Source};
use crate::{
    clock::Clock,
    concurrency::{self, Concurrency, MemoryLimits},
    ids::{ArtifactId, BodyDigest, ChunkId, ContentHash, Tenant},
    lease::Local,
    media::{
        cache::{Checksum, ChunkRef, Commit, Manifest, Reference, Visibility, durable::StoreKind},
        format::Format,
        origin::{self, Origin},
        speech::{self, Speech},
    },
    outbound::{self, Client, Guard},
    problem::Kind,
};

async fn media(dir: &Path) -> Media {
    let (clock, outbound) = (Clock::system(), outbound::Config::default());
    outbound::install_crypto_provider();
    let client = Client::new(&outbound, Guard::default(), "ringback-test", clock.clone()).unwrap();
    let speech = Speech::start(speech::Config::default(), &outbound, Guard::default(), "ringback-test", clock.clone());
    let (leases, limits) = (Arc::new(Local::new(clock.clone())), Arc::new(MemoryLimits::default()));
    let limited = concurrency::Config::default();
    let rooms = Rooms {
        origin: Origin::new(client, origin::Config::default(), clock.clone()),
        speech: speech.await.unwrap(),
        concurrency: Concurrency::new(limited, leases, Duration::ZERO, limits, clock.clone()),
        clock,
        tasks: TaskTracker::new(),
    };
    let mut config = Config::default();
    config.cache.durable.store = StoreKind::Directory;
    Media::open(config, dir, rooms).await.unwrap()
}

/// Audio that is there.
async fn made(media: &Media) -> (ArtifactId, ChunkId) {
    let body = Bytes::from_static(&[0x7f; 160]);
    let (content_hash, artifact) = (ContentHash::of(b"original"), ArtifactId::of(b"artifact"));
    let format = Format::parse("ulaw", &[]).unwrap();
    let source = Source::parse("https://sounds.example/hello.mp3").unwrap();
    let id = ChunkId::of(&body);
    let manifest = Manifest {
        artifact,
        content_hash,
        format,
        pipeline: "1.1.1.1".to_owned(),
        raw_type: None,
        length: body.len() as u64,
        duration_ms: 20,
        digest: BodyDigest::of(&body),
        chunks: vec![ChunkRef { id, length: body.len() as u32, sum: Some(Checksum::of(&body)) }],
    };
    let reference = Reference {
        source_url: source.text().into_owned(),
        content_hash,
        input: None,
        also: Vec::new(),
        format,
        pipeline: "1.1.1.1".to_owned(),
        visibility: Visibility::Public,
        tags: Vec::new(),
        source_tags: Vec::new(),
        created_at: SystemTime::UNIX_EPOCH,
        asked_at: None,
    };
    let commit = Commit {
        manifest: Some(manifest),
        reference: Some((artifact, reference)),
        ..Commit::new(Tenant::default_tenant(), source.key())
    };
    media.cache.admit(id, body).await;
    media.cache.commit(commit).await.unwrap();
    (artifact, id)
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_a_deletion_half_way() {
    let (dir, tenant) = (tempfile::tempdir().unwrap(), Tenant::default_tenant());
    let media = media(dir.path()).await;
    let (artifact, chunk) = made(&media).await;
    assert!(media.hot.get(&media.cache, &tenant, &artifact).is_some());

    assert!(media.forget(&tenant, &artifact).now_or_never().is_none(), "it has not come to its end yet");
    media.tasks.close();
    media.tasks.wait().await;
    assert!(media.hot.get(&media.cache, &tenant, &artifact).is_none());
    assert_eq!(media.cache.chunk_tier(&chunk), None);
    let again = media.forget(&tenant, &artifact).await;
    assert!(again.as_ref().is_err_and(|problem| problem.kind == Kind::NotFound), "{again:?}");
    while 0 < media.cache.stats().counts.pending {
        tokio::task::yield_now().await;
    }
    let store = media.cache.durable_store().unwrap();
    assert_eq!(store.list("announcements/", None, 10).await.unwrap().len(), 1);
    media.close().await;
}
