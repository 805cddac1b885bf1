//! Those who keep leases, each by the conformance suite and by what only it can get wrong.

mod faults;
mod local;
mod pace;
mod together;

use std::{sync::Arc, time::Duration};

use super::{
    Config, Leases, Local, Redis, RedisUrl, Standing,
    conformance::{Fleet, conforms, eventually},
};
use crate::{clock::Clock, problem::ConfigProblems, testing::redis_server::RedisServer};

/// A node's leases, and the task that keeps its connection until it is dropped.
struct Node {
    leases: Redis,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(url: String) -> Config {
    // Short, because a server is waited for that begins with nothing; an answer may take longer on a machine that is busy with other tests.
    let lasts = Duration::from_secs(2);
    Config { url: RedisUrl::new(url), lasts, answer_timeout: Duration::from_millis(600), ..Config::default() }
}

impl Node {
    fn start(config: &Config) -> Node {
        let leases = Redis::new(config).unwrap();
        let task = tokio::spawn({
            let leases = leases.clone();
            async move { leases.keep().await }
        });
        Node { leases, task }
    }

    /// One that decides.
    async fn ready(config: &Config) -> Node {
        let node = Node::start(config);
        node.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
        node
    }

    async fn until(&self, holds: impl Fn(Standing) -> bool) -> Standing {
        let mut standing = self.leases.standing();
        let waited = tokio::time::timeout(Duration::from_secs(30), standing.wait_for(|now| holds(*now))).await;
        *waited.unwrap().unwrap()
    }
}

#[tokio::test]
async fn local_conforms() {
    let leases: Arc<dyn Leases> = Arc::new(Local::new(Clock::system()));
    conforms(&Fleet { one: leases.clone(), other: leases }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    let server = RedisServer::start().await.unwrap();
    let config = config(server.url());
    let (one, other) = (Node::ready(&config).await, Node::ready(&config).await);
    conforms(&Fleet { one: Arc::new(one.leases.clone()), other: Arc::new(other.leases.clone()) }).await;
}

#[test]
fn an_address_is_shown_without_its_password() {
    let url = RedisUrl::new("redis://me:hush@redis.example:6380/2".to_owned());
    assert_eq!(format!("{url:?}"), "redis://***@redis.example:6380/2");
    assert_eq!(serde_json::to_string(&url).unwrap(), "\"redis://***@redis.example:6380/2\"");
    assert_eq!(format!("{:?}", RedisUrl::new("http://me:hush@redis".to_owned())), "***");
    assert_eq!(format!("{:?}", RedisUrl::default()), "");
}

#[test]
fn a_configuration_that_cannot_be_is_told() {
    let told = |config: &Config| {
        let mut problems = ConfigProblems::default();
        config.validate("lease", &mut problems);
        problems.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
    };
    assert!(told(&Config::default()).is_empty());
    let wrong = Config {
        url: RedisUrl::new("mysql://x".to_owned()),
        prefix: "a b".to_owned(),
        lasts: Duration::from_millis(300),
        connect_timeout: Duration::ZERO,
        answer_timeout: Duration::from_millis(100),
        questions_max: 0,
    };
    let keys = ["url", "prefix", "connect_timeout", "answer_timeout", "questions_max"];
    assert_eq!(told(&wrong), keys.map(|key| format!("lease.{key}")));
}
