//! Four numbers at a time: one of each of four neighbouring sub-bands. The compiler makes one register of them.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Quad(pub(super) [f32; 4]);

impl Quad {
    pub(super) const ZERO: Quad = Quad([0.0; 4]);

    fn zip(self, other: Quad, each: impl Fn(f32, f32) -> f32) -> Quad {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Quad([each(a, e), each(b, f), each(c, g), each(d, h)])
    }
}

impl Add for Quad {
    type Output = Quad;

    fn add(self, other: Quad) -> Quad {
        self.zip(other, |a, b| a + b)
    }
}

impl AddAssign for Quad {
    fn add_assign(&mut self, other: Quad) {
        *self = *self + other;
    }
}

impl Sub for Quad {
    type Output = Quad;

    fn sub(self, other: Quad) -> Quad {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for Quad {
    type Output = Quad;

    fn mul(self, other: Quad) -> Quad {
        self.zip(other, |a, b| a * b)
    }
}

impl Mul<f32> for Quad {
    type Output = Quad;

    fn mul(self, factor: f32) -> Quad {
        Quad(self.0.map(|value| value * factor))
    }
}

impl Neg for Quad {
    type Output = Quad;

    fn neg(self) -> Quad {
        Quad(self.0.map(|value| -value))
    }
}
