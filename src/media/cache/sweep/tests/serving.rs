//! The sweep beside a cache that is in use.

use std::{path::Path, sync::Arc};

use bytes::Bytes;

use super::{DAY, World, tenant};
use crate::{
    ids::{ArtifactId, ChunkId, SourceKey},
    media::cache::{
        Cache, Config, Purge, Reader, Whole,
        durable::layout,
        tests::{chunk, commit, small},
    },
    testing::faulty_store::Call,
};

impl World {
    async fn cache(&self, data_dir: &Path) -> Cache {
        let config = Config { durable: self.config.clone(), ..small() };
        Cache::open_on(&config, data_dir, Some(Arc::new(self.store.clone())), self.clock.clone()).await.unwrap()
    }

    /// Commits an artifact and has the store told, which the end of a cache waits for.
    async fn commit(&self, data_dir: &Path, name: &str, chunks: &[(ChunkId, Bytes)]) -> ArtifactId {
        let cache = self.cache(data_dir).await;
        let (artifact, records) = commit(name, "ulaw", chunks);
        for (id, bytes) in chunks {
            cache.admit(*id, bytes.clone()).await;
        }
        cache.commit(records).await.unwrap();
        cache.close().await;
        artifact
    }

    async fn touch(&self, data_dir: &Path, artifact: &ArtifactId, times: usize) {
        let cache = self.cache(data_dir).await;
        let reference = cache.reference(&tenant(), artifact).await.unwrap().unwrap();
        for _ in 0..times {
            cache.touch(&tenant(), artifact, &reference);
        }
        // Nobody waits for a use to be noted. Changes are made in order, so after this one it is.
        cache.forget_source(&tenant(), &SourceKey::of(b"nothing")).await.unwrap();
        cache.close().await;
    }

    fn puts_of(&self, artifact: &ArtifactId) -> usize {
        let reference = Call::Put(layout::reference(artifact, &tenant()).to_string());
        self.store.calls_count(|call| *call == reference)
    }
}

#[tokio::test]
async fn what_is_used_stays() {
    let world = World::new("artifacts_keep = \"30days\"").await;
    let node = tempfile::tempdir().unwrap();
    let used = world.commit(node.path(), "used", &[chunk(1, 1000)]).await;
    let unused = world.commit(node.path(), "unused", &[chunk(2, 1000)]).await;
    for key in world.keys().await {
        world.date(&key, 31 * DAY);
    }
    world.store.take_calls();
    world.touch(node.path(), &used, 100).await;
    assert_eq!(world.puts_of(&used), 1);
    world.pass().await;
    let is_there = |artifact: &ArtifactId| {
        let all = [layout::manifest(artifact), layout::reference(artifact, &tenant())];
        all.map(|key| world.path(&key).exists())
    };
    assert_eq!((is_there(&used), is_there(&unused)), ([true; 2], [false; 2]));
    // Another node still gets it there.
    let other = tempfile::tempdir().unwrap();
    let cache = world.cache(other.path()).await;
    assert!(cache.reference(&tenant(), &unused).await.unwrap().is_none());
    assert!(cache.reference(&tenant(), &used).await.unwrap().is_some());
    let manifest = cache.manifest(&used).await.unwrap().unwrap();
    let (bytes, _) = Reader::new(&cache, Whole::Artifact(manifest), 0..1).next().await.unwrap();
    assert_eq!(bytes, chunk(1, 1000).1);
    cache.close().await;
}

#[tokio::test]
async fn what_was_purged_is_of_no_use_and_where_nothing_expires_uses_do_not_count() {
    let mut world = World::new("artifacts_keep = \"30days\"").await;
    let node = tempfile::tempdir().unwrap();
    let artifact = world.commit(node.path(), "audio", &[chunk(1, 1000)]).await;
    world.store.take_calls();
    world.config.artifacts_keep = std::time::Duration::ZERO;
    world.touch(node.path(), &artifact, 1).await;
    assert_eq!(world.puts_of(&artifact), 0);
    world.config.artifacts_keep = 30 * DAY;
    world.touch(node.path(), &artifact, 1).await;
    assert_eq!(world.puts_of(&artifact), 1);
    let cache = world.cache(node.path()).await;
    cache.purge(&tenant(), Purge::All, world.clock.now_wall()).await.unwrap();
    cache.close().await;
    drop(cache);
    world.touch(node.path(), &artifact, 1).await;
    assert_eq!(world.puts_of(&artifact), 1);
}

#[tokio::test]
async fn a_reader_under_way_gets_the_right_bytes_or_none() {
    let world = World::new("artifacts_keep = \"30days\"").await;
    let node = tempfile::tempdir().unwrap();
    let chunks: Vec<_> = (0..80).map(|number| chunk(number, 1000)).collect();
    let artifact = world.commit(node.path(), "long", &chunks).await;
    let other = tempfile::tempdir().unwrap();
    let cache = world.cache(other.path()).await;
    let manifest = cache.manifest(&artifact).await.unwrap().unwrap();
    let mut reader = Reader::new(&cache, Whole::Artifact(manifest), 0..chunks.len());
    assert_eq!(reader.next().await.unwrap().0, chunks[0].1);
    for key in world.keys().await {
        world.date(&key, 31 * DAY);
    }
    world.pass().await;
    assert!(world.keys().await.iter().all(|key| !key.as_str().starts_with("artifacts/")));
    let mut read = 1;
    while let Some((bytes, _)) = reader.next().await {
        assert_eq!(bytes, chunks[read].1);
        read += 1;
    }
    // The run that was under way came to its end, and there was no other.
    assert!((1..80).contains(&read), "{read}");
    cache.close().await;
}
