//! AAC in ADTS frames (ISO/IEC 13818-7 §6.2). The stream says nothing of its priming, so it stays, as in every other player.

use symphonia::{core::formats::FormatOptions, default::formats::AdtsReader};

use super::{
    Decode,
    foreign::{Fed, Foreign, Stream, translate},
};
use crate::media::audio::{
    AudioError, Kind,
    source::{STALL_MAX, Source},
};

pub(super) fn open(source: Source) -> Result<Box<dyn Decode>, AudioError> {
    let start = source.position();
    let (tap, watch) = source.into_tap(start, STALL_MAX)?;
    let reader = AdtsReader::try_new(Fed::streamed(Vec::new(), tap).into_stream(), FormatOptions::default())
        .map_err(|error| translate(Kind::Adts, &watch, &error))?;
    Foreign::open(Stream::new(Kind::Adts, watch), Box::new(reader))
}
