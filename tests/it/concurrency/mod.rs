//! Concurrency limits from outside: real requests at one node and at several that share a real Redis.

mod alerts;

mod allowed;

mod alone;

mod answers;

mod apart;

mod fleet;

mod giving;

mod hits;

mod leaving;

mod libraries;

mod limits;

mod owners;

mod paused;

mod reserve;

use std::time::Duration;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http::{Method, StatusCode};
use ringback::{
    accounts::{Accounts, Actor},
    api::Anonymous,
    concurrency::{Limit, Resource},
    config::Config,
    lease::RedisUrl,
    store::StoreUrl,
    testing::{
        fixture,
        origin::{Body, Gate, Origin, Reply},
        postgres_server::PostgresServer,
        redis_server::RedisServer,
    },
};
use serde_json::Value;

use crate::{
    accounts::{Credentials, post},
    support::node::{Answer, TestNode, fetch_path},
};

/// How long something may take that happens by itself, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A thousand sockets at both ends: more than the usual soft limit of open files.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
}

/// Gives each account a limit.
fn limit_of_accounts(config: &mut Config, resource: Resource, limit: Limit) {
    config.concurrency.limits.account.insert(resource, limit);
}

/// Sources of an origin that all stand still at a gate before they answer.
struct Sources<'a> {
    origin: &'a Origin,
    gate: Gate,
    prefix: String,
}

impl<'a> Sources<'a> {
    fn new(origin: &'a Origin, name: &str, count: usize) -> Sources<'a> {
        let sources = Sources { origin, gate: Gate::closed(), prefix: format!("/{name}") };
        let audio = fixture::audio("speech.wav").unwrap();
        for number in 0..count {
            let reply = Reply::ok("audio/wav", Body::of(audio.clone())).hold_headers(&sources.gate);
            origin.set(&sources.path(number), reply);
        }
        sources
    }

    fn path(&self, number: usize) -> String {
        format!("{}-{number}.wav", self.prefix)
    }

    /// Under which address a node fetches it.
    fn address(&self, number: usize) -> String {
        fetch_path(&self.origin.url(&self.path(number)), "ulaw")
    }

    /// How many of them the origin was asked for.
    fn asked(&self) -> usize {
        self.origin.seen().iter().filter(|seen| seen.path.starts_with(&self.prefix)).count()
    }
}

/// What `/v1/usage/concurrency` says of one kind of work.
async fn usage(node: &TestNode, resource: Resource) -> Value {
    let answer = node.get("/v1/usage/concurrency").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let told: Value = serde_json::from_slice(&answer.body).unwrap();
    let all = told["usage"].as_array().unwrap();
    all.iter().find(|of| of["resource"] == resource.as_str()).cloned().unwrap_or(Value::Null)
}

/// How many unexpired leases there are of all accounts for one kind of work, by the server's clock.
fn held_in(server: &RedisServer, resource: Resource) -> u32 {
    let class = class_in(resource);
    let script = format!(
        "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) local count = 0 \
         for _, name in ipairs(redis.call('ZRANGEBYSCORE', '{{ringback}}:leases', '(' .. now, '+inf')) do \
         if string.find(name, '{class}', 1, true) then count = count + 1 end end return count"
    );
    let told = server.tell(&format!("EVAL \"{script}\" 0")).unwrap();
    told.trim_start_matches(':').parse().unwrap()
}

/// What the names of leases of accounts for one kind of work have in them: they are named by their pools, and those by their class (`Scope::pool`).
fn class_in(resource: Resource) -> String {
    format!("|{:x}.", 2 << 8 | resource as u16)
}

/// Looks until it holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what} does not come"));
}

/// Until nothing of this kind is in progress any more.
async fn idle(node: &TestNode, resource: Resource) {
    until("the end of all", async || usage(node, resource).await["current"].as_u64().unwrap_or_default() == 0).await;
}

/// Asks for all of these addresses at once, lets the gate open when all but `inside` have been answered, and returns the answers: those that came before, and those that came after.
async fn ask_at_once(asked: Vec<(&TestNode, String)>, inside: usize, gate: &Gate) -> (Vec<Answer>, Vec<Answer>) {
    let refused_count = asked.len() - inside;
    let mut answers: FuturesUnordered<_> =
        asked.into_iter().map(|(node, address)| async move { node.get(&address).await }).collect();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let full = async {
        while before.len() < refused_count {
            before.extend(answers.next().await);
        }
        gate.arrived(inside).await;
    };
    tokio::time::timeout(PATIENCE, full).await.expect("as many inside as the limit says");
    gate.open();
    while let Some(answer) = answers.next().await {
        after.push(answer);
    }
    (before, after)
}

#[track_caller]
fn assert_refused(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
    assert_eq!(answer.slug(), "too-many-requests");
    let after: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=4).contains(&after), "{after}");
}

/// A request with a body.
async fn send(node: &TestNode, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    node.send(node.request(method, path).body(body)).await
}

/// Several nodes that share accounts, limits and leases, in real servers.
struct Fleet {
    nodes: Vec<TestNode>,
    /// The accounts, as pages and the operator use them.
    accounts: Accounts,
    _directory: tempfile::TempDir,
    redis: RedisServer,
    _postgres: PostgresServer,
}

impl Fleet {
    /// So many nodes that let in nobody without credentials.
    async fn start(origin: &Origin, count: usize, adjust: impl Fn(&mut Config)) -> Fleet {
        let (postgres, redis) = (PostgresServer::start().await.unwrap(), RedisServer::start().await.unwrap());
        let directory = tempfile::tempdir().unwrap();
        let key_file = directory.path().join("keys");
        std::fs::write(&key_file, format!("{}\n", "07".repeat(32))).unwrap();
        let (url, leases) = (postgres.url(), redis.url());
        let settings = |config: &mut Config| {
            config.http.anonymous = Anonymous::Off;
            config.store.url = StoreUrl::new(url.clone());
            config.accounts.key_file = Some(key_file.clone());
            config.lease.url = RedisUrl::new(leases.clone());
            config.lease.lasts = Duration::from_secs(10);
            // A test machine under load must not look like a server that hangs.
            config.lease.answer_timeout = Duration::from_millis(2_500);
            adjust(config);
        };
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(TestNode::start_with(origin, settings).await);
        }
        let mut config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
        settings(&mut config);
        let accounts = ringback::app::open_accounts(&config).await.unwrap();
        for node in &nodes {
            until("a server of leases that decides", async || {
                !String::from_utf8_lossy(&node.ready().await.body).contains("leases")
            })
            .await;
        }
        Fleet { nodes, accounts, _directory: directory, redis, _postgres: postgres }
    }

    /// A top-level account.
    async fn account(&self) -> Credentials {
        let made = self.accounts.create_account(None, "", &Actor::operator("test")).await.unwrap();
        Credentials { name: made.sid.to_string(), secret: made.primary_token.reveal().to_owned() }
    }

    async fn stop(self) {
        self.accounts.close().await;
        for node in self.nodes {
            node.stop().await;
        }
    }
}

/// Sends JSON with credentials.
async fn put(node: &TestNode, who: &Credentials, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = node.request(Method::PUT, path).header("authorization", who.header()).body(body.to_string());
    let answer = node.send(request).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
}

/// A key of an account with these words.
async fn key(node: &TestNode, of: &Credentials, words: &str) -> Credentials {
    let path = format!("/2010-04-01/Accounts/{}/Keys.json", of.name);
    let (status, made) = post(node, of, &path, &[("Scopes", words)]).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    Credentials::new(&made["sid"], &made["secret"])
}
