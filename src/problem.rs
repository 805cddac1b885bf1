//! What can go wrong, as the outside sees it: one table of problem kinds (RFC 9457 `application/problem+json`).
//!
//! Rooms keep their own typed errors and turn each into a [`Problem`] at their door. A problem's text is public: it never
//! carries a secret, a credential or a path of the machine.

use std::{borrow::Cow, fmt, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;

/// Whose fault it is. Decides the log level: only [`Side::Us`] is an error that someone must act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The request cannot be served as asked.
    Client,
    /// The source's server misbehaved.
    Origin,
    /// This node is at fault or at a limit.
    Us,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $side:ident, $title:literal;)*) => {
        /// The kind of a problem. Its [`slug`](Kind::slug) is part of the API and never changes meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

            /// The last part of `urn:ringback:problem:<slug>`, and the label of metrics.
            pub const fn slug(self) -> &'static str {
                match self { $(Kind::$name => $slug,)* }
            }

            /// HTTP status code.
            pub const fn status(self) -> u16 {
                match self { $(Kind::$name => $status,)* }
            }

            /// Whose fault it is.
            pub const fn side(self) -> Side {
                match self { $(Kind::$name => Side::$side,)* }
            }

            /// One constant line for people.
            pub const fn title(self) -> &'static str {
                match self { $(Kind::$name => $title,)* }
            }
        }
    };
}

kinds! {
    /// The request itself is malformed.
    BadRequest = "bad-request", 400, Client, "The request is malformed";
    /// The speech engine has no such voice, or none for the language.
    UnknownVoice = "unknown-voice", 400, Client, "There is no such voice";
    /// Credentials are missing or wrong.
    Unauthorized = "unauthorized", 401, Client, "Credentials are missing or wrong";
    /// The account may not be used: it, or its parent, is suspended or closed.
    AccountInactive = "account-inactive", 403, Client, "The account is not active";
    /// A signature is missing or wrong.
    SignatureInvalid = "signature-invalid", 403, Client, "The signature is not valid";
    /// The address was given out for a time that is over.
    LinkExpired = "link-expired", 403, Client, "The address has expired";
    /// Options that are no preset, where only presets are taken.
    PresetsOnly = "presets-only", 403, Client, "Only presets are taken here";
    /// Nobody may ask this without credentials.
    Forbidden = "forbidden", 403, Client, "This caller may not do that";
    /// The guard refuses to fetch this source, or it is none of those that are allowed.
    SourceForbidden = "source-forbidden", 403, Client, "This source may not be fetched";
    /// The origin has no such thing (404 or 410).
    SourceMissing = "source-missing", 404, Origin, "The source does not exist at its origin";
    /// No such address, artifact or fill.
    NotFound = "not-found", 404, Client, "There is nothing under this address";
    /// The artifact exists in another format than the extension says.
    WrongExtension = "wrong-extension", 404, Client, "The extension is not the format of this artifact";
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", 405, Client, "The method is not allowed here";
    /// No such output format is made here.
    NotAcceptable = "not-acceptable", 406, Client, "This output format is not available";
    /// The account keeps as much as it may.
    OverQuota = "over-quota", 403, Client, "This account keeps as much as it may";
    /// The request does not fit the state that there is.
    Conflict = "conflict", 409, Client, "The request does not fit what is there";
    /// A condition of the request does not hold.
    PreconditionFailed = "precondition-failed", 412, Client, "A condition of the request does not hold";
    /// Somebody else is changing the same.
    Locked = "locked", 423, Client, "Somebody else is changing this";
    /// The body of a request did not come.
    RequestTimeout = "request-timeout", 408, Client, "The request did not come in time";
    /// A limit on size, length, rate or channels was passed.
    OverLimit = "over-limit", 413, Client, "The source or the request is over a limit";
    /// What arrived is not audio that this node reads.
    NotAudio = "not-audio", 415, Client, "The source is not audio that can be read";
    /// The range lies outside the audio.
    RangeNotSatisfiable = "range-not-satisfiable", 416, Client, "The range lies outside the audio";
    /// Audio of a known kind, too damaged to decode.
    Undecodable = "undecodable", 422, Client, "The audio is damaged and cannot be decoded";
    /// The caller passed its own limit.
    TooManyRequests = "too-many-requests", 429, Client, "This caller is over its limit";
    /// A fault of ours.
    Internal = "internal", 500, Us, "The node failed";
    /// There is no such speech engine here, or none at all.
    NoEngine = "no-engine", 501, Client, "There is no such speech engine here";
    /// The origin answered with an error, nonsense, or less than it promised.
    OriginFailed = "origin-failed", 502, Origin, "The origin failed";
    /// The speech engine answered with an error, or with something else than audio.
    SpeechFailed = "speech-failed", 502, Origin, "The speech engine failed";
    /// The store of accounts cannot be asked who the caller is.
    AccountsAway = "accounts-away", 503, Us, "Accounts cannot be looked up";
    /// Queues or pools are full.
    Busy = "busy", 503, Us, "The node is at its capacity";
    /// The origin was too slow.
    OriginTimeout = "origin-timeout", 504, Origin, "The origin was too slow";
    /// The speech engine was too slow.
    SpeechTimeout = "speech-timeout", 504, Origin, "The speech engine was too slow";
    /// The caller asked for cached audio only and there is none.
    NotCached = "not-cached", 504, Client, "The audio is not in the cache";
    /// The fill is still running and the caller wanted all of it at once.
    FillRunning = "fill-running", 504, Us, "The audio is still being made";
    /// Storage has no room left.
    StorageFull = "storage-full", 507, Us, "There is no room left to store this";
    /// A request of ours came back to us.
    LoopDetected = "loop-detected", 508, Client, "The request went round in a circle";
}

impl Kind {
    /// Its name, as problems have it (RFC 9457 `type`).
    pub fn urn(self) -> String {
        format!("urn:ringback:problem:{}", self.slug())
    }

    /// The kind that has this slug: reading back what was written down.
    pub fn from_slug(slug: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.slug() == slug)
    }
}

/// One thing that went wrong, ready to be told to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of thing.
    pub kind: Kind,
    /// What happened this time: one sentence for people, without secrets.
    pub detail: Cow<'static, str>,
    /// When it is worth asking again.
    pub retry_after: Option<Duration>,
    /// Whether it comes of the node's own state, though its kind blames another: it says nothing of the next try.
    pub is_passing: bool,
    /// Whether the origin meant it (4xx): asked again it says the same, and what it said before does not stand in for it.
    pub is_final: bool,
    /// The limit that stood in the way, where one on what is in progress did.
    pub limit: Option<Box<LimitReached>>,
}

/// A limit on what is in progress that stood in the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LimitReached {
    /// Whose limit it is: `platform`, `account`, `key` or `destination`.
    pub level: &'static str,
    /// What is counted: a kind of work.
    pub resource: &'static str,
    /// How many may be in progress, or with `too-fast` begin in a second.
    pub limit: u32,
    /// How many were.
    pub current: u32,
    /// `full`, or why it did not wait any longer: `waited-too-long`, `queue-full`, `too-fast`.
    pub why: &'static str,
}

impl Problem {
    /// A problem without advice on retrying.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Problem {
        Problem { kind, detail: detail.into(), retry_after: None, is_passing: false, is_final: false, limit: None }
    }

    /// The same problem, known to come of the node's own state.
    #[must_use]
    pub fn passing(mut self) -> Problem {
        self.is_passing = true;
        self
    }

    /// The same problem, known to be what the origin means.
    #[must_use]
    pub fn meant(mut self) -> Problem {
        self.is_final = true;
        self
    }

    /// Whether it is a failure to give an answer rather than an answer, so that what was kept is better than nothing (RFC 5861 §4).
    pub fn lets_stale_stand_in(&self) -> bool {
        let fails = matches!(
            self.kind,
            Kind::OriginFailed
                | Kind::OriginTimeout
                // What comes with status 200 and is no audio is an error page.
                | Kind::NotAudio
                | Kind::Undecodable
                | Kind::Busy
                | Kind::TooManyRequests
                | Kind::Internal
                | Kind::StorageFull
        );
        fails && !self.is_final
    }

    /// The same problem, which is that of a limit.
    #[must_use]
    pub fn limited(mut self, limit: LimitReached) -> Problem {
        self.limit = Some(Box::new(limit));
        self
    }

    /// The same problem with advice on when to ask again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Problem {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.slug(), self.detail)
    }
}

impl std::error::Error for Problem {}

/// Mistakes in the configuration, collected so that all are told at once, each with its key.
#[derive(Debug, Default)]
pub struct ConfigProblems {
    found: Vec<(String, String)>,
}

impl ConfigProblems {
    /// Notes that `key` (dotted, as in the file: `media.fill.wait`) is wrong, and why.
    pub fn push(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.found.push((key.into(), text.into()));
    }

    /// Notes `text` under `key` unless `holds`.
    pub fn check(&mut self, holds: bool, key: &str, text: &str) {
        if !holds {
            self.push(key, text);
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Key and text of each mistake, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.found.iter().map(|(key, text)| (key.as_str(), text.as_str()))
    }
}

#[cfg(test)]
mod tests;
