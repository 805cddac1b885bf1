//! API keys and signing keys.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rand::{RngExt as _, distr::Alphanumeric};

use crate::{
    ids::{AccountSid, KeySid},
    secret::Secret,
    store::{Row, Statement, StoreError},
};

use super::{
    Accounts, AccountsError, Actor, Credential, Listed, Page,
    account::{check_has_credentials, check_name},
    change::Deed,
    page::{Listing, listing},
    records::{Key, KeyKind, NewKey},
    rows::{kept, micros, parsed, stamps, time},
    scopes::Scopes,
};

/// Keys of one kind that an account has at most.
const KEYS_MAX: i64 = 1_000;
/// Uses that are noted in one change: other writers wait for it.
const NOTES_AT_ONCE: usize = 200;
/// How long a key that ends may be good: dates beyond some thousand years cannot be written.
const LIFE_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Characters of a secret: 190 bits.
const SECRET_LENGTH: usize = 32;

macro_rules! columns {
    () => {
        "sid, created_at, account, kind, friendly_name, scopes, expires_at, used_at, updated_at, version"
    };
}

const ONE: &str = concat!("SELECT ", columns!(), " FROM api_keys WHERE sid = $1 AND account = $2 AND kind = $3");
const LIST: Listing = listing!(columns!(), "api_keys", "account = $4 AND kind = $5");

impl Accounts {
    /// Makes a key. Its secret is told here and never again.
    ///
    /// # Errors
    /// A name that is too long, an account that is not there, is closed or has too many keys.
    pub async fn create_key(
        &self,
        account: &AccountSid,
        new: &NewKey,
        by: &Actor,
    ) -> Result<(Key, Secret), AccountsError> {
        check_name(&new.friendly_name)?;
        check_has_credentials(&self.account(account).await?)?;
        let latest = self.inner.clock.now_wall() + LIFE_MAX;
        if new.expires.is_some_and(|expires| latest < expires) {
            return Err(AccountsError::Invalid {
                field: "DateExpires",
                reason: "must be within a hundred years".to_owned(),
            });
        }
        let sid = KeySid::draw(&mut rand::rng());
        let secret: String = rand::rng().sample_iter(Alphanumeric).take(SECRET_LENGTH).map(char::from).collect();
        let secret = Secret::new(secret);
        let name = sid.to_string();
        let (mac, sealed) = match new.kind {
            KeyKind::Api => (Some(self.inner.sealer.mac(&name, secret.reveal())?), None),
            KeyKind::Signing => (None, Some(self.inner.sealer.seal(&purpose(&sid), &secret)?)),
        };
        let now = kept(self.inner.clock.now_wall());
        let expires = new.expires.map(kept);
        let insert = Statement::new(
            "INSERT INTO api_keys (sid, account, kind, friendly_name, scopes, mac, secret, expires_at, version, created_at, updated_at) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $9 FROM accounts WHERE sid = $2 AND status <> 'closed' \
             AND connect_app IS NULL AND (SELECT count(*) FROM api_keys WHERE account = $2 AND kind = $3) < $10",
        )
        .bind(name.as_str())
        .bind(account.to_string())
        .bind(new.kind.as_str())
        .bind(new.friendly_name.as_str())
        .bind(new.scopes.to_string())
        .bind(mac)
        .bind(sealed)
        .bind(expires.map(micros))
        .bind(micros(now))
        .bind(KEYS_MAX)
        .changing(1);
        match self.change(Deed::on_records(account, by, "key.create", &sid), vec![insert]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => {
                Err(AccountsError::Conflict("the account is closed, or has as many keys as it may"))
            }
            done => done.map(|()| {
                let key = Key {
                    sid,
                    account: *account,
                    kind: new.kind,
                    friendly_name: new.friendly_name.clone(),
                    scopes: new.scopes,
                    expires,
                    used: None,
                    stamps: super::Stamps { created: now, updated: now, version: 1 },
                };
                (key, secret)
            }),
        }
    }

    /// A key of an account.
    ///
    /// # Errors
    /// It has none of this name and kind.
    pub async fn key(&self, account: &AccountSid, kind: KeyKind, sid: &KeySid) -> Result<Key, AccountsError> {
        let one = Statement::new(ONE).bind(sid.to_string()).bind(account.to_string()).bind(kind.as_str());
        let rows = self.inner.store.read(one).await?;
        rows.first().map_or(Err(AccountsError::NotFound("key")), key_of)
    }

    /// The keys of an account.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn keys(&self, account: &AccountSid, kind: KeyKind, page: &Page) -> Result<Listed<Key>, AccountsError> {
        let bind = |list: Statement| list.bind(account.to_string()).bind(kind.as_str());
        LIST.read(&self.inner.store, page, bind, key_of).await
    }

    /// Gives a key another name for people.
    ///
    /// # Errors
    /// There is no such key, or the name is too long.
    pub async fn rename_key(
        &self,
        account: &AccountSid,
        kind: KeyKind,
        sid: &KeySid,
        friendly_name: &str,
        by: &Actor,
    ) -> Result<Key, AccountsError> {
        check_name(friendly_name)?;
        let update = Statement::new(
            "UPDATE api_keys SET friendly_name = $1, updated_at = $2, version = version + 1 \
             WHERE sid = $3 AND account = $4 AND kind = $5",
        )
        .bind(friendly_name)
        .bind(micros(self.inner.clock.now_wall()))
        .bind(sid.to_string())
        .bind(account.to_string())
        .bind(kind.as_str())
        .changing(1);
        found("key", self.change(Deed::on_records(account, by, "key.update", sid), vec![update]).await)?;
        self.key(account, kind, sid).await
    }

    /// Revokes a key.
    ///
    /// # Errors
    /// There is no such key.
    pub async fn delete_key(
        &self,
        account: &AccountSid,
        kind: KeyKind,
        sid: &KeySid,
        by: &Actor,
    ) -> Result<(), AccountsError> {
        let delete = Statement::new("DELETE FROM api_keys WHERE sid = $1 AND account = $2 AND kind = $3")
            .bind(sid.to_string())
            .bind(account.to_string())
            .bind(kind.as_str())
            .changing(1);
        found("key", self.change(Deed::on_callers(account, by, "key.delete", sid), vec![delete]).await)
    }

    /// Writes down when keys were used last. To be called now and then.
    ///
    /// # Errors
    /// The store cannot be written; what was to be noted is lost.
    pub async fn note_uses(&self) -> Result<(), AccountsError> {
        let uses = self.inner.callers.uses.take();
        // No change that anybody has to hear of.
        let note = |used: Used, at| {
            let (sql, sid) = match used {
                Used::Key(sid) => (
                    "UPDATE api_keys SET used_at = $1 WHERE sid = $2 AND (used_at IS NULL OR used_at < $1)",
                    sid.to_string(),
                ),
                Used::Authorization(sid) => (
                    "UPDATE authorizations SET used_at = $1 WHERE sid = $2 AND (used_at IS NULL OR used_at < $1)",
                    sid.to_string(),
                ),
            };
            Statement::new(sql).bind(micros(at)).bind(sid)
        };
        let notes: Vec<Statement> = uses.into_iter().map(|(used, at)| note(used, at)).collect();
        for notes in notes.chunks(NOTES_AT_ONCE) {
            self.inner.store.write(notes).await?;
        }
        Ok(())
    }
}

/// When keys, and what applications are allowed, were used, until it is written down. A std lock: held for map operations only.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<HashMap<Used, SystemTime>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Used {
    Key(KeySid),
    /// By its subaccount.
    Authorization(AccountSid),
}

impl Uses {
    /// Notes that a credential was used on an account.
    pub(super) fn note(&self, credential: &Credential, account: AccountSid, at: SystemTime) {
        let key = credential.key().map(Used::Key);
        let authorization = credential.connected().map(|_| Used::Authorization(account));
        if key.is_none() && authorization.is_none() {
            return;
        }
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.extend([key, authorization].into_iter().flatten().map(|used| (used, at)));
    }

    fn take(&self) -> HashMap<Used, SystemTime> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A change whose first statement finds nothing.
pub(super) fn found<T>(what: &'static str, done: Result<T, AccountsError>) -> Result<T, AccountsError> {
    match done {
        Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Err(AccountsError::NotFound(what)),
        done => done,
    }
}

/// What a signing key's secret is sealed for.
pub(super) fn purpose(sid: &KeySid) -> String {
    format!("signing key {sid}")
}

fn key_of(row: &Row) -> Result<Key, AccountsError> {
    Ok(Key {
        sid: parsed(row, 0, "a key")?,
        account: parsed(row, 2, "a key")?,
        kind: parsed(row, 3, "a key")?,
        friendly_name: row.text(4)?,
        scopes: Scopes::of_kept(&row.text(5)?),
        expires: row.maybe_int(6)?.map(time),
        used: row.maybe_int(7)?.map(time),
        stamps: stamps(row, 1, 8)?,
    })
}
