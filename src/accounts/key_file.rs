//! The file of the keys that secrets rest on.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rand::Rng as _;

use super::seal::KEY_BYTES;

/// What it is called in the data directory.
pub(super) const FILE: &str = "accounts.key";
/// A file of keys is no longer than this.
const LENGTH_MAX: u64 = 64 << 10;

/// The keys in a file, one in each line; empty lines and those that begin with `#` say nothing.
///
/// # Errors
/// It cannot be read, or a line is no key.
pub(super) fn read(path: &Path) -> io::Result<Vec<[u8; KEY_BYTES]>> {
    let mut text = String::new();
    File::open(path)?.take(LENGTH_MAX).read_to_string(&mut text)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let not_a_key = || io::Error::new(io::ErrorKind::InvalidData, "a line is no key of 64 hexadecimal digits");
    lines.map(|line| parse(line).ok_or_else(not_a_key)).collect()
}

/// The keys in a file, which is made with a key that is drawn where there is none.
///
/// # Errors
/// It cannot be read or made, or a line is no key.
pub(super) fn read_or_draw(path: &Path) -> io::Result<Vec<[u8; KEY_BYTES]>> {
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => draw(path).map(|key| vec![key]),
        read => read,
    }
}

fn parse(line: &str) -> Option<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    let is_key = line.len() == 2 * KEY_BYTES && line.bytes().all(|digit| digit.is_ascii_hexdigit());
    for (byte, pair) in key.iter_mut().zip(line.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    is_key.then_some(key)
}

/// Draws a key and has it on stable storage under its name before anything is sealed with it.
fn draw(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let mut key = [0; KEY_BYTES];
    rand::rng().fill_bytes(&mut key);
    let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(path, &format!("{text}\n"))?;
    Ok(key)
}

/// Writes a file that only its owner may read, whole or not at all, and never over another.
///
/// # Errors
/// There is one of that name, or it cannot be written.
pub(super) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // Unlike a rename, a link fails where there is something.
    let linked = std::fs::hard_link(&unfinished, path);
    std::fs::remove_file(&unfinished)?;
    linked?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
