//! Requantisation (ISO/IEC 11172-3 §2.4.3.4.7): each band's lines, already raised to the power of 4/3, times its gain.

use super::Spectrum;

/// Multiplies the bands by their factors, as far as the lines up to `limit` go.
pub(super) fn requantise(lines: &mut Spectrum, widths: &[u16], factors: impl Iterator<Item = f32>, limit: usize) {
    let mut rest = lines.get_mut(..limit).unwrap_or_default();
    for (width, factor) in widths.iter().zip(factors) {
        let Some((band, behind)) = rest.split_at_mut_checked(usize::from(*width).min(rest.len())) else { return };
        // All widths are even.
        for [a, b] in band.as_chunks_mut().0 {
            *a *= factor;
            *b *= factor;
        }
        if behind.is_empty() {
            return;
        }
        rest = behind;
    }
}
