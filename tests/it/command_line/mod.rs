//! What operators type, against real nodes: what each verb does there, prints, and ends with.

mod application;

mod resumed;

mod verbs;

use std::process::Output;

use crate::support::process;

/// What a command line came to.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: Vec<u8>,
    err: String,
}

impl Told {
    fn of(output: Output) -> Told {
        let err = String::from_utf8(output.stderr).unwrap();
        Told { code: output.status.code(), out: output.stdout, err }
    }

    /// What it printed.
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap().trim_end()
    }

    /// What it printed, as JSON.
    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs a command line to its end. On another thread: this one may have to answer it.
async fn ringback(arguments: &[&str]) -> Told {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let run = move || process::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    Told::of(tokio::task::spawn_blocking(run).await.unwrap())
}
