//! Several who have given a limit for the same: all of them hold, and nobody loosens what another has said.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    super::Giver, Gate, Limit, Policy, RESOURCE, Resource, Scope, Subject, Why, account, delay, impeded, scope, subject,
};

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::Reject),
        Just(delay(Duration::from_millis(1), 1)),
        (0_u32..20).prop_map(|beyond| Policy::Throttle { slowed_by: Duration::from_millis(1), beyond }),
        Just(Policy::DryRun),
    ]
}

fn limits() -> impl Strategy<Value = Option<Limit>> {
    proptest::option::of((proptest::option::of(0_u32..10), policies()).prop_map(|(hard, policy)| Limit {
        soft: hard.map(|hard| hard / 2),
        hard,
        policy,
    }))
}

/// How many a limit lets in by itself.
fn lets_in(limit: Option<Limit>) -> u32 {
    limit.map_or(u32::MAX, Limit::cap)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the owner says, and whatever was allowed: as many are let in as the lowest of all lets in.
    #[test]
    fn as_many_are_let_in_as_the_strictest_lets_in(
        operators in limits(), owners in limits(), allowed in proptest::option::of(0_u32..10),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let gate = Gate::alone();
            for (giver, limit) in [(Giver::Operator, operators), (Giver::Owner, owners)] {
                if let Some(limit) = limit {
                    gate.limits.set_by(giver, scope(1), RESOURCE, limit).unwrap();
                }
            }
            let most = lets_in(operators).min(lets_in(owners)).min(allowed.unwrap_or(u32::MAX)).min(40);
            let subject = Subject { allowed, ..subject(1) };
            let mut held = Vec::new();
            while held.len() < 40 {
                match gate.admit(subject).await {
                    Ok(place) => held.push(place),
                    Err(_) => break,
                }
            }
            prop_assert_eq!(u32::try_from(held.len()).unwrap(), most);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn an_owner_tightens_what_the_operator_gives_and_never_loosens_it() {
    let gate = Gate::alone();
    gate.limit(scope(1), Limit { soft: Some(3), ..Limit::hard(3) });
    let owner = |limit| gate.limits.set_by(Giver::Owner, scope(1), RESOURCE, limit).unwrap();
    owner(Limit { soft: Some(1), ..Limit::hard(100) });
    let first = gate.admit(subject(1)).await.unwrap();
    assert_eq!((first.read().soft_reached, first.read().limit), (Some(1), Some(3)));
    let _more = [gate.admit(subject(1)).await.unwrap(), gate.admit(subject(1)).await.unwrap()];
    assert_eq!(impeded(gate.admit(subject(1)).await, Why::Full).limit, 3);
    // Lower than what is in progress: it goes on, and nothing new is let in.
    owner(Limit::hard(1));
    assert_eq!(gate.current(account(1)).await, 3);
    let full = impeded(gate.admit(subject(1)).await, Why::Full);
    assert_eq!((full.limit, full.current), (1, 3));
    // What would only be counted, or slowed, does so below what is refused.
    owner(Limit::hard(1).with(Policy::DryRun));
    drop(first);
    let counted = async || gate.concurrency.usage(subject(1)).await[0].impeded;
    let before = counted().await;
    let third = gate.admit(subject(1)).await.unwrap();
    assert_eq!(counted().await.dry_run, before.dry_run + 1);
    impeded(gate.admit(subject(1)).await, Why::Full);
    drop(third);
    let slowed_by = Duration::from_millis(300);
    owner(Limit::hard(1).with(Policy::Throttle { slowed_by, beyond: 50 }));
    assert_eq!(gate.admit(subject(1)).await.unwrap().slowed_by(), Some(slowed_by));
    let told = gate.concurrency.limits(subject(1));
    let told: Vec<_> = told.iter().map(|(of, scope, by, limit)| (*of, *scope, *by, limit.hard)).collect();
    let expected = [(RESOURCE, scope(1), Giver::Operator, Some(3)), (RESOURCE, scope(1), Giver::Owner, Some(1))];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_was_allowed_an_application_is_shared_with_whoever_else_works_there() {
    let gate = Gate::alone();
    let acting = |allowed| Subject { parent: Some(account(1)), allowed, ..subject(2) };
    let first = gate.admit(acting(Some(2))).await.unwrap();
    // The account above it is not bound by what it allows, but counts.
    let _owners = gate.admit(acting(None)).await.unwrap();
    let full = impeded(gate.admit(acting(Some(2))).await, Why::Full);
    assert_eq!((full.scope, full.limit, full.current), (scope(2), 2, 2));
    // Of each kind of work so many.
    let _other = gate.concurrency.admit(acting(Some(2)), Resource::MediaReads).await.unwrap();
    // Narrowed, it ends nothing.
    drop(first);
    impeded(gate.admit(acting(Some(1))).await, Why::Full);
    gate.admit(acting(Some(2))).await.unwrap();
    let told = gate.concurrency.limits(acting(Some(2)));
    assert!(told.contains(&(RESOURCE, Scope::Account(account(2)), Giver::Authorization, Limit::hard(2))), "{told:?}");
}
