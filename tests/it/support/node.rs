//! A whole node inside the test process, on free ports, with a data directory of its own.

use std::{sync::OnceLock, time::Duration};

use http::{HeaderMap, Method, StatusCode};
use ringback::{
    app::Node,
    config::Config,
    observability::{self, Metrics},
    testing::origin::Origin,
    units::ByteCount,
};
use tempfile::TempDir;

/// A node that a test owns, and a client for it.
pub(crate) struct TestNode {
    pub(crate) node: Node,
    client: reqwest::Client,
    directory: TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    /// Without the audio.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}, {} bytes", self.status, self.headers, self.body.len())
    }
}

impl Answer {
    /// A header's text; empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The slug of a problem.
    pub(crate) fn slug(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store");
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status.as_u16());
        problem["type"].as_str().unwrap().strip_prefix("urn:ringback:problem:").unwrap().to_owned()
    }
}

/// Small stores, so that a test run fits any machine.
pub(crate) fn config(directory: &std::path::Path) -> Config {
    let mut config = Config::default();
    config.listen.set_port(0);
    config.ops_listen.set_port(0);
    config.data_dir = directory.to_owned();
    config.drain_timeout = Duration::from_secs(5);
    config.media.cache.memory = ByteCount::mib(64);
    // A test machine under load must not turn whole answers into streamed ones: tests of streaming say so.
    config.media.fill.grace = Duration::from_secs(20);
    config.media.cache.disk = ByteCount::mib(256);
    config
}

/// The recorder is the process's: all nodes of the test binary share it.
pub(crate) fn metrics() -> Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(|| observability::install_metrics().unwrap()).clone()
}

impl TestNode {
    /// A node that may fetch from `origin`.
    pub(crate) async fn start(origin: &Origin) -> TestNode {
        TestNode::start_with(origin, |_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn start_with(origin: &Origin, adjust: impl FnOnce(&mut Config)) -> TestNode {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path());
        config.outbound.allow_origins = vec![origin.address().to_string()];
        adjust(&mut config);
        let node = TestNode::start_in(directory, config).await;
        origin.keep_time(&node.node.clock);
        node
    }

    async fn start_in(directory: TempDir, config: Config) -> TestNode {
        ringback::outbound::install_crypto_provider();
        let node = Node::start(config, metrics()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        TestNode { node, client, directory }
    }

    /// Stops the node and starts it again on the same data.
    pub(crate) async fn restart(self, origin: &Origin) -> TestNode {
        self.restart_after(origin, |_| {}).await
    }

    /// The same, with something done to the data in between.
    pub(crate) async fn restart_after(self, origin: &Origin, between: impl FnOnce(&std::path::Path)) -> TestNode {
        self.node.stop().await;
        between(self.directory.path());
        let mut config = config(self.directory.path());
        config.outbound.allow_origins = vec![origin.address().to_string()];
        TestNode::start_in(self.directory, config).await
    }

    /// The same, with other settings from then on.
    pub(crate) async fn restart_with(self, origin: &Origin, adjust: impl FnOnce(&mut Config)) -> TestNode {
        self.node.stop().await;
        let mut config = config(self.directory.path());
        config.outbound.allow_origins = vec![origin.address().to_string()];
        adjust(&mut config);
        TestNode::start_in(self.directory, config).await
    }

    /// Its data directory.
    pub(crate) fn data_dir(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Stops the node, and does something before its data goes.
    pub(crate) async fn stop_then(self, then: impl FnOnce()) {
        self.node.stop().await;
        then();
    }

    /// What `/health/ready` says.
    pub(crate) async fn ready(&self) -> Answer {
        self.send(self.client.get(format!("http://{}/health/ready", self.node.ops_address))).await
    }

    /// Stops the node.
    pub(crate) async fn stop(self) {
        self.node.stop().await;
    }

    /// Returns when no fill of this node holds a spool any more: then none is left over.
    pub(crate) async fn settled(&self) {
        let settled = async {
            while self.node.spooled() > 0 || self.open_spools() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), settled).await.expect("every fill lets go of its spools");
    }

    /// Those that are not short have files, without names: only the open files of the process tell how many there are.
    fn open_spools(&self) -> usize {
        let spools = self.directory.path().join("spool");
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = open.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        targets.filter(|target| target.starts_with(&spools)).count()
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.node.address)
    }

    /// A request without a body.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// The answer to a GET.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// The answer to a GET with a header.
    pub(crate) async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        self.send(self.request(Method::GET, path).header(name, value)).await
    }

    /// What comes back on the wire, to the end of the connection: for what an HTTP client would hide.
    pub(crate) async fn raw(&self, request: &str) -> Vec<u8> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.node.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    /// The same, with nothing more from us after the request.
    pub(crate) async fn raw_and_end(&self, request: &str) -> Vec<u8> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.node.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    }

    /// The answer to `POST /v1/media`.
    pub(crate) async fn post(&self, body: &serde_json::Value) -> Answer {
        self.send(self.request(Method::POST, "/v1/media").body(body.to_string())).await
    }

    /// The answer to any request.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.unwrap().to_vec();
        Answer { status, headers, body }
    }
}

/// The address under which a node serves `source` with this extension.
pub(crate) fn fetch_path(source: &str, extension: &str) -> String {
    fetch_path_with(source, "-", extension)
}

/// The same with options.
pub(crate) fn fetch_path_with(source: &str, options: &str, extension: &str) -> String {
    let escaped: String = source
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("/fetch/_/{options}/plain/{escaped}.{extension}")
}
