//! Every statement. Functions over a connection or an open transaction; rows in, rows out.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Counts, Dropped, filter::Kind, front::Key};
use crate::{
    ids::{ArtifactId, ChunkId, ContentHash, ResponseKey, SourceKey, Tenant},
    media::cache::{
        purges::{Purge, Rule},
        records::{ChunkRef, KeptSource, Manifest, Reference, SourceRecord},
        responses::Responses,
    },
};

/// The record under a key, as text.
pub(super) fn record(db: &Connection, key: &Key) -> rusqlite::Result<Option<String>> {
    match key {
        Key::Source(tenant, key) => source(db, tenant, key),
        Key::Reference(tenant, artifact) => db
            .prepare_cached("SELECT record FROM refs WHERE tenant = ?1 AND artifact = ?2")?
            .query_row(params![tenant.as_str(), artifact.as_bytes()], |row| row.get(0))
            .optional(),
        Key::Manifest(artifact) => manifest(db, artifact),
        Key::Kept(hash) => kept(db, hash),
        Key::Responses(key) => responses_text(db, key),
    }
}

/// A table's keys, as its index has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    kind: Kind,
    /// Those behind a tenant and a key, in order.
    sql: &'static str,
}

/// All keys by which records are looked up, and what the outbox names: that may be of something which is not there any more.
pub(super) const KEYS: [Keys; 9] = [
    Keys {
        kind: Kind::Source,
        sql: "SELECT tenant, key FROM sources WHERE (tenant, key) > (?1, ?2) ORDER BY tenant, key LIMIT ?3",
    },
    Keys {
        kind: Kind::Reference,
        sql: "SELECT tenant, artifact FROM refs WHERE (artifact, tenant) > (?2, ?1) ORDER BY artifact, tenant LIMIT ?3",
    },
    Keys {
        kind: Kind::Manifest,
        sql: "SELECT '', artifact FROM manifests WHERE artifact > ?2 AND ?1 = ?1 ORDER BY artifact LIMIT ?3",
    },
    Keys {
        kind: Kind::Kept,
        sql: "SELECT '', content_hash FROM kept WHERE content_hash > ?2 AND ?1 = ?1 ORDER BY content_hash LIMIT ?3",
    },
    Keys {
        kind: Kind::Responses,
        sql: "SELECT '', key FROM responses WHERE key > ?2 AND ?1 = ?1 ORDER BY key LIMIT ?3",
    },
    Keys {
        kind: Kind::Source,
        sql: "SELECT tenant, key FROM pending WHERE kind = 'source' AND (tenant, key) > (?1, ?2) ORDER BY tenant, key LIMIT ?3",
    },
    Keys {
        kind: Kind::Reference,
        sql: "SELECT tenant, key FROM pending WHERE kind = 'reference' AND (tenant, key) > (?1, ?2) ORDER BY tenant, key LIMIT ?3",
    },
    Keys {
        kind: Kind::Manifest,
        sql: "SELECT tenant, key FROM pending WHERE kind = 'artifact' AND (tenant, key) > (?1, ?2) ORDER BY tenant, key LIMIT ?3",
    },
    Keys {
        kind: Kind::Kept,
        sql: "SELECT tenant, key FROM pending WHERE kind = 'original' AND (tenant, key) > (?1, ?2) ORDER BY tenant, key LIMIT ?3",
    },
];

/// A key by which [`keys`] goes on.
pub(super) type After = (String, [u8; 32]);

/// Tells at most `limit` keys of a table behind `after`; the last of them, unless these were the last of all.
///
/// **Cost**: reads the table's index only.
pub(super) fn keys(
    db: &Connection,
    table: Keys,
    after: Option<After>,
    limit: u32,
    mut tell: impl FnMut(Kind, &str, &[u8; 32]),
) -> rusqlite::Result<Option<After>> {
    let mut statement = db.prepare_cached(table.sql)?;
    let (tenant, key) = after.as_ref().map_or(("", [].as_slice()), |(tenant, key)| (tenant, key));
    let mut rows = statement.query(params![tenant, key, limit])?;
    let (mut last, mut told) = (None, 0);
    while let Some(row) = rows.next()? {
        let key: [u8; 32] = row.get(1)?;
        tell(table.kind, row.get_ref(0)?.as_str()?, &key);
        told += 1;
        if told == limit {
            last = Some((row.get(0)?, key));
        }
    }
    Ok(last)
}

/// Rows of each table, as the triggers keep them.
pub(super) fn counts(db: &Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let mut statement = db.prepare_cached("SELECT name, n FROM counts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let n = row.get::<_, i64>(1)?.unsigned_abs();
        match row.get_ref(0)?.as_str()? {
            "sources" => counts.sources = n,
            "refs" => counts.references = n,
            "manifests" => counts.artifacts = n,
            "kept" => counts.kept_sources = n,
            "responses" => counts.responses = n,
            "pending" => counts.pending = n,
            _ => {}
        }
    }
    Ok(counts)
}

pub(super) fn put_source(db: &Connection, tenant: &Tenant, key: &SourceKey, text: &str) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO sources VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET record = excluded.record")?
        .execute(params![tenant.as_str(), key.as_bytes(), text])
        .map(drop)
}

/// Writes a reference. Where the tenant had one before, answers what the two make together, which is what was written.
pub(super) fn put_reference(
    db: &Connection,
    tenant: &Tenant,
    artifact: &ArtifactId,
    source_key: &SourceKey,
    reference: &Reference,
    text: &str,
) -> rusqlite::Result<Option<Reference>> {
    let together = reference_with_key(db, tenant, artifact)?
        .map(|(older, older_key)| reference.clone().after(*source_key, older, older_key));
    let rewritten = together.as_ref().map(serde_json::to_string).transpose();
    let rewritten = rewritten.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    db.prepare_cached(
        "INSERT INTO refs VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE \
         SET content_hash = excluded.content_hash, source_key = excluded.source_key, record = excluded.record",
    )?
    .execute(params![
        tenant.as_str(),
        artifact.as_bytes(),
        reference.content_hash.as_bytes(),
        source_key.as_bytes(),
        rewritten.as_deref().unwrap_or(text)
    ])?;
    Ok(together)
}

/// A tenant's reference and the key of its latest source. What this version cannot read counts as absent.
pub(super) fn reference_with_key(
    db: &Connection,
    tenant: &Tenant,
    artifact: &ArtifactId,
) -> rusqlite::Result<Option<(Reference, SourceKey)>> {
    let row = db
        .prepare_cached("SELECT record, source_key FROM refs WHERE tenant = ?1 AND artifact = ?2")?
        .query_row(params![tenant.as_str(), artifact.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, [u8; 32]>(1)?))
        })
        .optional()?;
    Ok(row.and_then(|(text, key)| Some((serde_json::from_str(&text).ok()?, SourceKey::from_bytes(key)))))
}

/// A tenant's references in order of their artifacts, after one, with the manifests that are here; of one original or of all.
///
/// **Cost**: rows of other tenants between them are passed over in the index alone.
pub(super) fn references(
    db: &Connection,
    tenant: &Tenant,
    original: Option<&ContentHash>,
    after: Option<&ArtifactId>,
    limit: u32,
) -> rusqlite::Result<Vec<ListedText>> {
    // Every id sorts after no bytes at all.
    let after: &[u8] = after.map_or(&[], |after| after.as_bytes().as_slice());
    let read = |row: &rusqlite::Row<'_>| {
        let artifact = ArtifactId::from_bytes(row.get(0)?);
        Ok(ListedText { artifact, reference: row.get(1)?, manifest: row.get(2)? })
    };
    match original {
        None => db
            .prepare_cached(
                "SELECT r.artifact, r.record, m.record FROM refs r LEFT JOIN manifests m ON m.artifact = r.artifact \
                 WHERE r.tenant = ?1 AND r.artifact > ?2 ORDER BY r.artifact LIMIT ?3",
            )?
            .query_map(params![tenant.as_str(), after, limit], read)?
            .collect(),
        Some(original) => db
            .prepare_cached(
                "SELECT r.artifact, r.record, m.record FROM refs r LEFT JOIN manifests m ON m.artifact = r.artifact \
                 WHERE r.content_hash = ?4 AND r.tenant = ?1 AND r.artifact > ?2 ORDER BY r.artifact LIMIT ?3",
            )?
            .query_map(params![tenant.as_str(), after, limit, original.as_bytes()], read)?
            .collect(),
    }
}

/// A reference as it is written down, beside the manifest of its artifact.
pub(super) struct ListedText {
    pub(super) artifact: ArtifactId,
    pub(super) reference: String,
    pub(super) manifest: Option<String>,
}

pub(super) fn put_manifest(db: &Connection, record: &Manifest, text: &str) -> rusqlite::Result<()> {
    let owner = record.artifact.as_bytes();
    match manifest(db, &record.artifact)? {
        Some(old) if old == text => return Ok(()),
        Some(old) => disown(db, chunks_of_manifest(&old), owner)?,
        None => {}
    }
    db.prepare_cached("INSERT INTO manifests VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record")?
        .execute(params![owner, text])?;
    own(db, &record.chunks, owner)
}

pub(super) fn put_kept(db: &Connection, record: &KeptSource, text: &str) -> rusqlite::Result<()> {
    let owner = record.content_hash.as_bytes();
    match kept(db, &record.content_hash)? {
        Some(old) if old == text => return Ok(()),
        Some(old) => disown(db, chunks_of_kept(&old), owner)?,
        None => {}
    }
    db.prepare_cached("INSERT INTO kept VALUES (?1, ?2) ON CONFLICT DO UPDATE SET record = excluded.record")?
        .execute(params![owner, text])?;
    own(db, &record.chunks, owner)
}

pub(super) fn delete_source(db: &Connection, tenant: &Tenant, key: &SourceKey) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM sources WHERE tenant = ?1 AND key = ?2")?
        .execute(params![tenant.as_str(), key.as_bytes()])
        .map(drop)
}

/// Deletes a manifest and answers the chunks that it owned.
pub(super) fn delete_manifest(db: &Connection, artifact: &ArtifactId) -> rusqlite::Result<Vec<ChunkRef>> {
    let Some(text) = manifest(db, artifact)? else { return Ok(Vec::new()) };
    let chunks = chunks_of_manifest(&text);
    disown(db, chunks.clone(), artifact.as_bytes())?;
    db.prepare_cached("DELETE FROM manifests WHERE artifact = ?1")?.execute([artifact.as_bytes()])?;
    Ok(chunks)
}

/// Deletes a kept source and answers the chunks that it owned.
pub(super) fn delete_kept(db: &Connection, hash: &ContentHash) -> rusqlite::Result<Vec<ChunkRef>> {
    let Some(text) = kept(db, hash)? else { return Ok(Vec::new()) };
    let chunks = chunks_of_kept(&text);
    disown(db, chunks.clone(), hash.as_bytes())?;
    db.prepare_cached("DELETE FROM kept WHERE content_hash = ?1")?.execute([hash.as_bytes()])?;
    Ok(chunks)
}

/// Adds labels to a reference and an index entry, and answers those that were there, as they are now.
pub(super) fn label(
    db: &Connection,
    tenant: &Tenant,
    artifact: &ArtifactId,
    source_key: &SourceKey,
    tags: &[String],
) -> rusqlite::Result<(Option<Reference>, Option<SourceRecord>)> {
    let json = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let reference = reference_with_key(db, tenant, artifact)?.map(|(reference, _)| reference.labelled(tags));
    if let Some(reference) = &reference {
        let text = serde_json::to_string(reference).map_err(json)?;
        db.prepare_cached("UPDATE refs SET record = ?3 WHERE tenant = ?1 AND artifact = ?2")?.execute(params![
            tenant.as_str(),
            artifact.as_bytes(),
            text
        ])?;
    }
    let record = source_record(db, tenant, source_key)?.map(|record| record.labelled(tags));
    if let Some(record) = &record {
        put_source(db, tenant, source_key, &serde_json::to_string(record).map_err(json)?)?;
    }
    Ok((reference, record))
}

/// Writes a rule down. One that speaks of everything takes the place of those that are not newer.
pub(super) fn put_purge(db: &Connection, rule: &Rule) -> rusqlite::Result<()> {
    let Rule { tenant, purge, at } = rule;
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    if *purge == Purge::All {
        db.prepare_cached("DELETE FROM purges WHERE tenant = ?1 AND at <= ?2")?
            .execute(params![tenant.as_str(), micros])?;
    }
    let (kind, text) = purge.to_row();
    db.prepare_cached("INSERT INTO purges VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)")?
        .execute(params![tenant.as_str(), kind, text, micros])
        .map(drop)
}

/// All rules that this version can read.
pub(super) fn purges(db: &Connection) -> rusqlite::Result<Vec<Rule>> {
    let mut statement = db.prepare_cached("SELECT tenant, kind, text, at FROM purges")?;
    let mut rows = statement.query([])?;
    let mut rules = Vec::new();
    while let Some(row) = rows.next()? {
        let tenant = row.get::<_, String>(0)?.parse::<Tenant>().ok();
        let purge = Purge::from_row(&row.get::<_, String>(1)?, row.get(2)?);
        if let Some((tenant, purge)) = tenant.zip(purge) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_micros(row.get::<_, i64>(3)?.unsigned_abs());
            rules.push(Rule { tenant, purge, at });
        }
    }
    Ok(rules)
}

/// What is kept of an address. What this version cannot read counts as absent.
pub(super) fn responses(db: &Connection, key: &ResponseKey) -> rusqlite::Result<Responses> {
    let text = responses_text(db, key)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Writes what is kept of an address, as the latest of all rows; nothing kept is no row.
pub(super) fn put_responses(db: &Connection, key: &ResponseKey, responses: &Responses) -> rusqlite::Result<()> {
    // Not an update in place: rows lie in order of their last change, so that the oldest are found without another index.
    db.prepare_cached("DELETE FROM responses WHERE key = ?1")?.execute([key.as_bytes()])?;
    if responses.variants.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_string(responses);
    let text = text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    db.prepare_cached("INSERT INTO responses VALUES (?1, ?2)")?.execute(params![key.as_bytes(), text]).map(drop)
}

/// Deletes the rows that have not changed for the longest, beyond `rows_max`; answers their keys.
pub(super) fn trim_responses(db: &Connection, rows_max: u64) -> rusqlite::Result<Vec<ResponseKey>> {
    let rows: i64 =
        db.prepare_cached("SELECT n FROM counts WHERE name = 'responses'")?.query_row([], |row| row.get(0))?;
    let beyond = rows.saturating_sub(i64::try_from(rows_max).unwrap_or(i64::MAX));
    if beyond <= 0 {
        return Ok(Vec::new());
    }
    let mut statement = db.prepare_cached(
        "DELETE FROM responses WHERE rowid IN (SELECT rowid FROM responses ORDER BY rowid LIMIT ?1) RETURNING key",
    )?;
    let keys = statement.query_map([beyond], |row| row.get::<_, [u8; 32]>(0).map(ResponseKey::from_bytes))?;
    keys.collect()
}

fn responses_text(db: &Connection, key: &ResponseKey) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT record FROM responses WHERE key = ?1")?
        .query_row([key.as_bytes()], |row| row.get(0))
        .optional()
}

/// A reference that was deleted with all that hung on it, and the keys that are no more.
pub(super) struct Deleted {
    pub(super) dropped: Dropped,
    pub(super) keys: Vec<Key>,
}

/// Deletes a reference and what only it kept alive; see [`Cache::drop_reference`](crate::media::cache::Cache::drop_reference).
pub(super) fn delete_reference(
    db: &Connection,
    tenant: &Tenant,
    artifact: &ArtifactId,
) -> rusqlite::Result<Option<Deleted>> {
    let row = db
        .prepare_cached("DELETE FROM refs WHERE tenant = ?1 AND artifact = ?2 RETURNING record, source_key")?
        .query_row(params![tenant.as_str(), artifact.as_bytes()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, [u8; 32]>(1)?))
        })
        .optional()?;
    let Some((text, source_key)) = row else { return Ok(None) };
    // A record that this version cannot read counts as absent here as everywhere; nothing further is known to hang on it.
    let Ok(reference) = serde_json::from_str::<Reference>(&text) else { return Ok(None) };

    let mut keys = vec![Key::Reference(tenant.clone(), *artifact)];
    let source_keys =
        std::iter::once(SourceKey::from_bytes(source_key)).chain(reference.also.iter().map(|also| also.key));
    for source_key in source_keys {
        if source_leads_to(db, tenant, &source_key, &reference.content_hash)? {
            delete_source(db, tenant, &source_key)?;
            keys.push(Key::Source(tenant.clone(), source_key));
        }
    }
    let mut chunks = Vec::new();
    let artifact_gone = !is_referenced(db, artifact)?;
    if artifact_gone {
        chunks.extend(delete_manifest(db, artifact)?);
        keys.push(Key::Manifest(*artifact));
    }
    if !is_referenced_original(db, &reference.content_hash)? {
        chunks.extend(delete_kept(db, &reference.content_hash)?);
        keys.push(Key::Kept(reference.content_hash));
    }
    let chunks = unowned(db, &chunks)?;
    Ok(Some(Deleted { dropped: Dropped { reference, artifact_gone, chunks }, keys }))
}

/// Whether a tenant has a reference to an artifact.
pub(super) fn is_referenced(db: &Connection, artifact: &ArtifactId) -> rusqlite::Result<bool> {
    exists(db, "SELECT 1 FROM refs WHERE artifact = ?1", artifact.as_bytes())
}

/// Whether a tenant has a reference to something that was made of an original.
pub(super) fn is_referenced_original(db: &Connection, hash: &ContentHash) -> rusqlite::Result<bool> {
    exists(db, "SELECT 1 FROM refs WHERE content_hash = ?1", hash.as_bytes())
}

fn source(db: &Connection, tenant: &Tenant, key: &SourceKey) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT record FROM sources WHERE tenant = ?1 AND key = ?2")?
        .query_row(params![tenant.as_str(), key.as_bytes()], |row| row.get(0))
        .optional()
}

fn manifest(db: &Connection, artifact: &ArtifactId) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT record FROM manifests WHERE artifact = ?1")?
        .query_row([artifact.as_bytes()], |row| row.get(0))
        .optional()
}

fn kept(db: &Connection, hash: &ContentHash) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT record FROM kept WHERE content_hash = ?1")?
        .query_row([hash.as_bytes()], |row| row.get(0))
        .optional()
}

/// Whether the index entry still stands for these bytes: a source that changed since belongs to another artifact.
fn source_leads_to(db: &Connection, tenant: &Tenant, key: &SourceKey, content: &ContentHash) -> rusqlite::Result<bool> {
    Ok(source_record(db, tenant, key)?.is_some_and(|record| record.content_hash == *content))
}

/// What the index knows of a source. What this version cannot read counts as absent.
pub(super) fn source_record(
    db: &Connection,
    tenant: &Tenant,
    key: &SourceKey,
) -> rusqlite::Result<Option<SourceRecord>> {
    Ok(source(db, tenant, key)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn exists(db: &Connection, sql: &str, key: &[u8; 32]) -> rusqlite::Result<bool> {
    db.prepare_cached(sql)?.exists([key])
}

fn own(db: &Connection, chunks: &[ChunkRef], owner: &[u8; 32]) -> rusqlite::Result<()> {
    // One chunk can stand twice in a body: silence does.
    let mut statement = db.prepare_cached("INSERT OR IGNORE INTO chunk_owners VALUES (?1, ?2)")?;
    chunks.iter().try_for_each(|chunk| statement.execute(params![chunk.id.as_bytes(), owner]).map(drop))
}

fn disown(db: &Connection, chunks: Vec<ChunkRef>, owner: &[u8; 32]) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM chunk_owners WHERE chunk = ?1 AND owner = ?2")?;
    chunks.iter().try_for_each(|chunk| statement.execute(params![chunk.id.as_bytes(), owner]).map(drop))
}

/// Those that nothing owns, each once.
fn unowned(db: &Connection, chunks: &[ChunkRef]) -> rusqlite::Result<Vec<ChunkId>> {
    let mut ids: Vec<ChunkId> = chunks.iter().map(|chunk| chunk.id).collect();
    ids.sort();
    ids.dedup();
    let mut free = Vec::with_capacity(ids.len());
    for id in ids {
        if !exists(db, "SELECT 1 FROM chunk_owners WHERE chunk = ?1", id.as_bytes())? {
            free.push(id);
        }
    }
    Ok(free)
}

fn chunks_of_manifest(text: &str) -> Vec<ChunkRef> {
    serde_json::from_str::<Manifest>(text).map(|record| record.chunks).unwrap_or_default()
}

fn chunks_of_kept(text: &str) -> Vec<ChunkRef> {
    serde_json::from_str::<KeptSource>(text).map(|record| record.chunks).unwrap_or_default()
}
