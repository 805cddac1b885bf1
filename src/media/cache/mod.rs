//! What is kept: chunks of finished audio in memory and on disk, and the catalogue that says what they make up.

mod records;

pub use records::{ChunkRef, KeptSource, Manifest, Outcome, Reference, SourceRecord, Visibility};
