//! Who a caller turned out to be.

use std::time::SystemTime;

use crate::ids::{AccountSid, ConnectAppSid, KeySid, RandomId, Tenant};

use super::{Access, Actor, Limits, Resource, Scopes};

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
    /// What the developer of an application shows, on an account that allows it.
    Connected(Connected),
}

/// A developer who acts as an application on the subaccount that an account has allowed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// As which application.
    pub app: ConnectAppSid,
    /// The developer's account.
    pub developer: AccountSid,
    /// Whose subaccount that is.
    pub developer_parent: Option<AccountSid>,
    /// What it has shown.
    pub by: ShownByDeveloper,
    /// How much it may use.
    pub limits: Limits,
}

/// What the developer of an application shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownByDeveloper {
    /// Its account's auth token.
    Token,
    /// An API key of its account.
    Key(KeySid),
    /// An access token that came of this grant.
    Access(RandomId),
}

impl Credential {
    /// The application that it acts as.
    pub fn connected(&self) -> Option<&Connected> {
        if let Credential::Connected(connected) = self { Some(connected) } else { None }
    }

    /// The key that it rests on.
    pub fn key(&self) -> Option<KeySid> {
        match self {
            Credential::Key(key) | Credential::Client { key, .. } | Credential::Signature(key) => Some(*key),
            Credential::Connected(Connected { by: ShownByDeveloper::Key(key), .. }) => Some(*key),
            Credential::Token | Credential::Connected(_) => None,
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
        /// As the API calls it.
        const TOKEN: &str = "auth token";
        let (who, credential) = match &self.credential {
            Credential::Token => (self.account, TOKEN.to_owned()),
            Credential::Key(key) | Credential::Signature(key) => (self.account, key.to_string()),
            Credential::Client { key, identity } => (self.account, format!("{key} {identity}")),
            Credential::Connected(Connected { developer, by, .. }) => {
                let credential = match by {
                    ShownByDeveloper::Token => TOKEN.to_owned(),
                    ShownByDeveloper::Key(key) => key.to_string(),
                    ShownByDeveloper::Access(grant) => format!("access token of {grant}"),
                };
                (*developer, credential)
            }
        };
        let application = self.credential.connected().map(|connected| connected.app);
        Actor { who: who.to_string(), credential, application }
    }
}
