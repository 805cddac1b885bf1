//! Keys as dotted paths into a tree of values, which keys there are, and which one was meant.

use std::fmt;

use serde_json::{Map, Value};

/// Longest key that a meaning is looked for, in characters: comparing takes time with the square of it.
const GUESSED_CHARS_MAX: usize = 100;

/// Path of a key: `media.cache.disk`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<String>);

impl Key {
    /// The key with this dotted spelling.
    pub(super) fn dotted(text: &str) -> Key {
        Key(text.split('.').map(str::to_owned).collect())
    }

    /// The key that the rest of a variable's name after `RINGBACK_` stands for: `MEDIA__CACHE__DISK`.
    pub(super) fn from_variable(rest: &str) -> Key {
        Key(rest.to_ascii_lowercase().split("__").map(str::to_owned).collect())
    }

    /// The key `name` in the table that `self` is.
    pub(super) fn child(&self, name: &str) -> Key {
        let mut path = self.0.clone();
        path.push(name.to_owned());
        Key(path)
    }

    /// The rest of the variable's name, after `RINGBACK_`.
    pub(super) fn variable(&self) -> String {
        self.0.join("__").to_ascii_uppercase()
    }

    /// What stands under this key in `tree`.
    pub(super) fn find<'a>(&self, tree: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(tree, |node, name| node.as_object()?.get(name))
    }

    /// Puts `value` under this key into `tree`, making the tables on the way.
    pub(super) fn put(&self, tree: &mut Map<String, Value>, value: Value) {
        let Some((last, tables)) = self.0.split_last() else { return };
        let mut node = tree;
        for name in tables {
            let next = node.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            match next {
                Value::Object(table) => node = table,
                _ => return,
            }
        }
        node.insert(last.clone(), value);
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Whether a node of the default tree is a table of known keys. An empty table is a value: its keys are the operator's.
pub(super) fn is_table(node: &Value) -> bool {
    node.as_object().is_some_and(|table| !table.is_empty())
}

/// Every key of the default tree that takes a value, with that value.
pub(super) fn leaves(tree: &Value) -> Vec<(Key, &Value)> {
    fn collect<'a>(at: &Key, node: &'a Value, found: &mut Vec<(Key, &'a Value)>) {
        match node.as_object() {
            Some(table) if at.0.is_empty() || !table.is_empty() => {
                table.iter().for_each(|(name, node)| collect(&at.child(name), node, found));
            }
            _ => found.push((at.clone(), node)),
        }
    }
    let mut found = Vec::new();
    collect(&Key::default(), tree, &mut found);
    found
}

/// The known key, table or value, that an unknown one was most likely meant to be.
pub(super) fn closest(tree: &Value, unknown: &Key) -> Option<Key> {
    let mut known: Vec<Key> = Vec::new();
    for (key, _) in leaves(tree) {
        for length in 1..=key.0.len() {
            known.push(Key(key.0[..length].to_vec()));
        }
    }
    known.sort();
    known.dedup();
    let mut ending = known.iter().filter(|key| key.0.ends_with(&unknown.0));
    if let (Some(only), None) = (ending.next(), ending.next()) {
        return Some(only.clone());
    }
    // Dots and underscores count as the same, for those who wrote `_` where a variable has `__`.
    let plain = |key: &Key| key.0.join("_");
    let asked = plain(unknown);
    if asked.len() > GUESSED_CHARS_MAX {
        return None;
    }
    let (distance, key) = known.iter().map(|key| (edit_distance(&asked, &plain(key)), key)).min()?;
    (distance <= 1 + asked.len() / 6).then(|| key.clone())
}

/// Fewest insertions, deletions, replacements and swaps of neighbours that make `a` into `b` (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            rows[i][j] = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
            }
        }
    }
    rows[a.len()][b.len()]
}
