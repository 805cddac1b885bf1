//! Nodes that were asleep, paused or cut off for longer than their leases last, and places that others took meanwhile.

use super::{
    super::{PlaceLost, WhenAway},
    Limit, Place, RESOURCE, Resource, account,
    fleet::{LASTS, Node, eventually, limited},
    scope, subject,
    wire::Wire,
};
use crate::{lease::Standing, testing::redis_server::RedisServer};

/// A node that holds a place of each kind and is asleep for longer than leases last, while another takes what becomes free and keeps it.
async fn asleep(while_asleep: impl AsyncFnOnce(&Node, &RedisServer)) -> (Node, [Place; 2], (Node, RedisServer)) {
    let server = RedisServer::start().await.unwrap();
    let limits = limited(Limit::hard(1));
    let sleeps = Node::ready(&server, WhenAway::Closed, &limits).await;
    let awake = Node::ready(&server, WhenAway::Closed, &limits).await;
    let places =
        [sleeps.admit().await.unwrap(), sleeps.gate.concurrency.admit(subject(1), Resource::Calls).await.unwrap()];
    assert!(places.iter().all(Place::is_sure));
    // Its keeper sleeps with it.
    if let Some(keeping) = &sleeps.gate.keeping {
        keeping.abort();
    }
    awake.until_idle().await;
    while_asleep(&awake, &server).await;
    sleeps.gate.clock.sleep_through(2 * LASTS);
    (sleeps, places, (awake, server))
}

#[tokio::test]
async fn a_node_that_was_asleep_takes_its_places_again_before_it_goes_on() {
    let (node, places, _others) = asleep(async |_, _| {}).await;
    for place in &places {
        assert!(!place.is_sure());
        assert_eq!(place.confirm().await, Ok(()));
        assert!(place.is_sure());
    }
    assert_eq!(node.gate.current(account(1)).await, 1);
    assert_eq!(node.gate.concurrency.overcommitted(), 0);
}

#[tokio::test]
async fn who_makes_sure_twice_at_once_loses_nothing() {
    let (node, places, _others) = asleep(async |_, _| {}).await;
    let standing = node.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
    let [stream, call] = &places;
    let core = &node.gate.concurrency.core;
    let (renewed, first, second, third) =
        tokio::join!(core.renew_all(standing, LASTS), stream.confirm(), stream.confirm(), call.confirm());
    assert!(renewed.is_ok());
    assert_eq!([first, second, third], [Ok(()); 3]);
    assert!(places.iter().all(Place::is_sure));
    assert_eq!(node.gate.concurrency.overcommitted(), 0);
    let usage = node.gate.concurrency.usage(subject(1)).await;
    assert!(usage.len() == 2 && usage.iter().all(|reading| reading.current == 1), "{usage:?}");
}

#[tokio::test]
async fn where_others_have_them_streams_end_and_calls_live_on_and_are_counted() {
    let mut taken = Vec::new();
    let (node, [stream, call], _others) = asleep(async |awake, _| {
        taken.push(awake.admit().await.unwrap());
        taken.push(awake.gate.concurrency.admit(subject(1), Resource::Calls).await.unwrap());
    })
    .await;
    assert_eq!(stream.confirm().await, Err(PlaceLost));
    assert_eq!(stream.confirm().await, Err(PlaceLost), "and it stays lost");
    assert_eq!(call.confirm().await, Ok(()));
    assert!(call.is_sure());
    assert_eq!(node.gate.concurrency.overcommitted(), 1);
    let usage = node.gate.concurrency.usage(subject(1)).await;
    let calls = usage.iter().find(|reading| reading.resource == Resource::Calls).unwrap();
    assert_eq!((calls.current, calls.limit), (2, Some(1)));
}

#[tokio::test]
async fn an_upload_whose_place_others_have_goes_on_and_is_counted() {
    let server = RedisServer::start().await.unwrap();
    let limits = limited(Limit::hard(1));
    let cut_off = Node::ready(&server, WhenAway::Closed, &limits).await;
    let other = Node::ready(&server, WhenAway::Closed, &limits).await;
    let upload = async |node: &Node| node.gate.concurrency.admit(subject(1), Resource::Uploads).await.unwrap();
    let place = upload(&cut_off).await;
    if let Some(keeping) = &cut_off.gate.keeping {
        keeping.abort();
    }
    other.until_idle().await;
    let also = upload(&other).await;
    // Nobody makes sure of it but the keeper.
    let standing = cut_off.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
    cut_off.gate.concurrency.core.renew_all(standing, LASTS).await.unwrap();
    assert_eq!(cut_off.gate.concurrency.overcommitted(), 1);
    let usage = cut_off.gate.concurrency.usage(subject(1)).await;
    assert_eq!((usage[0].resource, usage[0].current), (Resource::Uploads, 2));
    drop((place, also));
}

#[tokio::test]
async fn what_is_taken_again_is_taken_under_the_limits_of_now() {
    let (node, [stream, call], _others) = asleep(async |_, _| {}).await;
    node.gate.limits.set(scope(1), RESOURCE, Limit::hard(0)).unwrap();
    node.gate.limits.set(scope(1), Resource::Calls, Limit::hard(0)).unwrap();
    assert_eq!(stream.confirm().await, Err(PlaceLost));
    assert_eq!(call.confirm().await, Ok(()));
    assert_eq!(node.gate.concurrency.overcommitted(), 1);

    let mut taken = Vec::new();
    let (node, [stream, call], _others) = asleep(async |awake, _| {
        taken.push(awake.admit().await.unwrap());
        taken.push(awake.gate.concurrency.admit(subject(1), Resource::Calls).await.unwrap());
        awake.gate.limits.set(scope(1), RESOURCE, Limit::hard(2)).unwrap();
        awake.gate.limits.edit(scope(1), Resource::Calls, None, 1).unwrap();
    })
    .await;
    assert_eq!([stream.confirm().await, call.confirm().await], [Ok(()); 2]);
    assert_eq!(node.gate.concurrency.overcommitted(), 0);
}

#[tokio::test]
async fn who_comes_too_late_to_register_takes_its_places_again() {
    let (mut taken, mut after) = (Vec::new(), None);
    let (node, [stream, call], _others) = asleep(async |awake, server| {
        let before = awake.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
        server.tell("FLUSHALL").unwrap();
        let is_after = |standing| matches!(standing, Standing::Deciding { .. }) && standing != before;
        after = Some(awake.until(is_after).await);
        taken.push(awake.admit().await.unwrap());
        taken.push(awake.gate.concurrency.admit(subject(1), Resource::Calls).await.unwrap());
    })
    .await;
    node.until(|standing| Some(standing) == after).await;
    assert_eq!(stream.confirm().await, Err(PlaceLost));
    assert_eq!(call.confirm().await, Ok(()));
    assert_eq!(node.gate.concurrency.overcommitted(), 1);
}

#[tokio::test]
async fn who_could_not_renew_registers_while_holders_do_whatever_the_limit() {
    let server = RedisServer::start().await.unwrap();
    let wire = Wire::to(server.address()).await.unwrap();
    let limits = limited(Limit::hard(1));
    let node = Node::ready_at(wire.url(), WhenAway::Closed, &limits).await;
    let stream = node.admit().await.unwrap();
    wire.cut();
    eventually("the end of its lease", async || !stream.is_sure()).await;
    limits.set(scope(1), RESOURCE, Limit::hard(0)).unwrap();
    server.tell("FLUSHALL").unwrap();
    wire.mend();
    node.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
    assert_eq!(stream.confirm().await, Ok(()));
    assert_eq!(node.gate.current(account(1)).await, 1);
    assert_eq!(node.gate.concurrency.overcommitted(), 0);
}

#[tokio::test]
async fn a_node_that_was_cut_off_finds_by_itself_what_others_took_meanwhile() {
    let server = RedisServer::start().await.unwrap();
    let wire = Wire::to(server.address()).await.unwrap();
    let limits = limited(Limit::hard(1));
    let cut_off = Node::ready_at(wire.url(), WhenAway::Closed, &limits).await;
    let other = Node::ready(&server, WhenAway::Closed, &limits).await;
    let before = other.until(|standing| matches!(standing, Standing::Deciding { .. })).await;
    let stream = cut_off.admit().await.unwrap();
    let call = cut_off.gate.concurrency.admit(subject(1), Resource::Calls).await.unwrap();
    wire.cut();
    other.until_idle().await;
    let taken = other.gate.concurrency.admit(subject(1), Resource::Calls).await.unwrap();
    let also = other.admit().await.unwrap();
    // While nobody can be asked and nothing is admitted so, what is not sure does not go on; but for calls, which do.
    eventually("doubt", async || !stream.is_sure() && !call.is_sure()).await;
    assert_eq!(stream.confirm().await, Err(PlaceLost));
    assert_eq!(call.confirm().await, Ok(()));
    wire.mend();
    assert_eq!(
        cut_off.until(|standing| matches!(standing, Standing::Deciding { .. })).await,
        before,
        "nothing was lost"
    );
    eventually("an overcommitted call", async || cut_off.gate.concurrency.overcommitted() == 1).await;
    assert!(call.is_sure());
    assert_eq!(stream.confirm().await, Err(PlaceLost));
    // What others hold is theirs still.
    assert!(taken.confirm().await.is_ok() && also.confirm().await.is_ok());
    drop((stream, call, taken, also));
    other.until_current(0).await;
}
