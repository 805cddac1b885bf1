//! Failures that are remembered for a while, so that a broken source is not asked at every call (`spec/media.md` §4).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use foyer::{Cache as MemoryCache, CacheBuilder};

use crate::{
    ids::{SourceKey, Tenant},
    media::format::Headerless,
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

#[derive(Debug)]
struct Failure {
    problem: Problem,
    until: SystemTime,
}

/// The failures that are remembered, within a bound.
#[derive(Debug)]
pub(super) struct Failures {
    remembered: MemoryCache<Tried, Arc<Failure>>,
    lasting: Duration,
    said_max: Duration,
}

impl Failures {
    /// At most `failures_max`, each for `lasting`, or as long as the origin says up to `said_max`; nothing is remembered where `lasting`
    /// is zero.
    pub(super) fn new(failures_max: usize, lasting: Duration, said_max: Duration) -> Failures {
        Failures { remembered: CacheBuilder::new(failures_max).build(), lasting, said_max }
    }

    /// How `tried` failed, while that is remembered.
    pub(super) fn get(&self, tried: &Tried, now: SystemTime) -> Option<Problem> {
        let failure = self.remembered.get(tried)?;
        // None lasts longer: the clock was ahead when it was remembered.
        let left = failure.until.duration_since(now).ok().filter(|left| *left <= self.lasting.max(self.said_max))?;
        Some(failure.problem.clone().retry_after(left))
    }

    /// Remembers what a source did wrong. Our own trouble is not the source's.
    pub(super) fn remember(&self, tried: Tried, problem: &Problem, now: SystemTime) {
        let is_the_sources =
            problem.kind.side() != Side::Us && problem.kind != Kind::LoopDetected && !problem.is_passing;
        if !is_the_sources || self.lasting.is_zero() {
            return;
        }
        let said = problem.retry_after.unwrap_or_default().min(self.said_max);
        let failure = Arc::new(Failure { problem: problem.clone(), until: now + self.lasting.max(said) });
        // What the origin did concerns whoever asks; what its bytes are concerns only who wants them decoded.
        if problem.kind.side() == Side::Origin {
            self.remembered.insert(Tried { raw: !tried.raw, ..tried.clone() }, Arc::clone(&failure));
        }
        self.remembered.insert(tried, failure);
    }

    /// Forgets: the caller insists on asking again.
    pub(super) fn forget(&self, tried: &Tried) {
        self.remembered.remove(tried);
    }
}
