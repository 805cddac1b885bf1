//! Lists in pages, newest first. A page begins after a record, not at a number, so that what is made or deleted meanwhile neither repeats nor hides any.

use std::{fmt, str::FromStr};

use crate::store::{Row, Statement, Store};

use super::AccountsError;

/// Records of a page at most.
pub const PAGE_MAX: usize = 1_000;

/// Which page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// How many records; 1 to [`PAGE_MAX`].
    pub size: usize,
    /// Beside which record; nothing: the newest.
    pub beside: Option<Cursor>,
}

/// A place in a list: right after a record (older ones follow), or right before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    created_at: i64,
    sid: String,
    is_before: bool,
}

/// The text is no place in a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no token of a page")]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:x}", if self.is_before { "PB" } else { "PA" }, self.sid, self.created_at)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Cursor, NotACursor> {
        /// Two letters and 32 digits.
        const SID: usize = 34;
        let (is_before, rest) = match (text.strip_prefix("PA"), text.strip_prefix("PB")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(NotACursor),
        };
        let (sid, at) = rest.split_at_checked(SID).ok_or(NotACursor)?;
        let is_sid = sid.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let created_at = i64::from_str_radix(at, 16).map_err(|_| NotACursor)?;
        if is_sid { Ok(Cursor { created_at, sid: sid.to_owned(), is_before }) } else { Err(NotACursor) }
    }
}

/// Records of one page.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The newest first.
    pub records: Vec<T>,
    /// Where older ones follow, if any do.
    pub older: Option<Cursor>,
    /// Where newer ones are, if any may be.
    pub newer: Option<Cursor>,
}

impl<T> Listed<T> {
    /// Nothing, where there can be nothing.
    pub const fn nothing() -> Listed<T> {
        Listed { records: Vec::new(), older: None, newer: None }
    }
}

/// The two statements of a list. `$1` to `$3` are the place and the size; what tells its records from others begins with `$4`.
pub(super) struct Listing {
    pub(super) older: &'static str,
    pub(super) newer: &'static str,
}

/// `listing!("columns", "table", "condition")`: columns begin with `sid, created_at`.
macro_rules! listing {
    ($columns:expr, $table:expr, $condition:literal) => {
        $crate::accounts::page::Listing {
            older: concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE (created_at < $1 OR (created_at = $1 AND sid < $2)) AND ",
                $condition,
                " ORDER BY created_at DESC, sid DESC LIMIT $3"
            ),
            newer: concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE (created_at > $1 OR (created_at = $1 AND sid > $2)) AND ",
                $condition,
                " ORDER BY created_at, sid LIMIT $3"
            ),
        }
    };
}
pub(super) use listing;

impl Listing {
    /// Reads a page. `bind` adds what the condition asks for.
    pub(super) async fn read<T>(
        &self,
        store: &Store,
        page: &Page,
        bind: impl FnOnce(Statement) -> Statement,
        record: impl Fn(&Row) -> Result<T, AccountsError>,
    ) -> Result<Listed<T>, AccountsError> {
        let size = page.size.clamp(1, PAGE_MAX);
        let is_before = page.beside.as_ref().is_some_and(|cursor| cursor.is_before);
        // Beyond every name, for the first page.
        let (at, sid) = page.beside.as_ref().map_or((i64::MAX, "~"), |cursor| (cursor.created_at, cursor.sid.as_str()));
        let sql = if is_before { self.newer } else { self.older };
        // One more than asked for tells whether there are more.
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let mut rows = store.read(bind(Statement::new(sql).bind(at).bind(sid).bind(limit))).await?;
        let has_more = size < rows.len();
        rows.truncate(size);
        if is_before {
            rows.reverse();
        }
        let cursor = |row: Option<&Row>, is_before| -> Result<Option<Cursor>, AccountsError> {
            let cursor = row.map(|row| Ok(Cursor { created_at: row.int(1)?, sid: row.text(0)?, is_before }));
            cursor.transpose().map_err(|error: crate::store::StoreError| error.into())
        };
        let (has_older, has_newer) = if is_before { (true, has_more) } else { (has_more, page.beside.is_some()) };
        Ok(Listed {
            older: if has_older { cursor(rows.last(), false)? } else { None },
            newer: if has_newer { cursor(rows.first(), true)? } else { None },
            records: rows.iter().map(record).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_as_it_is_written() {
        for text in ["PAAC0123456789abcdef0123456789abcdef5f5e100", "PBPN0123456789abcdef0123456789abcdef0"] {
            assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "PA",
            "PC",
            "PAAC0123456789abcdef0123456789abcdef",
            "PAAC0123456789abcdef01234567'; DROP 1",
            "PAAC012345678ä",
        ] {
            assert_eq!(wrong.parse::<Cursor>().unwrap_err(), NotACursor, "{wrong}");
        }
    }
}
