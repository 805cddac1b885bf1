//! Phone numbers. The operator brings them in ([`Accounts::add_number`]); an account takes what is offered to it, and gives it back. A number
//! belongs to at most one account (`spec/trust.md` §1).

use crate::{
    ids::{AccountSid, NumberSid},
    store::{Row, Statement, StoreError},
};

use super::{
    Accounts, AccountsError, Actor, Listed, Page,
    account::{check_filter, check_name},
    change::Deed,
    page::{Listing, listing},
    records::{Number, NumberFields, PhoneNumber, Status},
    rows::{from_json, maybe_parsed, micros, parsed, stamps, to_json},
};

macro_rules! columns {
    () => {
        "sid, created_at, phone_number, account, offered_to, friendly_name, record, updated_at, version"
    };
}

const ONE: &str = concat!("SELECT ", columns!(), " FROM numbers WHERE sid = $1 AND account = $2");
const BY_NUMBER: &str = concat!("SELECT ", columns!(), " FROM numbers WHERE phone_number = $1");
const LIST: Listing = listing!(
    columns!(),
    "numbers",
    "account = $4 AND ($5 = '' OR friendly_name = $5) AND ($6 = '' OR phone_number = $6)"
);
/// Those of everybody, those in stock included.
const ALL: Listing = listing!(columns!(), "numbers", "($4 = '' OR account = $4)");

/// What a change says where the number is not there for it.
const TAKEN: AccountsError = AccountsError::Conflict("the number is not offered, or somebody has it");

impl Accounts {
    /// Brings a number in: assigned to an account at once, or into the operator's stock, offered to one account and its subaccounts or to
    /// anybody. One that was assigned is offered to that account when it gives it back.
    ///
    /// # Errors
    /// It is there already, or the account is not.
    pub async fn add_number(
        &self,
        phone_number: &PhoneNumber,
        account: Option<&AccountSid>,
        offered_to: Option<&AccountSid>,
        by: &Actor,
    ) -> Result<Number, AccountsError> {
        for named in [account, offered_to].into_iter().flatten() {
            self.account(named).await?;
        }
        let sid = NumberSid::draw(&mut rand::rng());
        let insert = Statement::new(
            "INSERT INTO numbers (sid, phone_number, account, offered_to, friendly_name, record, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $2, $5, 1, $6, $6)",
        )
        .bind(sid.to_string())
        .bind(phone_number.to_string())
        .bind(account.map(ToString::to_string))
        .bind(offered_to.or(account).map(ToString::to_string))
        .bind(to_json(&NumberFields::default())?)
        .bind(micros(self.inner.clock.now_wall()));
        let nobody = AccountSid::NOBODY;
        let whose = account.or(offered_to).unwrap_or(&nobody);
        match self.change(Deed::on_records(whose, by, "number.add", phone_number), vec![insert]).await {
            Err(AccountsError::Store(StoreError::Duplicate)) => {
                return Err(AccountsError::Conflict("the number is here already"));
            }
            done => done?,
        }
        self.number_by_number(phone_number).await
    }

    /// Takes a number from the operator's stock for an account. Given back, it is offered to that account alone.
    ///
    /// # Errors
    /// It is not there, is not offered to this account or its parent, or somebody has it.
    pub async fn take_number(
        &self,
        account: &AccountSid,
        phone_number: &PhoneNumber,
        by: &Actor,
    ) -> Result<Number, AccountsError> {
        let take = Statement::new(
            "UPDATE numbers SET account = $1, offered_to = COALESCE(offered_to, $1), updated_at = $2, version = version + 1 \
             WHERE phone_number = $3 AND account IS NULL AND (offered_to IS NULL OR offered_to = $1 \
             OR offered_to = (SELECT parent FROM accounts WHERE sid = $1)) \
             AND EXISTS (SELECT sid FROM accounts WHERE sid = $1 AND status <> 'closed')",
        )
        .bind(account.to_string())
        .bind(micros(self.inner.clock.now_wall()))
        .bind(phone_number.to_string())
        .changing(1);
        match self.change(Deed::on_records(account, by, "number.take", phone_number), vec![take]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Err(TAKEN),
            done => done,
        }?;
        self.number_by_number(phone_number).await
    }

    /// Assigns a number to an account, whoever had it, or puts it back into the stock, for anybody: the operator's.
    ///
    /// # Errors
    /// There is no such number or account.
    pub async fn assign_number(
        &self,
        phone_number: &PhoneNumber,
        account: Option<&AccountSid>,
        by: &Actor,
    ) -> Result<Number, AccountsError> {
        let number = self.number_by_number(phone_number).await?;
        if let Some(account) = account {
            self.account(account).await?;
        }
        // What one has said of it is nobody else's.
        let number = if number.account.as_ref() == account { number } else { bare(number) };
        let number = Number { offered_to: account.copied(), ..number };
        self.write_number(&number, account, by, "number.assign").await?;
        self.number_by_number(phone_number).await
    }

    /// Takes a number out, whoever has it: the operator's.
    ///
    /// # Errors
    /// There is no such number.
    pub async fn remove_number(&self, phone_number: &PhoneNumber, by: &Actor) -> Result<(), AccountsError> {
        let number = self.number_by_number(phone_number).await?;
        let delete = Statement::new("DELETE FROM numbers WHERE sid = $1").bind(number.sid.to_string()).changing(1);
        let nobody = AccountSid::NOBODY;
        let whose = number.account.as_ref().unwrap_or(&nobody);
        self.change(Deed::on_records(whose, by, "number.remove", phone_number), vec![delete]).await
    }

    /// A number of an account.
    ///
    /// # Errors
    /// It has none of this name.
    pub async fn number(&self, account: &AccountSid, sid: &NumberSid) -> Result<Number, AccountsError> {
        let rows = self.inner.store.read(Statement::new(ONE).bind(sid.to_string()).bind(account.to_string())).await?;
        rows.first().map_or(Err(AccountsError::NotFound("number")), number_of)
    }

    /// A number, whoever has it.
    ///
    /// # Errors
    /// There is no such number.
    pub async fn number_by_number(&self, phone_number: &PhoneNumber) -> Result<Number, AccountsError> {
        let rows = self.inner.store.read(Statement::new(BY_NUMBER).bind(phone_number.to_string())).await?;
        rows.first().map_or(Err(AccountsError::NotFound("number")), number_of)
    }

    /// The numbers of an account, those of one name or one number.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn numbers(
        &self,
        account: &AccountSid,
        friendly_name: Option<&str>,
        phone_number: Option<&str>,
        page: &Page,
    ) -> Result<Listed<Number>, AccountsError> {
        check_filter(friendly_name)?;
        check_filter(phone_number)?;
        let bind = |list: Statement| {
            list.bind(account.to_string())
                .bind(friendly_name.unwrap_or_default())
                .bind(phone_number.unwrap_or_default())
        };
        LIST.read(&self.inner.store, page, bind, number_of).await
    }

    /// All numbers, or those of one account: the operator's.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn all_numbers(&self, of: Option<&AccountSid>, page: &Page) -> Result<Listed<Number>, AccountsError> {
        let bind = |list: Statement| list.bind(of.map(ToString::to_string).unwrap_or_default());
        ALL.read(&self.inner.store, page, bind, number_of).await
    }

    /// Changes a number that was read, or gives it to `account`, which the caller may give it to.
    ///
    /// # Errors
    /// A name that is too long, an account that is not there or is closed, or somebody else has changed it since.
    pub async fn update_number(
        &self,
        changed: &Number,
        account: &AccountSid,
        by: &Actor,
    ) -> Result<Number, AccountsError> {
        check_name(&changed.friendly_name)?;
        if self.account(account).await?.status == Status::Closed {
            return Err(AccountsError::Conflict("the account is closed, for ever"));
        }
        self.write_number(changed, Some(account), by, "number.update").await?;
        self.number(account, &changed.sid).await
    }

    /// Gives a number back to the operator's stock, as bare as it came.
    ///
    /// # Errors
    /// The account has none of this name.
    pub async fn release_number(&self, account: &AccountSid, sid: &NumberSid, by: &Actor) -> Result<(), AccountsError> {
        let number = self.number(account, sid).await?;
        self.write_number(&bare(number), None, by, "number.release").await
    }

    async fn write_number(
        &self,
        number: &Number,
        account: Option<&AccountSid>,
        by: &Actor,
        action: &'static str,
    ) -> Result<(), AccountsError> {
        let update = Statement::new(
            "UPDATE numbers SET account = $1, offered_to = $2, friendly_name = $3, record = $4, updated_at = $5, version = version + 1 \
             WHERE sid = $6 AND version = $7 \
             AND ($1 IS NULL OR EXISTS (SELECT sid FROM accounts WHERE sid = $1 AND status <> 'closed'))",
        )
        .bind(account.map(ToString::to_string))
        .bind(number.offered_to.map(|offered_to| offered_to.to_string()))
        .bind(number.friendly_name.as_str())
        .bind(to_json(&number.fields)?)
        .bind(micros(self.inner.clock.now_wall()))
        .bind(number.sid.to_string())
        .bind(number.stamps.version)
        .changing(1);
        let nobody = AccountSid::NOBODY;
        let whose = account.or(number.account.as_ref()).unwrap_or(&nobody);
        // In the log of who has it now; of who had it, there too.
        let had = number.account.filter(|had| Some(had) != account);
        let detail = had.map(|had| format!("from {had}")).unwrap_or_default();
        let deed = Deed::on_records(whose, by, action, &number.phone_number).detail(detail);
        match self.change(deed, vec![update]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Err(AccountsError::OVERTAKEN),
            done => done,
        }
    }
}

/// A number as it came.
fn bare(number: Number) -> Number {
    Number { friendly_name: number.phone_number.to_string(), fields: NumberFields::default(), ..number }
}

fn number_of(row: &Row) -> Result<Number, AccountsError> {
    Ok(Number {
        sid: parsed(row, 0, "a number")?,
        phone_number: parsed(row, 2, "a number")?,
        account: maybe_parsed(row, 3, "a number")?,
        offered_to: maybe_parsed(row, 4, "a number")?,
        friendly_name: row.text(5)?,
        fields: from_json(&row.text(6)?)?,
        stamps: stamps(row, 1, 7)?,
    })
}
