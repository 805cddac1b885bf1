//! Which channels a stream has, in the order of its elements (ISO/IEC 14496-3 §4.5.1.2, Table 1.19).

use super::{Damaged, bits::Bits};
use crate::media::{
    audio::mix::{Layout, Speaker},
    format::Channel,
};

/// Most channels, as everywhere here.
const CHANNELS_MAX: usize = 8;

/// Kinds of elements with channels in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Pair,
    Lfe,
}

/// One element of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Element {
    pub(super) kind: Kind,
    /// The instance tag it must have; without one the order counts.
    tag: Option<u8>,
    /// Number of its first channel.
    pub(super) channel: usize,
    /// How much of its channels is heard.
    pub(super) gains: [f32; 2],
}

/// The elements of a program and what is heard of each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Program {
    elements: Vec<Element>,
    pub(super) channels: usize,
}

/// An element and its speakers, before it is known what is heard.
type Place = (Kind, Option<u8>, Speaker);

impl Program {
    /// By a channel configuration of the standard, 1 to 14; `None` if there is none of that number.
    pub(super) fn of_configuration(number: u32, channel: Channel) -> Option<Program> {
        use Kind::{Lfe, Pair, Single};
        use Speaker::{Centre, Front, Lfe as Low, Surround};
        const CENTRE: (Kind, Speaker) = (Single, Centre);
        const FRONT: (Kind, Speaker) = (Pair, Front);
        const SIDES: (Kind, Speaker) = (Pair, Surround);
        const BACK: (Kind, Speaker) = (Single, Surround);
        const LOW: (Kind, Speaker) = (Lfe, Low);
        let places: &[(Kind, Speaker)] = match number {
            1 => &[CENTRE],
            2 => &[FRONT],
            3 => &[CENTRE, FRONT],
            4 => &[CENTRE, FRONT, BACK],
            5 => &[CENTRE, FRONT, SIDES],
            6 => &[CENTRE, FRONT, SIDES, LOW],
            // The standard's second pair is left and right of the centre; encoders put the sides there, which counts.
            7 => &[CENTRE, FRONT, SIDES, SIDES, LOW],
            11 => &[CENTRE, FRONT, SIDES, BACK, LOW],
            12 => &[CENTRE, FRONT, SIDES, SIDES, LOW],
            14 => &[CENTRE, FRONT, SIDES, LOW, SIDES],
            _ => return None,
        };
        Program::of(places.iter().map(|(kind, speaker)| (*kind, None, *speaker)).collect(), channel)
    }

    /// Reads `program_config_element()` (§4.4.1.1), which says it element by element.
    pub(super) fn parse(bits: &mut Bits<'_>, channel: Channel) -> Result<Program, Damaged> {
        // Instance tag, profile, sampling frequency: those of the header hold.
        bits.take(4 + 2 + 4);
        let counts = [bits.take(4), bits.take(4), bits.take(4)];
        let (lows, data, coupling) = (bits.take(2), bits.take(3), bits.take(4));
        for mixdown_bits in [4, 4, 3] {
            if bits.flag() {
                bits.take(mixdown_bits);
            }
        }
        let mut places = Vec::new();
        for (count, is_front) in counts.into_iter().zip([true, false, false]) {
            for _ in 0..count {
                let is_pair = bits.flag();
                let speaker = match (is_front, is_pair) {
                    (true, true) => Speaker::Front,
                    (true, false) => Speaker::Centre,
                    (false, _) => Speaker::Surround,
                };
                places.push((if is_pair { Kind::Pair } else { Kind::Single }, Some(bits.take(4) as u8), speaker));
            }
        }
        for _ in 0..lows {
            places.push((Kind::Lfe, Some(bits.take(4) as u8), Speaker::Lfe));
        }
        bits.take(4 * data);
        bits.take(5 * coupling.min(6));
        bits.take(5 * coupling.saturating_sub(6).min(6));
        bits.take(5 * coupling.saturating_sub(12));
        bits.align();
        let comment = bits.take(8);
        bits.skip(8 * comment as usize);
        bits.check()?;
        Program::of(places, channel).ok_or(Damaged)
    }

    fn of(places: Vec<Place>, channel: Channel) -> Option<Program> {
        let width = |kind: Kind| if kind == Kind::Pair { 2 } else { 1 };
        let channels: usize = places.iter().map(|(kind, ..)| width(*kind)).sum();
        if channels > CHANNELS_MAX {
            return None;
        }
        let speakers = places.iter().flat_map(|(kind, _, speaker)| std::iter::repeat_n(*speaker, width(*kind)));
        let factors = Layout::of(speakers)?.factors(channel);
        let factor = |at: usize| factors.get(at).copied().unwrap_or(0.0);
        let mut next = 0;
        let elements = places.into_iter().map(|(kind, tag, _)| {
            let channel = next;
            next += width(kind);
            let second = if kind == Kind::Pair { factor(channel + 1) } else { 0.0 };
            Element { kind, tag, channel, gains: [factor(channel), second] }
        });
        Some(Program { elements: elements.collect(), channels })
    }

    /// The element of a kind and tag that is met in a block; `met` says which were before.
    pub(super) fn find(&self, kind: Kind, tag: u8, met: Met) -> Option<(usize, Element)> {
        let fits = |element: &Element| element.kind == kind && element.tag.is_none_or(|wanted| wanted == tag);
        let mut free = self.elements.iter().enumerate().filter(|(at, _)| !met.has(*at));
        free.find(|(_, element)| fits(element)).map(|(at, element)| (at, *element))
    }

    /// Whether nothing is heard of all elements that were not met.
    pub(super) fn is_silent_without(&self, met: Met) -> bool {
        let mut left = self.elements.iter().enumerate().filter(|(at, _)| !met.has(*at));
        left.all(|(_, element)| element.gains == [0.0; 2])
    }
}

/// The elements met in a block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Met(u32);

impl Met {
    pub(super) fn with(self, at: usize) -> Met {
        Met(self.0 | 1 << at)
    }

    fn has(self, at: usize) -> bool {
        self.0 >> at & 1 == 1
    }
}
