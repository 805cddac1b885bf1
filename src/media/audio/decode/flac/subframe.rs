//! One channel of a frame (§9.2).

use super::{
    Fault,
    bits::Bits,
    predict::{Fixed, Known, Linear, Sample},
    residual,
};

/// Code of a coefficient width that means none (§9.2.6).
const PRECISION_INVALID: u32 = 0b1111;

/// A sample with its own way through a linear prediction.
pub(super) trait Subframe: Sample {
    fn linear(bits: &mut Bits<'_>, width: u32, order: usize, samples: &mut [Self]) -> Result<(), Fault>;
}

impl Subframe for i32 {
    fn linear(bits: &mut Bits<'_>, width: u32, order: usize, samples: &mut [i32]) -> Result<(), Fault> {
        let linear = parse_linear(bits, width, order, samples)?;
        macro_rules! of_orders {
            ($($order:literal)*) => {
                match order {
                    $($order if linear.is_narrow(width) => {
                        let predictor = Known::<i32, $order>::new(&linear, samples);
                        residual::decode(bits, order, samples, predictor)
                    }
                    $order => {
                        let predictor = Known::<i64, $order>::new(&linear, samples);
                        residual::decode(bits, order, samples, predictor)
                    })*
                    _ => residual::decode(bits, order, samples, linear),
                }
            };
        }
        // What encoders use for rates up to 48 kHz (§7).
        of_orders!(1 2 3 4 5 6 7 8 9 10 11 12)
    }
}

impl Subframe for i64 {
    fn linear(bits: &mut Bits<'_>, width: u32, order: usize, samples: &mut [i64]) -> Result<(), Fault> {
        let linear = parse_linear(bits, width, order, samples)?;
        residual::decode(bits, order, samples, linear)
    }
}

/// Reads a subframe of samples of `width` bits, as many as there is room for.
pub(super) fn decode<T: Subframe>(bits: &mut Bits<'_>, width: u32, samples: &mut [T]) -> Result<(), Fault> {
    if bits.flag() {
        return Err(Fault::Damaged);
    }
    let kind = bits.take(6);
    // Low bits that are zero in all samples (§9.2.2).
    let wasted = if bits.flag() { bits.unary()? + 1 } else { 0 };
    let width = width.checked_sub(wasted).filter(|width| *width > 0).ok_or(Fault::Damaged)?;
    match kind {
        0 => samples.fill(T::of(bits.take_signed(width))),
        1 => plain(bits, width, samples)?,
        8..=12 => fixed(bits, width, kind as usize - 8, samples)?,
        32.. => T::linear(bits, width, kind as usize - 31, samples)?,
        _ => return Err(Fault::Damaged),
    }
    if wasted > 0 {
        for sample in samples {
            *sample = sample.scaled_up(wasted);
        }
    }
    Ok(())
}

/// Samples as they are.
fn plain<T: Sample>(bits: &mut Bits<'_>, width: u32, samples: &mut [T]) -> Result<(), Fault> {
    for sample in samples {
        *sample = T::of(bits.take_signed(width));
    }
    bits.check()
}

/// Reads the samples before the first that is predicted.
fn warm_up<T: Sample>(bits: &mut Bits<'_>, width: u32, order: usize, samples: &mut [T]) -> Result<(), Fault> {
    plain(bits, width, samples.get_mut(..order).ok_or(Fault::Damaged)?)
}

fn fixed<T: Sample>(bits: &mut Bits<'_>, width: u32, order: usize, samples: &mut [T]) -> Result<(), Fault> {
    warm_up(bits, width, order, samples)?;
    macro_rules! of_orders {
        ($($order:literal)*) => {
            match order {
                $($order => {
                    let predictor = Fixed::<T, $order>::new(samples);
                    residual::decode(bits, order, samples, predictor)
                })*
                _ => Err(Fault::Damaged),
            }
        };
    }
    of_orders!(0 1 2 3 4)
}

/// What stands before the residual of a linear prediction (§9.2.6).
fn parse_linear<T: Sample>(bits: &mut Bits<'_>, width: u32, order: usize, samples: &mut [T]) -> Result<Linear, Fault> {
    warm_up(bits, width, order, samples)?;
    let precision = bits.take(4);
    if precision == PRECISION_INVALID {
        return Err(Fault::Damaged);
    }
    let precision = precision + 1;
    let shift = u32::try_from(bits.take_signed(5)).map_err(|_| Fault::Damaged)?;
    let coefficients = (0..order).map(|_| bits.take_signed(precision) as i32);
    Ok(Linear::new(coefficients, shift))
}
