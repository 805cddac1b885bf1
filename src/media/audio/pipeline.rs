//! The story of a transcode: sniff → decode → mix → resample → effects → encode → output. Of several originals, one after the other
//! goes through the same lane.

use std::{cell::Cell, panic, time::Duration};

use super::{
    AudioError, Input, Kind, Limits, Output, Parts, Scratch,
    decode::{self, Block},
    effects::{Effects, Levelled, Sink},
    encode::{self, Encode},
    mix,
    resample::Resampler,
    sniff::{self, Sniffed},
    source::Source,
    timeline::{Timeline, frames_duration},
};
use crate::{
    media::format::{Container, Format},
    units::SampleRate,
};

/// Bytes of an unconverted original passed on at a time.
const RAW_STEP: usize = 64 * 1024;
/// Encoded bytes that are not collected any further, though the block they come of has more.
const BODY_STEP: usize = 64 * 1024;

/// Originals of one sequence at most: far more than sentences of the longest text.
const PARTS_MAX: usize = 10_000;

/// What came out of a transcode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What the original is; of several, the first.
    pub kind: Kind,
    /// Frames of the output at its rate; 0 for the unconverted original.
    pub frames: u64,
    /// How long the output plays; zero for the unconverted original.
    pub duration: Duration,
    /// Whether the original stopped before its own headers say it should.
    pub truncated: bool,
    /// What a loudness target led to, where there was one.
    pub levelled: Option<Levelled>,
    /// What goes before the body: the header of a WAV output, empty for all others.
    pub header: Vec<u8>,
}

/// Turns an original into the body of a format.
///
/// **Shape** The body goes to `output` in order while the original arrives; for WAV it is the sample data alone and
/// [`Summary::header`] goes before it. Equal originals give equal bytes however they arrive.
/// **Errors** After an error the bytes already written are worthless.
/// **Cost** Blocks on the input and uses the processor all the time: run it on a thread for such work. Constant memory.
pub fn transcode(
    input: Box<dyn Input>,
    format: Format,
    limits: &Limits,
    output: &mut dyn Output,
) -> Result<Summary, AudioError> {
    contained(|found| run(input, format, limits, output, found))
}

/// Turns originals, one behind the other, into one body of a format.
///
/// Containers, codecs, rates and channels may differ; what is heard goes on without a gap where rates are equal. Limits hold for all of
/// them together. One original alone gives the bytes that [`transcode`] makes of it.
///
/// **Shape** As [`transcode`]. The next original is asked for when the one before it is decoded.
/// **Errors** As [`transcode`]; [`AudioError::NotOne`] for the unconverted original, which several have not; [`AudioError::NotAudio`] where
/// there is none.
/// **Cost** As [`transcode`].
pub fn transcode_parts(
    parts: Box<dyn Parts>,
    format: Format,
    limits: &Limits,
    output: &mut dyn Output,
) -> Result<Summary, AudioError> {
    contained(|found| run_parts(parts, format, limits, output, found))
}

fn contained(run: impl FnOnce(&Cell<Option<Kind>>) -> Result<Summary, AudioError>) -> Result<Summary, AudioError> {
    let kind = Cell::new(None);
    // Decoders are foreign code over hostile bytes. Nothing of them outlives the unwinding; the output is told by the error
    // that what it has is worthless.
    panic::catch_unwind(panic::AssertUnwindSafe(|| run(&kind))).unwrap_or_else(|_| {
        metrics::counter!("ringback_media_audio_panics_total").increment(1);
        Err(AudioError::Panicked { kind: kind.get() })
    })
}

fn run(
    input: Box<dyn Input>,
    format: Format,
    limits: &Limits,
    output: &mut dyn Output,
    found: &Cell<Option<Kind>>,
) -> Result<Summary, AudioError> {
    let (source, sniffed) = recognized(input, found)?;
    match encode::open(format)? {
        None => copy(source, sniffed, output),
        Some(encoder) => {
            let mut lane = Lane::new(format, limits, encoder)?;
            lane.run(source, sniffed, output)?;
            lane.finish(sniffed.kind, output)
        }
    }
}

fn run_parts(
    mut parts: Box<dyn Parts>,
    format: Format,
    limits: &Limits,
    output: &mut dyn Output,
    found: &Cell<Option<Kind>>,
) -> Result<Summary, AudioError> {
    let mut lane = Lane::new(format, limits, encode::open(format)?.ok_or(AudioError::NotOne)?)?;
    let mut first = None;
    for _ in 0..PARTS_MAX {
        let Some(part) = parts.next().map_err(AudioError::Input)? else {
            return lane.finish(first.ok_or(AudioError::NotAudio)?, output);
        };
        found.set(None);
        let (source, sniffed) = recognized(part, found)?;
        first.get_or_insert(sniffed.kind);
        lane.run(source, sniffed, output)?;
    }
    Err(AudioError::over_limit(format!("{PARTS_MAX} originals in a row")))
}

fn recognized(input: Box<dyn Input>, found: &Cell<Option<Kind>>) -> Result<(Source, Sniffed), AudioError> {
    let declared = input.declared();
    let mut source = Source::new(input);
    let sniffed = sniff::sniff(&mut source, declared)?;
    found.set(Some(sniffed.kind));
    Ok((source, sniffed))
}

/// Passes the original on unchanged.
fn copy(mut source: Source, sniffed: Sniffed, output: &mut dyn Output) -> Result<Summary, AudioError> {
    source.seek_to(0)?;
    loop {
        // One byte is asked for, all that is there is taken: the copy never waits for a full step.
        let there = source.peek(1)?.len();
        if there == 0 {
            break;
        }
        let bytes = source.buffered();
        let step = bytes.len().min(RAW_STEP);
        output.write(bytes.get(..step).unwrap_or_default()).map_err(AudioError::Output)?;
        source.consume(step);
    }
    let (kind, duration) = (sniffed.kind, Duration::ZERO);
    Ok(Summary { kind, frames: 0, duration, truncated: false, levelled: None, header: Vec::new() })
}

/// One output on its way: everything behind the decoders.
struct Lane {
    format: Format,
    decoded_max: Duration,
    timeline: Timeline,
    /// Rate of the current segment's samples and of its source, once there is one.
    segment: Option<(SampleRate, SampleRate)>,
    /// Whether blocks of the current segment were made with fewer samples than their source has.
    reduced: bool,
    /// Between two different rates only.
    resampler: Option<Resampler>,
    mono: Vec<f32>,
    resampled: Vec<f32>,
    /// Frames given to the effects.
    frames: u64,
    /// Whether an original stopped before it should.
    truncated: bool,
    effects: Effects,
    end: End,
}

/// The end of the lane: what the effects let through is encoded.
struct End {
    encoder: Box<dyn Encode>,
    body: Vec<u8>,
    /// Frames given to the encoder.
    frames: u64,
    body_bytes: u64,
}

impl Lane {
    fn new(format: Format, limits: &Limits, encoder: Box<dyn Encode>) -> Result<Lane, AudioError> {
        Ok(Lane {
            format,
            decoded_max: limits.decoded_max,
            timeline: Timeline::new(format.rate()),
            segment: None,
            reduced: false,
            resampler: None,
            mono: Vec::new(),
            resampled: Vec::new(),
            frames: 0,
            truncated: false,
            effects: Effects::new(format.effects(), format.rate())?,
            end: End { encoder, body: Vec::new(), frames: 0, body_bytes: 0 },
        })
    }

    /// Decodes one original to its end.
    fn run(&mut self, source: Source, sniffed: Sniffed, output: &mut dyn Output) -> Result<(), AudioError> {
        let kind = sniffed.kind;
        self.start_part(output)?;
        let mut decoder = decode::open(source, sniffed, self.format.rate(), self.format.effects().channel)?;
        // What the header admits fails before any byte goes out.
        let before = self.timeline.elapsed();
        self.check_length(before.saturating_add(decoder.declared().unwrap_or_default()))?;
        let mut block = Block::new();
        let mut is_silent = true;
        while decoder.next_block(&mut block)? {
            is_silent &= block.extent().frames == 0;
            self.feed(&block, output)?;
            self.check_length(self.timeline.elapsed())?;
            self.end.drain(output)?;
        }
        self.truncated |= decoder.truncated();
        if decoder.truncated() && is_silent {
            return Err(AudioError::undecodable(kind, "it ends before its audio begins"));
        }
        Ok(())
    }

    /// Goes on where the last original ended. Samples of one rate are one signal, unless their decoder left some out: then they count
    /// from the beginning of their own original.
    fn start_part(&mut self, output: &mut dyn Output) -> Result<(), AudioError> {
        if std::mem::take(&mut self.reduced) {
            self.end_segment(output)?;
            self.segment = None;
        }
        Ok(())
    }

    fn finish(mut self, kind: Kind, output: &mut dyn Output) -> Result<Summary, AudioError> {
        self.end_segment(output)?;
        let Lane { format, timeline, effects, mut end, truncated, .. } = self;
        let keeps_length = effects.keep_length();
        let levelled = effects.finish(&mut Encoding { end: &mut end, output })?;
        end.encoder.finish(&mut end.body)?;
        end.drain(output)?;
        let header = match format.container() {
            Container::Wav => encode::wav::header(format, end.body_bytes),
            Container::None | Container::Ogg => Vec::new(),
        };
        let frames = end.frames;
        let duration = if keeps_length { timeline.elapsed() } else { frames_duration(frames, format.rate()) };
        Ok(Summary { kind, frames, duration, truncated, levelled, header })
    }

    fn check_length(&self, length: Duration) -> Result<(), AudioError> {
        if length <= self.decoded_max {
            return Ok(());
        }
        Err(AudioError::over_limit(format!("{} of decoded audio", humantime::format_duration(self.decoded_max))))
    }

    fn feed(&mut self, block: &Block, output: &mut dyn Output) -> Result<(), AudioError> {
        let extent = block.extent();
        if extent.frames == 0 {
            return Ok(());
        }
        if self.segment != Some((block.rate, extent.rate)) {
            self.end_segment(output)?;
            self.timeline.start_segment(extent.rate);
            self.segment = Some((block.rate, extent.rate));
            let target = self.format.rate();
            self.resampler = if block.rate == target { None } else { Some(Resampler::new(block.rate, target)?) };
        }
        self.reduced |= block.reduced.is_some();
        self.timeline.advance(extent.frames);
        self.mono.clear();
        mix::mix(&block.layout, self.format.effects().channel, &block.samples, &mut self.mono);
        let mono = match &mut self.resampler {
            None => &self.mono,
            Some(resampler) => {
                self.resampled.clear();
                // The filter's tail may run ahead of the input; it is never more than what the input is worth.
                resampler.push(&self.mono, &mut self.resampled)?;
                &self.resampled
            }
        };
        self.frames += mono.len() as u64;
        self.effects.push(mono, &mut Encoding { end: &mut self.end, output })
    }

    /// Brings the output to where the input ends: what the resampler still holds comes out, to the frame.
    fn end_segment(&mut self, output: &mut dyn Output) -> Result<(), AudioError> {
        let Some(mut resampler) = self.resampler.take() else { return Ok(()) };
        let missing = self.timeline.output_frames().saturating_sub(self.frames);
        self.resampled.clear();
        resampler.finish(missing, &mut self.resampled)?;
        self.frames += self.resampled.len() as u64;
        self.effects.push(&self.resampled, &mut Encoding { end: &mut self.end, output })
    }
}

impl End {
    fn drain(&mut self, output: &mut dyn Output) -> Result<(), AudioError> {
        output.write(&self.body).map_err(AudioError::Output)?;
        self.body_bytes += self.body.len() as u64;
        self.body.clear();
        Ok(())
    }
}

/// The end of the lane together with where its bytes go.
struct Encoding<'a> {
    end: &'a mut End,
    output: &'a mut dyn Output,
}

impl Sink for Encoding<'_> {
    fn take(&mut self, samples: &[f32]) -> Result<(), AudioError> {
        self.end.encoder.push(samples, &mut self.end.body)?;
        self.end.frames += samples.len() as u64;
        // Samples that were held back come in any number.
        if BODY_STEP <= self.end.body.len() { self.end.drain(self.output) } else { Ok(()) }
    }

    fn scratch(&mut self) -> Result<Box<dyn Scratch>, AudioError> {
        self.output.scratch().map_err(AudioError::Output)
    }
}
