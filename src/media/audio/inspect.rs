//! What an original is, to its end: for people who want to know, not for the way of a call.

use std::{panic, time::Duration};

use super::{
    AudioError, Input, Kind, Limits,
    decode::{self, Block},
    sniff,
    source::Source,
    timeline::Timeline,
};
use crate::{
    media::format::Channel,
    units::{Channels, SampleRate},
};

/// What was found out about an original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// What it is.
    pub kind: Kind,
    /// Samples a second of each channel, where its audio begins. Opus has 48,000, whatever went into it.
    pub rate: SampleRate,
    /// Channels, where its audio begins.
    pub channels: Channels,
    /// How long it plays.
    pub duration: Duration,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether it stops before its own headers say it should.
    pub truncated: bool,
}

/// Reads an original to its end and says what it is.
///
/// **Cost** All of it is decoded, in full; as [`transcode`](super::transcode), it blocks.
///
/// # Errors
/// As `transcode`.
pub fn inspect(input: Box<dyn Input>, limits: &Limits) -> Result<Inspected, AudioError> {
    // As there: decoders are foreign code over hostile bytes, and nothing of them outlives the unwinding.
    let run = panic::AssertUnwindSafe(|| run(input, limits));
    panic::catch_unwind(run).unwrap_or(Err(AudioError::Panicked { kind: None }))
}

fn run(mut input: Box<dyn Input>, limits: &Limits) -> Result<Inspected, AudioError> {
    let declared = input.declared();
    let bytes = input.wait_complete().map_err(AudioError::Input)?;
    let mut source = Source::new(input);
    let sniffed = sniff::sniff(&mut source, declared)?;
    // The highest rate, so that no frequency is left out; a side, so that nothing is mixed.
    let mut decoder = decode::open(source, sniffed, SampleRate::MAX, Channel::Left)?;
    let mut timeline = Timeline::new(SampleRate::HZ_48000);
    let mut block = Block::new();
    let mut first = None;
    let mut segment = None;
    while decoder.next_block(&mut block)? {
        let extent = block.extent();
        if extent.frames == 0 {
            continue;
        }
        let shown = block.layout.channels();
        let channels = || decoder.channels().and_then(Channels::new).unwrap_or(shown);
        first.get_or_insert_with(|| (extent.rate, channels()));
        if segment != Some(extent.rate) {
            timeline.start_segment(extent.rate);
            segment = Some(extent.rate);
        }
        timeline.advance(extent.frames);
        if limits.decoded_max < timeline.elapsed() {
            let most = humantime::format_duration(limits.decoded_max);
            return Err(AudioError::over_limit(format!("{most} of decoded audio")));
        }
    }
    let Some((rate, channels)) = first else {
        return Err(AudioError::undecodable(sniffed.kind, "there is no audio in it"));
    };
    Ok(Inspected {
        kind: sniffed.kind,
        rate,
        channels,
        duration: timeline.elapsed(),
        bytes,
        truncated: decoder.truncated(),
    })
}
