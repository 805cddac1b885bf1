//! Asking the origin, and what its answer means for what is kept.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::ext::ReasonPhrase;
use url::Url;

use super::{
    Answered, Inner, Kept, Via,
    body::{self, Body},
    flight::{Asking, Lead, Outcome},
    incoming::{Incoming, Storing},
    request::Asked,
    respond,
};
use crate::{
    ids::ResponseKey,
    media::{
        cache::{Responses, StoredResponse, Which},
        conditional::Decision,
        freshness::{Freshness, NotStorable, Selection, Times, storable, to_be_stored, update},
    },
    outbound::{Cause, Forwarded, Outgoing, RequestBody},
    problem::{Kind, Problem},
};

/// The answers of an origin in trouble (RFC 5861 §4).
const ERRORS: [StatusCode; 4] = [
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// When a request was sent, and whether it asked for confirmation of what is kept.
struct Sent {
    at: SystemTime,
    asking: Asking,
    confirms: bool,
}

impl Inner {
    /// Asks the origin for what GET or HEAD wants, with what is `kept` to be confirmed, and says to who waits what came of it.
    pub(super) async fn ask(self: &Arc<Self>, asked: &Asked, kept: Option<Kept>, lead: Option<Lead>) -> Answered {
        let mut headers = asked.passed_on();
        let to_confirm = kept.as_ref().filter(|_| may_be_confirmed(asked));
        let confirms = to_confirm.is_some_and(|kept| ask_for_change(&mut headers, &kept.response().headers));
        let sent = Sent { confirms, ..self.sent(&asked.key) };
        let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let outgoing = Outgoing { method: asked.method.clone(), path: asked.path.clone(), headers, body: nothing };
        let forwarded = match self.forwarder.send(outgoing).await {
            Ok(forwarded) => forwarded,
            Err(error) => {
                let problem = error.problem();
                tell(lead.as_ref(), || Outcome::Failed(problem.clone()));
                return self.stand_in(asked, kept.as_ref()).ok_or(problem);
            }
        };
        match kept {
            Some(kept) if confirms && forwarded.status == StatusCode::NOT_MODIFIED => {
                let confirmed = self.confirm(asked, &kept, &forwarded.headers, &sent).await;
                let is_for_all = self.note_whether_shared(asked.key, &confirmed.freshness);
                tell(lead.as_ref(), || if is_for_all { Outcome::LookAgain } else { Outcome::PassOn });
                Ok((self.serve(asked, &confirmed), Via::Revalidated))
            }
            Some(kept) if ERRORS.contains(&forwarded.status) && self.may_cover(asked, &kept) => {
                tell(lead.as_ref(), || Outcome::PassOn);
                Ok((self.serve(asked, &kept), Via::Stale))
            }
            kept => self.receive(asked, forwarded, kept, sent, lead).await,
        }
    }

    /// Passes on what the store has no part in, and forgets what its success says is no more.
    pub(super) async fn pass<B>(self: &Arc<Self>, asked: Asked, body: B) -> Answered
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Cause>,
    {
        let body = self.limited(&asked.headers, body)?;
        let sent = self.sent(&asked.key);
        let outgoing =
            Outgoing { method: asked.method.clone(), path: asked.path.clone(), headers: asked.passed_on(), body };
        let forwarded = self.forwarder.send(outgoing).await.map_err(|error| error.problem())?;
        let has_changed = forwarded.status.is_success() || forwarded.status.is_redirection();
        if asked.may_change_things() && has_changed {
            self.invalidate(&asked, &forwarded.headers).await;
        }
        if asked.method == Method::POST && self.is_also_for_get(&asked, &forwarded) {
            let asked = asked.into_get();
            // What it changed is no more; what it answers is what is there now.
            let sent = Sent { at: sent.at, ..self.sent(&asked.key) };
            return self.receive(&asked, forwarded, None, sent, None).await;
        }
        Ok((self.passed(&asked.method, forwarded), Via::Pass))
    }

    /// The body of a request within its limit: a declared length is judged now, another as it comes.
    fn limited<B>(&self, headers: &HeaderMap, body: B) -> Result<RequestBody, Problem>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Cause>,
    {
        let max = self.config.request_body_max;
        let over = move || Problem::new(Kind::OverLimit, format!("the body is longer than {max}"));
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|declared| declared > max.get()) {
            return Err(over());
        }
        let failed = move |error: Cause| -> Cause {
            if error.is::<LengthLimitError>() {
                return over().into();
            }
            Problem::new(Kind::BadRequest, "the body of the request broke off").into()
        };
        Ok(Limited::new(body, max.as_usize()).map_err(failed).boxed_unsync())
    }

    /// A new answer of the origin: kept as it comes, where it may be, and passed on.
    async fn receive(
        self: &Arc<Self>,
        asked: &Asked,
        forwarded: Forwarded,
        kept: Option<Kept>,
        sent: Sent,
        lead: Option<Lead>,
    ) -> Answered {
        let now = self.clock.now_wall();
        let Some((response, freshness)) = self.to_be_kept(asked, &forwarded, sent.at, now) else {
            if let Some(kept) = kept.filter(|_| asked.method == Method::GET && takes_its_place(forwarded.status)) {
                self.forget(asked.key, Some(Which::of(kept.response()))).await;
            }
            if lead.is_some() {
                self.flights.remember_pass(asked.key, self.clock.now());
            }
            tell(lead.as_ref(), || Outcome::PassOn);
            return Ok((self.passed(&asked.method, forwarded), Via::Pass));
        };
        let Ok(permit) = self.storing.clone().try_acquire_owned() else {
            metrics::counter!("ringback_proxy_not_stored_total", "reason" => "busy").increment(1);
            tell(lead.as_ref(), || Outcome::PassOn);
            return Ok((self.passed(&asked.method, forwarded), Via::Pass));
        };
        self.note_whether_shared(asked.key, &freshness);
        let storing = Storing { key: asked.key, lead, asking: sent.asking, _permit: permit };
        Ok((self.bring(asked, forwarded, (response, freshness), sent.confirms, storing).await, Via::Miss))
    }

    /// Brings a response in, into the store and to all who may have it. `judges`: the caller's conditions were not the origin's to judge.
    async fn bring(
        self: &Arc<Self>,
        asked: &Asked,
        forwarded: Forwarded,
        (response, freshness): (StoredResponse, Freshness),
        judges: bool,
        storing: Storing,
    ) -> Response<Body> {
        let Forwarded { status, reason, headers, body } = forwarded;
        let length = if respond::may_have_body(status) { body.length() } else { Some(0) };
        let head = if judges && respond::is_unchanged(asked, &response) {
            respond::kept_head(&response, Duration::ZERO, &Decision::NotModified)
        } else {
            respond::passed_head(status, reason, headers, self.clock.now_wall())
        };
        if length == Some(0) {
            // Its head is all of it, so that it is kept before that.
            self.keep(asked.key, response, &storing.asking).await;
            tell(storing.lead.as_ref(), || Outcome::LookAgain);
            return head.map(|()| body::empty());
        }
        let incoming = Arc::new(Incoming { response, freshness, length, spool: self.spools.create() });
        tell(storing.lead.as_ref(), || Outcome::Incoming(Arc::clone(&incoming)));
        let answer = respond::with_body(head, &asked.method, || body::incoming(incoming.spool.clone()));
        drop(self.tasks.spawn_on(Arc::clone(self).store(incoming, body, storing), &self.runtime));
        answer
    }

    /// What would be kept of an answer, if it may be.
    fn to_be_kept(
        &self,
        asked: &Asked,
        forwarded: &Forwarded,
        sent_at: SystemTime,
        now: SystemTime,
    ) -> Option<(StoredResponse, Freshness)> {
        let (status, received) = (forwarded.status, &forwarded.headers);
        if let Err(reason) = storable(&asked.method, &asked.headers, status, received) {
            metrics::counter!("ringback_proxy_not_stored_total", "reason" => reason.as_str()).increment(1);
            return None;
        }
        let selection = Selection::of(received, &asked.headers)?;
        let times = Times { request: sent_at, response: now };
        let freshness = Freshness::of(status, received, times, &self.rules);
        let is_too_long = forwarded.body.length().is_some_and(|length| length > self.config.response_max.get());
        if is_too_long || !freshness.is_worth_keeping(received) {
            return None;
        }
        let mut headers = to_be_stored(received);
        headers.remove(header::CONTENT_LENGTH);
        respond::with_date(&mut headers, now);
        let reason = forwarded.reason.as_ref().map(reason_text);
        let response = StoredResponse {
            status: status.as_u16(),
            reason,
            headers,
            selection,
            request_time: sent_at,
            response_time: now,
            length: 0,
            chunks: Vec::new(),
        };
        Some((response, freshness))
    }

    /// What was kept, with what a 304 says of it; kept so, unless that now says not to.
    async fn confirm(&self, asked: &Asked, kept: &Kept, not_modified: &HeaderMap, sent: &Sent) -> Kept {
        let now = self.clock.now_wall();
        let mut response = kept.response().clone();
        update(&mut response.headers, not_modified);
        respond::with_date(&mut response.headers, now);
        (response.request_time, response.response_time) = (sent.at, now);
        let verdict = storable(&Method::GET, &asked.headers, response.status(), &response.headers);
        match (verdict, Selection::of(&response.headers, &asked.headers)) {
            // It is this caller's matter, and changes nothing for others.
            (Err(NotStorable::RequestNoStore | NotStorable::Authorization), _) => {}
            (Ok(()), Some(selection)) => {
                if selection != response.selection {
                    self.forget(asked.key, Some(Which::of(kept.response()))).await;
                    response.selection = selection;
                }
                self.keep(asked.key, response.clone(), &sent.asking).await;
            }
            _ => self.forget(asked.key, Some(Which::of(kept.response()))).await,
        }
        let freshness = self.freshness(&response);
        Kept { among: Arc::new(Responses { variants: vec![response] }), index: 0, freshness, first: kept.first.clone() }
    }

    /// Whether what is kept covers an error that the origin answers with: only where response or request say so.
    fn may_cover(&self, asked: &Asked, kept: &Kept) -> bool {
        kept.freshness.may_stand_in(&asked.directives, self.clock.now_wall())
    }

    /// Forgets what a change may have made untrue: the address itself, and those that the answer names (RFC 9111 §4.4).
    async fn invalidate(&self, asked: &Asked, answer: &HeaderMap) {
        let named = [header::LOCATION, header::CONTENT_LOCATION].into_iter().filter_map(|name| answer.get(name));
        let named = named.filter_map(|value| self.key_named(asked, value.to_str().ok()?));
        for key in std::iter::once(asked.key).chain(named) {
            self.flights.void(&key);
            self.forget(key, None).await;
        }
    }

    /// The key of an address that a header names, if it is one of this origin, by its own name or the caller's.
    fn key_named(&self, asked: &Asked, reference: &str) -> Option<ResponseKey> {
        let own = Url::parse(&format!("{}://{}", self.forwarder.scheme(), self.forwarder.origin())).ok()?;
        let called = asked.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let called = called.and_then(|host| Url::parse(&format!("http://{host}")).ok());
        let base = own.join(asked.path.as_str()).ok()?;
        let named = base.join(reference).ok()?;
        let same =
            |url: &Url| url.host() == named.host() && url.port_or_known_default() == named.port_or_known_default();
        if !same(&own) && !called.is_some_and(|called| same(&called)) {
            return None;
        }
        let path = match named.query() {
            Some(query) => format!("{}?{query}", named.path()),
            None => named.path().to_owned(),
        };
        Some(asked.key_of(&path.parse::<PathAndQuery>().ok()?))
    }

    /// Whether the answer to a POST is what GET would bring: it says so, and for how long (RFC 9110 §9.3.3).
    fn is_also_for_get(&self, asked: &Asked, forwarded: &Forwarded) -> bool {
        let names_itself = forwarded.headers.get(header::CONTENT_LOCATION).and_then(|value| value.to_str().ok());
        let names_itself = names_itself.and_then(|text| self.key_named(asked, text)) == Some(asked.key);
        let times = Times::at(self.clock.now_wall());
        let basis = Freshness::of(forwarded.status, &forwarded.headers, times, &self.rules).basis;
        forwarded.status == StatusCode::OK && names_itself && basis.is_said()
    }

    /// Remembers whether others may have what is there now without asking for themselves: nobody should wait in line for what must be
    /// asked for each time.
    fn note_whether_shared(&self, key: ResponseKey, freshness: &Freshness) -> bool {
        let is_fresh = !freshness.fresh_for(self.clock.now_wall()).is_zero();
        if is_fresh {
            self.flights.forget_pass(&key);
        } else {
            self.flights.remember_pass(key, self.clock.now());
        }
        is_fresh
    }

    fn passed(&self, method: &Method, forwarded: Forwarded) -> Response<Body> {
        let Forwarded { status, reason, headers, body } = forwarded;
        let head = respond::passed_head(status, reason, headers, self.clock.now_wall());
        respond::with_body(head, method, || body::passing(body))
    }

    fn sent(&self, key: &ResponseKey) -> Sent {
        Sent { at: self.clock.now_wall(), asking: self.flights.asking(*key), confirms: false }
    }
}

/// Whether an answer that may not be kept is in the place of one that was. A part, the lack of change, what one caller may not do, and an
/// origin in trouble are not.
fn takes_its_place(status: StatusCode) -> bool {
    let is_another = status.is_success() || status.is_redirection();
    let is_none = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
    let says_nothing_of_it = matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    (is_another || is_none) && !says_nothing_of_it
}

/// Whether what is kept can be confirmed by this request: it is for all of it, or for a part that the kept has if it is still right.
fn may_be_confirmed(asked: &Asked) -> bool {
    asked.method == Method::GET && !asked.headers.contains_key(header::IF_RANGE)
}

/// Makes a request one that asks whether what is kept has changed. Whether there is anything to ask by.
fn ask_for_change(headers: &mut HeaderMap, kept: &HeaderMap) -> bool {
    let validators = [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)];
    if !validators.iter().any(|(validator, _)| kept.contains_key(validator)) {
        return false;
    }
    for (validator, condition) in validators {
        // Those of the caller are about what the caller has: they are judged when it is answered.
        headers.remove(&condition);
        if let Some(value) = kept.get(validator) {
            headers.insert(condition, value.clone());
        }
    }
    true
}

/// Each byte a character, so that none is lost.
fn reason_text(reason: &ReasonPhrase) -> String {
    reason.as_bytes().iter().map(|byte| char::from(*byte)).collect()
}

fn tell(lead: Option<&Lead>, outcome: impl FnOnce() -> Outcome) {
    if let Some(lead) = lead {
        lead.say(outcome());
    }
}
