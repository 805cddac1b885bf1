//! Keeping what is held in a fleet: renewing, registering again, giving back, and making sure after a pause.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use futures_util::{StreamExt as _, stream};

use crate::lease::{Lease, LeaseError, LeaseId, Standing, Take, Taken, lock};

use super::{
    PlaceLost, WhenAway,
    core::Core,
    paths::Path,
    place::{Ticket, TicketState},
};

/// Leases that are renewed in one call at most.
const RENEWED_MAX: usize = 5_000;
/// Leases that are taken again at once.
const AGAIN_MAX: usize = 256;
/// Leases that have ended and wait to be released. Beyond it they expire.
const ENDED_MAX: usize = 65_536;
/// Pause before what could not be released is tried again, unless it is heard before that somebody can be asked.
const RELEASE_PAUSE: Duration = Duration::from_secs(1);
/// Leases are renewed so often in the time that they last.
const RENEWALS: u32 = 3;

impl Core {
    /// Renews what is held, and registers it again where it was lost, until it is dropped.
    pub(super) async fn keep_renewing(self: &Arc<Self>) {
        let Some(lasts) = self.lasts else { return std::future::pending().await };
        let mut standing = self.leases.standing();
        let mut ticks = tokio::time::interval(lasts / RENEWALS);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                changed = standing.changed() => if changed.is_err() { std::future::pending().await },
            }
            let now = *standing.borrow_and_update();
            if let Err(error) = self.renew_all(now, lasts).await {
                tracing::debug!(%error, "leases are not renewed");
            }
        }
    }

    /// One round over all that is held.
    pub(super) async fn renew_all(self: &Arc<Self>, standing: Standing, lasts: Duration) -> Result<(), LeaseError> {
        let Some(epoch) = standing.epoch() else { return Ok(()) };
        let tickets: Vec<Arc<Ticket>> = lock(&self.tickets).values().cloned().collect();
        let (mut held, mut unknown) = (Vec::new(), Vec::new());
        for ticket in tickets {
            let state = *lock(&ticket.state);
            match state.lease {
                _ if state.is_lost => {}
                Some((lease, taken_in)) if taken_in == epoch => held.push((lease, ticket)),
                Some(_) | None => unknown.push(ticket),
            }
        }
        // First what nobody knows of: while they register again, others wait for it.
        stream::iter(unknown)
            .for_each_concurrent(AGAIN_MAX, |ticket| async move {
                let _one = ticket.getting_back.lock().await;
                self.get_back(&ticket, None, lasts).await.ok();
            })
            .await;
        for batch in held.chunks(RENEWED_MAX) {
            let asked = self.clock.since_boot();
            let leases: Vec<Lease<'_>> =
                batch.iter().map(|(id, ticket)| Lease { id: *id, chain: &ticket.path.chain }).collect();
            let there = self.leases.renew(&leases, lasts).await?;
            let mut gone = Vec::new();
            for ((lease, ticket), is_there) in batch.iter().zip(there) {
                if !is_there {
                    gone.push((*lease, ticket));
                } else if let Some(state) = lock(&ticket.state).of_lease(*lease) {
                    state.good_until = asked + lasts;
                }
            }
            stream::iter(gone)
                .for_each_concurrent(AGAIN_MAX, |(lease, ticket)| async move {
                    let _one = ticket.getting_back.lock().await;
                    self.get_back(ticket, Some(lease), lasts).await.ok();
                })
                .await;
        }
        Ok(())
    }

    /// Gets back the place of a ticket whose lease is `gone`, or was lost with its epoch: whether it has one then. Who asks holds `getting_back`, and may come second.
    async fn get_back(
        self: &Arc<Self>,
        ticket: &Arc<Ticket>,
        gone: Option<LeaseId>,
        lasts: Duration,
    ) -> Result<bool, LeaseError> {
        let epoch = self.leases.standing().borrow().epoch().ok_or(LeaseError::Unreachable)?;
        let state = *lock(&ticket.state);
        match state.lease {
            _ if state.is_lost || state.is_over => Ok(!state.is_lost),
            Some((lease, taken_in)) if taken_in == epoch && gone != Some(lease) => Ok(true),
            Some((_, taken_in)) if taken_in == epoch => self.take_again(ticket, lasts).await,
            Some(_) if state.good_until <= self.clock.since_boot() => match self.take_again(ticket, lasts).await {
                // Nobody else is let in yet: it was cut off together with all others.
                Err(LeaseError::Recovering { .. }) => self.register(ticket, lasts).await.map(|()| true),
                answer => answer,
            },
            // It was lost while it held, or admitted alone.
            Some(_) | None => self.register(ticket, lasts).await.map(|()| true),
        }
    }

    /// Counts what is held already, whatever the limit.
    async fn register(self: &Arc<Self>, ticket: &Arc<Ticket>, lasts: Duration) -> Result<(), LeaseError> {
        let asked = self.clock.since_boot();
        if let Taken::Held { lease, epoch, .. } = self.take(&ticket.path, Some(lasts), true).await? {
            self.set_lease(ticket, lease, epoch, asked + lasts);
        }
        Ok(())
    }

    /// Takes the place of work that goes on again, because others may have it: whether it has one.
    async fn take_again(self: &Arc<Self>, ticket: &Arc<Ticket>, lasts: Duration) -> Result<bool, LeaseError> {
        let asked = self.clock.since_boot();
        let (chain, caps) = (&ticket.path.chain, self.caps_now(&ticket.path));
        match self.leases.take(Take { chain, caps: &caps, lasts: Some(lasts), is_held_already: false }).await? {
            Taken::Held { lease, epoch, .. } => {
                self.set_lease(ticket, lease, epoch, asked + lasts);
                Ok(true)
            }
            Taken::Full { .. } if ticket.path.resource.outlives_its_place() => {
                self.register(ticket, lasts).await?;
                self.note_overcommitted(ticket);
                Ok(true)
            }
            Taken::Full { .. } => {
                lock(&ticket.state).is_lost = true;
                tracing::warn!(resource = %ticket.path.resource, "a place was given to others while this node was away");
                Ok(false)
            }
        }
    }

    /// How many may be held in each pool of a path, as the limits are now.
    fn caps_now(&self, path: &Path) -> Vec<u32> {
        let Ok(now) = self.path(path.subject, path.resource) else { return path.caps().to_vec() };
        let cap = |pool| now.levels.iter().find(|level| level.pool == pool).map_or(u32::MAX, |level| level.limit.cap());
        path.chain.pools().iter().copied().map(cap).collect()
    }

    fn note_overcommitted(&self, ticket: &Ticket) {
        self.overcommitted.fetch_add(1, Ordering::Relaxed);
        self.meters.overcommitted().increment(1);
        let (account, resource) = (ticket.path.subject.account, ticket.path.resource);
        tracing::warn!(%account, %resource, "work goes on though its place was given to others while this node was away");
    }

    /// The ticket is held by this lease from now on; one that it had before, and one that comes too late, are released.
    fn set_lease(&self, ticket: &Ticket, lease: LeaseId, epoch: u64, good_until: Duration) {
        let released = {
            let mut state = lock(&ticket.state);
            if state.is_over {
                Some(lease)
            } else {
                state.good_until = good_until;
                state.lease.replace((lease, epoch)).map(|(before, _)| before)
            }
        };
        if let Some(released) = released {
            self.release_later(released, &ticket.path);
        }
    }

    /// What [`Place::confirm`](super::Place::confirm) asks for a place of which it is not sure.
    pub(super) async fn confirm(self: &Arc<Self>, ticket: &Arc<Ticket>) -> Result<(), PlaceLost> {
        let Some(lasts) = self.lasts else { return Err(PlaceLost) };
        match self.ask_whether_held(ticket, lasts).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(PlaceLost),
            Err(error) => {
                tracing::debug!(%error, "whether a place is still held cannot be asked");
                let goes_on = self.config.when_away != WhenAway::Closed || ticket.path.resource.outlives_its_place();
                if goes_on { Ok(()) } else { Err(PlaceLost) }
            }
        }
    }

    async fn ask_whether_held(self: &Arc<Self>, ticket: &Arc<Ticket>, lasts: Duration) -> Result<bool, LeaseError> {
        let _one = ticket.getting_back.lock().await;
        let (state, asked) = (*lock(&ticket.state), self.clock.since_boot());
        if state.is_lost || asked < state.good_until {
            return Ok(!state.is_lost);
        }
        let epoch = self.leases.standing().borrow().epoch();
        let Some((lease, _)) = state.lease.filter(|(_, taken_in)| Some(*taken_in) == epoch) else {
            return self.get_back(ticket, None, lasts).await;
        };
        let there = self.leases.renew(&[Lease { id: lease, chain: &ticket.path.chain }], lasts).await?;
        if there.first() == Some(&true) {
            if let Some(state) = lock(&ticket.state).of_lease(lease) {
                state.good_until = asked + lasts;
            }
            return Ok(true);
        }
        self.get_back(ticket, Some(lease), lasts).await
    }

    /// The work of a ticket has ended.
    pub(super) fn end(&self, ticket: &Ticket) {
        lock(&self.tickets).remove(&ticket.number);
        let state = {
            let mut state = lock(&ticket.state);
            state.is_over = true;
            *state
        };
        if let Some((alone, chain)) = state.alone.zip(ticket.path.alone(&self.local)) {
            self.local.release_now(Lease { id: alone, chain });
            self.note_freed(&ticket.path);
        }
        if let Some((lease, _)) = state.lease {
            self.release_later(lease, &ticket.path);
        }
    }

    fn release_later(&self, lease: LeaseId, path: &Arc<Path>) {
        {
            let mut ended = lock(&self.ended);
            if ENDED_MAX <= ended.len() {
                self.meters.unreleased().increment(1);
                return;
            }
            ended.push((lease, path.clone()));
        }
        self.has_ended.notify_one();
    }

    /// Gives back what has ended, all at once, until it is dropped.
    pub(super) async fn keep_releasing(&self) {
        if self.lasts.is_none() {
            return std::future::pending().await;
        }
        let mut standing = self.leases.standing();
        loop {
            self.has_ended.notified().await;
            while !self.release_ended().await {
                if let Ok(Err(_)) = tokio::time::timeout(RELEASE_PAUSE, standing.changed()).await {
                    return std::future::pending().await;
                }
            }
        }
    }

    /// Gives back what has ended by now; whether that could be done.
    pub(super) async fn release_ended(&self) -> bool {
        let ended = std::mem::take(&mut *lock(&self.ended));
        if ended.is_empty() {
            return true;
        }
        let leases: Vec<Lease<'_>> = ended.iter().map(|(id, path)| Lease { id: *id, chain: &path.chain }).collect();
        if let Err(error) = self.leases.release(&leases).await {
            tracing::debug!(%error, "leases that have ended are not released yet");
            self.put_back(ended);
            return false;
        }
        for (_, path) in &ended {
            self.note_freed(path);
        }
        true
    }

    /// What has ended and could not be released. Beyond what is kept they expire.
    fn put_back(&self, unreleased: Vec<(LeaseId, Arc<Path>)>) {
        let mut ended = lock(&self.ended);
        let room = ENDED_MAX.saturating_sub(ended.len());
        let beyond = unreleased.len().saturating_sub(room);
        self.meters.unreleased().increment(u64::try_from(beyond).unwrap_or(u64::MAX));
        ended.extend(unreleased.into_iter().take(room));
    }
}

impl TicketState {
    /// The state, if it is still that of this lease.
    fn of_lease(&mut self, lease: LeaseId) -> Option<&mut TicketState> {
        self.lease.is_some_and(|(held, _)| held == lease).then_some(self)
    }
}
