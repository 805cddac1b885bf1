//! Accounts, subaccounts, their status and their tokens.

use std::path::Path;

use rand::RngExt as _;
use url::Url;

use crate::{
    ids::AccountSid,
    secret::Secret,
    store::{Row, Statement, StoreError},
};

use super::{
    Accounts, AccountsError, Actor, Listed, Page,
    change::Deed,
    connect::check_url,
    key_file::{Over, write_private},
    page::{Listing, listing},
    records::{Account, Method, Status},
    rows::{kept, maybe_parsed, micros, parsed, stamps},
};

/// Subaccounts of an account at most.
pub(super) const SUBACCOUNTS_MAX: i64 = 1_000;
/// Characters of a name for people at most.
pub(super) const NAME_MAX: usize = 64;
/// The file that the first account's credentials are left in.
const FIRST_FILE: &str = "first-credentials";

macro_rules! columns {
    () => {
        "sid, created_at, parent, friendly_name, status, primary_token, secondary_token, updated_at, version, connect_app, \
         limit_callback_url, limit_callback_method"
    };
}

const ONE: &str = concat!("SELECT ", columns!(), " FROM accounts WHERE sid = $1");
/// An account and its subaccounts; of everybody, where `$4` is empty.
const LIST: Listing = listing!(
    columns!(),
    "accounts",
    "($4 = '' OR sid = $4 OR parent = $4) AND ($5 = '' OR friendly_name = $5) AND ($6 = '' OR status = $6)"
);

/// What to change of an account.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// Its name for people.
    pub friendly_name: Option<String>,
    /// Its status.
    pub status: Option<Status>,
    /// Who is told that a limit of it is reached; nobody, where it is empty.
    pub limit_callback_url: Option<String>,
    /// How.
    pub limit_callback_method: Option<Method>,
}

/// Which accounts to list.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Those of this name.
    pub friendly_name: Option<String>,
    /// Those of this status.
    pub status: Option<Status>,
}

/// The account that a node without any makes itself.
#[derive(Clone, Debug)]
pub struct FirstAccount {
    /// The account.
    pub account: Account,
    /// The file that has its credentials, readable by the node alone.
    pub file: std::path::PathBuf,
}

impl Accounts {
    /// Makes a top-level account, or a subaccount.
    ///
    /// # Errors
    /// A name that is too long, a parent that is not there or is a subaccount itself, or one that has too many of them.
    pub async fn create_account(
        &self,
        parent: Option<&AccountSid>,
        friendly_name: &str,
        by: &Actor,
    ) -> Result<Account, AccountsError> {
        check_name(friendly_name)?;
        self.insert_account(self.draw_account(parent, friendly_name), by).await
    }

    /// A new account that is not kept yet.
    fn draw_account(&self, parent: Option<&AccountSid>, friendly_name: &str) -> Account {
        let now = kept(self.inner.clock.now_wall());
        Account {
            sid: AccountSid::draw(&mut rand::rng()),
            parent: parent.copied(),
            friendly_name: friendly_name.to_owned(),
            status: Status::Active,
            primary_token: draw_token(),
            secondary_token: None,
            connect_app: None,
            limit_callback_url: None,
            limit_callback_method: Method::Post,
            stamps: super::Stamps { created: now, updated: now, version: 1 },
        }
    }

    async fn insert_account(&self, account: Account, by: &Actor) -> Result<Account, AccountsError> {
        let Account { sid, parent, friendly_name, primary_token, stamps, .. } = &account;
        let sealed = self.inner.sealer.seal(&purpose(sid), primary_token)?;
        let sql = match parent {
            None => {
                "INSERT INTO accounts (sid, parent, friendly_name, status, primary_token, version, created_at, updated_at) \
                 VALUES ($1, $2, $3, 'active', $4, 1, $5, $5)"
            }
            Some(_) => {
                "INSERT INTO accounts (sid, parent, friendly_name, status, primary_token, version, created_at, updated_at) \
                 SELECT $1, $2, $3, 'active', $4, 1, $5, $5 FROM accounts \
                 WHERE sid = $2 AND parent IS NULL AND status = 'active' \
                 AND (SELECT count(*) FROM accounts WHERE parent = $2 AND status <> 'closed' AND connect_app IS NULL) < $6"
            }
        };
        let insert = Statement::new(sql)
            .bind(sid.to_string())
            .bind(parent.map(|parent| parent.to_string()))
            .bind(friendly_name.as_str())
            .bind(sealed)
            .bind(micros(stamps.created))
            .changing(1);
        let insert = if parent.is_some() { insert.bind(SUBACCOUNTS_MAX) } else { insert };
        let deed = Deed::on_records(parent.as_ref().unwrap_or(sid), by, "account.create", sid);
        match self.change(deed, vec![insert]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => {
                Err(AccountsError::Conflict("the account can have no subaccounts, or no more of them"))
            }
            done => done.map(|()| account),
        }
    }

    /// Makes the first account of a node that has none, and leaves its credentials in a file of the data directory.
    ///
    /// # Errors
    /// The store or the file cannot be written.
    pub async fn create_first_account(&self, data_dir: &Path) -> Result<Option<FirstAccount>, AccountsError> {
        if !self.inner.store.read(Statement::new("SELECT sid FROM accounts LIMIT 1")).await?.is_empty() {
            return Ok(None);
        }
        let account = self.draw_account(None, "First account");
        let file = data_dir.join(FIRST_FILE);
        let text = format!("account {}\ntoken   {}\n", account.sid, account.primary_token.reveal());
        // Before there is such an account, so that none is ever without them; over those of a store that is no more.
        let written = write_private(&file, &text, Over::Anything);
        written.map_err(|error| AccountsError::KeyFile(format!("{}: {error}", file.display())))?;
        let account = self.insert_account(account, &Actor::operator("first start")).await?;
        Ok(Some(FirstAccount { account, file }))
    }

    /// An account.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn account(&self, sid: &AccountSid) -> Result<Account, AccountsError> {
        let rows = self.inner.store.read(Statement::new(ONE).bind(sid.to_string())).await?;
        rows.first().map_or(Err(AccountsError::NotFound("account")), |row| self.account_of(row))
    }

    /// An account and its subaccounts; all accounts, where none is named.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn accounts(
        &self,
        of: Option<&AccountSid>,
        filter: &AccountFilter,
        page: &Page,
    ) -> Result<Listed<Account>, AccountsError> {
        check_filter(filter.friendly_name.as_deref())?;
        let bind = |list: Statement| {
            list.bind(of.map(ToString::to_string).unwrap_or_default())
                .bind(filter.friendly_name.clone().unwrap_or_default())
                .bind(filter.status.map_or("", Status::as_str))
        };
        LIST.read(&self.inner.store, page, bind, |row| self.account_of(row)).await
    }

    /// Changes name or status. A closed account stays closed.
    ///
    /// # Errors
    /// There is none of this name, the name is too long, or it is closed; or an application's subaccount is to be, which is revoked instead.
    pub async fn update_account(
        &self,
        sid: &AccountSid,
        change: &AccountChange,
        by: &Actor,
    ) -> Result<Account, AccountsError> {
        if let Some(name) = &change.friendly_name {
            check_name(name)?;
        }
        let account = self.account(sid).await?;
        let status = change.status.unwrap_or(account.status);
        if account.status == Status::Closed && status != Status::Closed {
            return Err(AccountsError::Conflict("the account is closed, for ever"));
        }
        if account.connect_app.is_some() && status == Status::Closed {
            return Err(AccountsError::Conflict(
                "it is an application's subaccount: revoke what the application is allowed",
            ));
        }
        let name = change.friendly_name.as_ref().unwrap_or(&account.friendly_name);
        let url =
            change.limit_callback_url.as_ref().or(account.limit_callback_url.as_ref()).filter(|url| !url.is_empty());
        check_url("LimitCallbackUrl", url.map(String::as_str))?;
        if url.is_some() {
            // What it is told would be signed with a token that nobody has.
            check_has_credentials(&account)?;
        }
        let method = change.limit_callback_method.unwrap_or(account.limit_callback_method);
        let sql = "UPDATE accounts SET friendly_name = $1, status = $2, updated_at = $3, version = version + 1 \
                   WHERE sid = $4 AND version = $5";
        let statement = Statement::new(sql).bind(name.as_str()).bind(status.as_str());
        let callback = "UPDATE accounts SET limit_callback_url = $1, limit_callback_method = $2 WHERE sid = $3";
        let callback = Statement::new(callback).bind(url.cloned()).bind(method.as_str()).bind(sid.to_string());
        let mut details = Vec::new();
        if status != account.status {
            details.push(format!("status {status}"));
        }
        if url != account.limit_callback_url.as_ref() {
            details.push(url.map_or("limit callback removed".to_owned(), |url| {
                // What stands behind the host may be a secret.
                let parsed = Url::parse(url).ok();
                format!("limit callback set to {}", parsed.as_ref().and_then(Url::host_str).unwrap_or_default())
            }));
        }
        let deed = Deed::on_callers(sid, by, "account.update", sid).detail(details.join(", "));
        // Whoever closes an account revokes what it has allowed.
        let mut with = vec![callback];
        with.extend(if status == Status::Closed { self.revocation(sid, None) } else { Vec::new() });
        self.update_with(&account, statement, with, deed).await
    }

    /// Makes a second token beside the first.
    ///
    /// # Errors
    /// There is no such account, or it has two already.
    pub async fn create_secondary_token(&self, sid: &AccountSid, by: &Actor) -> Result<Account, AccountsError> {
        let account = self.account(sid).await?;
        check_has_credentials(&account)?;
        if account.secondary_token.is_some() {
            return Err(AccountsError::Conflict("the account has a secondary auth token"));
        }
        let sealed = self.inner.sealer.seal(&purpose(sid), &draw_token())?;
        let sql = "UPDATE accounts SET secondary_token = $1, primary_token = $2, updated_at = $3, version = version + 1 \
                   WHERE sid = $4 AND version = $5";
        let primary = self.inner.sealer.seal(&purpose(sid), &account.primary_token)?;
        self.update(
            &account,
            Statement::new(sql).bind(sealed).bind(primary),
            Deed::on_records(sid, by, "token.create", sid),
        )
        .await
    }

    /// Makes the second token the only one.
    ///
    /// # Errors
    /// There is no such account, or no second token.
    pub async fn promote_secondary_token(&self, sid: &AccountSid, by: &Actor) -> Result<Account, AccountsError> {
        let account = self.account(sid).await?;
        let secondary = account.secondary_token.as_ref().ok_or(AccountsError::NotFound("secondary auth token"))?;
        let sealed = self.inner.sealer.seal(&purpose(sid), secondary)?;
        let sql = "UPDATE accounts SET primary_token = $1, secondary_token = $2, updated_at = $3, version = version + 1 \
                   WHERE sid = $4 AND version = $5";
        let statement = Statement::new(sql).bind(sealed).bind(None::<Vec<u8>>);
        self.update(&account, statement, Deed::on_callers(sid, by, "token.promote", sid)).await
    }

    /// Ends all tokens of clients that were made until now; gives back the epoch that those to come have to say.
    ///
    /// # Errors
    /// There is no such account.
    pub async fn end_client_tokens(&self, sid: &AccountSid, by: &Actor) -> Result<i64, AccountsError> {
        let update = Statement::new(
            "UPDATE accounts SET epoch = epoch + 1, updated_at = $1, version = version + 1 WHERE sid = $2",
        )
        .bind(micros(self.inner.clock.now_wall()))
        .bind(sid.to_string())
        .changing(1);
        super::keys::found(
            "account",
            self.change(Deed::on_callers(sid, by, "client-tokens.end", sid), vec![update]).await,
        )?;
        let rows = self
            .inner
            .store
            .read(Statement::new("SELECT epoch FROM accounts WHERE sid = $1").bind(sid.to_string()))
            .await?;
        Ok(rows.first().ok_or(AccountsError::NotFound("account"))?.int(0)?)
    }

    /// Drops the second token.
    ///
    /// # Errors
    /// There is no such account, or no second token.
    pub async fn delete_secondary_token(&self, sid: &AccountSid, by: &Actor) -> Result<Account, AccountsError> {
        let account = self.account(sid).await?;
        if account.secondary_token.is_none() {
            return Err(AccountsError::NotFound("secondary auth token"));
        }
        let primary = self.inner.sealer.seal(&purpose(sid), &account.primary_token)?;
        let sql = "UPDATE accounts SET primary_token = $1, secondary_token = $2, updated_at = $3, version = version + 1 \
                   WHERE sid = $4 AND version = $5";
        let statement = Statement::new(sql).bind(primary).bind(None::<Vec<u8>>);
        self.update(&account, statement, Deed::on_callers(sid, by, "token.delete", sid)).await
    }

    /// Seals anew what another key than the first of the key file has sealed. How many secrets that were.
    ///
    /// The MACs of API keys cannot be made anew without their secrets: an older key stays in the file as long as keys of its time are used.
    ///
    /// # Errors
    /// The store cannot be used, or a secret cannot be opened.
    pub async fn reseal(&self, by: &Actor) -> Result<usize, AccountsError> {
        let inner = &*self.inner;
        let mut sealed = 0;
        let tokens = "SELECT sid, version, primary_token, secondary_token FROM accounts";
        for row in inner.store.read(Statement::new(tokens)).await? {
            let sid: AccountSid = parsed(&row, 0, "an account")?;
            let old = [Some(row.bytes(2)?), row.maybe_bytes(3)?];
            if old.iter().flatten().all(|old| inner.sealer.is_current(old)) {
                continue;
            }
            let again = |old: &[u8]| inner.sealer.seal(&purpose(&sid), &inner.sealer.open(&purpose(&sid), old)?);
            let [primary, secondary] = old;
            let update = Statement::new(
                "UPDATE accounts SET primary_token = $1, secondary_token = $2, version = version + 1 \
                 WHERE sid = $3 AND version = $4",
            )
            .bind(primary.map(|old| again(&old)).transpose()?)
            .bind(secondary.map(|old| again(&old)).transpose()?)
            .bind(sid.to_string())
            .bind(row.int(1)?);
            self.change(Deed::on_records(&sid, by, "token.reseal", &sid), vec![update.changing(1)]).await?;
            sealed += 1;
        }
        let keys = "SELECT sid, account, secret FROM api_keys WHERE secret IS NOT NULL";
        for row in inner.store.read(Statement::new(keys)).await? {
            let (sid, account) = (parsed(&row, 0, "a key")?, parsed(&row, 1, "a key")?);
            let old = row.bytes(2)?;
            if inner.sealer.is_current(&old) {
                continue;
            }
            let purpose = super::keys::purpose(&sid);
            let again = inner.sealer.seal(&purpose, &inner.sealer.open(&purpose, &old)?)?;
            let update = Statement::new("UPDATE api_keys SET secret = $1 WHERE sid = $2 AND secret = $3")
                .bind(again)
                .bind(sid.to_string())
                .bind(old)
                .changing(1);
            self.change(Deed::on_records(&account, by, "key.reseal", &sid), vec![update]).await?;
            sealed += 1;
        }
        Ok(sealed + self.reseal_users(by).await?)
    }

    /// Makes a change to an account as it was read. `statement` lacks `$3` to `$5`: when, which, and the version that was read.
    async fn update(&self, account: &Account, statement: Statement, deed: Deed<'_>) -> Result<Account, AccountsError> {
        self.update_with(account, statement, Vec::new(), deed).await
    }

    /// The same, with what else happens then.
    async fn update_with(
        &self,
        account: &Account,
        statement: Statement,
        with: Vec<Statement>,
        deed: Deed<'_>,
    ) -> Result<Account, AccountsError> {
        let statement = statement
            .bind(micros(self.inner.clock.now_wall()))
            .bind(account.sid.to_string())
            .bind(account.stamps.version)
            .changing(1);
        match self.change(deed, [vec![statement], with].concat()).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. } | StoreError::Duplicate)) => {
                Err(AccountsError::OVERTAKEN)
            }
            done => done,
        }?;
        self.account(&account.sid).await
    }

    fn account_of(&self, row: &Row) -> Result<Account, AccountsError> {
        let sid: AccountSid = parsed(row, 0, "an account")?;
        let open = |sealed: &[u8]| self.inner.sealer.open(&purpose(&sid), sealed);
        Ok(Account {
            sid,
            parent: maybe_parsed(row, 2, "an account")?,
            friendly_name: row.text(3)?,
            status: parsed(row, 4, "an account")?,
            primary_token: open(&row.bytes(5)?)?,
            secondary_token: row.maybe_bytes(6)?.map(|sealed| open(&sealed)).transpose()?,
            connect_app: maybe_parsed(row, 9, "an account")?,
            limit_callback_url: row.maybe_text(10)?,
            limit_callback_method: parsed(row, 11, "an account")?,
            stamps: stamps(row, 1, 7)?,
        })
    }
}

/// Whether an account has credentials of its own.
pub(super) fn check_has_credentials(account: &Account) -> Result<(), AccountsError> {
    match account.connect_app {
        None => Ok(()),
        Some(_) => Err(AccountsError::Forbidden("an application's subaccount has no tokens and no keys")),
    }
}

/// What an account's tokens are sealed for.
pub(super) fn purpose(sid: &AccountSid) -> String {
    format!("auth token of {sid}")
}

/// Whether a text can be a name for people.
///
/// # Errors
/// It is too long, or has characters for control.
pub fn check_name(name: &str) -> Result<(), AccountsError> {
    let is_name = name.chars().count() <= NAME_MAX && !name.chars().any(|c| c.is_control() || turns_text(c));
    let reason =
        || format!("must be at most {NAME_MAX} characters, none of them for control or to turn what follows around");
    if is_name { Ok(()) } else { Err(AccountsError::Invalid { field: "FriendlyName", reason: reason() }) }
}

/// Whether what follows a character is shown in another order: whoever names something may not change what stands around the name.
pub(super) fn turns_text(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name to look for: what no name can hold is none, and one of the engines would not take it.
pub(super) fn check_filter(text: Option<&str>) -> Result<(), AccountsError> {
    let has_control = text.is_some_and(|text| text.chars().any(char::is_control));
    let reason = "has characters for control".to_owned();
    if has_control { Err(AccountsError::Invalid { field: "filter", reason }) } else { Ok(()) }
}

/// 128 bits as 32 hexadecimal digits, as clients expect an auth token.
pub(super) fn draw_token() -> Secret {
    Secret::new(format!("{:032x}", rand::rng().random::<u128>()))
}
