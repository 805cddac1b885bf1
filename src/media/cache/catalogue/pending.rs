//! What the durable tier is still to be told: an outbox, written in the transaction of the change that it speaks of.
//!
//! A row names a record and says nothing of it: whoever empties the outbox looks what the record is by then, and writes or removes it.
//! Telling the same twice does no harm, and a record that changes again while it is being told gets a new row.

use std::time::SystemTime;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{front::Key, query};
use crate::{
    ids::{ArtifactId, BodyDigest, ContentHash, SourceKey, Tenant},
    media::cache::{
        purges::{Purge, Rule},
        records::SharedReference,
    },
};

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::media::cache) enum Subject {
    /// Bytes and manifest of an artifact.
    Artifact(ArtifactId),
    /// A kept original.
    Original(ContentHash),
    /// A tenant's reference.
    Reference(Tenant, ArtifactId),
    /// An index entry.
    Source(Tenant, SourceKey),
    /// Something that the other nodes are to do.
    Announcement(Announcement),
}

/// Something that all nodes are to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(in crate::media::cache) struct Announcement {
    /// Whose things it is about.
    pub(in crate::media::cache) tenant: String,
    /// What to do.
    pub(in crate::media::cache) order: Order,
    /// When it was said. What came later is not meant.
    pub(in crate::media::cache) at: SystemTime,
}

/// What an announcement asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::media::cache) enum Order {
    /// To obey a rule of purging.
    Purge {
        /// Kind and text, as [`Purge`] spells itself.
        kind: String,
        /// What of.
        text: String,
    },
    /// To drop a reference.
    Forget(ArtifactId),
}

impl Announcement {
    pub(in crate::media::cache) fn purge(rule: &Rule) -> Announcement {
        let (kind, text) = rule.purge.to_row();
        let order = Order::Purge { kind: kind.to_owned(), text: text.to_owned() };
        Announcement { tenant: rule.tenant.to_string(), order, at: rule.at }
    }

    pub(in crate::media::cache) fn forget(tenant: &Tenant, artifact: &ArtifactId, at: SystemTime) -> Announcement {
        Announcement { tenant: tenant.to_string(), order: Order::Forget(*artifact), at }
    }

    /// The rule that it asks to be obeyed, where it is one that this version knows.
    pub(in crate::media::cache) fn rule(&self) -> Option<Rule> {
        let Order::Purge { kind, text } = &self.order else { return None };
        let purge = Purge::from_row(kind, text.clone())?;
        Some(Rule { tenant: self.tenant.parse().ok()?, purge, at: self.at })
    }

    /// The reference that it asks to be dropped.
    pub(in crate::media::cache) fn forgotten(&self) -> Option<(Tenant, ArtifactId)> {
        let Order::Forget(artifact) = &self.order else { return None };
        Some((self.tenant.parse().ok()?, *artifact))
    }

    /// A name for it, the same for equal ones.
    pub(in crate::media::cache) fn digest(&self) -> BodyDigest {
        BodyDigest::of(serde_json::to_string(self).unwrap_or_default().as_bytes())
    }
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::media::cache) struct Pending {
    /// Its number: a later row has a higher one.
    pub(in crate::media::cache) number: i64,
    pub(in crate::media::cache) subject: Subject,
    /// The reference that it speaks of, as it is by now: nowhere else it is kept with its source.
    pub(in crate::media::cache) reference: Option<Box<SharedReference>>,
}

impl Subject {
    /// The record under a key, where the durable tier keeps it.
    pub(super) fn of(key: &Key) -> Option<Subject> {
        Some(match key {
            Key::Source(tenant, key) => Subject::Source(tenant.clone(), *key),
            Key::Reference(tenant, artifact) => Subject::Reference(tenant.clone(), *artifact),
            Key::Manifest(artifact) => Subject::Artifact(*artifact),
            Key::Kept(hash) => Subject::Original(*hash),
            Key::Responses(_) => return None,
        })
    }

    fn to_row(&self) -> rusqlite::Result<(&'static str, &str, [u8; 32], String)> {
        let none = String::new();
        Ok(match self {
            Subject::Artifact(artifact) => ("artifact", "", *artifact.as_bytes(), none),
            Subject::Original(hash) => ("original", "", *hash.as_bytes(), none),
            Subject::Reference(tenant, artifact) => ("reference", tenant.as_str(), *artifact.as_bytes(), none),
            Subject::Source(tenant, key) => ("source", tenant.as_str(), *key.as_bytes(), none),
            Subject::Announcement(announcement) => {
                let note = serde_json::to_string(announcement);
                let note = note.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
                ("announcement", announcement.tenant.as_str(), *announcement.digest().as_bytes(), note)
            }
        })
    }

    /// Reads it back; none where another version wrote it.
    fn from_row(kind: &str, tenant: &str, key: [u8; 32], note: &str) -> Option<Subject> {
        Some(match kind {
            "artifact" => Subject::Artifact(ArtifactId::from_bytes(key)),
            "original" => Subject::Original(ContentHash::from_bytes(key)),
            "reference" => Subject::Reference(tenant.parse().ok()?, ArtifactId::from_bytes(key)),
            "source" => Subject::Source(tenant.parse().ok()?, SourceKey::from_bytes(key)),
            "announcement" => Subject::Announcement(serde_json::from_str(note).ok()?),
            _ => return None,
        })
    }
}

/// Something for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    pub(super) subject: Subject,
    /// Whether it has to get in: what takes something away. What adds something can be made again by whoever lacks it.
    pub(super) is_owed: bool,
}

/// What became of something for the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// It is there.
    Yes,
    /// It is there, and the last row that only adds something is not any more.
    InPlaceOfAnother,
    /// There was no room.
    No,
}

/// The last row that only adds something: its record is there.
const LAST_ADDITION: &str = "SELECT number FROM pending AS p WHERE CASE kind \
     WHEN 'artifact' THEN EXISTS (SELECT 1 FROM manifests WHERE artifact = p.key) \
     WHEN 'original' THEN EXISTS (SELECT 1 FROM kept WHERE content_hash = p.key) \
     WHEN 'reference' THEN EXISTS (SELECT 1 FROM refs WHERE artifact = p.key AND tenant = p.tenant) \
     WHEN 'source' THEN EXISTS (SELECT 1 FROM sources WHERE key = p.key AND tenant = p.tenant) \
     ELSE 0 END ORDER BY number DESC LIMIT 1";

/// Puts a row at the end, in the place of one that names the same. There are never more than `rows_max`.
pub(super) fn put(db: &Connection, news: &News, rows_max: u64) -> rusqlite::Result<Noted> {
    let (kind, tenant, key, note) = news.subject.to_row()?;
    // Not an upsert: a row that is being told now must not swallow what has changed since.
    db.prepare_cached("DELETE FROM pending WHERE kind = ?1 AND tenant = ?2 AND key = ?3")?
        .execute(params![kind, tenant, key])?;
    let rows: i64 =
        db.prepare_cached("SELECT n FROM counts WHERE name = 'pending'")?.query_row([], |row| row.get(0))?;
    let is_full = rows_max <= rows.unsigned_abs();
    if is_full {
        let makes_room = news.is_owed
            && 0 < db.prepare_cached(&format!("DELETE FROM pending WHERE number = ({LAST_ADDITION})"))?.execute([])?;
        if !makes_room {
            return Ok(Noted::No);
        }
    }
    db.prepare_cached("INSERT INTO pending (kind, tenant, key, note) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![kind, tenant, key, note])?;
    Ok(if is_full { Noted::InPlaceOfAnother } else { Noted::Yes })
}

/// The first rows behind `after`. One that this version cannot read is passed over.
pub(super) fn first(db: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<Pending>> {
    let mut statement = db.prepare_cached(
        "SELECT number, kind, tenant, key, note FROM pending WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut pending = Vec::new();
    while let Some(row) = rows.next()? {
        let subject = Subject::from_row(
            row.get_ref(1)?.as_str()?,
            row.get_ref(2)?.as_str()?,
            row.get(3)?,
            row.get_ref(4)?.as_str()?,
        );
        if let Some(subject) = subject {
            let reference = match &subject {
                Subject::Reference(tenant, artifact) => query::reference_with_key(db, tenant, artifact)?,
                _ => None,
            };
            let reference =
                reference.map(|(reference, source_key)| Box::new(SharedReference { source_key, reference }));
            pending.push(Pending { number: row.get(0)?, subject, reference });
        }
    }
    Ok(pending)
}

/// Whether a record that is not here is to be removed from the durable tier, or has been noted for it otherwise: what lies there under
/// its name is not the last word.
pub(super) fn names(db: &Connection, subject: &Subject) -> rusqlite::Result<bool> {
    let (kind, tenant, key, _) = subject.to_row()?;
    db.prepare_cached("SELECT 1 FROM pending WHERE kind = ?1 AND tenant = ?2 AND key = ?3")?
        .exists(params![kind, tenant, key])
}

/// The same of the record under a key.
pub(super) fn names_record(db: &Connection, key: &Key) -> rusqlite::Result<bool> {
    Subject::of(key).map_or(Ok(false), |subject| names(db, &subject))
}

/// Removes rows that were told.
pub(super) fn settle(db: &Connection, numbers: &[i64]) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM pending WHERE number = ?1")?;
    numbers.iter().try_for_each(|number| statement.execute([number]).map(drop))
}
