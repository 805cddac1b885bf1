//! How many bits each band has (RFC 6716 §4.3.3), all in eighths of a bit.

use super::{
    energy::FINE_BITS_MAX,
    range::RangeDecoder,
    tables::{ALLOCATIONS, BANDS, CAPS, EDGES, LOG_EIGHTHS, LOG_WIDTHS, TRIM, width},
};

const BIT: i32 = 8;
/// Steps between two allocation vectors, as a power of two.
const STEPS_LOG: u32 = 6;
/// Offset of the bits for fine energies from their share.
const FINE_OFFSET: i32 = 21;

/// What a frame is made of, as far as the allocation minds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The first band that the frame does not have.
    pub(super) end: usize,
    /// The frame has 2^`size` short blocks.
    pub(super) size: usize,
    pub(super) channels: usize,
}

/// What the bands of a frame have.
#[derive(Clone, Debug)]
pub(super) struct Allocation {
    /// For the shape of each band.
    pub(super) shapes: [i32; BANDS],
    /// Whole bits of fine energy, for each channel.
    pub(super) fine: [i32; BANDS],
    /// Whether a band is served in the second turn only when the last bits are spent.
    pub(super) is_second: [bool; BANDS],
    /// Bands from here on have no shape.
    pub(super) coded: usize,
    /// From this band on both channels have one shape.
    pub(super) intensity: usize,
    pub(super) is_dual: bool,
    /// What no band could take.
    pub(super) balance: i32,
}

/// The wishes of the encoder beside the tables.
#[derive(Debug)]
struct Wishes {
    caps: [i32; BANDS],
    boosts: [i32; BANDS],
    trim: i32,
}

impl Wishes {
    /// Boosts of single bands, then the tilt of all (§4.3.3).
    fn read(range: &mut RangeDecoder<'_>, layout: Layout) -> Wishes {
        let Layout { end, size, channels } = layout;
        let caps = std::array::from_fn(|band| {
            let lines = (channels * width(band)) << size;
            (i32::from(CAPS[2 * size + channels - 1][band]) + 64) * lines as i32 / 4
        });
        let mut boosts = [0; BANDS];
        let mut total = BIT * range.size();
        let mut first_log = 6;
        for band in 0..end {
            let lines = ((channels * width(band)) << size) as i32;
            let quantum = (BIT * lines).min(lines.max(6 * BIT));
            let mut log = first_log;
            while range.tell_eighths() + BIT * log < total && boosts[band] < caps[band] {
                if !range.bit(log as u32) {
                    break;
                }
                boosts[band] += quantum;
                total -= quantum;
                log = 1;
            }
            if boosts[band] > 0 {
                first_log = 2.max(first_log - 1);
            }
        }
        let has_trim = range.tell_eighths() + 6 * BIT <= total;
        let trim = if has_trim { range.symbol(&TRIM, 7) as i32 } else { 5 };
        Wishes { caps, boosts, trim }
    }
}

/// Bits reserved for flags that are read on the way.
#[derive(Debug)]
struct Reserved {
    skip: i32,
    intensity: i32,
    dual: i32,
}

impl Allocation {
    /// Reads all that the allocation depends on. `anti_collapse` tells whether a bit may be kept for that, and then whether it is.
    pub(super) fn read(range: &mut RangeDecoder<'_>, layout: Layout, may_collapse: bool) -> (Allocation, bool) {
        let wishes = Wishes::read(range, layout);
        let mut total = BIT * range.size() - range.tell_eighths() - 1;
        let is_kept = may_collapse && total >= (layout.size as i32 + 2) * BIT;
        if is_kept {
            total -= BIT;
        }
        (Allocation::of(range, layout, &wishes, total.max(0)), is_kept)
    }

    fn of(range: &mut RangeDecoder<'_>, layout: Layout, wishes: &Wishes, total: i32) -> Allocation {
        let mut total = total;
        let mut take = |wanted: i32| {
            let taken = if total >= wanted { wanted } else { 0 };
            total -= taken;
            taken
        };
        let skip = take(BIT);
        let intensity = if layout.channels == 2 { take(LOG_EIGHTHS[layout.end]) } else { 0 };
        let dual = if intensity > 0 { take(BIT) } else { 0 };
        let reserved = Reserved { skip, intensity, dual };
        let slope = Slope::between(layout, wishes, total);
        slope.share(range, layout, wishes, total, reserved)
    }
}

/// Between which allocation vectors the frame lies.
#[derive(Debug)]
struct Slope {
    lower: [i32; BANDS],
    step: [i32; BANDS],
    /// Below this a band has no pulses for certain.
    threshold: [i32; BANDS],
    /// Bands up to here are never skipped.
    kept: usize,
}

impl Slope {
    fn between(layout: Layout, wishes: &Wishes, total: i32) -> Slope {
        let Layout { end, size, channels } = layout;
        let mut threshold = [0; BANDS];
        let mut tilt = [0; BANDS];
        for (band, (threshold, tilt)) in threshold.iter_mut().zip(&mut tilt).enumerate().take(end) {
            let lines = (width(band) << size) as i32;
            *threshold = (channels as i32 * BIT).max((3 * lines * BIT) >> 4);
            let weight = channels as i32 * width(band) as i32 * (wishes.trim - 5 - size as i32);
            *tilt = (weight * (end - band - 1) as i32 * (BIT << size)) >> 6;
            if lines == 1 {
                *tilt -= channels as i32 * BIT;
            }
        }
        let of_vector = |vector: usize, band: usize| {
            let bits = (((channels * width(band)) as i32 * i32::from(ALLOCATIONS[vector][band])) << size) >> 2;
            if bits > 0 { (bits + tilt[band]).max(0) } else { 0 }
        };
        let (mut low, mut high) = (1, ALLOCATIONS.len() - 1);
        while low <= high {
            let middle = (low + high) / 2;
            let mut bits = [0; BANDS];
            for (band, bits) in bits.iter_mut().enumerate().take(end) {
                *bits = of_vector(middle, band) + wishes.boosts[band];
            }
            match sum(&bits[..end], &threshold, &wishes.caps, channels as i32 * BIT) > total {
                true => high = middle - 1,
                false => low = middle + 1,
            }
        }
        let (lower_vector, upper_vector) = (low - 1, low);
        let mut slope = Slope { lower: [0; BANDS], step: [0; BANDS], threshold, kept: 0 };
        for (band, boost) in wishes.boosts.into_iter().enumerate().take(end) {
            let lower = of_vector(lower_vector, band) + if lower_vector > 0 { boost } else { 0 };
            let upper = match upper_vector < ALLOCATIONS.len() {
                true => of_vector(upper_vector, band),
                // The caps are tilted as vectors are.
                false if wishes.caps[band] > 0 => (wishes.caps[band] + tilt[band]).max(0),
                false => 0,
            };
            slope.lower[band] = lower;
            slope.step[band] = (upper + boost - lower).max(0);
            if boost > 0 {
                slope.kept = band;
            }
        }
        slope
    }

    fn at(&self, place: i32, band: usize) -> i32 {
        self.lower[band] + ((place * self.step[band]) >> STEPS_LOG)
    }

    fn share(
        &self,
        range: &mut RangeDecoder<'_>,
        layout: Layout,
        wishes: &Wishes,
        total: i32,
        reserved: Reserved,
    ) -> Allocation {
        let Layout { end, channels, .. } = layout;
        let floor = channels as i32 * BIT;
        let (mut low, mut high) = (0, 1 << STEPS_LOG);
        let mut bits = [0; BANDS];
        for _ in 0..STEPS_LOG {
            let middle = (low + high) / 2;
            for (band, bits) in bits.iter_mut().enumerate().take(end) {
                *bits = self.at(middle, band);
            }
            match sum(&bits[..end], &self.threshold, &wishes.caps, floor) > total {
                true => high = middle,
                false => low = middle,
            }
        }
        let mut spent = 0;
        let mut is_above = false;
        for band in (0..end).rev() {
            let wanted = self.at(low, band);
            is_above |= wanted >= self.threshold[band];
            let wanted = match wanted {
                wanted if is_above => wanted,
                wanted if wanted >= floor => floor,
                _ => 0,
            };
            bits[band] = wanted.min(wishes.caps[band]);
            spent += bits[band];
        }
        let sharing = Sharing { layout, bits, spent, total, reserved };
        sharing.skip(range, self).finish(range, wishes)
    }
}

/// What bands would take that lie above their threshold or below one that does; the others take little or nothing.
fn sum(bits: &[i32], threshold: &[i32; BANDS], caps: &[i32; BANDS], floor: i32) -> i32 {
    let mut sum = 0;
    let mut is_above = false;
    for ((bits, threshold), cap) in bits.iter().zip(threshold).zip(caps).rev() {
        is_above |= bits >= threshold;
        sum += match *bits {
            bits if is_above => bits.min(*cap),
            bits if bits >= floor => floor,
            _ => 0,
        };
    }
    sum
}

#[derive(Debug)]
struct Sharing {
    layout: Layout,
    bits: [i32; BANDS],
    spent: i32,
    total: i32,
    reserved: Reserved,
}

/// Behind the decision which bands are skipped.
#[derive(Debug)]
struct Skipped {
    sharing: Sharing,
    coded: usize,
}

impl Sharing {
    /// Bands are skipped from the end on, where there is too little for them or a flag says so.
    fn skip(mut self, range: &mut RangeDecoder<'_>, slope: &Slope) -> Skipped {
        let floor = self.layout.channels as i32 * BIT;
        let mut coded = self.layout.end;
        loop {
            let band = coded - 1;
            if band <= slope.kept {
                self.total += self.reserved.skip;
                return Skipped { sharing: self, coded };
            }
            let lines = EDGES[coded] as i32;
            let left = self.total - self.spent;
            let each = left / lines;
            let rest = (left - lines * each - EDGES[band] as i32).max(0);
            let mut bits = self.bits[band] + each * width(band) as i32 + rest;
            if bits >= slope.threshold[band].max(floor + BIT) {
                if range.bit(1) {
                    return Skipped { sharing: self, coded };
                }
                self.spent += BIT;
                bits -= BIT;
            }
            self.spent -= self.bits[band] + self.reserved.intensity;
            if self.reserved.intensity > 0 {
                self.reserved.intensity = LOG_EIGHTHS[band];
            }
            self.spent += self.reserved.intensity;
            self.bits[band] = if bits >= floor { floor } else { 0 };
            self.spent += self.bits[band];
            coded -= 1;
        }
    }
}

impl Skipped {
    /// Reads the flags of stereo, shares out what is left, and splits each band's bits between fine energy and shape.
    fn finish(self, range: &mut RangeDecoder<'_>, wishes: &Wishes) -> Allocation {
        let Skipped { sharing: Sharing { layout, mut bits, spent, mut total, mut reserved }, coded } = self;
        let intensity = if reserved.intensity > 0 { range.uniform(coded as u32 + 1) as usize } else { 0 };
        if intensity == 0 {
            total += reserved.dual;
            reserved.dual = 0;
        }
        let is_dual = reserved.dual > 0 && range.bit(1);
        let lines = EDGES[coded] as i32;
        let left = total - spent;
        let each = left / lines;
        let mut left = left - lines * each;
        for (band, bits) in bits.iter_mut().enumerate().take(coded) {
            let more = left.min(width(band) as i32);
            *bits += each * width(band) as i32 + more;
            left -= more;
        }
        let mut allocation = Allocation {
            shapes: bits,
            fine: [0; BANDS],
            is_second: [true; BANDS],
            coded,
            intensity,
            is_dual,
            balance: 0,
        };
        for band in 0..coded {
            allocation.split(band, layout, wishes.caps[band]);
        }
        for band in coded..layout.end {
            allocation.fine[band] = (allocation.shapes[band] / layout.channels as i32) / BIT;
            allocation.shapes[band] = 0;
            allocation.is_second[band] = allocation.fine[band] < 1;
        }
        allocation
    }
}

impl Allocation {
    /// Splits a band's bits: fine energy has what equals the error of a line of the shape.
    fn split(&mut self, band: usize, layout: Layout, cap: i32) {
        let channels = layout.channels as i32;
        let lines = (width(band) << layout.size) as i32;
        let bits = self.shapes[band] + self.balance;
        let mut excess;
        if lines > 1 {
            excess = (bits - cap).max(0);
            let bits = bits - excess;
            let has_angle = channels == 2 && lines > 2 && !self.is_dual && band < self.intensity;
            let freedom = channels * lines + i32::from(has_angle);
            let log = freedom * (LOG_WIDTHS[band] + layout.size as i32 * BIT);
            let mut offset = (log >> 1) - freedom * FINE_OFFSET;
            if lines == 2 {
                offset += (freedom * BIT) >> 2;
            }
            if bits + offset < freedom * 2 * BIT {
                offset += log >> 2;
            } else if bits + offset < freedom * 3 * BIT {
                offset += log >> 3;
            }
            let mut fine = (bits + offset + freedom * BIT / 2).max(0) / freedom / BIT;
            if channels * fine > bits / BIT {
                fine = bits / channels / BIT;
            }
            let fine = fine.min(FINE_BITS_MAX);
            self.is_second[band] = fine * freedom * BIT >= bits + offset;
            self.fine[band] = fine;
            self.shapes[band] = bits - channels * fine * BIT;
        } else {
            // A line alone needs its sign only.
            excess = (bits - channels * BIT).max(0);
            self.shapes[band] = bits - excess;
        }
        if excess > 0 {
            let more = (excess / channels / BIT).min(FINE_BITS_MAX - self.fine[band]);
            let bits = more * channels * BIT;
            self.fine[band] += more;
            self.is_second[band] = bits >= excess - self.balance;
            excess -= bits;
        }
        self.balance = excess;
    }
}
