//! Statements, and the rows that they select.

use sqlx::{Column as _, Database, Decode, Encode, Type, TypeInfo as _, ValueRef as _, query::Query};

use super::StoreError;

/// What a column may hold. No engine's own types: both keep these alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// TEXT, or nothing in a column of it.
    Text(Option<String>),
    /// BIGINT: a number, microseconds of the Unix epoch, or 0 and 1.
    Int(Option<i64>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

/// The kind of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TEXT
    Text,
    /// BIGINT
    Int,
    /// Bytes
    Bytes,
}

macro_rules! values {
    ($($from:ty => $kind:ident($value:ident) $some:expr;)*) => {
        $(
            impl From<$from> for Value {
                fn from($value: $from) -> Value {
                    Value::$kind($some)
                }
            }
        )*
    };
}

values! {
    &str => Text(text) Some(text.to_owned());
    String => Text(text) Some(text);
    Option<String> => Text(text) text;
    i64 => Int(number) Some(number);
    Option<i64> => Int(number) number;
    bool => Int(is) Some(i64::from(is));
    Vec<u8> => Bytes(bytes) Some(bytes);
    Option<Vec<u8>> => Bytes(bytes) bytes;
}

/// One statement with what goes into it.
#[derive(Clone, Debug)]
pub struct Statement {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
    pub(super) changes: Option<u64>,
}

impl Statement {
    /// A statement whose parameters `$1`, `$2`, … are bound one after the other.
    pub const fn new(sql: &'static str) -> Statement {
        Statement { sql, values: Vec::new(), changes: None }
    }

    /// The next parameter.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Statement {
        self.values.push(value.into());
        self
    }

    /// The change fails as a whole unless this statement changes so many rows.
    #[must_use]
    pub const fn changing(mut self, rows: u64) -> Statement {
        self.changes = Some(rows);
        self
    }

    pub(super) fn query<'q, DB: Database>(&self) -> Query<'q, DB, DB::Arguments>
    where
        Option<String>: Encode<'q, DB> + Type<DB> + 'q,
        Option<i64>: Encode<'q, DB> + Type<DB> + 'q,
        Option<Vec<u8>>: Encode<'q, DB> + Type<DB> + 'q,
    {
        self.values.iter().cloned().fold(sqlx::query::<DB>(self.sql), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    }
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Vec<Value>);

impl Row {
    /// The text in a column, counted from 0.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        self.maybe_text(column)?.ok_or(StoreError::Misread { column, expected: Kind::Text })
    }

    /// The text in a column that may be empty.
    ///
    /// # Errors
    /// There is something else.
    pub fn maybe_text(&self, column: usize) -> Result<Option<String>, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(text.clone()),
            _ => Err(StoreError::Misread { column, expected: Kind::Text }),
        }
    }

    /// The number in a column.
    ///
    /// # Errors
    /// There is none.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.maybe_int(column)?.ok_or(StoreError::Misread { column, expected: Kind::Int })
    }

    /// The number in a column that may be empty.
    ///
    /// # Errors
    /// There is something else.
    pub fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(number)) => Ok(*number),
            // SQLite does not say of what kind nothing is.
            Some(Value::Text(None)) => Ok(None),
            _ => Err(StoreError::Misread { column, expected: Kind::Int }),
        }
    }

    /// The bytes in a column.
    ///
    /// # Errors
    /// There are none.
    pub fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.maybe_bytes(column)?.ok_or(StoreError::Misread { column, expected: Kind::Bytes })
    }

    /// The bytes in a column that may be empty.
    ///
    /// # Errors
    /// There is something else.
    pub fn maybe_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        match self.0.get(column) {
            Some(Value::Bytes(bytes)) => Ok(bytes.clone()),
            Some(Value::Text(None)) => Ok(None),
            _ => Err(StoreError::Misread { column, expected: Kind::Bytes }),
        }
    }

    pub(super) fn read<'r, R>(row: &'r R) -> Result<Row, StoreError>
    where
        R: sqlx::Row,
        usize: sqlx::ColumnIndex<R>,
        String: Decode<'r, R::Database> + Type<R::Database>,
        i64: Decode<'r, R::Database> + Type<R::Database>,
        Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    {
        let columns = row.columns().iter().map(|column| {
            let column = column.ordinal();
            let raw = row.try_get_raw(column)?;
            if raw.is_null() {
                return Ok(Value::Text(None));
            }
            let kind = raw.type_info().name().to_owned();
            Ok(match kind.as_str() {
                "TEXT" | "VARCHAR" => Value::Text(Some(row.try_get(column)?)),
                "BLOB" | "BYTEA" => Value::Bytes(Some(row.try_get(column)?)),
                _ => Value::Int(Some(row.try_get(column)?)),
            })
        });
        columns.collect::<Result<_, sqlx::Error>>().map(Row).map_err(StoreError::from)
    }
}
