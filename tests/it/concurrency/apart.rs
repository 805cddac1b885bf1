//! A node that is cut off from the server of leases, in a network namespace of its own, while another is not; and a server that is slow.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http::StatusCode;
use ringback::{
    concurrency::{Limit, Resource},
    config::Config,
    lease::RedisUrl,
    testing::{origin::Origin, redis_server::RedisServer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::watch,
    task::JoinHandle,
};

use super::{PATIENCE, Sources, ask_at_once, assert_refused, held_in, idle, limit_of_accounts, until, usage};
use crate::support::{
    netns::{Cable, Namespace},
    node::TestNode,
    process::Process,
};

const LIMIT: u32 = 4;
const LASTS: Duration = Duration::from_secs(3);
const ASKED: usize = 10;
/// Longest that a refusal may take while nobody can be asked: some answers of the server that do not come, on a busy machine.
const REFUSED_IN: Duration = Duration::from_secs(10);

/// Passes connections on to the server, every piece of them later by some time.
struct Relay {
    address: SocketAddr,
    delay: watch::Sender<Duration>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    async fn start(on: SocketAddr, server: SocketAddr) -> Relay {
        let listener = TcpListener::bind(on).await.unwrap();
        let address = listener.local_addr().unwrap();
        let delay = watch::Sender::new(Duration::ZERO);
        let delays = delay.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(server).await else { continue };
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_read, far_write, delays.clone()));
                tokio::spawn(pass(far_read, near_write, delays.clone()));
            }
        });
        Relay { address, delay, task }
    }

    fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

async fn pass(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, delays: watch::Receiver<Duration>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let delay = *delays.borrow();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn settings(url: String) -> impl FnOnce(&mut Config) {
    move |config| {
        config.lease.url = RedisUrl::new(url);
        config.lease.lasts = LASTS;
        config.lease.answer_timeout = LASTS / 4;
        // Origins stand still here for as long as it takes.
        config.outbound.header_timeout = Duration::from_secs(120);
        config.media.fill.wait = Duration::from_secs(120);
        limit_of_accounts(config, Resource::Fetches, Limit::hard(LIMIT));
    }
}

async fn deciding(node: &TestNode) {
    until("a server of leases that decides", async || !lacks_leases(&node.ready().await.body)).await;
}

fn lacks_leases(ready: &[u8]) -> bool {
    String::from_utf8_lossy(ready).contains("leases")
}

/// A node in a namespace: reached over one wire, and the server by another.
struct Remote {
    process: Process,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Remote {
    fn start(namespace: &Namespace, relay: &Relay, origin: &Origin, when_away: &str) -> Remote {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        let text = format!(
            "[concurrency]\nwhen_away = \"{when_away}\"\n[concurrency.limits]\naccount = {{ fetches = {{ hard = {LIMIT} }} }}\n"
        );
        std::fs::write(&file, text).unwrap();
        let (url, allowed) = (relay.url(), origin.address().to_string());
        let listen = format!("{}:0", namespace.far(Cable::Kept));
        let process = Process::start_by(
            namespace.command(),
            &listen,
            (
                &directory.path().join("data"),
                &["--config", file.to_str().unwrap(), "--allow-origin", &allowed, "--insecure-open"],
                &[
                    ("RINGBACK_HTTP__ANONYMOUS", "all"),
                    ("RINGBACK_LEASE__URL", url.as_str()),
                    ("RINGBACK_LEASE__LASTS", "3s"),
                    ("RINGBACK_LEASE__ANSWER_TIMEOUT", "750ms"),
                    ("RINGBACK_OUTBOUND__HEADER_TIMEOUT", "120s"),
                    ("RINGBACK_MEDIA__FILL__WAIT", "120s"),
                ],
            ),
        );
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Remote { process, client, _directory: directory }
    }

    async fn lacks_leases(&self) -> bool {
        let address = format!("http://{}/health/ready", self.process.ops_address);
        let answer = self.client.get(address).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "what all nodes lack must not empty the balancer");
        lacks_leases(&answer.bytes().await.unwrap())
    }

    /// Asks for sources all at once, has the gate open when `inside` of them are in and all others answered; the status of each, those that came before and after.
    async fn ask(&self, sources: &Sources<'_>, inside: usize, then: impl AsyncFnOnce()) -> (Vec<u16>, Vec<u16>) {
        let mut answers: FuturesUnordered<_> = (0..ASKED)
            .map(|number| {
                // Asked at once, whoever looks for the answer.
                let asked = tokio::spawn(self.client.get(self.process.url(&sources.address(number))).send());
                async move {
                    let answer = asked.await.unwrap().unwrap();
                    let status = answer.status().as_u16();
                    answer.bytes().await.unwrap();
                    status
                }
            })
            .collect();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let refused = async {
            while before.len() < ASKED - inside {
                before.extend(answers.next().await);
            }
        };
        tokio::time::timeout(REFUSED_IN, refused).await.expect("somebody waits for a server that is away");
        tokio::time::timeout(PATIENCE, sources.gate.arrived(inside))
            .await
            .unwrap_or_else(|_| panic!("{inside} inside of {} do not come", sources.prefix));
        then().await;
        sources.gate.open();
        while let Some(answer) = answers.next().await {
            after.push(answer);
        }
        (before, after)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_does_as_its_policy_says_within_its_bound_and_is_right_again_within_a_lease() {
    let namespace = match Namespace::create() {
        Ok(namespace) => namespace,
        Err(error) => {
            assert!(!rustix::process::geteuid().is_root(), "{error}");
            eprintln!("LEFT OUT, without rights to make network namespaces: {error}");
            return;
        }
    };
    let origin = Origin::start_on(SocketAddr::from((namespace.near(Cable::Kept), 0))).await.unwrap();
    let server = RedisServer::start().await.unwrap();
    let relay = Relay::start(SocketAddr::from((namespace.near(Cable::Cut), 0)), server.address()).await;
    let here = TestNode::start_with(&origin, settings(server.url())).await;
    deciding(&here).await;
    // How many it lets in meanwhile, and what it tells the others.
    for (policy, inside, refusal) in [("local", LIMIT as usize / 2, 429), ("open", ASKED, 0), ("closed", 0, 503)] {
        let remote = Remote::start(&namespace, &relay, &origin, policy);
        until("a server that decides", async || !remote.lacks_leases().await).await;
        // Together they have what one may have.
        let sources = Sources::new(&origin, &format!("{policy}-together"), ASKED);
        let (refused, served) = remote.ask(&sources, LIMIT as usize, async || {}).await;
        assert!(refused.iter().all(|status| *status == 429) && served.iter().all(|status| *status == 200));
        until("an end of all", async || held_in(&server, Resource::Fetches) == 0).await;

        namespace.cut();
        until("what it lacks", async || remote.lacks_leases().await).await;
        let (apart, there) = (
            Sources::new(&origin, &format!("{policy}-apart"), ASKED),
            Sources::new(&origin, &format!("{policy}-there"), ASKED),
        );
        let beside = async || {
            // The other decides by the server as before: the bound is the limit and what the policy lets in.
            let asked = (0..LIMIT as usize).map(|number| {
                let (here, address) = (&here, there.address(number));
                async move { here.get(&address).await }
            });
            let healed = async {
                there.gate.arrived(LIMIT as usize).await;
                assert_refused(&here.get(&there.address(ASKED - 1)).await);
                assert_eq!(held_in(&server, Resource::Fetches), LIMIT);
                let mended = here.node.clock.now();
                namespace.mend();
                let all = LIMIT + inside as u32;
                until("the counts of both", async || held_in(&server, Resource::Fetches) == all).await;
                assert_eq!(usage(&here, Resource::Fetches).await["current"], all);
                let took = here.node.clock.now() - mended;
                // One lease, and what a busy machine takes.
                assert!(took <= LASTS + Duration::from_secs(2), "{policy}: right after {took:?}");
                // Nothing new is let in before it is fewer.
                assert_refused(&here.get(&there.address(ASKED - 1)).await);
                there.gate.open();
            };
            let (served, ()) = tokio::join!(futures_util::future::join_all(asked), healed);
            assert!(served.iter().all(|answer| answer.status == StatusCode::OK), "{served:?}");
        };
        let (refused, served) = remote.ask(&apart, inside, beside).await;
        assert!(refused.iter().all(|status| *status == refusal), "{policy}: {refused:?}");
        assert!(served.iter().all(|status| *status == 200), "{policy}: {served:?}");
        until("a server that decides", async || !remote.lacks_leases().await).await;
        until("an end of all", async || held_in(&server, Resource::Fetches) == 0).await;
    }
    here.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_half_a_second_slow_makes_nobody_wait_and_lets_no_node_have_more_than_its_part() {
    let (origin, server) = (Origin::start().await.unwrap(), RedisServer::start().await.unwrap());
    let relay = Relay::start(SocketAddr::from(([127, 0, 0, 1], 0)), server.address()).await;
    let node = TestNode::start_with(&origin, |config| {
        settings(relay.url())(config);
        // As it is without being told.
        config.lease.answer_timeout = Duration::from_millis(250);
    })
    .await;
    deciding(&node).await;
    relay.delay.send_replace(Duration::from_millis(500));
    let sources = Sources::new(&origin, "slow", ASKED);
    let asked = (0..ASKED).map(|number| (&node, sources.address(number))).collect();
    let began = node.node.clock.now();
    let (refused, served) = ask_at_once(asked, LIMIT as usize / 2, &sources.gate).await;
    assert!(node.node.clock.now() - began < REFUSED_IN);
    refused.iter().for_each(assert_refused);
    assert!(served.iter().all(|answer| answer.status == StatusCode::OK), "{served:?}");
    relay.delay.send_replace(Duration::ZERO);
    deciding(&node).await;
    idle(&node, Resource::Fetches).await;
    let sources = Sources::new(&origin, "well", ASKED);
    let asked = (0..ASKED).map(|number| (&node, sources.address(number))).collect();
    let (_, served) = ask_at_once(asked, LIMIT as usize, &sources.gate).await;
    assert!(served.iter().all(|answer| answer.status == StatusCode::OK), "{served:?}");
    assert_eq!(usage(&node, Resource::Fetches).await["peak"], LIMIT);
    node.stop().await;
}
