//! What tests, fuzz targets and the demonstration are made of: an HTTP origin, a speech service and a store of objects that misbehave on
//! command, a real S3 server and a bad way to it, a real PostgreSQL server, computed signals, the committed fixtures, and the entries of the fuzz targets.
//!
//! May import every room; imported only by tests, `fuzz/`, `examples/` and `benches/` (`tests/it/layers.rs` holds it to that).

pub mod signal;

pub mod fixture;

pub mod origin;

pub mod speech_service;

pub mod faulty_store;

pub mod s3_server;

pub mod postgres_server;

pub mod shaky_way;

pub mod fuzz;
