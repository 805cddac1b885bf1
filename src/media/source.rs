//! Where audio comes from: a URL, an upload, or text to be spoken (`spec/media.md` §1).
//!
//! What a source's bytes are is known of a URL only when its origin was asked. An upload is named by its bytes and speech by all
//! that determines them, so that neither has an entry in the index: what would stand there follows from the name.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{
    ids::{ContentHash, SourceKey},
    media::{
        address::{AddressError, CanonicalUrl, IgnoredQuery},
        cache::Visibility,
        speech::Utterance,
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
    /// A text that is spoken.
    Speech(Arc<Utterance>),
}

impl Source {
    /// Whether a text is meant as the name of an upload or of speech, and not as a URL.
    pub(in crate::media) fn is_name(text: &str) -> bool {
        text.starts_with(UPLOAD) || Utterance::is_text(text)
    }

    /// Reads back what [`text`](Source::text) wrote. Nothing is left out of the key of a URL: it is canonical.
    ///
    /// # Errors
    /// It is no name of a source.
    pub fn parse(text: &str) -> Result<Source, AddressError> {
        if let Some(hash) = text.strip_prefix(UPLOAD) {
            let hash = hash.parse().map_err(|_| AddressError::SourceCoding { expected: "upload:{content hash}" })?;
            return Ok(Source::Upload(hash));
        }
        if Utterance::is_text(text) {
            let utterance = Utterance::parse(text);
            let refused = |_| AddressError::SourceCoding { expected: "a record of speech" };
            return utterance.map(|utterance| Source::Speech(Arc::new(utterance))).map_err(refused);
        }
        CanonicalUrl::parse(text, &IgnoredQuery::default()).map(Source::Url)
    }

    /// Its name in records, as it is shown to whoever holds a reference and as a purge of it alone speaks of it.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Source::Url(url) => url.as_str().into(),
            Source::Upload(hash) => format!("{UPLOAD}{hash}").into(),
            Source::Speech(utterance) => utterance.to_text().into(),
        }
    }

    /// Its key: what single flight and the index are per.
    pub fn key(&self) -> SourceKey {
        match self {
            Source::Url(url) => url.key(),
            Source::Upload(_) => SourceKey::of(self.text().as_bytes()),
            Source::Speech(utterance) => utterance.key(),
        }
    }

    /// The key of what is really asked for: two signatures of one address differ in it.
    pub(in crate::media) fn asked_key(&self) -> SourceKey {
        match self {
            Source::Url(url) => url.fetched_key(),
            Source::Upload(_) | Source::Speech(_) => self.key(),
        }
    }

    /// The address, where it is one.
    pub(in crate::media) fn url(&self) -> Option<&CanonicalUrl> {
        match self {
            Source::Url(url) => Some(url),
            Source::Upload(_) | Source::Speech(_) => None,
        }
    }

    /// Whether what its bytes are is a matter of the index.
    pub(in crate::media) fn is_indexed(&self) -> bool {
        self.url().is_some()
    }

    /// Its content hash, where its name says it.
    pub(in crate::media) fn content_hash(&self) -> Option<ContentHash> {
        match self {
            Source::Url(_) => None,
            Source::Upload(hash) => Some(*hash),
            Source::Speech(utterance) => Some(utterance.content_hash()),
        }
    }

    /// Who may have what is made of it. What was fetched without credentials or spoken is anybody's who has its address, what somebody put
    /// here or marked as private is that tenant's (`spec/trust.md` §2).
    pub(in crate::media) fn visibility(&self) -> Visibility {
        match self {
            Source::Speech(utterance) if utterance.manner().is_private => Visibility::Private,
            Source::Url(_) | Source::Speech(_) => Visibility::Public,
            Source::Upload(_) => Visibility::Private,
        }
    }
}

impl From<CanonicalUrl> for Source {
    fn from(url: CanonicalUrl) -> Source {
        Source::Url(url)
    }
}

/// For logs: without the query of an address, and without the text of speech.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Url(url) => fmt::Display::fmt(&url.redacted(), f),
            Source::Upload(_) => f.write_str(&self.text()),
            Source::Speech(utterance) => write!(f, "speech {}", utterance.content_hash()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
