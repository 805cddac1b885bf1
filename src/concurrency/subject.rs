//! For whom something is admitted, and which limits concern them.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::{
    ids::{AccountSid, KeySid, Sha256},
    lease::Pool,
};

use super::Resource;

/// Whom a request acts for. Callers who have no account are [`AccountSid::NOBODY`], all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// The account.
    pub account: AccountSid,
    /// The account above it.
    pub parent: Option<AccountSid>,
    /// The key by which it was authenticated, if that has limits of its own.
    pub key: Option<KeySid>,
    /// Where a call goes.
    pub destination: Option<Destination>,
    /// How many of each kind of work the application may have in progress on the account that acts there, where an account has allowed it so many.
    pub allowed: Option<u32>,
}

impl Subject {
    /// An account at the top, whatever its credentials.
    pub const fn account(account: AccountSid) -> Subject {
        Subject { account, parent: None, key: None, destination: None, allowed: None }
    }

    /// The account at the top: fairness is between those.
    pub fn owner(self) -> AccountSid {
        self.parent.unwrap_or(self.account)
    }

    /// Whose limits concern it, from the widest to the narrowest.
    pub(super) fn scopes(self, resource: Resource) -> impl Iterator<Item = Scope> {
        let destination = self.destination.filter(|_| resource == Resource::Destinations);
        [
            Some(Scope::Platform),
            destination.map(Scope::Destination),
            self.parent.map(Scope::Account),
            Some(Scope::Account(self.account)),
            self.key.map(Scope::Key),
        ]
        .into_iter()
        .flatten()
    }
}

/// What an account stands under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// The account above it, if it is a subaccount.
    pub parent: Option<AccountSid>,
    /// How many of each kind of work may be in progress on it, if it is an application's subaccount that was allowed so many.
    pub allowed: Option<u32>,
}

/// Who knows whose subaccounts accounts are.
pub trait Families: fmt::Debug + Send + Sync + 'static {
    /// What this account stands under.
    fn of(&self, account: AccountSid) -> BoxFuture<'_, Family>;
}

/// Where no account is above another.
#[derive(Clone, Copy, Debug)]
pub struct NoFamilies;

impl Families for NoFamilies {
    fn of(&self, _: AccountSid) -> BoxFuture<'_, Family> {
        Box::pin(std::future::ready(Family::default()))
    }
}

/// Where calls go: a host, a trunk, the beginning of numbers; known by a digest of its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination(u128);

impl Destination {
    /// The destination of this name.
    pub fn named(name: &str) -> Destination {
        let digest = Sha256::of(name.as_bytes());
        Destination(digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }

    pub(super) fn number(self) -> u128 {
        self.0
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everybody's together: what protects the machines.
    Platform,
    /// All calls to one destination, whosever they are.
    Destination(Destination),
    /// An account with its subaccounts, or a subaccount.
    Account(AccountSid),
    /// One key.
    Key(KeySid),
}

/// What kind of scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breadth {
    Platform,
    Destination,
    Account,
    Key,
}

impl Breadth {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Breadth::Platform => "platform",
            Breadth::Destination => "destination",
            Breadth::Account => "account",
            Breadth::Key => "key",
        }
    }
}

impl Scope {
    pub(super) const fn breadth(self) -> Breadth {
        match self {
            Scope::Platform => Breadth::Platform,
            Scope::Destination(_) => Breadth::Destination,
            Scope::Account(_) => Breadth::Account,
            Scope::Key(_) => Breadth::Key,
        }
    }

    /// Label of metrics, and the name of the level in errors.
    pub const fn as_str(self) -> &'static str {
        self.breadth().as_str()
    }

    /// Where it is counted.
    pub(super) fn pool(self, resource: Resource, owner: AccountSid) -> Pool {
        let class = |scope: u16| scope << 8 | resource as u16;
        match self {
            Scope::Platform => Pool::shared(class(0), 0),
            Scope::Destination(Destination(number)) => Pool::shared(class(1), number),
            Scope::Account(account) => Pool::of_family(owner.number(), class(2), account.number()),
            Scope::Key(key) => Pool::of_family(owner.number(), class(3), key.number()),
        }
    }
}
