//! Applications: what calls do, under a name that numbers and outgoing calls give.

use crate::{
    ids::{AccountSid, ApplicationSid},
    store::{Row, Statement, StoreError},
};

use super::{
    Accounts, AccountsError, Actor, Listed, Page,
    account::{check_filter, check_name},
    change::Deed,
    keys::found,
    page::{Listing, listing},
    records::{Application, ApplicationFields},
    rows::{from_json, kept, micros, parsed, stamps, to_json},
};

/// Applications of an account at most.
const APPLICATIONS_MAX: i64 = 10_000;

macro_rules! columns {
    () => {
        "sid, created_at, account, friendly_name, record, updated_at, version"
    };
}

const ONE: &str = concat!("SELECT ", columns!(), " FROM applications WHERE sid = $1 AND account = $2");
const LIST: Listing = listing!(columns!(), "applications", "account = $4 AND ($5 = '' OR friendly_name = $5)");

impl Accounts {
    /// Makes an application.
    ///
    /// # Errors
    /// A name that is too long, or an account that is not there, is closed or has too many.
    pub async fn create_application(
        &self,
        account: &AccountSid,
        friendly_name: &str,
        fields: &ApplicationFields,
        by: &Actor,
    ) -> Result<Application, AccountsError> {
        check_name(friendly_name)?;
        let sid = ApplicationSid::draw(&mut rand::rng());
        let now = kept(self.inner.clock.now_wall());
        let insert = Statement::new(
            "INSERT INTO applications (sid, account, friendly_name, record, version, created_at, updated_at) \
             SELECT $1, $2, $3, $4, 1, $5, $5 FROM accounts WHERE sid = $2 AND status <> 'closed' \
             AND (SELECT count(*) FROM applications WHERE account = $2) < $6",
        )
        .bind(sid.to_string())
        .bind(account.to_string())
        .bind(friendly_name)
        .bind(to_json(fields)?)
        .bind(micros(now))
        .bind(APPLICATIONS_MAX)
        .changing(1);
        match self.change(Deed::on_records(account, by, "application.create", &sid), vec![insert]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => {
                Err(AccountsError::Conflict("the account is closed, or has as many applications as it may"))
            }
            done => done.map(|()| Application {
                sid,
                account: *account,
                friendly_name: friendly_name.to_owned(),
                fields: fields.clone(),
                stamps: super::Stamps { created: now, updated: now, version: 1 },
            }),
        }
    }

    /// An application of an account.
    ///
    /// # Errors
    /// It has none of this name.
    pub async fn application(&self, account: &AccountSid, sid: &ApplicationSid) -> Result<Application, AccountsError> {
        let rows = self.inner.store.read(Statement::new(ONE).bind(sid.to_string()).bind(account.to_string())).await?;
        rows.first().map_or(Err(AccountsError::NotFound("application")), application_of)
    }

    /// The applications of an account, or those of one name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn applications(
        &self,
        account: &AccountSid,
        friendly_name: Option<&str>,
        page: &Page,
    ) -> Result<Listed<Application>, AccountsError> {
        check_filter(friendly_name)?;
        let bind = |list: Statement| list.bind(account.to_string()).bind(friendly_name.unwrap_or_default());
        LIST.read(&self.inner.store, page, bind, application_of).await
    }

    /// Changes an application that was read.
    ///
    /// # Errors
    /// A name that is too long, or somebody else has changed or deleted it since.
    pub async fn update_application(&self, changed: &Application, by: &Actor) -> Result<Application, AccountsError> {
        check_name(&changed.friendly_name)?;
        let update = Statement::new(
            "UPDATE applications SET friendly_name = $1, record = $2, updated_at = $3, version = version + 1 \
             WHERE sid = $4 AND account = $5 AND version = $6",
        )
        .bind(changed.friendly_name.as_str())
        .bind(to_json(&changed.fields)?)
        .bind(micros(self.inner.clock.now_wall()))
        .bind(changed.sid.to_string())
        .bind(changed.account.to_string())
        .bind(changed.stamps.version)
        .changing(1);
        let deed = Deed::on_records(&changed.account, by, "application.update", &changed.sid);
        match self.change(deed, vec![update]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Err(AccountsError::OVERTAKEN),
            done => done,
        }?;
        self.application(&changed.account, &changed.sid).await
    }

    /// Deletes an application.
    ///
    /// # Errors
    /// The account has none of this name.
    pub async fn delete_application(
        &self,
        account: &AccountSid,
        sid: &ApplicationSid,
        by: &Actor,
    ) -> Result<(), AccountsError> {
        let delete = Statement::new("DELETE FROM applications WHERE sid = $1 AND account = $2")
            .bind(sid.to_string())
            .bind(account.to_string())
            .changing(1);
        found("application", self.change(Deed::on_records(account, by, "application.delete", sid), vec![delete]).await)
    }
}

fn application_of(row: &Row) -> Result<Application, AccountsError> {
    Ok(Application {
        sid: parsed(row, 0, "an application")?,
        account: parsed(row, 2, "an application")?,
        friendly_name: row.text(3)?,
        fields: from_json(&row.text(4)?)?,
        stamps: stamps(row, 1, 5)?,
    })
}
