//! Mappings: which channel has which floor and residue, and which are coded as magnitude and angle (Vorbis I §4.2.4, §4.3.5).

use super::{Refused, bits::Bits, codebook::bits_of};

/// One way to code the channels of a block.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Of each channel.
    pub(super) submaps: Vec<usize>,
    /// Of each submap.
    pub(super) floors: Vec<usize>,
    pub(super) residues: Vec<usize>,
    pub(super) couplings: Vec<Coupling>,
    /// Channels of which anything is heard before they are separated.
    pub(super) is_needed: Vec<bool>,
}

/// A pair of channels, one the magnitude and one the angle of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coupling {
    pub(super) magnitude: usize,
    pub(super) angle: usize,
}

impl Mapping {
    /// Reads a mapping of as many channels as there are `gains`: how much of each is heard.
    pub(super) fn parse(
        bits: &mut Bits<'_>,
        floor_count: usize,
        residue_count: usize,
        gains: &[f32],
    ) -> Result<Mapping, Refused> {
        if bits.take(16) != 0 {
            return Err(Refused::Damaged("a mapping is of an unknown type"));
        }
        let channels = gains.len();
        let submap_count = if bits.flag() { bits.take(4) as usize + 1 } else { 1 };
        let step_count = if bits.flag() { bits.take(8) + 1 } else { 0 };
        let channel_bits = bits_of(channels - 1);
        let mut channel = || bits.take(channel_bits) as usize;
        let couplings: Vec<Coupling> =
            (0..step_count).map(|_| Coupling { magnitude: channel(), angle: channel() }).collect();
        let is_pair = |pair: &Coupling| pair.magnitude != pair.angle && pair.magnitude.max(pair.angle) < channels;
        if !couplings.iter().all(is_pair) || bits.take(2) != 0 {
            return Err(Refused::Damaged("a mapping couples channels that are none"));
        }
        let submaps: Vec<usize> =
            (0..channels).map(|_| if submap_count > 1 { bits.take(4) as usize } else { 0 }).collect();
        let (mut floors, mut residues) = (Vec::new(), Vec::new());
        for _ in 0..submap_count {
            // Of a transform that there is none of.
            bits.take(8);
            floors.push(bits.take(8) as usize);
            residues.push(bits.take(8) as usize);
        }
        let exist = |numbers: &[usize], count: usize| numbers.iter().all(|number| *number < count);
        if !exist(&submaps, submap_count) || !exist(&floors, floor_count) || !exist(&residues, residue_count) {
            return Err(Refused::Damaged("a mapping names what there is not"));
        }
        let mut is_needed: Vec<bool> = gains.iter().map(|gain| *gain != 0.0).collect();
        // They are separated from the last pair to the first.
        for Coupling { magnitude, angle } in &couplings {
            let either = is_needed[*magnitude] || is_needed[*angle];
            (is_needed[*magnitude], is_needed[*angle]) = (either, either);
        }
        Ok(Mapping { submaps, floors, residues, couplings, is_needed })
    }
}

impl Coupling {
    /// Makes of magnitude and angle what each channel is (§4.3.5).
    pub(super) fn separate(self, lines: &mut [Vec<f32>], reach: usize) {
        let Ok([magnitude, angle]) = lines.get_disjoint_mut([self.magnitude, self.angle]) else { return };
        for (magnitude, angle) in magnitude.iter_mut().zip(angle).take(reach) {
            let (m, a) = (*magnitude, *angle);
            // The one that is smaller by the angle is the second, unless the angle is negative.
            let other = if 0.0 < m { m - a.abs() } else { m + a.abs() };
            (*magnitude, *angle) = if 0.0 < a { (m, other) } else { (other, m) };
        }
    }
}
