//! Whose signing key a path names (`spec/trust.md` §4). Whether the path is signed with it, its caller finds out: here nothing is known of paths.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use ring::hmac;

use crate::ids::KeySid;

use super::{
    Access, Accounts, AccountsError, Credential, Principal, Refusal, Status,
    callers::{SIGNING_KEY, active, of_key, refusal},
    keys,
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

    /// Who has signed, of something that its key did sign.
    ///
    /// # Errors
    /// It may not any more.
    pub fn admit(&self, now: SystemTime) -> Result<Arc<Principal>, Refusal> {
        if self.principal.expires.is_some_and(|expires| expires <= now) {
            return Err(Refusal::Wrong);
        }
        active(self.status).map(|()| self.principal.clone())
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
    pub fn recognise_signer(&self, sid: KeySid, access: Access) -> Option<Arc<Signer>> {
        let callers = &self.inner.callers;
        let signer = callers.signers.get(&sid).filter(|_| self.standing().suffices(access))?;
        callers.note_use(&signer.principal, &signer.noted, &self.inner.clock);
        Some(signer)
    }

    /// A signing key by its name.
    ///
    /// # Errors
    /// There is none, this address has asked for too many that are none, or the store cannot be asked.
    pub async fn signer(&self, sid: KeySid, from: IpAddr, access: Access) -> Result<Arc<Signer>, Refusal> {
        if let Some(signer) = self.recognise_signer(sid, access) {
            return Ok(signer);
        }
        let callers = &self.inner.callers;
        self.check_ceiling(from)?;
        let read_at = callers.heard.load(Ordering::Acquire);
        match self.look_up_signer(sid).await {
            Ok(Some(signer)) => {
                let signer = Arc::new(signer);
                let of = Of { account: signer.principal.account, parent: signer.principal.parent };
                callers.signers.insert(sid, signer.clone(), of, &callers.heard, read_at);
                Ok(signer)
            }
            Ok(None) => {
                self.note_failure(from);
                Err(Refusal::Wrong)
            }
            Err(error) => {
                let refusal = refusal(&error);
                if refusal == Refusal::Away {
                    self.inner.feed.note_away();
                    return self.recognise_signer(sid, access).ok_or(refusal);
                }
                Err(refusal)
            }
        }
    }

    async fn look_up_signer(&self, sid: KeySid) -> Result<Option<Signer>, AccountsError> {
        let Some(row) = self.key_row(sid, SIGNING_KEY).await? else { return Ok(None) };
        let secret = self.inner.sealer.open(&keys::purpose(&sid), &row.bytes(7)?)?;
        let (principal, status) = of_key(&row, Credential::Signature(sid))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
        Ok(Some(Signer { key, principal: Arc::new(principal), status, noted: AtomicU32::new(0) }))
    }
}
