//! One CELT frame, from its bytes to the spectrum of what is heard of its channels (RFC 6716 §4.3).

use super::{
    allocation::{Allocation, Layout},
    bands::{Coding, Shapes},
    energy::{Energies, NOTHING},
    range::RangeDecoder,
    tables::{BANDS, EDGES, LINES_MAX, MEANS, RESOLUTIONS, SHORT_LINES, SIZE_MAX, SPREAD, TAP_SET, width},
};

/// Decoders take louder bands for damage.
const LEVEL_MAX: f32 = 32.0;

/// How much is heard of each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Mix {
    /// They add up to one.
    pub(in super::super) gains: [f32; 2],
    /// Whether a second channel that is the first one turned over is turned over: it would cancel the first one in a mix.
    pub(in super::super) may_invert: bool,
}

/// What a packet's first byte says of its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameKind {
    /// Bands that there are.
    pub(super) end: usize,
    /// The frame has 2^`size` short blocks.
    pub(super) size: usize,
    pub(super) channels: usize,
}

/// What the post-filter does from the second short block of a frame on (§4.3.7.1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pitch {
    /// In samples of the full rate.
    pub(super) period: usize,
    /// Zero: there is no filter.
    pub(super) gain: f32,
    pub(super) tap_set: usize,
}

/// What a frame turned out to be beside its spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) size: usize,
    pub(super) is_transient: bool,
    pub(super) pitch: Pitch,
}

/// A frame used more bits than it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

/// Decodes one frame after the other.
#[derive(Debug)]
pub(super) struct FrameDecoder {
    mix: Mix,
    /// Bands that are heard at most.
    heard: usize,
    energies: Energies,
    shapes: Shapes,
    /// The lowest lines of what is heard; those of short blocks interleaved.
    spectrum: Vec<f32>,
    /// State of the range coder after the last frame.
    pub(super) final_range: u32,
}

impl FrameDecoder {
    /// A decoder of the `heard` lowest bands.
    pub(super) fn new(mix: Mix, heard: usize) -> FrameDecoder {
        FrameDecoder {
            mix,
            heard,
            energies: Energies::new(),
            shapes: Shapes::new(),
            spectrum: vec![0.0; LINES_MAX],
            final_range: 0,
        }
    }

    /// Decodes a frame of two bytes or more.
    pub(super) fn decode(&mut self, kind: FrameKind, bytes: &[u8]) -> Result<(Frame, &[f32]), Overrun> {
        let FrameKind { end, size, channels } = kind;
        let mut range = RangeDecoder::new(bytes);
        let range = &mut range;
        if channels == 1 {
            self.energies.begin_mono();
        }
        let is_silent = match range.tell() {
            tell if range.size() <= tell => true,
            1 => range.bit(15),
            _ => false,
        };
        if is_silent {
            range.use_all();
        }
        let pitch = Pitch::read(range);
        let is_transient = size > 0 && range.tell() + 3 <= range.size() && range.bit(3);
        let is_intra = range.tell() + 3 <= range.size() && range.bit(3);
        self.energies.read_coarse(range, end, size, is_intra, channels);
        let changes = read_changes(range, kind, is_transient);
        /// What is taken where there is no room to say it.
        const SPREAD_NORMAL: usize = 2;
        let spread = if range.tell() + 4 <= range.size() { range.symbol(&SPREAD, 5) } else { SPREAD_NORMAL };
        let (allocation, may_collapse) =
            Allocation::read(range, Layout { end, size, channels }, is_transient && size >= 2);
        self.energies.read_fine(range, &allocation.fine[..end], channels);
        let heard = self.heard.min(end);
        let coding = Coding {
            end,
            // The noise for collapsed blocks goes on from that of the last band.
            heard: if may_collapse { end } else { heard },
            size,
            channels,
            is_transient,
            spread,
            may_invert: self.mix.may_invert,
            kept: if may_collapse { 8 } else { 0 },
        };
        self.shapes.read(range, coding, &allocation, &changes, self.final_range);
        let is_filled = may_collapse && range.raw(1) == 1;
        self.energies.read_final(range, &allocation.fine[..end], &allocation.is_second[..end], channels);
        if is_filled {
            self.fill_collapsed(coding, &allocation, heard);
        }
        if is_silent {
            for levels in self.energies.now.iter_mut().take(channels) {
                levels.fill(NOTHING);
            }
        }
        self.denormalise(kind, heard, is_silent);
        self.energies.end_frame(end, channels, is_transient);
        self.final_range = range.range();
        if range.size() < range.tell() {
            return Err(Overrun);
        }
        Ok((Frame { size, is_transient, pitch }, &self.spectrum[..SHORT_LINES << size]))
    }

    /// Noise where short blocks lost all pulses, at most as loud as the quieter one of the last two frames (§4.3.5).
    fn fill_collapsed(&mut self, coding: Coding, allocation: &Allocation, heard: usize) {
        let Coding { size, channels, .. } = coding;
        let Energies { now, past: [last, before] } = &self.energies;
        let of = |levels: &[[f32; BANDS]; 2], band: usize, channel: usize| match channels {
            1 => levels[0][band].max(levels[1][band]),
            _ => levels[channel][band],
        };
        self.shapes.fill_collapsed(coding, heard, |band, channel| {
            let depth = ((1 + allocation.shapes[band]) / width(band) as i32) >> size;
            let threshold = 0.5 * (-0.125 * depth as f32).exp2();
            let quieter = of(last, band, channel).min(of(before, band, channel));
            let rise = (now[channel][band] - quieter).max(0.0);
            let scale = if size == SIZE_MAX { 2.0 * std::f32::consts::SQRT_2 } else { 2.0 };
            let loudness = (scale * (-rise).exp2()).min(threshold);
            loudness / ((width(band) << size) as f32).sqrt()
        });
    }

    /// Gives the bands their energies (§4.3.6), and adds the channels.
    fn denormalise(&mut self, kind: FrameKind, heard: usize, is_silent: bool) {
        let FrameKind { size, channels, .. } = kind;
        let lines = EDGES[heard] << size;
        self.spectrum[lines..SHORT_LINES << size].fill(0.0);
        if is_silent {
            self.spectrum[..lines].fill(0.0);
            return;
        }
        let [first, second] = &self.shapes.lines;
        for band in 0..heard {
            let level = |channel: usize| {
                let level: f32 = self.energies.now[channel][band] + MEANS[band];
                level.min(LEVEL_MAX).exp2()
            };
            let bounds = EDGES[band] << size..EDGES[band + 1] << size;
            let to = &mut self.spectrum[bounds.clone()];
            let first = &first[bounds.clone()];
            let [gain, gain_second] = self.mix.gains;
            if channels == 1 {
                let gain = (gain + gain_second) * level(0);
                to.iter_mut().zip(first).for_each(|(to, line)| *to = gain * line);
            } else {
                let (gain, gain_second) = (gain * level(0), gain_second * level(1));
                let lines = first.iter().zip(&second[bounds]);
                to.iter_mut().zip(lines).for_each(|(to, (a, b))| *to = gain * a + gain_second * b);
            }
        }
    }
}

impl Pitch {
    /// Reads the post-filter's parameters (§4.3.7.1).
    fn read(range: &mut RangeDecoder<'_>) -> Pitch {
        if range.size() < range.tell() + 16 || !range.bit(1) {
            return Pitch::default();
        }
        let octave = range.uniform(6);
        let period = (16 << octave) + range.raw(4 + octave) - 1;
        let gain = range.raw(3) + 1;
        let tap_set = if range.tell() + 2 <= range.size() { range.symbol(&TAP_SET, 2) } else { 0 };
        Pitch { period: period as usize, gain: 0.093_75 * gain as f32, tap_set }
    }
}

/// How each band's resolution is changed (§4.3.1).
fn read_changes(range: &mut RangeDecoder<'_>, kind: FrameKind, is_transient: bool) -> [i8; BANDS] {
    let FrameKind { end, size, .. } = kind;
    let mut log = if is_transient { 2 } else { 4 };
    let has_choice = size > 0 && range.size() > range.tell() + log as i32;
    let budget = range.size() - i32::from(has_choice);
    let mut bits = [false; BANDS];
    let (mut bit, mut any) = (false, false);
    for of_band in bits.iter_mut().take(end) {
        if range.tell() + log as i32 <= budget {
            bit ^= range.bit(log);
            any |= bit;
        }
        *of_band = bit;
        log = if is_transient { 4 } else { 5 };
    }
    let choices = &RESOLUTIONS[size][usize::from(is_transient)];
    let [first, second] = choices.map(|choice| choice[usize::from(any)]);
    let choice = has_choice && first != second && range.bit(1);
    bits.map(|bit| choices[usize::from(choice)][usize::from(bit)])
}
