//! Who a request comes from: what it says in `Authorization`, held against the store once and remembered then.
//!
//! A request whose credentials are remembered costs one MAC over them: that is how they are looked up, so that neither a look-up nor what is in memory
//! tells anything of a secret. What is remembered holds as long as the [`feed`](super::feed) does, and is forgotten as soon as a change takes something from
//! callers of the account or its parent.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use metrics::counter;
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::{
    clock::Clock,
    ids::{AccountSid, KeySid, Tenant},
    store::{Row, Statement},
};

use super::{
    Access, Accounts, AccountsError, Credential, KeyKind, Principal, Scopes, Status, account,
    ceiling::Ceiling,
    feed::Standing,
    keys::{self, Uses},
    memory::{Memory, Of},
    rows::{maybe_parsed, parsed, time},
    signers::Signer,
    tokens,
};

/// Bytes of what is looked at in `Authorization` at most.
const LENGTH_MAX: usize = 8 << 10;

const ACCOUNT: &str = "SELECT a.status, a.parent, p.status, a.primary_token, a.secondary_token \
                       FROM accounts a LEFT JOIN accounts p ON p.sid = a.parent WHERE a.sid = $1";
const KEY: &str = "SELECT a.status, a.parent, p.status, k.account, k.scopes, k.expires_at, k.mac, k.secret, a.epoch \
                   FROM api_keys k JOIN accounts a ON a.sid = k.account LEFT JOIN accounts p ON p.sid = a.parent \
                   WHERE k.sid = $1 AND k.kind = $2";

/// The kind of key that signs.
pub(super) const SIGNING_KEY: &str = KeyKind::Signing.as_str();

/// Why a caller is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such credentials, wrong ones, or none that can be read.
    Wrong,
    /// They are right, and the account may not be used.
    Inactive(Status),
    /// This address was wrong too often.
    TooOften(Duration),
    /// The store cannot be asked.
    Away,
    /// The node fails; the log says why.
    Failed,
}

/// What a request says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a>(&'a [u8]);

impl<'a> Header<'a> {
    /// By the value of its `Authorization`.
    pub const fn new(value: &'a [u8]) -> Header<'a> {
        Header(value)
    }

    /// Whether these are credentials of accounts, right or wrong. Clients that must send some send anything where nobody asks for them.
    pub fn is_ours(self) -> bool {
        let is_name = |name: &str| name.parse::<AccountSid>().is_ok() || name.parse::<KeySid>().is_ok();
        match self.parse() {
            Some(Shown::Basic { name, .. }) => is_name(&name),
            Some(Shown::Bearer(token)) => {
                token.split_once(':').is_some_and(|(name, _)| is_name(name)) || tokens::key_of(&token).is_some()
            }
            None => false,
        }
    }

    fn parse(self) -> Option<Shown> {
        let text = std::str::from_utf8(self.0).ok().filter(|text| text.len() <= LENGTH_MAX)?;
        let (scheme, rest) = text.trim().split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Shown::Bearer(rest.to_owned()));
        }
        let pair = STANDARD.decode(rest).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let pair = String::from_utf8(pair).ok()?;
        let (name, secret) = pair.split_once(':')?;
        Some(Shown::Basic { name: name.to_owned(), secret: secret.to_owned() })
    }
}

enum Shown {
    Basic { name: String, secret: String },
    Bearer(String),
}

/// What is remembered. Keyed by MACs of what was shown, and by tenant.
#[derive(Debug)]
pub(super) struct Callers {
    /// Drawn at start: what is looked up means nothing to another process.
    key: hmac::Key,
    pub(super) known: Memory<u128, Arc<Known>>,
    tenants: Memory<Tenant, Status>,
    /// Signing keys, and names of which there is none. Names are drawn: what there is not will never be.
    pub(super) signers: Memory<KeySid, Option<Arc<Signer>>>,
    pub(super) uses: Uses,
    /// Counts the times that uses were written down.
    round: AtomicU32,
    /// How far changes were heard: what was read before is not remembered after.
    pub(super) heard: AtomicI64,
}

/// A caller whose credentials were right, and whether its account may be used.
#[derive(Debug)]
pub(super) struct Known {
    principal: Arc<Principal>,
    status: Status,
    /// The round in which it was noted last that its key is used.
    noted: AtomicU32,
}

impl Callers {
    pub(super) fn new(remembered_max: usize) -> Callers {
        let key: [u8; 32] = rand::random();
        Callers {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            known: Memory::new(remembered_max),
            tenants: Memory::new(remembered_max),
            signers: Memory::new(remembered_max),
            uses: Uses::default(),
            round: AtomicU32::new(1),
            heard: AtomicI64::new(i64::MIN),
        }
    }

    fn name(&self, header: Header<'_>) -> u128 {
        // However much space stands in it, the same credentials are one caller.
        let space = header.0.iter().position(|byte| *byte == b' ').unwrap_or_default();
        let (scheme, shown) = header.0.split_at_checked(space).unwrap_or_default();
        let mut mac = hmac::Context::with_key(&self.key);
        mac.update(&[scheme.first().map_or(0, u8::to_ascii_lowercase)]);
        mac.update(shown.trim_ascii());
        let tag = mac.sign();
        tag.as_ref().first_chunk().copied().map_or(0, u128::from_be_bytes)
    }

    /// Callers of these accounts and their subaccounts are asked for again, and of all what was read before now.
    pub(super) fn forget(&self, heard: i64, named: &HashSet<AccountSid>) {
        // First, so that whoever has read what was before does not remember it after.
        self.heard.store(heard, Ordering::Release);
        self.known.forget(named);
        self.tenants.forget(named);
        self.signers.forget(named);
    }

    pub(super) fn forget_all(&self, heard: i64) {
        self.heard.store(heard, Ordering::Release);
        self.known.forget_all();
        self.tenants.forget_all();
        self.signers.forget_all();
    }

    /// What is used from now on is to be noted again.
    pub(super) fn next_round(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a key is used, once a round: a hit does not stop for a lock that all others want too.
    pub(super) fn note_use(&self, principal: &Principal, noted: &AtomicU32, clock: &Clock) {
        let round = self.round.load(Ordering::Relaxed);
        if noted.load(Ordering::Relaxed) == round {
            return;
        }
        noted.store(round, Ordering::Relaxed);
        if let Some(key) = principal.credential.key() {
            self.uses.note(key, clock.now_wall());
        }
    }
}

impl Accounts {
    /// Who a caller is, if that can be told without waiting for anything; for reading also by what was known before the store went away.
    pub fn recognise(&self, header: Header<'_>, access: Access) -> Option<Result<Arc<Principal>, Refusal>> {
        let inner = &*self.inner;
        let standing = self.standing();
        let name = inner.callers.name(header);
        let known = inner.callers.known.get(&name).filter(|_| standing.suffices(access))?;
        if !self.is_in_time(&known.principal) {
            inner.callers.known.remove(&name);
            return None;
        }
        count_stale(standing);
        inner.callers.note_use(&known.principal, &known.noted, &inner.clock);
        Some(active(known.status).map(|()| known.principal.clone()))
    }

    /// Who a caller is.
    ///
    /// # Errors
    /// Why it is not let in.
    pub async fn authenticate(
        &self,
        header: Header<'_>,
        from: IpAddr,
        access: Access,
    ) -> Result<Arc<Principal>, Refusal> {
        if let Some(recognised) = self.recognise(header, access) {
            return recognised;
        }
        let inner = &*self.inner;
        self.check_ceiling(&inner.ceiling, from)?;
        let read_at = inner.callers.heard.load(Ordering::Acquire);
        let looked_up = match self.look_up(header).await {
            Ok(known) => {
                let known = Arc::new(known);
                inner.callers.note_use(&known.principal, &known.noted, &inner.clock);
                let Known { principal, status, .. } = &*known;
                let (of, name) =
                    (Of { account: principal.account, parent: principal.parent }, inner.callers.name(header));
                let answer = active(*status).map(|()| principal.clone());
                inner.callers.known.insert(name, known, of, &inner.callers.heard, read_at);
                answer
            }
            // That it is away may have been found out here first: what was known before then counts.
            Err(Refusal::Away) => {
                inner.feed.note_away();
                self.recognise(header, access).unwrap_or(Err(Refusal::Away))
            }
            Err(refusal) => Err(refusal),
        };
        count(looked_up.as_ref().err());
        if looked_up == Err(Refusal::Wrong) {
            inner.ceiling.note_failure(from, inner.clock.now());
        }
        looked_up
    }

    /// Whether an address may show what is not known yet.
    pub(super) fn check_ceiling(&self, ceiling: &Ceiling, from: IpAddr) -> Result<(), Refusal> {
        let Some(wait) = ceiling.wait(from, self.inner.clock.now()) else { return Ok(()) };
        let refusal = Refusal::TooOften(wait);
        count(Some(&refusal));
        Err(refusal)
    }

    /// Whether a caller who was let in is to be let in still: what takes long to be sent is not done for one who was revoked meanwhile.
    ///
    /// # Errors
    /// Why not.
    pub async fn check_again(&self, header: Header<'_>, from: IpAddr) -> Result<(), Refusal> {
        self.authenticate(header, from, Access::Write).await.map(drop)
    }

    /// Whether a tenant that nobody has to authenticate for may be served: whose signature, or whose address, a caller has.
    ///
    /// # Errors
    /// Why not.
    pub async fn check_tenant(&self, tenant: &Tenant, access: Access) -> Result<(), Refusal> {
        if let Some(checked) = self.recognise_tenant(tenant, access) {
            return checked;
        }
        let Some(account) = tenant.account() else { return Ok(()) };
        let read_at = self.inner.callers.heard.load(Ordering::Acquire);
        let rows = self.inner.store.read(Statement::new(ACCOUNT).bind(account.to_string())).await;
        let rows = rows.map_err(|error| refusal(&error.into()))?;
        let row = rows.first().ok_or(Refusal::Wrong)?;
        let (status, parent) = status_of(row).map_err(|error| refusal(&error))?;
        let callers = &self.inner.callers;
        callers.tenants.insert(tenant.clone(), status, Of { account, parent }, &callers.heard, read_at);
        active(status)
    }

    /// The same, if that can be told without waiting for anything.
    pub fn recognise_tenant(&self, tenant: &Tenant, access: Access) -> Option<Result<(), Refusal>> {
        if tenant.account().is_none() {
            return Some(Ok(()));
        }
        self.inner.callers.tenants.get(tenant).filter(|_| self.standing().suffices(access)).map(active)
    }

    pub(super) fn standing(&self) -> Standing {
        self.inner.feed.standing(self.inner.clock.now(), self.inner.config.stale)
    }

    pub(super) fn is_in_time(&self, principal: &Principal) -> bool {
        principal.expires.is_none_or(|expires| self.inner.clock.now_wall() < expires)
    }

    async fn look_up(&self, header: Header<'_>) -> Result<Known, Refusal> {
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
                None => self.by_client_token(&token).await,
            },
        };
        let found = found.map_err(|error| refusal(&error))?;
        let (principal, status) = found.ok_or(Refusal::Wrong)?;
        if !self.is_in_time(&principal) {
            return Err(Refusal::Wrong);
        }
        Ok(Known { principal: Arc::new(principal), status, noted: AtomicU32::new(0) })
    }

    async fn by_token(&self, sid: AccountSid, shown: &str) -> Result<Option<(Principal, Status)>, AccountsError> {
        let rows = self.inner.store.read(Statement::new(ACCOUNT).bind(sid.to_string())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut is_right = subtle::Choice::from(0);
        for sealed in [Some(row.bytes(3)?), row.maybe_bytes(4)?].into_iter().flatten() {
            let token = self.inner.sealer.open(&account::purpose(&sid), &sealed)?;
            is_right |= token.reveal().as_bytes().ct_eq(shown.as_bytes());
        }
        let (status, parent) = status_of(row)?;
        let principal = Principal {
            account: sid,
            parent,
            tenant: Tenant::of(&sid),
            credential: Credential::Token,
            scopes: Scopes::all(),
            expires: None,
        };
        Ok(bool::from(is_right).then_some((principal, status)))
    }

    async fn by_key(&self, sid: KeySid, shown: &str) -> Result<Option<(Principal, Status)>, AccountsError> {
        let Some(row) = self.key_row(sid, KeyKind::Api.as_str()).await? else { return Ok(None) };
        let is_right = self.inner.sealer.recognises(&sid.to_string(), shown, &row.bytes(6)?);
        let found = of_key(&row, Credential::Key(sid))?;
        Ok(is_right.then_some(found))
    }

    async fn by_client_token(&self, token: &str) -> Result<Option<(Principal, Status)>, AccountsError> {
        let Some(sid) = tokens::key_of(token) else { return Ok(None) };
        let Some(row) = self.key_row(sid, SIGNING_KEY).await? else { return Ok(None) };
        let secret = self.inner.sealer.open(&keys::purpose(&sid), &row.bytes(7)?)?;
        let Some(token) = tokens::read(token, &secret, self.inner.clock.now_wall()) else { return Ok(None) };
        let (principal, status) = of_key(&row, Credential::Client { key: sid, identity: token.identity })?;
        let expires = principal.expires.map_or(token.expires, |expires| expires.min(token.expires));
        let scopes = principal.scopes.and(token.scopes);
        let is_its_own = token.account == principal.account && token.epoch == row.int(8)?;
        Ok(is_its_own.then_some((Principal { scopes, expires: Some(expires), ..principal }, status)))
    }

    pub(super) async fn key_row(&self, sid: KeySid, kind: &str) -> Result<Option<Row>, AccountsError> {
        Ok(self.inner.store.read(Statement::new(KEY).bind(sid.to_string()).bind(kind)).await?.into_iter().next())
    }
}

pub(super) fn active(status: Status) -> Result<(), Refusal> {
    if status == Status::Active { Ok(()) } else { Err(Refusal::Inactive(status)) }
}

/// What holds for an account, and its parent.
fn status_of(row: &Row) -> Result<(Status, Option<AccountSid>), AccountsError> {
    let own: Status = parsed(row, 0, "an account")?;
    Ok((own.under(maybe_parsed(row, 2, "an account")?), maybe_parsed(row, 1, "an account")?))
}

pub(super) fn of_key(row: &Row, credential: Credential) -> Result<(Principal, Status), AccountsError> {
    let (status, parent) = status_of(row)?;
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

/// Counts a caller who is let in by how things were.
pub(super) fn count_stale(standing: Standing) {
    if standing == Standing::Stale {
        counter!("ringback_accounts_stale_total").increment(1);
    }
}

/// Counts a caller who was looked up.
pub(super) fn count(refusal: Option<&Refusal>) {
    let result = match refusal {
        None => "known",
        Some(Refusal::Wrong) => "wrong",
        Some(Refusal::Inactive(_)) => "inactive",
        Some(Refusal::TooOften(_)) => "too-often",
        Some(Refusal::Away) => "away",
        Some(Refusal::Failed) => "failed",
    };
    counter!("ringback_accounts_callers_total", "result" => result).increment(1);
}

pub(super) fn refusal(error: &AccountsError) -> Refusal {
    if error.is_away() {
        return Refusal::Away;
    }
    tracing::error!(%error, "a caller cannot be looked up");
    Refusal::Failed
}
