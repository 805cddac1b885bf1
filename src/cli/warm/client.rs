//! Asking the node for one item, as often as it takes.

use std::{fmt, time::Duration};

use anyhow::{Context as _, bail};
use reqwest::{Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::clock::Clock;

/// How long a connection to the node may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one item may take with all its tries: a fetch that uses up its whole 300 s, and a minute for the rest.
const ITEM_TIMEOUT: Duration = Duration::from_secs(360);

/// Wait before the second try; doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(250);

/// Longest wait between two tries, whatever the node says.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Longest answer that is read, in bytes. The node's are under a kilobyte.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The problem that means: ask again, I am at it. Does not count as a try.
const FILL_RUNNING: &str = "fill-running";

const PROBLEM_PREFIX: &str = "urn:ringback:problem:";

/// How an item ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The node has it.
    Made {
        /// Whether it had it before.
        already: bool,
        /// What it says about it.
        answer: Answer,
    },
    /// The node cannot make it.
    Failed {
        /// The kind of problem, one of few.
        slug: String,
        /// What happened, for people.
        detail: String,
    },
    /// The node did not answer.
    Unreachable {
        /// What happened, for people.
        detail: String,
    },
}

/// What the node says about an artifact. What it says besides is not needed here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) bytes: u64,
    pub(super) duration_ms: u64,
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

/// A try that did not succeed.
struct Refusal {
    outcome: Outcome,
    /// When to try again; `None` if that would not help.
    retry: Option<Retry>,
}

struct Retry {
    after: Option<Duration>,
    counts: bool,
}

/// A node to ask.
pub(super) struct Client {
    http: reqwest::Client,
    endpoint: Url,
    options: Map<String, Value>,
    retries: u32,
    backoff: Duration,
    clock: Clock,
}

impl Client {
    /// A client of the node at `node`.
    ///
    /// # Errors
    /// `node` is not the address of one.
    pub(super) fn new(node: &str, retries: u32, options: &[(String, String)]) -> anyhow::Result<Client> {
        let endpoint = Url::parse(&format!("{}/v1/media", node.trim_end_matches('/')))
            .with_context(|| format!("--node {node}"))?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            bail!("--node {node}: expected an address such as http://127.0.0.1:8080");
        }
        let http = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT).build()?;
        let options = options.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Ok(Client { http, endpoint, options, retries, backoff: BACKOFF, clock: Clock::system() })
    }

    /// The same client with a shorter wait between tries.
    #[cfg(test)]
    pub(super) fn with_backoff(self, backoff: Duration) -> Client {
        Client { backoff, ..self }
    }

    /// Has the node make `source` in `format`, and waits until it has. Cancel-safe: the node then does as it sees fit.
    pub(super) async fn warm(&self, source: &Url, format: &str) -> Outcome {
        let tries = self.try_until_settled(source, format);
        tokio::time::timeout(ITEM_TIMEOUT, tries).await.unwrap_or_else(|_| Outcome::Failed {
            slug: "timeout".to_owned(),
            detail: format!("not done within {} s", ITEM_TIMEOUT.as_secs()),
        })
    }

    async fn try_until_settled(&self, source: &Url, format: &str) -> Outcome {
        let body = serde_json::json!({
            "source": { "url": source.as_str() }, "format": format, "options": self.options, "wait": true,
        });
        let mut tries = 0;
        loop {
            let refusal = match self.ask(&body).await {
                Ok(outcome) => return outcome,
                Err(refusal) => refusal,
            };
            let Some(retry) = refusal.retry else { return refusal.outcome };
            if retry.counts {
                if tries >= self.retries {
                    return refusal.outcome;
                }
                tries += 1;
            }
            tokio::time::sleep(self.wait(tries, retry.after)).await;
        }
    }

    /// How long to wait before the next try: what the node says, or twice as long each time with up to half of it off, so
    /// that those refused together do not come back together.
    fn wait(&self, tries: u32, told: Option<Duration>) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << tries.saturating_sub(1).min(16));
        told.unwrap_or_else(|| doubled.mul_f64(1.0 - rand::random::<f64>() / 2.0)).min(BACKOFF_MAX)
    }

    async fn ask(&self, body: &Value) -> Result<Outcome, Refusal> {
        let unreachable = |error: reqwest::Error| Refusal {
            outcome: Outcome::Unreachable { detail: describe(error) },
            retry: Some(Retry { after: None, counts: true }),
        };
        let response = self.http.post(self.endpoint.clone()).json(body).send().await.map_err(unreachable)?;
        let status = response.status();
        let after = self.retry_after(&response);
        let bytes = read_bounded(response).await.map_err(unreachable)?;
        if status == StatusCode::OK || status == StatusCode::CREATED {
            return match serde_json::from_slice(&bytes) {
                Ok(answer) => Ok(Outcome::Made { already: status == StatusCode::OK, answer }),
                Err(error) => Ok(Outcome::Failed {
                    slug: "bad-answer".to_owned(),
                    detail: format!("{status}, and the body is not what a node answers: {error}"),
                }),
            };
        }
        let problem: ProblemAnswer = serde_json::from_slice(&bytes).unwrap_or_default();
        let slug = match problem.kind.strip_prefix(PROBLEM_PREFIX) {
            Some(slug) => slug.to_owned(),
            None => format!("status-{}", status.as_u16()),
        };
        let retry =
            matches!(status.as_u16(), 429 | 502 | 503 | 504).then(|| Retry { after, counts: slug != FILL_RUNNING });
        let detail = [problem.detail, problem.title].into_iter().find(|text| !text.is_empty());
        Err(Refusal { outcome: Outcome::Failed { slug, detail: detail.unwrap_or_else(|| status.to_string()) }, retry })
    }

    /// Source: RFC 9110 §10.2.3.
    fn retry_after(&self, response: &Response) -> Option<Duration> {
        let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        let seconds = text.parse().ok().map(Duration::from_secs);
        let moment = || httpdate::parse_http_date(text).ok();
        seconds.or_else(|| Some(moment()?.duration_since(self.clock.now_wall()).unwrap_or_default()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint.as_str()).finish_non_exhaustive()
    }
}

/// The first [`ANSWER_BYTES_MAX`] bytes or so of a body.
async fn read_bounded(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(bytes)
}

/// The error with its causes, which reqwest leaves out of its own text.
fn describe(error: reqwest::Error) -> String {
    format!("{:#}", anyhow::Error::from(error.without_url()))
}
