//! What everybody who keeps leases does alike. Each test has two nodes that keep the same ones.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{Answer, Chain, Lease, LeaseError, LeaseId, Leases, Paced, Pool, Rate, Take, Taken};
use crate::clock::Clock;

/// Longest that something may take that is waited for.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// A lease that does not expire while a test runs.
const LONG: Duration = Duration::from_secs(60);
/// One that does, but not while something else is asked.
const SHORT: Duration = Duration::from_millis(400);

/// Nodes that keep the same leases.
pub(super) struct Fleet {
    pub(super) one: Arc<dyn Leases>,
    pub(super) other: Arc<dyn Leases>,
}

/// Runs all of them. Every test has pools of its own.
pub(super) async fn conforms(fleet: &Fleet) {
    never_more_than_the_limit(fleet).await;
    all_levels_or_none(fleet).await;
    release_is_idempotent(fleet).await;
    what_expires_is_free_and_cannot_be_renewed(fleet).await;
    what_is_renewed_stays(fleet).await;
    lowering_admits_nothing_and_kills_nothing(fleet).await;
    what_is_held_already_counts_whatever_the_limit(fleet).await;
    families_share_what_is_shared(fleet).await;
    a_thousand_at_once_are_never_more_than_the_limit(fleet).await;
    many_are_renewed_and_released_in_one_call(fleet).await;
    paces_hold(fleet).await;
    counters_count(fleet).await;
    messages_are_heard(fleet).await;
    chains_that_cannot_be(fleet);
}

pub(super) fn pool(class: u16, id: u128) -> Pool {
    Pool::of_family(7, class, id)
}

pub(super) async fn take(leases: &dyn Leases, chain: &Chain, caps: &[u32], lasts: Duration) -> Taken {
    leases.take(Take { chain, caps, lasts: Some(lasts), is_held_already: false }).await.unwrap()
}

#[track_caller]
pub(super) fn held(taken: Taken) -> LeaseId {
    match taken {
        Taken::Held { lease, .. } => lease,
        Taken::Full { .. } => panic!("{taken:?}"),
    }
}

pub(super) async fn values(leases: &dyn Leases, chain: &Chain) -> Vec<u32> {
    leases.values(chain).await.unwrap().as_slice().to_vec()
}

/// Waits until something holds.
pub(super) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let clock = Clock::system();
    let deadline = clock.now() + WAIT_MAX;
    while !holds().await {
        assert!(clock.now() < deadline, "{what} does not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn never_more_than_the_limit(fleet: &Fleet) {
    let pools = [pool(1, 1)];
    let (here, there) = (fleet.one.chain(&pools).unwrap(), fleet.other.chain(&pools).unwrap());
    let first = take(&*fleet.one, &here, &[2], LONG).await;
    let Taken::Held { values: counted, .. } = first else { panic!("{first:?}") };
    assert_eq!(counted.as_slice(), [1]);
    held(take(&*fleet.other, &there, &[2], LONG).await);
    let third = take(&*fleet.one, &here, &[2], LONG).await;
    assert!(matches!(third, Taken::Full { level: 0, values } if values.as_slice() == [2]), "{third:?}");
    assert_eq!(values(&*fleet.other, &there).await, [2]);
    let lease = Lease { id: held(first), chain: &here };
    assert_eq!(fleet.one.release(&[lease]).await.unwrap(), 1);
    held(take(&*fleet.other, &there, &[2], LONG).await);
}

async fn all_levels_or_none(fleet: &Fleet) {
    let pools = [Pool::shared(2, 1), pool(2, 2), pool(2, 3), pool(2, 4)];
    let chain = fleet.one.chain(&pools).unwrap();
    held(take(&*fleet.one, &chain, &[9, 9, 9, 9], LONG).await);
    for full in 0..4 {
        let mut caps = [9; 4];
        caps[full] = 1;
        let refused = take(&*fleet.one, &chain, &caps, LONG).await;
        assert!(matches!(refused, Taken::Full { level, .. } if level == full), "{refused:?}");
        // Of several that are full the widest is told.
        if full < 3 {
            caps[3] = 1;
            let refused = take(&*fleet.one, &chain, &caps, LONG).await;
            assert!(matches!(refused, Taken::Full { level, .. } if level == full), "{refused:?}");
        }
        assert_eq!(values(&*fleet.one, &chain).await, [1, 1, 1, 1], "nothing is taken of what is refused");
    }
    // A pool without a cap has no limit; the same pools in another chain are the same pools.
    let narrow = fleet.other.chain(&pools[..2]).unwrap();
    held(take(&*fleet.other, &narrow, &[], LONG).await);
    assert_eq!(values(&*fleet.one, &chain).await, [2, 2, 1, 1]);
}

async fn release_is_idempotent(fleet: &Fleet) {
    let chain = fleet.one.chain(&[Pool::shared(3, 1), pool(3, 2)]).unwrap();
    let one = held(take(&*fleet.one, &chain, &[], LONG).await);
    let other = held(take(&*fleet.one, &chain, &[], LONG).await);
    let lease = Lease { id: one, chain: &chain };
    assert_eq!(fleet.one.release(&[lease, lease]).await.unwrap(), 1);
    assert_eq!(fleet.one.release(&[lease]).await.unwrap(), 0);
    assert_eq!(values(&*fleet.one, &chain).await, [1, 1]);
    // The place may be taken again meanwhile, by another whom this does not concern.
    held(take(&*fleet.one, &chain, &[], LONG).await);
    assert_eq!(fleet.one.release(&[lease]).await.unwrap(), 0);
    assert_eq!(values(&*fleet.one, &chain).await, [2, 2]);
    // Nor what was never taken there.
    let elsewhere = fleet.one.chain(&[pool(3, 3)]).unwrap();
    assert_eq!(fleet.one.release(&[Lease { id: other, chain: &elsewhere }]).await.unwrap(), 0);
    assert_eq!(values(&*fleet.one, &chain).await, [2, 2]);
}

async fn what_expires_is_free_and_cannot_be_renewed(fleet: &Fleet) {
    let chain = fleet.one.chain(&[Pool::shared(4, 1), pool(4, 2)]).unwrap();
    let lease = held(take(&*fleet.one, &chain, &[1, 1], SHORT).await);
    let there = fleet.other.chain(&[Pool::shared(4, 1), pool(4, 2)]).unwrap();
    assert!(matches!(take(&*fleet.other, &there, &[1, 1], LONG).await, Taken::Full { level: 0, .. }));
    eventually("expiry", async || matches!(take(&*fleet.other, &there, &[1, 1], LONG).await, Taken::Held { .. })).await;
    let lease = Lease { id: lease, chain: &chain };
    assert_eq!(fleet.one.renew(&[lease], LONG).await.unwrap(), [false]);
    assert_eq!(fleet.one.release(&[lease]).await.unwrap(), 0);
    assert_eq!(values(&*fleet.one, &chain).await, [1, 1]);
}

async fn what_is_renewed_stays(fleet: &Fleet) {
    let chain = fleet.one.chain(&[pool(5, 1)]).unwrap();
    let other = fleet.one.chain(&[pool(5, 2)]).unwrap();
    let stays = Lease { id: held(take(&*fleet.one, &chain, &[], SHORT).await), chain: &chain };
    held(take(&*fleet.one, &other, &[], SHORT).await);
    assert_eq!(fleet.one.renew(&[stays], LONG).await.unwrap(), [true]);
    eventually("expiry", async || values(&*fleet.one, &other).await == [0]).await;
    assert_eq!(values(&*fleet.one, &chain).await, [1]);
    assert_eq!(fleet.one.release(&[stays]).await.unwrap(), 1);
}

async fn lowering_admits_nothing_and_kills_nothing(fleet: &Fleet) {
    let chain = fleet.one.chain(&[pool(6, 1)]).unwrap();
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(held(take(&*fleet.one, &chain, &[3], LONG).await));
    }
    assert!(matches!(take(&*fleet.one, &chain, &[1], LONG).await, Taken::Full { .. }));
    assert_eq!(values(&*fleet.one, &chain).await, [3]);
    assert_eq!(fleet.one.renew(&[Lease { id: leases[2], chain: &chain }], LONG).await.unwrap(), [true]);
    for lease in leases {
        assert!(matches!(take(&*fleet.one, &chain, &[1], LONG).await, Taken::Full { .. }));
        assert_eq!(fleet.one.release(&[Lease { id: lease, chain: &chain }]).await.unwrap(), 1);
    }
    held(take(&*fleet.one, &chain, &[1], LONG).await);
    assert!(matches!(take(&*fleet.one, &chain, &[0], LONG).await, Taken::Full { .. }));
}

async fn what_is_held_already_counts_whatever_the_limit(fleet: &Fleet) {
    let chain = fleet.one.chain(&[Pool::shared(7, 1), pool(7, 2)]).unwrap();
    held(take(&*fleet.one, &chain, &[1, 1], LONG).await);
    let again = Take { chain: &chain, caps: &[1, 1], lasts: Some(LONG), is_held_already: true };
    let taken = fleet.one.take(again).await.unwrap();
    assert!(matches!(taken, Taken::Held { values, .. } if values.as_slice() == [2, 2]), "{taken:?}");
    assert!(matches!(take(&*fleet.one, &chain, &[2, 2], LONG).await, Taken::Full { .. }));
}

async fn families_share_what_is_shared(fleet: &Fleet) {
    let all = Pool::shared(8, 1);
    let mut chains = Vec::new();
    for family in 0..20 {
        chains.push(fleet.one.chain(&[all, Pool::of_family(family, 8, family + 100)]).unwrap());
    }
    for chain in &chains[..10] {
        held(take(&*fleet.one, chain, &[10], SHORT).await);
    }
    for chain in &chains[10..] {
        assert!(matches!(take(&*fleet.one, chain, &[10], LONG).await, Taken::Full { level: 0, .. }));
    }
    // What has expired in other families is free to all.
    let last = chains.last().unwrap();
    eventually("expiry", async || matches!(take(&*fleet.one, last, &[1], LONG).await, Taken::Held { .. })).await;
    assert_eq!(values(&*fleet.one, last).await, [1, 1]);
}

async fn a_thousand_at_once_are_never_more_than_the_limit(fleet: &Fleet) {
    const LIMIT: u32 = 17;
    let pools = [Pool::shared(9, 1), pool(9, 2), pool(9, 3), pool(9, 4)];
    let (inside, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let admitted = Arc::new(AtomicU32::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let leases = if number % 2 == 0 { fleet.one.clone() } else { fleet.other.clone() };
        let (inside, most, admitted) = (inside.clone(), most.clone(), admitted.clone());
        tasks.spawn(async move {
            let chain = leases.chain(&pools).unwrap();
            if let Taken::Held { lease, .. } = take(&*leases, &chain, &[100, LIMIT, 100, 100], LONG).await {
                admitted.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                assert_eq!(leases.release(&[Lease { id: lease, chain: &chain }]).await.unwrap(), 1);
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert!(most.load(Ordering::SeqCst) <= LIMIT);
    assert!(LIMIT <= admitted.load(Ordering::SeqCst));
    let chain = fleet.one.chain(&pools).unwrap();
    assert_eq!(values(&*fleet.one, &chain).await, [0, 0, 0, 0]);
}

async fn many_are_renewed_and_released_in_one_call(fleet: &Fleet) {
    let chains: Vec<Chain> =
        (0..40).map(|id| fleet.one.chain(&[Pool::shared(10, 1), pool(10, 100 + id)]).unwrap()).collect();
    let mut leases = Vec::new();
    for number in 0..1_300_usize {
        let chain = &chains[number % chains.len()];
        let lasts = if number % 3 == 0 { SHORT } else { LONG };
        leases.push(Lease { id: held(take(&*fleet.one, chain, &[], lasts).await), chain });
    }
    eventually("expiry", async || values(&*fleet.one, &chains[0]).await[0] == 866).await;
    let renewed = fleet.one.renew(&leases, LONG).await.unwrap();
    assert!(renewed.iter().enumerate().all(|(number, is_there)| *is_there == (number % 3 != 0)));
    assert_eq!(fleet.one.release(&leases).await.unwrap(), 866);
    for chain in &chains {
        assert_eq!(values(&*fleet.one, chain).await, [0, 0]);
    }
}

async fn paces_hold(fleet: &Fleet) {
    let rate = Rate { interval: Duration::from_secs(10), burst: 2, backlog_max: 2 };
    let mut starts = Vec::new();
    for number in 0..5 {
        let node = if number % 2 == 0 { &fleet.one } else { &fleet.other };
        starts.push(node.pace(pool(11, 1), rate).await.unwrap());
    }
    let near = |paced: &Paced, seconds: u64| {
        let Paced::Turn { starts_in } = paced else { return false };
        *starts_in <= Duration::from_secs(seconds) && Duration::from_secs(seconds) < *starts_in + Duration::from_secs(5)
    };
    assert!(near(&starts[0], 0) && near(&starts[1], 0), "{starts:?}");
    assert!(near(&starts[2], 10) && near(&starts[3], 20), "{starts:?}");
    assert!(matches!(starts[4], Paced::Full { retry_in } if retry_in <= Duration::from_secs(10)), "{starts:?}");
    // Another has its own.
    assert_eq!(fleet.one.pace(pool(11, 2), rate).await.unwrap(), Paced::Turn { starts_in: Duration::ZERO });
}

async fn counters_count(fleet: &Fleet) {
    assert_eq!(fleet.one.add(pool(12, 1), 2, LONG).await.unwrap(), 2);
    assert_eq!(fleet.other.add(pool(12, 1), -5, LONG).await.unwrap(), -3);
    assert_eq!(fleet.one.add(pool(12, 2), 1, SHORT).await.unwrap(), 1);
    eventually("forgetting", async || {
        // Looking is adding, which keeps it: long enough between two looks.
        tokio::time::sleep(2 * SHORT).await;
        fleet.one.add(pool(12, 2), 1, SHORT).await.unwrap() == 1
    })
    .await;
}

async fn messages_are_heard(fleet: &Fleet) {
    let mut heard = fleet.other.subscribe("weather").unwrap();
    let mut also = fleet.other.subscribe("weather").unwrap();
    let mut nothing = fleet.other.subscribe("else").unwrap();
    // Who has just begun to listen may miss something.
    eventually("a message", async || {
        fleet.one.publish("weather", b"\0rain").await.unwrap();
        let next = tokio::time::timeout(Duration::from_millis(100), heard.next()).await;
        matches!(next, Ok(Some(message)) if *message == *b"\0rain")
    })
    .await;
    let next = tokio::time::timeout(WAIT_MAX, async {
        loop {
            if let Some(message) = also.next().await {
                return message;
            }
        }
    });
    assert_eq!(*next.await.unwrap(), *b"\0rain");
    assert!(
        tokio::time::timeout(Duration::from_millis(20), async { while nothing.next().await.is_none() {} })
            .await
            .is_err()
    );
}

fn chains_that_cannot_be(fleet: &Fleet) {
    let of = |pools: &[Pool]| fleet.one.chain(pools);
    assert!(matches!(of(&[]), Err(LeaseError::Chain(_))));
    assert!(matches!(of(&[pool(1, 1), pool(1, 1)]), Err(LeaseError::Chain(_))));
    assert!(matches!(of(&[pool(1, 1), Pool::of_family(8, 1, 2)]), Err(LeaseError::Chain(_))));
    let many: Vec<Pool> = (0..9).map(|id| pool(1, id)).collect();
    assert!(matches!(of(&many), Err(LeaseError::Chain(_))));
}

/// An answer that is there.
#[track_caller]
pub(super) fn now<T: std::fmt::Debug>(answer: Answer<'_, T>) -> T {
    answer.at_once().unwrap()
}
