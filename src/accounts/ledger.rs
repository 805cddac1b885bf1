//! The audit log, for rooms that keep in tables of their own what accounts have: an entry is written in the transaction of the change.

use std::time::SystemTime;

use crate::{
    ids::{AccountSid, KeySid},
    store::{Statement, Store},
};

use super::{
    Accounts, AccountsError, Actor,
    change::{Deed, entries},
    rows::parsed,
    schema::SCHEMA,
};

/// The audit log of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    store: Store,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// On whose account; nobody's: [`AccountSid::NOBODY`].
    pub account: AccountSid,
    /// By whom.
    pub by: &'a Actor,
    /// What, as `limit.set`.
    pub action: &'static str,
    /// To what.
    pub target: String,
    /// Further words.
    pub detail: String,
    /// When.
    pub at: SystemTime,
}

impl Ledger {
    /// The audit log of a store, whose tables are made or brought up to date. No secret is read, so no key file is needed.
    ///
    /// # Errors
    /// The store cannot be used.
    pub async fn open(store: Store) -> Result<Ledger, AccountsError> {
        store.migrate(&SCHEMA).await?;
        Ok(Ledger { store })
    }

    /// What writes an entry. After it all nodes hear of a change, which takes nothing from anybody who may call.
    pub fn write(entry: Entry<'_>) -> Vec<Statement> {
        let Entry { account, by, action, target, detail, at } = entry;
        entries(Deed::on_records(&account, by, action, &target).detail(detail), at)
    }

    /// Whose a key is.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn account_of_key(&self, key: &KeySid) -> Result<Option<AccountSid>, AccountsError> {
        let one = Statement::new("SELECT account FROM api_keys WHERE sid = $1").bind(key.to_string());
        self.store.read(one).await?.first().map(|row| parsed(row, 0, "a key")).transpose()
    }

    /// Whether an account is this one, or a subaccount of it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_of(&self, account: &AccountSid, owner: &AccountSid) -> Result<bool, AccountsError> {
        let one = "SELECT sid FROM accounts WHERE sid = $1 AND (sid = $2 OR parent = $2)";
        let one = Statement::new(one).bind(account.to_string()).bind(owner.to_string());
        Ok(!self.store.read(one).await?.is_empty())
    }
}

impl Accounts {
    /// The audit log.
    pub fn ledger(&self) -> Ledger {
        Ledger { store: self.inner.store.clone() }
    }
}
