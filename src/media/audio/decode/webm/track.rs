//! What is said of a track (RFC 9559 §5.1.4), as far as it decides how it is decoded.

use super::{ebml, id};
use crate::{
    media::{
        audio::{AudioError, Kind, decode::opus::Packets},
        format::Channel,
    },
    units::SampleRate,
};

/// The track type of audio.
const AUDIO: u64 = 2;

/// The elements of a TrackEntry as they come.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) number: u64,
    kind: u64,
    codec: Vec<u8>,
    setup: Vec<u8>,
    /// Nanoseconds at the start that are not to be heard.
    pub(super) delay: Option<u64>,
    /// Whether its packets are compressed or encrypted once more.
    is_encoded: bool,
}

impl Entry {
    /// Whether an element says something of a track.
    pub(super) fn has(element: u32) -> bool {
        matches!(
            element,
            id::TRACK_NUMBER
                | id::TRACK_TYPE
                | id::CODEC_ID
                | id::CODEC_PRIVATE
                | id::CODEC_DELAY
                | id::CONTENT_ENCODINGS
        )
    }

    /// Takes an element of those.
    pub(super) fn take(&mut self, element: u32, body: Vec<u8>) {
        match element {
            id::TRACK_NUMBER => self.number = ebml::unsigned(&body),
            id::TRACK_TYPE => self.kind = ebml::unsigned(&body),
            id::CODEC_ID => self.codec = body,
            id::CODEC_PRIVATE => self.setup = body,
            id::CODEC_DELAY => self.delay = Some(ebml::unsigned(&body)),
            _ => self.is_encoded = true,
        }
    }

    pub(super) fn is_audio(&self) -> bool {
        self.kind == AUDIO
    }

    /// The decoder of an audio track.
    pub(super) fn open(&self, target: SampleRate, channel: Channel) -> Result<Packets, AudioError> {
        if self.is_encoded {
            return Err(AudioError::unsupported("WebM with compressed or encrypted packets"));
        }
        // Strings may be padded with zeros (RFC 8794 §7.4).
        let codec = self.codec.split(|byte| *byte == 0).next().unwrap_or_default();
        if codec != b"A_OPUS" {
            return Err(AudioError::unsupported(format!("WebM or Matroska with codec \"{}\"", codec.escape_ascii())));
        }
        let decoder = Packets::open(Kind::WebM, &self.setup, target, channel)?;
        decoder.ok_or_else(|| AudioError::undecodable(Kind::WebM, "its Opus header is missing"))
    }
}
