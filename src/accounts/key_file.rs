//! The file of the keys that secrets rest on.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => match draw(path) {
            // Another process was first, and what it seals is sealed with its key.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
            drawn => drawn.map(|key| vec![key]),
        },
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
    write_private(path, &format!("{text}\n"), Over::Nothing)?;
    Ok(key)
}

/// What a file may be written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Nothing,
    Anything,
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// There is one of that name that it may not be written over ([`io::ErrorKind::AlreadyExists`]), or it cannot be written.
pub(super) fn write_private(path: &Path, text: &str, over: Over) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // For its owner alone from the beginning, under a name that no other process writes to.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match over {
        Over::Nothing => file.persist_noclobber(path)?,
        Over::Anything => file.persist(path)?,
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn processes_that_start_at_once_have_the_same_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let starts: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..16).map(|_| scope.spawn(|| read_or_draw(&path).unwrap())).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(starts.iter().all(|keys| keys.len() == 1 && *keys == starts[0]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Nothing is left of those who were late.
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
