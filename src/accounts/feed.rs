//! How a node hears of changes: it asks for those that it has not heard yet, four times a second.

use std::{
    collections::HashSet,
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    ids::AccountSid,
    store::{Row, Statement},
};

use super::{Access, Accounts, AccountsError, change::Concerns, rows::parsed};

/// How often changes are asked for.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long an answer may take until the store is held to be away: together with the interval less than what follows, so that no reader
/// who is known ever waits for a store that says nothing.
const ANSWERED_WITHIN: Duration = Duration::from_millis(500);
/// How long after that what is remembered may be used without asking (`spec/trust.md` §3).
const FRESH: Duration = Duration::from_secs(1);
/// How often it is written down when keys were used last.
const NOTE_INTERVAL: Duration = Duration::from_secs(60);
/// Changes that are read at once.
const BATCH: i64 = 1_000;

/// How far this node has heard.
#[derive(Debug)]
pub(super) struct Feed {
    began: Instant,
    /// When the last question was put that was answered: microseconds after `began`.
    heard: AtomicU64,
    is_away: AtomicBool,
    /// Held while what was heard is applied.
    number: Mutex<Option<i64>>,
}

/// Whether what is remembered may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It holds.
    Fresh,
    /// The store cannot be reached; this is how things were.
    Stale,
    /// Ask the store.
    Unknown,
}

impl Standing {
    /// Whether it may be used for this.
    pub(super) fn suffices(self, access: Access) -> bool {
        match self {
            Standing::Fresh => true,
            Standing::Stale => access == Access::Read,
            Standing::Unknown => false,
        }
    }
}

impl Feed {
    pub(super) fn new(now: Instant) -> Feed {
        Feed { began: now, heard: AtomicU64::new(0), is_away: AtomicBool::new(false), number: Mutex::default() }
    }

    /// Whether what is remembered may be used now.
    pub(super) fn standing(&self, now: Instant, stale_max: Duration) -> Standing {
        let age = self.age(now);
        if age <= FRESH {
            Standing::Fresh
        } else if self.is_away.load(Ordering::Acquire) && age <= stale_max {
            Standing::Stale
        } else {
            Standing::Unknown
        }
    }

    /// How long ago it was that things were as they are remembered.
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began + Duration::from_micros(self.heard.load(Ordering::Acquire)))
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    /// Somebody else has found that the store does not answer.
    pub(super) fn note_away(&self) {
        self.is_away.store(true, Ordering::Release);
    }
}

impl Accounts {
    /// Asks for the changes that this node has not heard yet, and forgets what they name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn hear(&self) -> Result<(), AccountsError> {
        let feed = &self.inner.feed;
        let heard = self.ask().await;
        // An answer that took so long that it tells nothing of now is none.
        let is_late = FRESH < feed.age(self.inner.clock.now());
        feed.is_away.store(heard.is_err() || is_late, Ordering::Release);
        heard
    }

    /// The same, which finds the store away before it gives up on it.
    async fn hear_in_time(&self) -> Result<(), AccountsError> {
        let mut hearing = pin!(self.hear());
        match tokio::time::timeout(ANSWERED_WITHIN, &mut hearing).await {
            Ok(heard) => heard,
            Err(_) => {
                self.inner.feed.note_away();
                hearing.await
            }
        }
    }

    async fn ask(&self) -> Result<(), AccountsError> {
        let feed = &self.inner.feed;
        loop {
            let asked = self.inner.clock.now();
            let before = *feed.number.lock().unwrap_or_else(PoisonError::into_inner);
            let rows = self.inner.store.read(question(before)).await?;
            let is_all = i64::try_from(rows.len()).unwrap_or(i64::MAX) < BATCH;
            self.apply(before, &rows)?;
            if is_all {
                let micros = asked.saturating_duration_since(feed.began).as_micros();
                feed.heard.fetch_max(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::AcqRel);
                return Ok(());
            }
        }
    }

    /// Forgets what these changes name. `before` is what was heard when they were asked for.
    fn apply(&self, before: Option<i64>, rows: &[Row]) -> Result<(), AccountsError> {
        let callers = &self.inner.callers;
        let mut number = self.inner.feed.number.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers = rows.iter().map(|row| Ok(row.int(0)?)).collect::<Result<Vec<_>, AccountsError>>()?;
        let Some(newest) = numbers.last() else { return Ok(()) };
        let was_set_back = before.is_some_and(|before| *newest < before);
        let newest = if was_set_back { *newest } else { (*newest).max(number.unwrap_or(i64::MIN)) };
        // Numbers are dense. Where the first is not the next, changes were dropped before they were heard; the first answer says
        // only how far things are.
        let follows = before.zip(numbers.first()).is_some_and(|(before, first)| before + 1 == *first);
        if follows {
            let mut named = HashSet::new();
            for row in rows {
                if Concerns::of(&row.text(2)?) == Concerns::Callers {
                    named.insert(parsed::<AccountSid>(row, 1, "a change")?);
                }
            }
            callers.forget(newest, &named);
        } else {
            callers.forget_all(newest);
        }
        *number = Some(newest);
        Ok(())
    }

    /// Hears of changes, and writes down when keys were used, until it is dropped.
    pub async fn keep_hearing(&self) {
        // Beside one another: many uses to note, or a store that says nothing to them, must not keep changes from being heard.
        tokio::join!(self.keep_asking(), self.keep_noting());
    }

    async fn keep_asking(&self) {
        let mut ticks = every(INTERVAL);
        loop {
            ticks.tick().await;
            let was_away = self.inner.feed.is_away();
            match self.hear_in_time().await {
                Ok(()) if was_away => tracing::info!("the store of accounts answers again"),
                Ok(()) => {}
                Err(error) if !was_away => tracing::warn!(%error, "the store of accounts does not answer"),
                Err(_) => {}
            }
        }
    }

    async fn keep_noting(&self) {
        let mut ticks = every(NOTE_INTERVAL);
        // The first one is at once, and nothing was used yet.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if let Err(error) = self.note_uses().await {
                tracing::warn!(%error, "when keys were used last is not noted");
            }
            self.inner.callers.next_round();
        }
    }

    /// Whether the store did not answer when it was asked last.
    pub fn is_away(&self) -> bool {
        self.inner.feed.is_away()
    }
}

fn every(interval: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// Asks for the changes after `before`, or how far things are.
fn question(before: Option<i64>) -> Statement {
    match before {
        Some(before) => {
            // The second half: a store that was set back to what it was earlier.
            Statement::new(
                "SELECT number, account, concerns FROM changes WHERE number > $1 \
                 UNION ALL SELECT number, '', '' FROM revision WHERE number < $1 ORDER BY 1 LIMIT $2",
            )
            .bind(before)
            .bind(BATCH)
        }
        None => Statement::new("SELECT number, '', '' FROM revision WHERE id = 1"),
    }
}
