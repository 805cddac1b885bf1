//! Clients that others have made, as `scripts/test` installs them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

pub(crate) fn under_target(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/needs").join(path)
}

pub(crate) async fn run(mut command: Command) -> Output {
    command.env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("scripts/test installs the clients")
}

pub(crate) fn succeeded(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}
