//! Limits in the store, on both engines.

use std::time::SystemTime;

use super::{Limit, Policy, RESOURCE, Resource, Scope, scope};
use crate::{
    concurrency::{LimitError, LimitRecords as _, LimitsError, StoredLimits},
    store::{self, Statement, Store, StoreUrl},
    testing::postgres_server::PostgresServer,
};

const BY: (&str, SystemTime) = ("somebody", SystemTime::UNIX_EPOCH);

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
        let (here, there) = (StoredLimits::open(world.store().await).await.unwrap(), world.store().await);
        let there = StoredLimits::open(there).await.unwrap();
        let mut revisions = there.revisions();
        let delay = Policy::Delay { wait_max: std::time::Duration::from_millis(1_500), waiting_max: 7 };
        let limit = Limit { soft: Some(2), ..Limit::hard(5).with(delay) };
        here.set(scope(1), RESOURCE, Some(limit), BY).await.unwrap();
        here.set(Scope::Platform, Resource::Fills, Some(Limit::hard(9)), BY).await.unwrap();
        assert_eq!(here.limit(scope(1), RESOURCE), Some(limit));
        assert_eq!(there.limit(scope(1), RESOURCE), None);
        there.hear().await.unwrap();
        assert!(revisions.has_changed().unwrap(), "who waits hears of it");
        revisions.mark_unchanged();
        assert_eq!(there.limit(scope(1), RESOURCE), Some(limit));
        assert_eq!(there.limit(Scope::Platform, Resource::Fills), Some(Limit::hard(9)));
        there.set(scope(1), RESOURCE, None, BY).await.unwrap();
        here.hear().await.unwrap();
        assert_eq!(here.limit(scope(1), RESOURCE), None);
        // One that comes back counts on.
        here.set(scope(1), RESOURCE, Some(Limit::hard(1)), BY).await.unwrap();
        let all = here.list().await.unwrap();
        let told: Vec<_> = all.iter().map(|limit| (limit.scope, limit.version, limit.changed_by.as_str())).collect();
        assert_eq!(told, [(Scope::Platform, 1, "somebody"), (scope(1), 3, "somebody")]);
        // A node that starts has them all.
        let late = StoredLimits::open(world.store().await).await.unwrap();
        assert_eq!(late.limit(scope(1), RESOURCE), Some(Limit::hard(1)));
        let nonsense = here.set(scope(1), RESOURCE, Some(Limit { soft: Some(2), ..Limit::hard(1) }), BY).await;
        assert!(matches!(nonsense, Err(LimitsError::Limit(LimitError::Invalid(_)))), "{nonsense:?}");
    }
}

#[tokio::test]
async fn many_who_set_at_once_are_all_heard() {
    for world in World::both().await {
        let store = world.store().await;
        let limits = StoredLimits::open(store).await.unwrap();
        let other = StoredLimits::open(world.store().await).await.unwrap();
        let setting = (1..=20).map(|number| {
            let limits = if number % 2 == 0 { &limits } else { &other };
            limits.set(scope(number % 5), RESOURCE, Some(Limit::hard(u32::from(number))), BY)
        });
        for set in futures_util::future::join_all(setting).await {
            set.unwrap();
        }
        limits.hear().await.unwrap();
        other.hear().await.unwrap();
        let all = limits.list().await.unwrap();
        assert_eq!(all.iter().map(|limit| limit.version).sum::<u64>(), 20);
        for stored in all {
            assert_eq!(limits.limit(stored.scope, RESOURCE), Some(stored.limit));
            assert_eq!(other.limit(stored.scope, RESOURCE), Some(stored.limit));
        }
    }
}

#[tokio::test]
async fn a_store_that_was_set_back_is_read_anew_and_a_row_of_a_later_version_passed_over() {
    for world in World::both().await {
        let store = world.store().await;
        let limits = StoredLimits::open(store.clone()).await.unwrap();
        for number in 1..4 {
            limits.set(scope(number), RESOURCE, Some(Limit::hard(1)), BY).await.unwrap();
        }
        let back = [
            Statement::new("DELETE FROM limits WHERE number > 1"),
            Statement::new("UPDATE limits_revision SET number = 1 WHERE id = 1"),
        ];
        store.write(&back).await.unwrap();
        limits.hear().await.unwrap();
        let known = (1..4).map(|number| limits.limit(scope(number), RESOURCE));
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
        assert_eq!(limits.limit(Scope::Platform, Resource::Fills), Some(Limit::hard(4)));
    }
}
