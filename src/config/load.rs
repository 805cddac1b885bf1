//! Putting the configuration together from its sources.
//!
//! The defaults, written out as a tree, say which keys there are and what type each has. What the sources say is
//! applied one value at a time: a value that the typed configuration does not accept becomes a [`Mistake`] with its key
//! and origin and changes nothing, so that all the others are still looked at.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::problem::ConfigProblems;

use super::{
    file,
    key::{self, Key},
    mistake::{Mistake, Mistakes, Origin},
    print,
};

/// What every variable of ours begins with.
const PREFIX: &str = "RINGBACK_";

/// Variables that the command line reads, and that are no keys.
const NOT_KEYS: [&str; 5] =
    ["RINGBACK_CONFIG", "RINGBACK_NODE", "RINGBACK_OPS", "RINGBACK_SIGN_KEY", "RINGBACK_SIGN_SALT"];

/// A whole configuration: its type says the keys, its default the values.
///
/// Every table must be `#[serde(deny_unknown_fields, default)]`.
pub trait Root: Default + Serialize + DeserializeOwned {
    /// Variables with a name of their own, and the key that each stands for.
    const ALIASES: &'static [(&'static str, &'static str)];

    /// Notes what is wrong with the values taken together.
    fn validate(&self, problems: &mut ConfigProblems);
}

/// A value given on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    /// As typed: `--listen`.
    pub name: &'static str,
    /// The key it sets, dotted.
    pub key: &'static str,
    /// What to.
    pub value: Value,
}

/// Where values come from besides the defaults; later fields win. Lists replace one another, they do not add up.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file to read, if one was named. None is looked for.
    pub file: Option<PathBuf>,
    /// Name and value of every variable of the environment; other programs' are passed over.
    pub environment: BTreeMap<String, String>,
    /// What the command line says.
    pub flags: Vec<Flag>,
}

/// A configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The values in force.
    pub config: T,
    /// Dotted key and origin of each value that is not a default.
    pub origins: BTreeMap<String, Origin>,
}

impl<T: Serialize> Loaded<T> {
    /// The values in force as TOML, each that is not a default with its origin as a comment.
    ///
    /// Secrets are safe here by their type: what holds one serialises as `***`.
    ///
    /// # Errors
    /// A value that TOML cannot spell, which is a fault of the room that has it.
    pub fn print(&self) -> Result<String, toml::ser::Error> {
        Ok(print::with_origins(&toml::to_string(&self.config)?, &self.origins))
    }
}

/// Loads a configuration from all sources.
///
/// # Errors
/// Every mistake in every source and in the whole, at once.
pub fn load<T: Root>(sources: &Sources) -> Result<Loaded<T>, Mistakes> {
    let mut loader = Loader::<T>::new()?;
    if let Some(path) = &sources.file {
        loader.apply_file(path);
    }
    for (name, text) in &sources.environment {
        loader.apply_variable(name, text);
    }
    for flag in &sources.flags {
        loader.apply(&Key::dotted(flag.key), flag.value.clone(), Origin::Flag(flag.name));
    }
    loader.finish()
}

/// The environment of this process: the only place where it is read.
pub fn process_environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

struct Loader<T> {
    defaults: Value,
    /// Only what the sources say. Never holds a default, so that a secret's `***` cannot be read back as its value.
    said: Map<String, Value>,
    origins: BTreeMap<String, Origin>,
    mistakes: Vec<Mistake>,
    root: std::marker::PhantomData<T>,
}

impl<T: Root> Loader<T> {
    fn new() -> Result<Loader<T>, Mistakes> {
        // As JSON, a key without a default is there as null; as TOML it would be missing.
        let defaults = serde_json::to_value(T::default()).map_err(|error| {
            Mistakes(vec![Mistake { key: String::new(), text: format!("the defaults: {error}"), origin: None }])
        })?;
        let (said, origins, mistakes) = (Map::new(), BTreeMap::new(), Vec::new());
        Ok(Loader { defaults, said, origins, mistakes, root: std::marker::PhantomData })
    }

    fn apply_file(&mut self, path: &Path) {
        let text = match file::read(path) {
            Ok(text) => text,
            Err(text) => {
                self.mistakes.push(Mistake { key: String::new(), text, origin: None });
                return;
            }
        };
        for entry in file::entries(&text, &self.defaults) {
            let origin = Origin::File { path: path.to_owned(), line: entry.line };
            match entry.value {
                Ok(value) => self.apply(&entry.key, value, origin),
                Err(text) => self.mistake(&entry.key, text, origin),
            }
        }
    }

    fn apply_variable(&mut self, name: &str, text: &str) {
        let Some(rest) = name.strip_prefix(PREFIX) else { return };
        if NOT_KEYS.contains(&name) {
            return;
        }
        let alias = T::ALIASES.iter().find(|(alias, _)| *alias == name);
        let key = alias.map_or_else(|| Key::from_variable(rest), |(_, key)| Key::dotted(key));
        let origin = Origin::Environment(name.to_owned());
        let Some(default) = key.find(&self.defaults) else {
            let meant = key::closest(&self.defaults, &key).map(|key| format!("{PREFIX}{}", key.variable()));
            self.mistake(&key, unknown(meant), origin);
            return;
        };
        let candidates = if default.is_null() {
            guesses(text)
        } else {
            match parse_like(default, text) {
                Ok(value) => vec![value],
                Err(text) => {
                    self.mistake(&key, text, origin);
                    return;
                }
            }
        };
        let fitting = candidates.iter().find(|value| self.accepts(&key, (*value).clone()).is_ok());
        let value = fitting.or(candidates.first()).cloned().unwrap_or(Value::Null);
        self.apply(&key, value, origin);
    }

    fn apply(&mut self, key: &Key, value: Value, origin: Origin) {
        let Some(default) = key.find(&self.defaults) else {
            let meant = key::closest(&self.defaults, key).map(|key| key.to_string());
            self.mistake(key, unknown(meant), origin);
            return;
        };
        if key::is_table(default) {
            self.mistake(key, "is a table of keys and takes no value itself".to_owned(), origin);
            return;
        }
        match self.accepts(key, value.clone()) {
            Ok(()) => {
                key.put(&mut self.said, value);
                self.origins.insert(key.to_string(), origin);
            }
            Err(text) => self.mistake(key, text, origin),
        }
    }

    /// Whether the typed configuration takes this value under this key.
    fn accepts(&self, key: &Key, value: Value) -> Result<(), String> {
        let mut alone = Map::new();
        key.put(&mut alone, value);
        T::deserialize(Value::Object(alone)).map(drop).map_err(|error| error.to_string())
    }

    fn mistake(&mut self, key: &Key, text: String, origin: Origin) {
        self.mistakes.push(Mistake { key: key.to_string(), text, origin: Some(origin) });
    }

    fn finish(mut self) -> Result<Loaded<T>, Mistakes> {
        let config = T::deserialize(Value::Object(self.said)).map_err(|error| {
            self.mistakes.push(Mistake { key: String::new(), text: error.to_string(), origin: None });
            Mistakes(std::mem::take(&mut self.mistakes))
        })?;
        let mut problems = ConfigProblems::default();
        config.validate(&mut problems);
        for (key, text) in problems.iter() {
            let origin = origin_of(&self.origins, key).cloned();
            self.mistakes.push(Mistake { key: key.to_owned(), text: text.to_owned(), origin });
        }
        if self.mistakes.is_empty() {
            Ok(Loaded { config, origins: self.origins })
        } else {
            Err(Mistakes(self.mistakes))
        }
    }
}

/// Where a key's value comes from; that of a key inside a value that is a table itself is the table's.
fn origin_of<'a>(origins: &'a BTreeMap<String, Origin>, key: &str) -> Option<&'a Origin> {
    let tables = std::iter::successors(Some(key), |key| key.rsplit_once('.').map(|(table, _)| table));
    tables.into_iter().find_map(|key| origins.get(key))
}

fn unknown(meant: Option<String>) -> String {
    match meant {
        Some(meant) => format!("there is no such key; did you mean {meant}?"),
        None => "there is no such key".to_owned(),
    }
}

/// Reads the text of a variable as the type that the default has.
fn parse_like(default: &Value, text: &str) -> Result<Value, String> {
    match default {
        Value::Bool(_) => text.parse().map(Value::Bool).map_err(|_| format!("{text:?} is neither true nor false")),
        Value::Number(_) => parse_number(text).ok_or_else(|| format!("{text:?} is not a number")),
        Value::Array(items) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            match items.first() {
                Some(item) => parts.map(|part| parse_like(item, part)).collect::<Result<_, _>>().map(Value::Array),
                None => Ok(Value::Array(parts.map(Value::from).collect())),
            }
        }
        Value::Object(_) => Err("is a table, which a variable cannot set: use the file".to_owned()),
        Value::String(_) | Value::Null => Ok(Value::from(text)),
    }
}

/// What the text of a variable can mean where there is no default to say the type. Empty means: still none.
fn guesses(text: &str) -> Vec<Value> {
    if text.is_empty() {
        return vec![Value::Null];
    }
    let flag = text.parse().ok().map(Value::Bool);
    let list = Value::Array(text.split(',').map(|part| Value::from(part.trim())).collect());
    [Some(Value::from(text)), parse_number(text), flag, Some(list)].into_iter().flatten().collect()
}

fn parse_number(text: &str) -> Option<Value> {
    let whole = text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<i64>().map(Value::from));
    whole.ok().or_else(|| text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number))
}
