//! The command line: one file per verb.
//!
//! Exit codes are part of the interface: 0 done, 1 failed (all or in part), 2 nothing could be done, 64 a mistake in the
//! command line or the configuration (`EX_USAGE` of sysexits.h, for both, because flags are part of the configuration),
//! 130 interrupted by Ctrl-C. 3 is an answer, not a failure: what was asked about is not there.

mod terminal;

mod output;

mod original;

mod node;

mod address;

mod serve;

mod check_config;

mod health;

mod transcode;

mod inspect;

mod get;

mod put;

mod show;

mod refresh;

mod purge;

mod warm;

mod sign;

mod account;

mod limits;

mod password;

mod user;

mod completions;

#[cfg(test)]
mod tests;

use std::{future::Future, process::ExitCode};

use clap::{Parser, Subcommand};

use terminal::Terminal;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, all or in part; 2 nothing could be done (the node does not answer, or \
warm cannot read its list); 3 it is not there (tryget: not in the cache; show: the node knows nothing of it); 64 a mistake in the \
command line or the configuration; 130 interrupted by Ctrl-C";

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
    /// Say what a local file is, and the addresses of what a node makes of it
    Inspect(inspect::Arguments),
    /// Have a running node fetch, convert and speak what callers will hear, before anybody asks for it
    #[command(visible_alias = "prefetch", after_help = EXIT_CODES)]
    Warm(warm::Arguments),
    /// Get audio of a source from a running node, as a file
    #[command(after_help = EXIT_CODES)]
    Get(get::Arguments),
    /// The same, but only if the node has it: nothing is fetched for it
    #[command(name = "tryget", after_help = EXIT_CODES)]
    TryGet(get::Arguments),
    /// Give a running node a file, as a prompt with a name or as an upload
    #[command(after_help = EXIT_CODES)]
    Put(put::Arguments),
    /// Show what a running node knows of a source or an artifact
    #[command(after_help = EXIT_CODES)]
    Show(show::Arguments),
    /// Have a running node ask the origins of sources anew
    #[command(after_help = EXIT_CODES)]
    Refresh(refresh::Arguments),
    /// Have a running node get sources anew when they are asked for next, or remove what it keeps
    #[command(visible_aliases = ["remove", "delete"], after_help = EXIT_CODES)]
    Purge(purge::Arguments),
    /// Purge everything
    #[command(after_help = EXIT_CODES)]
    Clear(purge::ClearArguments),
    /// Print the signed address of a source, by the keys of a node and without asking it
    Sign(sign::Arguments),
    /// Administer accounts, keys and numbers, in the store of a node or a fleet
    #[command(after_help = EXIT_CODES)]
    Account(account::Arguments),
    /// Say how much may be in progress at once, in the store of a node or a fleet
    #[command(after_help = EXIT_CODES)]
    Limits(limits::Arguments),
    /// Administer people who sign in to allow applications, in the store of a node or a fleet
    #[command(after_help = EXIT_CODES)]
    User(user::Arguments),
    /// Print what a shell needs to complete the command line
    Completions(completions::Arguments),
    /// Print the manual page, or write those of all verbs to a directory
    Man(completions::ManArguments),
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
    /// What was asked about is not there.
    NotThere = 3,
    /// The command line or the configuration is wrong (`EX_USAGE`).
    Usage = 64,
    /// Ctrl-C came (128 + SIGINT).
    Interrupted = 130,
}

impl Exit {
    /// How a verb ends of which this was the last of several things: where others were done, it is not true that nothing was.
    fn after(self, any_done: bool) -> Exit {
        match self {
            Exit::NothingDone if any_done => Exit::Failed,
            exit => exit,
        }
    }
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
        Verb::Inspect(arguments) => inspect::run(&arguments, terminal),
        Verb::Warm(arguments) => block_on(warm::run(arguments, terminal))?,
        Verb::Get(arguments) => block_on(or_interrupted(get::run(&arguments, false, terminal)))?,
        Verb::TryGet(arguments) => block_on(or_interrupted(get::run(&arguments, true, terminal)))?,
        Verb::Put(arguments) => block_on(put::run(&arguments, terminal))?,
        Verb::Show(arguments) => block_on(show::run(&arguments, terminal))?,
        Verb::Refresh(arguments) => block_on(refresh::run(&arguments, terminal))?,
        Verb::Purge(arguments) => block_on(purge::run(arguments, terminal))?,
        Verb::Clear(arguments) => block_on(purge::clear(arguments, terminal))?,
        Verb::Sign(arguments) => sign::run(&arguments, terminal),
        Verb::Account(arguments) => block_on(account::run(arguments, terminal))?,
        Verb::Limits(arguments) => block_on(limits::run(arguments, terminal))?,
        Verb::User(arguments) => block_on(user::run(arguments, terminal))?,
        Verb::Completions(arguments) => completions::run(&arguments, terminal),
        Verb::Man(arguments) => completions::man(&arguments, terminal),
    }
}

/// Runs a client's work on one thread: it waits for a node and computes nothing.
fn block_on<F: Future>(work: F) -> anyhow::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// Does `work` until it is done or somebody ends the program: then what it has not brought to its end is dropped, files that wait for their
/// names among it.
async fn or_interrupted(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    tokio::select! {
        done = work => done,
        () = interrupted() => Ok(Exit::Interrupted),
    }
}

/// Waits for Ctrl-C, SIGTERM or SIGHUP.
async fn interrupted() {
    let of = |kind| async move {
        match tokio::signal::unix::signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            // It ends the program, as it does where nobody waits for it.
            Err(_) => std::future::pending().await,
        }
    };
    use tokio::signal::unix::SignalKind;
    tokio::select! {
        () = of(SignalKind::interrupt()) => {}
        () = of(SignalKind::terminate()) => {}
        () = of(SignalKind::hangup()) => {}
    }
}

/// Any bytes as an application's instruction document: for [`crate::testing::fuzz`].
pub(crate) fn fuzz_document(data: &[u8]) {
    warm::fuzz_document(data);
}

/// Reads `name:value`, the spelling that options of a format have in addresses.
fn parse_option(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME:VALUE, such as rate:16000".to_owned()),
    }
}
