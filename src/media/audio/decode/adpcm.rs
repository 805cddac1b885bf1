//! IMA and Microsoft ADPCM in WAV. The last block is padded; the `fact` chunk says where the audio ends.

use symphonia::{core::formats::FormatOptions, default::formats::WavReader};

use super::{
    Decode,
    foreign::{Fed, Foreign, Span, Stream, translate},
};
use crate::{
    media::audio::{
        AudioError, Kind,
        source::{STALL_MAX, Source},
        timeline::frames_duration,
    },
    units::SampleRate,
};

/// Opens the WAVE file at `start`, of which `frames` are to be heard where it says so.
pub(super) fn open(
    source: Source,
    start: u64,
    rate: SampleRate,
    frames: Option<u64>,
) -> Result<Box<dyn Decode>, AudioError> {
    let (tap, watch) = source.into_tap(start, STALL_MAX)?;
    let reader = WavReader::try_new(Fed::streamed(tap).into_stream(), FormatOptions::default())
        .map_err(|error| translate(Kind::Wav, &watch, &error))?;
    let mut stream = Stream::new(Kind::Wav, watch);
    stream.span = frames.map(|length| Span { start: 0, length: Some(length), ticks_per_second: rate.hz() });
    stream.declared_frames = frames;
    stream.declared = frames.map(|frames| frames_duration(frames, rate));
    Foreign::open(stream, Box::new(reader))
}
