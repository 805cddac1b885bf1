//! Where audio comes from: a URL, an upload, or text to be spoken (`spec/media.md` §1).
//!
//! What a source's bytes are is known of a URL only when its origin was asked. An upload is named by its bytes and speech by all
//! that determines them, so that neither has an entry in the index: what would stand there follows from the name.

use std::{borrow::Cow, fmt};

use crate::{
    ids::{ContentHash, SourceKey},
    media::{
        address::{AddressError, CanonicalUrl, IgnoredQuery},
        cache::Visibility,
    },
};

/// What begins the name of an upload in records, in front of its content hash.
const UPLOAD: &str = "upload:";

/// Where audio comes from.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// What is at an address.
    Url(CanonicalUrl),
    /// What its tenant put here.
    Upload(ContentHash),
}

impl Source {
    /// Reads back what [`text`](Source::text) wrote. Nothing is left out of the key of a URL: it is canonical.
    ///
    /// # Errors
    /// It is no name of a source.
    pub fn parse(text: &str) -> Result<Source, AddressError> {
        if let Some(hash) = text.strip_prefix(UPLOAD) {
            let hash = hash.parse().map_err(|_| AddressError::SourceCoding { expected: "upload:{content hash}" })?;
            return Ok(Source::Upload(hash));
        }
        CanonicalUrl::parse(text, &IgnoredQuery::default()).map(Source::Url)
    }

    /// Its name in records, as it is shown to whoever holds a reference and as purges speak of it.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Source::Url(url) => url.as_str().into(),
            Source::Upload(hash) => format!("{UPLOAD}{hash}").into(),
        }
    }

    /// Its key: what single flight and the index are per.
    pub fn key(&self) -> SourceKey {
        match self {
            Source::Url(url) => url.key(),
            Source::Upload(_) => SourceKey::of(self.text().as_bytes()),
        }
    }

    /// The key of what is really asked for: two signatures of one address differ in it.
    pub(in crate::media) fn asked_key(&self) -> SourceKey {
        match self {
            Source::Url(url) => url.fetched_key(),
            Source::Upload(_) => self.key(),
        }
    }

    /// The address, where it is one.
    pub(in crate::media) fn url(&self) -> Option<&CanonicalUrl> {
        match self {
            Source::Url(url) => Some(url),
            Source::Upload(_) => None,
        }
    }

    /// Whether what its bytes are is a matter of the index.
    pub(in crate::media) fn is_indexed(&self) -> bool {
        self.url().is_some()
    }

    /// Who may have what is made of it. What was fetched without credentials is anybody's who has its address, what somebody put here is
    /// that tenant's (`spec/trust.md` §2).
    pub(in crate::media) fn visibility(&self) -> Visibility {
        match self {
            Source::Url(_) => Visibility::Public,
            Source::Upload(_) => Visibility::Private,
        }
    }
}

impl From<CanonicalUrl> for Source {
    fn from(url: CanonicalUrl) -> Source {
        Source::Url(url)
    }
}

/// For logs: without the query of an address.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Url(url) => fmt::Display::fmt(&url.redacted(), f),
            Source::Upload(_) => f.write_str(&self.text()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
