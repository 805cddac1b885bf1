//! The records of the reverse proxy: responses of its origin as they were received. In a namespace of their own, beside the artifacts'.

use std::{sync::Arc, time::SystemTime};

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::{Cache, CacheError, records::ChunkRef};
use crate::{ids::ResponseKey, media::freshness::Selection};

/// Responses that are kept of one address, for different requests. More would be a `Vary` on what each caller has for itself.
const VARIANTS_MAX: usize = 16;

impl Cache {
    /// What is kept of an address that the reverse proxy answers for.
    ///
    /// # Errors
    /// As [`source`](Cache::source).
    pub async fn responses(&self, key: &ResponseKey) -> Result<Option<Arc<Responses>>, CacheError> {
        self.parts.catalogue.responses(key).await
    }

    /// [`responses`](Cache::responses), if their record is in memory.
    pub fn responses_in_memory(&self, key: &ResponseKey) -> Option<Arc<Responses>> {
        self.parts.catalogue.responses_in_memory(key)
    }

    /// Keeps a response, in the place of one that answered the same requests. Beyond `addresses_max` addresses, those leave that have
    /// not changed for the longest.
    ///
    /// When it returns, it survives the end of this process, and a look-up finds it.
    ///
    /// # Errors
    /// The catalogue could not be written.
    pub async fn keep_response(
        &self,
        key: ResponseKey,
        response: StoredResponse,
        addresses_max: u64,
    ) -> Result<(), CacheError> {
        self.parts.catalogue.keep_response(key, response, addresses_max).await
    }

    /// Forgets one response of an address, or all. Chunks stay until they are evicted: others may have the same bytes.
    ///
    /// # Errors
    /// The catalogue could not be written.
    pub async fn forget_responses(&self, key: ResponseKey, which: Option<Which>) -> Result<(), CacheError> {
        self.parts.catalogue.forget_responses(key, which).await
    }
}

/// A response, complete and as received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    /// Status code.
    pub status: u16,
    /// Reason phrase, where it is not the usual one: each byte a character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The fields that may be kept.
    #[serde(with = "field_lines")]
    pub headers: HeaderMap,
    /// Which requests it answers.
    pub selection: Selection,
    /// When it was asked for.
    pub request_time: SystemTime,
    /// When its head came, or the last 304 that confirmed it.
    pub response_time: SystemTime,
    /// Bytes of the body.
    pub length: u64,
    /// The body's chunks in order; their lengths add up to `length`.
    pub chunks: Vec<ChunkRef>,
}

impl StoredResponse {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY)
    }
}

/// What is kept of one address, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Responses {
    /// Each answers other requests.
    pub variants: Vec<StoredResponse>,
}

impl Responses {
    /// Where the one stands that answers a request with these fields: the latest, if several do.
    pub fn answering(&self, request: &HeaderMap) -> Option<usize> {
        self.variants.iter().position(|kept| kept.selection.answers(request, &kept.headers))
    }

    /// These and `newer`, in the place of one that answered the same requests.
    pub(super) fn with(mut self, newer: StoredResponse) -> Responses {
        self.variants.retain(|older| older.selection != newer.selection);
        self.variants.insert(0, newer);
        self.variants.truncate(VARIANTS_MAX);
        self
    }

    /// These but for the one of this selection and time.
    pub(super) fn without(mut self, gone: &Which) -> Responses {
        self.variants.retain(|kept| !gone.is(kept));
        self
    }

    /// Bytes that they take, about.
    pub(super) fn weight(&self) -> usize {
        let fields = |headers: &HeaderMap| -> usize {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum()
        };
        let one = |kept: &StoredResponse| {
            size_of_val(kept) + fields(&kept.headers) + kept.selection.weight() + size_of_val(&*kept.chunks)
        };
        self.variants.iter().map(one).sum()
    }
}

/// One of an address's responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    selection: Selection,
    response_time: SystemTime,
}

impl Which {
    /// This one: not one that has come since.
    pub fn of(response: &StoredResponse) -> Which {
        Which { selection: response.selection.clone(), response_time: response.response_time }
    }

    fn is(&self, response: &StoredResponse) -> bool {
        self.selection == response.selection && self.response_time == response.response_time
    }
}

/// Field lines in order. Values are bytes: each is written as the character of its number, so that none is lost.
mod field_lines {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(headers: &HeaderMap, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
        let lines: Vec<(&str, String)> = headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        lines.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
        let lines = Vec::<(String, String)>::deserialize(deserializer)?;
        let mut headers = HeaderMap::with_capacity(lines.len());
        for (name, text) in lines {
            let bytes: Vec<u8> = text.chars().map(u8::try_from).collect::<Result<_, _>>().map_err(D::Error::custom)?;
            let name = name.parse::<HeaderName>().map_err(D::Error::custom)?;
            headers.append(name, HeaderValue::from_bytes(&bytes).map_err(D::Error::custom)?);
        }
        Ok(headers)
    }
}
