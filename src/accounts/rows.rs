//! Between rows and records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, de::DeserializeOwned};

use crate::store::{Row, StoreError};

use super::{AccountsError, records::Stamps};

/// Microseconds of the Unix epoch.
pub(super) fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn time(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// A time that both engines keep as it is.
pub(super) fn kept(at: SystemTime) -> SystemTime {
    time(micros(at))
}

/// A text that something is made of.
pub(super) fn parsed<T: std::str::FromStr>(row: &Row, column: usize, what: &'static str) -> Result<T, AccountsError> {
    row.text(column)?.parse().map_err(|_| AccountsError::Misread(what))
}

pub(super) fn maybe_parsed<T: std::str::FromStr>(
    row: &Row,
    column: usize,
    what: &'static str,
) -> Result<Option<T>, AccountsError> {
    let text = row.maybe_text(column)?;
    text.map(|text| text.parse().map_err(|_| AccountsError::Misread(what))).transpose()
}

/// `created_at` in a column, and `updated_at, version` in two others.
pub(super) fn stamps(row: &Row, created: usize, updated: usize) -> Result<Stamps, StoreError> {
    Ok(Stamps { created: time(row.int(created)?), updated: time(row.int(updated)?), version: row.int(updated + 1)? })
}

pub(super) fn to_json(record: &impl Serialize) -> Result<String, AccountsError> {
    serde_json::to_string(record).map_err(|_| AccountsError::Misread("fields"))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, AccountsError> {
    serde_json::from_str(text).map_err(|_| AccountsError::Misread("fields"))
}
