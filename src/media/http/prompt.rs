//! `/prompts`: audio by the names that people give it.

use http::{Response, request::Parts};

use crate::{
    ids::Tenant,
    media::{
        AudioBody, FetchRequest, Media, Source, address,
        conditional::Conditions,
        freshness::RequestDirectives,
        prompts::{Prompt, PromptName},
    },
    outbound::Hops,
    problem::{Kind, Problem},
};

use super::{Addresses, Asked, Asker, fetched, wants_whole};

/// Answers `GET` and `HEAD /prompts/{name}.{ext}` where it is known what the name stands for and its audio is in memory.
pub fn prompt_in_memory(
    media: &Media,
    tenant: &Tenant,
    addresses: &Addresses,
    parts: &Parts,
) -> Option<Response<AudioBody>> {
    let (name, extension) = prompt_path(parts.uri.path()).ok()?;
    let prompt = media.prompts.in_memory(tenant, &name)?;
    let asked = asked_of_prompt(media, &prompt, extension, parts).ok()?;
    let opened = media.fetch_in_memory(tenant, &asked.request)?;
    Some(fetched(media, (tenant, addresses), parts, &asked, opened))
}

/// Answers `GET` and `HEAD /prompts/{name}.{ext}`.
///
/// # Errors
/// The problem to answer instead.
pub async fn prompt(
    media: &Media,
    asker: Asker<'_>,
    addresses: &Addresses,
    parts: &Parts,
) -> Result<Response<AudioBody>, Problem> {
    let tenant = asker.tenant;
    let (name, extension) = prompt_path(parts.uri.path())?;
    let prompt = media.prompts.get(tenant, &name).await?;
    let mut asked = asked_of_prompt(media, &prompt, extension, parts)?;
    asked.request.conditions = Conditions::of(parts);
    asked.request.subject = asker.subject;
    let opened = media.fetch(tenant, &asked.request).await?;
    Ok(fetched(media, (tenant, addresses), parts, &asked, opened))
}

/// The name and the extension of a path of prompts.
///
/// # Errors
/// `not-found`: what is no name is as unknown as any other.
pub fn prompt_path(path: &str) -> Result<(PromptName, &str), Problem> {
    let unknown = || Problem::new(Kind::NotFound, "there is no such prompt");
    let path = path.strip_prefix("/prompts/").ok_or_else(unknown)?;
    let (name, extension) = path.rsplit_once('.').ok_or_else(unknown)?;
    if !address::is_extension(extension) {
        return Err(unknown());
    }
    Ok((name.parse().map_err(|_| unknown())?, extension))
}

fn asked_of_prompt(media: &Media, prompt: &Prompt, extension: &str, parts: &Parts) -> Result<Asked, Problem> {
    let (format, input) = media.recipe(extension, &[])?;
    let request = FetchRequest {
        format,
        input,
        source: Source::Upload(prompt.content_hash),
        directives: RequestDirectives::of(&parts.headers),
        whole: wants_whole(parts),
        conditions: Conditions::no_bytes(),
        tags: Vec::new(),
        hops: Hops::default(),
        counts: true,
        subject: None,
        takes_stand_in: false,
    };
    let age_max = Some(media.prompts.age_max());
    Ok(Asked { request, extension: extension.to_owned(), expires: None, age_max, modified: Some(prompt.set_at) })
}
