//! Which sources are used at all: beginnings of URLs that the operator trusts, `https://*.example.com/prompts/`.
//!
//! What is compared is what will be fetched: scheme, host, port and path of the URL in canonical form, part by part, so that
//! no spelling of one part can pass for another. A spelling that matches nothing is refused, so a disguise gains nothing,
//! but for one kind: a path that an origin may resolve to another one only after it has decoded it. Those match nothing.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use percent_encoding::percent_decode;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use crate::outbound::Follow;

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 2_048;
/// How often a path is decoded in search of dot segments: some origins do it twice, none five times.
const DECODINGS_MAX: usize = 4;

/// The sources that are used: those of the patterns, or all where there are none. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AllowedSources(Arc<[SourcePattern]>);

impl AllowedSources {
    /// The sources of these patterns; of none, all.
    pub fn new(patterns: &[SourcePattern]) -> AllowedSources {
        AllowedSources(patterns.into())
    }

    /// Whether this source may be used.
    pub fn admits(&self, url: &Url) -> bool {
        let patterns = &self.0;
        patterns.is_empty() || (!hides_dot_segments(url.path()) && patterns.iter().any(|pattern| pattern.matches(url)))
    }

    /// The same as a condition on redirects; none where all are followed.
    pub(super) fn to_filter(&self) -> Option<Follow> {
        let allowed = self.clone();
        (!self.0.is_empty()).then(|| -> Follow { Arc::new(move |url| allowed.admits(url)) })
    }
}

/// The beginning of URLs: scheme, host, port and whole segments of a path. `*.` before a host stands for one label or more; one
/// `*` in a segment for any characters there.
#[derive(Clone, PartialEq, Eq)]
pub struct SourcePattern {
    text: String,
    scheme: String,
    host: Host,
    port: u16,
    segments: Vec<Segment>,
    /// The path ends in a slash: something must be below it.
    below: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Host {
    Exactly(String),
    /// With the dot that it begins with.
    Below(String),
}

/// A segment of a path, decoded.
#[derive(Clone, PartialEq, Eq)]
struct Segment {
    start: Vec<u8>,
    /// What stands behind a `*`, where there is one.
    end: Option<Vec<u8>>,
}

/// Text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {mistake}")]
pub struct SourcePatternError {
    text: String,
    mistake: &'static str,
}

impl SourcePattern {
    fn parse(text: &str) -> Result<SourcePattern, &'static str> {
        const SHAPE: &str = "is not the beginning of URLs such as \"https://*.example.com/prompts/\"";
        let spelled_out = ["http://", "https://"]
            .iter()
            .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        if PATTERN_BYTES_MAX < text.len() || !spelled_out {
            return Err(SHAPE);
        }
        let url = Url::parse(text).map_err(|_| SHAPE)?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err("may have a host, a port and a path only");
        }
        let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or(SHAPE)?;
        let (is_below, name) = host.strip_prefix("*.").map_or((false, host), |name| (true, name));
        if name.is_empty() || name.contains('*') {
            return Err("may have a \"*\" in its host as the first label only");
        }
        let host = if is_below { Host::Below(format!(".{name}")) } else { Host::Exactly(name.to_owned()) };
        if hides_dot_segments(url.path()) {
            return Err("has an escaped \"..\" in its path");
        }
        let mut segments: Vec<&str> = segments(url.path()).collect();
        let below = segments.last().is_some_and(|last| last.is_empty());
        if below {
            segments.pop();
        }
        let segments = segments.into_iter().map(Segment::parse).collect::<Option<_>>();
        let segments = segments.ok_or("may have one \"*\" in each segment of its path")?;
        Ok(SourcePattern { text: text.to_owned(), scheme: url.scheme().to_owned(), host, port, segments, below })
    }

    fn matches(&self, url: &Url) -> bool {
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let host = url.host_str().unwrap_or_default();
        let is_host = match &self.host {
            Host::Exactly(name) => host == name,
            Host::Below(name) => host.strip_suffix(name.as_str()).is_some_and(|labels| !labels.is_empty()),
        };
        let mut given = segments(url.path());
        url.scheme() == self.scheme
            && url.port_or_known_default() == Some(self.port)
            && is_host
            && !has_credentials
            && self.segments.iter().all(|segment| given.next().is_some_and(|given| segment.matches(given)))
            && (!self.below || given.next().is_some())
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Segment> {
        let decoded = |text: &str| percent_decode(text.as_bytes()).collect();
        match text.split_once('*') {
            None => Some(Segment { start: decoded(text), end: None }),
            Some((start, end)) => {
                (!end.contains('*')).then(|| Segment { start: decoded(start), end: Some(decoded(end)) })
            }
        }
    }

    fn matches(&self, given: &str) -> bool {
        let given: Cow<'_, [u8]> = percent_decode(given.as_bytes()).into();
        match &self.end {
            None => *given == *self.start,
            Some(end) => given.strip_prefix(&*self.start).is_some_and(|rest| rest.ends_with(end)),
        }
    }
}

/// The segments of a path that begins with a slash.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

/// Whether a path has segments that mean "here" or "one up" to somebody who decodes it first: `%2e%2e%2f`, `..%5c`, `..;`. Those
/// that can be seen as they stand are gone from a canonical URL.
fn hides_dot_segments(path: &str) -> bool {
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    // What stands behind a semicolon is no part of the name to servers that know path parameters (RFC 3986 §3.3).
    let is_dots = |segment: &[u8]| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..")
    };
    let mut text = Cow::Borrowed(path.as_bytes());
    for _ in 0..DECODINGS_MAX {
        if text.split(is_separator).any(is_dots) {
            return true;
        }
        let decoded: Vec<u8> = percent_decode(&text).collect();
        if decoded == *text {
            return false;
        }
        text = Cow::Owned(decoded);
    }
    true
}

impl FromStr for SourcePattern {
    type Err = SourcePatternError;

    fn from_str(text: &str) -> Result<SourcePattern, SourcePatternError> {
        SourcePattern::parse(text).map_err(|mistake| SourcePatternError { text: text.to_owned(), mistake })
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SourcePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SourcePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SourcePattern, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
