//! What to do for a request of a remote source: serve what is there, or fill, and from what.

use std::sync::Arc;

use http::StatusCode;

use crate::{
    ids::Tenant,
    problem::{Problem, Side},
};

use super::{
    Audio, CanonicalUrl, FetchRequest, Media, Opened, Via,
    cache::SourceRecord,
    fill::{From, Wanted},
    freshness::Decision,
    hit::Found,
    not_cached, tried,
};

impl Media {
    /// What to do for a request of a remote source, from what the index and the tiers have.
    pub(super) async fn plan(
        &self,
        tenant: &Tenant,
        request: &FetchRequest,
        url: &CanonicalUrl,
        record: Option<Arc<SourceRecord>>,
        known: Known,
    ) -> Result<Plan, Problem> {
        let failure = self.fill.failure(&tried(tenant, request));
        let known = match known {
            Known::Nothing if self.has_failed(tenant, request, failure.as_ref()) => Known::Failed,
            known => known,
        };
        let record = record.and_then(|record| self.current(record, url));
        let found = match &record {
            Some(record) => self.find(tenant, record, request).await,
            None => Found::Unknown,
        };
        let usability = record.as_deref().map_or(Usability::None, |record| self.usability(record, request, url, known));
        // The origin has said since that its source is not there, or not for us: that is an answer.
        let usability = match usability {
            Usability::StaleWhileRevalidate if failure.as_ref().is_some_and(|problem| problem.is_final) => {
                Usability::ToValidate { may_stand_in: false }
            }
            usability => usability,
        };
        let is_usable = !matches!(usability, Usability::None | Usability::OtherVariant | Usability::ToValidate { .. });
        let wanted = Wanted {
            tenant: tenant.clone(),
            source: request.source.clone(),
            format: request.format,
            input: request.input,
            from: From::Origin(record.clone()),
            serves: if let Found::Hit(hit) = &found { Some(hit.manifest.artifact) } else { None },
            previous: record.clone(),
            keep: !request.directives.no_store,
            tags: request.tags.clone(),
            hops: request.hops.clone(),
        };
        let is_hit = match found {
            Found::Hit(hit) if is_usable => {
                if let Some(record) = &record {
                    self.confirm_reference(tenant, request, &hit, record).await;
                }
                let asks_behind = usability == Usability::StaleWhileRevalidate
                    && failure.is_none()
                    && !request.directives.only_if_cached
                    && self.origin.check_loop(&request.hops).is_ok();
                if asks_behind {
                    self.fill.refresh(wanted);
                }
                let via = served_via(usability, known);
                return Ok(Plan::Serve(Opened { audio: Audio::Hit(hit, record), via }));
            }
            Found::Hit(_) => true,
            _ => false,
        };
        if request.directives.only_if_cached {
            return Err(not_cached());
        }
        let kept = match &record {
            Some(record) => self.degrade(self.cache.kept_source(&record.content_hash).await).flatten(),
            None => None,
        };
        // Asking whether it changed is of use only if there is something to serve when it did not.
        let has_something = is_hit || kept.is_some();
        let (from, via) = match (&record, kept) {
            (Some(_), Some(kept)) if is_usable => (From::Kept(kept), Via::Kept),
            (Some(record), _) if has_something => {
                let is_fresh = record.is_fresh_at(self.clock.now_wall());
                let via = match usability {
                    Usability::OtherVariant => Via::Variant,
                    _ if request.directives.no_cache || is_fresh => Via::Request,
                    _ => Via::Stale,
                };
                (From::Origin(Some(Arc::clone(record))), via)
            }
            (Some(_), _) if !is_usable => (From::Origin(None), Via::Stale),
            _ => (From::Origin(None), Via::Miss),
        };
        let may_stand_in = has_something && usability == Usability::ToValidate { may_stand_in: true };
        // Before it joins others: a request of our own that came back would wait for itself.
        self.origin.check_loop(&request.hops)?;
        // Only now: an origin that fails takes nothing from those who do not need it.
        let is_of_the_origin = |problem: &Problem| problem.kind.side() == Side::Origin || problem.lets_stale_stand_in();
        if let Some(problem) = failure.filter(|problem| via != Via::Kept || !is_of_the_origin(problem)) {
            return Err(problem);
        }
        Ok(Plan::Fill { wanted: Box::new(Wanted { from, ..wanted }), via, may_stand_in })
    }

    /// Whether the source's origin failed to give an answer a moment ago, to this caller or another.
    fn has_failed(&self, tenant: &Tenant, request: &FetchRequest, failure: Option<&Problem>) -> bool {
        failure.is_some_and(Problem::lets_stale_stand_in)
            || self.fill.source_failure(tenant, request.source.key()).is_some()
    }

    /// An index entry as today's rules see it: none, where they do not allow that it is kept.
    fn current(&self, record: Arc<SourceRecord>, url: &CanonicalUrl) -> Option<Arc<SourceRecord>> {
        let stamp = self.origin.rules_stamp();
        if record.rules_stamp == stamp {
            return Some(record);
        }
        let url = url.fetch_url();
        if !self.origin.may_keep(url, &record.said) {
            return None;
        }
        let freshness = self.origin.freshness(url, &record.said, record.times());
        let fresh_until = record.checked_at + freshness.fresh_for(record.checked_at);
        Some(Arc::new(SourceRecord { fresh_until, rules_stamp: stamp, ..SourceRecord::clone(&record) }))
    }

    /// What the index entry of a source is good for, for this request and now.
    fn usability(&self, record: &SourceRecord, request: &FetchRequest, url: &CanonicalUrl, known: Known) -> Usability {
        let now = self.clock.now_wall();
        if matches!(known, Known::Confirmed { .. }) {
            return Usability::Fresh;
        }
        let url = url.fetch_url();
        let (sent, said) = (self.origin.constant_fields(url), record.said.to_headers());
        if !record.selection.as_ref().is_some_and(|selection| selection.answers(sent, &said)) {
            return Usability::OtherVariant;
        }
        let freshness = self.origin.freshness(url, &record.said, record.times());
        let may_stand_in = freshness.may_stand_in(&request.directives, now);
        let decision = freshness.decide(&request.directives, now);
        match decision {
            Decision::Fresh => Usability::Fresh,
            _ if may_stand_in && matches!(known, Known::Fails | Known::Failed) => Usability::Stale,
            Decision::Stale => Usability::Stale,
            Decision::StaleWhileRevalidate => Usability::StaleWhileRevalidate,
            Decision::Validate => Usability::ToValidate { may_stand_in },
        }
    }
}

/// What is done for a request.
pub(super) enum Plan {
    /// Its audio is there.
    Serve(Opened),
    /// It has to be made.
    Fill {
        wanted: Box<Wanted>,
        via: Via,
        /// Whether what is stale may be served if the fill fails, or takes long.
        may_stand_in: bool,
    },
}

/// What is known of a source's origin beside the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// It has just said that the index is right.
    Confirmed {
        /// By this.
        status: StatusCode,
        /// Why it was asked.
        why: &'static str,
    },
    /// It has just failed, or takes long.
    Fails,
    /// It failed a moment ago.
    Failed,
}

/// What an index entry is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usability {
    /// There is no entry.
    None,
    /// Its audio is the answer.
    Fresh,
    /// Its audio is the answer, though it is stale.
    Stale,
    /// The same, and the origin is asked behind it.
    StaleWhileRevalidate,
    /// Another request than ours chose it, or there is no telling.
    OtherVariant,
    /// The origin is asked first.
    ToValidate {
        /// If the origin fails, its audio is the answer.
        may_stand_in: bool,
    },
}

/// How a hit is served.
fn served_via(usability: Usability, known: Known) -> Via {
    let reason = match (usability, known) {
        (Usability::Fresh, Known::Confirmed { status, why }) => return Via::Revalidated { status, why },
        (Usability::StaleWhileRevalidate, _) => "revalidating",
        (Usability::Stale, Known::Fails) => "origin-fails",
        (Usability::Stale, Known::Failed) => "origin-failed",
        (Usability::Stale, _) => "asked",
        _ => return Via::Hit,
    };
    metrics::counter!("ringback_media_stale_total", "reason" => reason).increment(1);
    if known == Known::Fails { Via::StandIn } else { Via::Hit }
}
