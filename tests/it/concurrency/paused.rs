//! A node that is stopped for longer than its leases last (SIGSTOP), as a virtual machine that is moved or a host that swaps.

use std::time::Duration;

use http::{Method, StatusCode};
use ringback::{
    concurrency::{Limit, Resource},
    config::Config,
    lease::RedisUrl,
    testing::{
        fixture,
        origin::{Body, Gate, Origin, Reply},
        redis_server::RedisServer,
    },
};
use rustix::process::{Pid, Signal, kill_process};

use super::{Sources, held_in, limit_of_accounts, until, usage};
use crate::support::{
    node::{TestNode, fetch_path},
    process::Process,
};

const LIMIT: u32 = 2;
const LASTS: Duration = Duration::from_secs(3);

fn settings(server: &RedisServer) -> impl Fn(&mut Config) + use<> {
    let url = server.url();
    move |config| {
        config.lease.url = RedisUrl::new(url.clone());
        config.lease.lasts = LASTS;
        config.lease.answer_timeout = LASTS / 4;
        for resource in [Resource::Fetches, Resource::Fills] {
            limit_of_accounts(config, resource, Limit::hard(LIMIT));
        }
    }
}

/// The program as a node of the fleet, with the same limits, and a stream and a request that it has in progress.
struct Stopped<'a> {
    process: Process,
    origin: &'a Origin,
    /// Where the stream stands still.
    gate: Gate,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

const STREAM: &str = "/stream.wav";

impl<'a> Stopped<'a> {
    fn start(origin: &'a Origin, server: &RedisServer) -> Stopped<'a> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        let limits = format!(
            "[concurrency.limits]\naccount = {{ fetches = {{ hard = {LIMIT} }}, fills = {{ hard = {LIMIT} }} }}\n"
        );
        std::fs::write(&file, limits).unwrap();
        let (url, allowed) = (server.url(), origin.address().to_string());
        let process = Process::start_in(
            &directory.path().join("data"),
            &["--config", file.to_str().unwrap(), "--allow-origin", &allowed],
            &[
                ("RINGBACK_LEASE__URL", url.as_str()),
                ("RINGBACK_LEASE__LASTS", "3s"),
                ("RINGBACK_LEASE__ANSWER_TIMEOUT", "750ms"),
                ("RINGBACK_MEDIA__FILL__GRACE", "0s"),
            ],
        );
        let gate = Gate::closed();
        let audio = fixture::audio("speech.wav").unwrap();
        let half = audio.len() as u64 / 2;
        origin.set(STREAM, Reply::ok("audio/wav", Body::of(audio)).hold_after(half, &gate));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Stopped { process, origin, gate, client, _directory: directory }
    }

    /// Begins the stream, and returns what has come of it when it stands still.
    async fn stream(&self) -> (reqwest::Response, Vec<u8>) {
        let address = self.process.url(&fetch_path(&self.origin.url(STREAM), "ulaw"));
        let mut response = self.client.get(address).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let first = response.chunk().await.unwrap().unwrap().to_vec();
        (response, first)
    }

    fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(process, signal).unwrap();
    }

    async fn metric(&self, name: &str) -> u64 {
        let address = format!("http://{}/metrics", self.process.ops_address);
        let text = self.client.get(address).send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_default()
    }
}

/// What is left of a stream, and whether it came to its end.
async fn rest_of(mut response: reqwest::Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut rest = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        rest.extend_from_slice(&chunk);
    }
    Ok(rest)
}

async fn deciding(node: &TestNode) {
    until("a server of leases that decides", async || {
        !String::from_utf8_lossy(&node.ready().await.body).contains("leases")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_have_taken_meanwhile_is_not_gone_on_with() {
    let (origin, server) = (Origin::start().await.unwrap(), RedisServer::start().await.unwrap());
    let other = TestNode::start_with(&origin, settings(&server)).await;
    deciding(&other).await;
    let stopped = Stopped::start(&origin, &server);
    let (stream, _) = stopped.stream().await;
    let (of_stopped, of_other) = (Sources::new(&origin, "stopped", 1), Sources::new(&origin, "other", LIMIT as usize));
    let request = tokio::spawn(stopped.client.get(stopped.process.url(&of_stopped.address(0))).send());
    of_stopped.gate.arrived(1).await;
    until("its two places", async || usage(&other, Resource::Fetches).await["current"] == LIMIT).await;
    stopped.signal(Signal::STOP);
    // From now on nobody may ever have more than the limit, as the server counts.
    let watching = async {
        loop {
            let held = held_in(&server, Resource::Fetches);
            assert!(held <= LIMIT, "{held} leases at once");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let story = async {
        until("the end of its leases", async || held_in(&server, Resource::Fetches) == 0).await;
        let taken = async {
            of_other.gate.arrived(LIMIT as usize).await;
            assert_eq!(held_in(&server, Resource::Fetches), LIMIT);
            stopped.signal(Signal::CONT);
            // It is awake, and its work could go on.
            stopped.gate.open();
            of_stopped.gate.open();
            let ended = rest_of(stream).await;
            assert!(ended.is_err(), "a stream went on whose place others have: {ended:?}");
            // What waits for its audio is told before its head, or its body ends.
            let answered = async { request.await.unwrap()?.error_for_status()?.bytes().await };
            let answered = answered.await;
            assert!(answered.is_err(), "a request went on whose place others have: {answered:?}");
            // Fills go on, for whoever comes next, and are counted.
            until("what was overcommitted", async || {
                stopped.metric("ringback_concurrency_overcommit_total").await == u64::from(LIMIT)
            })
            .await;
            of_other.gate.open();
        };
        let asked = (0..LIMIT as usize).map(|number| {
            let (other, address) = (&other, of_other.address(number));
            async move { other.get(&address).await }
        });
        let (answers, ()) = tokio::join!(futures_util::future::join_all(asked), taken);
        assert!(answers.iter().all(|answer| answer.status == StatusCode::OK), "{answers:?}");
        until("an end of all", async || held_in(&server, Resource::Fetches) == 0).await;
    };
    tokio::select! {
        () = watching => {}
        () = story => {}
    }
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_taken_is_taken_again_before_it_goes_on() {
    let (origin, server) = (Origin::start().await.unwrap(), RedisServer::start().await.unwrap());
    let other = TestNode::start_with(&origin, settings(&server)).await;
    deciding(&other).await;
    let stopped = Stopped::start(&origin, &server);
    let (stream, mut heard) = stopped.stream().await;
    stopped.signal(Signal::STOP);
    until("the end of its lease", async || held_in(&server, Resource::Fetches) == 0).await;
    stopped.signal(Signal::CONT);
    until("its place", async || held_in(&server, Resource::Fetches) == 1).await;
    stopped.gate.open();
    heard.extend(rest_of(stream).await.expect("a stream that nobody was in the way of"));
    let whole = other.send(other.request(Method::GET, &fetch_path(&origin.url(STREAM), "ulaw"))).await;
    assert!(heard == whole.body, "{} bytes of {}", heard.len(), whole.body.len());
    assert_eq!(stopped.metric("ringback_concurrency_overcommit_total").await, 0);
    other.stop().await;
}
