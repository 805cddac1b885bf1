//! Servers of others are told something: signed, until they have heard it, and without keeping anybody else waiting.
//!
//! Each kind has a table (`deauthorizations`, `alerts`). A row is written in the transaction of what is to be told, and goes when its receiver has answered with
//! 2xx, or is old. Of all nodes the one whose name is in a row tells; it says until when, so that what a node that dies has begun is begun again by
//! another. Each is told at least once, and an id tells those apart that come twice.
//!
//! One receiver has one request under way at a time, and all receivers of one owner (an account at the top with its subaccounts) have two: who lets requests wait takes
//! these places and no others, however many subaccounts it has. Whoever does not hear one thing is put off with all that waits for it; what comes later is tried
//! at once, and puts off all of it for as long as the tries before have made it.

use std::{pin::pin, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use metrics::{counter, gauge};
use rand::RngExt as _;
use url::Url;

use crate::{
    ids::{AccountSid, RandomId},
    outbound::{Callback, Client},
    store::{Row, Statement, StoreError},
};

use super::{
    Accounts, AccountsError, account,
    records::Method,
    rows::{micros, time},
};

/// How often it is looked for who is to be told.
const INTERVAL: Duration = Duration::from_secs(1);
/// Requests of one kind under way at once.
const AT_ONCE: usize = 32;
/// Of those to receivers of one owner (an account at the top with its subaccounts), by all nodes together.
const AT_ONCE_OF_OWNER: i64 = 2;
/// How long a node has a row to itself: longer than a request takes at most.
const LEASE: Duration = Duration::from_secs(60);
/// Pause before the second try; doubled each time, of random length.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// One kind of what is told: where it is kept, and what it says.
pub(super) struct Outbox {
    /// As logs call it.
    pub(super) what: &'static str,
    /// Counter of outcomes, gauges of who waits and since when.
    pub(super) metrics: [&'static str; 3],
    /// Whoever has not heard it by then is told no more.
    pub(super) age_max: Duration,
    pub(super) statements: Statements,
    /// What a row that is due says, by its columns from [`OWN_COLUMNS`] on; nothing: there is nobody to tell.
    pub(super) letter: fn(&Row) -> Result<Option<Letter>, AccountsError>,
}

/// The columns of a row that is due before those of its kind.
pub(super) const OWN_COLUMNS: usize = 6;

/// What the machinery says to the table of a kind; made by [`statements!`].
pub(super) struct Statements {
    pub(super) due: &'static str,
    pub(super) waiting: &'static str,
    pub(super) take: &'static str,
    pub(super) drop_old: &'static str,
    pub(super) put_off: &'static str,
    pub(super) put_off_lane: &'static str,
    pub(super) gone: &'static str,
    pub(super) not_heard: &'static str,
}

/// The statements of a table `d` whose rows are of the same receiver where they have the same `$lane`, with columns and tables of their own, one of which is the
/// receiver's account `a`: the first of each receiver that is due, where none of that receiver is under way, and of one owner no more than may be under way.
macro_rules! statements {
    ($table:literal by $lane:literal, $columns:literal, $joins:literal) => {
        $crate::accounts::outbox::Statements {
            due: concat!(
                "SELECT d.id, d.",
                $lane,
                ", d.tries, d.leased_until, d.created_at, due.lane_tries, ",
                $columns,
                " FROM (SELECT first.id, first.lane_tries, first.under_way + \
                 row_number() OVER (PARTITION BY first.owner ORDER BY first.due_at, first.id) AS place \
                 FROM (SELECT d.id, d.due_at, COALESCE(a.parent, a.sid) AS owner, \
                 row_number() OVER (PARTITION BY d.",
                $lane,
                " ORDER BY d.due_at, d.tries, d.id) AS place, \
                 max(d.tries) OVER (PARTITION BY d.",
                $lane,
                ") AS lane_tries, \
                 max(d.leased_until) OVER (PARTITION BY d.",
                $lane,
                ") AS lane_leased, \
                 sum(CASE WHEN d.leased_until > $1 THEN 1 ELSE 0 END) OVER (PARTITION BY COALESCE(a.parent, a.sid)) AS under_way \
                 FROM ",
                $table,
                " d ",
                $joins,
                ") first WHERE first.place = 1 AND first.due_at <= $1 AND first.lane_leased <= $1) due \
                 JOIN ",
                $table,
                " d ON d.id = due.id ",
                $joins,
                " WHERE due.place <= $2 ORDER BY due.place, d.due_at, d.id LIMIT $3"
            ),
            waiting: concat!("SELECT count(*), min(created_at) FROM ", $table),
            take: concat!(
                "UPDATE ",
                $table,
                " SET leased_until = $1, lease = $2 WHERE id = $3 AND leased_until = $4 AND tries = $5"
            ),
            drop_old: concat!("DELETE FROM ", $table, " WHERE id = $1 AND created_at < $2"),
            put_off: concat!("UPDATE ", $table, " SET due_at = $1 WHERE id = $2"),
            put_off_lane: concat!("UPDATE ", $table, " SET due_at = $1 WHERE ", $lane, " = $2 AND due_at < $1"),
            gone: concat!("DELETE FROM ", $table, " WHERE id = $1 AND lease = $2"),
            not_heard: concat!(
                "UPDATE ",
                $table,
                " SET tries = $4, due_at = $3, leased_until = 0, lease = '' WHERE id = $1 AND lease = $2"
            ),
        }
    };
}

pub(super) use statements;

/// What is told, and whom.
pub(super) struct Letter {
    pub(super) url: Url,
    pub(super) method: Method,
    /// Whose auth token signs it, and that token as it is kept.
    pub(super) signer: AccountSid,
    pub(super) sealed_token: Vec<u8>,
    pub(super) form: Vec<(&'static str, String)>,
}

/// Somebody who is to be told.
pub(super) struct Untold {
    id: String,
    lane: String,
    tries: i64,
    leased_until: i64,
    created_at: i64,
    /// How often the receiver has not heard something that it has not heard yet.
    lane_tries: i64,
    /// Nothing: there is nobody to tell.
    letter: Option<Letter>,
}

impl Accounts {
    /// Tells what is to be told, until it is dropped: developers what was revoked, accounts which of their limits are reached.
    pub async fn keep_telling(&self, client: &Client) {
        tokio::join!(
            self.keep_telling_of(&super::connect::DEAUTHORIZATIONS, client),
            self.keep_telling_of(&super::alerts::ALERTS, client)
        );
    }

    pub(super) async fn keep_telling_of(&self, outbox: &Outbox, client: &Client) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut under_way = FuturesUnordered::new();
        loop {
            // Whoever is slow is waited for beside the others.
            let mut tick = pin!(ticks.tick());
            tokio::select! {
                _ = &mut tick => {}
                Some(()) = under_way.next(), if !under_way.is_empty() => continue,
            }
            match self.take_untold(outbox, AT_ONCE - under_way.len()).await {
                Ok(taken) => {
                    under_way.extend(taken.into_iter().map(|(untold, lease)| self.tell(outbox, client, untold, lease)))
                }
                // That it is away is said by who asks it for changes.
                Err(error) if error.is_away() => {}
                Err(error) => {
                    tracing::error!(%error, what = outbox.what, "it cannot be read who is to be told")
                }
            }
        }
    }

    /// Takes at most so many of those that are due, for this node alone.
    pub(super) async fn take_untold(
        &self,
        outbox: &Outbox,
        places: usize,
    ) -> Result<Vec<(Untold, String)>, AccountsError> {
        self.note_untold(outbox).await?;
        let now = self.inner.clock.now_wall();
        let due = Statement::new(outbox.statements.due);
        let due = due.bind(micros(now)).bind(AT_ONCE_OF_OWNER).bind(i64::try_from(places).unwrap_or_default());
        let mut taken = Vec::new();
        for row in self.inner.store.read(due).await? {
            let untold = match untold_of(outbox, &row) {
                Ok(untold) => untold,
                Err(error) => {
                    self.put_off(outbox, &row, &error).await?;
                    continue;
                }
            };
            let lease = RandomId::draw(&mut rand::rng()).to_string();
            let take = Statement::new(outbox.statements.take)
                .bind(micros(now + LEASE))
                .bind(lease.as_str())
                .bind(untold.id.as_str())
                .bind(untold.leased_until)
                .bind(untold.tries)
                .changing(1);
            match self.inner.store.write(&[take]).await {
                Ok(()) => taken.push((untold, lease)),
                // Another node was first.
                Err(StoreError::Unchanged { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(taken)
    }

    /// Leaves one that cannot be read for a while, so that all others come to their turn, and drops it when it is old.
    async fn put_off(&self, outbox: &Outbox, row: &Row, error: &AccountsError) -> Result<(), AccountsError> {
        let (id, now) = (row.text(0)?, self.inner.clock.now_wall());
        tracing::error!(%error, what = outbox.what, id, "it cannot be read whom to tell");
        let old = micros(now.checked_sub(outbox.age_max).unwrap_or(now));
        let drop_old = Statement::new(outbox.statements.drop_old).bind(id.as_str()).bind(old);
        let put_off = Statement::new(outbox.statements.put_off).bind(micros(now + PAUSE_MAX)).bind(id.as_str());
        Ok(self.inner.store.write(&[drop_old, put_off]).await?)
    }

    /// Tells one, and writes down what became of it.
    async fn tell(&self, outbox: &Outbox, client: &Client, untold: Untold, lease: String) {
        let now = self.inner.clock.now_wall();
        let Untold { id, lane, lane_tries, created_at, letter, .. } = untold;
        let told = match letter.map(|letter| self.callback(letter, &id)).transpose() {
            Ok(Some(callback)) => match client.call(&callback).await {
                Ok(status) if status.is_success() => Told::Heard,
                Ok(status) => Told::Not(format!("status {}", status.as_u16())),
                Err(error) => Told::Not(error.to_string()),
            },
            Ok(None) => Told::NobodyThere,
            Err(error) => Told::Not(error.to_string()),
        };
        let is_over = outbox.age_max <= now.duration_since(time(created_at)).unwrap_or_default();
        let outcome = match &told {
            Told::Heard => "delivered",
            Told::NobodyThere => "nobody",
            Told::Not(_) if is_over => "given-up",
            Told::Not(_) => "failed",
        };
        outbox.count(outcome);
        let (what, to) = (outbox.what, lane);
        let gone = Statement::new(outbox.statements.gone).bind(id.as_str()).bind(lease.as_str());
        let noted = match told {
            Told::Not(reason) if !is_over => {
                tracing::info!(what, to, tries = lane_tries, reason, "who is to be told does not hear it");
                // Whoever does not hear one thing is not asked to hear the others meanwhile; of those this one comes last, because it was tried.
                let due = micros(self.inner.clock.now_wall() + pause(lane_tries));
                let not_heard = Statement::new(outbox.statements.not_heard).bind(id.as_str()).bind(lease);
                let not_heard = not_heard.bind(due).bind(lane_tries.saturating_add(1));
                vec![not_heard, Statement::new(outbox.statements.put_off_lane).bind(due).bind(to.as_str())]
            }
            Told::Not(reason) => {
                tracing::warn!(
                    what,
                    to,
                    tries = lane_tries,
                    reason,
                    "who was to be told has not heard it and is told no more"
                );
                vec![gone]
            }
            Told::Heard | Told::NobodyThere => vec![gone],
        };
        // What is not noted is done again, after the lease.
        if let Err(error) = self.inner.store.write(&noted).await {
            tracing::warn!(%error, what, to, "it is not noted whether it was heard");
        }
    }

    /// What a server is told, signed as everything is that it is told.
    fn callback(&self, letter: Letter, id: &str) -> Result<Callback, AccountsError> {
        let Letter { url, method, signer, sealed_token, form } = letter;
        let token = self.inner.sealer.open(&account::purpose(&signer), &sealed_token)?;
        Ok(Callback { url, is_post: method == Method::Post, form, token, id: id.to_owned() })
    }

    /// Sets the gauges of those who wait.
    async fn note_untold(&self, outbox: &Outbox) -> Result<(), AccountsError> {
        let rows = self.inner.store.read(Statement::new(outbox.statements.waiting)).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let now = self.inner.clock.now_wall();
        let oldest = row.maybe_int(1)?.map(|at| now.duration_since(time(at)).unwrap_or_default());
        let count = u32::try_from(row.int(0)?).unwrap_or(u32::MAX);
        let [_, waiting, oldest_seconds] = outbox.metrics;
        gauge!(waiting).set(f64::from(count));
        gauge!(oldest_seconds).set(oldest.unwrap_or_default().as_secs_f64());
        Ok(())
    }
}

impl Outbox {
    /// Counts what became of one.
    pub(super) fn count(&self, outcome: &'static str) {
        let [total, ..] = self.metrics;
        counter!(total, "outcome" => outcome).increment(1);
    }
}

enum Told {
    Heard,
    /// Whoever was to hear it is no more, or names no address.
    NobodyThere,
    Not(String),
}

/// How long a receiver is left alone after so many tries.
fn pause(tries: i64) -> Duration {
    let doublings = u32::try_from(tries).unwrap_or(u32::MAX).min(16);
    PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX).mul_f64(rand::rng().random_range(0.5..1.5))
}

fn untold_of(outbox: &Outbox, row: &Row) -> Result<Untold, AccountsError> {
    Ok(Untold {
        id: row.text(0)?,
        lane: row.text(1)?,
        tries: row.int(2)?,
        leased_until: row.int(3)?,
        created_at: row.int(4)?,
        lane_tries: row.int(5)?,
        letter: (outbox.letter)(row)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_are_never_the_same() {
        let between = |tries, from: f64, to: f64| {
            for _ in 0..100 {
                let pause = pause(tries).as_secs_f64();
                assert!((from..to).contains(&pause), "{tries}: {pause}");
            }
        };
        between(0, 0.5, 1.5);
        between(1, 1.0, 3.0);
        between(9, 256.0, 768.0);
        between(10, 450.0, 1_350.0);
        between(i64::MAX, 450.0, 1_350.0);
        assert_ne!(pause(3), pause(3));
    }
}
