//! `CDN-Loop` (RFC 8586): every request that goes out names this node, and a request that names us has been here before.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::OutboundError;
use crate::problem::{Kind, Problem};

pub(super) const CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");

/// Bytes of `CDN-Loop` that are passed on: dozens of nodes. A request that went through more is going round in a circle
/// that nobody sees.
const PASSED_ON_BYTES_MAX: usize = 4 << 10;

/// What a request that came in has been through: its `CDN-Loop` values, to be passed on with what it causes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hops(Vec<HeaderValue>);

impl Hops {
    /// Those of a request with these headers.
    pub fn of(headers: &HeaderMap) -> Hops {
        Hops(headers.get_all(CDN_LOOP).iter().cloned().collect())
    }

    /// As headers of a request that goes out.
    pub fn to_headers(&self) -> HeaderMap {
        self.0.iter().map(|value| (CDN_LOOP, value.clone())).collect()
    }

    /// Whether a node of this name may go out for them.
    ///
    /// # Errors
    /// `loop-detected` when they name it, or are too many to pass on.
    pub(super) fn check(&self, id: &str) -> Result<(), Problem> {
        if is_loop(&self.0, id) {
            return Err(Problem::new(Kind::LoopDetected, "this node's own request came back to it"));
        }
        if self.0.iter().map(HeaderValue::len).sum::<usize>() > PASSED_ON_BYTES_MAX {
            return Err(Problem::new(Kind::LoopDetected, "CDN-Loop names more nodes than any request goes through"));
        }
        Ok(())
    }
}

/// Whether one of the `CDN-Loop` values names `id`. Parameters after `;` are not part of the name.
pub(super) fn is_loop<'a>(values: impl IntoIterator<Item = &'a HeaderValue>, id: &str) -> bool {
    values.into_iter().any(|value| {
        let members = value.as_bytes().split(|byte| *byte == b',');
        members
            .filter_map(|member| member.split(|byte| *byte == b';').next())
            .any(|name| name.trim_ascii() == id.as_bytes())
    })
}

/// The name of this node as a value.
///
/// # Errors
/// It is not a `cdn-id`.
pub(super) fn id(text: &str) -> Result<HeaderValue, OutboundError> {
    let value = HeaderValue::from_str(text).ok().filter(|_| is_id(text));
    value.ok_or(OutboundError::Setup { what: "the node's name is not a token", source: None })
}

/// Whether the text can stand as a `cdn-id`: a token, as a host name or pseudonym (RFC 8586 §2).
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(&b))
}

/// Puts `id` behind what the request already went through.
pub(super) fn append(headers: &mut HeaderMap, id: &HeaderValue) {
    headers.append(CDN_LOOP, id.clone());
}
