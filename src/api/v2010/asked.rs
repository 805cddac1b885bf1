//! Who asks, and on whose account.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request,
};

use crate::{
    accounts::{Accounts, AccountsError, Actor, Principal},
    api::{
        admission::{Caller, refusal_problem, subject},
        permission::{Gate, Needs},
    },
    concurrency::{Concurrency, Subject},
    ids::AccountSid,
    problem::Problem,
};

use super::{V2010, answer::Failed};

/// A request of somebody who may.
pub(super) struct Asked {
    /// Who acts on the account.
    pub(super) principal: Arc<Principal>,
    /// The account in the path; the caller's own where the path names none.
    pub(super) account: AccountSid,
    pub(super) accounts: Accounts,
    /// The path, as errors name it.
    pub(super) path: String,
    sid: Option<String>,
}

/// What the gate has found out for the handler.
#[derive(Clone)]
pub(super) struct Passed {
    principal: Arc<Principal>,
    account: AccountSid,
    needs: Needs,
}

impl Passed {
    /// Who acts on an account as this caller, where it may.
    async fn judge(
        caller: &Arc<Principal>,
        account: AccountSid,
        needs: Needs,
        state: &V2010,
        path: &str,
    ) -> Result<Passed, Failed> {
        let acting = state.accounts.acting_on(caller, &account).await;
        let acting = acting.map_err(|refusal| Failed::from(&refusal_problem(refusal)))?;
        let principal = acting.ok_or_else(|| Failed::missing(path))?;
        let may = needs.are_met_by(&principal, account == principal.account);
        if may { Ok(Passed { principal, account, needs }) } else { Err(Failed::forbidden()) }
    }

    /// Whether the caller may still, by what is known of it now.
    pub(super) async fn holds_for(&self, caller: &Arc<Principal>, state: &V2010, path: &str) -> Result<(), Failed> {
        Passed::judge(caller, self.account, self.needs, state, path).await.map(drop)
    }
}

impl Gate for V2010 {
    type Refused = Failed;

    /// An account that is somebody else's is not there.
    async fn pass(&self, needs: Needs, head: &mut request::Parts) -> Result<Subject, Failed> {
        let caller = head.extensions.get::<Caller>();
        // The edge lets nobody else through.
        let caller = caller.and_then(|caller| caller.principal.clone()).ok_or_else(Failed::forbidden)?;
        let path = head.uri.path().to_owned();
        let account = match param(head, self, "account").await {
            None => caller.account,
            Some(named) => named.parse().map_err(|_| Failed::missing(&path))?,
        };
        let passed = Passed::judge(&caller, account, needs, self, &path).await?;
        let subject = subject(&passed.principal, passed.account);
        head.extensions.insert(passed);
        Ok(subject)
    }

    fn concurrency(&self) -> &Concurrency {
        &self.concurrency
    }

    fn refused(problem: &Problem) -> Failed {
        Failed::from(problem)
    }
}

/// A parameter of the path, without the suffix that the last one takes along.
async fn param(head: &mut request::Parts, state: &V2010, name: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(head, state).await.ok()?;
    let (_, value) = params.iter().find(|(known, _)| *known == name)?;
    Some(value.strip_suffix(".json").unwrap_or(value).to_owned())
}

impl FromRequestParts<V2010> for Asked {
    type Rejection = Failed;

    async fn from_request_parts(head: &mut request::Parts, state: &V2010) -> Result<Asked, Failed> {
        let sid = param(head, state, "sid").await;
        let Passed { principal, account, .. } = head.extensions.get().cloned().ok_or_else(Failed::forbidden)?;
        Ok(Asked { principal, account, accounts: state.accounts.clone(), path: head.uri.path().to_owned(), sid })
    }
}

impl Asked {
    /// Another account that something is given to, where it is the caller's own or its subaccount.
    pub(super) async fn reach(&self, name: &str) -> Result<AccountSid, Failed> {
        let missing = || Failed::missing(&self.path);
        let named: AccountSid = name.parse().map_err(|_| missing())?;
        let acting = self.accounts.acting_on(&self.principal, &named).await;
        let acting = acting.map_err(|refusal| Failed::from(&refusal_problem(refusal)))?;
        // Not one that allows an application of the caller's: there it is somebody else.
        if acting.is_some_and(|acting| acting.account == self.principal.account) { Ok(named) } else { Err(missing()) }
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
