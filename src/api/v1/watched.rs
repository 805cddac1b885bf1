//! Bodies that take long to be sent, from who may still send them when they are there.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::{Stream, future::BoxFuture};
use http::{header, request};

use crate::{
    accounts::{Access, Header},
    api::{
        admission::{Caller, forbidden, refusal_problem},
        permission::Needs,
    },
    problem::Problem,
};

use super::V1;

/// A body whose end is an error if whoever has sent it may not do that any more: its developer may have been revoked, or its key deleted, meanwhile.
pub(super) struct Watched {
    body: BodyDataStream,
    has_ended: bool,
    /// Nothing, once it was looked.
    again: Option<BoxFuture<'static, Result<(), Problem>>>,
    refused: Option<Problem>,
}

/// A body that is not to be kept.
#[derive(Debug)]
pub(super) struct NotWhole;

impl Watched {
    pub(super) fn new(v1: &V1, head: &request::Parts, body: Body) -> Watched {
        let shown = head.headers.get(header::AUTHORIZATION).cloned();
        let (caller, accounts) = (head.extensions.get::<Caller>().cloned(), v1.parts.accounts.clone());
        let again = async move {
            let Some(Caller { tenant, principal, from, .. }) = caller else { return Ok(()) };
            let (Some(_), Some(shown)) = (principal, shown) else {
                return accounts.check_tenant(&tenant, Access::Write).await.map_err(refusal_problem);
            };
            let principal = accounts.authenticate_again(Header::new(shown.as_bytes()), from).await;
            let principal = principal.map_err(refusal_problem)?;
            let may = principal.tenant == tenant && Needs::media(Access::Write).are_met_by(&principal, true);
            may.then_some(()).ok_or_else(forbidden)
        };
        Watched { body: body.into_data_stream(), has_ended: false, again: Some(Box::pin(again)), refused: None }
    }

    /// Why its end was an error, if that is what it was.
    pub(super) fn refusal(&mut self) -> Option<Problem> {
        self.refused.take()
    }
}

impl Stream for Watched {
    type Item = Result<Bytes, NotWhole>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let watched = &mut *self;
        let Some(again) = &mut watched.again else { return Poll::Ready(None) };
        if !watched.has_ended {
            match ready!(Pin::new(&mut watched.body).poll_next(cx)) {
                Some(piece) => return Poll::Ready(Some(piece.map_err(|_| NotWhole))),
                None => watched.has_ended = true,
            }
        }
        watched.refused = ready!(again.as_mut().poll(cx)).err();
        watched.again = None;
        Poll::Ready(watched.refused.is_some().then_some(Err(NotWhole)))
    }
}
