//! Private audio (`spec/trust.md` §2): names that only the node can compute, and addresses that say themselves that they may be asked for.
//!
//! ```text
//! private artifact id = sha256("ringback1-private\n" <salt of the tenant, 32 bytes> <public artifact id, 32 bytes>)
//! salt of a tenant    = HMAC-SHA256(node key, "ringback salt 1\n" <tenant>)
//!
//! /media/{capability}/{artifact}.{ext}
//!         capability = {key id, 8 hexadecimal digits}-{whose}{when it ends, seconds of the Unix epoch, 0 for never}-{MAC}
//!         whose      = {account}- , or nothing for the tenant of callers who have none
//!         MAC        = base64url of the first 16 bytes of
//!                      HMAC-SHA256(node key, "ringback capability 1\n" <tenant> \n <grant> \n <artifact id> \n <extension> \n <end>)
//! ```
//!
//! Whoever knows the bytes of an upload can compute its content hash, and with it the public name of all that can be made of it: that
//! name must not tell whether somebody has it here. The node key is all that this rests on. It lies in `node.key` in the data directory, readable by the node
//! alone, or is configured: nodes that share a durable tier need the same one, or each knows the other's private audio under names of its own.
#![deny(clippy::indexing_slicing, clippy::as_conversions)]

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng as _;
use ring::hmac;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::{
    ids::{AccountSid, ArtifactId, Sha256, Tenant},
    media::cache::Visibility,
    problem::ConfigProblems,
    secret::Secret,
};

/// Bytes of the node key.
const KEY_BYTES: usize = 32;
/// Bytes of a MAC in an address: 128 bits, half of the hash (RFC 2104 §5).
const MAC_BYTES: usize = 16;
/// What the file in the data directory is called.
const FILE: &str = "node.key";
/// Until there are grants by which somebody else may have a tenant's audio, this is the only one: the tenant's own.
const OWN_GRANT: &str = "-";

/// `[media.private]`: what private audio rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The node key, 64 hexadecimal digits; the same on all nodes that share a durable tier. Empty: each node draws its own, once, and keeps
    /// it in `node.key` in the data directory.
    pub key: Secret,
}

impl Config {
    /// Notes each mistake under `prefix`, the dotted key of this table.
    pub fn validate(&self, prefix: &str, problems: &mut ConfigProblems) {
        let is_key = self.key.reveal().is_empty() || parse_key(self.key.reveal()).is_some();
        problems.check(is_key, &format!("{prefix}.key"), "must be 64 hexadecimal digits, or empty");
    }
}

/// Names and addresses of private audio. Cheap to clone.
#[derive(Clone)]
pub(in crate::media) struct Private {
    key: Arc<hmac::Key>,
    /// Which key made a capability: where keys are replaced, the old one's addresses are known by it.
    key_id: [u8; 4],
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Private")
    }
}

/// A capability as it stands in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Capability<'a> {
    key_id: &'a str,
    /// The account, unless it is the tenant of callers who have none.
    account: Option<AccountSid>,
    ends: u64,
    mac: &'a str,
}

impl<'a> Capability<'a> {
    fn parse(text: &'a str) -> Option<Capability<'a>> {
        let (key_id, rest) = text.split_once('-')?;
        let (account, rest) = match rest.split_once('-')? {
            (account, rest) if account.starts_with(AccountSid::PREFIX) => (Some(account.parse().ok()?), rest),
            _ => (None, rest),
        };
        let (ends, mac) = rest.split_once('-')?;
        // One spelling: a sign or a zero in front would make many addresses of one.
        let is_plain = ends.bytes().all(|byte| byte.is_ascii_digit()) && (ends == "0" || !ends.starts_with('0'));
        Some(Capability { key_id, account, ends: ends.parse().ok().filter(|_| is_plain)?, mac })
    }

    fn tenant(&self) -> Tenant {
        self.account.as_ref().map_or_else(Tenant::default_tenant, Tenant::of)
    }
}

impl Private {
    /// By the configured key, else by that of the data directory, which is drawn where there is none.
    ///
    /// # Errors
    /// The file cannot be read or made, or holds no key.
    pub(in crate::media) fn open(config: &Config, data_dir: &Path) -> io::Result<Private> {
        let key = match parse_key(config.key.reveal()) {
            Some(key) => key,
            None => read_or_draw(&data_dir.join(FILE))?,
        };
        Ok(Private::of(&key))
    }

    fn of(key: &[u8; KEY_BYTES]) -> Private {
        let digest = Sha256::new().with(b"ringback key id 1\n").with(key).finish();
        let key_id = digest.first_chunk().copied().unwrap_or_default();
        Private { key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key)), key_id }
    }

    /// The name of an artifact for a tenant that may have it, whose public name would be `public`.
    pub(in crate::media) fn name(&self, visibility: Visibility, tenant: &Tenant, public: ArtifactId) -> ArtifactId {
        match visibility {
            Visibility::Public => public,
            Visibility::Private => {
                let salt = hmac::sign(&self.key, format!("ringback salt 1\n{tenant}").as_bytes());
                let digest = Sha256::new().with(b"ringback1-private\n").with(salt);
                ArtifactId::from_bytes(digest.with(public.as_bytes()).finish())
            }
        }
    }

    /// What lets whoever has it ask for a private artifact under this extension, until `ends` or for ever.
    pub(in crate::media) fn capability(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        extension: &str,
        ends: Option<SystemTime>,
    ) -> String {
        let ends = ends.map_or(0, |ends| ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        let key_id = u32::from_be_bytes(self.key_id);
        let whose = tenant.account().map(|account| format!("{account}-")).unwrap_or_default();
        format!("{key_id:08x}-{whose}{ends}-{}", self.mac(tenant, artifact, extension, ends))
    }

    /// Whose audio a capability says that it is for. Whether it is one, [`opens`](Private::opens) tells.
    pub(in crate::media) fn tenant_of(capability: &str) -> Option<Tenant> {
        Capability::parse(capability).map(|said| said.tenant())
    }

    /// Whether a capability is one for this artifact and extension, and now: the tenant whose it is then may have it.
    pub(in crate::media) fn opens(
        &self,
        capability: &str,
        tenant: &Tenant,
        artifact: &ArtifactId,
        extension: &str,
        now: SystemTime,
    ) -> bool {
        let Some(said) = Capability::parse(capability) else { return false };
        let is_our_key = said.key_id == format!("{:08x}", u32::from_be_bytes(self.key_id));
        let mac = self.mac(tenant, artifact, extension, said.ends);
        let is_right: bool = mac.as_bytes().ct_eq(said.mac.as_bytes()).into();
        let ends = UNIX_EPOCH.checked_add(Duration::from_secs(said.ends));
        let is_over = said.ends != 0 && ends.is_none_or(|ends| ends <= now);
        said.tenant() == *tenant && is_our_key && is_right && !is_over
    }

    fn mac(&self, tenant: &Tenant, artifact: &ArtifactId, extension: &str, ends: u64) -> String {
        let message = format!("ringback capability 1\n{tenant}\n{OWN_GRANT}\n{artifact}\n{extension}\n{ends}");
        let tag = hmac::sign(&self.key, message.as_bytes());
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..MAC_BYTES).unwrap_or_default())
    }
}

fn parse_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    let digits: &[u8; 2 * KEY_BYTES] = text.trim().as_bytes().try_into().ok()?;
    let mut key = [0; KEY_BYTES];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    // What `from_str_radix` takes beside digits.
    text.trim().bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(key)
}

fn read_or_draw(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    match File::open(path) {
        Ok(file) => read_key(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => draw(path),
        Err(error) => Err(error),
    }
}

fn read_key(file: File) -> io::Result<[u8; KEY_BYTES]> {
    let mut text = String::new();
    file.take(1 << 10).read_to_string(&mut text)?;
    parse_key(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "node.key holds no 64 hexadecimal digits"))
}

/// Draws a key and has it on stable storage under its name before anything is named by it. The directory is locked by this process.
fn draw(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    rand::rng().fill_bytes(&mut key);
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let unfinished = path.with_extension("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests;
