//! What the two channels of a pair are to each other, band by band (ISO/IEC 14496-3 §4.6.8, §4.6.13.6).

use super::{
    Damaged,
    bits::Bits,
    ics::{BOOK_INTENSITY, BOOK_INTENSITY_OUT, BOOK_NOISE, Group, Ics, Info, SLOTS},
    spectrum::Lines,
};

/// How the second channel of a band comes about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Relation {
    /// It has lines of its own.
    Apart,
    /// The lines are the half sum and the half difference.
    MidSide,
    /// It is the first channel's times this.
    Ratio(f32),
}

/// `ms_mask_present` and `ms_used`.
#[derive(Debug)]
pub(super) struct Mask {
    used: [bool; SLOTS],
    /// Whether the bands are named one by one: then those of intensity stereo change the sign by it.
    one_by_one: bool,
}

impl Mask {
    pub(super) fn new() -> Mask {
        Mask { used: [false; SLOTS], one_by_one: false }
    }

    pub(super) fn parse(&mut self, bits: &mut Bits<'_>, info: &Info) -> Result<(), Damaged> {
        let present = bits.take(2);
        self.one_by_one = present == 1;
        self.used.fill(present == 2);
        if self.one_by_one {
            for group in info.groups() {
                let bands = self.used.iter_mut().skip(group.slot).take(info.bands_used);
                bands.for_each(|used| *used = bits.flag());
            }
        }
        if present == 3 { Err(Damaged) } else { Ok(()) }
    }

    /// No relations at all.
    pub(super) fn clear(&mut self) {
        self.one_by_one = false;
        self.used.fill(false);
    }

    fn relation(&self, first: &Ics, second: &Ics, slot: usize) -> Relation {
        let used = self.used.get(slot) == Some(&true);
        let book = |ics: &Ics| ics.books.get(slot).copied().unwrap_or(0);
        let scale = |ics: &Ics| ics.scales.get(slot).copied().unwrap_or(0.0);
        match (book(first), book(second)) {
            (_, BOOK_INTENSITY | BOOK_INTENSITY_OUT) => {
                let sign = if used && self.one_by_one { -1.0 } else { 1.0 };
                Relation::Ratio(sign * scale(second))
            }
            // The noise is the same, its strength is not.
            (BOOK_NOISE, BOOK_NOISE) if used && 0.0 < scale(first) => Relation::Ratio(scale(second) / scale(first)),
            (BOOK_NOISE.., _) | (_, BOOK_NOISE..) => Relation::Apart,
            _ if used => Relation::MidSide,
            _ => Relation::Apart,
        }
    }
}

/// The relations of a pair's bands.
#[derive(Debug)]
pub(super) struct Relations {
    slots: [Relation; SLOTS],
    /// Slot behind the last band whose channels are apart.
    pub(super) apart_end: usize,
}

impl Relations {
    pub(super) fn new() -> Relations {
        Relations { slots: [Relation::Apart; SLOTS], apart_end: 0 }
    }

    /// Takes them from what precedes the spectra, for the bands that begin below `reach`.
    pub(super) fn set(&mut self, mask: &Mask, first: &Ics, second: &Ics, reach: usize) {
        self.apart_end = 0;
        for group in first.info.groups() {
            let bands = first.info.bands().take_while(|(start, _)| *start < reach).count();
            let slots = self.slots.iter_mut().enumerate().skip(group.slot).take(bands);
            for (slot, relation) in slots {
                *relation = mask.relation(first, second, slot);
                if *relation == Relation::Apart {
                    self.apart_end = slot + 1;
                }
            }
        }
    }

    /// Whether both channels of a slot below the reach have lines of their own.
    pub(super) fn is_apart(&self, slot: usize) -> bool {
        self.slots.get(slot) == Some(&Relation::Apart)
    }

    fn of(&self, slot: usize) -> Relation {
        self.slots.get(slot).copied().unwrap_or(Relation::Apart)
    }
}

/// Undoes the relations: `left` and `right` become what is heard on each side.
pub(super) fn separate(relations: &Relations, info: &Info, reach: usize, left: &mut Lines, right: &mut Lines) {
    for_each_band(info, reach, |slot, from, to| {
        let (Some(left), Some(right)) = (left.get_mut(from..to), right.get_mut(from..to)) else { return };
        let relation = relations.of(slot);
        for (left, right) in left.iter_mut().zip(right) {
            match relation {
                Relation::Apart => {}
                Relation::MidSide => (*left, *right) = (*left + *right, *left - *right),
                Relation::Ratio(ratio) => *right = *left * ratio,
            }
        }
    });
}

/// Makes of the first channel's lines the half sum of both sides. The second's are looked at only where the channels are apart.
pub(super) fn merge(relations: &Relations, info: &Info, reach: usize, lines: &mut Lines, others: &Lines) {
    for_each_band(info, reach, |slot, from, to| {
        let (Some(lines), Some(others)) = (lines.get_mut(from..to), others.get(from..to)) else { return };
        match relations.of(slot) {
            Relation::MidSide => {}
            Relation::Apart => lines.iter_mut().zip(others).for_each(|(line, other)| *line = 0.5 * (*line + other)),
            Relation::Ratio(ratio) => lines.iter_mut().for_each(|line| *line *= 0.5 * (1.0 + ratio)),
        }
    });
}

/// Calls `band` with the slot and the lines of each band of each window that begins below `reach`.
fn for_each_band(info: &Info, reach: usize, mut band: impl FnMut(usize, usize, usize)) {
    let stride = info.window_lines();
    for Group { slot, first_line, windows } in info.groups() {
        for (at, (start, end)) in info.bands().enumerate().take_while(|(_, (start, _))| *start < reach) {
            for first in (0..windows).map(|window| first_line + window * stride) {
                band(slot + at, first + start, first + end);
            }
        }
    }
}
