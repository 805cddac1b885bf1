//! A hasher for keys that were mixed already.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`Mixed`].
pub(crate) type BuildMixed = BuildHasherDefault<Mixed>;

/// Passes on what was mixed already.
#[derive(Default)]
pub(crate) struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
