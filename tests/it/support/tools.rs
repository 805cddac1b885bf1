//! Other programs that judge our audio. `scripts/install-needs test` installs them; a test fails where one is missing.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Runs a program in a directory to its end and gives back what it printed.
///
/// It must succeed and complain of nothing.
pub(crate) fn tool<S: AsRef<OsStr>>(
    directory: &Path,
    program: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run ({error}): scripts/install-needs test installs it"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{command:?}: {}\n{complaint}", output.status);
    output.stdout
}

/// The same for a command line without blanks in its words.
fn line(directory: &Path, line: &str) -> Vec<u8> {
    let mut words = line.split_whitespace();
    tool(directory, words.next().unwrap(), words)
}

pub(crate) fn text(printed: Vec<u8>) -> String {
    String::from_utf8(printed).unwrap().trim().to_owned()
}

/// A directory to work in.
pub(crate) struct Work(TempDir);

impl Work {
    pub(crate) fn new() -> Work {
        Work(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    pub(crate) fn run(&self, command: &str) -> Vec<u8> {
        line(self.path(), command)
    }

    /// What a program that must succeed writes to standard error.
    pub(crate) fn complaints(&self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        let output = command.args(words).current_dir(self.path()).stdin(Stdio::null()).output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}: {complaints}");
        complaints
    }

    pub(crate) fn ffmpeg(&self, arguments: &str) -> Vec<u8> {
        self.run(&format!("ffmpeg -nostdin -v error -bitexact -y {arguments}"))
    }
}

/// What `ffprobe` says of the first audio of a file.
pub(crate) struct Probed {
    pub(crate) rate: u64,
    pub(crate) channels: u64,
}

pub(crate) fn ffprobe(file: &str) -> Probed {
    let entries = "-v quiet -select_streams a:0 -show_entries stream=sample_rate,channels -of csv=p=0";
    let printed = text(tool(Path::new("/"), "ffprobe", entries.split(' ').chain([file])));
    let mut numbers = printed.lines().next().unwrap().split(',').map(|number| number.parse().unwrap());
    Probed { rate: numbers.next().unwrap(), channels: numbers.next().unwrap() }
}
