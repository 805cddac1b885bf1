//! What operations need and count as: said where each is routed, and held against who asks before its handler runs.

use std::{fmt, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    handler::Handler,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use http::request;

use crate::{
    accounts::{Access, Principal, Resource},
    concurrency::{self, Admitted, Concurrency, Impeded, Subject},
    problem::Problem,
};

use super::{places, socket::Peer};

/// What an operation needs of whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// To see this on the account that it is about.
    Read(Resource),
    /// To change this on it.
    Write(Resource),
    /// The same as [`Needs::Read`], but for one's own account, which anybody may see who has credentials of it.
    OwnOrRead(Resource),
    /// The account's own auth token, and nothing that was given a part of what it may do.
    Token,
}

impl Needs {
    /// Whether somebody may do it on an account that is its own, or on another that it acts for. This is the only place that says so.
    pub(super) fn are_met_by(self, principal: &Principal, is_own: bool) -> bool {
        match self {
            Needs::Read(resource) => principal.may(resource, Access::Read),
            Needs::Write(resource) => principal.may(resource, Access::Write),
            Needs::OwnOrRead(resource) => is_own || principal.may(resource, Access::Read),
            Needs::Token => principal.is_owner(),
        }
    }

    /// What audio needs, by whether it is asked for or changed.
    pub(super) const fn media(access: Access) -> Needs {
        match access {
            Access::Read => Needs::Read(Resource::Media),
            Access::Write => Needs::Write(Resource::Media),
        }
    }
}

impl fmt::Display for Needs {
    /// As the document has it: the words of scopes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Needs::Read(resource) => write!(f, "{}:read", resource.slug()),
            Needs::Write(resource) => write!(f, "{}:write", resource.slug()),
            Needs::OwnOrRead(resource) => write!(f, "own or {}:read", resource.slug()),
            Needs::Token => f.write_str("auth token"),
        }
    }
}

/// What judges requests for the handlers that have it as their state.
pub(super) trait Gate: Clone + Send + Sync + 'static {
    /// How it refuses.
    type Refused: IntoResponse;

    /// Whether whoever asks may, and for whom it counts; notes in the request on whose account, for the handler.
    fn pass(
        &self,
        needs: Needs,
        head: &mut request::Parts,
    ) -> impl Future<Output = Result<Subject, Self::Refused>> + Send;

    /// What admits.
    fn concurrency(&self) -> &Concurrency;

    /// How it says that something is not admitted.
    fn refused(problem: &Problem) -> Self::Refused;
}

/// What an operation counts as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    /// The kind of work.
    pub(super) resource: concurrency::Resource,
    /// Whether operators look after the node by it, so that the reserve lets it in where nobody else is.
    pub(super) is_operators: bool,
}

impl Counts {
    async fn admit(self, concurrency: &Concurrency, subject: Subject) -> Result<Admitted, Impeded> {
        if self.is_operators {
            return concurrency.admit_operator(subject, self.resource).await;
        }
        concurrency.admit(subject, self.resource).await.map(Admitted::Counted)
    }
}

/// A handler behind the gate of its state, which holds a place among those of its kind while it works and is answered.
#[derive(Clone, Debug)]
pub(super) struct Gated<H> {
    pub(super) needs: Needs,
    pub(super) counts: Counts,
    pub(super) handler: H,
}

impl<H, T, S> Handler<T, S> for Gated<H>
where
    H: Handler<T, S>,
    S: Gate,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request<Body>, state: S) -> Self::Future {
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let subject = match state.pass(self.needs, &mut head).await {
                Ok(subject) => subject,
                Err(refused) => return refused.into_response(),
            };
            let peer = head.extensions.get::<Peer>().cloned();
            // Who goes is out of the line at once, with the body unread.
            let admitted =
                match places::unless_gone(peer.clone(), self.counts.admit(state.concurrency(), subject)).await {
                    Ok(Ok(admitted)) => admitted,
                    Err(gone) => return S::refused(&gone).into_response(),
                    Ok(Err(impeded)) => {
                        places::leave(&head, body).await;
                        return S::refused(&impeded.problem()).into_response();
                    }
                };
            let response = self.handler.call(Request::from_parts(head, body), state).await;
            match admitted {
                Admitted::Counted(place) => places::hold_and_tell(response, Arc::new(place), peer).await,
                Admitted::Reserved(place) => places::hold_reserved(response, place),
            }
        })
    }
}
