//! Connect apps: what developers register, for others to allow.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    accounts::{
        Accounts, AccountsError, Actor, Listed, Method, Page, Stamps, Status,
        account::{check_name, turns_text},
        change::Deed,
        keys::found,
        page::{Listing, listing},
        rows::{from_json, kept, maybe_parsed, micros, parsed, stamps, to_json},
    },
    ids::{AccountSid, ConnectAppSid},
    store::{Row, Statement, StoreError},
};

use super::Profile;

/// Connect apps of an account at most.
const APPS_MAX: i64 = 1_000;
/// Characters of a company's name at most.
const COMPANY_MAX: usize = 128;
/// Characters of a description at most: it is read by people who are about to decide.
const DESCRIPTION_MAX: usize = 1_000;
/// Bytes of an address at most.
const URL_MAX: usize = 2_048;

/// The status of one that is there. Deleted ones are kept for what names them.
pub(in crate::accounts) const ACTIVE_APP: &str = "active";

macro_rules! columns {
    () => {
        "sid, created_at, account, friendly_name, record, updated_at, version"
    };
}

const ONE: &str =
    concat!("SELECT ", columns!(), " FROM connect_apps WHERE sid = $1 AND account = $2 AND status = 'active'");
const LIST: Listing = listing!(columns!(), "connect_apps", "account = $4 AND status = 'active'");
/// For whoever asks; with what decides whether it is shown.
const ANYBODYS: &str = "SELECT c.sid, c.created_at, c.account, c.friendly_name, c.record, c.updated_at, c.version, a.status, p.status \
                        FROM connect_apps c JOIN accounts a ON a.sid = c.account LEFT JOIN accounts p ON p.sid = a.parent \
                        WHERE c.sid = $1 AND c.status = 'active'";

/// An application that asks accounts to act for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectApp {
    /// Its name.
    pub sid: ConnectAppSid,
    /// The developer's account.
    pub account: AccountSid,
    /// What is said of it.
    pub fields: ConnectAppFields,
    /// When.
    pub stamps: Stamps,
}

/// What can be set of a connect app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectAppFields {
    /// Its name for people; at most 64 characters.
    pub friendly_name: String,
    /// Who offers it; at most 128 characters.
    pub company_name: String,
    /// What it is for; at most 1000 characters.
    pub description: String,
    /// Where more is said of it.
    pub homepage_url: Option<String>,
    /// Where users are sent with what they decided, exactly as it stands here. Without one nobody can be asked on the page.
    pub authorize_redirect_url: Option<String>,
    /// Who is told that it may not act any more.
    pub deauthorize_callback_url: Option<String>,
    /// How.
    pub deauthorize_callback_method: Method,
    /// What it asks for.
    pub permissions: Profile,
}

impl ConnectAppFields {
    /// Whether they can be kept.
    ///
    /// # Errors
    /// Which cannot, and why.
    pub(super) fn check(&self) -> Result<(), AccountsError> {
        check_name(&self.friendly_name)?;
        check_text("CompanyName", &self.company_name, COMPANY_MAX)?;
        check_text("Description", &self.description, DESCRIPTION_MAX)?;
        check_url("HomepageUrl", self.homepage_url.as_deref())?;
        check_url("AuthorizeRedirectUrl", self.authorize_redirect_url.as_deref())?;
        check_url("DeauthorizeCallbackUrl", self.deauthorize_callback_url.as_deref())
    }
}

fn check_text(field: &'static str, text: &str, characters_max: usize) -> Result<(), AccountsError> {
    let is_refused = |c: char| c.is_control() && c != '\n' || turns_text(c);
    let is_text = text.chars().count() <= characters_max && !text.chars().any(is_refused);
    let reason = || {
        format!("must be at most {characters_max} characters, none of them for control or to turn what follows around")
    };
    if is_text { Ok(()) } else { Err(AccountsError::Invalid { field, reason: reason() }) }
}

/// An address that people or requests are sent to: absolute, without a fragment (RFC 6749 §3.1.2) or credentials.
pub(in crate::accounts) fn check_url(field: &'static str, text: Option<&str>) -> Result<(), AccountsError> {
    let Some(text) = text else { return Ok(()) };
    let is_plain = |url: &Url| url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let is_url = text.len() <= URL_MAX
        && !text.chars().any(char::is_control)
        && Url::parse(text).is_ok_and(|url| is_web(&url) && is_plain(&url));
    let reason = || {
        format!("must be an absolute http or https URL of at most {URL_MAX} bytes, without a fragment or credentials")
    };
    if is_url { Ok(()) } else { Err(AccountsError::Invalid { field, reason: reason() }) }
}

impl Accounts {
    /// Registers an application of a developer's account.
    ///
    /// # Errors
    /// A field that cannot be taken, or an account that is not there, is closed, has too many, or is another application's subaccount.
    pub async fn create_connect_app(
        &self,
        account: &AccountSid,
        fields: &ConnectAppFields,
        by: &Actor,
    ) -> Result<ConnectApp, AccountsError> {
        fields.check()?;
        let sid = ConnectAppSid::draw(&mut rand::rng());
        let now = kept(self.inner.clock.now_wall());
        let insert = Statement::new(
            "INSERT INTO connect_apps (sid, account, friendly_name, status, record, version, created_at, updated_at) \
             SELECT $1, $2, $3, 'active', $4, 1, $5, $5 FROM accounts \
             WHERE sid = $2 AND status <> 'closed' AND connect_app IS NULL \
             AND (SELECT count(*) FROM connect_apps WHERE account = $2 AND status = 'active') < $6",
        )
        .bind(sid.to_string())
        .bind(account.to_string())
        .bind(fields.friendly_name.as_str())
        .bind(to_json(fields)?)
        .bind(micros(now))
        .bind(APPS_MAX)
        .changing(1);
        match self.change(Deed::on_records(account, by, "connect-app.create", &sid), vec![insert]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => {
                Err(AccountsError::Conflict("the account can have no connect apps, or no more of them"))
            }
            done => done.map(|()| ConnectApp {
                sid,
                account: *account,
                fields: fields.clone(),
                stamps: Stamps { created: now, updated: now, version: 1 },
            }),
        }
    }

    /// A connect app of a developer's account.
    ///
    /// # Errors
    /// It has none of this name.
    pub async fn own_connect_app(
        &self,
        account: &AccountSid,
        sid: &ConnectAppSid,
    ) -> Result<ConnectApp, AccountsError> {
        let rows = self.inner.store.read(Statement::new(ONE).bind(sid.to_string()).bind(account.to_string())).await?;
        rows.first().map_or(Err(NOT_FOUND), |row| connect_app_of(row, 0))
    }

    /// A connect app, whoever asks: what people are shown who are to allow it.
    ///
    /// # Errors
    /// There is none of this name, or its developer's account is not active.
    pub async fn connect_app(&self, sid: &ConnectAppSid) -> Result<ConnectApp, AccountsError> {
        let rows = self.inner.store.read(Statement::new(ANYBODYS).bind(sid.to_string())).await?;
        let row = rows.first().ok_or(NOT_FOUND)?;
        let own: Status = parsed(row, 7, "an account")?;
        let status = own.under(maybe_parsed(row, 8, "an account")?);
        if status == Status::Active { connect_app_of(row, 0) } else { Err(NOT_FOUND) }
    }

    /// The connect apps of a developer's account.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn connect_apps(&self, account: &AccountSid, page: &Page) -> Result<Listed<ConnectApp>, AccountsError> {
        let bind = |list: Statement| list.bind(account.to_string());
        LIST.read(&self.inner.store, page, bind, |row| connect_app_of(row, 0)).await
    }

    /// Changes a connect app that was read. What was allowed to it stays as it is, whatever it asks for now.
    ///
    /// # Errors
    /// A field that cannot be taken, or somebody else has changed or deleted it since.
    pub async fn update_connect_app(&self, changed: &ConnectApp, by: &Actor) -> Result<ConnectApp, AccountsError> {
        changed.fields.check()?;
        let update = Statement::new(
            "UPDATE connect_apps SET friendly_name = $1, record = $2, updated_at = $3, version = version + 1 \
             WHERE sid = $4 AND account = $5 AND version = $6 AND status = 'active'",
        )
        .bind(changed.fields.friendly_name.as_str())
        .bind(to_json(&changed.fields)?)
        .bind(micros(self.inner.clock.now_wall()))
        .bind(changed.sid.to_string())
        .bind(changed.account.to_string())
        .bind(changed.stamps.version)
        .changing(1);
        let deed = Deed::on_records(&changed.account, by, "connect-app.update", &changed.sid);
        match self.change(deed, vec![update]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Err(AccountsError::OVERTAKEN),
            done => done,
        }?;
        self.own_connect_app(&changed.account, &changed.sid).await
    }

    /// Deletes a connect app. It acts for nobody any more, everywhere within a second; that its developer knows, who is therefore not told.
    ///
    /// # Errors
    /// The account has none of this name.
    pub async fn delete_connect_app(
        &self,
        account: &AccountSid,
        sid: &ConnectAppSid,
        by: &Actor,
    ) -> Result<(), AccountsError> {
        let (now, named) = (micros(self.inner.clock.now_wall()), sid.to_string());
        let delete = Statement::new(
            "UPDATE connect_apps SET status = 'deleted', updated_at = $1, version = version + 1 \
             WHERE sid = $2 AND account = $3 AND status = 'active'",
        )
        .bind(now)
        .bind(named.as_str())
        .bind(account.to_string())
        .changing(1);
        let revoke = Statement::new(
            "UPDATE authorizations SET status = 'revoked', updated_at = $1, version = version + 1 \
             WHERE connect_app = $2 AND status = 'active'",
        )
        .bind(now)
        .bind(named.as_str());
        let grants = Statement::new(
            "DELETE FROM connect_grants WHERE authorized IN (SELECT sid FROM authorizations WHERE connect_app = $1)",
        )
        .bind(named.as_str());
        let unsent = Statement::new("DELETE FROM deauthorizations WHERE connect_app = $1").bind(named.as_str());
        // Of the developer's callers those are who act for the accounts that have allowed it.
        let deed = Deed::on_callers(account, by, "connect-app.delete", sid);
        found("connect app", self.change(deed, vec![delete, revoke, grants, unsent]).await)
    }
}

const NOT_FOUND: AccountsError = AccountsError::NotFound("connect app");

/// Reads the columns from `first` on: sid, created_at, account, friendly_name, record, updated_at, version.
pub(super) fn connect_app_of(row: &Row, first: usize) -> Result<ConnectApp, AccountsError> {
    const WHAT: &str = "a connect app";
    Ok(ConnectApp {
        sid: parsed(row, first, WHAT)?,
        account: parsed(row, first + 2, WHAT)?,
        fields: ConnectAppFields { friendly_name: row.text(first + 3)?, ..from_json(&row.text(first + 4)?)? },
        stamps: stamps(row, first + 1, first + 5)?,
    })
}
