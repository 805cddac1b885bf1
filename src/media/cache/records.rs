//! The records of the catalogue (`spec/media.md` §1, `spec/trust.md` §2). Small, written as JSON, read back by any later version.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::checksum::Checksum;
use crate::{
    ids::{ArtifactId, BodyDigest, ChunkId, ContentHash, SourceKey},
    media::{
        format::{Format, Headerless},
        freshness::{CLOCK_STEP_MAX, Said, Selection, Times},
    },
};

/// One chunk of a body: up to 256 KiB, named by its own sha256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkRef {
    /// Name and digest.
    pub id: ChunkId,
    /// Length in bytes.
    pub length: u32,
    /// What its bytes add up to; none in records of before there was such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<Checksum>,
}

impl ChunkRef {
    /// Whether these are the bytes: by their sum, or by the name where the record has no sum.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        match &self.sum {
            Some(sum) => bytes.len() == self.length as usize && Checksum::of(bytes) == *sum,
            None => ChunkId::of(bytes) == self.id,
        }
    }
}

/// What an artifact is made of. Immutable, and with nothing in it about anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name.
    pub artifact: ArtifactId,
    /// The original it was made from.
    pub content_hash: ContentHash,
    /// What it was made into.
    pub format: Format,
    /// Versions of the stages that made it, as they stand in the artifact id.
    pub pipeline: String,
    /// Content type of a `raw` artifact; other formats know their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_type: Option<String>,
    /// Length of the body in bytes.
    pub length: u64,
    /// Length of the audio in milliseconds.
    pub duration_ms: u64,
    /// sha256 of the whole body: its ETag and Repr-Digest.
    pub digest: BodyDigest,
    /// The chunks in order; their lengths add up to `length`.
    pub chunks: Vec<ChunkRef>,
}

/// An original that is kept, so that a new format needs no download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSource {
    /// Its name.
    pub content_hash: ContentHash,
    /// Length in bytes.
    pub length: u64,
    /// Its chunks in order.
    pub chunks: Vec<ChunkRef>,
}

/// Who may see an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Anybody who has its address.
    Public,
    /// Only its tenant.
    Private,
}

/// That a tenant may use an artifact, and how it can be made again. Arises only from bytes which that tenant delivered or fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Canonical URL of the source.
    pub source_url: String,
    /// Original, input, format and pipeline: the recipe, so that the artifact can be rebuilt when its manifest is gone.
    pub content_hash: ContentHash,
    /// What the original was taken for because it was declared; none where its own bytes said what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Headerless>,
    /// What it is made into.
    pub format: Format,
    /// Versions of the stages, as they stand in the artifact id.
    pub pipeline: String,
    /// Who may see it.
    pub visibility: Visibility,
    /// Labels for purging and listing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The origin's labels of its source, as of when it was got last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_tags: Vec<String>,
    /// When the tenant first had it.
    pub created_at: SystemTime,
    /// When the origin was last asked for the bytes that it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<SystemTime>,
    /// Other sources that gave the same original, the latest first: it can be had again as long as one of them still has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<AlsoFrom>,
}

/// A reference as the durable tier has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SharedReference {
    /// The key of its latest source.
    pub(super) source_key: SourceKey,
    pub(super) reference: Reference,
}

/// Another source of the same original.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlsoFrom {
    /// Its key in the index.
    pub key: SourceKey,
    /// Its canonical URL.
    pub url: String,
}

/// How long what is known by its name may be used without asking: for ever, as far as HTTP has a word for it (RFC 9111 §1.2.2).
const KNOWN_FRESH: Duration = Duration::from_secs(365 * 86_400);

/// Labels of one reference or source at most, whoever gave them.
const TAGS_MAX: usize = 64;
/// Other sources that are remembered at most: those that come after have been there more lately.
const ALSO_MAX: usize = 4;

fn add_labels(known: &mut Vec<String>, more: &[String]) {
    for label in more {
        if known.len() < TAGS_MAX && !known.contains(label) {
            known.push(label.clone());
        }
    }
}

impl Reference {
    /// The same with more labels.
    #[must_use]
    pub(super) fn labelled(mut self, tags: &[String]) -> Reference {
        add_labels(&mut self.tags, tags);
        self
    }

    /// What is known of an artifact that the tenant has got again, from the source under `key`: nothing that was known before is lost.
    pub(super) fn after(mut self, key: SourceKey, older: Reference, older_key: SourceKey) -> Reference {
        let latest = AlsoFrom { key: older_key, url: older.source_url };
        let others = std::iter::once(latest).chain(older.also).filter(|other| other.key != key);
        self.also = others.take(ALSO_MAX).collect();
        let tags = std::mem::replace(&mut self.tags, older.tags);
        add_labels(&mut self.tags, &tags);
        self.asked_at = self.asked_at.max(older.asked_at);
        self.created_at = older.created_at;
        self
    }
}

/// What the index knows of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Canonical URL.
    pub url: String,
    /// The original that is there.
    pub content_hash: ContentHash,
    /// Its length in bytes.
    #[serde(default)]
    pub length: u64,
    /// Whether its own bytes do not say what it is, so that what is declared counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headerless: bool,
    /// What the origin declares it to be, by its Content-Type or the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Headerless>,
    /// What the origin said of its use and how it can be checked, as it stands after its last answer.
    #[serde(default)]
    pub said: Said,
    /// What of our requests the origin chose it by; none where it would not say.
    #[serde(default = "any_selection")]
    pub selection: Option<Selection>,
    /// The origin's labels of it, as of its last answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Labels that were given for it here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// When the origin was last asked; with its answer, where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<SystemTime>,
    /// When it last answered.
    pub checked_at: SystemTime,
    /// Until when the record may be used without asking.
    pub fresh_until: SystemTime,
    /// The rules by which that was decided.
    #[serde(default)]
    pub rules_stamp: u64,
    /// When the content hash last changed.
    pub changed_at: SystemTime,
}

fn any_selection() -> Option<Selection> {
    Some(Selection::default())
}

impl SourceRecord {
    /// What the index says of a source whose original is known by its name, and so never changes.
    pub fn of_known(name: String, content_hash: ContentHash, now: SystemTime) -> SourceRecord {
        SourceRecord {
            url: name,
            content_hash,
            length: 0,
            headerless: false,
            declared: None,
            said: Said::default(),
            selection: any_selection(),
            tags: Vec::new(),
            labels: Vec::new(),
            asked_at: Some(now),
            checked_at: now,
            fresh_until: now + KNOWN_FRESH,
            rules_stamp: 0,
            changed_at: now,
        }
    }

    /// What the original is taken for by a caller who declares `asked`: the `<input>` of artifact ids, none where its own bytes say it.
    /// The caller's word counts for more than the origin's, because it is given where the origin is wrong.
    pub fn input(&self, asked: Option<Headerless>) -> Option<Headerless> {
        if self.headerless { asked.or(self.declared) } else { None }
    }

    /// The same with labels that were given for it here.
    #[must_use]
    pub fn labelled(mut self, tags: &[String]) -> SourceRecord {
        add_labels(&mut self.labels, tags);
        self
    }

    /// When the origin was last asked.
    pub fn asked_at(&self) -> SystemTime {
        self.asked_at.unwrap_or(self.checked_at)
    }

    /// Whether it may be used without asking. One that was written while a clock was ahead may be of any age.
    pub fn is_fresh_at(&self, now: SystemTime) -> bool {
        now < self.fresh_until && self.checked_at <= now + CLOCK_STEP_MAX
    }

    /// When the origin was last asked, and when it answered.
    pub fn times(&self) -> Times {
        Times { request: self.asked_at(), response: self.checked_at }
    }

    /// When the source changed, by its origin's word, else when other bytes came.
    pub fn modified(&self) -> SystemTime {
        let said = self.said.get(&http::header::LAST_MODIFIED);
        said.and_then(|text| httpdate::parse_http_date(text).ok()).unwrap_or(self.changed_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::SourceRecord;
    use crate::ids::ContentHash;

    #[test]
    fn a_record_of_a_clock_that_was_ahead_is_not_fresh() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let written = |at| SourceRecord::of_known("http://prompts.example/a.wav".to_owned(), ContentHash::of(b""), at);
        assert!(written(now).is_fresh_at(now));
        // A step of NTP is none.
        assert!(written(now + Duration::from_secs(5)).is_fresh_at(now));
        assert!(!written(now + Duration::from_secs(6)).is_fresh_at(now));
        let stale = SourceRecord { fresh_until: now, ..written(now) };
        assert!(!stale.is_fresh_at(now));
    }
}
