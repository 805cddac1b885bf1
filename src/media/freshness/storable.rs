use http::{HeaderMap, Method, StatusCode, header};

use super::directives::{RequestDirectives, ResponseDirectives};

/// Why a response is not kept. The text is a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStorable {
    /// Responses to this method are not kept.
    Method,
    /// Not a final answer, a part of one, or `must-understand` with a status that is not understood.
    Status,
    /// The request forbids it.
    RequestNoStore,
    /// The response forbids it.
    NoStore,
    /// It is for one user.
    Private,
    /// The request carried credentials, and the response does not say that it is for others too.
    Authorization,
    /// Nothing says that it may be kept.
    Unsaid,
}

impl NotStorable {
    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            NotStorable::Method => "method",
            NotStorable::Status => "status",
            NotStorable::RequestNoStore => "request-no-store",
            NotStorable::NoStore => "no-store",
            NotStorable::Private => "private",
            NotStorable::Authorization => "authorization",
            NotStorable::Unsaid => "unsaid",
        }
    }
}

/// Whether a shared cache may keep a complete response to a request (RFC 9111 §3). The responses to `HEAD` are not kept by
/// themselves, and parts (206) are not put together here.
///
/// # Errors
/// Why not.
pub fn storable(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
) -> Result<(), NotStorable> {
    let directives = ResponseDirectives::of(response);
    if *method != Method::GET {
        return Err(NotStorable::Method);
    }
    let is_final = status.as_u16() >= 200;
    if !is_final || matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED) {
        return Err(NotStorable::Status);
    }
    if RequestDirectives::of(request).no_store {
        return Err(NotStorable::RequestNoStore);
    }
    if directives.must_understand && !is_understood(status) {
        return Err(NotStorable::Status);
    }
    // Who understands the status may pass over `no-store` beside `must-understand` (§5.2.2.3).
    if directives.no_store && !directives.must_understand {
        return Err(NotStorable::NoStore);
    }
    if directives.private {
        return Err(NotStorable::Private);
    }
    let is_for_others = directives.public || directives.must_revalidate || directives.s_maxage.is_some();
    if request.contains_key(header::AUTHORIZATION) && !is_for_others {
        return Err(NotStorable::Authorization);
    }
    let is_said = directives.public
        || directives.max_age.is_some()
        || directives.s_maxage.is_some()
        || (response.contains_key(header::EXPIRES) && !directives.is_targeted);
    if is_said || is_heuristically_cacheable(status) { Ok(()) } else { Err(NotStorable::Unsaid) }
}

/// Statuses that are kept without being told to (RFC 9110 §15.1), but for 206.
pub fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses whose caching RFC 9110 defines, that is those it defines, but for what never reaches a cache's store.
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 201 | 202 | 203 | 204 | 205 | 300 | 301 | 302 | 303 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505
    )
}
