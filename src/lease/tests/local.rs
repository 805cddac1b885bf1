//! Leases in process against a model of them, in all orders.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::super::{Chain, Lease, LeaseId, Leases, Local, Pool, Take, Taken, conformance::now};
use crate::clock::Clock;

/// A model: what is held where until when. Microseconds, as the clock counts.
#[derive(Default)]
struct Model {
    now: u64,
    leases: BTreeMap<usize, Modelled>,
}

struct Modelled {
    chain: usize,
    expires: Option<u64>,
}

#[derive(Clone, Debug)]
enum Step {
    Take {
        chain: usize,
        lasts: Option<u64>,
        is_held_already: bool,
    },
    /// Of the leases that there ever were.
    Renew {
        lease: usize,
        lasts: u64,
    },
    Release {
        lease: usize,
    },
    ReleaseTwice {
        lease: usize,
    },
    Pass {
        micros: u64,
    },
    SetCap {
        level: usize,
        cap: u32,
    },
    /// All leases of a chain end at once, as those of a caller who is gone.
    Disconnect {
        chain: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let chain = 0..CHAINS.len();
    let take = (chain.clone(), prop::option::of(1_u64..40), prop::bool::weighted(0.05))
        .prop_map(|(chain, lasts, is_held_already)| Step::Take { chain, lasts, is_held_already });
    let step = prop_oneof![
        8 => take,
        3 => (0..60_usize, 1_u64..40).prop_map(|(lease, lasts)| Step::Renew { lease, lasts }),
        4 => (0..60_usize).prop_map(|lease| Step::Release { lease }),
        1 => (0..60_usize).prop_map(|lease| Step::ReleaseTwice { lease }),
        3 => (1_u64..20).prop_map(|micros| Step::Pass { micros }),
        2 => (0..4_usize, 0..6_u32).prop_map(|(level, cap)| Step::SetCap { level, cap }),
        1 => chain.prop_map(|chain| Step::Disconnect { chain }),
    ];
    prop::collection::vec(step, 1..200)
}

/// Ids of pools from the widest on: 0 is everybody's, the first digit of the others is their family.
const CHAINS: &[&[u128]] = &[&[0, 10, 11, 12], &[0, 10, 11], &[0, 10, 13], &[0, 20, 21], &[20], &[0]];

fn pools(ids: &[u128]) -> Vec<Pool> {
    ids.iter().map(|id| if *id == 0 { Pool::shared(1, 0) } else { Pool::of_family(id / 10, 1, *id) }).collect()
}

impl Model {
    fn expire(&mut self) {
        let now = self.now;
        self.leases.retain(|_, lease| lease.expires.is_none_or(|when| now < when));
    }

    fn held(&self, pool: u128) -> u32 {
        let count = self.leases.values().filter(|lease| CHAINS[lease.chain].contains(&pool)).count();
        u32::try_from(count).unwrap()
    }
}

/// Time since boot goes on by itself; leases last so long that it makes no difference, and the model's time is moved.
const UNIT: u64 = 3_600_000_000;

fn span(units: u64) -> Duration {
    Duration::from_micros(units * UNIT)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn what_is_held_is_what_the_model_holds(steps in steps()) {
        let clock = Clock::system();
        let leases = Local::new(clock.clone());
        let chains: Vec<Chain> = CHAINS.iter().map(|ids| leases.chain(&pools(ids)).unwrap()).collect();
        let mut caps = [3_u32, 3, 2, 2];
        let mut model = Model::default();
        let mut taken: Vec<(LeaseId, usize)> = Vec::new();
        for step in steps {
            model.expire();
            match step {
                Step::Take { chain, lasts, is_held_already } => {
                    let ids = CHAINS[chain];
                    let full = ids.iter().zip(caps).position(|(id, cap)| cap <= model.held(*id));
                    let take = Take { chain: &chains[chain], caps: &caps, lasts: lasts.map(span), is_held_already };
                    match (now(leases.take(take)).unwrap(), full.filter(|_| !is_held_already)) {
                        (Taken::Held { lease, values, .. }, None) => {
                            let expires = lasts.map(|lasts| model.now + lasts);
                            model.leases.insert(taken.len(), Modelled { chain, expires });
                            taken.push((lease, chain));
                            let counted: Vec<u32> = ids.iter().map(|id| model.held(*id)).collect();
                            prop_assert_eq!(values.as_slice(), counted);
                        }
                        (Taken::Full { level, values }, Some(full)) => {
                            prop_assert_eq!(level, full);
                            let counted: Vec<u32> = ids.iter().map(|id| model.held(*id)).collect();
                            prop_assert_eq!(values.as_slice(), counted);
                        }
                        (other, full) => prop_assert!(false, "{other:?} where the model has {full:?}"),
                    }
                }
                Step::Renew { lease, lasts } => {
                    let Some((id, chain)) = taken.get(lease) else { continue };
                    let renewed = now(leases.renew(&[Lease { id: *id, chain: &chains[*chain] }], span(lasts))).unwrap();
                    let until = model.now + lasts;
                    let modelled = model.leases.get_mut(&lease);
                    prop_assert_eq!(renewed, [modelled.is_some()]);
                    if let Some(expires) = modelled.and_then(|lease| lease.expires.as_mut()) {
                        *expires = until;
                    }
                }
                Step::Release { lease } | Step::ReleaseTwice { lease } => {
                    let Some((id, chain)) = taken.get(lease) else { continue };
                    let held = Lease { id: *id, chain: &chains[*chain] };
                    let expected = usize::from(model.leases.remove(&lease).is_some());
                    let released = if matches!(step, Step::Release { .. }) {
                        now(leases.release(&[held]))
                    } else {
                        now(leases.release(&[held, held]))
                    };
                    // What has expired and was not counted out yet may still be given back: it makes no difference to anybody.
                    prop_assert!(expected <= released.unwrap());
                }
                Step::Pass { micros } => {
                    clock.sleep_through(span(micros));
                    model.now += micros;
                }
                Step::SetCap { level, cap } => caps[level] = cap,
                Step::Disconnect { chain } => {
                    let gone: Vec<usize> = model.leases.iter().filter(|(_, lease)| lease.chain == chain).map(|(at, _)| *at).collect();
                    let all: Vec<Lease<'_>> = gone.iter().map(|at| Lease { id: taken[*at].0, chain: &chains[chain] }).collect();
                    prop_assert_eq!(now(leases.release(&all)).unwrap(), gone.len());
                    model.leases.retain(|_, lease| lease.chain != chain);
                }
            }
            model.expire();
            for (ids, chain) in CHAINS.iter().zip(&chains) {
                let counted: Vec<u32> = ids.iter().map(|id| model.held(*id)).collect();
                let values = leases.values_now(chain).unwrap();
                prop_assert_eq!(values.as_slice(), counted);
            }
        }
        // Nothing is left when nothing is used.
        for (id, chain) in &taken {
            now(leases.release(&[Lease { id: *id, chain: &chains[*chain] }])).unwrap();
        }
        drop(chains);
        prop_assert_eq!(leases.pools(), 0);
    }
}

#[test]
fn a_chain_of_others_is_refused() {
    let (one, other) = (Local::new(Clock::system()), Local::new(Clock::system()));
    let chain = other.chain(&[Pool::shared(1, 1)]).unwrap();
    let take = Take { chain: &chain, caps: &[], lasts: None, is_held_already: false };
    assert!(one.take_now(take).is_err());
    let Ok(Taken::Held { lease, .. }) = other.take_now(take) else { panic!("no place") };
    assert!(!one.release_now(Lease { id: lease, chain: &chain }));
    assert!(other.release_now(Lease { id: lease, chain: &chain }));
}
