//! A program that runs: its pipes without threads, its end without zombies.
//!
//! tokio has this in a feature of its own. It would be the only thing here that needs it, and it reaps what was dropped at some time later.
//! Here one thread of the runtime's pool stands by each process: it starts it, waits for its end and reaps it. Until it does, the
//! number of the process is its own, so that nobody else is ever killed.

use std::{
    ffi::OsString,
    io,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
};

/// Bytes of what it says on standard error that are kept.
const SAID_BYTES_MAX: usize = 1024;

/// A running program.
pub(super) struct Process {
    /// Its standard input.
    pub(super) input: pipe::Sender,
    /// Its standard output.
    pub(super) output: pipe::Receiver,
    /// That it runs. Dropped, it is killed.
    pub(super) running: Running,
}

/// Holds on to a program that runs.
pub(super) struct Running {
    hold: Hold,
    ended: oneshot::Receiver<io::Result<ExitStatus>>,
    said: JoinHandle<String>,
}

/// How a program ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// The beginning of what it said on standard error.
    pub(super) said: String,
}

/// The ends of its pipes, as the thread that started it hands them over.
type Pipes = (pipe::Sender, pipe::Receiver, pipe::Receiver);

/// What the program gets of the node's environment: where it and its data lie, and how text is written here.
const ENVIRONMENT: [&str; 7] = ["PATH", "HOME", "LD_LIBRARY_PATH", "ESPEAK_DATA_PATH", "LANG", "LC_ALL", "LC_CTYPE"];

impl Process {
    /// Starts a program with these arguments; one without a path is looked for in `PATH`.
    pub(super) async fn start(program: &Path, arguments: Vec<OsString>) -> io::Result<Process> {
        let mut command = Command::new(program);
        // A group of its own: an interrupt at the terminal is the node's to answer, and what it starts itself ends with it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // The node's own has credentials in it.
        command.env_clear();
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let hold = Hold::default();
        let (pipes, piped) = oneshot::channel();
        let (tell, ended) = oneshot::channel();
        // Made first, so that a caller who leaves while it is being started ends it as well.
        let guard = KillOnDrop(Some(hold.clone()));
        let supervised = hold.clone();
        drop(spawn_blocking(move || tell.send(supervise(command, &supervised, pipes)).ok()));
        let (input, output, error) = match piped.await {
            Ok(piped) => piped?,
            Err(_) => return Err(io::Error::other("the program could not be started")),
        };
        guard.defuse();
        Ok(Process { input, output, running: Running { hold, ended, said: tokio::spawn(first_words(error)) } })
    }
}

impl Running {
    /// Waits for its end, which is near once its output has ended.
    pub(super) async fn end(mut self) -> io::Result<Ended> {
        let lost = || io::Error::other("the program's end was not seen");
        let status = (&mut self.ended).await.map_err(|_| lost())??;
        let said = (&mut self.said).await.unwrap_or_default();
        Ok(Ended { status, said })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.hold.kill();
        self.said.abort();
    }
}

/// Kills unless told otherwise.
struct KillOnDrop(Option<Hold>);

impl KillOnDrop {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(hold) = &self.0 {
            hold.kill();
        }
    }
}

/// Runs on a thread of its own from the program's start to its end.
fn supervise(mut command: Command, hold: &Hold, pipes: oneshot::Sender<io::Result<Pipes>>) -> io::Result<ExitStatus> {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let again = io::Error::from(error.kind());
            pipes.send(Err(error)).ok();
            return Err(again);
        }
    };
    let pid = Pid::from_child(&child);
    hold.started(pid);
    let piped = take_pipes(&mut child);
    if piped.is_err() {
        hold.kill();
    }
    // Nobody there any more: whoever left has killed it.
    pipes.send(piped).ok();
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let waited = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), options));
    // What it has started may live on; the number is its own until it is reaped.
    hold.kill();
    hold.ended();
    waited?;
    child.wait()
}

fn take_pipes(child: &mut Child) -> io::Result<Pipes> {
    let missing = || io::Error::other("a pipe is missing");
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let error = child.stderr.take().ok_or_else(missing)?;
    Ok((
        pipe::Sender::from_owned_fd(input.into())?,
        pipe::Receiver::from_owned_fd(output.into())?,
        pipe::Receiver::from_owned_fd(error.into())?,
    ))
}

/// The beginning of what comes; the rest is read and forgotten, so that nobody waits for it.
async fn first_words(mut error: pipe::Receiver) -> String {
    let mut said = Vec::new();
    let mut room = [0; SAID_BYTES_MAX];
    while let Ok(read @ 1..) = error.read(&mut room).await {
        let left = SAID_BYTES_MAX - said.len();
        said.extend_from_slice(room.get(..read.min(left)).unwrap_or_default());
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// What is known of a process by those who may end it.
#[derive(Clone, Default)]
struct Hold(Arc<Mutex<State>>);

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Starting,
    /// It runs, or has ended and is not reaped: the number is its own.
    Running(Pid),
    /// It is to be killed as soon as it has a number.
    Unwanted,
    Ended,
}

impl Hold {
    fn started(&self, pid: Pid) {
        let mut state = self.lock();
        if matches!(*state, State::Unwanted) {
            kill(pid);
        }
        *state = State::Running(pid);
    }

    fn kill(&self) {
        let mut state = self.lock();
        match *state {
            State::Starting => *state = State::Unwanted,
            State::Running(pid) => kill(pid),
            State::Unwanted | State::Ended => {}
        }
    }

    fn ended(&self) {
        *self.lock() = State::Ended;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It and what it has started. One that is gone already is no mistake.
fn kill(pid: Pid) {
    rustix::process::kill_process_group(pid, Signal::KILL).ok();
}
