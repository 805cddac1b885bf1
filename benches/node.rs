//! A node of a benchmark's own: the released program as a child process on free ports.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};
use ringback::testing::origin::Origin;
use tempfile::TempDir;

/// A node of its own, killed with this value.
pub(crate) struct Node {
    child: Child,
    address: SocketAddr,
    ops_address: SocketAddr,
    directory: Option<TempDir>,
}

impl Node {
    /// Starts a node on empty stores.
    pub(crate) fn start(binary: &str, origin: &Origin, settings: &[(&str, &str)]) -> Result<Node> {
        Node::start_for(binary, &origin.address().to_string(), settings)
    }

    /// The same with an origin of the benchmark's own, by its address.
    pub(crate) fn start_for(binary: &str, origin: &str, settings: &[(&str, &str)]) -> Result<Node> {
        Node::start_in(tempfile::tempdir()?, binary, origin, settings)
    }

    fn start_in(directory: TempDir, binary: &str, origin: &str, settings: &[(&str, &str)]) -> Result<Node> {
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory.path())
            .args(["--allow-origin", origin])
            .env("RINGBACK_OBSERVABILITY__FORMAT", "json")
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {binary}"))?;
        let mut lines = BufReader::new(child.stderr.take().context("no log")?).lines();
        let ready = lines.find_map(|line| line.ok().filter(|line| line.contains("node is ready")));
        // The log must be read to its end, or the node would wait; what it complains of is shown.
        std::thread::spawn(move || {
            let complains = |line: &String| line.contains("\"WARN\"") || line.contains("\"ERROR\"");
            lines.map_while(Result::ok).filter(complains).for_each(|line| eprintln!("{line}"));
        });
        let ready: serde_json::Value = serde_json::from_str(&ready.context("the node did not become ready")?)?;
        let address = ready["address"].as_str().context("no address in the log")?.parse()?;
        let ops_address = ready["ops_address"].as_str().context("no ops_address in the log")?.parse()?;
        Ok(Node { child, address, ops_address, directory: Some(directory) })
    }

    pub(crate) fn fetch(&self, source: &str, extension: &str) -> String {
        let source = source.replace(':', "%3A").replace('/', "%2F").replace('?', "%3F");
        format!("http://{}/fetch/_/-/plain/{source}.{extension}", self.address)
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Stops the node with SIGTERM and starts it again on its stores.
    pub(crate) fn restart(mut self, binary: &str, origin: &Origin, settings: &[(&str, &str)]) -> Result<Node> {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status()?;
        anyhow::ensure!(sent.success() && self.child.wait()?.success(), "the node did not stop");
        let directory = self.directory.take().context("no directory")?;
        Node::start_in(directory, binary, &origin.address().to_string(), settings)
    }

    /// The value of a metric without labels; 0 where there is none.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let text = reqwest::get(format!("http://{}/metrics", self.ops_address)).await?.text().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        Ok(value.unwrap_or_default())
    }

    /// Where media and API are served.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its data directory.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        self.directory.as_ref().map(TempDir::path)
    }

    /// The process, for `/proc`.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU of the process, all threads, to a hundredth of a second.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Behind the name, which may have spaces: state, and then the eleventh and twelfth.
        let behind = stat.rsplit_once(") ").context("no name")?.1;
        let ticks = behind.split(' ').skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks / 100.0)
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
