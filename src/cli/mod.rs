//! The command line: one file per verb.
//!
//! Exit codes are part of the interface: 0 done, 1 failed (all or in part), 2 nothing could be done, 64 a mistake in the
//! command line or the configuration (`EX_USAGE` of sysexits.h, for both, because flags are part of the configuration),
//! 130 interrupted by Ctrl-C.

mod terminal;

mod serve;

mod check_config;

mod health;

mod transcode;

mod warm;

mod sign;

#[cfg(test)]
mod tests;

use std::{future::Future, process::ExitCode};

use clap::{Parser, Subcommand};

use terminal::Terminal;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, all or in part; 2 nothing could be done (warm: the node does not \
answer, or the list cannot be read); 64 a mistake in the command line or the configuration; 130 interrupted by Ctrl-C";

/// A media processing and caching node for telephony: a URL in, telephony audio out.
#[derive(Debug, Parser)]
#[command(name = "ringback", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the node
    Serve(serve::Arguments),
    /// Say what is wrong with the configuration, all at once, and start nothing
    CheckConfig(serve::Settings),
    /// Ask a running node whether it is ready
    Health(health::Arguments),
    /// Convert a local file the way the node would
    Transcode(transcode::Arguments),
    /// Have a running node fetch and convert sources before anybody asks for them
    #[command(alias = "prefetch", after_help = EXIT_CODES)]
    Warm(warm::Arguments),
    /// Print the signed address of a source, by the keys of a node and without asking it
    Sign(sign::Arguments),
}

/// How a verb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// All is well.
    Done = 0,
    /// It failed, or part of it.
    Failed = 1,
    /// Nothing could be done at all.
    NothingDone = 2,
    /// The command line or the configuration is wrong (`EX_USAGE`).
    Usage = 64,
    /// Ctrl-C came (128 + SIGINT).
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Runs the program with the process's own command line, environment and terminal.
pub fn main() -> ExitCode {
    let mut terminal = Terminal::of_process();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Failing to say it is no reason for another exit code.
            error.print().unwrap_or_default();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    // Fails only if one is installed already, and then that one serves as well.
    rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    run(arguments.verb, &mut terminal)
        .unwrap_or_else(|error| {
            terminal.complain(&format!("{error:#}"));
            Exit::Failed
        })
        .into()
}

fn run(verb: Verb, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    match verb {
        Verb::Serve(arguments) => serve::run(arguments, terminal),
        Verb::CheckConfig(settings) => check_config::run(settings, terminal),
        Verb::Health(arguments) => block_on(health::run(&arguments, terminal))?,
        Verb::Transcode(arguments) => transcode::run(&arguments, terminal),
        Verb::Warm(arguments) => block_on(warm::run(arguments, terminal))?,
        Verb::Sign(arguments) => sign::run(&arguments, terminal),
    }
}

/// Runs a client's work on one thread: it waits for a node and computes nothing.
fn block_on<F: Future>(work: F) -> anyhow::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// Reads `name:value`, the spelling that options of a format have in addresses.
fn parse_option(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME:VALUE, such as rate:16000".to_owned()),
    }
}
