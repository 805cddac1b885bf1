//! What accounts allow applications: once for each two, by a subaccount that nobody has a credential of.

use std::time::SystemTime;

use crate::{
    accounts::{
        Accounts, AccountsError, Actor, Listed, Page, Stamps, Status,
        account::{SUBACCOUNTS_MAX, draw_token, purpose},
        change::Deed,
        page::{Listing, listing},
        records::words,
        rows::{from_json, kept, micros, parsed, stamps, time, to_json},
    },
    ids::{AccountSid, ConnectAppSid},
    store::{Row, Statement, StoreError},
};

use super::{ConnectApp, Limits, Profile, apps::connect_app_of};

/// How often what two do at once is read again.
const TRIES: usize = 4;
/// Developers who are still to be told that they may not any more, at most: whoever revokes beyond that is heard, and the developer is not told.
const UNTOLD_MAX: i64 = 10_000;
/// The same for one application, whose receiver may be away for days.
const UNTOLD_OF_APP_MAX: i64 = 1_000;
/// The same for all applications of one developer (an account at the top with its subaccounts): applications cost nothing.
const UNTOLD_OF_DEVELOPER_MAX: i64 = 2_000;
/// The same for one account that revokes: no customer takes the place of others.
const UNTOLD_OF_USER_MAX: i64 = 100;

/// Columns of an authorization, then those of its application.
macro_rules! select {
    () => {
        "SELECT z.sid, z.created_at, z.user_account, z.status, z.profile, z.limits, z.allowed_by, z.used_at, z.updated_at, z.version, \
         c.sid AS app, c.created_at AS app_created_at, c.account, c.friendly_name, c.record, \
         c.updated_at AS app_updated_at, c.version AS app_version \
         FROM authorizations z JOIN connect_apps c ON c.sid = z.connect_app"
    };
}

const ONE: &str = concat!(select!(), " WHERE z.user_account = $1 AND z.connect_app = $2");
const BY_SUBACCOUNT: &str = concat!(select!(), " WHERE z.sid = $1");
const LIST: Listing = listing!("*", concat!("(", select!(), ") AS allowed"), "user_account = $4 AND status = 'active'");

words!(
    /// Whether an application may act for an account.
    AuthorizationStatus, "status of an authorization" {
        /// It may.
        Active = "active",
        /// It may not any more, unless it is allowed again.
        Revoked = "revoked",
    }
);

/// What an account allows an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The subaccount on which the application acts. Allowed again, it is the same.
    pub sid: AccountSid,
    /// The application, as it is now.
    pub connect_app: ConnectApp,
    /// Whose subaccount that is.
    pub user_account: AccountSid,
    /// What the application may do.
    pub profile: Profile,
    /// How much of it.
    pub limits: Limits,
    /// Whether it may.
    pub status: AuthorizationStatus,
    /// Who has allowed it: what the audit log has as actor and credential.
    pub allowed_by: String,
    /// When the application acted last, give or take a minute.
    pub used: Option<SystemTime>,
    /// When it was allowed first and changed last.
    pub stamps: Stamps,
}

impl Accounts {
    /// Has an application act for an account. Once for each two: allowed again, it acts on the same subaccount as before, as is said now.
    ///
    /// # Errors
    /// The account is a subaccount ([`AccountsError::Forbidden`]), is not active or allows too many applications, there is no such application, or
    /// the profile is empty or more than the application asks for.
    pub async fn allow(
        &self,
        user_account: &AccountSid,
        app: &ConnectAppSid,
        profile: Profile,
        limits: Limits,
        by: &Actor,
    ) -> Result<Authorization, AccountsError> {
        let user = self.account(user_account).await?;
        if user.parent.is_some() {
            return Err(AccountsError::Forbidden("only a top-level account allows an application to act for it"));
        }
        if user.status != Status::Active {
            return Err(AccountsError::Conflict("the account is not active"));
        }
        let app = self.connect_app(app).await?;
        check_profile(&profile, &app.fields.permissions)?;
        for _ in 0..TRIES {
            let done = match self.authorization(user_account, &app.sid).await {
                Err(AccountsError::NotFound(_)) => {
                    self.insert_authorization(&app, user_account, &profile, &limits, by).await
                }
                Err(error) => return Err(error),
                // Who clicks twice has allowed it once.
                Ok(there) if there.is_active() && there.profile == profile && there.limits == limits => {
                    return Ok(there);
                }
                Ok(there) => {
                    let change =
                        self.set_authorization(&there, &profile, &limits, AuthorizationStatus::Active, Some(by))?;
                    // Nobody is told of what does not hold any more.
                    let unsaid = Statement::new("DELETE FROM deauthorizations WHERE authorized = $1");
                    // Only a node of the version before can have closed it.
                    let reopened = Statement::new(
                        "UPDATE accounts SET status = 'active', version = version + 1 WHERE sid = $1 AND status = 'closed'",
                    );
                    let sid = there.sid.to_string();
                    self.change(
                        Deed::on_callers(user_account, by, "connect.allow", &app.sid).detail(said(&profile, &limits)),
                        vec![change, unsaid.bind(sid.as_str()), reopened.bind(sid.as_str())],
                    )
                    .await
                }
            };
            match done {
                Ok(()) => return self.authorization(user_account, &app.sid).await,
                // Somebody else, or the same a moment before, has done the same or something else.
                Err(AccountsError::Store(StoreError::Duplicate | StoreError::Unchanged { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Err(AccountsError::OVERTAKEN)
    }

    async fn insert_authorization(
        &self,
        app: &ConnectApp,
        user_account: &AccountSid,
        profile: &Profile,
        limits: &Limits,
        by: &Actor,
    ) -> Result<(), AccountsError> {
        let sid = AccountSid::draw(&mut rand::rng());
        let now = micros(kept(self.inner.clock.now_wall()));
        // There has to be one; that it is nobody's is seen to by whoever looks at it.
        let nobodys = self.inner.sealer.seal(&purpose(&sid), &draw_token())?;
        let subaccount = Statement::new(
            "INSERT INTO accounts (sid, parent, friendly_name, status, primary_token, connect_app, version, created_at, updated_at) \
             SELECT $1, $2, $3, 'active', $4, $5, 1, $6, $6 FROM accounts \
             WHERE sid = $2 AND parent IS NULL AND status = 'active' \
             AND (SELECT count(*) FROM authorizations WHERE user_account = $2 AND status = 'active') < $7 \
             AND EXISTS (SELECT sid FROM connect_apps WHERE sid = $5 AND status = 'active')",
        )
        .bind(sid.to_string())
        .bind(user_account.to_string())
        .bind(app.fields.friendly_name.as_str())
        .bind(nobodys)
        .bind(app.sid.to_string())
        .bind(now)
        .bind(SUBACCOUNTS_MAX)
        .changing(1);
        let authorization = Statement::new(
            "INSERT INTO authorizations (sid, user_account, connect_app, status, profile, limits, allowed_by, version, created_at, updated_at) \
             VALUES ($1, $2, $3, 'active', $4, $5, $6, 1, $7, $7)",
        )
        .bind(sid.to_string())
        .bind(user_account.to_string())
        .bind(app.sid.to_string())
        .bind(profile.to_string())
        .bind(to_json(limits)?)
        .bind(named(by))
        .bind(now)
        .changing(1);
        let deed = Deed::on_callers(user_account, by, "connect.allow", &app.sid).detail(said(profile, limits));
        match self.change(deed, vec![subaccount, authorization]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => {
                // Which of the conditions it was, the next look tells; only the last has no other look.
                self.connect_app(&app.sid).await?;
                Err(AccountsError::Conflict("the account can allow no more applications"))
            }
            done => done,
        }
    }

    /// What an account has allowed an application, also if it has revoked it.
    ///
    /// # Errors
    /// It has never allowed it anything.
    pub async fn authorization(
        &self,
        user_account: &AccountSid,
        app: &ConnectAppSid,
    ) -> Result<Authorization, AccountsError> {
        let one = Statement::new(ONE).bind(user_account.to_string()).bind(app.to_string());
        self.inner.store.read(one).await?.first().map_or(Err(NOT_FOUND), authorization_of)
    }

    /// What the application of a subaccount is allowed on it, also if it is revoked.
    ///
    /// # Errors
    /// It is no application's.
    pub async fn authorization_on(&self, subaccount: &AccountSid) -> Result<Authorization, AccountsError> {
        let one = Statement::new(BY_SUBACCOUNT).bind(subaccount.to_string());
        self.inner.store.read(one).await?.first().map_or(Err(NOT_FOUND), authorization_of)
    }

    /// What an account allows applications now.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn authorizations(
        &self,
        user_account: &AccountSid,
        page: &Page,
    ) -> Result<Listed<Authorization>, AccountsError> {
        let bind = |list: Statement| list.bind(user_account.to_string());
        LIST.read(&self.inner.store, page, bind, authorization_of).await
    }

    /// Lets an application do less than it was allowed.
    ///
    /// # Errors
    /// It is allowed nothing, or that would be more somewhere; or somebody else is changing it.
    pub async fn narrow(
        &self,
        user_account: &AccountSid,
        app: &ConnectAppSid,
        profile: Profile,
        limits: Limits,
        by: &Actor,
    ) -> Result<Authorization, AccountsError> {
        let there = self.authorization(user_account, app).await?;
        if !there.is_active() {
            return Err(NOT_FOUND);
        }
        check_profile(&profile, &there.profile)?;
        if !limits.are_within(&there.limits) {
            return Err(AccountsError::Invalid { field: "Limits", reason: "are wider than they were".to_owned() });
        }
        let change = self.set_authorization(&there, &profile, &limits, AuthorizationStatus::Active, None)?;
        let deed = Deed::on_callers(user_account, by, "connect.narrow", app).detail(said(&profile, &limits));
        match self.change(deed, vec![change]).await {
            Err(AccountsError::Store(StoreError::Unchanged { statement: 0, .. })) => Err(AccountsError::OVERTAKEN),
            done => done,
        }?;
        self.authorization(user_account, app).await
    }

    /// Allows an application nothing any more, everywhere within a second, and has its developer told.
    ///
    /// # Errors
    /// It is allowed nothing.
    pub async fn revoke(
        &self,
        user_account: &AccountSid,
        app: &ConnectAppSid,
        by: &Actor,
    ) -> Result<(), AccountsError> {
        if !self.authorization(user_account, app).await?.is_active() {
            return Err(NOT_FOUND);
        }
        self.note_room(user_account, app).await?;
        let revoked = self.revocation(user_account, Some(app));
        match self.change(Deed::on_callers(user_account, by, "connect.revoke", app), revoked).await {
            // Twice is once.
            Err(AccountsError::Store(StoreError::Duplicate)) => Ok(()),
            done => done,
        }
    }

    /// Counts a developer who will not be told, because too many wait for that already.
    async fn note_room(&self, user_account: &AccountSid, app: &ConnectAppSid) -> Result<(), AccountsError> {
        let untold = Statement::new(
            "SELECT count(*), (SELECT count(*) FROM deauthorizations WHERE connect_app = $1), \
             (SELECT count(*) FROM deauthorizations d JOIN authorizations z ON z.sid = d.authorized WHERE z.user_account = $2), \
             (SELECT count(*) FROM deauthorizations d JOIN connect_apps b ON b.sid = d.connect_app JOIN accounts o ON o.sid = b.account \
             WHERE COALESCE(o.parent, o.sid) = (SELECT COALESCE(v.parent, v.sid) FROM connect_apps c JOIN accounts v ON v.sid = c.account \
             WHERE c.sid = $1)) \
             FROM deauthorizations",
        );
        let rows = self.inner.store.read(untold.bind(app.to_string()).bind(user_account.to_string())).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let most = [UNTOLD_MAX, UNTOLD_OF_APP_MAX, UNTOLD_OF_USER_MAX, UNTOLD_OF_DEVELOPER_MAX];
        let mut has_room = true;
        for (column, max) in most.into_iter().enumerate() {
            has_room &= row.int(column)? < max;
        }
        if !has_room {
            tracing::warn!(%app, "too many developers wait to be told of revocations: this one is not");
            metrics::counter!("ringback_deauthorizations_total", "outcome" => "no-room").increment(1);
        }
        Ok(())
    }

    /// What revokes what an account allows one application, or all: first what tells the developers, while it says who they are.
    pub(in crate::accounts) fn revocation(
        &self,
        user_account: &AccountSid,
        app: Option<&ConnectAppSid>,
    ) -> Vec<Statement> {
        let now = micros(self.inner.clock.now_wall());
        let (user, app) = (user_account.to_string(), app.map(ToString::to_string).unwrap_or_default());
        // Named by the authorization's version: of one revocation nobody is told twice.
        let tell = Statement::new(
            "INSERT INTO deauthorizations (id, authorized, connect_app, tries, due_at, leased_until, lease, created_at) \
             SELECT z.sid || '-' || z.version, z.sid, z.connect_app, 0, $1, 0, '', $1 \
             FROM authorizations z JOIN connect_apps c ON c.sid = z.connect_app JOIN accounts v ON v.sid = c.account \
             WHERE z.user_account = $2 AND ($3 = '' OR z.connect_app = $3) AND z.status = 'active' AND c.status = 'active' \
             AND (SELECT count(*) FROM deauthorizations) < $4 \
             AND (SELECT count(*) FROM deauthorizations d WHERE d.connect_app = z.connect_app) < $5 \
             AND (SELECT count(*) FROM deauthorizations d JOIN authorizations y ON y.sid = d.authorized WHERE y.user_account = $2) < $6 \
             AND (SELECT count(*) FROM deauthorizations d JOIN connect_apps b ON b.sid = d.connect_app JOIN accounts o ON o.sid = b.account \
             WHERE COALESCE(o.parent, o.sid) = COALESCE(v.parent, v.sid)) < $7",
        )
        .bind(now)
        .bind(user.as_str())
        .bind(app.as_str())
        .bind(UNTOLD_MAX)
        .bind(UNTOLD_OF_APP_MAX)
        .bind(UNTOLD_OF_USER_MAX)
        .bind(UNTOLD_OF_DEVELOPER_MAX);
        let grants = Statement::new(
            "DELETE FROM connect_grants WHERE authorized IN \
             (SELECT sid FROM authorizations WHERE user_account = $1 AND ($2 = '' OR connect_app = $2))",
        )
        .bind(user.as_str())
        .bind(app.as_str());
        let revoke = Statement::new(
            "UPDATE authorizations SET status = 'revoked', updated_at = $1, version = version + 1 \
             WHERE user_account = $2 AND ($3 = '' OR connect_app = $3) AND status = 'active'",
        )
        .bind(now)
        .bind(user)
        .bind(app);
        vec![tell, grants, revoke]
    }

    /// Changes an authorization that was read.
    fn set_authorization(
        &self,
        there: &Authorization,
        profile: &Profile,
        limits: &Limits,
        status: AuthorizationStatus,
        allowed_by: Option<&Actor>,
    ) -> Result<Statement, AccountsError> {
        let update = Statement::new(
            "UPDATE authorizations SET status = $1, profile = $2, limits = $3, allowed_by = $4, updated_at = $5, version = version + 1 \
             WHERE sid = $6 AND version = $7",
        );
        Ok(update
            .bind(status.as_str())
            .bind(profile.to_string())
            .bind(to_json(limits)?)
            .bind(allowed_by.map_or_else(|| there.allowed_by.clone(), named))
            .bind(micros(self.inner.clock.now_wall()))
            .bind(there.sid.to_string())
            .bind(there.stamps.version)
            .changing(1))
    }
}

impl Authorization {
    /// Whether the application may act.
    pub fn is_active(&self) -> bool {
        self.status == AuthorizationStatus::Active
    }
}

const NOT_FOUND: AccountsError = AccountsError::NotFound("authorization");

/// Whether this may be given, of what is asked for or was given.
fn check_profile(profile: &Profile, of: &Profile) -> Result<(), AccountsError> {
    let reason = if profile.is_empty() {
        "allow nothing: say at least one, or do not allow the application"
    } else if !of.covers(profile) {
        "are more than the application may be given"
    } else {
        return Ok(());
    };
    Err(AccountsError::Invalid { field: "Permissions", reason: reason.to_owned() })
}

/// What was allowed, for the audit log.
fn said(profile: &Profile, limits: &Limits) -> String {
    let mut said = profile.to_string();
    if let Some(spend) = limits.spend {
        said.push_str(&format!(", spend {spend}"));
    }
    if let Some(concurrency) = limits.concurrency {
        said.push_str(&format!(", concurrency {concurrency}"));
    }
    said
}

fn named(by: &Actor) -> String {
    format!("{} {}", by.who, by.credential)
}

fn authorization_of(row: &Row) -> Result<Authorization, AccountsError> {
    const WHAT: &str = "an authorization";
    Ok(Authorization {
        sid: parsed(row, 0, WHAT)?,
        user_account: parsed(row, 2, WHAT)?,
        status: parsed(row, 3, WHAT)?,
        profile: Profile::of_kept(&row.text(4)?),
        limits: from_json(&row.text(5)?)?,
        allowed_by: row.text(6)?,
        used: row.maybe_int(7)?.map(time),
        stamps: stamps(row, 1, 8)?,
        connect_app: connect_app_of(row, 10)?,
    })
}
