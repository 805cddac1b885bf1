//! Reading the TOML file: values with their lines, and every syntax error at once.

use std::{fs::File, io::Read as _, path::Path};

use serde_json::{Map, Number, Value};
use toml::{
    Spanned,
    de::{DeFloat, DeInteger, DeTable, DeValue},
};

use super::key::{Key, is_table};

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a file says: a value, or a mistake, each with its key and its line counted from 1.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) line: usize,
    pub(super) value: Result<Value, String>,
}

/// The text of a configuration file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        Ok(bytes) if bytes as u64 > FILE_BYTES_MAX => {
            Err(format!("{} is longer than {FILE_BYTES_MAX} bytes", path.display()))
        }
        Ok(_) => Ok(text),
    }
}

/// Takes `text` apart into single entries in the order of the file. `defaults` says which keys are tables.
///
/// An unknown key is an entry like any other: the caller knows what to say about it. It is not looked into.
pub(super) fn entries(text: &str, defaults: &Value) -> Vec<Entry> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut found: Vec<Entry> = errors
        .iter()
        .map(|error| Entry {
            key: Key::default(),
            line: lines.line(error.span().map_or(0, |span| span.start)),
            value: Err(error.message().to_owned()),
        })
        .collect();
    let broken: Vec<usize> = found.iter().map(|entry| entry.line).collect();
    collect(&Key::default(), document.get_ref(), Some(defaults), &lines, &mut found);
    // What the parser makes of a broken line would be a second mistake from the same cause.
    found.retain(|entry| entry.key == Key::default() || !broken.contains(&entry.line));
    found.sort_by_key(|entry| entry.line);
    found
}

fn collect(at: &Key, table: &DeTable<'_>, defaults: Option<&Value>, lines: &Lines, found: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = at.child(name.get_ref());
        let known = defaults.and_then(|defaults| defaults.get(name.get_ref().as_ref()));
        match (value.get_ref(), known) {
            (DeValue::Table(inner), Some(known)) if is_table(known) => collect(&key, inner, Some(known), lines, found),
            (value, _) => {
                let line = lines.line(name.span().start);
                found.push(Entry { key, line, value: plain(value) });
            }
        }
    }
}

/// A TOML value as the tree that all sources share.
fn plain(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => Value::Number(integer(number)?),
        DeValue::Float(number) => Value::Number(float(number)?),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(moment) => Value::String(moment.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| plain(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let pair = |(name, value): (&Spanned<_>, &Spanned<_>)| {
                let name: &std::borrow::Cow<'_, str> = name.get_ref();
                Ok::<_, String>((name.clone().into_owned(), plain(value.get_ref())?))
            };
            Value::Object(table.iter().map(pair).collect::<Result<Map<_, _>, _>>()?)
        }
    })
}

fn integer(number: &DeInteger<'_>) -> Result<Number, String> {
    let negative = i64::from_str_radix(number.as_str(), number.radix()).map(Number::from);
    let positive = u64::from_str_radix(number.as_str(), number.radix()).map(Number::from);
    positive.or(negative).map_err(|_| format!("{number} is too large a number"))
}

fn float(number: &DeFloat<'_>) -> Result<Number, String> {
    let value = number.as_str().parse().ok().and_then(Number::from_f64);
    value.ok_or_else(|| format!("{number} is not a finite number"))
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        Lines(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, that the byte at `offset` stands in.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}
