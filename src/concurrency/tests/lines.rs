//! The queue by itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use super::{
    super::{
        Resource,
        lines::{Full, LineKey, Lines},
    },
    account, subject,
};
use crate::lease::Pool;

const ALL: Pool = Pool::shared(1, 0);

fn own(number: u8) -> Pool {
    Pool::of_family(u128::from(number), 2, u128::from(number))
}

/// The first of a line that is tried has its place.
fn admitted<T>(lines: &mut Lines<T>, key: &LineKey) -> Option<T> {
    let first = lines.take_first(key, 1).pop();
    lines.admitted(key);
    first
}

fn line(number: u8) -> LineKey {
    (subject(number), Resource::Fetches)
}

#[test]
fn accounts_take_turns_and_each_is_first_come_first_served() {
    let mut lines = Lines::new();
    for waiter in 0..3 {
        lines.join(line(1), ALL, (9, u32::MAX), waiter).unwrap();
    }
    lines.join(line(2), ALL, (9, u32::MAX), 10).unwrap();
    lines.join(line(3), ALL, (9, u32::MAX), 20).unwrap();
    let mut order = Vec::new();
    while let Some((key, waiter)) = lines.next(ALL).map(|(key, _, waiter)| (key, *waiter)) {
        order.push(waiter);
        assert_eq!(admitted(&mut lines, &key), Some(waiter));
    }
    assert_eq!(order, [0, 10, 20, 1, 2]);
    assert_eq!(lines.len(), 0);
    assert!(lines.pools().is_empty());
}

#[test]
fn who_is_stopped_keeps_the_turn_at_its_pool_and_gets_the_last_at_another() {
    let mut lines = Lines::new();
    for number in 1..=3 {
        lines.join(line(number), ALL, (9, u32::MAX), number).unwrap();
    }
    let (key, ..) = lines.next(ALL).unwrap();
    lines.stopped(&key, ALL);
    assert_eq!(lines.next(ALL).map(|(key, ..)| key), Some(line(1)));
    lines.stopped(&line(1), own(1));
    assert_eq!(lines.next(ALL).map(|(key, ..)| key), Some(line(2)));
    lines.stopped(&line(2), ALL);
    assert_eq!(lines.next(own(1)).map(|(key, ..)| key), Some(line(1)));
    lines.stopped(&line(1), ALL);
    let order: Vec<LineKey> = std::iter::from_fn(|| lines.next(ALL).map(|(key, ..)| key)).collect();
    assert_eq!(order, [line(2), line(3), line(1)]);
}

#[test]
fn a_line_that_nobody_else_waits_beside_is_tried_as_a_whole_and_served_in_order() {
    let mut lines = Lines::new();
    for waiter in 0..4 {
        lines.join(line(1), ALL, (9, u32::MAX), waiter).unwrap();
    }
    let (key, ..) = lines.next(ALL).unwrap();
    assert_eq!(lines.at_once_max(&key), 4);
    assert_eq!(lines.take_first(&key, 2), [0, 1]);
    lines.stopped(&key, ALL);
    lines.join(line(2), ALL, (9, u32::MAX), 10).unwrap();
    let (key, ..) = lines.next(ALL).unwrap();
    assert_eq!((key, lines.at_once_max(&key)), (line(1), 1), "another account waits for its turn");
    // Two have their places, and one of them has left.
    assert_eq!(lines.take_first(&key, 1), [2]);
    assert!(lines.leave(&key, 4));
    assert!(lines.take_first(&key, 1).is_empty());
    lines.admitted(&key);
    assert_eq!(lines.next(ALL).map(|(key, ..)| key), Some(line(2)));
}

#[test]
fn who_is_being_tried_is_not_passed_by_one_who_comes() {
    let mut lines = Lines::new();
    lines.join(line(1), ALL, (9, u32::MAX), 1).unwrap();
    let (key, ..) = lines.next(ALL).unwrap();
    let comes = |lines: &Lines<u8>| lines.first_waited_for(&line(2), &[own(2), ALL]);
    assert_eq!(comes(&lines), Some(1));
    lines.stopped(&key, own(1));
    assert_eq!(comes(&lines), None, "it waits at a pool that is not the other's");
    assert!(lines.next(own(1)).is_some());
    lines.stopped(&key, ALL);
    assert_eq!(comes(&lines), Some(1));
    assert!(lines.next(ALL).is_some());
    admitted(&mut lines, &key);
    assert_eq!(comes(&lines), None);
}

#[test]
fn an_account_with_many_lines_has_no_more_turns_than_one_with_one() {
    let mut lines = Lines::new();
    for key in 0..5_u8 {
        let key = format!("SK{key:032x}").parse().unwrap();
        let subject = super::super::Subject { key: Some(key), ..subject(1) };
        lines.join((subject, Resource::Fetches), ALL, (9, u32::MAX), 1).unwrap();
    }
    for _ in 0..5 {
        lines.join(line(2), ALL, (9, u32::MAX), 2).unwrap();
    }
    let mut order = Vec::new();
    while let Some((key, waiter)) = lines.next(ALL).map(|(key, _, waiter)| (key, *waiter)) {
        assert_eq!(lines.at_once_max(&key), 1, "somebody else waits, or nobody besides");
        order.push(waiter);
        admitted(&mut lines, &key);
    }
    assert_eq!(order, [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
}

#[derive(Clone, Debug)]
enum Step {
    Join(u8),
    Leave(usize),
    Next { at_all: bool, number: u8 },
    Admit,
    Stop { at_all: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1..5_u8).prop_map(Step::Join),
        2 => (0..80_usize).prop_map(Step::Leave),
        5 => (any::<bool>(), 1..5_u8).prop_map(|(at_all, number)| Step::Next { at_all, number }),
        4 => Just(Step::Admit),
        2 => any::<bool>().prop_map(|at_all| Step::Stop { at_all }),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn nobody_is_lost_or_served_twice_and_lines_keep_their_order(steps in steps()) {
        const WAITING_MAX: u32 = 6;
        let mut lines = Lines::new();
        // Everybody who waits, by account: the numbers in order.
        let mut waiting: HashMap<u8, BTreeMap<u64, usize>> = HashMap::new();
        let mut joined: Vec<(u8, u64)> = Vec::new();
        let mut tried: Option<(LineKey, u8)> = None;
        for step in steps {
            match step {
                Step::Join(number) => {
                    let of_account = waiting.entry(number).or_default();
                    let pool = if joined.len().is_multiple_of(2) { ALL } else { own(number) };
                    match lines.join(line(number), pool, (WAITING_MAX, u32::MAX), joined.len()) {
                        Ok(at) => {
                            of_account.insert(at, joined.len());
                            joined.push((number, at));
                        }
                        Err(Full) => prop_assert_eq!(of_account.len(), 6),
                    }
                }
                Step::Leave(at) => {
                    let Some((number, at)) = joined.get(at).copied() else { continue };
                    let stood_there = waiting.get_mut(&number).and_then(|all| all.remove(&at)).is_some();
                    prop_assert_eq!(lines.leave(&line(number), at), stood_there);
                }
                Step::Next { at_all, number } => {
                    if tried.is_some() {
                        continue;
                    }
                    let pool = if at_all { ALL } else { own(number) };
                    let next = lines.next(pool).map(|(key, at, waiter)| (key, at, *waiter));
                    if let Some((key, at, waiter)) = next {
                        let number = joined[waiter].0;
                        prop_assert_eq!(key, line(number));
                        prop_assert_eq!(waiting[&number].first_key_value(), Some((&at, &waiter)), "first come, first served");
                        tried = Some((key, number));
                    }
                }
                Step::Admit => {
                    let Some((key, number)) = tried.take() else { continue };
                    let expected = waiting.get_mut(&number).and_then(|all| all.pop_first()).map(|(_, waiter)| waiter);
                    prop_assert_eq!(admitted(&mut lines, &key), expected);
                }
                Step::Stop { at_all } => {
                    let Some((key, number)) = tried.take() else { continue };
                    lines.stopped(&key, if at_all { ALL } else { own(number) });
                }
            }
            let total: usize = waiting.values().map(BTreeMap::len).sum();
            prop_assert_eq!(lines.len(), total);
            for (number, all) in &waiting {
                prop_assert_eq!(lines.waiting(account(*number), Resource::Fetches) as usize, all.len());
            }
            // Whoever waits is in the ring of some pool, unless it is being tried.
            let pools: HashSet<Pool> = lines.pools().into_iter().collect();
            for (number, _) in waiting.iter().filter(|(_, all)| !all.is_empty()) {
                let is_tried = tried.is_some_and(|(.., tried)| tried == *number);
                prop_assert!(is_tried || pools.contains(&ALL) || pools.contains(&own(*number)));
                prop_assert!(lines.first_waited_for(&line(*number), &[ALL, own(*number)]).is_some());
            }
        }
        if let Some((key, ..)) = tried {
            lines.stopped(&key, ALL);
        }
        // All can be served to the end.
        let mut served = 0;
        let total: usize = waiting.values().map(BTreeMap::len).sum();
        for pool in [ALL, own(1), own(2), own(3), own(4)] {
            while let Some(key) = lines.next(pool).map(|(key, ..)| key) {
                prop_assert!(admitted(&mut lines, &key).is_some());
                served += 1;
            }
        }
        prop_assert_eq!(served, total);
        prop_assert!(lines.pools().is_empty());
    }
}

#[test]
fn of_an_account_with_many_pools_each_look_has_some_and_all_come_in_turn() {
    let mut lines = Lines::new();
    for number in 1..=40 {
        let pool = Pool::of_family(1, 2, number);
        let key = format!("SK{number:032x}").parse().unwrap();
        let subject = super::super::Subject { key: Some(key), ..subject(1) };
        lines.join((subject, Resource::Fetches), pool, (99, u32::MAX), 0).unwrap();
    }
    for (number, pool) in [(2, own(2)), (3, ALL), (4, ALL)] {
        lines.join(line(number), pool, (99, u32::MAX), 0).unwrap();
    }
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let looked_at: HashSet<Pool> = lines.pools_in_turn(8).into_iter().collect();
        assert_eq!(looked_at.len(), 10);
        assert!(looked_at.contains(&own(2)) && looked_at.contains(&ALL));
        seen.extend(looked_at);
    }
    assert_eq!(seen.len(), 42);
    assert_eq!(lines.pools_in_turn(99).len(), 42);
}
