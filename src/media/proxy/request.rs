//! What a caller asks for, and how it is passed on.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{self, Entry},
    request::Parts,
    uri::PathAndQuery,
};

use crate::{
    ids::ResponseKey,
    media::freshness::{RequestDirectives, remove_hop_by_hop},
    problem::{Kind, Problem},
};

/// What this node adds to every message that it passes on (RFC 9110 §7.6.3).
const VIA: HeaderValue = HeaderValue::from_static("1.1 ringback");

/// Conditions that are the origin's to judge: a cache cannot (RFC 9111 §4.3.2).
const FOR_THE_ORIGIN: [HeaderName; 2] = [header::IF_MATCH, header::IF_UNMODIFIED_SINCE];

/// What makes an answer one for this caller alone, or a part of one.
const OF_ONE_CALLER: [HeaderName; 3] = [header::RANGE, header::IF_RANGE, header::AUTHORIZATION];

/// What asks whether the caller's own copy is still right.
const OF_A_COPY: [HeaderName; 2] = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

/// A request without its body.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// As received, byte for byte.
    pub(super) path: PathAndQuery,
    /// As received.
    pub(super) headers: HeaderMap,
    pub(super) directives: RequestDirectives,
    /// Under which responses are kept.
    pub(super) key: ResponseKey,
    pass_host: bool,
}

impl Asked {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// `method-not-allowed` for CONNECT and TRACE, `bad-request` for a change of protocol and for what names nothing.
    pub(super) fn of(head: Parts, pass_host: bool) -> Result<Asked, Problem> {
        let Parts { method, uri, headers, .. } = head;
        if matches!(method, Method::CONNECT | Method::TRACE) {
            return Err(Problem::new(Kind::MethodNotAllowed, "CONNECT and TRACE are not passed on"));
        }
        if asks_for_other_protocol(&headers) {
            return Err(Problem::new(Kind::BadRequest, "this proxy does not change to another protocol (Upgrade)"));
        }
        let path = uri.path_and_query().filter(|path| path.as_str().starts_with('/')).cloned();
        let path = path.ok_or_else(|| Problem::new(Kind::BadRequest, "a request names a path"))?;
        let host = if pass_host { headers.get(header::HOST).map(HeaderValue::as_bytes) } else { None };
        let key = key(host, &path);
        let directives = RequestDirectives::of(&headers);
        Ok(Asked { method, path, headers, directives, key, pass_host })
    }

    /// Whether the store is asked at all. What has a body asks for more than an address.
    pub(super) fn may_use_cache(&self, has_body: bool) -> bool {
        let reads = matches!(self.method, Method::GET | Method::HEAD);
        reads && !has_body && !FOR_THE_ORIGIN.iter().any(|name| self.headers.contains_key(name))
    }

    /// Whether the answer may be another's too, so that one is asked for for all. `asks_of_kept`: the origin is asked about what is kept
    /// here rather than about the caller's copy, which is judged when the caller is answered.
    pub(super) fn may_share(&self, asks_of_kept: bool) -> bool {
        let has = |names: &[HeaderName]| names.iter().any(|name| self.headers.contains_key(name));
        let is_own = has(&OF_ONE_CALLER) || (has(&OF_A_COPY) && !asks_of_kept);
        self.method == Method::GET && !is_own && !self.directives.no_store && !self.directives.no_cache
    }

    /// Whether a 2xx or 3xx answer says that what is kept under this address is no more (RFC 9111 §4.4): methods that are not known to
    /// be safe.
    pub(super) fn may_change_things(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// The fields that are passed on: all that are not for this hop.
    pub(super) fn passed_on(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        // Framing of its own says the length of a body. Two that disagree are how an origin comes to see other requests than this node.
        if headers.contains_key(header::TRANSFER_ENCODING) {
            headers.remove(header::CONTENT_LENGTH);
        }
        remove_hop_by_hop(&mut headers);
        // The body is sent as it comes: who expects to be told to go on is told so here.
        headers.remove(header::EXPECT);
        if !self.pass_host {
            headers.remove(header::HOST);
        }
        pass_via(&mut headers);
        headers
    }

    /// The same, to read.
    pub(super) fn into_get(self) -> Asked {
        Asked { method: Method::GET, ..self }
    }

    /// The same for all callers: to read, and without what makes an answer this one's alone.
    pub(super) fn for_all(&self) -> Asked {
        let mut asked = self.clone().into_get();
        for name in OF_ONE_CALLER.iter().chain(&OF_A_COPY) {
            asked.headers.remove(name);
        }
        asked
    }

    /// The key of another address of this origin, as this request's caller would name it.
    pub(super) fn key_of(&self, path: &PathAndQuery) -> ResponseKey {
        let host = if self.pass_host { self.headers.get(header::HOST).map(HeaderValue::as_bytes) } else { None };
        key(host, path)
    }
}

/// Puts this node behind those that a message went through.
pub(super) fn pass_via(headers: &mut HeaderMap) {
    match headers.entry(header::VIA) {
        Entry::Vacant(entry) => drop(entry.insert(VIA)),
        Entry::Occupied(mut entry) => entry.append(VIA),
    }
}

/// A list of protocols beside `h2c`, which clients offer without insisting on it: HTTP/1.1 goes on, and nothing else could.
fn asks_for_other_protocol(headers: &HeaderMap) -> bool {
    let offered = headers.get_all(header::UPGRADE).iter().map(|value| value.to_str().unwrap_or("?"));
    offered.flat_map(|text| text.split(',')).any(|protocol| !protocol.trim().eq_ignore_ascii_case("h2c"))
}

fn key(host: Option<&[u8]>, path: &PathAndQuery) -> ResponseKey {
    let host = host.unwrap_or_default().to_ascii_lowercase();
    ResponseKey::of(&[b"ringback-proxy1\n", &*host, b"\n", path.as_str().as_bytes()].concat())
}
