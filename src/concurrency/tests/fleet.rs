//! Nodes that share leases in a real server, which does what servers do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{
    super::{Giver, PerSecond, WhenAway},
    Concurrency, Config, Gate, Leases, Limit, MemoryLimits, Place, Policy, RESOURCE, Resource, Scope, Why, account,
    delay, impeded, scope, subject,
};
use crate::{
    clock::Clock,
    lease::{self, Redis, RedisUrl, Standing},
    testing::redis_server::RedisServer,
};

/// How long leases last here: short, because some tests wait for it.
pub(super) const LASTS: Duration = Duration::from_secs(2);
/// How long a server may take that is well, on a machine that is busy with other tests.
const ANSWER_MAX: Duration = Duration::from_millis(600);
/// Longest that something may take that is waited for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A node of a fleet.
pub(super) struct Node {
    pub(super) gate: Gate,
    pub(super) leases: Redis,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    fn start(url: String, when_away: WhenAway, limits: &Arc<MemoryLimits>) -> Node {
        let url = RedisUrl::new(url);
        let config = lease::Config { url, lasts: LASTS, answer_timeout: ANSWER_MAX, ..lease::Config::default() };
        let leases = Redis::new(&config).unwrap();
        let task = tokio::spawn({
            let leases = leases.clone();
            async move { leases.keep().await }
        });
        let config = Config { when_away, ..Config::default() };
        Node { gate: Gate::new(config, Arc::new(leases.clone()), limits.clone(), LASTS), leases, task }
    }

    pub(super) async fn ready(server: &RedisServer, when_away: WhenAway, limits: &Arc<MemoryLimits>) -> Node {
        Node::ready_at(server.url(), when_away, limits).await
    }

    pub(super) async fn ready_at(url: String, when_away: WhenAway, limits: &Arc<MemoryLimits>) -> Node {
        let node = Node::start(url, when_away, limits);
        node.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
        node
    }

    pub(super) async fn until(&self, holds: impl Fn(Standing) -> bool) -> Standing {
        let mut standing = self.leases.standing();
        *tokio::time::timeout(WAIT_MAX, standing.wait_for(|now| holds(*now))).await.unwrap().unwrap()
    }

    pub(super) async fn until_current(&self, expected: u32) {
        eventually(&format!("{expected} in progress"), async || self.gate.current(account(1)).await == expected).await;
    }

    /// Until nothing of any kind is in progress.
    pub(super) async fn until_idle(&self) {
        eventually("an end of all", async || {
            self.gate.concurrency.usage(subject(1)).await.iter().all(|reading| reading.current == 0)
        })
        .await;
    }

    pub(super) async fn admit(&self) -> Result<Place, super::Impeded> {
        self.gate.admit(subject(1)).await
    }
}

pub(super) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let clock = Clock::system();
    let deadline = clock.now() + WAIT_MAX;
    while !holds().await {
        assert!(clock.now() < deadline, "{what} does not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(super) fn limited(limit: Limit) -> Arc<MemoryLimits> {
    let limits = MemoryLimits::default();
    for resource in [RESOURCE, Resource::Calls, Resource::Uploads] {
        limits.set(scope(1), resource, limit).unwrap();
    }
    Arc::new(limits)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_through_two_nodes_are_never_more_than_the_limit() {
    let server = RedisServer::start().await.unwrap();
    for policy in [Policy::Reject, delay(Duration::from_secs(60), 1_000)] {
        let limits = limited(Limit::hard(7).with(policy));
        let nodes = [
            Arc::new(Node::ready(&server, WhenAway::Closed, &limits).await),
            Arc::new(Node::ready(&server, WhenAway::Closed, &limits).await),
        ];
        let counts: [Arc<AtomicU32>; 3] = Default::default();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..1_000 {
            let (node, [inside, most, admitted]) = (nodes[number % 2].clone(), counts.clone());
            tasks.spawn(async move {
                let Ok(place) = node.admit().await else { return };
                admitted.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(place);
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        let [_, most, admitted] = counts.map(|count| count.load(Ordering::SeqCst));
        assert!(most <= 7, "{most}");
        if policy == Policy::Reject {
            assert!(7 <= admitted);
        } else {
            assert_eq!(admitted, 1_000, "all who wait are served, wherever places are given back");
        }
        nodes[0].until_current(0).await;
    }
}

#[tokio::test]
async fn places_are_renewed_while_work_goes_on_and_given_back_when_it_ends() {
    let server = RedisServer::start().await.unwrap();
    let limits = limited(Limit::hard(1));
    let node = Node::ready(&server, WhenAway::Closed, &limits).await;
    let other = Node::ready(&server, WhenAway::Closed, &limits).await;
    let place = node.admit().await.unwrap();
    let clock = Clock::system();
    let until = clock.now() + 2 * LASTS;
    eventually("twice the time of a lease", async || {
        impeded(other.admit().await, Why::Full);
        assert!(place.is_sure());
        until < clock.now()
    })
    .await;
    drop(place);
    other.until_current(0).await;
    other.admit().await.unwrap();
}

#[tokio::test]
async fn a_node_that_dies_gives_its_places_back_within_the_lease() {
    let server = RedisServer::start().await.unwrap();
    let limits = limited(Limit::hard(2));
    let dies = Node::ready(&server, WhenAway::Closed, &limits).await;
    let lives = Node::ready(&server, WhenAway::Closed, &limits).await;
    let places = [dies.admit().await.unwrap(), dies.admit().await.unwrap()];
    lives.until_current(2).await;
    impeded(lives.admit().await, Why::Full);
    // It says nothing any more, to nobody.
    dies.task.abort();
    if let Some(keeping) = &dies.gate.keeping {
        keeping.abort();
    }
    let clock = Clock::system();
    let died = clock.now();
    lives.until_current(0).await;
    assert!(clock.now() - died <= LASTS + Duration::from_millis(500));
    lives.admit().await.unwrap();
    drop(places);
}

#[tokio::test]
async fn without_the_server_a_node_admits_what_the_policy_says() {
    let mut server = RedisServer::start().await.unwrap();
    let limits = limited(Limit::hard(4));
    let closed = Node::ready(&server, WhenAway::Closed, &limits).await;
    let local = Node::ready(&server, WhenAway::Local, &limits).await;
    let open = Node::ready(&server, WhenAway::Open, &limits).await;
    let before = local.admit().await.unwrap();
    server.stop();
    for node in [&closed, &local, &open] {
        // Who asks first finds it out.
        drop(node.admit().await);
        node.until(|standing| standing == Standing::Away).await;
    }
    let refused = impeded(closed.admit().await, Why::Away);
    assert_eq!(refused.problem().kind, crate::problem::Kind::Busy);
    // Half of 4, beside what was admitted before.
    let held = [local.admit().await.unwrap(), local.admit().await.unwrap()];
    assert_eq!(impeded(local.admit().await, Why::Full).limit, 2);
    let all: Vec<Place> =
        futures_util::future::join_all((0..20).map(|_| open.admit())).await.into_iter().map(Result::unwrap).collect();
    assert!(all.iter().chain(&held).all(Place::is_sure), "until they can be registered nobody else decides");
    assert_eq!(before.confirm().await, Ok(()));

    // It comes back with nothing: what is held is registered, while nobody else is let in by anything but the policy.
    server.start_again().await.unwrap();
    local.until(|standing| matches!(standing, Standing::Recovering { .. })).await;
    impeded(local.admit().await, Why::Full);
    local.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
    local.until_current(23).await;
    closed.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
    assert_eq!(impeded(closed.admit().await, Why::Full).current, 23);
    drop((before, held, all));
    local.until_current(0).await;
    closed.admit().await.unwrap();
}

#[tokio::test]
async fn holders_register_again_when_everything_was_lost() {
    let server = RedisServer::start().await.unwrap();
    let limits = limited(Limit::hard(3));
    let one = Node::ready(&server, WhenAway::Closed, &limits).await;
    let other = Node::ready(&server, WhenAway::Closed, &limits).await;
    let held = [one.admit().await.unwrap(), other.admit().await.unwrap(), other.admit().await.unwrap()];
    let before = one.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
    server.tell("FLUSHALL").unwrap();
    let admitted = Arc::new(AtomicU32::new(0));
    // All the while nobody gets a fourth place.
    for node in [&one, &other] {
        let is_other_epoch = |standing| matches!(standing, Standing::Deciding { .. }) && standing != before;
        eventually("another epoch", async || {
            if node.admit().await.is_ok() {
                admitted.fetch_add(1, Ordering::SeqCst);
            }
            is_other_epoch(*node.leases.standing().borrow())
        })
        .await;
    }
    assert_eq!(admitted.load(Ordering::SeqCst), 0);
    one.until_current(3).await;
    assert_eq!(impeded(one.admit().await, Why::Full).current, 3);
    drop(held);
    one.until_current(0).await;
}

#[tokio::test]
async fn who_waits_is_let_in_when_another_node_gives_something_back() {
    let server = RedisServer::start().await.unwrap();
    let limits = limited(Limit::hard(1).with(delay(WAIT_MAX, 10)));
    let one = Node::ready(&server, WhenAway::Closed, &limits).await;
    let other = Node::ready(&server, WhenAway::Closed, &limits).await;
    let place = one.admit().await.unwrap();
    let gate = other.gate.concurrency.clone();
    let waits = tokio::spawn(async move { gate.admit(subject(1), RESOURCE).await });
    eventually("waiting", async || other.gate.concurrency.waiting(subject(1), RESOURCE) == 1).await;
    drop(place);
    waits.await.unwrap().unwrap();
}

#[tokio::test]
async fn so_many_begin_in_a_second_on_all_nodes_together_and_on_each_alone_without_the_server() {
    let mut server = RedisServer::start().await.unwrap();
    let limits: Arc<MemoryLimits> = Arc::default();
    limits.set_rate(Giver::Operator, scope(1), Resource::Calls, Some(PerSecond { count: 1, backlog_max: 3 }));
    let nodes = [
        Node::ready(&server, WhenAway::Local, &limits).await,
        Node::ready(&server, WhenAway::Closed, &limits).await,
        Node::ready(&server, WhenAway::Open, &limits).await,
    ];
    let turn = async |node: &Node| node.gate.concurrency.turn(subject(1), Resource::Calls).await;
    let mut times = Vec::new();
    for node in [&nodes[0], &nodes[1], &nodes[2], &nodes[0]] {
        times.push(turn(node).await.unwrap().queue_time);
    }
    for (time, seconds) in times.iter().zip(0_u64..) {
        let expected = Duration::from_secs(seconds);
        assert!(*time <= expected && expected < *time + Duration::from_millis(900), "{times:?}");
    }
    assert_eq!(turn(&nodes[1]).await.unwrap_err().why, Why::TooFast);
    server.stop();
    for node in &nodes {
        node.until(|standing| !matches!(standing, Standing::Deciding { .. })).await;
    }
    let alone = [turn(&nodes[0]).await.unwrap().queue_time, turn(&nodes[0]).await.unwrap().queue_time];
    assert!(alone[0].is_zero() && !alone[1].is_zero(), "{alone:?}");
    assert_eq!(turn(&nodes[1]).await.unwrap_err().why, Why::Away);
    assert!(turn(&nodes[2]).await.unwrap().queue_time.is_zero());
}

#[tokio::test]
async fn what_is_reserved_asks_nobody() {
    let mut server = RedisServer::start().await.unwrap();
    let limits = limited(Limit::hard(0));
    limits.set(Scope::Platform, RESOURCE, Limit::hard(0)).unwrap();
    let node = Node::ready(&server, WhenAway::Closed, &limits).await;
    server.stop();
    let reserve = Concurrency::reserve(&node.gate.concurrency);
    assert!(matches!(reserve.hang_up(account(1), 1).await, super::super::HangUp::First(_)));
    assert!(reserve.admin(account(1)).is_some());
}
