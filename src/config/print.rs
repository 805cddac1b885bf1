//! Showing what is in force.

use std::collections::BTreeMap;

use super::mistake::Origin;

/// Adds to each line of `text` that sets a key with a known origin that origin as a comment.
///
/// `text` is TOML as the serialiser writes it: one line a key, no dotted keys.
pub(super) fn with_origins(text: &str, origins: &BTreeMap<String, Origin>) -> String {
    let mut table = "";
    let mut printed = String::with_capacity(text.len());
    for line in text.lines() {
        printed.push_str(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name;
        } else if let Some((name, _)) = line.split_once(" = ") {
            let key = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
            if let Some(origin) = origins.get(&key) {
                printed.push_str(&format!("  # {origin}"));
            }
        }
        printed.push('\n');
    }
    printed
}
