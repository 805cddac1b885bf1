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

use crate::{
    clock::Clock,
    ids::{AccountSid, KeySid, Tenant},
};

use super::{
    Access, Accounts, AccountsError, KeyKind, Principal, Status,
    ceiling::{Ceiling, network},
    connect,
    feed::Standing,
    keys::Uses,
    memory::{Memory, Of},
    signers::Signer,
    tokens,
};

/// Bytes of what is looked at in `Authorization` at most.
const LENGTH_MAX: usize = 8 << 10;

/// The kind of key that signs.
pub(super) const SIGNING_KEY: &str = KeyKind::Signing.as_str();

/// Why a caller is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such credentials, wrong ones, or none that can be read.
    Wrong,
    /// They are right, and the account may not be used.
    Inactive(Status),
    /// They are right, and the account has revoked what it allowed the application, or the application is no more.
    Revoked,
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
                let is_pair = token.split_once(':').is_some_and(|(name, _)| is_name(name));
                is_pair || tokens::key_of(&token).is_some() || connect::access::is_one(&token)
            }
            None => false,
        }
    }

    pub(super) fn parse(self) -> Option<Shown> {
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

pub(super) enum Shown {
    Basic { name: String, secret: String },
    Bearer(String),
}

/// What is remembered. Keyed by MACs of what was shown, and by tenant.
#[derive(Debug)]
pub(super) struct Callers {
    /// Drawn at start: what is looked up means nothing to another process.
    key: hmac::Key,
    pub(super) known: Memory<u128, Arc<Known>>,
    tenants: Memory<Tenant, Result<(), Refusal>>,
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
    pub(super) principal: Arc<Principal>,
    /// Whether what it shows may be used.
    pub(super) standing: Result<(), Refusal>,
    /// The round in which it was noted last that its key is used.
    pub(super) noted: AtomicU32,
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
        self.uses.note(&principal.credential, principal.account, clock.now_wall());
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
        Some(known.standing.clone().map(|()| known.principal.clone()))
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
                let Known { principal, standing, .. } = &*known;
                let (of, name) = (Of::principal(principal), inner.callers.name(header));
                let answer = standing.clone().map(|()| principal.clone());
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
            inner.ceiling.note_failure(network(from), inner.clock.now());
        }
        looked_up
    }

    /// Whether an address may show what is not known yet.
    pub(super) fn check_ceiling(&self, ceiling: &Ceiling, from: IpAddr) -> Result<(), Refusal> {
        let Some(wait) = ceiling.wait(&network(from), self.inner.clock.now()) else { return Ok(()) };
        let refusal = Refusal::TooOften(wait);
        count(Some(&refusal));
        Err(refusal)
    }

    /// Who a caller is by now who was let in: what takes long to be sent is not done for one who was revoked meanwhile.
    ///
    /// # Errors
    /// Why it is not let in any more.
    pub async fn authenticate_again(&self, header: Header<'_>, from: IpAddr) -> Result<Arc<Principal>, Refusal> {
        self.authenticate(header, from, Access::Write).await
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
        let found = self.look_up_account(&account, None).await.map_err(|error| refusal(&error))?;
        let found = found.ok_or(Refusal::Wrong)?;
        let (callers, standing) = (&self.inner.callers, found.standing());
        callers.tenants.insert(tenant.clone(), standing.clone(), found.of(), &callers.heard, read_at);
        standing
    }

    /// The same, if that can be told without waiting for anything.
    pub fn recognise_tenant(&self, tenant: &Tenant, access: Access) -> Option<Result<(), Refusal>> {
        if tenant.account().is_none() {
            return Some(Ok(()));
        }
        self.inner.callers.tenants.get(tenant).filter(|_| self.standing().suffices(access))
    }

    /// The account above this one, if it is a subaccount, and how many of each kind of work may be in progress on it, if it is an application's that was allowed
    /// so many. The first never changes, and the second is forgotten when it does; so what is remembered holds also while the store is away.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn family_of(&self, account: &AccountSid) -> Result<(Option<AccountSid>, Option<u32>), AccountsError> {
        let tenant = Tenant::of(account);
        if let Some(of) = self.inner.callers.tenants.of(&tenant) {
            return Ok((of.parent, of.allowed));
        }
        let read_at = self.inner.callers.heard.load(Ordering::Acquire);
        let Some(found) = self.look_up_account(account, None).await? else { return Ok((None, None)) };
        let (callers, of) = (&self.inner.callers, found.of());
        callers.tenants.insert(tenant, found.standing(), of, &callers.heard, read_at);
        Ok((of.parent, of.allowed))
    }

    pub(super) fn standing(&self) -> Standing {
        self.inner.feed.standing(self.inner.clock.now(), self.inner.config.stale)
    }

    pub(super) fn is_in_time(&self, principal: &Principal) -> bool {
        principal.expires.is_none_or(|expires| self.inner.clock.now_wall() < expires)
    }
}

pub(super) fn active(status: Status) -> Result<(), Refusal> {
    if status == Status::Active { Ok(()) } else { Err(Refusal::Inactive(status)) }
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
        Some(Refusal::Revoked) => "revoked",
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
