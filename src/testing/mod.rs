//! What tests, fuzz targets and the demonstration are made of: an HTTP origin, a speech service and a store of objects that misbehave on
//! command, a real S3 server and a bad way to it, a real PostgreSQL server, a real Redis server, computed signals, the committed fixtures, and the entries of the fuzz targets.
//!
//! May import every room; imported only by tests, `fuzz/`, `examples/` and `benches/` (`tests/it/layers.rs` holds it to that).

#[cfg(not(fuzzing))]
pub mod signal;

#[cfg(not(fuzzing))]
pub mod fixture;

#[cfg(not(fuzzing))]
pub mod origin;

#[cfg(not(fuzzing))]
pub mod speech_service;

#[cfg(not(fuzzing))]
pub mod faulty_store;

#[cfg(not(fuzzing))]
pub mod s3_server;

#[cfg(not(fuzzing))]
pub mod postgres_server;

#[cfg(not(fuzzing))]
pub mod redis_server;

#[cfg(not(fuzzing))]
pub mod shaky_way;

pub mod fuzz;
