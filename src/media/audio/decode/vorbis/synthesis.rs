//! From spectra to samples (Vorbis I §4.3.7, §4.3.8): transform, window, overlap and add, all at the reduced rate.
//!
//! A block's samples are those from the middle of the one before to its own. How blocks of two sizes overlap is known when the
//! second one is: only then the right half of the first is windowed.

use std::f64::consts::FRAC_PI_2;

use super::super::transform::{Grid, Transform};

/// Makes samples of one spectrum after another.
#[derive(Debug)]
pub(super) struct Synthesis {
    /// Of short and of long blocks: twice their lines.
    sizes: [usize; 2],
    transforms: [Transform; 2],
    slopes: [Slopes; 2],
    factor: usize,
    /// The left half of the current block.
    left: Vec<f32>,
    /// The right half of the block before, as the transform left it, and whether that is a long one.
    before: Vec<f32>,
    was_long: Option<bool>,
}

/// Both halves of a window.
#[derive(Debug)]
pub(super) struct Slopes {
    pub(super) rise: Vec<f32>,
    pub(super) fall: Vec<f32>,
}

impl Synthesis {
    pub(super) fn new(sizes: [usize; 2], grid: Grid) -> Synthesis {
        Synthesis {
            sizes,
            transforms: sizes.map(|size| Transform::new(size / 2, grid, 1.0)),
            slopes: sizes.map(|size| Slopes::new(size / 2, grid)),
            factor: grid.factor,
            left: Vec::new(),
            before: Vec::new(),
            was_long: None,
        }
    }

    /// Frames that a block gives that follows one of a size: from its predecessor's middle to its own.
    pub(super) fn frames(before: usize, size: usize) -> usize {
        before / 4 + size / 4
    }

    /// Whether the last block was a long one, if there was one.
    pub(super) fn was_long(&self) -> Option<bool> {
        self.was_long
    }

    /// Takes the lowest lines of a block and appends its samples. Gives the frames that they stand for: of the first block none.
    pub(super) fn push(&mut self, is_long: bool, spectrum: &[f32], out: &mut Vec<f32>) -> usize {
        let was_long = self.was_long.replace(is_long);
        let size = self.sizes[usize::from(is_long)];
        let pairs = self.transforms[usize::from(is_long)].run(spectrum);
        let (left, right) = pairs.split_at(pairs.len() / 2);
        self.left.clear();
        left.iter().for_each(|pair| self.left.extend_from_slice(&[pair.re, pair.im]));
        let mut frames = 0;
        if let Some(was_long) = was_long {
            let before = self.sizes[usize::from(was_long)];
            frames = Synthesis::frames(before, size);
            // What the larger one has before the overlap, or behind it.
            let flat_before = before.saturating_sub(size) / 4 / self.factor;
            let flat_behind = size.saturating_sub(before) / 4 / self.factor;
            let Slopes { rise, fall } = &self.slopes[usize::from(is_long && was_long)];
            let (alone, falling) = self.before.split_at_checked(flat_before).unwrap_or_default();
            let rising = self.left.get(flat_behind..).unwrap_or_default();
            let (rising, alone_behind) = rising.split_at_checked(rise.len()).unwrap_or_default();
            out.extend_from_slice(alone);
            let mixed = rise.iter().zip(fall).zip(falling.iter().zip(rising));
            out.extend(mixed.map(|((rise, fall), (falling, rising))| falling * fall + rising * rise));
            out.extend_from_slice(alone_behind);
        }
        self.before.clear();
        right.iter().for_each(|pair| self.before.extend_from_slice(&[pair.re, pair.im]));
        frames
    }
}

impl Slopes {
    /// Of `length` frames each.
    pub(super) fn new(length: usize, grid: Grid) -> Slopes {
        let rise: Vec<f64> = (0..length).map(|n| rise(n, length)).collect();
        Slopes { rise: grid.sample(rise.iter().copied()), fall: grid.sample(rise.iter().rev().copied()) }
    }
}

/// The rising half of the window.
fn rise(n: usize, length: usize) -> f64 {
    let inner = (FRAC_PI_2 * (n as f64 + 0.5) / length as f64).sin();
    (FRAC_PI_2 * inner * inner).sin()
}
