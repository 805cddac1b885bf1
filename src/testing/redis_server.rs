//! A real Redis server for tests, as `scripts/install-needs` installs it, on a free port of 127.0.0.1. It keeps nothing on disk unless it is told to `SAVE`: started again, it is empty.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::clock::Clock;

/// Longest that a start may take, on a machine that is busy with other tests.
const START_MAX: Duration = Duration::from_secs(60);
/// How often a start is tried: another program may take the port between its choice and its use.
const TRIES_MAX: usize = 3;
/// Pause between two looks whether the server answers.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// Longest that a command of ours may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A server of its own. Dropping it kills it.
#[derive(Debug)]
pub struct RedisServer {
    home: TempDir,
    port: u16,
    running: Option<Child>,
}

impl RedisServer {
    /// A server that answers.
    ///
    /// # Errors
    /// It is not installed, or does not start; its own last words are told.
    pub async fn start() -> io::Result<RedisServer> {
        let mut server = RedisServer { home: tempfile::tempdir()?, port: free_port()?, running: None };
        for attempt in 1.. {
            match server.start_again().await {
                Err(error) if attempt == TRIES_MAX || error.kind() == io::ErrorKind::NotFound => return Err(error),
                Err(_) => server.port = free_port()?,
                Ok(()) => break,
            }
        }
        Ok(server)
    }

    /// Starts it where it was before, with what it was told to `SAVE`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.stop();
        let log = File::create(self.home.path().join("log"))?;
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(self.port.to_string())
            .arg("--dir")
            .arg(self.home.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("redis-server: {error}; scripts/install-needs test installs it"))
            })?;
        self.running = Some(child);
        let clock = Clock::system();
        let deadline = clock.now() + START_MAX;
        while self.tell("PING").is_err() {
            let ended = self.running.as_mut().and_then(|child| child.try_wait().transpose()).transpose()?;
            if ended.is_some() || deadline < clock.now() {
                self.stop();
                return Err(io::Error::other(format!("Redis does not start:\n{}", self.last_words())));
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Ok(())
    }

    /// Kills it.
    pub fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        child.kill().ok();
        child.wait().ok();
    }

    /// Has it do nothing more, without a word to anybody: connections stay, questions are not answered.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Has it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            kill_process(pid, signal).ok();
        }
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Child::id)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Its address, as `lease.url` takes it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Gives it a command and returns the first line of the answer, or all of it where it has a length.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub fn tell(&self, command: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address(), ANSWER_MAX)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let mut answers = BufReader::new(stream);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        if let Some(length) = line.strip_prefix('$').and_then(|length| length.trim().parse::<usize>().ok()) {
            let mut text = vec![0; length];
            answers.read_exact(&mut text)?;
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        match line.chars().next() {
            Some('+' | ':' | '*') => Ok(line.trim().to_owned()),
            _ => Err(io::Error::other(line)),
        }
    }

    fn last_words(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
