//! Leases in process under every order of threads that ten thousand random schedules find (`make model`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use shuttle::thread;

use super::{Lease, Leases as _, Local, Pool, Take, Taken};
use crate::clock::Clock;

const SCHEDULES: usize = 10_000;
const HOUR: Duration = Duration::from_secs(3_600);

fn pools(family: u128) -> [Pool; 3] {
    [Pool::shared(1, 0), Pool::of_family(family, 2, family), Pool::of_family(family, 3, family)]
}

#[test]
fn never_more_than_the_limit_and_nothing_is_left() {
    shuttle::check_random(
        || {
            let leases = Local::new(Clock::system());
            let inside = Arc::new(AtomicU32::new(0));
            let threads: Vec<_> = (0..4_u128)
                .map(|number| {
                    let (leases, inside) = (leases.clone(), inside.clone());
                    thread::spawn(move || {
                        // Two families of two, so that some decisions meet in a shard and all in what is shared.
                        let chain = leases.chain(&pools(number % 2)).unwrap();
                        let take = Take { chain: &chain, caps: &[2, 1, 1], lasts: None, is_held_already: false };
                        if let Taken::Held { lease, .. } = leases.take_now(take).unwrap() {
                            assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                            thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            let lease = Lease { id: lease, chain: &chain };
                            assert!(leases.release_now(lease));
                            assert!(!leases.release_now(lease));
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(leases.pools(), 0);
        },
        SCHEDULES,
    );
}

/// A decision that is refused is never counted up on trial: nobody is refused for it.
#[test]
fn nobody_is_refused_by_who_is_refused() {
    shuttle::check_random(
        || {
            let leases = Local::new(Clock::system());
            let refused = thread::spawn({
                let leases = leases.clone();
                move || {
                    let chain = leases.chain(&pools(1)).unwrap();
                    let take = Take { chain: &chain, caps: &[1, 9, 0], lasts: None, is_held_already: false };
                    assert!(matches!(leases.take_now(take).unwrap(), Taken::Full { .. }));
                }
            });
            let chain = leases.chain(&pools(2)).unwrap();
            let take = Take { chain: &chain, caps: &[1, 1, 1], lasts: None, is_held_already: false };
            assert!(matches!(leases.take_now(take).unwrap(), Taken::Held { .. }));
            refused.join().unwrap();
        },
        SCHEDULES,
    );
}

#[test]
fn what_expires_while_it_is_renewed_or_released_is_counted_out_once() {
    shuttle::check_random(
        || {
            let clock = Clock::system();
            let leases = Local::new(clock.clone());
            let chain = Arc::new(leases.chain(&pools(1)).unwrap());
            let take = Take { chain: &chain, caps: &[1], lasts: Some(HOUR), is_held_already: false };
            let Taken::Held { lease, .. } = leases.take_now(take).unwrap() else { panic!("no place") };
            let spawn = |work: fn(&Local, Lease<'_>)| {
                let (leases, chain) = (leases.clone(), chain.clone());
                thread::spawn(move || work(&leases, Lease { id: lease, chain: &chain }))
            };
            let threads = [
                spawn(|leases, lease| {
                    leases.renew(&[lease], HOUR).at_once().unwrap().unwrap();
                }),
                spawn(|leases, lease| {
                    leases.release_now(lease);
                }),
                thread::spawn({
                    let (leases, clock) = (leases.clone(), clock.clone());
                    move || {
                        clock.sleep_through(2 * HOUR);
                        let other = leases.chain(&pools(2)).unwrap();
                        let take = Take { chain: &other, caps: &[1], lasts: Some(HOUR), is_held_already: false };
                        if let Taken::Held { lease, .. } = leases.take_now(take).unwrap() {
                            assert_eq!(leases.values_now(&other).unwrap().as_slice(), [1, 1, 1]);
                            assert!(leases.release_now(Lease { id: lease, chain: &other }));
                        }
                    }
                }),
            ];
            for thread in threads {
                thread.join().unwrap();
            }
            clock.sleep_through(4 * HOUR);
            assert_eq!(leases.values_now(&chain).unwrap().as_slice(), [0, 0, 0]);
            drop(chain);
            assert_eq!(leases.pools(), 0);
        },
        SCHEDULES,
    );
}
