//! Artifacts by their names: found, made again, described, labelled, dropped.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::{
    concurrency::{Place, Subject},
    ids::{ArtifactId, ContentHash, Tenant},
    media::{
        audio,
        cache::{Manifest, Reference, Tier, Visibility},
        conditional::Conditions,
        fill::Stored,
        freshness::RequestDirectives,
        hit::{self, Found},
        hot::Tags,
        http,
    },
    outbound::Hops,
    problem::{Kind, Problem},
};

use super::{Audio, FetchRequest, Media, Opened, Source, Via};

/// Artifacts that are looked at at a time when their original goes.
const MADE_AT_ONCE: u32 = 100;

/// What an artifact's name leads to.
#[derive(Debug)]
pub(in crate::media) enum Named {
    /// Its audio.
    Opened(Opened),
    /// It was evicted and made by an older pipeline: this is the same recipe by today's.
    Successor(ArtifactId, Visibility),
}

/// A request for an artifact by its name.
#[derive(Debug)]
pub(in crate::media) struct ByName<'a> {
    /// The extension it was asked for under.
    pub(in crate::media) extension: &'a str,
    /// Under what conditions.
    pub(in crate::media) directives: RequestDirectives,
    /// Which of its bytes the caller wants.
    pub(in crate::media) conditions: Conditions,
    /// What the request went through before this node.
    pub(in crate::media) hops: Hops,
    /// Whether it came with what opens private audio of this name.
    pub(in crate::media) opens_private: bool,
    /// For whom its answer counts.
    pub(in crate::media) subject: Option<Subject>,
}

/// What a tenant may know of an artifact of its own.
#[derive(Clone, Debug)]
pub struct Description {
    /// What it is made of; none when it was evicted.
    pub manifest: Option<Arc<Manifest>>,
    /// Where it comes from.
    pub reference: Arc<Reference>,
    /// Tiers that hold all of it.
    pub tier: Option<Tier>,
    /// Whether it was purged: then it is made again before it is answered.
    pub is_purged: bool,
}

/// Audio whose address is known.
#[derive(Clone, Debug)]
pub struct Obtained {
    /// What it is.
    pub manifest: Arc<Manifest>,
    /// Whether it was there before.
    pub cached: bool,
    /// Who may have it.
    pub visibility: Visibility,
}

impl Media {
    /// Finds an artifact by its name, or makes it again where the tenant's reference says how.
    pub(in crate::media) async fn artifact(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        wanted: ByName<'_>,
    ) -> Result<Named, Problem> {
        let may = |reference: &Reference| wanted.opens_private || reference.visibility == Visibility::Public;
        let reference = match self.named(tenant, artifact, &wanted.conditions, may).await? {
            Found::Hit(hit) => return Ok(Named::Opened(Opened { audio: Audio::Hit(hit, None), via: Via::Hit })),
            Found::Lost(reference) => reference,
            Found::Unknown => return Err(unknown_artifact()),
        };
        // Before anything is fetched for an address that cannot be answered.
        if !reference.format.answers_to(wanted.extension) {
            return Err(http::wrong_extension(reference.format));
        }
        if wanted.directives.only_if_cached {
            return Err(Problem::new(Kind::NotCached, "the audio was evicted and is not in the cache"));
        }
        self.rebuild(tenant, artifact, &reference, wanted).await
    }

    /// What is under an artifact's name. What was purged counts as evicted: by its source it is a matter of the index.
    /// Where the reference is not what `may` lets through, there is nothing.
    async fn named(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        conditions: &Conditions,
        may: impl FnOnce(&Reference) -> bool,
    ) -> Result<Found, Problem> {
        let sent =
            |manifest: &Manifest, tags: &Tags| conditions.sent(tags.representation(manifest, http::pipeline_since()));
        let found = hit::lookup(&self.cache, tenant, artifact, may, sent).await.map_err(|error| error.problem())?;
        Ok(match found {
            Found::Hit(hit) if self.cache.is_purged(tenant, &hit.reference) => Found::Lost(hit.reference),
            found => found,
        })
    }

    /// Makes an evicted artifact again, from the first of its sources that still has the same bytes.
    async fn rebuild(
        &self,
        tenant: &Tenant,
        artifact: &ArtifactId,
        reference: &Reference,
        by_name: ByName<'_>,
    ) -> Result<Named, Problem> {
        // Today's pipeline makes another artifact of the same original.
        let (original, input) = (&reference.content_hash, reference.input);
        let successor = reference.format.artifact_id(original, input, audio::PIPELINE);
        let successor = self.private.name(reference.visibility, tenant, successor);
        let mut failed = Problem::new(Kind::NotFound, "the audio was evicted and its source has changed since");
        for source in std::iter::once(&reference.source_url).chain(reference.also.iter().map(|also| &also.url)) {
            let request = FetchRequest {
                source: Source::parse(source).map_err(|error| error.problem())?,
                input,
                format: reference.format,
                directives: by_name.directives,
                whole: true,
                conditions: by_name.conditions.clone(),
                tags: reference.tags.clone(),
                hops: by_name.hops.clone(),
                counts: true,
                subject: by_name.subject,
                takes_stand_in: false,
            };
            let opened = match self.fetch(tenant, &request).await {
                Ok(opened) => opened,
                // Another source would be refused as well, and what it is to be told is this.
                Err(problem) if problem.limit.is_some() => return Err(problem),
                Err(problem) => {
                    failed = problem;
                    continue;
                }
            };
            match opened.artifact() {
                Some(made) if made == *artifact => return Ok(Named::Opened(opened)),
                // Its address is of use only if it works.
                Some(made) if made == successor && opened.is_stored() => {
                    return Ok(Named::Successor(made, reference.visibility));
                }
                _ => {}
            }
        }
        Err(failed)
    }

    /// What a tenant may know of an artifact.
    ///
    /// # Errors
    /// `not-found` without a reference of this tenant's.
    pub async fn describe(&self, tenant: &Tenant, artifact: &ArtifactId) -> Result<Description, Problem> {
        match self.named(tenant, artifact, &Conditions::no_bytes(), |_| true).await? {
            Found::Hit(hit) => {
                let (manifest, reference) = (Some(hit.manifest), hit.reference);
                Ok(Description { manifest, reference, tier: Some(hit.tier), is_purged: false })
            }
            Found::Lost(reference) => {
                let manifest = self.cache.manifest(artifact).await.map_err(|error| error.problem())?;
                let is_purged = self.cache.is_purged(tenant, &reference);
                Ok(Description { manifest, reference, tier: None, is_purged })
            }
            Found::Unknown => Err(unknown_artifact()),
        }
    }

    /// Drops a tenant's reference; bytes go with the last one.
    ///
    /// # Errors
    /// `not-found` without a reference of this tenant's.
    pub async fn forget(&self, tenant: &Tenant, artifact: &ArtifactId) -> Result<(), Problem> {
        let reference = self.cache.reference(tenant, artifact).await.map_err(|error| error.problem())?;
        let reference = reference.ok_or_else(unknown_artifact)?;
        let (media, tenant, artifact) = (self.clone(), tenant.clone(), *artifact);
        let dropping = async move { media.drop_known(&tenant, &artifact, &reference).await };
        // A caller who hangs up stops nothing: what is dropped by half would be served on, and unknown to whoever asks again.
        let dropped = self.tasks.spawn_on(dropping, &self.runtime).await;
        dropped.unwrap_or_else(|_| Err(Problem::new(Kind::Internal, "the audio was not dropped to the end")))
    }

    async fn drop_known(&self, tenant: &Tenant, artifact: &ArtifactId, reference: &Reference) -> Result<(), Problem> {
        // First: what is being made of its sources must not bring it back.
        for source in std::iter::once(&reference.source_url).chain(reference.also.iter().map(|also| &also.url)) {
            if let Ok(source) = Source::parse(source) {
                self.fill.revoke(tenant, &source.key());
                self.forget_sentences(tenant, &source).await?;
            }
        }
        // One that could never be written down is in memory alone, and gone with this as well.
        let dropped = self.cache.unlink(tenant, artifact, self.clock.now_wall()).await;
        let dropped = dropped.map_err(|error| error.problem())?;
        // Before the bytes go, which may take a while.
        self.hot.forget(tenant, artifact);
        if let Some(dropped) = dropped {
            self.cache.remove_bytes(&dropped).await;
        }
        Ok(())
    }

    /// What is known of the sentences of a text, the texts themselves among it. Another that has one of them has it spoken anew.
    async fn forget_sentences(&self, tenant: &Tenant, source: &Source) -> Result<(), Problem> {
        let Source::Speech(utterance) = source else { return Ok(()) };
        for piece in utterance.pieces() {
            self.cache.forget_source(tenant, &piece.key()).await.map_err(|error| error.problem())?;
        }
        Ok(())
    }

    /// Removes an upload, and of what was made of it what this tenant has references to here.
    ///
    /// # Errors
    /// `not-found`, also where the name is none; `busy` where the store fails; `internal` where the catalogue cannot be written. Asked again it
    /// goes on where it ended.
    pub async fn remove_upload(&self, tenant: &Tenant, name: &str) -> Result<(), Problem> {
        let removed = self.uploads.remove(tenant, name).await;
        let is_gone = removed.as_ref().err().is_none_or(|problem| problem.kind == Kind::NotFound);
        let hash = name.parse::<ContentHash>().ok().filter(|_| is_gone);
        let Some(hash) = hash else { return removed };
        let source = Source::Upload(hash);
        // First: what is being made of it must not bring it back.
        self.fill.revoke(tenant, &source.key());
        let mut after = None;
        loop {
            let made = self.cache.list(tenant, Some(hash), after, MADE_AT_ONCE).await;
            let made = made.map_err(|error| error.problem())?;
            after = made.last().map(|entry| entry.artifact);
            let is_last = made.len() < MADE_AT_ONCE as usize;
            for entry in made {
                // The same bytes from elsewhere are another's matter.
                let is_of_it = |reference: Arc<Reference>| reference.source_url == source.text();
                if entry.reference.is_some_and(is_of_it) {
                    match self.forget(tenant, &entry.artifact).await {
                        Err(problem) if problem.kind != Kind::NotFound => return Err(problem),
                        _ => {}
                    }
                }
            }
            if is_last {
                return removed;
            }
        }
    }

    /// Finds or makes audio and waits for the whole of it: for callers that want its address.
    ///
    /// # Errors
    /// The fill's, or `fill-running` when it takes longer than callers wait; `origin-failed` where the origin does not allow that it
    /// is stored, `storage-full` where a store of ours refused it.
    pub async fn obtain(&self, tenant: &Tenant, request: FetchRequest) -> Result<Obtained, Problem> {
        let request = FetchRequest { whole: true, counts: false, conditions: Conditions::no_bytes(), ..request };
        let opened = self.fetch(tenant, &request).await?;
        let visibility = request.source.visibility();
        let obtained = match opened.audio {
            Audio::Hit(hit, _) => Obtained { manifest: hit.manifest, cached: true, visibility },
            Audio::Filled(finished, _) => match finished.stored {
                Stored::Yes => Obtained { manifest: Arc::clone(&finished.manifest), cached: false, visibility },
                Stored::Forbidden => {
                    return Err(Problem::new(Kind::OriginFailed, "the origin does not allow this audio to be stored"));
                }
                Stored::Refused => {
                    return Err(Problem::new(Kind::StorageFull, "the audio was made and could not be stored"));
                }
            },
            Audio::Running(_) => return Err(Problem::new(Kind::Internal, "a whole fill was asked for")),
        };
        self.label(tenant, &obtained.manifest.artifact, &request).await?;
        Ok(obtained)
    }

    /// Adds a request's tags to those of the reference, where it came by audio that was there or that others asked for first.
    async fn label(&self, tenant: &Tenant, artifact: &ArtifactId, request: &FetchRequest) -> Result<(), Problem> {
        let reference = self.cache.reference(tenant, artifact).await.map_err(|error| error.problem())?;
        if reference.is_none_or(|known| request.tags.iter().all(|tag| known.tags.contains(tag))) {
            return Ok(());
        }
        let (source, tags) = (request.source.key(), request.tags.clone());
        self.cache.label(tenant, artifact, &source, tags).await.map_err(|error| error.problem())
    }
}

impl Opened {
    /// The place that its caller holds; none where the audio was there.
    pub(in crate::media) fn place(&self) -> Option<&Arc<Place>> {
        match &self.audio {
            Audio::Hit(..) => None,
            Audio::Filled(_, joined) | Audio::Running(joined) => joined.place(),
        }
    }

    /// Whether it is under its address.
    fn is_stored(&self) -> bool {
        match &self.audio {
            Audio::Hit(..) => true,
            Audio::Filled(finished, _) => finished.stored == Stored::Yes,
            Audio::Running(_) => false,
        }
    }

    /// The name of what was opened, once it is known.
    fn artifact(&self) -> Option<ArtifactId> {
        match &self.audio {
            Audio::Hit(hit, _) => Some(hit.manifest.artifact),
            Audio::Filled(finished, _) => Some(finished.manifest.artifact),
            Audio::Running(_) => None,
        }
    }
}

/// The same for artifacts that do not exist and those of others.
fn unknown_artifact() -> Problem {
    Problem::new(Kind::NotFound, "there is no such artifact")
}
