//! Mono from one rate to another, with the filters' delay taken out and the length exact.

use rubato::{
    Fft, FixedSync, Indexing, Resampler as _, WindowFunction, audioadapter_buffers::direct::InterleavedSlice,
};

use super::{AudioError, halve::Halver};
use crate::units::SampleRate;

/// Length of a block in time, as its reciprocal in Hz. 40 ms keep the transition band narrow (flat to 3.6 kHz at 8 kHz); half of it
/// would not meet 0.1 dB at 3.4 kHz.
const BLOCKS_PER_SECOND: u32 = 25;
/// A smallest possible block above this (rates without a common divisor, such as 44 099 Hz) is taken once and not rounded up: it
/// already lasts a second, and it bounds the memory.
const SMALLEST_BLOCK_LARGE: u32 = 8_192;

/// Resamples a mono stream of one rate: halved while the rate is far above the target's, then by block FFT.
pub(super) struct Resampler {
    halvers: Vec<Halver>,
    blocks: Blocks,
}

impl Resampler {
    /// A resampler between two different rates.
    pub(super) fn new(from: SampleRate, to: SampleRate) -> Result<Resampler, AudioError> {
        let (halvers, rate) = Halver::chain(from, to);
        Ok(Resampler { halvers, blocks: Blocks::new(rate, to)? })
    }

    /// Takes samples and appends what is ready to `out`.
    pub(super) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        let halved = self.halvers.iter_mut().fold(samples, |samples, halver| halver.push(samples));
        self.blocks.push(halved, out)
    }

    /// Pumps silence until `missing` more frames came out, and no frame beyond them.
    pub(super) fn finish(&mut self, missing: u64, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let wanted = out.len().saturating_add(usize::try_from(missing).unwrap_or(usize::MAX));
        let silence = vec![0.0; self.blocks.block_in << self.halvers.len()];
        while out.len() < wanted {
            self.push(&silence, out)?;
        }
        out.truncate(wanted);
        Ok(())
    }
}

/// The block FFT.
struct Blocks {
    fft: Fft<f32>,
    /// Input of the block that is not full yet.
    pending: Vec<f32>,
    block: Vec<f32>,
    block_in: usize,
    /// Output frames still to be dropped because the filter delays.
    delay_left: usize,
}

impl Blocks {
    fn new(from: SampleRate, to: SampleRate) -> Result<Blocks, AudioError> {
        let block_in = block_frames(from, to);
        let fft = Fft::new_custom(
            from.hz() as usize,
            to.hz() as usize,
            block_in,
            1,
            1,
            WindowFunction::BlackmanHarris2,
            FixedSync::Input,
        )
        .map_err(|error| AudioError::unsupported(format!("resampling from {from} Hz: {error}")))?;
        let delay_left = output_delay(fft.fft_size_in(), fft.fft_size_out());
        let block = vec![0.0; fft.output_frames_max()];
        Ok(Blocks { fft, pending: Vec::with_capacity(block_in), block, block_in, delay_left })
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        let mut rest = samples;
        while self.pending.len() + rest.len() >= self.block_in {
            let (now, later) = rest.split_at(self.block_in - self.pending.len());
            self.pending.extend_from_slice(now);
            rest = later;
            self.run_block(out)?;
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    fn run_block(&mut self, out: &mut Vec<f32>) -> Result<(), AudioError> {
        let failed = |error: &dyn std::fmt::Display| AudioError::unsupported(format!("this rate: {error}"));
        let frames_max = self.block.len();
        let from = InterleavedSlice::new(&self.pending, 1, self.block_in).map_err(|error| failed(&error))?;
        let mut to = InterleavedSlice::new_mut(&mut self.block, 1, frames_max).map_err(|error| failed(&error))?;
        let (_, produced) =
            self.fft.process_into_buffer(&from, &mut to, None::<&Indexing>).map_err(|error| failed(&error))?;
        self.pending.clear();
        let dropped = self.delay_left.min(produced);
        self.delay_left -= dropped;
        out.extend_from_slice(self.block.get(dropped..produced).unwrap_or_default());
        Ok(())
    }
}

/// Output frames by which the filter delays, to the nearest. Its middle is a whole input frame: of an odd block not quite half, which
/// is several output frames early where the rate goes up. The resampler's own figure, half the output block, passes over that.
fn output_delay(block_in: usize, block_out: usize) -> usize {
    ((block_in / 2) * block_out + block_in / 2) / block_in
}

/// Input frames of a block: a multiple of rate/gcd of about 40 ms, even on both sides so that the filter's delay is whole, and
/// with no factor above 7 beyond those of the rate itself, because the FFT pays for large primes.
fn block_frames(from: SampleRate, to: SampleRate) -> usize {
    let smallest = from.hz() / gcd(from.hz(), to.hz());
    if smallest > SMALLEST_BLOCK_LARGE {
        return smallest as usize;
    }
    let wanted = (from.hz() / BLOCKS_PER_SECOND).div_ceil(smallest).next_multiple_of(2);
    let multiple = (wanted..).step_by(2).find(|multiple| is_smooth(*multiple)).unwrap_or(wanted);
    (smallest * multiple) as usize
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn is_smooth(number: u32) -> bool {
    let mut rest = number;
    for prime in [2, 3, 5, 7] {
        while rest.is_multiple_of(prime) {
            rest /= prime;
        }
    }
    rest == 1
}
