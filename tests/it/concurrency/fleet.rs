//! Several nodes and one server of leases.

use std::time::Duration;

use http::StatusCode;
use ringback::{
    concurrency::{Limit, Resource},
    config::Config,
    lease::RedisUrl,
    testing::{origin::Origin, redis_server::RedisServer},
};

use super::{Sources, ask_at_once, assert_refused, class_in, held_in, idle, limit_of_accounts, until, usage};
use crate::support::{node::TestNode, process::Process};

const LIMIT: u32 = 8;
const AT_ONCE: usize = 500;
const ROUNDS: usize = 10;

fn fleet(server: &RedisServer, lasts: Duration) -> impl Fn(&mut Config) + use<> {
    let url = server.url();
    move |config| {
        config.lease.url = RedisUrl::new(url.clone());
        config.lease.lasts = lasts;
        // A test machine under load must not look like a server that hangs.
        config.lease.answer_timeout = lasts / 4;
        limit_of_accounts(config, Resource::Fetches, Limit::hard(LIMIT));
    }
}

async fn deciding(node: &TestNode) {
    until("a server of leases that decides", async || !lacks_leases(node).await).await;
}

async fn lacks_leases(node: &TestNode) -> bool {
    String::from_utf8_lossy(&node.ready().await.body).contains("leases")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_thousand_requests_at_two_nodes_no_more_are_inside_than_may() {
    let (origin, server) = (Origin::start().await.unwrap(), RedisServer::start().await.unwrap());
    let settings = fleet(&server, Duration::from_secs(10));
    let here = TestNode::start_with(&origin, &settings).await;
    let there = TestNode::start_with(&origin, &settings).await;
    deciding(&here).await;
    deciding(&there).await;
    for round in 0..ROUNDS {
        let sources = Sources::new(&origin, &format!("round-{round}"), 2 * AT_ONCE);
        let asked =
            (0..2 * AT_ONCE).map(|number| (if number % 2 == 0 { &here } else { &there }, sources.address(number)));
        let (refused, served) = ask_at_once(asked.collect(), LIMIT as usize, &sources.gate).await;
        refused.iter().for_each(assert_refused);
        assert!(served.iter().all(|answer| answer.status == StatusCode::OK), "{served:?}");
        assert_eq!(served.len(), LIMIT as usize);
        assert_eq!(sources.asked(), LIMIT as usize, "an origin was asked for what was refused");
        idle(&here, Resource::Fetches).await;
    }
    here.stop().await;
    there.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_places_of_a_node_that_was_killed_are_free_between_a_renewal_before_the_end_of_the_lease_and_its_end() {
    const LASTS: Duration = Duration::from_secs(6);
    const RENEWED_EACH: Duration = Duration::from_secs(2);
    // By how much a busy machine may be late with a renewal.
    const LATE_MAX: Duration = Duration::from_secs(1);
    let (origin, server) = (Origin::start().await.unwrap(), RedisServer::start().await.unwrap());
    let survivor = TestNode::start_with(&origin, fleet(&server, LASTS)).await;
    deciding(&survivor).await;
    let directory = tempfile::tempdir().unwrap();
    let (url, allowed) = (server.url(), origin.address().to_string());
    let doomed = Process::start_in(
        directory.path(),
        &["--allow-origin", &allowed],
        &[("RINGBACK_LEASE__URL", &url), ("RINGBACK_LEASE__LASTS", "6s"), ("RINGBACK_LEASE__ANSWER_TIMEOUT", "1500ms")],
    );
    let sources = Sources::new(&origin, "killed", LIMIT as usize);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked: Vec<_> = (0..LIMIT as usize)
        .map(|number| tokio::spawn(client.get(doomed.url(&sources.address(number))).send()))
        .collect();
    until("all of its places", async || usage(&survivor, Resource::Fetches).await["current"] == LIMIT).await;
    sources.gate.arrived(LIMIT as usize).await;
    doomed.kill();
    // From here on all times are the server's.
    let killed = server_time(&server);
    let ends = ends_in(&server, Resource::Fetches);
    assert_eq!(ends.len(), LIMIT as usize);
    let (first, last) = (*ends.iter().min().unwrap(), *ends.iter().max().unwrap());
    assert!(killed + LASTS - RENEWED_EACH - LATE_MAX <= first, "{:?} after the kill", first.saturating_sub(killed));
    assert!(last <= killed + LASTS, "{:?} after the kill", last.saturating_sub(killed));
    // Until the first of them ends everybody is refused, and nobody who asks after that.
    let next = Sources::new(&origin, "next", 1);
    next.gate.open();
    let address = next.address(0);
    loop {
        let asked_at = server_time(&server);
        let answer = survivor.get_with(&address, "cache-control", "no-store").await;
        if answer.status == StatusCode::OK {
            assert!(first <= server_time(&server), "a place was free before its lease had ended");
            break;
        }
        assert_refused(&answer);
        assert!(asked_at <= last, "no place was free {:?} after the lease had ended", asked_at.saturating_sub(last));
        tokio::task::yield_now().await;
    }
    until("an end of all", async || held_in(&server, Resource::Fetches) == 0).await;
    for asked in asked {
        assert!(asked.await.unwrap().is_err(), "a node that was killed has answered");
    }
    survivor.stop().await;
}

/// What the clock of the server says, since its epoch.
fn server_time(server: &RedisServer) -> Duration {
    let told =
        server.tell("EVAL \"local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)\" 0").unwrap();
    Duration::from_millis(told.trim_start_matches(':').parse().unwrap())
}

/// When leases for one kind of work end, by the same clock.
fn ends_in(server: &RedisServer, resource: Resource) -> Vec<Duration> {
    let script = format!(
        "local ends, all = {{}}, redis.call('ZRANGE', '{{ringback}}:leases', 0, -1, 'WITHSCORES') for at = 1, #all, 2 do \
         if string.find(all[at], '{}', 1, true) then ends[#ends + 1] = all[at + 1] end end return table.concat(ends, ' ')",
        class_in(resource)
    );
    let told = server.tell(&format!("EVAL \"{script}\" 0")).unwrap();
    told.split_whitespace().map(|end| Duration::from_millis(end.parse::<f64>().unwrap() as u64)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_stops_nobody_and_lets_no_node_have_more_than_its_part() {
    let (origin, server) = (Origin::start().await.unwrap(), RedisServer::start().await.unwrap());
    let node = TestNode::start_with(&origin, fleet(&server, Duration::from_secs(2))).await;
    deciding(&node).await;
    server.pause();
    // Half of the limit, as concurrency.local_percent says.
    let alone = LIMIT as usize / 2;
    let sources = Sources::new(&origin, "hangs", 40);
    let asked = (0..40).map(|number| (&node, sources.address(number))).collect();
    let (refused, served) = ask_at_once(asked, alone, &sources.gate).await;
    refused.iter().for_each(assert_refused);
    assert!(served.iter().all(|answer| answer.status == StatusCode::OK), "{served:?}");
    until("the lack of the server", async || lacks_leases(&node).await).await;
    assert_eq!(node.ready().await.status, StatusCode::OK, "what all nodes lack must not empty the balancer");
    server.resume();
    deciding(&node).await;
    let sources = Sources::new(&origin, "again", 40);
    let asked = (0..40).map(|number| (&node, sources.address(number))).collect();
    let (_, served) = ask_at_once(asked, LIMIT as usize, &sources.gate).await;
    assert!(served.iter().all(|answer| answer.status == StatusCode::OK), "{served:?}");
    node.stop().await;
}
