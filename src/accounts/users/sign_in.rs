//! Signing in: address, password and code, held against the store behind ceilings that count failures.
//!
//! Whatever is wrong, the answer is the same and so is the work: an address that nobody has is held against a hash that nobody has the password of.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    accounts::{
        Accounts, AccountsError, Status,
        ceiling::network,
        change::Deed,
        rows::{maybe_parsed, micros, parsed},
    },
    secret::Secret,
    store::{Row, Statement, StoreError},
};

use super::{
    CODE_FAILURES_DAY_MAX,
    session::{self, SignedIn},
    totp,
    user::{Email, User, purpose, user_of},
};

const BY_EMAIL: &str = "SELECT u.sid, u.created_at, u.account, u.email, u.role, u.status, u.totp_secret, u.signed_in_at, u.updated_at, u.version, \
                        u.password, u.totp_used, a.status, a.parent, p.status, u.code_failures, u.code_day \
                        FROM users u JOIN accounts a ON a.sid = u.account LEFT JOIN accounts p ON p.sid = a.parent \
                        WHERE u.email = $1 AND u.status = 'active'";

/// What somebody shows to sign in.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    /// Where from.
    pub from: IpAddr,
    /// As whom.
    pub name: &'a str,
    /// By which password.
    pub password: &'a Secret,
    /// By which code of an authenticator; nothing, where there is none.
    pub code: &'a str,
    /// The session that the browser showed, if it has one: it ends, whosever it is.
    pub replaces: Option<&'a str>,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum NotSignedIn {
    /// The name, the password or the code is wrong; which one nobody is told.
    #[error("the name, the password or the code is wrong")]
    Wrong,
    /// It was wrong too often.
    #[error("too many failures")]
    TooOften(Duration),
    /// Everything is right, and the account may not be used.
    #[error("the account is {0}")]
    Inactive(Status),
    /// It could not be found out.
    #[error(transparent)]
    Failed(#[from] AccountsError),
}

impl From<StoreError> for NotSignedIn {
    fn from(error: StoreError) -> NotSignedIn {
        NotSignedIn::Failed(error.into())
    }
}

/// Somebody whose name, password and code are right.
struct Entry {
    user: User,
    /// The step of the code, which is used up by this.
    step: Option<i64>,
}

impl Accounts {
    /// Signs somebody in, by a session that no browser has had before.
    ///
    /// # Errors
    /// Why not. Cost: a hash of a password, for a known name and an unknown one.
    pub async fn sign_in(&self, attempt: &Attempt<'_>) -> Result<SignedIn, NotSignedIn> {
        let inner = &*self.inner;
        let email: Option<Email> = attempt.name.parse().ok();
        self.check_failures(attempt, email.as_ref())?;
        let row = match &email {
            Some(email) => inner.store.read(Statement::new(BY_EMAIL).bind(email.as_str())).await?.into_iter().next(),
            None => None,
        };
        let held = self.hold(row.as_ref(), attempt).await;
        // Again: of many who ask at once, those who come after too many failures are told nothing either.
        self.check_failures(attempt, email.as_ref())?;
        let signed_in = match held {
            Ok(entry) => self.enter(entry, attempt).await,
            Err(error) => Err(error),
        };
        if matches!(signed_in, Err(NotSignedIn::Wrong)) {
            let (door, now) = (&inner.door, inner.clock.now());
            door.by_name.note_failure(door.name_key(attempt.from, name_of(email.as_ref())), now);
            door.by_address.note_failure(network(attempt.from), now);
            metrics::counter!("ringback_sign_ins_refused_total").increment(1);
        }
        signed_in
    }

    fn check_failures(&self, attempt: &Attempt<'_>, email: Option<&Email>) -> Result<(), NotSignedIn> {
        let (door, now) = (&self.inner.door, self.inner.clock.now());
        let by_name = door.by_name.wait(&door.name_key(attempt.from, name_of(email)), now);
        let by_address = door.by_address.wait(&network(attempt.from), now);
        by_name.max(by_address).map_or(Ok(()), |wait| Err(NotSignedIn::TooOften(wait)))
    }

    /// Whether what is shown is right.
    async fn hold(&self, row: Option<&Row>, attempt: &Attempt<'_>) -> Result<Entry, NotSignedIn> {
        let inner = &*self.inner;
        let kept = row.map(|row| row.text(10)).transpose()?;
        let is_his = inner.door.hasher.verify(attempt.password, kept).await?;
        let Some(row) = row.filter(|_| is_his) else { return Err(NotSignedIn::Wrong) };
        let user = user_of(row)?;
        let step = match row.maybe_bytes(6)? {
            Some(sealed) => Some(self.step_of(&user, &sealed, row, attempt.code).await?),
            None => None,
        };
        match parsed::<Status>(row, 12, "a user")?.under(maybe_parsed(row, 14, "a user")?) {
            Status::Active => Ok(Entry { user, step }),
            status => Err(NotSignedIn::Inactive(status)),
        }
    }

    /// The step of a code that is right and was not used yet.
    async fn step_of(&self, user: &User, sealed: &[u8], row: &Row, code: &str) -> Result<i64, NotSignedIn> {
        let inner = &*self.inner;
        let (by_user, now) = (&inner.door.by_user, inner.clock.now());
        let secret = inner.sealer.open(&purpose(&user.sid), sealed).map_err(AccountsError::from)?;
        let secret = totp::of_base32(secret.reveal()).ok_or(AccountsError::Misread("a user"))?;
        let step = totp::step_of(&secret, code, inner.clock.now_wall(), row.int(11)?);
        // That there were too many is told to nobody: it would tell that the password is right.
        let is_spent = CODE_FAILURES_DAY_MAX <= row.int(15)? && row.int(16)? == day(inner.clock.now_wall());
        if is_spent || by_user.wait(&user.sid, now).is_some() {
            tracing::warn!(user = %user.sid, "too many wrong codes after the right password");
            return Err(NotSignedIn::Wrong);
        }
        let Some(step) = step else {
            by_user.note_failure(user.sid, now);
            self.note_code_failure(user).await?;
            return Err(NotSignedIn::Wrong);
        };
        Ok(step)
    }

    /// Counts a wrong code for all nodes. The one after which none is taken any more is a matter of the audit log.
    async fn note_code_failure(&self, user: &User) -> Result<(), AccountsError> {
        let today = day(self.inner.clock.now_wall());
        let count = Statement::new(
            "UPDATE users SET code_failures = CASE WHEN code_day = $1 THEN code_failures + 1 ELSE 1 END, code_day = $1 \
             WHERE sid = $2 AND (code_day <> $1 OR code_failures < $3)",
        );
        let count = count.bind(today).bind(user.sid.to_string()).bind(CODE_FAILURES_DAY_MAX - 1).changing(1);
        match self.inner.store.write(&[count]).await {
            Err(StoreError::Unchanged { .. }) => {}
            done => return Ok(done?),
        }
        let last = Statement::new(
            "UPDATE users SET code_failures = $1 WHERE sid = $2 AND code_day = $3 AND code_failures = $1 - 1",
        );
        let last = last.bind(CODE_FAILURES_DAY_MAX).bind(user.sid.to_string()).bind(today).changing(1);
        let deed = "user.too-many-codes";
        match self.change(Deed::on_records(&user.account, &user.actor(), deed, &user.sid), vec![last]).await {
            // Somebody else was the last.
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Ok(()),
            done => done,
        }
    }

    /// Begins a session, and uses up the code.
    async fn enter(&self, entry: Entry, attempt: &Attempt<'_>) -> Result<SignedIn, NotSignedIn> {
        let now = self.inner.clock.now_wall();
        let Entry { user, step } = entry;
        // Nothing has changed since it was read, or what was right then may not be any more; and nobody else has used the code.
        let enter = Statement::new(
            "UPDATE users SET signed_in_at = $1, totp_used = CASE WHEN totp_used < $2 THEN $2 ELSE totp_used END \
             WHERE sid = $3 AND version = $4 AND status = 'active' \
             AND ($2 = 0 OR (totp_used < $2 AND (code_day <> $5 OR code_failures < $6)))",
        )
        .bind(micros(now))
        .bind(step.unwrap_or_default())
        .bind(user.sid.to_string())
        .bind(user.stamps.version)
        .bind(day(now))
        .bind(CODE_FAILURES_DAY_MAX)
        .changing(1);
        let (id, shown) = session::draw();
        let [drop_old, drop_oldest] = session::make_room(&user, now);
        let mut change = vec![enter, drop_old, drop_oldest, self.begin(id, &shown, &user)?];
        if let Some(replaced) = attempt.replaces
            && let Some(replaced) = self.session(replaced).await?
        {
            change.push(session::end(replaced.id()));
        }
        let by = user.actor();
        match self.change(Deed::on_records(&user.account, &by, "user.sign-in", &user.sid), change).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => return Err(NotSignedIn::Wrong),
            done => done?,
        }
        // Read back: what the row says is what holds from now on.
        self.session(shown.reveal()).await?.ok_or(NotSignedIn::Wrong)
    }
}

/// Which day it is, of UTC.
fn day(now: SystemTime) -> i64 {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds / 86_400).unwrap_or(i64::MAX)
}

fn name_of(email: Option<&Email>) -> &str {
    email.map_or("", Email::as_str)
}
