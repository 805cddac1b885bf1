//! A server's decisions against those of a node alone, step by step.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::super::{Chain, Lease, LeaseId, Leases, Local, Pool, Take, Taken, conformance::values};
use super::{Duration, Node, RedisServer, config};
use crate::clock::Clock;

const SEEDS: u64 = 15;
const STEPS: u32 = 150;
const LONG: Duration = Duration::from_secs(600);
/// Ids of pools from the widest on: 0 is everybody's, the first digit of the others is their family.
const CHAINS: &[&[u128]] = &[&[0, 10, 11, 12], &[0, 10, 11], &[0, 10, 13], &[0, 20, 21], &[20], &[0]];

fn chains(leases: &dyn Leases, seed: u64) -> Vec<Chain> {
    // Each seed has pools of its own.
    let of = |id: u128| id + u128::from(seed) * 1_000;
    let pool = |id: u128| if id == 0 { Pool::shared(1, of(0)) } else { Pool::of_family(of(id / 10), 1, of(id)) };
    CHAINS.iter().map(|ids| leases.chain(&ids.iter().map(|id| pool(*id)).collect::<Vec<_>>()).unwrap()).collect()
}

/// Who keeps leases, with the chains of a seed and the leases that were taken.
struct Side<'a> {
    leases: &'a dyn Leases,
    chains: Vec<Chain>,
    taken: Vec<(LeaseId, usize)>,
}

impl Side<'_> {
    async fn take(&mut self, chain: usize, caps: &[u32], is_held_already: bool) -> (Option<usize>, Vec<u32>) {
        let take = Take { chain: &self.chains[chain], caps, lasts: Some(LONG), is_held_already };
        match self.leases.take(take).await.unwrap() {
            Taken::Held { lease, values, .. } => {
                self.taken.push((lease, chain));
                (None, values.as_slice().to_vec())
            }
            Taken::Full { level, values } => (Some(level), values.as_slice().to_vec()),
        }
    }

    fn some(&self, at: &[usize]) -> Vec<Lease<'_>> {
        let taken = at.iter().filter_map(|at| self.taken.get(*at));
        taken.map(|(id, chain)| Lease { id: *id, chain: &self.chains[*chain] }).collect()
    }
}

#[tokio::test]
async fn a_server_decides_as_a_node_alone_does() {
    let server = RedisServer::start().await.unwrap();
    let node = Node::ready(&config(server.url())).await;
    let local = Local::new(Clock::system());
    for seed in 0..SEEDS {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut there = Side { leases: &node.leases, chains: chains(&node.leases, seed), taken: Vec::new() };
        let mut here = Side { leases: &local, chains: chains(&local, seed), taken: Vec::new() };
        for step in 0..STEPS {
            let case = format!("seed {seed}, step {step}");
            let some: Vec<usize> = (0..chance.random_range(1..6)).map(|_| chance.random_range(0..60)).collect();
            match chance.random_range(0..10) {
                0..6 => {
                    let chain = chance.random_range(0..CHAINS.len());
                    let caps: Vec<u32> = (0..4).map(|_| chance.random_range(0..9)).collect();
                    let is_held_already = chance.random_bool(0.1);
                    let said = there.take(chain, &caps, is_held_already).await;
                    assert_eq!(said, here.take(chain, &caps, is_held_already).await, "{case}");
                }
                6..8 => {
                    // Also what was released before, and the same twice.
                    let said = there.leases.release(&there.some(&some)).await.unwrap();
                    assert_eq!(said, here.leases.release(&here.some(&some)).await.unwrap(), "{case}");
                }
                _ => {
                    let said = there.leases.renew(&there.some(&some), LONG).await.unwrap();
                    assert_eq!(said, here.leases.renew(&here.some(&some), LONG).await.unwrap(), "{case}");
                }
            }
            for (there, here) in there.chains.iter().zip(&here.chains) {
                assert_eq!(values(&node.leases, there).await, values(&local, here).await, "{case}");
            }
        }
    }
}
