//! Who may do what: judged before anything else of a request is looked at, of hits in memory like of all others.
//!
//! A request stands on one of three things ([`Ground`]): credentials in `Authorization`, a path that somebody signed or that carries a capability, or nothing
//! (`http.anonymous`). Each is judged twice over: by what is remembered, without waiting for anything, and if that does not tell, by the store of accounts.

use std::{net::IpAddr, sync::Arc};

use axum::{extract::FromRequestParts, http::request};
use http::{HeaderValue, Method, header};

use crate::{
    accounts::{Access, Accounts, Header, Principal, Refusal, Signer},
    concurrency::{Concurrency, Subject},
    ids::{AccountSid, KeySid, Tenant},
    media::{Media, Signing, Standing},
    problem::{Kind, Problem},
};

use super::{config::Anonymous, edge::Room, permission::Needs};

/// For whom a request acts.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Whose audio it is.
    pub(super) tenant: Tenant,
    /// Who said so, if it authenticated.
    pub(super) principal: Option<Arc<Principal>>,
    /// Whose key has signed its path: it may nothing by that but what the path says, and counts for that key.
    signer: Option<Arc<Principal>>,
    /// Where it comes from.
    pub(super) from: IpAddr,
}

/// What a request stands on.
enum Ground<'a> {
    Credentials(Header<'a>),
    /// What may be credentials, where nobody needs any: some clients must send some, and send anything.
    Perhaps(Header<'a>),
    /// The tenant whose signature or capability the path has.
    Path(Tenant),
    /// An account's signing key, which the path says it is signed with.
    Signature(KeySid),
    Nothing,
}

/// Judges requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) accounts: Accounts,
    pub(super) media: Media,
    pub(super) signing: Signing,
    pub(super) anonymous: Anonymous,
    /// Whom requests without credentials, and those that the node's own keys signed, act for.
    pub(super) tenant: Tenant,
}

impl Admission {
    /// For whom a request acts, if that can be told without waiting for anything.
    pub(super) fn at_once(&self, room: Room, head: &request::Parts, from: IpAddr) -> Option<Result<Caller, Problem>> {
        // Pages know people by what their browser keeps, and look for themselves; no tenant's audio is there.
        if room == Room::Pages {
            return Some(Ok(Caller::of(self.tenant.clone(), from)));
        }
        let mut ground = match self.ground(room, head) {
            Ok(ground) => ground,
            Err(problem) => return Some(Err(problem)),
        };
        if let Ground::Credentials(header) | Ground::Perhaps(header) = ground {
            if let Some(principal) = self.accounts.recognise(header, access(&head.method)) {
                let principal = principal.map_err(refusal_problem);
                return Some(principal.and_then(|principal| self.judge(principal, room, head, from)));
            }
            // Looked at only now: whoever is known need not be read.
            ground = ground.settled();
        }
        Some(match ground {
            Ground::Credentials(_) | Ground::Perhaps(_) => return None,
            Ground::Path(tenant) => {
                let is_served = self.accounts.recognise_tenant(&tenant, access(&head.method))?;
                is_served.map(|()| Caller::of(tenant, from)).map_err(refusal_problem)
            }
            Ground::Signature(key) => {
                self.judge_signature(self.accounts.recognise_signer(key, access(&head.method))?, head, from)
            }
            Ground::Nothing if self.opens(room, &head.method) => {
                let is_served = self.accounts.recognise_tenant(&self.tenant, access(&head.method))?;
                is_served.map(|()| Caller::of(self.tenant.clone(), from)).map_err(refusal_problem)
            }
            Ground::Nothing => Err(nobody()),
        })
    }

    /// For whom a request acts.
    ///
    /// # Errors
    /// It may not be asked: credentials that are missing or wrong, or may not do this.
    pub(super) async fn of(&self, room: Room, head: &request::Parts, from: IpAddr) -> Result<Caller, Problem> {
        if let Some(caller) = self.at_once(room, head, from) {
            return caller;
        }
        match self.ground(room, head)?.settled() {
            Ground::Credentials(header) | Ground::Perhaps(header) => {
                let principal = self.accounts.authenticate(header, from, access(&head.method)).await;
                self.judge(principal.map_err(refusal_problem)?, room, head, from)
            }
            Ground::Path(tenant) => {
                let is_served = self.accounts.check_tenant(&tenant, access(&head.method)).await;
                is_served.map(|()| Caller::of(tenant, from)).map_err(refusal_problem)
            }
            Ground::Signature(key) => {
                self.judge_signature(self.accounts.signer(key, from, access(&head.method)).await, head, from)
            }
            Ground::Nothing => {
                let is_served = self.accounts.check_tenant(&self.tenant, access(&head.method)).await;
                is_served.map(|()| Caller::of(self.tenant.clone(), from)).map_err(refusal_problem)
            }
        }
    }

    fn ground<'a>(&self, room: Room, head: &'a request::Parts) -> Result<Ground<'a>, Problem> {
        let path = head.uri.path();
        let shown = head.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).map(Header::new);
        match room {
            // A signature is a credential: it opens its path where strangers may do nothing.
            Room::Fetch | Room::Say => match self.signing.standing(path) {
                Standing::Signed => return Ok(Ground::Path(self.tenant.clone())),
                Standing::Unsigned => {}
                // Who has other credentials need not sign.
                Standing::Refused if shown.is_some_and(Header::is_ours) && self.signing.is_unsigned(path) => {}
                Standing::Refused if let Some(key) = account_key(path) => return Ok(Ground::Signature(key)),
                Standing::Refused if self.opens(room, &head.method) || self.signing.has_keys() => {
                    return Err(self.signing.refusal());
                }
                Standing::Refused => {}
            },
            // So is a capability, which says whose the audio is.
            Room::Media => {
                if let Some(tenant) = self.media.opened_at(path) {
                    return Ok(Ground::Path(tenant));
                }
            }
            Room::Prompts | Room::V1 | Room::V2010 | Room::Connect | Room::Docs | Room::Pages | Room::Other => {}
        }
        let ground = if self.opens(room, &head.method) { Ground::Perhaps } else { Ground::Credentials };
        Ok(shown.map_or(Ground::Nothing, ground))
    }

    /// What strangers may do.
    fn opens(&self, room: Room, method: &Method) -> bool {
        match (self.anonymous, room) {
            // How the API is used is no secret, and nobody has signed in before the page to do it.
            (_, Room::Docs | Room::Pages) => true,
            // Whose accounts, keys, numbers or tokens?
            (_, Room::V2010 | Room::Connect) => false,
            (Anonymous::All, _) => true,
            // What is told of artifacts and fills is more than audio: their sources, tags and formats.
            (Anonymous::Read, Room::V1) => false,
            (Anonymous::Read, Room::Prompts) => reads(method),
            // Nothing but reading is done there, and what does not exist may be said not to.
            (Anonymous::Read, Room::Media | Room::Fetch | Room::Say | Room::Other) => true,
            (Anonymous::Off | Anonymous::Auto, _) => false,
        }
    }

    /// For whom a path acts that says it is signed with this key.
    fn judge_signature(
        &self,
        signer: Result<Arc<Signer>, Refusal>,
        head: &request::Parts,
        from: IpAddr,
    ) -> Result<Caller, Problem> {
        let signer = signer.map_err(|refusal| self.signature_problem(refusal))?;
        if !self.signing.is_signed_with(signer.key(), head.uri.path()) {
            return Err(self.signing.refusal());
        }
        let principal = self.accounts.admit(&signer).map_err(|refusal| self.signature_problem(refusal))?;
        if !Needs::media(access(&head.method)).are_met_by(&principal, true) {
            return Err(forbidden());
        }
        // The path's, as one that the node's own keys have signed: it may do this and nothing else.
        Ok(Caller { signer: Some(principal.clone()), ..Caller::of(principal.tenant.clone(), from) })
    }

    /// A key that there is not gets the answer of a wrong signature.
    fn signature_problem(&self, refusal: Refusal) -> Problem {
        if refusal == Refusal::Wrong { self.signing.refusal() } else { refusal_problem(refusal) }
    }

    fn judge(
        &self,
        principal: Arc<Principal>,
        room: Room,
        head: &request::Parts,
        from: IpAddr,
    ) -> Result<Caller, Problem> {
        let may = match room {
            // What is routed is judged where it is known what is asked for: by what each operation needs.
            Room::V1 | Room::V2010 | Room::Connect | Room::Docs | Room::Pages | Room::Other => true,
            Room::Media | Room::Fetch | Room::Say | Room::Prompts => {
                Needs::media(access(&head.method)).are_met_by(&principal, true)
            }
        };
        if may {
            let tenant = principal.tenant.clone();
            Ok(Caller { principal: Some(principal), ..Caller::of(tenant, from) })
        } else {
            Err(forbidden())
        }
    }
}

impl Ground<'_> {
    /// Where strangers are let in, so are those who show something that could never be credentials here.
    fn settled(self) -> Self {
        match self {
            Ground::Perhaps(header) if header.is_ours() => Ground::Credentials(header),
            Ground::Perhaps(_) => Ground::Nothing,
            known => known,
        }
    }
}

impl Caller {
    fn of(tenant: Tenant, from: IpAddr) -> Caller {
        Caller { tenant, principal: None, signer: None, from }
    }

    /// For whom what it asks counts.
    pub(super) async fn subject(&self, concurrency: &Concurrency) -> Subject {
        match self.subject_at_once() {
            Some(subject) => subject,
            None => concurrency.subject_of(&self.tenant).await,
        }
    }

    /// The same, where it has shown credentials or a key has signed its path.
    pub(super) fn subject_at_once(&self) -> Option<Subject> {
        self.principal.as_ref().or(self.signer.as_ref()).map(|principal| subject(principal, principal.account))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = super::v1::Failed;

    /// The edge has put it there.
    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Caller, Self::Rejection> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| nobody().into())
    }
}

/// For whom it counts what somebody does on an account: its own, or a subaccount of it.
pub(super) fn subject(principal: &Principal, account: AccountSid) -> Subject {
    let is_own = account == principal.account;
    let parent = if is_own { principal.parent } else { Some(principal.account) };
    // What an application was allowed is said of the account that it acts on.
    let allowed =
        principal.credential.connected().filter(|_| is_own).and_then(|connected| connected.limits.concurrency);
    Subject { account, parent, key: principal.credential.key(), destination: None, allowed }
}

/// What a method does.
pub(super) fn access(method: &Method) -> Access {
    if reads(method) || method == Method::OPTIONS { Access::Read } else { Access::Write }
}

/// Whether a method asks and changes nothing.
pub(super) fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

pub(super) fn forbidden() -> Problem {
    Problem::new(Kind::Forbidden, "these credentials may not do this")
}

/// The signing key of an account that a path names.
fn account_key(path: &str) -> Option<KeySid> {
    Signing::key_id(path)?.parse().ok()
}

pub(super) fn nobody() -> Problem {
    Problem::new(Kind::Unauthorized, "callers without credentials may not do this (http.anonymous)")
}

pub(super) fn refusal_problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Wrong => Problem::new(Kind::Unauthorized, "there are no such credentials"),
        Refusal::Inactive(status) => Problem::new(Kind::AccountInactive, format!("the account is {status}")),
        Refusal::Revoked => Problem::new(
            Kind::Forbidden,
            "the account has revoked what it allowed the application, or the application is no more",
        ),
        Refusal::TooOften(wait) => {
            Problem::new(Kind::TooManyRequests, "this address has shown too many wrong credentials").retry_after(wait)
        }
        Refusal::Away => Problem::new(Kind::AccountsAway, "who is calling cannot be looked up now")
            .retry_after(std::time::Duration::from_secs(1)),
        Refusal::Failed => Problem::new(Kind::Internal, "who is calling cannot be looked up"),
    }
}
