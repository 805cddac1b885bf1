//! Codes and tokens for developers who prefer OAuth 2.1 (`spec/trust.md` §6): a code that is good once, access tokens of fifteen minutes, and refresh tokens of
//! which each gives the next.
//!
//! ```text
//! code           <id, 32 hexadecimal digits> <secret, 43 letters and digits>
//! refresh token  the same, with another secret each time
//! access token   JWT, see access.rs
//! ```
//!
//! A row of `connect_grants` is a code, and after its exchange the family of refresh tokens that came of it; only MACs of secrets are in it. Who revokes a
//! family deletes its row, and with it all that it gave.

use std::time::{Duration, SystemTime};

use rand::{RngExt as _, distr::Alphanumeric};

use crate::{
    accounts::{
        Accounts, AccountsError, Actor, Principal,
        change::Deed,
        rows::{micros, parsed, time},
    },
    ids::{AccountSid, RandomId},
    secret::Secret,
    store::{Row, Statement, StoreError},
};

use super::{Authorization, S256, access};

/// How long a code may be exchanged.
const CODE_LIFE: Duration = Duration::from_secs(60);
/// How long an access token is good.
const ACCESS_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a refresh token waits for its use.
const REFRESH_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// Codes and families that an authorization has at most; the oldest go.
const GRANTS_MAX: i64 = 20;
/// Characters of a secret: 256 bits.
const SECRET_LENGTH: usize = 43;
/// Characters of an id.
const ID_LENGTH: usize = 32;

const ONE: &str = "SELECT g.id, g.authorized, g.code_mac, g.redirect_url, g.challenge, g.exchanged_at, g.refresh_mac, g.expires_at, g.version, \
                   c.account, a.epoch, z.status, z.profile, z.user_account \
                   FROM connect_grants g JOIN authorizations z ON z.sid = g.authorized JOIN accounts a ON a.sid = z.sid \
                   JOIN connect_apps c ON c.sid = z.connect_app WHERE g.id = $1";

/// What a developer gets for a code or a refresh token.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The subaccount that they act on.
    pub account: AccountSid,
    /// To be shown as `Authorization: Bearer …`.
    pub access: Secret,
    /// How long that is good.
    pub access_life: Duration,
    /// For the next two.
    pub refresh: Secret,
    /// What they may do, as words.
    pub scope: String,
}

/// Why a code or a token gives nothing (RFC 6749 §5.2).
#[derive(Clone, Debug, thiserror::Error)]
pub enum GrantError {
    /// These credentials get no tokens: a developer shows its account's auth token.
    #[error("only an account's own auth token exchanges codes and refresh tokens")]
    Unauthorized,
    /// It is unknown, over, used, another's, or does not come with what it was asked for with.
    #[error("{0}")]
    Invalid(&'static str),
    /// Accounts.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

impl From<StoreError> for GrantError {
    fn from(error: StoreError) -> GrantError {
        GrantError::Accounts(error.into())
    }
}

/// A row of `connect_grants`, and what it stands on.
struct Grant {
    id: RandomId,
    authorized: AccountSid,
    code_mac: Vec<u8>,
    redirect_url: String,
    challenge: Option<S256>,
    is_exchanged: bool,
    refresh_mac: Option<Vec<u8>>,
    expires: SystemTime,
    version: i64,
    developer: AccountSid,
    epoch: i64,
    is_active: bool,
    scope: String,
    user_account: AccountSid,
}

impl Accounts {
    /// A code by which the developer of an authorization's application gets tokens, once and within a minute.
    ///
    /// # Errors
    /// It was revoked meanwhile, or the store cannot be written.
    pub async fn issue_code(
        &self,
        authorization: &Authorization,
        redirect_url: &str,
        code_challenge: Option<&S256>,
        by: &Actor,
    ) -> Result<Secret, AccountsError> {
        let (id, secret) = (RandomId::draw(&mut rand::rng()), draw_secret());
        let now = self.inner.clock.now_wall();
        let sid = authorization.sid.to_string();
        let insert = Statement::new(
            "INSERT INTO connect_grants (id, authorized, code_mac, redirect_url, challenge, expires_at, version, created_at) \
             SELECT $1, sid, $2, $3, $4, $5, 1, $6 FROM authorizations WHERE sid = $7 AND status = 'active'",
        )
        .bind(id.to_string())
        .bind(self.inner.sealer.mac(&name("code", id), secret.reveal())?)
        .bind(redirect_url)
        .bind(code_challenge.map(|challenge| challenge.as_str().to_owned()))
        .bind(micros(now + CODE_LIFE))
        .bind(micros(now))
        .bind(sid.as_str())
        .changing(1);
        let expired = Statement::new("DELETE FROM connect_grants WHERE expires_at < $1").bind(micros(now));
        let crowded = Statement::new(
            "DELETE FROM connect_grants WHERE authorized = $1 AND id NOT IN \
             (SELECT id FROM connect_grants WHERE authorized = $1 ORDER BY created_at DESC, id LIMIT $2)",
        )
        .bind(sid.as_str())
        .bind(GRANTS_MAX);
        let deed = Deed::on_callers(&authorization.user_account, by, "connect.code", &authorization.connect_app.sid);
        match self.change(deed, vec![insert, expired, crowded]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => {
                Err(AccountsError::NotFound("authorization"))
            }
            done => done.map(|()| token_of(id, &secret)),
        }
    }

    /// Gives a developer tokens for a code. One that comes again ends what it gave: one of the two who had it has stolen it.
    ///
    /// # Errors
    /// As [`GrantError`] says.
    pub async fn exchange_code(
        &self,
        code: &str,
        verifier: Option<&str>,
        redirect_url: Option<&str>,
        developer: &Principal,
    ) -> Result<Tokens, GrantError> {
        const UNKNOWN: GrantError = GrantError::Invalid("there is no such code, or it is over");
        let (grant, secret) = self.grant_of(code, developer).await?.ok_or(UNKNOWN)?;
        if !self.inner.sealer.recognises(&name("code", grant.id), secret, &grant.code_mac) {
            return Err(UNKNOWN);
        }
        if grant.is_exchanged {
            self.end_family(&grant, developer).await?;
            return Err(GrantError::Invalid("the code was used before: what it gave is revoked"));
        }
        let is_proved = match (&grant.challenge, verifier) {
            (Some(challenge), Some(verifier)) => challenge.is_of(verifier),
            // A verifier for a code that was asked for without a challenge: somebody has taken it out of the way there (RFC 9700 §2.1.1).
            (challenge, verifier) => challenge.is_none() && verifier.is_none(),
        };
        if !is_proved || redirect_url.is_none_or(|url| url != grant.redirect_url) {
            // Whoever has it should know what it was asked for with: it is good for nobody any more.
            self.end_family(&grant, developer).await?;
            return Err(GrantError::Invalid("code_verifier or redirect_uri is not what the code was asked for with"));
        }
        if !grant.is_active || grant.expires <= self.inner.clock.now_wall() {
            return Err(UNKNOWN);
        }
        self.hand_out(&grant, developer).await
    }

    /// Gives a developer the next tokens for a refresh token. One that comes again ends its family.
    ///
    /// # Errors
    /// As [`GrantError`] says.
    pub async fn refresh(&self, token: &str, developer: &Principal) -> Result<Tokens, GrantError> {
        const UNKNOWN: GrantError = GrantError::Invalid("there is no such refresh token, or it is over");
        let (grant, secret) = self.grant_of(token, developer).await?.ok_or(UNKNOWN)?;
        let Some(mac) = grant.refresh_mac.as_ref().filter(|_| grant.is_exchanged) else { return Err(UNKNOWN) };
        if !self.inner.sealer.recognises(&name("refresh", grant.id), secret, mac) {
            // Its family is known to nobody but who has had one of it: this is an older one.
            self.end_family(&grant, developer).await?;
            return Err(GrantError::Invalid("the refresh token was used before: its family is revoked"));
        }
        if !grant.is_active || grant.expires <= self.inner.clock.now_wall() {
            return Err(UNKNOWN);
        }
        self.hand_out(&grant, developer).await
    }

    /// Ends a refresh token or an access token and all that came of the same code. One that is unknown is ended already (RFC 7009 §2.2).
    ///
    /// # Errors
    /// As [`GrantError`] says.
    pub async fn revoke_token(&self, token: &str, developer: &Principal) -> Result<(), GrantError> {
        let is_refresh = |grant: &Grant, secret: &str| {
            let mac = grant.refresh_mac.as_ref();
            mac.is_some_and(|mac| self.inner.sealer.recognises(&name("refresh", grant.id), secret, mac))
        };
        if let Some((grant, secret)) = self.grant_of(token, developer).await? {
            if is_refresh(&grant, secret) {
                self.end_family(&grant, developer).await?;
            }
            return Ok(());
        }
        let said = access::read(token, &self.inner.sealer, self.inner.clock.now_wall());
        let grant = match said {
            Some(said) => self.grant(said.grant).await?.filter(|grant| grant.developer == developer.account),
            None => None,
        };
        if let Some(grant) = grant {
            self.end_family(&grant, developer).await?;
        }
        Ok(())
    }

    /// Has the family of a grant go on, and gives out what it goes on with.
    async fn hand_out(&self, grant: &Grant, developer: &Principal) -> Result<Tokens, GrantError> {
        let (now, secret) = (self.inner.clock.now_wall(), draw_secret());
        let change = Statement::new(
            "UPDATE connect_grants SET exchanged_at = $1, refresh_mac = $2, expires_at = $3, version = version + 1 \
             WHERE id = $4 AND version = $5",
        )
        .bind(micros(now))
        .bind(self.inner.sealer.mac(&name("refresh", grant.id), secret.reveal()).map_err(AccountsError::from)?)
        .bind(micros(now + REFRESH_LIFE))
        .bind(grant.id.to_string())
        .bind(grant.version)
        .changing(1);
        let done = if grant.is_exchanged {
            // Nobody has to hear of it: it takes nothing from anybody.
            self.inner.store.write(&[change]).await.map_err(AccountsError::from)
        } else {
            let by = developer.actor();
            self.change(Deed::on_records(&grant.authorized, &by, "connect.exchange", &grant.id), vec![change]).await
        };
        match done {
            // Two had it at once, and one of them was first.
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => {
                self.end_family(grant, developer).await?;
                return Err(GrantError::Invalid("it was used before: what it gave is revoked"));
            }
            done => done?,
        }
        let said = access::Access {
            account: grant.authorized,
            grant: grant.id,
            epoch: grant.epoch,
            expires: now + ACCESS_LIFE,
        };
        Ok(Tokens {
            account: grant.authorized,
            access: access::write(&said, &self.inner.sealer, now)?,
            access_life: ACCESS_LIFE,
            refresh: token_of(grant.id, &secret),
            scope: grant.scope.clone(),
        })
    }

    /// Ends a code or a family and all that it gave.
    async fn end_family(&self, grant: &Grant, developer: &Principal) -> Result<(), AccountsError> {
        let by = developer.actor();
        let delete = Statement::new("DELETE FROM connect_grants WHERE id = $1").bind(grant.id.to_string());
        self.change(Deed::on_callers(&grant.user_account, &by, "connect.end", &grant.id), vec![delete]).await
    }

    /// What a code or refresh token names, and its secret, where it is this developer's. Nothing of the secret is known to be true.
    async fn grant_of<'a>(
        &self,
        token: &'a str,
        developer: &Principal,
    ) -> Result<Option<(Grant, &'a str)>, GrantError> {
        if !developer.is_owner() {
            return Err(GrantError::Unauthorized);
        }
        let Some((id, secret)) = token.split_at_checked(ID_LENGTH) else { return Ok(None) };
        let Ok(id) = id.parse() else { return Ok(None) };
        let grant = self.grant(id).await?.filter(|grant| grant.developer == developer.account);
        Ok(grant.map(|grant| (grant, secret)))
    }

    async fn grant(&self, id: RandomId) -> Result<Option<Grant>, AccountsError> {
        let rows = self.inner.store.read(Statement::new(ONE).bind(id.to_string())).await?;
        rows.first().map(grant_of_row).transpose()
    }
}

fn grant_of_row(row: &Row) -> Result<Grant, AccountsError> {
    const WHAT: &str = "a grant";
    let challenge = row.maybe_text(4)?.map(|text| text.parse().map_err(|_| AccountsError::Misread(WHAT)));
    Ok(Grant {
        id: parsed(row, 0, WHAT)?,
        authorized: parsed(row, 1, WHAT)?,
        code_mac: row.bytes(2)?,
        redirect_url: row.text(3)?,
        challenge: challenge.transpose()?,
        is_exchanged: row.maybe_int(5)?.is_some(),
        refresh_mac: row.maybe_bytes(6)?,
        expires: time(row.int(7)?),
        version: row.int(8)?,
        developer: parsed(row, 9, WHAT)?,
        epoch: row.int(10)?,
        is_active: row.text(11)? == "active",
        scope: super::Profile::of_kept(&row.text(12)?).to_string(),
        user_account: parsed(row, 13, WHAT)?,
    })
}

/// What a secret's MAC is over, beside it.
fn name(what: &str, id: RandomId) -> String {
    format!("connect {what} {id}")
}

fn token_of(id: RandomId, secret: &Secret) -> Secret {
    Secret::new(format!("{id}{}", secret.reveal()))
}

fn draw_secret() -> Secret {
    Secret::new(rand::rng().sample_iter(Alphanumeric).take(SECRET_LENGTH).map(char::from).collect())
}
