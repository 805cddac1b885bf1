//! `config/default.toml` says what the code does, and all of it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::config::{
    Config, Sources, file,
    key::{Key, is_table, leaves},
    load,
};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config")
}

/// A key as the document has it.
struct Documented {
    line: usize,
    /// As written after the equals sign.
    value: String,
    /// Whether it is commented out: a key without a default, with an example.
    example: bool,
    comment: bool,
}

/// Reads `key = value` and `#key = example`, one a line. (`# text` with a space is prose.)
fn read(text: &str) -> BTreeMap<String, Documented> {
    let mut table = "";
    let mut comment = false;
    let mut found = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let example = line.strip_prefix('#').filter(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase()));
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name;
        } else if let Some((name, value)) = example.unwrap_or(line).split_once(" = ")
            && !line.starts_with("# ")
        {
            let key = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
            let value = value.to_owned();
            let documented = Documented { line: index + 1, value, example: example.is_some(), comment };
            assert!(found.insert(key.clone(), documented).is_none(), "{key} stands there twice");
        }
        comment = line.starts_with("# ");
    }
    found
}

/// The value under `key` after the typed configuration has read `value` there: one spelling for `60s` and `1m`.
fn normal(key: &Key, value: Value) -> Result<Value, String> {
    let mut alone = Map::new();
    key.put(&mut alone, value);
    let config = Config::deserialize(Value::Object(alone)).map_err(|error| error.to_string())?;
    let tree = serde_json::to_value(config).map_err(|error| error.to_string())?;
    key.find(&tree).cloned().ok_or_else(|| "is gone".to_owned())
}

fn toml_value(text: &str) -> Result<Value, String> {
    let defaults = serde_json::json!({ "value": null });
    let mut entries = file::entries(&format!("value = {text}"), &defaults);
    entries.pop().ok_or("is empty")?.value
}

/// Everything in which `text` and the code differ.
fn differences(text: &str) -> Vec<String> {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let mut documented = read(text);
    let mut found = Vec::new();
    for (key, default) in leaves(&defaults) {
        let Some(entry) = documented.remove(&key.to_string()) else {
            found.push(format!("{key}: missing; UPDATE_EXPECT=1 puts it in, its comment is yours to write"));
            continue;
        };
        let mut differ = |text: String| found.push(format!("{key} (line {}): {text}", entry.line));
        if !entry.comment {
            differ("undocumented: a comment above it should say unit, default and reason".to_owned());
        }
        match toml_value(&entry.value).and_then(|value| normal(&key, value)) {
            Err(error) => differ(error),
            Ok(_) if entry.example && default.is_null() => {}
            Ok(_) if entry.example => differ(format!("commented out, but the code has the default {default}")),
            Ok(value) if value != *default => differ(format!("is {value}, but the code's default is {default}")),
            Ok(_) => {}
        }
    }
    found.extend(documented.iter().map(|(key, entry)| format!("{key} (line {}): no such key in the code", entry.line)));
    found
}

/// The document with the missing keys put at the end of their tables.
fn completed(text: &str) -> String {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let documented = read(text);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (key, default) in leaves(&defaults) {
        let key = key.to_string();
        if documented.contains_key(&key) {
            continue;
        }
        let (table, name) = key.rsplit_once('.').unwrap_or(("", &key));
        let line = match toml::Value::try_from(default) {
            Ok(value) if !default.is_null() => format!("{name} = {value}"),
            _ => format!("#{name} = \"\""),
        };
        let header = format!("[{table}]");
        let begin = match lines.iter().position(|line| *line == header) {
            Some(at) => at + 1,
            None if table.is_empty() => 0,
            None => {
                lines.extend([String::new(), header]);
                lines.len()
            }
        };
        let mut end = lines[begin..].iter().position(|line| line.starts_with('[')).map_or(lines.len(), |at| begin + at);
        while begin < end && lines[end - 1].is_empty() {
            end -= 1;
        }
        lines.splice(end..end, [String::new(), line]);
    }
    lines.join("\n") + "\n"
}

#[test]
fn default_toml_equals_the_code() {
    let path = directory().join("default.toml");
    let text = fs::read_to_string(&path).unwrap();
    let found = differences(&text);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, completed(&text)).unwrap();
    }
    assert!(found.is_empty(), "config/default.toml differs from the code:\n{}", found.join("\n"));
}

#[test]
fn default_toml_loads_as_the_defaults() {
    let sources = Sources { file: Some(directory().join("default.toml")), ..Sources::default() };
    let loaded = load::<Config>(&sources).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(loaded.config, Config::default());
}

/// A table that is named in the file takes what is not said there from its own type's default. Were the default of a
/// table around it different, naming one key would change the others.
#[test]
fn tables_have_one_default() {
    fn skeleton(node: &Value) -> Value {
        let tables = node.as_object().into_iter().flatten().filter(|(_, node)| is_table(node));
        Value::Object(tables.map(|(name, node)| (name.clone(), skeleton(node))).collect())
    }
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let of_tables = Config::deserialize(skeleton(&defaults)).unwrap();
    assert_eq!(of_tables, Config::default());
}

#[test]
fn differences_are_found() {
    let whole = fs::read_to_string(directory().join("default.toml")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from} is gone from default.toml");
        differences(&whole.replace(from, to))
    };
    let check = |found: Vec<String>, expected: &str| {
        assert!(found.len() == 1 && found[0].contains(expected), "{expected} is not what {found:?} says");
    };
    check(with("insecure_open = false\n", ""), "insecure_open: missing");
    check(with("insecure_open = false", "insecure_open = true"), "is true, but the code's default is false");
    check(with("insecure_open = false", "#insecure_open = false"), "commented out");
    check(with("insecure_open = false", "\ninsecure_open = false"), "undocumented");
    check(with("[observability]", "# More.\nmore = 1\n[observability]"), "more (line");
    check(with("format = \"auto\"", "format = \"xml\""), "unknown variant `xml`");
    assert!(with("drain_timeout = \"30s\"", "drain_timeout = \"30000ms\"").is_empty());
}

#[test]
fn missing_keys_are_put_in_their_table() {
    let whole = fs::read_to_string(directory().join("default.toml")).unwrap();
    let text = whole.replace("insecure_open = false\n", "").replace("format = \"auto\"\n", "");
    let text = text.replace("[media.audio]\n", "").replace("decoded_max = \"4h\"\n", "");
    let completed = completed(&text);
    let loaded: Config = toml::from_str(&completed).unwrap();
    assert_eq!(loaded, Config::default());
    let found = differences(&completed);
    assert!(found.iter().all(|text| text.contains("undocumented")), "{found:?}");
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn examples_are_valid() {
    let mut examples = 0;
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_string_lossy().starts_with("example-") {
            continue;
        }
        examples += 1;
        let loaded = load::<Config>(&Sources { file: Some(path.clone()), ..Sources::default() });
        // Their certificates are on the operator's machine.
        let mistakes = loaded.map_or_else(|mistakes| mistakes.0, |_| Vec::new());
        let wrong: Vec<_> = mistakes.iter().filter(|mistake| !mistake.key.starts_with("tls_")).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
    }
    assert!(examples > 0);
}
