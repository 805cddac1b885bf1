//! The hit: from an artifact's name to bytes that are certainly there.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{
    ids::{ArtifactId, Tenant},
    media::{
        cache::{Cache, CacheError, ChunkRef, Manifest, Reader, Reference, Tier, Whole},
        hot::{Hot, Tags},
    },
};

/// Chunks that are read before the headers go out: 2 MiB. Damage among them is a miss and no aborted connection; those
/// behind them are read when their turn comes, so that a long artifact costs its caller neither time nor memory at the start.
const CHUNKS_AHEAD_MAX: usize = 8;
/// Chunks that a hit in memory holds for its whole length: 8 MiB, which the memory tier cannot give to others meanwhile.
const CHUNKS_PINNED_MAX: usize = 32;

/// An artifact that a tenant may have and that is there.
#[derive(Debug)]
pub(in crate::media) struct Hit {
    /// What it is made of.
    pub manifest: Arc<Manifest>,
    /// Why the tenant may have it.
    pub reference: Arc<Reference>,
    /// The slowest tier that holds some of it.
    pub tier: Tier,
    pub(in crate::media) tags: Tags,
    pub(in crate::media) there: There,
}

/// Chunks of an artifact that were read for a response.
#[derive(Debug, Default)]
pub(in crate::media) struct There {
    /// By their number, as far as they go.
    pub(in crate::media) chunks: Vec<Option<Bytes>>,
    /// What reads those behind them.
    pub(in crate::media) rest: Option<Box<Reader>>,
}

/// The hit, where all of it can be had without waiting.
///
/// Cost: one look-up in memory and one for each chunk. No lock is waited for, nothing is formatted.
pub(in crate::media) fn in_memory(cache: &Cache, hot: &Hot, tenant: &Tenant, artifact: &ArtifactId) -> Option<Hit> {
    let entry = hot.get(cache, tenant, artifact)?;
    let there = chunks_in_memory(cache, &entry.manifest, 0..entry.manifest.length)?;
    Some(Hit {
        manifest: Arc::clone(&entry.manifest),
        reference: Arc::clone(&entry.reference),
        tier: Tier::Memory,
        tags: entry.tags.clone(),
        there: There { chunks: there, rest: None },
    })
}

/// The chunks that hold `range` of an artifact's bytes, where memory has all of these; none in the place of the others.
pub(in crate::media) fn chunks_in_memory(
    cache: &Cache,
    manifest: &Manifest,
    range: Range<u64>,
) -> Option<Vec<Option<Bytes>>> {
    if manifest.chunks.len() > CHUNKS_PINNED_MAX {
        return None;
    }
    let mut end = 0;
    let chunk = |chunk: &ChunkRef| {
        let start = end;
        end += u64::from(chunk.length);
        let wanted = start < range.end && range.start < end;
        if wanted { cache.chunk_in_memory(&chunk.id).map(Some) } else { Some(None) }
    };
    manifest.chunks.iter().map(chunk).collect()
}

/// What is known of an artifact.
#[derive(Debug)]
pub(in crate::media) enum Found {
    /// All of it is there.
    Hit(Hit),
    /// The tenant may have it, but bytes are missing: it can be made again.
    Lost(Arc<Reference>),
    /// The tenant has no such artifact, whoever else may.
    Unknown,
}

/// Looks an artifact up in the order that tells nothing about others: the caller's reference before anything else. What `sent` says will
/// be sent of it is read, as far as headers wait for it. What `may` does not let through is as unknown as what is not there.
pub(in crate::media) async fn lookup(
    cache: &Cache,
    tenant: &Tenant,
    artifact: &ArtifactId,
    may: impl FnOnce(&Reference) -> bool,
    sent: impl FnOnce(&Manifest, &Tags) -> Range<u64>,
) -> Result<Found, CacheError> {
    let Some(reference) = cache.reference(tenant, artifact).await?.filter(|reference| may(reference)) else {
        return Ok(Found::Unknown);
    };
    let Some(manifest) = cache.manifest(artifact).await? else { return Ok(Found::Lost(reference)) };
    let tags = Tags::of(&manifest.digest);
    let wanted = chunks_of(&manifest, sent(&manifest, &tags));
    let Some((there, tier)) = read_ahead(cache, &manifest, wanted).await else { return Ok(Found::Lost(reference)) };
    cache.touch(tenant, artifact, &reference);
    Ok(Found::Hit(Hit { tags, manifest, reference, tier, there }))
}

/// The numbers of the chunks that hold `bytes`.
fn chunks_of(manifest: &Manifest, bytes: Range<u64>) -> Range<usize> {
    let mut end = 0;
    let mut chunks = 0..0;
    for (number, chunk) in manifest.chunks.iter().enumerate() {
        let start = end;
        end += u64::from(chunk.length);
        if start < bytes.end && bytes.start < end {
            if chunks.is_empty() {
                chunks.start = number;
            }
            chunks.end = number + 1;
        }
    }
    chunks
}

/// Reads the first of the `wanted` chunks and sees to it that the others are there, too. None where one is not.
async fn read_ahead(cache: &Cache, manifest: &Arc<Manifest>, wanted: Range<usize>) -> Option<(There, Tier)> {
    let whole = Whole::Artifact(Arc::clone(manifest));
    let mut slowest = Tier::Memory;
    let mut reader = Reader::new(cache, whole.clone(), wanted.clone());
    let mut chunks = vec![None; wanted.start];
    for _ in wanted.clone().take(CHUNKS_AHEAD_MAX) {
        let (bytes, tier) = reader.next().await?;
        chunks.push(Some(bytes));
        slowest = slowest.max(tier);
    }
    // What came from the durable tier was a part of the whole that lies there.
    if slowest <= Tier::Disk {
        slowest = slowest.max(cache.holds(&whole).await?);
    }
    let rest = (reader.position() < wanted.end).then(|| Box::new(reader));
    Some((There { chunks, rest }, slowest))
}
