use std::fmt;

use url::Url;

use super::{error::AddressError, ignored_query::IgnoredQuery};
use crate::ids::SourceKey;

/// Longest source address in bytes: what common servers take as a request line, and far beyond pre-signed addresses.
const SOURCE_BYTES_MAX: usize = 8 << 10;

/// Stands in front of what is hashed, so that another canonical form makes other keys.
const KEY_VERSION: &str = "ringback-source1\n";

/// A source's URL in canonical form: what is fetched, and the key by which it is known.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalUrl {
    fetched: Url,
    canonical: Box<str>,
    key: SourceKey,
}

impl CanonicalUrl {
    /// Brings a source address into canonical form: host in lower case, default port and fragment dropped, query in its
    /// order. Parameters that `ignored` names are left out of the key but kept in what is fetched.
    ///
    /// # Errors
    /// Too long, not a URL, not http or https, or with user name or password (those need the node's secrets, which come
    /// with accounts).
    pub fn parse(text: &str, ignored: &IgnoredQuery) -> Result<CanonicalUrl, AddressError> {
        if text.len() > SOURCE_BYTES_MAX {
            return Err(AddressError::SourceTooLong { max: SOURCE_BYTES_MAX });
        }
        let mut fetched = Url::parse(text).map_err(|source| AddressError::NotAUrl { source })?;
        if !matches!(fetched.scheme(), "http" | "https") {
            return Err(AddressError::Scheme);
        }
        if !fetched.username().is_empty() || fetched.password().is_some() {
            return Err(AddressError::Userinfo);
        }
        fetched.set_fragment(None);
        // Percent-encoding can make a URL up to three times as long as its text.
        if fetched.as_str().len() > SOURCE_BYTES_MAX {
            return Err(AddressError::SourceTooLong { max: SOURCE_BYTES_MAX });
        }
        let canonical: Box<str> =
            match fetched.query().map(|query| (query, ignored.strip(fetched.host_str().unwrap_or_default(), query))) {
                Some((query, kept)) if kept.as_deref() != Some(query) => {
                    let mut canonical = fetched.clone();
                    canonical.set_query(kept.as_deref());
                    String::from(canonical).into()
                }
                _ => fetched.as_str().into(),
            };
        let key = SourceKey::of(format!("{KEY_VERSION}{canonical}").as_bytes());
        Ok(CanonicalUrl { fetched, canonical, key })
    }

    /// What is fetched, signatures included: a secret until it expires. Not for logs.
    pub fn fetch_url(&self) -> &Url {
        &self.fetched
    }

    /// The key of this source in the index: the sha256 of its canonical text. Says nothing about formats.
    pub fn key(&self) -> SourceKey {
        self.key
    }

    /// The key of the address as it is fetched, ignored parameters included: two signatures of one source differ in it.
    pub fn fetched_key(&self) -> SourceKey {
        SourceKey::of(format!("{KEY_VERSION}{}", self.fetched).as_bytes())
    }

    /// The canonical text, without the ignored parameters.
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// Scheme, host and, where it is not the default one, port: what limits per origin count by.
    pub fn origin(&self) -> String {
        self.fetched.origin().ascii_serialization()
    }

    /// The URL for logs: without its query.
    pub fn redacted(&self) -> Redacted<'_> {
        Redacted(&self.fetched)
    }
}

impl fmt::Debug for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.redacted(), f)
    }
}

/// Shows a URL without its query, where signatures and tokens stand.
#[derive(Clone, Copy, Debug)]
pub struct Redacted<'a>(&'a Url);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = if self.0.query().is_some() { "?…" } else { "" };
        write!(f, "{}{}{query}", self.0.origin().ascii_serialization(), self.0.path())
    }
}
