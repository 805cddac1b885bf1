//! The story of a transcode: sniff → decode → mix → resample → encode → output.

use std::{cell::Cell, panic, time::Duration};

use super::{
    AudioError, Input, Kind, Limits, Output,
    decode::{self, Block, Decode},
    encode::{self, Encode},
    mix,
    resample::Resampler,
    sniff::{self, Sniffed},
    source::Source,
    timeline::Timeline,
};
use crate::{
    media::format::{Container, Format},
    units::SampleRate,
};

/// Bytes of an unconverted original passed on at a time.
const RAW_STEP: usize = 64 * 1024;

/// What came out of a transcode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What the original is.
    pub kind: Kind,
    /// Frames of the output at its rate; 0 for the unconverted original.
    pub frames: u64,
    /// How long the output plays; zero for the unconverted original.
    pub duration: Duration,
    /// Whether the original stopped before its own headers say it should.
    pub truncated: bool,
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
    let kind = Cell::new(None);
    // Decoders are foreign code over hostile bytes. Nothing of them outlives the unwinding; the output is told by the error
    // that what it has is worthless.
    let run = panic::AssertUnwindSafe(|| run(input, format, limits, output, &kind));
    panic::catch_unwind(run).unwrap_or_else(|_| {
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
    let mut source = Source::new(input);
    let sniffed = sniff::sniff(&mut source)?;
    found.set(Some(sniffed.kind));
    match encode::open(format)? {
        None => copy(source, sniffed, output),
        Some(encoder) => {
            let decoder = decode::open(source, sniffed, format.rate())?;
            Lane::new(format, limits, encoder).run(sniffed.kind, decoder, output)
        }
    }
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
    Ok(Summary { kind: sniffed.kind, frames: 0, duration: Duration::ZERO, truncated: false, header: Vec::new() })
}

/// One output on its way: everything behind the decoder.
struct Lane {
    format: Format,
    decoded_max: Duration,
    encoder: Box<dyn Encode>,
    timeline: Timeline,
    /// Rate of the current segment's samples and of its source, once there is one.
    segment: Option<(SampleRate, SampleRate)>,
    /// Between two different rates only.
    resampler: Option<Resampler>,
    mono: Vec<f32>,
    resampled: Vec<f32>,
    body: Vec<u8>,
    /// Frames given to the encoder.
    frames: u64,
    body_bytes: u64,
}

impl Lane {
    fn new(format: Format, limits: &Limits, encoder: Box<dyn Encode>) -> Lane {
        Lane {
            format,
            decoded_max: limits.decoded_max,
            encoder,
            timeline: Timeline::new(format.rate()),
            segment: None,
            resampler: None,
            mono: Vec::new(),
            resampled: Vec::new(),
            body: Vec::new(),
            frames: 0,
            body_bytes: 0,
        }
    }

    fn run(mut self, kind: Kind, mut decoder: Box<dyn Decode>, output: &mut dyn Output) -> Result<Summary, AudioError> {
        // What the header admits fails before any byte goes out.
        self.check_length(decoder.declared().unwrap_or_default())?;
        let mut block = Block::new();
        while decoder.next_block(&mut block)? {
            self.feed(&block)?;
            self.check_length(self.timeline.elapsed())?;
            self.drain(output)?;
        }
        let truncated = decoder.truncated();
        drop(decoder);
        if truncated && self.segment.is_none() {
            return Err(AudioError::undecodable(kind, "it ends before its audio begins"));
        }
        self.end_segment()?;
        self.encoder.finish(&mut self.body)?;
        self.drain(output)?;
        let header = match self.format.container() {
            Container::Wav => encode::wav::header(self.format, self.body_bytes),
            Container::None | Container::Ogg => Vec::new(),
        };
        Ok(Summary { kind, frames: self.frames, duration: self.timeline.elapsed(), truncated, header })
    }

    fn check_length(&self, length: Duration) -> Result<(), AudioError> {
        if length <= self.decoded_max {
            return Ok(());
        }
        Err(AudioError::over_limit(format!("{} of decoded audio", humantime::format_duration(self.decoded_max))))
    }

    fn feed(&mut self, block: &Block) -> Result<(), AudioError> {
        let extent = block.extent();
        if extent.frames == 0 {
            return Ok(());
        }
        if self.segment != Some((block.rate, extent.rate)) {
            self.end_segment()?;
            self.timeline.start_segment(extent.rate);
            self.segment = Some((block.rate, extent.rate));
            let target = self.format.rate();
            self.resampler = if block.rate == target { None } else { Some(Resampler::new(block.rate, target)?) };
        }
        self.timeline.advance(extent.frames);
        self.mono.clear();
        mix::mix(&block.layout, &block.samples, &mut self.mono);
        match &mut self.resampler {
            None => self.frames += encode_all(&mut *self.encoder, &self.mono, &mut self.body)?,
            Some(resampler) => {
                self.resampled.clear();
                resampler.push(&self.mono, &mut self.resampled)?;
                // The filter's tail may run ahead of the input; it is never more than what the input is worth.
                self.frames += encode_all(&mut *self.encoder, &self.resampled, &mut self.body)?;
            }
        }
        Ok(())
    }

    /// Brings the output to where the input ends: what the resampler still holds comes out, to the frame.
    fn end_segment(&mut self) -> Result<(), AudioError> {
        let Some(mut resampler) = self.resampler.take() else { return Ok(()) };
        let missing = self.timeline.output_frames().saturating_sub(self.frames);
        self.resampled.clear();
        resampler.finish(missing, &mut self.resampled)?;
        self.frames += encode_all(&mut *self.encoder, &self.resampled, &mut self.body)?;
        Ok(())
    }

    fn drain(&mut self, output: &mut dyn Output) -> Result<(), AudioError> {
        output.write(&self.body).map_err(AudioError::Output)?;
        self.body_bytes += self.body.len() as u64;
        self.body.clear();
        Ok(())
    }
}

fn encode_all(encoder: &mut dyn Encode, mono: &[f32], body: &mut Vec<u8>) -> Result<u64, AudioError> {
    encoder.push(mono, body)?;
    Ok(mono.len() as u64)
}
