//! What every change has in common: it is counted, told to the other nodes and written into the audit log, in one transaction.

use std::time::SystemTime;

use crate::{
    ids::{AccountSid, ConnectAppSid},
    store::Statement,
};

use super::{Accounts, AccountsError, rows::micros};

/// Changes that are kept for nodes that have not heard them yet; who is further behind forgets everything.
const CHANGES_KEPT: i64 = 10_000;

/// Who makes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account, or `operator`.
    pub who: String,
    /// What it authenticated with.
    pub credential: String,
    /// As which application it acts, where an account has allowed it one.
    pub application: Option<ConnectAppSid>,
}

impl Actor {
    /// The operator, who came this way (`command line`, `first start`).
    pub fn operator(way: &str) -> Actor {
        Actor { who: "operator".to_owned(), credential: way.to_owned(), application: None }
    }
}

/// What is done: for the audit log, and for nodes that remember callers.
pub(super) struct Deed<'a> {
    /// Whose account it concerns.
    account: &'a AccountSid,
    by: &'a Actor,
    /// As `key.create`.
    action: &'static str,
    /// Name of what it is done to.
    target: String,
    detail: String,
    concerns: Concerns,
}

/// Whether a change takes something from callers who may be remembered. Kept as text, beside the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concerns {
    /// It does: whoever is remembered for the account is forgotten.
    Callers,
    /// All who were let in are to be let in still.
    Records,
}

impl Concerns {
    const fn as_str(self) -> &'static str {
        match self {
            Concerns::Callers => "callers",
            Concerns::Records => "records",
        }
    }

    /// What a version that is not known yet says is taken for the graver.
    pub(super) fn of(text: &str) -> Concerns {
        if text == Concerns::Records.as_str() { Concerns::Records } else { Concerns::Callers }
    }
}

impl<'a> Deed<'a> {
    /// One after which somebody who was let in may not be any more.
    pub(super) fn on_callers(
        account: &'a AccountSid,
        by: &'a Actor,
        action: &'static str,
        target: &impl ToString,
    ) -> Deed<'a> {
        Deed { account, by, action, target: target.to_string(), detail: String::new(), concerns: Concerns::Callers }
    }

    /// One that leaves all callers what they are.
    pub(super) fn on_records(
        account: &'a AccountSid,
        by: &'a Actor,
        action: &'static str,
        target: &impl ToString,
    ) -> Deed<'a> {
        Deed { concerns: Concerns::Records, ..Deed::on_callers(account, by, action, target) }
    }

    /// With further words.
    pub(super) fn detail(self, detail: String) -> Deed<'a> {
        Deed { detail, ..self }
    }
}

/// What counts a change, tells it to the other nodes and writes it into the audit log.
pub(super) fn entries(deed: Deed<'_>, at: SystemTime) -> Vec<Statement> {
    let account = deed.account.to_string();
    vec![
        Statement::new("UPDATE revision SET number = number + 1 WHERE id = 1").changing(1),
        Statement::new(
            "INSERT INTO changes (number, account, concerns) SELECT number, $1, $2 FROM revision WHERE id = 1",
        )
        .bind(account.as_str())
        .bind(deed.concerns.as_str()),
        Statement::new("DELETE FROM changes WHERE number <= (SELECT number FROM revision WHERE id = 1) - $1")
            .bind(CHANGES_KEPT),
        Statement::new(
            "INSERT INTO audit (number, at, account, actor, credential, action, target, detail, application) \
             SELECT number, $1, $2, $3, $4, $5, $6, $7, $8 FROM revision WHERE id = 1",
        )
        .bind(micros(at))
        .bind(account)
        .bind(deed.by.who.as_str())
        .bind(deed.by.credential.as_str())
        .bind(deed.action)
        .bind(deed.target)
        .bind(deed.detail)
        .bind(deed.by.application.map(|application| application.to_string()).unwrap_or_default()),
    ]
}

impl Accounts {
    /// Makes a change. Its own statements come first, so that their places in an error are those of `change`.
    pub(super) async fn change(&self, deed: Deed<'_>, mut change: Vec<Statement>) -> Result<(), AccountsError> {
        change.extend(entries(deed, self.inner.clock.now_wall()));
        self.inner.store.write(&change).await?;
        // On this node it holds at once; that others hear it is their business, and so is a store that went away right after.
        if let Err(error) = self.hear().await {
            tracing::warn!(%error, "a change cannot be read back");
        }
        Ok(())
    }
}
