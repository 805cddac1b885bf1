//! Asking the node: for many items whether it has them, for one to make it, as often as it takes.

use std::{
    collections::HashMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    cli::{
        address::SPEECH_OPTIONS,
        node::{FILL_RUNNING, Node, Refusal},
    },
    clock::Clock,
};

use super::{
    list::{Entry, Job, Wish},
    retry::Backoff,
};

/// How long one item may take with all its tries: a fetch that uses up its whole 300 s, and a minute for the rest.
const ITEM_TIMEOUT: Duration = Duration::from_secs(360);

/// Sources × formats that the node is asked about at once: it takes 1,024.
pub(super) const CHECKED_MAX: usize = 512;
/// Bytes of addresses and texts that it is asked about at once: it takes 1 MiB in all.
pub(super) const CHECKED_BYTES_MAX: usize = 256 << 10;
/// Items of a check that the node looks for at once: none of them waits for anybody else.
const CHECK_CONCURRENCY: usize = 8;

/// Longest line of an answer, in bytes. The node's are under two kilobytes.
const LINE_BYTES_MAX: usize = 64 << 10;

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
    /// The node cannot make it, or did not answer.
    Refused(Refusal),
}

impl Outcome {
    /// An item that cannot be asked for.
    pub(super) fn wrong(slug: &str, detail: String) -> Outcome {
        Outcome::Refused(Refusal { status: None, slug: slug.to_owned(), detail, retry_after: None })
    }

    /// Whether the node did not answer.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Outcome::Refused(refusal) if refusal.is_unreachable())
    }
}

/// What the node says about an artifact. What it says besides is not needed here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) bytes: u64,
    pub(super) duration_ms: u64,
}

/// A line of the answer to a check.
#[derive(Debug, Deserialize)]
struct Line {
    source: usize,
    format: String,
    #[serde(default)]
    media: Option<Answer>,
}

/// What the node has already, by place of the wish and format, and how long it took to say so.
pub(super) type Warm = HashMap<(usize, String), (Answer, Duration)>;

/// A node to ask.
pub(super) struct Client {
    node: Node,
    options: Vec<(String, String)>,
    retries: u32,
    backoff: Backoff,
    clock: Clock,
    /// Whether the node answers for many at once: those of an older version do not.
    checks: AtomicBool,
}

impl Client {
    /// A client of `node` that asks for formats with these options.
    pub(super) fn new(node: Node, retries: u32, options: Vec<(String, String)>) -> Client {
        let (backoff, clock) = (Backoff::default(), Clock::system());
        Client { node, options, retries, backoff, clock, checks: AtomicBool::new(true) }
    }

    /// The same client with a shorter wait between tries.
    #[cfg(test)]
    pub(super) fn with_backoff(self, backoff: Backoff) -> Client {
        Client { backoff, ..self }
    }

    /// The node's address.
    pub(super) fn node(&self) -> &str {
        self.node.address()
    }

    /// What of these wishes the node has. What cannot be told is not there: it is asked for one by one.
    pub(super) async fn check(&self, wishes: &[Wish], formats: &[String]) -> Warm {
        let mut warm = Warm::new();
        // Of one item nothing is saved.
        if wishes.len() * formats.len() < 2 || !self.checks.load(Ordering::Relaxed) {
            return warm;
        }
        // Options differ between what is fetched and what is spoken, and between texts: each kind is a request of its own.
        let mut kinds: Vec<(Map<String, Value>, Vec<usize>)> = Vec::new();
        for (place, wish) in wishes.iter().enumerate() {
            if matches!(wish.entry, Entry::NotASource { .. }) {
                continue;
            }
            let options = self.options_of(&wish.entry);
            match kinds.iter_mut().find(|(known, _)| *known == options) {
                Some((_, places)) => places.push(place),
                None => kinds.push((options, vec![place])),
            }
        }
        for (options, places) in kinds {
            let sources: Vec<Value> =
                places.iter().filter_map(|place| wishes.get(*place)).map(|wish| source_of(&wish.entry)).collect();
            let body = json!({
                "sources": sources, "formats": formats, "options": options,
                "concurrency": CHECK_CONCURRENCY, "only_if_cached": true,
            });
            let begun = self.clock.now();
            let request = self.node.request(Method::POST, "/v1/media/warm").json(&body);
            match self.node.send(request).await {
                Ok(response) => self.read_lines(response, &places, begun, &mut warm).await,
                Err(refusal) => {
                    if matches!(refusal.status, Some(404 | 405)) {
                        self.checks.store(false, Ordering::Relaxed);
                        return warm;
                    }
                }
            }
        }
        warm
    }

    /// Reads an answer as far as it goes: what did not come is asked for one by one.
    async fn read_lines(&self, mut response: Response, places: &[usize], begun: Instant, warm: &mut Warm) {
        let mut text = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            text.extend_from_slice(&piece);
            let Some(end) = text.iter().rposition(|byte| *byte == b'\n') else {
                if LINE_BYTES_MAX < text.len() {
                    return;
                }
                continue;
            };
            let rest = text.split_off(end + 1);
            let took = self.clock.now() - begun;
            for line in text.split(|byte| *byte == b'\n') {
                if let Ok(Line { source, format, media: Some(answer) }) = serde_json::from_slice(line)
                    && let Some(place) = places.get(source)
                {
                    warm.insert((*place, format), (answer, took));
                }
            }
            text = rest;
        }
    }

    /// Has the node make an item, and waits until it has. Cancel-safe: the node then does as it sees fit.
    pub(super) async fn make(&self, job: &Job) -> Outcome {
        if let Entry::NotASource { reason, .. } = &job.entry {
            return Outcome::wrong("bad-url", reason.clone());
        }
        let tries = self.try_until_settled(job);
        tokio::time::timeout(ITEM_TIMEOUT, tries)
            .await
            .unwrap_or_else(|_| Outcome::wrong("timeout", format!("not done within {} s", ITEM_TIMEOUT.as_secs())))
    }

    async fn try_until_settled(&self, job: &Job) -> Outcome {
        let body = json!({
            "source": source_of(&job.entry), "format": job.format, "options": self.options_of(&job.entry), "wait": true,
        });
        let mut tries = 0;
        loop {
            let refusal = match self.ask(&body).await {
                Ok(outcome) => return outcome,
                Err(refusal) => refusal,
            };
            let may_pass = refusal.is_unreachable() || matches!(refusal.status, Some(429 | 502 | 503 | 504));
            if !may_pass {
                return Outcome::Refused(refusal);
            }
            // That it is being made is no failure.
            if refusal.slug != FILL_RUNNING {
                if self.retries <= tries {
                    return Outcome::Refused(refusal);
                }
                tries += 1;
            }
            tokio::time::sleep(self.backoff.wait(tries, refusal.retry_after)).await;
        }
    }

    async fn ask(&self, body: &Value) -> Result<Outcome, Refusal> {
        let request = self.node.request(Method::POST, "/v1/media").json(body);
        let (status, answer) = self.node.ask_with_status(request).await?;
        Ok(Outcome::Made { already: status == StatusCode::OK, answer })
    }

    /// What is asked for besides the format: options of speech go with texts alone, and a text's own before those of the command line.
    fn options_of(&self, entry: &Entry) -> Map<String, Value> {
        let (is_text, own) = match entry {
            Entry::Text(spoken) => (true, spoken.options.as_slice()),
            _ => (false, [].as_slice()),
        };
        let general = self.options.iter().filter(|(name, _)| is_text || !SPEECH_OPTIONS.contains(&name.as_str()));
        let mut options: Map<String, Value> =
            general.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        options.extend(own.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))));
        options
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("node", &self.node).finish_non_exhaustive()
    }
}

/// A source as the node's interface has it.
fn source_of(entry: &Entry) -> Value {
    match entry {
        Entry::Source(url) => json!({ "url": url.as_str() }),
        Entry::Text(spoken) => json!({ "text": spoken.text }),
        Entry::NotASource { .. } => Value::Null,
    }
}
