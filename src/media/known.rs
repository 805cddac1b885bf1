//! Sources whose originals are known by their names: uploads, and text that is spoken. Nothing of the index is asked for them.

use std::sync::{Arc, Mutex};

use crate::{
    concurrency::Place,
    ids::{ContentHash, Tenant},
    media::{
        address::{CanonicalUrl, IgnoredQuery},
        cache::{Reference, SourceRecord},
        fill::{From, Joined, Ready, Wanted},
        format::Format,
        freshness::RequestDirectives,
        hit::Found,
        http,
        speech::{StandIn, TextIn, Utterance, Wish},
    },
    problem::{Kind, Problem},
};

use super::{Audio, FetchRequest, Media, Opened, Plan, Source, Via, not_cached, tried};

impl Media {
    /// Makes out a text that is to be spoken, and into what, from an extension and options, which may name a preset.
    ///
    /// # Errors
    /// As [`recipe`](Media::recipe), and the text's: no engine, an unknown voice, `over-limit`.
    pub fn speech_recipe(
        &self,
        extension: &str,
        options: &[(&str, &str)],
        (text, text_in): (&str, TextIn),
    ) -> Result<(Format, Source), Problem> {
        self.check_presets_only(options)?;
        let options = self.expand(options)?;
        let (wish, options) = Wish::take(&options).map_err(|error| error.problem())?;
        let format = Format::parse(extension, &options).map_err(http::format_problem)?;
        if format.is_raw() {
            return Err(Problem::new(Kind::NotAcceptable, "speech has no original that could be passed on"));
        }
        Ok((format, self.utterance(&wish, (text, text_in))?))
    }

    /// A text that is to be spoken as it is wished.
    pub(in crate::media) fn utterance(&self, wish: &Wish, (text, text_in): (&str, TextIn)) -> Result<Source, Problem> {
        let utterance = self.speech.utterance(wish, text, text_in).map_err(|error| error.problem())?;
        Ok(Source::Speech(Arc::new(utterance)))
    }

    /// What the index would say of a source whose original is known by its name.
    pub(super) fn known_record(&self, source: &Source, content_hash: ContentHash) -> Arc<SourceRecord> {
        let now = self.clock.now_wall();
        let known = SourceRecord::of_known(source.text().into_owned(), content_hash, now);
        Arc::new(SourceRecord { changed_at: http::pipeline_since().unwrap_or(now), ..known })
    }

    /// What to do for a request whose original is known by its name, from what the tiers have.
    pub(super) async fn plan_known(&self, tenant: &Tenant, request: &FetchRequest) -> Result<Plan, Problem> {
        let content_hash = request.source.content_hash();
        let without = || Problem::new(Kind::Internal, "a source whose name says nothing of its bytes");
        let record = self.known_record(&request.source, content_hash.ok_or_else(without)?);
        let is_spoken = matches!(request.source, Source::Speech(_));
        let is_purged = |reference: &Reference| is_spoken && self.cache.is_purged(tenant, reference);
        let from = match self.find(tenant, &record, request).await {
            // An engine may say it otherwise by now; an upload is what it is.
            Found::Hit(hit) if is_purged(&hit.reference) => From::Engine,
            Found::Lost(reference) if is_purged(&reference) => From::Engine,
            Found::Hit(hit) => {
                self.confirm_reference(tenant, request, &hit, &record).await;
                return Ok(Plan::Serve(Opened { audio: Audio::Hit(hit, Some(record)), via: Via::Hit }));
            }
            Found::Lost(_) | Found::Unknown => From::Origin(None),
        };
        if request.directives.only_if_cached {
            return Err(not_cached());
        }
        if let Some(problem) = self.fill.failure(&tried(tenant, request)) {
            return Err(problem);
        }
        let wanted = Wanted {
            tenant: tenant.clone(),
            source: request.source.clone(),
            format: request.format,
            // Its name says all about it.
            input: None,
            from,
            serves: None,
            previous: Some(record),
            keep: !request.directives.no_store,
            tags: request.tags.clone(),
            hops: request.hops.clone(),
        };
        let via = if is_spoken { Via::Spoken } else { Via::Upload };
        Ok(Plan::Fill { wanted: Box::new(wanted), via, may_stand_in: false })
    }

    /// Waits for speech to begin, or where nothing is sent before all of it is there, for its end.
    pub(super) async fn spoken_in_time(&self, joined: &Joined, whole: bool) -> Spoken {
        let deadline = self.speech.deadline();
        if !whole {
            let begun = tokio::time::timeout(deadline, joined.begun()).await;
            return begun.map_or(Spoken::Late, |()| Spoken::InTime(None));
        }
        tokio::select! {
            biased;
            ready = joined.whole() => Spoken::InTime(Some(ready)),
            () = joined.stalled(deadline) => Spoken::Late,
        }
    }

    /// What is heard where a request has failed: something that stands in, or its problem.
    pub(super) async fn instead(
        &self,
        tenant: &Tenant,
        request: &FetchRequest,
        problem: Problem,
        place: Option<Arc<Place>>,
    ) -> Result<Opened, Problem> {
        if let (true, Source::Speech(utterance)) = (request.takes_stand_in, &request.source)
            && lets_stand_in(&problem)
            && let Some(opened) = self.stand_in(tenant, request, utterance, place).await
        {
            return Ok(opened);
        }
        Err(problem)
    }

    /// What is served instead of speech that does not come: never kept.
    pub(super) async fn stand_in(
        &self,
        tenant: &Tenant,
        request: &FetchRequest,
        utterance: &Utterance,
        place: Option<Arc<Place>>,
    ) -> Option<Opened> {
        let directives = RequestDirectives { no_store: true, ..request.directives };
        let request = FetchRequest { directives, takes_stand_in: false, ..request.clone() };
        // Before an engine is asked.
        let place = match place {
            Some(place) => Some(place),
            None => self.admit(tenant, &request).await.ok()?,
        };
        match self.speech.stand_in(utterance, &request.hops).await? {
            StandIn::Spoken(spoken) => {
                let wanted = Wanted {
                    tenant: tenant.clone(),
                    previous: Some(self.known_record(&request.source, request.source.content_hash()?)),
                    source: request.source,
                    format: request.format,
                    input: None,
                    from: From::StandIn(Arc::new(Mutex::new(Some(spoken)))),
                    serves: None,
                    keep: false,
                    tags: Vec::new(),
                    hops: request.hops,
                };
                let joined = self.fill.join(wanted, place);
                let whole = request.whole || request.format.is_held();
                let ready = if whole { joined.whole().await } else { joined.started().await };
                let audio = match ready.ok()? {
                    Ready::Whole(finished) => Audio::Filled(finished, joined),
                    Ready::Streaming => Audio::Running(joined),
                    Ready::LookAgain { .. } => return None,
                };
                Some(Opened { audio, via: Via::SpokenFor })
            }
            StandIn::Url(url) => {
                let source = CanonicalUrl::parse(&url, &IgnoredQuery::default()).ok()?.into();
                let request = FetchRequest { source, directives: RequestDirectives::default(), ..request };
                let opened = Box::pin(self.fetch_with(tenant, &request, place)).await.ok()?;
                Some(Opened { via: Via::SpokenFor, ..opened })
            }
        }
    }
}

/// Whether speech came before its caller would rather hear something else.
pub(super) enum Spoken {
    /// It did, and how it ended where that was waited for.
    InTime(Option<Result<Ready, Problem>>),
    /// It was silent for longer than the deadline.
    Late,
}

/// Whether speech failed so that something else may be heard in its place.
fn lets_stand_in(problem: &Problem) -> bool {
    matches!(problem.kind, Kind::SpeechFailed | Kind::SpeechTimeout | Kind::NoEngine | Kind::Busy)
}
