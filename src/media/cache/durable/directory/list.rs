//! Objects in the order of their names, of a tree of files.

use std::{fs, io, path::Path, time::SystemTime, vec};

use super::{super::store::Listed, ObjectKey, absent_is_none};

/// A file, or a folder on the way to files.
struct Entry {
    /// From the root on; that of a folder ends with `/`, which puts it where the names of its objects belong.
    name: String,
    is_folder: bool,
}

/// The first `limit` objects whose names begin with `prefix` and come after `after`.
///
/// **Cost**: the entries of each folder on the way are in memory, those that cannot be meant left out. Folders that cannot hold what is
/// meant are not read.
pub(super) fn list(root: &Path, prefix: &str, after: &str, limit: usize) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    // One for each folder between the root and where the walk is.
    let mut open: Vec<vec::IntoIter<Entry>> = vec![entries(root, "", prefix, after)?.into_iter()];
    while let Some(entries_left) = open.last_mut()
        && found.len() < limit
    {
        match entries_left.next() {
            None => drop(open.pop()),
            Some(entry) if entry.is_folder => open.push(entries(root, &entry.name, prefix, after)?.into_iter()),
            Some(entry) => found.extend(object(root, entry.name)?),
        }
    }
    Ok(found)
}

/// What of the folder `name` may be meant, in order.
fn entries(root: &Path, name: &str, prefix: &str, after: &str) -> io::Result<Vec<Entry>> {
    // A folder that was there a moment ago may have been emptied and removed.
    let Some(read) = absent_is_none(fs::read_dir(root.join(name)))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in read {
        let entry = entry?;
        let Some(own) = entry.file_name().into_string().ok().filter(|own| !own.starts_with('.')) else { continue };
        let kind = entry.file_type()?;
        let is_folder = kind.is_dir();
        if !is_folder && !kind.is_file() {
            continue;
        }
        let name = format!("{name}{own}{}", if is_folder { "/" } else { "" });
        if may_be_meant(&name, is_folder, prefix, after) {
            found.push(Entry { name, is_folder });
        }
    }
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn may_be_meant(name: &str, is_folder: bool, prefix: &str, after: &str) -> bool {
    if is_folder {
        let has_prefix = name.starts_with(prefix) || prefix.starts_with(name);
        has_prefix && (after < name || after.starts_with(name))
    } else {
        name.starts_with(prefix) && after < name
    }
}

/// Nothing where it has been removed in the meantime, and where somebody else put it there.
fn object(root: &Path, name: String) -> io::Result<Option<Listed>> {
    let Some(meta) = absent_is_none(fs::metadata(root.join(&name)))? else { return Ok(None) };
    let listed = |key| Listed { key, length: meta.len(), modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH) };
    Ok(ObjectKey::new(name).ok().map(listed))
}
