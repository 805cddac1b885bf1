//! The program itself as a child process: what signals, exit codes and a crash do cannot be seen from inside.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread::JoinHandle,
};

use ringback::testing::origin::Origin;

/// A running `ringback serve`. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: Option<JoinHandle<()>>,
    is_log_kept: bool,
    /// Where media and API are served.
    pub(crate) address: SocketAddr,
    /// Where metrics and health are served.
    pub(crate) ops_address: SocketAddr,
    /// Where the reverse proxy is served, if it is.
    pub(crate) proxy_address: Option<SocketAddr>,
}

impl Process {
    /// Starts a node on free ports and waits until it says that it is ready.
    pub(crate) fn start(data_dir: &Path, origin: &Origin) -> Process {
        Process::start_with(data_dir, &["--allow-origin", &origin.address().to_string()])
    }

    /// The same with other arguments.
    pub(crate) fn start_with(data_dir: &Path, arguments: &[&str]) -> Process {
        Process::start_in(data_dir, arguments, &[])
    }

    /// The same with settings in its environment, which come before what tests have otherwise.
    pub(crate) fn start_in(data_dir: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Process {
        Process::start_reading(command(), "127.0.0.1:0", (data_dir, arguments, settings), |_| {})
    }

    /// The same where another program starts it, and on another address.
    pub(crate) fn start_by(command: Command, listen: &str, given: (&Path, &[&str], &[(&str, &str)])) -> Process {
        Process::start_reading(command, listen, given, |_| {})
    }

    /// The same, with its log kept in a file, which is whole once this is dropped.
    pub(crate) fn start_logging(data_dir: &Path, arguments: &[&str], settings: &[(&str, &str)], log: &Path) -> Process {
        let mut file = std::fs::File::create(log).unwrap();
        let mut process =
            Process::start_reading(command(), "127.0.0.1:0", (data_dir, arguments, settings), move |line| {
                writeln!(file, "{line}").unwrap();
            });
        process.is_log_kept = true;
        process
    }

    fn start_reading(
        mut command: Command,
        listen: &str,
        (data_dir, arguments, settings): (&Path, &[&str], &[(&str, &str)]),
        mut read: impl FnMut(&str) + Send + 'static,
    ) -> Process {
        let mut child = command
            .args(["serve", "--listen", listen, "--ops-listen", listen])
            .args(arguments)
            .arg("--data-dir")
            .arg(data_dir)
            .env("RINGBACK_OBSERVABILITY__FORMAT", "json")
            .env("RINGBACK_MEDIA__CACHE__DISK", "256MiB")
            .env("RINGBACK_MEDIA__FILL__GRACE", "20s")
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).inspect(|line| read(line));
        let ready = { ready }.find(|line| line.contains("node is ready")).expect("it never was");
        // The rest of the log must go somewhere, or the node would wait for its reader.
        let log = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| read(&line)));
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        let address = |name: &str| ready[name].as_str().map(|address| address.parse().unwrap());
        Process {
            address: address("address").unwrap(),
            ops_address: address("ops_address").unwrap(),
            proxy_address: address("proxy_address"),
            child,
            log: Some(log),
            is_log_kept: false,
        }
    }

    /// The process, for `/proc`.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; returns how it ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }

    /// A path as an address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        // Elsewhere something that the node has started may hold on to it for longer.
        if let Some(log) = self.log.take().filter(|_| self.is_log_kept) {
            log.join().ok();
        }
    }
}

/// The program with an environment that knows nothing of the machine's settings.
pub(crate) fn command() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_ringback")))
}

/// The same, started by another program that ends its arguments with it.
pub(crate) fn command_by(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(env!("CARGO_BIN_EXE_ringback"));
    without_settings(command)
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGBACK_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

/// Starts the program, to be ended or waited for.
pub(crate) fn spawn(arguments: &[&str]) -> Child {
    command().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}
