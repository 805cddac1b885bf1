//! Who did what.

use crate::{
    ids::AccountSid,
    store::{Row, Statement},
};

use super::{
    Accounts, AccountsError,
    records::AuditEntry,
    rows::{parsed, time},
};

const BEFORE: &str = "SELECT number, at, account, actor, credential, action, target, detail, application FROM audit \
                      WHERE number < $1 AND ($2 = '' OR account = $2) ORDER BY number DESC LIMIT $3";

const MISREAD: AccountsError = AccountsError::Misread("the audit log");

impl Accounts {
    /// What was done on an account, or on any: the newest before the entry `before`, `limit` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn audit(
        &self,
        account: Option<&AccountSid>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, AccountsError> {
        let entries = Statement::new(BEFORE)
            .bind(before.unwrap_or(i64::MAX))
            .bind(account.map(ToString::to_string).unwrap_or_default())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        self.inner.store.read(entries).await?.iter().map(entry_of).collect()
    }
}

fn entry_of(row: &Row) -> Result<AuditEntry, AccountsError> {
    let application = row.text(8)?;
    let application = if application.is_empty() { None } else { Some(application) };
    Ok(AuditEntry {
        application: application.map(|sid| sid.parse().map_err(|_| MISREAD)).transpose()?,
        number: row.int(0)?,
        at: time(row.int(1)?),
        account: parsed(row, 2, "the audit log")?,
        actor: row.text(3)?,
        credential: row.text(4)?,
        action: row.text(5)?,
        target: row.text(6)?,
        detail: row.text(7)?,
    })
}
