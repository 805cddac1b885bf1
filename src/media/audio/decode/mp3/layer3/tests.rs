//! Each stage against the formula of the standard, and all of them against a full decoder.

mod filterbank;
mod lines;
mod whole;

/// Numbers within ±1 that look random and are always the same.
fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut bits = random(seed);
    move || (bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// Bits, likewise.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        // Marsaglia's xorshift* in Vigna's choice of constants.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
