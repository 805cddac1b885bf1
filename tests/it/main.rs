//! The one integration binary: whatever needs more than one room, or looks at the repository itself.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod support;

mod layers;

mod tidy;

mod media;

mod flights;

mod streaming;

mod bytes;

mod quality;

mod aac;

mod effects;

mod failures;

mod edge;

mod guard;

mod loops;

mod process;
