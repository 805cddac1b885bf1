//! SHA-256, by the one crate that computes it here.
//!
//! It is `ring`, which is there for TLS: where a CPU has no SHA instructions, its assembly takes half of the time that portable code
//! takes; where there are, everybody takes the same.

use std::fmt;

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN, digest};

/// The digest of bytes that pass in pieces.
#[derive(Clone)]
pub struct Sha256(Context);

impl Sha256 {
    /// The digest of nothing so far.
    pub fn new() -> Sha256 {
        Sha256(Context::new(&SHA256))
    }

    /// The digest of bytes that are all there. Cost: about 0.5 ns a byte with SHA instructions, 4 ns without.
    pub fn of(bytes: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
        array(digest(&SHA256, bytes))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes.as_ref());
    }

    /// The same with more bytes.
    #[must_use]
    pub fn with(mut self, bytes: impl AsRef<[u8]>) -> Sha256 {
        self.update(bytes);
        self
    }

    /// The digest of all that passed.
    pub fn finish(self) -> [u8; SHA256_OUTPUT_LEN] {
        array(self.0.finish())
    }
}

fn array(digest: ring::digest::Digest) -> [u8; SHA256_OUTPUT_LEN] {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

impl Default for Sha256 {
    fn default() -> Sha256 {
        Sha256::new()
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}
