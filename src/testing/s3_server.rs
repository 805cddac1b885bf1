//! A real S3 server for tests: SeaweedFS, as `scripts/install-seaweedfs` installs it under `target/needs`.
//!
//! Its start takes some three seconds, so tests that need it are few and long. All of its ports are free ones of 127.0.0.1, and what it
//! writes is in a temporary directory, but for sockets in `/tmp` that its end removes.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use aws_sdk_s3::primitives::ByteStream;
use tempfile::TempDir;

use crate::clock::Clock;

/// Access key of the one user, who may do everything.
pub const ACCESS_KEY: &str = "ringback-test";
/// Secret key of that user.
pub const SECRET_KEY: &str = "ringback-test-secret";

/// Longest that a start may take, on a machine that is busy with other tests.
const START_MAX: Duration = Duration::from_secs(60);
/// How often a start is tried: another program may take a port between its choice and its use.
const TRIES_MAX: usize = 3;
/// Pause between two looks whether the server answers.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Where it is tried whether it works.
const READY_BUCKET: &str = "ready";

/// What listens, in the order of `Ports`: the name of its option.
const LISTENERS: [&str; 4] = ["master", "volume", "filer", "s3"];

/// A server of its own. Dropping it kills it, and its data goes with it.
#[derive(Debug)]
pub struct S3Server {
    data: TempDir,
    ports: Ports,
    running: Option<Child>,
}

/// For each listener the port of HTTP and the one of gRPC.
type Ports = [(u16, u16); LISTENERS.len()];

impl S3Server {
    /// A server that answers.
    ///
    /// # Errors
    /// It is not installed, or does not start; its own last words are told.
    pub async fn start() -> io::Result<S3Server> {
        let data = tempfile::tempdir()?;
        fs::write(data.path().join("s3.json"), users())?;
        let mut server = S3Server { data, ports: free_ports()?, running: None };
        for attempt in 1.. {
            match server.start_again().await {
                Err(error) if attempt == TRIES_MAX || error.kind() == io::ErrorKind::NotFound => return Err(error),
                Err(_) => server.ports = free_ports()?,
                Ok(()) => break,
            }
        }
        Ok(server)
    }

    /// Starts it where it was before, with what it held.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&mut self) -> io::Result<()> {
        self.stop();
        let child = self.command().spawn().map_err(|error| {
            let hint = format!("{}: {error}; scripts/install-seaweedfs installs it", program().display());
            io::Error::new(error.kind(), hint)
        })?;
        self.running = Some(child);
        let clock = Clock::system();
        let deadline = clock.now() + START_MAX;
        while !(self.answers() && self.keeps().await) {
            let ended = self.running.as_mut().and_then(|child| child.try_wait().transpose()).transpose()?;
            if ended.is_some() || deadline < clock.now() {
                self.stop();
                return Err(io::Error::other(format!("SeaweedFS does not start:\n{}", self.last_words())));
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Ok(())
    }

    /// Kills it. What it has acknowledged is there when it starts again.
    pub fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        child.kill().ok();
        child.wait().ok();
        for (name, (_, grpc)) in LISTENERS.iter().zip(self.ports) {
            fs::remove_file(format!("/tmp/seaweedfs-{name}-grpc-{grpc}.sock")).ok();
        }
    }

    /// URL of the server. Buckets are named in the path.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Directory with all that it holds.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn create_bucket(&self, name: &str) -> io::Result<()> {
        self.client().create_bucket().bucket(name).send().await.map(drop).map_err(io::Error::other)
    }

    /// A client of the one user, to look at what others do.
    pub fn client(&self) -> aws_sdk_s3::Client {
        use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
        let settings = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .region(Region::from_static("us-east-1"))
            .endpoint_url(self.endpoint())
            .force_path_style(true);
        aws_sdk_s3::Client::from_conf(settings.build())
    }

    fn address(&self) -> SocketAddr {
        let [.., (port, _)] = self.ports;
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    fn command(&self) -> Command {
        let data = self.data.path();
        let mut command = Command::new(program());
        command.args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]);
        command.arg(format!("-dir={}", data.display()));
        for (name, (http, grpc)) in LISTENERS.iter().zip(self.ports) {
            command.arg(format!("-{name}.port={http}")).arg(format!("-{name}.port.grpc={grpc}"));
        }
        for name in ["filer", "s3"] {
            command.arg(format!("-{name}.localSocket={}", data.join(name).with_extension("sock").display()));
        }
        command.arg(format!("-s3.config={}", data.join("s3.json").display()));
        // What else it would listen to, and whom it would tell of itself.
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-master.telemetry=false"]);
        // Small volumes: a bucket takes several at once.
        command.args(["-master.volumeSizeLimitMB=64", "-volume.max=100", "-volume.minFreeSpace=1MiB"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        match File::create(data.join("log")) {
            Ok(log) => command.stderr(log),
            Err(_) => command.stderr(Stdio::null()),
        };
        command
    }

    /// Whether it refuses a stranger, as it does when it is ready.
    fn answers(&self) -> bool {
        let ask = || -> io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&self.address(), Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.split_whitespace().nth(1) == Some("403"))
    }

    /// Whether it writes and reads: what holds the bytes joins a moment after what answers.
    async fn keeps(&self) -> bool {
        let (client, body) = (self.client(), ByteStream::from_static(b"?"));
        client.create_bucket().bucket(READY_BUCKET).send().await.ok();
        let put = client.put_object().bucket(READY_BUCKET).key("ready").body(body).send().await;
        put.is_ok() && client.get_object().bucket(READY_BUCKET).key("ready").send().await.is_ok()
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/needs/seaweedfs/weed")
}

fn users() -> String {
    serde_json::json!({ "identities": [{
        "name": "test",
        "credentials": [{ "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY }],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }] })
    .to_string()
}

/// Ports that nobody listens to. All are held until the last is chosen, so that they differ.
fn free_ports() -> io::Result<Ports> {
    let mut held = Vec::new();
    let mut free = || -> io::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        held.push(listener);
        Ok(port)
    };
    let mut ports = Ports::default();
    for (http, grpc) in &mut ports {
        (*http, *grpc) = (free()?, free()?);
    }
    debug_assert!(ports.iter().flat_map(|(http, grpc)| [http, grpc]).collect::<HashSet<_>>().len() == 2 * ports.len());
    Ok(ports)
}
