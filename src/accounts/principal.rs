//! Who a caller turned out to be.

use std::time::SystemTime;

use crate::ids::{AccountSid, KeySid, Tenant};

use super::{Access, Actor, Resource, Scopes};

/// A caller whose credentials were right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// For whom it acts.
    pub account: AccountSid,
    /// Whose subaccount that is.
    pub parent: Option<AccountSid>,
    /// The same as a tenant of the media layer.
    pub tenant: Tenant,
    /// What it showed.
    pub credential: Credential,
    /// What it may do.
    pub scopes: Scopes,
    /// Until when.
    pub expires: Option<SystemTime>,
}

/// What a caller authenticated with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An account's auth token.
    Token,
    /// An API key.
    Key(KeySid),
    /// A client's token that a signing key has signed, and whom it names as its bearer.
    Client {
        /// Which key.
        key: KeySid,
        /// The client.
        identity: String,
    },
    /// A path that a signing key has signed.
    Signature(KeySid),
}

impl Credential {
    /// The key that it rests on.
    pub fn key(&self) -> Option<KeySid> {
        match self {
            Credential::Token => None,
            Credential::Key(key) | Credential::Client { key, .. } | Credential::Signature(key) => Some(*key),
        }
    }
}

impl Principal {
    /// Whether it may do this on an account: its own, or a subaccount of it.
    pub fn may(&self, resource: Resource, access: Access) -> bool {
        self.scopes.may(resource, access)
    }

    /// Whether it is the account itself, rather than somebody to whom it has given a part of what it may do.
    pub fn is_owner(&self) -> bool {
        self.credential == Credential::Token
    }

    /// As the audit log names it.
    pub fn actor(&self) -> Actor {
        let credential = match &self.credential {
            Credential::Token => "auth token".to_owned(),
            Credential::Key(key) | Credential::Signature(key) => key.to_string(),
            Credential::Client { key, identity } => format!("{key} {identity}"),
        };
        Actor { who: self.account.to_string(), credential, application: None }
    }
}
