//! How much of the telephone band a conversion kept: SNR in 0.1 to 3.4 kHz against ffmpeg's decoder in floating point with soxr
//! behind it, each program's delay and level taken out.

use std::{f64::consts::TAU, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use realfft::{RealFftPlanner, num_complex::Complex};

/// Where judging happens: all outputs hold the band at this rate.
const RATE: f64 = 8_000.0;
const BAND: (f64, f64) = (100.0, 3_400.0);
/// Left out at both ends: programs differ in what they cut off there.
const EDGE: usize = 4_000;
/// No decoder is later than this, in samples.
const DELAY_MAX: usize = 4_000;
/// Steps of the search for the delay between samples: each makes the interval smaller by a third.
const DELAY_STEPS: usize = 30;

/// Runs in a process of its own, whose memory is not counted as anybody else's. What ffmpeg must be told to read a file goes with it.
pub(crate) fn snr(original: &Path, read_original: &str, result: &Path, read_result: &str) -> Result<f64> {
    let reference = decoded(original, read_original)?;
    let heard = decoded(result, read_result)?;
    let common = reference.len().min(heard.len());
    let size = (reference.len().max(heard.len()) + 2 * DELAY_MAX).next_power_of_two();
    let reference = Spectrum::of(&reference, size)?;
    let heard = Spectrum::of(&heard, size)?;
    let delay = reference.delay(&heard)?;
    let reference = reference.samples()?;
    let heard = heard.advanced(delay).samples()?;
    let inner = |samples: &[f64]| samples.get(EDGE..common.checked_sub(EDGE + DELAY_MAX)?).map(<[f64]>::to_vec);
    let (reference, heard) = inner(&reference).zip(inner(&heard)).context("the clip is too short")?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let gain = dot(&reference, &heard) / dot(&heard, &heard);
    let noise: f64 = reference.iter().zip(&heard).map(|(a, b)| (a - gain * b).powi(2)).sum();
    Ok(10.0 * (dot(&reference, &reference) / noise).log10())
}

/// Mono at [`RATE`].
fn decoded(file: &Path, read: &str) -> Result<Vec<f64>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error"]).args(read.split_whitespace()).arg("-i").arg(file);
    // libopus, not ffmpeg's own decoder, is the reference of Opus; the mean of both sides is what everybody mixes.
    command.args(["-af", "aresample=resampler=soxr:precision=28:cutoff=0.98:osf=flt", "-ac", "1", "-ar", "8000"]);
    let output = command.args(["-f", "f32le", "-"]).output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout.as_chunks().0.iter().map(|sample| f64::from(f32::from_le_bytes(*sample))).collect())
}

/// The band of a signal.
struct Spectrum {
    bins: Vec<Complex<f64>>,
    size: usize,
}

impl Spectrum {
    fn of(samples: &[f64], size: usize) -> Result<Spectrum> {
        let mut padded = samples.to_vec();
        padded.resize(size, 0.0);
        let forward = RealFftPlanner::<f64>::new().plan_fft_forward(size);
        let mut bins = forward.make_output_vec();
        forward.process(&mut padded, &mut bins)?;
        let hz = |bin: usize| bin as f64 * RATE / size as f64;
        for (bin, value) in bins.iter_mut().enumerate() {
            if !(BAND.0..=BAND.1).contains(&hz(bin)) {
                *value = Complex::default();
            }
        }
        Ok(Spectrum { bins, size })
    }

    fn samples(&self) -> Result<Vec<f64>> {
        let inverse = RealFftPlanner::<f64>::new().plan_fft_inverse(self.size);
        let mut bins = self.bins.clone();
        let mut samples = inverse.make_output_vec();
        inverse.process(&mut bins, &mut samples)?;
        Ok(samples.iter().map(|sample| sample / self.size as f64).collect())
    }

    /// Moved to an earlier time by so many samples.
    fn advanced(&self, delay: f64) -> Spectrum {
        let turn = |bin: usize| Complex::from_polar(1.0, TAU * bin as f64 * delay / self.size as f64);
        let bins = self.bins.iter().enumerate().map(|(bin, value)| value * turn(bin)).collect();
        Spectrum { bins, size: self.size }
    }

    /// How many samples another is later: where their correlation is highest, between samples by ever smaller steps.
    fn delay(&self, other: &Spectrum) -> Result<f64> {
        let products = self.bins.iter().zip(&other.bins).map(|(a, b)| a.conj() * b).collect();
        let product = Spectrum { bins: products, size: self.size };
        let correlation = product.samples()?;
        let lags = (0..DELAY_MAX).chain(self.size - DELAY_MAX..self.size);
        let at = |lag: &usize| correlation.get(*lag).copied().unwrap_or(f64::MIN);
        let lag = lags.max_by(|a, b| at(a).total_cmp(&at(b))).context("no lags")?;
        let lag = if lag < DELAY_MAX { lag as f64 } else { lag as f64 - self.size as f64 };
        let likeness = |delay: f64| {
            let turn = |bin: usize| TAU * bin as f64 * delay / self.size as f64;
            product
                .bins
                .iter()
                .enumerate()
                .map(|(bin, value)| value.re * turn(bin).cos() - value.im * turn(bin).sin())
                .sum::<f64>()
        };
        let (mut low, mut high) = (lag - 1.0, lag + 1.0);
        for _ in 0..DELAY_STEPS {
            let third = (high - low) / 3.0;
            if likeness(low + third) < likeness(high - third) { low += third } else { high -= third }
        }
        Ok(f64::midpoint(low, high))
    }
}
