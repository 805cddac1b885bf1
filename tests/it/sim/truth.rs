//! What is true in the simulation: which sources there are, and the bytes of everything that can be made of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use ringback::{
    ids::{ArtifactId, BodyDigest, ChunkId, ContentHash, SourceKey, Tenant},
    media::{
        cache::{Checksum, ChunkRef, Commit, KeptSource, Manifest, Reference, SourceRecord, Visibility},
        format::Format,
        freshness::{Said, Selection},
    },
};

/// Formats that artifacts are made in. Of the last one two kinds of node make differing bytes, as they do of Opus.
const FORMATS: [&str; 3] = ["ulaw", "alaw", "opus"];

/// One thing that can be made: a source in one of its versions, in one format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Made {
    pub(super) source: u32,
    pub(super) version: u32,
    pub(super) format: usize,
}

/// Bytes in their chunks.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) chunks: Vec<(ChunkId, Bytes)>,
    pub(super) digest: BodyDigest,
}

/// Draws and remembers all bytes.
#[derive(Debug)]
pub(super) struct Truth {
    seed: u64,
    bodies: Mutex<HashMap<(Made, u32), Arc<Body>>>,
    originals: Mutex<HashMap<(u32, u32), Arc<Body>>>,
}

impl Made {
    pub(super) const FORMATS: usize = FORMATS.len();

    pub(super) fn id(&self) -> ArtifactId {
        ArtifactId::of(format!("{self:?}").as_bytes())
    }

    pub(super) fn url(&self) -> String {
        format!("https://sounds.example/{}.mp3", self.source)
    }

    pub(super) fn source_key(&self) -> SourceKey {
        SourceKey::of(self.url().as_bytes())
    }

    fn format(&self) -> Format {
        Format::parse(FORMATS[self.format], &[]).unwrap()
    }

    /// Kinds of node whose bytes of it differ.
    fn kinds(&self) -> u32 {
        if self.format == FORMATS.len() - 1 { 2 } else { 1 }
    }
}

impl Truth {
    pub(super) fn new(seed: u64) -> Truth {
        Truth { seed, bodies: Mutex::default(), originals: Mutex::default() }
    }

    fn draw(&self, name: &str, chunks_max: usize) -> Body {
        let seed = ContentHash::of(format!("{}/{name}", self.seed).as_bytes());
        let mut chance = StdRng::from_seed(*seed.as_bytes());
        let count = chance.random_range(1..=chunks_max);
        let mut chunk = || -> Bytes {
            let length = chance.random_range(200..6_000);
            (0..length).map(|_| chance.random::<u8>()).collect()
        };
        let mut chunks: Vec<Bytes> = (0..count).map(|_| chunk()).collect();
        // Silence stands twice in a body.
        if count > 3 {
            chunks[count - 1] = chunks[0].clone();
        }
        let digest = BodyDigest::of(&chunks.concat());
        Body { chunks: chunks.into_iter().map(|bytes| (ChunkId::of(&bytes), bytes)).collect(), digest }
    }

    /// The bytes that a node of this kind makes.
    pub(super) fn body(&self, made: Made, kind: u32) -> Arc<Body> {
        let kind = kind % made.kinds();
        let mut bodies = self.bodies.lock().unwrap();
        Arc::clone(bodies.entry((made, kind)).or_insert_with(|| Arc::new(self.draw(&format!("{made:?}/{kind}"), 40))))
    }

    /// The bytes that a manifest speaks of, if they are right for what it names.
    pub(super) fn body_of(&self, made: Made, digest: &BodyDigest) -> Option<Arc<Body>> {
        (0..made.kinds()).map(|kind| self.body(made, kind)).find(|body| body.digest == *digest)
    }

    pub(super) fn original(&self, source: u32, version: u32) -> Arc<Body> {
        let mut originals = self.originals.lock().unwrap();
        let draw = || {
            let mut body = self.draw(&format!("original {source}/{version}"), 3);
            // No repetition: one chunk is named as the whole then.
            body.chunks.truncate(3);
            let whole: Vec<Bytes> = body.chunks.iter().map(|(_, bytes)| bytes.clone()).collect();
            body.digest = BodyDigest::of(&whole.concat());
            Arc::new(body)
        };
        Arc::clone(originals.entry((source, version)).or_insert_with(draw))
    }

    pub(super) fn content_hash(&self, source: u32, version: u32) -> ContentHash {
        ContentHash::from_bytes(*self.original(source, version).digest.as_bytes())
    }

    /// The records of one fill at this time, by a node of this kind.
    pub(super) fn commit(&self, made: Made, kind: u32, now: SystemTime, keep: bool) -> Commit {
        let body = self.body(made, kind);
        let content_hash = self.content_hash(made.source, made.version);
        let manifest = Manifest {
            artifact: made.id(),
            content_hash,
            format: made.format(),
            pipeline: "1.1.1.1".to_owned(),
            raw_type: None,
            length: length(&body),
            duration_ms: 1000,
            digest: body.digest,
            chunks: refs(&body),
        };
        let reference = Reference {
            source_url: made.url(),
            content_hash,
            input: None,
            also: Vec::new(),
            format: made.format(),
            pipeline: "1.1.1.1".to_owned(),
            visibility: Visibility::Public,
            tags: Vec::new(),
            source_tags: vec![tag(made.source)],
            created_at: now,
            asked_at: Some(now),
        };
        let source = SourceRecord {
            url: made.url(),
            content_hash,
            headerless: false,
            length: 0,
            declared: None,
            said: Said::of(&HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("\"v\""))])),
            selection: Some(Selection::default()),
            tags: vec![tag(made.source)],
            labels: Vec::new(),
            rules_stamp: 0,
            asked_at: Some(now),
            checked_at: now,
            fresh_until: now + Duration::from_secs(60),
            changed_at: now,
        };
        let original = self.original(made.source, made.version);
        Commit {
            source: Some(source),
            manifest: Some(manifest),
            reference: Some((made.id(), reference)),
            kept: keep.then(|| KeptSource { content_hash, length: length(&original), chunks: refs(&original) }),
            ..Commit::new(Tenant::default_tenant(), made.source_key())
        }
    }
}

/// The label of a source; several have the same.
pub(super) fn tag(source: u32) -> String {
    format!("tag-{}", source % 3)
}

fn length(body: &Body) -> u64 {
    body.chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum()
}

fn refs(body: &Body) -> Vec<ChunkRef> {
    // Every other without a sum, as in records of before there were such.
    let sum = |bytes: &Bytes| bytes.len().is_multiple_of(2).then(|| Checksum::of(bytes));
    body.chunks.iter().map(|(id, bytes)| ChunkRef { id: *id, length: bytes.len() as u32, sum: sum(bytes) }).collect()
}
