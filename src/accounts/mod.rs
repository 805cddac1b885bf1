//! Who callers are and what they may do: accounts, their credentials, and what belongs to them.
//!
//! [`Accounts`] is the face. Records lie in the [`Store`]; every change is one transaction that also counts up the
//! revision, names the account that it concerns and says in the audit log who made it (`change.rs`). Who a caller is (`callers.rs`) is
//! remembered, because every request asks it, and forgotten when a change takes something from the account's callers: each node looks for those four times a second
//! (`feed.rs`), so a revocation holds everywhere within a second (`spec/trust.md` §3).

mod account;

mod alerts;

mod applications;

mod audit;

mod callers;

mod ceiling;

mod change;

mod config;

mod connect;

mod error;

mod feed;

mod key_file;

mod keys;

mod ledger;

mod lookup;

mod memory;

mod numbers;

mod outbox;

mod page;

mod principal;

mod records;

mod rows;

mod schema;

mod scopes;

mod seal;

mod signers;

mod tokens;

mod users;

#[cfg(test)]
mod tests;

use std::{io, path::Path, sync::Arc};

use crate::{clock::Clock, store::Store};

pub use account::{AccountChange, AccountFilter, FirstAccount, check_name};
pub use alerts::{Limited, Reached};
pub use callers::{Header, Refusal};
pub use change::Actor;
pub use config::Config;
pub use connect::{
    Amount, Authorization, AuthorizationStatus, ConnectApp, ConnectAppFields, GrantError, Limits, NotAChallenge,
    NotAProfile, NotAnAmount, Profile, S256, Tokens,
};
pub use error::AccountsError;
pub use ledger::{Entry, Ledger};
pub use page::{Cursor, Listed, NotACursor, PAGE_MAX, Page};
pub use principal::{Connected, Credential, Principal, ShownByDeveloper};
pub use records::{
    Account, Application, ApplicationFields, AuditEntry, Key, KeyKind, Method, NewKey, NotAPhoneNumber, Number,
    NumberFields, PhoneNumber, Stamps, Status, Unknown, VoiceFields,
};
pub use scopes::{Access, NotAScope, Resource, Scopes};
pub use signers::Signer;
pub use users::{
    Attempt, Email, NotAnEmail, NotSignedIn, PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_MIN, Role, SESSION_IDLE,
    SESSION_LENGTH, SignedIn, User,
};

use callers::Callers;
use ceiling::Ceiling;
use feed::Feed;
use seal::Sealer;

/// Accounts of one node or of a fleet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    sealer: Sealer,
    clock: Clock,
    config: Config,
    feed: Feed,
    callers: Callers,
    ceiling: Ceiling,
    /// The same for names of signing keys: what a page of strangers asks for must not keep out those who have credentials.
    signers_ceiling: Ceiling,
    /// What stands before people who sign in.
    door: users::Door,
}

impl Accounts {
    /// The accounts in a store, whose tables are made or brought up to date.
    ///
    /// # Errors
    /// The store cannot be used, or there are no keys: a shared store needs a key file that is configured.
    pub async fn open(config: Config, store: Store, data_dir: &Path, clock: Clock) -> Result<Accounts, AccountsError> {
        let sealer = Sealer::new(&keys_of(&config, &store, data_dir)?)?;
        store.migrate(&schema::SCHEMA).await?;
        let inner = Inner {
            sealer,
            feed: Feed::new(clock.now()),
            callers: Callers::new(config.remembered_max),
            ceiling: Ceiling::new(config.failures_max, ceiling::WINDOW),
            signers_ceiling: Ceiling::new(config.failures_max, ceiling::WINDOW),
            door: users::Door::new(),
            store,
            clock,
            config,
        };
        let accounts = Accounts { inner: Arc::new(inner) };
        accounts.hear().await?;
        Ok(accounts)
    }

    /// Wall time, for what is to end some time from now.
    pub fn now(&self) -> std::time::SystemTime {
        self.inner.clock.now_wall()
    }

    /// Closes the store.
    pub async fn close(&self) {
        if let Err(error) = self.note_uses().await {
            tracing::warn!(%error, "when keys were used last is not noted");
        }
        self.inner.store.close().await;
    }
}

fn keys_of(config: &Config, store: &Store, data_dir: &Path) -> Result<Vec<[u8; seal::KEY_BYTES]>, AccountsError> {
    let cannot = |path: &Path, error: io::Error| AccountsError::KeyFile(format!("{}: {error}", path.display()));
    match &config.key_file {
        Some(path) => key_file::read(path).map_err(|error| cannot(path, error)),
        None if store.is_shared() => Err(AccountsError::KeyFile(
            "nodes that share a store need accounts.key_file, the same one on all of them".to_owned(),
        )),
        None => {
            let path = data_dir.join(key_file::FILE);
            key_file::read_or_draw(&path).map_err(|error| cannot(&path, error))
        }
    }
}
