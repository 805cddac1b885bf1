//! What the prediction missed (§9.2.7), in partitions with a Rice parameter each.
//!
//! A residual is not put away until its partition is read: the sample is made of it at once. Finding where the next code begins and
//! predicting the next sample are two chains of instructions that each wait for themselves; in one loop they wait together.

use super::{
    Fault,
    bits::{Bits, REFILLED},
    predict::{Predictor, Sample},
};

/// Bits that a residual takes besides its parameter as a rule. What takes more is read by and by; what takes less is read a little
/// late.
const UNARY_USUAL: u32 = 3;

/// Reads the residual of a subframe whose first `order` samples are there, and makes the others.
pub(super) fn decode<T: Sample>(
    bits: &mut Bits<'_>,
    order: usize,
    samples: &mut [T],
    mut predictor: impl Predictor<T>,
) -> Result<(), Fault> {
    let parameter_bits = match bits.take(2) {
        0 => 4,
        1 => 5,
        _ => return Err(Fault::Damaged),
    };
    let escape = (1 << parameter_bits) - 1;
    let partition_order = bits.take(4);
    let size = samples.len() >> partition_order;
    if size << partition_order != samples.len() || size < order {
        return Err(Fault::Damaged);
    }
    let mut begin = order;
    for partition in 1..=1 << partition_order {
        let end = partition * size;
        let parameter = bits.take(parameter_bits);
        if parameter == escape {
            let width = bits.take(5);
            for at in begin..end {
                let residual = bits.take_signed(width) as i32;
                put(samples, at, residual, &mut predictor);
            }
        } else {
            rice(bits, parameter, samples, begin..end, &mut predictor)?;
        }
        bits.check()?;
        begin = end;
    }
    Ok(())
}

fn rice<T: Sample>(
    bits: &mut Bits<'_>,
    parameter: u32,
    samples: &mut [T],
    places: std::ops::Range<usize>,
    predictor: &mut impl Predictor<T>,
) -> Result<(), Fault> {
    let mut local = *bits;
    let step = (REFILLED / (parameter + UNARY_USUAL)) as usize;
    let mut begin = places.start;
    while begin < places.end {
        let end = places.end.min(begin + step);
        local.refill();
        let reach = predictor.reach();
        let window = samples.get_mut(begin - reach..end).ok_or(Fault::Damaged)?;
        for at in reach..window.len() {
            let folded = match local.rice(parameter) {
                Some(folded) => folded,
                None => {
                    let (folded, behind) = local.long_rice(parameter)?;
                    local = behind;
                    folded
                }
            };
            // Even numbers are positive, odd ones negative.
            let residual = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
            put(window, at, residual, predictor);
        }
        begin = end;
    }
    *bits = local;
    Ok(())
}

#[inline(always)]
fn put<T: Sample>(samples: &mut [T], at: usize, residual: i32, predictor: &mut impl Predictor<T>) {
    if let Some((before, [sample, ..])) = samples.split_at_mut_checked(at) {
        *sample = predictor.next(before, residual);
    }
}
