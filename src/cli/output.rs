//! Where a verb's audio goes: standard output, or a file that is replaced at once when all of it is there.

use std::{
    fs::{self, File, Permissions},
    io::{self, Seek as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// The name that stands for standard input and output.
pub(super) const STANDARD: &str = "-";

pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// What a path stands for.
#[derive(Debug)]
enum Place {
    /// A file, or nothing yet: this is its name, links resolved.
    File(PathBuf),
    /// A device, a pipe, or a link that leads nowhere yet: it is written to and not replaced.
    Other,
}

fn place(output: &Path) -> Place {
    match fs::metadata(output) {
        Ok(found) if found.is_file() => Place::File(fs::canonicalize(output).unwrap_or_else(|_| output.to_owned())),
        Ok(_) => Place::Other,
        Err(_) if fs::symlink_metadata(output).is_ok() => Place::Other,
        Err(_) => Place::File(output.to_owned()),
    }
}

/// The directory in which a file's bytes wait until they are all there: its own, so that they are moved and not copied.
pub(super) fn directory_of(output: &Path) -> PathBuf {
    match place(output) {
        _ if is_standard(output) => std::env::temp_dir(),
        Place::Other => std::env::temp_dir(),
        Place::File(file) => match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        },
    }
}

/// Puts what is whole into its place, of which [`directory_of`] is the directory.
pub(super) fn put(mut whole: NamedTempFile, output: &Path) -> io::Result<()> {
    match place(output) {
        Place::File(file) => whole.persist(file).map(drop).map_err(|error| error.error),
        Place::Other => {
            whole.rewind()?;
            let mut there = File::options().write(true).create(true).truncate(true).open(output)?;
            io::copy(whole.as_file_mut(), &mut there)?;
            there.flush()
        }
    }
}

/// A temporary file with the permissions that a file made by this user has, since it becomes one.
pub(super) fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".ringback-").permissions(Permissions::from_mode(0o666)).tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(output: &Path) -> NamedTempFile {
        let mut file = temporary(&directory_of(output)).unwrap();
        file.write_all(b"audio").unwrap();
        file
    }

    #[test]
    fn files_are_replaced_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("elsewhere")).unwrap();
        std::fs::write(path("elsewhere/old"), "old and longer").unwrap();
        for (link, to) in [("link", "elsewhere/old"), ("dangling", "elsewhere/new")] {
            std::os::unix::fs::symlink(path(to), path(link)).unwrap();
            put(whole(&path(link)), &path(link)).unwrap();
            assert!(path(link).is_symlink());
            assert_eq!(std::fs::read(path(to)).unwrap(), b"audio");
        }
        put(whole(&path("fresh")), &path("fresh")).unwrap();
        assert_eq!(std::fs::read(path("fresh")).unwrap(), b"audio");
        // A device stays what it is.
        let device = Path::new("/dev/null");
        put(whole(device), device).unwrap();
        assert!(!std::fs::metadata(device).unwrap().is_file());
        assert!(put(whole(directory.path()), directory.path()).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
    }
}
