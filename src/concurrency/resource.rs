//! What limits are on: kinds of work, and when each of them is done.

use std::{fmt, str::FromStr};

/// When work is done and its place given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The response is sent.
    ResponseSent,
    /// The last byte of a body that is streamed is sent, or will never be.
    LastByte,
    /// What was begun has ended, long after the response: a call, a fill.
    WorkEnded,
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $completion:ident;)*) => {
        /// A kind of work that is counted by itself, so that heavy work never blocks light work.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum Resource {
            $($(#[$doc])* $name,)*
        }

        impl Resource {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Resource] = &[$(Resource::$name),*];

            /// Its name in the API, in the configuration and in metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Resource::$name => $slug,)* }
            }

            /// When it is done.
            pub const fn completion(self) -> Completion {
                match self { $(Resource::$name => Completion::$completion,)* }
            }
        }
    };
}

resources! {
    /// Requests about accounts, keys, limits, usage and what accounts allow applications.
    Accounts = "accounts", ResponseSent;
    /// Requests about numbers and applications.
    Numbers = "numbers", ResponseSent;
    /// Reading lists and records of media.
    MediaReads = "media-reads", ResponseSent;
    /// Changing what is kept of media: making, deleting, purging, naming.
    MediaWrites = "media-writes", ResponseSent;
    /// Warming many at once; the answer is a list that grows.
    Warming = "warming", LastByte;
    /// Bodies that come in to be kept.
    Uploads = "uploads", ResponseSent;
    /// Answers for which audio has to be made, each caller's by itself, whoever began what it waits for; and originals that are given back. What is there,
    /// in whatever tier, is none.
    Fetches = "fetches", LastByte;
    /// Downloads and conversions, however many wait for them.
    Fills = "fills", WorkEnded;
    /// Texts that are being spoken, however many wait for them.
    Speech = "speech", WorkEnded;
    /// Reading calls and what belongs to them.
    CallReads = "call-reads", ResponseSent;
    /// Beginning and changing calls: the request, not the call.
    CallWrites = "call-writes", ResponseSent;
    /// Calls that are live.
    Calls = "calls", WorkEnded;
    /// Calls that are live to one destination.
    Destinations = "destinations", WorkEnded;
}

impl Resource {
    /// Whether work goes on though its place turns out to be lost, and is counted as overcommitted: all but streams, which can end at any piece.
    pub const fn outlives_its_place(self) -> bool {
        !matches!(self.completion(), Completion::LastByte)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such resource type")]
pub struct NotAResource;

impl FromStr for Resource {
    type Err = NotAResource;

    fn from_str(text: &str) -> Result<Resource, NotAResource> {
        Resource::ALL.iter().copied().find(|resource| resource.as_str() == text).ok_or(NotAResource)
    }
}

impl serde::Serialize for Resource {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Resource {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Resource, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))
    }
}
