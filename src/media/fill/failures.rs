//! Failures that are remembered for a while, so that a broken source is not asked at every call (`spec/media.md` §4).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use foyer::{Cache as MemoryCache, CacheBuilder};

use crate::{
    ids::{SourceKey, Tenant},
    media::{
        format::{Format, Headerless},
        source::Source,
    },
    problem::{Kind, Problem, Side},
};

/// What failed: who asks for something else need not fail.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::media) struct Tried {
    pub(in crate::media) tenant: Tenant,
    /// The address as it was fetched, signature included: one caller's bad token is not another's.
    pub(in crate::media) address: SourceKey,
    /// What the caller declares the source to be.
    pub(in crate::media) input: Option<Headerless>,
    /// Whether it was to be passed on as it is: what cannot be decoded can be passed on.
    pub(in crate::media) raw: bool,
}

impl Tried {
    pub(in crate::media) fn new(tenant: &Tenant, source: &Source, format: Format, input: Option<Headerless>) -> Tried {
        Tried { tenant: tenant.clone(), address: source.asked_key(), input, raw: format.is_raw() }
    }
}

#[derive(Debug)]
struct Failure {
    problem: Problem,
    until: SystemTime,
}

/// The failures that are remembered, within a bound.
#[derive(Debug)]
pub(super) struct Failures {
    remembered: MemoryCache<Tried, Arc<Failure>>,
    /// Origins that fail to give an answer, by source: whoever has something else need not ask them, under whatever signature.
    of_sources: MemoryCache<(Tenant, SourceKey), Arc<Failure>>,
    lasting: Duration,
    said_max: Duration,
}

impl Failures {
    /// At most `failures_max`, each for `lasting`, or as long as the origin says up to `said_max`; nothing is remembered where `lasting`
    /// is zero.
    pub(super) fn new(failures_max: usize, lasting: Duration, said_max: Duration) -> Failures {
        let (remembered, of_sources) =
            (CacheBuilder::new(failures_max).build(), CacheBuilder::new(failures_max).build());
        Failures { remembered, of_sources, lasting, said_max }
    }

    /// How `tried` failed, while that is remembered.
    pub(super) fn get(&self, tried: &Tried, now: SystemTime) -> Option<Problem> {
        self.while_it_lasts(&*self.remembered.get(tried)?, now)
    }

    /// How the origin of a source failed to give an answer, while that is remembered.
    pub(super) fn of_source(&self, tenant: &Tenant, source: SourceKey, now: SystemTime) -> Option<Problem> {
        self.while_it_lasts(&*self.of_sources.get(&(tenant.clone(), source))?, now)
    }

    fn while_it_lasts(&self, failure: &Failure, now: SystemTime) -> Option<Problem> {
        // None lasts longer: the clock was ahead when it was remembered.
        let left = failure.until.duration_since(now).ok().filter(|left| *left <= self.lasting.max(self.said_max))?;
        Some(failure.problem.clone().retry_after(left))
    }

    /// Remembers what a source did wrong, which is known as `source`. Our own trouble is not the source's.
    pub(super) fn remember(&self, tried: Tried, source: SourceKey, problem: &Problem, now: SystemTime) {
        let is_the_sources =
            problem.kind.side() != Side::Us && problem.kind != Kind::LoopDetected && !problem.is_passing;
        if !is_the_sources || self.lasting.is_zero() {
            return;
        }
        let said = problem.retry_after.unwrap_or_default().min(self.said_max);
        let failure = Arc::new(Failure { problem: problem.clone(), until: now + self.lasting.max(said) });
        if problem.lets_stale_stand_in() {
            self.of_sources.insert((tried.tenant.clone(), source), Arc::clone(&failure));
        }
        // What the origin did concerns whoever asks; what its bytes are concerns only who wants them decoded.
        if problem.kind.side() == Side::Origin {
            self.remembered.insert(Tried { raw: !tried.raw, ..tried.clone() }, Arc::clone(&failure));
        }
        self.remembered.insert(tried, failure);
    }

    /// Forgets: the caller insists on asking again.
    pub(super) fn forget(&self, tried: &Tried, source: SourceKey) {
        self.remembered.remove(tried);
        self.of_sources.remove(&(tried.tenant.clone(), source));
    }
}
