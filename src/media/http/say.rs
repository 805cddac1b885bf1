//! `/say`, and what jambonz asks for: text that is spoken.

use http::{Response, request::Parts};

use crate::{
    ids::Tenant,
    media::{
        AudioBody, FetchRequest, Media,
        address::Verb,
        cache::Visibility,
        conditional::Conditions,
        format::Format,
        freshness::RequestDirectives,
        speech::{TextIn, jambonz},
    },
    outbound::Hops,
    problem::Problem,
};

pub use crate::media::speech::jambonz::Body as JambonzRequest;

use super::{Addresses, Asked, Asker, PRIVATE_AGE_MAX, fetched, format_problem, path_of, wants_whole};

/// Answers `GET` and `HEAD /say/…` where its audio is in memory; none where it takes more, or is refused.
pub fn say_in_memory(
    media: &Media,
    tenant: &Tenant,
    addresses: &Addresses,
    parts: &Parts,
) -> Option<Response<AudioBody>> {
    let asked = asked_to_say(media, parts).ok()?;
    let opened = media.fetch_in_memory(tenant, &asked.request)?;
    Some(fetched(media, (tenant, addresses), parts, &asked, opened))
}

/// Answers `GET` and `HEAD /say/…` of a path whose signature was judged.
///
/// # Errors
/// The problem to answer instead.
pub async fn say(
    media: &Media,
    asker: Asker<'_>,
    addresses: &Addresses,
    parts: &Parts,
) -> Result<Response<AudioBody>, Problem> {
    let mut asked = asked_to_say(media, parts)?;
    asked.request.hops = Hops::of(&parts.headers);
    asked.request.conditions = Conditions::of(parts);
    asked.request.subject = asker.subject;
    let opened = media.fetch(asker.tenant, &asked.request).await?;
    Ok(fetched(media, (asker.tenant, addresses), parts, &asked, opened))
}

fn asked_to_say(media: &Media, parts: &Parts) -> Result<Asked, Problem> {
    let (path, expires) = path_of(media, Verb::Say, parts)?;
    let text = (path.source.as_str(), TextIn::Path);
    let (format, source) = media.speech_recipe(&path.extension, &path.option_pairs(), text)?;
    let request = FetchRequest {
        format,
        input: None,
        source,
        directives: RequestDirectives::of(&parts.headers),
        whole: wants_whole(parts),
        conditions: Conditions::no_bytes(),
        tags: Vec::new(),
        hops: Hops::default(),
        counts: true,
        subject: None,
        takes_stand_in: true,
    };
    // As long as under its address: what is deleted is heard no longer.
    let age_max = (request.source.visibility() == Visibility::Private).then_some(PRIVATE_AGE_MAX);
    Ok(Asked { request, extension: path.extension, expires, age_max, modified: None })
}

/// Answers a request of jambonz for speech, whose body was read.
///
/// # Errors
/// The problem to answer instead.
pub async fn jambonz(
    media: &Media,
    asker: Asker<'_>,
    addresses: &Addresses,
    parts: &Parts,
    body: &[u8],
) -> Result<Response<AudioBody>, Problem> {
    let jambonz::Asked { wish, text } = jambonz::parse(body).map_err(|error| error.problem())?;
    let extension = jambonz::EXTENSION;
    let format = Format::parse(extension, &[]).map_err(format_problem)?;
    let request = FetchRequest {
        format,
        input: None,
        source: media.utterance(&wish, (&text, TextIn::Body))?,
        directives: RequestDirectives::of(&parts.headers),
        whole: wants_whole(parts),
        conditions: Conditions::of(parts),
        tags: Vec::new(),
        hops: Hops::of(&parts.headers),
        counts: true,
        subject: asker.subject,
        takes_stand_in: true,
    };
    let asked = Asked { request, extension: extension.to_owned(), expires: None, age_max: None, modified: None };
    let opened = media.fetch(asker.tenant, &asked.request).await?;
    Ok(fetched(media, (asker.tenant, addresses), parts, &asked, opened))
}
