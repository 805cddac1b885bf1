//! Developers are told that an account allows their application nothing any more (`outbox.rs`). A row is written in the transaction of the revocation.

use std::time::Duration;

use url::Url;

use crate::{
    accounts::{
        AccountsError, Status,
        outbox::{Letter, OWN_COLUMNS, Outbox, statements},
        rows::{from_json, parsed},
    },
    ids::AccountSid,
    store::Row,
};

use super::{ConnectAppFields, apps::ACTIVE_APP};

pub(in crate::accounts) const DEAUTHORIZATIONS: Outbox = Outbox {
    what: "a revocation",
    metrics: [
        "ringback_deauthorizations_total",
        "ringback_deauthorizations_waiting",
        "ringback_deauthorizations_oldest_seconds",
    ],
    age_max: Duration::from_secs(3 * 86_400),
    statements: statements!(
        "deauthorizations" by "connect_app",
        "d.authorized, c.status, c.record, a.sid, a.status, a.primary_token",
        "JOIN connect_apps c ON c.sid = d.connect_app JOIN accounts a ON a.sid = c.account"
    ),
    letter,
};

/// What a developer is told.
fn letter(row: &Row) -> Result<Option<Letter>, AccountsError> {
    const WHAT: &str = "a deauthorization";
    let at = |column: usize| OWN_COLUMNS + column;
    let fields: ConnectAppFields = from_json(&row.text(at(2))?)?;
    let status: Status = parsed(row, at(4), WHAT)?;
    let is_there = row.text(at(1))? == ACTIVE_APP && status != Status::Closed;
    let url = fields.deauthorize_callback_url.filter(|_| is_there).and_then(|url| Url::parse(&url).ok());
    let Some(url) = url else { return Ok(None) };
    let authorized: AccountSid = parsed(row, at(0), WHAT)?;
    Ok(Some(Letter {
        url,
        method: fields.deauthorize_callback_method,
        signer: parsed(row, at(3), WHAT)?,
        sealed_token: row.bytes(at(5))?,
        form: vec![("AccountSid", authorized.to_string()), ("ConnectAppSid", row.text(1)?)],
    }))
}
