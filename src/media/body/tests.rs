use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt as _;

use super::AudioBody;
use crate::{
    clock::Clock,
    ids::{ArtifactId, BodyDigest, ChunkId, ContentHash},
    media::{
        cache::{Cache, Checksum, ChunkRef, Config, Manifest, Reader, Whole},
        format::Format,
        hit::There,
    },
    units::ByteCount,
};

const CHUNKS: usize = 5;
const CHUNK: usize = 3;

fn manifest(body: &[u8]) -> Arc<Manifest> {
    let chunk = |bytes: &[u8]| ChunkRef {
        id: ChunkId::of(bytes),
        length: u32::try_from(bytes.len()).unwrap(),
        sum: Some(Checksum::of(bytes)),
    };
    Arc::new(Manifest {
        artifact: ArtifactId::of(b"body"),
        content_hash: ContentHash::of(body),
        format: Format::parse("ulaw", &[]).unwrap(),
        pipeline: "1".to_owned(),
        raw_type: None,
        length: body.len() as u64,
        duration_ms: 1,
        digest: BodyDigest::of(body),
        chunks: body.chunks(CHUNK).map(chunk).collect(),
    })
}

/// A request can be decided otherwise when its chunks were read than when it is answered: whatever was read, and whatever still reads, what
/// is sent is what is asked for.
#[tokio::test]
async fn what_was_read_for_another_answer_changes_no_byte() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { disk: ByteCount::bytes(0), ..Config::default() };
    let cache = Cache::open_on(&config, directory.path(), None, Clock::system()).await.unwrap();
    let body: Vec<u8> = (0..CHUNKS * CHUNK).map(|byte| u8::try_from(byte).unwrap()).collect();
    let manifest = manifest(&body);
    let chunks: Vec<Bytes> = body.chunks(CHUNK).map(Bytes::copy_from_slice).collect();
    for chunk in &chunks {
        cache.admit(ChunkId::of(chunk), chunk.clone()).await;
    }
    let readers: Vec<_> = (0..=CHUNKS).flat_map(|begin| (begin..=CHUNKS).map(move |end| begin..end)).collect();
    let ranges = (0..body.len()).flat_map(|start| (start + 1..=body.len()).map(move |end| start..end));
    for range in ranges {
        for read in 0..1_u32 << CHUNKS {
            for reader in &readers {
                let there = chunks.iter().enumerate().map(|(number, chunk)| {
                    let was_read = read & 1 << number != 0;
                    was_read.then(|| chunk.clone())
                });
                let rest = Reader::new(&cache, Whole::Artifact(Arc::clone(&manifest)), reader.clone());
                let there = There { chunks: there.collect(), rest: Some(Box::new(rest)) };
                let wanted = range.start as u64..range.end as u64;
                let sent = AudioBody::from_tiers(&cache, &manifest, there, wanted).collect().await.unwrap().to_bytes();
                assert_eq!(sent, body[range.clone()], "{range:?}, read {read:05b}, reader of {reader:?}");
            }
        }
    }
    cache.close().await;
}
