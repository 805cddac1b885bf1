use std::fmt;

use super::{
    error::AddressError,
    fetch_path::{is_extension, without_query},
};
use crate::ids::ArtifactId;

/// Longest capability that is looked at, in characters. Ours have some fifty.
const CAPABILITY_CHARS_MAX: usize = 128;

/// The path of a persistent address: `/media/{artifact}.{ext}`, and of private audio `/media/{capability}/{artifact}.{ext}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaPath<'a> {
    /// What opens private audio, as received: whether it does is for others to say.
    pub capability: Option<&'a str>,
    /// Which artifact.
    pub artifact: ArtifactId,
    /// Extension without its dot, as asked for.
    pub extension: &'a str,
}

impl<'a> MediaPath<'a> {
    /// Reads a request's path; a query is ignored. Cost: no allocation.
    ///
    /// # Errors
    /// [`AddressError::NotAnArtifact`].
    pub fn parse(raw_path: &'a str) -> Result<MediaPath<'a>, AddressError> {
        let name = without_query(raw_path).strip_prefix("/media/").ok_or(AddressError::NotAnArtifact)?;
        let (capability, name) = match name.split_once('/') {
            Some((capability, name)) if is_capability(capability) => (Some(capability), name),
            Some(_) => return Err(AddressError::NotAnArtifact),
            None => (None, name),
        };
        let (artifact, extension) = name.split_once('.').ok_or(AddressError::NotAnArtifact)?;
        let artifact = artifact.parse().map_err(|_| AddressError::NotAnArtifact)?;
        if !is_extension(extension) {
            return Err(AddressError::NotAnArtifact);
        }
        Ok(MediaPath { capability, artifact, extension })
    }
}

fn is_capability(text: &str) -> bool {
    (1..=CAPABILITY_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Display for MediaPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/media/")?;
        if let Some(capability) = self.capability {
            write!(f, "{capability}/")?;
        }
        write!(f, "{}.{}", self.artifact, self.extension)
    }
}
