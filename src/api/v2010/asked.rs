//! Who asks, and on whose account.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request,
};

use crate::{
    accounts::{Access, Accounts, AccountsError, Actor, Principal, Resource},
    api::admission::Caller,
    ids::AccountSid,
};

use super::{V2010, answer::Failed};

/// A request of somebody who authenticated.
pub(super) struct Asked {
    pub(super) principal: Arc<Principal>,
    pub(super) accounts: Accounts,
    /// The path, as errors name it.
    pub(super) path: String,
    account: Option<String>,
    sid: Option<String>,
}

impl FromRequestParts<V2010> for Asked {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut request::Parts, state: &V2010) -> Result<Asked, Failed> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let param = |name: &str| {
            let params = params.as_ref().ok()?;
            let (_, value) = params.iter().find(|(known, _)| *known == name)?;
            Some(value.strip_suffix(".json").unwrap_or(value).to_owned())
        };
        let (account, sid) = (param("account"), param("sid"));
        let caller = parts.extensions.get::<Caller>();
        // The edge lets nobody else through.
        let principal = caller.and_then(|caller| caller.principal.clone()).ok_or_else(Failed::forbidden)?;
        Ok(Asked { principal, accounts: state.accounts.clone(), path: parts.uri.path().to_owned(), account, sid })
    }
}

impl Asked {
    /// The account in the path, where these credentials may do this on it. One that is somebody else's is not there.
    pub(super) async fn on(&self, resource: Resource, access: Access) -> Result<AccountSid, Failed> {
        let account = self.named().await?;
        if self.principal.may(resource, access) { Ok(account) } else { Err(Failed::forbidden()) }
    }

    /// The account in the path, where it is the caller's own or its subaccount.
    pub(super) async fn named(&self) -> Result<AccountSid, Failed> {
        self.reach(self.account.as_deref().unwrap_or_default()).await
    }

    /// An account of this name, where it is the caller's own or its subaccount.
    pub(super) async fn reach(&self, name: &str) -> Result<AccountSid, Failed> {
        let missing = || Failed::missing(&self.path);
        let named: AccountSid = name.parse().map_err(|_| missing())?;
        if named == self.principal.account {
            return Ok(named);
        }
        let found = self.accounts.account(&named).await.map_err(|error| self.failed(&error))?;
        if found.parent == Some(self.principal.account) { Ok(named) } else { Err(missing()) }
    }

    /// The last part of the path.
    pub(super) fn sid<T: std::str::FromStr>(&self) -> Result<T, Failed> {
        let text = self.sid.as_deref().unwrap_or_default();
        text.parse().map_err(|_| Failed::missing(&self.path))
    }

    pub(super) fn actor(&self) -> Actor {
        self.principal.actor()
    }

    pub(super) fn failed(&self, error: &AccountsError) -> Failed {
        Failed::of(error, &self.path)
    }
}
