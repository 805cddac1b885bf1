//! From a packet to the spectrum of what is heard of its channels (Vorbis I §4.3.1 to §4.3.6).

use super::{
    Damaged,
    bits::{Bits, PADDING},
    floor::Curve,
    mapping::Mapping,
    residue::{Vectors, Wanted},
    setup::{Mode, Setup},
};

/// The decoder of single packets. Nothing is allocated for one.
#[derive(Debug)]
pub(super) struct PacketDecoder {
    setup: Setup,
    /// How much is heard of each channel.
    gains: Vec<f32>,
    curves: Vec<Curve>,
    /// Channels that have a curve in the current packet, and those whose residue is there.
    has_curve: Vec<bool>,
    has_residue: Vec<bool>,
    /// The same of the channels of one submap.
    bundle: Vec<bool>,
    vectors: Vectors,
    /// The lowest lines of each channel.
    lines: Vec<Vec<f32>>,
    spectrum: Vec<f32>,
    /// The packet with zeros behind it.
    packet: Vec<u8>,
}

impl PacketDecoder {
    pub(super) fn new(setup: Setup, gains: &[f32]) -> PacketDecoder {
        let reach = setup.extent.reach[1];
        let channels = gains.len();
        PacketDecoder {
            setup,
            gains: gains.to_vec(),
            curves: vec![Curve::new(); channels],
            has_curve: vec![false; channels],
            has_residue: vec![false; channels],
            bundle: Vec::with_capacity(channels),
            vectors: Vectors::default(),
            lines: vec![vec![0.0; reach]; channels],
            spectrum: vec![0.0; reach],
            packet: Vec::new(),
        }
    }

    /// Whether a packet's block is a long one; `None` if it is no audio.
    pub(super) fn is_long(&self, packet: &[u8]) -> Option<bool> {
        // A mode is told by nine bits at most.
        let mut head = [0; 2 + PADDING];
        let size = packet.len().min(2);
        head.iter_mut().zip(packet.iter().take(size)).for_each(|(to, from)| *to = *from);
        let head = head.get(..size + PADDING)?;
        self.setup.mode(&mut Bits::new(head)).map(|mode| mode.is_long)
    }

    /// Decodes a packet: whether its block is a long one, and the lowest lines of the sum of its channels.
    ///
    /// # Errors
    /// It is no audio. Audio that ends too early is less of it.
    pub(super) fn decode(&mut self, packet: &[u8]) -> Result<(bool, &[f32]), Damaged> {
        let mut padded = std::mem::take(&mut self.packet);
        padded.clear();
        padded.extend_from_slice(packet);
        padded.resize(packet.len() + PADDING, 0);
        let mode = self.lines_of(&mut Bits::new(&padded));
        self.packet = padded;
        let mode = mode.ok_or(Damaged)?;
        let reach = self.setup.extent.reach[usize::from(mode.is_long)];
        self.mix(mode, reach);
        Ok((mode.is_long, self.spectrum.get(..reach).unwrap_or_default()))
    }

    /// Reads the curves and the lines of all channels that are needed.
    fn lines_of(&mut self, bits: &mut Bits<'_>) -> Option<Mode> {
        let mode = self.setup.mode(bits)?;
        let mapping = self.setup.mappings.get(mode.mapping)?;
        let curves = self.curves.iter_mut().zip(&mut self.has_curve);
        for ((curve, has_curve), submap) in curves.zip(&mapping.submaps) {
            let floor = mapping.floors.get(*submap).and_then(|floor| self.setup.floors.get(*floor))?;
            *has_curve = floor.read(bits, &self.setup.books, curve);
        }
        self.has_residue.clone_from(&self.has_curve);
        for pair in &mapping.couplings {
            // Of a pair both are there, or none (§4.3.3).
            let either = self.has_residue[pair.magnitude] || self.has_residue[pair.angle];
            (self.has_residue[pair.magnitude], self.has_residue[pair.angle]) = (either, either);
        }
        let needed = mapping.submaps.iter().zip(&mapping.is_needed).filter(|(_, is_needed)| **is_needed);
        let last_needed = needed.map(|(submap, _)| *submap).max().unwrap_or(0);
        let at = usize::from(mode.is_long);
        let (lines, reach) = (self.setup.extent.lines[at], self.setup.extent.reach[at]);
        for (submap, residue) in mapping.residues.iter().enumerate().take(last_needed + 1) {
            let residue = self.setup.residues.get(*residue)?;
            let of_submap = |channel: &usize| mapping.submaps.get(*channel) == Some(&submap);
            let channels = (0..self.gains.len()).filter(of_submap);
            self.bundle.clear();
            self.bundle.extend(channels.clone().filter_map(|channel| self.has_residue.get(channel)));
            let wanted = Wanted { channels: &self.bundle, lines, reach, finish: submap < last_needed };
            residue.read(bits, &self.setup.books, wanted, &mut self.vectors);
            for (number, channel) in channels.enumerate() {
                let lines = self.lines.get_mut(channel).and_then(|lines| lines.get_mut(..reach))?;
                residue.lines(&self.bundle, number, &self.vectors, lines);
            }
        }
        Some(mode)
    }

    /// Separates the channels and adds what is heard of each, under its curve.
    fn mix(&mut self, mode: Mode, reach: usize) {
        let Some(mapping) = self.setup.mappings.get(mode.mapping) else { return };
        separate(mapping, &self.has_residue, &mut self.lines, reach);
        let Some(spectrum) = self.spectrum.get_mut(..reach) else { return };
        spectrum.fill(0.0);
        let heard = self.curves.iter().zip(&self.has_curve).zip(&self.gains).zip(&self.lines).zip(&mapping.submaps);
        for ((((curve, has_curve), gain), lines), submap) in heard {
            let floor = mapping.floors.get(*submap).and_then(|floor| self.setup.floors.get(*floor));
            if let Some(floor) = floor.filter(|_| *has_curve && *gain != 0.0) {
                floor.add(curve, mode.is_long, *gain, lines, spectrum);
            }
        }
    }
}

/// Undoes the couplings that matter, from the last to the first.
fn separate(mapping: &Mapping, has_residue: &[bool], lines: &mut [Vec<f32>], reach: usize) {
    for pair in mapping.couplings.iter().rev() {
        if mapping.is_needed[pair.magnitude] && has_residue[pair.magnitude] {
            pair.separate(lines, reach);
        }
    }
}
