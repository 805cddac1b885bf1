//! What is known of a sample from those before it (§9.2.5, §9.2.6).

/// A sample while it is decoded: 32 bits hold all but the difference of two channels of 32 bits, which has 33.
pub(super) trait Sample: Copy + Default {
    /// The low bits of a number.
    fn of(number: i64) -> Self;
    fn number(self) -> i64;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn scaled_up(self, bits: u32) -> Self;
    fn scaled_down(self, bits: u32) -> Self;
}

impl Sample for i32 {
    #[inline(always)]
    fn of(number: i64) -> i32 {
        number as i32
    }

    #[inline(always)]
    fn number(self) -> i64 {
        i64::from(self)
    }

    #[inline(always)]
    fn plus(self, other: i32) -> i32 {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: i32) -> i32 {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn times(self, other: i32) -> i32 {
        self.wrapping_mul(other)
    }

    #[inline(always)]
    fn scaled_up(self, bits: u32) -> i32 {
        self.wrapping_shl(bits)
    }

    #[inline(always)]
    fn scaled_down(self, bits: u32) -> i32 {
        self >> bits
    }
}

impl Sample for i64 {
    #[inline(always)]
    fn of(number: i64) -> i64 {
        number
    }

    #[inline(always)]
    fn number(self) -> i64 {
        self
    }

    #[inline(always)]
    fn plus(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: i64) -> i64 {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn times(self, other: i64) -> i64 {
        self.wrapping_mul(other)
    }

    #[inline(always)]
    fn scaled_up(self, bits: u32) -> i64 {
        self.wrapping_shl(bits)
    }

    #[inline(always)]
    fn scaled_down(self, bits: u32) -> i64 {
        self >> bits
    }
}

/// Makes samples of residuals. The arithmetic wraps: what is no damage never comes so far.
pub(super) trait Predictor<T> {
    /// How many samples before the next it looks at.
    fn reach(&self) -> usize;

    /// The next sample, where `before` are those and perhaps some before them.
    fn next(&mut self, before: &[T], residual: i32) -> T;
}

/// A polynomial of degree `N − 1` through the last `N` samples (§9.2.5): the residual is their `N`-th difference.
pub(super) struct Fixed<T, const N: usize> {
    /// The last sample and its differences of the first to the last degree.
    differences: [T; N],
}

impl<T: Sample, const N: usize> Fixed<T, N> {
    /// Goes on behind the first `N` samples.
    pub(super) fn new(samples: &[T]) -> Fixed<T, N> {
        let mut rows = samples.first_chunk().copied().unwrap_or([T::default(); N]);
        let mut differences = rows;
        for (degree, difference) in differences.iter_mut().enumerate() {
            let last = rows.last().copied().unwrap_or_default();
            *difference = last;
            for at in (degree + 1..N).rev() {
                rows[at] = rows[at].minus(rows[at - 1]);
            }
        }
        Fixed { differences }
    }
}

impl<T: Sample, const N: usize> Predictor<T> for Fixed<T, N> {
    #[inline(always)]
    fn reach(&self) -> usize {
        0
    }

    #[inline(always)]
    fn next(&mut self, _before: &[T], residual: i32) -> T {
        self.differences.iter_mut().rev().fold(T::of(i64::from(residual)), |sum, difference| {
            *difference = difference.plus(sum);
            *difference
        })
    }
}

/// Any linear prediction (§9.2.6).
pub(super) struct Linear {
    /// Oldest sample first, behind zeros.
    coefficients: [i32; ORDER_MAX],
    order: usize,
    shift: u32,
}

/// The highest order (§9.2.1).
const ORDER_MAX: usize = 32;

impl Linear {
    /// Takes coefficients in the order of the stream: newest sample first.
    pub(super) fn new(newest_first: impl ExactSizeIterator<Item = i32>, shift: u32) -> Linear {
        let order = newest_first.len();
        let mut coefficients = [0; ORDER_MAX];
        for (to, coefficient) in coefficients.iter_mut().rev().zip(newest_first) {
            *to = coefficient;
        }
        Linear { coefficients, order, shift }
    }

    /// Whether 32 bits hold every sum over samples of `width` bits.
    pub(super) fn is_narrow(&self, width: u32) -> bool {
        let largest: u64 = self.coefficients.iter().map(|coefficient| u64::from(coefficient.unsigned_abs())).sum();
        largest << (width - 1) <= i32::MAX as u64
    }
}

impl<T: Sample> Predictor<T> for Linear {
    #[inline(always)]
    fn reach(&self) -> usize {
        self.order
    }

    #[inline(always)]
    fn next(&mut self, before: &[T], residual: i32) -> T {
        let pairs = before.iter().rev().zip(self.coefficients.iter().rev()).take(self.order);
        let sum = pairs.fold(0i64, |sum, (sample, coefficient)| {
            sum.wrapping_add(sample.number().wrapping_mul(i64::from(*coefficient)))
        });
        T::of((sum >> self.shift).wrapping_add(i64::from(residual)))
    }
}

/// The same of an order that the compiler knows, with sums of 32 or 64 bits.
pub(super) struct Known<S, const N: usize> {
    /// Oldest sample first.
    coefficients: [S; N],
    shift: u32,
    /// The last sample: in a register, because what was just written to memory takes its time to be read.
    newest: S,
    /// What the samples before it add to the next sum, made ahead: that does not have to wait for the newest.
    ahead: S,
}

impl<S: Sample, const N: usize> Known<S, N> {
    /// Goes on behind the first `N` samples.
    pub(super) fn new(linear: &Linear, samples: &[i32]) -> Known<S, N> {
        let coefficients = linear.coefficients.last_chunk().copied().unwrap_or([0; N]);
        let coefficients = coefficients.map(|coefficient| S::of(i64::from(coefficient)));
        let mut known = Known { coefficients, shift: linear.shift, newest: S::default(), ahead: S::default() };
        if let Some((newest, before)) = samples.get(..N).and_then(<[i32]>::split_last) {
            known.newest = S::of(i64::from(*newest));
            known.ahead = known.sum(before);
        }
        known
    }

    /// What all samples but the newest add.
    #[inline(always)]
    fn sum(&self, before: &[i32]) -> S {
        let products = self.coefficients.iter().zip(before);
        products.fold(S::default(), |sum, (factor, sample)| sum.plus(factor.times(S::of(i64::from(*sample)))))
    }
}

impl<S: Sample, const N: usize> Predictor<i32> for Known<S, N> {
    #[inline(always)]
    fn reach(&self) -> usize {
        N
    }

    #[inline(always)]
    fn next(&mut self, before: &[i32], residual: i32) -> i32 {
        let sum = self.ahead.plus(self.coefficients[N - 1].times(self.newest));
        let sample = sum.scaled_down(self.shift).plus(S::of(i64::from(residual))).number() as i32;
        // The oldest is too old for the next.
        if let Some((_, before)) = before.last_chunk::<N>().and_then(|history| history.split_first()) {
            self.ahead = self.sum(before);
        }
        self.newest = S::of(i64::from(sample));
        sample
    }
}
