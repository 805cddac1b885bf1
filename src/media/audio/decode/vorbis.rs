//! Vorbis in Ogg (Vorbis I). The granule position of the last page cuts the end, which the reader does.

use symphonia::{core::formats::FormatOptions, default::formats::OggReader};

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
    let reader = OggReader::try_new(Fed::streamed(Vec::new(), tap).into_stream(), FormatOptions::default())
        .map_err(|error| translate(Kind::OggVorbis, &watch, &error))?;
    Foreign::open(Stream::new(Kind::OggVorbis, watch), Box::new(reader))
}
