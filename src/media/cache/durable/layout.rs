//! Where things lie in the durable tier, and how its records are written.
//!
//! ```text
//! artifacts/<aa>/<artifact id>.<ext>            audio as it is served: a CDN or a person can use it as it is
//! manifests/<aa>/<artifact id>                  record: what it is made of
//! references/<aa>/<artifact id>/<tenant>        record: that the tenant may use it, and how it is made again
//! sources/<aa>/<content hash>                   an original that is kept, as it was received
//! chunks/<aa>/<content hash>                    record: its chunks; none where it is a single one, which its name names
//! index/<tenant>/<aa>/<source key>              record: what is known of a source
//! announcements/<microseconds, 20 digits>-<16 hexadecimal digits>   record: what all nodes are to do
//! uploads/<tenant>/<aa>/<content hash>          what people put there: no cache, never removed but by them
//! prompts/<tenant>/<name, / as ..>              record: the upload that a name stands for
//! ```
//!
//! `<aa>` are the first two digits of what follows, so that lists can be taken in 256 parts. Artifacts, originals and manifests stand for
//! their bytes and are written once; the other records are replaced.
//!
//! A record is `<sha256 of its name, a line feed, and the JSON, in hexadecimal>\n<JSON>`. A store that gives back another object, or
//! another byte, gives nothing.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::store::ObjectKey;
use crate::{
    ids::{ArtifactId, BodyDigest, ContentHash, Sha256, SourceKey, Tenant},
    media::{cache::catalogue::Announcement, format::Format},
};

/// What begins the names of announcements.
pub(in crate::media::cache) const ANNOUNCEMENTS: &str = "announcements/";

/// What begins the names of index entries.
pub(in crate::media::cache) const INDEX: &str = "index/";

/// Bytes that stand in names beside folder and digits, mostly: an extension, a tenant.
const ROOM: usize = 48;

/// Digits of the time in an announcement's name.
const TIME_DIGITS: usize = 20;

/// Names are made of digests, tenants and constants, which all pass.
fn key(text: String) -> ObjectKey {
    ObjectKey::of_parts(text)
}

fn part(digest: &str) -> &str {
    digest.get(..2).unwrap_or(digest)
}

/// `<folder><aa>/<digits>`, with room for what comes behind. By hand, because each hit makes such names.
fn filed(folder: &str, digits: &str) -> String {
    let mut text = String::with_capacity(folder.len() + digits.len() + ROOM);
    for piece in [folder, part(digits), "/", digits] {
        text.push_str(piece);
    }
    text
}

pub(in crate::media::cache) fn artifact(id: &ArtifactId, format: Format) -> ObjectKey {
    let mut text = artifacts(id);
    text.push_str(format.extension());
    key(text)
}

pub(in crate::media::cache) fn manifest(id: &ArtifactId) -> ObjectKey {
    key(filed("manifests/", &id.to_string()))
}

pub(in crate::media::cache) fn reference(id: &ArtifactId, tenant: &Tenant) -> ObjectKey {
    let mut text = references(id);
    text.push_str(tenant.as_str());
    key(text)
}

/// What begins the names of an artifact's bytes.
pub(in crate::media::cache) fn artifacts(id: &ArtifactId) -> String {
    let mut text = filed("artifacts/", &id.to_string());
    text.push('.');
    text
}

/// What begins the names of all tenants' references to an artifact.
pub(in crate::media::cache) fn references(id: &ArtifactId) -> String {
    let mut text = filed("references/", &id.to_string());
    text.push('/');
    text
}

pub(in crate::media::cache) fn original(hash: &ContentHash) -> ObjectKey {
    key(filed("sources/", &hash.to_string()))
}

pub(in crate::media::cache) fn chunks(hash: &ContentHash) -> ObjectKey {
    key(filed("chunks/", &hash.to_string()))
}

pub(in crate::media::cache) fn source(tenant: &Tenant, source: &SourceKey) -> ObjectKey {
    key(filed(&format!("{INDEX}{tenant}/"), &source.to_string()))
}

/// Whose an index entry of this name is.
pub(in crate::media::cache) fn tenant_of_source(key: &ObjectKey) -> Option<Tenant> {
    key.as_str().strip_prefix(INDEX)?.split_once('/')?.0.parse().ok()
}

/// A name behind those of all index entries of a tenant, and before those of the next tenant. No name has digits that are not
/// hexadecimal.
pub(in crate::media::cache) fn behind_sources_of(tenant: &Tenant) -> ObjectKey {
    key(format!("{INDEX}{tenant}/zz"))
}

/// Announcements that say the same lie under the same name.
pub(in crate::media::cache) fn announcement(announcement: &Announcement) -> ObjectKey {
    let digest = announcement.digest().to_string();
    key(format!("{}-{}", announcements_at(announcement.at), digest.get(..16).unwrap_or(&digest)))
}

/// What begins the names of announcements of one moment; in order of time.
fn announcements_at(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{ANNOUNCEMENTS}{:0TIME_DIGITS$}", since.as_micros())
}

/// A name before those of all announcements from `at` on, and behind those of all before it.
pub(in crate::media::cache) fn announcements_from(at: SystemTime) -> ObjectKey {
    key(announcements_at(at))
}

/// When an announcement of this name was made.
pub(in crate::media::cache) fn announced_at(key: &ObjectKey) -> Option<SystemTime> {
    let micros = key.as_str().strip_prefix(ANNOUNCEMENTS)?.get(..TIME_DIGITS)?.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(micros))
}

pub(crate) fn upload(tenant: &Tenant, hash: &ContentHash) -> ObjectKey {
    key(filed(&uploads(tenant), &hash.to_string()))
}

/// What begins the names of a tenant's uploads.
pub(crate) fn uploads(tenant: &Tenant) -> String {
    format!("uploads/{tenant}/")
}

/// Where it is said what a prompt's name stands for; `name` has letters, digits, `-`, `_` and single dots only.
pub(crate) fn prompt(tenant: &Tenant, name: &str) -> ObjectKey {
    key(format!("{}{name}", prompts(tenant)))
}

/// What begins the names of what is said of a tenant's prompts.
pub(crate) fn prompts(tenant: &Tenant) -> String {
    format!("prompts/{tenant}/")
}

/// A record as it is written under `key`.
pub(crate) fn write<T: Serialize>(key: &ObjectKey, record: &T) -> serde_json::Result<Bytes> {
    let json = serde_json::to_vec(record)?;
    let mut bytes = seal(key, &json).to_string().into_bytes();
    bytes.push(b'\n');
    bytes.extend(json);
    Ok(bytes.into())
}

/// The record that was written under `key`; none where these bytes are not.
pub(crate) fn read<T: DeserializeOwned>(key: &ObjectKey, bytes: &[u8]) -> Option<T> {
    // A later version's record is none to this one.
    serde_json::from_slice(json(key, bytes)?).ok()
}

/// Whether these bytes were written under `key`, whatever version's record they are.
pub(in crate::media::cache) fn is_sound(key: &ObjectKey, bytes: &[u8]) -> bool {
    json(key, bytes).is_some()
}

fn json<'a>(key: &ObjectKey, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (sealed, json) = bytes.split_at_checked(64)?;
    let json = json.strip_prefix(b"\n")?;
    let sealed: BodyDigest = std::str::from_utf8(sealed).ok()?.parse().ok()?;
    (sealed == seal(key, json)).then_some(json)
}

fn seal(key: &ObjectKey, json: &[u8]) -> BodyDigest {
    BodyDigest::from_bytes(Sha256::new().with(key.as_str()).with(b"\n").with(json).finish())
}
