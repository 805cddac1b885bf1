//! Whose signing key a path names (`spec/trust.md` §4). Whether the path is signed with it, its caller finds out: here nothing is known of paths.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use ring::hmac;

use crate::ids::KeySid;

use super::{
    Access, Accounts, AccountsError, Credential, Principal, Refusal, Status,
    callers::{SIGNING_KEY, active, count, count_stale, refusal},
    ceiling::network,
    keys,
    lookup::of_key,
    memory::Of,
};

/// A signing key that is there.
pub struct Signer {
    key: hmac::Key,
    principal: Arc<Principal>,
    status: Status,
    /// As [`Known`](super::callers::Known) has it.
    noted: AtomicU32,
}

impl Signer {
    /// What it signs with.
    pub fn key(&self) -> &hmac::Key {
        &self.key
    }
}

/// Whose it is, and nothing of the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("principal", &self.principal)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// A signing key by its name, if that can be told without waiting for anything.
    pub fn recognise_signer(&self, sid: KeySid, access: Access) -> Option<Result<Arc<Signer>, Refusal>> {
        let standing = self.standing();
        let known = self.inner.callers.signers.get(&sid).filter(|_| standing.suffices(access))?;
        count_stale(standing);
        Some(known.ok_or(Refusal::Wrong))
    }

    /// Who has signed, of something that its key did sign.
    ///
    /// # Errors
    /// It may not any more.
    pub fn admit(&self, signer: &Signer) -> Result<Arc<Principal>, Refusal> {
        if !self.is_in_time(&signer.principal) {
            return Err(Refusal::Wrong);
        }
        self.inner.callers.note_use(&signer.principal, &signer.noted, &self.inner.clock);
        active(signer.status).map(|()| signer.principal.clone())
    }

    /// A signing key by its name.
    ///
    /// # Errors
    /// There is none, this address has asked for too many that are none, or the store cannot be asked.
    pub async fn signer(&self, sid: KeySid, from: IpAddr, access: Access) -> Result<Arc<Signer>, Refusal> {
        if let Some(recognised) = self.recognise_signer(sid, access) {
            return recognised;
        }
        let inner = &*self.inner;
        let callers = &inner.callers;
        self.check_ceiling(&inner.signers_ceiling, from)?;
        let read_at = callers.heard.load(Ordering::Acquire);
        let looked_up = match self.look_up_signer(sid).await {
            Ok(found) => {
                let found = found.map(Arc::new);
                let of = found.as_ref().map(|signer| &signer.principal);
                let nobodys = Of::nobody();
                let of = of.map_or(nobodys, |principal| Of::principal(principal));
                callers.signers.insert(sid, found.clone(), of, &callers.heard, read_at);
                found.ok_or(Refusal::Wrong)
            }
            Err(error) => match refusal(&error) {
                // That it is away may have been found out here first: what was known before then counts.
                Refusal::Away => {
                    inner.feed.note_away();
                    self.recognise_signer(sid, access).unwrap_or(Err(Refusal::Away))
                }
                refusal => Err(refusal),
            },
        };
        count(looked_up.as_ref().err());
        if looked_up.as_ref().is_err_and(|refusal| *refusal == Refusal::Wrong) {
            inner.signers_ceiling.note_failure(network(from), inner.clock.now());
        }
        looked_up
    }

    async fn look_up_signer(&self, sid: KeySid) -> Result<Option<Signer>, AccountsError> {
        let Some(row) = self.key_row(sid, SIGNING_KEY).await? else { return Ok(None) };
        let secret = self.inner.sealer.open(&keys::purpose(&sid), &row.bytes(7)?)?;
        let (principal, status) = of_key(&row, Credential::Signature(sid))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
        Ok(Some(Signer { key, principal: Arc::new(principal), status, noted: AtomicU32::new(0) }))
    }
}
