//! What tests, fuzz targets and the demonstration are made of: an HTTP origin that misbehaves on command, computed
//! signals, the committed fixtures, and the entries of the fuzz targets.
//!
//! May import every room; imported only by tests, `fuzz/`, `examples/` and `benches/` (`tests/it/layers.rs` holds it to that).

pub mod signal;

pub mod fixture;

pub mod origin;

pub mod fuzz;
