//! Where a verb's audio goes: standard output, or a file that is replaced at once when all of it is there.

use std::{
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// The name that stands for standard input and output.
pub(super) const STANDARD: &str = "-";

pub(super) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// The directory in which a file's bytes wait until they are all there: its own, so that they are moved and not copied.
pub(super) fn directory_of(output: &Path) -> PathBuf {
    match output.parent() {
        _ if is_standard(output) => std::env::temp_dir(),
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A temporary file with the permissions that a file made by this user has, since it becomes one.
pub(super) fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".ringback-").permissions(Permissions::from_mode(0o666)).tempfile_in(directory)
}
