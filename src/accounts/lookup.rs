//! Who a caller is, as the store says: for what is not remembered.

use std::sync::{Arc, atomic::AtomicU32};

use subtle::ConstantTimeEq as _;

use crate::{
    ids::{AccountSid, ConnectAppSid, KeySid, Tenant},
    store::{Row, Statement},
};

use super::{
    Accounts, AccountsError, Connected, Credential, KeyKind, Limits, Principal, Profile, Refusal, Scopes,
    ShownByDeveloper, Status, account,
    callers::{Header, Known, SIGNING_KEY, Shown, active, refusal},
    connect::{self, AuthorizationStatus},
    keys,
    memory::Of,
    rows::{from_json, maybe_parsed, parsed, time},
    tokens,
};

/// An account, and what rules it: its parent, and of an application's subaccount also the authorization, the application, its developer's
/// account and that one's parent; and whether there is a grant that a token names.
const ACCOUNT: &str = "SELECT a.status, a.parent, p.status, a.primary_token, a.secondary_token, a.connect_app, a.epoch, \
                       z.status, z.profile, c.status, c.account, d.status, d.parent, e.status, d.primary_token, d.secondary_token, g.id, z.limits \
                       FROM accounts a LEFT JOIN accounts p ON p.sid = a.parent \
                       LEFT JOIN authorizations z ON z.sid = a.sid LEFT JOIN connect_apps c ON c.sid = a.connect_app \
                       LEFT JOIN accounts d ON d.sid = c.account LEFT JOIN accounts e ON e.sid = d.parent \
                       LEFT JOIN connect_grants g ON g.authorized = a.sid AND g.id = $2 WHERE a.sid = $1";
/// An application's subaccount has no keys, whatever an older version has let it make.
const KEY: &str = "SELECT a.status, a.parent, p.status, k.account, k.scopes, k.expires_at, k.mac, k.secret, a.epoch \
                   FROM api_keys k JOIN accounts a ON a.sid = k.account LEFT JOIN accounts p ON p.sid = a.parent \
                   WHERE k.sid = $1 AND k.kind = $2 AND a.connect_app IS NULL";

/// An account that somebody acts on.
pub(super) struct FoundAccount {
    pub(super) sid: AccountSid,
    pub(super) parent: Option<AccountSid>,
    status: Status,
    tokens: Vec<Vec<u8>>,
    epoch: i64,
    connection: Option<Connection>,
}

/// What an application's subaccount stands on beside that.
struct Connection {
    app: ConnectAppSid,
    is_allowed: bool,
    scopes: Scopes,
    limits: Limits,
    developer: AccountSid,
    developer_parent: Option<AccountSid>,
    developer_status: Status,
    developer_tokens: Vec<Vec<u8>>,
    has_grant: bool,
}

impl FoundAccount {
    /// Whether it may be used: by whoever has credentials of it, and by addresses that open its audio.
    pub(super) fn standing(&self) -> Result<(), Refusal> {
        active(self.status)?;
        let Some(connection) = &self.connection else { return Ok(()) };
        if !connection.is_allowed {
            return Err(Refusal::Revoked);
        }
        active(connection.developer_status)
    }

    pub(super) fn of(&self) -> Of {
        let connection = self.connection.as_ref();
        Of {
            account: self.sid,
            parent: self.parent,
            developer: connection.map(|connection| connection.developer),
            developer_parent: connection.and_then(|connection| connection.developer_parent),
            allowed: connection.and_then(|connection| connection.limits.concurrency),
        }
    }

    /// The developer who acts on it, by what it has shown.
    fn developer(&self, connection: &Connection, by: ShownByDeveloper) -> Principal {
        let connected = Connected {
            app: connection.app,
            developer: connection.developer,
            developer_parent: connection.developer_parent,
            by,
            limits: connection.limits,
        };
        Principal {
            account: self.sid,
            parent: self.parent,
            tenant: Tenant::of(&self.sid),
            credential: Credential::Connected(connected),
            scopes: connection.scopes,
            expires: None,
        }
    }
}

/// Who was found, and whether what it shows may be used.
type Found = Result<Option<(Principal, Result<(), Refusal>)>, AccountsError>;

impl Accounts {
    pub(super) async fn look_up(&self, header: Header<'_>) -> Result<Known, Refusal> {
        let found = match header.parse().ok_or(Refusal::Wrong)? {
            Shown::Basic { name, secret } => match (name.parse(), name.parse()) {
                (Ok(account), _) => self.by_token(account, &secret).await,
                (_, Ok(key)) => self.by_key(key, &secret).await,
                _ => Ok(None),
            },
            // For clients that can send nothing else.
            Shown::Bearer(token) => match token.split_once(':').map(|(name, secret)| (name.parse(), secret)) {
                Some((Ok(key), secret)) => self.by_key(key, secret).await,
                Some((Err(_), _)) => Ok(None),
                None if connect::access::is_one(&token) => self.by_access_token(&token).await,
                None => self.by_client_token(&token).await,
            },
        };
        let found = found.map_err(|error| refusal(&error))?;
        let (principal, standing) = found.ok_or(Refusal::Wrong)?;
        if !self.is_in_time(&principal) {
            return Err(Refusal::Wrong);
        }
        Ok(Known { principal: Arc::new(principal), standing, noted: AtomicU32::new(0) })
    }

    /// Who acts on an account that a path names: `principal` on its own and on its subaccounts, and a developer on those that an account has allowed
    /// its application. Nobody: it is somebody else's, or none.
    ///
    /// # Errors
    /// What was allowed the application is not any more, or the store cannot be asked.
    pub async fn acting_on(
        &self,
        principal: &Arc<Principal>,
        account: &AccountSid,
    ) -> Result<Option<Arc<Principal>>, Refusal> {
        if *account == principal.account {
            return Ok(Some(principal.clone()));
        }
        let found = self.look_up_account(account, None).await.map_err(|error| refusal(&error))?;
        let Some(found) = found else { return Ok(None) };
        // What is an application's has no subaccounts.
        if found.parent == Some(principal.account) {
            return Ok(Some(principal.clone()));
        }
        let by = match &principal.credential {
            Credential::Token => ShownByDeveloper::Token,
            Credential::Key(key) => ShownByDeveloper::Key(*key),
            // To its clients a developer gives a part of what is its own.
            Credential::Client { .. } | Credential::Signature(_) | Credential::Connected(_) => return Ok(None),
        };
        let connection = found.connection.as_ref().filter(|connection| connection.developer == principal.account);
        let Some(connection) = connection else { return Ok(None) };
        found.standing()?;
        let developer = found.developer(connection, by);
        self.inner.callers.uses.note(&developer.credential, *account, self.inner.clock.now_wall());
        let scopes = developer.scopes.and(principal.scopes);
        Ok(Some(Arc::new(Principal { scopes, expires: principal.expires, ..developer })))
    }

    async fn by_token(&self, sid: AccountSid, shown: &str) -> Found {
        let Some(found) = self.look_up_account(&sid, None).await? else { return Ok(None) };
        let (whose, tokens) = match &found.connection {
            None => (sid, &found.tokens),
            // It has none: who acts on it is its application's developer.
            Some(connection) => (connection.developer, &connection.developer_tokens),
        };
        let mut is_right = subtle::Choice::from(0);
        for sealed in tokens {
            let token = self.inner.sealer.open(&account::purpose(&whose), sealed)?;
            is_right |= token.reveal().as_bytes().ct_eq(shown.as_bytes());
        }
        let principal = match &found.connection {
            None => Principal {
                account: sid,
                parent: found.parent,
                tenant: Tenant::of(&sid),
                credential: Credential::Token,
                scopes: Scopes::all(),
                expires: None,
            },
            Some(connection) => found.developer(connection, ShownByDeveloper::Token),
        };
        Ok(bool::from(is_right).then(|| (principal, found.standing())))
    }

    async fn by_key(&self, sid: KeySid, shown: &str) -> Found {
        let Some(row) = self.key_row(sid, KeyKind::Api.as_str()).await? else { return Ok(None) };
        let is_right = self.inner.sealer.recognises(&sid.to_string(), shown, &row.bytes(6)?);
        let (principal, status) = of_key(&row, Credential::Key(sid))?;
        Ok(is_right.then(|| (principal, active(status))))
    }

    async fn by_client_token(&self, token: &str) -> Found {
        let Some(sid) = tokens::key_of(token) else { return Ok(None) };
        let Some(row) = self.key_row(sid, SIGNING_KEY).await? else { return Ok(None) };
        let secret = self.inner.sealer.open(&keys::purpose(&sid), &row.bytes(7)?)?;
        let Some(token) = tokens::read(token, &secret, self.inner.clock.now_wall()) else { return Ok(None) };
        let (principal, status) = of_key(&row, Credential::Client { key: sid, identity: token.identity })?;
        let expires = principal.expires.map_or(token.expires, |expires| expires.min(token.expires));
        let scopes = principal.scopes.and(token.scopes);
        let is_its_own = token.account == principal.account && token.epoch == row.int(8)?;
        Ok(is_its_own.then(|| (Principal { scopes, expires: Some(expires), ..principal }, active(status))))
    }

    async fn by_access_token(&self, token: &str) -> Found {
        let now = self.inner.clock.now_wall();
        let Some(said) = connect::access::read(token, &self.inner.sealer, now) else { return Ok(None) };
        let Some(found) = self.look_up_account(&said.account, Some(&said.grant.to_string())).await? else {
            return Ok(None);
        };
        let Some(connection) = &found.connection else { return Ok(None) };
        let is_granted = connection.has_grant && said.epoch == found.epoch;
        let standing = found.standing().and(if is_granted { Ok(()) } else { Err(Refusal::Revoked) });
        let developer = found.developer(connection, ShownByDeveloper::Access(said.grant));
        Ok(Some((Principal { expires: Some(said.expires), ..developer }, standing)))
    }

    pub(super) async fn key_row(&self, sid: KeySid, kind: &str) -> Result<Option<Row>, AccountsError> {
        Ok(self.inner.store.read(Statement::new(KEY).bind(sid.to_string()).bind(kind)).await?.into_iter().next())
    }

    pub(super) async fn look_up_account(
        &self,
        sid: &AccountSid,
        grant: Option<&str>,
    ) -> Result<Option<FoundAccount>, AccountsError> {
        let account = Statement::new(ACCOUNT).bind(sid.to_string()).bind(grant.unwrap_or_default());
        let rows = self.inner.store.read(account).await?;
        rows.first().map(|row| found_account(sid, row)).transpose()
    }
}

fn found_account(sid: &AccountSid, row: &Row) -> Result<FoundAccount, AccountsError> {
    let (status, parent) = status_of(row, [0, 1, 2])?;
    let tokens = |columns: [usize; 2]| -> Result<Vec<Vec<u8>>, AccountsError> {
        Ok([row.maybe_bytes(columns[0])?, row.maybe_bytes(columns[1])?].into_iter().flatten().collect())
    };
    let app: Option<ConnectAppSid> = maybe_parsed(row, 5, "an account")?;
    let connection = app.map(|app| -> Result<Connection, AccountsError> {
        let (developer_status, developer_parent) = status_of(row, [11, 12, 13])?;
        let status: AuthorizationStatus = parsed(row, 7, "an authorization")?;
        Ok(Connection {
            app,
            is_allowed: status == AuthorizationStatus::Active && row.text(9)? == connect::ACTIVE_APP,
            scopes: Profile::of_kept(&row.text(8)?).scopes(),
            limits: from_json(&row.text(17)?)?,
            developer: parsed(row, 10, "a connect app")?,
            developer_parent,
            developer_status,
            developer_tokens: tokens([14, 15])?,
            has_grant: row.maybe_text(16)?.is_some(),
        })
    });
    Ok(FoundAccount {
        sid: *sid,
        parent,
        status,
        tokens: tokens([3, 4])?,
        epoch: row.int(6)?,
        connection: connection.transpose()?,
    })
}

/// What holds for an account, and its parent: by the columns of its status, its parent, and its parent's status.
fn status_of(row: &Row, columns: [usize; 3]) -> Result<(Status, Option<AccountSid>), AccountsError> {
    let [own, parent, parents] = columns;
    let own: Status = parsed(row, own, "an account")?;
    Ok((own.under(maybe_parsed(row, parents, "an account")?), maybe_parsed(row, parent, "an account")?))
}

pub(super) fn of_key(row: &Row, credential: Credential) -> Result<(Principal, Status), AccountsError> {
    let (status, parent) = status_of(row, [0, 1, 2])?;
    let account: AccountSid = parsed(row, 3, "a key")?;
    let principal = Principal {
        account,
        parent,
        tenant: Tenant::of(&account),
        credential,
        scopes: Scopes::of_kept(&row.text(4)?),
        expires: row.maybe_int(5)?.map(time),
    };
    Ok((principal, status))
}
