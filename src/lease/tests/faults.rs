//! What a server can do to nodes.

use std::{future::poll_fn, pin::pin, task::Poll};

use super::{
    super::{
        Lease, LeaseError, Pool, Take, Taken,
        conformance::{held, pool, take, values},
    },
    Config, Duration, Leases, Node, RedisServer, Standing, config, eventually,
};

const LONG: Duration = Duration::from_secs(60);

fn is_deciding(standing: Standing) -> bool {
    matches!(standing, Standing::Deciding { .. })
}

#[tokio::test]
async fn a_server_that_is_away_is_told_at_once_and_found_again() {
    let mut server = RedisServer::start().await.unwrap();
    let node = Node::ready(&config(server.url())).await;
    let chain = node.leases.chain(&[pool(1, 1)]).unwrap();
    let question = Take { chain: &chain, caps: &[1], lasts: None, is_held_already: false };
    held(node.leases.take(question).await.unwrap());
    let before = node.until(is_deciding).await;
    server.stop();
    let refused = node.leases.take(question).await;
    assert!(matches!(refused, Err(LeaseError::Unreachable)), "{refused:?}");
    node.until(|standing| standing == Standing::Away).await;
    // Nobody waits for a server that is away.
    let mut answer = pin!(node.leases.take(question));
    let at_once = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
    assert!(matches!(at_once, Poll::Ready(Err(LeaseError::Unreachable))), "{at_once:?}");
    // It comes back empty: first holders register.
    server.start_again().await.unwrap();
    let recovering = node.until(|standing| matches!(standing, Standing::Recovering { .. })).await;
    assert_ne!(recovering.epoch(), before.epoch());
    let refused = node.leases.take(question).await;
    assert!(matches!(refused, Err(LeaseError::Recovering { .. })), "{refused:?}");
    held(node.leases.take(Take { is_held_already: true, lasts: Some(LONG), ..question }).await.unwrap());
    assert_eq!(node.until(is_deciding).await.epoch(), recovering.epoch());
    let full = node.leases.take(question).await.unwrap();
    assert!(matches!(full, Taken::Full { .. }), "what was registered counts: {full:?}");
}

#[tokio::test]
async fn a_server_that_lost_everything_without_ending_is_noticed_by_all_nodes() {
    let server = RedisServer::start().await.unwrap();
    let config = config(server.url());
    let (one, other) = (Node::ready(&config).await, Node::ready(&config).await);
    let before = one.until(is_deciding).await;
    let chain = one.leases.chain(&[pool(1, 1)]).unwrap();
    let lease = held(take(&one.leases, &chain, &[1], LONG).await);
    server.tell("FLUSHALL").unwrap();
    // Whoever asks first, with a renewal as well as with a decision.
    let renewed = one.leases.renew(&[Lease { id: lease, chain: &chain }], LONG).await;
    assert!(matches!(renewed, Err(LeaseError::Recovering { .. })), "{renewed:?}");
    let after = one.until(|standing| is_deciding(standing) && standing != before).await;
    assert_ne!(after.epoch(), before.epoch());
    let there = other.until(|standing| is_deciding(standing) && standing != before).await;
    assert_eq!(there.epoch(), after.epoch());
    let refused = one.leases.renew(&[Lease { id: lease, chain: &chain }], LONG).await;
    assert_eq!(refused.unwrap(), [false]);
}

#[tokio::test]
async fn half_of_what_is_kept_is_nothing() {
    let server = RedisServer::start().await.unwrap();
    let config = config(server.url());
    for key in ["{ringback}:held", "{ringback}:leases"] {
        let node = Node::ready(&config).await;
        let before = node.until(is_deciding).await;
        let chain = node.leases.chain(&[pool(1, 1)]).unwrap();
        held(take(&node.leases, &chain, &[], LONG).await);
        // As a server does that evicts keys.
        server.tell(&format!("DEL {key}")).unwrap();
        let after = node.until(|standing| is_deciding(standing) && standing != before).await;
        assert_ne!(after.epoch(), before.epoch(), "{key}");
        assert_eq!(values(&node.leases, &chain).await, [0], "{key}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_once() {
    let server = RedisServer::start().await.unwrap();
    let node = Node::ready(&Config { answer_timeout: Duration::from_millis(100), ..config(server.url()) }).await;
    let chain = node.leases.chain(&[pool(1, 1)]).unwrap();
    let question = Take { chain: &chain, caps: &[1], lasts: Some(LONG), is_held_already: false };
    server.pause();
    let refused = node.leases.take(question).await;
    assert!(matches!(refused, Err(LeaseError::TimedOut)), "{refused:?}");
    let mut answer = pin!(node.leases.take(question));
    let at_once = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
    assert!(matches!(at_once, Poll::Ready(Err(LeaseError::Unreachable))), "{at_once:?}");
    server.resume();
    node.until(is_deciding).await;
    // What was taken without anybody's hearing of it is given back.
    eventually("the release of what nobody heard of", async || values(&node.leases, &chain).await == [0]).await;
}

#[tokio::test]
async fn a_slow_server_is_like_one_that_is_away_until_it_is_quick_again() {
    let server = RedisServer::start().await.unwrap();
    let node = Node::ready(&Config { answer_timeout: Duration::from_millis(50), ..config(server.url()) }).await;
    let before = node.until(is_deciding).await;
    let chain = node.leases.chain(&[pool(1, 1)]).unwrap();
    server.tell("CLIENT PAUSE 700 ALL").unwrap();
    let question = Take { chain: &chain, caps: &[1], lasts: Some(LONG), is_held_already: false };
    let refused = node.leases.take(question).await;
    assert!(matches!(refused, Err(LeaseError::TimedOut)), "{refused:?}");
    node.until(|standing| standing == Standing::Away).await;
    let after = node.until(is_deciding).await;
    assert_eq!(after, before, "nothing was lost");
}

#[tokio::test]
async fn who_gives_up_while_waiting_holds_nothing() {
    let server = RedisServer::start().await.unwrap();
    let node = Node::ready(&config(server.url())).await;
    let chain = node.leases.chain(&[Pool::shared(1, 1), pool(1, 2)]).unwrap();
    for _ in 0..100 {
        let question = Take { chain: &chain, caps: &[], lasts: Some(LONG), is_held_already: false };
        let mut answer = Box::pin(node.leases.take(question));
        // The question is on its way when its asker leaves.
        poll_fn(|context| Poll::Ready(answer.as_mut().poll(context).is_pending())).await;
        drop(answer);
        tokio::task::yield_now().await;
    }
    eventually("the release of what nobody waits for", async || values(&node.leases, &chain).await == [0, 0]).await;
}

#[tokio::test]
async fn a_server_that_forgets_its_scripts_is_told_them_again() {
    let server = RedisServer::start().await.unwrap();
    let node = Node::ready(&config(server.url())).await;
    let chain = node.leases.chain(&[pool(1, 1)]).unwrap();
    held(take(&node.leases, &chain, &[], LONG).await);
    server.tell("SCRIPT FLUSH").unwrap();
    held(take(&node.leases, &chain, &[], LONG).await);
    assert_eq!(values(&node.leases, &chain).await, [2]);
}

#[tokio::test]
async fn who_listens_hears_that_something_may_be_lost() {
    let mut server = RedisServer::start().await.unwrap();
    let node = Node::ready(&config(server.url())).await;
    let mut heard = node.leases.subscribe("weather").unwrap();
    server.stop();
    node.until(|standing| standing == Standing::Away).await;
    server.start_again().await.unwrap();
    node.until(is_deciding).await;
    let next = tokio::time::timeout(Duration::from_secs(20), heard.next()).await.unwrap();
    assert_eq!(next, None);
    eventually("a message", async || {
        node.leases.publish("weather", b"sun").await.unwrap();
        matches!(tokio::time::timeout(Duration::from_millis(100), heard.next()).await, Ok(Some(_)))
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again_and_nothing_is_lost() {
    let server = RedisServer::start().await.unwrap();
    let node = Node::ready(&config(server.url())).await;
    let before = node.until(is_deciding).await;
    let chain = node.leases.chain(&[pool(1, 1)]).unwrap();
    held(take(&node.leases, &chain, &[], LONG).await);
    for _ in 0..3 {
        server.tell("CLIENT KILL TYPE normal SKIPME yes").unwrap();
        node.until(|standing| standing == Standing::Away).await;
        assert_eq!(node.until(is_deciding).await, before);
    }
    assert_eq!(values(&node.leases, &chain).await, [1]);
}

#[tokio::test]
async fn a_server_that_comes_back_with_what_it_had_earlier_is_another() {
    let mut server = RedisServer::start().await.unwrap();
    let node = Node::ready(&config(server.url())).await;
    let before = node.until(is_deciding).await;
    let chain = node.leases.chain(&[pool(1, 1)]).unwrap();
    held(take(&node.leases, &chain, &[], LONG).await);
    // As a replica that takes over: it has not heard of the last ones.
    server.tell("SAVE").unwrap();
    held(take(&node.leases, &chain, &[], LONG).await);
    server.stop();
    server.start_again().await.unwrap();
    assert_eq!(server.tell("EXISTS {ringback}:held").unwrap(), ":1");
    let after = node.until(|standing| is_deciding(standing) && standing != before).await;
    assert_ne!(after.epoch(), before.epoch());
    assert_eq!(values(&node.leases, &chain).await, [0], "what is still held is registered anew");
}

#[tokio::test]
async fn decisions_however_many_leave_room_for_what_is_held() {
    let server = RedisServer::start().await.unwrap();
    let node = Node::ready(&Config { questions_max: 1, ..config(server.url()) }).await;
    let chain = node.leases.chain(&[pool(1, 1)]).unwrap();
    let lease = Lease { id: held(take(&node.leases, &chain, &[], LONG).await), chain: &chain };
    let question = Take { chain: &chain, caps: &[], lasts: Some(LONG), is_held_already: false };
    // It is under way until somebody looks for the answer.
    let mut asked = pin!(node.leases.take(question));
    assert!(poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await);
    let refused = node.leases.take(question).await;
    assert!(matches!(refused, Err(LeaseError::Crowded)), "{refused:?}");
    assert_eq!(node.leases.renew(&[lease], LONG).await.unwrap(), [true]);
    held(node.leases.take(Take { is_held_already: true, ..question }).await.unwrap());
    assert_eq!(node.leases.release(&[lease]).await.unwrap(), 1);
    held(asked.await.unwrap());
}
