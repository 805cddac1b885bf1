use std::time::{Duration, SystemTime};

use super::{
    directives::{MaxStale, RequestDirectives},
    lifetime::Freshness,
};

/// What may be done with a kept response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is the answer.
    Fresh,
    /// It is stale, and the answer: the request takes it so (`max-stale`).
    Stale,
    /// It is stale, and the answer, while the origin is asked for the next one.
    StaleWhileRevalidate,
    /// The origin must be asked first.
    Validate,
}

impl Freshness {
    /// What may be answered with it, now, before the origin was asked (RFC 9111 §4, §5.2.1; RFC 5861 §3).
    pub fn decide(&self, request: &RequestDirectives, now: SystemTime) -> Decision {
        if request.no_cache || self.directives.no_cache {
            return Decision::Validate;
        }
        let (age, fresh_for) = (self.age(now), self.fresh_for(now));
        let is_fresh = !fresh_for.is_zero();
        // A reload asks for `max-age=0`, which is not worth the way while nothing can have changed (RFC 8246 §2).
        let may_be_old = is_fresh && self.directives.immutable;
        if request.max_age.is_some_and(|max_age| max_age < age) && !may_be_old {
            return Decision::Validate;
        }
        if request.min_fresh.is_some_and(|min_fresh| fresh_for < min_fresh) {
            return Decision::Validate;
        }
        if is_fresh {
            return Decision::Fresh;
        }
        if self.is_never_stale() {
            return Decision::Validate;
        }
        let stale_for = self.stale_for(now);
        let takes_it = match request.max_stale {
            None => false,
            Some(_) if self.directives.s_maxage.is_some() => false,
            Some(MaxStale::Any) => true,
            Some(MaxStale::For(most)) => stale_for <= most,
        };
        if takes_it {
            Decision::Stale
        } else if stale_for < self.stale_while_revalidate {
            Decision::StaleWhileRevalidate
        } else {
            Decision::Validate
        }
    }

    /// Whether it is the answer when the origin cannot be reached or fails (RFC 9111 §4.2.4, RFC 5861 §4).
    pub fn may_stand_in(&self, request: &RequestDirectives, now: SystemTime) -> bool {
        if request.no_cache || self.is_never_stale() {
            return false;
        }
        let taken = match request.stale_if_error {
            Some(asked) if self.directives.s_maxage.is_none() => self.stale_if_error.max(asked),
            _ => self.stale_if_error,
        };
        let stale_for = self.stale_for(now);
        stale_for == Duration::ZERO || stale_for <= taken
    }

    /// Whether it may not be used stale, whatever happens.
    fn is_never_stale(&self) -> bool {
        let directives = &self.directives;
        directives.no_cache || directives.must_revalidate || directives.proxy_revalidate
    }
}
