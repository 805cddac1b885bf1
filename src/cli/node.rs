//! A running node, as its clients on the command line see it: how it is asked, and what its refusals say.

use std::{fmt, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use url::Url;

use crate::clock::Clock;

use super::{Exit, terminal::Terminal};

/// How long a connection to the node may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nothing of an answer may come, from the beginning of the request on: a node may be set to wait for a fill for as long as one may take (`media.fill.wait`).
const READ_TIMEOUT: Duration = Duration::from_secs(360);

/// How often a node that is sent something long is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Longest answer other than audio that is read, in bytes: a page of a list of long addresses.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Longest problem that is read, in bytes. The node's are under a kilobyte.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// How long a fill is waited for that the node says goes on: one that uses up its whole 300 s, and a minute for the rest.
const FILL_TIMEOUT: Duration = Duration::from_secs(360);

/// Wait before the node is asked again where it does not say how long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The problem that means: ask again, I am at it.
pub(super) const FILL_RUNNING: &str = "fill-running";
/// The problem that means: it is not in the cache.
const NOT_CACHED: &str = "not-cached";
/// What an answer is called among them that is longer than is read.
pub(super) const LONG_ANSWER: &str = "long-answer";
/// What a node that did not answer is called among the kinds of problems.
pub(super) const UNREACHABLE: &str = "node-unreachable";

const PROBLEM_PREFIX: &str = "urn:ringback:problem:";

/// Which node.
#[derive(Debug, Args)]
pub(super) struct NodeArguments {
    /// The node
    #[arg(long, value_name = "URL", env = "RINGBACK_NODE", default_value = "http://127.0.0.1:8080")]
    pub(super) node: String,
}

impl NodeArguments {
    /// A client of this node.
    ///
    /// # Errors
    /// This is not the address of one.
    pub(super) fn client(&self) -> anyhow::Result<Node> {
        Node::new(&self.node)
    }

    /// The same, to send it bodies that take as long as they take.
    pub(super) fn client_for_sending(&self) -> anyhow::Result<Node> {
        Node::for_sending(&self.node)
    }
}

/// A node to ask.
pub(super) struct Node {
    http: reqwest::Client,
    /// Without a slash at the end.
    base: String,
    clock: Clock,
}

/// Why there is no answer of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP status, where the node answered.
    pub(super) status: Option<u16>,
    /// The kind of problem, one of few.
    pub(super) slug: String,
    /// What happened, for people.
    pub(super) detail: String,
    /// When the node wants to be asked again.
    pub(super) retry_after: Option<Duration>,
}

/// The body of a refusal (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProblemAnswer {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    detail: String,
}

impl Node {
    /// A client of the node at `address`.
    ///
    /// # Errors
    /// `address` is not that of one.
    pub(super) fn new(address: &str) -> anyhow::Result<Node> {
        Node::build(address, |client| client.read_timeout(READ_TIMEOUT))
    }

    /// The same without an end to the time until it answers, in which a body is sent: a node that is gone is noticed by its silence on the wire.
    fn for_sending(address: &str) -> anyhow::Result<Node> {
        Node::build(address, |client| client.tcp_keepalive(KEEPALIVE))
    }

    fn build(
        address: &str,
        set: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> anyhow::Result<Node> {
        let base = address.trim_end_matches('/').to_owned();
        let url = Url::parse(&base).with_context(|| format!("--node {address}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!("--node {address}: expected an address such as http://127.0.0.1:8080");
        }
        let client = set(reqwest::Client::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT));
        Ok(Node { http: client.build()?, base, clock: Clock::system() })
    }

    /// The address as it was given.
    pub(super) fn address(&self) -> &str {
        &self.base
    }

    /// A request for a path, which begins with `/`.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// The answer to a request, its body still to come.
    ///
    /// # Errors
    /// The node does not answer, or refuses.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Refusal> {
        let response = request.send().await.map_err(Refusal::unreachable)?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// The same of a request that may take a fill, which is waited for as long as the node says that it goes on.
    pub(super) async fn send_and_wait(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, Refusal> {
        let begun = self.clock.now();
        loop {
            match self.send(request()).await {
                Err(refusal) if refusal.slug == FILL_RUNNING && self.clock.now() - begun < FILL_TIMEOUT => {
                    tokio::time::sleep(refusal.retry_after.unwrap_or(AGAIN_AFTER)).await;
                }
                other => return other,
            }
        }
    }

    /// The answer to a request, as JSON.
    ///
    /// # Errors
    /// The node does not answer, refuses, or is no node.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Refusal> {
        self.ask_with_status(request).await.map(|(_, answer)| answer)
    }

    /// The same, and with which status.
    ///
    /// # Errors
    /// As [`ask`](Node::ask).
    pub(super) async fn ask_with_status<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, T), Refusal> {
        let response = self.send(request).await?;
        let status = response.status();
        let bytes = read_bounded(response, ANSWER_BYTES_MAX).await.map_err(Refusal::unreachable)?;
        if ANSWER_BYTES_MAX < bytes.len() {
            return Err(Refusal {
                status: Some(status.as_u16()),
                slug: LONG_ANSWER.to_owned(),
                detail: format!("the answer is longer than {} MiB", ANSWER_BYTES_MAX >> 20),
                retry_after: None,
            });
        }
        let answer = serde_json::from_slice(&bytes).map_err(|error| Refusal {
            status: Some(status.as_u16()),
            slug: "bad-answer".to_owned(),
            detail: format!("{status}, and the body is not what a node answers: {error}"),
            retry_after: None,
        })?;
        Ok((status, answer))
    }

    async fn refusal(&self, response: Response) -> Refusal {
        let status = response.status();
        let retry_after = self.retry_after(&response);
        let bytes = match read_bounded(response, PROBLEM_BYTES_MAX).await {
            Ok(bytes) => bytes,
            Err(error) => return Refusal::unreachable(error),
        };
        let problem: ProblemAnswer = serde_json::from_slice(&bytes).unwrap_or_default();
        let slug = match problem.kind.strip_prefix(PROBLEM_PREFIX) {
            Some(slug) => slug.to_owned(),
            None => format!("status-{}", status.as_u16()),
        };
        let detail = [problem.detail, problem.title].into_iter().find(|text| !text.is_empty());
        let detail = detail.unwrap_or_else(|| status.to_string());
        Refusal { status: Some(status.as_u16()), slug, detail, retry_after }
    }

    /// Source: RFC 9110 §10.2.3.
    fn retry_after(&self, response: &Response) -> Option<Duration> {
        retry_after(response, &self.clock)
    }
}

/// Whether an answer is audio as a node sends it, and not what something else answers under its address.
///
/// # Errors
/// `bad-answer`.
pub(super) fn is_of_a_node(response: &Response) -> Result<(), Refusal> {
    let status = response.status();
    let said = response.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Caches between add to the field what they did.
    let is_ours = said.split(',').any(|member| member.trim_start().starts_with("ringback"));
    let is_audio = matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE);
    if is_ours && is_audio {
        return Ok(());
    }
    let detail = format!("{status}, and it is not what a node answers (no Cache-Status of one)");
    Err(Refusal { status: Some(status.as_u16()), slug: "bad-answer".to_owned(), detail, retry_after: None })
}

/// When the sender of an answer wants to be asked again (RFC 9110 §10.2.3).
pub(super) fn retry_after(response: &Response, clock: &Clock) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    let moment = || httpdate::parse_http_date(text).ok();
    seconds.or_else(|| Some(moment()?.duration_since(clock.now_wall()).unwrap_or_default()))
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Refusal {
    /// That the node did not answer, or not to the end.
    pub(super) fn unreachable(error: reqwest::Error) -> Refusal {
        Refusal { status: None, slug: UNREACHABLE.to_owned(), detail: describe(error), retry_after: None }
    }

    /// Whether the node did not answer.
    pub(super) fn is_unreachable(&self) -> bool {
        self.slug == UNREACHABLE
    }

    /// How a verb ends that was refused.
    pub(super) fn exit(&self) -> Exit {
        match self.slug.as_str() {
            _ if self.is_unreachable() => Exit::NothingDone,
            NOT_CACHED => Exit::NotThere,
            _ => Exit::Failed,
        }
    }

    /// Tells a person, and with `json` a program as well; says how the verb ends.
    pub(super) fn tell(&self, subject: &str, json: bool, terminal: &mut Terminal) -> Exit {
        terminal.complain(&format!("{subject}: {self}"));
        if json {
            let told = json!({ "error": self.slug, "status": self.status, "detail": self.detail });
            // That it failed is told by the exit code, too.
            writeln!(terminal.out(), "{told}").and_then(|()| terminal.out().flush()).unwrap_or_default();
        }
        self.exit()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.slug, self.detail)
    }
}

/// The first bytes of a body: `bytes_max` or a little more.
pub(super) async fn read_bounded(mut response: Response, bytes_max: usize) -> reqwest::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        bytes.extend_from_slice(&piece);
        if bytes_max < bytes.len() {
            break;
        }
    }
    Ok(bytes)
}

/// The error with its causes, which reqwest leaves out of its own text.
pub(super) fn describe(error: reqwest::Error) -> String {
    format!("{:#}", anyhow::Error::from(error.without_url()))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_body_takes_as_long_as_it_takes() {
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Node::for_sending(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let slow = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            assert!(0 < connection.read(&mut request).await.unwrap());
            // What follows takes no time of ours.
            tokio::time::pause();
            tokio::time::advance(3 * READ_TIMEOUT).await;
            connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            connection
        };
        let (sent, _connection) = tokio::join!(node.send(node.request(Method::PUT, "/a").body("long")), slow);
        assert_eq!(sent.unwrap().status(), 204);
    }
}
