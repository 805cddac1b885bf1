//! The script of one reply.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::{
    body::{Body, Delivery, Hold},
    gate::Gate,
};

/// How a reply says how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Content-Length where the length is known, else chunked.
    Honest,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// This Content-Length, whatever the body is. More than the body: the connection closes early. Less: only so many
    /// bytes go out.
    Claimed(u64),
}

/// One scripted reply. Built by its constructors and refined by chained methods.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) length: Length,
    pub(super) delivery: Delivery,
    pub(super) gate_before_headers: Option<Gate>,
    pub(super) drops_connection: bool,
}

impl Reply {
    /// Status 200 with this body.
    ///
    /// # Panics
    /// Here and below: when a header's value is not one.
    pub fn ok(content_type: &str, body: Body) -> Reply {
        Reply::status(200, content_type, body)
    }

    /// Any status with a body.
    ///
    /// # Panics
    /// When `status` is not an HTTP status.
    pub fn status(status: u16, content_type: &str, body: Body) -> Reply {
        #[expect(clippy::expect_used, reason = "a script with such a status is a mistake in the test")]
        let status = StatusCode::from_u16(status).expect("an HTTP status");
        let reply = Reply {
            status,
            headers: HeaderMap::new(),
            body,
            length: Length::Honest,
            delivery: Delivery::default(),
            gate_before_headers: None,
            drops_connection: false,
        };
        reply.header("content-type", content_type)
    }

    /// 302 to another URL, absolute or relative.
    pub fn redirect(location: &str) -> Reply {
        Reply::status(302, "text/plain", Body::of("elsewhere")).header("location", location)
    }

    /// Closes the connection instead of answering.
    pub fn dropped() -> Reply {
        Reply { drops_connection: true, ..Reply::status(500, "text/plain", Body::of("")) }
    }

    /// Sets a header; `Cache-Control`, `Vary`, `Age` and so on.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Reply {
        #[expect(clippy::expect_used, reason = "a script with such a header is a mistake in the test")]
        let (name, value): (HeaderName, HeaderValue) =
            (name.parse().expect("a header name"), value.parse().expect("a header value"));
        self.headers.insert(name, value);
        self
    }

    /// Leaves a header out; `Content-Type`, for one.
    #[must_use]
    pub fn without(mut self, name: &str) -> Reply {
        self.headers.remove(name);
        self
    }

    /// Sets the ETag, quotes included; a matching If-None-Match is then answered 304.
    #[must_use]
    pub fn etag(self, etag: &str) -> Reply {
        self.header("etag", etag)
    }

    /// Sets Last-Modified; If-Modified-Since not before it is then answered 304.
    #[must_use]
    pub fn last_modified(self, at: SystemTime) -> Reply {
        self.header("last-modified", &httpdate::fmt_http_date(at))
    }

    /// Says its length in another way than the honest one.
    #[must_use]
    pub fn length(mut self, length: Length) -> Reply {
        self.length = length;
        self
    }

    /// Sends the body at this rate, in bytes a second.
    #[must_use]
    pub fn rate(mut self, bytes_per_second: u64) -> Reply {
        self.delivery.bytes_per_second = Some(bytes_per_second);
        self
    }

    /// Sends the body in writes of these sizes, again and again from the first. A size of 0 counts as 1.
    #[must_use]
    pub fn pieces(mut self, sizes: impl IntoIterator<Item = u64>) -> Reply {
        self.delivery.pieces = sizes.into_iter().map(|size| size.max(1)).collect();
        self
    }

    /// Tears the connection down after `bytes` of the body: a chunked body lacks its last chunk.
    #[must_use]
    pub fn cut_after(mut self, bytes: u64) -> Reply {
        self.delivery.cut_after = Some(bytes);
        self
    }

    /// Sends nothing, not even headers, until the gate is open.
    #[must_use]
    pub fn hold_headers(mut self, gate: &Gate) -> Reply {
        self.gate_before_headers = Some(gate.clone());
        self
    }

    /// Sends `bytes` of the body and the rest when the gate is open.
    #[must_use]
    pub fn hold_after(mut self, bytes: u64, gate: &Gate) -> Reply {
        self.delivery.hold = Some(Hold { after: bytes, gate: gate.clone() });
        self
    }

    /// Whether a conditional request is answered 304 (RFC 9110 §13.2.2: If-None-Match wins over If-Modified-Since).
    pub(super) fn is_not_modified(&self, method: &Method, request: &HeaderMap) -> bool {
        if self.status != StatusCode::OK || !(method == Method::GET || method == Method::HEAD) {
            return false;
        }
        let text = |headers: &HeaderMap, name| {
            headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned)
        };
        if let Some(candidates) = text(request, header::IF_NONE_MATCH) {
            let Some(etag) = text(&self.headers, header::ETAG) else { return false };
            let weak = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            return candidates.split(',').any(|tag| tag.trim() == "*" || weak(tag) == weak(&etag));
        }
        let at = |headers, name| text(headers, name).and_then(|date| httpdate::parse_http_date(&date).ok());
        match (at(request, header::IF_MODIFIED_SINCE), at(&self.headers, header::LAST_MODIFIED)) {
            (Some(since), Some(modified)) => modified <= since,
            _ => false,
        }
    }
}
