use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::fields;

/// What decisions are made from; all else that a response says is of no use once its bytes are kept.
const NAMES: [HeaderName; 10] = [
    header::CACHE_CONTROL,
    HeaderName::from_static("cdn-cache-control"),
    header::PRAGMA,
    header::EXPIRES,
    header::DATE,
    header::AGE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::VARY,
    CAME_FROM,
];

/// Where the response came from, where redirects led there: a digest of the address. What it can be checked by says nothing elsewhere. No field that
/// origins send: what one sends under this name is left out.
pub const CAME_FROM: HeaderName = HeaderName::from_static("ringback-came-from");

/// Longest value that is written down.
const VALUE_BYTES_MAX: usize = 2_048;

/// What a response said of its use: the header fields that say how long, for whom and by what it can be checked, in the form in which
/// they are written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said(Vec<(String, String)>);

impl Said {
    /// Takes them from a response's headers. Where one is too long to be written down, the response is one that is asked about each time.
    pub fn of(headers: &HeaderMap) -> Said {
        let mut said = Vec::new();
        for name in &NAMES {
            for value in headers.get_all(name) {
                let text = String::from_utf8_lossy(value.as_bytes());
                if text.len() <= VALUE_BYTES_MAX {
                    said.push((name.as_str().to_owned(), text.into_owned()));
                } else {
                    said.push((header::CACHE_CONTROL.as_str().to_owned(), "no-cache".to_owned()));
                }
            }
        }
        Said(said)
    }

    /// The same after a 304 (RFC 9111 §4.3.4).
    #[must_use]
    pub fn updated(&self, not_modified: &HeaderMap) -> Said {
        let mut headers = self.to_headers();
        // The age counts from this answer, whether or not it says when it was made.
        headers.remove(header::DATE);
        fields::update(&mut headers, not_modified);
        Said::of(&headers)
    }

    /// As header fields again.
    pub fn to_headers(&self) -> HeaderMap {
        let field = |(name, value): &(String, String)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        };
        let mut headers = HeaderMap::with_capacity(self.0.len());
        for (name, value) in self.0.iter().filter_map(field) {
            headers.append(name, value);
        }
        headers
    }

    /// The only value of a field.
    pub fn get(&self, wanted: &HeaderName) -> Option<&str> {
        let mut values = self.0.iter().filter(|(name, _)| name == wanted.as_str());
        let (_, value) = values.next()?;
        if values.next().is_some() { None } else { Some(value) }
    }

    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        self.0.iter().map(|pair| size_of_val(pair) + pair.0.len() + pair.1.len()).sum()
    }
}
