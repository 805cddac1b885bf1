//! A real PostgreSQL server for tests, as `scripts/install-needs` installs it.
//!
//! It listens on a socket in a temporary directory, where its data lie, too. It may not run as root; where the tests do, it runs as the user that
//! its package makes.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::clock::Clock;

/// Longest that a start may take, on a machine that is busy with other tests.
const START_MAX: Duration = Duration::from_secs(60);
/// Pause between two looks whether the server answers.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Names the socket.
const PORT: &str = "5432";

/// A server of its own. Dropping it kills it, and its data goes with it.
#[derive(Debug)]
pub struct PostgresServer {
    home: TempDir,
    /// As whom it runs, where that is not us.
    user: Option<(u32, u32)>,
    running: Option<Child>,
}

impl PostgresServer {
    /// A server that answers, with one empty database.
    ///
    /// # Errors
    /// It is not installed, or does not start; its own last words are told.
    pub async fn start() -> io::Result<PostgresServer> {
        let home = tempfile::tempdir()?;
        let user = if rustix::process::getuid().is_root() { Some(user_of_package()?) } else { None };
        if let Some((user, group)) = user {
            chown(home.path(), Some(user), Some(group))?;
        }
        let mut server = PostgresServer { home, user, running: None };
        let made = server
            .command("initdb")?
            .args(["--username=ringback", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--pgdata"])
            .arg(server.data())
            .output()?;
        if !made.status.success() {
            return Err(io::Error::other(format!("initdb: {}", String::from_utf8_lossy(&made.stderr))));
        }
        server.start_again().await?;
        Ok(server)
    }

    /// Starts it where it was before, with what it held.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.stop();
        let log = fs::File::create(self.home.path().join("log"))?;
        let child = self
            .command("postgres")?
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.home.path())
            // What a kill may lose is not what these tests are about.
            .args(["-h", "", "-p", PORT, "-c", "fsync=off", "-c", "max_connections=200"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.running = Some(child);
        let clock = Clock::system();
        let deadline = clock.now() + START_MAX;
        loop {
            let asked =
                self.command("pg_isready")?.arg("-h").arg(self.home.path()).args(["-p", PORT, "-q"]).status()?;
            if asked.success() {
                return Ok(());
            }
            let ended = self.running.as_mut().and_then(|child| child.try_wait().transpose()).transpose()?;
            if ended.is_some() || deadline < clock.now() {
                self.stop();
                return Err(io::Error::other(format!("PostgreSQL does not start:\n{}", self.last_words())));
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Ends it at once and cuts all connections. What it has acknowledged is there when it starts again.
    pub fn stop(&mut self) {
        self.resume();
        let Some(mut child) = self.running.take() else { return };
        // SIGQUIT: the processes of its connections end, too, which they do not where only the first is killed.
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::QUIT).ok();
        }
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

    /// To the server, and then to the processes of its connections, which are in groups of their own.
    fn signal(&self, signal: Signal) {
        let Some(server) = self.running.as_ref().map(Child::id) else { return };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let children = numbers.filter(|number| parent_of(*number) == Some(server));
        for pid in [server].into_iter().chain(children) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                kill_process(pid, signal).ok();
            }
        }
    }

    /// The address of its database, as `store.url` takes it.
    pub fn url(&self) -> String {
        let home = self.home.path().display().to_string();
        let socket: String = url::form_urlencoded::byte_serialize(home.as_bytes()).collect();
        format!("postgres://ringback@localhost:{PORT}/postgres?host={socket}")
    }

    /// Everything in the database, as text.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn dump(&self) -> io::Result<Vec<u8>> {
        let dump = self
            .command("pg_dump")?
            .arg("-h")
            .arg(self.home.path())
            .args(["-p", PORT, "-U", "ringback", "postgres"])
            .output()?;
        if !dump.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&dump.stderr).into_owned()));
        }
        Ok(dump.stdout)
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn command(&self, program: &str) -> io::Result<Command> {
        let mut command = Command::new(programs()?.join(program));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir(self.home.path()).stdin(Stdio::null()).process_group(0);
        Ok(command)
    }

    fn last_words(&self) -> String {
        let mut log = String::new();
        if let Ok(file) = fs::File::open(self.home.path().join("log")) {
            file.take(1 << 16).read_to_string(&mut log).ok();
        }
        log
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn parent_of(process: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field, a name in parentheses, may have spaces.
    text.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// Debian keeps the programs of each version in a folder of their own, outside of all paths.
fn programs() -> io::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    newest.ok_or_else(|| io::Error::other("PostgreSQL is not installed; scripts/install-needs test installs it"))
}

/// User and group of `postgres`.
fn user_of_package() -> io::Result<(u32, u32)> {
    let users = fs::read_to_string(Path::new("/etc/passwd"))?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == "postgres");
    let number = |position: usize| fields.as_ref().and_then(|fields| fields.get(position)?.parse().ok());
    number(2).zip(number(3)).ok_or_else(|| io::Error::other("there is no user postgres, as whom PostgreSQL could run"))
}
