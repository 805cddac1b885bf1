//! Something that is looked for once, by the first who needs it, and again some time after that has failed.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::OnceCell;

use crate::clock::Clock;

/// For how long a failure stands for all who need it: who waited for the one that failed does not look anew, one behind the other.
const FAILED_FOR: Duration = Duration::from_secs(1);

/// A value, once it was found.
#[derive(Debug)]
pub(super) struct Sought<T> {
    found: OnceCell<T>,
    /// When it was looked for in vain last. A std lock: held to copy or replace the time.
    failed: Mutex<Option<Instant>>,
    /// For how long it is looked for at most.
    timeout: Duration,
    clock: Clock,
}

impl<T> Sought<T> {
    /// One that is to be found, within `timeout`.
    pub(super) fn new(timeout: Duration) -> Sought<T> {
        Sought { found: OnceCell::new(), failed: Mutex::default(), timeout, clock: Clock::system() }
    }

    /// One that need not be looked for.
    pub(super) fn known(value: T) -> Sought<T> {
        Sought { found: OnceCell::new_with(Some(value)), ..Sought::new(Duration::ZERO) }
    }

    /// The value; none where it cannot be found at the moment. One caller looks, and the others wait for what comes of it.
    pub(super) async fn get_or_find<E, F: Future<Output = Result<T, E>>>(
        &self,
        find: impl FnOnce() -> F,
    ) -> Option<&T> {
        let looking = self.found.get_or_try_init(move || async move {
            // Looked at by each whose turn it is: the one before may have failed.
            if self.has_just_failed() {
                return Err(());
            }
            let found = tokio::time::timeout(self.timeout, find()).await;
            found.ok().and_then(Result::ok).ok_or_else(|| *self.failed() = Some(self.clock.now()))
        });
        looking.await.ok()
    }

    fn has_just_failed(&self) -> bool {
        let failed = *self.failed();
        failed.is_some_and(|failed| self.clock.now().saturating_duration_since(failed) < FAILED_FOR)
    }

    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use futures_util::future::{self, join_all};

    use super::{FAILED_FOR, Sought};

    const TIMEOUT: Duration = Duration::from_secs(6);

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_for_what_is_not_found_fail_together() {
        let (sought, looked) = (Sought::<u8>::new(TIMEOUT), Cell::new(0));
        let begun = tokio::time::Instant::now();
        let never = || {
            looked.set(looked.get() + 1);
            future::pending::<Result<u8, ()>>()
        };
        let found = join_all((0..100).map(|_| sought.get_or_find(never))).await;
        assert!(found.iter().all(Option::is_none));
        assert_eq!((looked.get(), begun.elapsed().as_secs()), (1, TIMEOUT.as_secs()));

        // One that fails by itself, too; and it is looked for again soon.
        for looks in 2..4 {
            tokio::time::advance(FAILED_FOR).await;
            let fails = || {
                looked.set(looked.get() + 1);
                future::ready(Err(()))
            };
            assert!(join_all((0..100).map(|_| sought.get_or_find(fails))).await.iter().all(Option::is_none));
            assert_eq!(looked.get(), looks);
        }
        tokio::time::advance(FAILED_FOR).await;
        assert_eq!(sought.get_or_find(|| future::ready(Ok::<_, ()>(7))).await, Some(&7));
        assert_eq!(sought.get_or_find(never).await, Some(&7));
    }
}
