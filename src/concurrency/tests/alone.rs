//! A node alone.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::Duration,
};

use super::{
    super::{DefaultLimits, Destination, Giver, LimitError, PerSecond},
    Clock, Concurrency, Config, Gate, Limit, Local, MemoryLimits, Policy, RESOURCE, Resource, Scope, Subject, Why,
    account, delay, impeded, scope, settle, subject,
};
use crate::{ids::KeySid, problem::Kind};

#[tokio::test]
async fn one_too_many_is_refused_and_told_why() {
    let gate = Gate::alone();
    gate.limit(scope(1), Limit::hard(2));
    let (first, _second) = (gate.admit(subject(1)).await.unwrap(), gate.admit(subject(1)).await.unwrap());
    let refused = impeded(gate.admit(subject(1)).await, Why::Full);
    assert_eq!((refused.scope, refused.limit, refused.current, refused.resource), (scope(1), 2, 2, RESOURCE));
    let waits = Duration::from_millis(1)..=Duration::from_secs(4);
    assert!(waits.contains(&refused.retry_after));
    let problem = refused.problem();
    assert_eq!(problem.kind, Kind::TooManyRequests);
    let text = "2 fetches of this account are in progress, and 2 may be; this one was not processed";
    assert_eq!(problem.detail, text);
    // Others are not concerned, nor is other work.
    let _other = gate.admit(subject(2)).await.unwrap();
    let _light = gate.concurrency.admit(subject(1), Resource::MediaReads).await.unwrap();
    assert_eq!(first.read().current, 1);
    drop(first);
    let again = gate.admit(subject(1)).await.unwrap();
    assert_eq!((again.read().current, again.read().limit), (2, Some(2)));
    let usage = gate.concurrency.usage(subject(1)).await;
    let usage = usage.iter().find(|reading| reading.resource == RESOURCE).unwrap();
    assert_eq!((usage.current, usage.peak, usage.admitted, usage.impeded.rejected), (2, 2, 3, 1));
}

#[tokio::test]
async fn every_level_limits_and_is_counted() {
    let gate = Gate::alone();
    let key = "SK00000000000000000000000000000001".parse().unwrap();
    let sub = Subject { parent: Some(account(1)), key: Some(key), ..subject(2) };
    for (limited, limit) in [(Scope::Platform, 5), (scope(1), 4), (scope(2), 3), (Scope::Key(key), 2)] {
        gate.limit(limited, Limit::hard(limit));
    }
    let mut held = vec![gate.admit(sub).await.unwrap(), gate.admit(sub).await.unwrap()];
    assert_eq!(impeded(gate.admit(sub).await, Why::Full).scope, Scope::Key(key));
    let without_key = Subject { key: None, ..sub };
    held.push(gate.admit(without_key).await.unwrap());
    assert_eq!(impeded(gate.admit(without_key).await, Why::Full).scope, scope(2));
    held.push(gate.admit(subject(1)).await.unwrap());
    let sibling = Subject { parent: Some(account(1)), ..subject(3) };
    assert_eq!(impeded(gate.admit(sibling).await, Why::Full).scope, scope(1));
    held.push(gate.admit(subject(4)).await.unwrap());
    let full = impeded(gate.admit(subject(5)).await, Why::Full);
    assert_eq!((full.scope, full.limit), (Scope::Platform, 5));
    assert_eq!((gate.current(account(1)).await, gate.current(account(4)).await), (4, 1));
    drop(held);
    assert_eq!((gate.current(account(1)).await, gate.current(account(4)).await), (0, 0));
}

#[tokio::test]
async fn a_destination_has_a_limit_over_all_accounts() {
    let gate = Gate::alone();
    let trunk = Destination::named("sip:trunk.example");
    gate.limits.set(Scope::Destination(trunk), Resource::Destinations, Limit::hard(1)).unwrap();
    let to = |number, destination| Subject { destination: Some(destination), ..subject(number) };
    let admit = async |subject| gate.concurrency.admit(subject, Resource::Destinations).await;
    let _held = admit(to(1, trunk)).await.unwrap();
    assert_eq!(impeded(admit(to(2, trunk)).await, Why::Full).scope, Scope::Destination(trunk));
    admit(to(2, Destination::named("sip:other.example"))).await.unwrap();
}

#[tokio::test]
async fn soft_limits_are_told_and_impede_nobody() {
    let gate = Gate::alone();
    gate.limit(scope(1), Limit { soft: Some(2), hard: Some(3), policy: Policy::Reject });
    let first = gate.admit(subject(1)).await.unwrap();
    assert_eq!(first.read().soft_reached, None);
    let second = gate.admit(subject(1)).await.unwrap();
    assert_eq!(second.read().soft_reached, Some(2));
    let _third = gate.admit(subject(1)).await.unwrap();
    impeded(gate.admit(subject(1)).await, Why::Full);
    assert_eq!(gate.concurrency.usage(subject(1)).await[0].above_soft, 2);
}

#[tokio::test]
async fn throttled_answers_are_slowed_within_a_bound() {
    let gate = Gate::alone();
    let slowed_by = Duration::from_millis(700);
    gate.limit(scope(1), Limit::hard(1).with(Policy::Throttle { slowed_by, beyond: 2 }));
    let mut held = Vec::new();
    for expected in [None, Some(slowed_by), Some(slowed_by)] {
        let place = gate.admit(subject(1)).await.unwrap();
        assert_eq!(place.slowed_by(), expected);
        held.push(place);
    }
    impeded(gate.admit(subject(1)).await, Why::Full);
    let counted = gate.concurrency.usage(subject(1)).await[0].impeded;
    assert_eq!((counted.throttled, counted.rejected), (2, 1));
}

#[tokio::test]
async fn a_dry_run_only_counts() {
    let gate = Gate::alone();
    gate.limit(scope(1), Limit::hard(1).with(Policy::DryRun));
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(gate.admit(subject(1)).await.unwrap());
    }
    assert!(held.iter().all(|place| place.slowed_by().is_none()));
    let usage = gate.concurrency.usage(subject(1)).await;
    assert_eq!((usage[0].current, usage[0].impeded.dry_run, usage[0].impeded.rejected), (5, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_let_in_in_order_and_no_longer_than_the_maximum() {
    let gate = Arc::new(Gate::alone());
    gate.limit(scope(1), Limit::hard(1).with(delay(Duration::from_secs(10), 3)));
    let held = gate.admit(subject(1)).await.unwrap();
    let (sender, mut order) = tokio::sync::mpsc::channel(8);
    for number in 0..3 {
        let (gate, sender) = (gate.clone(), sender.clone());
        tokio::spawn(async move {
            let place = gate.admit(subject(1)).await;
            sender.send((number, place)).await.unwrap();
        });
        settle().await;
    }
    assert_eq!(gate.concurrency.waiting(subject(1), RESOURCE), 3);
    impeded(gate.admit(subject(1)).await, Why::QueueFull);
    drop(held);
    let (first, place) = order.recv().await.unwrap();
    assert_eq!(first, 0);
    let place = place.unwrap();
    assert_eq!(place.read().current, 1);
    drop(place);
    let (second, place) = order.recv().await.unwrap();
    let _place = place.unwrap();
    // The third waits for somebody who stays.
    let (third, refused) = order.recv().await.unwrap();
    assert_eq!((second, third), (1, 2));
    impeded(refused, Why::WaitedTooLong);
    assert_eq!(gate.concurrency.waiting(subject(1), RESOURCE), 0);
    assert_eq!(gate.concurrency.usage(subject(1)).await[0].impeded.delayed, 3);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_frees_the_place_in_line_at_once() {
    let gate = Gate::alone();
    gate.limit(scope(1), Limit::hard(1).with(delay(Duration::from_secs(10), 1)));
    let held = gate.admit(subject(1)).await.unwrap();
    {
        let mut waits = pin!(gate.admit(subject(1)));
        assert!(poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_pending())).await);
        impeded(gate.admit(subject(1)).await, Why::QueueFull);
    }
    assert_eq!(gate.concurrency.waiting(subject(1), RESOURCE), 0);
    let mut waits = Box::pin(gate.admit(subject(1)));
    assert!(poll_fn(|context| Poll::Ready(waits.as_mut().poll(context).is_pending())).await);
    // It leaves when it was given the place already: the place is given back.
    drop(held);
    settle().await;
    drop(waits);
    settle().await;
    assert_eq!(gate.current(account(1)).await, 0);
    drop(gate.admit(subject(1)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn accounts_that_wait_for_the_platform_take_turns() {
    let gate = Arc::new(Gate::alone());
    gate.limit(Scope::Platform, Limit::hard(1).with(delay(Duration::from_secs(100), 1_000)));
    let held = gate.admit(subject(9)).await.unwrap();
    let (sender, mut order) = tokio::sync::mpsc::channel(256);
    // One account is there with a hundred before the others come with one.
    for number in std::iter::repeat_n(1, 100).chain([2, 3, 4]) {
        let (gate, sender) = (gate.clone(), sender.clone());
        tokio::spawn(async move {
            let place = gate.admit(subject(number)).await.unwrap();
            sender.send(number).await.unwrap();
            drop(place);
        });
        settle().await;
    }
    drop((held, sender));
    let mut served = Vec::new();
    while let Some(number) = order.recv().await {
        served.push(number);
    }
    assert_eq!(served[..5], [1, 2, 3, 4, 1]);
    assert_eq!(served.len(), 103);
}

#[tokio::test(start_paused = true)]
async fn an_account_at_its_limit_holds_up_nobody_who_waits_for_something_else() {
    let gate = Arc::new(Gate::alone());
    let waits = delay(Duration::from_secs(100), 1_000);
    gate.limit(Scope::Platform, Limit::hard(2).with(waits));
    gate.limit(scope(1), Limit::hard(1).with(waits));
    let one = gate.admit(subject(1)).await.unwrap();
    let other = gate.admit(subject(9)).await.unwrap();
    let spawn = |number: u8| {
        let gate = gate.clone();
        tokio::spawn(async move { gate.admit(subject(number)).await })
    };
    let (mut first, mut second) = (spawn(1), spawn(2));
    settle().await;
    drop(other);
    // The turn is that of account 1, which is at its own limit.
    let place = (&mut second).await.unwrap().unwrap();
    settle().await;
    assert!(!first.is_finished());
    drop(one);
    let mine = (&mut first).await.unwrap().unwrap();
    drop((place, mine));
}

#[tokio::test(start_paused = true)]
async fn raising_a_limit_lets_in_who_waits_and_lowering_it_ends_nothing() {
    let gate = Arc::new(Gate::alone());
    let waits = delay(Duration::from_secs(100), 10);
    gate.limit(scope(1), Limit::hard(3).with(waits));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(gate.admit(subject(1)).await.unwrap());
    }
    gate.limit(scope(1), Limit::hard(1).with(waits));
    assert_eq!(gate.current(account(1)).await, 3);
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.admit(subject(1)).await }
    });
    settle().await;
    held.pop();
    held.pop();
    settle().await;
    assert!(!waiting.is_finished(), "one is in progress, and one may be");
    gate.limit(scope(1), Limit::hard(2).with(waits));
    assert_eq!(waiting.await.unwrap().unwrap().read().current, 2);
}

#[tokio::test]
async fn two_who_change_a_limit_at_once_are_told() {
    let limits = MemoryLimits::default();
    assert_eq!(limits.edit(scope(1), RESOURCE, Some(Limit::hard(1)), 0), Ok(1));
    assert_eq!(limits.edit(scope(1), RESOURCE, Some(Limit::hard(2)), 0), Err(LimitError::Overtaken(1)));
    assert_eq!(limits.edit(scope(1), RESOURCE, Some(Limit::hard(2)), 1), Ok(2));
    assert_eq!(limits.edit(scope(1), RESOURCE, None, 2), Ok(0));
    let nonsense = Limit { soft: Some(3), hard: Some(2), policy: Policy::Reject };
    assert!(matches!(limits.edit(scope(1), RESOURCE, Some(nonsense), 0), Err(LimitError::Invalid(_))));
    let nonsense = Limit::hard(1).with(delay(Duration::ZERO, 1));
    assert!(matches!(limits.set(scope(1), RESOURCE, nonsense), Err(LimitError::Invalid(_))));
}

#[tokio::test]
async fn who_has_no_limit_of_its_own_has_the_default() {
    let limits: DefaultLimits = toml::from_str(
        "account.fetches = { hard = 1 }\n\
         platform.fetches = { soft = 5, hard = 9, policy = { delay = { wait_max = \"2s\", waiting_max = 7 } } }",
    )
    .unwrap();
    let config = Config { limits, ..Config::default() };
    let gate = Gate::new(config, Arc::new(Local::new(Clock::system())), Arc::default(), Duration::ZERO);
    let _held = gate.admit(subject(1)).await.unwrap();
    impeded(gate.admit(subject(1)).await, Why::Full);
    gate.limit(scope(1), Limit::hard(2));
    gate.admit(subject(1)).await.unwrap();
    assert!(toml::from_str::<DefaultLimits>("account.nonsense = { hard = 1 }").is_err());
}

#[tokio::test(start_paused = true)]
async fn so_many_begin_in_a_second() {
    let gate = Gate::alone();
    gate.limits.set_rate(Giver::Operator, scope(1), Resource::Calls, Some(PerSecond { count: 2, backlog_max: 3 }));
    let mut times = Vec::new();
    for _ in 0..4 {
        times.push(gate.concurrency.turn(subject(1), Resource::Calls).await.unwrap().queue_time);
    }
    for (time, half_seconds) in times.iter().zip(0_u32..) {
        let expected = Duration::from_millis(500) * half_seconds;
        assert!(*time <= expected && expected < *time + Duration::from_millis(400), "{times:?}");
    }
    let refused = gate.concurrency.turn(subject(1), Resource::Calls).await.unwrap_err();
    assert_eq!((refused.why, refused.limit), (Why::TooFast, 2));
    gate.concurrency.turn(subject(2), Resource::Calls).await.unwrap().wait().await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_the_lowest_of_those_that_were_given_and_the_one_above_holds_too() {
    let gate = Gate::alone();
    let rate = |count, backlog_max| Some(PerSecond { count, backlog_max });
    gate.limits.set_rate(Giver::Operator, scope(2), Resource::Calls, rate(4, 10));
    gate.limits.set_rate(Giver::Owner, scope(2), Resource::Calls, rate(100, 1));
    let sub = |number| Subject { parent: Some(account(1)), ..subject(number) };
    let turn = async |subject| gate.concurrency.turn(subject, Resource::Calls).await.map(|turn| turn.queue_time);
    assert_eq!(turn(sub(2)).await, Ok(Duration::ZERO));
    let second = turn(sub(2)).await.unwrap();
    assert!(Duration::from_millis(200) < second && second <= Duration::from_millis(250), "{second:?}");
    // One waits, as the owner says; by the operator's it would have been ten.
    let refused = turn(sub(2)).await.unwrap_err();
    assert_eq!((refused.why, refused.scope, refused.limit), (Why::TooFast, scope(2), 4));
    assert_eq!(refused.problem().kind, Kind::TooManyRequests);

    // A subaccount has no turn that its parent has not.
    gate.limits.set_rate(Giver::Owner, scope(1), Resource::Calls, rate(1, 1));
    assert_eq!(turn(sub(3)).await, Ok(Duration::ZERO));
    assert!(Duration::from_millis(900) < turn(sub(4)).await.unwrap());
    assert_eq!(turn(sub(5)).await.unwrap_err().scope, scope(1));
    let given = gate.concurrency.rates(sub(2));
    let told: Vec<_> = given.iter().map(|(of, scope, by, rate)| (*of, *scope, *by, rate.count)).collect();
    let calls = Resource::Calls;
    let expected = [
        (calls, scope(1), Giver::Owner, 1),
        (calls, scope(2), Giver::Operator, 4),
        (calls, scope(2), Giver::Owner, 100),
    ];
    assert_eq!(told, expected);
    // None at all.
    gate.limits.set_rate(Giver::Owner, scope(6), Resource::Calls, rate(0, 1));
    assert_eq!(turn(subject(6)).await.unwrap_err().why, Why::TooFast);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_are_never_more_than_the_limit() {
    for policy in [Policy::Reject, delay(Duration::from_secs(60), 1_000)] {
        let gate = Arc::new(Gate::alone());
        gate.limit(scope(1), Limit::hard(13).with(policy));
        let (inside, most, admitted) =
            (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..1_000 {
            let (gate, inside, most, admitted) = (gate.clone(), inside.clone(), most.clone(), admitted.clone());
            tasks.spawn(async move {
                let Ok(_place) = gate.admit(subject(1)).await else { return };
                admitted.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert!(most.load(Ordering::SeqCst) <= 13);
        if policy != Policy::Reject {
            assert_eq!(admitted.load(Ordering::SeqCst), 1_000, "all who wait are served");
        }
        assert_eq!(gate.current(account(1)).await, 0);
    }
}

#[tokio::test]
async fn every_exit_gives_the_place_back() {
    let gate = Arc::new(Gate::alone());
    gate.limit(scope(1), Limit::hard(1));
    let enter = || {
        let gate = gate.clone();
        async move { gate.admit(subject(1)).await.unwrap() }
    };
    // Success, error, timeout, panic, a caller who is gone.
    drop(enter().await);
    let failed: Result<(), &str> = async {
        let _place = enter().await;
        Err("error")
    }
    .await;
    assert!(failed.is_err());
    let endless = async {
        let _place = enter().await;
        std::future::pending::<()>().await;
    };
    assert!(tokio::time::timeout(Duration::from_millis(1), endless).await.is_err());
    let panics = tokio::spawn({
        let entering = enter();
        async move {
            let _place = entering.await;
            panic!("as handlers do");
        }
    });
    assert!(panics.await.is_err());
    let gone = tokio::spawn({
        let entering = enter();
        async move {
            let _place = entering.await;
            std::future::pending::<()>().await;
        }
    });
    settle().await;
    gone.abort();
    gone.await.unwrap_err();
    drop(enter().await);
}

#[tokio::test]
async fn many_callers_are_remembered_within_a_bound_and_right() {
    let config = Config { callers_max: 1_000, ..Config::default() };
    let leases = Local::new(Clock::system());
    let limits: Arc<MemoryLimits> = Arc::default();
    let concurrency = Concurrency::new(config, Arc::new(leases.clone()), Duration::ZERO, limits, Clock::system());
    let mut held = BTreeMap::new();
    for number in 0..20_000_u32 {
        let account = format!("AC{number:032x}").parse().unwrap();
        let place = concurrency.admit(Subject::account(account), RESOURCE).await.unwrap();
        if number % 1_000 == 0 {
            held.insert(account, place);
        }
    }
    assert!(leases.pools() <= 1_000 + 64 + held.len(), "{}", leases.pools());
    for account in held.keys() {
        let place = concurrency.admit(Subject::account(*account), RESOURCE).await.unwrap();
        assert_eq!(place.read().current, 2, "what is held is known though its caller was forgotten");
    }
}

#[tokio::test]
async fn a_limit_that_is_given_later_holds_of_what_is_in_progress() {
    let gate = Gate::alone();
    let key: KeySid = format!("SK{:032x}", 7).parse().unwrap();
    let with_key = Subject { key: Some(key), ..subject(1) };
    let held = [gate.admit(with_key).await.unwrap(), gate.admit(with_key).await.unwrap()];
    for narrowed in [Scope::Key(key), Scope::Platform] {
        gate.limit(narrowed, Limit::hard(2));
        let full = impeded(gate.admit(with_key).await, Why::Full);
        assert_eq!((full.scope, full.limit, full.current), (narrowed, 2, 2));
        gate.limit(narrowed, Limit::hard(3));
        drop(gate.admit(with_key).await.unwrap());
    }
    drop(held);
}

#[tokio::test]
async fn an_admission_that_several_soft_limits_speak_of_counts_once_and_tells_of_its_accounts() {
    let gate = Gate::alone();
    let key: KeySid = format!("SK{:032x}", 7).parse().unwrap();
    for scope in [Scope::Platform, scope(1), Scope::Key(key)] {
        gate.limit(scope, Limit { soft: Some(1), hard: Some(1), policy: Policy::DryRun });
    }
    let with_key = Subject { key: Some(key), ..subject(1) };
    let _held = [gate.admit(with_key).await.unwrap(), gate.admit(with_key).await.unwrap()];
    let usage = gate.concurrency.usage(subject(1)).await[0];
    assert_eq!((usage.admitted, usage.above_soft, usage.impeded.dry_run), (2, 2, 1));
    // What concerns everybody is not told to one of them.
    gate.limit(scope(1), Limit::hard(5));
    let third = gate.admit(with_key).await.unwrap().read();
    assert_eq!((third.current, third.limit, third.soft_reached), (3, Some(5), None));
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_fast_takes_no_turns_of_those_beside_it() {
    let gate = Gate::alone();
    let rate = |count, backlog_max| Some(PerSecond { count, backlog_max });
    gate.limits.set_rate(Giver::Operator, scope(1), Resource::Calls, rate(10, 10));
    gate.limits.set_rate(Giver::Operator, scope(2), Resource::Calls, rate(1, 1));
    let sub = |number| Subject { parent: Some(account(1)), ..subject(number) };
    let turn = async |subject| gate.concurrency.turn(subject, Resource::Calls).await.map(|turn| turn.queue_time);
    let mut refused = 0;
    for _ in 0..50 {
        refused += usize::from(turn(sub(2)).await.is_err());
    }
    assert_eq!(refused, 48);
    // Behind the two that had one.
    let beside = turn(sub(3)).await.unwrap();
    assert!(beside <= Duration::from_millis(200), "{beside:?}");
}
