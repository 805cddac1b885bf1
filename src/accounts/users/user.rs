//! Users: who there is, and how the operator makes and changes them.

use std::{fmt, str::FromStr, time::SystemTime};

use rand::Rng as _;

use crate::{
    accounts::{
        Accounts, AccountsError, Actor, Listed, Page, Stamps, Status,
        change::Deed,
        keys::found,
        page::{Listing, listing},
        records::words,
        rows::{kept, micros, parsed, stamps, time},
    },
    ids::{AccountSid, UserSid},
    secret::Secret,
    store::{Row, Statement, StoreError},
};

use super::{password, totp};

/// Users of an account at most.
const USERS_MAX: i64 = 1_000;
/// Characters of an address at most (RFC 5321 §4.5.3.1.3, without its brackets).
const EMAIL_MAX: usize = 254;
/// Who is shown beside the address, in an authenticator.
const ISSUER: &str = "Ringback";

macro_rules! columns {
    () => {
        "sid, created_at, account, email, role, status, totp_secret, signed_in_at, updated_at, version"
    };
}

const BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM users WHERE email = $1 AND status = 'active'");
const SET_TOTP: &str = "UPDATE users SET totp_secret = $1, totp_used = 0, code_failures = 0, updated_at = $2, version = version + 1 \
                        WHERE sid = $3 AND version = $4";
const LIST: Listing = listing!(columns!(), "users", "($4 = '' OR account = $4)");

words!(
    /// What a user may do on the account.
    Role, "role" {
        /// Everything that pages offer.
        Owner = "owner",
        /// The same; that there are two words is for people.
        Admin = "admin",
        /// Looking on.
        Viewer = "viewer",
    }
);

impl Role {
    /// Whether it may allow applications, narrow and revoke what they may do.
    pub const fn may_authorize(self) -> bool {
        matches!(self, Role::Owner | Role::Admin)
    }
}

/// Who somebody is when signing in: an address of mail, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text is no address of mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address of mail, as jane@example.com, of at most {EMAIL_MAX} characters")]
pub struct NotAnEmail;

impl Email {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = NotAnEmail;

    /// Whether mail arrives there only mail could tell: what is asked is that it is one word with somebody before and a host after the `@`.
    fn from_str(text: &str) -> Result<Email, NotAnEmail> {
        let text = text.trim();
        let is_word =
            |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@');
        let (name, host) = text.split_once('@').ok_or(NotAnEmail)?;
        if is_word(name) && is_word(host) && text.chars().count() <= EMAIL_MAX {
            Ok(Email(text.to_lowercase()))
        } else {
            Err(NotAnEmail)
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who may sign in, without what only the sign-in sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub sid: UserSid,
    /// On whose behalf.
    pub account: AccountSid,
    /// As whom somebody signs in.
    pub email: Email,
    /// What the user may do.
    pub role: Role,
    /// Active or closed.
    pub status: Status,
    /// Whether an authenticator's code is asked for.
    pub has_totp: bool,
    /// When the user signed in last.
    pub signed_in: Option<SystemTime>,
    /// When.
    pub stamps: Stamps,
}

impl User {
    /// As the audit log names somebody who came by the pages.
    pub fn actor(&self) -> Actor {
        Actor {
            who: self.account.to_string(),
            credential: format!("user {} {}", self.sid, self.email),
            application: None,
        }
    }
}

impl Accounts {
    /// Makes a user of an account.
    ///
    /// # Errors
    /// The address has a user already, the account is not there, is closed or has too many, or the password is none.
    pub async fn create_user(
        &self,
        account: &AccountSid,
        email: &Email,
        role: Role,
        password: &Secret,
        by: &Actor,
    ) -> Result<User, AccountsError> {
        password::check(password)?;
        let hash = self.inner.door.hasher.hash(password).await?;
        let sid = UserSid::draw(&mut rand::rng());
        let now = kept(self.inner.clock.now_wall());
        let insert = Statement::new(
            "INSERT INTO users (sid, account, email, role, status, password, totp_used, version, created_at, updated_at) \
             SELECT $1, $2, $3, $4, 'active', $5, 0, 1, $6, $6 FROM accounts WHERE sid = $2 AND status <> 'closed' \
             AND (SELECT count(*) FROM users WHERE account = $2 AND status = 'active') < $7",
        )
        .bind(sid.to_string())
        .bind(account.to_string())
        .bind(email.as_str())
        .bind(role.as_str())
        .bind(hash)
        .bind(micros(now))
        .bind(USERS_MAX)
        .changing(1);
        let deed = Deed::on_records(account, by, "user.create", &sid).detail(format!("{email} {role}"));
        match self.change(deed, vec![insert]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Err(AccountsError::Conflict(
                "there is no such account, it is closed, or it has as many users as it may",
            )),
            Err(AccountsError::Store(StoreError::Duplicate)) => {
                Err(AccountsError::Conflict("there is a user with this address already"))
            }
            done => done.map(|()| User {
                sid,
                account: *account,
                email: email.clone(),
                role,
                status: Status::Active,
                has_totp: false,
                signed_in: None,
                stamps: Stamps { created: now, updated: now, version: 1 },
            }),
        }
    }

    /// The user with an address, who is not closed.
    ///
    /// # Errors
    /// There is none.
    pub async fn user(&self, email: &Email) -> Result<User, AccountsError> {
        let rows = self.inner.store.read(Statement::new(BY_EMAIL).bind(email.as_str())).await?;
        rows.first().map_or(Err(AccountsError::NotFound("user")), user_of)
    }

    /// The users of an account, or all, those who are closed among them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn users(&self, account: Option<&AccountSid>, page: &Page) -> Result<Listed<User>, AccountsError> {
        let bind = |list: Statement| list.bind(account.map(ToString::to_string).unwrap_or_default());
        LIST.read(&self.inner.store, page, bind, user_of).await
    }

    /// Gives a user another password, and ends all sessions.
    ///
    /// # Errors
    /// The password is none, or somebody else has changed the user meanwhile.
    pub async fn set_password(&self, user: &User, password: &Secret, by: &Actor) -> Result<(), AccountsError> {
        password::check(password)?;
        let hash = self.inner.door.hasher.hash(password).await?;
        let update = Statement::new(
            "UPDATE users SET password = $1, code_failures = 0, updated_at = $2, version = version + 1 \
             WHERE sid = $3 AND version = $4",
        );
        self.update_user(user, update.bind(hash), Deed::on_records(&user.account, by, "user.password", &user.sid)).await
    }

    /// Has a user's authenticator asked for codes from now on, of a secret that is drawn here, and ends all sessions. Gives back the secret as
    /// authenticators take it, and an address that says it to them.
    ///
    /// # Errors
    /// Somebody else has changed the user meanwhile.
    pub async fn set_totp(&self, user: &User, by: &Actor) -> Result<[Secret; 2], AccountsError> {
        let mut secret = [0; totp::SECRET_BYTES];
        rand::rng().fill_bytes(&mut secret);
        let secret = Secret::new(totp::to_base32(&secret));
        let sealed = self.inner.sealer.seal(&purpose(&user.sid), &secret)?;
        let deed = Deed::on_records(&user.account, by, "user.totp", &user.sid);
        self.update_user(user, Statement::new(SET_TOTP).bind(sealed), deed).await?;
        let address = Secret::new(address(&user.email, secret.reveal()));
        Ok([secret, address])
    }

    /// Has a user asked for no codes any more, and ends all sessions.
    ///
    /// # Errors
    /// Somebody else has changed the user meanwhile.
    pub async fn end_totp(&self, user: &User, by: &Actor) -> Result<(), AccountsError> {
        let deed = Deed::on_records(&user.account, by, "user.totp-off", &user.sid);
        self.update_user(user, Statement::new(SET_TOTP).bind(None::<Vec<u8>>), deed).await
    }

    /// Gives a user another role, and ends all sessions.
    ///
    /// # Errors
    /// Somebody else has changed the user meanwhile.
    pub async fn set_role(&self, user: &User, role: Role, by: &Actor) -> Result<(), AccountsError> {
        let update = Statement::new(
            "UPDATE users SET role = $1, updated_at = $2, version = version + 1 WHERE sid = $3 AND version = $4",
        );
        let deed = Deed::on_records(&user.account, by, "user.role", &user.sid).detail(role.to_string());
        self.update_user(user, update.bind(role.as_str()), deed).await
    }

    /// Closes a user for ever, and ends all sessions. The address may have another user then.
    ///
    /// # Errors
    /// Somebody else has changed the user meanwhile.
    pub async fn close_user(&self, user: &User, by: &Actor) -> Result<(), AccountsError> {
        let update = Statement::new(
            "UPDATE users SET status = $1, updated_at = $2, version = version + 1 WHERE sid = $3 AND version = $4",
        );
        let deed = Deed::on_records(&user.account, by, "user.close", &user.sid);
        self.update_user(user, update.bind(Status::Closed.as_str()), deed).await
    }

    /// Changes a user as it was read, and ends the sessions. `update` lacks `$2` to `$4`: when, which, and the version that was read.
    async fn update_user(&self, user: &User, update: Statement, deed: Deed<'_>) -> Result<(), AccountsError> {
        let update = update
            .bind(micros(self.inner.clock.now_wall()))
            .bind(user.sid.to_string())
            .bind(user.stamps.version)
            .changing(1);
        let sign_out = Statement::new("DELETE FROM sessions WHERE user_sid = $1").bind(user.sid.to_string());
        match self.change(deed, vec![update, sign_out]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Err(AccountsError::OVERTAKEN),
            done => done,
        }
    }

    /// Seals anew what authenticators share with the node. How many secrets that were.
    pub(in crate::accounts) async fn reseal_users(&self, by: &Actor) -> Result<usize, AccountsError> {
        let inner = &*self.inner;
        let mut sealed = 0;
        let secrets = "SELECT sid, account, totp_secret FROM users WHERE totp_secret IS NOT NULL";
        for row in inner.store.read(Statement::new(secrets)).await? {
            let (sid, account): (UserSid, AccountSid) = (parsed(&row, 0, "a user")?, parsed(&row, 1, "a user")?);
            let old = row.bytes(2)?;
            if inner.sealer.is_current(&old) {
                continue;
            }
            let again = inner.sealer.seal(&purpose(&sid), &inner.sealer.open(&purpose(&sid), &old)?)?;
            let update = Statement::new("UPDATE users SET totp_secret = $1 WHERE sid = $2 AND totp_secret = $3")
                .bind(again)
                .bind(sid.to_string())
                .bind(old)
                .changing(1);
            found("user", self.change(Deed::on_records(&account, by, "user.reseal", &sid), vec![update]).await)?;
            sealed += 1;
        }
        Ok(sealed)
    }
}

/// What an authenticator's secret is sealed for.
pub(super) fn purpose(sid: &UserSid) -> String {
    format!("authenticator of {sid}")
}

/// What authenticators read from a picture: <https://github.com/google/google-authenticator/wiki/Key-Uri-Format>.
fn address(email: &Email, secret: &str) -> String {
    let label: String = url::form_urlencoded::byte_serialize(email.as_str().as_bytes()).collect();
    format!("otpauth://totp/{ISSUER}:{label}?secret={secret}&issuer={ISSUER}")
}

/// A user in the columns of `columns!`.
pub(super) fn user_of(row: &Row) -> Result<User, AccountsError> {
    const WHAT: &str = "a user";
    Ok(User {
        sid: parsed(row, 0, WHAT)?,
        account: parsed(row, 2, WHAT)?,
        email: parsed(row, 3, WHAT)?,
        role: parsed(row, 4, WHAT)?,
        status: parsed(row, 5, WHAT)?,
        has_totp: row.maybe_bytes(6)?.is_some(),
        signed_in: row.maybe_int(7)?.map(time),
        stamps: stamps(row, 1, 8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_mail() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(text.parse::<Email>().ok().as_ref().map(Email::as_str), expected, "{text:?}");
        };
        check("jane@example.com", Some("jane@example.com"));
        check("  Jane.Doe+x@Example.COM ", Some("jane.doe+x@example.com"));
        check("jürgen@bücher.example", Some("jürgen@bücher.example"));
        for wrong in ["", "@", "jane", "jane@", "@example.com", "a b@example.com", "a@b@c", "a@b\n.c", "a\0@b"] {
            check(wrong, None);
        }
        check(&format!("{}@example.com", "x".repeat(EMAIL_MAX)), None);
    }

    #[test]
    fn authenticators_are_told_in_their_form() {
        let email = "a+b@example.com".parse().unwrap();
        assert_eq!(address(&email, "ABC"), "otpauth://totp/Ringback:a%2Bb%40example.com?secret=ABC&issuer=Ringback");
    }
}
