//! Limits in the store, on both engines.

use std::time::{Duration, SystemTime};

use super::{Clock, Limit, Policy, RESOURCE, Resource, Scope, account, scope};
use crate::{
    concurrency::{
        By, EDITS_MAX, Edit, Giver, LimitError, LimitRecords as _, LimitsError, Measure, OWNED_MAX, PerSecond, Rule,
        StoredLimit, StoredLimits, stored::SCHEMA,
    },
    store::{self, Statement, Store, StoreUrl},
    testing::postgres_server::PostgresServer,
};

const BY: By<'static> = By { owner: None, who: "somebody", at: SystemTime::UNIX_EPOCH };

/// What the operator gives.
async fn set(
    limits: &StoredLimits,
    scope: Scope,
    resource: Resource,
    limit: Option<Limit>,
) -> Result<Edit, LimitsError> {
    limits.set((scope, resource, Measure::InProgress), limit.map(Rule::InProgress), BY, &|_| Vec::new()).await
}

fn rule(stored: &StoredLimit) -> Option<Limit> {
    if let Rule::InProgress(limit) = stored.rule { Some(limit) } else { None }
}

fn says(limits: &StoredLimits, scope: Scope, resource: Resource) -> Option<Limit> {
    limits.limit(Giver::Operator, scope, resource)
}

/// What keeps limits, once for each engine.
struct World {
    dir: tempfile::TempDir,
    config: store::Config,
    _server: Option<PostgresServer>,
}

impl World {
    async fn both() -> [World; 2] {
        let world = |config, server| World { dir: tempfile::tempdir().unwrap(), config, _server: server };
        let server = PostgresServer::start().await.unwrap();
        let url = StoreUrl::new(server.url());
        let there = store::Config { url, ..store::Config::default() };
        [world(store::Config::default(), None), world(there, Some(server))]
    }

    async fn store(&self) -> Store {
        Store::open(&self.config, self.dir.path()).await.unwrap()
    }
}

#[tokio::test]
async fn what_one_node_sets_another_hears() {
    for world in World::both().await {
        let (here, there) =
            (StoredLimits::open(world.store().await, Clock::system()).await.unwrap(), world.store().await);
        let there = StoredLimits::open(there, Clock::system()).await.unwrap();
        let mut revisions = there.revisions();
        let delay = Policy::Delay { wait_max: Duration::from_millis(1_500), waiting_max: 7 };
        let limit = Limit { soft: Some(2), ..Limit::hard(5).with(delay) };
        set(&here, scope(1), RESOURCE, Some(limit)).await.unwrap();
        set(&here, Scope::Platform, Resource::Fills, Some(Limit::hard(9))).await.unwrap();
        assert_eq!(says(&here, scope(1), RESOURCE), Some(limit));
        assert_eq!(says(&there, scope(1), RESOURCE), None);
        there.hear().await.unwrap();
        assert!(revisions.has_changed().unwrap(), "who waits hears of it");
        revisions.mark_unchanged();
        assert_eq!(says(&there, scope(1), RESOURCE), Some(limit));
        assert_eq!(says(&there, Scope::Platform, Resource::Fills), Some(Limit::hard(9)));
        set(&there, scope(1), RESOURCE, None).await.unwrap();
        here.hear().await.unwrap();
        assert_eq!(says(&here, scope(1), RESOURCE), None);
        // One that comes back counts on.
        set(&here, scope(1), RESOURCE, Some(Limit::hard(1))).await.unwrap();
        let all = here.list().await.unwrap();
        let told: Vec<_> =
            all.iter().map(|limit| (limit.name.scope, limit.version, limit.changed_by.as_str())).collect();
        assert_eq!(told, [(Scope::Platform, 1, "somebody"), (scope(1), 3, "somebody")]);
        // A node that starts has them all.
        let late = StoredLimits::open(world.store().await, Clock::system()).await.unwrap();
        assert_eq!(says(&late, scope(1), RESOURCE), Some(Limit::hard(1)));
        let nonsense = set(&here, scope(1), RESOURCE, Some(Limit { soft: Some(2), ..Limit::hard(1) })).await;
        assert!(matches!(nonsense, Err(LimitsError::Limit(LimitError::Invalid(_)))), "{nonsense:?}");
    }
}

#[tokio::test]
async fn many_who_set_at_once_are_all_heard() {
    for world in World::both().await {
        let store = world.store().await;
        let limits = StoredLimits::open(store, Clock::system()).await.unwrap();
        let other = StoredLimits::open(world.store().await, Clock::system()).await.unwrap();
        let setting = (1..=20).map(|number| {
            let limits = if number % 2 == 0 { &limits } else { &other };
            set(limits, scope(number % 5), RESOURCE, Some(Limit::hard(u32::from(number))))
        });
        for set in futures_util::future::join_all(setting).await {
            set.unwrap();
        }
        limits.hear().await.unwrap();
        other.hear().await.unwrap();
        let all = limits.list().await.unwrap();
        assert_eq!(all.iter().map(|limit| limit.version).sum::<u64>(), 20);
        for stored in all {
            assert_eq!(says(&limits, stored.name.scope, RESOURCE), rule(&stored));
            assert_eq!(says(&other, stored.name.scope, RESOURCE), rule(&stored));
        }
    }
}

#[tokio::test]
async fn a_store_that_was_set_back_is_read_anew_and_a_row_of_a_later_version_passed_over() {
    for world in World::both().await {
        let store = world.store().await;
        let limits = StoredLimits::open(store.clone(), Clock::system()).await.unwrap();
        for number in 1..4 {
            set(&limits, scope(number), RESOURCE, Some(Limit::hard(1))).await.unwrap();
        }
        let back = [
            Statement::new("DELETE FROM limits WHERE number > 1"),
            Statement::new("UPDATE limits_revision SET number = 1 WHERE id = 1"),
        ];
        store.write(&back).await.unwrap();
        limits.hear().await.unwrap();
        let known = (1..4).map(|number| says(&limits, scope(number), RESOURCE));
        assert_eq!(known.collect::<Vec<_>>(), [Some(Limit::hard(1)), None, None]);
        let later = [
            Statement::new("UPDATE limits_revision SET number = 3 WHERE id = 1"),
            Statement::new(
                "INSERT INTO limits (scope, resource, record, changed_by, changed_at, version, number) \
                 VALUES ('platform', 'miracles', '{}', '', 0, 1, 2), ('platform', 'fills', '{\"hard\":4}', '', 0, 1, 3)",
            ),
        ];
        store.write(&later).await.unwrap();
        limits.hear().await.unwrap();
        assert_eq!(says(&limits, Scope::Platform, Resource::Fills), Some(Limit::hard(4)));
    }
}

#[tokio::test]
async fn an_owners_limit_stands_beside_the_operators_and_rates_beside_both() {
    for world in World::both().await {
        let here = StoredLimits::open(world.store().await, Clock::system()).await.unwrap();
        let there = StoredLimits::open(world.store().await, Clock::system()).await.unwrap();
        let owner = By { owner: Some(account(1)), who: "owner", ..BY };
        let rate = PerSecond { count: 3, backlog_max: 4 };
        set(&here, scope(2), Resource::Calls, Some(Limit::hard(9))).await.unwrap();
        let of = |measure| (scope(2), Resource::Calls, measure);
        let in_progress = Some(Rule::InProgress(Limit::hard(5)));
        let edit = here.set(of(Measure::InProgress), in_progress, owner, &|_| Vec::new()).await.unwrap();
        assert_eq!((edit.name.giver, edit.was, edit.is), (Giver::Owner, None, in_progress));
        for by in [BY, owner] {
            here.set(of(Measure::PerSecond), Some(Rule::PerSecond(rate)), by, &|_| Vec::new()).await.unwrap();
        }
        there.hear().await.unwrap();
        for node in [&here, &there] {
            assert_eq!(node.limit(Giver::Operator, scope(2), Resource::Calls), Some(Limit::hard(9)));
            assert_eq!(node.limit(Giver::Owner, scope(2), Resource::Calls), Some(Limit::hard(5)));
            assert_eq!(node.rate(Giver::Operator, scope(2), Resource::Calls), Some(rate));
            assert_eq!(node.rate(Giver::Owner, scope(2), Resource::Calls), Some(rate));
        }
        let given = there.given_to(scope(2)).await.unwrap();
        let told: Vec<_> = given.iter().map(|limit| (limit.name.giver, limit.name.measure)).collect();
        let (both, limit, rate) = ([Giver::Operator, Giver::Owner], Measure::InProgress, Measure::PerSecond);
        assert_eq!(told, [(both[0], limit), (both[1], limit), (both[0], rate), (both[1], rate)]);
        assert_eq!(there.list().await.unwrap(), given);
        // Taken away, the other's is what it was.
        let gone = there.set(of(Measure::InProgress), None, owner, &|_| Vec::new()).await.unwrap();
        assert_eq!((gone.was, gone.is), (in_progress, None));
        here.hear().await.unwrap();
        assert_eq!(here.limit(Giver::Owner, scope(2), Resource::Calls), None);
        assert_eq!(here.limit(Giver::Operator, scope(2), Resource::Calls), Some(Limit::hard(9)));
        let nothing = there.set(of(Measure::InProgress), None, owner, &|_| Vec::new()).await.unwrap();
        assert_eq!((nothing.was, nothing.is), (None, None));
        // So many a second are an account's.
        let platform = (Scope::Platform, Resource::Calls, Measure::PerSecond);
        let refused = here.set(platform, None, BY, &|_| Vec::new()).await;
        assert!(matches!(refused, Err(LimitsError::Limit(LimitError::Invalid(_)))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_change_is_on_record_or_it_is_not_made() {
    for world in World::both().await {
        let store = world.store().await;
        store
            .migrate(&store::Schema { room: "test", steps: &["CREATE TABLE log (said TEXT NOT NULL PRIMARY KEY);"] })
            .await
            .unwrap();
        let limits = StoredLimits::open(store.clone(), Clock::system()).await.unwrap();
        let log = |edit: &Edit| vec![Statement::new("INSERT INTO log (said) VALUES ($1)").bind(edit.to_string())];
        let of = (scope(1), RESOURCE, Measure::InProgress);
        let give = async |hard| limits.set(of, Some(Rule::InProgress(Limit::hard(hard))), BY, &log).await;
        give(1).await.unwrap();
        // The same again is no change.
        give(1).await.unwrap();
        give(2).await.unwrap();
        limits.set(of, None, BY, &log).await.unwrap();
        let said = store.read(Statement::new("SELECT said FROM log ORDER BY said")).await.unwrap();
        let said: Vec<String> = said.iter().map(|row| row.text(0).unwrap()).collect();
        let expected = [
            "fetches, the operator's: was nothing, is soft - hard 1 reject",
            "fetches, the operator's: was soft - hard 1 reject, is soft - hard 2 reject",
            "fetches, the operator's: was soft - hard 2 reject, is nothing",
        ];
        assert_eq!(said, expected);
        // The same line is there already: the whole is not done.
        assert!(give(1).await.is_err());
        assert_eq!(says(&limits, scope(1), RESOURCE), None);
        assert!(limits.list().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_account_gives_so_many_and_what_it_took_away_is_forgotten_after_a_while() {
    for world in World::both().await {
        let (store, clock) = (world.store().await, Clock::system());
        let limits = StoredLimits::open(store.clone(), clock.clone()).await.unwrap();
        let deaf = StoredLimits::open(world.store().await, clock.clone()).await.unwrap();
        let by = |hours: u64| By {
            owner: Some(account(1)),
            who: "owner",
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(3_600 * hours),
        };
        let give = async |limits: &StoredLimits, number: u8, hard: Option<u32>, hours| {
            let rule = hard.map(|hard| Rule::InProgress(Limit::hard(hard)));
            limits.set((scope(number), RESOURCE, Measure::InProgress), rule, by(hours), &|_| Vec::new()).await
        };
        give(&limits, 2, Some(2), 10).await.unwrap();
        give(&limits, 3, Some(3), 10).await.unwrap();
        deaf.hear().await.unwrap();
        // As if it had given all that it may.
        let fill = Statement::new(
            "INSERT INTO given_limits (scope, resource, layer, owner, record, changed_by, changed_at, version, number) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
             SELECT 'x' || i, 'fills', 'owner', $2, '{}', '', 0, 1, 0 - i FROM n",
        );
        store.write(&[fill.bind(OWNED_MAX - 2).bind(account(1).to_string())]).await.unwrap();
        let refused = give(&limits, 4, Some(4), 10).await;
        assert!(matches!(refused, Err(LimitsError::TooManyOwned)), "{refused:?}");
        // What is there can be changed, and another account has room of its own.
        give(&limits, 3, Some(4), 10).await.unwrap();
        let other = By { owner: Some(account(9)), ..by(10) };
        let rule = Some(Rule::InProgress(Limit::hard(1)));
        limits.set((scope(9), RESOURCE, Measure::InProgress), rule, other, &|_| Vec::new()).await.unwrap();
        // What was taken away takes a place until all have heard of it.
        give(&limits, 2, None, 10).await.unwrap();
        assert!(matches!(give(&limits, 4, Some(4), 10).await, Err(LimitsError::TooManyOwned)));
        give(&limits, 4, Some(4), 12).await.unwrap();
        let there = store.read(Statement::new("SELECT scope FROM given_limits WHERE record IS NULL")).await.unwrap();
        assert!(there.is_empty(), "{there:?}");
        // Who has not heard of it meanwhile reads all anew.
        assert_eq!(deaf.limit(Giver::Owner, scope(2), RESOURCE), Some(Limit::hard(2)));
        clock.sleep_through(Duration::from_secs(1_801));
        deaf.hear().await.unwrap();
        assert_eq!(deaf.limit(Giver::Owner, scope(2), RESOURCE), None);
        assert_eq!(deaf.limit(Giver::Owner, scope(3), RESOURCE), Some(Limit::hard(4)));
    }
}

#[tokio::test]
async fn the_version_before_goes_on_beside_this_one() {
    for world in World::both().await {
        let store = world.store().await;
        let first = store::Schema { steps: &SCHEMA.steps[..1], ..SCHEMA };
        store.migrate(&first).await.unwrap();
        let by_that_one = |hard: u32, number: i64| {
            Statement::new(
                "INSERT INTO limits (scope, resource, record, changed_by, changed_at, version, number) VALUES ($1, 'fetches', $2, 'operator', 0, 1, $3) \
                 ON CONFLICT (scope, resource) DO UPDATE SET record = excluded.record, version = limits.version + 1, number = excluded.number",
            )
            .bind(scope(1).to_string())
            .bind(format!("{{\"hard\":{hard},\"policy\":\"reject\"}}"))
            .bind(number)
        };
        let count = || Statement::new("UPDATE limits_revision SET number = number + 1 WHERE id = 1").changing(1);
        store.write(&[count(), by_that_one(7, 1)]).await.unwrap();
        let limits = StoredLimits::open(store.clone(), Clock::system()).await.unwrap();
        assert_eq!(says(&limits, scope(1), RESOURCE), Some(Limit::hard(7)));
        let owner = By { owner: Some(account(1)), ..BY };
        let rule = Some(Rule::InProgress(Limit::hard(3)));
        limits.set((scope(1), RESOURCE, Measure::InProgress), rule, owner, &|_| Vec::new()).await.unwrap();
        // That one starts again on the tables of this one, and changes what it knows of.
        store.migrate(&first).await.unwrap();
        store.write(&[count(), by_that_one(8, 3)]).await.unwrap();
        limits.hear().await.unwrap();
        assert_eq!(says(&limits, scope(1), RESOURCE), Some(Limit::hard(8)));
        assert_eq!(limits.limit(Giver::Owner, scope(1), RESOURCE), Some(Limit::hard(3)));
        // And hears of what this one changes of the operator's.
        set(&limits, scope(1), RESOURCE, Some(Limit::hard(9))).await.unwrap();
        let question = "SELECT scope, record FROM limits WHERE number > $1 ORDER BY number LIMIT 1000";
        let heard = store.read(Statement::new(question).bind(3)).await.unwrap();
        assert_eq!((heard.len(), heard[0].text(0).unwrap()), (1, scope(1).to_string()));
    }
}

#[tokio::test]
async fn what_is_refused_in_part_changes_nothing_and_what_holds_nothing_is_refused() {
    for world in World::both().await {
        let here = StoredLimits::open(world.store().await, Clock::system()).await.unwrap();
        let there = StoredLimits::open(world.store().await, Clock::system()).await.unwrap();
        let owner = By { owner: Some(account(1)), ..BY };
        let limit = |hard| Rule::InProgress(Limit::hard(hard));
        let rate = |count| Rule::PerSecond(PerSecond { count, backlog_max: 1 });
        let slot = |measure| (scope(2), Resource::Calls, measure);
        let both = [slot(Measure::InProgress), slot(Measure::PerSecond)];
        for by in [BY, owner] {
            let given = [(both[0], Some(limit(5))), (both[1], Some(rate(7)))];
            let edits = here.change(&given, by, &|_| Vec::new()).await.unwrap();
            assert_eq!(edits.iter().map(|edit| edit.is).collect::<Vec<_>>(), [Some(limit(5)), Some(rate(7))]);
        }
        let before = here.list().await.unwrap();
        assert_eq!(before.len(), 4);
        for by in [BY, owner] {
            for first in [Some(limit(1)), None] {
                let wrong = [(both[0], first), (both[1], Some(rate(1_000_001)))];
                let refused = here.change(&wrong, by, &|_| Vec::new()).await;
                assert!(matches!(refused, Err(LimitsError::Limit(LimitError::Invalid(_)))), "{refused:?}");
                // Nor does what fails in the store, at the second of them.
                let log = |edit: &Edit| {
                    let is_second = edit.name.measure == Measure::PerSecond;
                    vec![Statement::new("UPDATE limits_revision SET number = number").changing(if is_second {
                        2
                    } else {
                        1
                    })]
                };
                let failed = here.change(&[(both[0], first), (both[1], Some(rate(9)))], by, &log).await;
                assert!(matches!(failed, Err(LimitsError::Store(_))), "{failed:?}");
            }
        }
        assert_eq!(here.list().await.unwrap(), before);
        there.hear().await.unwrap();
        assert_eq!(there.limit(Giver::Owner, scope(2), Resource::Calls), Some(Limit::hard(5)));
        assert_eq!(there.rate(Giver::Operator, scope(2), Resource::Calls).map(|rate| rate.count), Some(7));

        let of_key = Scope::Key(format!("SK{:032x}", 1).parse().unwrap());
        for by in [BY, owner] {
            for (slot, rule) in [
                ((of_key, Resource::Fills, Measure::InProgress), limit(1)),
                ((of_key, Resource::Speech, Measure::InProgress), limit(1)),
                ((scope(2), Resource::Fetches, Measure::PerSecond), rate(1)),
                ((scope(2), Resource::Destinations, Measure::PerSecond), rate(1)),
            ] {
                let refused = here.set(slot, Some(rule), by, &|_| Vec::new()).await;
                assert!(matches!(refused, Err(LimitsError::Limit(LimitError::Invalid(_)))), "{slot:?}: {refused:?}");
                // One that was given by an earlier version can be taken away.
                here.set(slot, None, by, &|_| Vec::new()).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn an_account_makes_so_many_changes_and_then_one_each_second() {
    for world in World::both().await {
        let (store, clock) = (world.store().await, Clock::system());
        let limits = StoredLimits::open(store.clone(), clock.clone()).await.unwrap();
        let by = |number| By { owner: Some(account(number)), ..BY };
        let give = async |of: u8, hard| {
            let slot = (scope(of), RESOURCE, Measure::InProgress);
            limits.set(slot, Some(Rule::InProgress(Limit::hard(hard))), by(of), &|_| Vec::new()).await
        };
        let began = clock.since_boot();
        let mut made = 0;
        let refused = loop {
            match give(1, made).await {
                Ok(_) => made += 1,
                Err(error) => break error,
            }
            assert!(made < 10 * EDITS_MAX);
        };
        assert!(
            matches!(refused, LimitsError::TooOften { retry_in } if retry_in <= Duration::from_secs(1)),
            "{refused:?}"
        );
        let seconds = u32::try_from((clock.since_boot() - began).as_secs()).unwrap() + 1;
        assert!((EDITS_MAX..=EDITS_MAX + seconds).contains(&made), "{made} in {seconds} s");
        // What changes nothing costs nothing, whoever asks; and another account is another matter.
        let number =
            async || store.read(Statement::new("SELECT number FROM limits_revision")).await.unwrap()[0].int(0).unwrap();
        let before = number().await;
        give(1, made - 1).await.unwrap();
        assert_eq!(number().await, before);
        give(2, 1).await.unwrap();
        clock.sleep_through(Duration::from_secs(2));
        give(1, made).await.unwrap();
        assert_eq!(says_owner(&limits, scope(1)), Some(Limit::hard(made)));
    }
}

fn says_owner(limits: &StoredLimits, scope: Scope) -> Option<Limit> {
    limits.limit(Giver::Owner, scope, RESOURCE)
}
