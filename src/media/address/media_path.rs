use std::fmt;

use super::{
    error::AddressError,
    fetch_path::{is_extension, without_query},
};
use crate::ids::ArtifactId;

/// The path of a persistent address: `/media/{artifact}.{ext}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaPath<'a> {
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
        let (artifact, extension) = name.split_once('.').ok_or(AddressError::NotAnArtifact)?;
        let artifact = artifact.parse().map_err(|_| AddressError::NotAnArtifact)?;
        if !is_extension(extension) {
            return Err(AddressError::NotAnArtifact);
        }
        Ok(MediaPath { artifact, extension })
    }
}

impl fmt::Display for MediaPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/media/{}.{}", self.artifact, self.extension)
    }
}
