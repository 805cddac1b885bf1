//! What several integration tests share.

pub(crate) mod rust_source;
