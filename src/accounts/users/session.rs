//! Sessions of people who have signed in: rows in the store, which every request asks.
//!
//! What a browser keeps is `{id}.{secret}`. The row has the id and a MAC of the secret, so that whoever reads the store cannot sign in by it.

use std::time::{Duration, SystemTime};

use rand::RngExt as _;

use crate::{
    accounts::{
        Accounts, AccountsError, Status,
        rows::{maybe_parsed, micros, parsed, time},
    },
    ids::{AccountSid, RandomId},
    secret::Secret,
    store::{Row, Statement},
};

use super::user::{User, user_of};

/// How long a session lasts that nobody uses.
pub const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
/// How long a session lasts at most.
pub const SESSION_LENGTH: Duration = Duration::from_secs(12 * 3600);
/// Sessions of a user at once; a further one ends the oldest.
pub(super) const SESSIONS_MAX: i64 = 8;
/// How exactly it is noted when a session was used last: not every request is a change.
const NOTE_INTERVAL: Duration = Duration::from_secs(60);
const _: () = assert!(NOTE_INTERVAL.as_secs() * 10 <= SESSION_IDLE.as_secs());

/// The columns of a user, the session's, and those of the account.
const ONE: &str = "SELECT u.sid, u.created_at, u.account, u.email, u.role, u.status, u.totp_secret, u.signed_in_at, u.updated_at, u.version, \
                   s.mac, s.created_at, s.seen_at, a.status, a.parent, a.friendly_name, p.status \
                   FROM sessions s JOIN users u ON u.sid = s.user_sid JOIN accounts a ON a.sid = u.account \
                   LEFT JOIN accounts p ON p.sid = a.parent WHERE s.id = $1 AND u.status = 'active'";

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// Whose subaccount the user's account is: then nothing can be allowed on it.
    pub parent: Option<AccountSid>,
    /// The account's name for people.
    pub account_name: String,
    id: RandomId,
    /// As the browser keeps it.
    shown: Secret,
}

impl SignedIn {
    /// What the browser is to keep.
    pub fn shown(&self) -> &Secret {
        &self.shown
    }

    pub(super) fn id(&self) -> RandomId {
        self.id
    }
}

/// The two halves of what a browser keeps.
pub(super) fn halves(shown: &str) -> Option<(RandomId, &str)> {
    let (id, secret) = shown.split_once('.')?;
    Some((id.parse().ok()?, secret))
}

/// A new session: its id and what the browser is to keep.
pub(super) fn draw() -> (RandomId, Secret) {
    let id = RandomId::draw(&mut rand::rng());
    let [a, b]: [u128; 2] = rand::rng().random();
    (id, Secret::new(format!("{id}.{a:032x}{b:032x}")))
}

/// What the secret's MAC is made for.
fn name(id: RandomId) -> String {
    format!("session {id}")
}

impl Accounts {
    /// Who a browser has signed in as, by what it shows: nobody, where that is no session, or one that is over.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn session(&self, shown: &str) -> Result<Option<SignedIn>, AccountsError> {
        let Some((id, secret)) = halves(shown) else { return Ok(None) };
        let rows = self.inner.store.read(Statement::new(ONE).bind(id.to_string())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let now = self.inner.clock.now_wall();
        let is_his = self.inner.sealer.recognises(&name(id), secret, &row.bytes(10)?);
        let (began, seen) = (time(row.int(11)?), time(row.int(12)?));
        let status = parsed::<Status>(row, 13, "a session")?.under(maybe_parsed(row, 16, "a session")?);
        if !is_his || !lasts(began, seen, now) || status != Status::Active {
            return Ok(None);
        }
        if NOTE_INTERVAL <= now.duration_since(seen).unwrap_or_default() {
            // Concerns nobody else, and is no deed of anybody.
            let note = Statement::new("UPDATE sessions SET seen_at = $1 WHERE id = $2 AND seen_at < $1");
            if let Err(error) = self.inner.store.write(&[note.bind(micros(now)).bind(id.to_string())]).await {
                tracing::warn!(%error, "when a session was used last is not noted");
            }
        }
        signed_in_of(row, id, Secret::new(shown.to_owned())).map(Some)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn sign_out(&self, session: &SignedIn) -> Result<(), AccountsError> {
        Ok(self.inner.store.write(&[end(session.id)]).await?)
    }

    /// The statement that keeps a new session.
    pub(super) fn begin(&self, id: RandomId, shown: &Secret, user: &User) -> Result<Statement, AccountsError> {
        let secret = halves(shown.reveal()).map(|(_, secret)| secret).unwrap_or_default();
        let insert = "INSERT INTO sessions (id, user_sid, mac, created_at, seen_at) VALUES ($1, $2, $3, $4, $4)";
        Ok(Statement::new(insert)
            .bind(id.to_string())
            .bind(user.sid.to_string())
            .bind(self.inner.sealer.mac(&name(id), secret)?)
            .bind(micros(self.inner.clock.now_wall())))
    }
}

/// The statement that ends a session.
pub(super) fn end(id: RandomId) -> Statement {
    Statement::new("DELETE FROM sessions WHERE id = $1").bind(id.to_string())
}

/// The statements that make room for one more session of a user, and drop what is over of anybody's.
pub(super) fn make_room(user: &User, now: SystemTime) -> [Statement; 2] {
    let idle = micros(now.checked_sub(SESSION_IDLE).unwrap_or(now));
    let old = micros(now.checked_sub(SESSION_LENGTH).unwrap_or(now));
    [
        Statement::new("DELETE FROM sessions WHERE seen_at < $1 OR created_at < $2").bind(idle).bind(old),
        Statement::new(
            "DELETE FROM sessions WHERE user_sid = $1 AND id NOT IN \
             (SELECT id FROM sessions WHERE user_sid = $1 ORDER BY created_at DESC, id LIMIT $2)",
        )
        .bind(user.sid.to_string())
        .bind(SESSIONS_MAX - 1),
    ]
}

fn lasts(began: SystemTime, seen: SystemTime, now: SystemTime) -> bool {
    let since = |then| now.duration_since(then).unwrap_or_default();
    since(began) < SESSION_LENGTH && since(seen) < SESSION_IDLE
}

fn signed_in_of(row: &Row, id: RandomId, shown: Secret) -> Result<SignedIn, AccountsError> {
    Ok(SignedIn {
        user: user_of(row)?,
        parent: maybe_parsed(row, 14, "a session")?,
        account_name: row.text(15)?,
        id,
        shown,
    })
}
