//! Developers are told that an account allows their application nothing any more: signed, until they have heard it, and without keeping anybody else waiting.
//!
//! A row of `deauthorizations` is written in the transaction of the revocation, and goes when its receiver has answered with 2xx, or after three days. Of all
//! nodes the one whose name is in a row tells; it says until when, so that what a node that dies has begun is begun again by another. Each is told at
//! least once, and an id tells those apart that come twice. One application has one request under way at a time, so that a receiver that is down takes no
//! place from others.

use std::{pin::pin, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use metrics::{counter, gauge};
use rand::RngExt as _;
use url::Url;

use crate::{
    accounts::{
        Accounts, AccountsError, Status, account,
        records::Method,
        rows::{from_json, micros, parsed, time},
    },
    ids::{AccountSid, ConnectAppSid, RandomId},
    outbound::{Callback, Client},
    store::{Row, Statement, StoreError},
};

use super::{ConnectAppFields, apps::ACTIVE_APP};

/// How often it is looked for who is to be told.
const INTERVAL: Duration = Duration::from_secs(1);
/// Requests under way at once.
const AT_ONCE: usize = 32;
/// How long a node has a row to itself: longer than a request takes at most.
const LEASE: Duration = Duration::from_secs(60);
/// Pause before the second try; doubled each time, of random length.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// Whoever has not heard it by then is told no more.
const AGE_MAX: Duration = Duration::from_secs(3 * 86_400);

/// The oldest of each application that are due, where none of that application is under way.
const DUE: &str = "SELECT d.id, d.authorized, d.connect_app, d.tries, d.leased_until, d.created_at, \
                   c.status, c.record, a.sid, a.status, a.primary_token \
                   FROM deauthorizations d JOIN connect_apps c ON c.sid = d.connect_app JOIN accounts a ON a.sid = c.account \
                   WHERE d.id = (SELECT e.id FROM deauthorizations e WHERE e.connect_app = d.connect_app AND e.due_at <= $1 \
                   ORDER BY e.due_at, e.id LIMIT 1) \
                   AND NOT EXISTS (SELECT f.id FROM deauthorizations f WHERE f.connect_app = d.connect_app AND f.leased_until > $1) \
                   ORDER BY d.due_at LIMIT $2";

/// Somebody who is to be told.
pub(in crate::accounts) struct Untold {
    id: String,
    authorized: AccountSid,
    app: ConnectAppSid,
    tries: i64,
    leased_until: i64,
    created_at: i64,
    /// Nothing: there is nobody to tell.
    receiver: Option<Receiver>,
}

struct Receiver {
    url: Url,
    method: Method,
    developer: AccountSid,
    sealed_token: Vec<u8>,
}

impl Accounts {
    /// Tells developers what was revoked, until it is dropped.
    pub async fn keep_telling(&self, client: &Client) {
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
            match self.take_untold(AT_ONCE - under_way.len()).await {
                Ok(taken) => {
                    under_way.extend(taken.into_iter().map(|(untold, lease)| self.tell(client, untold, lease)))
                }
                // That it is away is said by who asks it for changes.
                Err(error) if error.is_away() => {}
                Err(error) => {
                    tracing::error!(%error, "it cannot be read which developers are to be told of revocations")
                }
            }
        }
    }

    /// Takes at most so many of those that are due, for this node alone.
    pub(in crate::accounts) async fn take_untold(&self, places: usize) -> Result<Vec<(Untold, String)>, AccountsError> {
        self.note_untold().await?;
        let now = self.inner.clock.now_wall();
        let due = Statement::new(DUE).bind(micros(now)).bind(i64::try_from(places).unwrap_or_default());
        let mut taken = Vec::new();
        for row in self.inner.store.read(due).await? {
            let untold = match untold_of(&row) {
                Ok(untold) => untold,
                Err(error) => {
                    self.put_off(&row, &error).await?;
                    continue;
                }
            };
            let lease = RandomId::draw(&mut rand::rng()).to_string();
            let take = Statement::new(
                "UPDATE deauthorizations SET leased_until = $1, lease = $2 WHERE id = $3 AND leased_until = $4 AND tries = $5",
            )
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
    async fn put_off(&self, row: &Row, error: &AccountsError) -> Result<(), AccountsError> {
        let (id, now) = (row.text(0)?, self.inner.clock.now_wall());
        tracing::error!(%error, id, "it cannot be read whom to tell of a revocation");
        let old = micros(now.checked_sub(AGE_MAX).unwrap_or(now));
        let drop_old = Statement::new("DELETE FROM deauthorizations WHERE id = $1 AND created_at < $2");
        let put_off = Statement::new("UPDATE deauthorizations SET due_at = $1 WHERE id = $2");
        let put_off = put_off.bind(micros(now + PAUSE_MAX)).bind(id.as_str());
        Ok(self.inner.store.write(&[drop_old.bind(id.as_str()).bind(old), put_off]).await?)
    }

    /// Tells one, and writes down what became of it.
    async fn tell(&self, client: &Client, untold: Untold, lease: String) {
        let now = self.inner.clock.now_wall();
        let Untold { id, app, tries, created_at, .. } = &untold;
        let told = match self.callback(&untold) {
            Ok(Some(callback)) => match client.call(&callback).await {
                Ok(status) if status.is_success() => Told::Heard,
                Ok(status) => Told::Not(format!("status {}", status.as_u16())),
                Err(error) => Told::Not(error.to_string()),
            },
            Ok(None) => Told::NobodyThere,
            Err(error) => Told::Not(error.to_string()),
        };
        let is_over = AGE_MAX <= now.duration_since(time(*created_at)).unwrap_or_default();
        let outcome = match &told {
            Told::Heard => "delivered",
            Told::NobodyThere => "nobody",
            Told::Not(_) if is_over => "given-up",
            Told::Not(_) => "failed",
        };
        counter!("ringback_deauthorizations_total", "outcome" => outcome).increment(1);
        let gone = "DELETE FROM deauthorizations WHERE id = $1 AND lease = $2";
        let noted = match told {
            Told::Not(reason) if !is_over => {
                tracing::info!(%app, tries, reason, "a developer does not hear of a revocation");
                Statement::new(
                    "UPDATE deauthorizations SET tries = tries + 1, due_at = $3, leased_until = 0, lease = '' \
                     WHERE id = $1 AND lease = $2",
                )
                .bind(id.as_str())
                .bind(lease)
                .bind(micros(self.inner.clock.now_wall() + pause(*tries)))
            }
            Told::Not(reason) => {
                tracing::warn!(%app, tries, reason, "a developer has not heard of a revocation and is told no more");
                Statement::new(gone).bind(id.as_str()).bind(lease)
            }
            Told::Heard | Told::NobodyThere => Statement::new(gone).bind(id.as_str()).bind(lease),
        };
        // What is not noted is done again, after the lease.
        if let Err(error) = self.inner.store.write(&[noted]).await {
            tracing::warn!(%error, %app, "it is not noted whether a developer has heard of a revocation");
        }
    }

    /// What a developer is told, signed as everything is that its server is told.
    fn callback(&self, untold: &Untold) -> Result<Option<Callback>, AccountsError> {
        let Some(receiver) = &untold.receiver else { return Ok(None) };
        let token = self.inner.sealer.open(&account::purpose(&receiver.developer), &receiver.sealed_token)?;
        Ok(Some(Callback {
            url: receiver.url.clone(),
            is_post: receiver.method == Method::Post,
            form: vec![("AccountSid", untold.authorized.to_string()), ("ConnectAppSid", untold.app.to_string())],
            token,
            id: untold.id.clone(),
        }))
    }

    /// Sets the gauges of those who wait.
    async fn note_untold(&self) -> Result<(), AccountsError> {
        let waiting = Statement::new("SELECT count(*), min(created_at) FROM deauthorizations");
        let rows = self.inner.store.read(waiting).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let now = self.inner.clock.now_wall();
        let oldest = row.maybe_int(1)?.map(|at| now.duration_since(time(at)).unwrap_or_default());
        let waiting = u32::try_from(row.int(0)?).unwrap_or(u32::MAX);
        gauge!("ringback_deauthorizations_waiting").set(f64::from(waiting));
        gauge!("ringback_deauthorizations_oldest_seconds").set(oldest.unwrap_or_default().as_secs_f64());
        Ok(())
    }
}

enum Told {
    Heard,
    /// The application is no more, or names no address.
    NobodyThere,
    Not(String),
}

/// How long a receiver is left alone after so many tries.
fn pause(tries: i64) -> Duration {
    let doublings = u32::try_from(tries).unwrap_or(u32::MAX).min(16);
    PAUSE.saturating_mul(1 << doublings).min(PAUSE_MAX).mul_f64(rand::rng().random_range(0.5..1.5))
}

fn untold_of(row: &Row) -> Result<Untold, AccountsError> {
    const WHAT: &str = "a deauthorization";
    let fields: ConnectAppFields = from_json(&row.text(7)?)?;
    let status: Status = parsed(row, 9, WHAT)?;
    let is_there = row.text(6)? == ACTIVE_APP && status != Status::Closed;
    let url = fields.deauthorize_callback_url.filter(|_| is_there).and_then(|url| Url::parse(&url).ok());
    let receiver = url.map(|url| -> Result<Receiver, AccountsError> {
        Ok(Receiver {
            url,
            method: fields.deauthorize_callback_method,
            developer: parsed(row, 8, WHAT)?,
            sealed_token: row.bytes(10)?,
        })
    });
    Ok(Untold {
        id: row.text(0)?,
        authorized: parsed(row, 1, WHAT)?,
        app: parsed(row, 2, WHAT)?,
        tries: row.int(3)?,
        leased_until: row.int(4)?,
        created_at: row.int(5)?,
        receiver: receiver.transpose()?,
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
