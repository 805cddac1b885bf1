use std::fmt;

use super::guard::Refusal;
use crate::problem::{Kind, Problem};

/// What a client says of a failure.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An outgoing request failed. `host` is the host as asked for, with its port where one was given: never path, query
/// or credentials, which may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The guard refuses the address, given or resolved.
    #[error("{host} may not be fetched: it is {refusal}")]
    Forbidden {
        /// Whom the request was for.
        host: Box<str>,
        /// What kind of address it is.
        refusal: Refusal,
    },
    /// Not an http or https URL with a host.
    #[error("only http and https addresses with a host can be fetched")]
    NotHttp,
    /// The name could not be resolved.
    #[error("the name of {host} could not be resolved")]
    Dns {
        /// Whom the request was for.
        host: Box<str>,
        /// What the resolver said.
        #[source]
        source: Cause,
    },
    /// No connection came about: refused, unreachable, or TLS failed.
    #[error("no connection to {host}")]
    Connect {
        /// Whom the request was for.
        host: Box<str>,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// Too slow.
    #[error("{host} was too slow: {which}")]
    Timeout {
        /// Whom the request was for.
        host: Box<str>,
        /// Which limit was reached.
        which: TimeoutKind,
    },
    /// More redirects than are followed.
    #[error("{host} redirected more than {max} times")]
    TooManyRedirects {
        /// Where the last redirect came from.
        host: Box<str>,
        /// The limit.
        max: u8,
    },
    /// A redirect that cannot be followed.
    #[error("{host} sent a redirect that {why}")]
    BadRedirect {
        /// Where the redirect came from.
        host: Box<str>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A redirect to an address that whoever asked does not want.
    #[error("{host} redirects to {to}, which is not one of the sources that may be used here")]
    RedirectRefused {
        /// Where the redirect came from.
        host: Box<str>,
        /// Whom it leads to.
        to: Box<str>,
    },
    /// The body ended before its end.
    #[error("{host} sent only {received} bytes of {}", expected_text(*.expected))]
    Truncated {
        /// Whom the request was for.
        host: Box<str>,
        /// The declared length in bytes, if one was declared.
        expected: Option<u64>,
        /// Bytes that arrived.
        received: u64,
    },
    /// More header bytes than are read.
    #[error("{host} sent more than {max} bytes of headers")]
    HeadersTooLarge {
        /// Whom the request was for.
        host: Box<str>,
        /// The limit.
        max: u64,
    },
    /// What arrived is not HTTP, or the connection broke before the headers.
    #[error("{host} did not answer in proper HTTP")]
    Protocol {
        /// Whom the request was for.
        host: Box<str>,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// The body has a content coding although none was offered.
    #[error("{host} sent a compressed body although none was asked for")]
    Encoding {
        /// Whom the request was for.
        host: Box<str>,
    },
    /// The request has been here before (RFC 8586).
    #[error("the request for {host} went round in a circle")]
    LoopDetected {
        /// Whom the request was for.
        host: Box<str>,
    },
    /// The body of the request that is passed on failed before its end.
    #[error("the body of a request for {host} did not come: {problem}")]
    RequestBody {
        /// Whom the request was for.
        host: Box<str>,
        /// What happened to it.
        problem: Box<Problem>,
    },
    /// The client could not be built: configuration or the system's certificates.
    #[error("the outgoing HTTP client could not be built: {what}")]
    Setup {
        /// Which part.
        what: &'static str,
        /// What happened.
        #[source]
        source: Option<Cause>,
    },
}

/// Which limit of time was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutKind {
    /// Look-up, TCP and TLS.
    Connect,
    /// Up to the response headers.
    Headers,
    /// Silence between two pieces of the body.
    Idle,
    /// The whole request.
    Total,
}

impl fmt::Display for TimeoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimeoutKind::Connect => "no connection in time",
            TimeoutKind::Headers => "no response headers in time",
            TimeoutKind::Idle => "silence in the middle of the body",
            TimeoutKind::Total => "the request as a whole took too long",
        })
    }
}

impl OutboundError {
    /// What the caller is told. The errors' own texts are public by construction; their sources are for the log.
    pub fn problem(&self) -> Problem {
        let kind = match self {
            OutboundError::RequestBody { problem, .. } => return Problem::clone(problem),
            OutboundError::Forbidden { .. } | OutboundError::NotHttp | OutboundError::RedirectRefused { .. } => {
                Kind::SourceForbidden
            }
            OutboundError::Timeout { .. } => Kind::OriginTimeout,
            OutboundError::LoopDetected { .. } => Kind::LoopDetected,
            OutboundError::Setup { .. } => Kind::Internal,
            OutboundError::Dns { .. }
            | OutboundError::Connect { .. }
            | OutboundError::TooManyRedirects { .. }
            | OutboundError::BadRedirect { .. }
            | OutboundError::Truncated { .. }
            | OutboundError::HeadersTooLarge { .. }
            | OutboundError::Protocol { .. }
            | OutboundError::Encoding { .. } => Kind::OriginFailed,
        };
        Problem::new(kind, self.to_string())
    }

    /// The bounded label of this error in metrics.
    pub fn label(&self) -> &'static str {
        match self {
            OutboundError::Forbidden { .. } => "forbidden",
            OutboundError::NotHttp => "not-http",
            OutboundError::Dns { .. } => "dns",
            OutboundError::Connect { .. } => "connect",
            OutboundError::Timeout { which, .. } => match which {
                TimeoutKind::Connect => "timeout-connect",
                TimeoutKind::Headers => "timeout-headers",
                TimeoutKind::Idle => "timeout-idle",
                TimeoutKind::Total => "timeout-total",
            },
            OutboundError::TooManyRedirects { .. } => "too-many-redirects",
            OutboundError::BadRedirect { .. } => "bad-redirect",
            OutboundError::RedirectRefused { .. } => "redirect-refused",
            OutboundError::Truncated { .. } => "truncated",
            OutboundError::HeadersTooLarge { .. } => "headers-too-large",
            OutboundError::Protocol { .. } => "protocol",
            OutboundError::Encoding { .. } => "encoding",
            OutboundError::LoopDetected { .. } => "loop",
            OutboundError::RequestBody { .. } => "request-body",
            OutboundError::Setup { .. } => "setup",
        }
    }
}

fn expected_text(expected: Option<u64>) -> String {
    expected.map_or_else(|| "a body of unknown length".to_owned(), |length| length.to_string())
}
